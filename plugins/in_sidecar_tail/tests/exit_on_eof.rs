//! The engine ends once all has been handed over, and not before.

mod common;

use common::{append, Rig};
use flb_sidecar_sdk::fake::FakeHost;
use flb_sidecar_sdk::{Input, Wake};

fn start(pattern: &std::path::Path) -> Rig {
    Rig::start(&[("path", pattern.to_str().unwrap()), ("exit_on_eof", "on")])
}

#[test]
fn it_comes_after_the_last_line_of_every_file() {
    let dir = tempfile::tempdir().unwrap();
    let many: String = (0..20_000).map(|n| format!("line {n}\n")).collect();
    append(&dir.path().join("a.log"), &many);
    append(&dir.path().join("b.log"), "last without a newline");
    append(&dir.path().join("c.log"), "");
    let mut rig = start(&dir.path().join("*.log"));
    rig.until("the end", |rig| !rig.host.exits.is_empty());
    let lines = rig.lines();
    assert_eq!(lines.len(), 20_001);
    assert!(lines.contains(&"last without a newline".to_owned()));
    // What comes while the engine ends is not lost, and the end is asked for once.
    append(&dir.path().join("a.log"), "late\n");
    rig.pause();
    rig.tick();
    assert_eq!(rig.lines().last().unwrap(), "late");
    assert_eq!(rig.host.exits, [0]);
}

#[test]
fn it_waits_for_a_first_file() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = start(&dir.path().join("*.log"));
    for _ in 0..10 {
        rig.tail
            .as_mut()
            .unwrap()
            .collect(Wake::Tick, &mut rig.host);
    }
    rig.turn();
    assert!(rig.host.exits.is_empty());
    append(&dir.path().join("a.log"), "one\n");
    rig.until("the end", |rig| !rig.host.exits.is_empty());
    assert_eq!(rig.lines(), ["one"]);
}

#[test]
fn it_waits_for_a_paused_host() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.log");
    append(&file, "one\n");
    let options = [("path", file.to_str().unwrap()), ("exit_on_eof", "on")];
    let host = FakeHost {
        paused: true,
        ..FakeHost::default()
    };
    let mut rig = Rig::try_start(&options, host).unwrap();
    for _ in 0..10 {
        rig.turn();
    }
    assert!(rig.host.exits.is_empty());
    rig.host.paused = false;
    rig.until("the end", |rig| !rig.host.exits.is_empty());
    assert_eq!(rig.lines(), ["one"]);
}
