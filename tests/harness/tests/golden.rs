//! The golden cases of every plugin, on the C test host of every generation and on every real
//! Fluent Bit found. (The pure level runs in each plugin's own crate.)
//!
//! All cases with the same environment share one process: case 7 has the tag `case.7` and its own
//! instance of the plugin. So this also proves that instances do not disturb each other.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use flb_sidecar_sdk::event::RecordFormat;
use flb_sidecar_tests::case::{self, encode, Case, Expect, Given};
use flb_sidecar_tests::forward::Forward;
use flb_sidecar_tests::sink::Sink;
use flb_sidecar_tests::{
    each_real_host, each_test_host, wait_until, Host, Pipeline, DEADLINE, NO_OPTIONS,
};

type Environment = Vec<(String, String)>;

const TAIL: &str = "sidecar_tail";

fn record_format(host: &Host) -> RecordFormat {
    if host.since(2, 1, 0) {
        RecordFormat::WithMetadata
    } else {
        RecordFormat::Legacy
    }
}

/// Cases that start, in groups that can share a process: the same environment, no tag twice.
fn groups(cases: &[Case]) -> Vec<(Environment, Vec<(String, &Case)>)> {
    let mut groups: BTreeMap<(Environment, usize), Vec<(String, &Case)>> = BTreeMap::new();
    for (index, case) in cases.iter().enumerate() {
        if matches!(case.expect, Expect::Error(_)) {
            continue;
        }
        let tag = case.tag.clone().unwrap_or_else(|| format!("case.{index}"));
        let round = (0..)
            .find(|round| {
                let key = (case.environment.clone(), *round);
                groups
                    .get(&key)
                    .is_none_or(|group| group.iter().all(|(other, _)| *other != tag))
            })
            .unwrap_or_default();
        let key = (case.environment.clone(), round);
        groups.entry(key).or_default().push((tag, case));
    }
    groups
        .into_iter()
        .map(|((environment, _), group)| (environment, group))
        .collect()
}

fn pipeline(host: &Host, environment: &Environment) -> Pipeline {
    let mut pipeline = Pipeline::new(host);
    for (name, value) in environment {
        pipeline.env(name, value);
    }
    pipeline
}

fn fail(wrong: Vec<String>) {
    assert!(
        wrong.is_empty(),
        "{} cases differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// Cases whose start must stop with a message.
fn errors(host: &Host, plugin: &str, cases: &[Case]) {
    for case in cases {
        let Expect::Error(part) = &case.expect else {
            continue;
        };
        let mut pipeline = pipeline(host, &case.environment);
        if plugin == TAIL {
            pipeline.input(TAIL, &case.options());
        } else {
            if host.real {
                pipeline.input("dummy", NO_OPTIONS);
            } else {
                let chunk = pipeline.file("chunk", "");
                pipeline.input("raw_chunk", &[("path", &chunk)]);
            }
            pipeline.filter(plugin, "*", &case.options());
        }
        pipeline.output("null", "*", NO_OPTIONS);
        let ended = pipeline.run();
        ended.check(&case.name, ended.status != Some(0));
        // When the start fails, Fluent Bit stops its log thread without emptying the thread's
        // queue: now and then the reason is lost, for stock plugins, too. What it did print must
        // be right; that it is always there is shown on the test host.
        let lost = host.real
            && ended
                .error_lines()
                .iter()
                .all(|line| line.contains("[lib]"));
        let said = ended.output().contains(part.as_str());
        ended.check(&format!("{}: no '{part}'", case.name), lost || said);
    }
}

fn filter_on_test_host(host: &Host, plugin: &str) {
    let folder = tempfile::tempdir().unwrap();
    let cases = case::load(plugin, folder.path());
    errors(host, plugin, &cases);
    for (environment, group) in groups(&cases) {
        let mut pipeline = pipeline(host, &environment);
        pipeline.arg("--once");
        for (tag, case) in &group {
            let chunk = pipeline.file(&format!("in/{tag}"), case.chunk(record_format(host)));
            pipeline.input("raw_chunk", &[("path", chunk.as_str()), ("tag", tag)]);
            pipeline.filter(plugin, tag, &case.options());
        }
        let out = pipeline.path("out");
        fs::create_dir(&out).unwrap();
        pipeline.output("raw_file", "*", &[("dir", &out)]);
        pipeline.run().check_status(0);
        let results = group.iter().map(|(tag, case)| {
            let got = fs::read(Path::new(&out).join(tag)).unwrap_or_default();
            case.compare(&case.chunk(record_format(host)), &got)
        });
        fail(results.filter_map(Result::err).collect());
    }
}

fn filter_on_real_host(host: &Host, plugin: &str) {
    let folder = tempfile::tempdir().unwrap();
    let cases = case::load(plugin, folder.path());
    errors(host, plugin, &cases);
    for (environment, mut group) in groups(&cases) {
        // A real host's inputs take no broken chunks and write headers of their own.
        group.retain(|(_, case)| matches!(case.given, Given::Records(_)));
        let sink = Sink::listen();
        let mut pipeline = pipeline(host, &environment);
        let socket = pipeline.path("socket");
        pipeline.input("forward", &[("unix_path", &socket)]);
        for (tag, case) in &group {
            pipeline.filter(plugin, tag, &case.options());
        }
        pipeline.output("http", "*", &sink.options());
        let running = pipeline.start();
        let mut client = Forward::connect(Path::new(&socket));
        for (tag, case) in &group {
            let Given::Records(records) = &case.given else {
                continue;
            };
            client.send(tag, records.len(), &encode(records, RecordFormat::Legacy));
        }
        client.send(
            "the.end",
            1,
            &encode(&[serde_json::json!({"end": true})], RecordFormat::Legacy),
        );
        let wrong = || -> Vec<String> {
            let results = group
                .iter()
                .map(|(tag, case)| case.compare_bodies(&sink.chunk(tag)));
            results.filter_map(Result::err).collect()
        };
        let done = wait_until(DEADLINE, || {
            (!sink.chunk("the.end").is_empty() && wrong().is_empty()).then_some(())
        });
        if done.is_none() {
            assert!(
                !sink.chunk("the.end").is_empty(),
                "nothing arrived\n{}",
                running.output()
            );
            let wrong = wrong();
            assert!(
                wrong.is_empty(),
                "{}\n{}",
                wrong.join("\n"),
                running.output()
            );
        }
    }
}

/// The cases of the input: all files are there from the start, and the flag file, too.
fn tail(host: &Host) {
    let folder = tempfile::tempdir().unwrap();
    let cases = case::load(TAIL, folder.path());
    errors(host, TAIL, &cases);
    for (environment, group) in groups(&cases) {
        let sink = Sink::listen();
        let mut pipeline = pipeline(host, &environment);
        for (tag, case) in &group {
            pipeline
                .input(TAIL, &[("tag", tag)])
                .options(&case.options());
        }
        let out = pipeline.path("out");
        fs::create_dir(&out).unwrap();
        if host.real {
            pipeline.output("http", "*", &sink.options());
        } else {
            pipeline.output("raw_file", "*", &[("dir", &out)]);
        }
        let flag = pipeline.file("flag", "");
        pipeline.output("completion_exit", "*", &[("flag_file", &flag)]);
        pipeline.run().check_status(0);
        let results = group.iter().map(|(tag, case)| {
            if host.real {
                case.compare_chunks(sink.chunks(tag))
            } else {
                case.compare_bodies(&fs::read(Path::new(&out).join(tag)).unwrap_or_default())
            }
        });
        fail(results.filter_map(Result::err).collect());
    }
}

#[test]
fn pii_redact_on_the_test_host() {
    each_test_host("golden pii_redact", |host| {
        filter_on_test_host(host, "pii_redact");
    });
}

#[test]
fn pii_redact_on_real_hosts() {
    each_real_host("golden pii_redact", |host| {
        filter_on_real_host(host, "pii_redact");
    });
}

#[test]
fn kube_metadata_on_the_test_host() {
    each_test_host("golden kube_metadata", |host| {
        filter_on_test_host(host, "kube_metadata");
    });
}

#[test]
fn kube_metadata_on_real_hosts() {
    each_real_host("golden kube_metadata", |host| {
        filter_on_real_host(host, "kube_metadata");
    });
}

#[test]
fn sidecar_tail_on_the_test_host() {
    each_test_host("golden sidecar_tail", tail);
}

#[test]
fn sidecar_tail_on_real_hosts() {
    each_real_host("golden sidecar_tail", tail);
}
