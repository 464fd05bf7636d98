//! `make demo` with a host that is named.

use std::process::Command;

use flb_sidecar_tests::process::script;

/// Older than any host that may be installed here, and no host at all.
const PROGRAM: &str = "#!/bin/sh\n[ \"$1\" = --version ] && echo 'Fluent Bit v0.0.1'\nexit 3\n";

#[test]
fn the_named_host_is_used_whatever_else_is_installed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let program = folder.path().join("fluent-bit");
    script(&program, PROGRAM);
    let output = Command::new(env!("CARGO_BIN_EXE_demo"))
        .arg(folder.path())
        .env("FLUENT_BIT_BINARY", &program)
        .env_remove("FLUENT_BIT_ONLY")
        .output()
        .expect("the demo starts");
    let said = String::from_utf8_lossy(&output.stdout);
    let wanted = format!("host: Fluent Bit 0.0.1 ({})", program.display());
    assert!(said.starts_with(&wanted), "{said}");
    assert!(!output.status.success(), "it is no host");
}
