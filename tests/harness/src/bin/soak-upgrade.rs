//! `make soak-upgrade`: the sidecar of conf/sidecarset replaced in place a hundred times a way, to
//! every host found and every given library in turn. Arguments: how many times, how many pods at
//! once, the libraries.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "a soak talks")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Duration;

use flb_sidecar_tests::host::real_hosts;
use flb_sidecar_tests::random::seed;
use flb_sidecar_tests::short_job::percentile;
use flb_sidecar_tests::upgrade::{self, Way};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: usize| {
        let given = arguments.next().and_then(|text| text.parse().ok());
        given.unwrap_or(default)
    };
    let (rounds, pods) = (number(100), number(4));
    let libraries: Vec<PathBuf> = arguments.map(PathBuf::from).collect();
    let hosts = real_hosts();
    if hosts.is_empty() {
        println!("SKIPPED: no Fluent Bit found");
        return ExitCode::SUCCESS;
    }
    let names: Vec<String> = hosts.iter().map(|host| host.version.to_string()).collect();
    let seed = seed();
    println!(
        "hosts: {}\nlibraries: {libraries:?}\nFLB_SIDECAR_SEED={seed}\n",
        names.join(" ")
    );
    println!("| replaced | times | lines | rotations | lost | twice | p50 | most |");
    println!("|---|---|---|---|---|---|---|---|");
    let mut good = true;
    for (name, way) in [
        ("after SIGTERM", Way::Follow),
        ("side by side", Way::Overlap),
        ("after kill -9", Way::Kill),
    ] {
        let times = Mutex::new(Vec::new());
        let outcome = upgrade::run(way, (pods, rounds), &hosts, &libraries, seed, |_, took| {
            if let Ok(mut times) = times.lock() {
                times.push(took);
            }
        });
        let times: Vec<Duration> = times.into_inner().unwrap_or_default();
        let at = |part| {
            let time = percentile(&times, part).unwrap_or_default();
            format!("{:.1} s", time.as_secs_f64())
        };
        println!(
            "| {name} | {} | {} | {} | {} | {} | {} | {} |",
            times.len(),
            outcome.lines,
            outcome.rotations,
            outcome.lost,
            outcome.twice,
            at(0.5),
            at(1.0)
        );
        // What was in flight at a kill comes again.
        let expected = way == Way::Kill || outcome.twice == 0;
        if outcome.lost > 0 || !expected {
            good = false;
            println!("{:?}", outcome.examples);
        }
    }
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
