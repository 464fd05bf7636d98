//! Golden cases: `tests/cases/pii_redact/*.json` at the repository root.

use std::path::Path;

use filter_pii_redact::PiiRedact;
use flb_sidecar_sdk::event::{self, RecordFormat, Timestamp};
use flb_sidecar_sdk::fake::FakeHost;
use flb_sidecar_sdk::{json, Chunk, Filter, Settings, Verdict};
use serde_json::Value as Json;

fn options(case: &Json) -> Vec<(String, String)> {
    let text = |v: &Json| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
    let mut entries = Vec::new();
    for (key, value) in case["options"].as_object().into_iter().flatten() {
        match value {
            Json::Array(values) => entries.extend(values.iter().map(|v| (key.clone(), text(v)))),
            value => entries.push((key.clone(), text(value))),
        }
    }
    entries
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn chunk(case: &Json) -> Vec<u8> {
    if let Some(raw) = case["chunk_hex"].as_str() {
        return hex(raw);
    }
    let mut data = Vec::new();
    for body in case["records"].as_array().expect("a case has records") {
        let time = Timestamp {
            seconds: 1_700_000_000,
            nanos: 1,
        };
        event::begin_record(&mut data, RecordFormat::WithMetadata, time);
        json::write(&mut data, body);
    }
    data
}

fn run(name: &str, case: &Json) {
    let mut host = FakeHost::default();
    let settings = Settings::new("pii_redact.0", PiiRedact::INFO.options, options(case));
    let filter = settings.and_then(|s| PiiRedact::init(&s, &mut host));
    if let Some(part) = case["expect_error"].as_str() {
        let text = filter.err().map(|e| e.to_string()).unwrap_or_default();
        assert!(text.contains(part), "{name}: error is {text:?}");
        return;
    }
    let mut filter = filter.unwrap_or_else(|e| panic!("{name}: {e}"));
    let data = chunk(case);
    let mut out = Vec::new();
    let verdict = filter.filter(
        Chunk {
            data: &data,
            tag: b"t",
        },
        &mut out,
    );
    if case["expect_unchanged"] == Json::Bool(true) {
        assert_eq!(verdict, Verdict::Unchanged, "{name}");
        return;
    }
    if verdict == Verdict::Unchanged {
        out = data;
    }
    if let Some(raw) = case["expect_hex"].as_str() {
        assert_eq!(out, hex(raw), "{name}");
        return;
    }
    let bodies: Vec<Json> = event::records(&out)
        .map(|r| {
            json::read(&out, r.expect("whole records").body)
                .expect("valid msgpack")
                .0
        })
        .collect();
    let expected = case["expect"]
        .as_array()
        .expect("a case has an expectation");
    assert_eq!(
        serde_json::to_string(&bodies).unwrap(),
        serde_json::to_string(expected).unwrap(),
        "{name}"
    );
}

#[test]
fn golden_cases() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases/pii_redact");
    let mut ran = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let file: Json = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        for case in file["cases"].as_array().unwrap() {
            let name = format!("{}: {}", path.display(), case["name"].as_str().unwrap());
            run(&name, case);
            ran += 1;
        }
    }
    assert!(ran > 0, "no case was found");
}
