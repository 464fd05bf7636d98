//! Properties: whatever comes in, the result is valid, stable, and without what was found.

mod common;

use common::{batch, bodies, record, Bench};
use flb_sidecar_sdk::{event, json, msgpack, Filter};
use proptest::prelude::*;
use serde_json::{json, Value as Json};

/// Values with what each detector needs, valid or not, between words and separators.
fn sensitive() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("4012888888881881".to_owned()),
        Just("4012-8888-8888-1881".to_owned()),
        Just("3782 822463 10005".to_owned()),
        Just("123-45-6789".to_owned()),
        Just("078051120".to_owned()),
        Just("GB82 WEST 1234 5698 7654 32".to_owned()),
        Just("bob@example.com".to_owned()),
        Just("+1 (555) 123-4567".to_owned()),
        Just("555.123.4567x123".to_owned()),
        Just("https://u:pw@example.com/".to_owned()),
        Just("password=hunter2".to_owned()),
        Just("api_key: 9f86d081884c7d659a2f".to_owned()),
        Just("Authorization: Bearer abcdef0123456789".to_owned()),
        Just("10.1.2.3".to_owned()),
        Just("2001:db8::1".to_owned()),
        Just("00:1a:2b:3c:4d:5e".to_owned()),
        Just("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa".to_owned()),
        Just("bob%40example.com".to_owned()),
        Just("bob\\u0040example.com".to_owned()),
        Just("-----BEGIN PRIVATE KEY-----".to_owned()),
        "[0-9]{7,20}",
        "[0-9]{3} [0-9]{4}",
        "00?[0-9]{9,11}",
        "[0-9]{1,10}[-. ][0-9]{1,4}",
        "[0-9]{3,4}[-. ][0-9]{3,6}[-. ][0-9]{3,5}",
        "[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}",
        "[a-z0-9.]{1,8}@[a-z0-9.-]{1,12}",
    ]
}

fn text() -> impl Strategy<Value = String> {
    let filler = prop_oneof![
        "[ ,.:;=/_@\"'\\[\\]{}()%+-]{1,2}".boxed(),
        "[a-z]{1,8}".boxed(),
        Just(" ssn ".to_owned()).boxed(),
        Just(" call ".to_owned()).boxed(),
        Just(" card ".to_owned()).boxed(),
        Just(" phone ".to_owned()).boxed(),
        Just(" token=".to_owned()).boxed(),
        Just("[CARD]".to_owned()).boxed(),
        "\\PC{0,6}".boxed(),
    ];
    prop::collection::vec(
        prop_oneof![2 => sensitive().boxed(), 3 => filler.boxed()],
        0..12,
    )
    .prop_map(|parts| parts.concat())
}

fn value() -> impl Strategy<Value = Json> {
    values(text().boxed())
}

/// Values of all kinds, nested ones with these keys.
fn values(key: BoxedStrategy<String>) -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        4 => text().prop_map(Json::from),
        1 => any::<i64>().prop_map(Json::from),
        1 => (100_000_000_000u64..10_000_000_000_000_000_000).prop_map(Json::from),
        1 => any::<bool>().prop_map(Json::from),
        1 => Just(Json::Null),
        1 => any::<f32>().prop_map(|f| json!(f)),
    ];
    leaf.prop_recursive(3, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::btree_map(key.clone(), inner.clone(), 0..4)
                .prop_map(|map| Json::Object(map.into_iter().collect())),
            inner.prop_map(|value| Json::from(json!({ "a": value, "b": [1.50, "x"] }).to_string())),
        ]
    })
}

/// Names that announce something, and others.
fn name() -> BoxedStrategy<String> {
    "k[0-9]{1,3}|password|ssn|api_key|card_no|db_token|iban|phone|Telephone|mobile_number|contact|\
     call_[a-z]{1,60}"
        .boxed()
}

fn body() -> impl Strategy<Value = Json> {
    prop::collection::btree_map("[a-z_]{1,8}|password|ssn|api_key|phone", value(), 0..4)
        .prop_map(|map| Json::Object(map.into_iter().collect()))
}

const OPTIONS: &[&[(&str, &str)]] = &[
    &[("preset", "all")],
    &[("preset", "all"), ("action", "mask")],
    &[("preset", "all"), ("action", "keep:2:2")],
    &[("preset", "all"), ("action", "truncate")],
    &[("preset", "all"), ("action", "remove")],
    &[("preset", "all"), ("action", "tag")],
    &[("preset", "all"), ("shadow", "on")],
    &[
        ("preset", "all"),
        ("remove_key", "a*"),
        ("redact_key", "*b"),
    ],
    &[("rule", "word /[a-z]{4,}/"), ("rule", "num /\\d+/ mask")],
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_second_pass_changes_nothing(
        records in prop::collection::vec(body(), 1..4),
        options in prop::sample::select(OPTIONS),
    ) {
        let data = batch(&records);
        let mut bench = Bench::new(options);
        if let Some(once) = bench.run(&data) {
            // Valid msgpack, whole records.
            let read = bodies(&once);
            if let Some(twice) = bench.run(&once) {
                prop_assert_eq!(read, bodies(&twice), "from {:?}", records);
                prop_assert!(false, "changed without a difference");
            }
        }
    }

    #[test]
    fn hashed_values_are_not_hashed_again(text in text()) {
        std::env::set_var("PII_REDACT_PROPERTY_KEY", "0123456789abcdef");
        let mut bench = Bench::new(&[
            ("preset", "all"), ("action", "hmac"), ("hmac_key_env", "PII_REDACT_PROPERTY_KEY"),
        ]);
        let once = bench.text(&text);
        prop_assert_eq!(bench.text(&once), once);
    }

    #[test]
    fn json_in_a_string_stays_json(value in value(), options in prop::sample::select(OPTIONS)) {
        let text = json!({ "x": value, "n": 4012888888881881u64, "s": [1.50, null] }).to_string();
        let mut bench = Bench::new(options);
        let out = bench.text(&text);
        prop_assert!(
            out.is_empty() || serde_json::from_str::<Json>(&out).is_ok(),
            "{} became {}", text, out
        );
    }

    #[test]
    fn valid_values_do_not_stay(before in "[a-u ]{0,20}[ :,=]", after in "[ ,;][a-z ]{0,20}") {
        let mut bench = Bench::new(&[("preset", "all")]);
        for value in ["4012888888881881", "4012 8888 8888 1881", "GB82WEST12345698765432",
                      "bob@example.com", "123-45-6789", "192.0.2.77", "+442079460958"] {
            let out = bench.text(&format!("{before}{value}{after}"));
            prop_assert!(!out.contains(value), "{}", out);
        }
    }

    #[test]
    fn records_without_a_match_pass_bit_for_bit(
        clean in prop::collection::vec("[a-z ]{0,40}", 1..5),
        at in any::<prop::sample::Index>(),
    ) {
        let mut records: Vec<Json> = clean.iter().map(|text| json!({ "log": text })).collect();
        prop_assert!(Bench::new(&[]).run(&batch(&records)).is_none());
        let at = at.index(records.len());
        records.insert(at, json!({ "log": "bob@example.com" }));
        let data = batch(&records);
        let out = Bench::new(&[]).run(&data).expect("there is a match");
        let before: Vec<_> = event::records(&data).map(Result::unwrap).collect();
        let after: Vec<_> = event::records(&out).map(Result::unwrap).collect();
        for (n, (b, a)) in before.iter().zip(&after).enumerate() {
            if n != at {
                prop_assert_eq!(&data[b.start..b.end], &out[a.start..a.end]);
            } else {
                prop_assert_eq!(&data[b.start..b.body], &out[a.start..a.body]);
            }
        }
    }

    #[test]
    fn broken_batches_neither_panic_nor_lose_their_end(
        records in prop::collection::vec(body(), 1..3),
        cut in any::<prop::sample::Index>(),
        noise in prop::collection::vec(any::<u8>(), 0..40),
        options in prop::sample::select(OPTIONS),
    ) {
        let whole = batch(&records);
        let mut data = whole[..cut.index(whole.len())].to_vec();
        let kept = event::records(&data).take_while(Result::is_ok).flatten().last();
        let kept = kept.map_or(0, |r| r.end);
        let rest = data[kept..].to_vec();
        let mut bench = Bench::new(options);
        let out = bench.run(&data).unwrap_or_else(|| data.clone());
        prop_assert!(out.ends_with(&rest));
        data.extend(noise);
        bench.run(&data);
        let mut out = Vec::new();
        bench.filter.recover(flb_sidecar_sdk::Chunk { data: &data, tag: b"t" }, &mut out);
    }

    #[test]
    fn any_bytes_are_taken(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut bench = Bench::new(&[("preset", "all")]);
        bench.run(&bytes);
        let data = record(|data| {
            msgpack::write_map_len(data, 1);
            msgpack::write_bytes_as_str(data, &bytes[..bytes.len() / 2]);
            msgpack::write_bytes_as_str(data, &bytes);
        });
        if let Some(out) = bench.run(&data) {
            prop_assert!(event::records(&out).all(|r| r.is_ok()));
        }
    }

    #[test]
    fn a_field_comes_out_as_if_it_were_alone(
        fields in prop::collection::vec((name(), values(name())), 1..7),
        order in Just((0..7).collect::<Vec<usize>>()).prop_shuffle(),
        records in prop::collection::vec(0usize..3, 7),
        options in prop::sample::select(&OPTIONS[..5]),
    ) {
        let mut bench = Bench::new(options);
        let mut run = |records: &[Json]| {
            let data = batch(records);
            bodies(&bench.run(&data).unwrap_or(data))
        };
        // Numbered keys, so that each field is known again.
        let key = |n: usize| format!("{n}.{}", fields[n].0);
        let field = |n: usize| (key(n), fields[n].1.clone());
        let alone: Vec<Json> = (0..fields.len())
            .map(|n| run(&[Json::Object([field(n)].into_iter().collect())]).remove(0))
            .collect();
        let order: Vec<usize> = order.into_iter().filter(|n| *n < fields.len()).collect();
        let of = |record: usize| order.iter().copied().filter(|n| records[*n] == record).collect::<Vec<_>>();
        let together: Vec<Json> = (0..3)
            .map(|record| Json::Object(of(record).into_iter().map(field).collect()))
            .collect();
        for (record, body) in run(&together).into_iter().enumerate() {
            for n in of(record) {
                prop_assert_eq!(
                    body.get(key(n)), alone[n].get(key(n)),
                    "{} of {:?}, together {:?}", key(n), fields[n].1, together
                );
            }
        }
    }

    #[test]
    fn what_the_gate_passes_by_has_nothing_in_it(
        records in prop::collection::vec(
            prop::collection::vec((name(), values(name()), 0usize..200), 0..5), 1..4,
        ),
        options in prop::sample::select(&OPTIONS[..7]),
    ) {
        // With a rule of the user, even one that nothing matches, every record is looked at.
        let everything = [options, &[("rule", "never /\\z./")]].concat();
        // Some strings begin far in front of what is in them.
        let padded = |(name, value, pad): (String, Json, usize)| match value {
            Json::String(text) => (name, Json::from("x ".repeat(pad / 2) + &text)),
            value => (name, value),
        };
        let records: Vec<Json> = records
            .into_iter()
            .map(|fields| Json::Object(fields.into_iter().map(padded).collect()))
            .collect();
        let data = batch(&records);
        let [gated, full] = [options, &everything].map(|options| Bench::new(options).run(&data));
        prop_assert_eq!(gated.as_deref().map(bodies), full.as_deref().map(bodies), "of {:?}", records);
        prop_assert_eq!(gated, full);
    }

    #[test]
    fn what_is_found_in_a_string_is_found_wherever_it_stands(
        text in text(),
        shift in 0usize..70,
        small in prop::collection::vec(32u8..=122, 0..2),
    ) {
        // The same string, moved in the batch and with small integers behind it.
        let mut bench = Bench::new(&[("preset", "all")]);
        let alone = bench.text(&text);
        let data = record(|data| {
            msgpack::write_map_len(data, 2);
            msgpack::write_str(data, "pad");
            msgpack::write_str(data, &"~".repeat(shift));
            msgpack::write_str(data, "log");
            msgpack::write_array_len(data, 1 + small.len());
            msgpack::write_str(data, &text);
            for n in &small {
                msgpack::write_uint(data, u64::from(*n));
            }
        });
        let moved = bench.run(&data).unwrap_or_else(|| data.clone());
        let body = json::read(&moved, event::records(&moved).next().unwrap().unwrap().body).unwrap().0;
        prop_assert_eq!(body["log"][0].as_str().unwrap(), alone);
    }
}
