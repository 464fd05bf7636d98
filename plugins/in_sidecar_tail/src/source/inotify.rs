//! Folder watches: one inotify watch per folder tells of every file in it.

use std::ffi::OsStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};

use crate::map::HashMap;

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
    /// A folder appeared.
    Folder(PathBuf),
    /// Watched folders went: only a scan sorts that out.
    Folders,
    /// Events were lost: every file must be looked at.
    Overflow,
}

/// The watches of one instance.
#[derive(Debug)]
pub(crate) struct Watches {
    fd: OwnedFd,
    folders: HashMap<i32, Paths>,
    by_path: HashMap<PathBuf, i32>,
    buffer: Vec<MaybeUninit<u8>>,
}

/// The paths of one folder: there are several if links lead to it.
type Paths = Vec<PathBuf>;

impl Watches {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Watches {
            fd: inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?,
            folders: HashMap::default(),
            by_path: HashMap::default(),
            buffer: vec![MaybeUninit::uninit(); 64 << 10],
        })
    }

    /// Readable when there is something to [`Watches::read`].
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Watches `folder`; `Ok(true)`: it was not watched before.
    pub(crate) fn add(&mut self, folder: &Path) -> io::Result<bool> {
        self.watch(
            folder,
            WatchFlags::CREATE
                | WatchFlags::MODIFY
                | WatchFlags::MOVED_FROM
                | WatchFlags::MOVED_TO
                | WatchFlags::DELETE
                | WatchFlags::DELETE_SELF
                | WatchFlags::MOVE_SELF,
        )
    }

    /// Watches for folders that will come into `folder`, and for nothing else there.
    pub(crate) fn wait_in(&mut self, folder: &Path) -> io::Result<bool> {
        self.watch(
            folder,
            WatchFlags::CREATE
                | WatchFlags::MOVED_TO
                | WatchFlags::DELETE_SELF
                | WatchFlags::MOVE_SELF
                | WatchFlags::MASK_ADD,
        )
    }

    fn watch(&mut self, folder: &Path, flags: WatchFlags) -> io::Result<bool> {
        // The kernel answers with the old number for a folder that it watches already, so this
        // also finds out when another folder has taken the path.
        let wd = inotify::add_watch(&self.fd, folder, flags | WatchFlags::ONLYDIR)?;
        let before = self.by_path.insert(folder.to_owned(), wd);
        if before == Some(wd) {
            return Ok(false);
        }
        if let Some(paths) = before.and_then(|wd| self.folders.get_mut(&wd)) {
            paths.retain(|path| path != folder);
        }
        // It may have been moved with a folder above it, of which nobody tells.
        let paths = self.folders.remove(&wd).unwrap_or_default().into_iter();
        let (mut paths, over): (Paths, Paths) = paths.partition(|path| same_folder(path, folder));
        for path in over {
            self.by_path.remove(&path);
        }
        paths.push(folder.to_owned());
        self.folders.insert(wd, paths);
        Ok(true)
    }

    /// The folder is gone, or has another path now.
    fn forget(&mut self, wd: i32) {
        // The error is that the kernel has done so already.
        let _ = inotify::remove_watch(&self.fd, wd);
        for path in self.folders.remove(&wd).unwrap_or_default() {
            if self.by_path.get(&path) == Some(&wd) {
                self.by_path.remove(&path);
            }
        }
    }

    /// Passes on what is there, at most a buffer of it and what belongs to that. `false`: that was
    /// all.
    pub(crate) fn read(&mut self, mut change: impl FnMut(Change)) -> bool {
        // Taken out, since watches go while it is read.
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut over = Vec::new();
        let more = self.read_into(&mut buffer, &mut change, &mut over);
        self.buffer = buffer;
        for wd in over {
            self.forget(wd);
        }
        more
    }

    fn read_into(
        &self,
        buffer: &mut [MaybeUninit<u8>],
        change: &mut impl FnMut(Change),
        over: &mut Vec<i32>,
    ) -> bool {
        let mut reader = inotify::Reader::new(&self.fd, buffer);
        let mut moved: Option<(u32, Paths)> = None;
        let mut more = false;
        while !more || moved.is_some() || !reader.is_buffer_empty() {
            let Ok(event) = reader.next() else {
                // There is nothing more to read now.
                more = false;
                break;
            };
            more = true;
            let flags = event.events();
            let folders = self.folders.get(&event.wd());
            let name = event.file_name();
            let paths: Paths = match folders.zip(name) {
                Some((folders, name)) => {
                    let name = OsStr::from_bytes(name.to_bytes());
                    folders.iter().map(|folder| folder.join(name)).collect()
                }
                None => Paths::new(),
            };
            if let Some((cookie, from)) = moved.take() {
                if flags.intersects(ReadFlags::MOVED_TO) && event.cookie() == cookie {
                    renamed(from, paths, change);
                    continue;
                }
                renamed(from, Paths::new(), change);
            }
            if flags.intersects(ReadFlags::QUEUE_OVERFLOW) {
                change(Change::Overflow);
                continue;
            }
            if flags.intersects(ReadFlags::IGNORED | ReadFlags::MOVE_SELF) {
                over.push(event.wd());
            }
            if paths.is_empty() {
                if folders.is_some() {
                    change(Change::Folders);
                }
                continue;
            }
            let come = flags.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO);
            if flags.intersects(ReadFlags::ISDIR) {
                for path in paths {
                    change(if come {
                        Change::Folder(path)
                    } else {
                        Change::Folders
                    });
                }
                continue;
            }
            if flags.intersects(ReadFlags::MOVED_FROM) {
                moved = Some((event.cookie(), paths));
                continue;
            }
            for path in paths {
                change(if flags.intersects(ReadFlags::MODIFY) {
                    Change::Written(path)
                } else if come {
                    Change::Appeared(path)
                } else {
                    Change::Gone {
                        path,
                        deleted: true,
                    }
                });
            }
        }
        if let Some((_, from)) = moved {
            renamed(from, Paths::new(), change);
        }
        more
    }
}

#[cfg(test)]
impl Watches {
    /// All that is watched.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.folders.values().flatten().map(PathBuf::as_path)
    }
}

/// A file that had these paths has those now.
fn renamed(from: Paths, to: Paths, change: &mut impl FnMut(Change)) {
    let mut to = to.into_iter();
    let mut last = None;
    for path in from {
        change(match to.next() {
            Some(to) => Change::Renamed(path.clone(), to),
            None => Change::Gone {
                path: path.clone(),
                deleted: false,
            },
        });
        last = Some(path);
    }
    for (from, to) in last.iter().cycle().zip(to) {
        change(Change::Renamed(from.clone(), to));
    }
}

fn same_folder(one: &Path, other: &Path) -> bool {
    let number = |path| std::fs::metadata(path).ok().map(|m| (m.dev(), m.ino()));
    let numbers = number(one).zip(number(other));
    numbers.is_some_and(|(one, other)| one == other)
}
