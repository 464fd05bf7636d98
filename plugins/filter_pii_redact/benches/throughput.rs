//! Throughput on one core, with a plain harness: `cargo bench -p filter_pii_redact`.
//!
//! The text is made of line shapes that real services write; with `PII_BENCH_LOGS` set to a folder,
//! its files are measured instead. Each number is the best of several rounds.
#![allow(clippy::print_stdout, missing_docs)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use filter_pii_redact::PiiRedact;
use flb_sidecar_sdk::event::{self, RecordFormat, Timestamp};
use flb_sidecar_sdk::fake::FakeHost;
use flb_sidecar_sdk::{msgpack, Chunk, Filter, Settings, Verdict};
use regex::bytes::Regex;

/// Records in a batch: about what a tail input hands over at a time.
const BATCH: usize = 200;
const ROUNDS: usize = 30;

/// A small generator of pseudo-random numbers (splitmix64), so that every run sees the same text.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

fn log_lines(count: usize) -> Vec<Vec<u8>> {
    let mut r = Random(1);
    (0..count)
        .map(|n| {
            let (h, m, s, ms) = (r.below(24), r.below(60), r.below(60), r.below(1000));
            let ip = format!("10.{}.{}.{}", r.below(256), r.below(256), r.below(256));
            let line = match n % 10 {
                0 => format!("081109 {h:02}{m:02}{s:02} {} INFO dfs.DataNode$PacketResponder: PacketResponder {} for block blk_{} terminating", r.below(999), r.below(3), r.next() as i64),
                1 => format!("2015-10-18 {h:02}:{m:02}:{s:02},{ms:03} INFO [main] org.apache.hadoop.mapreduce.v2.app.MRAppMaster: Created MRAppMaster for application appattempt_1445144423722_{:04}_000001", r.below(9999)),
                2 => format!("17/06/09 {h:02}:{m:02}:{s:02} INFO executor.Executor: Finished task {}.0 in stage {}.0 (TID {}). {} bytes result sent to driver", r.below(50), r.below(20), r.below(9999), r.below(9999)),
                3 => format!("nova-api.log.1.2017-05-16_13:53:08 2017-05-16 {h:02}:{m:02}:{s:02}.{ms:03} 25746 INFO nova.osapi_compute.wsgi.server [req-{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x} - - -] {ip} \"GET /v2/servers/detail HTTP/1.1\" status: 200 len: {} time: 0.{:07}", r.below(1 << 32), r.below(1 << 16), r.below(1 << 12), r.below(1 << 12), r.below(1 << 48), r.below(9999), r.below(9_999_999)),
                4 => format!("{ip} - - [18/Oct/2015:{h:02}:{m:02}:{s:02} +0200] \"GET /static/js/app.{:08x}.js?v={} HTTP/1.1\" 200 {} \"-\" \"Mozilla/5.0 (X11; Linux x86_64)\"", r.below(1 << 32), r.below(999), r.below(99_999)),
                5 => format!("Dec 10 {h:02}:{m:02}:{s:02} LabSZ sshd[{}]: Failed password for invalid user webmaster from {ip} port {} ssh2", r.below(32_768), r.below(65_536)),
                6 => format!("2016-09-28 {h:02}:{m:02}:{s:02}, Info                  CBS    Loaded Servicing Stack v6.1.7601.23505 with Core: C:\\Windows\\winsxs\\amd64_microsoft-windows-servicingstack_31bf3856ad364e35"),
                7 => format!("{{\"level\":\"info\",\"ts\":{}.{ms:03},\"caller\":\"server/handler.go:{}\",\"msg\":\"request served\",\"status\":200,\"duration_ms\":{}}}", 1_700_000_000 + r.below(10_000_000), r.below(900), r.below(9000)),
                8 => format!("03-17 {h:02}:{m:02}:{s:02}.{ms:03}  1702  {} D WindowManager: printFreezingDisplayLogsopening app wtoken = AppWindowToken{{{:x} token=Token{{{:x} ActivityRecord{{{:x} u0 com.tencent.qt.qtl/.activity.info t761}}}}}}, allDrawn= false", r.below(9999), r.below(1 << 28), r.below(1 << 28), r.below(1 << 28)),
                _ => format!("- 1131566461 2005.11.09 dn{} Nov 9 {h:02}:{m:02}:{s:02} dn{}/dn{} crond(pam_unix)[{}]: session opened for user root by (uid=0)", r.below(999), r.below(999), r.below(999), r.below(9999)),
            };
            line.into_bytes()
        })
        .collect()
}

fn batches(lines: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let time = Timestamp {
        seconds: 1_700_000_000,
        nanos: 123_456_789,
    };
    lines
        .chunks(BATCH)
        .map(|lines| {
            let mut data = Vec::new();
            for line in lines {
                event::begin_record(&mut data, RecordFormat::WithMetadata, time);
                msgpack::write_map_len(&mut data, 1);
                msgpack::write_str(&mut data, "log");
                msgpack::write_bytes_as_str(&mut data, line);
            }
            data
        })
        .collect()
}

fn filter(options: &[(&str, &str)]) -> PiiRedact {
    let entries = options.iter().copied();
    let settings = Settings::new("pii_redact.0", PiiRedact::INFO.options, entries);
    let settings = settings.unwrap_or_else(|e| panic!("{e}"));
    PiiRedact::init(&settings, &mut FakeHost::default()).unwrap_or_else(|e| panic!("{e}"))
}

/// Sum of the best times of the batches, and how many batches changed. The best of each batch
/// counts, so that other load on the machine matters less.
fn run(filter: &mut PiiRedact, batches: &[Vec<u8>], rounds: usize) -> (Duration, usize) {
    let mut best = vec![Duration::MAX; batches.len()];
    let mut changed = 0;
    let mut out = Vec::new();
    for _ in 0..rounds {
        changed = 0;
        for (data, best) in batches.iter().zip(&mut best) {
            out.clear();
            let started = Instant::now();
            let chunk = Chunk {
                data: black_box(data),
                tag: b"t",
            };
            let verdict = filter.filter(chunk, &mut out);
            *best = started.elapsed().min(*best);
            changed += usize::from(verdict == Verdict::Replaced);
        }
    }
    (best.iter().sum(), changed)
}

fn rate(bytes: usize, time: Duration) -> f64 {
    bytes as f64 / time.as_secs_f64() / 1e6
}

/// The detectors as one regular expression each, as a chain of filters would have them.
const REGEXES: &[&str] = &[
    r"\b(?:4\d{3}|5[1-5]\d{2}|2[2-7]\d{2}|6\d{3}|3[47]\d{2})[- ]?\d{4}[- ]?\d{4}[- ]?\d{1,7}\b",
    r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?\b",
    r"\b[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}\b",
    r"\b\d{3}[- ]\d{2}[- ]\d{4}\b",
    r"\b9\d{2}[- ]?[5-9]\d[- ]?\d{4}\b",
    r"(?:\+1[-. ]?)?\(?\b\d{3}\)?[-. ]\d{3}[-. ]\d{4}\b",
    r"\+[1-9]\d{7,14}\b",
    r"\b[A-CEGHJ-PR-TW-Z]{2} ?\d{2} ?\d{2} ?\d{2} ?[A-D]\b",
    r"\b[A-Z]{5}\d{4}[A-Z]\b",
    r"\b\d{3}\.\d{3}\.\d{3}-\d{2}\b",
    r"\b\d{8}[A-Z]\b",
    r"\b[XYZ]\d{7}[A-Z]\b",
    r"\b[A-Z]{6}\d{2}[A-Z]\d{2}[A-Z]\d{3}[A-Z]\b",
    r"\b[13][a-km-zA-HJ-NP-Z1-9]{25,34}\b",
    r"\b0x[a-fA-F0-9]{40}\b",
    r"[a-z][a-z0-9+.-]*://[^\s/:@]+:[^\s/@]+@",
    r"\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*",
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
    r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    r"\bAIza[0-9A-Za-z_-]{35}\b",
    r"\b(?:ghp|gho|ghu|ghs|ghr)_[A-Za-z0-9]{36}\b",
    r"\bglpat-[A-Za-z0-9_-]{20,}",
    r"\bxox[baprs]-[A-Za-z0-9-]{10,}",
    r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,}",
    r"\bnpm_[A-Za-z0-9]{36}\b",
    r"\bpypi-AgE[A-Za-z0-9_-]{50,}",
    r"\bsk-[A-Za-z0-9_-]{32,}",
    r"(?i)(?:password|passwd|pwd)\s*[:=]\s*\S+",
    r"(?i)(?:api[_-]?key|token|secret)\s*[:=]\s*\S{12,}",
];

fn adversaries(size: usize) -> Vec<(&'static str, Vec<u8>)> {
    let repeat = |text: &str| {
        text.as_bytes()
            .iter()
            .copied()
            .cycle()
            .take(size)
            .collect::<Vec<u8>>()
    };
    vec![
        ("cards that fail Luhn", repeat("4012888888881882 ")),
        ("grouped cards", repeat("4012 8888 8888 1882 ")),
        ("digits", repeat("7")),
        ("digit pairs", repeat("12 34-")),
        ("@", repeat("@")),
        ("a@", repeat("a@")),
        ("e-mails cut short", repeat("bob@example.")),
        ("names", repeat("password=")),
        ("quoted names", repeat("password=\"")),
        ("tokens", repeat("token:abc ")),
        ("eyJ", repeat("eyJhbGciOi.")),
        ("BEGIN", repeat("-----BEGIN RSA ")),
        ("private keys", repeat("-----BEGIN PRIVATE KEY-----")),
        ("://", repeat("http://a:")),
        ("percent", repeat("%41")),
        ("unicode escapes", repeat("\\u0041")),
        ("brackets", repeat("[[[{{{")),
        ("capitals", repeat("GB82WEST1234")),
        ("nine digits", repeat("123456789 ")),
        ("phones", repeat("+1 555 123 ")),
        ("keywords", repeat("ssn 123456780 ")),
        ("base58", repeat("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb ")),
        ("0x", repeat("0xde0b295669a9fd93d5f28d9ec85e40f4cb697bag ")),
        ("colons", repeat("12:34:")),
        ("dots", repeat("1.2.3.")),
    ]
}

fn main() {
    let lines = match std::env::var_os("PII_BENCH_LOGS") {
        Some(folder) => {
            let mut lines = Vec::new();
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let text = std::fs::read(entry.path()).unwrap_or_default();
                let full = text.split(|b| *b == b'\n').filter(|l| !l.is_empty());
                lines.extend(full.map(<[u8]>::to_vec));
            }
            lines
        }
        None => log_lines(10_000),
    };
    // `cargo bench -- clean` measures one part only, `-- adversarial "grouped cards"` one text.
    let mut arguments = std::env::args().skip(1).filter(|arg| !arg.starts_with('-'));
    let (only, text) = (arguments.next(), arguments.next());
    let wanted = |part: &str| only.as_deref().is_none_or(|only| only == part);
    let data = batches(&lines);
    let bytes: usize = lines.iter().map(Vec::len).sum();
    println!(
        "{} lines of {} bytes on average",
        lines.len(),
        bytes / lines.len().max(1)
    );

    let all = [("preset", "all"), ("disable", "ip")];
    let mut ours = f64::NAN;
    if wanted("all") || wanted("regex") || wanted("adversarial") {
        let (time, changed) = run(&mut filter(&all), &data, ROUNDS);
        ours = rate(bytes, time);
        let each = time.as_nanos() as f64 / lines.len() as f64;
        println!("all detectors but ip: {ours:.0} MB/s, {each:.0} ns a line, {changed} of {} batches changed", data.len());
    }
    if wanted("ip") {
        // Addresses are left alone, so that finding is measured and not rewriting.
        let with_ip = [("preset", "all"), ("action_ip", "tag"), ("tag_key", "")];
        let (time, _) = run(&mut filter(&with_ip), &data, ROUNDS);
        println!("all detectors, ip included: {:.0} MB/s", rate(bytes, time));
    }
    if wanted("default") {
        let (time, _) = run(&mut filter(&[]), &data, ROUNDS);
        println!("without options: {:.0} MB/s", rate(bytes, time));
    }
    if wanted("start") {
        let started = Instant::now();
        black_box(filter(&all));
        println!("start: {:.1} ms", started.elapsed().as_secs_f64() * 1e3);
    }
    if wanted("clean") {
        let text = b"2026-05-12T08:15:42.123Z INFO  [worker-7] com.example.orders.Dispatcher - batch accepted, queue depth is low and nothing had to be retried.......";
        let clean: Vec<Vec<u8>> = vec![text[..140].to_vec(); 10_000];
        let (time, changed) = run(&mut filter(&all), &batches(&clean), ROUNDS);
        let each = time.as_nanos() as f64 / clean.len() as f64;
        println!("a clean line of 140 bytes: {each:.0} ns, {changed} batches changed");
    }
    if wanted("regex") {
        regexes(&lines, ours);
    }
    if wanted("adversarial") {
        adversarial(&all, ours, text.as_deref());
    }
}

fn regexes(lines: &[Vec<u8>], ours: f64) {
    let regexes: Vec<Regex> = REGEXES.iter().filter_map(|r| Regex::new(r).ok()).collect();
    let few = &lines[..lines.len().min(10_000)];
    let few_bytes: usize = few.iter().map(Vec::len).sum();
    let mut best = Duration::MAX;
    for _ in 0..3 {
        let started = Instant::now();
        for line in few {
            for regex in &regexes {
                black_box(regex.find(line));
            }
        }
        best = best.min(started.elapsed());
    }
    let theirs = rate(few_bytes, best);
    println!(
        "{} regexes in turn: {theirs:.1} MB/s; ratio {:.1}",
        regexes.len(),
        ours / theirs
    );
}

fn adversarial(options: &[(&str, &str)], ours: f64, only: Option<&str>) {
    let size = 10 << 20;
    let normal = 1e3 / ours;
    println!("adversarial text of 10 MiB, against {normal:.2} ns a byte:");
    for (name, text) in adversaries(size) {
        if only.is_some_and(|only| only != name) {
            continue;
        }
        let data = batches(&[text]);
        let (time, _) = run(&mut filter(options), &data, 2);
        let each = time.as_nanos() as f64 / size as f64;
        println!("  {name}: {each:.2} ns a byte, {:.1} times", each / normal);
    }
}
