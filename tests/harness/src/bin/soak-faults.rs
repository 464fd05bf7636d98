//! `make soak-faults`: Jobs whose destinations fail as random scripts say, on every real host in turn.
//! Arguments: how many, how many at once, the seed of the first, from each seed to the next (0 plays one
//! again and again).
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "a soak talks")]

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};

use flb_sidecar_tests::fault_script::{run, Plan};
use flb_sidecar_tests::host::real_hosts;
use flb_sidecar_tests::random::Random;
use flb_sidecar_tests::side_by_side;

fn main() -> ExitCode {
    let number = |index, default| {
        let text = std::env::args().nth(index);
        text.and_then(|text| text.parse::<u64>().ok())
            .unwrap_or(default)
    };
    let (jobs, at_once, first, step) = (number(1, 200), number(2, 8), number(3, 1), number(4, 1));
    let hosts = real_hosts();
    if hosts.is_empty() {
        println!("no Fluent Bit found");
        return ExitCode::FAILURE;
    }
    let next = AtomicU64::new(0);
    let wrong = AtomicU64::new(0);
    side_by_side(0..at_once, |_| loop {
        let job = next.fetch_add(1, Ordering::Relaxed);
        if job >= jobs {
            return;
        }
        let host = &hosts[(job % hosts.len() as u64) as usize];
        let seed = first + job * step;
        let plan = Plan::random(&mut Random::new(seed));
        let faults = run(host, &plan);
        if !faults.is_empty() {
            wrong.fetch_add(1, Ordering::Relaxed);
            let faults = faults.join("\n");
            println!("seed {seed} on {host}: {faults}\n{plan:?}\n");
        }
    });
    let wrong = wrong.into_inner();
    println!("{jobs} scripts of faults from seed {first}, {wrong} with a wrong account");
    if wrong == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
