//! What compressed files are to those that were read.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::checkpoint::entry::{Entry, Rare};
use crate::compressed::gunzip::Gunzip;
use crate::fs::Handle;
use crate::read::lines::CutLine;
use crate::track::file::TrackedFile;
use crate::track::files::Files;
use crate::track::fingerprint::{read_full, Fingerprint, Identity, HEAD};
use crate::track::names::related;

/// Files that began alike which are looked for in a compressed one, at most: those that were read furthest.
const MOST_ALIKE: usize = 16;

/// What a compressed file is, beside those that are known.
pub(super) enum Kin {
    /// All of this one, which was read so far, is in it.
    FormOf(Arc<Path>, Fingerprint),
    /// It begins like this one and maybe others, which were read so far, the furthest last.
    Like(Arc<Path>, Vec<ReadSoFar>),
    Stranger,
}

/// How far a file was read, and the line that is in, if its beginning was passed on.
pub(super) type ReadSoFar = (Fingerprint, Option<CutLine>);

/// How long a file is.
enum Size<'a> {
    /// It was, when it was read last.
    Last(u64),
    /// It is still followed, and may have grown since it was looked at.
    Now(&'a TrackedFile),
}

impl Size<'_> {
    fn get(&self) -> u64 {
        match self {
            Size::Last(size) => *size,
            Size::Now(file) => {
                let now = file.handle.as_ref().and_then(|h| h.metadata().ok());
                now.map_or(file.size(), |now| file.size().max(now.len()))
            }
        }
    }
}

/// A compressed file holds what was read under another name; that is known after a restart, too.
pub(super) fn keep_packed(
    files: &mut Files,
    path: &Arc<Path>,
    identity: &Identity,
    packed: u64,
    read: Fingerprint,
) {
    let Some(checkpointer) = &mut files.checkpointer else {
        return;
    };
    let entry = Entry {
        path: path.clone(),
        identity: *identity,
        fingerprint: read,
        rotated: true,
        seen: u64::from(files.ctx.time.timestamp().seconds),
        rare: Rare {
            packed: Some(packed),
            ..Rare::default()
        }
        .kept(),
    };
    checkpointer.keep(entry);
}

/// A compressed file has its position itself now.
pub(super) fn claim_packed(files: &mut Files, identity: &Identity) {
    let Some(checkpointer) = &mut files.checkpointer else {
        return;
    };
    let claimed = checkpointer
        .unclaimed
        .claim(identity, |entry| entry.packed().is_some());
    if let Some(entry) = claimed {
        files.entry_gone(entry.identity);
    }
}

/// What `handle` is the compressed form of, if that was read.
pub(super) fn kin_of(files: &Files, path: &Path, handle: Handle) -> Kin {
    let size = size_of(&handle).ok();
    let head = head_of(handle).ok().filter(|head| !head.is_empty());
    let Some((head, size)) = head.zip(size) else {
        return Kin::Stranger;
    };
    let followed = files.registry.iter();
    let followed =
        followed.map(|(_, file)| (&file.name, (file.fingerprint(), None), Size::Now(file)));
    let dormant = files.dormant.iter();
    let dormant = dormant.map(|file| (&file.name, (file.fingerprint, None), Size::Last(file.size)));
    let unclaimed = files.checkpointer.as_ref().map(|kept| &kept.unclaimed);
    let unclaimed = unclaimed.into_iter().flat_map(|all| all.originals(path));
    let unclaimed = unclaimed.filter(|entry| entry.packed().is_none());
    let unclaimed = unclaimed.map(|e| {
        let size = Size::Last(e.fingerprint.offset);
        (&e.path, (e.fingerprint, e.cut()), size)
    });
    let mut like: Vec<(&Arc<Path>, ReadSoFar)> = Vec::new();
    for (name, (its, cut), its_size) in followed.chain(dormant).chain(unclaimed) {
        // The file may have had less when its head was looked at, or nothing behind it was written.
        let is_like = its.head.length > 0
            && its.head.is_head_of(&head)
            && name.parent() == path.parent()
            && related(name, path);
        if is_like && its_size.get() as u32 == size {
            return Kin::FormOf(name.clone(), its);
        }
        if is_like && like.iter().all(|(_, (other, _))| *other != its) {
            like.push((name, (its, cut)));
        }
    }
    like.sort_unstable_by_key(|(_, (its, _))| its.offset);
    let furthest = like.split_off(like.len().saturating_sub(MOST_ALIKE));
    match furthest.last() {
        Some((name, _)) => {
            let all = furthest.iter().map(|(_, its)| *its);
            Kin::Like((*name).clone(), all.collect())
        }
        None => Kin::Stranger,
    }
}

/// The first bytes of the original, up to [`HEAD`], as far as one step gives them.
fn head_of(handle: Handle) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(HEAD);
    Gunzip::new(handle).step(&mut head, HEAD)?;
    Ok(head)
}

/// The original's size, modulo 2^32: the last four bytes.
fn size_of(handle: &Handle) -> io::Result<u32> {
    let mut size = [0; 4];
    let at = handle.metadata()?.len().saturating_sub(4);
    if read_full(handle, &mut size, at)? < size.len() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(u32::from_le_bytes(size))
}
