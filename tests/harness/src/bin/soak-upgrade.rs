//! `make soak-upgrade`: the sidecar of conf/sidecarset replaced in place a hundred times a way, by
//! every host found in turn; with an older library, also by that and back. Arguments: how many
//! times, how many pods at once, the library, the older one.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "a soak talks")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Duration;

use flb_sidecar_tests::build::library;
use flb_sidecar_tests::host::real_hosts;
use flb_sidecar_tests::random::seed;
use flb_sidecar_tests::short_job::percentile;
use flb_sidecar_tests::upgrade::{self, Load, Plan, Way};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: usize| {
        let given = arguments.next().and_then(|text| text.parse().ok());
        given.unwrap_or(default)
    };
    let (rounds, pods) = (number(100), number(4));
    let mut libraries: Vec<PathBuf> = arguments.map(PathBuf::from).collect();
    if libraries.is_empty() {
        libraries.push(library());
    }
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
    let plan = |way, load, libraries| Plan {
        way,
        load,
        rounds,
        pods,
        hosts: &hosts,
        libraries,
        seed,
    };
    let new = &libraries[..1];
    let mut plans = vec![
        ("after SIGTERM", plan(Way::Follow, Load::Steady, new)),
        ("side by side", plan(Way::Overlap, Load::Steady, new)),
        ("after kill -9", plan(Way::Kill, Load::Steady, new)),
    ];
    if libraries.len() > 1 {
        // What a build does with a log that never pauses, its successor cannot make good.
        plans.push((
            "by an older build and back",
            plan(Way::Follow, Load::Bursts, &libraries),
        ));
    }
    println!("| replaced | times | lines | rotations | lost | twice | p50 | most |");
    println!("|---|---|---|---|---|---|---|---|");
    let mut good = true;
    for (name, plan) in plans {
        let times = Mutex::new(Vec::new());
        let outcome = upgrade::run(&plan, |took| {
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
        let repeats = outcome.twice > 0 && plan.way != Way::Kill;
        if outcome.lost > 0 || repeats {
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
