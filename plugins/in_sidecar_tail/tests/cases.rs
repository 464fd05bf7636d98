//! The golden cases of `tests/cases/sidecar_tail`: files in, records out.

mod common;

use std::fs;
use std::path::Path;

use common::Rig;
use flb_sidecar_sdk::fake::FakeHost;
use serde_json::Value;

/// Every `{dir}` inside strings becomes `dir`.
fn in_folder(value: &Value, dir: &str) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace("{dir}", dir)),
        Value::Array(items) => items.iter().map(|v| in_folder(v, dir)).collect(),
        Value::Object(map) => map
            .iter()
            .map(|(k, v)| (k.clone(), in_folder(v, dir)))
            .collect(),
        other => other.clone(),
    }
}

fn text<'a>(value: &'a Value, what: &str) -> &'a str {
    value.as_str().unwrap_or_else(|| panic!("{what}: {value}"))
}

fn unhex(digits: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(byte).collect()
}

fn run(case: &Value) {
    let folder = tempfile::tempdir().unwrap();
    let dir = text(&Value::from(folder.path().to_str().unwrap()), "folder").to_owned();
    let case = in_folder(case, &dir);
    let name = text(&case["name"], "name");
    for (file, content) in case["files"].as_object().into_iter().flatten() {
        let content = match content["hex"].as_str() {
            Some(digits) => unhex(digits),
            None => text(content, "file").into(),
        };
        fs::write(folder.path().join(file), content).unwrap();
    }
    let mut options = Vec::new();
    for (key, value) in case["options"].as_object().into_iter().flatten() {
        match value {
            Value::Array(values) => {
                options.extend(values.iter().map(|v| (key.as_str(), text(v, "option"))));
            }
            value => options.push((key.as_str(), text(value, "option"))),
        }
    }
    let started = Rig::try_start(&options, FakeHost::default());
    if let Some(part) = case.get("expect_error") {
        let error = started.err().expect(name).to_string();
        assert!(
            error.contains(text(part, "expect_error")),
            "{name}: {error}"
        );
        return;
    }
    let mut rig = started.unwrap_or_else(|error| panic!("{name}: {error}"));
    rig.drain();
    let expect = case["expect"].as_array().expect("a case expects something");
    let bodies = rig.host.bodies();
    assert_eq!(&bodies, expect, "{name}");
    // Equality of objects ignores the order of keys, but the order is part of a record.
    assert_eq!(
        serde_json::to_string(&bodies).unwrap(),
        serde_json::to_string(expect).unwrap(),
        "{name}"
    );
}

#[test]
fn golden_cases() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases/sidecar_tail");
    let mut cases = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let file: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for case in file["cases"].as_array().expect("cases") {
            run(case);
            cases += 1;
        }
    }
    assert!(cases > 0, "there are cases");
}
