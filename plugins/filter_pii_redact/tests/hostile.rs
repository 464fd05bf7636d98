//! Records that are made to do harm: nested without end.

mod common;

use common::{batch, bodies, record, Bench};
use flb_sidecar_sdk::{event, msgpack};
use serde_json::json;

const MAIL: &str = "user@example.com";

/// `inner` in so many arrays.
fn nested(levels: usize, inner: &str) -> String {
    format!("{}{inner}{}", "[".repeat(levels), "]".repeat(levels))
}

/// A record whose field `d` is `text` in so many arrays of the record itself.
fn deep_record(levels: usize, text: &str) -> Vec<u8> {
    record(|data| {
        msgpack::write_map_len(data, 1);
        msgpack::write_str(data, "d");
        data.extend(std::iter::repeat_n(0x91, levels));
        msgpack::write_str(data, text);
    })
}

/// What a text may begin with, and what is found in it.
const STARTS: &[&str] = &[
    "2026-05-12T08:15:42Z INFO ",
    "7 ",
    "12345678Z ",
    "4012888888881881 ",
    "4567890 ",
    "1.2.3.4 ",
    "A1 ",
    "Z ",
    "x ",
    "=x ",
    ": abcdefgh12 ",
    " secret12 ",
    ">hunter22 ",
    "-a ",
    "-BEGIN ",
    "@b.co ",
    "~abc ",
    "_1234 ",
    "%40 ",
    "\"\"a ",
    "\\n ",
    "=40x.org ",
    "+1234567 ",
    "é ",
    "\u{a0}1 ",
];

#[test]
fn the_length_of_a_text_may_look_like_anything() {
    let mut gated = Bench::new(&[("preset", "all")]);
    // With a rule of the user every text is looked at by itself.
    let mut every = Bench::new(&[("preset", "all"), ("rule", "never /\\z./")]);
    for start in STARTS {
        let mut lens: Vec<usize> = (start.len()..256).collect();
        // The header of a longer one has two bytes of length.
        for high in *b"A1 -" {
            lens.extend(b"A1 -\x80".map(|low| usize::from(high) << 8 | usize::from(low)));
        }
        for len in lens.into_iter().filter(|len| *len >= 16) {
            let text = format!("{start}{}", "~".repeat(len - start.len()));
            let data = batch(&[json!({ "log": text })]);
            let [some, all] = [&mut gated, &mut every].map(|bench| bench.run(&data));
            assert!(some == all, "{start:?} in {len} bytes");
        }
    }
}

#[test]
fn json_in_text_is_redacted_however_deep() {
    let mut bench = Bench::new(&[]);
    for levels in [1, 63, 64, 65, 127, 128, 129, 1000, 60_000] {
        for (inner, expected) in [
            (r#""user@example.com""#, r#""[EMAIL]""#),
            (r#"{"a":"user@example.com"}"#, r#"{"a":"[EMAIL]"}"#),
            (
                r#"{"password":"hunter2!x"}"#,
                r#"{"password":"[PASSWORD]"}"#,
            ),
        ] {
            let found = bench.text(&nested(levels, inner));
            assert!(
                found == nested(levels, expected),
                "{levels} levels of {inner}"
            );
        }
    }
    assert!(bench.count("deep_values_total", "") > 0);
}

#[test]
fn objects_nest_as_arrays_do() {
    let mut bench = Bench::new(&[]);
    let text = |inner: &str| format!("{}{inner}{}", r#"{"a":"#.repeat(30_000), "}".repeat(30_000));
    let found = bench.text(&text(r#""user@example.com""#));
    assert!(found == text(r#""[EMAIL]""#));
}

#[test]
fn brackets_that_never_close_are_text() {
    let mut bench = Bench::new(&[]);
    for open in ["[", r#"{"a":"#, r#"{"a":["#] {
        let found = bench.text(&format!("{}{MAIL}", open.repeat(60_000)));
        assert!(
            found.ends_with("[EMAIL]") && !found.contains(MAIL),
            "{open}"
        );
    }
}

#[test]
fn json_in_json_in_json_is_deep_in_each() {
    let mut bench = Bench::new(&[]);
    let mut text = format!("\"{MAIL}\"");
    for _ in 0..4 {
        text = json!(nested(200, &text)).to_string();
    }
    let found = bench.text(&nested(200, &text));
    assert!(!found.contains(MAIL) && found.contains("[EMAIL]"));
}

#[test]
fn a_deep_record_is_redacted_and_so_is_what_stands_behind_it() {
    for levels in [10, 62, 63, 64, 65, 128, 129, 60_000] {
        let mut bench = Bench::new(&[]);
        let mut data = deep_record(levels, MAIL);
        data.extend(batch(&[json!({"log": MAIL})]));
        let out = bench.run(&data).expect("changed");
        assert!(
            memchr::memmem::find(&out, MAIL.as_bytes()).is_none(),
            "{levels}"
        );
        assert_eq!(
            event::records(&out).filter(Result::is_ok).count(),
            2,
            "{levels}"
        );
        assert_eq!(bench.count("malformed_chunks_total", ""), 0);
    }
}

#[test]
fn what_is_too_deep_in_a_record_is_as_on_error_says() {
    let data = deep_record(200, MAIL);
    let mut pass = Bench::new(&[("on_error", "pass")]);
    assert_eq!(pass.run(&data), None);
    assert_eq!(pass.count("deep_values_total", ""), 1);
    let mut drop = Bench::new(&[("on_error", "drop")]);
    assert_eq!(drop.run(&data), Some(Vec::new()));
    let mut mask = Bench::new(&[("on_error", "mask")]);
    let out = mask.run(&data).expect("changed");
    assert!(bodies(&out)[0].to_string().contains("[REDACTED]"));
    // And once more it stays as it is.
    assert_eq!(mask.run(&out), None);
}

#[test]
fn the_time_ends_within_one_string() {
    let mut bench = Bench::new(&[("time_budget", "0.000000001")]);
    let text = "glpat-A1b2C3d4E5f6G7h8I9j0 ".repeat(40_000);
    assert_eq!(bench.text(&text), "[REDACTED]");
    assert_eq!(bench.count("late_records_total", ""), 1);
    let looked = bench.count("looked_bytes_total", "");
    assert!(looked < 8 * text.len() as u64, "{looked}");
}

#[test]
fn what_only_looks_like_a_token_of_ours_protects_nothing() {
    let digest = "0123456789abcdef0123456789abcdef";
    let card = "4111111111111111";
    let mut bench = Bench::new(&[("preset", "all")]);
    for text in [
        format!("[CARD:{card}:{digest}]"),
        format!("[EMAIL:{MAIL}:{digest}]"),
        format!("[SSN:123-45-6789:{digest}]"),
        format!("[CARD:k1:{card}]"),
        format!("[CARD:k1:{digest}:{card}]"),
        format!("[CARD {card}]"),
        format!("[TOO_LARGE:{card}:{digest}]"),
        format!("[PHONE: 555-123-4567 {digest}]"),
        format!("[CARD:k1:{card}:]"),
    ] {
        let found = bench.text(&text);
        for secret in [card, MAIL, "123-45-6789", "555-123-4567"] {
            assert!(!found.contains(secret), "{text} became {found}");
        }
        // And that stays.
        assert_eq!(bench.text(&found), found);
    }
    for token in [
        "[CARD]".to_owned(),
        format!("[CARD:k1:{digest}]"),
        format!("[SECRET:k42:{digest}]"),
    ] {
        for text in [
            token.clone(),
            format!("password={token}"),
            format!("\"token\": \"{token}\""),
        ] {
            assert_eq!(bench.text(&text), text);
        }
    }
}

#[test]
fn what_is_made_to_be_dear_ends_alone() {
    // Names, quotes and escapes that uncover each other in several views, pass after pass.
    let dear = "\\".repeat(300_000) + &r#"\"password\":\""#.repeat(20_000);
    let mut bench = Bench::new(&[("preset", "all"), ("time_budget", "0")]);
    let neighbour = json!({"log": "login of user@example.com from 203.0.113.7 password=hunter2!x"});
    let alone = bench
        .run(&batch(std::slice::from_ref(&neighbour)))
        .expect("changed");
    let mut data = Vec::new();
    for _ in 0..4 {
        data.extend(batch(&[neighbour.clone(), json!({ "log": dear })]));
    }
    data.extend(batch(&vec![neighbour; 2_000]));
    let out = bodies(&bench.run(&data).expect("changed"));
    assert_eq!(bench.count("late_records_total", ""), 4);
    let expected = &bodies(&alone)[0];
    for (n, body) in out.iter().enumerate() {
        match n < 8 && n % 2 == 1 {
            true => assert_eq!(body, &json!({"log": "[REDACTED]"}), "{n}"),
            false => assert_eq!(body, expected, "{n}"),
        }
    }
}

#[test]
fn many_rules_of_the_user_are_no_attack() {
    let rules = (0..60).map(|n| ("rule", format!("r{n} /zz{n}[0-9]+/")));
    let rules = rules.chain([("time_budget", "0".to_owned())]);
    let mut bench = Bench::try_new(rules).unwrap_or_else(|e| panic!("{e}"));
    let data = batch(&vec![
        json!({"log": "\u{1b}[36mnothing\u{1b}[0m to be found here but zz1234"});
        10_000
    ]);
    let out = bodies(&bench.run(&data).expect("changed"));
    assert_eq!(bench.count("late_records_total", ""), 0);
    assert!(out.iter().all(|body| !body.to_string().contains("zz1234")));
}
