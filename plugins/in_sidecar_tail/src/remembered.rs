//! Files that were let go and may come back: under another name, written to again, or compressed.

use std::collections::{HashMap, VecDeque};
use std::fs::{File, Metadata};
use std::path::Path;
use std::sync::Arc;

use crate::followed::{FileId, Followed};
use crate::identity::{Clue, Identity};
use crate::worker::Worker;

/// Files that are known again, at most.
const REMEMBERED: usize = 10_000;

/// Files that were let go, by their identity's number.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    files: HashMap<u64, LetGo>,
    /// The oldest first.
    order: VecDeque<u64>,
}

/// A file that was let go, and how far it was read.
#[derive(Clone, Debug)]
pub(crate) struct LetGo {
    pub(crate) name: Arc<Path>,
    pub(crate) clue: Clue,
}

impl Remembered {
    fn insert(&mut self, identity: &Identity, file: LetGo) {
        let number = identity.number();
        if self.files.insert(number, file).is_none() {
            self.order.push_back(number);
        }
        if self.order.len() > REMEMBERED {
            let oldest = self.order.pop_front();
            oldest.map(|oldest| self.files.remove(&oldest));
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &LetGo> {
        self.files.values()
    }
}

/// Whether what was read of a file tells that it is the same one. Where nobody tells when an inode
/// is used again it does not: a new file may begin like the old one.
fn is_same(identity: &Identity, clue: &Clue, handle: &File, metadata: &Metadata) -> bool {
    identity.birth.is_some() && clue.fits(handle, metadata.len()).unwrap_or(false)
}

impl Worker {
    /// A file that is let go may come back.
    pub(crate) fn remember(&mut self, file: &Followed) {
        if file.head.is_empty() || file.offset == 0 {
            return;
        }
        let let_go = LetGo {
            name: file.name.clone(),
            clue: file.clue(),
        };
        self.remembered.insert(&file.identity, let_go);
    }

    /// Takes out what is remembered of a file that has come back.
    pub(crate) fn known_again(
        &mut self,
        identity: &Identity,
        handle: &File,
        metadata: &Metadata,
    ) -> Option<LetGo> {
        let number = identity.number();
        let file = self.remembered.files.get(&number)?;
        let same = is_same(identity, &file.clue, handle, metadata);
        same.then(|| self.remembered.files.remove(&number))?
    }

    /// Goes on with a file that was let go before all of it has left the host.
    pub(crate) fn come_back(
        &mut self,
        identity: &Identity,
        handle: &File,
        metadata: &Metadata,
    ) -> Option<FileId> {
        let id = self.by_identity.get(identity)?;
        let file = self.files.get_mut(&id).filter(|file| file.retired)?;
        is_same(identity, &file.clue(), handle, metadata).then(|| {
            file.retired = false;
            // Nothing is at a path for it.
            file.path = None;
            id
        })
    }

    /// The file with this identity, if it has not been let go.
    pub(crate) fn followed(&self, identity: &Identity) -> Option<FileId> {
        let id = self.by_identity.get(identity)?;
        let file = self.files.get(&id)?;
        (!file.retired).then_some(id)
    }
}
