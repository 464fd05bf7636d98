//! Rotated files that were compressed.

mod common;

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use common::{append, stuck, Rig, Setup};
use flate2::write::GzEncoder;
use flate2::Compression;

/// What `gzip` does: the file with `.gz` added takes the place of the file.
fn gzip(path: &Path) {
    let mut name = path.as_os_str().to_owned();
    name.push(".gz");
    let mut to = GzEncoder::new(File::create(name).unwrap(), Compression::fast());
    to.write_all(&fs::read(path).unwrap()).unwrap();
    to.finish().unwrap();
    fs::remove_file(path).unwrap();
}

/// Reads `first`, stops, and has the file with `first` and `rest` rotated and compressed.
fn rotated_meanwhile(setup: &Setup, first: &str, rest: &str) {
    let file = setup.file("a.log");
    append(&file, first);
    let mut rig = setup.start();
    rig.until("the first part", |rig| {
        rig.lines().len() >= first.lines().count()
    });
    setup.saved(&mut rig, &file, first.len() as u64);
    rig.exit();
    append(&file, rest);
    let rotated = setup.file("a.log.1");
    fs::rename(&file, &rotated).unwrap();
    gzip(&rotated);
    append(&file, "new\n");
}

fn sorted(rig: &Rig) -> Vec<String> {
    let mut lines = rig.lines();
    lines.sort();
    lines
}

#[test]
fn what_was_unread_when_it_was_compressed_is_read() {
    // Shorter and longer than what is compared, and longer than a read.
    for length in [1, 30, 20_000] {
        let numbered = |name: &str| -> String {
            let line = |n| format!("{name} {n:06}\n");
            (0..length).map(line).collect()
        };
        let (first, rest) = (numbered("first"), numbered("rest"));
        for pattern in ["a.log", "a.log*"] {
            let setup = Setup::new(pattern);
            rotated_meanwhile(&setup, &first, &rest);
            let mut rig = setup.start();
            rig.until("all", |rig| rig.lines().len() > length);
            rig.drain();
            let mut expect: Vec<&str> = rest.lines().chain(["new"]).collect();
            expect.sort_unstable();
            assert_eq!(sorted(&rig), expect, "{pattern} {length}");
            assert_eq!(rig.errors("compressed"), 0);
            assert_eq!(rig.metric("lost_bytes_total"), 0);
            let left: Vec<_> = fs::read_dir(setup.state.path()).unwrap().collect();
            assert!(left
                .iter()
                .flatten()
                .all(|file| !file.file_name().to_string_lossy().ends_with(".rest")));
        }
    }
}

#[test]
fn a_rest_that_was_not_delivered_is_read_again() {
    let setup = Setup::new("a.log");
    rotated_meanwhile(&setup, "one\n", "two\nthree\n");
    let mut rig = setup.start_on(stuck());
    rig.until("all", |rig| rig.lines().len() >= 3);
    rig.exit();
    let mut rig = setup.start();
    rig.until("all again", |rig| rig.lines().len() >= 3);
    assert_eq!(sorted(&rig), ["new", "three", "two"]);
    rig.drain();
    setup.saved(&mut rig, &setup.file("a.log"), 4);
    rig.until("the rest is let go", |rig| {
        rig.metric("files_followed") == 1
    });
    rig.exit();
    let mut rig = setup.start();
    rig.drain();
    assert!(rig.lines().is_empty());
}

#[test]
fn what_was_read_is_recognised() {
    let setup = Setup::new("a.log*");
    rotated_meanwhile(&setup, "one\ntwo\n", "");
    let mut rig = setup.start();
    rig.wait_for(&["new"]);
    rig.drain();
    assert_eq!(rig.lines(), ["new"]);
    assert_eq!(rig.errors("compressed"), 0);
}

#[test]
fn a_file_that_is_compressed_after_it_was_read_is_recognised() {
    let setup = Setup::new("a.log*");
    let file = setup.file("a.log");
    append(&file, "one\ntwo\n");
    let mut rig = setup.start();
    rig.wait_for(&["one", "two"]);
    let rotated = setup.file("a.log.1");
    fs::rename(&file, &rotated).unwrap();
    append(&file, "three\n");
    rig.wait_for(&["one", "two", "three"]);
    gzip(&rotated);
    rig.until("let go", |rig| rig.metric("files_followed") == 1);
    rig.drain();
    assert_eq!(rig.lines(), ["one", "two", "three"]);
    assert_eq!(rig.errors("compressed"), 0);
    // One with other text is none of ours.
    let foreign = setup.file("a.log.2");
    fs::write(setup.dir.path().join("b"), "foreign\n").unwrap();
    gzip(&setup.dir.path().join("b"));
    fs::rename(
        setup.dir.path().join("b.gz"),
        foreign.with_extension("2.gz"),
    )
    .unwrap();
    rig.until("it is said", |rig| rig.errors("compressed") == 1);
}

#[test]
fn what_stands_where_the_rest_goes_is_out_of_the_way() {
    let setup = Setup::new("a.log");
    rotated_meanwhile(&setup, "one\n", "two\nthree\n");
    // A folder is where the rest would go.
    fs::create_dir(setup.state.path().join("tail.db.sidecar.rest")).unwrap();
    let mut rig = setup.start();
    rig.wait_for(&["new", "two", "three"]);
    assert_eq!(rig.metric("lost_bytes_total"), 0);
    assert_eq!(rig.errors("in_the_way"), 1);
}

#[test]
fn a_broken_compressed_file_is_left_alone() {
    let setup = Setup::new("a.log*");
    rotated_meanwhile(&setup, "one\n", "two\n");
    let compressed = setup.file("a.log.1.gz");
    let whole = fs::read(&compressed).unwrap();
    fs::write(&compressed, &whole[..whole.len() - 6]).unwrap();
    let mut rig = setup.start();
    rig.wait_for(&["new"]);
    rig.until("it is said", |rig| rig.errors("compressed") == 1);
    assert_eq!(rig.lines(), ["new"]);
}

#[test]
fn empty_members_without_end_keep_nobody_from_being_read() {
    let setup = Setup::new("a.log*");
    rotated_meanwhile(&setup, "one\n", "two\n");
    let compressed = setup.file("a.log.1.gz");
    let whole = fs::read(&compressed).unwrap();
    let empty = GzEncoder::new(Vec::new(), Compression::fast())
        .finish()
        .unwrap();
    let mut bomb = whole.clone();
    bomb.extend_from_slice(&empty.repeat(300_000));
    fs::write(&compressed, bomb).unwrap();
    // And one that begins with them.
    fs::write(setup.file("a.log.2.gz"), empty.repeat(300_000)).unwrap();
    let mut rig = setup.start();
    rig.wait_for(&["new"]);
    rig.drain();
    assert_eq!(rig.lines(), ["new"]);
}

#[test]
fn what_is_packed_to_fill_the_disk_does_not() {
    let setup = Setup::new("a.log");
    let unread = "x".repeat(63) + "\n";
    rotated_meanwhile(&setup, "one\n", "two\n");
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    packed.write_all(b"one\n").unwrap();
    packed.write_all(unread.repeat(1 << 20).as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    assert!(packed.len() * 100 < 64 << 20, "{}", packed.len());
    fs::write(setup.file("a.log.1.gz"), packed).unwrap();
    let mut rig = setup.start();
    rig.wait_for(&["new"]);
    rig.drain();
    assert_eq!(rig.lines(), ["new"]);
    assert!(rig.metric("lost_bytes_total") > 16 << 20);
    assert!(rig.metric("lost_bytes_total") < 17 << 20);
}
