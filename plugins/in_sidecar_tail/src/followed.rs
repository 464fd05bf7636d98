//! One followed file: its handle, how far it is read, and the beginning of its next line.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// Number of a followed file within one instance; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct FileId(pub(crate) u64);

/// What tells files apart, whatever their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Identity {
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }
}

/// A file that is followed.
#[derive(Debug)]
pub(crate) struct Followed {
    pub(crate) identity: Identity,
    /// The path it was first found at, for records and tags.
    pub(crate) name: PathBuf,
    /// Where it is now; `None`: renamed out of sight, deleted or replaced.
    pub(crate) path: Option<PathBuf>,
    pub(crate) tag: Option<Arc<str>>,
    pub(crate) handle: File,
    /// Offset of the next byte to read.
    pub(crate) offset: u64,
    /// Bytes before `offset` that belong to a line without its newline yet.
    pub(crate) carry: Vec<u8>,
    /// It waits for its turn to be read.
    pub(crate) queued: bool,
    /// The newest drain request in which its end was reached.
    pub(crate) drained: u64,
    /// Since when nothing came any more.
    pub(crate) at_end_since: Option<Instant>,
    /// The last read failed and that was said.
    pub(crate) failing: bool,
}

impl Followed {
    /// Offset of the first byte that no record stands for yet.
    pub(crate) fn line_start(&self) -> u64 {
        self.offset - self.carry.len() as u64
    }

    /// Reads the next block into `buffer`; 0: there is nothing at the moment.
    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.handle.read_at(buffer, self.offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }
}

/// Opens `path` for reading, without ever waiting for a FIFO's writer.
pub(crate) fn open(path: &Path) -> io::Result<(File, Metadata)> {
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    let handle = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits() as i32)
        .open(path)?;
    let metadata = handle.metadata()?;
    Ok((handle, metadata))
}
