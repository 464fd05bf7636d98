//! Folder watches: one inotify watch per folder tells of every file in it.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};

/// What happened in a watched folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// A file was written to.
    Written(PathBuf),
    /// A name appeared: created, linked or renamed to.
    Appeared(PathBuf),
    /// A name is gone: deleted, or renamed to where nobody looks.
    Gone { path: PathBuf, deleted: bool },
    /// A file was renamed between watched folders, or inside one.
    Renamed(PathBuf, PathBuf),
    /// Folders came or went: only a scan sorts that out.
    Folders,
    /// Events were lost: every file must be looked at.
    Overflow,
}

/// The watches of one instance.
#[derive(Debug)]
pub(crate) struct Watches {
    fd: OwnedFd,
    folders: HashMap<i32, PathBuf>,
    by_path: HashMap<PathBuf, i32>,
    buffer: Vec<MaybeUninit<u8>>,
}

impl Watches {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Watches {
            fd: inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?,
            folders: HashMap::new(),
            by_path: HashMap::new(),
            buffer: vec![MaybeUninit::uninit(); 64 << 10],
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

    /// Passes on what is there, at most a buffer of it and what belongs to that. `false`: that was
    /// all.
    pub(crate) fn read(&mut self, mut change: impl FnMut(Change)) -> bool {
        let mut reader = inotify::Reader::new(&self.fd, &mut self.buffer);
        let mut moved_from: Option<(u32, PathBuf)> = None;
        let mut more = false;
        while !more || moved_from.is_some() || !reader.is_buffer_empty() {
            let Ok(event) = reader.next() else {
                // There is nothing more to read now.
                more = false;
                break;
            };
            more = true;
            let flags = event.events();
            let path = self
                .folders
                .get(&event.wd())
                .zip(event.file_name())
                .map(|(folder, name)| folder.join(OsStr::from_bytes(name.to_bytes())));
            if let Some((cookie, from)) = moved_from.take() {
                match &path {
                    Some(to)
                        if flags.intersects(ReadFlags::MOVED_TO) && event.cookie() == cookie =>
                    {
                        change(Change::Renamed(from, to.clone()));
                        continue;
                    }
                    _ => change(Change::Gone {
                        path: from,
                        deleted: false,
                    }),
                }
            }
            if flags.intersects(ReadFlags::IGNORED) {
                if let Some(path) = self.folders.remove(&event.wd()) {
                    self.by_path.remove(&path);
                }
            }
            change(match path {
                _ if flags.intersects(ReadFlags::QUEUE_OVERFLOW) => Change::Overflow,
                Some(_) if flags.intersects(ReadFlags::ISDIR) => Change::Folders,
                Some(path) if flags.intersects(ReadFlags::MODIFY) => Change::Written(path),
                Some(path) if flags.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO) => {
                    Change::Appeared(path)
                }
                Some(path) if flags.intersects(ReadFlags::MOVED_FROM) => {
                    moved_from = Some((event.cookie(), path));
                    continue;
                }
                Some(path) => Change::Gone {
                    path,
                    deleted: true,
                },
                None => Change::Folders,
            });
        }
        if let Some((_, from)) = moved_from {
            change(Change::Gone {
                path: from,
                deleted: false,
            });
        }
        more
    }
}
