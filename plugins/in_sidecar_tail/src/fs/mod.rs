//! Files, as the kernel has them: the only way out to them, so that a simulation can take their
//! place. What is in these modules knows nothing of followed files.
//!
//! Outside of tests there is one filesystem and nothing is chosen at run time: a type parameter
//! instead would be one of every type here. [`Time`](crate::time::Time) is made in the same way.

mod kernel;
mod memory;
mod notify;
mod own;
#[cfg(test)]
pub(crate) mod simulated;

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirEntryExt, FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(crate) use memory::Memory;
pub(crate) use notify::{Event, Mask, Notify, Wanted};
pub(crate) use own::{Own, OwnHandle};
use rustix::io::Errno;
#[cfg(test)]
use simulated::{Opened, SimFs};

/// The filesystem, as one instance uses it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fs {
    whose: Whose,
    /// How often something could not be looked into since no descriptor was left.
    shortages: Arc<AtomicU64>,
}

/// The kernel's, or a test's.
#[derive(Clone, Debug, Default)]
enum Whose {
    #[default]
    Kernel,
    #[cfg(test)]
    Simulated(SimFs),
}

/// The process or the system has no descriptor left.
pub(crate) fn none_left(error: &io::Error) -> bool {
    let errors = [Errno::MFILE, Errno::NFILE].map(Errno::raw_os_error);
    error
        .raw_os_error()
        .is_some_and(|error| errors.contains(&error))
}

/// Whether links of `/proc` are followed, which lead to anything that a process has open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Magic {
    Followed,
    /// They are an error: too many links.
    Refused,
}

/// What something is that has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    File,
    Folder,
    Link,
    Other,
}

impl From<fs::FileType> for Kind {
    fn from(kind: fs::FileType) -> Self {
        if kind.is_file() {
            Kind::File
        } else if kind.is_dir() {
            Kind::Folder
        } else if kind.is_symlink() {
            Kind::Link
        } else {
            Kind::Other
        }
    }
}

/// What is known of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Metadata {
    kind: Kind,
    device: u64,
    inode: u64,
    birth: Option<NonZeroU64>,
    size: u64,
    /// Nanoseconds since 1970.
    modified: i64,
    mode: u32,
    owner: u32,
    links: u64,
}

impl Metadata {
    pub(crate) fn is_file(&self) -> bool {
        self.kind == Kind::File
    }

    pub(crate) fn is_dir(&self) -> bool {
        self.kind == Kind::Folder
    }

    pub(crate) fn is_symlink(&self) -> bool {
        self.kind == Kind::Link
    }

    pub(crate) fn dev(&self) -> u64 {
        self.device
    }

    pub(crate) fn ino(&self) -> u64 {
        self.inode
    }

    /// When it was made, in nanoseconds since 1970, where the filesystem knows that.
    pub(crate) fn birth(&self) -> Option<NonZeroU64> {
        self.birth
    }

    pub(crate) fn len(&self) -> u64 {
        self.size
    }

    /// When it was written to last, in nanoseconds since 1970.
    pub(crate) fn modified_nanos(&self) -> i64 {
        self.modified
    }

    pub(crate) fn modified(&self) -> SystemTime {
        let nanos = Duration::from_nanos(self.modified.unsigned_abs());
        if self.modified < 0 {
            UNIX_EPOCH - nanos
        } else {
            UNIX_EPOCH + nanos
        }
    }

    pub(crate) fn mode(&self) -> u32 {
        self.mode
    }

    /// How many names it has.
    pub(crate) fn links(&self) -> u64 {
        self.links
    }

    pub(crate) fn uid(&self) -> u32 {
        self.owner
    }
}

impl From<fs::Metadata> for Metadata {
    fn from(metadata: fs::Metadata) -> Self {
        let kind = Kind::from(metadata.file_type());
        let born = metadata.created().ok();
        let born = born.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let modified = metadata.mtime().saturating_mul(1_000_000_000);
        Metadata {
            kind,
            device: metadata.dev(),
            inode: metadata.ino(),
            birth: born
                .and_then(|since| u64::try_from(since.as_nanos()).ok())
                .and_then(NonZeroU64::new),
            size: metadata.len(),
            modified: modified.saturating_add(metadata.mtime_nsec()),
            mode: metadata.mode(),
            owner: metadata.uid(),
            links: metadata.nlink(),
        }
    }
}

/// A name in a folder.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: OsString,
    /// That of the name itself (a symbolic link's own).
    pub(crate) inode: u64,
    /// What the name itself stands for; `None`: the filesystem does not tell.
    pub(crate) kind: Option<Kind>,
}

/// The names in a folder, one by one.
#[derive(Debug)]
pub(crate) enum Entries {
    Kernel(fs::ReadDir),
    #[cfg(test)]
    Simulated(std::vec::IntoIter<Entry>),
}

impl Iterator for Entries {
    type Item = io::Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Entries::Kernel(entries) => entries.next().map(|entry| {
                let entry = entry?;
                Ok(Entry {
                    name: entry.file_name(),
                    inode: entry.ino(),
                    kind: entry.file_type().ok().map(Kind::from),
                })
            }),
            #[cfg(test)]
            Entries::Simulated(entries) => entries.next().map(Ok),
        }
    }
}

/// A folder, to come to very many files in it: their paths are walked once.
#[derive(Debug)]
pub(crate) enum Folder {
    Kernel(OwnedFd),
    #[cfg(test)]
    Simulated(SimFs, PathBuf),
}

impl Folder {
    /// What has this name, be it a link. `None`: nothing does, or it is not told in this way.
    pub(crate) fn metadata(&self, name: &OsStr) -> Option<Metadata> {
        match self {
            Folder::Kernel(folder) => kernel::metadata_in(folder, name),
            #[cfg(test)]
            Folder::Simulated(fs, folder) => fs.symlink_metadata(&folder.join(name)).ok(),
        }
    }

    /// Opens what has this name, if it is no link. `None`: it cannot be opened.
    pub(crate) fn open(&self, name: &OsStr) -> Option<Handle> {
        match self {
            Folder::Kernel(folder) => kernel::open_in(folder, name).ok().map(Handle::Kernel),
            #[cfg(test)]
            Folder::Simulated(fs, folder) => {
                let opened = fs.open_without_links(&folder.join(name)).ok();
                opened.map(Handle::Simulated)
            }
        }
    }
}

impl Fs {
    /// A folder to whose path no link leads. `None`: a link does or may, or it cannot be opened.
    pub(crate) fn folder_without_links(&self, folder: &Path) -> Option<Folder> {
        match &self.whose {
            Whose::Kernel => kernel::folder_without_links(folder).map(Folder::Kernel),
            #[cfg(test)]
            Whose::Simulated(fs) => Some(Folder::Simulated(fs.clone(), folder.to_owned())),
        }
    }

    #[cfg(test)]
    pub(crate) fn simulated(fs: SimFs) -> Self {
        Fs {
            whose: Whose::Simulated(fs),
            shortages: Arc::default(),
        }
    }

    /// How often something could not be looked into since no descriptor was left. What is decided
    /// while this grows is decided without having looked.
    pub(crate) fn shortages(&self) -> u64 {
        self.shortages.load(Ordering::Relaxed)
    }

    fn noted<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if result.as_ref().is_err_and(none_left) {
            self.shortages.fetch_add(1, Ordering::Relaxed);
        }
        result
    }

    /// Opens a file for reading, without ever waiting for a FIFO's writer.
    pub(crate) fn open(&self, path: &Path, magic: Magic) -> io::Result<Handle> {
        self.noted(match &self.whose {
            Whose::Kernel => kernel::open(path, magic).map(Handle::Kernel),
            #[cfg(test)]
            Whose::Simulated(fs) => fs.open(path).map(Handle::Simulated),
        })
    }

    /// Opens a file to whose path no link leads: it is where the path says. `Ok(None)`: the kernel
    /// cannot promise that. A link on the way is an error: too many links.
    pub(crate) fn open_without_links(&self, path: &Path) -> io::Result<Option<Handle>> {
        self.noted(match &self.whose {
            Whose::Kernel => kernel::open_without_links(path).map(|file| file.map(Handle::Kernel)),
            #[cfg(test)]
            Whose::Simulated(fs) => fs.open_without_links(path).map(Handle::Simulated).map(Some),
        })
    }

    /// Opens a folder, only to ask where it is.
    pub(crate) fn open_place(&self, folder: &Path) -> io::Result<Handle> {
        self.noted(match &self.whose {
            Whose::Kernel => kernel::open_place(folder).map(Handle::Kernel),
            #[cfg(test)]
            Whose::Simulated(fs) => fs.open_place(folder).map(Handle::Simulated),
        })
    }

    /// What is at a path, behind any links.
    pub(crate) fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        match &self.whose {
            Whose::Kernel => fs::metadata(path).map(Metadata::from),
            #[cfg(test)]
            Whose::Simulated(fs) => fs.metadata(path),
        }
    }

    /// What is at a path, be it a link.
    pub(crate) fn symlink_metadata(&self, path: &Path) -> io::Result<Metadata> {
        match &self.whose {
            Whose::Kernel => fs::symlink_metadata(path).map(Metadata::from),
            #[cfg(test)]
            Whose::Simulated(fs) => fs.symlink_metadata(path),
        }
    }

    /// What is at a path, behind any links, and whether the path itself is a link.
    pub(crate) fn metadata_and_link(&self, path: &Path) -> io::Result<(Metadata, bool)> {
        let metadata = self.symlink_metadata(path)?;
        if metadata.is_symlink() {
            return Ok((self.metadata(path)?, true));
        }
        Ok((metadata, false))
    }

    pub(crate) fn is_dir(&self, path: &Path) -> bool {
        self.metadata(path).is_ok_and(|metadata| metadata.is_dir())
    }

    pub(crate) fn is_symlink(&self, path: &Path) -> bool {
        let metadata = self.symlink_metadata(path);
        metadata.is_ok_and(|metadata| metadata.is_symlink())
    }

    /// Where a path leads, without any links.
    pub(crate) fn canonicalize(&self, path: &Path) -> io::Result<PathBuf> {
        match &self.whose {
            Whose::Kernel => fs::canonicalize(path),
            #[cfg(test)]
            Whose::Simulated(fs) => fs.canonicalize(path),
        }
    }

    /// The names in a folder, in any order.
    pub(crate) fn list(&self, folder: &Path) -> io::Result<Entries> {
        self.noted(match &self.whose {
            Whose::Kernel => fs::read_dir(folder).map(Entries::Kernel),
            #[cfg(test)]
            Whose::Simulated(fs) => fs.list(folder).map(Entries::Simulated),
        })
    }

    /// The paths in a folder and the inodes of their names, as far as it can be listed.
    pub(crate) fn paths<'a>(
        &self,
        folder: &'a Path,
    ) -> impl Iterator<Item = (u64, PathBuf)> + use<'a> {
        let entries = self.list(folder).into_iter().flatten().flatten();
        entries.map(|entry| (entry.inode, folder.join(entry.name)))
    }

    /// Whether changes made elsewhere are not told here: the folder is on a network filesystem.
    pub(crate) fn is_remote(&self, folder: &Path) -> io::Result<bool> {
        match &self.whose {
            Whose::Kernel => kernel::is_remote(folder),
            #[cfg(test)]
            Whose::Simulated(fs) => fs.is_remote(folder),
        }
    }

    /// Removes what has this name if it is `wanted`: by its folder's handle, since the path may lead
    /// elsewhere at any moment. `false`: it is not.
    pub(crate) fn remove_if(
        &self,
        path: &Path,
        wanted: impl FnOnce(&Metadata) -> bool,
    ) -> io::Result<bool> {
        match &self.whose {
            Whose::Kernel => kernel::remove_if(path, wanted),
            #[cfg(test)]
            Whose::Simulated(fs) => fs.remove_if(path, wanted),
        }
    }

    /// Text in memory, of which what is before `offset` is known by its head and its end.
    pub(crate) fn memory(&self, head: &[u8], tail: &[u8], offset: u64) -> io::Result<Memory> {
        Ok(Memory::new(self.anonymous()?, head, tail, offset))
    }

    /// A file in memory that has no name.
    fn anonymous(&self) -> io::Result<Handle> {
        self.noted(match &self.whose {
            Whose::Kernel => kernel::anonymous().map(Handle::Kernel),
            #[cfg(test)]
            Whose::Simulated(fs) => fs.anonymous().map(Handle::Simulated),
        })
    }

    /// A queue of what happens in folders.
    pub(crate) fn notify(&self) -> io::Result<Notify> {
        match &self.whose {
            Whose::Kernel => Notify::kernel(),
            #[cfg(test)]
            Whose::Simulated(fs) => Ok(Notify::Simulated(fs.notify())),
        }
    }
}

/// An open file.
#[derive(Debug)]
pub(crate) enum Handle {
    Kernel(File),
    Memory(Memory),
    #[cfg(test)]
    Simulated(Opened),
}

impl From<File> for Handle {
    fn from(file: File) -> Self {
        Handle::Kernel(file)
    }
}

impl Handle {
    pub(crate) fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        match self {
            Handle::Kernel(file) => file.read_at(buffer, offset),
            Handle::Memory(memory) => Ok(memory.read_at(buffer, offset)),
            #[cfg(test)]
            Handle::Simulated(file) => file.read_at(buffer, offset),
        }
    }

    pub(crate) fn metadata(&self) -> io::Result<Metadata> {
        match self {
            Handle::Kernel(file) => file.metadata().map(Metadata::from),
            Handle::Memory(memory) => memory.metadata(),
            #[cfg(test)]
            Handle::Simulated(file) => file.metadata(),
        }
    }

    /// The same as its server knows it now, where a network filesystem would tell what it was a while ago.
    pub(crate) fn metadata_now(&self) -> io::Result<Metadata> {
        match self {
            Handle::Kernel(file) => {
                kernel::ask_server(file);
                self.metadata()
            }
            Handle::Memory(_) => self.metadata(),
            #[cfg(test)]
            Handle::Simulated(file) => file.metadata_now(),
        }
    }

    /// Where the file is, as the kernel tells; `None`: nobody tells.
    pub(crate) fn place(&self) -> Option<PathBuf> {
        match self {
            Handle::Kernel(file) => kernel::place(file),
            Handle::Memory(_) => None,
            #[cfg(test)]
            Handle::Simulated(file) => Some(file.place()),
        }
    }

    /// Where from `offset` on there may be something else than a hole; `None`: there is none.
    pub(crate) fn next_data(&self, offset: u64) -> Option<u64> {
        match self {
            Handle::Kernel(file) => kernel::next_data(file, offset),
            Handle::Memory(memory) => memory.next_data(offset),
            #[cfg(test)]
            Handle::Simulated(file) => file.next_data(offset),
        }
    }

    /// What is before `offset` need not stay in the cache.
    pub(crate) fn advise_read(&self, offset: u64) {
        match self {
            Handle::Kernel(file) => kernel::advise_read(file, offset),
            Handle::Memory(_) => {}
            #[cfg(test)]
            Handle::Simulated(_) => {}
        }
    }
}
