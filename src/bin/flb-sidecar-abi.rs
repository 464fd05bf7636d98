//! Writes down how a Fluent Bit is laid out, for a host that runs without its debug information:
//! `flb-sidecar-abi HOST > FILE` where that is, `FLB_SIDECAR_ABI=FILE` where it runs.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use flb_sidecar::abi::functions::NAMES;
use flb_sidecar::abi::next_row::Release;
use host_abi::{debug_info, file, Layout};

const USAGE: &str = "flb-sidecar-abi HOST\n\n\
    HOST is a fluent-bit (or libfluent-bit.so) with debug information, or one whose debug\n\
    information is below /usr/lib/debug. What FLB_SIDECAR_ABI may name goes to standard output.\n\n\
    flb-sidecar-abi --row RELEASE HOST [BEFORE]\n\n\
    What the source of flb-sidecar needs to know RELEASE without debug information (make generation).\n";

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    match &arguments[..] {
        [help] if help == "-h" || help == "--help" => {
            end(io::stdout().write_all(USAGE.as_bytes()), ExitCode::SUCCESS)
        }
        [row, release, host] if row == "--row" => write_row(release, host, None),
        [row, release, host, before] if row == "--row" => write_row(release, host, Some(before)),
        [host] => write_file(host),
        _ => end(io::stderr().write_all(USAGE.as_bytes()), ExitCode::from(2)),
    }
}

fn write_row(release: &OsStr, host: &OsStr, before: Option<&OsString>) -> ExitCode {
    let text = Release::read(&release.to_string_lossy(), Path::new(host))
        .and_then(|release| release.describe(before.map(Path::new)));
    match text {
        Ok(text) => end(io::stdout().write_all(text.as_bytes()), ExitCode::SUCCESS),
        Err(why) => fail(&format!("{}: {why}", Path::new(host).display())),
    }
}

fn write_file(host: &OsStr) -> ExitCode {
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
