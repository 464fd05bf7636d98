//! Files beyond `max_files`: they wait, and in a drain others that are read give way to them.

use std::path::{Path, PathBuf};

use tracing::{info, warn};

use crate::compressed::left_alone::Compressed;
use crate::context::Context;
use crate::counters::Trouble;
use crate::fs::Fs;
use crate::map::HashMap;
use crate::track::file::FileId;
use crate::track::files::Files;
use crate::track::fingerprint::{Fingerprint, Identity};
use crate::track::limit::{Come, Outside, MOST_BEYOND};

/// Paths of files beyond the limit that are kept, so that a folder is not listed for each of them.
const MOST_WAITING: usize = 50_000;

/// Files that are there and not followed, since there are too many.
#[derive(Debug, Default)]
pub(crate) struct Beyond {
    files: u64,
    /// That they have, together.
    bytes: u64,
    said: bool,
    outside: Outside,
    /// Where some of them are.
    paths: Vec<PathBuf>,
    /// Files that a drain has read and that gave way to others, by their numbers.
    ended: HashMap<u64, Ended>,
}

/// How a file was that gave way.
#[derive(Clone, Copy, Debug)]
struct Ended {
    /// Bytes that it had.
    bytes: u64,
    /// How far it was read.
    read: Fingerprint,
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
        if come == Come::Again {
            return;
        }
        if self.paths.len() < MOST_WAITING {
            self.paths.push(path.to_owned());
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
        let ended = self.ended.get(&identity.number());
        ended.is_some_and(|ended| ended.bytes == bytes)
    }

    /// Where a file ended that gave way.
    pub(crate) fn end_when_it_gave_way(&mut self, identity: &Identity) -> Option<Fingerprint> {
        let ended = self.ended.remove(&identity.number());
        ended.map(|ended| ended.read)
    }

    /// Whether files are to give way, since others wait.
    pub(crate) fn waits(&self) -> bool {
        let none = self.files == 0 && self.paths.is_empty();
        !none && self.ended.len() < MOST_BEYOND
    }

    /// Files of so many bytes have given way.
    pub(crate) fn take(&mut self, settled: Vec<(Identity, u64)>) {
        for (identity, bytes) in settled {
            let ended = Ended {
                bytes,
                read: Fingerprint {
                    offset: bytes,
                    ..Fingerprint::default()
                },
            };
            self.ended.insert(identity.number(), ended);
        }
    }

    /// A file gives way, if it is read to its end. One that cannot be read stays, and is said to be unread.
    pub(crate) fn gives_way(&mut self, files: &Files, id: FileId) -> bool {
        let file = files.registry.get(id);
        let Some(file) = file.filter(|file| file.life.is_idle() && file.ahead() == 0) else {
            return false;
        };
        let ended = Ended {
            bytes: file.seen.size,
            read: file.fingerprint(),
        };
        self.ended.insert(file.identity.number(), ended);
        true
    }

    /// There are files that have given way.
    pub(crate) fn any_gave_way(&self) -> bool {
        !self.ended.is_empty()
    }

    /// A file that waits has its turn.
    pub(crate) fn next(&mut self, fs: &Fs) -> Option<PathBuf> {
        let path = self.paths.pop()?;
        self.files = self.files.saturating_sub(1);
        if let Ok(metadata) = fs.metadata(&path) {
            self.outside.has_turn(Identity::of(&metadata).number());
            self.bytes = self.bytes.saturating_sub(metadata.len());
        }
        Some(path)
    }

    /// There is room: all that wait are come by again. `false`: there are none.
    pub(crate) fn begin_anew(&mut self) -> bool {
        let any = self.files > 0;
        if any {
            self.files = 0;
            self.bytes = 0;
            self.paths.clear();
            self.outside.begin_anew();
        }
        any
    }

    /// After a scan: says whether files wait.
    pub(crate) fn tell(&mut self, ctx: &Context) {
        ctx.counters.waiting.set(self.files);
        if self.said && self.files == 0 {
            self.said = false;
            self.outside = Outside::default();
            info!("every file is followed");
        }
    }
}
