//! What inputs that nobody follows have sent to each output, by the host's own counters. Pure.
//!
//! A host may make a chunk and throw it away again before anybody can look at it, and releases before
//! 2.2 count that nowhere. But they count every record that comes into a chunk and every one that a filter
//! takes out or adds. So where it is known which way the records of an input go, what each output should
//! have had is known, too. The ways are those of the chunks that were seen.

use std::collections::{BTreeMap, HashMap, HashSet};

use flb_sidecar_sdk::{ChunkInfo, Flow, InputAccount};

use crate::evictions::bits;

/// Where the chunks of an input go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ways {
    /// All to these outputs, a bit each.
    Known(u64),
    /// Some to others than the rest.
    Several,
}

/// The ways of all inputs that are not followed, by their keys.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    ways: HashMap<u64, Ways>,
    /// Chunks of the last look.
    chunks: HashSet<u64>,
}

impl Routes {
    /// A chunk tells it when it is new: it may lose ways later.
    pub(crate) fn observe(&mut self, chunks: &[ChunkInfo]) {
        for chunk in chunks {
            if self.chunks.contains(&chunk.key) {
                continue;
            }
            let one_kind = chunk.kind.is_some();
            let ways = self
                .ways
                .entry(chunk.input)
                .or_insert(Ways::Known(chunk.outputs));
            *ways = match *ways {
                // One that has not all of them found no room there.
                Ways::Known(known) if one_kind => Ways::Known(known | chunk.outputs),
                Ways::Known(known) if known == chunk.outputs => Ways::Known(known),
                _ => Ways::Several,
            };
        }
        self.chunks = chunks.iter().map(|chunk| chunk.key).collect();
    }

    /// How many records of those inputs each output, by number, should have had; `None`: not known.
    pub(crate) fn sent(
        &self,
        flow: &Flow,
        followed: &[(String, InputAccount)],
    ) -> Option<BTreeMap<u32, u64>> {
        let mut sent = BTreeMap::new();
        let mut taken = i128::from(flow.taken_out) - i128::from(flow.added);
        taken -= i128::from(flow.followed);
        for (_, input) in followed {
            taken += i128::from(input.kept?);
        }
        let mut inputs = Vec::new();
        for (key, records) in flow.others.iter().filter(|(_, records)| *records > 0) {
            match self.ways.get(key) {
                Some(Ways::Known(ways)) => inputs.push((*ways, *records)),
                Some(Ways::Several) | None => return None,
            }
        }
        if flow.added > 0 || taken != 0 {
            // Which input's they were is not known, and does not matter where all go the same way.
            let (ways, _) = *inputs.first()?;
            if inputs.iter().any(|(other, _)| *other != ways) {
                return None;
            }
            let all: i128 = inputs.iter().map(|(_, records)| i128::from(*records)).sum();
            inputs = vec![(ways, u64::try_from(all - taken).ok()?)];
        }
        for (ways, records) in inputs {
            for output in bits(ways) {
                *sent.entry(output).or_default() += records;
            }
        }
        Some(sent)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chunk(key: u64, input: u64, outputs: u64) -> ChunkInfo {
        ChunkInfo {
            key,
            input,
            outputs,
            ..ChunkInfo::default()
        }
    }

    fn flow(others: &[(u64, u64)], taken_out: u64, added: u64) -> Flow {
        Flow {
            others: others.to_vec(),
            taken_out,
            added,
            ..Flow::default()
        }
    }

    #[test]
    fn every_input_has_its_own_ways() {
        let mut routes = Routes::default();
        routes.observe(&[chunk(1, 7, 0b01), chunk(2, 8, 0b11)]);
        let sent = routes.sent(&flow(&[(7, 5), (8, 20), (9, 0)], 0, 0), &[]);
        assert_eq!(sent, Some(BTreeMap::from([(0, 25), (1, 20)])));
    }

    #[test]
    fn what_was_never_seen_to_go_anywhere_is_not_known() {
        let mut routes = Routes::default();
        routes.observe(&[chunk(1, 7, 0b01)]);
        assert_eq!(routes.sent(&flow(&[(7, 5), (8, 1)], 0, 0), &[]), None);
    }

    #[test]
    fn an_input_with_several_ways_is_not_known_unless_they_are_of_one_kind() {
        let mut routes = Routes::default();
        routes.observe(&[chunk(1, 7, 0b11), chunk(2, 7, 0b01)]);
        assert_eq!(routes.sent(&flow(&[(7, 5)], 0, 0), &[]), None);
        let mut routes = Routes::default();
        let of_kind = |key, outputs| ChunkInfo {
            kind: Some(3),
            ..chunk(key, 7, outputs)
        };
        routes.observe(&[of_kind(1, 0b01), of_kind(2, 0b11)]);
        let sent = routes.sent(&flow(&[(7, 5)], 0, 0), &[]);
        assert_eq!(sent, Some(BTreeMap::from([(0, 5), (1, 5)])));
    }

    #[test]
    fn a_chunk_that_loses_a_way_later_says_nothing() {
        let mut routes = Routes::default();
        routes.observe(&[chunk(1, 7, 0b11)]);
        routes.observe(&[chunk(1, 7, 0b01)]);
        let sent = routes.sent(&flow(&[(7, 5)], 0, 0), &[]);
        assert_eq!(sent, Some(BTreeMap::from([(0, 5), (1, 5)])));
    }

    #[test]
    fn what_filters_take_of_inputs_with_different_ways_is_not_known() {
        let mut routes = Routes::default();
        routes.observe(&[chunk(1, 7, 0b01), chunk(2, 8, 0b10)]);
        assert_eq!(routes.sent(&flow(&[(7, 5), (8, 5)], 1, 0), &[]), None);
        assert_eq!(routes.sent(&flow(&[(7, 5), (8, 5)], 1, 1), &[]), None);
    }

    proptest! {
        /// Inputs with one way, filters that take from all of them and from a followed one.
        #[test]
        fn what_comes_to_an_output_is_what_filters_leave(
            inputs in prop::collection::vec((0u64..50, 0u64..50, 0u64..9), 1..5),
            (read, kept, more) in (0u64..50, 0u64..50, 0u64..9),
        ) {
            let mut routes = Routes::default();
            let keys = 0..inputs.len() as u64;
            let chunks: Vec<ChunkInfo> = keys.map(|key| chunk(key, key, 0b100)).collect();
            routes.observe(&chunks);
            let (mut taken_out, mut added, mut left) = (read.saturating_sub(kept), more, more);
            let followed_kept = read.min(kept);
            let mut others = Vec::new();
            for (key, (records, taken, put_in)) in (0..).zip(&inputs) {
                others.push((key, *records));
                let taken = taken.min(records);
                taken_out += taken;
                added += put_in;
                left += records - taken + put_in;
            }
            prop_assume!(others.iter().any(|(_, records)| *records > 0));
            let flow = Flow { followed: read, ..flow(&others, taken_out, added) };
            let account = InputAccount { kept: Some(followed_kept), ..InputAccount::default() };
            let sent = routes.sent(&flow, &[("sidecar_tail.0".to_owned(), account)]);
            prop_assert_eq!(sent.unwrap()[&2], left);
        }
    }
}
