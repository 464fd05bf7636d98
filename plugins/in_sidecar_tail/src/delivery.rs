//! Which of the appended records have left the host. Runs on the host's thread.

use std::collections::HashMap;

use flb_sidecar_sdk::{InputHost, Pending};

use crate::encode::Reach;
use crate::followed::FileId;

/// How far files reach, in each of their epochs.
pub(crate) type Reaches = HashMap<(FileId, u32), u64>;

/// Follows what was appended until the host has delivered it.
///
/// The host tells how many chunks of this input are not delivered. When there are none, all that
/// was appended before is delivered. Under a steady stream there may never be none at the moment
/// of asking; so the one who appends holds back ([`Tracker::wants_quiet`]) for a short while when
/// it has waited for too long.
#[derive(Debug, Default)]
pub(crate) struct Tracker {
    appended: Reaches,
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
        if self.appended.is_empty() {
            return None;
        }
        self.waiting += 1;
        if host.pending() != Some(Pending::default()) {
            return None;
        }
        self.waiting = 0;
        self.held = 0;
        Some(std::mem::take(&mut self.appended))
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
