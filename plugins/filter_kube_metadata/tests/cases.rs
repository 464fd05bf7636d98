//! Golden cases of `tests/cases/kube_metadata`, run on the plugin without a host.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use filter_kube_metadata::{Environment, KubeMetadata};
use flb_sidecar_sdk::event::{begin_record, records, RecordFormat, Timestamp};
use flb_sidecar_sdk::fake::FakeHost;
use flb_sidecar_sdk::{json, Chunk, Filter, Settings, Verdict};
use serde_json::Value;

struct CaseEnvironment(HashMap<String, String>);

impl Environment for CaseEnvironment {
    fn variable(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned().filter(|value| !value.is_empty())
    }

    fn file(&self, path: &Path) -> io::Result<Vec<u8>> {
        if path.starts_with("/proc") {
            return Err(io::ErrorKind::NotFound.into());
        }
        std::fs::read(path)
    }
}

fn run(case: &Value) {
    let name = case["name"].as_str().expect("a case has a name");
    let dir = tempfile::tempdir().unwrap();
    let place = |text: &str| text.replace("{dir}", dir.path().to_str().unwrap());
    for (file, text) in case["files"].as_object().into_iter().flatten() {
        std::fs::write(dir.path().join(file), text.as_str().unwrap()).unwrap();
    }
    let mut options = Vec::new();
    for (key, value) in case["options"].as_object().into_iter().flatten() {
        match value {
            Value::Array(values) => options.extend(
                values
                    .iter()
                    .map(|v| (key.clone(), place(v.as_str().unwrap()))),
            ),
            value => options.push((key.clone(), place(value.as_str().unwrap()))),
        }
    }
    let env = CaseEnvironment(
        case["environment"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(k, v)| (k.clone(), place(v.as_str().unwrap())))
            .collect(),
    );
    let mut host = FakeHost::default();
    let filter = Settings::new("case", KubeMetadata::INFO.options, options)
        .and_then(|settings| KubeMetadata::with_environment(&settings, &mut host, &env));
    let mut filter = match (filter, case["expect_error"].as_str()) {
        (Ok(filter), None) => filter,
        (Err(error), Some(expected)) => {
            assert!(error.to_string().contains(expected), "{name}: {error}");
            return;
        }
        (Ok(_), Some(expected)) => panic!("{name}: no error, expected: {expected}"),
        (Err(error), None) => panic!("{name}: {error}"),
    };

    let mut chunk = Vec::new();
    if let Some(hex) = case["chunk_hex"].as_str() {
        chunk = unhex(hex);
    }
    for (index, record) in case["records"].as_array().into_iter().flatten().enumerate() {
        let time = Timestamp {
            seconds: 1_700_000_000 + index as u32,
            nanos: 5,
        };
        begin_record(&mut chunk, RecordFormat::WithMetadata, time);
        json::write(&mut chunk, record);
    }
    let tag = case["tag"].as_str().unwrap_or("app");
    let mut out = Vec::new();
    let input = Chunk {
        data: &chunk,
        tag: tag.as_bytes(),
    };
    let verdict = filter.filter(input, &mut out);
    filter.exit();
    if case["expect_unchanged"] == Value::Bool(true) {
        assert_eq!(verdict, Verdict::Unchanged, "{name}");
        return;
    }
    let result = match verdict {
        Verdict::Unchanged => &chunk,
        Verdict::Replaced => &out,
    };
    if let Some(hex) = case["expect_hex"].as_str() {
        assert_eq!(result, &unhex(hex), "{name}");
        return;
    }
    let bodies: Vec<String> = records(result)
        .map(|r| {
            json::read(result, r.expect("whole records").body)
                .unwrap()
                .0
                .to_string()
        })
        .collect();
    let expected: Vec<String> = case["expect"]
        .as_array()
        .expect("a case expects something")
        .iter()
        .map(|v| place(&v.to_string()))
        .collect();
    assert_eq!(bodies, expected, "{name}");
}

fn unhex(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().filter_map(|c| c.to_digit(16)).collect();
    digits.chunks(2).map(|d| (d[0] * 16 + d[1]) as u8).collect()
}

#[test]
fn golden_cases() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases/kube_metadata");
    let mut count = 0;
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let json: Value =
            serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        for case in json["cases"].as_array().unwrap() {
            run(case);
            count += 1;
        }
    }
    assert!(count > 0);
}
