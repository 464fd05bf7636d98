//! Chunks that an earlier run has left in files, and that vanish before the host has loaded them. Pure.
//!
//! No release counts those that it throws away for lack of room (`storage.total_limit_size`), and nobody
//! reads their lines again. But one that was loaded became a chunk of the input that loads them, and its
//! records were counted there. So one that is gone without either was thrown away.

use std::collections::HashSet;

use flb_sidecar_sdk::{Backlog, ChunkInfo};

/// What was seen so far.
#[derive(Debug, Default)]
pub(crate) struct Unloaded {
    last: Option<Backlog>,
    loaded: HashSet<u64>,
    evicted: u64,
}

impl Unloaded {
    /// Looks at what there is at one moment: what waits to be loaded, and all chunks.
    pub(crate) fn observe(&mut self, now: Backlog, chunks: &[ChunkInfo]) {
        let loaded = chunks.iter().filter(|chunk| chunk.from_before);
        let news = loaded.clone().filter(|c| !self.loaded.contains(&c.key));
        let (mut news_chunks, mut news_records) = (0, Some(0));
        for chunk in news {
            news_chunks += 1;
            news_records = news_records.zip(chunk.records).map(|(a, b)| a + b);
        }
        self.loaded = loaded.map(|chunk| chunk.key).collect();
        let Some(last) = self.last.replace(now) else {
            return;
        };
        let gone = last.unloaded.saturating_sub(now.unloaded);
        let gone = gone.saturating_sub(news_chunks);
        let counted = now.loaded_records.zip(last.loaded_records);
        let counted = counted.map(|(now, last)| now.saturating_sub(last));
        // More was loaded than is seen: it was delivered within one look.
        if counted.is_some() && counted == news_records {
            self.evicted = self.evicted.saturating_add(gone);
        }
    }

    /// Nothing waits to be loaded, and nothing will.
    pub(crate) fn is_over(&self) -> bool {
        self.last.is_none_or(|last| last.unloaded == 0)
    }

    /// How many are known to have been thrown away.
    pub(crate) fn evicted(&self) -> u64 {
        self.evicted
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// A simulated host loads what waits, delivers it, perhaps before anybody looks, and throws away.
        /// None is called thrown away that was not; where nothing was loaded unseen, none is overlooked.
        #[test]
        fn what_was_thrown_away_is_told_from_what_was_loaded(
            waiting in prop::collection::vec(1u64..9, 0..30),
            steps in prop::collection::vec((0u8..3, any::<bool>()), 1..100),
        ) {
            let mut unloaded = Unloaded::default();
            let (mut waiting, mut loaded) = (waiting, Vec::<ChunkInfo>::new());
            let (mut records, mut evicted, mut certain) = (0, 0, 0);
            let (mut since, mut unseen) = (0, false);
            let backlog = |waiting: &[u64], records| Backlog {
                unloaded: waiting.len() as u64,
                loaded_records: Some(records),
            };
            unloaded.observe(backlog(&waiting, records), &[]);
            let mut seen = HashSet::new();
            for (key, (what, look)) in (0..).zip(steps) {
                match what {
                    0 if !waiting.is_empty() => {
                        let chunk = ChunkInfo {
                            key,
                            records: Some(waiting.remove(0)),
                            from_before: true,
                            ..ChunkInfo::default()
                        };
                        records += chunk.records.unwrap();
                        loaded.push(chunk);
                    }
                    1 if !loaded.is_empty() => {
                        unseen |= !seen.contains(&loaded.remove(0).key);
                    }
                    2 if !waiting.is_empty() => {
                        waiting.remove(0);
                        evicted += 1;
                        since += 1;
                    }
                    _ => {}
                }
                if look {
                    unloaded.observe(backlog(&waiting, records), &loaded);
                    seen = loaded.iter().map(|chunk| chunk.key).collect();
                    certain += if unseen { 0 } else { since };
                    (since, unseen) = (0, false);
                    prop_assert!(unloaded.evicted() <= evicted);
                    prop_assert_eq!(unloaded.evicted(), certain);
                }
            }
        }
    }
}
