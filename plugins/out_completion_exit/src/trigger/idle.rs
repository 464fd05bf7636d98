//! Idle: nothing came for a while.

use std::time::Duration;

use flb_sidecar_sdk::{FlushCounts, InputInfo};

use crate::drain::source;

/// What grows when something comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seen {
    records: u64,
    bytes: u64,
    flushed: u64,
}

/// Measures how long nothing came, since the start or since the last record.
#[derive(Debug, Default)]
pub(crate) struct Idle {
    seen: Seen,
    since: Duration,
}

impl Idle {
    /// Looks at the counters at `now`; answers how long nothing came.
    pub(crate) fn observe(
        &mut self,
        now: Duration,
        inputs: &[InputInfo],
        flushed: FlushCounts,
    ) -> Duration {
        let mut seen = Seen::default();
        let mut busy = false;
        let mut endless = false;
        for input in inputs {
            if source::is_endless(input) {
                endless = true;
                continue;
            }
            if let Some(drain) = &input.drain {
                seen.records = seen.records.saturating_add(drain.records);
                seen.bytes = seen.bytes.saturating_add(drain.read_bytes);
                busy |= drain.unread_bytes > 0;
            }
            busy |= input.pending.is_some_and(|p| p.chunks > 0 || p.tasks > 0);
        }
        // What was flushed here may be the work of an endless input alone.
        if !endless {
            seen.flushed = flushed.records;
        }
        if busy || seen != self.seen {
            self.seen = seen;
            self.since = now;
        }
        now.saturating_sub(self.since)
    }

    /// When the last sign of life was seen.
    pub(crate) fn since(&self) -> Duration {
        self.since
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flb_sidecar_sdk::drain::DrainStatus;
    use flb_sidecar_sdk::Pending;

    const SECOND: Duration = Duration::from_secs(1);

    fn input(plugin: &str, chunks: usize, records: Option<u64>) -> InputInfo {
        InputInfo {
            plugin: plugin.to_owned(),
            pending: Some(Pending { chunks, tasks: 0 }),
            drain: records.map(|records| DrainStatus {
                records,
                ..DrainStatus::default()
            }),
            ..InputInfo::default()
        }
    }

    #[test]
    fn silence_counts_from_the_start_and_from_each_sign_of_life() {
        let mut idle = Idle::default();
        let none = FlushCounts::default();
        let tail = |records| [input("sidecar_tail", 0, Some(records))];
        assert_eq!(idle.observe(SECOND * 9, &tail(0), none), SECOND * 9);
        assert_eq!(idle.observe(SECOND * 10, &tail(5), none), Duration::ZERO);
        assert_eq!(idle.observe(SECOND * 13, &tail(5), none), SECOND * 3);
        let chunk = [input("tail", 1, None)];
        assert_eq!(idle.observe(SECOND * 14, &chunk, none), Duration::ZERO);
        let flushed = FlushCounts { records: 1, ..none };
        let quiet = [input("tail", 0, None)];
        idle.observe(SECOND * 15, &quiet, none);
        assert_eq!(idle.observe(SECOND * 16, &quiet, flushed), Duration::ZERO);
    }

    #[test]
    fn an_endless_input_is_no_sign_of_life() {
        let mut idle = Idle::default();
        let flushed = FlushCounts {
            records: 7,
            ..FlushCounts::default()
        };
        let inputs = [input("cpu", 1, None), input("sidecar_tail", 0, Some(0))];
        assert_eq!(idle.observe(SECOND * 5, &inputs, flushed), SECOND * 5);
    }
}
