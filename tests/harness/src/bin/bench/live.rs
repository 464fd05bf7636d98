//! A host beside a writer that writes line by line, as most applications do: what a line costs then is
//! mostly what waking up for it costs.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::measure::Cpu;
use crate::setups::Setup;

/// Lines a second, each written by itself.
const RATE: u32 = 1_000;
const LINES: u32 = 3 * RATE;
/// The host is up by then, and what was written last is delivered: nothing tells so on every host.
const QUIET: Duration = Duration::from_millis(1_500);

/// CPU milliseconds per second of a host that reads what is written to `log` meanwhile.
pub fn cpu(setup: &Setup, log: &Path) -> Option<f64> {
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(log)
        .ok()?;
    let line = format!("{:149}\n", "request finished");
    let host = setup.pipeline.start();
    std::thread::sleep(QUIET);
    let mut cpu = Cpu::default();
    let before = cpu.now(host.id());
    let began = Instant::now();
    for n in 0..LINES {
        let due = began + Duration::from_secs(1) * n / RATE;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        file.write_all(line.as_bytes()).ok()?;
    }
    let took = began.elapsed();
    std::thread::sleep(QUIET);
    Some(1e3 * (cpu.now(host.id()) - before) / took.as_secs_f64())
}
