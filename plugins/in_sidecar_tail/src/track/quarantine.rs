//! Copies in the making: `copytruncate` with a pattern that matches the copy, too. A new file that begins like one that
//! is followed is not read before it is known what it is; what that one goes on with is in
//! [`crate::track::copies`].

use std::io;
use std::time::Duration;

use tracing::debug;

use crate::fs::none_left;
use crate::track::descriptors::{at_hand, is_missing};
use crate::track::file::{FileId, TrackedFile};
use crate::track::files::Files;
use crate::track::fingerprint::{read_full, Head, Identity, Tail, HEAD};
use crate::track::names::originals;
use crate::track::transition::Observation;

/// How long a file is not read that looks like a copy, and how many bytes a second are copied at least. That it does
/// not grow says nothing: whoever copies waits for the disk before he truncates (`fsync`), or has to wait in the
/// middle.
const LONGEST_COPY: Duration = Duration::from_secs(10);
const SLOWEST_COPY: u64 = 1 << 20;
/// The same if the original is not at its path any more: what is truncated has been by then, as far as anybody can see.
const WITHOUT_ORIGINAL: Duration = Duration::from_secs(1);

/// The followed file that a new one may be becoming a copy of: their names and heads tell.
pub(crate) fn original_of(files: &Files, id: FileId) -> Option<FileId> {
    let file = files.registry.get(id)?;
    let path = file.path()?;
    let names = originals(path);
    let at_path = names.iter().filter_map(|name| files.named(name));
    // It may have left its path since it was copied.
    let left = files.registry.restless().filter(|other| {
        let file = files.registry.get(*other);
        file.is_some_and(|file| names.iter().any(|name| **name == *file.name))
    });
    let original = at_path.chain(left).find(|original| {
        let other = files.registry.get(*original).filter(|_| *original != id);
        let settled = other.filter(|other| other.life.quarantine().is_none());
        settled.is_some_and(|other| begins_like(files, file, other))
    })?;
    debug!("{} may be a copy, not read yet", path.display());
    Some(original)
}

/// Reads files after all that turned out to be no copies.
pub(crate) fn settle_quarantined(files: &mut Files) {
    for (id, original) in files.registry.quarantined().collect::<Vec<_>>() {
        let before = files.ctx.fs.shortages();
        let file = files.registry.get(id);
        let both = file.zip(files.registry.get(original));
        // Before it is seen whether the original was truncated: then it does not hold the same any more.
        let alike = both.is_some_and(|(file, original)| {
            begins_like(files, file, original) && holds_the_same(files, file, original)
        });
        let at_path = both.filter(|(file, _)| is_named_after(files, file, original));
        let longest = at_path.map_or(WITHOUT_ORIGINAL, |(_, original)| longest_copy(original));
        let truncated = both.map_or(Truncated::No, |(_, original)| is_truncated(files, original));
        let held = file.and_then(|file| {
            let since = file.life.quarantine()?.since;
            Some(files.ctx.time.since(since) < longest)
        });
        if truncated == Truncated::Maybe || truncated == Truncated::Unknown && held == Some(true) {
            // That is known for certain soon.
            continue;
        }
        let compared = Observation::Compared { alike, longest };
        // Without a descriptor nobody can tell.
        if files.ctx.fs.shortages() == before {
            files.observe(id, compared);
        }
    }
}

/// Whether a file was truncated, and nobody has looked into that yet; a network filesystem may not have told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Truncated {
    No,
    Maybe,
    /// The file cannot be opened, so that its server is not asked.
    Unknown,
}

fn is_truncated(files: &Files, original: &TrackedFile) -> Truncated {
    if !original.remote {
        // It was not looked into yet, such as for want of a descriptor.
        let now =
            at_hand(files, original).and_then(|handle| Ok((handle.metadata()?.len(), handle)));
        return match now {
            Ok((size, handle)) if original.is_rewritten_in(&handle, size) => Truncated::Maybe,
            Err(error) if !is_missing(&error) => Truncated::Unknown,
            _ => Truncated::No,
        };
    }
    let Some(path) = original.path() else {
        return Truncated::No;
    };
    let suspected = original.rare.as_ref().and_then(|rare| rare.shorter_since);
    if suspected.is_some() {
        return Truncated::Maybe;
    }
    // Who opens a file is told how it is now.
    let now = match files.handles.open_at_once(path) {
        Ok((_, now)) => now,
        Err(error) if is_missing(&error) => return Truncated::No,
        Err(_) => return Truncated::Unknown,
    };
    let same = Identity::of(&now) == original.identity;
    if same && (now.len() < original.size() || original.is_rewritten(now.len())) {
        Truncated::Maybe
    } else {
        Truncated::No
    }
}

/// A drain waits for nothing. Half of a line is read where it is whole.
pub(crate) fn release_quarantined(files: &mut Files) {
    for id in to_be_released(files).collect::<Vec<_>>() {
        files.observe(id, Observation::Released);
    }
}

/// Whether files are to be read in a drain that are not yet.
pub(crate) fn awaits_release(files: &Files) -> bool {
    to_be_released(files).next().is_some()
}

/// Files that wait, but for those that are still being copied.
fn to_be_released(files: &Files) -> impl Iterator<Item = FileId> + '_ {
    let waits = files.registry.quarantined().filter(|(id, original)| {
        let both = files.registry.get(*id).zip(files.registry.get(*original));
        !both.is_some_and(|(copy, its)| {
            is_named_after(files, copy, *original) && ends_within_a_line(files, copy, its)
        })
    });
    waits.map(|(id, _)| id)
}

/// Whether a copy's name is a rotated one of its original's, which is still there.
fn is_named_after(files: &Files, copy: &TrackedFile, original: FileId) -> bool {
    let mut names = originals(copy.shown()).into_iter();
    names.any(|name| files.named(&name) == Some(original))
}

/// Whether a copy is still being made: its end is none of a line, and its original at its path goes on there. Files of
/// whole lines may be alike.
fn ends_within_a_line(files: &Files, copy: &TrackedFile, original: &TrackedFile) -> bool {
    let ends = || {
        let handle = at_hand(files, copy)?;
        // A network filesystem may not have told of the rest.
        let size = handle.metadata_now()?.len();
        let tail = Tail::read(&handle, size)?;
        let goes_on = at_hand(files, original)?.metadata_now()?.len() > size;
        Ok::<_, io::Error>(goes_on && tail.bytes().last() != Some(&b'\n'))
    };
    ends().unwrap_or(false)
        && begins_like(files, copy, original)
        && holds_the_same(files, copy, original)
}

/// Whether both have the same first bytes, as far as the shorter one goes, and the copy holds no
/// more than the original may have had.
pub(super) fn begins_like(files: &Files, copy: &TrackedFile, original: &TrackedFile) -> bool {
    let Some(first) = head_of(files, original) else {
        return false;
    };
    let handle = match at_hand(files, copy) {
        Ok(handle) => handle,
        // Nobody can tell now.
        Err(error) => return none_left(&error),
    };
    let mut head = [0; HEAD];
    let length = read_full(&handle, &mut head, 0).unwrap_or(0);
    if length == 0 || !first.begins_like(&head[..length]) {
        return false;
    }
    // What was written to the original last may be known from the copy first.
    copy.seen.size <= original.seen.size
        || original
            .fingerprint()
            .fits(&handle, copy.seen.size)
            .unwrap_or(false)
}

/// What a file begins with. What was written last may not have been looked at yet.
fn head_of(files: &Files, file: &TrackedFile) -> Option<Head> {
    if !file.head.is_empty() {
        return Some(file.head);
    }
    let handle = at_hand(files, file).ok()?;
    if file.remote {
        handle.metadata_now().ok()?;
    }
    let mut head = [0; HEAD];
    let length = read_full(&handle, &mut head, 0).ok()?;
    (length > 0).then(|| Head::of(&head[..length]))
}

/// Whether both have the same where the shorter one ends, or where the original was read to, and the copy has no more.
/// As long as nobody can tell, it is so; and what is not written yet into a copy may become anything.
fn holds_the_same(files: &Files, copy: &TrackedFile, original: &TrackedFile) -> bool {
    let compare = || {
        let (handle, its) = (at_hand(files, copy).ok()?, at_hand(files, original).ok()?);
        // A network filesystem tells late how long it is.
        if !original.remote && its.metadata().ok()?.len() < copy.seen.size {
            return Some(false);
        }
        let end = copy.seen.size.min(original.offset);
        let tail = if end == original.offset {
            original.tail
        } else {
            Tail::read(&its, end).ok()?
        };
        let copied = Tail::read(&handle, end).ok()?;
        let mut both = tail.bytes().iter().rev().zip(copied.bytes().iter().rev());
        Some(both.all(|(byte, copied)| byte == copied || *copied == 0))
    };
    compare().unwrap_or(true)
}

/// How long copying a file may take.
fn longest_copy(original: &TrackedFile) -> Duration {
    LONGEST_COPY + Duration::from_secs(original.seen.size / SLOWEST_COPY)
}
