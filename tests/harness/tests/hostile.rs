//! What somebody who writes the logs does to the sidecar, on real hosts.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;

use flate2::{write::GzEncoder, Compression};
use flb_sidecar_tests::{each_real_host, Pipeline};
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
