//! Chunks of inputs that nobody follows and that vanish without a delivery. Pure.
//!
//! A host that runs out of the room that `storage.total_limit_size` allows throws old chunks away,
//! and releases before 2.2 count that nowhere. But a chunk that was delivered or given up raises a
//! counter of an output in the same moment. So where chunks have gone between two looks and no
//! output has counted anything, they were thrown away. A destination that is down counts nothing,
//! and that is when chunks are thrown away.

use std::collections::HashSet;

use flb_sidecar_sdk::OutputInfo;

use crate::account::Others;

/// What was seen so far.
#[derive(Debug, Default)]
pub(crate) struct Evictions {
    chunks: HashSet<u64>,
    /// Everything that outputs count when a chunk leaves.
    counted: u64,
    /// Some output has ever counted something, failed attempts included: there is a route.
    routed: bool,
    evicted: u64,
    /// Some chunk was ever seen.
    seen: bool,
}

impl Evictions {
    /// Looks at the chunks and counters of one moment.
    pub(crate) fn observe(&mut self, chunks: Vec<u64>, outputs: &[OutputInfo]) {
        let mut counted = 0u64;
        for output in outputs {
            let count = [
                output.delivered_records,
                output.dropped_records,
                output.failures,
            ];
            counted = counted.saturating_add(count.into_iter().flatten().sum());
            self.routed |= output.retries.is_some_and(|retries| retries > 0);
        }
        self.routed |= counted > 0;
        self.seen |= !chunks.is_empty();
        let now: HashSet<u64> = chunks.into_iter().collect();
        let gone = self.chunks.difference(&now).count() as u64;
        if gone > 0 && counted == self.counted && self.routed {
            self.evicted = self.evicted.saturating_add(gone);
        }
        self.chunks = now;
        self.counted = counted;
    }

    /// Whether those inputs have sent anything, as far as chunks were seen.
    pub(crate) fn others(&self) -> Others {
        if self.seen {
            Others::Heard
        } else {
            Others::Silent
        }
    }

    /// How many chunks are known to have been thrown away.
    pub(crate) fn chunks(&self) -> u64 {
        self.evicted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn output(delivered: u64, retries: u64, failures: u64) -> [OutputInfo; 1] {
        [OutputInfo {
            delivered_records: Some(delivered),
            dropped_records: Some(0),
            retries: Some(retries),
            failures: Some(failures),
            ..OutputInfo::default()
        }]
    }

    #[test]
    fn what_no_output_counts_was_thrown_away() {
        let mut evictions = Evictions::default();
        evictions.observe(vec![1, 2, 3], &output(0, 2, 0));
        evictions.observe(vec![3, 4], &output(0, 3, 0));
        assert_eq!(evictions.chunks(), 2);
        evictions.observe(vec![], &output(20, 3, 0));
        evictions.observe(vec![5], &output(20, 3, 0));
        evictions.observe(vec![], &output(20, 3, 1));
        assert_eq!(evictions.chunks(), 2);
    }

    #[test]
    fn what_goes_to_no_output_is_no_loss() {
        let mut evictions = Evictions::default();
        evictions.observe(vec![1], &output(0, 0, 0));
        evictions.observe(vec![], &output(0, 0, 0));
        assert_eq!(evictions.chunks(), 0);
    }

    proptest! {
        /// A simulated host: chunks come, are delivered, given up or thrown away between looks. None
        /// is called thrown away that was not, and in an outage none is overlooked that was seen.
        #[test]
        fn nothing_is_called_lost_that_was_not(
            steps in prop::collection::vec((0u8..4, 0u64..4, any::<bool>()), 1..200),
        ) {
            let mut evictions = Evictions::default();
            let (mut next, mut delivered, mut failures) = (1, 0, 0);
            let mut held: Vec<u64> = Vec::new();
            let mut evicted = 0;
            let mut certain = 0;
            evictions.observe(Vec::new(), &output(0, 1, 0));
            for (what, count, down) in steps {
                let seen = held.clone();
                let mut left_with_a_count = false;
                for _ in 0..count {
                    if what == 0 || held.is_empty() {
                        held.push(next);
                        next += 1;
                    } else {
                        held.remove(0);
                        match what {
                            1 if !down => { delivered += 10; left_with_a_count = true; }
                            2 if !down => { failures += 1; left_with_a_count = true; }
                            _ => evicted += 1,
                        }
                    }
                }
                if !left_with_a_count {
                    certain += seen.iter().filter(|chunk| !held.contains(chunk)).count() as u64;
                }
                evictions.observe(held.clone(), &output(delivered, 1, failures));
                prop_assert!(evictions.chunks() <= evicted);
            }
            prop_assert_eq!(evictions.chunks(), certain);
        }
    }
}
