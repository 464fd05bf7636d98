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

fn with(rules: &str) -> Bench {
    let file = file(rules);
    let path = file.path().to_str().expect("a plain path");
    Bench::new(&[("rules_file", path), ("time_budget", "0")])
}

/// What others report of their rule engines: a window behind the keyword that the secret is not in, or is
/// longer than (trufflesecurity/trufflehog issue 2949, pull requests 2812 and 2953), only the first of
/// several occurrences (trufflehog issue 4535), rules that share a keyword (aquasecurity/trivy pull
/// request 11179).
#[test]
fn a_secret_is_found_wherever_its_keyword_is_and_however_long_it_is() {
    let mut bench = with(
        r"
[[rules]]
id = 'ledger'
regex = '''\b[0-9a-f]{32}\b'''
keywords = ['ledger']
[[rules]]
id = 'pass'
regex = '''\bqj[A-Za-z0-9]{17,}\.qj[A-Za-z0-9_-]{17,}'''
keywords = ['qj']
[[rules]]
id = 'one'
regex = '''ork-[a-z]{6}-[0-9]{20}'''
keywords = ['ork-']
[[rules]]
id = 'two'
regex = '''ork-[0-9]{6}-[a-z]{20}'''
keywords = ['ork-']
",
    );
    let hex = "0123456789abcdef0123456789abcdef";
    let far = ". ".repeat(3000);
    let long = format!("qj{}.qj{}", "A1".repeat(40), "b2".repeat(3000));
    for (text, expected) in [
        (
            format!("{hex} of the ledger"),
            "[LEDGER] of the ledger".to_owned(),
        ),
        (
            format!("{hex} {far} LEDGER"),
            format!("[LEDGER] {far} LEDGER"),
        ),
        (
            format!("ledger {far} {hex}"),
            format!("ledger {far} [LEDGER]"),
        ),
        (format!("a {long} b"), "a [PASS] b".to_owned()),
        (
            format!("ledger: {hex}, {hex}\n{hex}"),
            "ledger: [LEDGER], [LEDGER]\n[LEDGER]".to_owned(),
        ),
        (
            "ork-abcdef-01234567890123456789 ork-012345-abcdefghijabcdefghij".to_owned(),
            "[ONE] [TWO]".to_owned(),
        ),
    ] {
        assert_eq!(bench.text(&text), expected);
    }
}

/// A keyword anywhere in a large file switches a rule on for all of it (gitleaks/gitleaks issue 1746): here
/// that is one string, not the record or the batch.
#[test]
fn a_keyword_counts_in_its_own_string_only() {
    let mut bench = with("[[rules]]\nid = 'desk'\nregex = '''\\b[0-9a-f]{8}-[0-9a-f]{8}\\b'''\nkeywords = ['desk']\n");
    let id = "000026e0-0135aa49";
    let records = [
        json!({ "log": format!("author:{id}"), "by": "desk" }),
        json!({ "log": format!("desk author:{id}") }),
        json!({ "log": format!("author:{id}"), "desk": 1 }),
    ];
    let out = bench.run(&batch(&records)).expect("changed");
    let logs: Vec<_> = bodies(&out)
        .iter()
        .map(|body| body["log"].clone())
        .collect();
    assert_eq!(
        logs,
        [
            format!("author:{id}"),
            "desk author:[DESK]".to_owned(),
            format!("author:{id}")
        ]
    );
}

/// Stop words that hide a secret because its name has one, and lists that look at the match where the secret
/// is meant (gitleaks issues 816 and 1151, pull request 839).
#[test]
fn stop_words_are_about_the_secret_not_about_its_name() {
    let mut bench = with(
        r#"
[[rules]]
id = "vault"
regex = '''(?i)(?:vault|shelf)[\w.-]{0,20}\s*[:=]\s*"?([a-z0-9/]{12,40})'''
keywords = ["vault", "shelf"]
[[rules.allowlists]]
stopwords = ["shelf"]
[[rules.allowlists]]
regexes = ['''(?i)_demo''']
regexTarget = "match"
"#,
    );
    for (text, expected) in [
        ("shelf_id: a1b2c3d4e5f6g7", "shelf_id: [VAULT]"),
        ("vault_id: a1b2shelf5f6g7", "vault_id: a1b2shelf5f6g7"),
        ("vault_demo: a1b2c3d4e5f6g7", "vault_demo: a1b2c3d4e5f6g7"),
        ("vault_id: a1b2c3d4demo", "vault_id: [VAULT]"),
    ] {
        assert_eq!(bench.text(text), expected);
    }
}

/// Without any keyword there is no automaton of keywords to ask (gitleaks pull request 2022).
#[test]
fn rules_without_any_keyword_work() {
    let mut bench = with("[[rules]]\nid = 'a'\nregex = 'zq[0-9]{20}'\n[[rules]]\nid = 'b'\nregex = '[0-9]{2}z[0-9]'\n");
    assert_eq!(bench.text("x 12z3"), "x [B]");
    assert_eq!(bench.text("zq01234567890123456789"), "[A]");
    let mut bench = with("[[rules]]\nid = 'a'\nregex = 'zq[0-9]{20}'\n");
    assert_eq!(bench.text("zq01234567890123456789"), "[A]");
    assert_eq!(bench.text("12z3"), "12z3");
}

/// An expression of bounded lazy parts that took minutes for 4 KiB elsewhere (gitleaks issue 1843,
/// oxsecurity/megalinter issue 5283), and names again and again without a value: no record ends for it.
#[test]
fn what_looks_like_a_match_for_long_is_looked_at_to_its_end() {
    let rules = r#"
[[rules]]
id = "manifest"
regex = '''(?i)\btype:[ \t]*["']?\bhidden\b["']?(?:.|\s){0,200}?\bbody:(?:.|\s){0,100}?\s+([\w.-]+:[ \t]*["']?[a-z0-9+/]{10,}={0,3}["']?)'''
keywords = ["hidden"]
[[rules]]
id = "named"
regex = '''(?i)[\w.-]{0,50}?(?:hidden|peg)(?:[ \t\w.-]{0,20})[\s'"]{0,3}(?:=|>|:{1,3}=|:|,)[\x60'"\s=]{0,5}([\w.=-]{10,150})(?:[\x60'"\s;]|$)'''
keywords = ["hidden", "peg"]
[[rules]]
id = "far"
regex = '''\bfetch\b.{0,500}--user[ =]([a-z]{3,}:[a-z]{3,})'''
keywords = ["fetch"]
"#;
    let value = "abcdefghij0123456789";
    for (piece, secret) in [
        ("type: hidden body: ", "x: abcdefghijkl"),
        ("peg ", "peg: abcdefghijkl"),
        ("peg:peg=\"", "peg: abcdefghijkl"),
        ("peg=abcdefghij(", "peg: abcdefghijkl"),
        ("fetch ", "fetch --user=abc:def"),
        ("type:\n", "type: hidden\nbody:\n x: abcdefghijkl"),
    ] {
        let mut bench = with(rules);
        let noise = piece.repeat(4096 / piece.len());
        let records = vec![json!({ "log": format!("{noise}\n{secret} {value}") }); 50];
        let out = bench.run(&batch(&records)).expect("changed");
        for body in bodies(&out) {
            let log = body["log"].as_str().expect("text");
            assert!(log.contains('[') && log.ends_with(value), "{piece}: {log}");
        }
        assert_eq!(bench.count("late_records_total", ""), 0, "{piece}");
    }
}
