//! The program that starts a host, with a program of ours in the host's place.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// What `flb-sidecar-start` does with `files`; `/bin/echo` plays the host and prints its arguments.
fn start(files: &[&Path], host: &str) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(env!("CARGO_BIN_EXE_flb-sidecar-start"))
        .args(files)
        .env("FLUENT_BIT", host)
        .output()
        .expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).trim().to_owned();
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn the_first_configuration_that_is_there_is_taken() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [mounted, own] = ["mounted.conf", "own.conf"].map(|name| folder.path().join(name));
    fs::write(&own, "").expect("it takes files");
    let (status, arguments, said) = start(&[&mounted, &own], "/bin/echo");
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(arguments, format!("-c {}", own.display()));
    assert!(said.contains("mounted.conf is not there"), "{said}");

    fs::write(&mounted, "").expect("it takes files");
    let (status, arguments, said) = start(&[&mounted, &own], "/bin/echo");
    assert_eq!((status, said.as_str()), (Some(0), ""));
    assert_eq!(arguments, format!("-c {}", mounted.display()));
}

#[test]
fn a_folder_is_no_configuration_and_nothing_at_all_is_an_error() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    // An optional ConfigMap that is missing leaves an empty folder at the mount.
    let (status, _, said) = start(&[folder.path()], "/bin/echo");
    assert_eq!(status, Some(2));
    assert!(said.contains("no configuration is there"), "{said}");
    let (status, _, said) = start(&[], "/bin/echo");
    assert_eq!(status, Some(2));
    assert!(said.contains("usage"), "{said}");
}

#[test]
fn a_host_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("fluent-bit.conf");
    fs::write(&file, "").expect("it takes files");
    let (status, _, said) = start(&[&file], "/nowhere/fluent-bit");
    assert_eq!(status, Some(2));
    assert!(said.contains("/nowhere/fluent-bit"), "{said}");
}
