//! Whether a compressed file is still written.

use std::time::Instant;

/// A file's size, and since when it has that.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Growth {
    size: u64,
    since: Instant,
}

impl Growth {
    pub(crate) fn new(size: u64, now: Instant) -> Self {
        Growth { size, since: now }
    }

    pub(crate) fn size(self) -> u64 {
        self.size
    }

    /// The file has this size now. `true`: it had another one.
    pub(crate) fn see(&mut self, size: u64, now: Instant) -> bool {
        let changed = size != self.size;
        if changed {
            *self = Growth::new(size, now);
        }
        changed
    }

    /// Since when the file has its size.
    pub(crate) fn since(self) -> Instant {
        self.since
    }
}
