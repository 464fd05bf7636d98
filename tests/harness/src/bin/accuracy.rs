//! How many labelled cases of `pii_redact` come out right of the built library, which the C test host
//! loads: `make accuracy CASES='folder/*.jsonl'`.
//!
//! Arguments: `[--wrong] [--notes] [--part N/M] file ...`: `--wrong` lists those that do not, `--notes`
//! counts per note, `--part 2/3` takes the third of every three lines, `--part !2/3` the others.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "a measurement talks")]

#[path = "../../../../plugins/filter_pii_redact/tests/common/labelled.rs"]
mod labelled;

use std::path::{Path, PathBuf};

use flb_sidecar_sdk::event::{self, RecordFormat};
use flb_sidecar_sdk::json;
use flb_sidecar_tests::case::encode;
use flb_sidecar_tests::host::newest_test_host;
use flb_sidecar_tests::{Pipeline, NO_OPTIONS};
use serde_json::Value as Json;

use labelled::{load, Labelled, Report};

/// What becomes of the records in the library.
fn after(options: &[(&str, &str)], cases: &[Labelled]) -> Vec<Json> {
    let mut pipeline = Pipeline::new(&newest_test_host());
    let records: Vec<Json> = cases.iter().map(|case| case.record.clone()).collect();
    let chunk = pipeline.file("chunk", encode(&records, RecordFormat::WithMetadata));
    let out = pipeline.path("out");
    std::fs::create_dir(&out).expect("a temporary folder takes folders");
    pipeline.arg("--once");
    pipeline.input("raw_chunk", &[("path", chunk.as_str()), ("tag", "cases")]);
    pipeline.filter("pii_redact", "*", options);
    pipeline.output("raw_file", "*", &[("dir", &out)]);
    pipeline.run().check_status(0);
    let data = std::fs::read(Path::new(&out).join("cases")).expect("the host wrote the chunk");
    let body = |record: event::Record| json::read(&data, record.body).expect("valid msgpack").0;
    event::records(&data)
        .map(|record| body(record.expect("whole records")))
        .collect()
}

fn run(title: &str, options: &[(&str, &str)], cases: &[Labelled], show: (bool, bool)) {
    let bodies = after(options, cases);
    assert_eq!(bodies.len(), cases.len(), "every record comes out");
    let mut report = Report::default();
    for (case, body) in cases.iter().zip(&bodies) {
        report.add(case, body);
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
    run("defaults", NO_OPTIONS, &cases, (false, false));
    Ok(())
}
