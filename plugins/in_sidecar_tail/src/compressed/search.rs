//! Looking for positions in compressed files, a step at a time.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use tracing::debug;

use crate::checkpoint::entry::{Entry, Rare};
use crate::compressed::format::Format;
use crate::compressed::growth::Growth;
use crate::compressed::gunzip::{self, Gunzip, OUTPUT_AT_ONCE};
use crate::compressed::kin::ReadSoFar;
use crate::compressed::left_alone::COMPLETE;
use crate::context::Context;
use crate::counters::Trouble;
use crate::fs::{none_left, Handle};
use crate::options::Options;
use crate::source::confine::Confine;
use crate::track::files::Files;
use crate::track::fingerprint::{read_full, Fingerprint, Identity, Tail, HEAD};

/// Compressed files that are searched at a time.
const AT_ONCE: usize = 4;
/// Positions that are looked for in compressed files, and files looked into for each.
const MOST_SEARCHES: usize = 1000;
const MOST_SEARCHED: usize = 100;

/// What is looked for among compressed files. It goes a step at a time, so that a large file keeps
/// nobody from being read.
#[derive(Debug)]
pub(crate) struct Search {
    pub(crate) goal: Goal,
    pub(crate) entry: Entry,
    otherwise: Otherwise,
    /// Files that may be it and have not been looked at. Another one may have the name of each by then.
    files: Vec<(PathBuf, Identity)>,
    current: Option<Unpacking>,
}

/// What a compressed file is that does not hold what was read before its position.
#[derive(Debug)]
pub(crate) enum Otherwise {
    /// It may have been read so far, or not at all.
    Read(Vec<ReadSoFar>),
    /// Another one, which has its inode.
    Another,
}

/// Why a position is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// A file with this position is not there any more.
    Original,
    /// The compressed file itself was read so far.
    Itself,
}

/// A compressed file, decompressed up to a position.
#[derive(Debug)]
pub(crate) struct Unpacking {
    pub(crate) path: PathBuf,
    pub(crate) identity: Identity,
    pub(crate) gunzip: Gunzip,
    pub(crate) head: Vec<u8>,
    /// How far it is decompressed, at most to the position, and the bytes before that.
    offset: u64,
    pub(crate) tail: Tail,
    /// What is behind the position so far.
    pub(crate) rest: Vec<u8>,
    growth: Growth,
}

/// Whether there is a file to look into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Opened,
    /// No descriptor is left.
    Later,
    NoMore,
}

/// What a step of a search came to.
#[derive(Debug)]
enum Came {
    /// There is more to be decompressed.
    More,
    /// The file may still be written.
    Waits,
    /// It has the text before the position; how it ended, if it did.
    Found(Option<io::Result<()>>),
    /// It is the compressed form of another file.
    Foreign,
}

/// What a step of all searches came to.
#[derive(Debug)]
pub(crate) enum Step {
    /// There is nothing to do at the moment.
    Idle,
    More,
    /// This compressed file is not there any more: what is at its path is another one.
    Nowhere(Identity, Arc<Path>),
    /// This is not what was read, but another one that has its inode.
    Another(Identity, PathBuf),
    Found(Box<Found>),
}

/// A position that was found in a compressed file.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) search: Search,
    pub(crate) current: Unpacking,
    /// How the file ended, if it did.
    pub(crate) over: Option<io::Result<()>>,
}

/// All that is looked for.
#[derive(Debug, Default)]
pub(crate) struct Searches {
    all: VecDeque<Search>,
    /// Whose turn it was.
    turn: usize,
    /// Room for what is decompressed.
    text: Vec<u8>,
}

impl Searches {
    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// A compressed file is at `path` now.
    pub(crate) fn moved(&mut self, identity: &Identity, path: &Path) {
        for search in &mut self.all {
            if search.is_of(identity) && !search.files.is_empty() {
                search.files = vec![(path.to_path_buf(), *identity)];
                search.entry.path = path.into();
            }
        }
    }

    /// Has a compressed file read from where it was read to.
    pub(crate) fn itself(
        &mut self,
        options: &Options,
        path: &Path,
        identity: Identity,
        (fingerprint, cut): ReadSoFar,
        otherwise: Otherwise,
    ) {
        if self.all.iter().any(|search| search.is_of(&identity)) {
            return;
        }
        let entry = Entry {
            path: options.globs.name_of(path).into(),
            identity,
            fingerprint,
            rotated: false,
            seen: 0,
            rare: Rare {
                cut,
                ..Rare::default()
            }
            .kept(),
        };
        self.all.push_back(Search {
            goal: Goal::Itself,
            entry,
            otherwise,
            files: vec![(path.to_owned(), identity)],
            current: None,
        });
    }

    /// Whether this file is also looked into for a file that began alike and was read further.
    pub(crate) fn is_wanted_further(&self, path: &PathBuf, offset: u64) -> bool {
        let mut others = self.all.iter().filter(|search| {
            search.goal == Goal::Original && search.entry.fingerprint.offset > offset
        });
        others.any(|search| {
            let current = search.current.as_ref();
            let mut paths = search.files.iter().map(|(path, _)| path);
            paths.any(|other| other == path) || current.is_some_and(|current| current.path == *path)
        })
    }

    /// What was found is not to be read: it is looked for in other files, or in this one again.
    pub(crate) fn go_on(&mut self, mut search: Search, again: Option<(PathBuf, Identity)>) {
        search.files.extend(again);
        self.all.push_back(search);
    }

    /// Begins to look for the compressed form of a file whose position is known and that is not
    /// there any more, among these, to read what follows the position.
    pub(crate) fn original(&mut self, ctx: &Context, entry: Entry, paths: &[&PathBuf]) {
        let known = |search: &Search| search.goal == Goal::Original && search.entry == entry;
        if entry.fingerprint.head.length == 0 || self.all.iter().any(known) {
            return;
        }
        let is_gzip = |path: &&&PathBuf| {
            let extension = path.extension();
            extension.is_some_and(|e| e.eq_ignore_ascii_case("gz"))
        };
        let paths = paths.iter().filter(is_gzip).take(MOST_SEARCHED);
        let files = paths.filter_map(|path| {
            let there = ctx.fs.metadata(path).ok()?;
            Some((path.to_path_buf(), Identity::of(&there)))
        });
        let files: Vec<_> = files.collect();
        if !files.is_empty() && self.all.len() >= MOST_SEARCHES {
            let text = "it may be compressed by now; there are too many to look for it";
            ctx.troubles.say(Trouble::Compressed, &entry.path, text);
        } else if !files.is_empty() {
            self.all.push_back(Search {
                goal: Goal::Original,
                entry,
                otherwise: Otherwise::Another,
                files,
                current: None,
            });
        }
    }

    /// Goes on by one step.
    pub(crate) fn step(&mut self, files: &Files) -> Step {
        let active = self.all.len().min(AT_ONCE);
        if active == 0 {
            return Step::Idle;
        }
        self.turn = (self.turn + 1) % active;
        let Some(mut search) = self.all.remove(self.turn) else {
            return Step::Idle;
        };
        let now = files.ctx.time.now();
        if search.current.is_none() {
            match search.next(files.handles.confine(), now) {
                Next::Opened => {}
                Next::Later => {
                    self.all.insert(self.turn, search);
                    return Step::Idle;
                }
                Next::NoMore if search.goal == Goal::Itself => {
                    let Entry { identity, path, .. } = search.entry;
                    return Step::Nowhere(identity, path);
                }
                Next::NoMore => return Step::More,
            }
        }
        let Some(mut current) = search.current.take() else {
            return Step::More;
        };
        let mut step = Step::More;
        match current.step(&search.entry.fingerprint, &mut self.text) {
            Came::More => search.current = Some(current),
            Came::Waits => {
                let quiet = files.ctx.time.since(current.quiet_since(now));
                if quiet >= COMPLETE || files.is_draining() {
                    current.gunzip.complete();
                } else {
                    step = Step::Idle;
                }
                search.current = Some(current);
            }
            Came::Found(over) => {
                return Step::Found(Box::new(Found {
                    search,
                    current,
                    over,
                }));
            }
            Came::Foreign if search.goal == Goal::Itself && search.entry.fingerprint.offset > 0 => {
                let Otherwise::Read(others) = &mut search.otherwise else {
                    return Step::Another(search.entry.identity, current.path);
                };
                let (fingerprint, cut) = others.pop().unwrap_or_default();
                search.entry.go_on_at(fingerprint, cut);
                search.files.push((current.path, current.identity));
            }
            Came::Foreign => {}
        }
        self.all.insert(self.turn, search);
        step
    }
}

impl Search {
    /// Whether it is for the rest of this compressed file.
    fn is_of(&self, identity: &Identity) -> bool {
        self.goal == Goal::Itself && self.entry.identity == *identity
    }

    /// Goes on with the next file.
    fn next(&mut self, confine: &Confine, now: Instant) -> Next {
        while let Some((path, identity)) = self.files.pop() {
            let (handle, metadata) = match confine.open(&path) {
                Ok((handle, metadata))
                    if Identity::of(&metadata) == identity
                        && metadata.is_file()
                        && is_gzip(&handle) =>
                {
                    (handle, metadata)
                }
                Err(error) if none_left(&error) => {
                    self.files.push((path, identity));
                    return Next::Later;
                }
                _ => continue,
            };
            self.current = Some(Unpacking {
                identity,
                gunzip: Gunzip::new(handle),
                path,
                head: Vec::new(),
                offset: 0,
                tail: Tail::default(),
                rest: Vec::new(),
                growth: Growth::new(metadata.len(), now),
            });
            return Next::Opened;
        }
        Next::NoMore
    }
}

/// Its inode may be that of another file by now.
pub(super) fn is_gzip(handle: &Handle) -> bool {
    let mut start = [0; 2];
    read_full(handle, &mut start, 0).is_ok() && Format::of(&start) == Some(Format::Gzip)
}

impl Unpacking {
    /// Decompresses some more.
    fn step(&mut self, fingerprint: &Fingerprint, text: &mut Vec<u8>) -> Came {
        text.clear();
        let step = self.gunzip.step(text, OUTPUT_AT_ONCE);
        let more = HEAD.saturating_sub(self.head.len()).min(text.len());
        self.head.extend_from_slice(&text[..more]);
        let before = usize::try_from(fingerprint.offset - self.offset).unwrap_or(usize::MAX);
        let (before, behind) = text.split_at(before.min(text.len()));
        self.tail.push(before);
        self.offset += before.len() as u64;
        self.rest.extend_from_slice(behind);
        let (step, over) = match step {
            Ok(gunzip::Step::End) => (gunzip::Step::End, Some(Ok(()))),
            Ok(step) => (step, None),
            Err(error) => {
                debug!("{}: {error}", self.path.display());
                (gunzip::Step::End, Some(Err(error)))
            }
        };
        let head_known = self.head.len() >= usize::from(fingerprint.head.length);
        let fits = !head_known || fingerprint.head.is_head_of(&self.head);
        if head_known && fits && self.offset == fingerprint.offset {
            if fingerprint.tail.is_end_of(self.tail.bytes()) {
                return Came::Found(over);
            }
            return Came::Foreign;
        }
        match step {
            gunzip::Step::More if fits => Came::More,
            gunzip::Step::Waits if fits => Came::Waits,
            // Nothing more came of one that ends too early, for as long as that is waited for.
            _ => Came::Foreign,
        }
    }

    /// Since when the file has not grown.
    fn quiet_since(&mut self, now: Instant) -> Instant {
        let size = self.gunzip.size().unwrap_or(self.growth.size());
        self.growth.see(size, now);
        self.growth.since()
    }
}
