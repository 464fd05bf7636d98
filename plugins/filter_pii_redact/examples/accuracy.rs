//! How many labelled cases come out right: `make accuracy CASES='folder/*.jsonl'`.
//!
//! `cargo run --example accuracy -- [--wrong] [--notes] [--part N/M] file ...`: `--wrong` lists those that
//! do not, `--notes` counts per note, `--part 2/3` takes the third of every three lines, `--part !2/3` the others.
#![allow(clippy::print_stdout)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::path::PathBuf;

use common::labelled::{load, Labelled, Report};
use common::{batch, bodies, Bench};

fn run(title: &str, options: &[(&str, &str)], cases: &[Labelled], show: (bool, bool)) {
    let mut bench = Bench::new(options);
    let mut report = Report::default();
    for case in cases {
        let data = batch(std::slice::from_ref(&case.record));
        let out = bench.run(&data).unwrap_or(data);
        report.add(case, &bodies(&out).pop().unwrap_or_default());
    }
    print!("{}", report.table(title, show.0));
    if show.1 {
        report.wrong.iter().for_each(|wrong| println!("{wrong}"));
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut wrong, mut notes, mut part, mut files) = (false, false, None, Vec::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--wrong" => wrong = true,
            "--notes" => notes = true,
            "--part" => part = arguments.next(),
            _ => files.push(PathBuf::from(argument)),
        }
    }
    let mut cases = Vec::new();
    for file in &files {
        cases.extend(load(file)?);
    }
    if let Some(part) = part {
        let (others, part) = (part.starts_with('!'), part.trim_start_matches('!'));
        let (n, of) = part.split_once('/').ok_or("a part is N/M")?;
        let (n, of): (usize, usize) = (n.parse()?, of.parse()?);
        let line = |case: &Labelled| case.place.rsplit(':').next()?.parse::<usize>().ok();
        cases.retain(|case| line(case).is_some_and(|line| ((line - 1) % of == n) != others));
    }
    run("preset all", &[("preset", "all")], &cases, (notes, wrong));
    run("defaults", &[], &cases, (false, false));
    Ok(())
}
