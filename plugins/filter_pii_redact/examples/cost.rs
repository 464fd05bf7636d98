//! What text costs, as `cargo run --release -p filter_pii_redact --example cost --` and
//!
//! - `shapes [trigger [tail]]`: everything that begins a candidate, again and again;
//! - `dense [step]`: texts of nothing but one thing that is found, every eighth or so, in every way of
//!   writing;
//! - `text piece ...`: texts of one piece, again and again;
//! - `whole file ...`: files as one text each;
//! - `lines file ...`: the lines of files, each again and again; cases in JSON are taken for their text.
//!
//! Prints CPU time and looks for each byte, the dearest last, and what ordinary log lines cost in the same
//! run. `COST_LEN` is the length of a text in KiB, 64 if it is not set. The dearest are measured again at
//! 1 MiB.
#![allow(clippy::print_stdout, missing_docs)]

use cpu_time::ThreadTime;
use serde_json::{json, Value as Json};

#[path = "../tests/common/mod.rs"]
mod common;

use common::adversarial::{repeated, shapes, triggers, TAILS};
use common::lines::{log_lines, Random};
use common::written::{examples, LAYOUTS, VIEWS};
use common::{batch, Bench};

/// How many of the dearest are printed, and measured again.
const PRINTED: usize = 40;
const AGAIN: usize = 100;

/// A batch for a length of its text.
type Make = Box<dyn Fn(usize) -> Vec<u8>>;

struct Text {
    name: String,
    make: Make,
    nanos: f64,
    looks: f64,
    /// Records that were not looked at to their end.
    late: u64,
}

impl Text {
    fn new(name: String, make: impl Fn(usize) -> Vec<u8> + 'static) -> Self {
        Text {
            name,
            make: Box::new(make),
            nanos: f64::MAX,
            looks: 0.0,
            late: 0,
        }
    }

    /// Takes the best of some rounds.
    fn measure(&mut self, bench: &mut Bench, len: usize, rounds: u64) {
        let data = (self.make)(len);
        let count = |bench: &Bench| {
            ["looked_bytes_total", "late_records_total"].map(|n| bench.count(n, ""))
        };
        let before = count(bench);
        self.nanos = f64::MAX;
        for _ in 0..rounds {
            let started = ThreadTime::now();
            bench.run(&data);
            let nanos = started.elapsed().as_nanos() as f64 / data.len() as f64;
            self.nanos = nanos.min(self.nanos);
        }
        let after = count(bench);
        self.looks = ((after[0] - before[0]) / rounds) as f64 / data.len() as f64;
        self.late = after[1] - before[1];
    }
}

fn log(text: String) -> Vec<u8> {
    batch(&[json!({ "log": text })])
}

/// The texts that the arguments name.
fn texts(what: &str, arguments: &[String]) -> Vec<Text> {
    let read = |file: &String| {
        String::from_utf8_lossy(&std::fs::read(file).unwrap_or_default()).into_owned()
    };
    let mut texts = Vec::new();
    match what {
        "shapes" => {
            let wanted = |n: usize, piece: &str| arguments.get(n).is_none_or(|some| some == piece);
            let triggers = triggers().into_iter();
            for trigger in triggers.filter(|trigger| wanted(0, trigger)) {
                for tail in TAILS.iter().filter(|tail| wanted(1, tail)) {
                    for (n, (name, _)) in shapes(&trigger, tail, 8).into_iter().enumerate() {
                        let trigger = trigger.clone();
                        texts.push(Text::new(name, move |len| {
                            log(shapes(&trigger, tail, len).swap_remove(n).1)
                        }));
                    }
                }
            }
        }
        "dense" => {
            let step = arguments.first().and_then(|n| n.parse().ok());
            let step: usize = step.unwrap_or(8);
            let mut r = Random(3);
            let examples = examples(&mut r);
            for (layout, join) in LAYOUTS {
                for (n, view) in VIEWS.iter().enumerate() {
                    for example in examples.iter().step_by(step) {
                        let text = view(example);
                        let name = format!("{layout}, view {n}: {example:?}");
                        texts.push(Text::new(name, move |len| {
                            log(join(&vec![text.clone(); 1 + len / text.len()]))
                        }));
                    }
                }
            }
        }
        "text" => {
            for piece in arguments {
                let (name, piece) = (piece.clone(), piece.clone());
                texts.push(Text::new(name, move |len| log(repeated(&piece, len))));
            }
        }
        "whole" => {
            for file in arguments {
                let text = read(file);
                texts.push(Text::new(file.clone(), move |_| log(text.clone())));
            }
        }
        "lines" => {
            for line in arguments.iter().flat_map(|file| {
                let lines = read(file);
                lines.lines().map(str::to_owned).collect::<Vec<_>>()
            }) {
                let case = serde_json::from_str::<Json>(&line).ok();
                let record = match case.as_ref().and_then(|case| case.get("text")) {
                    Some(Json::String(text)) => json!({ "log": text }),
                    Some(other) => other.clone(),
                    None => json!({ "log": line }),
                };
                texts.push(Text::new(line, move |len| {
                    let one = batch(std::slice::from_ref(&record));
                    one.repeat((len / one.len()).max(1))
                }));
            }
        }
        _ => println!("shapes, text and pieces, whole or lines and files"),
    }
    texts
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let what = arguments.first().map_or("", String::as_str);
    let len = std::env::var("COST_LEN").map_or(64, |n| n.parse().unwrap_or(64)) << 10;
    let mut bench = Bench::new(&[("preset", "all"), ("time_budget", "0")]);
    let mut texts = texts(what, arguments.get(1..).unwrap_or_default());
    for text in &mut texts {
        text.measure(&mut bench, len, 2);
    }
    texts.sort_by(|a, b| a.nanos.total_cmp(&b.nanos));
    let first = texts.len().saturating_sub(AGAIN);
    for text in &mut texts[first..] {
        text.measure(&mut bench, 1 << 20, 5);
    }
    let lines = || {
        let lines = log_lines(7_000).into_iter();
        lines.map(|line| json!({"log": String::from_utf8_lossy(&line)}))
    };
    let mut ordinary = Text::new(String::new(), move |_| batch(&lines().collect::<Vec<_>>()));
    ordinary.measure(&mut bench, 0, 30);
    let (nanos, looks) = (ordinary.nanos, ordinary.looks);
    println!("ordinary log lines: {nanos:.2} ns and {looks:.2} looks a byte");
    for times in [5.0, 10.0, 15.0, 20.0] {
        let over = texts.iter().filter(|text| text.nanos > times * nanos);
        println!("  more than {times} times that: {} texts", over.count());
    }
    let late = texts.iter().filter(|text| text.late > 0);
    println!("not looked at to their end: {} texts", late.count());
    let mut print = |title: &str, by: fn(&Text) -> f64| {
        texts.sort_by(|a, b| by(a).total_cmp(&by(b)));
        println!("{title}, {} texts:", texts.len());
        for text in &texts[texts.len().saturating_sub(PRINTED)..] {
            let (ns, looks, name) = (text.nanos, text.looks, &text.name);
            let times = ns / nanos;
            let late = if text.late > 0 { ", ended" } else { "" };
            println!(
                "  {times:5.1} times, {ns:6.2} ns and {looks:6.2} looks a byte{late}: {name:.120}"
            );
        }
    };
    print("by looks", |text| text.looks);
    print("by time beyond the looks", |text| text.nanos - text.looks);
    print("by time", |text| text.nanos);
}
