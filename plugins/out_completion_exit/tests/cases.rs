//! The golden cases of `tests/cases/completion_exit`, with a fake host.
//!
//! Besides the keys that all plugins share, a case has `host` (what the host still holds:
//! `chunks`, `tasks`, `dropped`, `gave_up`, `unread_bytes`) and `expect_status`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use flb_sidecar_sdk::drain::{DrainState, DrainStatus};
use flb_sidecar_sdk::fake::FakeHost;
use flb_sidecar_sdk::{ConfigError, InputInfo, Output, OutputInfo, Pending, Settings};
use out_completion_exit::CompletionExit;
use serde_json::Value;

fn count(value: &Value) -> usize {
    value
        .as_u64()
        .map_or(0, |n| usize::try_from(n).expect("a small number"))
}

fn host(case: &Value) -> FakeHost {
    let told = &case["host"];
    let (chunks, tasks) = (count(&told["chunks"]), count(&told["tasks"]));
    FakeHost {
        tasks: Some(tasks),
        inputs: vec![InputInfo {
            name: "sidecar_tail.0".to_owned(),
            plugin: "sidecar_tail".to_owned(),
            pending: Some(Pending { chunks, tasks }),
            drain: Some(DrainStatus {
                state: if told["gave_up"] == true {
                    DrainState::GaveUp
                } else {
                    DrainState::Drained
                },
                unread_bytes: told["unread_bytes"].as_u64().unwrap_or(0),
                ..DrainStatus::default()
            }),
            ..InputInfo::default()
        }],
        outputs: vec![OutputInfo {
            dropped_records: told["dropped"].as_u64(),
            ..OutputInfo::default()
        }],
        ..FakeHost::default()
    }
}

fn options(case: &Value, dir: &Path) -> Vec<(String, String)> {
    let mut entries = Vec::new();
    for (key, value) in case["options"].as_object().expect("a case has options") {
        let values = match value {
            Value::Array(values) => values.clone(),
            value => vec![value.clone()],
        };
        for value in values {
            let text = value.as_str().expect("an option is a text");
            entries.push((
                key.clone(),
                text.replace("{dir}", &dir.display().to_string()),
            ));
        }
    }
    entries
}

fn start(case: &Value, dir: &Path, host: &mut FakeHost) -> Result<CompletionExit, ConfigError> {
    let settings = Settings::new(
        "completion_exit.0",
        CompletionExit::INFO.options,
        options(case, dir),
    )?;
    CompletionExit::init(&settings, host)
}

/// What is wrong with the outcome, if anything.
fn run(case: &Value) -> Option<String> {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for (name, content) in case["files"].as_object().into_iter().flatten() {
        let content = content.as_str().expect("a file is a text");
        fs::write(dir.path().join(name), content).expect("a file is written");
    }
    let mut host = host(case);
    let mut plugin = match (
        start(case, dir.path(), &mut host),
        case["expect_error"].as_str(),
    ) {
        (Ok(plugin), None) => plugin,
        (Err(error), Some(expected)) if error.to_string().contains(expected) => return None,
        (Err(error), _) => return Some(format!("fails with: {error}")),
        (Ok(_), Some(expected)) => return Some(format!("does not fail with: {expected}")),
    };
    let begin = Instant::now();
    while host.exits.is_empty() && begin.elapsed() < Duration::from_secs(20) {
        plugin.tick(&mut host);
        std::thread::sleep(Duration::from_millis(5));
    }
    plugin.tick(&mut host);
    plugin.exit();
    let expected = case["expect_status"]
        .as_i64()
        .expect("a case expects a status");
    let exits: Vec<i64> = host.exits.iter().copied().map(i64::from).collect();
    (exits != [expected]).then(|| format!("exits with {exits:?} instead of {expected}"))
}

#[test]
fn every_case_ends_as_expected() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases/completion_exit");
    let files: Vec<PathBuf> = fs::read_dir(folder)
        .expect("the folder of cases")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for file in &files {
        let text = fs::read_to_string(file).expect("a file of cases");
        let json: Value = serde_json::from_str(&text).expect("cases are JSON");
        for case in json["cases"].as_array().expect("a file has cases") {
            seen += 1;
            if let Some(problem) = run(case) {
                wrong.push(format!("{}: {problem}", case["name"]));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 20, "only {seen} cases");
}
