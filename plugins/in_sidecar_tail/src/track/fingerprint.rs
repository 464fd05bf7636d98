//! What tells files apart, whatever their names: device, inode, birth time and content.

use std::io;
use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::fs::{Handle, Metadata};

/// Bytes of a file's head that are compared.
pub(crate) const HEAD: usize = 256;
/// Bytes before the read position that are compared.
pub(crate) const TAIL: usize = 64;
/// Of so many bytes it is told that nothing was written anew.
const ENOUGH: usize = 16;

/// The system's idea of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    /// Nanoseconds since 1970, where the filesystem knows: an inode that is used again has another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) birth: Option<NonZeroU64>,
}

impl Identity {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Identity {
            device: metadata.dev(),
            inode: metadata.ino(),
            birth: metadata.birth(),
        }
    }

    /// A number that no two files have, as good as certainly.
    pub(crate) fn number(&self) -> u64 {
        let mut bytes = [0; 24];
        bytes[..8].copy_from_slice(&self.device.to_ne_bytes());
        bytes[8..16].copy_from_slice(&self.inode.to_ne_bytes());
        bytes[16..].copy_from_slice(&self.birth.map_or(0, NonZeroU64::get).to_ne_bytes());
        xxh3_64(&bytes)
    }

    /// Nothing speaks against both being the same file.
    pub(crate) fn compatible(&self, other: &Identity) -> bool {
        let births = self.birth.zip(other.birth);
        self.inode == other.inode && births.is_none_or(|(one, two)| one == two)
    }

    /// Nothing speaks against it having come to be after the other one, as a copy does.
    pub(crate) fn is_younger(&self, other: &Identity) -> bool {
        let births = self.birth.zip(other.birth);
        births.is_none_or(|(copy, original)| copy > original)
    }
}

/// Length and hash of a piece of a file; hashed, since state files must not quote logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Print {
    pub(crate) length: u16,
    /// XXH3, 64 bits: <https://github.com/Cyan4973/xxHash>. As bytes, since there are many of these.
    hash: [u8; 8],
}

impl Default for Print {
    fn default() -> Self {
        Print::of(&[])
    }
}

impl Print {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Print {
            length: u16::try_from(bytes.len()).unwrap_or(u16::MAX),
            hash: xxh3_64(bytes).to_ne_bytes(),
        }
    }

    /// What was kept of one.
    pub(crate) fn kept(length: u16, hash: u64) -> Self {
        let hash = hash.to_ne_bytes();
        Print { length, hash }
    }

    pub(crate) fn hash(&self) -> u64 {
        u64::from_ne_bytes(self.hash)
    }

    /// Whether `bytes` begin with what it is of.
    pub(crate) fn is_head_of(&self, bytes: &[u8]) -> bool {
        let head = bytes.get(..self.length.into());
        head.is_some_and(|head| Print::of(head) == *self)
    }

    /// Whether `bytes` end with what it is of.
    pub(crate) fn is_end_of(&self, bytes: &[u8]) -> bool {
        let start = bytes.len().checked_sub(self.length.into());
        start.is_some_and(|start| Print::of(&bytes[start..]) == *self)
    }

    /// That of so many bytes of a file, or of as many as it has there.
    fn read(handle: &Handle, offset: u64, length: u16) -> io::Result<Self> {
        let mut bytes = vec![0; usize::from(length)];
        let length = read_full(handle, &mut bytes, offset)?;
        Ok(Print::of(&bytes[..length]))
    }

    fn is_at(&self, handle: &Handle, offset: u64) -> io::Result<bool> {
        Ok(Print::read(handle, offset, self.length)? == *self)
    }
}

/// A file's first bytes: up to [`HEAD`] as a hash, and the very first ones as they are.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Head {
    print: Print,
    start: [u8; START],
}

/// Bytes of a head that are kept as they are: those of a time, usually.
const START: usize = 16;

impl Head {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let bytes = &bytes[..bytes.len().min(HEAD)];
        let length = bytes.len().min(START);
        let mut start = [0; START];
        start[..length].copy_from_slice(&bytes[..length]);
        Head {
            print: Print::of(bytes),
            start,
        }
    }

    pub(crate) fn print(&self) -> Print {
        self.print
    }

    pub(crate) fn len(&self) -> usize {
        self.print.length.into()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first of the bytes, as many as are kept.
    pub(crate) fn start(&self) -> &[u8] {
        &self.start[..self.len().min(START)]
    }

    /// Whether `bytes`, the first ones of a file, are these as far as both go. If they are fewer,
    /// only what is kept of these is compared.
    pub(crate) fn begins_like(&self, bytes: &[u8]) -> bool {
        if bytes.len() >= self.len() {
            return self.print.is_head_of(bytes);
        }
        let length = bytes.len().min(START);
        bytes[..length] == self.start[..length]
    }
}

/// By what a file is known again that was read up to `offset`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    pub(crate) offset: u64,
    /// The first bytes.
    pub(crate) head: Print,
    /// The bytes before `offset`.
    pub(crate) tail: Print,
}

impl Fingerprint {
    /// That of a file of which nothing before `offset` is to be read.
    pub(crate) fn at(handle: &Handle, offset: u64) -> io::Result<Self> {
        let mut head = [0; HEAD];
        let length = usize::try_from(offset).unwrap_or(HEAD).min(HEAD);
        let length = read_full(handle, &mut head[..length], 0)?;
        let tail = Tail::read(handle, offset)?;
        Ok(Fingerprint {
            offset,
            head: Print::of(&head[..length]),
            tail: Print::of(tail.bytes()),
        })
    }

    /// It says nothing of what was read: that could not be looked at.
    pub(crate) fn fits_anything(&self) -> bool {
        self.offset > 0 && self.head.length == 0 && self.tail.length == 0
    }

    /// Whether the file, `size` bytes long, holds what was read before `offset`.
    pub(crate) fn fits(&self, handle: &Handle, size: u64) -> io::Result<bool> {
        let tail_at = self.offset.checked_sub(u64::from(self.tail.length));
        let Some(tail_at) = tail_at.filter(|_| size >= self.offset) else {
            return Ok(false);
        };
        Ok(self.head.is_at(handle, 0)? && self.tail.is_at(handle, tail_at)?)
    }
}

/// A fingerprint in fewer bytes, since there may be very many of these: both hashes are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Clue {
    offset: [u8; 8],
    head: [u8; 2],
    tail: [u8; 2],
    hash: [u8; 8],
}

impl From<Fingerprint> for Clue {
    fn from(of: Fingerprint) -> Self {
        let mut hashes = [0; 16];
        hashes[..8].copy_from_slice(&of.head.hash);
        hashes[8..].copy_from_slice(&of.tail.hash);
        Clue {
            offset: of.offset.to_ne_bytes(),
            head: of.head.length.to_ne_bytes(),
            tail: of.tail.length.to_ne_bytes(),
            hash: xxh3_64(&hashes).to_ne_bytes(),
        }
    }
}

impl Clue {
    pub(crate) fn offset(&self) -> u64 {
        u64::from_ne_bytes(self.offset)
    }

    /// As that of a fingerprint.
    pub(crate) fn fits_anything(&self) -> bool {
        self.offset() > 0 && (self.head, self.tail) == ([0; 2], [0; 2])
    }

    /// As that of a fingerprint.
    pub(crate) fn fits(&self, handle: &Handle, size: u64) -> io::Result<bool> {
        let offset = self.offset();
        let length = u16::from_ne_bytes(self.tail);
        let tail_at = offset.checked_sub(u64::from(length));
        let Some(tail_at) = tail_at.filter(|_| size >= offset) else {
            return Ok(false);
        };
        let now = Fingerprint {
            offset,
            head: Print::read(handle, 0, u16::from_ne_bytes(self.head))?,
            tail: Print::read(handle, tail_at, length)?,
        };
        Ok(Clue::from(now) == *self)
    }
}

/// The bytes before the read position, kept to see that a file has been rewritten.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tail {
    bytes: [u8; TAIL],
    length: u8,
}

impl Default for Tail {
    fn default() -> Self {
        Tail {
            bytes: [0; TAIL],
            length: 0,
        }
    }
}

impl Tail {
    /// Moves on over `block`.
    pub(crate) fn push(&mut self, block: &[u8]) {
        let keep = TAIL.saturating_sub(block.len()).min(self.length());
        let from = self.length() - keep;
        self.bytes.copy_within(from..from + keep, 0);
        let new = block.len().min(TAIL);
        self.bytes[keep..keep + new].copy_from_slice(&block[block.len() - new..]);
        self.length = (keep + new) as u8;
    }

    /// What the file has before `offset`.
    pub(crate) fn read(handle: &Handle, offset: u64) -> io::Result<Self> {
        let mut tail = Tail::default();
        let length = offset.min(TAIL as u64);
        let length = read_full(handle, &mut tail.bytes[..length as usize], offset - length)?;
        tail.length = length as u8;
        Ok(tail)
    }

    /// Whether the file still has these bytes before `offset`.
    pub(crate) fn is_before(&self, handle: &Handle, offset: u64) -> io::Result<bool> {
        let Some(start) = offset.checked_sub(u64::from(self.length)) else {
            return Ok(false);
        };
        let mut bytes = [0; TAIL];
        let length = read_full(handle, &mut bytes[..self.length()], start)?;
        Ok(bytes[..length] == *self.bytes())
    }

    /// Whether a file that was cut to `size`, less than `offset`, still has what is left of these. If that is too
    /// little to tell, it has not.
    pub(crate) fn is_left(&self, handle: &Handle, offset: u64, size: u64) -> io::Result<bool> {
        let start = offset.saturating_sub(u64::from(self.length));
        let left = size.saturating_sub(start) as usize;
        if left < ENOUGH {
            return Ok(false);
        }
        let mut bytes = [0; TAIL];
        let length = read_full(handle, &mut bytes[..left], start)?;
        Ok(bytes[..length] == self.bytes[..left])
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length()]
    }

    fn length(&self) -> usize {
        usize::from(self.length)
    }
}

/// Reads until `buffer` is full or the file ends; says how much it was.
pub(crate) fn read_full(handle: &Handle, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match handle.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(length) => filled += length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt as _;

    use super::*;

    #[test]
    fn a_head_is_begun_like_by_what_it_is_the_head_of() {
        let text: Vec<u8> = (0..=255).chain(0..=255).collect();
        for length in [1, START - 1, START, START + 1, HEAD - 1, HEAD, HEAD + 1] {
            let head = Head::of(&text[..length]);
            assert_eq!(head.len(), length.min(HEAD));
            for bytes in [0, 1, START, length, HEAD, text.len()] {
                assert!(head.begins_like(&text[..bytes]), "{length} {bytes}");
            }
            for changed in 0..length.min(HEAD) {
                let mut other = text.clone();
                other[changed] ^= 1;
                assert!(!head.begins_like(&other), "{length} {changed}");
            }
            let other = [1];
            assert!(!head.begins_like(&other));
        }
        assert!(Head::default().is_empty());
    }

    #[test]
    fn the_tail_is_the_last_bytes_however_they_came() {
        let text: Vec<u8> = (0..200).collect();
        for size in [1, 3, 63, 64, 65, 200] {
            let mut tail = Tail::default();
            for (at, block) in text.chunks(size).enumerate() {
                tail.push(block);
                let end = (at * size + size).min(text.len());
                assert_eq!(tail.bytes(), &text[end.saturating_sub(TAIL)..end]);
            }
        }
    }

    #[test]
    fn a_clue_fits_the_file_and_its_growth_only() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let handle = &Handle::from(file.as_file().try_clone().unwrap());
        let write = |text| file.as_file().write_all_at(text, 0).unwrap();
        write(&b"head and tail"[..]);
        let fingerprint = Fingerprint {
            offset: 8,
            head: Print::of(b"head and"),
            tail: Print::of(b"and"),
        };
        let fits = |fingerprint: Fingerprint, size| {
            let fits = fingerprint.fits(handle, size).unwrap();
            assert_eq!(Clue::from(fingerprint).fits(handle, size).unwrap(), fits);
            fits
        };
        assert!(fits(fingerprint, 13));
        let other = Fingerprint {
            tail: Print::of(b"end"),
            ..fingerprint
        };
        assert!(!fits(other, 13), "another tail");
        assert!(!fits(fingerprint, 7), "shorter than what was read");
        write(b"HEAD");
        assert!(!fits(fingerprint, 13), "another head");
    }
}
