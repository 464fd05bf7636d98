//! Compressed files (gzip, RFC 1952). They are not followed, but what was read of a file is known
//! again in its compressed form, and a rest that nobody had read before it was compressed is read.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use flate2::read::MultiGzDecoder;
use flb_sidecar_sdk::own_file::OwnFile;
use tracing::{debug, info, warn};

use crate::confine::Confine;
use crate::copies::related;
use crate::counters::Trouble;
use crate::followed::{FileId, Seen};
use crate::identity::{read_full, Clue, Identity, Print, Tail, HEAD};
use crate::state::Entry;
use crate::worker::Worker;

/// What a gzip file begins with.
pub(crate) const MAGIC: [u8; 2] = [0x1f, 0x8b];
/// How long a compressed file must not have grown to count as complete.
const COMPLETE: Duration = Duration::from_secs(1);
/// Bytes decompressed at a time.
const BLOCK: usize = 64 << 10;
/// How often that is done between two looks at everything else: a few milliseconds.
const BLOCKS_AT_ONCE: usize = 16;
/// Compressed bytes read between two such looks, and at most for one head: members of a few bytes
/// that hold nothing cost as much time as text.
const INPUT_AT_ONCE: usize = 64 << 10;
/// Compressed bytes that give nothing: no log has as many empty members.
const EMPTY_INPUT: u64 = 1 << 20;
/// How many times as large as its file an original may be, and a size that is always allowed: no log
/// is packed like this, and what is made to be must not fill the disk of the state.
const LARGEST_RATIO: u64 = 100;
const ALWAYS_ALLOWED: u64 = 16 << 20;

/// A compressed file that is not read.
#[derive(Debug)]
pub(crate) struct LeftAlone {
    pub(crate) path: Arc<Path>,
    seen: Seen,
}

/// A compressed file of which it is not said yet what it is.
#[derive(Debug)]
pub(crate) struct Unsettled {
    path: Arc<Path>,
    identity: Identity,
    size: u64,
    /// Since when it has this size.
    since: Instant,
}

/// A look for the compressed form of a file whose position is known. It goes a step at a time, so
/// that a large file keeps nobody from being read.
#[derive(Debug)]
pub(crate) struct Search {
    entry: Entry,
    /// Files that may be it and have not been looked at.
    paths: Vec<PathBuf>,
    current: Option<Unpacking>,
}

/// A compressed file that begins like the one that is looked for.
#[derive(Debug)]
struct Unpacking {
    path: PathBuf,
    identity: Identity,
    original: MultiGzDecoder<FromHead>,
    head: Vec<u8>,
    /// How far it is decompressed, at most to the position, and the bytes before that.
    offset: u64,
    tail: Tail,
    /// From the position on.
    rest: Option<Rest>,
    /// Compressed bytes read when it last gave something.
    gave_at: u64,
}

/// What a compressed file has behind a position.
#[derive(Debug)]
struct Rest {
    bytes: u64,
    /// A file with the bytes before the position that are compared, and the rest, where they
    /// were in the original.
    file: io::Result<File>,
}

/// What a step came to.
#[derive(Debug)]
enum Step {
    /// There is more to be decompressed.
    More,
    /// All is.
    Done,
    /// It is the compressed form of another file.
    Foreign,
}

/// Reads a file from its head, whatever others do with its handle.
#[derive(Debug)]
struct FromHead {
    handle: File,
    at: u64,
    /// What may be read until somebody else has had their turn.
    left: usize,
}

impl Read for FromHead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let most = buffer.len().min(self.left);
        let length = self.handle.read_at(&mut buffer[..most], self.at)?;
        self.at += length as u64;
        self.left -= length;
        Ok(length)
    }
}

fn decompress(handle: File) -> MultiGzDecoder<FromHead> {
    MultiGzDecoder::new(FromHead {
        handle,
        at: 0,
        left: INPUT_AT_ONCE,
    })
}

/// The first bytes of the original, up to [`HEAD`].
fn head_of(handle: &File) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(HEAD);
    decompress(handle.try_clone()?)
        .take(HEAD as u64)
        .read_to_end(&mut head)?;
    Ok(head)
}

/// The original's size, modulo 2^32: the last four bytes.
fn size_of(handle: &File) -> io::Result<u32> {
    let mut size = [0; 4];
    let at = handle.metadata()?.len().saturating_sub(4);
    handle.read_exact_at(&mut size, at)?;
    Ok(u32::from_le_bytes(size))
}

impl Search {
    /// Goes on with the next file that begins like the one that is looked for. `false`: no more.
    fn next(&mut self, confine: &Confine) -> bool {
        while let Some(path) = self.paths.pop() {
            let opened = confine.open(&path).ok().filter(|(_, m)| m.is_file());
            let Some((handle, metadata)) = opened else {
                continue;
            };
            match head_of(&handle) {
                Ok(head) if self.entry.clue.head.is_head_of(&head) => {
                    self.current = Some(Unpacking {
                        identity: Identity::of(&metadata),
                        original: decompress(handle),
                        path,
                        head,
                        offset: 0,
                        tail: Tail::default(),
                        rest: None,
                        gave_at: 0,
                    });
                    return true;
                }
                Ok(_) => {}
                Err(error) => debug!("{}: {error}", path.display()),
            }
        }
        false
    }
}

impl Unpacking {
    /// Decompresses some more. `place` is where a file may be made for the rest.
    fn step(&mut self, clue: &Clue, place: &OwnFile) -> io::Result<Step> {
        let mut block = vec![0; BLOCK];
        self.original.get_mut().left = INPUT_AT_ONCE;
        for _ in 0..BLOCKS_AT_ONCE {
            let before = self.given();
            match self.some(clue, place, &mut block) {
                Ok(Step::More) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if self.original.get_ref().at - self.gave_at > EMPTY_INPUT {
                        return Ok(Step::Foreign);
                    }
                    return Ok(Step::More);
                }
                other => return other,
            }
            if self.given() > before {
                self.gave_at = self.original.get_ref().at;
            }
        }
        Ok(Step::More)
    }

    /// How many bytes of the original there are so far.
    fn given(&self) -> u64 {
        self.offset + self.rest.as_ref().map_or(0, |rest| rest.bytes)
    }

    /// Decompresses a block.
    fn some(&mut self, clue: &Clue, place: &OwnFile, block: &mut [u8]) -> io::Result<Step> {
        if let Some(rest) = &mut self.rest {
            let length = self.original.read(block)?;
            if length == 0 {
                return Ok(Step::Done);
            }
            rest.bytes += length as u64;
            let most = self.original.get_ref().at.saturating_mul(LARGEST_RATIO);
            if rest.bytes > most.max(ALWAYS_ALLOWED) {
                let text = "its original is more than a hundred times as large";
                rest.file = Err(io::Error::other(text));
                return Ok(Step::Done);
            }
            // When there is no room, the bytes are counted all the same.
            let written = rest.file.as_mut().map(|f| f.write_all(&block[..length]));
            if let Ok(Err(error)) = written {
                rest.file = Err(error);
            }
        } else if self.offset < clue.offset {
            let most = BLOCK.min((clue.offset - self.offset).try_into().unwrap_or(BLOCK));
            let length = self.original.read(&mut block[..most])?;
            if length == 0 {
                return Ok(Step::Foreign);
            }
            self.tail.push(&block[..length]);
            self.offset += length as u64;
        } else if clue.tail.is_end_of(self.tail.bytes()) {
            let file = self.begin_rest(place);
            self.rest = Some(Rest { bytes: 0, file });
        } else {
            return Ok(Step::Foreign);
        }
        Ok(Step::More)
    }

    fn begin_rest(&self, place: &OwnFile) -> io::Result<File> {
        let mut file = place.make_unnamed()?;
        let tail = self.tail.bytes();
        file.write_all_at(&self.head, 0)?;
        file.write_all_at(tail, self.offset - tail.len() as u64)?;
        // The head may reach beyond the position.
        file.set_len(self.offset)?;
        file.seek(SeekFrom::Start(self.offset))?;
        Ok(file)
    }
}

impl Worker {
    /// A file that is compressed is not read; what it is will be said when it is complete.
    pub(crate) fn leave_compressed(&mut self, id: FileId) {
        let Some(file) = self.files.get(&id) else {
            return;
        };
        let (identity, seen) = (file.identity, file.seen);
        let path = file.path.as_ref().unwrap_or(&file.name).clone();
        self.forget(id);
        self.unsettled.push(Unsettled {
            path: path.clone(),
            identity,
            size: seen.size,
            since: self.time.now(),
        });
        self.compressed.insert(identity, LeftAlone { path, seen });
    }

    /// Whether the file is compressed as it was when it was left alone. It may have been rewritten,
    /// or be another one: not every filesystem tells when an inode is used again.
    pub(crate) fn is_left_alone(&mut self, identity: &Identity, path: &Path, seen: Seen) -> bool {
        let Some(file) = self.compressed.get_mut(identity) else {
            return false;
        };
        if file.seen == seen {
            return true;
        }
        let mut start = MAGIC;
        let read = self
            .confine
            .open(path)
            .and_then(|(handle, _)| read_full(&handle, &mut start, 0));
        match read {
            Ok(length) if start[..length] != MAGIC => {
                self.compressed.remove(identity);
                self.unsettled.retain(|file| file.identity != *identity);
                false
            }
            Ok(_) => {
                file.seen = seen;
                true
            }
            // That may be over at the next look.
            Err(_) => true,
        }
    }

    /// Says of compressed files what they are; `now`: of incomplete ones, too.
    pub(crate) fn settle_compressed(&mut self, now: bool) {
        if !self.searches.is_empty() {
            return;
        }
        for mut file in std::mem::take(&mut self.unsettled) {
            let opened = self.confine.open(&file.path);
            let Some((handle, metadata)) = opened
                .ok()
                .filter(|(_, metadata)| Identity::of(metadata) == file.identity)
            else {
                continue;
            };
            if let Some(name) = self.original_of(&file.path, &handle) {
                let path = file.path.display();
                info!("{path} is the compressed form of {}", name.display());
                continue;
            }
            if metadata.len() != file.size {
                file.size = metadata.len();
                file.since = self.time.now();
            }
            if now || self.time.since(file.since) >= COMPLETE {
                let text = "it is compressed (gzip), so it is not read";
                self.trouble(Trouble::Compressed, &file.path, text);
            } else {
                self.unsettled.push(file);
            }
        }
    }

    /// The file that was read and of which `handle` is the compressed form.
    fn original_of(&self, path: &Path, handle: &File) -> Option<Arc<Path>> {
        let head = head_of(handle).ok().filter(|head| !head.is_empty())?;
        let size = size_of(handle).ok()?;
        let head = Print::of(&head);
        let is_original = |name: &Path, its_head: Print, its_size: u64| {
            its_head == head
                && its_size as u32 == size
                && name.parent() == path.parent()
                && related(name, path)
        };
        let followed = self.files.values().map(|file| {
            let size = file.seen.size.max(file.offset);
            (&file.name, file.head.print(), size)
        });
        let remembered = self.remembered.iter();
        let remembered = remembered.map(|file| (&file.name, file.clue.head, file.clue.offset));
        followed
            .chain(remembered)
            .find(|(name, head, size)| is_original(name, *head, *size))
            .map(|(name, ..)| name.clone())
    }

    /// Begins to look for the compressed form of a file whose position is known and that is not
    /// there any more, among these, to read what follows the position.
    pub(crate) fn search_compressed(&mut self, entry: Entry, paths: &[PathBuf]) {
        if entry.clue.head.length == 0 {
            return;
        }
        let is_gzip = |path: &&PathBuf| {
            let extension = path.extension();
            extension.is_some_and(|e| e.eq_ignore_ascii_case("gz"))
        };
        let paths: Vec<PathBuf> = paths.iter().filter(is_gzip).cloned().collect();
        if !paths.is_empty() {
            self.searches.push_back(Search {
                entry,
                paths,
                current: None,
            });
        }
    }

    /// Goes on looking for compressed files. `false`: there is nothing to look for.
    pub(crate) fn search_on(&mut self) -> bool {
        let place = self.saving.as_ref().map(|s| s.location.rest().clone());
        let Some((mut search, place)) = self.searches.pop_front().zip(place) else {
            return false;
        };
        if search.current.is_none() && !search.next(&self.confine) {
            return true;
        }
        let Some(mut current) = search.current.take() else {
            return true;
        };
        match current.step(&search.entry.clue, &place) {
            Ok(Step::More) => {
                search.current = Some(current);
                self.searches.push_front(search);
            }
            Ok(Step::Done) => {
                // The file itself may have come back meanwhile.
                if let Some(rest) = current.rest.filter(|_| self.drop_unclaimed(&search.entry)) {
                    let path: Arc<Path> = current.path.as_path().into();
                    let seen = Seen::default();
                    self.compressed
                        .insert(current.identity, LeftAlone { path, seen });
                    self.unsettled
                        .retain(|file| file.identity != current.identity);
                    self.read_rest(&search.entry, &current.path, rest);
                }
            }
            Ok(Step::Foreign) => self.searches.push_front(search),
            Err(error) => {
                debug!("{}: {error}", current.path.display());
                self.searches.push_front(search);
            }
        }
        true
    }

    fn read_rest(&mut self, entry: &Entry, path: &Path, rest: Rest) {
        let (name, bytes) = (entry.path.display(), rest.bytes);
        let path_shown = path.display();
        info!("{path_shown} is the compressed form of {name}, {bytes} bytes of it were unread");
        if bytes == 0 {
            return;
        }
        let file = rest.file.and_then(|file| {
            let metadata = file.metadata()?;
            Ok((file, metadata))
        });
        match file {
            Ok((file, metadata)) => {
                let identity = Identity::of(&metadata);
                let (offset, name) = (Some(entry.clue.offset), Some(entry.path.clone()));
                let id = self.follow(path, identity, file, &metadata, offset, name);
                // It has no name: it is read to its end like a deleted file.
                self.gone(path, true);
                self.drain_too(id);
            }
            Err(error) => {
                warn!("{name}: {bytes} bytes are lost, since they cannot be decompressed beside the state: {error}");
                self.counters.lost_bytes.add(bytes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use flate2::{write::GzEncoder, Compression};

    use super::*;
    use crate::queue::Item;
    use crate::steps::Steps;

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

    /// Reads whatever waits for its turn, for a host that takes everything.
    fn read_all(worker: &mut Worker) {
        let mut more = true;
        while more {
            more = worker.read_turn();
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
            let id = *worker.files.keys().next().unwrap();
            worker
                .shared
                .confirm([((id, 0), 13 * lines)].into_iter().collect());
            worker.save(true);
            drop(worker);

            gzip(&path, &dir.path().join("a.log.1.gz"));
            fs::write(&path, "new\n").unwrap();
            let mut worker = Worker::with(&options);
            assert!(worker.take_state());
            worker.scan();
            // The new file has its turn before the search is over.
            assert_eq!(worker.searches.len(), 1);
            assert!(worker.read_turn() && worker.search_on());
            assert_eq!((worker.files.len(), worker.searches.len()), (1, 1));
            while worker.search_on() {}
            read_all(&mut worker);
            let unread = worker.counters.lines.get() - 1;
            assert_eq!(unread, LINES - lines, "from line {lines}");
            assert_eq!(worker.counters.lost_bytes.get(), 0);
        }
    }
}
