use super::*;
use flb_sidecar_sdk::drain::{DrainState, DrainStatus};
use flb_sidecar_sdk::fake::FakeHost;
use flb_sidecar_sdk::{InputInfo, Pending};
use std::fs;

fn start(host: &mut FakeHost, options: &[(&str, &str)]) -> Result<CompletionExit, ConfigError> {
    let settings = Settings::new("completion_exit.0", OPTIONS, options.iter().copied())?;
    CompletionExit::init(&settings, host)
}

fn host(state: DrainState) -> FakeHost {
    FakeHost {
        inputs: vec![InputInfo {
            name: "sidecar_tail.0".to_owned(),
            plugin: "sidecar_tail".to_owned(),
            pending: Some(Pending::default()),
            drain: Some(DrainStatus {
                state,
                ..DrainStatus::default()
            }),
            ..InputInfo::default()
        }],
        tasks: Some(0),
        chunks: Some((0, 0)),
        ..FakeHost::default()
    }
}

/// Ticks at `now` until the flag's thread has told; `false` after ten seconds.
fn tick_until_drain(plugin: &mut CompletionExit, host: &mut FakeHost, now: Duration) -> bool {
    let begin = Instant::now();
    while host.drains.is_empty() && begin.elapsed() < Duration::from_secs(10) {
        plugin.tick_at(now, host);
        std::thread::sleep(Duration::from_millis(1));
    }
    !host.drains.is_empty()
}

#[test]
fn the_flag_appears_the_tail_drains_the_host_exits_once() {
    let dir = tempfile::tempdir().unwrap();
    let flag = dir.path().join("flag");
    let mut host = host(DrainState::Draining);
    let mut plugin = start(&mut host, &[("flag_file", flag.to_str().unwrap())]).unwrap();
    let second = Duration::from_secs(1);
    for tick in 0..50 {
        plugin.tick_at(second * tick, &mut host);
    }
    assert!(host.drains.is_empty() && host.exits.is_empty() && host.flushes == 0);

    fs::write(&flag, "").unwrap();
    let now = second * 100;
    assert!(tick_until_drain(&mut plugin, &mut host, now));
    assert_eq!(host.drains, [Duration::from_secs(27)]);
    let tick = CompletionExit::TICK;
    plugin.tick_at(now + tick, &mut host);
    assert!(host.exits.is_empty());

    host.inputs[0].drain.as_mut().unwrap().state = DrainState::Drained;
    host.inputs[0].pending = Some(Pending {
        chunks: 1,
        tasks: 0,
    });
    let flushes = host.flushes;
    plugin.tick_at(now + tick * 2, &mut host);
    assert_eq!(host.flushes, flushes + 1);
    host.inputs[0].pending = Some(Pending::default());
    for n in 3..10 {
        plugin.tick_at(now + tick * n, &mut host);
    }
    assert_eq!(host.exits, [0]);
    plugin.exit();
}

#[test]
fn a_destination_that_never_answers_ends_at_the_deadline() {
    let dir = tempfile::tempdir().unwrap();
    let flag = dir.path().join("flag");
    fs::write(&flag, "").unwrap();
    let mut host = host(DrainState::Drained);
    host.tasks = Some(1);
    let options = [("flag_file", flag.to_str().unwrap()), ("deadline", "2s")];
    let mut plugin = start(&mut host, &options).unwrap();
    assert!(tick_until_drain(&mut plugin, &mut host, Duration::ZERO));
    plugin.tick_at(Duration::from_millis(1999), &mut host);
    assert!(host.exits.is_empty());
    plugin.tick_at(Duration::from_secs(2), &mut host);
    plugin.tick_at(Duration::from_secs(3), &mut host);
    assert_eq!(host.exits, [0]);
}

#[test]
fn without_a_trigger_the_start_stops() {
    let error = start(&mut FakeHost::default(), &[])
        .unwrap_err()
        .to_string();
    assert!(error.contains("'flag_file'"), "{error}");
}
