//! `make bench`: our plugins against the stock ones on the same host, over the same lines, in one
//! run. Prints a table and writes it to `target/bench`, and the processor time as an SVG beside it.
//!
//! `BENCH_PAIRS` is the number of paired runs on the newest host (3; others get 1), `BENCH_ONLY` one
//! of the parts (`PARTS`), `BENCH_FOLDER` where the logs are (the folder for temporary files).
//! Hosts are those of the tests.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "a benchmark talks")]
#![allow(unreachable_pub, reason = "modules of a program")]

mod chart;
mod input;
mod live;
mod measure;
mod setups;
mod table;

use std::fmt::{Debug, Write as _};
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use flb_sidecar_tests::host::real_hosts;
use flb_sidecar_tests::{build, wait_until, Host};
use rustix::process::Signal;

use input::{write_files, write_log, Kind, Log};
use measure::{measure, Cpu, Run};
use setups::{Filter, Input, Setup};
use table::{Figures, Head, Ratio, Table, Target};

/// Runs that are short and free of what the host does are many.
const TIMED_PAIRS: usize = 3;
/// The row below that of the detectors that are on without options.
const EVERY_DETECTOR: &str = "the same, every detector and IP";

/// The logs. Where one side is much slower, it reads fewer of the same lines, and time per MB counts.
#[derive(Debug)]
struct Logs {
    text: Log,
    json: Log,
    merge: Log,
    clean: Log,
    personal: Log,
    personal_short: Log,
    json_short: Log,
    files: Log,
}

impl Logs {
    fn write(folder: &Path) -> Self {
        Logs {
            text: write_log(folder, Kind::Text, 200),
            json: write_log(folder, Kind::Json, 60),
            merge: write_log(folder, Kind::Json, 30),
            clean: write_log(folder, Kind::Clean, 200),
            personal: write_log(folder, Kind::Text, 100),
            personal_short: write_log(folder, Kind::Text, 10),
            json_short: write_log(folder, Kind::Json, 6),
            files: write_files(folder, 10_000),
        }
    }
}

/// One pipeline over one log, run several times.
#[derive(Debug, Clone, Copy)]
struct Case<'a> {
    input: Input,
    filters: &'a [Filter],
    log: &'a Log,
}

impl<'a> Case<'a> {
    fn unfiltered(input: Input, log: &'a Log) -> Self {
        Case {
            input,
            filters: &[],
            log,
        }
    }
}

/// Results of the runs of one case.
type Runs = Vec<Run>;

/// One figure of a result.
type Value<T> = fn(&T) -> f64;

fn figures(runs: &[Run], figure: Value<Run>) -> Figures {
    Figures::new(runs.iter().map(figure).collect())
}

#[derive(Debug)]
struct Bench<'a> {
    host: &'a Host,
    is_newest: bool,
    name: String,
    pairs: usize,
    table: &'a mut Table,
}

impl Bench<'_> {
    /// Runs the cases in turn, A B C A B C; `None` when one of them does not work on this host.
    fn run<const N: usize>(&mut self, what: &str, cases: [Case; N]) -> Option<[Runs; N]> {
        let mut results = [const { Runs::new() }; N];
        for _ in 0..self.pairs {
            for (case, runs) in cases.iter().zip(&mut results) {
                let setup = Setup::new(self.host, case.log, case.input, case.filters);
                match measure(&setup.pipeline, setup.port, case.log) {
                    Ok(run) => runs.push(run),
                    Err(error) => {
                        self.not_measured(what, &(case.input, case.filters), &error);
                        return None;
                    }
                }
            }
        }
        Some(results)
    }

    fn not_measured(&mut self, what: &str, case: &dyn Debug, error: &str) {
        let error = error.lines().next().unwrap_or_default();
        let text = format!("{}: {what}: not measured: {case:?}: {error}", self.name);
        println!("{text}");
        self.table.note(text);
    }

    fn add(&mut self, head: Head, ours: Figures, stock: Figures) {
        self.table.add(&self.name, head, ours, stock);
    }

    /// The figures that every comparison has.
    fn compare(&mut self, what: &'static str, runs: [&[Run]; 2], targets: [Target; 3]) {
        let [ours, stock] = runs;
        let [throughput, cpu, peak] = targets;
        let rows: [(&str, Ratio, Target, Value<Run>); 3] = [
            ("MB/s", Ratio::OursToStock, throughput, Run::throughput),
            ("CPU ms/MB", Ratio::OursToStock, cpu, Run::cpu_per_mb),
            ("peak RSS MiB", Ratio::OursToStock, peak, |run| run.peak),
        ];
        for (figure, ratio, target, value) in rows {
            let head = Head {
                what,
                figure,
                ratio,
                target,
            };
            self.add(head, figures(ours, value), figures(stock, value));
        }
    }

    /// Only CPU time, as how many times less ours takes.
    fn compare_cpu(&mut self, what: &'static str, ours: &[Run], stock: &[Run], target: Target) {
        let head = Head {
            what,
            figure: "CPU ms/MB",
            ratio: Ratio::StockToOurs,
            target,
        };
        let value = Run::cpu_per_mb;
        self.add(head, figures(ours, value), figures(stock, value));
    }

    fn tail(&mut self, logs: &Logs) {
        let what = "tail, lines of 150 bytes";
        let case = |input| Case::unfiltered(input, &logs.text);
        let cases = [case(Input::SidecarTail), case(Input::Tail)];
        if let Some([ours, stock]) = self.run(what, cases) {
            let targets = [
                Target::AtLeast(1.5),
                Target::AtMost(if self.is_newest { 0.15 } else { 0.3 }),
                Target::AtMost(0.2),
            ];
            self.compare(what, [&ours, &stock], targets);
        }
    }

    fn json(&mut self, logs: &Logs) {
        let what = "tail, JSON lines parsed";
        let case = |input| Case::unfiltered(input, &logs.json);
        let cases = [case(Input::SidecarTailJson), case(Input::TailJson)];
        if let Some([ours, stock]) = self.run(what, cases) {
            let targets = [Target::AtLeast(3.0), Target::AtMost(0.2), Target::None];
            self.compare(what, [&ours, &stock], targets);
        }
    }

    /// A writer that writes line by line.
    fn live(&mut self, logs: &Logs) {
        let folder = logs.text.path.with_file_name("live");
        let mut sides = [Input::SidecarTail, Input::Tail].map(|input| (input, Vec::new()));
        for pair in 0..self.pairs {
            for (input, figures) in &mut sides {
                let folder = folder.join(format!("{input:?}-{pair}-{}", self.name));
                let log = Log {
                    path: folder.join("app.log"),
                    bytes: 0,
                    lines: 0,
                };
                if fs::create_dir_all(&folder).is_ok() {
                    let setup = Setup::new(self.host, &log, *input, &[]);
                    figures.extend(live::cpu(&setup, &log.path));
                }
            }
        }
        let [ours, stock] = sides.map(|(_, figures)| Figures::new(figures));
        let head = Head {
            what: "tail, 1,000 lines a second, one by one",
            figure: "CPU ms/s",
            ratio: Ratio::OursToStock,
            target: if self.is_newest {
                Target::AtMost(1.0)
            } else {
                Target::None
            },
        };
        self.add(head, ours, stock);
    }

    /// Many files, each with a line that was delivered.
    fn files(&mut self, logs: &Logs) {
        let what = "10,000 files";
        let case = |input| Case::unfiltered(input, &logs.files);
        let cases = [case(Input::SidecarTail), case(Input::SidecarTailDb)];
        let Some([without, with]) = self.run(what, cases) else {
            return;
        };
        let peak = |run: &Run| run.peak;
        for (figure, runs) in [("peak RSS MiB", without), ("peak RSS MiB, with db", with)] {
            let head = Head {
                what,
                figure,
                ratio: Ratio::Alone,
                target: Target::AtMost(30.0),
            };
            self.add(head, figures(&runs, peak), Figures::default());
        }
    }

    /// Time in the filters themselves, between stopwatches in the same host.
    fn metadata(&mut self, logs: &Logs) {
        let what = "metadata, merge_log: the filter alone";
        let mut alone = [Vec::new(), Vec::new()];
        let mut counting = [Vec::new(), Vec::new()];
        for _ in 0..self.pairs.max(TIMED_PAIRS) {
            for (side, filter) in [Filter::KubeMetadata, Filter::Kubernetes]
                .into_iter()
                .enumerate()
            {
                let setup = Setup::timed(self.host, &logs.merge, filter);
                let run = measure(&setup.pipeline, setup.port, &logs.merge);
                let times = run.and_then(|_| setup.times().ok_or("no times".to_owned()));
                match times {
                    Ok((filter, host)) => {
                        alone[side].push(filter / logs.merge.lines as f64);
                        counting[side].push(host / logs.merge.lines as f64);
                    }
                    Err(error) => return self.not_measured(what, &filter, &error),
                }
            }
        }
        let rows = [
            ("CPU ns/record", alone, Target::AtLeast(3.0)),
            ("the host's counting behind it, ns", counting, Target::None),
        ];
        for (figure, [ours, stock], target) in rows {
            let head = Head {
                what,
                figure,
                ratio: Ratio::StockToOurs,
                target,
            };
            self.add(head, Figures::new(ours), Figures::new(stock));
        }
    }

    fn redaction(&mut self, logs: &Logs) {
        let what = "tail + redaction";
        let case = |input, filters, log| Case {
            input,
            filters,
            log,
        };
        let cases = [
            case(
                Input::SidecarTail,
                &[Filter::PiiRedactDefault],
                &logs.personal,
            ),
            case(Input::SidecarTail, &[Filter::PiiRedact], &logs.personal),
            case(Input::Tail, &[Filter::Lua], &logs.personal_short),
        ];
        if let Some([ours, all, stock]) = self.run(what, cases) {
            self.compare_cpu(what, &ours, &stock, Target::AtLeast(25.0));
            self.compare_cpu(EVERY_DETECTOR, &all, &stock, Target::AtLeast(25.0));
        }
    }

    /// The filter's own speed, as what it adds to the tail alone; on the newest host only.
    fn redaction_alone(&mut self, logs: &Logs) {
        if !self.is_newest {
            return;
        }
        let what = "redaction of clean text: the filter alone";
        let case = |filters| Case {
            input: Input::SidecarTail,
            filters,
            log: &logs.clean,
        };
        let cases = [
            case(&[Filter::PiiRedactWithoutIp]),
            case(&[Filter::PiiRedact]),
            case(&[]),
        ];
        let Some([without_ip, with_ip, without]) = self.run(what, cases) else {
            return;
        };
        let rows = [
            ("MB/s, all but IP", without_ip, 600.0),
            ("MB/s, all", with_ip, 400.0),
        ];
        let bytes_per_line = logs.clean.bytes as f64 / logs.clean.lines as f64;
        for (figure, runs, target) in rows {
            let head = Head {
                what,
                figure,
                ratio: Ratio::Alone,
                target: Target::AtLeast(target),
            };
            let nanoseconds = alone(&runs, &without);
            let speed = nanoseconds.iter().map(|ns| 1e3 * bytes_per_line / ns);
            self.add(head, Figures::new(speed.collect()), Figures::default());
        }
    }

    fn whole(&mut self, logs: &Logs) {
        let what = "tail + JSON merge + metadata + redaction";
        let cases = [
            Case {
                input: Input::SidecarTail,
                filters: &[Filter::KubeMetadata, Filter::PiiRedactDefault],
                log: &logs.json,
            },
            // The pod's address is a match in every record: each is rewritten, as by the Lua filter.
            Case {
                input: Input::SidecarTail,
                filters: &[Filter::KubeMetadata, Filter::PiiRedact],
                log: &logs.json,
            },
            Case {
                input: Input::Tail,
                filters: &[Filter::Kubernetes, Filter::Lua],
                log: &logs.json_short,
            },
        ];
        if let Some([ours, all, stock]) = self.run(what, cases) {
            self.compare_cpu(what, &ours, &stock, Target::AtLeast(15.0));
            self.compare_cpu(EVERY_DETECTOR, &all, &stock, Target::AtLeast(15.0));
            let head = Head {
                what: "start of that set, to the first read",
                figure: "s",
                ratio: Ratio::OursToStock,
                target: Target::None,
            };
            let start = |run: &Run| run.start;
            self.add(head, figures(&ours, start), figures(&stock, start));
        }
    }

    /// The whole set with nothing to read, and its end.
    fn rest(&mut self, logs: &Logs) {
        let path = logs.text.path.with_file_name("none").join("*.log");
        let path = path.to_string_lossy().into_owned();
        let mut ours: Vec<Rest> = Vec::new();
        let mut stock: Vec<Rest> = Vec::new();
        for _ in 0..self.pairs {
            ours.extend(Rest::measure(&Setup::set(self.host, &path), true));
            stock.extend(Rest::measure(&Setup::stock_set(self.host, &path), false));
        }
        let rows: [(&str, &str, Target, Value<Rest>); 3] = [
            ("that set at rest", "RSS MiB", Target::None, |rest| {
                rest.memory
            }),
            ("that set at rest", "CPU ms/s", Target::None, |rest| {
                rest.cpu
            }),
            (
                "end: flag (stock: SIGTERM) to exit",
                "s",
                Target::None,
                |rest| rest.end,
            ),
        ];
        for (what, figure, target, value) in rows {
            let head = Head {
                what,
                figure,
                ratio: Ratio::OursToStock,
                target,
            };
            let side = |runs: &[Rest]| Figures::new(runs.iter().map(value).collect());
            self.add(head, side(&ours), side(&stock));
        }
    }
}

/// The filter without a host: `cargo bench` of its own crate, whose lines are taken over.
fn in_process(table: &mut Table) {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let package = "filter_kube_metadata";
    let output = Command::new(cargo)
        .current_dir(build::root())
        .args([
            "bench",
            "--quiet",
            "--package",
            package,
            "--bench",
            "throughput",
        ])
        .stderr(Stdio::inherit())
        .output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let rows = IN_PROCESS.iter().filter_map(|(what, figure, target)| {
        let text = text.as_deref().unwrap_or_default();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(what)?.strip_prefix(':'));
        let figures = line?.split_whitespace().map(|word| word.parse().ok());
        Some((
            *what,
            *figure,
            *target,
            figures.collect::<Option<Vec<f64>>>()?,
        ))
    });
    let mut found = 0;
    for (what, figure, target, figures) in rows {
        let head = Head {
            what,
            figure,
            ratio: Ratio::Alone,
            target,
        };
        table.add("none", head, Figures::new(figures), Figures::default());
        found += 1;
    }
    if found < IN_PROCESS.len() {
        table.note(format!("cargo bench -p {package}: not all was measured"));
    }
}

/// What that prints, its unit, and the target of each.
const IN_PROCESS: &[(&str, &str, Target)] = &[
    ("start to first record", "ns", Target::AtMost(5e6)),
    ("metadata", PER_RECORD, Target::AtMost(1000.0)),
    (
        "metadata, record mentions kubernetes",
        PER_RECORD,
        Target::AtMost(1000.0),
    ),
    (
        "metadata, container from the path",
        PER_RECORD,
        Target::AtMost(1000.0),
    ),
    ("merge_log, no JSON", PER_RECORD, Target::None),
    ("merge_log, JSON", PER_RECORD, Target::None),
    ("merge_log, JSON, without log", PER_RECORD, Target::None),
];

const PER_RECORD: &str = "CPU ns/record";

type Part = fn(&mut Bench<'_>, &Logs);

/// What is measured on each host.
const PARTS: &[(&str, Part)] = &[
    ("tail", |bench, logs| bench.tail(logs)),
    ("json", |bench, logs| bench.json(logs)),
    ("live", |bench, logs| bench.live(logs)),
    ("files", |bench, logs| bench.files(logs)),
    ("metadata", |bench, logs| bench.metadata(logs)),
    ("redaction", |bench, logs| bench.redaction(logs)),
    ("redaction_alone", |bench, logs| bench.redaction_alone(logs)),
    ("whole", |bench, logs| bench.whole(logs)),
    ("rest", |bench, logs| bench.rest(logs)),
];

/// CPU nanoseconds per line that a filter adds, pair by pair.
fn alone(with: &[Run], without: &[Run]) -> Vec<f64> {
    let pairs = with.iter().zip(without);
    pairs
        .map(|(with, without)| with.cpu_per_line() - without.cpu_per_line())
        .collect()
}

/// A host with nothing to do.
#[derive(Debug, Clone, Copy)]
struct Rest {
    /// Resident memory in MiB.
    memory: f64,
    /// CPU milliseconds per second.
    cpu: f64,
    /// From the flag or the signal to the end, in seconds.
    end: f64,
}

impl Rest {
    fn measure(setup: &Setup, with_flag: bool) -> Option<Self> {
        let mut host = setup.pipeline.start();
        let id = host.id();
        let mut cpu = Cpu::default();
        // The start is over; nothing tells so on every host.
        std::thread::sleep(Duration::from_millis(1500));
        let before = (Instant::now(), cpu.now(id));
        std::thread::sleep(Duration::from_secs(1));
        let spent = cpu.now(id) - before.1;
        let cpu = 1e3 * spent / before.0.elapsed().as_secs_f64();
        let memory = measure::field(id, "status", "VmRSS:")?;
        let asked = Instant::now();
        if with_flag {
            setup.pipeline.file("flag", "");
        } else {
            host.signal(Signal::TERM);
        }
        let ended = wait_until(Duration::from_secs(20), || {
            measure::field(id, "status", "VmRSS:")
                .is_none()
                .then(|| asked.elapsed())
        });
        host.wait_for_end();
        Some(Rest {
            memory: memory as f64 / 1024.0,
            cpu,
            end: ended?.as_secs_f64(),
        })
    }
}

fn first_line(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    text.unwrap_or_default()
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned()
}

/// The machine and what else it was doing.
fn machine() -> String {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let processors = read("/proc/cpuinfo");
    let model = processors
        .lines()
        .find(|line| line.starts_with("model name"));
    let model = model
        .and_then(|line| line.split(": ").nth(1))
        .unwrap_or("unknown");
    let count = std::thread::available_parallelism().map_or(0, usize::from);
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{count} x {model}, {}",
        first_line("uname", &["-srm"])
    );
    let revision = first_line("git", &["describe", "--always", "--dirty"]);
    let _ = writeln!(
        text,
        "flb-sidecar {revision}, {}",
        first_line("rustc", &["--version"])
    );
    let _ = writeln!(text, "load before: {}", read("/proc/loadavg").trim());
    text
}

/// On a disk, where a node has its volumes: what readers tell the kernel about its cache costs
/// nothing in memory. The cache is warm before each run, so that no disk is measured.
fn folder() -> tempfile::TempDir {
    let place = std::env::var_os("BENCH_FOLDER").map_or_else(std::env::temp_dir, Into::into);
    tempfile::TempDir::new_in(place).expect("a temporary folder")
}

fn main() -> ExitCode {
    let mut hosts = real_hosts();
    hosts.sort_by_key(|host| host.version);
    let Some(newest) = hosts.last() else {
        println!("SKIPPED: no Fluent Bit found (FLUENT_BIT_BINARY, PATH, /opt/fluent-bit*)");
        return ExitCode::SUCCESS;
    };
    let pairs = std::env::var("BENCH_PAIRS").ok();
    let pairs = pairs.and_then(|text| text.parse().ok()).unwrap_or(3);
    let mut text = machine();
    print!("{text}");
    let folder = folder();
    let logs = Logs::write(folder.path());
    let mut table = Table::default();
    let only = std::env::var("BENCH_ONLY").ok();
    if only.is_none() {
        in_process(&mut table);
    }
    let started = Instant::now();
    for host in hosts.iter().rev() {
        let is_newest = host.version == newest.version;
        let mut bench = Bench {
            host,
            is_newest,
            name: host.version.to_string(),
            pairs: if is_newest { pairs } else { 1 },
            table: &mut table,
        };
        for (name, part) in PARTS {
            if only.as_ref().is_none_or(|only| only == name) {
                part(&mut bench, &logs);
            }
        }
        let name = bench.name;
        println!("{}", table.text(Some(&name)));
        println!(
            "{host} measured after {:.0} s",
            started.elapsed().as_secs_f64()
        );
    }
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let _ = writeln!(text, "load after: {}\n\n{}", load.trim(), table.text(None));
    let when = first_line("date", &["-u", "+%Y-%m-%dT%H%M%SZ"]);
    let results = build::root().join("target/bench");
    let path = results.join(format!("{when}.txt"));
    let drawing = path.with_extension("svg");
    let drawn = chart::svg(
        &table.cpu(),
        &format!("make bench, {when}; bars end at 1.2 times the stock plugins' time"),
    );
    let written = fs::create_dir_all(&results)
        .and_then(|()| fs::write(&path, text))
        .and_then(|()| fs::write(&drawing, drawn));
    match written {
        Ok(()) => println!("written to {} and .svg beside it", path.display()),
        Err(error) => {
            println!("\n{}: {error}", path.display());
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
