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
    /// Texts that were truncated and whose copies cannot be read yet.
    uncopied: Vec<Uncopied>,
}

/// A text that is looked for now and then.
#[derive(Clone, Debug)]
pub(crate) struct Uncopied {
    number: u64,
    /// That of the file that it was in.
    pub(crate) identity: Identity,
    suspects: Suspects,
    since: Instant,
    next: Instant,
    until: Instant,
}

/// What may be the copy of a text, if it holds the same.
#[derive(Clone, Debug)]
pub(crate) enum Suspects {
    /// What is told of late.
    Any,
    /// What came to be after the original.
    Younger,
    These(Vec<Identity>),
}

impl Suspects {
    /// For how long it may turn out.
    fn wait(&self) -> Duration {
        match self {
            Suspects::Any => LATE_COPY,
            Suspects::Younger | Suspects::These(_) => UNOPENED_COPY,
        }
    }
}

impl Uncopied {
    pub(crate) fn may_be_in(&self, copy: &Identity) -> bool {
        match &self.suspects {
            Suspects::Any => true,
            Suspects::Younger => copy.is_younger(&self.identity),
            Suspects::These(these) => these.contains(copy),
        }
    }
}

/// A file that was let go, and how far it was read.
#[derive(Clone, Debug)]
pub(crate) struct LetGo {
    pub(crate) name: Arc<Path>,
    pub(crate) fingerprint: Fingerprint,
    /// How long it was: more than what was read, if it was made longer in advance.
    pub(crate) size: u64,
}

/// On a network filesystem, for how long a copy may be there and not be told of.
const LATE_COPY: Duration = Duration::from_secs(90);
/// For how long one is waited for that is there and cannot be opened, and how often it is tried at least.
const UNOPENED_COPY: Duration = Duration::from_secs(24 * 3600);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How many such copies are looked for.
const MOST_UNCOPIED: usize = 1000;

impl LetGo {
    fn of(file: &TrackedFile) -> Self {
        LetGo {
            name: file.name.clone(),
            fingerprint: file.fingerprint(),
            size: file.size(),
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

    /// What was read of a file that begins anew, and is in no copy that can be read, but maybe in one of these that
    /// cannot: it may also be compressed by now.
    pub(crate) fn keep_text(&mut self, file: &TrackedFile, unopened: Vec<Identity>, now: Instant) {
        if file.head.is_empty() {
            return;
        }
        let text = LetGo::of(file);
        if !unopened.is_empty() {
            self.wait_for_copy(file.identity, text, Suspects::These(unopened), now);
        } else if file.remote {
            self.wait_for_copy(file.identity, text, Suspects::Any, now);
        } else {
            let number = number_of_text(&file.identity, &text.fingerprint);
            self.insert_up_to(number, text, MOST_DORMANT);
        }
    }

    /// What would tell cannot be read yet: a text was truncated, or may have been, and one of the suspects is its copy.
    pub(crate) fn wait_for_copy(
        &mut self,
        identity: Identity,
        text: LetGo,
        suspects: Suspects,
        now: Instant,
    ) {
        let number = number_of_text(&identity, &text.fingerprint);
        let copied = text.fingerprint.offset > 0;
        self.insert_up_to(number, text, MOST_DORMANT);
        if copied && self.uncopied.len() < MOST_UNCOPIED {
            self.uncopied.push(Uncopied {
                number,
                identity,
                since: now,
                next: now,
                until: now + suspects.wait(),
                suspects,
            });
        }
    }

    /// The texts whose copies are to be looked for now: ever less often.
    pub(crate) fn looked_for(&mut self, now: Instant) -> Vec<(Uncopied, LetGo)> {
        let files = &self.files;
        let waits = |text: &Uncopied| files.contains_key(&text.number) && text.until > now;
        self.uncopied.retain(waits);
        let due = self.uncopied.iter_mut().filter(|text| text.next <= now);
        due.filter_map(|text| {
            let waited = now.saturating_duration_since(text.since);
            text.next = now + (waited / 2).min(LONGEST_PAUSE);
            let (_, kept) = files.get(&text.number)?;
            Some((text.clone(), kept.clone()))
        })
        .collect()
    }

    /// The text of which a new file is the copy, if that could not be read before.
    pub(crate) fn copied(
        &self,
        path: &Path,
        handle: &Handle,
        metadata: &Metadata,
        now: Instant,
    ) -> Option<(Uncopied, LetGo)> {
        let names = originals(path);
        let copy = Identity::of(metadata);
        let waits = self.uncopied.iter().filter(|text| text.until > now);
        let mut texts = waits.filter_map(|text| Some((text, self.get(text.number)?)));
        let (text, kept) = texts.find(|(text, kept)| {
            let named = matches!(text.suspects, Suspects::These(_))
                || names.iter().any(|name| **name == *kept.name);
            let fits = || kept.fingerprint.fits(handle, metadata.len());
            named && text.may_be_in(&copy) && fits().unwrap_or(false)
        })?;
        Some((text.clone(), kept.clone()))
    }

    /// A text goes on: its copy is waited for no longer.
    pub(crate) fn found(&mut self, identity: &Identity, text: &Fingerprint) {
        self.take(number_of_text(identity, text));
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

/// A number that no file has.
fn number_of_text(identity: &Identity, text: &Fingerprint) -> u64 {
    let numbers = [
        identity.number(),
        text.offset,
        text.head.hash(),
        text.tail.hash(),
    ];
    xxh3_64(&numbers.map(u64::to_ne_bytes).concat())
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
