//! Positions across restarts, orderly and not.

mod common;

use std::fs::{self, File, FileTimes, OpenOptions};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use common::{append, delivering, stuck, Rig, Setup};
use flb_sidecar_sdk::drain::DrainState;
use flb_sidecar_sdk::fake::FakeHost;
use flb_sidecar_sdk::{Input, StockPosition, StockTail, Wake};

#[test]
fn a_restart_repeats_nothing_and_loses_nothing() {
    let setup = Setup::new("*.log");
    let file = setup.file("a.log");
    append(&file, "one\ntwo\npar");
    let mut rig = setup.start();
    rig.wait_for(&["one", "two"]);
    setup.saved(&mut rig, &file, 8);
    rig.exit();
    append(&file, "tial\nthree\n");
    let mut rig = setup.start();
    rig.wait_for(&["partial", "three"]);
    append(&file, "four\n");
    rig.wait_for(&["partial", "three", "four"]);
}

#[test]
fn a_file_that_began_anew_is_no_new_file() {
    let setup = Setup::new("*.log");
    let file = setup.file("a.log");
    let (pattern, db) = (setup.file(setup.pattern), setup.db());
    let options = [
        ("path", pattern.to_str().unwrap()),
        ("db", db.to_str().unwrap()),
        ("read_from_head", "off"),
    ];
    append(&file, "");
    let mut rig = Rig::try_start(&options, delivering()).unwrap();
    rig.until("it is followed", |rig| rig.metric("files_followed") == 1);
    append(&file, "one\n");
    rig.wait_for(&["one"]);
    fs::write(&file, "").unwrap();
    rig.until("truncated", |rig| rig.metric("truncations_total") == 1);
    rig.exit();
    append(&file, "two\n");
    let mut rig = Rig::try_start(&options, delivering()).unwrap();
    rig.wait_for(&["two"]);
}

#[test]
fn a_file_that_lost_its_end_goes_on_there_after_a_restart() {
    let setup = Setup::new("*.log");
    let (file, mut rig) = setup.one_is_read();
    append(&file, "two\n");
    rig.wait_for(&["one", "two"]);
    setup.saved(&mut rig, &file, 8);
    let writer = OpenOptions::new().write(true).open(&file).unwrap();
    writer.set_len(4).unwrap();
    rig.until("truncated", |rig| rig.metric("truncations_total") == 1);
    setup.saved(&mut rig, &file, 4);
    rig.exit();
    append(&file, "three\n");
    let mut rig = setup.start();
    rig.wait_for(&["three"]);
}

#[test]
fn what_a_file_that_lost_its_end_had_then_is_not_repeated() {
    let setup = Setup::new("*.log");
    let (file, mut rig) = setup.one_is_read();
    append(&file, "two\n");
    rig.wait_for(&["one", "two"]);
    let writer = OpenOptions::new().write(true).open(&file).unwrap();
    writer.set_len(4).unwrap();
    rig.until("truncated", |rig| rig.metric("truncations_total") == 1);
    append(&file, "three\n");
    rig.wait_for(&["one", "two", "three"]);
    rig.host.stopping = true;
    rig.pause();
    rig.pause();
    rig.exit();
    append(&file, "four\n");
    let mut rig = setup.start();
    rig.wait_for(&["four"]);
}

#[test]
fn behind_the_deadline_of_a_drain_nothing_is_handed_over() {
    let setup = Setup::new("*.log");
    let file = setup.file("a.log");
    append(&file, "one\n");
    let mut rig = setup.start_on(stuck());
    rig.wait_for(&["one"]);
    let handle = rig.tail().drain_handle().unwrap();
    append(&file, "two\n");
    handle.request(Duration::ZERO);
    rig.until("given up", |_| handle.status().state == DrainState::GaveUp);
    append(&file, "three\n");
    rig.until("the line is seen", |_| handle.status().unread_bytes >= 6);
    let handed_over = rig.lines().len();
    // The engine delivers what it has, and stops.
    rig.host.pending = delivering().pending;
    rig.host.stopping = true;
    rig.pause();
    let before = rig.lines();
    assert_eq!(before.len(), handed_over);
    rig.exit();
    let mut rig = setup.start();
    let all = ["one", "two", "three"];
    rig.wait_for(&all[handed_over..]);
}

#[test]
fn behind_a_drain_nothing_is_handed_over_at_the_stop() {
    let setup = Setup::new("*.log");
    let file = setup.file("a.log");
    append(&file, "one\n");
    let mut rig = setup.start();
    rig.drain();
    append(&file, "two\n");
    rig.host.stopping = true;
    rig.pause();
    assert_eq!(rig.lines(), ["one"]);
    rig.exit();
    let mut rig = setup.start();
    rig.wait_for(&["two"]);
}

#[test]
fn an_orderly_stop_saves_what_was_delivered_last() {
    let setup = Setup::new("*.log");
    let file = setup.file("a.log");
    append(&file, "one\n");
    let mut rig = setup.start();
    rig.wait_for(&["one"]);
    append(&file, "two\nlast");
    rig.host.stopping = true;
    rig.host.pending = stuck().pending;
    rig.pause();
    assert_eq!(rig.lines(), ["one", "two"]);
    // The engine has delivered it and pauses once more at its very end.
    rig.host.pending = delivering().pending;
    rig.pause();
    rig.exit();
    append(&file, " line\n");
    let mut rig = setup.start();
    rig.wait_for(&["last line"]);
}

/// What a record is, with the fields that mark a part.
fn parts(rig: &Rig) -> Vec<(String, Option<[String; 3]>)> {
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let bodies = rig.host.bodies();
    let part = |body: &serde_json::Value| {
        body.get("partial_message")?;
        let names = ["partial_id", "partial_ordinal", "partial_last"];
        Some(names.map(|name| text(&body[name])))
    };
    let all = bodies.iter();
    all.map(|body| (text(&body["log"]), part(body))).collect()
}

#[test]
fn a_line_that_a_drain_cuts_goes_on_as_its_next_part() {
    let setup = Setup::new("*.log");
    let file = setup.file("a.log");
    append(&file, "one\nhalf");
    let ended = |rig: &mut Rig| {
        rig.drain();
        rig.host.stopping = true;
        rig.pause();
        rig.pause();
        rig.exit();
    };
    let mut rig = setup.start();
    ended(&mut rig);
    let first = parts(&rig);
    let id = match &first[..] {
        [(one, None), (half, Some([id, ordinal, last]))] => {
            let got = [one, half, ordinal, last].map(String::as_str);
            assert_eq!(got, ["one", "half", "1", "false"]);
            id.clone()
        }
        other => panic!("{other:?}"),
    };
    // Nothing comes twice, and nothing is made up.
    let mut rig = setup.start();
    ended(&mut rig);
    assert_eq!(parts(&rig), []);
    append(&file, " and half");
    let mut rig = setup.start();
    ended(&mut rig);
    let part = |text: &str, ordinal: &str, last: &str| {
        let marks = [id.clone(), ordinal.to_owned(), last.to_owned()];
        (text.to_owned(), Some(marks))
    };
    assert_eq!(parts(&rig), [part(" and half", "2", "false")]);
    append(&file, " end\ntwo\n");
    let mut rig = setup.start();
    rig.until("all", |rig| rig.lines().len() == 2);
    assert_eq!(
        parts(&rig),
        [part(" end", "3", "true"), ("two".to_owned(), None)]
    );
}

#[test]
fn a_rotated_file_ends_its_last_line_after_a_stop() {
    let setup = Setup::new("a.log");
    let (file, mut rig) = setup.one_is_read();
    append(&file, "last");
    fs::rename(&file, setup.file("a.log.1")).unwrap();
    rig.host.stopping = true;
    rig.pause();
    let mut lines = rig.lines().split_off(1);
    rig.end();
    let mut rig = setup.start();
    rig.until("once", |rig| rig.lines().len() + lines.len() == 1);
    rig.drain();
    lines.extend(rig.lines());
    assert_eq!(lines, ["last"]);
}

#[test]
fn without_positions_a_stop_hands_over_the_last_line() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.log");
    append(&file, "one\nlast");
    let mut rig = Rig::follow(&file);
    rig.wait_for(&["one"]);
    rig.host.stopping = true;
    rig.pause();
    assert_eq!(rig.lines(), ["one", "last"]);
}

#[test]
fn what_comes_in_the_place_of_a_file_that_is_gone_is_no_copy_of_it() {
    let header = "a header that every file has\n".repeat(20);
    for pattern in ["app*.log", "app.log"] {
        let setup = Setup::new(pattern);
        let first = if pattern == "app.log" {
            "app.log"
        } else {
            "app.2026-11-28.log"
        };
        let file = setup.file(first);
        append(&file, &header);
        let mut rig = setup.start();
        rig.until("read", |rig| rig.lines().len() == 20);
        setup.saved(&mut rig, &file, header.len() as u64);
        rig.exit();
        fs::rename(&file, setup.state.path().join("moved away")).unwrap();
        append(&setup.file("app.2026-11-29.log"), &format!("{header}two\n"));
        append(&setup.file("apple.txt"), &format!("{header}three\n"));
        let mut rig = setup.start();
        rig.drain();
        let expected = if pattern == "app.log" { 0 } else { 21 };
        assert_eq!(rig.lines().len(), expected, "{pattern}");
    }
}

#[test]
fn a_position_is_for_files_of_the_same_name_only_if_that_is_wanted() {
    let setup = Setup::new("*.log");
    let (pattern, db) = (setup.file(setup.pattern), setup.db());
    let options = [
        ("path", pattern.to_str().unwrap()),
        ("db", db.to_str().unwrap()),
        ("db.compare_filename", "on"),
    ];
    let file = setup.file("a.log");
    append(&file, "one\n");
    let mut rig = Rig::try_start(&options, delivering()).unwrap();
    rig.wait_for(&["one"]);
    setup.saved(&mut rig, &file, 4);
    rig.exit();
    fs::rename(&file, setup.file("a_moved.log")).unwrap();
    let mut rig = Rig::try_start(&options, delivering()).unwrap();
    rig.wait_for(&["one"]);
}

#[test]
fn what_has_not_left_the_host_is_read_again() {
    let setup = Setup::new("*.log");
    let (file, mut rig) = setup.one_is_read();
    rig.host.pending = stuck().pending;
    append(&file, "two\n");
    rig.wait_for(&["one", "two"]);
    for _ in 0..10 {
        rig.tick();
    }
    rig.exit();
    let mut rig = setup.start();
    rig.wait_for(&["two"]);
}

#[test]
fn a_host_that_does_not_tell_has_everything_read_again() {
    let setup = Setup::new("*.log");
    append(&setup.file("a.log"), "one\n");
    for _ in 0..2 {
        let mut rig = setup.start_on(FakeHost::default());
        rig.wait_for(&["one"]);
        rig.exit();
    }
}

#[test]
fn a_steady_stream_is_held_back_for_a_moment_to_see_what_is_delivered() {
    let setup = Setup::new("*.log");
    let file = setup.file("a.log");
    let mut rig = setup.start();
    rig.host.pending = stuck().pending;
    append(&file, "one\n");
    rig.wait_for(&["one"]);
    for _ in 0..20 {
        rig.tick();
    }
    assert!(rig.host.flushes > 0, "the host is asked to dispatch");
    append(&file, "two\n");
    rig.host.pending = delivering().pending;
    rig.wait_for(&["one", "two"]);
    setup.saved(&mut rig, &file, 8);
}

#[test]
fn rotation_while_nobody_reads() {
    for pattern in ["a.log", "a.log*"] {
        let setup = Setup::new(pattern);
        let (file, mut rig) = setup.one_is_read();
        rig.exit();
        append(&file, "two\n");
        fs::rename(&file, setup.file("a.log.1")).unwrap();
        append(&file, "three\n");
        let mut rig = setup.start();
        rig.until("both", |rig| rig.lines().len() >= 2);
        rig.drain();
        let mut lines = rig.lines();
        lines.sort();
        assert_eq!(lines, ["three", "two"], "{pattern}");
    }
}

#[test]
fn copytruncate_while_nobody_reads() {
    // Under another name of the file, too, than the one by which it was found.
    for (pattern, name) in [
        ("a.log", "a.log"),
        ("a.log*", "a.log"),
        ("*.log", "b.log"),
        ("[ab].log*", "b.log"),
    ] {
        let setup = Setup::new(pattern);
        let (file, mut rig) = setup.one_is_read();
        rig.exit();
        append(&file, "two\n");
        if name != "a.log" {
            fs::hard_link(&file, setup.file(name)).unwrap();
        }
        fs::copy(&file, setup.file(&format!("{name}.1"))).unwrap();
        OpenOptions::new()
            .write(true)
            .truncate(true)
            .open(&file)
            .unwrap();
        append(&file, "three\n");
        let mut rig = setup.start();
        rig.until("both", |rig| rig.lines().len() >= 2);
        rig.drain();
        let mut lines = rig.lines();
        lines.sort();
        assert_eq!(lines, ["three", "two"], "{pattern}");
    }
}

#[test]
fn a_file_rewritten_while_nobody_reads_is_read_anew() {
    let setup = Setup::new("*.log");
    let (file, mut rig) = setup.one_is_read();
    rig.exit();
    fs::write(&file, "uno\ndos\n").unwrap();
    let mut rig = setup.start();
    rig.wait_for(&["uno", "dos"]);
}

#[test]
fn a_file_that_was_let_go_undelivered_is_found_again() {
    let setup = Setup::new("a.log");
    let (file, mut rig) = setup.one_is_read();
    rig.host.pending = stuck().pending;
    append(&file, "two\n");
    rig.wait_for(&["one", "two"]);
    fs::rename(&file, setup.file("a.log.1")).unwrap();
    rig.until("let go", |rig| rig.metric("files_open") == 0);
    rig.exit();
    let mut rig = setup.start();
    rig.wait_for(&["two"]);
}

#[test]
fn a_reader_in_another_process_is_waited_for() {
    let setup = Setup::new("*.log");
    let (file, mut rig) = setup.one_is_read();
    rig.exit();
    append(&file, "two\n");
    let lock = File::open(setup.state.path().join("tail.db.sidecar.lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let mut rig = setup.start();
    for _ in 0..5 {
        rig.turn();
    }
    assert!(rig.lines().is_empty());
    drop(lock);
    rig.wait_for(&["two"]);
}

#[test]
fn two_instances_of_a_process_do_not_share_a_state() {
    let setup = Setup::new("*.log");
    let (_, mut first) = setup.one_is_read();
    let pattern = setup.file("*.log");
    // The same one by another path.
    let folder = setup.state.path();
    let name = folder.file_name().unwrap();
    let db = folder.join("..").join(name).join("tail.db");
    let options = [
        ("path", pattern.to_str().unwrap()),
        ("db", db.to_str().unwrap()),
    ];
    let error = Rig::try_start(&options, delivering()).err().unwrap();
    let error = error.to_string();
    assert!(
        error.contains("'db'") && error.contains("tail.db"),
        "{error}"
    );
    // One that ends does not count, as at a hot reload.
    first.host.stopping = true;
    first.pause();
    drop(Rig::try_start(&options, delivering()).unwrap());
    first.exit();
}

/// A `tail` of the host in the same configuration.
fn beside(path: &Path, exclude_path: &str, db: Option<PathBuf>) -> FakeHost {
    let tail = StockTail {
        name: "old".to_owned(),
        path: path.to_str().unwrap().to_owned(),
        exclude_path: exclude_path.to_owned(),
        db,
    };
    FakeHost {
        stock_tails: vec![tail],
        ..delivering()
    }
}

#[test]
fn the_stock_tail_does_not_read_the_same_files_by_the_same_database() {
    let setup = Setup::new("*.log");
    let (pattern, db) = (setup.file("*.log"), setup.db());
    let options = [
        ("path", pattern.to_str().unwrap()),
        ("db", db.to_str().unwrap()),
    ];
    let start = |host| Rig::try_start(&options, host);
    // By another path, before the file is there.
    let name = setup.state.path().file_name().unwrap();
    let again = setup.state.path().join("..").join(name).join("tail.db");
    for path in ["*.log", "./*.log", "a.log", "b.txt, {}/*.log"] {
        let path = path.replace("{}", pattern.parent().unwrap().to_str().unwrap());
        let host = beside(&setup.file(&path), "", Some(again.clone()));
        let error = start(host).err().expect(&path).to_string();
        assert!(
            error.contains("'db'") && error.contains("tail.db") && error.contains("'old'"),
            "{error}"
        );
    }
    // What they may not have in common, is no mistake; nor is one that has its own positions.
    for host in [
        beside(&setup.file("*.txt"), "", Some(db.clone())),
        beside(&setup.file("a.log.d/*.log"), "", Some(db.clone())),
        beside(&setup.file("*.log"), "*", Some(db.clone())),
        beside(&setup.file("a.log"), "*a.log", Some(db.clone())),
        beside(&setup.file("*.log"), "", None),
        beside(&setup.file("*.log"), "", Some(setup.file("other.db"))),
    ] {
        let mut rig = start(host).unwrap();
        rig.exit();
    }
}

#[test]
fn a_damaged_state_is_said_and_everything_read() {
    let setup = Setup::new("*.log");
    append(&setup.file("a.log"), "one\n");
    fs::write(setup.state.path().join("tail.db.sidecar"), "{").unwrap();
    let mut rig = setup.start();
    rig.wait_for(&["one"]);
    assert_eq!(rig.errors("state"), 1);
}

#[test]
fn state_that_cannot_be_kept_stops_the_start() {
    let setup = Setup::new("*.log");
    let pattern = setup.file("*.log");
    let options = [
        ("path", pattern.to_str().unwrap()),
        ("db", "/nonexistent/folder/tail.db"),
    ];
    let error = Rig::try_start(&options, delivering())
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.contains("'db'") && error.contains("/nonexistent/folder/tail.db"),
        "{error}"
    );
    fs::write(
        setup.state.path().join("tail.db.sidecar"),
        r#"{"version":99}"#,
    )
    .unwrap();
    let db = setup.db();
    let options = [("path", options[0].1), ("db", db.to_str().unwrap())];
    let error = Rig::try_start(&options, delivering())
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("version 99"), "{error}");
}

#[test]
fn the_stock_tails_positions_are_taken_over_once() {
    let setup = Setup::new("*.log*");
    let file = setup.file("a.log");
    let rotated = setup.file("a.log.1");
    append(&rotated, "old 1\nold 2\n");
    append(&file, "one\ntwo\n");
    // It has the inode of one that had a line's end there.
    let other = setup.file("b.log");
    append(&other, "others\n");
    fs::write(setup.db(), "not really SQLite").unwrap();
    let row = |path: &Path, offset| StockPosition {
        path: path.to_str().unwrap().as_bytes().to_vec(),
        inode: fs::metadata(path).unwrap().ino(),
        offset,
    };
    let host = FakeHost {
        stock: Some(vec![row(&file, 4), row(&rotated, 6), row(&other, 4)]),
        ..delivering()
    };
    let mut rig = setup.start_on(host);
    rig.until("all", |rig| rig.lines().len() >= 3);
    let mut lines = rig.lines();
    lines.sort();
    assert_eq!(lines, ["old 2", "others", "two"]);
    setup.saved(&mut rig, &file, 8);
    rig.exit();
    assert_eq!(fs::read(setup.db()).unwrap(), b"not really SQLite");
    append(&file, "three\n");
    let host = FakeHost {
        stock: Some(vec![row(&file, 0)]),
        ..delivering()
    };
    let mut rig = setup.start_on(host);
    rig.wait_for(&["three"]);
}

/// Two inputs may have had one database, and `path` may name less than it did.
#[test]
fn a_position_alone_does_not_have_a_file_read() {
    let setup = Setup::new("*.log");
    let (ours, others) = (setup.file("a.log"), setup.file("b.log"));
    append(&ours, "one\ntwo\n");
    append(&others, "uno\ndue\n");
    fs::write(setup.db(), "not really SQLite").unwrap();
    let row = |path: &Path| StockPosition {
        path: path.to_str().unwrap().as_bytes().to_vec(),
        inode: fs::metadata(path).unwrap().ino(),
        offset: 4,
    };
    let db = setup.db();
    let start = |path: &Path, stock| {
        let options = [
            ("path", path.to_str().unwrap()),
            ("db", db.to_str().unwrap()),
        ];
        let host = FakeHost {
            stock,
            ..delivering()
        };
        Rig::try_start(&options, host).unwrap()
    };
    let mut rig = start(&ours, Some(vec![row(&ours), row(&others)]));
    rig.wait_for(&["two"]);
    setup.saved(&mut rig, &ours, 8);
    rig.exit();
    // From our own state, too. Once a pattern names it again, it goes on where it was.
    append(&ours, "three\n");
    let mut rig = start(&ours, None);
    rig.wait_for(&["three"]);
    setup.saved(&mut rig, &ours, 14);
    rig.exit();
    let mut rig = start(&setup.file("*.log"), None);
    rig.wait_for(&["due"]);
}

#[test]
fn a_file_that_became_too_old_goes_on_where_it_was_after_a_restart() {
    let setup = Setup::new("*.log");
    let (pattern, db) = (setup.file(setup.pattern), setup.db());
    let options = [
        ("path", pattern.to_str().unwrap()),
        ("db", db.to_str().unwrap()),
        ("ignore_older", "1h"),
        ("ignore_active_older_files", "on"),
        ("progress_check_interval", "0"),
    ];
    let file = setup.file("a.log");
    append(&file, "one\n");
    let mut rig = Rig::try_start(&options, delivering()).unwrap();
    rig.wait_for(&["one"]);
    setup.saved(&mut rig, &file, 4);
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let times = FileTimes::new().set_modified(long_ago);
    File::open(&file).unwrap().set_times(times).unwrap();
    rig.until("it is let go", |rig| rig.metric("files_followed") == 0);
    rig.exit();
    append(&file, "two\n");
    let mut rig = Rig::try_start(&options, delivering()).unwrap();
    rig.wait_for(&["two"]);
}

#[test]
fn the_last_line_of_a_copy_that_is_found_at_the_start_comes() {
    let setup = Setup::new("*.log*");
    let (file, mut rig) = setup.one_is_read();
    rig.exit();
    append(&file, "two");
    fs::copy(&file, setup.file("a.log.1")).unwrap();
    fs::write(&file, "").unwrap();
    let mut rig = setup.start();
    rig.wait_for(&["two"]);
}

#[test]
fn remove_after_removes_what_is_rotated_read_delivered_and_old() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.log");
    for pattern in ["a.log", "a.log*"] {
        append(&file, "one\n");
        let path = dir.path().join(pattern);
        let options = [
            ("path", path.to_str().unwrap()),
            ("remove_after", "1s"),
            ("rotate_wait", "0"),
            ("progress_check_interval", "0"),
        ];
        let mut rig = Rig::try_start(&options, stuck()).unwrap();
        rig.wait_for(&["one"]);
        let rotated = dir.path().join("a.log.1");
        fs::rename(&file, &rotated).unwrap();
        append(&file, "two\n");
        rig.wait_for(&["one", "two"]);
        // Long enough for the file to be old, but it is not delivered.
        let start = std::time::Instant::now();
        while start.elapsed() < std::time::Duration::from_millis(2200) {
            rig.turn();
        }
        assert!(rotated.exists(), "{pattern}");
        rig.host.pending = delivering().pending;
        rig.until("removed", |rig| rig.metric("files_removed_total") == 1);
        assert!(file.exists() && !rotated.exists());
        rig.exit();
        fs::remove_file(&file).unwrap();
    }
}

#[test]
fn numbered_chunks_tell_what_is_delivered_under_a_steady_stream() {
    let setup = Setup::new("*.log");
    let file = setup.file("a.log");
    let mut rig = setup.start_on(FakeHost {
        undelivered: Some(vec![1]),
        ..stuck()
    });
    append(&file, "one\n");
    rig.wait_for(&["one"]);
    // What has been appended is in chunk 1 or in later ones.
    rig.tail
        .as_mut()
        .unwrap()
        .collect(Wake::Tick, &mut rig.host);
    append(&file, "two\n");
    rig.host.undelivered = Some(vec![1, 2]);
    rig.wait_for(&["one", "two"]);
    rig.host.undelivered = Some(vec![2]);
    setup.saved(&mut rig, &file, 4);
    for number in 3..30 {
        rig.host.undelivered = Some(vec![2, number]);
        rig.tail
            .as_mut()
            .unwrap()
            .collect(Wake::Tick, &mut rig.host);
    }
    assert_eq!(rig.host.flushes, 0, "nothing is held back");
    rig.host.undelivered = Some(vec![30]);
    setup.saved(&mut rig, &file, 8);
}

#[test]
fn each_chunk_counts_when_it_is_delivered_whatever_came_behind_it() {
    let setup = Setup::new("*.log");
    let file = setup.file("a.log");
    let mut rig = setup.start_on(stuck());
    let lines = ["one", "two", "three"];
    for (number, chunks) in [vec![1], vec![1, 2], vec![2, 3]].into_iter().enumerate() {
        rig.host.undelivered = Some(chunks);
        append(&file, &format!("{}\n", lines[number]));
        rig.wait_for(&lines[..=number]);
        rig.tail
            .as_mut()
            .unwrap()
            .collect(Wake::Tick, &mut rig.host);
    }
    setup.saved(&mut rig, &file, 4);
    rig.host.undelivered = Some(vec![3]);
    setup.saved(&mut rig, &file, 8);
}

#[test]
fn a_crash_repeats_nothing_that_was_confirmed_a_moment_ago() {
    let setup = Setup::new("*.log");
    let file = setup.file("a.log");
    append(&file, "one\n");
    let mut rig = setup.start();
    rig.wait_for(&["one"]);
    // The document is written once a second; what follows at once is in its journal.
    for (number, end) in [(2, 10), (3, 16), (4, 22)] {
        append(&file, &format!("line{number}\n"));
        let journal = setup.state.path().join("tail.db.sidecar.journal");
        let document = setup.state.path().join("tail.db.sidecar");
        let offset = format!("\"offset\":{end},");
        rig.until("the position is in the state", |_| {
            [&journal, &document]
                .iter()
                .any(|path| fs::read_to_string(path).is_ok_and(|text| text.contains(&offset)))
        });
    }
    let crashed = Setup {
        dir: setup.dir,
        state: tempfile::tempdir().unwrap(),
        pattern: setup.pattern,
    };
    for name in ["tail.db.sidecar", "tail.db.sidecar.journal"] {
        fs::copy(
            setup.state.path().join(name),
            crashed.state.path().join(name),
        )
        .unwrap();
    }
    rig.exit();
    append(&file, "five\n");
    let mut rig = crashed.start();
    rig.wait_for(&["five"]);
}

#[test]
fn what_filters_hold_back_is_not_confirmed_before_its_time() {
    let setup = Setup::new("*.log");
    let file = setup.file("a.log");
    // Nobody can tell, as with an emitter that is paused.
    let mut rig = setup.start_on(FakeHost {
        undelivered: Some(Vec::new()),
        delay: None,
        ..stuck()
    });
    append(&file, "one\n");
    rig.wait_for(&["one"]);
    let tick = |rig: &mut Rig| {
        rig.tick();
    };
    (0..10).for_each(|_| tick(&mut rig));
    // From now on it can be told, and there is a chunk.
    rig.host.delay = Some(std::time::Duration::from_millis(300));
    rig.host.undelivered = Some(vec![7]);
    let start = std::time::Instant::now();
    while start.elapsed() < std::time::Duration::from_millis(600) {
        rig.turn();
    }
    append(&file, "two\n");
    rig.wait_for(&["one", "two"]);
    (0..10).for_each(|_| tick(&mut rig));
    let state = || fs::read_to_string(setup.state.path().join("tail.db.sidecar.journal"));
    assert!(!state().unwrap().contains("\"offset\":4"));
    // The chunk goes; what came later is in another one.
    rig.host.undelivered = Some(vec![8]);
    setup.saved(&mut rig, &file, 4);
    rig.host.undelivered = Some(Vec::new());
    setup.saved(&mut rig, &file, 8);
}

#[test]
fn a_state_that_could_not_be_written_is_written_later_though_nothing_changes() {
    let setup = Setup::new("*.log");
    let file = setup.file("a.log");
    append(&file, "one\n");
    let mut rig = setup.start();
    rig.wait_for(&["one"]);
    // The folder of the state is not there for a while.
    let elsewhere = setup.dir.path().join("elsewhere");
    fs::rename(setup.state.path(), &elsewhere).unwrap();
    // The first line's position may have been written before.
    append(&file, "two\n");
    rig.wait_for(&["one", "two"]);
    rig.until("the error is counted", |rig| rig.errors("state") == 1);
    rig.drain();
    for _ in 0..40 {
        // All that has changed is tried to be written meanwhile; else the test tells less.
        rig.turn();
    }
    fs::rename(&elsewhere, setup.state.path()).unwrap();
    setup.saved(&mut rig, &file, 8);
    assert_eq!(rig.errors("state"), 1, "counted once");
}

/// Whatever is kept there is written anew with every position: read as a log, it would never end.
#[test]
fn a_state_among_the_logs_is_no_log() {
    for inotify in ["on", "off"] {
        let setup = Setup::new("*");
        let (pattern, db) = (setup.file("*"), setup.file("tail.db"));
        let options = [
            ("path", pattern.to_str().unwrap()),
            ("db", db.to_str().unwrap()),
            ("inotify_watcher", inotify),
            ("refresh_interval", "0.1"),
        ];
        let file = setup.file("a.log");
        for line in ["one", "two", "three"] {
            append(&file, &format!("{line}\n"));
            let mut rig = Rig::try_start(&options, delivering()).unwrap();
            rig.wait_for(&[line]);
            append(&file, &format!("{line} again\n"));
            rig.wait_for(&[line, &format!("{line} again")]);
            rig.drain();
            assert_eq!(rig.lines(), [line, &format!("{line} again")]);
            assert_eq!(rig.metric("files_followed"), 1, "inotify {inotify}");
            rig.end();
        }
        assert!(setup.file("tail.db.sidecar").exists());
    }
}

/// `db` and all logs in a folder that somebody makes later, as a kubelet does that of a pod.
#[test]
fn a_folder_that_is_to_come_is_waited_for() {
    let setup = Setup::new("*.log");
    let folder = setup.file("shop/pod");
    let at = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let (pattern, db) = (at("*.log"), at("db"));
    let options = [
        ("path", pattern.as_str()),
        ("db", db.as_str()),
        // What is written before the folder is seen is new all the same.
        ("read_from_head", "off"),
    ];
    let mut rig = Rig::try_start(&options, delivering()).unwrap();
    let handle = rig.tail().drain_handle().unwrap();
    // Whoever makes the folder may wait for the sidecar to be ready.
    rig.until("ready", |_| !handle.status().starting);
    assert!(!folder.exists(), "it is for somebody else to make");
    fs::create_dir_all(setup.file("shop")).unwrap();
    let made = setup.file("shop/made");
    fs::create_dir(&made).unwrap();
    append(&made.join("a.log"), "one\n");
    fs::rename(&made, &folder).unwrap();
    rig.wait_for(&["one"]);
    rig.drain();
    rig.exit();
    append(&folder.join("a.log"), "two\n");
    let mut rig = Rig::try_start(&options, delivering()).unwrap();
    rig.wait_for(&["two"]);
}

#[test]
fn a_volume_that_is_to_come_brings_its_positions() {
    let setup = Setup::new("*.log");
    let (volume, there) = (setup.file("volume"), setup.file("there"));
    let at = |name: &str| volume.join(name).to_str().unwrap().to_owned();
    let (pattern, db) = (at("*.log"), at("db"));
    let options = [("path", pattern.as_str()), ("db", db.as_str())];
    fs::create_dir(&volume).unwrap();
    append(&volume.join("a.log"), "one\n");
    let mut rig = Rig::try_start(&options, delivering()).unwrap();
    rig.wait_for(&["one"]);
    rig.drain();
    rig.exit();
    append(&volume.join("a.log"), "two\n");
    fs::rename(&volume, &there).unwrap();
    let mut rig = Rig::try_start(&options, delivering()).unwrap();
    let handle = rig.tail().drain_handle().unwrap();
    rig.until("ready", |_| !handle.status().starting);
    fs::rename(&there, &volume).unwrap();
    rig.wait_for(&["two"]);
}

#[test]
fn a_drain_does_not_wait_for_a_folder() {
    let setup = Setup::new("*.log");
    let folder = setup.file("pod");
    let at = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let (pattern, db) = (at("*.log"), at("db"));
    let options = [("path", pattern.as_str()), ("db", db.as_str())];
    let mut rig = Rig::try_start(&options, delivering()).unwrap();
    rig.drain();
    assert!(!folder.exists());
}

#[test]
fn a_folder_of_the_state_alone_is_not_waited_for() {
    let setup = Setup::new("*.log");
    let (pattern, elsewhere) = (setup.file("*.log"), setup.file("pod/*.log"));
    let db = setup.file("state/db");
    // Its name may be a mistake, and nothing would ever be read.
    for path in [&pattern, &elsewhere] {
        let options = [
            ("path", path.to_str().unwrap()),
            ("db", db.to_str().unwrap()),
        ];
        let refused = Rig::try_start(&options, delivering()).err().unwrap();
        let said = refused.to_string();
        assert!(
            said.contains("state/db") && said.contains("No such file"),
            "{said}"
        );
    }
}

/// As was reported of others of a copy that is there before its original is truncated: rsyslog issue 511, logrotate
/// issue 269.
#[test]
fn a_copy_that_is_being_made_as_the_host_starts_is_not_read() {
    let setup = Setup::new("a.log*");
    let (file, mut rig) = setup.one_is_read();
    rig.exit();
    fs::copy(&file, setup.file("a.log.1")).unwrap();
    let mut rig = setup.start();
    rig.until("both are known", |rig| rig.metric("files_followed") == 2);
    fs::write(&file, "").unwrap();
    append(&file, "two\n");
    rig.until("once", |rig| !rig.lines().is_empty());
    rig.drain();
    assert_eq!(rig.lines(), ["two"]);
}

#[test]
fn the_rest_of_a_line_that_a_drain_cut_has_its_id_in_a_copy_too() {
    let setup = Setup::new("a.log");
    let file = setup.file("a.log");
    append(&file, "half of ");
    let mut rig = setup.start();
    rig.until("it is known", |rig| rig.metric("files_followed") == 1);
    rig.drain();
    let mut all = parts(&rig);
    rig.end();
    append(&file, "a line\n");
    fs::copy(&file, setup.file("a.log.1")).unwrap();
    fs::write(&file, "").unwrap();
    let mut rig = setup.start();
    rig.until("the rest", |rig| !rig.lines().is_empty());
    all.extend(parts(&rig));
    let [(first, Some(one)), (second, Some(two))] = &all[..] else {
        panic!("{all:?}");
    };
    assert_eq!([first.as_str(), second], ["half of ", "a line"]);
    assert_eq!(one[0], two[0]);
    assert_eq!([&one[1..], &two[1..]], [["1", "false"], ["2", "true"]]);
}

#[test]
fn what_was_renamed_to_where_no_pattern_looks_is_read_however_few_files_may_be_followed() {
    let setup = Setup::new("*.log");
    let (file, mut rig) = setup.one_is_read();
    rig.exit();
    append(&file, "two\n");
    fs::rename(&file, setup.file("a.log.1")).unwrap();
    append(&file, "three\n");
    let (pattern, db) = (setup.file(setup.pattern), setup.db());
    let options = [
        ("path", pattern.to_str().unwrap()),
        ("db", db.to_str().unwrap()),
        ("max_files", "1"),
    ];
    let mut rig = Rig::try_start(&options, delivering()).unwrap();
    rig.until("both", |rig| rig.lines().len() == 2);
    let mut lines = rig.lines();
    lines.sort();
    assert_eq!(lines, ["three", "two"]);
}
