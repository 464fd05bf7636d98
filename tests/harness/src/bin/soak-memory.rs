//! `make soak-memory`: the sidecar of conf/full in a container of 64 MiB, with a burst of 100 MB
//! while its destination is down for 30 s, on every host found.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "a soak talks")]

use std::process::ExitCode;
use std::time::Duration;

use flb_sidecar_tests::host::real_hosts;
use flb_sidecar_tests::memory::{self, Plan};

fn main() -> ExitCode {
    if let Some(library) = std::env::args_os().nth(1) {
        std::env::set_var("FLB_SIDECAR_LIBRARY", library);
    }
    let plan = Plan {
        limit: 64 << 20,
        burst: 100_000_000,
        down: Duration::from_secs(30),
        patience: Duration::from_secs(300),
    };
    let hosts = real_hosts();
    if hosts.is_empty() {
        println!("SKIPPED: no Fluent Bit found");
    }
    let mut good = true;
    for host in hosts {
        match memory::run(&host, &plan) {
            Ok(outcome) => {
                println!("{host}: {outcome}");
                good &= outcome.killed == 0 && outcome.lost == 0;
            }
            Err(why) => println!("SKIPPED {host}: {why}"),
        }
    }
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
