//! Compressed files (gzip, RFC 1952). They are not followed, but what was read of a file is known
//! again in its compressed form, and a rest that nobody had read before it was compressed is read.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use flate2::read::MultiGzDecoder;
use tracing::{debug, info, warn};

use crate::counters::Trouble;
use crate::followed::{self, FileId, Followed};
use crate::identity::{Clue, Identity, Print, Tail, HEAD};
use crate::rotation::related;
use crate::state::Entry;
use crate::worker::Worker;

/// What a gzip file begins with.
pub(crate) const MAGIC: [u8; 2] = [0x1f, 0x8b];
/// How long a compressed file must not have grown to count as complete.
const COMPLETE: Duration = Duration::from_secs(1);
/// Files that were let go and are known again, at most.
const REMEMBERED: usize = 256;
/// Bytes decompressed at a time.
const BLOCK: usize = 64 << 10;

/// A compressed file of which it is not said yet what it is.
#[derive(Debug)]
pub(crate) struct Unsettled {
    path: PathBuf,
    identity: Identity,
    size: u64,
    /// Since when it has this size.
    since: Instant,
}

/// By what a file that was read and let go is known again.
#[derive(Debug)]
pub(crate) struct Remembered {
    name: PathBuf,
    head: Vec<u8>,
    size: u64,
}

/// What a compressed file has behind a position.
#[derive(Debug)]
struct Rest {
    bytes: u64,
    /// A file with the bytes before the position that are compared, and the rest, where they
    /// were in the original.
    file: io::Result<File>,
}

/// Reads a file from its head, whatever others do with its handle.
struct FromHead<'a> {
    handle: &'a File,
    at: u64,
}

impl Read for FromHead<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.handle.read_at(buffer, self.at)?;
        self.at += length as u64;
        Ok(length)
    }
}

fn decompress(handle: &File) -> MultiGzDecoder<FromHead<'_>> {
    MultiGzDecoder::new(FromHead { handle, at: 0 })
}

/// The first bytes of the original, up to [`HEAD`].
fn head_of(handle: &File) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(HEAD);
    decompress(handle)
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

/// What `handle` has behind the clue's offset, put into a file at `place` that has no name any
/// more. `None`: it is the compressed form of another file.
fn rest_of(
    handle: &File,
    clue: &Clue,
    place: &Path,
    stopped: impl Fn() -> bool,
) -> io::Result<Option<Rest>> {
    let mut original = decompress(handle);
    let mut block = vec![0; BLOCK];
    let mut head = Vec::new();
    let mut tail = Tail::default();
    let mut offset = 0;
    while offset < clue.offset {
        let most = BLOCK.min((clue.offset - offset).try_into().unwrap_or(BLOCK));
        let length = original.read(&mut block[..most])?;
        if length == 0 {
            return Ok(None);
        }
        let text = &block[..length];
        head.extend_from_slice(&text[..length.min(HEAD - head.len())]);
        tail.push(text);
        let known = usize::from(clue.head.length);
        if offset == 0 && head.len() >= known && Print::of(&head[..known]) != clue.head {
            return Ok(None);
        }
        offset += length as u64;
        if stopped() {
            return Err(io::ErrorKind::Interrupted.into());
        }
    }
    let known = |bytes: &[u8], print: Print| {
        let start = bytes.len().checked_sub(print.length.into());
        start.is_some_and(|start| Print::of(&bytes[start..]) == print)
    };
    let same_head = head.get(..clue.head.length.into());
    if !same_head.is_some_and(|head| Print::of(head) == clue.head)
        || !known(tail.bytes(), clue.tail)
    {
        return Ok(None);
    }
    let mut file = unnamed(place).and_then(|mut file| {
        file.write_all_at(&head, 0)?;
        file.write_all_at(tail.bytes(), offset - tail.bytes().len() as u64)?;
        file.seek(SeekFrom::Start(offset))?;
        Ok(file)
    });
    let mut bytes = 0;
    loop {
        let length = original.read(&mut block)?;
        if length == 0 {
            return Ok(Some(Rest { bytes, file }));
        }
        bytes += length as u64;
        // When there is no room, the bytes are counted all the same.
        file = file.and_then(|mut file| file.write_all(&block[..length]).map(|()| file));
        if stopped() {
            return Err(io::ErrorKind::Interrupted.into());
        }
    }
}

fn unnamed(place: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(place)?;
    fs::remove_file(place)?;
    Ok(file)
}

impl Worker {
    /// A file that is compressed is not read; what it is will be said when it is complete.
    pub(crate) fn leave_compressed(&mut self, id: FileId) {
        let Some(file) = self.files.get(&id) else {
            return;
        };
        let (identity, size) = (file.identity, file.seen.size);
        let path = file.path.as_ref().unwrap_or(&file.name).clone();
        self.forget(id);
        self.compressed.insert(identity);
        self.unsettled.push(Unsettled {
            path,
            identity,
            size,
            since: Instant::now(),
        });
    }

    /// Says of compressed files what they are; `now`: of incomplete ones, too.
    pub(crate) fn settle_compressed(&mut self, now: bool) {
        for mut file in std::mem::take(&mut self.unsettled) {
            let opened = followed::open(&file.path);
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
                file.since = Instant::now();
            }
            if now || file.since.elapsed() >= COMPLETE {
                let text = "it is compressed (gzip), so it is not read";
                self.trouble(Trouble::Compressed, &file.path, text);
            } else {
                self.unsettled.push(file);
            }
        }
    }

    /// The file that was read and of which `handle` is the compressed form.
    fn original_of(&self, path: &Path, handle: &File) -> Option<PathBuf> {
        let head = head_of(handle).ok().filter(|head| !head.is_empty())?;
        let size = size_of(handle).ok()?;
        let is_original = |name: &Path, its_head: &[u8], its_size: u64| {
            its_head == head
                && its_size as u32 == size
                && name.parent() == path.parent()
                && related(name, path)
        };
        let followed = self.files.values().map(|file| {
            let size = file.seen.size.max(file.offset);
            (&file.name, file.head.as_slice(), size)
        });
        let remembered = self.remembered.iter();
        let remembered = remembered.map(|file| (&file.name, file.head.as_slice(), file.size));
        followed
            .chain(remembered)
            .find(|(name, head, size)| is_original(name, head, *size))
            .map(|(name, ..)| name.clone())
    }

    /// A file that is let go may come back compressed.
    pub(crate) fn remember(&mut self, file: &Followed) {
        if file.head.is_empty() || file.offset == 0 {
            return;
        }
        if self.remembered.len() == REMEMBERED {
            self.remembered.pop_front();
        }
        self.remembered.push_back(Remembered {
            name: file.name.clone(),
            head: file.head.clone(),
            size: file.offset,
        });
    }

    /// Looks for the compressed form of a file whose position is known and that is not there any
    /// more, and reads what follows the position. `place` is where a file may be made for that.
    /// `true`: it was found.
    pub(crate) fn recover_compressed(&mut self, entry: &Entry, place: &Path) -> bool {
        let Some(folder) = entry.path.parent().filter(|_| entry.clue.head.length > 0) else {
            return false;
        };
        for found in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = folder.join(found.file_name());
            let named = path
                .extension()
                .is_some_and(|e| e.eq_ignore_ascii_case("gz"));
            if !named || !related(&entry.path, &path) {
                continue;
            }
            let Some((handle, metadata)) = followed::open(&path).ok().filter(|(_, m)| m.is_file())
            else {
                continue;
            };
            let shared = self.shared.clone();
            let rest = match rest_of(&handle, &entry.clue, place, || shared.stopped()) {
                Ok(Some(rest)) => rest,
                Ok(None) => continue,
                Err(error) => {
                    debug!("{}: {error}", path.display());
                    continue;
                }
            };
            let identity = Identity::of(&metadata);
            self.compressed.insert(identity);
            self.unsettled.retain(|file| file.identity != identity);
            self.read_rest(entry, &path, rest);
            return true;
        }
        false
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
                self.follow(path, identity, file, &metadata, offset, name);
                // It has no name: it is read to its end like a deleted file.
                self.gone(path);
            }
            Err(error) => {
                warn!("{name}: {bytes} bytes are lost, since there is no room to decompress them beside the state: {error}");
                self.counters.lost_bytes.add(bytes);
            }
        }
    }
}
