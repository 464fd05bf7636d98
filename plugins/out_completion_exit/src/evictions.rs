//! Chunks of inputs that nobody follows and that vanish without a delivery. Pure.
//!
//! A host that runs out of the room that `storage.total_limit_size` allows throws old chunks away,
//! and releases before 2.2 count that nowhere. But a chunk that was delivered or given up raises a
//! counter of its output in the same moment. So where more has gone between two looks than the output
//! has counted, the rest was thrown away. A destination that is down counts nothing, and that is when
//! chunks are thrown away.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use flb_sidecar_sdk::{ChunkInfo, OutputInfo};

use crate::account::Others;

/// What a host does with what it throws away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counting {
    /// It counts that as dropped, and not every record that it delivers.
    AsDropped,
    /// It counts that nowhere, and every record that it delivers.
    Nowhere,
}

/// What an output has counted so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    records: u64,
    failures: u64,
}

impl Count {
    fn of(output: &OutputInfo) -> Self {
        let records = [output.delivered_records, output.dropped_records];
        Count {
            records: records.into_iter().flatten().sum(),
            failures: output.failures.unwrap_or(0),
        }
    }

    /// How many records of chunks that are gone since `before` it may have had.
    fn explains(self, before: Count, counting: Counting) -> u64 {
        let records = self.records.saturating_sub(before.records);
        let some = records > 0 && counting == Counting::AsDropped;
        if some || self.failures > before.failures {
            return u64::MAX;
        }
        records
    }
}

/// By the output's number.
type Counts = BTreeMap<u32, Count>;

/// What was seen so far.
#[derive(Debug, Default)]
pub(crate) struct Evictions {
    chunks: HashMap<u64, ChunkInfo>,
    /// By the output's number.
    counts: Counts,
    /// What the outputs had counted when a chunk was last seen that none of them had been given yet.
    untaken: HashMap<u64, Rc<Counts>>,
    /// Some output has ever counted something, failed attempts included: there is a route.
    routed: bool,
    evicted: u64,
    /// Records that outputs, by number, are known to miss.
    lost: BTreeMap<u32, u64>,
    /// Where chunks of each kind were seen to go.
    kinds: HashMap<u64, u64>,
    /// Some chunk was ever seen.
    seen: bool,
}

impl Evictions {
    /// Looks at the chunks and counters of one moment.
    pub(crate) fn observe(
        &mut self,
        chunks: &[ChunkInfo],
        outputs: &[OutputInfo],
        counting: Counting,
    ) {
        let numbers = (0..).zip(outputs).map(|(at, output)| {
            let number = output.number.unwrap_or(at);
            (number, Count::of(output))
        });
        let counts: Counts = numbers.collect();
        let tried = |output: &OutputInfo| output.retries.is_some_and(|retries| retries > 0);
        self.routed |=
            counts.values().any(|count| *count != Count::default()) || outputs.iter().any(tried);
        self.seen |= !chunks.is_empty();
        let now: HashMap<u64, ChunkInfo> = chunks.iter().map(|chunk| (chunk.key, *chunk)).collect();
        let before = std::mem::replace(&mut self.chunks, now);
        let counts_before = std::mem::replace(&mut self.counts, counts);
        if counting == Counting::Nowhere {
            self.refused(&before);
        }
        let mut explained: BTreeMap<u32, u64> = BTreeMap::new();
        for (output, count) in &self.counts {
            let before = counts_before.get(output).copied().unwrap_or_default();
            explained.insert(*output, count.explains(before, counting));
        }
        let mut gone: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
        for chunk in before.into_values() {
            let later = self.chunks.get(&chunk.key).copied();
            match later.filter(|later| is_same(&chunk, later)) {
                Some(later) => self.cut(&later, chunk.outputs & !later.outputs),
                None => self.gone(&chunk, &explained, counting, &mut gone),
            }
        }
        let tells = |(at, output): (u32, &OutputInfo)| {
            let number = output.number.unwrap_or(at);
            output.delivered_records.map(|_| number)
        };
        let telling: Vec<u32> = (0..).zip(outputs).filter_map(tells).collect();
        self.note_untaken(&telling);
        for (output, records) in gone {
            self.unexplained(output, records, explained[&output]);
        }
    }

    /// The chunk is still there and has fewer ways to go: they had no room for it. Where it has a task,
    /// some releases deliver it all the same.
    fn cut(&mut self, chunk: &ChunkInfo, outputs: u64) {
        if outputs == 0 || chunk.has_task {
            return;
        }
        self.evicted = self.evicted.saturating_add(1);
        for output in bits(outputs) {
            *self.lost.entry(output).or_default() += chunk.records.unwrap_or(0);
        }
    }

    /// A new chunk that has not the way to an output that others of its kind have, found no room there.
    fn refused(&mut self, before: &HashMap<u64, ChunkInfo>) {
        for chunk in self.chunks.values() {
            let Some(kind) = chunk.kind else {
                continue;
            };
            let ways = self.kinds.entry(kind).or_default();
            *ways |= chunk.outputs;
            let refused = *ways & !chunk.outputs;
            let last = before.get(&chunk.key).filter(|last| is_same(last, chunk));
            // One that was there and had it before is cut.
            let refused = refused & !last.map_or(0, |last| last.outputs);
            let records = chunk.records.unwrap_or(0);
            let more = records.saturating_sub(last.and_then(|last| last.records).unwrap_or(0));
            for output in bits(refused) {
                *self.lost.entry(output).or_default() += more;
            }
            self.evicted += u64::from(refused != 0 && last.is_none());
        }
    }

    /// For chunks that are there now. What has a task may be with some outputs already.
    fn note_untaken(&mut self, telling: &[u32]) {
        let mut before = std::mem::take(&mut self.untaken);
        let counts = self.counts.iter();
        let counts = counts.filter(|(output, _)| telling.contains(output));
        let counts: Rc<Counts> = Rc::new(counts.map(|(output, count)| (*output, *count)).collect());
        for chunk in self.chunks.values() {
            let known = before.remove(&chunk.key).filter(|_| chunk.has_task);
            let now = (!chunk.has_task).then(|| counts.clone());
            if let Some(counts) = known.or(now) {
                self.untaken.insert(chunk.key, counts);
            }
        }
    }

    /// The outputs that have not counted as many records as this chunk has since it was given to none: each
    /// of them misses it, whatever others count.
    fn missing(&self, chunk: &ChunkInfo, counting: Counting) -> u64 {
        let (Some(records), Some(then)) = (chunk.records, self.untaken.get(&chunk.key)) else {
            return 0;
        };
        if counting != Counting::Nowhere {
            return 0;
        }
        let misses = |output: &u32| {
            let counts = self.counts.get(output).zip(then.get(output));
            counts.is_some_and(|(now, then)| now.explains(*then, counting) < records)
        };
        let missing = bits(chunk.outputs).filter(misses);
        missing.fold(0, |all, output| all | 1 << output)
    }

    fn gone(
        &mut self,
        chunk: &ChunkInfo,
        explained: &BTreeMap<u32, u64>,
        counting: Counting,
        of_one: &mut BTreeMap<u32, Vec<u64>>,
    ) {
        let missing = self.missing(chunk, counting);
        let mut ways = bits(chunk.outputs).filter(|output| explained.contains_key(output));
        let none_counted = match (ways.next(), ways.next()) {
            (Some(only), None) => {
                // Without records there is nothing to lose.
                of_one
                    .entry(only)
                    .or_default()
                    .push(chunk.records.unwrap_or(1));
                return;
            }
            (Some(_), Some(_)) if missing != 0 => {
                for output in bits(missing) {
                    *self.lost.entry(output).or_default() += chunk.records.unwrap_or(0);
                }
                true
            }
            // It goes when the last of its outputs has it, which counts it then.
            (Some(_), Some(_)) => {
                bits(chunk.outputs).all(|output| explained.get(&output) == Some(&0))
            }
            (None, _) => self.routed && explained.values().all(|explained| *explained == 0),
        };
        if none_counted {
            self.evicted = self.evicted.saturating_add(1);
        }
    }

    /// Chunks that only this output wanted are gone. At least so many as are needed to make good what it
    /// has not counted were thrown away.
    fn unexplained(&mut self, output: u32, mut records: Vec<u64>, explained: u64) {
        let all = records.iter().sum::<u64>();
        let mut missing = all.saturating_sub(explained);
        if missing == 0 {
            return;
        }
        *self.lost.entry(output).or_default() += missing;
        records.sort_unstable();
        while missing > 0 {
            missing = missing.saturating_sub(records.pop().unwrap_or(missing));
            self.evicted = self.evicted.saturating_add(1);
        }
    }

    /// Whether those inputs have sent anything, as far as chunks were seen.
    pub(crate) fn others(&self) -> Others {
        if self.seen {
            Others::Heard
        } else {
            Others::Silent
        }
    }

    /// Whether some chunk was there at the last look.
    pub(crate) fn sees_some(&self) -> bool {
        !self.chunks.is_empty()
    }

    /// How many chunks are known to have been thrown away.
    pub(crate) fn chunks(&self) -> u64 {
        self.evicted
    }

    /// How many records the outputs, by number, are known to miss, and have not counted.
    pub(crate) fn lost(&self) -> &BTreeMap<u32, u64> {
        &self.lost
    }
}

/// A chunk only grows, and only loses ways.
fn is_same(before: &ChunkInfo, later: &ChunkInfo) -> bool {
    later.outputs & !before.outputs == 0 && later.records >= before.records
}

/// The numbers of the bits that are set.
pub(crate) fn bits(word: u64) -> impl Iterator<Item = u32> {
    (0..u64::BITS).filter(move |bit| word >> bit & 1 == 1)
}

#[cfg(test)]
#[path = "evictions_tests.rs"]
mod tests;
