//! What stands at the names of our own files, put there by whoever writes the logs.

mod common;

use std::fs;
use std::os::unix::fs::{symlink, MetadataExt};
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::fs::{mknodat, FileType, Mode, CWD};

use common::{append, Setup};

const OUTSIDE: &[u8] = b"a token of somebody else";
const NAMES: [&str; 5] = [
    ".sidecar",
    ".sidecar.journal",
    ".sidecar.lock",
    ".sidecar.tmp",
    ".sidecar.takeover",
];

fn put(stranger: &str, path: &Path, outside: &Path) {
    match stranger {
        "link" => symlink(outside.join("token"), path).unwrap(),
        "dangling link" => symlink(outside.join("new"), path).unwrap(),
        "link to a folder" => symlink(outside, path).unwrap(),
        "endless link" => symlink("/dev/zero", path).unwrap(),
        "loop" => symlink(path, path).unwrap(),
        "fifo" => mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o666), 0).unwrap(),
        "socket" => drop(UnixListener::bind(path).unwrap()),
        _ => fs::create_dir(path).unwrap(),
    }
}

#[test]
fn whatever_stands_at_our_names_every_line_is_read_once_and_nothing_else_is_touched() {
    for stranger in [
        "link",
        "dangling link",
        "link to a folder",
        "endless link",
        "loop",
        "fifo",
        "socket",
        "folder",
    ] {
        let setup = Setup::new("*.log");
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("token"), OUTSIDE).unwrap();
        // A database of `tail`, so that there is something to be taken over.
        fs::write(setup.state.path().join("tail.db"), "no database").unwrap();
        for name in NAMES {
            let path = setup.state.path().join(format!("tail.db{name}"));
            put(stranger, &path, outside.path());
        }
        append(&setup.file("a.log"), "one\n");
        let mut rig = setup.start();
        rig.wait_for(&["one"]);
        rig.drain();
        setup.saved(&mut rig, &setup.file("a.log"), 4);
        assert!(rig.errors("in_the_way") >= 4, "{stranger}");
        rig.exit();
        let mut rig = setup.start();
        append(&setup.file("a.log"), "two\n");
        rig.wait_for(&["two"]);
        rig.drain();
        rig.exit();
        assert_eq!(fs::read(outside.path().join("token")).unwrap(), OUTSIDE);
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
        for name in [".sidecar", ".sidecar.journal", ".sidecar.lock"] {
            let path = setup.state.path().join(format!("tail.db{name}"));
            let metadata = fs::symlink_metadata(&path).unwrap();
            assert!(metadata.is_file(), "{stranger} {name}");
            assert_eq!(metadata.mode() & 0o777, 0o600, "{stranger} {name}");
        }
    }
}

#[test]
fn a_link_at_the_database_of_tail_is_not_taken_over() {
    let setup = Setup::new("*.log");
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("token"), OUTSIDE).unwrap();
    let db = setup.state.path().join("tail.db");
    symlink(outside.path().join("token"), &db).unwrap();
    append(&setup.file("a.log"), "one\n");
    let mut rig = setup.start();
    rig.wait_for(&["one"]);
    rig.exit();
    assert!(fs::symlink_metadata(db).unwrap().is_symlink());
    for entry in fs::read_dir(setup.state.path()).unwrap().flatten() {
        let name = entry.file_name();
        let content = fs::read(entry.path()).unwrap_or_default();
        let token = content.windows(5).any(|window| window == b"token");
        assert!(name == "tail.db" || !token, "{name:?}");
    }
}

#[test]
fn a_folder_behind_a_strangers_link_keeps_no_positions_but_lines_are_read() {
    let setup = Setup::new("*.log");
    let outside = tempfile::tempdir().unwrap();
    // Temporary folders are below one that everybody can write to.
    fs::remove_dir(setup.state.path()).unwrap();
    symlink(outside.path(), setup.state.path()).unwrap();
    append(&setup.file("a.log"), "one\n");
    let mut rig = setup.start();
    rig.wait_for(&["one"]);
    rig.drain();
    rig.exit();
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    fs::remove_file(setup.state.path()).unwrap();
    fs::create_dir(setup.state.path()).unwrap();
}
