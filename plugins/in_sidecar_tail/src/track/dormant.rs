//! Files that were let go and may come back: under another name, written to again, or compressed.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use xxhash_rust::xxh3::xxh3_64;

use crate::fs::{Handle, Metadata};
use crate::map::HashMap;
use crate::track::file::TrackedFile;
use crate::track::fingerprint::{Fingerprint, Identity};
use crate::track::names::originals;

/// Files that are known again, at most.
const MOST_DORMANT: usize = 10_000;

/// Files that were let go, by their identity's number.
#[derive(Debug, Default)]
pub(crate) struct Dormant {
    files: HashMap<u64, (u64, LetGo)>,
    /// Their numbers in the order in which they were let go, the oldest first.
    order: BTreeMap<u64, u64>,
    /// How many were ever let go.
    count: u64,
    /// Texts of a network filesystem that were truncated and are in no copy that it has told of.
    uncopied: Vec<Uncopied>,
}

/// A text that is looked for now and then.
#[derive(Debug)]
struct Uncopied {
    number: u64,
    identity: Identity,
    since: Instant,
    next: Instant,
}

/// A file that was let go, and how far it was read.
#[derive(Clone, Debug)]
pub(crate) struct LetGo {
    pub(crate) name: Arc<Path>,
    pub(crate) fingerprint: Fingerprint,
    /// How long it was: more than what was read, if it was made longer in advance.
    pub(crate) size: u64,
    /// When its text was truncated, if that is what happened to it.
    truncated: Option<Instant>,
}

/// On a network filesystem, for how long a copy may be there and not be told of.
const LATE_COPY: Duration = Duration::from_secs(90);
/// How many such copies are looked for.
const MOST_UNCOPIED: usize = 1000;

impl LetGo {
    fn of(file: &TrackedFile) -> Self {
        LetGo {
            name: file.name.clone(),
            fingerprint: file.fingerprint(),
            size: file.size(),
            truncated: None,
        }
    }
}

impl Dormant {
    /// A file that is let go may come back.
    pub(crate) fn keep(&mut self, file: &TrackedFile) {
        if !file.head.is_empty() && file.offset > 0 {
            self.insert_up_to(file.identity.number(), LetGo::of(file), MOST_DORMANT);
        }
    }

    /// What was read of a file that begins anew, and is in no copy: it may be compressed by now.
    pub(crate) fn keep_text(&mut self, file: &TrackedFile, now: Instant) {
        if !file.head.is_empty() {
            // No file has this number.
            let number = xxh3_64(
                &[file.identity.number(), file.epoch.into()]
                    .map(u64::to_ne_bytes)
                    .concat(),
            );
            let text = LetGo {
                truncated: Some(now),
                ..LetGo::of(file)
            };
            self.insert_up_to(number, text, MOST_DORMANT);
            if file.remote && file.offset > 0 && self.uncopied.len() < MOST_UNCOPIED {
                self.uncopied.push(Uncopied {
                    number,
                    identity: file.identity,
                    since: now,
                    next: now,
                });
            }
        }
    }

    /// The texts whose copies are to be looked for now: ever less often.
    pub(crate) fn looked_for(&mut self, now: Instant) -> Vec<(u64, Identity, LetGo)> {
        let files = &self.files;
        self.uncopied.retain(|text| {
            files.contains_key(&text.number)
                && now.saturating_duration_since(text.since) < LATE_COPY
        });
        let due = self.uncopied.iter_mut().filter(|text| text.next <= now);
        due.filter_map(|text| {
            text.next = now + now.saturating_duration_since(text.since) / 2;
            let (_, kept) = files.get(&text.number)?;
            Some((text.number, text.identity, kept.clone()))
        })
        .collect()
    }

    /// Takes out the text of which a new file is the copy, on a network filesystem that has told of it after
    /// the truncation.
    pub(crate) fn copied(
        &mut self,
        path: &Path,
        handle: &Handle,
        metadata: &Metadata,
        now: Instant,
    ) -> Option<LetGo> {
        let names = originals(path);
        let mut all = self.files.iter();
        let number = all.find_map(|(number, (_, text))| {
            let since = now.saturating_duration_since(text.truncated?);
            let named =
                text.fingerprint.offset > 0 && names.iter().any(|name| **name == *text.name);
            let fits = || text.fingerprint.fits(handle, metadata.len());
            (since < LATE_COPY && named && fits().unwrap_or(false)).then_some(*number)
        })?;
        self.take(number)
    }

    /// Takes out what is kept of a file that has come back.
    pub(crate) fn known_again(
        &mut self,
        identity: &Identity,
        handle: &Handle,
        metadata: &Metadata,
    ) -> Option<LetGo> {
        let number = identity.number();
        let file = self.get(number)?;
        let same = is_same(identity, &file.fingerprint, handle, metadata);
        same.then(|| self.take(number))?
    }

    fn insert_up_to(&mut self, number: u64, file: LetGo, most: usize) {
        self.take(number);
        self.count += 1;
        self.order.insert(self.count, number);
        self.files.insert(number, (self.count, file));
        if self.files.len() > most {
            let oldest = self.order.pop_first();
            oldest.map(|(_, number)| self.files.remove(&number));
        }
    }

    fn get(&self, number: u64) -> Option<&LetGo> {
        self.files.get(&number).map(|(_, file)| file)
    }

    /// How far the file with this number was read before it was let go.
    pub(crate) fn read_of(&self, number: u64) -> u64 {
        self.get(number).map_or(0, |file| file.fingerprint.offset)
    }

    pub(crate) fn take(&mut self, number: u64) -> Option<LetGo> {
        let (order, file) = self.files.remove(&number)?;
        self.order.remove(&order);
        Some(file)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &LetGo> {
        self.files.values().map(|(_, file)| file)
    }
}

/// Whether what was read of a file tells that it is the same one. Where nobody tells when an inode
/// is used again it does not: a new file may begin like the old one.
pub(crate) fn is_same(
    identity: &Identity,
    fingerprint: &Fingerprint,
    handle: &Handle,
    metadata: &Metadata,
) -> bool {
    identity.birth.is_some() && fingerprint.fits(handle, metadata.len()).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn identity(inode: u64) -> Identity {
        Identity {
            device: 1,
            inode,
            birth: None,
        }
    }

    fn let_go() -> LetGo {
        LetGo {
            name: Path::new("a.log").into(),
            fingerprint: Fingerprint::default(),
            size: 0,
            truncated: None,
        }
    }

    proptest! {
        /// However often files come back and go again, the newest are known and no more is kept.
        #[test]
        fn the_newest_are_known_again(steps in proptest::collection::vec((0u64..40, any::<bool>()), 1..300)) {
            let mut dormant = Dormant::default();
            let most = 20;
            let mut model: Vec<u64> = Vec::new();
            for (inode, comes_back) in steps {
                model.retain(|known| *known != inode);
                if comes_back {
                    dormant.take(identity(inode).number());
                } else {
                    dormant.insert_up_to(identity(inode).number(), let_go(), most);
                    model.push(inode);
                    if model.len() > most {
                        model.remove(0);
                    }
                }
                let known = (0..40).filter(|inode| dormant.get(identity(*inode).number()).is_some());
                let mut expected = model.clone();
                expected.sort_unstable();
                prop_assert_eq!(known.collect::<Vec<_>>(), expected);
                prop_assert_eq!(dormant.order.len(), model.len());
            }
        }
    }
}
