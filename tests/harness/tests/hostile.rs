//! What somebody who writes the logs does to the sidecar, on real hosts.

use std::fs;
use std::os::unix::fs::symlink;

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
