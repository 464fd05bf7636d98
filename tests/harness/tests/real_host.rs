//! What only a real Fluent Bit can do: threads, processors, hot reload, workers, configuration
//! files.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use flb_sidecar_tests::build::{self, PLUGINS};
use flb_sidecar_tests::process::json_lines;
use flb_sidecar_tests::{
    each_real_host, each_real_host_where, say, wait_until, Ended, Host, Pipeline, DEADLINE,
    NO_OPTIONS,
};
use rustix::process::Signal;
use serde_json::Value as Json;

fn logs(records: &[Json]) -> Vec<String> {
    records
        .iter()
        .filter_map(|r| r["log"].as_str().map(str::to_owned))
        .collect()
}

fn check_logs(ended: &Ended, expected: &[&str]) {
    let got = logs(&ended.records());
    ended.check(
        &format!("expected {expected:?}, got {got:?}"),
        got == expected,
    );
}

/// A pipeline in which nothing is loaded by the command line, but the links are in its folder.
fn with_links(host: &Host) -> Pipeline {
    let pipeline = Pipeline::bare(host);
    build::link_plugins(pipeline.folder(), &build::library(), PLUGINS);
    pipeline
}

/// `-e` arguments for every link.
fn load(pipeline: &mut Pipeline) {
    for name in PLUGINS {
        let file = pipeline.path(&format!("flb-{name}.so"));
        pipeline.arg("-e").arg(&file);
    }
}

/// A pipeline that only waits, with or without our plugins; its socket says that it has started.
fn idle(host: &Host, ours: bool) -> (Pipeline, PathBuf) {
    let mut pipeline = with_links(host);
    let log = pipeline.file("a.log", "");
    let flag = pipeline.path("flag");
    if ours {
        load(&mut pipeline);
        pipeline
            .input("sidecar_tail", &[("path", &log)])
            .filter("pii_redact", "*", NO_OPTIONS)
            .filter("kube_metadata", "*", NO_OPTIONS)
            .output("completion_exit", "*", &[("flag_file", &flag)]);
    }
    let socket = pipeline.path("socket");
    pipeline.input("forward", &[("unix_path", &socket)]).print();
    (pipeline, socket.into())
}

/// Time from the start until the socket takes connections, and resident memory a moment later.
fn start_cost(host: &Host, ours: bool) -> (Duration, u64) {
    let (pipeline, socket) = idle(host, ours);
    let start = Instant::now();
    let running = pipeline.start();
    while UnixStream::connect(&socket).is_err() {
        assert!(start.elapsed() < DEADLINE, "no start\n{}", running.output());
        std::thread::sleep(Duration::from_micros(200));
    }
    let took = start.elapsed();
    // Long enough for the first timers of every plugin.
    std::thread::sleep(Duration::from_millis(1200));
    let status = fs::read_to_string(format!("/proc/{}/status", running.id())).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = resident
        .and_then(|text| text.trim().strip_suffix(" kB"))
        .unwrap();
    (took, kib.parse().unwrap())
}

/// What the loaded and idle plugins add to the host: at most 8 MiB, and 2 MiB more where debug
/// information was read, whose reader then stays mapped. The time they add is printed; a busy machine
/// only ever makes it longer, so the best of a few runs counts. Release builds only.
#[test]
fn idle_cost() {
    const RUNS: usize = 5;
    let from_table = std::env::var_os("FLB_SIDECAR_ABI").is_none_or(|abi| abi.is_empty());
    let most_kib = if from_table { 8 << 10 } else { 10 << 10 };
    if !build::library_is_release() {
        say("SKIPPED idle cost: no release build, run `make build`");
        return;
    }
    each_real_host("idle cost", |host| {
        let best = |ours| {
            let runs: Vec<_> = (0..RUNS).map(|_| start_cost(host, ours)).collect();
            let took = runs.iter().map(|run| run.0).min().unwrap();
            (took, runs.iter().map(|run| run.1).min().unwrap())
        };
        let (plain_took, plain_kib) = best(false);
        let (took, kib) = best(true);
        let more_time = took.saturating_sub(plain_took);
        let more_kib = kib.saturating_sub(plain_kib);
        say(&format!(
            "idle cost: {host}: {more_kib} KiB, {more_time:.1?}"
        ));
        assert!(more_kib <= most_kib, "{more_kib} KiB of memory");
    });
}

/// `threaded on`: the input's callbacks run on a thread of its own.
#[test]
fn threaded_input() {
    each_real_host_where(
        "threaded on",
        |host| host.since(2, 0, 0),
        |host| {
            let mut pipeline = Pipeline::new(host);
            let lines: Vec<String> = (0..2000).map(|n| format!("line {n}")).collect();
            let log = pipeline.file("a.log", lines.join("\n"));
            pipeline
                .input(
                    "sidecar_tail",
                    &[("path", log.as_str()), ("threaded", "on")],
                )
                .filter("pii_redact", "*", NO_OPTIONS)
                .print();
            let flag = pipeline.file("flag", "");
            pipeline.output("completion_exit", "*", &[("flag_file", &flag)]);
            let ended = pipeline.run();
            ended.check_status(0);
            ended.check("every line once, in order", logs(&ended.records()) == lines);
        },
    );
}

/// An output of ours and the host's own with worker threads.
#[test]
fn output_workers() {
    each_real_host("workers 2", |host| {
        let mut pipeline = Pipeline::new(host);
        for tag in ["a", "b", "c"] {
            let log = pipeline.file(&format!("{tag}.log"), format!("{tag}\n").repeat(100));
            pipeline.input("sidecar_tail", &[("path", log.as_str()), ("tag", tag)]);
        }
        pipeline.print().options(&[("workers", "1")]);
        let flag = pipeline.file("flag", "");
        pipeline.output(
            "completion_exit",
            "*",
            &[("flag_file", flag.as_str()), ("workers", "2")],
        );
        let ended = pipeline.run();
        ended.check_status(0);
        for tag in ["a", "b", "c"] {
            let count = logs(&ended.records())
                .iter()
                .filter(|log| *log == tag)
                .count();
            ended.check(&format!("{count} lines of {tag}"), count == 100);
        }
    });
}

/// The probe output with workers: `cb_flush` on two threads at once.
#[test]
fn flush_on_workers() {
    each_real_host("flush on workers", |host| {
        let mut pipeline = Pipeline::probe(host);
        for tag in ["a", "b"] {
            pipeline.input("probe", &[("tag", tag)]);
        }
        pipeline.output("probe", "*", &[("workers", "2")]).print();
        let mut running = pipeline.start();
        running.wait_for("six records of each", |out| {
            json_lines(&out.stdout()).len() >= 12
        });
        let ended = running.terminate();
        ended.check_status(0);
        ended.check("the output counted", ended.stderr.contains("records came"));
        ended.check("no flush failed", !ended.stderr.contains("retry"));
    });
}

/// Filters as processors of an input and of an output.
#[test]
fn processors() {
    each_real_host_where(
        "processors",
        |host| host.since(2, 1, 0),
        |host| {
            let mut pipeline = with_links(host);
            let log = pipeline.file("a.log", "one bob@example.com\n");
            let flag = pipeline.file("flag", "");
            let config = format!(
                "service:\n  flush: 0.2\n\
             pipeline:\n  \
               inputs:\n    \
                 - name: sidecar_tail\n      \
                   path: {log}\n      \
                   processors:\n        \
                     logs:\n          \
                       - name: pii_redact\n  \
               outputs:\n    \
                 - name: stdout\n      \
                   match: '*'\n      \
                   format: json_lines\n      \
                   processors:\n        \
                     logs:\n          \
                       - name: kube_metadata\n            \
                         pod_name: as-processor\n    \
                 - name: completion_exit\n      \
                   match: '*'\n      \
                   flag_file: {flag}\n"
            );
            let file = pipeline.file("pipeline.yaml", config);
            load(&mut pipeline);
            pipeline.arg("-c").arg(&file);
            let ended = pipeline.run();
            ended.check_status(0);
            check_logs(&ended, &["one [EMAIL]"]);
            let pod = ended.records()[0]["kubernetes"]["pod_name"] == "as-processor";
            ended.check("the output's processor enriched it", pod);
        },
    );
}

/// SIGHUP with hot reload on: the old instances end, new ones with other settings start in the
/// same process.
#[test]
fn hot_reload() {
    each_real_host_where(
        "hot reload",
        |host| host.since(2, 1, 0),
        |host| {
            let mut pipeline = with_links(host);
            let first = pipeline.file("first.log", "first bob@example.com\n");
            let second = pipeline.file("second.log", "second bob@example.com\n");
            let flag = pipeline.path("flag");
            let config = |log: &str| {
                format!(
                    "[SERVICE]\n    flush 0.2\n    hot_reload on\n\
                 [INPUT]\n    name sidecar_tail\n    path {log}\n\
                 [FILTER]\n    name pii_redact\n    match *\n\
                 [OUTPUT]\n    name stdout\n    match *\n    format json_lines\n\
                 [OUTPUT]\n    name completion_exit\n    match *\n    flag_file {flag}\n"
                )
            };
            let file = pipeline.file("pipeline.conf", config(&first));
            load(&mut pipeline);
            pipeline.arg("-c").arg(&file).arg("-Y");
            let mut running = pipeline.start();
            running.wait_for("the first file", |out| {
                logs(&json_lines(&out.stdout())).len() == 1
            });
            let asleep = wait_until(DEADLINE, || running.main_thread_sleeps().then_some(()));
            assert!(asleep.is_some(), "{}", running.output());
            pipeline.file("pipeline.conf", config(&second));
            running.signal(Signal::HUP);
            running.wait_for("the second file", |out| {
                logs(&json_lines(&out.stdout())).len() == 2
            });
            fs::write(&flag, "").unwrap();
            let ended = running.end();
            ended.check_status(0);
            check_logs(&ended, &["first [EMAIL]", "second [EMAIL]"]);
        },
    );
}

/// `plugins_file` in an INI configuration.
#[test]
fn plugins_file() {
    each_real_host("plugins_file", |host| {
        let mut pipeline = with_links(host);
        let log = pipeline.file("a.log", "one bob@example.com\n");
        let flag = pipeline.file("flag", "");
        let files = PLUGINS
            .iter()
            .map(|name| pipeline.path(&format!("flb-{name}.so")));
        let plugins = if !host.reads_classic_lists() {
            let list: String = files.map(|file| format!("  - {file}\n")).collect();
            pipeline.file("plugins.yaml", format!("plugins:\n{list}"))
        } else {
            let list: String = files.map(|file| format!("    Path {file}\n")).collect();
            pipeline.file("plugins.conf", format!("[PLUGINS]\n{list}"))
        };
        let config = format!(
            "[SERVICE]\n    flush 0.2\n    plugins_file {plugins}\n\
             [INPUT]\n    name sidecar_tail\n    path {log}\n\
             [FILTER]\n    name pii_redact\n    match *\n\
             [OUTPUT]\n    name stdout\n    match *\n    format json_lines\n\
             [OUTPUT]\n    name completion_exit\n    match *\n    flag_file {flag}\n"
        );
        let file = pipeline.file("pipeline.conf", config);
        pipeline.arg("-c").arg(&file);
        let ended = pipeline.run();
        ended.check_status(0);
        check_logs(&ended, &["one [EMAIL]"]);
    });
}

/// The top-level list `plugins` of a YAML configuration.
#[test]
fn yaml_plugins() {
    each_real_host_where(
        "YAML plugins",
        |host| host.since(3, 2, 0),
        |host| {
            let mut pipeline = with_links(host);
            let log = pipeline.file("a.log", "one bob@example.com\n");
            let flag = pipeline.file("flag", "");
            let paths: String = PLUGINS
                .iter()
                .map(|name| format!("  - {}\n", pipeline.path(&format!("flb-{name}.so"))))
                .collect();
            let config = format!(
                "plugins:\n{paths}\
             service:\n  flush: 0.2\n\
             pipeline:\n  \
               inputs:\n    \
                 - name: sidecar_tail\n      \
                   path: {log}\n  \
               filters:\n    \
                 - name: pii_redact\n      \
                   match: '*'\n  \
               outputs:\n    \
                 - name: stdout\n      \
                   match: '*'\n      \
                   format: json_lines\n    \
                 - name: completion_exit\n      \
                   match: '*'\n      \
                   flag_file: {flag}\n"
            );
            let file = pipeline.file("pipeline.yaml", config);
            pipeline.arg("-c").arg(&file);
            let ended = pipeline.run();
            ended.check_status(0);
            check_logs(&ended, &["one [EMAIL]"]);
        },
    );
}

/// The host pauses the inputs that have come up, and the filters behind the one that failed have
/// not: a record that we appended then would end it in a crash (5.1.1).
#[test]
fn a_filter_that_cannot_start_ends_the_host_and_nothing_is_read_away() {
    each_real_host("a filter that cannot start", |host| {
        let lines: Vec<String> = (0..1000).map(|n| format!("line {n}\n")).collect();
        let mut first = Pipeline::new(host);
        let (log, db) = (first.file("a.log", lines.concat()), first.path("db"));
        let input = [("path", log.as_str()), ("db", &db)];
        let broken = [("rules_file", "/there/is/none")];
        first
            .input("sidecar_tail", &input)
            .filter("pii_redact", "*", &broken)
            .filter("grep", "*", &[("regex", "log line")])
            .output("null", "*", NO_OPTIONS);
        first.run().check_status(255);

        let mut second = Pipeline::new(host);
        second
            .input("sidecar_tail", &input)
            .filter("grep", "*", &[("regex", "log line")])
            .print();
        let flag = second.file("flag", "");
        second.output("completion_exit", "nothing", &[("flag_file", &flag)]);
        let ended = second.run();
        let read = logs(&ended.records()).len();
        ended.check(&format!("{read} lines are read"), read == lines.len());
    });
}
