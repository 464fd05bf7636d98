//! Labelled cases: `tests/cases/redaction/*.jsonl` at the repository root, every one right.

mod common;

use std::path::Path;

use common::labelled::{load, Report};
use common::{batch, bodies, Bench};

#[test]
fn every_labelled_case_comes_out_right() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases/redaction");
    let mut bench = Bench::new(&[("preset", "all")]);
    let mut report = Report::default();
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("it can be read").path();
        for case in load(&path).unwrap_or_else(|error| panic!("{error}")) {
            let data = batch(std::slice::from_ref(&case.record));
            let out = bench.run(&data).unwrap_or(data);
            report.add(&case, &bodies(&out).pop().unwrap_or_default());
        }
    }
    assert!(report.redact.all > 100 && report.keep.all > 30);
    assert!(report.wrong.is_empty(), "{}", report.wrong.join("\n"));
}
