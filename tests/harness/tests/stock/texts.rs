//! The records that both filters get.

use flb_sidecar_sdk::event::{begin_record, RecordFormat, Timestamp};
use flb_sidecar_sdk::{json, msgpack};
use serde_json::{json, Value as Json};

/// Texts for `log`.
fn texts() -> Vec<Vec<u8>> {
    let mut texts: Vec<Vec<u8>> = include_str!("texts.txt")
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| line.as_bytes().to_vec())
        .collect();
    let seeds = texts.clone();
    // The same texts with bytes changed, left out or doubled, always the same way.
    let mut state = 0x2545_f491_4f6c_dd1du64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as usize % below
    };
    let pieces: &[&[u8]] = &[
        b"\"",
        b"\\",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"\\u",
        b"\\ud83d",
        b"\\ude00",
        b"0",
        b"-",
        b".",
        b"e",
        b"E+",
        b" ",
        b"\n",
        b"\t",
        b"\x01",
        b"\xff",
        b"\xc3",
        b"\xe6\x97",
        b"\xf0\x9f\x98\x80",
        b"null",
        b"true",
        b"1",
    ];
    for _ in 0..3000 {
        let mut text = seeds[random(seeds.len())].clone();
        for _ in 0..=random(3) {
            let at = random(text.len() + 1);
            match random(4) {
                0 => text.truncate(at.max(1)),
                1 => {
                    let end = (at + random(4)).min(text.len());
                    text.drain(at..end);
                }
                _ => {
                    let piece = pieces[random(pieces.len())];
                    text.splice(at..at, piece.iter().copied());
                }
            }
        }
        texts.push(text);
    }
    texts
}

/// A record that is not just a text.
type Fields = Vec<(&'static str, Json)>;

fn fixed() -> Vec<Fields> {
    let stream = |stream: &str| vec![("stream", json!(stream)), ("log", json!("A B"))];
    vec![
        vec![("log", json!("plain"))],
        vec![],
        vec![
            ("a", json!(1)),
            ("log", json!("{\"x\":1}")),
            ("b", json!([1, {"c": null}])),
        ],
        vec![
            ("log", json!("{\"log\":\"inner\",\"a\":2}")),
            ("a", json!(1)),
        ],
        vec![("log", json!("{\"a\":1}")), ("log", json!("{\"b\":1}"))],
        vec![("log", json!(5)), ("a", json!(1))],
        vec![("log", Json::Null)],
        vec![("log", json!(["{}"]))],
        vec![("log", json!({"m": "text\n", "n": {"o": 1}}))],
        vec![("log", json!({}))],
        vec![
            ("stream", json!("stdout")),
            ("log", json!("{\"a\":\"b\\n\"}")),
        ],
        stream("stderr"),
        stream("stdout"),
        stream("other"),
        stream("std"),
        stream(""),
        vec![
            ("s", json!("x")),
            ("stream", json!("stderr")),
            ("log", json!("A B")),
        ],
        vec![("streams", json!("stderr")), ("log", json!("A B"))],
        vec![("stream", json!("stderr")), ("log", json!("7 B"))],
        vec![("stream", json!("stdout")), ("log", json!("1700000000 B"))],
        vec![("message", json!("no log"))],
        vec![
            ("f", json!(1.5)),
            ("i", json!(-7)),
            ("u", json!(u64::MAX)),
            ("t", json!(true)),
        ],
    ]
}

/// The time of every record.
pub(crate) const TIME: Timestamp = Timestamp {
    seconds: 1_600_000_000,
    nanos: 0,
};

/// Field with the number of each record: a host may deliver them in another order.
pub(crate) const NUMBER: &str = "#";

/// All of them, and how many they are.
pub(crate) fn records() -> (usize, Vec<u8>) {
    let mut out = Vec::new();
    let fixed = fixed();
    for (number, fields) in fixed.iter().enumerate() {
        begin(&mut out, number, fields.len());
        for (key, value) in fields {
            msgpack::write_str(&mut out, key);
            json::write(&mut out, value);
        }
    }
    let texts = texts();
    for (index, text) in texts.iter().enumerate() {
        begin(&mut out, fixed.len() + index, 1);
        msgpack::write_str(&mut out, "log");
        msgpack::write_bytes_as_str(&mut out, text);
    }
    (fixed.len() + texts.len(), out)
}

fn begin(out: &mut Vec<u8>, number: usize, fields: usize) {
    begin_record(out, RecordFormat::Legacy, TIME);
    msgpack::write_map_len(out, fields + 1);
    msgpack::write_str(out, NUMBER);
    msgpack::write_uint(out, number as u64);
}

/// Whether each record is one that the parsers of every release read alike. They differ where JSON
/// is unusual and where text is not UTF-8.
pub(crate) fn usual() -> Vec<bool> {
    let is_usual = |text: &[u8]| {
        let Ok(text) = std::str::from_utf8(text) else {
            return false;
        };
        let escapes = text.contains('\\') || text.contains(char::is_control);
        match serde_json::from_str::<Json>(text) {
            Ok(json) => json.is_object() && !escapes && has_integers_only(&json),
            Err(_) => !text.contains(['{', '[', '"']),
        }
    };
    let fixed = fixed().into_iter().map(|_| true);
    fixed
        .chain(texts().iter().map(|text| is_usual(text)))
        .collect()
}

/// All its numbers are integers that fit 64 bits.
fn has_integers_only(json: &Json) -> bool {
    match json {
        Json::Number(number) => number.is_i64(),
        Json::Array(items) => items.iter().all(has_integers_only),
        Json::Object(fields) => fields.values().all(has_integers_only),
        _ => true,
    }
}
