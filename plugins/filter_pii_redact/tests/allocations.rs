//! What does not change costs no allocation, once the buffers have grown.

mod common;

use common::lines::log_lines;
use common::{batch, Bench};
use flb_sidecar_sdk::{Chunk, Filter, Verdict};
use serde_json::json;

/// Allocations of one pass over `data`, behind another that lets the buffers grow.
fn allocations(options: &[(&str, &str)], data: &[u8]) -> u64 {
    // However slow the machine is, a batch is looked at to its end.
    let options = [options, &[("time_budget", "0")]].concat();
    let mut bench = Bench::new(&options);
    let mut out = Vec::new();
    let mut pass = || {
        let chunk = Chunk { data, tag: b"t" };
        assert_eq!(bench.filter.filter(chunk, &mut out), Verdict::Unchanged);
    };
    pass();
    allocation_counter::measure(pass).count_total
}

fn clean(lines: impl Iterator<Item = String>) -> Vec<u8> {
    let records: Vec<_> = lines
        .map(|line| json!({"log": line, "n": 4_012_888_888_881_882_u64, "list": [1, "x"]}))
        .collect();
    batch(&records)
}

#[test]
fn a_clean_batch_is_passed_without_an_allocation() {
    let lines = log_lines(2_000)
        .into_iter()
        .map(|line| String::from_utf8(line).expect("lines are UTF-8"));
    let data = clean(lines);
    assert_eq!(allocations(&[], &data), 0);
    assert_eq!(
        allocations(&[("preset", "all"), ("disable", "ip")], &data),
        0
    );
    // Every record is walked.
    assert_eq!(allocations(&[("remove_key", "secret*")], &data), 0);
    assert_eq!(allocations(&[("include_path", "$log")], &data), 0);
}

#[test]
fn candidates_that_are_refused_cost_no_allocation() {
    let texts = [
        "4012888888881882",
        "4012-8888-8888-1882 and 000-12-3456",
        "GB82WEST12345698765433",
        "user@localhost, android.os.BinderProxy@1234.5",
        "token=default password=**** api_key=${API_KEY}",
        "system call 45369 28168 returned 203 1234",
        "use ghp_REjPz54jkgFVE6SH8CLU2lirWmjLGu now",
        "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfN",
    ];
    for text in texts {
        let data = clean([text.to_owned()].into_iter());
        assert_eq!(allocations(&[], &data), 0, "{text}");
    }
}

#[test]
fn the_counter_counts() {
    let made =
        allocation_counter::measure(|| drop(std::hint::black_box(Vec::<u8>::with_capacity(1))));
    assert_eq!(made.count_total, 1);
}
