//! `make demo`: the Job of a main container and its sidecar, with a real Fluent Bit if there is
//! one, else with the C test host. The argument is the folder of `make build`.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "a demo talks")]

use std::path::Path;
use std::process::ExitCode;

use flb_sidecar_tests::build::Check;
use flb_sidecar_tests::host::{named_host, real_hosts, Host, GENERATIONS};
use flb_sidecar_tests::job::Job;

fn main() -> ExitCode {
    if let Some(folder) = std::env::args_os().nth(1) {
        let library = Path::new(&folder).join("libflb_sidecar.so");
        std::env::set_var("FLB_SIDECAR_LIBRARY", library);
    }
    let newest = *GENERATIONS.last().expect("there are generations");
    let host = named_host().or_else(|| real_hosts().pop());
    let host = host.unwrap_or_else(|| Host::test(newest, Check::None));
    println!("host: {host} ({})", host.program.display());
    let job = Job::new(&host);
    println!("sidecar: {}\n", job.command_line());
    let outcome = job.run(30, "0.1", |text| print!("{text}"));
    let after = outcome.after_flag.as_secs_f64();
    match outcome.verdict() {
        Ok(()) => {
            println!(
                "\n{} lines, each once, redacted and enriched; the sidecar ended with status 0, \
                 {after:.2} s after the flag ({host})",
                outcome.lines
            );
            ExitCode::SUCCESS
        }
        Err(reason) => {
            println!("\nFAILED on {host}: {reason}\n{}", outcome.sidecar.stderr);
            ExitCode::FAILURE
        }
    }
}
