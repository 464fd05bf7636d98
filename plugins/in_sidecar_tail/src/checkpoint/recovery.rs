//! Positions of an earlier run, and the files that they belong to now.

use std::path::Path;
use std::sync::Arc;

use tracing::info;

use crate::checkpoint::entry::Entry;
use crate::checkpoint::folder::{is_there, Folder};
use crate::fs::{Handle, Metadata};
use crate::read::lines::{CutLine, Splitter};
use crate::track::copies::originals;
use crate::track::file::FileId;
use crate::track::fingerprint::Identity;
use crate::track::transition::Observation;
use crate::worker::Worker;

/// Names that positions without a file are compared with at the start, all together: with very many
/// of both, the rest is not looked for.
const MOST_LOOKS: usize = 200_000;

impl Worker {
    /// There are positions whose files have not been found.
    pub(crate) fn has_unclaimed(&self) -> bool {
        let checkpointer = self.checkpointer.as_ref();
        checkpointer.is_some_and(|c| !c.unclaimed.is_empty())
    }

    /// Follows a file whose position is known. `false`: it is not known.
    pub(crate) fn consider_claimed(&mut self, path: &Path) -> bool {
        if self.is_full()
            || self
                .checkpointer
                .as_ref()
                .is_none_or(|s| s.unclaimed.is_empty())
        {
            return false;
        }
        let Ok((handle, metadata)) = self.confine.open(path) else {
            return false;
        };
        let identity = Identity::of(&metadata);
        if !metadata.is_file() || self.registry.known(&identity).is_some() {
            return false;
        }
        if self.is_known_packed(path, &identity, &metadata) {
            return true;
        }
        let Some(entry) = self.claim(path, &identity, &handle, &metadata) else {
            return false;
        };
        let name = self.name_of(&entry, path);
        self.note_link(path);
        self.follow_claimed(path, handle, &metadata, entry, name);
        true
    }

    fn follow_claimed(
        &mut self,
        path: &Path,
        handle: Handle,
        metadata: &Metadata,
        entry: Entry,
        name: Arc<Path>,
    ) {
        let identity = Identity::of(metadata);
        let offset = entry.fingerprint.offset;
        info!("{}: going on at byte {offset}", path.display());
        let id = self.follow(path, identity, handle, metadata, Some(offset), Some(name));
        if let Some(file) = self.registry.get_mut(id) {
            file.checkpoint_tail = entry.fingerprint.tail;
        }
        self.goes_on_inside(id, entry.cut);
        if entry.rotated || *entry.path != *path {
            self.observe(id, Observation::Rotated);
        }
    }

    /// A file begins inside a line whose beginning was passed on.
    pub(crate) fn goes_on_inside(&mut self, id: FileId, cut: Option<CutLine>) {
        if let Some((file, line)) = self.registry.get_mut(id).zip(cut) {
            file.lines = Splitter::inside(line, file.checkpoint);
            file.rare().before_checkpoint = Some(line);
        }
    }

    fn claim(
        &mut self,
        path: &Path,
        identity: &Identity,
        handle: &Handle,
        metadata: &Metadata,
    ) -> Option<Entry> {
        let checkpointer = self.checkpointer.as_mut()?;
        let entry = checkpointer.claim(path, identity, handle, metadata)?;
        self.entry_gone(entry.identity);
        Some(entry)
    }

    /// A file that was renamed keeps the name that its records have.
    fn name_of(&self, entry: &Entry, path: &Path) -> Arc<Path> {
        if *entry.path != *path && self.options.globs.matches(path) {
            path.into()
        } else {
            entry.path.clone()
        }
    }

    /// Where to start reading a new file, the name it has in records, and the line that is inside.
    pub(crate) fn position_of(
        &mut self,
        path: &Path,
        identity: &Identity,
        handle: &Handle,
        metadata: &Metadata,
    ) -> (Option<u64>, Option<Arc<Path>>, Option<CutLine>) {
        if let Some(entry) = self.claim(path, identity, handle, metadata) {
            return (Some(entry.fingerprint.offset), None, entry.cut);
        }
        if let Some(file) = self.dormant.known_again(identity, handle, metadata) {
            return (Some(file.fingerprint.offset), Some(file.name), None);
        }
        if self.scanned {
            return (None, None, None);
        }
        // The copy of a file that was truncated while nobody was reading.
        let checkpointer = self.checkpointer.as_mut();
        let entry = checkpointer.and_then(|kept| kept.original_of(path, handle, metadata));
        let Some(entry) = entry else {
            return (None, None, None);
        };
        self.drop_unclaimed(&entry);
        (Some(entry.fingerprint.offset), Some(entry.path), entry.cut)
    }

    /// Looks for files with known positions that no pattern matches any more: rotated while
    /// nobody was reading.
    pub(crate) fn recover_unclaimed(&mut self) {
        let Some(checkpointer) = &mut self.checkpointer else {
            return;
        };
        let by_name = checkpointer.by_name;
        // Some of them are files that wait until others end.
        let room = self.options.max_files.saturating_sub(self.registry.len());
        // What no pattern names and no rotation has renamed is somebody else's: a database may have been
        // that of several inputs, and `path` may name less than it did.
        let globs = &self.options.globs;
        let is_named = |path: &Path| {
            let mut originals = originals(path).into_iter();
            globs.matches(path) || originals.any(|original| globs.matches(&original))
        };
        let entries = checkpointer.unclaimed.iter();
        let entries = entries
            .filter(|entry| !by_name && entry.packed.is_none())
            .filter(|entry| entry.rotated || is_named(&entry.path));
        let entries: Vec<Entry> = entries.take(room).cloned().collect();
        let mut folders = std::mem::take(&mut checkpointer.folders);
        let mut looks = MOST_LOOKS;
        for entry in entries {
            let Some(folder) = entry.path.parent() else {
                continue;
            };
            let in_place = is_there(&self.fs, &entry, &mut folders);
            // A link stays where it is when what it led to is renamed.
            let behind = entry.target.as_deref().and_then(Path::parent);
            let renamed = [Some(folder), behind]
                .into_iter()
                .flatten()
                .find_map(|folder| {
                    let listing = folders
                        .entry(folder.to_owned())
                        .or_insert_with(|| Folder::list(&self.fs, folder));
                    listing.by_inode.get(&entry.identity.inode).cloned()
                });
            let listing = folders
                .entry(folder.to_owned())
                .or_insert_with(|| Folder::list(&self.fs, folder));
            let related = listing.related(&entry.path);
            let related = &related[..related.len().min(looks)];
            looks -= related.len();
            let found = renamed
                .and_then(|path| {
                    let (handle, metadata) = self.confine.open(&path).ok()?;
                    let identity = Identity::of(&metadata);
                    let fits = metadata.is_file()
                        && self.registry.known(&identity).is_none()
                        && entry.identity.compatible(&identity)
                        && entry.fingerprint.fits(&handle, metadata.len()).ok()?;
                    fits.then_some((path, handle, metadata))
                })
                .or_else(|| {
                    let paths = related.iter().filter(|_| in_place).cloned();
                    self.find_copy(paths, &entry.path, &entry.fingerprint, None)
                });
            let Some((path, handle, metadata)) = found else {
                self.search_compressed(entry, related);
                continue;
            };
            self.drop_unclaimed(&entry);
            let name = entry.path.clone();
            self.follow_claimed(&path, handle, &metadata, entry, name);
            self.go_on();
        }
        if let Some(checkpointer) = &mut self.checkpointer {
            checkpointer.unclaimed.forget_stems();
        }
    }

    /// The position is somebody's now. `false`: it was before.
    pub(crate) fn drop_unclaimed(&mut self, entry: &Entry) -> bool {
        let kept = self.checkpointer.as_mut();
        let found = kept.is_some_and(|kept| kept.drop_unclaimed(entry));
        if found {
            self.entry_gone(entry.identity);
        }
        found
    }
}
