//! Following files on a fake host.

mod common;

use std::fs;
use std::time::Duration;

use common::{append, Rig};
use flb_sidecar_sdk::drain::DrainState;
use flb_sidecar_sdk::event::RecordFormat;
use flb_sidecar_sdk::fake::FakeHost;
use flb_sidecar_sdk::metrics::Metrics;
use flb_sidecar_sdk::{Input, InputHost, Pending, Refused, Settings};
use in_sidecar_tail::SidecarTail;

#[test]
fn reads_from_the_head_and_follows() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.log");
    append(&file, "one\ntwo\npart");
    let mut rig = Rig::follow(&dir.path().join("*.log"));
    rig.wait_for(&["one", "two"]);
    append(&file, "ial\nthree\n");
    rig.wait_for(&["one", "two", "partial", "three"]);
}

#[test]
fn a_new_file_is_found_at_once() {
    let dir = tempfile::tempdir().unwrap();
    append(&dir.path().join("a.log"), "one\n");
    let pattern = dir.path().join("*.log");
    let pattern = pattern.to_str().unwrap();
    // The next scan does not come during the test.
    let mut rig = Rig::start(&[("path", pattern), ("refresh_interval", "1h")]);
    rig.wait_for(&["one"]);
    append(&dir.path().join("b.log"), "two\n");
    rig.wait_for(&["one", "two"]);
}

#[test]
fn a_folder_that_comes_later_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::follow(&dir.path().join("pod-*/app/*.log"));
    rig.turn();
    fs::create_dir_all(dir.path().join("pod-1/app")).unwrap();
    append(&dir.path().join("pod-1/app/a.log"), "one\n");
    rig.wait_for(&["one"]);
}

#[test]
fn rename_rotation_loses_nothing_and_repeats_nothing() {
    for pattern in ["a.log", "a.log*"] {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.log");
        let rotated = dir.path().join("a.log.1");
        append(&file, "one\n");
        let mut rig = Rig::follow(&dir.path().join(pattern));
        rig.wait_for(&["one"]);
        append(&file, "two\n");
        fs::rename(&file, &rotated).unwrap();
        append(&file, "four\n");
        append(&rotated, "three\n");
        rig.until("all lines", |rig| rig.lines().len() >= 4);
        append(&rotated, "five\n");
        append(&file, "six\n");
        rig.until("all lines", |rig| rig.lines().len() >= 6);
        rig.drain();
        let mut lines = rig.lines();
        lines.sort();
        assert_eq!(
            lines,
            ["five", "four", "one", "six", "three", "two"],
            "{pattern}"
        );
    }
}

#[test]
fn a_refused_batch_stays_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.log");
    append(&file, "one\n");
    let mut rig = Rig::follow(&file);
    rig.host.paused = true;
    let handle = rig.tail().drain_handle().unwrap();
    rig.until("the batch waits", |_| handle.status().unread_bytes == 4);
    append(&file, "two\n");
    rig.until("both wait", |_| handle.status().unread_bytes == 8);
    assert!(rig.lines().is_empty());
    rig.host.paused = false;
    rig.resume();
    assert_eq!(rig.lines(), ["one", "two"]);
}

#[test]
fn a_paused_host_bounds_what_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.log");
    let line = format!("{}\n", "x".repeat(999));
    append(&file, &line.repeat(20_000));
    let mut rig = Rig::follow(&file);
    rig.host.paused = true;
    let handle = rig.tail().drain_handle().unwrap();
    rig.until("everything is known to be unread", |_| {
        handle.status().unread_bytes == 20_000_000
    });
    rig.host.paused = false;
    rig.until("all lines", |rig| {
        rig.host
            .appended
            .iter()
            .map(|(_, data)| data.len())
            .sum::<usize>()
            > 20_000_000
    });
    rig.drain();
    assert_eq!(handle.status().records, 20_000);
    assert_eq!(handle.status().read_bytes, 20_000_000);
    assert_eq!(handle.status().unread_bytes, 0);
}

#[test]
fn a_drain_reads_to_the_end_and_lets_the_last_line_out() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.log");
    let mut rig = Rig::follow(&dir.path().join("*.log"));
    assert_eq!(
        rig.tail().drain_handle().unwrap().status().state,
        DrainState::Idle
    );
    append(&file, "one\nlast");
    rig.drain();
    assert_eq!(rig.lines(), ["one", "last"]);
    append(&file, "more\n");
    rig.wait_for(&["one", "last", "more"]);
    rig.drain();
    assert_eq!(rig.lines(), ["one", "last", "more"]);
}

#[test]
fn the_report_names_the_files_before_a_drain_and_what_was_read_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.log");
    append(&file, "one\n");
    let mut rig = Rig::follow(&file);
    let handle = rig.tail().drain_handle().unwrap();
    let row = |report: &str| -> serde_json::Value {
        let rows: serde_json::Value = serde_json::from_str(report).unwrap();
        rows[0].clone()
    };
    rig.until("it watches", |_| !handle.status().starting);
    // Who looks for open writers asks then.
    rig.until("the path is known", |_| {
        row(&handle.report())["path"] == file.to_str().unwrap()
    });
    rig.wait_for(&["one"]);
    append(&file, "two");
    rig.drain();
    let row = row(&handle.report());
    assert_eq!(
        (&row["read_bytes"], &row["unread_bytes"]),
        (&7.into(), &0.into())
    );
}

#[test]
fn what_waits_for_the_host_is_unread_in_the_report() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.log");
    append(&file, "one\ntwo\n");
    let mut rig = Rig::follow(&file);
    rig.host.paused = true;
    let handle = rig.tail().drain_handle().unwrap();
    handle.request(Duration::from_millis(100));
    rig.until("given up", |_| handle.status().state == DrainState::GaveUp);
    let rows = |report: &str| -> serde_json::Value { serde_json::from_str(report).unwrap() };
    let row = &rows(&handle.report())[0];
    assert_eq!(
        (&row["read_bytes"], &row["unread_bytes"]),
        (&0.into(), &8.into())
    );
    rig.host.paused = false;
    rig.resume();
    assert_eq!(rig.lines(), ["one", "two"]);
    let row = &rows(&handle.report())[0];
    assert_eq!(
        (&row["read_bytes"], &row["unread_bytes"]),
        (&8.into(), &0.into())
    );
}

#[test]
fn a_drain_gives_up_at_its_deadline() {
    let dir = tempfile::tempdir().unwrap();
    append(&dir.path().join("a.log"), "one\n");
    let mut rig = Rig::follow(&dir.path().join("*.log"));
    rig.host.paused = true;
    let handle = rig.tail().drain_handle().unwrap();
    handle.request(Duration::from_millis(100));
    rig.until("given up", |_| handle.status().state == DrainState::GaveUp);
    assert_eq!(handle.status().unread_bytes, 4);
}

#[test]
fn the_stop_of_the_engine_reads_what_is_left_once() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.log");
    append(&file, "one\n");
    let mut rig = Rig::follow(&file);
    rig.wait_for(&["one"]);
    append(&file, "two\nlast");
    rig.host.stopping = true;
    rig.pause();
    assert_eq!(rig.lines(), ["one", "two", "last"]);
    assert_eq!(rig.host.flushes, 1);
    append(&file, "late\n");
    rig.pause();
    rig.tick();
    assert_eq!(rig.lines(), ["one", "two", "last"]);
    assert_eq!(rig.host.flushes, 1);
}

/// A host that stops, and takes records more slowly than they can be read.
struct Slow {
    host: FakeHost,
    records: usize,
}

impl InputHost for Slow {
    fn record_format(&self) -> RecordFormat {
        self.host.record_format()
    }
    fn append(&mut self, _: Option<&str>, records: usize, _: &[u8]) -> Result<(), Refused> {
        std::thread::sleep(Duration::from_millis(20));
        self.records += records;
        Ok(())
    }
    fn tag(&self) -> Option<&str> {
        None
    }
    fn is_paused(&self) -> bool {
        false
    }
    fn is_stopping(&self) -> bool {
        true
    }
    fn flush(&mut self) {}
    fn exit(&mut self, _status: i32) -> bool {
        false
    }
    fn pending(&self) -> Option<Pending> {
        None
    }
    fn metrics(&self) -> &Metrics {
        InputHost::metrics(&self.host)
    }
}

#[test]
fn a_stop_does_not_wait_for_more_than_can_be_handed_over_in_its_time() {
    const LINES: usize = 1_000_000;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.log");
    append(&file, &"a line of a long backlog\n".repeat(LINES));
    let options = [("path", file.to_str().unwrap())];
    let settings = Settings::new("t.0", SidecarTail::INFO.options, options).unwrap();
    let mut host = Slow {
        host: FakeHost::default(),
        records: 0,
    };
    let mut tail = SidecarTail::init(&settings, &mut host).unwrap();
    tail.pause(&mut host);
    assert!((1..LINES).contains(&host.records), "{}", host.records);
    tail.exit();
}

#[test]
fn a_stop_with_a_host_that_takes_nothing_ends() {
    let dir = tempfile::tempdir().unwrap();
    append(&dir.path().join("a.log"), "one\n");
    let mut rig = Rig::follow(&dir.path().join("a.log"));
    rig.host.paused = true;
    rig.host.stopping = true;
    rig.pause();
    assert!(rig.lines().is_empty());
    rig.exit();
}

#[test]
fn a_pause_for_memory_does_not_drain() {
    let dir = tempfile::tempdir().unwrap();
    append(&dir.path().join("a.log"), "one\n");
    let mut rig = Rig::follow(&dir.path().join("a.log"));
    rig.pause();
    assert!(rig.lines().is_empty());
    assert_eq!(rig.host.flushes, 0);
}

#[test]
fn both_record_formats_and_all_keys() {
    for format in [RecordFormat::Legacy, RecordFormat::WithMetadata] {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.log");
        append(&file, "one\r\n\ntwo\n");
        let host = FakeHost {
            format,
            ..FakeHost::default()
        };
        let options = [
            ("path", file.to_str().unwrap()),
            ("key", "message"),
            ("path_key", "file"),
            ("offset_key", "at"),
        ];
        let mut rig = Rig::try_start(&options, host).unwrap();
        rig.until("three records", |rig| rig.host.bodies().len() == 3);
        let file = file.to_str().unwrap();
        assert_eq!(
            rig.host.bodies(),
            [
                serde_json::json!({"file": file, "at": 0, "message": "one"}),
                serde_json::json!({"file": file, "at": 5, "message": ""}),
                serde_json::json!({"file": file, "at": 6, "message": "two"}),
            ]
        );
    }
}

#[test]
fn two_instances_do_not_know_of_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.log");
    append(&file, "one\n");
    let mut first = Rig::follow(&file);
    let mut second = Rig::follow(&file);
    first.wait_for(&["one"]);
    first.exit();
    append(&file, "two\n");
    second.wait_for(&["one", "two"]);
}
