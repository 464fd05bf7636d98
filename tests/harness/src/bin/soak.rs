//! `make soak`: a thousand short Jobs on every real Fluent Bit found, and the table of
//! [`flb_sidecar_tests::compare`]. Arguments: the folder of `make build`, the number of Jobs, how
//! many at once; with 0 Jobs only the table. With a fourth argument `flag` every Job ends with a
//! flag and lives long enough for the sidecar to be up, no SIGTERM comes, and there is no table:
//! that measures the time from flag to end.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "a soak talks")]

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use flb_sidecar_tests::compare;
use flb_sidecar_tests::host::{real_hosts, Host};
use flb_sidecar_tests::random::{seed, Random};
use flb_sidecar_tests::short_job::{percentile, run_all, Plan};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(folder) = arguments.first() {
        let library = Path::new(folder).join("libflb_sidecar.so");
        std::env::set_var("FLB_SIDECAR_LIBRARY", library);
    }
    let number = |index: usize, default: u64| {
        let given = arguments.get(index).and_then(|text| text.parse().ok());
        given.unwrap_or(default)
    };
    let hosts = real_hosts();
    let Some(newest) = hosts.last() else {
        println!("SKIPPED: no Fluent Bit found");
        return ExitCode::SUCCESS;
    };
    let measure = arguments.get(3).is_some_and(|word| word == "flag");
    let good = jobs(&hosts, number(1, 1000), number(2, 8) as usize, measure);
    if measure {
        // Only the times were wanted.
    } else if compare::possible() {
        println!("{}", compare::table(&hosts[0]));
        if hosts.len() > 1 {
            println!("{}", compare::table(newest));
        }
    } else {
        println!("SKIPPED the comparison: no PID namespaces here (bubblewrap)");
    }
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// Runs the Jobs; whether nothing was wrong.
fn jobs(hosts: &[Host], count: u64, at_once: usize, measure: bool) -> bool {
    if count == 0 {
        return true;
    }
    let seed = seed();
    println!(
        "{count} short Jobs, {at_once} at once, FLB_SIDECAR_SEED={seed}, load {}",
        load()
    );
    let mut random = Random::new(seed);
    let make = if measure { Plan::plain } else { Plan::random };
    let plans: Vec<Plan> = (0..count).map(|n| make(&mut random, n)).collect();
    let outcomes = run_all(hosts, &plans, at_once);
    for (host, _, outcome) in &outcomes {
        if !outcome.fault.is_empty() {
            println!("{host}: {}\n", outcome.fault);
        }
    }
    println!("| host | Jobs | lost | twice | hung | wrong | flag to end: p50 | p99 | most | of |");
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for host in hosts {
        row(&host.to_string(), &outcomes, |other| {
            other.version == host.version
        });
    }
    row("all", &outcomes, |_| true);
    println!("load {}", load());
    outcomes
        .iter()
        .all(|(_, _, outcome)| outcome.fault.is_empty())
}

fn row(
    name: &str,
    outcomes: &[(Host, Plan, flb_sidecar_tests::short_job::Outcome)],
    wanted: impl Fn(&Host) -> bool,
) {
    let ours: Vec<_> = outcomes
        .iter()
        .filter(|(host, _, _)| wanted(host))
        .collect();
    let lost: u64 = ours.iter().map(|(_, _, outcome)| outcome.lost).sum();
    let twice: u64 = ours.iter().map(|(_, _, outcome)| outcome.twice).sum();
    let hung = ours.iter().filter(|(_, _, outcome)| outcome.hung).count();
    let wrong = ours
        .iter()
        .filter(|(_, _, outcome)| !outcome.fault.is_empty())
        .count();
    let times: Vec<Duration> = ours
        .iter()
        .filter_map(|(_, _, outcome)| outcome.after_trigger)
        .collect();
    let at = |part| {
        let time = percentile(&times, part);
        time.map_or("-".to_owned(), |time| {
            format!("{:.3} s", time.as_secs_f64())
        })
    };
    println!(
        "| {name} | {} | {lost} | {twice} | {hung} | {wrong} | {} | {} | {} | {} |",
        ours.len(),
        at(0.5),
        at(0.99),
        at(1.0),
        times.len()
    );
}
