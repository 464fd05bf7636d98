//! `kill -9` at any moment, on real hosts: nothing is lost, and what comes twice was in flight.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::time::Duration;

use flb_sidecar_tests::{each_real_host, Host, Pipeline};
use rustix::process::Signal;

/// Kills per host.
const KILLS: usize = 4;
/// Lines between two kills.
const LINES: usize = 300;

/// A pipeline into a file that outlives it: the host's own output `file` appends and never syncs,
/// but a killed process loses nothing that it has written.
fn pipeline(host: &Host, log: &str, db: &str, out: &str) -> Pipeline {
    let mut pipeline = Pipeline::new(host);
    pipeline
        .input("sidecar_tail", &[("path", log), ("db", db)])
        .output(
            "file",
            "*",
            &[("path", out), ("file", "out"), ("format", "plain")],
        );
    pipeline
}

/// How often each line was delivered.
fn delivered(out: &str) -> BTreeMap<usize, usize> {
    let text = fs::read_to_string(format!("{out}/out")).unwrap_or_default();
    let mut counts = BTreeMap::new();
    for line in text.lines() {
        let Some((_, rest)) = line.split_once("line ") else {
            continue;
        };
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        if let Ok(number) = digits.parse() {
            *counts.entry(number).or_default() += 1;
        }
    }
    counts
}

#[test]
fn killed_at_any_moment() {
    each_real_host("kill -9", |host| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
        let (log, db, out) = (path("app.log"), path("state.db"), path("out"));
        fs::create_dir(&out).expect("a fresh folder takes a folder");
        let mut file = File::create(&log).expect("a fresh folder takes a file");
        let mut written = 0;
        for kill in 0..KILLS {
            let pipeline = pipeline(host, &log, &db, &out);
            let mut running = pipeline.start();
            // The moment differs from kill to kill: at the start, while reading, in a flush.
            let pause = Duration::from_millis(1 + kill as u64 * 2);
            for _ in 0..LINES {
                writeln!(file, "line {written}").expect("the log takes a line");
                written += 1;
                std::thread::sleep(pause / 2);
            }
            if kill % 2 == 1 {
                running.wait_for("a delivery", |_| !delivered(&out).is_empty());
            }
            running.signal(Signal::KILL);
            running.end();
        }
        let mut last = pipeline(host, &log, &db, &out);
        let flag = last.file("flag", "");
        last.output("completion_exit", "*", &[("flag_file", &flag)]);
        let ended = last.run();
        ended.check_status(0);

        let counts = delivered(&out);
        let lost: Vec<usize> = (0..written).filter(|n| !counts.contains_key(n)).collect();
        ended.check(
            &format!("{} lines are lost: {lost:?}", lost.len()),
            lost.is_empty(),
        );
        let most = counts.values().max().copied().unwrap_or(0);
        ended.check(
            &format!("a line came {most} times after {KILLS} kills"),
            most <= KILLS + 1,
        );
    });
}
