//! Positions of files that are not followed: of an earlier run, until their files are found, and of those
//! that may come back.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use crate::checkpoint::entry::Entry;
use crate::track::fingerprint::Identity;
use crate::track::names::stem;

/// Keys of entries that are gone which are kept in any case.
const FEW: usize = 1000;

/// An inode and a number, since several may have had the same inode. In order, and in few bytes.
type Key = [u32; 3];

fn key_of(inode: u64, number: u32) -> Key {
    [(inode >> 32) as u32, inode as u32, number]
}

/// The hash of what names of rotated forms begin with, and a key of the entries, or of one that is gone.
type Stems = BTreeSet<([u32; 2], Key)>;

/// Entries for which no file has been found yet.
#[derive(Debug, Default)]
pub(crate) struct Unclaimed {
    /// Shared with what is being written: there may be a hundred thousand.
    entries: BTreeMap<Key, Arc<Entry>>,
    next: u32,
    /// Made when somebody asks for it: who finds compressed files does, and a start with positions.
    stems: OnceCell<Stems>,
}

impl Unclaimed {
    pub(crate) fn new(entries: Vec<Entry>) -> Self {
        let mut unclaimed = Unclaimed::default();
        for entry in entries {
            unclaimed.add(entry, usize::MAX);
        }
        unclaimed
    }

    /// Entries of which the file at `path` may be a rotated form, as far as its name tells.
    pub(crate) fn originals<'a>(&'a self, path: &'a Path) -> impl Iterator<Item = &'a Entry> + 'a {
        let whole = path.as_os_str().as_bytes();
        let name = path.file_name().map_or(0, OsStr::len);
        let ends = whole.len() - name + 1..=whole.len();
        let hashes = ends.map(move |end| hash_of(&whole[..end]));
        let stems = (!self.entries.is_empty()).then(|| {
            self.stems.get_or_init(|| {
                let all = self.entries.iter();
                all.filter_map(|(key, entry)| Some((stem_of(&entry.path)?, *key)))
                    .collect()
            })
        });
        let found = hashes.flat_map(move |hash| {
            let stems = stems.into_iter();
            stems.flat_map(move |all| all.range((hash, [0; 3])..=(hash, [u32::MAX; 3])))
        });
        found.filter_map(|(_, key)| self.entries.get(key).map(Arc::as_ref))
    }

    /// Those of files that have, or had, this inode.
    pub(crate) fn with_inode(&self, inode: u64) -> impl Iterator<Item = &Entry> {
        self.of_inode(inode).map(|(_, entry)| &**entry)
    }

    /// The start is over: names are seldom asked for.
    pub(crate) fn forget_names(&mut self) {
        self.stems.take();
    }

    /// Adds one; of more than `most`, another one goes.
    pub(crate) fn add(&mut self, entry: Entry, most: usize) {
        if self.entries.len() >= most {
            self.entries.pop_first();
        }
        let key = key_of(entry.identity.inode, self.next);
        self.next = self.next.wrapping_add(1);
        if let Some(stems) = self.stems.get_mut() {
            stems.extend(stem_of(&entry.path).map(|stem| (stem, key)));
            if stems.len() > 2 * self.entries.len() + FEW {
                stems.retain(|(_, key)| self.entries.contains_key(key));
            }
        }
        self.entries.insert(key, Arc::new(entry));
    }

    /// Of those that were not seen since `before` only those stay that are `there`, which are seen `now`.
    pub(crate) fn expire(&mut self, before: u64, now: u64, mut there: impl FnMut(&Entry) -> bool) {
        self.entries.retain(|_, entry| {
            // The clock may have been set back.
            let mut seen = entry.seen.min(now);
            if seen < before && there(entry) {
                seen = now;
            }
            if seen != entry.seen {
                Arc::make_mut(entry).seen = seen;
            }
            seen >= before
        });
    }

    /// The entry of this file, if one fits; it is taken out. Of several the one that was read furthest: where
    /// inodes are used again those of files that are gone, and began alike, may fit, too.
    pub(crate) fn claim(
        &mut self,
        identity: &Identity,
        mut fits: impl FnMut(&Entry) -> bool,
    ) -> Option<Entry> {
        let key = self
            .of_inode(identity.inode)
            .filter(|(_, entry)| entry.identity.compatible(identity) && fits(entry))
            .max_by_key(|(_, entry)| entry.fingerprint.offset)
            .map(|(key, _)| *key)?;
        self.entries.remove(&key).map(Arc::unwrap_or_clone)
    }

    /// The entry of this file, if one fits.
    pub(crate) fn find(
        &self,
        identity: &Identity,
        mut fits: impl FnMut(&&Entry) -> bool,
    ) -> Option<&Entry> {
        let mut entries = self.with_inode(identity.inode);
        entries.find(|entry| entry.identity.compatible(identity) && fits(entry))
    }

    fn of_inode(&self, inode: u64) -> impl Iterator<Item = (&Key, &Arc<Entry>)> {
        self.entries
            .range(key_of(inode, 0)..=key_of(inode, u32::MAX))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.entries.values()
    }

    /// Takes out those that `out` says.
    pub(crate) fn remove(&mut self, mut out: impl FnMut(&Entry) -> bool) {
        self.entries.retain(|_, entry| !out(entry));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

fn stem_of(path: &Path) -> Option<[u32; 2]> {
    let stem = path.with_file_name(stem(path)?);
    Some(hash_of(stem.as_os_str().as_bytes()))
}

fn hash_of(bytes: &[u8]) -> [u32; 2] {
    let hash = xxh3_64(bytes);
    [(hash >> 32) as u32, hash as u32]
}
