//! Whether a struct that no marker covers is laid out as known: the first one that is seen decides.

use std::sync::atomic::{AtomicU8, Ordering};

const OPEN: u8 = 0;
const PROVEN: u8 = 1;
const REFUTED: u8 = 2;
/// Open or refuted, and said so.
const SAID: u8 = 3;

/// What is known of the layout of one kind of struct.
#[derive(Debug)]
pub(crate) struct Verdict(AtomicU8);

impl Verdict {
    /// Debug information needs no further proof.
    pub(crate) fn new(is_vouched_for: bool) -> Self {
        Verdict(AtomicU8::new(if is_vouched_for { PROVEN } else { OPEN }))
    }

    /// One was looked at, and was what a real one must be, or not. The first verdict stands.
    pub(crate) fn decide(&self, is_as_known: bool) {
        self.change(OPEN, if is_as_known { PROVEN } else { REFUTED });
    }

    /// An append of so many records of ours made a chunk, which reads as having `read`. A chunk that
    /// filters have emptied decides nothing.
    pub(crate) fn chunk_born(&self, appended: u64, read: u64) {
        if read > 0 {
            self.decide(read <= appended);
        }
    }

    /// Whether what is read of them may be right.
    pub(crate) fn holds(&self) -> bool {
        self.0.load(Ordering::Relaxed) < REFUTED
    }

    /// Whether it is.
    pub(crate) fn is_proven(&self) -> bool {
        self.0.load(Ordering::Relaxed) == PROVEN
    }

    /// Whether nothing has decided yet.
    pub(crate) fn is_open(&self) -> bool {
        self.0.load(Ordering::Relaxed) == OPEN
    }

    /// Whether it is refuted, which was not said yet.
    pub(crate) fn take_refusal(&self) -> bool {
        self.change(REFUTED, SAID)
    }

    /// There have been some, and it is too late for a proof. Whether that was not said yet.
    pub(crate) fn give_up(&self) -> bool {
        self.change(OPEN, SAID)
    }

    fn change(&self, from: u8, to: u8) -> bool {
        let (done, seen) = (Ordering::Relaxed, Ordering::Relaxed);
        self.0.compare_exchange(from, to, done, seen).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_chunk_that_shows_something_decides() {
        for (appended, read, holds) in [(5, 5, true), (5, 3, true), (5, 6, false)] {
            let chunks = Verdict::new(false);
            chunks.chunk_born(2, 0);
            assert!(chunks.holds() && !chunks.is_proven() && chunks.is_open());
            chunks.chunk_born(appended, read);
            assert_eq!(chunks.holds(), holds, "{read} of {appended}");
            assert_eq!(chunks.is_proven(), holds, "{read} of {appended}");
            assert_eq!(chunks.take_refusal(), !holds);
            assert!(!chunks.take_refusal() && !chunks.give_up());
            chunks.decide(true);
            chunks.decide(false);
            assert_eq!(chunks.holds(), holds);
        }
        let vouched_for = Verdict::new(true);
        vouched_for.decide(false);
        assert!(vouched_for.is_proven() && !vouched_for.give_up());
    }

    #[test]
    fn chunks_that_all_read_as_empty_prove_nothing() {
        let chunks = Verdict::new(false);
        chunks.chunk_born(5, 0);
        assert!(chunks.give_up() && !chunks.give_up());
        assert!(!chunks.holds());
    }
}
