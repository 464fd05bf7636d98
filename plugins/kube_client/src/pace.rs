//! When to call again.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::time::{Duration, Instant};

/// Longest wait after failures, in intervals, unless told otherwise.
const LONGEST: u32 = 30;

/// When one thing is due.
#[derive(Clone, Debug)]
pub struct Pace {
    interval: Duration,
    longest: u32,
    due: Option<Instant>,
    tries: u32,
}

impl Pace {
    /// Due at once.
    pub fn new(interval: Duration, now: Instant) -> Self {
        Pace {
            interval,
            longest: LONGEST,
            due: Some(now),
            tries: 0,
        }
    }

    /// Never waits longer after failures than `longest` intervals.
    #[must_use]
    pub fn at_most(mut self, longest: u32) -> Self {
        self.longest = longest;
        self
    }

    /// When it is due; `None`: not any more.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// It is known: due after `ttl`, for zero not any more.
    pub fn done(&mut self, now: Instant, ttl: Duration) {
        self.tries = 0;
        self.due = (!ttl.is_zero()).then(|| now + ttl.max(self.interval));
    }

    /// It is not known, or not whole: due after one interval, then two, four and so on, and up to
    /// a quarter more, so that many pods do not call at the same time.
    pub fn again(&mut self, now: Instant) {
        let wait = self.interval * (1 << self.tries.min(10)).min(self.longest);
        self.tries = self.tries.saturating_add(1);
        self.due = Some(now + wait + jitter(wait / 4));
    }

    /// Not before this time.
    pub fn not_before(&mut self, time: Instant) {
        self.due = self.due.map(|due| due.max(time));
    }
}

/// A random time up to `most`.
pub fn jitter(most: Duration) -> Duration {
    // The keys of a hasher's state are random: no other source is needed for this.
    let random = RandomState::new().build_hasher().finish() >> 32;
    most.mul_f64(random as f64 / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn waits_double_up_to_a_limit_and_never_undercut_the_interval() {
        let now = Instant::now();
        let mut pace = Pace::new(SECOND * 10, now);
        for expected in [10, 20, 40, 80, 160, 300, 300, 300] {
            pace.again(now);
            let wait = pace.due().unwrap() - now;
            assert!(wait >= SECOND * expected, "{wait:?}");
            assert!(wait <= SECOND * expected * 5 / 4, "{wait:?}");
        }
        pace.done(now, SECOND);
        assert_eq!(pace.due(), Some(now + SECOND * 10));
        pace.again(now);
        assert!(pace.due().unwrap() - now <= SECOND * 13);
        pace.not_before(now + SECOND * 100);
        assert_eq!(pace.due(), Some(now + SECOND * 100));
        pace.done(now, Duration::ZERO);
        assert_eq!(pace.due(), None);
    }

    #[test]
    fn jitter_varies_within_its_limit() {
        let all: Vec<_> = (0..50).map(|_| jitter(SECOND)).collect();
        assert!(all.iter().all(|j| *j <= SECOND));
        assert!(all.iter().any(|j| *j != all[0]));
        assert_eq!(jitter(Duration::ZERO), Duration::ZERO);
    }
}
