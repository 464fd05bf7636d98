//! Folder watches: one inotify watch per folder tells of every file in it.

use std::collections::HashMap;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};

/// What happened in a watched folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// A file was written to.
    Written(PathBuf, Vec<u8>),
    /// A name appeared: created, linked or renamed to.
    Appeared(PathBuf, Vec<u8>),
    /// A name is gone: deleted or renamed away.
    Gone(PathBuf, Vec<u8>),
    /// Anything that only a scan sorts out: folders came or went, or events were lost.
    Rescan,
}

/// The watches of one instance.
#[derive(Debug)]
pub(crate) struct Watches {
    fd: OwnedFd,
    folders: HashMap<i32, PathBuf>,
    by_path: HashMap<PathBuf, i32>,
}

impl Watches {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Watches {
            fd: inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?,
            folders: HashMap::new(),
            by_path: HashMap::new(),
        })
    }

    /// Readable when there is something to [`Watches::read`].
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Watches `folder`; `Ok(true)`: it was not watched before.
    pub(crate) fn add(&mut self, folder: &Path) -> io::Result<bool> {
        // The kernel answers with the old number for a folder that it watches already, so this
        // also finds out when another folder has taken the path.
        let wd = inotify::add_watch(
            &self.fd,
            folder,
            WatchFlags::CREATE
                | WatchFlags::MODIFY
                | WatchFlags::MOVED_FROM
                | WatchFlags::MOVED_TO
                | WatchFlags::DELETE
                | WatchFlags::DELETE_SELF
                | WatchFlags::MOVE_SELF
                | WatchFlags::ONLYDIR,
        )?;
        if self.by_path.get(folder) == Some(&wd) {
            return Ok(false);
        }
        self.by_path.insert(folder.to_owned(), wd);
        self.folders.insert(wd, folder.to_owned());
        Ok(true)
    }

    /// Passes on every event that is there.
    pub(crate) fn read(&mut self, mut change: impl FnMut(Change)) {
        let mut buffer = [MaybeUninit::uninit(); 16 * 1024];
        let mut reader = inotify::Reader::new(&self.fd, &mut buffer);
        // An error means that there is nothing more to read now.
        while let Ok(event) = reader.next() {
            let flags = event.events();
            let folder = self.folders.get(&event.wd());
            if flags.intersects(ReadFlags::IGNORED) {
                if let Some(path) = self.folders.remove(&event.wd()) {
                    self.by_path.remove(&path);
                }
                change(Change::Rescan);
                continue;
            }
            let (Some(folder), Some(name)) = (folder, event.file_name()) else {
                change(Change::Rescan);
                continue;
            };
            if flags.intersects(ReadFlags::ISDIR) {
                change(Change::Rescan);
                continue;
            }
            let name = name.to_bytes().to_vec();
            change(if flags.intersects(ReadFlags::MODIFY) {
                Change::Written(folder.clone(), name)
            } else if flags.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO) {
                Change::Appeared(folder.clone(), name)
            } else {
                Change::Gone(folder.clone(), name)
            });
        }
    }
}
