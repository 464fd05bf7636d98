//! Folder watches: one inotify watch per folder tells of every file in it.

use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

use crate::fs::{Event, Fs, Mask, Notify, Wanted};
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
    fs: Fs,
    notify: Notify,
    folders: HashMap<i32, Paths>,
    by_path: HashMap<PathBuf, i32>,
}

/// The paths of one folder: there are several if links lead to it.
type Paths = Vec<PathBuf>;

impl Watches {
    pub(crate) fn new(fs: &Fs) -> io::Result<Self> {
        Ok(Watches {
            fs: fs.clone(),
            notify: fs.notify()?,
            folders: HashMap::default(),
            by_path: HashMap::default(),
        })
    }

    /// Readable when there is something to [`Watches::read`]; `None` in a simulation.
    pub(crate) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.notify.fd()
    }

    /// Watches `folder`; `Ok(true)`: it was not watched before.
    pub(crate) fn add(&mut self, folder: &Path) -> io::Result<bool> {
        self.watch(
            folder,
            Wanted::CREATE
                | Wanted::MODIFY
                | Wanted::MOVED_FROM
                | Wanted::MOVED_TO
                | Wanted::DELETE
                | Wanted::DELETE_SELF
                | Wanted::MOVE_SELF,
        )
    }

    /// Watches for folders that will come into `folder`, and for nothing else there.
    pub(crate) fn wait_in(&mut self, folder: &Path) -> io::Result<bool> {
        self.watch(
            folder,
            Wanted::CREATE
                | Wanted::MOVED_TO
                | Wanted::DELETE_SELF
                | Wanted::MOVE_SELF
                | Wanted::MASK_ADD,
        )
    }

    fn watch(&mut self, folder: &Path, flags: Wanted) -> io::Result<bool> {
        // The kernel answers with the old number for a folder that it watches already, so this
        // also finds out when another folder has taken the path.
        let wd = self.notify.add(folder, flags | Wanted::ONLYDIR)?;
        let before = self.by_path.insert(folder.to_owned(), wd);
        if before == Some(wd) {
            return Ok(false);
        }
        if let Some(paths) = before.and_then(|wd| self.folders.get_mut(&wd)) {
            paths.retain(|path| path != folder);
        }
        // It may have been moved with a folder above it, of which nobody tells.
        let paths = self.folders.remove(&wd).unwrap_or_default().into_iter();
        let (mut paths, over): (Paths, Paths) =
            paths.partition(|path| same_folder(&self.fs, path, folder));
        for path in over {
            self.by_path.remove(&path);
        }
        paths.push(folder.to_owned());
        self.folders.insert(wd, paths);
        Ok(true)
    }

    /// The folder is gone, or has another path now.
    fn forget(&mut self, wd: i32) {
        self.notify.remove(wd);
        for path in self.folders.remove(&wd).unwrap_or_default() {
            if self.by_path.get(&path) == Some(&wd) {
                self.by_path.remove(&path);
            }
        }
    }

    /// Passes on what is there, at most a buffer of it and what belongs to that. `false`: that was
    /// all.
    pub(crate) fn read(&mut self, mut change: impl FnMut(Change)) -> bool {
        let Watches {
            notify, folders, ..
        } = self;
        let mut over = Vec::new();
        let mut moved = None;
        let more = notify.read(|event| {
            told(folders, event, &mut moved, &mut over, &mut change);
            moved.is_some()
        });
        if let Some((_, from)) = moved {
            renamed(from, Paths::new(), &mut change);
        }
        for wd in over {
            self.forget(wd);
        }
        more
    }
}

/// Passes on an event, but for the first half of a renaming, which waits for the other one.
fn told(
    folders: &HashMap<i32, Paths>,
    event: Event<'_>,
    moved: &mut Option<(u32, Paths)>,
    over: &mut Vec<i32>,
    change: &mut impl FnMut(Change),
) {
    let flags = event.mask;
    let folders = folders.get(&event.watch);
    let paths: Paths = match folders.zip(event.name) {
        Some((folders, name)) => folders.iter().map(|folder| folder.join(name)).collect(),
        None => Paths::new(),
    };
    if let Some((cookie, from)) = moved.take() {
        if flags.intersects(Mask::MOVED_TO) && event.cookie == cookie {
            return renamed(from, paths, change);
        }
        renamed(from, Paths::new(), change);
    }
    if flags.intersects(Mask::QUEUE_OVERFLOW) {
        return change(Change::Overflow);
    }
    if flags.intersects(Mask::IGNORED | Mask::MOVE_SELF) {
        over.push(event.watch);
    }
    if paths.is_empty() {
        if folders.is_some() {
            change(Change::Folders);
        }
        return;
    }
    let come = flags.intersects(Mask::CREATE | Mask::MOVED_TO);
    if flags.intersects(Mask::ISDIR) {
        for path in paths {
            change(if come {
                Change::Folder(path)
            } else {
                Change::Folders
            });
        }
        return;
    }
    if flags.intersects(Mask::MOVED_FROM) {
        *moved = Some((event.cookie, paths));
        return;
    }
    for path in paths {
        change(if flags.intersects(Mask::MODIFY) {
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

fn same_folder(fs: &Fs, one: &Path, other: &Path) -> bool {
    let number = |path| fs.metadata(path).ok().map(|m| (m.dev(), m.ino()));
    let numbers = number(one).zip(number(other));
    numbers.is_some_and(|(one, other)| one == other)
}
