//! What was found is nowhere any more: not in the batch, whatever it was wrapped in, and not in a
//! log line or a metric.

mod common;

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use common::{batch, bodies, with_luhn, Bench};
use flb_sidecar_sdk::{Chunk, Filter};
use proptest::prelude::*;
use serde_json::{json, Value as Json};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Keeps the text of every event and span, whatever its level.
#[derive(Clone, Default)]
struct Everything(Arc<Mutex<String>>);

impl Visit for Everything {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let mut text = self.0.lock().unwrap();
        text.push_str(&format!("{}={value:?} ", field.name()));
    }
}

impl Subscriber for Everything {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, span: &Attributes<'_>) -> Id {
        span.record(&mut self.clone());
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut self.clone());
    }
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

fn german_iban(bban: u64) -> String {
    let bban = format!("{bban:018}");
    let rest = format!("{bban}131400")
        .bytes()
        .fold(0u64, |rest, b| (rest * 10 + u64::from(b - b'0')) % 97);
    format!("DE{:02}{bban}", 98 - rest)
}

/// Valid values that no keyword has to announce.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        "4[0-9]{14}".prop_map(|body| with_luhn(&body)),
        "5[1-5][0-9]{13}".prop_map(|body| with_luhn(&body)),
        (0..10u64.pow(18)).prop_map(german_iban),
        (1..666u32, 1..100u32, 1..10_000u32).prop_map(|(a, g, s)| format!("{a:03}-{g:02}-{s:04}")),
        "[a-z]{3,9}[.+_]?[a-z0-9]{2,9}@[a-z]{2,9}\\.(com|org|de)",
        any::<[u8; 4]>().prop_map(|o| format!("{}.{}.{}.{}", o[0], o[1], o[2], o[3])),
        any::<u128>().prop_map(|n| std::net::Ipv6Addr::from(n).to_string()),
        "\\+49 30 [1-9][0-9]{6}",
        "\\([2-9]0[1-9]\\) [2-9]0[1-9]-[0-9]{4}",
        "AKIA[A-Z2-7]{16}".prop_filter("a key is no row of one letter", |key| {
            let mut bytes = key.as_bytes()[4..].to_vec();
            bytes.sort_unstable();
            bytes.dedup();
            bytes.len() > 8
        }),
    ]
}

fn encoded(value: &str, mark: impl Fn(u8) -> String) -> String {
    value
        .bytes()
        .map(|b| {
            if b.is_ascii_alphanumeric() {
                char::from(b).to_string()
            } else {
                mark(b)
            }
        })
        .collect()
}

/// The value in every place that a record has for it.
fn placed(value: &str) -> Vec<Json> {
    let inside = json!({"list": [value, 1], "text": format!("a {value}, b")}).to_string();
    let mut places = vec![
        json!({"log": value}),
        json!({"log": format!("user <{value}> done")}),
        json!({"log": format!("v=\"{value}\"\nnext")}),
        json!({"list": [1, {"deep": [format!("x {value}")]}]}),
        json!({(format!("key {value}")): 1}),
        json!({"log": inside.clone()}),
        json!({"log": json!({"again": inside.clone()}).to_string()}),
        json!({"log": format!("truncated {}", &inside[..inside.len() - 2])}),
        json!({"log": encoded(value, |b| format!("%{b:02X}"))}),
        json!({"log": encoded(value, |b| format!("\\u{b:04x}"))}),
    ];
    if let Ok(number) = value.parse::<u64>() {
        places.push(json!({"n": number, "log": json!({"n": number}).to_string()}));
    }
    places
}

const OPTIONS: &[&[(&str, &str)]] = &[
    &[],
    &[("action", "mask")],
    &[
        ("action", "hmac"),
        ("hmac_key_env", "PII_REDACT_PLAINTEXT_KEY"),
    ],
    &[("action", "remove")],
    &[("action", "drop")],
    &[("max_value_size", "8")],
    &[("time_budget", "0.000000001")],
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_plaintext_is_left_anywhere(value in value(), options in prop::sample::select(OPTIONS)) {
        std::env::set_var("PII_REDACT_PLAINTEXT_KEY", "0123456789abcdef");
        let log = Everything::default();
        let lines = log.0.clone();
        let mut series = String::new();
        tracing::subscriber::with_default(log, || {
            let options = options.iter().copied().chain([("preset", "all")]);
            let mut bench = Bench::try_new(options).unwrap();
            // Many, so that a budget of time runs out before the last.
            let records: Vec<_> = std::iter::repeat_n(placed(&value), 4).flatten().collect();
            let data = batch(&records);
            let out = bench.run(&data).expect("there is something to change");
            let out = format!("{:?}", bodies(&out));
            let late = bench.count("late_records_total", "") > 0;
            let forms = [value.clone(), encoded(&value, |b| format!("%{b:02X}")),
                         encoded(&value, |b| format!("\\\\u{b:04x}"))];
            for form in forms {
                // Keys stay where values are masked unseen.
                let kept = if late { out.matches(&format!("key {form}")).count() } else { 0 };
                assert_eq!(out.matches(&form).count(), kept, "{form} in {out}");
            }
            let mut lost = Vec::new();
            bench.filter.recover(Chunk { data: &data, tag: b"t" }, &mut lost);
            bench.run(&data[..data.len() - 3]);
            series = format!("{:?} {:?}", bench.host.metrics.series(), bench.filter);
            bench.filter.exit();
        });
        let lines = lines.lock().unwrap();
        prop_assert!(lines.contains("matched/rejected/allowed/acted"), "{}", lines);
        prop_assert!(!lines.contains(&value), "{}", lines);
        let metrics = series.split("PiiRedact").next().unwrap();
        prop_assert!(!metrics.contains(&value), "{}", metrics);
    }
}
