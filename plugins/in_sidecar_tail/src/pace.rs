//! How often something is done that costs a processor's time: so often that it takes a small part.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::time::Time;

/// At most this part of the time is spent on it by either thread.
pub(crate) const SHARE: u32 = 200;

/// When something is done the next time that one thread begins and another one carries out.
#[derive(Debug)]
pub(crate) struct Pace {
    /// From one to the next at least.
    interval: Duration,
    began: Instant,
    next: Instant,
    costs: Costs,
    time: Time,
}

/// Nanoseconds of a processor that the newest one took the thread that carries it out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Costs(Arc<AtomicU64>);

impl Costs {
    pub(crate) fn cost(&self, spent: Duration) {
        let nanos = u64::try_from(spent.as_nanos()).unwrap_or(u64::MAX);
        self.0.store(nanos, Ordering::Release);
    }
}

impl Pace {
    pub(crate) fn new(interval: Duration, time: &Time) -> Self {
        let now = time.now();
        Pace {
            interval,
            began: now,
            next: now,
            costs: Costs::default(),
            time: time.clone(),
        }
    }

    pub(crate) fn costs(&self) -> Costs {
        self.costs.clone()
    }

    pub(crate) fn next(&self) -> Instant {
        let cost = Duration::from_nanos(self.costs.0.load(Ordering::Acquire));
        self.next.max(self.began + self.time.cost(cost) * SHARE)
    }

    /// Not before `next`, whatever it costs.
    pub(crate) fn put_off(&mut self, next: Instant) {
        self.next = next;
    }

    /// One that was begun at `began` is handed over now.
    pub(crate) fn handed_over(&mut self, began: Instant) {
        self.began = began;
        self.next = began + self.interval.max(self.time.since(began) * SHARE);
    }
}

/// Tells what the thread that started it has had of a processor since.
#[derive(Debug)]
pub(crate) struct Stopwatch {
    began: Instant,
    before: Option<Duration>,
    time: Time,
}

impl Stopwatch {
    pub(crate) fn start(time: &Time) -> Self {
        Stopwatch {
            began: Instant::now(),
            before: had(time),
            time: time.clone(),
        }
    }

    /// Where the system does not tell, all time that has passed.
    pub(crate) fn spent(&self) -> Duration {
        let spent = had(&self.time)
            .zip(self.before)
            .map(|(now, then)| now.saturating_sub(then));
        spent.unwrap_or_else(|| self.began.elapsed())
    }
}

/// What this thread has had of a processor: the first field of its schedstat(5), in nanoseconds.
fn had(time: &Time) -> Option<Duration> {
    if time.is_simulated() {
        return None;
    }
    let text = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanos = text.split(' ').next()?.parse().ok()?;
    Some(Duration::from_nanos(nanos))
}
