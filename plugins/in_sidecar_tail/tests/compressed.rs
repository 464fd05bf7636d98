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
    fs::write(setup.dir.path().join("b"), "foreign\n").unwrap();
    gzip(&setup.dir.path().join("b"));
    let foreign = setup.file("a.log.2.gz");
    fs::rename(setup.dir.path().join("b.gz"), foreign).unwrap();
    rig.wait_for(&["one", "two", "three", "foreign"]);
    assert_eq!(rig.errors("compressed"), 0);
}

#[test]
fn of_a_broken_compressed_file_is_read_what_is_whole() {
    let setup = Setup::new("a.log*");
    rotated_meanwhile(&setup, "one\n", "two\n");
    let compressed = setup.file("a.log.1.gz");
    let whole = fs::read(&compressed).unwrap();
    fs::write(&compressed, &whole[..whole.len() - 6]).unwrap();
    let mut rig = setup.start();
    rig.until("it is read", |rig| rig.lines().len() == 2);
    rig.drain();
    assert_eq!(sorted(&rig), ["new", "two"]);
    assert_eq!(rig.errors("compressed"), 1);
}

#[test]
fn a_line_that_ends_in_what_is_not_there_yet_of_a_compressed_file_is_one_line() {
    for (stop, cut) in [(true, false), (false, true)] {
        let setup = Setup::new("*.gz");
        let mut member = GzEncoder::new(Vec::new(), Compression::fast());
        member.write_all(b"one\nbegin").unwrap();
        member.flush().unwrap();
        let file = setup.file("a.gz");
        fs::write(&file, member.get_ref()).unwrap();
        let written = member.get_ref().len();
        let mut rig = setup.start();
        rig.wait_for(&["one"]);
        if stop {
            // Its position is before the line.
            rig.until("one is delivered", |rig| rig.metric("lag_bytes") == 5);
        } else {
            rig.drain();
            assert_eq!(rig.lines(), ["one", "begin"]);
        }
        rig.end();
        member.write_all(b" end\ntwo\n").unwrap();
        let whole = member.finish().unwrap();
        let mut appended = File::options().append(true).open(&file).unwrap();
        appended.write_all(&whole[written..]).unwrap();
        let mut rig = setup.start();
        let end = if cut { " end" } else { "begin end" };
        rig.wait_for(&[end, "two"]);
        let part = &rig.host.bodies()[0]["partial_ordinal"];
        assert_eq!(part.as_str(), cut.then_some("2"));
        rig.drain();
        assert_eq!(rig.lines(), [end, "two"]);
        assert_eq!(rig.errors("compressed"), 0);
    }
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
    let text = |text: &str| {
        let mut member = GzEncoder::new(Vec::new(), Compression::fast());
        member.write_all(text.as_bytes()).unwrap();
        member.finish().unwrap()
    };
    let many = empty.repeat(10_000);
    fs::write(&compressed, [&whole[..], &many, &text("three\n")].concat()).unwrap();
    // And one that begins with them.
    let other = [&many[..], &text("four\n")].concat();
    fs::write(setup.file("a.log.2.gz"), other).unwrap();
    let mut rig = setup.start();
    rig.until("what is plain is read first", |rig| {
        rig.lines().contains(&"new".to_owned())
    });
    rig.drain();
    assert_eq!(sorted(&rig), ["four", "new", "three", "two"]);
}

#[test]
fn what_is_packed_closely_is_read() {
    for pattern in ["a.log", "a.log*"] {
        let setup = Setup::new(pattern);
        let unread = "x".repeat(1023) + "\n";
        rotated_meanwhile(&setup, "one\n", "two\n");
        let mut packed = GzEncoder::new(Vec::new(), Compression::best());
        packed.write_all(b"one\n").unwrap();
        packed
            .write_all(unread.repeat(20 << 10).as_bytes())
            .unwrap();
        let packed = packed.finish().unwrap();
        assert!(packed.len() * 100 < 20 << 20, "{}", packed.len());
        fs::write(setup.file("a.log.1.gz"), packed).unwrap();
        let mut rig = setup.start();
        rig.drain();
        assert_eq!(rig.lines().len(), 1 + (20 << 10), "{pattern}");
        assert_eq!(rig.metric("lost_bytes_total"), 0);
    }
}

#[test]
fn a_foreign_compressed_file_is_read_once() {
    let setup = Setup::new("*");
    fs::write(setup.file("b"), "one\ntwo\n").unwrap();
    gzip(&setup.file("b"));
    let file = setup.file("b.gz");
    let mut rig = setup.start();
    rig.wait_for(&["one", "two"]);
    rig.drain();
    rig.until("its position is kept", |rig| {
        rig.metric("files_followed") == 0
    });
    rig.exit();
    // Under another name, too; and members that come later.
    let renamed = setup.file("c.gz");
    fs::rename(&file, &renamed).unwrap();
    let mut rig = setup.start();
    rig.drain();
    assert!(rig.lines().is_empty(), "{:?}", rig.lines());
    rig.exit();
    let mut more = GzEncoder::new(Vec::new(), Compression::fast());
    more.write_all(b"three\n").unwrap();
    let more = more.finish().unwrap();
    let whole = fs::read(&renamed).unwrap();
    let mut appended = File::options().append(true).open(&renamed).unwrap();
    appended.write_all(&more).unwrap();
    let mut rig = setup.start();
    rig.wait_for(&["three"]);
    rig.drain();
    assert_eq!(rig.lines(), ["three"]);
    appended.write_all(&whole).unwrap();
    rig.wait_for(&["three", "one", "two"]);
    assert_eq!(rig.errors("compressed"), 0);
}

#[test]
fn a_known_copy_is_known_after_restarts() {
    let setup = Setup::new("a.log*");
    let file = setup.file("a.log");
    append(&file, "one\n");
    let mut rig = setup.start();
    rig.wait_for(&["one"]);
    let rotated = setup.file("a.log.1");
    fs::rename(&file, &rotated).unwrap();
    gzip(&rotated);
    append(&file, "two\n");
    rig.wait_for(&["one", "two"]);
    rig.drain();
    setup.saved(&mut rig, &file, 4);
    rig.exit();
    for _ in 0..2 {
        let mut rig = setup.start();
        rig.drain();
        assert!(rig.lines().is_empty(), "{:?}", rig.lines());
        rig.exit();
    }
}

#[test]
fn other_formats_are_said_once() {
    let setup = Setup::new("*");
    for (name, start) in [
        ("a.zst", &b"\x28\xb5\x2f\xfd\x04\x00"[..]),
        ("a.bz2", b"BZh91AY&SY\0"),
        ("empty.bz2", b"BZh9\x17\x72\x45\x38\x50\x90\0\0\0\0"),
        ("a.xz", b"\xfd7zXZ\0\0"),
        ("a.zip", b"PK\x03\x04\x14\0"),
    ] {
        fs::write(setup.file(name), start).unwrap();
    }
    append(&setup.file("a.log"), "BZh is no file\nPK neither\n");
    let mut rig = setup.start();
    rig.wait_for(&["BZh is no file", "PK neither"]);
    rig.drain();
    assert_eq!(rig.lines(), ["BZh is no file", "PK neither"]);
    assert_eq!(rig.errors("compressed"), 5);
}
