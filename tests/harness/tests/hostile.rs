//! What somebody who writes the logs does to the sidecar, on real hosts.

use std::fs::{self, File, FileTimes};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::{Duration, SystemTime};

use flate2::{write::GzEncoder, Compression};
use flb_sidecar_tests::{each_real_host, say, wait_until, Pipeline};
use rustix::fs::{mknodat, FileType, Mode, CWD};

const TOKEN: &str = "a-token-of-somebody-else";

#[test]
fn lines_nested_too_deep_leave_their_neighbours_alone() {
    each_real_host("lines nested too deep", |host| {
        let mut pipeline = Pipeline::new(host);
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        let mut text = String::new();
        for depth in [20, 26, 27, 30, 31, 32, 62, 63, 64, 100, 127, 5000] {
            text += &format!("{{\"d\":{}}}\n", nested(depth));
        }
        for number in 0..1000 {
            text += &format!("{{\"good\":{number}}}\n");
        }
        let log = pipeline.file("a.log", text);
        let flag = pipeline.file("flag", "");
        let options = [("path", log.as_str()), ("format", "json")];
        pipeline.input("sidecar_tail", &options).print().output(
            "completion_exit",
            "none",
            &[("flag_file", &flag)],
        );
        let ended = pipeline.run();
        ended.check_status(0);
        let records = ended.records();
        let good = records.iter().filter_map(|record| record["good"].as_u64());
        ended.check("every good line once", good.eq(0..1000));
        let deep = records.iter().filter(|r| r["nested_too_deep"] == true);
        ended.check("what is too deep is text", deep.count() == 10);
        ended.check("every line", records.len() == 1012);
    });
}

#[test]
fn nothing_that_stands_at_our_names_or_leads_outside_is_read_or_written() {
    each_real_host("links and FIFOs", |host| {
        let outside = tempfile::tempdir().expect("a temporary folder");
        let token = outside.path().join("token.log");
        fs::write(&token, TOKEN).expect("it takes a file");
        let mut pipeline = Pipeline::new(host);
        pipeline.file("logs/good.log", "good\n");
        let logs = pipeline.folder().join("logs");
        symlink(&token, logs.join("link.log")).expect("a link");
        symlink("/proc/self/environ", logs.join("environ.log")).expect("a link");
        symlink(outside.path(), logs.join("folder")).expect("a link");
        fs::write(logs.join("\n[error] forged\u{1b}[2J.log"), "good\n").expect("any name");
        let fifo = |name: &str| {
            mknodat(CWD, logs.join(name), FileType::Fifo, Mode::RWXU, 0).expect("a FIFO");
        };
        fifo("tail.db.sidecar");
        fifo("tail.db.sidecar.journal");
        symlink(&token, logs.join("tail.db.sidecar.lock")).expect("a link");
        symlink(&token, logs.join("tail.db.sidecar.tmp")).expect("a link");
        fs::write(logs.join("tail.db"), "no database").expect("a file");
        let flag = logs.join("flag").to_string_lossy().into_owned();
        symlink(&token, &flag).expect("a link");
        let path = format!("{0}/*.log,{0}/*/*.log", logs.display());
        let db = logs.join("tail.db").to_string_lossy().into_owned();
        pipeline
            .input("sidecar_tail", &[("path", &path), ("db", &db)])
            .print()
            .output(
                "completion_exit",
                "none",
                &[("flag_file", flag.as_str()), ("exit_code", "trigger")],
            );
        let ended = pipeline.run();
        ended.check_status(0);
        let records = ended.records();
        let good = records.iter().filter(|record| record["log"] == "good");
        ended.check("good lines once each", good.count() == 2);
        ended.check("nothing else", records.len() == 2);
        ended.check("no token", !ended.output().contains(TOKEN));
        let forged = |line: &str| line.starts_with("[error] forged") || line.contains('\u{1b}');
        let ours = ended.stderr.lines().filter(|l| l.contains("sidecar"));
        ended.check(
            "no forged line",
            !ours.into_iter().any(|l| l.contains("\u{1b}[2J")),
        );
        ended.check(
            "no line begins with a name",
            !ended
                .stderr
                .lines()
                .any(|line| forged(line) && line.starts_with("[error] forged")),
        );
        ended.check(
            "what is outside",
            fs::read_to_string(&token).is_ok_and(|t| t == TOKEN),
        );
        ended.check(
            "the refusal is said",
            ended.stderr.contains("follow_links on would"),
        );
    });
}

/// A member of a gzip file.
fn member(text: &[u8]) -> Vec<u8> {
    let mut member = GzEncoder::new(Vec::new(), Compression::best());
    member.write_all(text).expect("it takes all");
    member.finish().expect("it ends")
}

#[test]
fn gzip_files_of_nothing_or_of_too_much_keep_nobody_from_being_read() {
    let nothing = member(b"").repeat(200_000);
    let line = "x".repeat(8191) + "\n";
    let bomb = member(line.repeat(8 << 10).as_bytes());
    assert!(bomb.len() * 500 < 64 << 20);
    each_real_host("gzip files", |host| {
        let mut pipeline = Pipeline::new(host);
        pipeline.file("logs/good.log", "good\n".repeat(1000));
        let logs = pipeline.folder().join("logs");
        let text = [&nothing[..], &member(b"behind nothing\n")].concat();
        fs::write(logs.join("nothing.log.gz"), text).expect("a file");
        fs::write(logs.join("bomb.log.gz"), &bomb).expect("a file");
        let other = [member(b"one\n"), member(b"two\n")].concat();
        fs::write(logs.join("other.log.gz"), other).expect("a file");
        fs::write(logs.join("a.log.zst"), b"\x28\xb5\x2f\xfd\x04\x58").expect("a file");
        let flag = pipeline.file("flag", "");
        let path = format!("{}/*", logs.display());
        let db = pipeline.folder().join("tail.db");
        let options = [("path", path.as_str()), ("db", db.to_str().unwrap_or(""))];
        pipeline.input("sidecar_tail", &options).print().output(
            "completion_exit",
            "none",
            &[("flag_file", flag.as_str()), ("deadline", "60s")],
        );
        let ended = pipeline.run();
        ended.check_status(0);
        let records = ended.records();
        let count = |text: &str| records.iter().filter(|r| r["log"] == text).count();
        ended.check("good lines", count("good") == 1000);
        let others = ["one", "two", "behind nothing"].map(count);
        ended.check("the others", others == [1, 1, 1]);
        ended.check("what is packed", count(line.trim_end()) == 8 << 10);
        let first = |text: &str| records.iter().position(|r| r["log"] == text);
        ended.check("good first", first("good") < first("behind nothing"));
        let said = ended.stderr.matches("it is compressed (zstd)").count();
        ended.check("zstd is said once", said == 1);
        // A restart repeats nothing.
        let again = pipeline.run();
        again.check_status(0);
        again.check("nothing again", again.records().is_empty());
    });
}

#[test]
fn what_comes_to_stand_in_the_place_of_a_folder_is_not_removed_in_its_place() {
    each_real_host("remove_after behind a link", |host| {
        let outside = tempfile::tempdir().expect("a temporary folder");
        let old = |path: &std::path::Path| {
            fs::write(path, "one\n").expect("a file");
            let times = FileTimes::new().set_modified(SystemTime::UNIX_EPOCH);
            File::open(path)
                .and_then(|file| file.set_times(times))
                .expect("a time");
        };
        for name in ["a.log", "a.log.1"] {
            old(&outside.path().join(name));
        }
        let mut pipeline = Pipeline::new(host);
        let logs = pipeline.folder().join("logs");
        fs::create_dir_all(logs.join("x")).expect("a folder");
        old(&logs.join("x/a.log"));
        let path = format!("{}/*/a.log*", logs.display());
        let options = [("path", path.as_str()), ("remove_after", "1s")];
        pipeline.input("sidecar_tail", &options).print();
        let mut running = pipeline.start();
        running.wait_for("the line", |output| !output.records().is_empty());
        fs::rename(logs.join("x/a.log"), logs.join("x/a.log.1")).expect("a rotation");
        fs::rename(logs.join("x"), logs.join("y")).expect("another folder");
        symlink(outside.path(), logs.join("x")).expect("a link");
        let removed = wait_until(Duration::from_secs(60), || {
            (!logs.join("y/a.log.1").exists()).then_some(())
        });
        let ended = running.terminate();
        ended.check("what was read is removed", removed.is_some());
        ended.check("the line once", ended.records().len() == 1);
        let left = |name| fs::read(outside.path().join(name)).is_ok_and(|text| text == b"one\n");
        ended.check("what is outside stays", left("a.log") && left("a.log.1"));
    });
}

/// Databases at the place of the one of `tail`, each made to harm who reads it.
const DATABASES: &str = r#"
import random, sqlite3, sys
folder = sys.argv[1]
count = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) "
table = ("CREATE TABLE in_tail_files (id INTEGER PRIMARY KEY, name TEXT NOT NULL, offset INTEGER,"
    " inode INTEGER, created INTEGER, rotated INTEGER DEFAULT 0);")
rows = "INSERT INTO in_tail_files (name, offset, inode) %s SELECT '/var/log/' || x, x, x FROM c LIMIT %d;"
view = "CREATE VIEW in_tail_files AS " + count
scripts = [
    view + "SELECT x AS name, x AS inode, x AS offset FROM c;",
    view + "SELECT x AS name, x AS inode, x AS offset FROM c WHERE x < 0;",
    view + "SELECT hex(zeroblob(500000000)) AS name, x AS inode, x AS offset FROM c;",
    view + "SELECT zeroblob(60000) AS name, x AS inode, x AS offset FROM c LIMIT 100000;",
    "CREATE VIEW in_tail_files AS SELECT * FROM in_tail_files;",
    table + rows % (count, 200000),
    table + "INSERT INTO in_tail_files (name) VALUES (hex(zeroblob(20000000)));",
    table + "CREATE TRIGGER t AFTER UPDATE ON in_tail_files BEGIN DELETE FROM in_tail_files; END;" + rows % (count, 10),
    "CREATE TABLE in_tail_files (name TEXT GENERATED ALWAYS AS (hex(zeroblob(offset))) VIRTUAL, inode, offset);"
    "INSERT INTO in_tail_files (inode, offset) VALUES (1, 400000000);",
]
for n, script in enumerate(scripts):
    db = sqlite3.connect(f"{folder}/{n}.db")
    db.executescript(script)
    db.commit()
    db.close()
good = sqlite3.connect(f"{folder}/good")
good.executescript(table + rows % (count, 500))
good.commit()
good.close()
whole = open(f"{folder}/good", "rb").read()
random.seed(int(sys.argv[2]))
for n in range(len(scripts), int(sys.argv[3])):
    text = bytearray(whole[: random.choice([len(whole), len(whole), random.randrange(len(whole))])])
    for _ in range(random.choice([1, 10, 1000])):
        if text:
            text[int(len(text) * random.random() ** 3)] = random.randrange(256)
    open(f"{folder}/{n}.db", "wb").write(text)
"#;

#[test]
fn whatever_stands_for_the_database_of_tail_lines_are_read() {
    const COUNT: usize = 30;
    const WHAT: &str = "hostile databases";
    let made = tempfile::tempdir().expect("a temporary folder");
    let seed = std::env::var("HOSTILE_SEED").unwrap_or_else(|_| "1".into());
    let mut python = Command::new("python3");
    python.args(["-c", DATABASES]).arg(made.path());
    let python = python.args([&seed, &COUNT.to_string()]).output();
    match python {
        Ok(output) if output.status.success() => {}
        Ok(output) => {
            let why = String::from_utf8_lossy(&output.stderr);
            return say(&format!("SKIPPED {WHAT}: no SQLite in Python: {why}"));
        }
        Err(why) => return say(&format!("SKIPPED {WHAT}: no Python: {why}")),
    }
    each_real_host(WHAT, |host| {
        let mut pipeline = Pipeline::new(host);
        // One input for each, all in one process: what one does is done to all.
        for n in 0..COUNT {
            let log = pipeline.file(&format!("logs/{n}.log"), format!("good {n}\n"));
            let db = pipeline.path(&format!("{n}.db"));
            fs::copy(made.path().join(format!("{n}.db")), &db).expect("a copy");
            pipeline.input("sidecar_tail", &[("path", log), ("db", db)]);
        }
        let flag = pipeline.file("flag", "");
        pipeline.print();
        pipeline.output("completion_exit", "none", &[("flag_file", &flag)]);
        let ended = pipeline.run();
        ended.check_status(0);
        let records = ended.records();
        for n in 0..COUNT {
            let line = format!("good {n}");
            let came = records
                .iter()
                .filter(|record| record["log"] == line.as_str());
            ended.check(&line, came.count() == 1);
        }
    });
}
