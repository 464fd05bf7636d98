//! Golden cases: `tests/cases/pii_redact/*.json` at the repository root.

mod common;

use std::path::Path;

use common::{batch, bodies, Bench};
use serde_json::Value as Json;

fn options(case: &Json, dir: &str) -> Vec<(String, String)> {
    let text = |v: &Json| {
        let text = v.as_str().map_or_else(|| v.to_string(), str::to_owned);
        text.replace("{dir}", dir)
    };
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

fn run(name: &str, case: &Json) {
    let dir = tempfile::tempdir().unwrap();
    for (file, text) in case["files"].as_object().into_iter().flatten() {
        std::fs::write(dir.path().join(file), text.as_str().unwrap()).unwrap();
    }
    for (variable, value) in case["environment"].as_object().into_iter().flatten() {
        std::env::set_var(variable, value.as_str().unwrap());
    }
    let filter = Bench::try_new(options(case, dir.path().to_str().unwrap()));
    if let Some(part) = case["expect_error"].as_str() {
        let text = filter.err().map(|e| e.to_string()).unwrap_or_default();
        assert!(text.contains(part), "{name}: error is {text:?}");
        return;
    }
    let mut filter = filter.unwrap_or_else(|e| panic!("{name}: {e}"));
    let data = match case["chunk_hex"].as_str() {
        Some(raw) => hex(raw),
        None => batch(case["records"].as_array().expect("a case has records")),
    };
    let out = filter.run(&data);
    if case["expect_unchanged"] == Json::Bool(true) {
        assert!(out.is_none(), "{name}: {:?}", out.map(|out| bodies(&out)));
        return;
    }
    let out = out.unwrap_or(data);
    if let Some(raw) = case["expect_hex"].as_str() {
        assert_eq!(out, hex(raw), "{name}");
        return;
    }
    let expected = case["expect"]
        .as_array()
        .expect("a case has an expectation");
    assert_eq!(
        serde_json::to_string(&bodies(&out)).unwrap(),
        serde_json::to_string(expected).unwrap(),
        "{name}"
    );
    assert!(
        filter.run(&out).is_none(),
        "{name}: a second pass changes the result"
    );
}

#[test]
fn golden_cases() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases/pii_redact");
    let mut wrong = Vec::new();
    let mut ran = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let file: Json = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        for case in file["cases"].as_array().unwrap() {
            let file = path.file_name().unwrap().to_string_lossy();
            let name = format!("{file}: {}", case["name"].as_str().unwrap());
            if std::panic::catch_unwind(|| run(&name, case)).is_err() {
                wrong.push(name);
            }
            ran += 1;
        }
    }
    assert!(ran > 0, "no case was found");
    assert!(wrong.is_empty(), "{wrong:#?}");
}
