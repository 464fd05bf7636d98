//! The probe program as Kubernetes runs it.

use std::fs;
use std::path::Path;
use std::process::Command;

fn status(files: &[&Path]) -> Option<i32> {
    Command::new(env!("CARGO_BIN_EXE_flb-sidecar-probe"))
        .args(files)
        .output()
        .expect("the probe starts")
        .status
        .code()
}

#[test]
fn the_status_says_whether_every_file_is_there() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (there, missing) = (dir.path().join("ready"), dir.path().join("missing"));
    fs::write(&there, "").expect("the file is written");
    assert_eq!(status(&[&there]), Some(0));
    assert_eq!(status(&[&there, &missing]), Some(1));
    assert_eq!(status(&[]), Some(2));
}
