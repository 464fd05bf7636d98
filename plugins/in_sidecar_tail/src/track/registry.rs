//! All files that are followed, and every way to find one. Nobody else changes these indexes.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use crate::map::{HashMap, HashSet};
use crate::track::file::{FileId, TrackedFile};
use crate::track::fingerprint::Identity;
use crate::track::queue::Queue;
use crate::track::transition::{step, Facts, Observation};

/// The files of one instance.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    files: HashMap<FileId, Box<TrackedFile>>,
    /// By their identities' numbers.
    by_identity: HashMap<u64, FileId>,
    /// By where they can be opened, unless they were let go.
    by_path: HashMap<Arc<Path>, FileId>,
    /// Those that wait for their turn, the first one first.
    ready: VecDeque<FileId>,
    /// The one whose turn it is.
    reading: Option<FileId>,
    /// Those that are looked at often, since nobody may tell of what happens to them next.
    restless: HashSet<FileId>,
    /// Those whose end the drain that is going on waits for.
    drains: HashSet<FileId>,
    /// How many there have ever been.
    count: u64,
}

impl Registry {
    pub(crate) fn len(&self) -> usize {
        self.files.len()
    }

    /// How many there have ever been.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn get(&self, id: FileId) -> Option<&TrackedFile> {
        self.files.get(&id).map(Box::as_ref)
    }

    /// A file whose text or handle changes; its life goes on with [`Registry::observe`] only.
    pub(crate) fn get_mut(&mut self, id: FileId) -> Option<&mut TrackedFile> {
        self.files.get_mut(&id).map(Box::as_mut)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (FileId, &TrackedFile)> {
        self.files.iter().map(|(id, file)| (*id, &**file))
    }

    pub(crate) fn ids(&self) -> Vec<FileId> {
        self.files.keys().copied().collect()
    }

    /// The file at this path.
    pub(crate) fn at(&self, path: &Path) -> Option<FileId> {
        self.by_path.get(path).copied()
    }

    /// Whether the file at this path is one with this inode.
    pub(crate) fn is_at(&self, path: &Path, inode: u64) -> bool {
        let file = self.at(path).and_then(|id| self.get(id));
        file.is_some_and(|file| file.identity.inode == inode)
    }

    pub(crate) fn paths(&self) -> impl Iterator<Item = (&Arc<Path>, FileId)> + Clone {
        self.by_path.iter().map(|(path, id)| (path, *id))
    }

    /// The file with this identity, if it has not been let go.
    pub(crate) fn followed(&self, identity: &Identity) -> Option<FileId> {
        let id = self.known(identity)?;
        let file = self.get(id)?;
        (!file.life.is_let_go()).then_some(id)
    }

    /// The same, let go or not.
    pub(crate) fn known(&self, identity: &Identity) -> Option<FileId> {
        self.by_identity.get(&identity.number()).copied()
    }

    /// Whether the file whose identity has this number is known.
    pub(crate) fn has(&self, number: u64) -> bool {
        self.by_identity.contains_key(&number)
    }

    pub(crate) fn is_file(&self, id: FileId, identity: Identity) -> bool {
        self.get(id).is_some_and(|file| file.identity == identity)
    }

    /// The file that holds a text of this epoch: it may have gone on in a copy.
    pub(crate) fn holder_of(&self, id: FileId, epoch: u32) -> Option<FileId> {
        if self.get(id).is_some_and(|file| file.epoch == epoch) {
            return Some(id);
        }
        let mut copies = self.iter().filter(|(_, file)| {
            let continued = file.continues();
            continued.is_some_and(|of| of.file == id && of.epoch == epoch)
        });
        copies.next().map(|(copy, _)| copy)
    }

    /// The file that has waited for longest may be read.
    pub(crate) fn next_ready(&mut self) -> Option<FileId> {
        self.reading = self.ready.pop_front();
        self.reading
    }

    /// It has more, for its next turn.
    pub(crate) fn again(&mut self, id: FileId) {
        self.reading = None;
        if self.get(id).is_some_and(|file| file.life.waits_for_turn()) {
            self.ready.push_back(id);
        }
    }

    /// Files that wait for their turn.
    pub(crate) fn ready(&self) -> impl ExactSizeIterator<Item = FileId> + '_ {
        self.ready.iter().copied()
    }

    pub(crate) fn restless(&self) -> impl ExactSizeIterator<Item = FileId> + '_ {
        self.restless.iter().copied()
    }

    pub(crate) fn quarantined(&self) -> impl Iterator<Item = (FileId, FileId)> + '_ {
        self.restless().filter_map(|id| {
            let quarantine = self.get(id)?.life.quarantine()?;
            Some((id, quarantine.original))
        })
    }

    /// How many files a drain still waits for.
    pub(crate) fn drains(&self) -> usize {
        self.drains.len()
    }

    /// An earlier drain may not have come to its end.
    pub(crate) fn begin_drain(&mut self) {
        self.drains.clear();
    }

    /// A new file is followed.
    pub(crate) fn insert(&mut self, file: TrackedFile) -> FileId {
        let id = FileId(self.count);
        self.count += 1;
        self.by_identity.insert(file.identity.number(), id);
        if let Some(path) = file.life.path() {
            self.by_path.insert(path.clone(), id);
        }
        if file.life.is_restless() {
            self.restless.insert(id);
        }
        self.files.insert(id, Box::new(file));
        id
    }

    /// A file's life goes on, and with it where it is found.
    pub(crate) fn observe(
        &mut self,
        id: FileId,
        seen: Observation,
        facts: &Facts,
        queue: &mut Queue,
    ) {
        let Some(file) = self.files.get_mut(&id) else {
            return;
        };
        let life = &mut file.life;
        let drained = seen == Observation::Drained;
        let waited = life.waits_for_turn();
        let path = life.path().cloned();
        queue.follow(id, |effects| step(life, seen, facts, effects));
        match (waited, life.waits_for_turn()) {
            (false, true) => self.ready.push_back(id),
            (true, false) if self.reading == Some(id) => self.reading = None,
            (true, false) => self.ready.retain(|other| *other != id),
            _ => {}
        }
        if drained && life.waits_for_turn() {
            self.drains.insert(id);
        } else if !life.waits_for_turn() {
            self.drains.remove(&id);
        }
        if life.is_restless() {
            self.restless.insert(id);
        } else {
            self.restless.remove(&id);
        }
        let now = life.path().filter(|_| !life.is_let_go());
        if now != path.as_ref() {
            let now = now.cloned();
            if let Some(path) = path.filter(|path| self.by_path.get(path) == Some(&id)) {
                self.by_path.remove(&path);
            }
            if let Some(path) = now {
                self.by_path.insert(path, id);
            }
        }
    }

    /// A network filesystem has given the file another identity, or one of layers has it born again;
    /// the old one.
    pub(crate) fn renumber(&mut self, id: FileId, identity: Identity) -> Option<Identity> {
        let file = self.files.get_mut(&id)?;
        let old = std::mem::replace(&mut file.identity, identity);
        self.by_identity.remove(&old.number());
        self.by_identity.insert(identity.number(), id);
        Some(old)
    }

    /// Drops a file.
    pub(crate) fn remove(&mut self, id: FileId) -> Option<Box<TrackedFile>> {
        let file = self.files.remove(&id)?;
        let at_identity = file.identity.number();
        if self.by_identity.get(&at_identity) == Some(&id) {
            self.by_identity.remove(&at_identity);
        }
        if let Some(path) = file.life.path() {
            if self.by_path.get(path) == Some(&id) {
                self.by_path.remove(path);
            }
        }
        if file.life.waits_for_turn() {
            self.ready.retain(|other| *other != id);
        }
        self.restless.remove(&id);
        self.drains.remove(&id);
        Some(file)
    }
}
