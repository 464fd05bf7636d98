//! CPU time between filters: what the host spends from where one stopwatch is left to where the
//! next one is entered.

use std::fs::File;
use std::hint::black_box;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::time::{clock_gettime, ClockId};

/// When the last stopwatch was left. All filters of an input run on one thread.
static LEFT: AtomicU64 = AtomicU64::new(0);

/// One of the stopwatches in a row of filters.
#[derive(Debug)]
pub(crate) struct Stopwatch {
    file: Option<File>,
    between: u64,
    copying: u64,
}

impl Stopwatch {
    /// The sums are written to this file at each call.
    pub(crate) fn new(path: &str) -> Self {
        let file = File::create(path);
        if let Err(error) = &file {
            tracing::error!("{path}: {error}");
        }
        Stopwatch {
            file: file.ok(),
            between: 0,
            copying: 0,
        }
    }

    /// To be called first.
    pub(crate) fn enter(&mut self) {
        self.between += thread_time().saturating_sub(LEFT.load(Ordering::Relaxed));
    }

    /// To be called last. With the data that is handed on as a copy, what that copy will cost is
    /// found out by making one.
    pub(crate) fn leave(&mut self, copied: Option<&[u8]>) {
        if let Some(data) = copied {
            let before = thread_time();
            drop(black_box(data.to_vec()));
            self.copying += thread_time() - before;
        }
        if let Some(file) = &self.file {
            let text = format!("{:020} {:020}\n", self.between, self.copying);
            if let Err(error) = file.write_all_at(text.as_bytes(), 0) {
                tracing::error!("a stopwatch's file: {error}");
            }
        }
        LEFT.store(thread_time(), Ordering::Relaxed);
    }
}

/// CPU time of this thread in nanoseconds.
fn thread_time() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
