use super::*;
use crate::testing::Surroundings;
use flb_sidecar_sdk::event::{begin_record, RecordFormat, Timestamp};
use flb_sidecar_sdk::fake::FakeHost;
use flb_sidecar_sdk::metrics::Metrics;
use flb_sidecar_sdk::msgpack::{write_map_len, write_str};
use flb_sidecar_sdk::{json, Kind, ParsedTime, Parser, Parsers};
use serde_json::{json, Value as Json};
use std::time::{Duration, Instant};

#[test]
fn the_readme_has_every_option_with_its_default_and_every_variable() {
    let readme = include_str!("../README.md");
    for spec in options::OPTIONS {
        let kind = match spec.kind {
            Kind::String | Kind::Prefix => "string",
            Kind::Integer => "integer",
            Kind::Boolean => "boolean",
            Kind::Size => "size",
            Kind::Time => "time",
            Kind::CommaList => "list",
            Kind::SpaceList => "words",
        };
        let default = spec
            .default
            .map_or("unset".to_owned(), |default| format!("`{default}`"));
        let row = format!("| `{}` | {kind} | {default} | ", spec.name);
        assert!(readme.contains(&row), "README lacks the row: {row}");
    }
    let rows = readme.lines().filter(|line| line.starts_with("| `"));
    assert_eq!(rows.count(), options::OPTIONS.len());
    for name in crate::pod::variables() {
        assert!(readme.contains(&format!("`{name}`")), "README lacks {name}");
    }
}

#[test]
fn idle_options_are_declared_and_have_a_reason() {
    for (name, reason) in idle::IDLE {
        let spec = options::OPTIONS.iter().find(|spec| spec.name == *name);
        let spec = spec.unwrap_or_else(|| panic!("{name} is not declared"));
        assert!(spec.help.ends_with("does nothing."), "{name}");
        assert!(spec.default.is_none() && !reason.is_empty(), "{name}");
    }
    let idle = options::OPTIONS
        .iter()
        .filter(|spec| spec.help.ends_with("does nothing."));
    assert_eq!(idle.count(), idle::IDLE.len());
}

/// A host with the parser `upper`: it matches texts of upper case letters and finds one field and,
/// after a `T`, a time.
struct ParserHost(Metrics);

struct Upper;

impl Parsers for Upper {
    fn get(&self, name: &str) -> Option<Box<dyn Parser>> {
        (name == "upper").then(|| Box::new(Upper) as Box<dyn Parser>)
    }
}

impl Parser for Upper {
    fn parse(&mut self, text: &[u8], fields: &mut Vec<u8>) -> Option<ParsedTime> {
        if !text.iter().all(u8::is_ascii_uppercase) {
            return None;
        }
        write_map_len(fields, 1);
        write_str(fields, "word");
        write_str(fields, &format!("{}\n", String::from_utf8_lossy(text)));
        Some(if text.starts_with(b"T") {
            ParsedTime::At(Timestamp {
                seconds: 77,
                nanos: 7,
            })
        } else {
            ParsedTime::Absent
        })
    }
}

impl FilterHost for ParserHost {
    fn metrics(&self) -> &Metrics {
        &self.0
    }

    fn parsers(&self) -> Option<Box<dyn Parsers>> {
        Some(Box::new(Upper))
    }
}

fn filter_with(options: &[(&str, &str)], env: &Surroundings) -> KubeMetadata {
    let settings = Settings::new("t", options::OPTIONS, options.iter().copied()).unwrap();
    let mut host = ParserHost(Metrics::default());
    KubeMetadata::with_environment(&settings, &mut host, env).unwrap()
}

fn chunk(format: RecordFormat, bodies: &[Json]) -> Vec<u8> {
    let mut chunk = Vec::new();
    for body in bodies {
        begin_record(
            &mut chunk,
            format,
            Timestamp {
                seconds: 5,
                nanos: 6,
            },
        );
        json::write(&mut chunk, body);
    }
    chunk
}

/// Seconds and body of each record that comes out.
fn run(filter: &mut KubeMetadata, format: RecordFormat, bodies: &[Json]) -> Vec<(u32, String)> {
    let data = chunk(format, bodies);
    let mut out = Vec::new();
    let input = Chunk {
        data: &data,
        tag: b"t",
    };
    if filter.filter(input, &mut out) == Verdict::Unchanged {
        out = data;
    }
    records(&out)
        .map(|record| {
            let record = record.unwrap();
            let (body, _) = json::read(&out, record.body).unwrap();
            (record.time.unwrap().seconds, body.to_string())
        })
        .collect()
}

#[test]
fn parsers_of_option_and_annotations_read_log_and_may_set_the_time() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    let options = [
        ("podinfo_path", path),
        ("merge_log", "on"),
        ("merge_parser", "upper"),
        ("keep_log", "off"),
        ("annotations", "off"),
        ("k8s-logging.parser", "on"),
    ];
    let env = Surroundings::new().variable("POD_NAME", "p");
    let kubernetes = r#""kubernetes":{"pod_name":"p"}"#;
    for format in [RecordFormat::Legacy, RecordFormat::WithMetadata] {
        let mut filter = filter_with(&options, &env);
        let out = run(
            &mut filter,
            format,
            &[
                json!({"log": "TA"}),
                json!({"log": "ab"}),
                json!({"log": "AB", "x": 1}),
            ],
        );
        assert_eq!(out[0], (77, format!(r#"{{"word":"TA",{kubernetes}}}"#)));
        assert_eq!(out[1], (5, format!(r#"{{"log":"ab",{kubernetes}}}"#)));
        assert_eq!(
            out[2],
            (5, format!(r#"{{"x":1,"word":"AB",{kubernetes}}}"#))
        );
    }

    // An annotation's parser comes before the option's, which is JSON here.
    std::fs::write(
        dir.path().join("annotations"),
        "fluentbit.io/parser_stderr=\"upper\"",
    )
    .unwrap();
    let options: Vec<_> = options
        .into_iter()
        .filter(|(name, _)| *name != "merge_parser")
        .collect();
    let mut filter = filter_with(&options, &env);
    let bodies = [
        json!({"log": "AB", "stream": "stderr"}),
        json!({"log": "AB", "stream": "stdout"}),
        json!({"log": "{\"a\":1}"}),
    ];
    let out = run(&mut filter, RecordFormat::WithMetadata, &bodies);
    assert_eq!(
        out[0].1,
        format!(r#"{{"stream":"stderr","word":"AB",{kubernetes}}}"#)
    );
    assert_eq!(
        out[1].1,
        format!(r#"{{"log":"AB","stream":"stdout",{kubernetes}}}"#)
    );
    assert_eq!(out[2].1, format!(r#"{{"a":1,{kubernetes}}}"#));

    let with_stream = [&options[..], &[("default_stream", "stderr")]].concat();
    let mut filter = filter_with(&with_stream, &env);
    let out = run(
        &mut filter,
        RecordFormat::WithMetadata,
        &[json!({"log": "AB"})],
    );
    assert_eq!(out[0].1, format!(r#"{{"word":"AB",{kubernetes}}}"#));
}

#[test]
fn changed_labels_are_in_the_records_soon() {
    let dir = tempfile::tempdir().unwrap();
    let labels = dir.path().join("labels");
    std::fs::write(&labels, "a=\"1\"").unwrap();
    let path = dir.path().to_str().unwrap();
    let mut filter = filter_with(&[("podinfo_path", path)], &Surroundings::new());
    let record = [json!({"log": "x"})];
    let before = run(&mut filter, RecordFormat::WithMetadata, &record);
    assert!(before[0].1.contains(r#""a":"1""#));
    std::fs::write(&labels, "a=\"2\"").unwrap();
    let changed = Instant::now();
    loop {
        let out = run(&mut filter, RecordFormat::WithMetadata, &record);
        if out[0].1.contains(r#""a":"2""#) {
            break;
        }
        assert!(changed.elapsed() < Duration::from_secs(20), "{out:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
    filter.exit();
}

#[test]
fn the_first_record_is_enriched() {
    let env = Surroundings::new().variable("POD_NAME", "p");
    let settings = Settings::new("t", options::OPTIONS, [("labels", "on")]).unwrap();
    let mut host = FakeHost::default();
    let mut filter = KubeMetadata::with_environment(&settings, &mut host, &env).unwrap();
    let out = run(&mut filter, RecordFormat::WithMetadata, &[json!({})]);
    assert_eq!(out[0].1, r#"{"kubernetes":{"pod_name":"p"}}"#);
    filter.exit();
}

#[test]
fn counters_tell_what_was_done() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("annotations"),
        "fluentbit.io/exclude_stderr=\"true\"",
    )
    .unwrap();
    let settings = Settings::new(
        "t",
        options::OPTIONS,
        [
            ("podinfo_path", dir.path().to_str().unwrap()),
            ("k8s-logging.exclude", "on"),
            ("merge_log", "on"),
            ("annotations", "off"),
            ("pod_name", "p"),
        ],
    )
    .unwrap();
    let mut host = FakeHost::default();
    let mut filter =
        KubeMetadata::with_environment(&settings, &mut host, &Surroundings::new()).unwrap();
    let bodies = [
        json!({"log": "a", "stream": "stderr"}),
        json!({"log": "{\"a\":1}"}),
        json!({"kubernetes": 1}),
    ];
    let mut data = chunk(RecordFormat::WithMetadata, &bodies);
    data.extend_from_slice(&[0x92, 0xd7]);
    let mut out = Vec::new();
    let input = Chunk {
        data: &data,
        tag: b"t",
    };
    assert_eq!(filter.filter(input, &mut out), Verdict::Replaced);
    assert!(out.ends_with(&[0x92, 0xd7]));
    let value = |name: &str| {
        let series = host.metrics.series();
        let found = series.iter().find(|series| series.name == name);
        found.unwrap().value.get()
    };
    assert_eq!(value("records_total"), 1);
    assert_eq!(value("kept_records_total"), 1);
    assert_eq!(value("excluded_records_total"), 1);
    assert_eq!(value("merged_records_total"), 1);
    assert_eq!(value("malformed_chunks_total"), 1);
}

#[test]
fn path_template_needs_path_key() {
    let settings = Settings::new(
        "t",
        options::OPTIONS,
        [("path_template", "/l/{container_name}")],
    )
    .unwrap();
    let mut host = FakeHost::default();
    let error = KubeMetadata::with_environment(&settings, &mut host, &Surroundings::new())
        .err()
        .unwrap();
    assert!(error.to_string().contains("'path_key'"), "{error}");
}
