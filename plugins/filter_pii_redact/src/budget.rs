//! The work that a batch may cost: bytes looked at, and CPU time.
//!
//! Everything that reads text says how much of it ([`Budget::look`]), and counts what is dear as more, so
//! that one look is about a nanosecond. The sum is the same on every machine, so tests can say how much
//! any text may cost. Two limits end the work: so many times the length of the batch, which only text that
//! is made for it reaches, and `time_budget`, which is looked at
//! every so many bytes and so holds within one string as well. It counts the CPU time of the
//! thread: on a busy node a wait for the processor is no reason to mask records.

use std::cell::Cell;
use std::time::Duration;

use cpu_time::ThreadTime;

/// Bytes looked at between two looks at the clock.
const STEP: u64 = 1 << 16;
/// How many bytes may be looked at for each byte of a batch. Ordinary logs need less than 3, those with a
/// match in each line about 4, and text of nothing but matches up to 16.
const TIMES: u64 = 48;
/// What a short batch may cost in any case.
const FREE: u64 = 1 << 20;

/// What is left of the work for a batch, and what was done.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    /// Bytes looked at since the start.
    looked: Cell<u64>,
    /// At so many there is a look at the limits.
    next: Cell<u64>,
    most: Cell<u64>,
    until: Cell<Option<Duration>>,
    spent: Cell<bool>,
}

fn cpu_time() -> Duration {
    ThreadTime::now().as_duration()
}

impl Budget {
    /// Starts a batch of `len` bytes that may take `time`.
    pub(crate) fn start(&self, len: usize, time: Option<Duration>) {
        self.looked.set(0);
        self.most
            .set((len as u64).saturating_mul(TIMES).saturating_add(FREE));
        self.next.set(STEP.min(self.most.get()));
        self.until
            .set(time.and_then(|time| cpu_time().checked_add(time)));
        self.spent.set(false);
    }

    /// So many bytes are looked at.
    #[inline]
    pub(crate) fn look(&self, bytes: usize) {
        let looked = self.looked.get() + bytes as u64;
        self.looked.set(looked);
        if looked >= self.next.get() {
            self.check(looked);
        }
    }

    #[cold]
    fn check(&self, looked: u64) {
        self.next.set(looked.saturating_add(STEP));
        let late = self.until.get().is_some_and(|until| cpu_time() > until);
        if late || looked > self.most.get() {
            self.spent.set(true);
            // Nothing gives it back, so there is nothing more to look at.
            self.next.set(u64::MAX);
        }
    }

    /// Whether the work is to end here.
    #[inline]
    pub(crate) fn is_spent(&self) -> bool {
        self.spent.get()
    }

    /// Bytes looked at since the start of the batch.
    pub(crate) fn looked(&self) -> u64 {
        self.looked.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_time_are_limits_each() {
        let budget = Budget::default();
        budget.start(1000, None);
        budget.look((FREE + 1000 * TIMES) as usize);
        assert!(!budget.is_spent());
        budget.look(STEP as usize);
        assert!(budget.is_spent());
        budget.start(1000, Some(Duration::ZERO));
        assert!(!budget.is_spent() && budget.looked() == 0);
        budget.look(STEP as usize);
        assert!(budget.is_spent());
        budget.start(1000, Some(Duration::from_secs(3600)));
        budget.look(STEP as usize);
        assert!(!budget.is_spent());
    }
}
