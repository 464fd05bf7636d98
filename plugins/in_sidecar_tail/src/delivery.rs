//! Which of the appended records have left the host. Runs on the host's thread.

use std::collections::HashMap;

use flb_sidecar_sdk::{InputHost, Pending};

use crate::encode::Reach;
use crate::followed::FileId;

/// How far files reach, in each of their epochs.
pub(crate) type Reaches = HashMap<(FileId, u32), u64>;

/// Follows what was appended until the host has delivered it.
///
/// When the host has no undelivered chunk of this input, all that was appended before is
/// delivered. Under a steady stream there may never be none at the moment of asking. Where the
/// host numbers its chunks, what was appended up to a moment is delivered when all chunks of that
/// moment are gone. Elsewhere the one who appends holds back ([`Tracker::wants_quiet`]) for a
/// short while when it has waited for too long.
#[derive(Debug, Default)]
pub(crate) struct Tracker {
    appended: Reaches,
    /// What was appended before these chunks were asked for.
    earlier: Option<(Vec<u64>, Reaches)>,
    /// Ticks since something was appended that is not confirmed.
    waiting: u32,
    /// Ticks for which appending has been held back.
    held: u32,
}

/// Ticks of a steady stream after which appending is held back.
const PATIENCE: u32 = 20;
/// Longest holding back, in ticks: a destination that is slow or down gets its records anyway.
const HOLD: u32 = 4;

impl Tracker {
    /// The host took records that reach this far.
    pub(crate) fn appended(&mut self, reaches: &[Reach]) {
        for reach in reaches {
            self.appended
                .insert((reach.file, reach.epoch), reach.offset);
        }
    }

    /// At every tick: what has been delivered since the last time.
    pub(crate) fn confirmed(&mut self, host: &dyn InputHost) -> Option<Reaches> {
        if self.appended.is_empty() && self.earlier.is_none() {
            return None;
        }
        self.waiting += 1;
        if let Some(all) = self.all_delivered(host) {
            return Some(all);
        }
        let mut chunks = Vec::new();
        if !host.undelivered(&mut chunks) {
            return None;
        }
        self.waiting = 0;
        let is_gone = |(then, _): &(Vec<u64>, Reaches)| then.iter().all(|c| !chunks.contains(c));
        let confirmed = match self.earlier.take() {
            Some(earlier) if is_gone(&earlier) => Some(earlier.1),
            Some(earlier) => {
                self.earlier = Some(earlier);
                return None;
            }
            None => None,
        };
        self.earlier = Some((chunks, std::mem::take(&mut self.appended)));
        confirmed
    }

    /// Everything, if the host has nothing of this input that is not delivered.
    pub(crate) fn all_delivered(&mut self, host: &dyn InputHost) -> Option<Reaches> {
        let any = !self.appended.is_empty() || self.earlier.is_some();
        if !any || host.pending() != Some(Pending::default()) {
            return None;
        }
        self.waiting = 0;
        self.held = 0;
        let mut all = self.earlier.take().map(|(_, r)| r).unwrap_or_default();
        all.extend(self.appended.drain());
        Some(all)
    }

    /// Whether appending should be held back now, so that the host comes to an end with what it
    /// has. Counts a tick if `tick`. `true` the first time: ask the host to flush.
    pub(crate) fn wants_quiet(&mut self, host: &dyn InputHost, tick: bool) -> bool {
        if self.waiting < PATIENCE || host.pending().is_none() {
            return false;
        }
        if self.held >= HOLD {
            self.waiting = 0;
            self.held = 0;
            return false;
        }
        self.held += u32::from(tick);
        true
    }
}
