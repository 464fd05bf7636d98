//! Where `sidecar_tail` differs from the host's own `tail` on purpose: every row of the table in its
//! README, played with both on every real host.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::time::{Duration, SystemTime};

use flb_sidecar_tests::build::root;
use flb_sidecar_tests::{each_real_host, side_by_side, Ended, Host, Pipeline};
use serde_json::{json, Value as Json};

const TAIL: &str = "sidecar_tail";
const README: &str = "plugins/in_sidecar_tail/README.md";

/// What shows that a row is true.
enum Shown {
    Here(fn(&Host)),
    /// A test somewhere else: its file, and a text in it.
    By(&'static str, &'static str),
}

use Shown::{By, Here};

/// The rows, by their first cell.
const ROWS: &[(&str, Shown)] = &[
    ("files found at the start", Here(files_at_the_start)),
    ("new files", Here(new_files)),
    (
        "a file left out by `ignore_older` that is written to",
        Here(older_files),
    ),
    ("a line longer than `buffer_max_size`", Here(long_lines)),
    (
        "a carriage return before the newline",
        Here(carriage_returns),
    ),
    ("`buffer_chunk_size`", Here(buffer_chunk_size)),
    (
        "a renamed or deleted file",
        By(
            "plugins/in_sidecar_tail/tests/rotation.rs",
            "fn a_deleted_file_is_read_to_its_end",
        ),
    ),
    ("the last line without a newline", Here(last_line)),
    ("a link", Here(links)),
    (
        "a file named `*.gz`",
        By(
            "plugins/in_sidecar_tail/tests/compressed.rs",
            "fn a_foreign_compressed_file_is_read_once",
        ),
    ),
    (
        "`exit_on_eof`",
        By("tests/harness/tests/tail_options.rs", "fn exit_on_eof("),
    ),
    ("`key` with `multiline.parser`", Here(key_of_joined_lines)),
    (
        "`offset_key` with `multiline.parser` or `docker_mode`",
        Here(offset_of_joined_lines),
    ),
    (
        "a path that `tag_regex` does not match",
        Here(tag_regex_without_a_match),
    ),
    ("a `tag_regex` that is none", Here(tag_regex_that_is_none)),
    (
        "times with a unit",
        By(
            "plugins/in_sidecar_tail/src/options.rs",
            "fn times_have_their_unit",
        ),
    ),
    ("times that are none", Here(times_that_are_none)),
    (
        "a file with a position that no pattern finds at a start",
        Here(positions_of_other_files),
    ),
    ("`db`", Here(db)),
];

/// The first cells of the table in the README.
fn cells() -> Vec<String> {
    let readme = fs::read_to_string(root().join(README)).expect("the README is there");
    readme
        .lines()
        .skip_while(|line| *line != "## What differs from `tail`")
        .skip_while(|line| !line.starts_with("|---"))
        .skip(1)
        .take_while(|line| line.starts_with('|'))
        .filter_map(|line| Some(line.split('|').nth(1)?.trim().to_owned()))
        .collect()
}

#[test]
fn every_row_of_the_readme_is_shown() {
    let shown: Vec<&str> = ROWS.iter().map(|(cell, _)| *cell).collect();
    assert_eq!(cells(), shown, "rows of the README, then those shown here");
    for (cell, shown) in ROWS {
        if let By(file, needle) = shown {
            let text = fs::read_to_string(root().join(file)).expect("the test's file is there");
            assert!(text.contains(needle), "{cell}: no {needle} in {file}");
        }
    }
}

#[test]
fn the_rows_are_true() {
    each_real_host("differences from tail", |host| {
        for rows in ROWS.chunks(4) {
            side_by_side(rows, |(_, shown)| {
                if let Here(show) = shown {
                    show(host);
                }
            });
        }
    });
}

/// What a plugin makes of `a.log` with this text: it reads another file's line, gets one more there,
/// and when that has come it ends.
fn played(host: &Host, plugin: &str, options: &[(&str, &str)], text: &str) -> Ended {
    let pipeline = Pipeline::new(host);
    pipeline.file("a.log", text);
    played_with(pipeline, plugin, options)
}

/// The same of whatever the pipeline has as `a.log`.
fn played_with(mut pipeline: Pipeline, plugin: &str, options: &[(&str, &str)]) -> Ended {
    let other = pipeline.file("z.log", "begin\n");
    let pattern = pipeline.path("*.log");
    let given = [("path", pattern.as_str()), ("read_from_head", "on")];
    pipeline.input(plugin, &given).options(options).print();
    let mut running = pipeline.start();
    running.wait_for("the first line", |output| output.stdout().contains("begin"));
    let mut other = OpenOptions::new()
        .append(true)
        .open(other)
        .expect("it is there");
    other.write_all(b"end\n").expect("it takes a line");
    running.wait_for("the last line", |output| {
        output.stdout().contains("\"end\"")
    });
    running.terminate()
}

/// The records of the file that matters, without their times.
fn records(ended: &Ended) -> Vec<Json> {
    let mut records = ended.records();
    for record in &mut records {
        if let Some(pairs) = record.as_object_mut() {
            pairs.remove("date");
        }
    }
    records.retain(|record| !record.to_string().contains("\"begin\""));
    records.retain(|record| !record.to_string().contains("\"end\""));
    records
}

/// What `tail` and ours make of a text.
fn both(host: &Host, options: &[(&str, &str)], text: &str) -> [Vec<Json>; 2] {
    ["tail", TAIL].map(|plugin| records(&played(host, plugin, options, text)))
}

/// Whether a plugin starts with these options.
fn starts(host: &Host, plugin: &str, options: &[(&str, &str)]) -> bool {
    let mut pipeline = Pipeline::new(host);
    let log = pipeline.file("a.log", "line\n");
    let given = [("path", &*log), ("read_from_head", "on")];
    pipeline.input(plugin, &given).options(options).print();
    let mut running = pipeline.start();
    let mut started = false;
    while running.ended().is_none() && !started {
        started = running.output().stdout().contains("\"line\"");
        std::thread::yield_now();
    }
    started
}

fn links(host: &Host) {
    let elsewhere = tempfile::tempdir().expect("a folder can be made");
    let token = elsewhere.path().join("token");
    fs::write(&token, "secret\n").expect("it takes a line");
    for (plugin, followed) in [("tail", true), (TAIL, false)] {
        let pipeline = Pipeline::new(host);
        symlink(&token, pipeline.path("a.log")).expect("a link can be made");
        let ended = played_with(pipeline, plugin, &[]);
        ended.check(plugin, ended.stdout.contains("secret") == followed);
    }
}

fn files_at_the_start(host: &Host) {
    for (plugin, expect) in [("tail", &["new"][..]), (TAIL, &["old", "new"])] {
        let mut pipeline = Pipeline::new(host);
        let log = pipeline.file("a.log", "old\n");
        pipeline.input(plugin, &[("path", &log)]).print();
        let mut running = pipeline.start();
        running.wait_for("the file is found", |output| {
            output.stderr().contains("inotify_fs_add") || output.stdout().contains("old")
        });
        let mut log = OpenOptions::new()
            .append(true)
            .open(log)
            .expect("it is there");
        log.write_all(b"new\n").expect("it takes a line");
        running.wait_for("the new line", |output| output.stdout().contains("new"));
        let ended = running.terminate();
        let lines: Vec<Json> = ended.records().iter().map(|r| r["log"].clone()).collect();
        ended.check(&format!("{plugin}: {lines:?}"), lines == expect);
    }
}

fn new_files(host: &Host) {
    for (plugin, found) in [("tail", false), (TAIL, true)] {
        let mut pipeline = Pipeline::new(host);
        let log = pipeline.file("a.log", "begin\n");
        let pattern = pipeline.path("*.log");
        let options = [
            ("path", &*pattern),
            ("read_from_head", "on"),
            ("refresh_interval", "3600"),
        ];
        pipeline.input(plugin, &options).print();
        let mut running = pipeline.start();
        running.wait_for("the first line", |output| output.stdout().contains("begin"));
        pipeline.file("b.log", "new\n");
        let mut log = OpenOptions::new()
            .append(true)
            .open(log)
            .expect("it is there");
        log.write_all(b"end\n").expect("it takes a line");
        running.wait_for("the last line", |output| {
            let out = output.stdout();
            out.contains("end") && (!found || out.contains("new"))
        });
        let ended = running.terminate();
        ended.check(plugin, ended.stdout.contains("new") == found);
    }
}

fn older_files(host: &Host) {
    for (plugin, found) in [("tail", false), (TAIL, true)] {
        let mut pipeline = Pipeline::new(host);
        let old = pipeline.file("old.log", "old\n");
        let log = pipeline.file("z.log", "begin\n");
        let hour_ago = SystemTime::now() - Duration::from_secs(3600);
        let append = |path: &str| {
            OpenOptions::new()
                .append(true)
                .open(path)
                .expect("it is there")
        };
        let mut old = append(&old);
        old.set_modified(hour_ago).expect("the file is ours");
        let pattern = pipeline.path("*.log");
        let options = [
            ("path", &*pattern),
            ("read_from_head", "on"),
            ("refresh_interval", "3600"),
            ("ignore_older", "30m"),
        ];
        pipeline.input(plugin, &options).print();
        let mut running = pipeline.start();
        running.wait_for("the first line", |output| output.stdout().contains("begin"));
        old.write_all(b"new\n").expect("it takes a line");
        append(&log).write_all(b"end\n").expect("it takes a line");
        running.wait_for("the last line", |output| {
            let out = output.stdout();
            out.contains("end") && (!found || out.contains("new"))
        });
        let ended = running.terminate();
        ended.check(plugin, ended.stdout.contains("new") == found);
    }
}

fn long_lines(host: &Host) {
    let options = [("buffer_chunk_size", "64"), ("buffer_max_size", "64")];
    let text = format!("one\n{}\ntwo\n", "x".repeat(150));
    let [stock, ours] = both(host, &options, &text);
    assert_eq!(stock, [json!({"log": "one"})]);
    let part = |length, ordinal: &str, last: &str| {
        let id = &ours[1]["partial_id"];
        json!({"log": "x".repeat(length), "partial_message": "true", "partial_id": id,
               "partial_ordinal": ordinal, "partial_last": last})
    };
    let parts = [
        part(64, "1", "false"),
        part(64, "2", "false"),
        part(22, "3", "true"),
    ];
    let all = [
        &[json!({"log": "one"})][..],
        &parts,
        &[json!({"log": "two"})],
    ]
    .concat();
    assert_eq!(ours, all);
}

fn carriage_returns(host: &Host) {
    let options = [("buffer_chunk_size", "64"), ("buffer_max_size", "64")];
    let fits = "x".repeat(62);
    let [stock, ours] = both(host, &options, "one\r\n\r\n");
    assert_eq!(stock, [json!({"log": "one"}), json!({"log": "\r"})]);
    assert_eq!(ours, [json!({"log": "one"}), json!({"log": ""})]);
    let skip = [&options[..], &[("skip_long_lines", "on")]].concat();
    let [stock, ours] = both(host, &skip, &format!("{fits}\r\ntwo\r\n"));
    assert_eq!(stock, [json!({"log": "two"})]);
    assert_eq!(ours, [json!({"log": fits}), json!({"log": "two"})]);
}

fn buffer_chunk_size(host: &Host) {
    let options = [("buffer_chunk_size", "64K"), ("buffer_max_size", "32K")];
    assert!(!starts(host, "tail", &options));
    assert!(starts(host, TAIL, &options));
}

fn last_line(host: &Host) {
    let [stock, ours] = both(host, &[], "one\ntwo");
    assert_eq!(stock, [json!({"log": "one"})]);
    assert_eq!(ours, [json!({"log": "one"}), json!({"log": "two"})]);
}

const CRI: &str = "2024-01-01T00:00:01Z stdout F one
2024-01-01T00:00:02Z stdout P t
2024-01-01T00:00:03Z stdout F wo
";

fn key_of_joined_lines(host: &Host) {
    let docker = r#"{"log":"three\n","stream":"stdout","time":"2024-01-01T00:00:04Z"}"#;
    let text = format!("{CRI}{docker}\n");
    let options = [("multiline.parser", "cri, docker"), ("key", "text")];
    let [stock, ours] = both(host, &options, &text);
    for (records, key, other) in [(stock, "log", "text"), (ours, "text", "log")] {
        let texts: Vec<_> = records.iter().map(|record| record[key].as_str()).collect();
        assert_eq!(texts, [Some("one"), Some("two"), Some("three\n")]);
        assert!(records.iter().all(|record| record.get(other).is_none()));
    }
}

fn offset_of_joined_lines(host: &Host) {
    let docker = "{\"log\":\"one\"}\n{\"log\":\" two\\n\"}\n{\"log\":\"three\\n\"}\n";
    for (option, value, text, offsets) in [
        ("multiline.parser", "cri", CRI, [0, 34]),
        ("docker_mode", "on", docker, [0, 31]),
    ] {
        let options = [(option, value), ("offset_key", "at")];
        let [stock, ours] = both(host, &options, text);
        let at = |records: &[Json]| -> Vec<Option<u64>> {
            records.iter().map(|record| record["at"].as_u64()).collect()
        };
        assert_eq!(at(&ours), offsets.map(Some), "{option}");
        assert_ne!(at(&stock), offsets.map(Some), "{option}");
    }
}

fn tag_regex_without_a_match(host: &Host) {
    let options = [("tag_regex", r"(?<name>z)\.log$"), ("tag", "x.<name>")];
    let [stock, ours] = both(host, &options, "line\n");
    assert_eq!(stock, [Json::Null; 0]);
    assert_eq!(ours, [json!({"log": "line"})]);
}

fn tag_regex_that_is_none(host: &Host) {
    let options = [("tag_regex", "(?<name>"), ("tag", "x.<name>")];
    assert!(starts(host, "tail", &options));
    assert!(!starts(host, TAIL, &options));
}

fn times_that_are_none(host: &Host) {
    for value in ["10min", "1m30s", "5 seconds or so"] {
        for option in ["refresh_interval", "watcher_interval"] {
            let options = [(option, value)];
            assert!(starts(host, "tail", &options), "{option} {value}");
            assert!(!starts(host, TAIL, &options), "{option} {value}");
        }
    }
}

fn positions_of_other_files(host: &Host) {
    // Older ones keep it.
    let forgets = host.since(5, 1, 0);
    for (plugin, again) in [("tail", forgets), (TAIL, false)] {
        let folder = Pipeline::bare(host);
        let (one, other) = (
            folder.file("one.log", "first\n"),
            folder.file("other.log", "other\n"),
        );
        let renamed = folder.path("renamed.log");
        let db = folder.path("state.db");
        let start = |path: &str, wanted: &str| {
            let mut pipeline = Pipeline::new(host);
            let options = [("path", path), ("db", &*db), ("read_from_head", "on")];
            pipeline.input(plugin, &options).print();
            let mut running = pipeline.start();
            running.wait_for(wanted, |output| output.stdout().contains(wanted));
            running.terminate()
        };
        start(&one, "first");
        start(&other, "other");
        fs::rename(&one, &renamed).expect("the folder is ours");
        let mut file = OpenOptions::new()
            .append(true)
            .open(&renamed)
            .expect("it is there");
        file.write_all(b"second\n").expect("it takes a line");
        let ended = start(&renamed, "second");
        ended.check(plugin, ended.stdout.contains("first") == again);
    }
}

fn db(host: &Host) {
    for (plugin, files) in [
        ("tail", &["state.db"][..]),
        (TAIL, &["state.db.sidecar", "state.db.sidecar.lock"]),
    ] {
        let mut pipeline = Pipeline::new(host);
        let log = pipeline.file("a.log", "line\n");
        let state = pipeline.path("state.db");
        let options = [("path", &*log), ("db", &*state), ("read_from_head", "on")];
        pipeline.input(plugin, &options).print();
        let mut running = pipeline.start();
        running.wait_for("the line", |output| output.stdout().contains("\"line\""));
        running.terminate();
        for file in files {
            let there = fs::exists(pipeline.path(file)).expect("the folder can be read");
            assert!(there, "{plugin}: no {file}");
        }
    }
}
