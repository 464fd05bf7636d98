//! Positions of an earlier run, and the files that they belong to now.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing::info;

use crate::checkpoint::entry::Entry;
use crate::checkpoint::folder::{place_of, Folder};
use crate::compressed::left_alone::Compressed;
use crate::fs::{Handle, Metadata};
use crate::map::HashMap;
use crate::source::confine::is_refused;
use crate::source::scan::Sources;
use crate::track::beyond::is_full;
use crate::track::copies::find_copy;
use crate::track::descriptors::{at_hand, is_missing};
use crate::track::dormant::{LetGo, Suspects};
use crate::track::file::Seen;
use crate::track::files::Files;
use crate::track::fingerprint::{Fingerprint, Identity};
use crate::track::follow::{follow, Position};
use crate::track::names::{are_rotated_alike, is_rotated_form, may_be_at, originals};

/// Names that positions without a file are compared with at the start, all together: with very many
/// of both, the rest is not looked for.
const MOST_LOOKS: usize = 200_000;

/// The start begins, for the first time or again.
pub(crate) fn begin_start(files: &mut Files) {
    files.shortages = files.ctx.fs.shortages();
    if let Some(checkpointer) = &mut files.checkpointer {
        checkpointer.folders = Some(HashMap::default());
    }
}

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
        cut: entry.cut(),
        parts_of: Some(entry.identity),
        rotated: entry.rotated || *entry.path != *path,
        seen: Some(Seen::of(metadata)),
    };
    let identity = Identity::of(metadata);
    let id = follow(files, path, identity, handle, metadata, position);
    if let Some(file) = files.registry.get_mut(id) {
        file.checkpoint_tail = entry.fingerprint.tail;
        // It is no new file that may become a copy, and nobody finds it without its position where no pattern looks.
        file.compared |= entry.identity.birth.is_some();
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
    let mut entry = checkpointer.claim(path, identity, handle, metadata)?;
    files.dormant.found(&entry.identity, &entry.fingerprint);
    files.entry_gone(entry.identity);
    if entry.identity.birth.is_none() {
        // What was rotated does not get its first name again, but its inode may be that of a new file by now.
        let globs = &files.ctx.options.globs;
        let mut originals = originals(path).into_iter();
        let renamed = originals.any(|original| globs.matches(&original));
        entry.rotated &= renamed || *entry.path != *path;
    }
    if entry.fingerprint.offset == 0 && entry.identity.birth.is_none() {
        // It fits anything, such as a copy.
        let copied = original_of(files, path, handle, metadata);
        if let Some(original) = copied {
            files.drop_unclaimed(&original);
            return Some(original);
        }
    }
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

/// Whether the file that was at `from` and is found at `path` was renamed, and is no stranger's that has its number.
/// A stranger's is read as long as the patterns match it.
fn was_renamed(identity: &Identity, from: &Path, path: &Path) -> bool {
    from != path && may_be_at(identity, from, path)
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
            cut: entry.cut(),
            parts_of: Some(entry.identity),
            rotated: entry.rotated || was_renamed(identity, &entry.path, path),
            ..Position::default()
        };
    }
    let plain = files.ctx.options.globs.name_of(path);
    if let Some(file) = files.dormant.known_again(identity, handle, metadata) {
        return Position {
            offset: Some(file.fingerprint.offset),
            rotated: was_renamed(identity, &file.name, plain),
            name: Some(file.name),
            ..Position::default()
        };
    }
    if let Some((waits, text)) = files
        .dormant
        .copied(path, handle, metadata, files.ctx.time.now())
    {
        files.goes_on(&waits, &text);
        return Position {
            offset: Some(text.fingerprint.offset),
            rotated: true,
            name: Some(text.name),
            ..Position::default()
        };
    }
    if files.scanned() {
        return Position::default();
    }
    let Some(entry) = original_of(files, path, handle, metadata) else {
        return Position::default();
    };
    files.drop_unclaimed(&entry);
    Position {
        offset: Some(entry.fingerprint.offset),
        rotated: *entry.path != *plain,
        cut: entry.cut(),
        parts_of: Some(entry.identity),
        name: Some(entry.path),
        seen: None,
    }
}

/// The position of a file that was truncated while nobody was reading, if this is its copy.
fn original_of(
    files: &mut Files,
    path: &Path,
    handle: &Handle,
    metadata: &Metadata,
) -> Option<Entry> {
    let kept = files.checkpointer.as_mut().filter(|kept| !kept.by_name)?;
    if kept.unclaimed.is_empty() {
        return None;
    }
    let folder = path.parent()?;
    let mut folders = kept.folders.take()?;
    let kept = files.checkpointer.as_ref()?;
    let linked = Folder::cached(&mut folders, &files.ctx.fs, folder);
    let names = originals(path).into_iter();
    let linked: Vec<u64> = names.filter_map(|name| linked.inode_of(&name)).collect();
    let linked = linked
        .iter()
        .flat_map(|inode| kept.unclaimed.with_inode(*inode));
    let mut is_copy = |entry: &Entry| {
        entry.packed().is_none()
            && entry.path.parent() == path.parent()
            && entry.fingerprint.head.length > 0
            && fits(&entry.fingerprint, handle, metadata)
            && !is_copy_of_followed(files, (path, handle, metadata), entry.fingerprint.offset)
            && match became_of(files, entry, &mut folders) {
                Became::Truncated => true,
                Became::Unknown => Identity::of(metadata).is_younger(&entry.identity),
                Became::Gone => is_copy_of_gone(files, metadata, entry),
                Became::There(..) => false,
            }
    };
    let named = kept.unclaimed.originals(path);
    let named = named.filter(|entry| may_be_in(entry, path));
    // Others may begin alike that were read less far.
    let originals = named.chain(linked).filter(|e| is_copy(e));
    let entry = originals.max_by_key(|e| e.fingerprint.offset).cloned();
    if let Some(kept) = &mut files.checkpointer {
        kept.folders = Some(folders);
    }
    entry
}

/// Whether the file at `path` may be a copy of that of an entry, as far as names tell. That may have been renamed
/// since it was copied.
fn may_be_in(entry: &Entry, path: &Path) -> bool {
    // What is where that was is the next one.
    let renamed = entry.rotated && *entry.path != *path && !is_rotated_form(path, &entry.path);
    is_rotated_form(&entry.path, path) || renamed && are_rotated_alike(&entry.path, path)
}

/// Whether a file may be the copy of that of an entry, which was read and is gone: it came to be later, and there is a
/// new one where that was. Who copies leaves the original where it is, so whatever took that away was a rotation.
fn is_copy_of_gone(files: &Files, metadata: &Metadata, entry: &Entry) -> bool {
    let identity = Identity::of(metadata);
    entry.fingerprint.offset > 0
        && identity.birth.is_some()
        && entry.identity.birth.is_some()
        && identity.is_younger(&entry.identity)
        && files.ctx.fs.symlink_metadata(&entry.path).is_ok()
}

/// Whether a file has the same behind `offset`, too, as one that is followed and may be its original.
fn is_copy_of_followed(
    files: &Files,
    (path, handle, metadata): (&Path, &Handle, &Metadata),
    offset: u64,
) -> bool {
    let names = originals(path).into_iter();
    let mut followed = names.filter_map(|name| files.registry.get(files.named(&name)?));
    followed.any(|file| {
        let end = file.offset.min(metadata.len());
        let same = || {
            // It may have been truncated by now.
            let its = match end == file.offset {
                true => file.fingerprint(),
                false => Fingerprint::at(&*at_hand(files, file)?, end)?,
            };
            its.fits(handle, metadata.len())
        };
        end > offset && same().unwrap_or(false)
    })
}

fn fits(fingerprint: &Fingerprint, handle: &Handle, metadata: &Metadata) -> bool {
    metadata.is_file() && fingerprint.fits(handle, metadata.len()).unwrap_or(false)
}

/// What has become of the file of a position.
enum Became {
    /// It is here and holds what was read of it.
    There(PathBuf, Handle, Metadata),
    /// It is there and does not: what was in it may be in a copy.
    Truncated,
    /// It is not where it is looked for.
    Gone,
    /// It is there and cannot be opened now.
    Unknown,
}

fn became_of(files: &Files, entry: &Entry, folders: &mut HashMap<PathBuf, Folder>) -> Became {
    let Some(path) = place_of(&files.ctx.fs, entry, folders) else {
        return Became::Gone;
    };
    match files.handles.open_at_once(&path) {
        Ok((handle, metadata)) => {
            let known = (entry.places()).any(|name| may_be_at(&entry.identity, name, &path));
            if known && fits(&entry.fingerprint, &handle, &metadata) {
                Became::There(path, handle, metadata)
            } else if metadata.dev() == entry.identity.device {
                Became::Truncated
            } else {
                Became::Gone
            }
        }
        Err(error) if is_missing(&error) || is_refused(&error) => Became::Gone,
        Err(error) if error.kind() == io::ErrorKind::StaleNetworkFileHandle => Became::Gone,
        Err(_) => Became::Unknown,
    }
}

/// Looks for files with known positions that no pattern matches any more: rotated while
/// nobody was reading.
pub(crate) fn recover_unclaimed(files: &mut Files, compressed: &mut Compressed) {
    let Some(checkpointer) = &mut files.checkpointer else {
        return;
    };
    let by_name = checkpointer.by_name;
    // What no pattern names and no rotation has renamed is somebody else's: a database may have been
    // that of several inputs, and `path` may name less than it did.
    let globs = &files.ctx.options.globs;
    let is_named = |path: &Path| {
        let mut originals = originals(path).into_iter();
        globs.matches(path) || originals.any(|original| globs.matches(&original))
    };
    let entries = checkpointer.unclaimed.iter();
    let entries = entries
        .filter(|entry| !by_name && entry.packed().is_none())
        .filter(|entry| !files.ctx.keeps(&entry.path))
        .filter(|entry| entry.rotated || is_named(&entry.path));
    let most = files.ctx.options.max_files;
    let mut entries: Vec<Entry> = entries.take(most).map(|entry| (**entry).clone()).collect();
    // Of several that began alike, a compressed file is the form of the one that was read furthest.
    entries.sort_unstable_by_key(|entry| std::cmp::Reverse(entry.fingerprint.offset));
    let mut folders = checkpointer.folders.take().unwrap_or_default();
    checkpointer.unclaimed.forget_names();
    let mut looks = MOST_LOOKS;
    let before = files.ctx.fs.shortages();
    // What is there is nobody's copy: those that have their files take them first.
    let mut others = Vec::new();
    for entry in entries {
        match became_of(files, &entry, &mut folders) {
            Became::There(path, handle, metadata) => {
                follow_if_new(files, &entry, &path, handle, &metadata);
            }
            became => others.push((entry, became)),
        }
    }
    for (mut entry, became) in others {
        let Some(folder) = entry.path.parent() else {
            continue;
        };
        let listing = Folder::cached(&mut folders, &files.ctx.fs, folder);
        let others: Vec<&Path> = match became {
            Became::Gone => Vec::new(),
            _ => listing.names_of(entry.identity.inode).collect(),
        };
        let names = others.iter().copied().chain([&*entry.path]);
        let related = names.flat_map(|name| listing.related(name));
        let related: Vec<&PathBuf> = related.take(looks).collect();
        looks -= related.len();
        let mut unopened = Vec::new();
        let mut copy = || {
            let is_form = |path: &Path| others.iter().any(|name| is_rotated_form(name, path));
            let paths = related.iter();
            let paths = paths.filter(|path| may_be_in(&entry, path) || is_form(path));
            let of = (&entry.identity, &entry.fingerprint);
            find_copy(files, paths.copied().cloned(), of, None, &mut unopened)
        };
        let younger = |metadata: &Metadata| Identity::of(metadata).is_younger(&entry.identity);
        let found = match became {
            Became::Truncated => copy(),
            Became::There(..) => None,
            // It may have been renamed and compressed since it was copied.
            Became::Gone => {
                copy().filter(|(_, _, metadata)| is_copy_of_gone(files, metadata, &entry))
            }
            // What is no older than it and has all that was read of it may be its copy.
            Became::Unknown => match copy().filter(|(_, _, metadata)| younger(metadata)) {
                None => {
                    wait_for_copy(files, &entry, Suspects::Younger);
                    continue;
                }
                copy => copy,
            },
        };
        let found = found.filter(|(path, handle, metadata)| {
            !is_copy_of_followed(files, (path, handle, metadata), entry.fingerprint.offset)
        });
        let is_late = found.is_none() && entry.identity.birth.is_some();
        if is_late && !unopened.is_empty() {
            if matches!(became, Became::Truncated) {
                // Its number will be that of the next position.
                entry = begun_anew(files, entry);
            }
            wait_for_copy(files, &entry, Suspects::These(unopened));
        }
        match found {
            // Without a descriptor nobody can tell: the start is not over yet.
            None if files.ctx.fs.shortages() > before => break,
            None => compressed.search(files, entry, &related),
            Some((path, handle, metadata)) => {
                follow_if_new(files, &entry, &path, handle, &metadata);
            }
        }
    }
}

/// A copy may be found as soon as one of these files can be opened, or its original.
fn wait_for_copy(files: &mut Files, entry: &Entry, suspects: Suspects) {
    let text = LetGo {
        name: entry.path.clone(),
        fingerprint: entry.fingerprint,
        size: entry.fingerprint.offset,
    };
    let now = files.ctx.time.now();
    files
        .dormant
        .wait_for_copy(entry.identity, text, suspects, now);
}

/// What is kept of a file that has begun anew, as long as its copy is waited for.
fn begun_anew(files: &mut Files, entry: Entry) -> Entry {
    files.drop_unclaimed(&entry);
    let gone = entry.without_file(files.ctx.time.timestamp().seconds.into());
    if let Some(kept) = &mut files.checkpointer {
        kept.keep_gone(gone.clone());
    }
    gone
}

/// Follows the file of a position, unless it is followed. Where there are too many files, one that the patterns match
/// waits with the others, and nobody else finds one that they do not.
fn follow_if_new(
    files: &mut Files,
    entry: &Entry,
    path: &Path,
    handle: Handle,
    metadata: &Metadata,
) {
    let full = files.registry.len() >= files.ctx.options.max_files;
    let waits = full && files.ctx.options.globs.matches(path);
    if !waits && files.registry.known(&Identity::of(metadata)).is_none() {
        files.drop_unclaimed(entry);
        let (entry, name) = (entry.clone(), entry.path.clone());
        follow_claimed(files, path, handle, metadata, entry, name);
    }
}
