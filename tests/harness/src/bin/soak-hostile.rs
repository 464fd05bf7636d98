//! The second half of `make soak-hostile`: what somebody who writes the logs does, on every real
//! host, with what it costs. Each attack stands beside a file of good lines and is run twice: once
//! read to its end, once ended by SIGTERM in the middle. Arguments: words that an attack's name
//! must have.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "a soak talks")]

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use flate2::{write::GzEncoder, Compression};
use flb_sidecar_tests::host::real_hosts;
use flb_sidecar_tests::{wait_until, Host, Pipeline};
use rustix::fs::{mknodat, FileType, Mode, CWD};
use rustix::process::Signal;

/// Good lines beside every attack.
const GOOD: usize = 1000;
/// What only links lead to.
const TOKEN: &str = "a-token-of-somebody-else";
/// Processor time of a whole run, in seconds.
const CPU: f64 = 3.0;
/// Resident memory over that of a run with the good lines only, in MiB.
const MEMORY: f64 = 64.0;
/// Processor time of one thread between SIGTERM and the first line about it, in seconds.
const ANSWER: f64 = 0.1;
/// SIGTERM comes by then even if the attack costs so little that its middle is not seen.
const SOON: Duration = Duration::from_secs(5);
/// Longer runs hang.
const PATIENCE: Duration = Duration::from_secs(300);

/// What is put beside the good lines, and the options of `sidecar_tail` that let it in.
struct Attack {
    name: &'static str,
    /// What goes through the filters.
    filtered: &'static str,
    options: &'static [(&'static str, &'static str)],
    lay: fn(&Path),
}

const ALL: &str = "*";
const LONG: &[(&str, &str)] = &[("buffer_chunk_size", "512k"), ("buffer_max_size", "512k")];
const JSON: &[(&str, &str)] = &[("format", "json")];
const CRI: &[(&str, &str)] = &[("format", "cri")];

const ATTACKS: &[Attack] = &[
    Attack {
        name: "nothing",
        filtered: ALL,
        options: &[],
        lay: |_| {},
    },
    Attack {
        name: "a line of 120 KB, 60,000 levels deep",
        filtered: ALL,
        options: LONG,
        lay: |folder| write(folder, "deep.log", nested(60_000)),
    },
    Attack {
        name: "the same in pieces of CRI",
        filtered: ALL,
        options: CRI,
        lay: |folder| {
            let text = nested(30_000);
            let mut pieces = String::new();
            for piece in text.as_bytes().chunks(8192) {
                let piece = String::from_utf8_lossy(piece);
                pieces += &format!("2026-01-02T03:04:05.000000006Z stdout P {piece}\n");
            }
            write(folder, "deep.log", pieces);
        },
    },
    Attack {
        name: "100 JSON lines, 100 to 5,000 levels deep",
        filtered: ALL,
        options: JSON,
        lay: |folder| {
            let line = |n: usize| format!("{{\"d\":{}}}\n", nested(100 + 49 * n));
            write(folder, "deep.log", (0..100).map(line).collect::<String>());
        },
    },
    Attack {
        name: "prefixes of tokens: 300 KB in a line, of each of nine",
        filtered: ALL,
        options: LONG,
        lay: |folder| prefixes(folder, 300_000, 1),
    },
    Attack {
        name: "prefixes of tokens: 570 KB in lines of 32 KB, of each of nine",
        filtered: ALL,
        options: &[],
        lay: |folder| prefixes(folder, 32_000, 18),
    },
    Attack {
        name: "gzip, 1 M empty members (20 MB)",
        filtered: ALL,
        options: &[],
        lay: |folder| write(folder, "a.log.gz", member(b"").repeat(1_000_000)),
    },
    Attack {
        name: "gzip, 10 M empty members (200 MB)",
        filtered: ALL,
        options: &[],
        lay: |folder| write(folder, "a.log.gz", member(b"").repeat(10_000_000)),
    },
    Attack {
        name: "gzip, 20 MB of empty blocks",
        filtered: ALL,
        options: &[],
        lay: |folder| write(folder, "a.log.gz", empty_blocks(4_000_000)),
    },
    Attack {
        name: "gzip, 3 MB of 3 GB, not filtered",
        // Gigabytes of text cost filters what gigabytes cost.
        filtered: "good",
        options: &[("mem_buf_limit", "5M")],
        lay: |folder| {
            let file = File::create(folder.join("a.log.gz")).expect("a file");
            let mut gzip = GzEncoder::new(file, Compression::best());
            let block = ("x".repeat(8191) + "\n").repeat(128);
            for _ in 0..3 << 10 {
                gzip.write_all(block.as_bytes()).expect("it takes all");
            }
            gzip.finish().expect("it ends");
        },
    },
    Attack {
        name: "links, FIFOs, a socket, forged names",
        filtered: ALL,
        options: &[],
        lay: links,
    },
    Attack {
        name: "20,000 folders",
        filtered: ALL,
        options: &[],
        lay: |folder| {
            for n in 0..20_000 {
                fs::create_dir(folder.join(format!("{n}"))).expect("a folder");
            }
        },
    },
    Attack {
        name: "200,000 files of one line",
        filtered: ALL,
        options: &[],
        lay: |folder| {
            for n in 0..200_000 {
                write(folder, &format!("{n}.log"), "x\n");
            }
        },
    },
];

fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) {
    fs::write(folder.join(name), content).expect("a file");
}

fn nested(levels: usize) -> String {
    format!("{}1{}", "[".repeat(levels), "]".repeat(levels))
}

fn member(text: &[u8]) -> Vec<u8> {
    let mut member = GzEncoder::new(Vec::new(), Compression::best());
    member.write_all(text).expect("it takes all");
    member.finish().expect("it ends")
}

/// A member of four times so many blocks of 10 bits, with fixed codes and nothing in them.
fn empty_blocks(count: usize) -> Vec<u8> {
    let mut gzip = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    // Four blocks that are not the last one, then one that is; the checksum and size of nothing.
    gzip.extend([0x02, 0x08, 0x20, 0x80, 0x00].repeat(count));
    gzip.extend([0x03, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    gzip
}

fn prefixes(folder: &Path, length: usize, lines: usize) {
    let prefixes = [
        "glpat-", "glrt-", "gldt-", "glptt-", "glsoat-", "xapp-", "figd_", "AKIA", "sk-",
    ];
    for prefix in prefixes {
        let line = prefix.repeat(length / prefix.len()) + "\n";
        write(folder, &format!("{prefix}.log"), line.repeat(lines));
    }
}

fn links(folder: &Path) {
    let above = folder.parent().expect("a folder above");
    write(above, "token", TOKEN);
    symlink(above.join("token"), folder.join("token.log")).expect("a link");
    symlink("/proc/self/environ", folder.join("environ.log")).expect("a link");
    symlink("/", folder.join("root")).expect("a link");
    for name in ["tail.db.sidecar", "tail.db.sidecar.journal", "fifo.log"] {
        mknodat(CWD, folder.join(name), FileType::Fifo, Mode::RWXU, 0).expect("a FIFO");
    }
    symlink(above.join("token"), folder.join("tail.db.sidecar.lock")).expect("a link");
    symlink(above.join("token"), folder.join("tail.db.sidecar.tmp")).expect("a link");
    for n in 0..2000 {
        write(folder, &format!("\n[error] forged\u{1b}[2J{n}.log"), "");
    }
}

/// How a run ends.
#[derive(Clone, Copy)]
enum End {
    /// All is read.
    Drained,
    /// SIGTERM after so much processor time, in seconds.
    Terminated(f64),
}

/// What a run cost.
struct Cost {
    cpu: f64,
    /// MiB.
    peak: f64,
    /// From SIGTERM to the first line about it: the most that one thread worked, in seconds.
    answer: f64,
    faults: Vec<String>,
}

/// Processor time of every thread, in seconds.
fn threads(id: u32) -> Vec<(String, f64)> {
    let tasks = fs::read_dir(format!("/proc/{id}/task"));
    let tasks = tasks.into_iter().flatten().flatten();
    tasks
        .filter_map(|task| {
            let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
            let spent: f64 = text.split(' ').next()?.parse().ok()?;
            Some((task.file_name().to_string_lossy().into_owned(), spent / 1e9))
        })
        .collect()
}

/// MiB; 0 when it has ended.
fn peak(id: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    number.unwrap_or(0.0) / 1024.0
}

fn run(host: &Host, attack: &Attack, end: End) -> Cost {
    let mut pipeline = Pipeline::new(host);
    let good = |n: usize| format!("{{\"log\":\"good {n} of user@example.com\"}}\n");
    let good: String = (0..GOOD).map(good).collect();
    let logs = pipeline.folder().join("logs");
    fs::create_dir(&logs).expect("a folder");
    (attack.lay)(&logs);
    pipeline.file("good/good.log", &good);
    let path = |name: &str| pipeline.path(name);
    let paths = format!("{},{}", path("logs/*"), path("logs/*/*.log"));
    let all = [
        ("path", paths),
        ("tag", "hostile".to_owned()),
        ("db", path("logs/tail.db")),
    ];
    let beside = [
        ("path", path("good/*.log")),
        ("tag", "good".to_owned()),
        ("format", "json".to_owned()),
    ];
    let mut triggers = vec![("deadline", "60s".to_owned())];
    if let End::Drained = end {
        triggers.push(("flag_file", pipeline.file("flag", "")));
    }
    pipeline.env("POD_NAME", "p");
    pipeline.input("sidecar_tail", &all).options(attack.options);
    pipeline.input("sidecar_tail", &beside);
    pipeline.filter("kube_metadata", attack.filtered, &[("merge_log", "on")]);
    pipeline.filter("pii_redact", attack.filtered, &[("preset", "all")]);
    let print = [("match", "good"), ("format", "json_lines")];
    pipeline.arg("-o").arg("stdout").options(&print);
    let drop = [("match", "hostile")];
    pipeline.arg("-o").arg("null").options(&drop);
    pipeline.output("completion_exit", "none", &triggers);
    let mut running = pipeline.start();
    let id = running.id();
    let mut cost = Cost {
        cpu: 0.0,
        peak: 0.0,
        answer: 0.0,
        faults: Vec::new(),
    };
    let mut asked: Option<Vec<(String, f64)>> = None;
    let mut answered = false;
    let started = Instant::now();
    let ended = wait_until(PATIENCE, || {
        let spent = threads(id);
        cost.cpu = cost.cpu.max(spent.iter().map(|(_, spent)| spent).sum());
        cost.peak = cost.peak.max(peak(id));
        match (&asked, end) {
            (None, End::Terminated(after))
                if (cost.cpu >= after || started.elapsed() > SOON)
                    && running.output().stderr().contains("waits for SIGTERM") =>
            {
                running.signal(Signal::TERM);
                asked = Some(spent);
            }
            (Some(before), _) if !answered => {
                answered = running.output().stderr().contains("reading on for up to");
                let worked = spent.iter().map(|(name, spent)| {
                    let earlier = before.iter().find(|(other, _)| other == name);
                    spent - earlier.map_or(0.0, |(_, spent)| *spent)
                });
                cost.answer = worked.fold(cost.answer, f64::max);
            }
            _ => {}
        }
        running.ended()
    });
    let mut fault = |what: &str, is_right: bool| {
        if !is_right {
            cost.faults.push(what.to_owned());
        }
    };
    fault("it hangs", ended.is_some());
    let status = ended.and_then(|status| status.code());
    fault(&format!("status {status:?}"), status == Some(0));
    let output = running.output();
    let records = output.records();
    let came = records.iter().filter_map(|record| record["log"].as_str());
    let due = (0..GOOD).map(|n| format!("good {n} of [EMAIL]"));
    fault("a good line lost, repeated or leaked", came.eq(due));
    let said = output.stderr();
    fault("a token in the log", !said.contains(TOKEN));
    fault("a forged line", !said.contains("\n[error] forged"));
    let token = fs::read_to_string(pipeline.folder().join("token"));
    fault("a file outside changed", token.map_or(true, |t| t == TOKEN));
    if let End::Terminated(_) = end {
        fault("SIGTERM came too late", asked.is_some());
        fault("SIGTERM is not answered", answered);
    }
    cost
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let hosts = real_hosts();
    if hosts.is_empty() {
        println!("SKIPPED hostile logs on real hosts: no Fluent Bit found");
    }
    let mut is_good = true;
    println!("| attack | host | CPU, s | memory over the start, MiB | SIGTERM answered after, ms of work | |");
    println!("|---|---|---|---|---|---|");
    for host in &hosts {
        let idle = run(host, &ATTACKS[0], End::Drained);
        for attack in ATTACKS {
            if !words.iter().all(|word| attack.name.contains(word.as_str())) {
                continue;
            }
            let drained = run(host, attack, End::Drained);
            let terminated = run(host, attack, End::Terminated(drained.cpu / 2.0));
            let memory = drained.peak.max(terminated.peak) - idle.peak;
            let mut faults = drained.faults;
            faults.extend(terminated.faults.iter().map(|f| format!("SIGTERM: {f}")));
            if drained.cpu > CPU {
                faults.push("too much CPU".into());
            }
            if memory > MEMORY {
                faults.push("too much memory".into());
            }
            if terminated.answer > ANSWER {
                faults.push("SIGTERM waits".into());
            }
            is_good &= faults.is_empty();
            let verdict = if faults.is_empty() {
                "ok".to_owned()
            } else {
                faults.join(", ")
            };
            println!(
                "| {} | {host} | {:.2} | {memory:.0} | {:.0} | {verdict} |",
                attack.name,
                drained.cpu,
                terminated.answer * 1e3
            );
        }
    }
    if is_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
