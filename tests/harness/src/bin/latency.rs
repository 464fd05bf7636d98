//! How long a line takes from being in a file to being appended to the engine, on every real
//! Fluent Bit found: a filter of the host, which runs inside the append, passes each line on
//! through a FIFO. Argument: the folder of `make build`. Prints a table; nothing is asserted, since
//! the machine may be busy.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "a measurement talks")]

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::fs::OFlags;

use flb_sidecar_tests::host::{real_hosts, Host};
use flb_sidecar_tests::short_job::percentile;
use flb_sidecar_tests::site::Site;
use flb_sidecar_tests::Running;

/// Lines appended to a file that is followed.
const LINES: usize = 500;
/// Files that appear.
const FILES: usize = 200;
/// Between two lines: longer than a line waits for the next one, so that each is a change of its own.
const PAUSE: Duration = Duration::from_millis(27);
/// A line that takes longer never comes.
const LIMIT: Duration = Duration::from_secs(20);

/// The lines that a host passes on.
struct Passed {
    fifo: File,
    /// What was read behind the newest whole line.
    text: Vec<u8>,
}

impl Passed {
    /// Opens a FIFO that nobody need write to yet.
    fn open(fifo: &str) -> Self {
        let mut options = OpenOptions::new();
        options
            .read(true)
            .custom_flags(OFlags::NONBLOCK.bits() as i32);
        Passed {
            fifo: options.open(fifo).expect("the FIFO is there"),
            text: Vec::new(),
        }
    }

    /// Waits for a line.
    ///
    /// # Errors
    /// When the host ends before it has passed it on, or takes too long.
    fn wait_for(&mut self, text: &str, host: &mut Running) -> Result<(), String> {
        let start = Instant::now();
        loop {
            while let Some(end) = self.text.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.text.drain(..=end).collect();
                if line[..end] == *text.as_bytes() {
                    return Ok(());
                }
            }
            if let Some(status) = host.ended() {
                return Err(format!("it ended with {status}: {}", host.output()));
            }
            if start.elapsed() > LIMIT {
                return Err(format!(
                    "no line {text:?} within {LIMIT:?}: {}",
                    host.output()
                ));
            }
            let second = Timespec {
                tv_sec: 1,
                tv_nsec: 0,
            };
            // Whatever comes of it, the next round sees.
            let _ = poll(&mut [PollFd::new(&self.fifo, PollFlags::IN)], Some(&second));
            let mut block = [0; 4096];
            match self.fifo.read(&mut block) {
                Ok(length) => self.text.extend_from_slice(&block[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(format!("its FIFO cannot be read: {error}")),
            }
        }
    }
}

fn main() -> ExitCode {
    if let Some(folder) = std::env::args().nth(1) {
        let library = Path::new(&folder).join("libflb_sidecar.so");
        std::env::set_var("FLB_SIDECAR_LIBRARY", library);
    }
    let hosts = real_hosts();
    if hosts.is_empty() {
        println!("SKIPPED: no Fluent Bit found");
        return ExitCode::SUCCESS;
    }
    println!("| host | line of | p50 | p99 | most |");
    println!("|---|---|---|---|---|");
    let mut failed = false;
    for host in hosts {
        if let Err(error) = measure(&host) {
            println!("| {host} | not measured: {} |", error.trim());
            failed = true;
        }
    }
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load {}", load.trim());
    ExitCode::from(u8::from(failed))
}

fn measure(host: &Host) -> Result<(), String> {
    let site = Site::new();
    let fifo = site.path("fifo");
    let made = Command::new("mkfifo").arg(&fifo).status();
    assert!(made.is_ok_and(|status| status.success()), "a FIFO");
    let mut pipeline = site.input(host, "sidecar_tail", "*.log", &[]);
    let script = pipeline.file(
        "pass.lua",
        format!(
            "local fifo = io.open('{fifo}', 'w')\n\
             function pass(tag, time, record)\n\
             fifo:write(record.log, '\\n')\n\
             fifo:flush()\n\
             return -1, time, record\n\
             end\n"
        ),
    );
    pipeline
        .filter("lua", "*", &[("script", &script[..]), ("call", "pass")])
        .output("null", "*", flb_sidecar_tests::NO_OPTIONS);
    let mut known = site.open("known.log");
    let mut lines = Passed::open(&fifo);
    let mut running = pipeline.start();
    write(&mut known, "first");
    lines.wait_for("first", &mut running)?;

    let mut times = Vec::new();
    for n in 0..LINES {
        std::thread::sleep(PAUSE);
        let text = format!("known {n}");
        let start = Instant::now();
        write(&mut known, &text);
        lines.wait_for(&text, &mut running)?;
        times.push(start.elapsed());
    }
    row(host, "a known file", &times);
    times.clear();
    for n in 0..FILES {
        std::thread::sleep(PAUSE);
        let text = format!("new {n}");
        let start = Instant::now();
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(site.log(&format!("{n}.log")));
        write(&mut file.expect("a new log"), &text);
        lines.wait_for(&text, &mut running)?;
        times.push(start.elapsed());
    }
    row(host, "a new file", &times);
    Ok(())
}

fn write(file: &mut File, text: &str) {
    let line = format!("{text}\n");
    file.write_all(line.as_bytes()).expect("a log takes a line");
}

fn row(host: &Host, what: &str, times: &[Duration]) {
    let at = |part| {
        let time = percentile(times, part).unwrap_or_default();
        format!("{:.1} ms", time.as_secs_f64() * 1000.0)
    };
    println!(
        "| {host} | {what} | {} | {} | {} |",
        at(0.5),
        at(0.99),
        at(1.0)
    );
}
