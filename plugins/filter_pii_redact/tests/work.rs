//! No text costs more than so many times its length, counted in bytes looked at: the same on every
//! machine.

mod common;

use std::cell::RefCell;

use common::adversarial::{repeated, shapes, triggers, TAILS};
use common::lines::{log_lines, Random};
use common::written::{examples, VIEWS};
use common::{batch, labelled, Bench};
use proptest::prelude::*;
use serde_json::json;

/// Looks that a record brings for each of its bytes, as `src/budget.rs` has it.
const LIMIT: u64 = 20;
/// How many there are at most: that they are used up is seen a little later.
const MOST: u64 = LIMIT + 8;
/// What is kept of the looks that others did not need.
const FREE: u64 = 512 << 10;
/// What each record brings whatever its length.
const RECORD: u64 = 6656;
/// A long line.
const LONG: u64 = 8 << 10;
/// A cost that is linear and one that is not differ by far at this length.
const LEN: usize = 32 << 10;
/// Of a text so short nothing ends before it has cost [`BY_ITSELF`] looks a byte, which shows what would be
/// dear without a limit.
const SHORT: usize = 4 << 10;
const BY_ITSELF: u64 = 160;

thread_local! {
    static BENCH: RefCell<Bench> = RefCell::new(Bench::new(&[("preset", "all"), ("time_budget", "0")]));
}

/// Looks for each byte of a record with this text.
fn looks(text: &str) -> u64 {
    looked(text) / text.len().max(1) as u64
}

/// The same beyond what any batch may cost.
fn cost(text: &str) -> u64 {
    looked(text).saturating_sub(FREE) / text.len().max(1) as u64
}

fn looked(text: &str) -> u64 {
    looked_in(&batch(&[json!({"log": text})]))
}

/// The same of a batch, behind ordinary logs.
fn looked_in(data: &[u8]) -> u64 {
    BENCH.with_borrow_mut(|bench| {
        bench.run(&ordinary(200));
        let before = bench.count("looked_bytes_total", "");
        bench.run(data);
        bench.count("looked_bytes_total", "") - before
    })
}

/// So many ordinary lines.
fn ordinary(lines: usize) -> Vec<u8> {
    let lines = log_lines(lines).into_iter();
    let records = lines.map(|line| json!({"log": String::from_utf8_lossy(&line)}));
    batch(&records.collect::<Vec<_>>())
}

#[test]
fn ordinary_logs_cost_little() {
    let mut bench = Bench::new(&[("preset", "all"), ("time_budget", "0")]);
    let data = ordinary(500);
    bench.run(&data);
    let looked = bench.count("looked_bytes_total", "");
    assert!(looked < 3 * data.len() as u64, "{looked} of {}", data.len());
}

#[test]
fn a_log_of_nothing_but_what_is_found_in_life_is_looked_at_to_its_end() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/cases/redaction");
    let files = std::fs::read_dir(folder).expect("the folder of the cases");
    let mut dear = Vec::new();
    for file in files {
        for case in labelled::load(&file.expect("a file").path()).expect("cases") {
            let over = over(&batch(&[case.record]));
            dear.extend(over.map(|looked| (looked, case.place, case.note)));
        }
    }
    assert!(dear.is_empty(), "{dear:#?}");
}

/// What a record costs if it is more than it brings: a log of nothing but such would not be looked at to
/// its end.
fn over(data: &[u8]) -> Option<u64> {
    let looked = looked_in(data);
    (looked > RECORD + LIMIT * data.len() as u64).then(|| looked / data.len() as u64)
}

#[test]
fn whatever_the_catalogue_has_is_looked_at_to_its_end_in_every_way_of_writing() {
    let mut dear = Vec::new();
    for (n, view) in VIEWS.iter().enumerate() {
        // A quarter of them each.
        let examples = examples(&mut Random(n as u64));
        for example in examples.into_iter().skip(n % 4).step_by(4) {
            let over = over(&batch(&[json!({ "log": view(&example) })]));
            dear.extend(over.map(|looked| (looked, n, example)));
        }
    }
    assert!(dear.is_empty(), "{} {dear:#?}", dear.len());
}

#[test]
fn a_long_line_in_which_matches_are_dense_is_looked_at_to_its_end() {
    let mut r = Random(5);
    let lines = log_lines(30);
    let mut dear = Vec::new();
    for example in examples(&mut r).into_iter().step_by(4) {
        let n = r.below(VIEWS.len() as u64) as usize;
        let view = VIEWS[n](&example);
        let mut text = String::new();
        for lines in lines.chunks(3) {
            for line in lines {
                text.push_str(&String::from_utf8_lossy(line));
                text.push('\n');
            }
            text.push_str(&format!(
                "2026-05-12T08:15:42.123Z INFO worker-7 {view} done\n"
            ));
        }
        // What a batch has in any case is enough for a text that is longer than most lines are.
        let looks = looks(&text);
        if looks > LIMIT + FREE / LONG {
            dear.push((looks, n, example));
        }
    }
    assert!(dear.is_empty(), "{dear:#?}");
}

#[test]
fn the_look_at_a_name_is_counted() {
    // Neither has a value; only the first is a name that is looked up.
    for (name, other) in [("--password ", "--passwords"), ("x -p ls ", "x +p ls ")] {
        let [named, plain] = [name, other].map(|piece| looks(&repeated(piece, SHORT)));
        assert!(named > plain + 2, "{name}: {named}, {other}: {plain}");
    }
}

#[test]
fn searches_within_tokens_are_counted() {
    let hex = "0123456789abcdef0123456789abcdef";
    for (searched, other, least) in [
        // What is far behind the prefix is looked for, and what is in front of a run.
        ("PuTTY-User-Key-File-", "PuTTX-User-Key-File-", 3),
        (&*format!("a.b:/{hex}"), &*format!("a.b: {hex}"), 1),
    ] {
        let [more, less] = [searched, other].map(|piece| looks(&repeated(piece, SHORT)));
        assert!(more >= less + least, "{searched}: {more}, {other}: {less}");
    }
}

#[test]
fn a_run_of_nothing_but_prefixes_is_not_read_again_from_each_of_them() {
    // A megabyte that was read from each of them would take minutes.
    for piece in ["00", "s.", "0", "sk_", "AC"] {
        let cost = cost(&repeated(piece, 1 << 20));
        assert!(cost <= MOST, "{piece}: {cost}");
    }
}

#[test]
fn what_chance_has_found_ends_where_all_does() {
    for (name, text) in [
        (
            "credentials, tokens, backslashes",
            format!("https://a:b@{}{}", "glpat-".repeat(40), "\\".repeat(40)),
        ),
        (
            "quotes, tokens",
            format!("{}{}A0", "\"".repeat(40), "dckr_pat_".repeat(40)),
        ),
        (
            "hyphens, quoted names",
            "-".repeat(30_000) + &"\"password\":\"".repeat(3_000),
        ),
    ] {
        let cost = cost(&repeated(&text, LEN));
        assert!(cost <= MOST, "{name}: {cost}");
    }
}

#[test]
fn every_trigger_again_and_again_costs_so_many_times_its_length() {
    let mut worst: Vec<(u64, String)> = Vec::new();
    for trigger in &triggers() {
        for tail in ["", "A1b2C3d4E5f6G7h8I9j0"] {
            for (name, text) in shapes(trigger, tail, LEN) {
                worst.push((cost(&text), name));
            }
        }
    }
    worst.sort_unstable();
    let last = &worst[worst.len() - 8..];
    assert!(last[7].0 <= MOST, "{last:#?}");
}

/// How a text is made: its pieces, how often each is there before the next, and what is around it.
#[derive(Clone, Debug)]
struct Recipe {
    pieces: Vec<(String, usize)>,
    wrap: u8,
}

impl Recipe {
    fn text(&self, len: usize) -> String {
        let pieces = self.pieces.iter();
        let text: String = pieces.map(|(piece, times)| piece.repeat(*times)).collect();
        let text = repeated(&text, len);
        match self.wrap {
            0 => json!({"message": text}).to_string(),
            1 => json!([json!({"password": text}).to_string()]).to_string(),
            _ => text,
        }
    }
}

fn recipe() -> impl Strategy<Value = Recipe> {
    let piece = prop_oneof![
        4 => prop::sample::select(triggers()),
        2 => prop::sample::select(TAILS).prop_map(str::to_owned),
        1 => "[ -~]{0,12}",
    ];
    // Two of different kinds take turns, or many of each follow each other.
    let times = prop_oneof![2 => Just(1usize), 1 => Just(40), 1 => Just(400)];
    (prop::collection::vec((piece, times), 1..5), 0..4u8)
        .prop_map(|(pieces, wrap)| Recipe { pieces, wrap })
}

proptest! {
    // Others each time, as many as `WORK_CASES` says; the worst of them are looked for by the fuzz target
    // `redact_cost`.
    #![proptest_config(ProptestConfig {
        cases: std::env::var("WORK_CASES").map_or(150, |n| n.parse().expect("a number")),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]
    #[test]
    fn no_text_costs_more_than_so_many_times_its_length(recipe in recipe()) {
        let cost = looks(&recipe.text(SHORT));
        prop_assert!(cost <= BY_ITSELF, "{cost} for each byte");
    }
}

#[test]
fn the_name_beside_many_values_is_looked_for_once() {
    // Once for each of them would take minutes.
    let names = (0..40_000).map(|n| format!("{}value{}", "_".repeat(n % 200), ".".repeat(n / 200)));
    let mut members: serde_json::Map<String, serde_json::Value> =
        names.map(|name| (name, json!("x"))).collect();
    members.insert("mail".to_owned(), json!("bob@example.com"));
    let data = batch(&[members.clone().into()]);
    assert!(looked_in(&data) < MOST * data.len() as u64);
    // A name that is beside them is that of each.
    members.insert("name".to_owned(), json!("DB_PASSWORD"));
    let out = BENCH.with_borrow_mut(|bench| bench.run(&batch(&[members.into()])));
    let out = out.expect("a changed batch");
    assert!(!String::from_utf8_lossy(&out).contains("value.\u{a1}x"));
}

#[test]
fn a_long_name_is_not_read_again_for_each_number_of_its_value() {
    // That would take minutes, whatever is counted.
    let text = repeated("4222 222 2202 :222", 1 << 20);
    assert!(looked_in(&batch(&[json!({ (text.as_str()): text })])) > 0);
}

/// What is counted for the values of names, at the least.
#[test]
fn what_is_told_of_a_value_is_counted() {
    for (value, other, least) in [
        ("password='@ ", "password @'= ", 4),
        ("Authorization: Bearer ", "Authorisation: Bearer ", 8),
        ("--password =", "--passwort+=", 8),
    ] {
        let [named, plain] = [value, other].map(|piece| looks(&repeated(piece, SHORT)));
        assert!(named >= plain + least, "{value}: {named}, {other}: {plain}");
    }
}

#[test]
fn a_record_of_many_strings_costs_as_much_as_one_of_one() {
    let mut bench = Bench::new(&[("preset", "all"), ("time_budget", "0")]);
    for piece in [
        "@",
        ":",
        "%41",
        "1234567",
        "a@b.c",
        "glpat-x",
        "1234567890123456",
        "password=x",
    ] {
        let data = batch(&[json!({"list": vec![piece; 20_000]})]);
        let before = bench.count("looked_bytes_total", "");
        bench.run(&data);
        let looked = bench.count("looked_bytes_total", "") - before;
        assert!(
            looked < MOST * data.len() as u64 + FREE,
            "{piece}: {looked} of {}",
            data.len()
        );
    }
}
