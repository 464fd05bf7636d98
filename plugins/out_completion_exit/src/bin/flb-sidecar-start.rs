//! Starts Fluent Bit with the first configuration that is there: `flb-sidecar-start FILE...`. An
//! injected sidecar whose ConfigMap is missing so begins with the image's own configuration, and
//! the main container does not wait for it for ever. Needs no shell; the process becomes the host.
//!
//! `FLUENT_BIT` names another program than `/fluent-bit/bin/fluent-bit`.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let files: Vec<OsString> = std::env::args_os().skip(1).collect();
    let Some(first) = files.first() else {
        return fail("usage: flb-sidecar-start FILE...");
    };
    let Some(file) = files.iter().find(|file| Path::new(file).is_file()) else {
        return fail(&format!("no configuration is there: {files:?}"));
    };
    if file != first {
        say(&format!(
            "{} is not there: going on with {}",
            Path::new(first).display(),
            Path::new(file).display()
        ));
    }
    let program = std::env::var_os("FLUENT_BIT");
    let program = program.unwrap_or_else(|| "/fluent-bit/bin/fluent-bit".into());
    let error = Command::new(&program).arg("-c").arg(file).exec();
    fail(&format!("{}: {error}", Path::new(&program).display()))
}

fn fail(why: &str) -> ExitCode {
    say(why);
    ExitCode::from(2)
}

fn say(text: &str) {
    // Nobody reads what cannot be written; the status says it all.
    let _ = writeln!(std::io::stderr(), "flb-sidecar-start: {text}");
}
