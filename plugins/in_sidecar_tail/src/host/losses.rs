//! Where in the files that begins which was in a lost chunk. Runs on the host's thread.

use std::collections::VecDeque;

use flb_sidecar_sdk::InputHost;

use crate::host::acks::Reaches;
use crate::map::HashMap;
use crate::read::encode::Reach;
use crate::track::file::FileId;

/// Files whose end is kept in mind beside those that chunks have something of.
const FILES: usize = 1024;

/// Follows which chunk may have what of the files.
///
/// What is appended goes into a chunk that is open or into a new one. So a chunk has nothing that was
/// appended before it was made, and where it is lost, everything since then may be.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    /// What was appended since the oldest chunk was made: where the first of it begins, for each file
    /// and number of chunks that had been made.
    begun: VecDeque<Begun>,
    files: HashMap<(FileId, u32), Known>,
}

#[derive(Clone, Copy, Debug)]
struct Begun {
    born: u64,
    file: (FileId, u32),
    from: u64,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    /// How far what was appended of it reaches.
    end: u64,
    /// Chunks that had been made when it was last entered.
    entered: Option<u64>,
}

impl Losses {
    /// The host took records that reach this far, when it had made `born` chunks.
    pub(crate) fn appended(&mut self, reaches: &[Reach], born: u64) {
        for reach in reaches {
            let file = (reach.file, reach.epoch);
            let known = self.files.get(&file).copied();
            let from = match known {
                // Joined lines that waited were read with an earlier batch.
                None if reach.bytes == 0 => 0,
                None => reach.offset.saturating_sub(reach.bytes),
                Some(known) => known.end.min(reach.offset.saturating_sub(reach.bytes)),
            };
            if known.and_then(|known| known.entered) != Some(born) {
                self.begun.push_back(Begun { born, file, from });
            }
            let entered = Some(born);
            let end = reach.offset;
            self.files.insert(file, Known { end, entered });
        }
    }

    /// Lines of which nothing went to the host.
    pub(crate) fn skipped(&mut self, reaches: &[Reach]) {
        for reach in reaches {
            if let Some(known) = self.files.get_mut(&(reach.file, reach.epoch)) {
                known.end = reach.offset;
            }
        }
    }

    /// Where that begins which has been lost since the last call.
    pub(crate) fn news(&mut self, host: &mut dyn InputHost) -> Option<Reaches> {
        let lost = host.take_lost().map(|chunk| self.since(chunk));
        if let Some(chunks) = host.chunks() {
            self.forget_before(chunks.oldest.unwrap_or(chunks.born));
        }
        lost
    }

    fn since(&self, chunk: u64) -> Reaches {
        let mut lost = Reaches::default();
        for begun in self.begun.iter().filter(|begun| begun.born >= chunk) {
            let from = lost.entry(begun.file).or_insert(begun.from);
            *from = begun.from.min(*from);
        }
        lost
    }

    fn forget_before(&mut self, chunk: u64) {
        while self.begun.front().is_some_and(|begun| begun.born < chunk) {
            self.begun.pop_front();
        }
        if self.files.len() > FILES + 2 * self.begun.len() {
            self.files
                .retain(|_, known| known.entered.is_some_and(|born| born >= chunk));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Batches of some files go into chunks, and chunks are delivered or lost.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        /// Bytes of a file, in a new chunk or one that is open.
        Append(u64, u64, bool),
        Delivered(usize),
        Lost(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (0u64..3, 1u64..100, any::<bool>()).prop_map(|(f, n, new)| Step::Append(f, n, new)),
            1 => (0usize..4).prop_map(Step::Delivered),
            1 => (0usize..4).prop_map(Step::Lost),
        ]
    }

    proptest! {
        /// Nothing that was in a lost chunk is behind the position that is said, and nothing goes back
        /// further than to what was appended since that chunk was made.
        #[test]
        fn what_was_in_a_lost_chunk_is_found(steps in prop::collection::vec(step(), 1..100)) {
            let mut losses = Losses::default();
            let mut ends = [0u64; 3];
            let mut born = 0u64;
            // Number, and what it has: file and where that begins.
            let mut chunks: Vec<(u64, Vec<(u64, u64)>)> = Vec::new();
            // What was ever appended: chunks made before it, file, where it begins.
            let mut all: Vec<(u64, u64, u64)> = Vec::new();
            for step in steps {
                match step {
                    Step::Append(file, bytes, new) => {
                        let before = born;
                        let from = ends[file as usize];
                        ends[file as usize] += bytes;
                        let reach = Reach { file: FileId(file), epoch: 0, offset: from + bytes, bytes };
                        if new || chunks.is_empty() {
                            chunks.push((born, Vec::new()));
                            born += 1;
                        }
                        // Any open one, by its tag.
                        let at = chunks.len() - 1;
                        chunks[at].1.push((file, from));
                        all.push((before, file, from));
                        losses.appended(&[reach], before);
                    }
                    Step::Delivered(at) => {
                        if at < chunks.len() {
                            chunks.remove(at);
                        }
                    }
                    Step::Lost(at) => {
                        if at < chunks.len() {
                            let (number, has) = chunks.remove(at);
                            let said = losses.since(number);
                            for (file, from) in has {
                                prop_assert!(said[&(FileId(file), 0)] <= from);
                            }
                            for ((file, _), from) in said {
                                let first = all.iter().filter(|a| a.0 >= number && a.1 == file.0);
                                prop_assert_eq!(Some(from), first.map(|a| a.2).min());
                            }
                        }
                    }
                }
                losses.forget_before(chunks.first().map_or(born, |chunk| chunk.0));
            }
        }
    }

    #[test]
    fn joined_lines_that_waited_are_in_the_chunk_of_the_later_batch() {
        let mut losses = Losses::default();
        let reach = |offset, bytes| Reach {
            file: FileId(1),
            epoch: 0,
            offset,
            bytes,
        };
        losses.appended(&[reach(90, 100)], 0);
        losses.appended(&[reach(200, 100)], 1);
        losses.skipped(&[reach(250, 50)]);
        losses.appended(&[reach(260, 0)], 2);
        assert_eq!(losses.since(1)[&(FileId(1), 0)], 90);
        assert_eq!(losses.since(2)[&(FileId(1), 0)], 250);
        assert!(losses.since(3).is_empty());
    }
}
