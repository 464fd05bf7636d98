//! The work that text may cost: bytes looked at, and CPU time.
//!
//! Everything that reads text says how much of it ([`Budget::look`]), and counts what is dear as more, so
//! that one look is about a nanosecond. The sum is the same on every machine, so tests can say how much
//! any text may cost. Two limits end the work. Each record brings some looks, and so many for each of its
//! bytes, and leaves what it does not need to those behind it, in later batches as well (a token bucket, as
//! RFC 2697 has it): one dear record among others is looked at to its end, and of an unbroken stream of such each
//! ends by itself. `time_budget` ends the work for the batch; it is looked at every so many bytes and so holds within one string as well. It counts the CPU time of the thread: on
//! a busy node a wait for the processor is no reason to mask records.

use std::cell::Cell;
use std::time::Duration;

use cpu_time::ThreadTime;

/// Bytes looked at between two looks at the clock.
const STEP: u64 = 1 << 16;
/// How many looks a record brings for each of its bytes. Ordinary logs need less than 3, those with a match
/// in each line about 4. A look takes up to one and a half nanoseconds where all are of the dearest kind, so
/// that no text takes ten times as long as ordinary logs do.
const TIMES: u64 = 20;
/// How many it brings whatever its length: what a short line of nothing but a secret that is written in
/// another way needs, JSON in JSON in JSON, even if there is no other line.
const RECORD: u64 = 6656;
/// How many more for each rule of the user that is tried on every text: on its views and on what became of
/// it, too.
const TIMES_RULE: u64 = 8;
/// How many are kept of what records did not need. The first one finds as many.
const KEPT: u64 = 1 << 19;

/// What has come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spent {
    Nothing,
    /// The looks for a record.
    Looks,
    /// The time for a batch.
    Time,
}

/// What is left of the work, and what was done.
#[derive(Debug)]
pub(crate) struct Budget {
    /// How many looks a record brings for each of its bytes.
    times: u64,
    /// Bytes looked at since the start of the batch.
    looked: Cell<u64>,
    /// At so many there is a look at the limits.
    next: Cell<u64>,
    /// So many there may be.
    most: Cell<u64>,
    until: Cell<Option<Duration>>,
    spent: Cell<Spent>,
}

fn cpu_time() -> Duration {
    ThreadTime::now().as_duration()
}

impl Budget {
    /// With so many rules of the user that are tried on every text.
    pub(crate) fn new(rules: usize) -> Self {
        Budget {
            times: TIMES + TIMES_RULE * rules as u64,
            looked: Cell::new(0),
            next: Cell::new(0),
            most: Cell::new(KEPT),
            until: Cell::new(None),
            spent: Cell::new(Spent::Nothing),
        }
    }

    /// Starts a batch that may take `time`.
    pub(crate) fn start(&self, time: Option<Duration>) {
        self.most.set(self.kept());
        self.looked.set(0);
        self.until
            .set(time.and_then(|time| cpu_time().checked_add(time)));
        self.spent.set(Spent::Nothing);
        self.next.set(STEP);
    }

    /// What the records in front did not need. What one of them took beyond is not missing.
    fn kept(&self) -> u64 {
        self.most.get().saturating_sub(self.looked.get()).min(KEPT)
    }

    /// A record of `len` bytes is next. What those in front did not need is left for it.
    pub(crate) fn start_record(&self, len: usize) {
        let brings = RECORD + (len as u64).saturating_mul(self.times);
        let looked = self.looked.get();
        let most = (looked + self.kept()).saturating_add(brings);
        self.most.set(most);
        if self.spent.get() == Spent::Looks {
            self.spent.set(Spent::Nothing);
            self.next.set(looked + STEP);
        }
        // There may be fewer than before.
        self.next.set(self.next.get().min(most.saturating_add(1)));
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
        let late = self.until.get().is_some_and(|until| cpu_time() > until);
        let spent = match (late, looked > self.most.get()) {
            (true, _) => Spent::Time,
            (false, true) => Spent::Looks,
            (false, false) => {
                let step = looked.saturating_add(STEP);
                return self.next.set(step.min(self.most.get() + 1));
            }
        };
        self.spent.set(spent);
        // There is nothing more to look at before the next record.
        self.next.set(u64::MAX);
    }

    /// Whether the work is to end here.
    #[inline]
    pub(crate) fn is_spent(&self) -> bool {
        self.spent.get() != Spent::Nothing
    }

    /// Bytes looked at since the start of the batch.
    pub(crate) fn looked(&self) -> u64 {
        self.looked.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks one by one; how many there were when it was spent.
    fn spend(budget: &Budget, most: u64) -> Option<u64> {
        let first = budget.looked();
        for _ in 0..most {
            budget.look(1);
            if budget.is_spent() {
                return Some(budget.looked() - first);
            }
        }
        None
    }

    #[test]
    fn a_record_has_its_looks_and_what_others_left() {
        let budget = Budget::new(0);
        budget.start(None);
        budget.start_record(1000);
        assert_eq!(
            spend(&budget, 1 << 20),
            Some(KEPT + RECORD + 1000 * TIMES + 1)
        );
        // What it took is nothing to the next one.
        budget.start_record(1000);
        assert!(!budget.is_spent());
        assert_eq!(spend(&budget, RECORD + 999 * TIMES), None);
        budget.start_record(1000);
        assert_eq!(spend(&budget, 1 << 20), Some(RECORD + 1001 * TIMES + 1));
    }

    #[test]
    fn what_records_did_not_need_is_kept_for_later_batches_up_to_a_limit() {
        const ONE: u64 = RECORD + 10 * TIMES;
        let budget = Budget::new(0);
        budget.start(None);
        budget.start_record(10);
        spend(&budget, u64::MAX).unwrap();
        // Each of a stream of dear ones has what it brings, in whatever batch.
        for _ in 0..3 {
            budget.start(None);
            for _ in 0..3 {
                budget.start_record(10);
                assert_eq!(spend(&budget, u64::MAX), Some(ONE + 1));
            }
        }
        // Two that need little make one of three times the looks good.
        budget.start_record(10);
        budget.start(None);
        budget.start_record(10);
        budget.look(10);
        budget.start_record(10);
        assert_eq!(spend(&budget, u64::MAX), Some(3 * ONE - 10 + 1));
        // No more are kept than a few such need.
        budget.start_record(1 << 20);
        budget.start(None);
        budget.start_record(1 << 20);
        budget.start_record(10);
        assert_eq!(spend(&budget, u64::MAX), Some(KEPT + ONE + 1));
    }

    #[test]
    fn a_short_record_is_not_overdrawn_by_the_steps_of_the_clock() {
        let budget = Budget::new(0);
        budget.start(Some(Duration::from_secs(3600)));
        budget.start_record(1 << 20);
        budget.look(10);
        for _ in 0..3 {
            budget.start_record(10);
            spend(&budget, u64::MAX).unwrap();
        }
        budget.start_record(10);
        assert_eq!(spend(&budget, STEP), Some(RECORD + 10 * TIMES + 1));
    }

    #[test]
    fn rules_of_the_user_are_no_attack() {
        let budget = Budget::new(100);
        budget.start(None);
        budget.start_record(1000);
        assert_eq!(spend(&budget, 4 * 100 * 1000), None);
    }

    #[test]
    fn time_ends_the_batch() {
        let budget = Budget::new(0);
        budget.start(Some(Duration::ZERO));
        assert!(!budget.is_spent() && budget.looked() == 0);
        budget.look(STEP as usize);
        assert!(budget.is_spent());
        budget.start_record(1 << 20);
        assert!(budget.is_spent());
        budget.start(Some(Duration::from_secs(3600)));
        budget.start_record(STEP as usize);
        budget.look(STEP as usize);
        assert!(!budget.is_spent());
    }
}
