//! A probe for images without a shell: `flb-sidecar-probe FILE...` ends with 0 if every file is
//! there, with 1 if one is missing, with 2 if it was called wrongly.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let files: Vec<OsString> = std::env::args_os().skip(1).collect();
    if files.is_empty() {
        return fail(2, "usage: flb-sidecar-probe FILE...");
    }
    for file in &files {
        if let Err(error) = std::fs::metadata(file) {
            return fail(1, &format!("{}: {error}", Path::new(file).display()));
        }
    }
    ExitCode::SUCCESS
}

fn fail(status: u8, why: &str) -> ExitCode {
    // Nobody reads what cannot be written; the status says it all.
    let _ = writeln!(std::io::stderr(), "{why}");
    ExitCode::from(status)
}
