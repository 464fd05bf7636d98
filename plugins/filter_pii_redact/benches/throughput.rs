//! Throughput on one core, with a plain harness: `cargo bench -p filter_pii_redact`.
//!
//! The text is made of line shapes that real services write; with `PII_BENCH_LOGS` set to a folder,
//! its files are measured instead. Each number is the best of several rounds.
#![allow(clippy::print_stdout, missing_docs)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use cpu_time::ThreadTime;

#[path = "../tests/common/lines.rs"]
mod lines;

use filter_pii_redact::PiiRedact;
use flb_sidecar_sdk::event::{self, RecordFormat, Timestamp};
use flb_sidecar_sdk::fake::FakeHost;
use flb_sidecar_sdk::{msgpack, Chunk, Filter, Settings, Verdict};
use regex::bytes::Regex;

/// Records in a batch: about what a tail input hands over at a time.
const BATCH: usize = 200;
const ROUNDS: usize = 30;

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

/// Sum of the best CPU times of the batches, and how many batches changed. The best of each batch
/// counts, so that other load on the machine matters less.
fn run(filter: &mut PiiRedact, batches: &[Vec<u8>], rounds: usize) -> (Duration, usize) {
    let [one] = run_in_turn([filter], batches, rounds);
    one
}

/// The same of several filters, batch by batch in turn.
fn run_in_turn<const N: usize>(
    mut filters: [&mut PiiRedact; N],
    batches: &[Vec<u8>],
    rounds: usize,
) -> [(Duration, usize); N] {
    let mut best = vec![[Duration::MAX; N]; batches.len()];
    let mut changed = [0; N];
    let mut out = Vec::new();
    for _ in 0..rounds {
        changed = [0; N];
        for (data, best) in batches.iter().zip(&mut best) {
            for (n, filter) in filters.iter_mut().enumerate() {
                out.clear();
                let started = ThreadTime::now();
                let chunk = Chunk {
                    data: black_box(data),
                    tag: b"t",
                };
                let verdict = filter.filter(chunk, &mut out);
                best[n] = started.elapsed().min(best[n]);
                changed[n] += usize::from(verdict == Verdict::Replaced);
            }
        }
    }
    std::array::from_fn(|n| (best.iter().map(|best| best[n]).sum(), changed[n]))
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

/// Text made of nothing but candidates, over and over: those that are refused, and those that are
/// found, where writing the new text is part of the cost.
const REFUSED: &[(&str, &str)] = &[
    ("cards that fail Luhn", "4012888888881882 "),
    ("grouped cards", "4012 8888 8888 1882 "),
    ("digits", "7"),
    ("digit pairs", "12 34-"),
    ("nine digits", "123456789 "),
    ("SSN that are not issued", "123-00-6789 "),
    ("NIR", "2 55 08 14 168 025 37 "),
    ("phones", "+1 555 123 "),
    ("phones in a chain", "155-155-1234-"),
    ("halves of phones", "451 5986 "),
    ("keywords", "ssn 000456780 "),
    ("keywords of others", "cc 123456789 "),
    ("keywords and phones", "card tel 999 99 99"),
    ("@", "@"),
    ("a@", "a@"),
    ("e-mails cut short", "bob@example. "),
    ("names", "password=null "),
    ("quoted names", "password=\"\" "),
    ("tokens", "token:abc "),
    ("plain tokens", "token:abcdefghijklmn "),
    ("eyJ", "eyJhbGciOi."),
    ("AKIA", "AKIAAAAAAAAAAAAAAAAA "),
    ("BEGIN", "-----BEGIN RSA "),
    ("://", "http://a:"),
    ("percent", "%41"),
    ("unicode escapes", "\\u0041"),
    ("brackets", "[[[{{{"),
    ("capitals", "GB82WEST1234"),
    ("IBAN", "GB82WEST12345698765433 "),
    ("base58", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb "),
    ("bech32", "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdp "),
    ("EIP-55", "0x5AAeb6053F3E94C9b9A09f33669435E7Ef1BeAed "),
    ("0x", "0xde0b295669a9fd93d5f28d9ec85e40f4cb697bag "),
    ("colons", "12:34:"),
    ("dots", "1.2.3."),
];

const FOUND: &[(&str, &str)] = &[
    ("cards", "bob,4012888888881881,"),
    ("e-mails", "4,bob@example.com,"),
    ("e-mails in a chain", "bob@example."),
    ("SSN", "x,123-45-6789,"),
    ("SSN with a keyword", "ssn 123456780 "),
    ("phones", "7,555-234-1234,"),
    ("names in a chain", "password="),
    ("quoted names in a chain", "password=\""),
    ("private keys", "-----BEGIN PRIVATE KEY-----"),
];

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
        None => lines::log_lines(10_000),
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
    if let Some(file) = std::env::var_os("PII_BENCH_RULES").filter(|_| wanted("rules")) {
        let file = file.to_string_lossy();
        let mut with = filter(&[all[0], all[1], ("rules_file", &file)]);
        let filters = [&mut with, &mut filter(&all)];
        let [(time, _), (plain, _)] = run_in_turn(filters, &data, ROUNDS);
        println!(
            "with the rules of a file: {:.0} MB/s, {:.2} times the time without",
            rate(bytes, time),
            time.as_secs_f64() / plain.as_secs_f64()
        );
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
        adversarial(&all, ours, &lines, text.as_deref());
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

fn adversarial(options: &[(&str, &str)], ours: f64, lines: &[Vec<u8>], only: Option<&str>) {
    const SIZE: usize = 10 << 20;
    let normal = 1e3 / ours;
    // The same lines with something to find in each.
    let with_matches: Vec<_> = lines
        .iter()
        .map(|line| [line, &b" user=bob@example.com"[..]].concat())
        .collect();
    let bytes: usize = with_matches.iter().map(Vec::len).sum();
    let (time, _) = run(&mut filter(options), &batches(&with_matches), ROUNDS);
    let matched = 1e3 / rate(bytes, time);
    println!(
        "adversarial text of 10 MiB, in one and in lines of 300 bytes, against {normal:.2} ns a byte \
         and {matched:.2} with a match in each line:"
    );
    for (kind, texts) in [("refused", REFUSED), ("found", FOUND)] {
        for (name, text) in texts {
            if only.is_some_and(|only| only != *name) {
                continue;
            }
            // Whole, lest the rest of a pattern be what is found.
            let line = text.repeat((300 / text.len()).max(1)).into_bytes();
            let text = text.repeat(SIZE / text.len()).into_bytes();
            let lines: Vec<Vec<u8>> = text.chunks(line.len()).map(<[u8]>::to_vec).collect();
            let [whole, lines] = [batches(&[text]), batches(&lines)].map(|data| {
                let (time, _) = run(&mut filter(options), &data, 3);
                time.as_nanos() as f64 / SIZE as f64
            });
            println!(
                "  {kind}, {name}: {whole:.2} and {lines:.2} ns a byte, {:.1} and {:.1} times, {:.1} and {:.1}",
                whole / normal,
                lines / normal,
                whole / matched,
                lines / matched
            );
        }
    }
}
