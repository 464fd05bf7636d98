//! Counters, policies and logs.

mod common;

use common::{batch, bodies, Bench};
use flb_sidecar_sdk::{Chunk, Filter, Verdict};
use serde_json::json;

#[test]
fn counters_tell_matched_rejected_allowed_and_acted_apart() {
    let mut bench = Bench::new(&[("allow_exact", "a@b.cd")]);
    bench.text("a@b.cd x@b.cd 4012888888881882 4012888888881881");
    assert_eq!(bench.count("matched_total", "email"), 2);
    assert_eq!(bench.count("allowed_total", "email"), 1);
    assert_eq!(bench.count("acted_total", "email"), 1);
    assert_eq!(bench.count("matched_total", "card"), 1);
    assert!(bench.count("rejected_total", "card") >= 1);
    assert_eq!(bench.count("matched_total", "ssn"), 0);
}

#[test]
fn the_length_in_a_header_hides_no_name() {
    // The length of the string is a letter or digit for some of these, right in front of the name.
    let mut bench = Bench::new(&[]);
    for name in ["token=", "Authorization: Bearer ", "db.pwd="] {
        for pad in (0..200).chain([12_000, 24_900, 70_000]) {
            let text = format!("{name}9f86d081884c7d659a2f {}", "~".repeat(pad));
            let out = bench.text(&text);
            assert!(!out.contains("9f86d081884c7d659a2f"), "{name}, {pad}");
        }
    }
}

#[test]
fn a_name_of_two_letters_begins_a_text() {
    let mut bench = Bench::new(&[]);
    for text in ["pw=hunter2x", "PW: hunter2x", "pw = hunter2x"] {
        assert!(!bench.text(text).contains("hunter2x"), "{text}");
    }
}

#[test]
fn the_length_in_a_header_hides_no_way_of_writing() {
    // For strings of 48 to 57 and of 65 to 90 bytes it is a digit or a letter.
    let mut bench = Bench::new(&[]);
    for start in [
        "219_09_9999",
        "4012_8888_8888_1881",
        "4012\n8888\n8888\n1881",
        "4012<br>8888<br>8888<br>1881",
        "4012+8888+8888+1881",
        "4012\u{a0}8888\u{a0}8888\u{a0}1881",
    ] {
        for len in 40..125 {
            let text = format!("{start} {}", "~".repeat(len - start.len()));
            assert!(!bench.text(&text).contains(start), "{start}, {len}");
        }
    }
}

#[test]
fn long_secrets_are_found_to_their_end() {
    let mut bench = Bench::new(&[]);
    let long: String = (0u32..20_000)
        .map(|n| char::from(b"aB3dE5gH7jK9"[(n * n / 7 % 12) as usize]))
        .collect();
    let jwt = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";
    for (text, expected) in [
        (
            format!("Authorization: Negotiate {long} x"),
            "Authorization: Negotiate [SECRET] x",
        ),
        (
            format!("access_token={long}&x=1"),
            "access_token=[SECRET]&x=1",
        ),
        (
            format!("password=\"{long}\" x"),
            "password=\"[PASSWORD]\" x",
        ),
        (
            format!("<password>{long}</password>"),
            "<password>[PASSWORD]</password>",
        ),
        (format!("got {jwt}.{long}.{long} x"), "got [JWT] x"),
    ] {
        assert_eq!(bench.text(&text), expected);
    }
}

#[test]
fn shadow_mode_counts_without_acting() {
    let mut bench = Bench::new(&[("shadow", "on"), ("tag_key", "off")]);
    assert_eq!(bench.text("4012888888881881"), "4012888888881881");
    assert_eq!(bench.count("matched_total", "card"), 1);
    assert_eq!(bench.count("acted_total", "card"), 0);
}

#[test]
fn drops_are_counted() {
    let mut bench = Bench::new(&[("action_card", "drop")]);
    let out = bench
        .run(&batch(&[json!({"a": "4012888888881881"}), json!({"a": 1})]))
        .unwrap();
    assert_eq!(bodies(&out), [json!({"a": 1})]);
    assert_eq!(bench.count("dropped_records_total", ""), 1);
}

#[test]
fn after_an_internal_error_the_policy_decides() {
    let data = batch(&[json!({"a": "secret", "n": 4012888888881881u64, "k": 7, "l": ["x"]})]);
    for (policy, expected) in [
        (
            "mask",
            Some(vec![
                json!({"a": "[REDACTED]", "n": "[REDACTED]", "k": 7, "l": ["[REDACTED]"]}),
            ]),
        ),
        ("drop", Some(vec![])),
        ("pass", None),
    ] {
        let mut bench = Bench::new(&[("on_error", policy)]);
        let mut out = b"left over".to_vec();
        let verdict = bench.filter.recover(
            Chunk {
                data: &data,
                tag: b"t",
            },
            &mut out,
        );
        assert_eq!(verdict == Verdict::Replaced, expected.is_some(), "{policy}");
        if let Some(expected) = expected {
            assert_eq!(bodies(&out), expected, "{policy}");
        }
        assert_eq!(bench.count("failed_chunks_total", ""), 1);
    }
}

#[test]
fn a_batch_over_its_time_is_treated_as_the_policy_says() {
    let records: Vec<_> = (0..2_000)
        .map(|n| json!({"log": format!("{n} bob@example.com")}))
        .collect();
    let mut bench = Bench::new(&[("time_budget", "0.000000001")]);
    let out = bench.run(&batch(&records)).unwrap();
    let late = bench.count("late_records_total", "");
    // From the first look at the clock to the end of the batch.
    assert!((1_000..2_000).contains(&late), "{late}");
    let masked = bodies(&out)
        .iter()
        .filter(|b| b["log"] == "[REDACTED]")
        .count();
    assert_eq!(masked as u64, late);
    assert!(!String::from_utf8_lossy(&out).contains("bob@"));
}

#[test]
fn neither_debug_output_nor_metrics_quote_what_was_found() {
    std::env::set_var("PII_REDACT_DEBUG_KEY", "a key that is long");
    let options = [("action", "hmac"), ("hmac_key_env", "PII_REDACT_DEBUG_KEY")];
    let mut bench = Bench::new(&options);
    bench.text("bob@example.com");
    let series = format!("{:?}", bench.host.metrics.series());
    assert!(!series.contains("bob@"));
    assert!(!format!("{:?}", bench.filter).contains("a key that is long"));
}

#[test]
fn what_a_record_has_under_the_name_of_the_tags_stays_in_front_of_them() {
    let mut bench = Bench::new(&[("action_card", "tag")]);
    for (old, expected) in [
        (json!("mine"), json!(["mine", "card"])),
        (json!(["mine"]), json!(["mine", "card"])),
        (json!({"a": 1}), json!([{"a": 1}, "card"])),
        (json!([1, "card"]), json!([1, "card"])),
        (json!([]), json!(["card"])),
        (json!("bob@example.com"), json!(["[EMAIL]", "card"])),
        (json!(["bob@example.com", 7]), json!(["[EMAIL]", 7, "card"])),
    ] {
        let text = "4012888888881881";
        for record in [
            json!({"pii_detected": old, "log": text, "z": 1}),
            json!({"log": text, "pii_detected": old, "z": 1}),
        ] {
            let data = batch(&[record]);
            let out = bench.run(&data).unwrap_or_else(|| data.clone());
            let body = bodies(&out).remove(0);
            assert_eq!(body["pii_detected"], expected, "{old}");
            assert_eq!((&body["log"], &body["z"]), (&json!(text), &json!(1)));
            assert_eq!(bench.run(&out), None, "once more");
        }
    }
}

#[test]
fn the_last_letters_of_credentials_may_stay_and_the_host_does() {
    let mut bench = Bench::new(&[("action_url_credentials", "keep_last:4")]);
    for (text, expected) in [
        (
            "get https://app:hunter2pw@db.example.com/x now",
            "get https://*********r2pw@db.example.com/x now",
        ),
        (
            "postgres://u:p4ss@pg.internal.example:5432/app",
            "postgres://**p4ss@pg.internal.example:5432/app",
        ),
    ] {
        assert_eq!(bench.text(text), expected);
        assert_eq!(bench.text(expected), expected, "once more");
    }
}

#[test]
fn one_address_has_one_token_however_it_is_written() {
    std::env::set_var("PII_REDACT_TEST_KEY", "0123456789abcdef");
    let mut bench = Bench::new(&[
        ("enable", "ip"),
        ("action_ip", "hmac"),
        ("hmac_key_env", "PII_REDACT_TEST_KEY"),
    ]);
    let short = bench.text("from 2001:db8::7 in");
    assert!(short.contains("[IP:k1:"), "{short}");
    assert_eq!(bench.text("from 2001:DB8:0:0::7 in"), short);
    assert_eq!(bench.text("from 2001:0db8:0:0:0:0:0:0007 in"), short);
}

#[test]
fn what_the_readme_says_stays_stays() {
    let mut bench = Bench::new(&[("preset", "all")]);
    for text in [
        "paid with 41 11 11 11 11 11 11 11",
        "number 0004111111111111111",
        "amount 4.111111111111111E15",
        "host ip-10-1-2-3 is up",
        "peer 0xC0A80001 is up",
        "device 001a2b3c4d5e is up",
        "write to bob [at] example [dot] com",
        "C: AUTH PLAIN AGJvYgBodW50ZXIy",
    ] {
        assert_eq!(bench.text(text), text);
    }
}
