//! One run of a host over one log, watched from outside through `/proc`.
//!
//! The log is read when the process has read that many bytes (`rchar` of `/proc/PID/io`, which
//! also counts `pread`), and it is done when the host's own metrics say that the output got every
//! record. CPU time is the sum over the threads of `/proc/PID/task/*/schedstat`, in nanoseconds.

use std::collections::HashMap;
use std::fs;
use std::time::{Duration, Instant};

use flb_sidecar_tests::{http, Pipeline, Running};

use crate::input::Log;

/// Between two looks at the process.
const TICK: Duration = Duration::from_millis(2);
/// Longer runs count as failed.
const LIMIT: Duration = Duration::from_secs(120);
/// After the end of the log everything is delivered at the next flush, a second later at most.
const DELIVERY: Duration = Duration::from_secs(20);

/// What was measured in one run.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    /// From the start of the process to the first read of the log, in seconds.
    pub start: f64,
    /// From the first read to the last append, in seconds.
    pub reading: f64,
    /// User and system time from the first read to the last delivery, in seconds.
    pub cpu: f64,
    /// Peak of the resident memory, in MiB.
    pub peak: f64,
    /// Size of the log in MB.
    pub megabytes: f64,
    /// Lines of the log.
    pub lines: f64,
}

impl Run {
    /// MB/s from the first read to the last append.
    pub fn throughput(&self) -> f64 {
        self.megabytes / self.reading
    }

    /// CPU milliseconds per MB of log.
    pub fn cpu_per_mb(&self) -> f64 {
        1e3 * self.cpu / self.megabytes
    }

    /// CPU nanoseconds per line.
    pub fn cpu_per_line(&self) -> f64 {
        1e9 * self.cpu / self.lines
    }
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Duration,
    read: u64,
    cpu: f64,
}

/// CPU time of a process in seconds, threads that have ended included.
#[derive(Debug, Default)]
pub struct Cpu(HashMap<String, u64>);

impl Cpu {
    pub fn now(&mut self, id: u32) -> f64 {
        let tasks = fs::read_dir(format!("/proc/{id}/task"));
        for task in tasks.into_iter().flatten().flatten() {
            let text = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
            let spent = text.split(' ').next().and_then(|field| field.parse().ok());
            if let Some(spent) = spent {
                let name = task.file_name().to_string_lossy().into_owned();
                self.0.insert(name, spent);
            }
        }
        self.0.values().sum::<u64>() as f64 / 1e9
    }
}

/// The number behind `name` in a file of `/proc/PID`, such as `VmHWM:`.
pub fn field(id: u32, file: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{id}/{file}")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Records that the output `null` got.
fn delivered(port: u16) -> Option<u64> {
    let (_, text) = http::get(port, "/api/v1/metrics")?;
    let json: serde_json::Value = serde_json::from_str(&text).ok()?;
    json["output"]["null.0"]["proc_records"].as_u64()
}

/// Starts the pipeline and watches it until every line of the log is delivered.
///
/// # Errors
/// With what the host said, when it does not get there.
pub fn measure(pipeline: &Pipeline, port: u16, log: &Log) -> Result<Run, String> {
    log.warm();
    let started = Instant::now();
    let host = pipeline.start();
    let id = host.id();
    let mut cpu = Cpu::default();
    let mut samples: Vec<Sample> = Vec::new();
    let mut arrived = None;
    let mut asked = started;
    loop {
        std::thread::sleep(TICK);
        let at = started.elapsed();
        let Some(read) = field(id, "io", "rchar:") else {
            return Err(failure("the host ended", &host));
        };
        samples.push(Sample {
            at,
            read,
            cpu: cpu.now(id),
        });
        if read >= log.bytes && arrived.is_none() {
            arrived = Some(at);
        }
        if at > arrived.map_or(LIMIT, |arrived| arrived + DELIVERY) {
            let got = delivered(port);
            let lines = log.lines;
            return Err(failure(
                &format!("{got:?} of {lines} records arrived"),
                &host,
            ));
        }
        if arrived.is_some() && asked.elapsed() > Duration::from_millis(100) {
            asked = Instant::now();
            // At least: 2.1.0 miscounts what a Lua filter has changed.
            if delivered(port) >= Some(log.lines) {
                break;
            }
        }
    }
    let peak = field(id, "status", "VmHWM:").unwrap_or_default();
    drop(host);
    evaluate(&samples, log, peak).ok_or_else(|| "too few samples".to_owned())
}

fn failure(what: &str, host: &Running) -> String {
    format!("{what}: {}", host.output().stderr())
}

/// Bytes that a host may read besides the log while it reads it.
const OTHER_READS: u64 = 128 << 10;

fn evaluate(samples: &[Sample], log: &Log, peak: u64) -> Option<Run> {
    let last = samples.last()?;
    let before = last.read.saturating_sub(log.bytes);
    let first_read = samples.iter().position(|s| s.read > before + OTHER_READS)?;
    let first = samples[first_read.saturating_sub(1)];
    let last_read = samples
        .iter()
        .position(|s| s.read + OTHER_READS > last.read)?;
    // What was read last is appended when the process comes to rest.
    let window = Duration::from_millis(20);
    let rest = &samples[last_read..];
    let appended = rest.iter().find(|sample| {
        let then = rest.iter().find(|s| s.at >= sample.at + window);
        then.is_none_or(|then| then.cpu - sample.cpu < 0.1 * (then.at - sample.at).as_secs_f64())
    })?;
    Some(Run {
        start: first.at.as_secs_f64(),
        reading: (appended.at - first.at).as_secs_f64(),
        cpu: last.cpu - first.cpu,
        peak: peak as f64 / 1024.0,
        megabytes: log.bytes as f64 / 1e6,
        lines: log.lines as f64,
    })
}
