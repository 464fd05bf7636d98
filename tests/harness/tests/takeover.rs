//! Moving from the host's own `tail` and back.

use std::fs::OpenOptions;
use std::io::Write as _;

use flb_sidecar_tests::process::{json_lines, Output};
use flb_sidecar_tests::{each_real_host, Host, Pipeline};
use serde_json::Value as Json;

fn logs(records: &[Json]) -> Vec<String> {
    let log = |record: &Json| record["log"].as_str().map(str::to_owned);
    records.iter().filter_map(log).collect()
}

fn append(path: &str, text: &str) {
    let mut file = OpenOptions::new()
        .append(true)
        .open(path)
        .expect("the log is there");
    file.write_all(text.as_bytes())
        .expect("the log takes a line");
}

/// The host's own `tail` until it has printed `expected`.
fn stock_tail(host: &Host, log: &str, db: &str, expected: &[&str]) {
    let mut pipeline = Pipeline::new(host);
    pipeline
        .input(
            "tail",
            &[("path", log), ("db", db), ("read_from_head", "on")],
        )
        .print();
    let mut running = pipeline.start();
    running.wait_for("the stock tail's records", |output| {
        json_lines(&output.stdout()).len() >= expected.len()
    });
    let ended = running.terminate();
    ended.check(
        "what the stock tail reads",
        logs(&ended.records()) == expected,
    );
}

fn sidecar_tail(host: &Host, log: &str, db: &str, expected: &[&str]) {
    let mut pipeline = Pipeline::new(host);
    let flag = pipeline.file("flag", "");
    pipeline
        .input("sidecar_tail", &[("path", log), ("db", db)])
        .print()
        .output("completion_exit", "*", &[("flag_file", &flag)]);
    let ended = pipeline.run();
    ended.check_status(0);
    ended.check(
        "what sidecar_tail reads",
        logs(&ended.records()) == expected,
    );
}

#[test]
fn positions_of_the_stock_tail_are_taken_over_and_its_database_is_left() {
    each_real_host("taking over from tail", |host| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
        let (log, db) = (path("app.log"), path("tail.db"));
        std::fs::write(&log, "1\n2\n").expect("a fresh folder takes a file");

        stock_tail(host, &log, &db, &["1", "2"]);
        append(&log, "3\n");
        sidecar_tail(host, &log, &db, &["3"]);
        // Going on with our own state, whatever the database says.
        append(&log, "4\n");
        sidecar_tail(host, &log, &db, &["4"]);
        // Back: at most what we read since is read again.
        append(&log, "5\n");
        stock_tail(host, &log, &db, &["3", "4", "5"]);
    });
}

#[test]
fn a_tail_that_stays_beside_stops_the_start() {
    each_real_host("tail and sidecar_tail on one db", |host| {
        for order in [["tail", "sidecar_tail"], ["sidecar_tail", "tail"]] {
            let mut pipeline = Pipeline::new(host);
            pipeline.env("STATE", &pipeline.path("state"));
            let folder = pipeline.path("state");
            std::fs::create_dir(folder).expect("a fresh folder takes a folder");
            let log = pipeline.file("app.log", "1\n");
            for name in order {
                // As the host reads it: with what stands for the variable.
                let options = [("path", log.as_str()), ("db", "${STATE}/tail.db")];
                pipeline.input(name, &options);
            }
            let ended = pipeline.print().run();
            ended.check_refused(host, "/tail.db', allowed: a path that the input 'tail.");
            ended.check("nothing was read", !ended.stdout.contains("\"log\""));
        }
    });
}

#[test]
fn a_tail_of_another_process_is_noticed_by_its_database() {
    each_real_host("a tail of another process on one db", |host| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
        let (log, db) = (path("app.log"), path("tail.db"));
        std::fs::write(&log, "1\n").expect("a fresh folder takes a file");
        let options = [("path", log.as_str()), ("db", db.as_str())];
        let start = |name| {
            let mut pipeline = Pipeline::new(host);
            pipeline
                .input(name, &options)
                .options(&[("read_from_head", "on")]);
            let running = pipeline.print().start();
            (pipeline, running)
        };
        let printed = |output: &Output| !json_lines(&output.stdout()).is_empty();
        let (_kept, mut tail) = start("tail");
        tail.wait_for("the line", printed);
        let warning = format!("{db}: process {} has it open", tail.id());
        append(&log, "2\n");
        let (_kept, mut ours) = start("sidecar_tail");
        ours.wait_for("a warning", |output| output.stderr().contains(&warning));
        ours.terminate().check_status(0);
        tail.terminate().check_status(0);
        // Once it has ended, there is nothing to say.
        let (_kept, mut ours) = start("sidecar_tail");
        append(&log, "3\n");
        ours.wait_for("the line", printed);
        let ended = ours.terminate();
        ended.check("no warning", !ended.stderr.contains("has it open"));
    });
}
