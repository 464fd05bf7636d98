//! `rules_file`: rules in the form of gitleaks, through the filter.

mod common;

use std::io::Write as _;

use common::{batch, bodies, Bench};
use serde_json::json;
use tempfile::NamedTempFile;

const FILE: &str = r#"
[[rules]]
id = "Shop-Key"
regex = '''(?i)\bshop_([a-z0-9]{12})\b'''
entropy = 2.5
keywords = ["shop_"]

[[rules]]
id = "till"
regex = '''(?i)till_pin["']?\s*[:=]\s*["']?([0-9]{4})\b'''
keywords = ["till_pin"]
[[rules.allowlists]]
stopwords = ["0000"]

[[rules]]
id = "email"
regex = '''badge:\w+'''
keywords = ["badge:"]
"#;

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("a temporary file");
    file.write_all(text.as_bytes()).expect("it takes text");
    file
}

fn bench(options: &[(&str, &str)]) -> Bench {
    let file = file(FILE);
    let path = file.path().to_str().expect("a plain path").to_owned();
    let mut all = vec![("rules_file", path.as_str())];
    all.extend_from_slice(options);
    Bench::new(&all)
}

#[test]
fn secrets_are_redacted_and_the_rest_stays() {
    let mut bench = bench(&[]);
    for (text, expected) in [
        ("use SHOP_a1b2c3d4e5f6 now", "use SHOP_[SHOP-KEY] now"),
        ("use shop_aaaaaaaaaaaa now", "use shop_aaaaaaaaaaaa now"),
        ("till_pin: 4711", "till_pin: [TILL]"),
        ("till_pin: 0000", "till_pin: 0000"),
        ("badge:b7", "[FILE_EMAIL]"),
        ("a line of no interest", "a line of no interest"),
        ("bob@example.com has badge:b7", "[EMAIL] has [FILE_EMAIL]"),
        (r#"{"a":"shop_a1b2c3d4e5f6"}"#, r#"{"a":"shop_[SHOP-KEY]"}"#),
        (
            r#"{"till_pin":"4711","b":1}"#,
            r#"{"till_pin":"[TILL]","b":1}"#,
        ),
        (
            r#"{"a":"x\ttill_pin=4711"}"#,
            r#"{"a":"x\ttill_pin=[TILL]"}"#,
        ),
    ] {
        let found = bench.text(text);
        assert_eq!(found, expected);
        assert_eq!(bench.text(&found), found, "once more");
    }
    assert!(bench.count("matched_total", "shop-key") >= 2);
    assert!(bench.count("rejected_total", "shop-key") >= 1);
    assert!(bench.count("acted_total", "till") >= 3);
}

#[test]
fn only_records_with_a_match_change_wherever_it_is() {
    let mut bench = bench(&[]);
    let records: Vec<_> = (0..50)
        .map(|n| json!({"n": n, "list": [{"inner": if n % 7 == 0 { "shop_a1b2c3d4e5f6" } else { "shop_" }}], "log": "plain"}))
        .collect();
    let out = bench.run(&batch(&records)).expect("changed");
    for (n, body) in bodies(&out).iter().enumerate() {
        let expected = if n % 7 == 0 {
            "shop_[SHOP-KEY]"
        } else {
            "shop_"
        };
        assert_eq!(body["list"][0]["inner"], expected, "{n}");
    }
    assert_eq!(bench.run(&out), None);
}

#[test]
fn actions_work_as_for_any_rule() {
    let mut with = bench(&[("action_shop-key", "keep_last:2"), ("action_till", "tag")]);
    assert_eq!(with.text("shop_a1b2c3d4e5f6"), "shop_**********f6");
    assert_eq!(with.text("till_pin=4711"), "till_pin=4711");
    assert_eq!(with.count("acted_total", "till"), 1);
    let mut shadow = bench(&[("shadow", "on")]);
    assert_eq!(shadow.text("till_pin=4711"), "till_pin=4711");
    assert_eq!(shadow.count("matched_total", "till"), 1);
}

#[test]
fn a_wrong_file_stops_the_start_with_its_name_and_what_is_wrong() {
    let broken = file("[[rules]]\nid = \"one\"\nregex = \"(\"\n");
    let path = broken.path().to_str().expect("a plain path");
    for (path, parts) in [
        (path, ["rules_file", path, "rule 'one'", "regex"]),
        (
            "/nowhere/rules.toml",
            ["rules_file", "/nowhere/rules.toml", "readable", "4 MiB"],
        ),
        (
            "/dev/zero",
            ["rules_file", "/dev/zero", "readable", "regular file"],
        ),
    ] {
        let error = Bench::try_new([("rules_file", path)])
            .map(|_| ())
            .expect_err("refused");
        let error = error.to_string();
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    }
    let mut bench = Bench::new(&[("rules_file", "")]);
    assert_eq!(bench.text("shop_a1b2c3d4e5f6"), "shop_a1b2c3d4e5f6");
}
