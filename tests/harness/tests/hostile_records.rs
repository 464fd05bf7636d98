//! Records that are made to do harm, through every filter: nested without end, long, full of what
//! begins a secret; on coroutine stacks as well. Nothing crashes, nothing leaks, and what stands
//! beside them is delivered once.

use std::fmt::Write as _;
use std::net::TcpListener;

use flb_sidecar_tests::{each_real_host, each_test_host, say, Ended, Host, Pipeline, NO_OPTIONS};

const MAIL: &str = "user@example.com";
/// Good lines beside a hostile one.
const NEIGHBOURS: usize = 1000;

/// `inner` in so many arrays.
fn nested(levels: usize, inner: &str) -> String {
    format!("{}{inner}{}", "[".repeat(levels), "]".repeat(levels))
}

/// A hostile line, then the neighbours.
fn lines(hostile: &str) -> String {
    let mut text = format!("{hostile}\n");
    for n in 0..NEIGHBOURS {
        // Writing to a String does not fail.
        let _ = writeln!(text, "line {n} of {MAIL}");
    }
    text
}

/// Every filter behind a tail of these lines; ends when all is read.
fn run(host: &Host, text: &str, options: &[(&str, &str)]) -> Ended {
    let mut pipeline = Pipeline::new(host);
    let log = pipeline.file("a.log", text);
    let flag = pipeline.file("flag", "");
    pipeline.env("POD_NAME", "p");
    pipeline
        .input("sidecar_tail", &[("path", &log)])
        .options(options)
        .filter("kube_metadata", "*", &[("merge_log", "on")])
        .filter("pii_redact", "*", &[("preset", "all")])
        .print()
        .output("completion_exit", "*", &[("flag_file", &flag)]);
    pipeline.run()
}

/// The hostile record's text and that all others are there once.
fn check(ended: &Ended) -> String {
    ended.check_status(0);
    let records = ended.records();
    let logs: Vec<&str> = records.iter().filter_map(|r| r["log"].as_str()).collect();
    let numbered = (0..NEIGHBOURS).map(|n| format!("line {n} of [EMAIL]"));
    let good = logs.iter().filter(|log| log.starts_with("line "));
    ended.check("every neighbour once, in order", good.copied().eq(numbered));
    ended.check("nothing leaks", !ended.stdout.contains(MAIL));
    let other = logs.iter().find(|log| !log.starts_with("line "));
    (*other.unwrap_or(&"")).to_owned()
}

/// 120,018 bytes of brackets.
fn deep_line(host: &Host) {
    let deep = nested(60_000, &format!("\"{MAIL}\""));
    let buffers = [("buffer_chunk_size", "256k"), ("buffer_max_size", "256k")];
    let ended = run(host, &lines(&deep), &buffers);
    let log = check(&ended);
    ended.check(
        "the deep line is redacted",
        log == nested(60_000, "\"[EMAIL]\""),
    );
}

/// The same as CRI pieces, with default buffers.
fn deep_pieces(host: &Host) {
    let deep = nested(30_000, &format!("\"{MAIL}\""));
    let mut text = String::new();
    let pieces: Vec<&[u8]> = deep.as_bytes().chunks(8192).collect();
    for (n, piece) in pieces.iter().enumerate() {
        let kind = if n + 1 < pieces.len() { 'P' } else { 'F' };
        let piece = String::from_utf8_lossy(piece);
        let _ = writeln!(text, "2026-01-02T03:04:05.000000006Z stdout {kind} {piece}");
    }
    for n in 0..NEIGHBOURS {
        let _ = writeln!(
            text,
            "2026-01-02T03:04:05.000000006Z stdout F line {n} of {MAIL}"
        );
    }
    let ended = run(host, &text, &[("format", "cri")]);
    let log = check(&ended);
    ended.check(
        "the pieces are redacted",
        log == nested(30_000, "\"[EMAIL]\""),
    );
}

/// Prefixes of tokens that none follow: 300 KB in one line, and as many in lines of 32 KB.
fn prefixes(host: &Host) {
    for prefix in ["glpat-", "glrt-", "figd_", "xapp-", "AKIA"] {
        let buffers = [("buffer_chunk_size", "512k"), ("buffer_max_size", "512k")];
        let line = prefix.repeat(300_000 / prefix.len());
        let ended = run(host, &lines(&line), &buffers);
        check(&ended);
        let short = prefix.repeat(32_000 / prefix.len()) + "\n";
        let ended = run(host, &lines(short.repeat(10).trim_end()), &buffers);
        check(&ended);
    }
}

/// Filters on the coroutine of the input `health`, which up to 5.0 has 24 KiB without a guard page.
fn on_a_coroutine(host: &Host) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = listener
        .local_addr()
        .expect("it has an address")
        .port()
        .to_string();
    for levels in [120, 400, 2000] {
        let mut pipeline = Pipeline::new(host);
        let health = [
            ("host", "127.0.0.1"),
            ("port", &port),
            ("interval_sec", "1"),
            ("alert", "false"),
        ];
        let value = format!("deep {}", nested(levels, &format!("\"{MAIL}\"")));
        pipeline.env("POD_NAME", "p");
        pipeline
            .input("health", &health)
            .filter("record_modifier", "*", &[("record", &value)])
            .filter("kube_metadata", "*", NO_OPTIONS)
            .filter("pii_redact", "*", &[("preset", "all")])
            .print();
        let mut running = pipeline.start();
        running.wait_for("three records", |output| {
            output.stdout().matches("\"alive\"").count() >= 3
        });
        let ended = running.terminate();
        ended.check_status(0);
        let deep = nested(levels, "\"[EMAIL]\"");
        let right = ended
            .records()
            .iter()
            .all(|record| record["deep"] == deep.as_str());
        ended.check(
            "every record is redacted",
            right && !ended.stdout.contains(MAIL),
        );
    }
}

/// Chunks of records themselves nested without end, of many strings, of none that end.
fn hostile_chunks(host: &Host) {
    let head = b"\x92\x92\xd7\x00\x65\x00\x00\x00\x00\x00\x00\x01\x80";
    let record = |body: &[u8]| [&head[..], body].concat();
    let string = |text: &str| {
        let mut out = vec![0xdb];
        out.extend(u32::try_from(text.len()).expect("short").to_be_bytes());
        out.extend(text.as_bytes());
        out
    };
    let field = |value: Vec<u8>| record(&[&b"\x81\xa3log"[..], &value].concat());
    let arrays = |levels: usize| field([vec![0x91; levels], string(MAIL)].concat());
    let maps = |levels: usize| field([b"\x81\xa1a".repeat(levels), string(MAIL)].concat());
    // JSON in JSON in JSON, each as deep as it gets.
    let mut encoded = format!("\"{MAIL}\"");
    for _ in 0..4 {
        encoded = serde_json::Value::from(nested(300, &encoded)).to_string();
    }
    let many: Vec<u8> = string(MAIL).repeat(5_000);
    let mut list = vec![0xdd, 0, 0, 0x13, 0x88];
    list.extend(many);
    let hostile = [
        arrays(64),
        arrays(400),
        arrays(100_000),
        maps(64),
        maps(50_000),
        field(string(&nested(100_000, &format!("\"{MAIL}\"")))),
        field(string(&nested(200, &encoded))),
        field(string(&format!("{}\"{MAIL}\"", r#"{"a":"#.repeat(60_000)))),
        field(string(&"glpat-".repeat(20_000))),
        field(string(&format!("{MAIL} ").repeat(2_000))),
        field(list),
    ];
    let mut pipeline = Pipeline::new(host);
    let out = pipeline.path("out");
    std::fs::create_dir(&out).expect("a folder");
    pipeline.arg("--once");
    for (index, chunk) in hostile.iter().enumerate() {
        let file = pipeline.file(&format!("in/{index}"), chunk);
        pipeline.input("raw_chunk", &[("path", file), ("tag", index.to_string())]);
    }
    pipeline.env("POD_NAME", "p");
    pipeline
        .filter("kube_metadata", "*", &[("merge_log", "on")])
        .filter("pii_redact", "*", &[("preset", "all")])
        .output("raw_file", "*", &[("dir", &out)]);
    let ended = pipeline.run();
    ended.check_status(0);
    for index in 0..hostile.len() {
        let got = std::fs::read(format!("{out}/{index}")).unwrap_or_default();
        let leaks = got
            .windows(MAIL.len())
            .any(|window| window == MAIL.as_bytes());
        ended.check(
            &format!("chunk {index} arrives and leaks nothing"),
            !got.is_empty() && !leaks,
        );
    }
    let used = ended
        .stderr
        .lines()
        .find(|line| line.contains("cb_filter used"));
    let bytes = used.and_then(|line| {
        let (_, rest) = line.split_once("at most ")?;
        rest.split(' ').next()?.parse::<usize>().ok()
    });
    let enough = bytes.is_some_and(|bytes| bytes < 4096);
    ended.check("filters need less than 4 KiB of the caller's stack", enough);
    say(&format!(
        "{host}: filters used {} bytes",
        bytes.unwrap_or_default()
    ));
}

#[test]
fn a_deep_line_on_real_hosts() {
    each_real_host("a deep line", deep_line);
}

#[test]
fn deep_pieces_on_real_hosts() {
    each_real_host("deep CRI pieces", deep_pieces);
}

#[test]
fn prefixes_on_real_hosts() {
    each_real_host("prefixes of tokens", prefixes);
}

#[test]
fn coroutines_of_real_hosts() {
    each_real_host("filters on a coroutine", on_a_coroutine);
}

#[test]
fn hostile_chunks_on_small_stacks() {
    each_test_host("hostile chunks on 16 KiB", hostile_chunks);
}
