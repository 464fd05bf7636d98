//! How long a line takes from being in a file to being appended to the engine, on every real
//! Fluent Bit found: a filter of the host, which runs inside the append, passes each line on
//! through a FIFO. Argument: the folder of `make build`. Prints a table; nothing is asserted, since
//! the machine may be busy.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "a measurement talks")]

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use flb_sidecar_tests::host::{real_hosts, Host};
use flb_sidecar_tests::short_job::percentile;
use flb_sidecar_tests::site::Site;

/// Lines appended to a file that is followed.
const LINES: usize = 1000;
/// Files that appear.
const FILES: usize = 200;
/// Between two lines: longer than a line takes, so that each is a change of its own.
const PAUSE: Duration = Duration::from_millis(7);

fn main() {
    if let Some(folder) = std::env::args().nth(1) {
        let library = Path::new(&folder).join("libflb_sidecar.so");
        std::env::set_var("FLB_SIDECAR_LIBRARY", library);
    }
    let hosts = real_hosts();
    if hosts.is_empty() {
        println!("SKIPPED: no Fluent Bit found");
        return;
    }
    println!("| host | line of | p50 | p99 | most |");
    println!("|---|---|---|---|---|");
    for host in hosts {
        measure(&host);
    }
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load {}", load.trim());
}

fn measure(host: &Host) {
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
    let running = pipeline.start();
    let mut lines = BufReader::new(File::open(&fifo).expect("the FIFO is there"));
    write(&mut known, "first");
    wait_for(&mut lines, "first");

    let mut times = Vec::new();
    for n in 0..LINES {
        std::thread::sleep(PAUSE);
        let text = format!("known {n}");
        let start = Instant::now();
        write(&mut known, &text);
        wait_for(&mut lines, &text);
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
        wait_for(&mut lines, &text);
        times.push(start.elapsed());
    }
    row(host, "a new file", &times);
    drop(running);
}

fn write(file: &mut File, text: &str) {
    let line = format!("{text}\n");
    file.write_all(line.as_bytes()).expect("a log takes a line");
}

fn wait_for(lines: &mut impl BufRead, text: &str) {
    let mut line = String::new();
    while line.trim_end() != text {
        line.clear();
        let length = lines.read_line(&mut line).expect("the FIFO can be read");
        assert!(length > 0, "the host ended");
    }
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
