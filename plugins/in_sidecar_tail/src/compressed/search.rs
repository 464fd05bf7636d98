//! Compressed files. gzip (RFC 1952) is read like any other file, but for what was read before it
//! was compressed: what was read of a file is known again in its compressed form, and a rest that
//! nobody had read before it was compressed is read from where it begins. Other formats are said.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::{debug, info};

use crate::checkpoint::entry::Entry;
use crate::compressed::gunzip::{self, Gunzip, OUTPUT_AT_ONCE};
use crate::compressed::window::{Window, BLANK};
use crate::counters::Trouble;
use crate::fs::{Handle, Metadata};
use crate::map::HashSet;
use crate::read::lines::Splitter;
use crate::source::confine::Confine;
use crate::track::copies::related;
use crate::track::file::{FileId, Seen};
use crate::track::fingerprint::{read_full, Fingerprint, Identity, Print, Tail, HEAD};
use crate::track::transition::Observation;
use crate::worker::Worker;

/// How long a compressed file must not have grown to count as complete.
const COMPLETE: Duration = Duration::from_secs(1);
/// The same if it begins like a file that was read: it may be that, and not be written to its end.
const COMPLETE_COPY: Duration = Duration::from_secs(30);
/// Compressed files that are read at a time, and that are searched.
const AT_ONCE: usize = 4;
/// Positions that are looked for in compressed files, and files looked into for each.
const MOST_SEARCHES: usize = 1000;
const MOST_SEARCHED: usize = 100;
/// Files of which it is found out what they are before others have their turn.
const SETTLED_AT_ONCE: usize = 50;

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Gzip,
    Zstd,
    Bzip2,
    Xz,
    Zip,
}

impl Format {
    /// What a file is that begins with these bytes.
    pub(crate) fn of(start: &[u8]) -> Option<Self> {
        Some(match start {
            [0x1f, 0x8b, ..] => Format::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Format::Zstd,
            // A digit, and what a block begins with or the end.
            [b'B', b'Z', b'h', b'1'..=b'9', b'1', b'A', b'Y', b'&', ..]
            | [b'B', b'Z', b'h', b'1'..=b'9', 0x17, b'r', b'E', b'8', ..] => Format::Bzip2,
            [0xfd, b'7', b'z', b'X', b'Z', ..] => Format::Xz,
            [b'P', b'K', 3, 4, ..] => Format::Zip,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Format::Gzip => "gzip",
            Format::Zstd => "zstd",
            Format::Bzip2 => "bzip2",
            Format::Xz => "xz",
            Format::Zip => "zip",
        }
    }
}

/// A compressed file that is not read, or not any more.
#[derive(Debug)]
pub(crate) struct LeftAlone {
    pub(crate) path: Arc<Path>,
    seen: Seen,
    /// How far it was read.
    read: Option<Fingerprint>,
}

/// A compressed file of which it is not known yet whether it is the form of a known one.
#[derive(Debug)]
pub(crate) struct Unsettled {
    pub(crate) path: Arc<Path>,
    identity: Identity,
    pub(crate) size: u64,
    /// Since when it has this size.
    since: Instant,
}

/// What a compressed file is, beside those that are known.
enum Kin {
    FormOf(Arc<Path>, u64),
    /// It begins like this one.
    Like(Arc<Path>),
    Stranger,
}

/// What is looked for among compressed files. It goes a step at a time, so that a large file keeps
/// nobody from being read.
#[derive(Debug)]
pub(crate) struct Search {
    goal: Goal,
    entry: Entry,
    /// Files that may be it and have not been looked at.
    paths: Vec<PathBuf>,
    current: Option<Unpacking>,
}

/// Why a position is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goal {
    /// A file with this position is not there any more.
    Original,
    /// The compressed file itself was read so far.
    Itself,
}

/// A compressed file, decompressed up to a position.
#[derive(Debug)]
struct Unpacking {
    path: PathBuf,
    identity: Identity,
    gunzip: Gunzip,
    head: Vec<u8>,
    /// How far it is decompressed, at most to the position, and the bytes before that.
    offset: u64,
    tail: Tail,
    /// What is behind the position so far.
    rest: Vec<u8>,
    size: u64,
    since: Instant,
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

/// What a turn of decompressing came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unpacked {
    /// There is something to read, or nothing to decompress.
    Text,
    /// Nothing yet.
    Later,
    /// Nothing before the file grows.
    Waits,
    End,
}

/// The first bytes of the original, up to [`HEAD`], as far as one step gives them.
fn head_of(handle: &Handle) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(HEAD);
    Gunzip::new(handle.try_clone()?).step(&mut head, HEAD)?;
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

impl Search {
    /// Whether it is for the rest of this compressed file.
    fn is_of(&self, identity: &Identity) -> bool {
        self.goal == Goal::Itself && self.entry.identity == *identity
    }

    /// Goes on with the next file. `false`: no more.
    fn next(&mut self, confine: &Confine, now: Instant) -> bool {
        while let Some(path) = self.paths.pop() {
            let opened = confine.open(&path).ok().filter(|(_, m)| m.is_file());
            let Some((handle, metadata)) = opened else {
                continue;
            };
            self.current = Some(Unpacking {
                identity: Identity::of(&metadata),
                gunzip: Gunzip::new(handle),
                path,
                head: Vec::new(),
                offset: 0,
                tail: Tail::default(),
                rest: Vec::new(),
                size: metadata.len(),
                since: now,
            });
            return true;
        }
        false
    }
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
            _ => Came::Foreign,
        }
    }

    /// Since when the file has not grown.
    fn quiet_since(&mut self, now: Instant) -> Instant {
        let size = self.gunzip.size().unwrap_or(self.size);
        if size != self.size {
            self.size = size;
            self.since = now;
        }
        self.since
    }
}

impl Worker {
    /// A file that is compressed is not read as it is; what it is will be told when it is complete.
    pub(crate) fn leave_compressed(&mut self, id: FileId, format: Format) {
        let Some(file) = self.registry.get(id) else {
            return;
        };
        let (identity, seen) = (file.identity, file.seen);
        let path = file.shown().clone();
        // What was there when the instance began is not to be read.
        let passed = file.offset > 0;
        self.observe(id, Observation::Compressed);
        if format != Format::Gzip {
            let text = format!("it is compressed ({}), so it is not read", format.name());
            self.troubles.say(Trouble::Compressed, &path, &text);
        } else if !passed {
            self.unsettled.push(Unsettled {
                path: path.clone(),
                identity,
                size: seen.size,
                since: self.time.now(),
            });
        }
        self.leave_alone(identity, path, seen, None);
    }

    fn leave_alone(
        &mut self,
        identity: Identity,
        path: Arc<Path>,
        seen: Seen,
        read: Option<Fingerprint>,
    ) {
        let file = LeftAlone { path, seen, read };
        self.compressed.insert(identity, file);
    }

    /// Whether the file is compressed as it was when it was left alone. It may have been rewritten,
    /// or be another one: not every filesystem tells when an inode is used again.
    pub(crate) fn is_left_alone(&mut self, identity: &Identity, path: &Path, seen: Seen) -> bool {
        self.compressed_moved(identity, path);
        let Some(file) = self.compressed.get_mut(identity) else {
            return false;
        };
        if file.seen == seen {
            return true;
        }
        let mut start = [0; 16];
        let read = self
            .confine
            .open(path)
            .and_then(|(handle, _)| read_full(&handle, &mut start, 0));
        match read {
            Ok(length) if Format::of(&start[..length]).is_none() => {
                self.compressed.remove(identity);
                self.settled(identity);
                false
            }
            Ok(_) => {
                file.seen = seen;
                if let Some(fingerprint) = file.read {
                    // Members are added to it, or it is another one.
                    self.search_itself(path, *identity, fingerprint);
                }
                true
            }
            // That may be over at the next look.
            Err(_) => true,
        }
    }

    /// A compressed file is found at `path`: it may have been renamed.
    fn compressed_moved(&mut self, identity: &Identity, path: &Path) {
        let Some(file) = self.compressed.get_mut(identity) else {
            return;
        };
        if *file.path == *path || self.fs.symlink_metadata(&file.path).is_ok() {
            return;
        }
        let path: Arc<Path> = path.into();
        file.path = path.clone();
        let unsettled = self.unsettled.iter_mut().chain(&mut self.unclear);
        for file in unsettled.filter(|file| file.identity == *identity) {
            file.path = path.clone();
        }
        for search in &mut self.searches {
            if search.is_of(identity) && !search.paths.is_empty() {
                search.paths = vec![path.to_path_buf()];
            }
        }
    }

    /// Has a compressed file read from where it was read to.
    fn search_itself(&mut self, path: &Path, identity: Identity, fingerprint: Fingerprint) {
        if self.searches.iter().any(|search| search.is_of(&identity)) {
            return;
        }
        let entry = Entry {
            path: self.options.globs.name_of(path).into(),
            identity,
            fingerprint,
            rotated: false,
            target: None,
            cut: None,
            packed: None,
            seen: 0,
        };
        self.searches.push_back(Search {
            goal: Goal::Itself,
            entry,
            paths: vec![path.to_owned()],
            current: None,
        });
    }

    /// Finds out what the next few compressed files are; `now`: incomplete ones, too, and what is not
    /// known of one then is not asked again in this drain.
    pub(crate) fn settle_compressed(&mut self, now: bool) {
        if !self.searches.is_empty() {
            return;
        }
        let few = self.unsettled.len().min(SETTLED_AT_ONCE);
        let few: Vec<Unsettled> = self.unsettled.drain(..few).collect();
        for mut file in few {
            let opened = self.confine.open(&file.path);
            let Some((handle, metadata)) = opened
                .ok()
                .filter(|(_, metadata)| Identity::of(metadata) == file.identity)
            else {
                // Wherever it is found it is a new one.
                self.compressed.remove(&file.identity);
                continue;
            };
            if metadata.len() != file.size {
                file.size = metadata.len();
                file.since = self.time.now();
            }
            let quiet = self.time.since(file.since);
            // Whoever compresses gives it its original's time when that is done.
            let age = self.time.wall().duration_since(metadata.modified()).ok();
            let may_grow = quiet.max(age.unwrap_or_default()) < COMPLETE_COPY;
            let path = file.path.display();
            match self.kin_of(&file.path, &handle) {
                Kin::FormOf(name, size) => {
                    info!("{path} is the compressed form of {}", name.display());
                    self.keep_packed(&file.path, &file.identity, metadata.len(), size);
                }
                Kin::Like(name) if now && may_grow => {
                    let name = name.display();
                    let text = format!("it is compressed, begins like {name}, and may not be complete: it is not read now");
                    self.troubles.say(Trouble::Compressed, &file.path, &text);
                    self.unclear.push(file);
                }
                Kin::Like(_) if may_grow => self.unsettled.push(file),
                Kin::Stranger if !now && quiet < COMPLETE => self.unsettled.push(file),
                Kin::Like(_) | Kin::Stranger => {
                    self.troubles.over(Trouble::Compressed, &file.path);
                    self.search_itself(&file.path, file.identity, Fingerprint::default());
                }
            }
        }
    }

    /// It is known by now what a compressed file is.
    fn settled(&mut self, identity: &Identity) {
        self.unsettled.retain(|file| file.identity != *identity);
        self.unclear.retain(|file| file.identity != *identity);
    }

    /// Bytes of compressed files of which it is not known what they are.
    pub(crate) fn unsettled_bytes(&self) -> u64 {
        let all = self.unsettled.iter().chain(&self.unclear);
        all.map(|file| file.size).sum()
    }

    /// Takes out files about which nothing is open: what they are was said, or all of them was read.
    pub(crate) fn take_settled(&mut self) -> Vec<(Identity, u64)> {
        let open = self.unsettled.iter().chain(&self.unclear);
        let open: HashSet<Identity> = open.map(|file| file.identity).collect();
        let settled = self.compressed.iter().filter(|(id, _)| !open.contains(id));
        let settled: Vec<_> = settled.map(|(id, file)| (*id, file.seen.size)).collect();
        for (identity, _) in &settled {
            self.compressed.remove(identity);
        }
        settled
    }

    /// The drain is over: what was not clear at its end may be later.
    pub(crate) fn ask_unclear_again(&mut self) {
        self.unsettled.append(&mut self.unclear);
    }

    /// A compressed file holds what was read under another name; that is known after a restart, too.
    fn keep_packed(&mut self, path: &Arc<Path>, identity: &Identity, packed: u64, size: u64) {
        let Some(checkpointer) = &mut self.checkpointer else {
            return;
        };
        let entry = Entry {
            path: path.clone(),
            identity: *identity,
            fingerprint: Fingerprint {
                offset: size,
                ..Fingerprint::default()
            },
            rotated: true,
            target: None,
            cut: None,
            packed: Some(packed),
            seen: u64::from(self.time.timestamp().seconds),
        };
        checkpointer.keep(entry);
    }

    /// Whether a compressed file was read before the instance began. What has come since is read.
    pub(crate) fn is_known_packed(
        &mut self,
        path: &Path,
        identity: &Identity,
        metadata: &Metadata,
    ) -> bool {
        let same = |entry: &&Entry| {
            entry.packed.is_some()
                && (entry.identity.device == identity.device || *entry.path == *path)
        };
        let checkpointer = self.checkpointer.as_ref();
        let found =
            checkpointer.and_then(|checkpointer| checkpointer.unclaimed.find(identity, same));
        let Some((fingerprint, packed)) = found.map(|entry| (entry.fingerprint, entry.packed))
        else {
            return false;
        };
        self.leave_alone(
            *identity,
            path.into(),
            Seen::of(metadata),
            Some(fingerprint),
        );
        if packed != Some(metadata.len()) {
            self.search_itself(path, *identity, fingerprint);
        }
        true
    }

    /// A compressed file has its position itself now.
    fn claim_packed(&mut self, identity: &Identity) {
        let Some(checkpointer) = &mut self.checkpointer else {
            return;
        };
        let claimed = checkpointer
            .unclaimed
            .claim(identity, |entry| entry.packed.is_some());
        if let Some(entry) = claimed {
            self.entry_gone(entry.identity);
        }
    }

    /// What `handle` is the compressed form of, if that was read.
    fn kin_of(&self, path: &Path, handle: &Handle) -> Kin {
        let head = head_of(handle).ok().filter(|head| !head.is_empty());
        let Some((head, size)) = head.zip(size_of(handle).ok()) else {
            return Kin::Stranger;
        };
        let head = Print::of(&head);
        let followed = self.registry.iter().map(|(_, file)| {
            let size = file.seen.size.max(file.offset);
            (&file.name, file.head.print(), size)
        });
        let dormant = self.dormant.iter();
        let dormant =
            dormant.map(|file| (&file.name, file.fingerprint.head, file.fingerprint.offset));
        let mut like = Kin::Stranger;
        for (name, its_head, its_size) in followed.chain(dormant) {
            let is_like = its_head == head && name.parent() == path.parent() && related(name, path);
            if is_like && its_size as u32 == size {
                return Kin::FormOf(name.clone(), its_size);
            }
            if is_like {
                like = Kin::Like(name.clone());
            }
        }
        like
    }

    /// Begins to look for the compressed form of a file whose position is known and that is not
    /// there any more, among these, to read what follows the position.
    pub(crate) fn search_compressed(&mut self, entry: Entry, paths: &[PathBuf]) {
        if entry.fingerprint.head.length == 0 {
            return;
        }
        let is_gzip = |path: &&PathBuf| {
            let extension = path.extension();
            extension.is_some_and(|e| e.eq_ignore_ascii_case("gz"))
        };
        let paths = paths.iter().filter(is_gzip).take(MOST_SEARCHED);
        let paths: Vec<PathBuf> = paths.cloned().collect();
        if !paths.is_empty() && self.searches.len() >= MOST_SEARCHES {
            let text = "it may be compressed by now; there are too many to look for it";
            self.troubles.say(Trouble::Compressed, &entry.path, text);
        } else if !paths.is_empty() {
            self.searches.push_back(Search {
                goal: Goal::Original,
                entry,
                paths,
                current: None,
            });
        }
    }

    /// Goes on looking into compressed files. `false`: there is nothing to do at the moment.
    pub(crate) fn search_on(&mut self) -> bool {
        let active = self.searches.len().min(AT_ONCE);
        if active == 0 || self.windows.len() >= AT_ONCE {
            return false;
        }
        self.search_turn = (self.search_turn + 1) % active;
        let Some(mut search) = self.searches.remove(self.search_turn) else {
            return false;
        };
        let now = self.time.now();
        if search.current.is_none() && !search.next(&self.confine, now) {
            if search.goal == Goal::Itself {
                // It is not there; wherever it is found it is a new one.
                self.compressed.remove(&search.entry.identity);
            }
            return true;
        }
        let Some(mut current) = search.current.take() else {
            return true;
        };
        let mut text = std::mem::take(&mut self.text);
        let came = current.step(&search.entry.fingerprint, &mut text);
        self.text = text;
        let mut more = true;
        match came {
            Came::More => search.current = Some(current),
            Came::Waits => {
                let quiet = self.time.since(current.quiet_since(now));
                if quiet >= COMPLETE || self.draining.is_some() {
                    current.gunzip.complete();
                } else {
                    more = false;
                }
                search.current = Some(current);
            }
            Came::Found(over) => {
                // The file itself may have come back meanwhile.
                if search.goal == Goal::Itself || self.drop_unclaimed(&search.entry) {
                    self.read_rest(&search, current, over);
                }
                return true;
            }
            Came::Foreign if search.goal == Goal::Itself && search.entry.fingerprint.offset > 0 => {
                // It is another one now.
                search.entry.fingerprint = Fingerprint::default();
                search.paths.push(current.path);
            }
            Came::Foreign => {}
        }
        self.searches.insert(self.search_turn, search);
        more
    }

    fn read_rest(&mut self, search: &Search, current: Unpacking, over: Option<io::Result<()>>) {
        let Search { goal, entry, .. } = search;
        let (offset, shown) = (entry.fingerprint.offset, current.path.display());
        match goal {
            Goal::Original => info!(
                "{shown} is the compressed form of {}, read up to byte {offset}",
                entry.path.display()
            ),
            Goal::Itself => info!("{shown} is compressed, reading from byte {offset} of its text"),
        }
        let path = current.path.clone();
        // As the file that it is, if that is asked for, or as one that has no name any more.
        let matched = *goal == Goal::Itself || self.options.globs.matches(&path);
        let followed = self.registry.followed(&current.identity).is_some();
        self.settled(&current.identity);
        if followed {
            return;
        }
        let now = self.time.now();
        let (head, tail) = (&current.head, current.tail.bytes());
        let window = Window::new(&self.fs, current.gunzip, head, tail, offset, now).and_then(
            |mut window| {
                window.push(&current.rest)?;
                window.over = over;
                let handle = window.handle()?;
                let metadata = handle.metadata()?;
                Ok((window, handle, metadata))
            },
        );
        let (window, handle, metadata) = match window {
            Ok(made) => made,
            Err(error) => {
                let text = format!("it cannot be decompressed: {error}");
                return self.troubles.say(Trouble::Compressed, &path, &text);
            }
        };
        let identity = if matched {
            self.claim_packed(&current.identity);
            current.identity
        } else {
            Identity::of(&metadata)
        };
        let name = Some(entry.path.clone());
        let id = self.follow(&path, identity, handle, &metadata, Some(offset), name);
        self.windows.insert(id, window);
        if let Some(file) = self.registry.get_mut(id) {
            file.compared = true;
            file.checkpoint_tail = entry.fingerprint.tail;
            if matched {
                file.rare().packed = Some(0);
            }
            if let Some(line) = entry.cut {
                file.lines = Splitter::inside(line, offset);
                file.rare().before_checkpoint = Some(line);
            }
        }
        if !matched {
            // It is read to its end like a deleted file.
            self.gone(&path, true);
        }
        if self.draining.is_some() {
            self.observe(id, Observation::Drained);
        }
        self.observe_unread(id);
    }

    /// Decompresses some more of a file all of whose text was read.
    pub(crate) fn unpack(&mut self, id: FileId) -> Unpacked {
        let Some((window, file)) = self.windows.get_mut(&id).zip(self.registry.get_mut(id)) else {
            return Unpacked::Text;
        };
        let ahead = window.end - file.offset;
        if ahead > 0 && !file.blank {
            return Unpacked::Text;
        }
        if file.blank && ahead >= BLANK {
            // Not half of a character.
            let end = window.end / 4 * 4;
            self.skip_hole(id, end);
            return Unpacked::Later;
        }
        if window.over.is_some() {
            return Unpacked::End;
        }
        let now = self.time.now();
        let quiet = self.time.since(window.quiet_since(now));
        if window.waits {
            if quiet < COMPLETE && self.draining.is_none() {
                return Unpacked::Waits;
            }
            window.gunzip.complete();
        }
        if let Err(error) = window.fill(file.offset, &mut self.text) {
            window.over = Some(Err(error));
        }
        file.blank = false;
        file.seen.size = window.end;
        // The first read tells if it cannot be read.
        let _ = file.grow_head();
        if window.end == file.offset {
            Unpacked::Later
        } else {
            Unpacked::Text
        }
    }

    /// Compressed bytes of a file that are not decompressed yet: its text has more, as a rule.
    pub(crate) fn compressed_left(&self, id: FileId) -> u64 {
        self.windows
            .get(&id)
            .map_or(0, |window| window.gunzip.left())
    }

    /// Gives files that waited to grow, or to be complete, their turn.
    pub(crate) fn wake_unpacked(&mut self) {
        let ids: Vec<FileId> = self.windows.keys().copied().collect();
        for id in ids {
            self.observe_unread(id);
        }
    }

    /// A compressed file is read to its end.
    pub(crate) fn unpacked(&mut self, id: FileId) {
        let window = self.windows.remove(&id);
        let Some((window, file)) = window.zip(self.registry.get_mut(id)) else {
            return;
        };
        let path = file.shown().clone();
        let metadata = window.gunzip.metadata();
        let metadata = metadata.ok().filter(|m| Identity::of(m) == file.identity);
        if let Some(metadata) = metadata {
            file.rare().packed = Some(metadata.len());
            let (identity, fingerprint) = (file.identity, file.fingerprint());
            let seen = Seen::of(&metadata);
            self.leave_alone(identity, path.clone(), seen, Some(fingerprint));
        }
        if let Some(Err(error)) = &window.over {
            let text = format!("it is broken behind what was read of it: {error}");
            self.troubles.say(Trouble::Compressed, &path, &text);
        }
        self.observe(id, Observation::Unpacked);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::fs::File;

    use std::io::Write;

    use flate2::{write::GzEncoder, Compression};

    use super::*;
    use crate::host::queue::Item;
    use crate::sim::steps::Steps;
    use crate::time::Time;

    fn gzip(from: &Path, to: &Path) {
        let mut to = GzEncoder::new(File::create(to).unwrap(), Compression::fast());
        to.write_all(&fs::read(from).unwrap()).unwrap();
        to.finish().unwrap();
        fs::remove_file(from).unwrap();
    }

    #[test]
    fn a_name_or_inode_of_a_compressed_file_may_be_that_of_a_log_later() {
        let mut steps = Steps::new("*");
        steps.append("a.log", "one\n");
        gzip(&steps.path("a.log"), &steps.path("a.log.1"));
        steps.round();
        assert!(steps.lines.is_empty());
        // The same inode, and on many filesystems nobody tells that the file is another one.
        fs::write(steps.path("a.log.1"), "two\n").unwrap();
        steps.round();
        assert_eq!(steps.lines, ["two"]);
        assert!(steps.worker.compressed.is_empty() && steps.worker.unsettled.is_empty());
    }

    #[test]
    fn a_compressed_file_that_is_renamed_before_it_is_known_is_read_once() {
        for inotify in ["on", "off"] {
            for rounds in 0..4 {
                let options = [("inotify_watcher", inotify), ("rotate_wait", "0")];
                let mut steps = Steps::prepared("*/*", &options, |dir| {
                    fs::create_dir(dir.path().join("x")).unwrap();
                    fs::write(dir.path().join("a"), "one\n").unwrap();
                    gzip(&dir.path().join("a"), &dir.path().join("x/a.1.gz"));
                });
                for _ in 0..rounds {
                    steps.round_after(COMPLETE / 2);
                }
                steps.rename("x/a.1.gz", "x/a.2.gz");
                steps.round_after(COMPLETE / 2);
                steps.rename("x", "y");
                for _ in 0..8 {
                    steps.round_after(COMPLETE);
                    while steps.worker.search_on() {
                        steps.read();
                    }
                }
                assert_eq!(steps.lines, ["one"], "inotify {inotify}, {rounds} rounds");
            }
        }
    }

    /// Reads whatever waits for its turn, for a host that takes everything.
    fn read_all(worker: &mut Worker) {
        let mut more = true;
        while more {
            more = worker.read_turn() | worker.search_on();
            // A file is complete a second after it was written.
            let idle = worker.windows.is_empty() && worker.searches.is_empty();
            if !more && !idle {
                worker.time.advance(COMPLETE);
                worker.poll_files();
                more = true;
            }
            while let Some(item) = worker.shared.pop() {
                more = true;
                if let Item::Batch(batch) = item {
                    worker.shared.delivered(batch);
                }
            }
        }
    }

    /// More than is decompressed in one step, and more than is read in one turn.
    const LINES: u64 = 200_000;

    #[test]
    fn a_rest_is_looked_for_step_by_step_and_from_any_position() {
        let text: String = (0..LINES).map(|n| format!("line {n:07}\n")).collect();
        // Inside and behind what is known of its head; 0: nothing has left the host.
        for lines in [0, 1, 100, 30_000] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("a.log");
            let db = dir.path().join("db");
            let options = [
                ("path", path.to_str().unwrap()),
                ("db", db.to_str().unwrap()),
            ];
            fs::write(&path, &text).unwrap();
            let mut worker = Worker::with(&options);
            assert!(worker.take_state());
            worker.scan();
            worker.read_turn();
            let id = worker.registry.ids()[0];
            worker
                .shared
                .confirm([((id, 0), 13 * lines)].into_iter().collect());
            worker.save(true);
            drop(worker);

            gzip(&path, &dir.path().join("a.log.1.gz"));
            fs::write(&path, "new\n").unwrap();
            let mut worker = Worker::at(&options, Time::simulated(COMPLETE));
            assert!(worker.take_state());
            worker.scan();
            // The new file has its turn before the search is over.
            assert_eq!((worker.registry.len(), worker.searches.len()), (1, 1));
            assert!(worker.read_turn() && worker.search_on());
            assert!(lines < 30_000 || worker.searches.len() == 1);
            read_all(&mut worker);
            assert!(worker.searches.is_empty());
            let unread = worker.counters.lines.get() - 1;
            assert_eq!(unread, LINES - lines, "from line {lines}");
            assert_eq!(worker.counters.lost_bytes.get(), 0);
        }
    }
}
