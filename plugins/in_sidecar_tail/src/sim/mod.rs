//! The whole core in one thread, on simulated clocks: writers that keep old files open, rotate them
//! by every scheme, write in place and are idle for days; stops, crashes and a host that takes
//! nothing or delivers late, kernels that tell late or lose what they had to tell, full disks, clocks
//! that are set. The filesystem is simulated, too, and others may do something in the middle of anything.
//!
//! `SIDECAR_TAIL_SCHEDULES` sets how many schedules run and `SIDECAR_TAIL_SEED` where they start. A
//! failure prints its seed, and the fewest steps that fail in the same way.

mod costs;
mod crowd;
mod fell;
mod fell_unopened;
mod host;
mod hostile;
mod life;
mod log;
mod schedule;
mod simulation;
pub(crate) mod steps;
mod trace;
mod unopened;
mod world;

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Mutex;
use std::time::Instant;

pub(crate) use schedule::Random;
use schedule::{Setting, Step};
use simulation::{Simulation, SETTLED};

const STEPS: usize = 200;
/// Runs a schedule; what is wrong, if anything is.
fn run(setting: Setting, steps: &[Step]) -> Option<String> {
    let ran = catch_unwind(AssertUnwindSafe(|| {
        let mut simulation = Simulation::new(setting);
        let end = [
            Step::HostWorks,
            Step::DiskFree,
            Step::Allow,
            Step::Descriptors(usize::MAX),
            Step::Start,
            Step::Wait(SETTLED),
            Step::Wait(SETTLED),
        ];
        for step in steps.iter().chain(&end) {
            simulation.step(*step);
            if simulation.world().failure.is_some() {
                break;
            }
        }
        let failure = simulation.world().failure.take();
        failure
    }));
    ran.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or(panic.downcast_ref::<&str>().copied());
        Some(format!("a panic: {}", text.unwrap_or("of some kind")))
    })
}

/// What fails in the same way with fewer steps.
fn shrink(setting: Setting, steps: &[Step]) -> Vec<Step> {
    let mut steps = steps.to_vec();
    let mut size = steps.len() / 2;
    while size > 0 {
        let mut at = 0;
        while at < steps.len() {
            let mut fewer = steps.clone();
            fewer.drain(at..(at + size).min(steps.len()));
            if run(setting, &fewer).is_some() {
                steps = fewer;
            } else {
                at += size;
            }
        }
        size /= 2;
    }
    steps
}

pub(crate) fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// Runs one schedule; a failure of it with the fewest steps.
fn run_seed(seed: u64) -> Option<String> {
    let mut random = Random(seed);
    let setting = schedule::setting(&mut random);
    let mut steps = Vec::new();
    if setting.ignores_old {
        // There is a log that nobody has written to for long.
        let (lines, open) = (3, false);
        steps.extend([Step::Write { lines, open }, Step::Wait(7_200_000)]);
    }
    steps.push(Step::Start);
    steps.extend(schedule::schedule(&mut random, STEPS));
    let traced = number("SIDECAR_TAIL_TRACE", 0);
    if traced > 1 {
        // All of it, for one that does not come to an end.
        tracing::subscriber::with_default(trace::Trace, || run(setting, &steps))?;
    } else {
        run(setting, &steps)?;
    }
    let fewest = shrink(setting, &steps);
    let failure = if traced > 0 {
        tracing::subscriber::with_default(trace::Trace, || run(setting, &fewest))
    } else {
        run(setting, &fewest)
    };
    let failure = failure.unwrap_or_default();
    Some(format!("seed {seed}: {failure}\n{setting:?}\n{fewest:?}"))
}

#[test]
#[allow(clippy::print_stdout, reason = "how many schedules were run is said")]
fn no_schedule_loses_or_repeats_a_line() {
    let first = number("SIDECAR_TAIL_SEED", 1);
    let count = number("SIDECAR_TAIL_SCHEDULES", 100);
    let most = number("SIDECAR_TAIL_FAILURES", 1);
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let next = AtomicU64::new(first);
    let over = AtomicBool::new(false);
    let failed = Mutex::new(Vec::new());
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= first + count || over.load(Ordering::Relaxed) {
                    break;
                }
                if let Some(failure) = run_seed(seed) {
                    println!("{failure}");
                    let mut failed = failed.lock().unwrap();
                    failed.push(failure);
                    over.store(failed.len() as u64 >= most, Ordering::Relaxed);
                }
            });
        }
    });
    let ran = (next.load(Ordering::Relaxed) - first).min(count);
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{ran} schedules of {STEPS} steps, {:.0} a second",
        ran as f64 / seconds
    );
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}
