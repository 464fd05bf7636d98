//! The catalogue as a whole: its page for users, and that the gate passes none of its examples by,
//! however they are written and whatever stands around them.

#[path = "../tests/common/mod.rs"]
mod common;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::{json, Value as Json};

use crate::catalog::DETECTORS;
use crate::detect::token_rows;
use crate::lexicon::{Fit, WORDS};
use crate::name::NameClass;
use crate::text::WRITTEN;
use common::lines::Random;
use common::written::{expand, VIEWS};
use common::{batch, bodies, Bench};

fn examples() -> BTreeMap<String, Json> {
    serde_json::from_str(include_str!("../tests/detectors.json")).expect("the table is JSON")
}

#[test]
fn every_token_of_the_catalogue_is_found_as_it_is() {
    let mut bench = Bench::new(&[("preset", "all")]);
    let mut r = Random(11);
    let mut wrong = Vec::new();
    for row in token_rows() {
        for n in 0..8 {
            let token = expand(row.example, &mut r);
            for text in [
                token.clone(),
                format!("got {token} x"),
                format!("\"{token}\","),
            ] {
                let out = bench.text(&text);
                if out == text && n < 8 {
                    wrong.push(format!("{}: {text}", row.what));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} {}", wrong.len(), wrong.join("\n"));
}

const SURROUNDINGS: &[(&str, &str)] = &[
    ("", ""),
    ("2026-05-12T08:15:42.123Z INFO worker-7 ", " done"),
    ("{\"level\":\"info\",\"msg\":\"", "\"}"),
    ("user=", "&x=1"),
    ("[", "]"),
    ("('", "')"),
    ("<v>", "</v>"),
    ("日志：", "，结束"),
    ("a\tb\t", "\tc"),
    ("…", "…"),
    ("C:\\new\\table ", " 100%"),
];

/// Something of the catalogue.
fn sample(r: &mut Random, rows: &[&'static crate::detect::TokenRow], texts: &[String]) -> String {
    match r.below(3) {
        0 => expand(rows[r.below(rows.len() as u64) as usize].example, r),
        1 => texts[r.below(texts.len() as u64) as usize].clone(),
        _ => {
            let word = &WORDS[r.below(WORDS.len() as u64) as usize];
            let value = expand("{a20}", r);
            let sign = ["=", ": ", "\":\"", " ", ",", " -> ", "='", "=>"][r.below(8) as usize];
            format!("x_{}{sign}{value}", word.text)
        }
    }
}

#[test]
fn the_gate_passes_nothing_by() {
    let count = std::env::var("SOAK").ok().and_then(|n| n.parse().ok());
    let count: u64 = count.unwrap_or(1500);
    let seed = std::env::var("SOAK_SEED").ok().and_then(|n| n.parse().ok());
    let mut r = Random(seed.unwrap_or(7));
    let rows: Vec<_> = token_rows().collect();
    let texts: Vec<String> = examples()
        .values()
        .flat_map(|row| row["valid"].as_array().into_iter().flatten())
        .filter_map(|pair| pair[0].as_str().map(|text| text.replace('\u{a6}', "")))
        .collect();
    let mut gated = Bench::new(&[("preset", "all")]);
    // With a rule of the user, even one that nothing matches, every record is looked at.
    let mut every = Bench::new(&[("preset", "all"), ("rule", "never /\\z./")]);
    for n in 0..count {
        let mut text = sample(&mut r, &rows, &texts);
        for _ in 0..r.below(3) {
            text = VIEWS[r.below(VIEWS.len() as u64) as usize](&text);
            let (before, behind) = SURROUNDINGS[r.below(SURROUNDINGS.len() as u64) as usize];
            text = format!("{before}{text}{behind}");
        }
        let key = ["log", "message", "a", "value", "password", "env"][r.below(6) as usize];
        let record = match r.below(4) {
            0 => json!({ key: [text, "x"] }),
            1 => json!({ "outer": { key: text }, "n": 7 }),
            _ => json!({ "pad": "~".repeat(r.below(70) as usize), key: text }),
        };
        let data = batch(std::slice::from_ref(&record));
        let [some, all] = [&mut gated, &mut every].map(|bench| {
            let out = bench.run(&data).unwrap_or_else(|| data.clone());
            bodies(&out).pop().unwrap_or_default()
        });
        assert_eq!(
            some,
            all,
            "case {n} of {:?}: {record}",
            std::env::var("SOAK_SEED")
        );
    }
}

/// What stands directly behind a value without quotes, and is none of it.
const TAILS_OF_TEXT: &[&str] = &[
    "",
    " x",
    "\u{ff0c}x",
    "\u{2026}",
    "\u{3002}",
    "\u{a0}x",
    "?",
    "?a=1",
    "(x)",
    "[0]",
    "{x}",
    "@host",
    "|x",
    ";x",
    ", x",
    ">",
    "</v>",
    "\nx",
    "\tx",
    "\u{2019}",
];

#[test]
fn a_token_ends_where_the_text_goes_on() {
    let mut r = Random(5);
    let mut bench = Bench::new(&[("preset", "all")]);
    for word in WORDS.iter().filter(|word| word.class.is_random()) {
        let name = match word.fit {
            Fit::Behind => format!("x_{}", word.text),
            _ => word.text.to_owned(),
        };
        for tail in TAILS_OF_TEXT {
            let token = expand("{a11}7{a11}8", &mut r);
            let sign = ["=", ": "][r.below(2) as usize];
            let text = format!("got {name}{sign}{token}{tail} end");
            let out = bench.text(&text);
            assert!(!out.contains(&token), "{text}: {out}");
            assert!(out.ends_with(&format!("{tail} end")), "{text}: {out}");
        }
    }
}

fn page() -> String {
    let mut page = String::from(
        "# What `pii_redact` finds\n\nMade from the catalogue (`make catalogue`). In examples a `\u{a6}` keeps \
         secret scanners away.\n\n## Detectors\n\n| Name | What a match must pass | Example | Becomes |\n|---|---|---|---|\n",
    );
    let cell = |text: &str| {
        let text = text
            .replace('|', "\\|")
            .replace('\n', "\u{23ce}")
            .replace('`', "'");
        format!("`{text}`")
    };
    let examples = examples();
    for row in DETECTORS {
        let example = &examples[row.name]["valid"][0];
        let (text, after) = (
            example[0].as_str().unwrap_or_default(),
            example[1].as_str().unwrap_or_default(),
        );
        let check = row.check.replace('|', "\\|");
        let _ = writeln!(
            page,
            "| `{}` | {check} | {} | {} |",
            row.name,
            cell(text),
            cell(after)
        );
    }
    page.push_str(
        "\n## Tokens\n\n`{a36}` are 36 letters and digits, `{h32}` hexadecimal digits, `{d12}` digits, `{u16}` capitals \
         and digits, `{2a16}` those of base32, `{b40}` base64, `{w22}` letters, digits, `_` and `-`.\n\n\
         | Whose | Looks like | Detector |\n|---|---|---|\n",
    );
    let mut rows: Vec<_> = token_rows().collect();
    rows.sort_by_key(|row| (row.what.to_lowercase(), row.example));
    for row in rows {
        let detector = DETECTORS[row.id as usize].name;
        let _ = writeln!(
            page,
            "| {} | {} | `{detector}` |",
            row.what,
            cell(row.example)
        );
    }
    page.push_str(
        "\n## Names\n\nA name is split into words (`dbPassword`, `DB_PASSWORD`, `db.password`); the last ones count, \
         digits and words such as `confirmation`, `hash` and `new` behind them do not. `x` stands for any \
         further word.\n\n| What a value must be | Names |\n|---|---|\n",
    );
    for (class, what) in [
        (NameClass::Password, "anything but a placeholder"),
        (NameClass::Pass, "the same, but no count"),
        (
            NameClass::Secret,
            "all of a field, or what looks random in a text",
        ),
        (NameClass::Key, "what looks random"),
        (NameClass::OtherKey, "what looks random"),
        (NameClass::Code, "what is long and looks random"),
        (NameClass::Session, "the same, but no UUID"),
        (NameClass::Pin, "some digits, or what looks random"),
        (NameClass::Weak, "letters and digits, mixed"),
        (NameClass::Authorization, "credentials behind a scheme"),
        (NameClass::Auth, "the same, or what looks random"),
        (NameClass::Cookie, "the values of its pairs"),
        (NameClass::Indirect, "what the name beside it says"),
        (NameClass::Phone, "a phone number"),
        (NameClass::Plain, "never"),
    ] {
        let names = WORDS.iter().filter(|word| word.class == class);
        let names: Vec<String> = names
            .map(|word| match word.fit {
                Fit::Behind => format!("`x_{}`", word.text),
                _ => format!("`{}`", word.text),
            })
            .collect();
        let _ = writeln!(page, "| {what} | {} |", names.join(", "));
    }
    page.push_str(
        "\n## Ways of writing\n\nEvery detector looks at a text as it is, and as it reads without these.\n\n\
         | Written | Read as |\n|---|---|\n",
    );
    for (written, plain) in WRITTEN {
        let shown = written
            .escape_debug()
            .to_string()
            .replace("\\\"", "\"")
            .replace("\\\\", "\\");
        let _ = writeln!(page, "| {} | {} |", cell(&shown), cell(plain));
    }
    page
}

#[test]
fn the_page_for_users_is_that_of_the_catalogue() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("CATALOGUE.md");
    let page = page();
    if std::env::var_os("FLB_SIDECAR_WRITE_CATALOGUE").is_some() {
        std::fs::write(&path, &page).expect("the page can be written");
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there == page,
        "CATALOGUE.md is not that of the catalogue: make catalogue"
    );
}
