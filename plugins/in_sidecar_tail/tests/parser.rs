//! The option `parser`, with a host that has one.

mod common;

use common::append;
use flb_sidecar_sdk::event::{RecordFormat, Timestamp};
use flb_sidecar_sdk::fake::FakeHost;
use flb_sidecar_sdk::metrics::Metrics;
use flb_sidecar_sdk::{
    event, json, msgpack, Input, InputHost, ParsedTime, Parser, Parsers, Pending, Refused,
    Settings, Wake,
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
    fn pending(&self) -> Option<Pending> {
        None
    }
    fn parsers(&self) -> Option<Box<dyn Parsers>> {
        Some(Box::new(Known))
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

#[test]
fn an_unknown_parser_stops_the_start() {
    let options = [("path", "/x"), ("parser", "none")];
    let settings = Settings::new("t.0", SidecarTail::INFO.options, options).unwrap();
    for (error, part) in [
        (
            SidecarTail::init(&settings, &mut Host(FakeHost::default())).err(),
            "parsers file",
        ),
        (
            SidecarTail::init(&settings, &mut FakeHost::default()).err(),
            "does not give",
        ),
    ] {
        let text = error.unwrap().to_string();
        assert!(text.contains("'parser'") && text.contains(part), "{text}");
    }
}
