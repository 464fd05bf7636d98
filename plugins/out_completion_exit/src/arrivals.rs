//! How long nothing has come. Pure.
//!
//! What comes in counts, not what waits to go out: a destination that is down must not keep a Job whose
//! main container has ended. An input that may not read meanwhile still sees its files, so they are as
//! long as they were if nothing came.

use std::time::Duration;

use flb_sidecar_sdk::{FlushCounts, InputInfo, Pending};

use crate::drain::source;

/// What changes when something comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seen {
    records: u64,
    /// Handed to the host: who reads on is not idle.
    read: u64,
    /// In files, read or not.
    known: u64,
    /// Of inputs that neither we nor the host count: chunks come and go with what they take in.
    chunks: usize,
    flushed: u64,
}

/// Measures how long nothing came, since the start or since the last sign of life.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    seen: Seen,
    since: Duration,
}

impl Arrivals {
    /// Looks at the counters at `now`; answers how long nothing came. `received`: what the host counts of
    /// inputs, by their names.
    pub(crate) fn observe(
        &mut self,
        now: Duration,
        inputs: &[InputInfo],
        received: &[(String, u64)],
        flushed: FlushCounts,
    ) -> Duration {
        let mut seen = Seen::default();
        let mut unseen = false;
        let mut endless = false;
        for input in inputs {
            let counted = received.iter().find(|(name, _)| *name == input.name);
            if source::is_endless(input) {
                endless = true;
            } else if let Some(drain) = &input.drain {
                seen.records = seen.records.saturating_add(drain.records);
                seen.read = seen.read.saturating_add(drain.read_bytes);
                let known = drain.read_bytes.saturating_add(drain.unread_bytes);
                seen.known = seen.known.saturating_add(known);
            } else if let Some((_, records)) = counted {
                seen.records = seen.records.saturating_add(*records);
            } else if let Some(Pending { chunks, tasks }) = input.pending {
                seen.chunks = seen.chunks.saturating_add(chunks).saturating_add(tasks);
            } else {
                unseen = true;
            }
        }
        // What was flushed here may be the work of an endless input alone.
        if unseen && !endless {
            seen.flushed = flushed.records;
        }
        if seen != self.seen {
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
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);
    const NONE: FlushCounts = FlushCounts {
        flushes: 0,
        records: 0,
        bytes: 0,
    };

    fn input(plugin: &str, chunks: usize) -> InputInfo {
        InputInfo {
            name: format!("{plugin}.0"),
            plugin: plugin.to_owned(),
            pending: Some(Pending { chunks, tasks: 0 }),
            ..InputInfo::default()
        }
    }

    fn tail(records: u64) -> InputInfo {
        InputInfo {
            drain: Some(DrainStatus {
                records,
                ..DrainStatus::default()
            }),
            ..input("sidecar_tail", 0)
        }
    }

    #[test]
    fn silence_counts_from_the_start_and_from_each_sign_of_life() {
        let mut arrivals = Arrivals::default();
        let mut look = |now: u32, inputs: &[InputInfo], flushed: u64| {
            let flushed = FlushCounts {
                records: flushed,
                ..NONE
            };
            arrivals.observe(SECOND * now, inputs, &[], flushed)
        };
        assert_eq!(look(9, &[tail(0)], 0), SECOND * 9);
        assert_eq!(look(10, &[tail(5)], 0), Duration::ZERO);
        // What a stuck delivery leads to here is no arrival.
        assert_eq!(look(13, &[tail(5)], 7), SECOND * 3);
        assert_eq!(look(14, &[input("tail", 1)], 0), Duration::ZERO);
        assert_eq!(look(15, &[input("tail", 1)], 0), SECOND);
        let unseen = [InputInfo::default()];
        look(16, &unseen, 0);
        assert_eq!(look(17, &unseen, 0), SECOND);
        assert_eq!(look(18, &unseen, 1), Duration::ZERO);
    }

    #[test]
    fn an_endless_input_is_no_sign_of_life() {
        let mut arrivals = Arrivals::default();
        let flushed = FlushCounts { records: 7, ..NONE };
        let inputs = [input("cpu", 1), tail(0), InputInfo::default()];
        let received = [("cpu.0".to_owned(), 7)];
        let silent = arrivals.observe(SECOND * 5, &inputs, &received, flushed);
        assert_eq!(silent, SECOND * 5);
    }

    /// What happens in a second.
    #[derive(Clone, Debug)]
    enum Event {
        /// The main container writes so many bytes.
        Write(u64),
        /// The destination takes a chunk.
        Deliver,
        /// It fails, and is tried again.
        Fail,
        /// Another input takes in a record.
        Receive,
        /// No room is left, or there is room again.
        Pause(bool),
        Nothing,
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            1 => (1..1000u64).prop_map(Event::Write),
            1 => Just(Event::Deliver),
            1 => Just(Event::Fail),
            1 => Just(Event::Receive),
            1 => any::<bool>().prop_map(Event::Pause),
            8 => Just(Event::Nothing),
        ]
    }

    proptest! {
        /// Whatever becomes of deliveries, silence is the time since the last byte came or was read.
        #[test]
        fn silence_is_about_what_comes_and_not_about_what_goes(
            events in prop::collection::vec(event(), 1..100)
        ) {
            let (mut arrivals, mut status) = (Arrivals::default(), DrainStatus::default());
            let (mut waiting, mut failing, mut paused) = (0, 0, false);
            let mut received = vec![("tcp.0".to_owned(), 0)];
            let mut last = Duration::ZERO;
            for (second, event) in (1..).zip(events) {
                let now = SECOND * second;
                match event {
                    Event::Write(bytes) => {
                        status.unread_bytes += bytes;
                        last = now;
                    }
                    Event::Deliver => waiting = usize::saturating_sub(waiting, 1),
                    Event::Fail => failing = (failing + 1) % 3,
                    Event::Receive => {
                        received[0].1 += 1;
                        waiting += 1;
                        last = now;
                    }
                    Event::Pause(on) => paused = on,
                    Event::Nothing => {}
                }
                if !paused && status.unread_bytes > 0 {
                    status.read_bytes += std::mem::take(&mut status.unread_bytes);
                    status.records += 1;
                    waiting += 1;
                    last = now;
                }
                let pending = Some(Pending { chunks: waiting, tasks: failing });
                let inputs = [
                    InputInfo { drain: Some(status), pending, ..input("sidecar_tail", 0) },
                    InputInfo { pending, ..input("tcp", 0) },
                ];
                let flushed = FlushCounts { records: u64::from(second), ..NONE };
                prop_assert_eq!(arrivals.observe(now, &inputs, &received, flushed), now - last);
            }
        }
    }
}
