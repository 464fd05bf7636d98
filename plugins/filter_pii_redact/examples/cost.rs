//! What text costs, as `cargo run --release -p filter_pii_redact --example cost --` and
//!
//! - `shapes [trigger [tail]]`: everything that begins a candidate, again and again;
//! - `dense [step]`: texts of nothing but one thing that is found, every eighth or so, in every way of
//!   writing;
//! - `text piece ...`: texts of one piece, again and again;
//! - `list piece ...`: records of one list of nothing but a piece;
//! - `whole file ...`: files as one text each;
//! - `lines file ...`: the lines of files, each again and again; cases in JSON are taken for their text;
//! - `climb [seconds [seed]]`: texts that nobody thought of: pieces of the above in a row, of which one is changed
//!   as long as that makes the text dearer, from a new start every so often.
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

/// Looks for each byte of a long record, behind which it ends.
const LIMIT: f64 = 22.5;
/// How many changes in a row make a text no dearer before the next start.
const PATIENCE: usize = 150;
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
        "list" => {
            for piece in arguments {
                let (name, piece) = (piece.clone(), piece.clone());
                texts.push(Text::new(name, move |len| {
                    batch(&[json!({ "list": vec![piece.clone(); 1 + len / (piece.len() + 1)] })])
                }));
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

/// Pieces in a row, how often each of them, and what is put around the text.
#[derive(Clone)]
struct Recipe {
    pieces: Vec<(String, usize)>,
    wrap: u64,
}

impl Recipe {
    fn any(pieces: &[String], r: &mut Random) -> Self {
        let count = 1 + r.below(4);
        Recipe {
            pieces: (0..count).map(|_| (pick(pieces, r), 1)).collect(),
            wrap: r.below(12),
        }
    }

    /// The same with one thing changed.
    fn changed(&self, pieces: &[String], r: &mut Random) -> Self {
        let mut new = self.clone();
        let at = r.below(new.pieces.len() as u64) as usize;
        match r.below(8) {
            0 => new.wrap = r.below(12),
            1 if new.pieces.len() > 1 => drop(new.pieces.remove(at)),
            2 => new.pieces[at].1 = [1, 1, 2, 5, 40, 400][r.below(6) as usize],
            // One byte less, or another one.
            3 => drop(new.pieces[at].0.pop()),
            4 => {
                let byte = char::from(b' ' + r.below(95) as u8);
                let piece = &mut new.pieces[at].0;
                let mut place = r.below(piece.len() as u64 + 1) as usize;
                while !piece.is_char_boundary(place) {
                    place -= 1;
                }
                piece.insert(place, byte);
            }
            5 if new.pieces.len() < 8 => new.pieces.insert(at, (pick(pieces, r), 1)),
            6 => {
                let other = r.below(new.pieces.len() as u64) as usize;
                new.pieces.swap(at, other);
            }
            _ => new.pieces[at].0 = pick(pieces, r),
        }
        new
    }

    fn data(&self, len: usize) -> Vec<u8> {
        let pieces = self.pieces.iter();
        let text: String = pieces.map(|(piece, times)| piece.repeat(*times)).collect();
        match self.wrap {
            0 => log(json!({ "message": repeated(&text, len) }).to_string()),
            1 => log(json!([json!({ "password": repeated(&text, len) }).to_string()]).to_string()),
            2 => batch(&vec![json!({ "log": repeated(&text, 300) }); len / 300]),
            3 => batch(&[json!({ "list": vec![text.clone(); 1 + len / (text.len() + 1)] })]),
            4 => log(json!(vec![text.clone(); 1 + len / (text.len() + 4)]).to_string()),
            5 => batch(&[json!({ "map": members(&text, len) })]),
            6 => log(members(&text, len).to_string()),
            7 => batch(&vec![
                json!({ (text.as_str()): text });
                1 + len / (2 * text.len() + 20)
            ]),
            _ => log(repeated(&text, len)),
        }
    }

    fn text(self) -> Text {
        let name = format!("around {}: {:?}", self.wrap, self.pieces);
        Text::new(name, move |len| self.data(len))
    }
}

/// Members with this value: half of their names say that they are the value of something.
fn members(text: &str, len: usize) -> Json {
    let name = |n: usize| match n % 2 {
        0 => format!("{}value{}", "_".repeat(n % 40), ".".repeat(n / 40)),
        _ => format!("{text}{n}"),
    };
    let count = 1 + len / (2 * text.len() + 40);
    let members = (0..count.min(4_000)).map(|n| (name(n), Json::from(text)));
    Json::Object(members.collect())
}

fn pick(pieces: &[String], r: &mut Random) -> String {
    match r.below(8) {
        0 => char::from(b' ' + r.below(95) as u8).to_string(),
        _ => pieces[r.below(pieces.len() as u64) as usize].clone(),
    }
}

/// The dearest text of each climb.
fn climb(bench: &mut Bench, seconds: f64, seed: u64, len: usize) -> Vec<Text> {
    let mut r = Random(seed);
    let mut pieces = triggers();
    pieces.extend(TAILS.iter().map(|tail| (*tail).to_owned()));
    pieces.extend(examples(&mut r).into_iter().step_by(3));
    pieces.retain(|piece| !piece.is_empty() && piece.len() < 200);
    let mut tried = 0;
    let mut cost = |recipe: &Recipe, rounds: u64| {
        tried += 1;
        let mut text = recipe.clone().text();
        text.measure(bench, len, rounds);
        // As if it were so long that what any batch may cost does not count.
        text.nanos / text.looks.max(1.0) * text.looks.clamp(1.0, LIMIT)
    };
    let started = ThreadTime::now();
    let mut found = Vec::new();
    while started.elapsed().as_secs_f64() < seconds {
        let first = (0..20).map(|_| Recipe::any(&pieces, &mut r));
        let costs = first.map(|recipe| (cost(&recipe, 1), recipe));
        let Some((mut most, mut best)) = costs.max_by(|a, b| a.0.total_cmp(&b.0)) else {
            break;
        };
        let mut left = PATIENCE;
        while left > 0 {
            left -= 1;
            let next = best.changed(&pieces, &mut r);
            // What was disturbed seems dearer than it is.
            if cost(&next, 1) > 1.01 * most {
                let nanos = cost(&next, 4);
                if nanos > 1.01 * most {
                    (most, best, left) = (nanos, next, PATIENCE);
                }
            }
        }
        found.push(best.text());
    }
    println!("{tried} texts tried, {} climbs", found.len());
    found
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let what = arguments.first().map_or("", String::as_str);
    let len = std::env::var("COST_LEN").map_or(64, |n| n.parse().unwrap_or(64)) << 10;
    let mut bench = Bench::new(&[("preset", "all"), ("time_budget", "0")]);
    let mut texts = match what {
        "climb" => {
            let number = |n: usize| arguments.get(n).and_then(|number| number.parse().ok());
            let (seconds, seed) = (number(1).unwrap_or(60), number(2).unwrap_or(1));
            climb(&mut bench, seconds as f64, seed, len)
        }
        _ => texts(what, arguments.get(1..).unwrap_or_default()),
    };
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
                "  {times:5.1} times, {ns:6.2} ns and {looks:6.2} looks a byte{late}: {name:.200}"
            );
        }
    };
    print("by looks", |text| text.looks);
    print("by time beyond the looks", |text| text.nanos - text.looks);
    print("by time", |text| text.nanos);
}
