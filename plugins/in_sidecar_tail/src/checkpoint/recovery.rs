//! Positions of an earlier run, and the files that they belong to now.

use std::path::Path;
use std::sync::Arc;

use tracing::info;

use crate::checkpoint::entry::Entry;
use crate::checkpoint::folder::{is_there, Folder};
use crate::compressed::left_alone::Compressed;
use crate::fs::{Handle, Metadata};
use crate::source::scan::Sources;
use crate::track::beyond::is_full;
use crate::track::copies::{find_copy, originals};
use crate::track::files::Files;
use crate::track::fingerprint::Identity;
use crate::track::follow::{follow, Position};

/// Names that positions without a file are compared with at the start, all together: with very many
/// of both, the rest is not looked for.
const MOST_LOOKS: usize = 200_000;

/// There are positions whose files have not been found.
pub(crate) fn has_unclaimed(files: &Files) -> bool {
    let checkpointer = files.checkpointer.as_ref();
    checkpointer.is_some_and(|c| !c.unclaimed.is_empty())
}

/// Follows a file whose position is known. `false`: it is not known.
pub(crate) fn consider_claimed(
    files: &mut Files,
    compressed: &mut Compressed,
    sources: &mut Sources,
    path: &Path,
) -> bool {
    if is_full(files, compressed)
        || files
            .checkpointer
            .as_ref()
            .is_none_or(|s| s.unclaimed.is_empty())
    {
        return false;
    }
    let Ok((handle, metadata)) = files.handles.open_at_once(path) else {
        return false;
    };
    let identity = Identity::of(&metadata);
    if !metadata.is_file() || files.registry.known(&identity).is_some() {
        return false;
    }
    if files.ctx.keeps(path) || compressed.is_known_packed(files, path, &identity, &metadata) {
        return true;
    }
    let Some(entry) = claim(files, path, &identity, &handle, &metadata) else {
        return false;
    };
    let name = name_of(files, &entry, path);
    sources.note_link(files, path);
    follow_claimed(files, path, handle, &metadata, entry, name);
    true
}

fn follow_claimed(
    files: &mut Files,
    path: &Path,
    handle: Handle,
    metadata: &Metadata,
    entry: Entry,
    name: Arc<Path>,
) {
    let offset = entry.fingerprint.offset;
    info!("{}: going on at byte {offset}", path.display());
    let position = Position {
        offset: Some(offset),
        name: Some(name),
        cut: entry.cut,
        rotated: entry.rotated || *entry.path != *path,
    };
    let identity = Identity::of(metadata);
    let id = follow(files, path, identity, handle, metadata, position);
    if let Some(file) = files.registry.get_mut(id) {
        file.checkpoint_tail = entry.fingerprint.tail;
    }
}

fn claim(
    files: &mut Files,
    path: &Path,
    identity: &Identity,
    handle: &Handle,
    metadata: &Metadata,
) -> Option<Entry> {
    let checkpointer = files.checkpointer.as_mut()?;
    let entry = checkpointer.claim(path, identity, handle, metadata)?;
    files.entry_gone(entry.identity);
    Some(entry)
}

/// A file that was renamed keeps the name that its records have.
fn name_of(files: &Files, entry: &Entry, path: &Path) -> Arc<Path> {
    if *entry.path != *path && files.ctx.options.globs.matches(path) {
        path.into()
    } else {
        entry.path.clone()
    }
}

/// What is known of a new file.
pub(crate) fn position_of(
    files: &mut Files,
    path: &Path,
    identity: &Identity,
    handle: &Handle,
    metadata: &Metadata,
) -> Position {
    if let Some(entry) = claim(files, path, identity, handle, metadata) {
        return Position {
            offset: Some(entry.fingerprint.offset),
            cut: entry.cut,
            rotated: entry.rotated || *entry.path != *path,
            name: None,
        };
    }
    let plain = files.ctx.options.globs.name_of(path);
    if let Some(file) = files.dormant.known_again(identity, handle, metadata) {
        return Position {
            offset: Some(file.fingerprint.offset),
            rotated: *file.name != *plain,
            name: Some(file.name),
            cut: None,
        };
    }
    if files.scanned() {
        return Position::default();
    }
    // The copy of a file that was truncated while nobody was reading.
    let checkpointer = files.checkpointer.as_mut();
    let entry = checkpointer.and_then(|kept| kept.original_of(path, handle, metadata));
    let Some(entry) = entry else {
        return Position::default();
    };
    files.drop_unclaimed(&entry);
    Position {
        offset: Some(entry.fingerprint.offset),
        rotated: *entry.path != *plain,
        name: Some(entry.path),
        cut: entry.cut,
    }
}

/// Looks for files with known positions that no pattern matches any more: rotated while
/// nobody was reading.
pub(crate) fn recover_unclaimed(files: &mut Files, compressed: &mut Compressed) {
    let Some(checkpointer) = &mut files.checkpointer else {
        return;
    };
    let by_name = checkpointer.by_name;
    // Some of them are files that wait until others end.
    let room = files
        .ctx
        .options
        .max_files
        .saturating_sub(files.registry.len());
    // What no pattern names and no rotation has renamed is somebody else's: a database may have been
    // that of several inputs, and `path` may name less than it did.
    let globs = &files.ctx.options.globs;
    let is_named = |path: &Path| {
        let mut originals = originals(path).into_iter();
        globs.matches(path) || originals.any(|original| globs.matches(&original))
    };
    let entries = checkpointer.unclaimed.iter();
    let entries = entries
        .filter(|entry| !by_name && entry.packed.is_none())
        .filter(|entry| !files.ctx.keeps(&entry.path))
        .filter(|entry| entry.rotated || is_named(&entry.path));
    let entries: Vec<Entry> = entries.take(room).cloned().collect();
    let mut folders = std::mem::take(&mut checkpointer.folders);
    let mut looks = MOST_LOOKS;
    for entry in entries {
        let Some(folder) = entry.path.parent() else {
            continue;
        };
        let in_place = is_there(&files.ctx.fs, &entry, &mut folders);
        // A link stays where it is when what it led to is renamed.
        let behind = entry.target.as_deref().and_then(Path::parent);
        let renamed = [Some(folder), behind]
            .into_iter()
            .flatten()
            .find_map(|folder| {
                let listing = folders
                    .entry(folder.to_owned())
                    .or_insert_with(|| Folder::list(&files.ctx.fs, folder));
                listing.by_inode.get(&entry.identity.inode).cloned()
            });
        let listing = folders
            .entry(folder.to_owned())
            .or_insert_with(|| Folder::list(&files.ctx.fs, folder));
        let related = listing.related(&entry.path);
        let related = &related[..related.len().min(looks)];
        looks -= related.len();
        let found = renamed
            .and_then(|path| {
                let (handle, metadata) = files.handles.open_at_once(&path).ok()?;
                let identity = Identity::of(&metadata);
                let fits = metadata.is_file()
                    && files.registry.known(&identity).is_none()
                    && entry.identity.compatible(&identity)
                    && entry.fingerprint.fits(&handle, metadata.len()).ok()?;
                fits.then_some((path, handle, metadata))
            })
            .or_else(|| {
                let paths = related.iter().filter(|_| in_place).cloned();
                find_copy(files, paths, &entry.path, &entry.fingerprint, None)
            });
        let Some((path, handle, metadata)) = found else {
            compressed.search(files, entry, related);
            continue;
        };
        files.drop_unclaimed(&entry);
        let name = entry.path.clone();
        follow_claimed(files, &path, handle, &metadata, entry, name);
    }
    if let Some(checkpointer) = &mut files.checkpointer {
        checkpointer.unclaimed.forget_stems();
    }
}
