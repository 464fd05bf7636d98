//! The table of examples, one entry per detector: what it finds, and what it does not.

mod common;

use std::collections::BTreeMap;

use common::Bench;
use serde::Deserialize;

#[derive(Deserialize)]
struct Examples {
    /// Text, and what becomes of it.
    valid: Vec<(String, String)>,
    /// Text that stays.
    invalid: Vec<String>,
}

/// Tokens in the table are broken by a bar, so that secret scanners leave the file alone.
fn joined(text: &str) -> String {
    text.replace('\u{a6}', "")
}

fn table() -> BTreeMap<String, Examples> {
    serde_json::from_str(include_str!("detectors.json")).expect("the table is valid JSON")
}

#[test]
fn every_detector_finds_its_valid_examples_and_leaves_the_invalid_ones() {
    let mut wrong = Vec::new();
    for (name, examples) in table() {
        let mut bench = Bench::new(&[("preset", "none"), ("enable", &name)]);
        let invalid = examples.invalid.iter().map(|text| (text, joined(text)));
        let valid = examples.valid.iter().map(|(text, new)| (text, new.clone()));
        for (text, expected) in valid.chain(invalid) {
            let got = bench.text(&joined(text));
            if got != expected {
                wrong.push(format!(
                    "{name}: {text}\n  is       {got}\n  expected {expected}"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn with_all_detectors_on_every_valid_example_still_loses_its_value() {
    let mut bench = Bench::new(&[("preset", "all")]);
    for (name, examples) in table() {
        for (text, _) in &examples.valid {
            let text = joined(text);
            assert_ne!(bench.text(&text), text, "{name}");
        }
    }
}

#[test]
fn every_detector_of_the_readme_has_examples() {
    let table = table();
    let readme = include_str!("../README.md");
    let section = readme
        .split("## Detectors")
        .nth(1)
        .and_then(|s| s.split("## Actions").next());
    let mut rows = 0;
    for line in section
        .unwrap_or_default()
        .lines()
        .filter(|l| l.starts_with("| `"))
    {
        let name = line.split('`').nth(1).unwrap_or_default();
        let examples = table
            .get(name)
            .unwrap_or_else(|| panic!("no examples for {name}"));
        assert!(
            examples.valid.len() >= 2 && examples.invalid.len() >= 3,
            "{name}"
        );
        rows += 1;
    }
    assert_eq!(rows, table.len());
}

#[test]
fn a_second_pass_over_what_was_found_changes_nothing() {
    for action in [
        "placeholder",
        "mask",
        "keep:2:3",
        "keep_last:4",
        "keep_first:6",
        "truncate",
    ] {
        let mut bench = Bench::new(&[("preset", "all"), ("action", action)]);
        for examples in table().values() {
            for (text, _) in &examples.valid {
                let once = bench.text(&joined(text));
                assert_eq!(bench.text(&once), once, "{action}: {text}");
            }
        }
    }
}
