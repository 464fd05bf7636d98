//! Whether chunks are laid out as known, where nothing but markers says so.

use std::sync::atomic::{AtomicU8, Ordering};

const OPEN: u8 = 0;
const PROVEN: u8 = 1;
const REFUTED: u8 = 2;
/// Open or refuted, and said so.
const SAID: u8 = 3;

/// The proof by the first chunk that an append of ours makes.
#[derive(Debug)]
pub(crate) struct ChunkProof(AtomicU8);

impl ChunkProof {
    /// Debug information needs no further proof.
    pub(crate) fn new(is_vouched_for: bool) -> Self {
        ChunkProof(AtomicU8::new(if is_vouched_for { PROVEN } else { OPEN }))
    }

    /// An append of so many records of ours made a chunk, which reads as having `read`. The first verdict
    /// stands; a chunk that filters have emptied gives none.
    pub(crate) fn born(&self, appended: u64, read: u64) {
        match read {
            0 => {}
            _ if read <= appended => _ = self.change(OPEN, PROVEN),
            _ => _ = self.change(OPEN, REFUTED),
        }
    }

    /// Whether what is read of chunks may be right.
    pub(crate) fn holds(&self) -> bool {
        self.0.load(Ordering::Relaxed) < REFUTED
    }

    /// Whether it is.
    pub(crate) fn is_proven(&self) -> bool {
        self.0.load(Ordering::Relaxed) == PROVEN
    }

    /// Whether it is refuted, which was not said yet.
    pub(crate) fn take_refusal(&self) -> bool {
        self.change(REFUTED, SAID)
    }

    /// There have been chunks, and it is too late for a proof. Whether that was not said yet.
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
            let proof = ChunkProof::new(false);
            proof.born(2, 0);
            assert!(proof.holds() && !proof.is_proven());
            proof.born(appended, read);
            assert_eq!(proof.holds(), holds, "{read} of {appended}");
            assert_eq!(proof.is_proven(), holds, "{read} of {appended}");
            assert_eq!(proof.take_refusal(), !holds);
            assert!(!proof.take_refusal() && !proof.give_up());
            proof.born(5, 5);
            proof.born(5, 6);
            assert_eq!(proof.holds(), holds);
        }
        let vouched_for = ChunkProof::new(true);
        vouched_for.born(5, 6);
        assert!(vouched_for.is_proven() && !vouched_for.give_up());
    }

    #[test]
    fn chunks_that_all_read_as_empty_prove_nothing() {
        let proof = ChunkProof::new(false);
        proof.born(5, 0);
        assert!(proof.give_up() && !proof.give_up());
        assert!(!proof.holds());
    }
}
