//! Writes down how a Fluent Bit is laid out, for a host that runs without its debug information:
//! `flb-sidecar-abi HOST > FILE` where that is, `FLB_SIDECAR_ABI=FILE` where it runs.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use flb_sidecar::abi::functions::NAMES;
use host_abi::{debug_info, file, Layout};

const USAGE: &str = "flb-sidecar-abi HOST\n\n\
    HOST is a fluent-bit (or libfluent-bit.so) with debug information, or one whose debug\n\
    information is below /usr/lib/debug. What FLB_SIDECAR_ABI may name goes to standard output.\n";

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(host), None) = (arguments.next(), arguments.next()) else {
        return end(io::stderr().write_all(USAGE.as_bytes()), ExitCode::from(2));
    };
    if host == "-h" || host == "--help" {
        return end(io::stdout().write_all(USAGE.as_bytes()), ExitCode::SUCCESS);
    }
    let read = debug_info::read(Path::new(&host), Path::new(debug_info::DEBUG_FOLDER), NAMES);
    let facts = match read {
        Ok(facts) => facts,
        Err(failure) => return fail(&failure.to_string()),
    };
    let unproven = match Layout::from_facts(&facts) {
        Ok((_, unproven)) => unproven,
        Err(why) => {
            return fail(&format!(
                "{} cannot be used: {why}",
                Path::new(&host).display()
            ))
        }
    };
    let mut said = Ok(());
    for what in unproven {
        said = said.and(writeln!(io::stderr(), "not known: {what}"));
    }
    let written = io::stdout().write_all(file::write(&facts).as_bytes());
    end(said.and(written), ExitCode::SUCCESS)
}

fn fail(why: &str) -> ExitCode {
    end(writeln!(io::stderr(), "{why}"), ExitCode::FAILURE)
}

/// The code, unless what should be said could not be written.
fn end(written: io::Result<()>, code: ExitCode) -> ExitCode {
    match written {
        Ok(()) => code,
        Err(_) => ExitCode::FAILURE,
    }
}
