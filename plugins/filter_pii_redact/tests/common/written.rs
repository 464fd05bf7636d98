//! What the catalogue has, in every way of writing: its examples, and texts of nothing but these.

use std::fmt::Write as _;

use serde_json::{json, Value as Json};

use super::lines::Random;

/// Random bytes in place of `{a36}` and the like.
pub fn expand(pattern: &str, r: &mut Random) -> String {
    const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
    let mut text = String::new();
    let mut rest = pattern;
    while let Some(open) = rest.find('{') {
        let close = rest[open..].find('}').map_or(rest.len(), |n| open + n);
        let inner = &rest[open + 1..close];
        let digits = inner
            .trim_start_matches("2a")
            .trim_start_matches(|c: char| c.is_ascii_alphabetic());
        let Ok(len) = digits.parse::<u64>() else {
            text.push_str(&rest[..=open]);
            rest = &rest[open + 1..];
            continue;
        };
        let class = match &inner[..inner.len() - digits.len()] {
            "a" => format!("{UPPER}{LOWER}0123456789"),
            "h" => "0123456789abcdef".to_owned(),
            "d" => "123456789".to_owned(),
            "u" => format!("{UPPER}0123456789"),
            "2a" => format!("{UPPER}234567"),
            "b" => format!("{UPPER}{LOWER}0123456789+/"),
            _ => format!("{UPPER}{LOWER}0123456789_-"),
        };
        text.push_str(&rest[..open]);
        // Letters and digits at the edges, which tokens end in as well.
        for n in 0..len {
            let byte = loop {
                let byte = class.as_bytes()[r.below(class.len() as u64) as usize];
                if byte.is_ascii_alphanumeric() || n > 0 && n + 1 < len {
                    break byte;
                }
            };
            text.push(char::from(byte));
        }
        rest = &rest[close + 1..];
    }
    text + rest
}

/// Examples of all that is found: those of the detectors, tokens, and names with values.
pub fn examples(r: &mut Random) -> Vec<String> {
    let table: Json =
        serde_json::from_str(include_str!("../detectors.json")).expect("the table is JSON");
    let rows = table.as_object().into_iter().flat_map(|rows| rows.values());
    let valid = rows.flat_map(|row| row["valid"].as_array().into_iter().flatten());
    let valid = valid.filter_map(|pair| pair[0].as_str());
    let mut all: Vec<String> = valid.map(|text| text.replace('\u{a6}', "")).collect();
    let page = include_str!("../../CATALOGUE.md");
    let tokens = page.split("## Tokens").nth(1).unwrap_or_default();
    let tokens = tokens.split("## Names").next().unwrap_or_default();
    for row in tokens.lines() {
        let cell = row
            .split(" | ")
            .nth(1)
            .and_then(|cell| cell.strip_prefix('`'));
        if let Some(pattern) = cell.and_then(|cell| cell.strip_suffix('`')) {
            all.push(expand(&pattern.replace('\u{23ce}', "\n"), r));
        }
    }
    for name in [
        "password",
        "DB_PASSWORD",
        "apiKey",
        "client_secret",
        "authorization",
        "otp",
    ] {
        for sign in ["=", ": ", "\":\"", "='"] {
            let value = expand("{a20}", r);
            all.push(format!("{name}{sign}{value}"));
        }
    }
    assert!(all.len() > 300, "the examples of the catalogue");
    all
}

/// What stands around a text, again and again.
type Layout = (&'static str, fn(&[String]) -> String);

/// Ways in which logs hold much of what is found.
pub const LAYOUTS: &[Layout] = &[
    ("lines", |all| {
        let line = |text: &String| format!("2026-05-12T08:15:42.123Z INFO worker-7 {text} done\n");
        all.iter().map(line).collect()
    }),
    ("rows", |all| all.join(" ")),
    ("table", |all| {
        let row = |cells: &[String]| format!("{}\n", cells.join("\t"));
        all.chunks(8).map(row).collect()
    }),
    ("objects", |all| {
        let objects: Vec<Json> = all
            .iter()
            .map(|text| json!({"level": "info", "msg": text}))
            .collect();
        Json::from(objects).to_string()
    }),
    ("strings", |all| Json::from(all).to_string()),
    ("JSON in JSON", |all| {
        let line = |text: &String| Json::from(json!({"user": "ada", "msg": text}).to_string());
        Json::from(all.iter().map(line).collect::<Vec<_>>()).to_string()
    }),
];

/// One way of writing a text.
pub type View = fn(&str) -> String;

pub const VIEWS: &[View] = &[
    str::to_owned,
    |text| Json::from(text).to_string(),
    |text| json!({ "msg": format!("failed:\n{text}\tx") }).to_string(),
    |text| json!({ "a": json!({ "b": format!("x\n{text}") }).to_string() }).to_string(),
    |text| text.replace('=', "\u{1b}[0m=\u{1b}[35m") + "\u{1b}[0m",
    |text| format!("\u{1b}[36m{text}\u{1b}[0m"),
    |text| format!("\\u001b[35m{text}\\u001b[0m"),
    percent,
    |text| percent(&percent(text)),
    |text| {
        let text = text.replace('&', "&amp;").replace('"', "&quot;");
        text.replace('<', "&lt;")
            .replace('@', "&#64;")
            .replace('=', "&#x3d;")
    },
    |text| text.replace('/', "\\/"),
    |text| format!("\"{}\"", text.replace('"', "\"\"")),
    |text| text.chars().map(wide).collect(),
    // One character of another script, with none beside it.
    |text| {
        text.replace('=', "\u{ff1d}")
            .replace(':', "\u{ff1a}")
            .replace('@', "\u{ff20}")
    },
    |text| {
        text.replacen('=', "\u{200b}=", 1)
            .replacen('@', "\u{200b}@", 1)
    },
    |text| format!("a=1\n{text}\nb=2"),
];

fn percent(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Full-width digits and signs.
fn wide(c: char) -> char {
    match c {
        '0'..='9' | '=' | ':' | '@' => char::from_u32(u32::from(c) - 0x21 + 0xff01).unwrap_or(c),
        _ => c,
    }
}
