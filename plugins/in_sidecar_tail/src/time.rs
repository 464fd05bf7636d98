//! Where the worker has the time from, so that what depends on it can be tested without waiting.

#[cfg(test)]
use std::sync::{
    atomic::{AtomicI64, AtomicU64, Ordering},
    Arc,
};
#[cfg(test)]
use std::time::UNIX_EPOCH;
use std::time::{Duration, Instant, SystemTime};

use flb_sidecar_sdk::event::Timestamp;

/// The system's clocks, or a test's.
#[derive(Clone, Debug, Default)]
pub(crate) struct Time {
    #[cfg(test)]
    simulated: Option<Arc<Simulated>>,
}

/// Clocks that stand still until a test has them go on.
#[cfg(test)]
#[derive(Debug)]
struct Simulated {
    began: Instant,
    /// Seconds since 1970 when it began.
    wall: Duration,
    /// Nanoseconds that have passed.
    passed: AtomicU64,
    /// Seconds by which the time of day was set.
    set: AtomicI64,
}

impl Time {
    #[cfg(test)]
    pub(crate) fn simulated(wall: Duration) -> Self {
        Time {
            simulated: Some(Arc::new(Simulated {
                began: Instant::now(),
                wall,
                passed: AtomicU64::new(0),
                set: AtomicI64::new(0),
            })),
        }
    }

    /// Nothing costs anything.
    pub(crate) fn is_simulated(&self) -> bool {
        #[cfg(test)]
        return self.simulated.is_some();
        #[cfg(not(test))]
        false
    }

    /// Simulated clocks go on.
    #[cfg(test)]
    pub(crate) fn advance(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap();
        let simulated = self.simulated.as_ref().expect("these clocks are simulated");
        simulated.passed.fetch_add(nanos, Ordering::Relaxed);
    }

    #[cfg(test)]
    fn passed(&self) -> Option<(&Simulated, Duration)> {
        let simulated = self.simulated.as_deref()?;
        let passed = simulated.passed.load(Ordering::Relaxed);
        Some((simulated, Duration::from_nanos(passed)))
    }

    /// Nanoseconds that have passed on simulated clocks.
    #[cfg(test)]
    pub(crate) fn nanos(&self) -> u64 {
        self.passed()
            .map_or(0, |(_, passed)| passed.as_nanos() as u64)
    }

    /// Somebody sets the simulated time of day.
    #[cfg(test)]
    pub(crate) fn set_wall(&self, seconds: i64) {
        let simulated = self.simulated.as_ref().expect("these clocks are simulated");
        simulated.set.fetch_add(seconds, Ordering::Relaxed);
    }

    pub(crate) fn now(&self) -> Instant {
        #[cfg(test)]
        if let Some((simulated, passed)) = self.passed() {
            return simulated.began + passed;
        }
        Instant::now()
    }

    /// What has passed since then; none if that is still to come.
    pub(crate) fn since(&self, then: Instant) -> Duration {
        self.now().saturating_duration_since(then)
    }

    /// The time of day, which others may set.
    pub(crate) fn wall(&self) -> SystemTime {
        #[cfg(test)]
        if let Some((simulated, passed)) = self.passed() {
            let set = Duration::from_secs(simulated.set.load(Ordering::Relaxed).unsigned_abs());
            let wall = UNIX_EPOCH + simulated.wall + passed;
            return if simulated.set.load(Ordering::Relaxed) < 0 {
                wall - set
            } else {
                wall + set
            };
        }
        SystemTime::now()
    }

    /// The same as records have it.
    pub(crate) fn timestamp(&self) -> Timestamp {
        self.wall().into()
    }

    /// What something has cost. Simulated, nothing costs anything: what happens must not depend on
    /// the machine.
    pub(crate) fn cost(&self, spent: Duration) -> Duration {
        #[cfg(test)]
        if self.simulated.is_some() {
            return Duration::ZERO;
        }
        spent
    }
}
