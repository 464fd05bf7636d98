//! The files of an instance, and all that is kept of them beside their text.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use tracing::warn;

use crate::checkpoint::checkpointer::Checkpointer;
use crate::checkpoint::entry::Entry;
use crate::compressed::window::Windows;
use crate::context::Context;
use crate::host::acks::Reaches;
use crate::map::HashMap;
use crate::source::links::Links;
use crate::track::descriptors::{ensure_open, Handles};
use crate::track::dormant::{Dormant, LetGo, Uncopied};
use crate::track::file::{FileId, TrackedFile};
use crate::track::fingerprint::{Identity, Print};
use crate::track::heads::Heads;
use crate::track::queue::{Queue, Task};
use crate::track::registry::Registry;
use crate::track::state_files::StateFiles;
use crate::track::transition::{Effect, Facts, Look, Observation};

/// How far the instance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The first scan is not over.
    Starting,
    /// Not all that was there then could be looked into: it is done again.
    StartingAgain,
    Following,
    /// This request to drain is being worked on.
    Draining(u64),
}

/// The owners of what is known of files.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) ctx: Arc<Context>,
    pub(crate) stage: Stage,
    /// How often no descriptor had been left when the first scan began.
    pub(crate) shortages: u64,
    pub(crate) registry: Registry,
    pub(crate) queue: Queue,
    pub(crate) handles: Handles,
    pub(crate) windows: Windows,
    /// A file has more than one name.
    pub(crate) linked: bool,
    pub(crate) heads: Heads,
    /// Files that may have changed without another size or time, and until when: they are looked into, whatever these
    /// are.
    pub(crate) unsettled: HashMap<FileId, Instant>,
    pub(crate) links: Links,
    pub(crate) dormant: Dormant,
    pub(crate) states: StateFiles,
    pub(crate) checkpointer: Option<Checkpointer>,
    /// The folder that was asked about last, on which device it is, and whether that is a network filesystem.
    asked: Option<(PathBuf, u64, bool)>,
    /// What has left the host of files that could not be opened then.
    confirmed: Reaches,
    /// Texts that were truncated and are in no copy, by their files and epochs, until they have left the host.
    texts: HashMap<(FileId, u32), Entry>,
}

/// Such texts, at most.
const MOST_TEXTS: usize = 1000;

impl Files {
    pub(crate) fn new(ctx: Arc<Context>) -> Self {
        let options = &ctx.options;
        Files {
            stage: Stage::Starting,
            shortages: 0,
            registry: Registry::default(),
            queue: Queue::default(),
            handles: Handles::new(&ctx),
            windows: Windows::default(),
            linked: false,
            heads: Heads::default(),
            unsettled: HashMap::default(),
            links: Links::default(),
            dormant: Dormant::default(),
            states: StateFiles::default(),
            asked: None,
            confirmed: Reaches::default(),
            texts: HashMap::default(),
            checkpointer: Checkpointer::new(options, &ctx.counters, &ctx.time, &ctx.fs),
            ctx,
        }
    }

    /// The first scan is over.
    pub(crate) fn scanned(&self) -> bool {
        !matches!(self.stage, Stage::Starting | Stage::StartingAgain)
    }

    /// Whether the file at `path`, which is on this device, is on a network filesystem. One that cannot be
    /// asked about is as any other.
    pub(crate) fn is_remote(&mut self, path: &Path, device: u64) -> bool {
        let Some(folder) = path.parent() else {
            return false;
        };
        match &self.asked {
            Some((asked, on, remote)) if asked == folder && *on == device => *remote,
            _ => {
                let Ok(remote) = self.ctx.fs.is_remote(folder) else {
                    return false;
                };
                self.asked = Some((folder.to_owned(), device, remote));
                remote
            }
        }
    }

    /// Something could not be looked into since the scan of the start began.
    pub(crate) fn is_short(&self) -> bool {
        !self.scanned() && self.ctx.fs.shortages() > self.shortages
    }

    /// The file that is followed at this path, or under another name of it.
    pub(crate) fn named(&self, path: &Path) -> Option<FileId> {
        let linked = || {
            let there = self.ctx.fs.metadata(path);
            let there = there.ok().filter(|there| there.links() > 1)?;
            self.registry.followed(&Identity::of(&there))
        };
        let at = self.registry.at(path);
        at.or_else(|| self.linked.then(linked)?)
    }

    pub(crate) fn is_draining(&self) -> bool {
        matches!(self.stage, Stage::Draining(_))
    }

    /// A file's life goes on; what that asks for is queued.
    pub(crate) fn observe(&mut self, id: FileId, seen: Observation) {
        let Some(file) = self.registry.get(id) else {
            return;
        };
        let facts = Facts {
            now: self.ctx.time.now(),
            rotate_wait: self.ctx.options.rotate_wait,
            owed: self.awaits_removal(file)
                || self.checkpointer.is_some() && file.settled() < file.offset,
        };
        self.registry.observe(id, seen, &facts, &mut self.queue);
    }

    /// There is something to read, whatever a look would say.
    pub(crate) fn observe_unread(&mut self, id: FileId) {
        let look = Look {
            unread: true,
            ..Look::default()
        };
        self.observe(id, Observation::Looked(look));
    }

    /// Something has changed: the file is looked at.
    pub(crate) fn look_at(&mut self, id: FileId) {
        self.queue.push(Task::Do(id, Effect::Look));
    }

    /// Whether a file that is read to its end is kept in mind for its removal.
    pub(crate) fn awaits_removal(&self, file: &TrackedFile) -> bool {
        self.ctx.options.remove_after.is_some() && file.life.is_rotated() && file.path().is_some()
    }

    /// What is kept of a file across restarts has changed.
    pub(crate) fn changed(&mut self, id: FileId) {
        if let Some(kept) = &mut self.checkpointer {
            kept.changed(id);
        }
    }

    /// What was read of a file that begins anew may be found compressed, or when its copy can be opened (`long`): kept
    /// as soon as all of it has left the host. Until then a crash brings it again.
    pub(crate) fn keep_text(&mut self, id: FileId, long: bool) {
        let file = self.registry.get(id).filter(|file| file.offset > 0);
        let Some((kept, file)) = self.checkpointer.as_mut().zip(file) else {
            return;
        };
        let mut entry = Checkpointer::entry_of_gone(file, &self.ctx.time);
        if long {
            entry.seen = self.ctx.time.timestamp().seconds.into();
        }
        entry.fingerprint = file.fingerprint();
        if file.checkpoint == file.offset {
            kept.keep_gone(entry);
        } else if self.texts.len() < MOST_TEXTS {
            self.texts.insert((id, file.epoch), entry);
        }
    }

    /// Nothing is kept of a file any more, unless another one has its identity now.
    pub(crate) fn entry_gone(&mut self, identity: Identity) {
        let used_again = self.registry.known(&identity).is_some();
        if let Some(kept) = &mut self.checkpointer {
            kept.gone(identity, used_again);
        }
    }

    /// The position of an earlier run is somebody's now. `false`: it was before.
    pub(crate) fn drop_unclaimed(&mut self, entry: &Entry) -> bool {
        let kept = self.checkpointer.as_mut();
        let found = kept.is_some_and(|kept| kept.drop_unclaimed(entry));
        self.dormant.found(&entry.identity, &entry.fingerprint);
        if found {
            self.entry_gone(entry.identity);
        }
        found
    }

    /// A text that was truncated goes on in its copy, which could not be read before.
    pub(crate) fn goes_on(&mut self, waits: &Uncopied, text: &LetGo) {
        self.dormant.found(&waits.identity, &text.fingerprint);
        let birth = waits.identity.birth;
        let is_it =
            |entry: &Entry| entry.fingerprint == text.fingerprint && entry.identity.birth == birth;
        self.texts.retain(|_, entry| !is_it(entry));
        let kept = self.checkpointer.as_ref();
        let entry = kept.and_then(|kept| kept.unclaimed.iter().find(|e| is_it(e)).cloned());
        if let Some(entry) = entry {
            self.drop_unclaimed(&entry);
        }
    }

    /// Takes in what has left the host.
    pub(crate) fn take_confirmed(&mut self) {
        for ((id, epoch), from) in self.ctx.shared.take_lost() {
            self.lost_behind(id, epoch, from);
        }
        // One after the other: what is compiled of a chain of two maps reads one that is gone, which
        // Valgrind says.
        for ((id, epoch), offset) in std::mem::take(&mut self.confirmed) {
            self.confirm(id, epoch, offset);
        }
        for ((id, epoch), offset) in self.ctx.shared.take_confirmed() {
            self.confirm(id, epoch, offset);
        }
    }

    /// What was read behind `from` left the host without being delivered.
    fn lost_behind(&mut self, id: FileId, epoch: u32, from: u64) {
        let Some(id) = self.registry.holder_of(id, epoch) else {
            return;
        };
        if let Some(file) = self.registry.get_mut(id) {
            if !file.has_lost() {
                let name = file.name.display();
                warn!(
                    "{name}: the host has lost what was read behind byte {from}: the position stays \
                     there, so that the next start reads it again"
                );
            }
            file.lost_behind(from);
        }
        self.changed(id);
    }

    fn confirm(&mut self, id: FileId, epoch: u32, offset: u64) {
        let key = (id, epoch);
        let text = self.texts.get(&key);
        if text.is_some_and(|text| offset >= text.fingerprint.offset) {
            let text = self.texts.remove(&key);
            if let Some((kept, text)) = self.checkpointer.as_mut().zip(text) {
                kept.keep_gone(text);
            }
        }
        let Some(id) = self.registry.holder_of(id, epoch) else {
            return;
        };
        let file = self.registry.get(id);
        // What is before the position is read, to know it again by that.
        if file.is_some_and(|file| file.handle.is_none() && offset != file.offset) {
            let before = self.ctx.fs.shortages();
            ensure_open(self, id);
            self.queue.push(Task::Rest(id));
            if self.ctx.fs.shortages() > before {
                self.confirmed.insert(key, offset);
                return;
            }
        }
        let Some(file) = self.registry.get_mut(id) else {
            return;
        };
        if offset > file.settled() && offset <= file.offset {
            file.confirm(offset);
            if file.checkpoint < offset && !file.has_lost() && self.windows.get(id).is_none() {
                // It was truncated, which was not seen yet: the copy that goes on with it may be asked next.
                self.confirmed.insert(key, offset);
            }
            // What is before it may be gone from the window of a compressed file.
            let window = self.windows.get(id);
            if window.is_some_and(|window| !window.has(offset)) {
                file.checkpoint_tail = Print::default();
            }
        }
        self.changed(id);
        self.observe(id, Observation::Acked);
    }
}
