//! The option `parser`, with a host that has one.

mod common;

use common::append;
use flb_sidecar_sdk::event::{RecordFormat, Timestamp};
use flb_sidecar_sdk::fake::FakeHost;
use flb_sidecar_sdk::metrics::Metrics;
use flb_sidecar_sdk::{
    event, json, msgpack, Input, InputHost, Multiline, ParsedTime, Parser, Parsers, Pending,
    Refused, Settings, Wake,
};
use in_sidecar_tail::SidecarTail;

/// Matches lines of digits.
struct Digits;

impl Parser for Digits {
    fn parse(&mut self, text: &[u8], fields: &mut Vec<u8>) -> Option<ParsedTime> {
        let number: u32 = std::str::from_utf8(text).ok()?.parse().ok()?;
        msgpack::write_map_len(fields, 1);
        msgpack::write_str(fields, "number");
        msgpack::write_uint(fields, u64::from(number));
        Some(if number > 9 {
            ParsedTime::At(Timestamp {
                seconds: number,
                nanos: 0,
            })
        } else {
            ParsedTime::Absent
        })
    }
}

struct Known;

impl Parsers for Known {
    fn get(&self, name: &str) -> Option<Box<dyn Parser>> {
        (name == "digits").then(|| Box::new(Digits) as Box<dyn Parser>)
    }
}

/// Lines that begin with a blank go on with the one before.
#[derive(Default)]
struct Indented(Option<(Timestamp, Vec<u8>)>);

impl Multiline for Indented {
    fn push(&mut self, line: &[u8], time: Timestamp, out: &mut Vec<u8>) -> usize {
        if let (Some((_, text)), [b' ', ..]) = (&mut self.0, line) {
            text.push(b'\n');
            text.extend_from_slice(line);
            return 0;
        }
        let made = self.flush(out);
        self.0 = Some((time, line.to_vec()));
        if line.starts_with(b"[") {
            // A line in brackets is a record at once.
            return made + self.flush(out);
        }
        made
    }

    fn flush(&mut self, out: &mut Vec<u8>) -> usize {
        let Some((time, text)) = self.0.take() else {
            return 0;
        };
        event::begin_record(out, RecordFormat::WithMetadata, time);
        msgpack::write_map_len(out, 1);
        msgpack::write_str(out, "log");
        msgpack::write_bytes_as_str(out, &text);
        1
    }
}

struct Host(FakeHost);

impl InputHost for Host {
    fn record_format(&self) -> RecordFormat {
        self.0.record_format()
    }
    fn append(&mut self, tag: Option<&str>, records: usize, events: &[u8]) -> Result<(), Refused> {
        self.0.append(tag, records, events)
    }
    fn tag(&self) -> Option<&str> {
        InputHost::tag(&self.0)
    }
    fn is_paused(&self) -> bool {
        self.0.paused
    }
    fn is_stopping(&self) -> bool {
        false
    }
    fn flush(&mut self) {}
    fn exit(&mut self, _status: i32) -> bool {
        false
    }
    fn pending(&self) -> Option<Pending> {
        self.0.pending
    }
    fn parsers(&self) -> Option<Box<dyn Parsers>> {
        Some(Box::new(Known))
    }
    fn multiline(&self, parsers: &[&str]) -> Result<Box<dyn Multiline>, String> {
        let unknown = |name: &&&str| !matches!(**name, "indented" | "go" | "java");
        match parsers.iter().find(unknown) {
            None => Ok(Box::new(Indented::default())),
            Some(unknown) => Err((*unknown).to_owned()),
        }
    }
    fn metrics(&self) -> &Metrics {
        InputHost::metrics(&self.0)
    }
}

#[test]
fn the_hosts_parser_is_applied() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.log");
    append(&file, "7\ntext\n1234\n");
    let path = file.to_str().unwrap();
    let options = [("path", path), ("parser", "digits"), ("offset_key", "at")];
    let settings = Settings::new("t.0", SidecarTail::INFO.options, options).unwrap();
    let mut host = Host(FakeHost::default());
    let mut tail = SidecarTail::init(&settings, &mut host).unwrap();
    let start = std::time::Instant::now();
    while host.0.appended.is_empty() {
        assert!(start.elapsed() < common::DEADLINE);
        tail.collect(Wake::Tick, &mut host);
    }
    let data = &host.0.appended[0].1;
    let records: Vec<_> = event::records(data)
        .map(|record| {
            let record = record.unwrap();
            let body = json::read(data, record.body).unwrap().0;
            (record.time.unwrap().seconds, body.to_string())
        })
        .collect();
    assert_eq!(records.len(), 3);
    assert_eq!(records[0].1, r#"{"number":7,"at":0}"#);
    assert!(records[0].0 > 1234);
    assert_eq!(records[1].1, r#"{"at":2,"log":"text"}"#);
    assert_eq!(records[2], (1234, r#"{"number":1234,"at":7}"#.to_owned()));
    tail.exit();
}

fn start(options: &[(&str, &str)], host: &mut Host) -> Result<SidecarTail, String> {
    let options = options.iter().copied();
    let settings = Settings::new("t.0", SidecarTail::INFO.options, options).unwrap();
    SidecarTail::init(&settings, host).map_err(|error| error.to_string())
}

/// The bodies that come of a file with this text.
fn bodies_of(text: &str, options: &[(&str, &str)]) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.log");
    append(&file, text);
    let mut host = Host(FakeHost::default());
    let options = [&[("path", file.to_str().unwrap())], options].concat();
    let mut tail = start(&options, &mut host).unwrap();
    let lines = text.lines().count();
    turn_until(&mut tail, &mut host, |host| host.0.bodies().len() >= lines);
    tail.exit();
    host.0.bodies().iter().map(ToString::to_string).collect()
}

#[test]
fn with_an_unknown_parser_lines_stay_text() {
    for option in ["parser", "docker_mode_parser"] {
        let options = [
            ("docker_mode", if option == "parser" { "off" } else { "on" }),
            (option, "none"),
        ];
        assert_eq!(bodies_of("7\n", &options), [r#"{"log":"7"}"#], "{option}");
    }
    let options = [("path", "/x"), ("parser", "none")];
    let settings = Settings::new("t.0", SidecarTail::INFO.options, options).unwrap();
    let error = SidecarTail::init(&settings, &mut FakeHost::default()).unwrap_err();
    assert!(error.to_string().contains("does not give"), "{error}");
}

#[test]
fn what_cannot_join_stops_the_start() {
    for (options, part) in [
        (
            vec![("multiline", "on"), ("parser_firstline", "none")],
            "'parser_firstline'",
        ),
        (
            vec![("multiline", "on"), ("multiline.parser", "go")],
            "'parser_firstline'",
        ),
        (
            vec![
                ("multiline", "on"),
                ("parser_firstline", "digits"),
                ("docker_mode", "on"),
                ("multiline.parser", "go"),
            ],
            "'multiline' and 'docker_mode'",
        ),
        (vec![("multiline.parser", "none")], "'multiline.parser'"),
        (
            vec![("multiline.parser", "go"), ("format", "json")],
            "'multiline.parser' and 'format'",
        ),
    ] {
        let options = [vec![("path", "/x")], options].concat();
        let error = start(&options, &mut Host(FakeHost::default())).unwrap_err();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn multiline_parser_wins() {
    let joined = [r#"{"log":"[1]"}"#, r#"{"log":"[2]"}"#];
    for other in [
        vec![("docker_mode", "on"), ("docker_mode_parser", "none")],
        vec![("multiline", "on"), ("parser_firstline", "none")],
        vec![("parser", "digits")],
    ] {
        let options = [vec![("multiline.parser", "indented")], other].concat();
        assert_eq!(bodies_of("[1]\n[2]\n", &options), joined, "{options:?}");
    }
}

fn turn_until(tail: &mut SidecarTail, host: &mut Host, condition: impl Fn(&Host) -> bool) {
    let start = std::time::Instant::now();
    while !condition(host) {
        assert!(start.elapsed() < common::DEADLINE, "{:?}", host.0.bodies());
        tail.collect(Wake::Tick, host);
        std::thread::yield_now();
    }
}

#[test]
fn the_hosts_multiline_parsers_join_lines_per_file() {
    let dir = tempfile::tempdir().unwrap();
    let db = tempfile::tempdir().unwrap();
    let (first, second) = (dir.path().join("1.log"), dir.path().join("2.log"));
    append(&first, "one\n more\n and more\ntwo\n");
    append(&second, "uno\n mas\n");
    let pattern = dir.path().join("*.log");
    let db = db.path().join("db");
    let options = [
        ("path", pattern.to_str().unwrap()),
        ("multiline.parser", "indented"),
        ("key", "text"),
        ("path_key", "file"),
        ("offset_key", "at"),
        ("db", db.to_str().unwrap()),
    ];
    let settings = Settings::new("t.0", SidecarTail::INFO.options, options).unwrap();
    let mut host = Host(FakeHost {
        pending: Some(Pending::default()),
        ..FakeHost::default()
    });
    let mut tail = SidecarTail::init(&settings, &mut host).unwrap();
    turn_until(&mut tail, &mut host, |host| !host.0.appended.is_empty());
    let body = |path: &std::path::Path, at: u64, text: &str| serde_json::json!({"file": path.to_str().unwrap(), "at": at, "text": text});
    assert_eq!(host.0.bodies(), [body(&first, 0, "one\n more\n and more")]);
    // Wait for the state, then stop without letting anything out: the rest is read again.
    let saved = db.with_file_name("db.sidecar");
    turn_until(&mut tail, &mut host, |_| {
        std::fs::read_to_string(&saved).is_ok_and(|text| text.contains(r#""offset":20"#))
    });
    tail.exit();
    append(&first, " really\n");
    let mut host = Host(FakeHost::default());
    let mut tail = SidecarTail::init(&settings, &mut host).unwrap();
    let handle = tail.drain_handle().unwrap();
    handle.request(common::DEADLINE);
    turn_until(&mut tail, &mut host, |_| {
        handle.status().state == flb_sidecar_sdk::drain::DrainState::Drained
    });
    let mut bodies = host.0.bodies();
    bodies.sort_by_key(|body| body["file"].to_string());
    assert_eq!(
        bodies,
        [
            body(&first, 20, "two\n really"),
            body(&second, 0, "uno\n mas")
        ]
    );
    tail.exit();
}

/// Bodies of what comes out of a file with this text when nothing more comes.
fn drained(text: &str, options: &[(&str, &str)]) -> Vec<serde_json::Value> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("1.log");
    append(&file, text);
    let path = ("path", file.to_str().unwrap());
    let options = [&[path], options].concat();
    let settings = Settings::new("t.0", SidecarTail::INFO.options, options).unwrap();
    let mut host = Host(FakeHost::default());
    let mut tail = SidecarTail::init(&settings, &mut host).unwrap();
    let handle = tail.drain_handle().unwrap();
    handle.request(common::DEADLINE);
    turn_until(&mut tail, &mut host, |_| {
        handle.status().state == flb_sidecar_sdk::drain::DrainState::Drained
    });
    tail.exit();
    host.0.bodies()
}

#[test]
fn lines_joined_in_the_older_ways_have_the_offset_of_their_first_line() {
    let multiline = [
        ("multiline", "on"),
        ("parser_firstline", "digits"),
        ("offset_key", "at"),
    ];
    let bodies = drained("lone\n1\n2\nmore\n3\n", &multiline);
    let offsets: Vec<_> = bodies.iter().map(|b| b["at"].as_u64().unwrap()).collect();
    assert_eq!(offsets, [0, 5, 7, 14], "{bodies:?}");
    let docker = [("docker_mode", "on"), ("key", "line"), ("offset_key", "at")];
    let text = "{\"log\":\"a\\n\"}\n{\"log\":\"b\"}\n{\"log\":\"c\\n\"}\nd\n{\"log\":\"e\"}\nf\n";
    let bodies = drained(text, &docker);
    assert_eq!(
        bodies,
        [
            serde_json::json!({"at": 0, "line": "{\"log\":\"a\\n\"}"}),
            serde_json::json!({"at": 14, "line": "{\"log\":\"bc\\n\"}"}),
            serde_json::json!({"at": 40, "line": "d"}),
            serde_json::json!({"at": 42, "line": "{\"log\":\"e\"}"}),
            serde_json::json!({"at": 54, "line": "f"}),
        ]
    );
}

#[test]
fn records_that_come_out_together_have_their_own_offsets() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("1.log");
    append(&file, "one\n more\n[two]\n[three]\nfour\n[five]\n");
    let options = [
        ("path", file.to_str().unwrap()),
        ("multiline.parser", "indented"),
        ("offset_key", "at"),
    ];
    let settings = Settings::new("t.0", SidecarTail::INFO.options, options).unwrap();
    let mut host = Host(FakeHost::default());
    let mut tail = SidecarTail::init(&settings, &mut host).unwrap();
    turn_until(&mut tail, &mut host, |host| !host.0.appended.is_empty());
    let offsets: Vec<u64> = host
        .0
        .bodies()
        .iter()
        .map(|b| b["at"].as_u64().unwrap())
        .collect();
    assert_eq!(offsets, [0, 10, 16, 24, 29]);
    tail.exit();
}

#[test]
fn an_unknown_multiline_parser_stops_the_start() {
    let options = [("path", "/x"), ("multiline.parser", "indented,cobol")];
    let settings = Settings::new("t.0", SidecarTail::INFO.options, options).unwrap();
    for (error, part) in [
        (
            SidecarTail::init(&settings, &mut Host(FakeHost::default())).err(),
            "'cobol'",
        ),
        (
            SidecarTail::init(&settings, &mut FakeHost::default()).err(),
            "no multiline parsers",
        ),
    ] {
        let text = error.unwrap().to_string();
        assert!(
            text.contains("'multiline.parser'") && text.contains(part),
            "{text}"
        );
    }
}

/// Options of the host's own `tail`, each with a value that it takes.
#[test]
fn every_option_of_the_stock_tail_is_taken() {
    let list: serde_json::Value = serde_json::from_str(include_str!("stock_options.json")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    append(&dir.path().join("a.log"), "7\n");
    let place = |value: &serde_json::Value| {
        let text = value.as_str().unwrap();
        text.replace("{dir}", dir.path().to_str().unwrap())
    };
    for option in list["options"].as_array().unwrap() {
        if option["of_the_host"] == true {
            continue;
        }
        let name = option["name"].as_str().unwrap();
        let known = |spec: &flb_sidecar_sdk::OptionSpec| spec.is_named(name);
        assert!(SidecarTail::INFO.options.iter().any(known), "{name}");
        let mut options = vec![(name, place(&option["value"]))];
        let with = option["with"].as_object().into_iter().flatten();
        options.extend(with.map(|(name, value)| (name.as_str(), place(value))));
        if name != "path" {
            options.push(("path", place(&"{dir}/a.log".into())));
        }
        let options = options.iter().map(|(name, value)| (*name, value.as_str()));
        let settings = Settings::new("t.0", SidecarTail::INFO.options, options)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut host = Host(FakeHost {
            pending: Some(Pending::default()),
            ..FakeHost::default()
        });
        let mut tail = SidecarTail::init(&settings, &mut host)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let handle = tail.drain_handle().unwrap();
        handle.request(common::DEADLINE);
        turn_until(&mut tail, &mut host, |_| {
            handle.status().state == flb_sidecar_sdk::drain::DrainState::Drained
        });
        assert_eq!(host.0.bodies().len(), 1, "{name}");
        tail.exit();
    }
}
