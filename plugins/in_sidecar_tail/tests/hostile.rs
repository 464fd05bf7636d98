//! What stands at the names of our own files, put there by whoever writes the logs.

mod common;

use std::fs;
use std::os::unix::fs::{symlink, MetadataExt};
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::fs::{mknodat, FileType, Mode, CWD};

use common::{append, Rig, Setup};
use flb_sidecar_sdk::{depth, event};

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

#[test]
fn what_is_nested_too_deep_stays_text_and_leaves_its_neighbours_alone() {
    let nest = |open: &str, close: &str, depth: usize| {
        format!("{}1{}", open.repeat(depth), close.repeat(depth))
    };
    for format in ["json", "docker"] {
        for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[{\"[\":", "}]")] {
            let setup = Setup::new("*.log");
            let depths = [1, 13, 14, 26, 27, 31, 32, 63, 64, 100, 127, 128, 129, 5000];
            let levels = open.matches(['[', '{']).count() - open.matches("\"[").count();
            let mut text = String::new();
            for depth in depths {
                let nested = nest(open, close, depth);
                text +=
                    &format!("{{\"log\":\"deep\\n\",\"d\":{nested}}}\n{{\"log\":\"good\\n\"}}\n");
            }
            append(&setup.file("a.log"), &text);
            let path = setup.file("*.log");
            let mut rig = Rig::start(&[
                ("path", path.to_str().unwrap()),
                ("format", format),
                ("buffer_max_size", "256k"),
            ]);
            let all = depths.len() as u64 * 2;
            rig.until("every line", |rig| rig.metric("lines_total") == all);
            rig.drain();
            let too_deep = |depth: usize| depth * levels + 1 > depth::MAX_BODY;
            let count = depths.iter().filter(|depth| too_deep(**depth)).count();
            assert_eq!(
                rig.metric("deep_lines_total"),
                count as u64,
                "{format} {open}"
            );
            assert_eq!(rig.metric("undecoded_lines_total"), 0);
            let bodies = rig.host.bodies();
            assert_eq!(bodies.len() as u64, all);
            for (pair, depth) in bodies.chunks(2).zip(depths) {
                assert_eq!(pair[1]["log"].as_str().unwrap().trim(), "good");
                assert_eq!(
                    pair[0]["nested_too_deep"] == true,
                    too_deep(depth),
                    "{depth}"
                );
                let text = pair[0]["log"].as_str().unwrap().trim();
                assert_eq!(text != "deep", too_deep(depth), "{format} {open} {depth}");
            }
            for (_, events) in &rig.host.appended {
                for record in event::records(events) {
                    let body = record.expect("whole records").body;
                    assert!(depth::fits(events, body, depth::MAX_BODY));
                }
            }
        }
    }
}
