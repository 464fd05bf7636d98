//! Files beyond `max_files`: they wait, and in a drain others that are read give way to them.

use std::collections::hash_map::Entry;
use std::hash::BuildHasher as _;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tracing::{info, warn};

use crate::checkpoint::folder::list;
use crate::compressed::left_alone::Compressed;
use crate::context::Context;
use crate::counters::Trouble;
use crate::map::{HashMap, Number, Standing};
use crate::source::paths::Paths;
use crate::track::file::FileId;
use crate::track::files::Files;
use crate::track::fingerprint::{Clue, Fingerprint, Identity};
use crate::track::limit::{Come, Outside, MOST_BEYOND, MOST_PATHS};
use crate::track::names::may_be_at;

/// Bytes of names of files beyond the limit that are kept, so that a folder is not listed for each of them.
const MOST_WAITING: usize = 8 << 20;

/// Files that are there and not followed, since there are too many.
#[derive(Debug, Default)]
pub(crate) struct Beyond {
    files: u64,
    /// That they have, together.
    bytes: u64,
    said: bool,
    outside: Outside,
    /// Where some of them are, and which files these are.
    paths: Paths<Waiting>,
    /// Those that were not there in their turn, until a scan has looked for them.
    strayed: Vec<(PathBuf, Waiting)>,
    /// Files that a drain has read and that gave way to others, by their numbers.
    ended: HashMap<Number, Ended>,
    /// Names of files that wait, and of those that gave way: whoever finds them in a folder knows them by
    /// that.
    names: HashMap<Number, Known>,
    standing: Standing,
    /// When those that gave way are looked at though nobody has told of anything.
    look: Option<Instant>,
}

/// The kernel does not tell of everything, such as what is written through a memory map.
const LOOK: Duration = Duration::from_secs(10);

/// A file that waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiting {
    /// That of its identity.
    number: u64,
    inode: u64,
    /// Bytes that it had.
    bytes: u64,
}

/// How a file was that gave way.
#[derive(Clone, Copy, Debug)]
struct Ended {
    /// Bytes that it had, as bytes: there may be very many of these.
    bytes: [u8; 8],
    /// How far it was read.
    read: Clue,
}

/// Why a name is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    Waits,
    /// It has its turn, and is known by other things as long as that lasts.
    HasTurn,
    GaveWay,
}

/// Whether one more file would be too many.
pub(crate) fn is_full(files: &Files, compressed: &Compressed) -> bool {
    files.registry.len() + compressed.len() >= files.ctx.options.max_files
}

impl Beyond {
    /// Bytes of the files that wait.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// One more file of so many bytes would be too many.
    pub(crate) fn leave_out(
        &mut self,
        ctx: &Context,
        path: &Path,
        identity: &Identity,
        bytes: u64,
    ) {
        let come = self.outside.come(identity.number());
        if come == Come::Again && self.known(path, identity.inode) == Some(Known::Waits) {
            return;
        }
        self.name(path, identity.inode, Known::Waits);
        if self.paths.len() < MOST_BEYOND && self.paths.bytes() < MOST_WAITING {
            let waits = Waiting {
                number: identity.number(),
                inode: identity.inode,
                bytes,
            };
            self.paths.push(path, waits);
        }
        if come == Come::Again {
            // It has another name, by which it is found if it does not have the first one any more.
            return;
        }
        self.files += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        if come == Come::New {
            ctx.counters.error(Trouble::Limit);
        }
        if !self.said {
            self.said = true;
            let most = ctx.options.max_files;
            warn!(
                "{}: max_files {most} are followed: this and others wait until one of them ends",
                path.display()
            );
        }
    }

    /// Whether a drain has read this file to its end and it has not changed since.
    pub(crate) fn has_given_way(&self, identity: &Identity, bytes: u64) -> bool {
        let ended = self.ended.get(&identity.number().into());
        ended.is_some_and(|ended| ended.bytes == bytes.to_ne_bytes())
    }

    /// The number of a name and of what stands there. Whoever chooses names cannot choose numbers.
    fn number_of(&self, path: &Path, inode: u64) -> Number {
        let path = path.as_os_str().as_bytes();
        self.standing.hash_one((path, inode)).into()
    }

    /// A file has this name and inode, and is known for this from now on.
    fn name(&mut self, path: &Path, inode: u64, known: Known) {
        let number = self.number_of(path, inode);
        let room = self.names.len() < MOST_BEYOND;
        match self.names.entry(number) {
            Entry::Occupied(mut name) => *name.get_mut() = known,
            Entry::Vacant(name) if room && known != Known::HasTurn => {
                name.insert(known);
            }
            Entry::Vacant(_) => {}
        }
    }

    /// What a file with this name and inode is known for.
    pub(crate) fn known(&self, path: &Path, inode: u64) -> Option<Known> {
        if self.names.is_empty() {
            return None;
        }
        self.names.get(&self.number_of(path, inode)).copied()
    }

    /// Where a file ended that gave way.
    pub(crate) fn end_when_it_gave_way(&mut self, identity: &Identity) -> Option<Clue> {
        let ended = self.ended.remove(&identity.number().into());
        ended.map(|ended| ended.read)
    }

    /// Whether files are to give way, since others wait.
    pub(crate) fn waits(&self) -> bool {
        let none = self.files == 0 && self.paths.is_empty() && self.strayed.is_empty();
        !none && self.ended.len() < MOST_BEYOND
    }

    /// Files of so many bytes have given way.
    pub(crate) fn take(&mut self, settled: Vec<(Identity, u64)>) {
        for (identity, bytes) in settled {
            let read = Fingerprint {
                offset: bytes,
                ..Fingerprint::default()
            };
            self.end(&identity, bytes, read);
        }
    }

    fn end(&mut self, identity: &Identity, bytes: u64, read: Fingerprint) {
        if self.ended.len() == self.ended.capacity() {
            // All that wait are to come: what would be left behind as it grows would be as much again.
            let all = usize::try_from(self.files).unwrap_or(MOST_BEYOND);
            self.ended.reserve(all.clamp(1, MOST_BEYOND));
        }
        let ended = Ended {
            bytes: bytes.to_ne_bytes(),
            read: read.into(),
        };
        self.ended.insert(identity.number().into(), ended);
    }

    /// A file gives way, if it is read to its end. One that cannot be read stays, and is said to be unread.
    pub(crate) fn gives_way(&mut self, files: &Files, id: FileId) -> bool {
        let file = files.registry.get(id);
        let Some(file) = file.filter(|file| file.life.is_idle() && file.ahead() == 0) else {
            return false;
        };
        // By its length it is known when it is found again: a compressed one by that on the disk.
        let window = files.windows.get(id);
        let packed = window.and_then(|window| window.gunzip.size().ok());
        let bytes = packed.unwrap_or(file.seen.size);
        self.end(&file.identity, bytes, file.fingerprint());
        self.look = Some(files.ctx.time.now() + LOOK);
        if let Some(path) = file.path() {
            self.name(path, file.identity.inode, Known::GaveWay);
        }
        true
    }

    /// How many have given way.
    pub(crate) fn have_given_way(&self) -> usize {
        self.ended.len()
    }

    /// Whether it is time to look at files that have given way; `told`: whatever is written to them is told.
    pub(crate) fn doubts_those_that_gave_way(&mut self, now: Instant, told: bool) -> bool {
        let doubts = !self.ended.is_empty() && (!told || self.look.is_none_or(|at| now >= at));
        if doubts {
            self.look = Some(now + LOOK);
            self.doubt();
        }
        doubts
    }

    /// Something was not told: whatever is found in a folder is looked at.
    pub(crate) fn doubt(&mut self) {
        self.names = HashMap::default();
    }

    /// A file that waits and has its turn now, and where it was; what is there is told next.
    pub(crate) fn next(&mut self) -> Option<(PathBuf, Waiting)> {
        self.paths.pop()
    }

    /// The file at this path has its turn.
    pub(crate) fn has_turn(&mut self, path: &Path, identity: &Identity, bytes: u64) {
        self.name(path, identity.inode, Known::HasTurn);
        self.waits_no_more(identity.number(), bytes);
    }

    /// It is not where it was. Unless it had its turn under another name, it is looked for.
    pub(crate) fn is_not_there(&mut self, path: PathBuf, file: Waiting) {
        if self.waits_no_more(file.number, file.bytes) && self.strayed.len() < MOST_PATHS {
            self.strayed.push((path, file));
        }
    }

    /// `false`: it did not, as far as is known.
    fn waits_no_more(&mut self, number: u64, bytes: u64) -> bool {
        let waited = self.outside.has_turn(number);
        if waited {
            self.files = self.files.saturating_sub(1);
            self.bytes = self.bytes.saturating_sub(bytes);
        }
        waited
    }

    /// Behind a scan: where those are now that were not where they had been. What has gone unread is counted.
    pub(crate) fn find_strayed(&mut self, files: &Files) -> Vec<(PathBuf, PathBuf)> {
        let fs = &files.ctx.fs;
        let before = fs.shortages();
        let mut listings: HashMap<PathBuf, HashMap<u64, PathBuf>> = HashMap::default();
        let mut found = Vec::new();
        for (path, file) in std::mem::take(&mut self.strayed) {
            // The scan has come by it, or whoever told of its name.
            if self.outside.is_here(file.number) || files.registry.has(file.number) {
                continue;
            }
            let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
            let listing = listings.entry(folder);
            let listing = listing.or_insert_with_key(|folder| list(fs, folder));
            let now = listing.get(&file.inode).filter(|now| {
                let there = fs.metadata(now).map(|metadata| Identity::of(&metadata));
                there.is_ok_and(|it| it.number() == file.number && may_be_at(&it, &path, now))
            });
            match now {
                Some(now) => found.push((path, now.clone())),
                // Without a descriptor nobody can look for it.
                None if fs.shortages() > before => self.strayed.push((path, file)),
                None => {
                    // It may have been followed before.
                    let read = files.dormant.read_of(file.number);
                    let lost = file.bytes.saturating_sub(read);
                    if read > 0 && lost == 0 {
                        continue;
                    }
                    let text = format!(
                        "it was gone with {lost} unread bytes before it had its turn (max_files)"
                    );
                    files.ctx.counters.lost_bytes.add(lost);
                    files.ctx.troubles.say_of_gone(Trouble::Missed, path, &text);
                }
            }
        }
        found
    }

    /// No path of a file that waits is known any more.
    pub(crate) fn knows_no_path(&self) -> bool {
        self.paths.is_empty()
    }

    /// Whether files wait of which it is not known where they are.
    pub(crate) fn are_to_be_found(&self) -> bool {
        (self.files > 0 || !self.strayed.is_empty()) && self.knows_no_path()
    }

    /// There is room: all that wait are come by again. `false`: there are none.
    pub(crate) fn begin_anew(&mut self) -> bool {
        let any = self.files > 0;
        if any {
            self.files = 0;
            self.bytes = 0;
            self.paths = Paths::default();
            self.names = HashMap::default();
            self.outside.begin_anew();
        }
        any
    }

    /// After a scan: says whether files wait.
    pub(crate) fn tell(&mut self, ctx: &Context) {
        ctx.counters.waiting.set(self.files);
        if self.said && self.files == 0 && self.strayed.is_empty() {
            self.said = false;
            self.outside = Outside::default();
            // Those that gave way are known by theirs.
            if self.ended.is_empty() {
                self.names = HashMap::default();
            }
            info!("every file is followed");
        }
    }
}
