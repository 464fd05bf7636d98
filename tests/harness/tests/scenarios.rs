//! Scenarios that every host can play: each runs on the C test host of every generation and on
//! every real Fluent Bit found.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use flb_sidecar_tests::build::{self, PLUGINS};
use flb_sidecar_tests::job::Job;
use flb_sidecar_tests::process::json_lines;
use flb_sidecar_tests::{each_real_host, each_test_host, Ended, Host, Pipeline, NO_OPTIONS};
use serde_json::Value as Json;

/// Two tests of a scenario: `name::test_host` and `name::real_hosts`.
macro_rules! scenarios {
    ($($(#[$doc:meta])* $name:ident: $title:literal;)*) => {
        $(
            $(#[$doc])*
            mod $name {
                #[test]
                fn test_host() {
                    super::each_test_host($title, super::$name);
                }

                #[test]
                fn real_hosts() {
                    super::each_real_host($title, super::$name);
                }
            }
        )*
    };
}

scenarios! {
    demo_job: "demo Job";
    help: "-h lists the options of the README";
    unknown_option: "an unknown option stops the start";
    malformed_option: "a malformed value stops the start";
    option_set_twice: "an option set twice stops the start";
    environment_in_options: "${ENV} in options";
    several_instances: "several instances of each plugin";
    log_level: "log_level per instance";
    copies: "copies instead of links";
    proxy: "-e libflb_sidecar.so";
    end_by_signal: "SIGTERM delivers the unfinished line";
    memory_limit: "mem_buf_limit pauses and loses nothing";
    rotation: "rename rotation";
    panics: "a panic in every callback";
    panics_at_init: "a panic at initialisation";
}

/// The lines `{prefix} 0` … `{prefix} {count - 1}`.
fn numbered(prefix: &str, count: usize) -> String {
    (0..count).fold(String::new(), |mut text, n| {
        // Writing to a String does not fail.
        let _ = writeln!(text, "{prefix} {n}");
        text
    })
}

/// `log` of every record, in order.
fn logs(records: &[Json]) -> Vec<String> {
    records
        .iter()
        .filter_map(|r| r["log"].as_str().map(str::to_owned))
        .collect()
}

/// Panics unless the records are exactly these lines in this order.
fn check_lines(ended: &Ended, lines: &str) {
    let expected: Vec<&str> = lines.lines().collect();
    let got = logs(&ended.records());
    let same = got.iter().map(String::as_str).eq(expected.iter().copied());
    ended.check(
        &format!(
            "{} lines, {} expected, or another order",
            got.len(),
            expected.len()
        ),
        same,
    );
}

/// The pipeline ends as soon as all is read: the flag is there from the start.
fn end_when_read(pipeline: &mut Pipeline) {
    let flag = pipeline.file("flag", "");
    pipeline.output("completion_exit", "*", &[("flag_file", &flag)]);
}

fn demo_job(host: &Host) {
    let outcome = Job::new(host).run(15, "0.05", |_| ());
    if let Err(reason) = outcome.verdict() {
        outcome.sidecar.check(&reason, false);
    }
}

/// Names in the first column of the option tables of a plugin's README, sorted.
fn documented_options(plugin: &str) -> Vec<String> {
    let path = build::root().join("plugins").join(plugin).join("README.md");
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut names = Vec::new();
    let mut in_table = false;
    for line in text.lines() {
        let row = line.to_lowercase();
        in_table = row.starts_with("| name | type |") || in_table && row.starts_with('|');
        if in_table && row.starts_with("| `") {
            names.extend(row.split('`').nth(1).map(str::to_owned));
        }
    }
    names.sort();
    names
}

/// Names that a host's help lists as the plugin's own options, sorted: what starts a line.
fn listed_options(help: &str) -> Vec<String> {
    let mut names: Vec<String> = help
        .lines()
        .skip_while(|line| *line != "OPTIONS")
        .skip(1)
        .filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()))
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect();
    names.sort();
    names
}

fn help(host: &Host) {
    for plugin in PLUGINS {
        let (kind, name) = plugin.split_once('_').unwrap();
        let flag = match kind {
            "in" => "-i",
            "filter" => "-F",
            _ => "-o",
        };
        let mut pipeline = Pipeline::new(host);
        pipeline.arg(flag).arg(name).arg("-h");
        let ended = pipeline.run();
        ended.check_status(0);
        // Without the terminal's bold and plain.
        let plain = ended
            .stdout
            .replace("\u{1b}[0m", "")
            .replace("\u{1b}[1m", "");
        let (mut listed, documented) = (listed_options(&plain), documented_options(plugin));
        if !host.since(2, 0, 0) {
            // Ours where the host does not have it for every input.
            listed.retain(|option| option != "threaded");
        }
        ended.check(
            &format!("{plugin}: help lists {listed:?}, the README {documented:?}"),
            listed == documented && !listed.is_empty(),
        );
    }
}

fn unknown_option(host: &Host) {
    let mut pipeline = Pipeline::new(host);
    let log = pipeline.file("a.log", "");
    pipeline
        .input(
            "sidecar_tail",
            &[("path", log.as_str()), ("no_such_option", "1")],
        )
        .print();
    pipeline.run().check_refused(host, "no_such_option");
}

fn malformed_option(host: &Host) {
    let mut pipeline = Pipeline::new(host);
    let log = pipeline.file("a.log", "");
    pipeline.input("sidecar_tail", &[("path", &log)]);
    pipeline.output(
        "completion_exit",
        "*",
        &[("flag_file", "/tmp/x"), ("deadline", "soon")],
    );
    pipeline.run().check_refused(host, "soon");
}

fn option_set_twice(host: &Host) {
    let mut pipeline = Pipeline::new(host);
    let log = pipeline.file("a.log", "");
    pipeline
        .input(
            "sidecar_tail",
            &[("path", &log), ("key", &log), ("key", &log)],
        )
        .print();
    pipeline.run().check_refused(host, "'key' is set 2 times");
}

fn environment_in_options(host: &Host) {
    let mut pipeline = Pipeline::new(host);
    pipeline.file("a.log", "one\ntwo\n");
    let folder = pipeline.path("");
    pipeline.env("LOGS", &folder);
    pipeline
        .input("sidecar_tail", &[("path", "${LOGS}/a.log")])
        .print();
    end_when_read(&mut pipeline);
    check_lines(pipeline.run().check_status(0), "one\ntwo\n");
}

fn several_instances(host: &Host) {
    let mut pipeline = Pipeline::new(host);
    for name in ["a", "b"] {
        let log = pipeline.file(&format!("{name}.log"), format!("{name} bob@example.com\n"));
        pipeline.input(
            "sidecar_tail",
            &[("path", log.as_str()), ("tag", name), ("path_key", "file")],
        );
        pipeline.filter("kube_metadata", name, &[("container_name", name)]);
    }
    pipeline
        .filter("pii_redact", "a", NO_OPTIONS)
        .filter("pii_redact", "c", NO_OPTIONS)
        .print();
    let absent = pipeline.path("never");
    pipeline.output("completion_exit", "*", &[("flag_file", &absent)]);
    end_when_read(&mut pipeline);
    let ended = pipeline.run();
    ended.check_status(0);
    let mut seen = BTreeMap::new();
    for record in ended.records() {
        let container = record["kubernetes"]["container_name"]
            .as_str()
            .unwrap_or("?")
            .to_owned();
        seen.insert(container, record["log"].as_str().unwrap_or("?").to_owned());
    }
    let expected = [("a", "a [EMAIL]"), ("b", "b bob@example.com")];
    let expected = expected.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    ended.check(
        "each instance has its own settings",
        seen == expected && ended.records().len() == 2,
    );
}

/// The probe says its words at info and one more line at debug. The quiet one comes first: its
/// answer must not hold for the others.
fn log_level(host: &Host) {
    let mut pipeline = Pipeline::probe(host);
    for level in ["error", "info", "debug"] {
        pipeline.input(
            "probe",
            &[("alias", level), ("log_level", level), ("word", level)],
        );
    }
    pipeline.print();
    let mut running = pipeline.start();
    running.wait_for("a record", |output| output.stdout().contains("\"n\""));
    let ended = running.terminate();
    ended.check_status(0);
    for (level, info, debug) in [
        ("error", false, false),
        ("info", true, false),
        ("debug", true, true),
    ] {
        let said = |text: &str| {
            let prefix = format!("[input:probe:{level}] {text}");
            ended.stderr.lines().any(|line| line.contains(&prefix))
        };
        ended.check(
            &format!("info lines at level {level}"),
            said("words: ") == info,
        );
        ended.check(
            &format!("debug lines at level {level}"),
            said("a debug line") == debug,
        );
    }
}

fn copies(host: &Host) {
    let mut pipeline = Pipeline::bare(host);
    for name in PLUGINS {
        let file = pipeline.path(&format!("flb-{name}.so"));
        fs::copy(build::library(), &file).unwrap();
        pipeline.arg("-e").arg(&file);
    }
    let log = pipeline.file("a.log", "one bob@example.com\ntwo");
    pipeline.env("POD_NAME", "p");
    pipeline.arg("-f").arg("0.2");
    pipeline.input("sidecar_tail", &[("path", &log)]);
    pipeline
        .filter("pii_redact", "*", NO_OPTIONS)
        .filter("kube_metadata", "*", NO_OPTIONS)
        .print();
    end_when_read(&mut pipeline);
    let ended = pipeline.run();
    check_lines(ended.check_status(0), "one [EMAIL]\ntwo\n");
    let named = ended
        .records()
        .iter()
        .all(|r| r["kubernetes"]["pod_name"] == "p");
    ended.check("every record is enriched", named);
}

fn proxy(host: &Host) {
    let mut pipeline = Pipeline::bare(host);
    let file = pipeline.path("libflb_sidecar.so");
    fs::copy(build::library(), &file).unwrap();
    pipeline.arg("-e").arg(&file).arg("-i").arg("dummy");
    let ended = pipeline.run();
    ended.check("the start must fail", ended.status != Some(0));
    let ours: Vec<&str> = ended
        .stderr
        .lines()
        .filter(|line| line.contains("flb-in_sidecar_tail.so"))
        .collect();
    ended.check("one line says how to load it", ours.len() == 1);
}

fn end_by_signal(host: &Host) {
    let mut pipeline = Pipeline::new(host);
    let log = pipeline.file("a.log", "one\nunfinished");
    pipeline.input("sidecar_tail", &[("path", &log)]).print();
    let mut running = pipeline.start();
    running.wait_for("the first line", |output| output.stdout().contains("one"));
    check_lines(running.terminate().check_status(0), "one\nunfinished\n");
}

fn memory_limit(host: &Host) {
    let mut pipeline = Pipeline::new(host);
    let lines = numbered(
        "a line that is somewhat longer than a number alone, so that memory counts",
        4000,
    );
    let log = pipeline.file("a.log", &lines);
    pipeline
        .input(
            "sidecar_tail",
            &[("path", log.as_str()), ("mem_buf_limit", "100k")],
        )
        .print();
    end_when_read(&mut pipeline);
    let ended = pipeline.run();
    check_lines(ended.check_status(0), &lines);
    ended.check("the limit was reached", ended.stderr.contains("paused"));
}

fn rotation(host: &Host) {
    let mut pipeline = Pipeline::new(host);
    let log = pipeline.file("a.log", numbered("old", 50));
    pipeline.input("sidecar_tail", &[("path", &log)]).print();
    let flag = pipeline.path("flag");
    pipeline.output("completion_exit", "*", &[("flag_file", &flag)]);
    let mut running = pipeline.start();
    running.wait_for("the old file", |output| {
        json_lines(&output.stdout()).len() == 50
    });
    fs::rename(&log, pipeline.path("a.log.1")).unwrap();
    pipeline.file("a.log", numbered("new", 50));
    running.wait_for("the new file", |output| {
        json_lines(&output.stdout()).len() == 100
    });
    fs::write(&flag, "").unwrap();
    let expected = numbered("old", 50) + &numbered("new", 50);
    check_lines(running.end().check_status(0), &expected);
}

/// Callbacks that panic each time, one per instance, beside a healthy input.
fn panics(host: &Host) {
    let mut pipeline = Pipeline::probe(host);
    pipeline.input("probe", &[("tag", "healthy"), ("word", "a"), ("word", "b")]);
    for callback in ["collect", "pause", "exit"] {
        pipeline.input(
            "probe",
            &[
                ("alias", format!("input_{callback}")),
                ("panic_in", callback.to_owned()),
            ],
        );
    }
    for callback in ["filter", "exit"] {
        pipeline.filter(
            "probe",
            "healthy",
            &[
                ("alias", format!("filter_{callback}")),
                ("panic_in", callback.to_owned()),
            ],
        );
    }
    for callback in ["tick", "exit"] {
        pipeline.output(
            "probe",
            "healthy",
            &[
                ("alias", format!("output_{callback}")),
                ("panic_in", callback.to_owned()),
            ],
        );
    }
    pipeline.output("stdout", "healthy", &[("format", "json_lines")]);
    let mut running = pipeline.start();
    running.wait_for("the tenth healthy record", |output| {
        json_lines(&output.stdout()).len() >= 10
    });
    let ended = running.terminate();
    ended.check_status(0);
    let numbers: Vec<u64> = ended
        .records()
        .iter()
        .filter_map(|r| r["n"].as_u64())
        .collect();
    ended.check(
        "no healthy record is missing",
        numbers.iter().copied().eq(0..numbers.len() as u64),
    );
    ended.check(
        "values of a repeated option",
        ended.stderr.contains("words: a|b"),
    );
    let panicked = [
        "input_collect",
        "input_pause",
        "input_exit",
        "filter_filter",
        "filter_exit",
        "output_tick",
        "output_exit",
    ];
    for alias in panicked {
        let (kind, callback) = alias.split_once('_').unwrap();
        let said = ended.stderr.lines().any(|line| {
            line.contains(&format!(":{alias}]"))
                && line.contains("panic")
                && (kind == "filter" || line.contains(&format!("deliberate panic in {callback}")))
        });
        ended.check(&format!("{alias} is not reported"), said);
    }
    // Its panic messages may quote records.
    let leaked = ended
        .output()
        .lines()
        .any(|l| l.contains(":filter_") && l.contains("deliberate"));
    ended.check("a sensitive plugin's message is printed", !leaked);
}

fn panics_at_init(host: &Host) {
    for kind in ["input", "filter", "output"] {
        let mut pipeline = Pipeline::probe(host);
        let fault = |wanted: &str| if kind == wanted { "init" } else { "nothing" };
        pipeline.input("probe", &[("panic_in", fault("input"))]);
        pipeline.filter("probe", "*", &[("panic_in", fault("filter"))]);
        pipeline.output("probe", "*", &[("panic_in", fault("output"))]);
        let ended = pipeline.run();
        ended.check_refused(host, "panic");
    }
}
