//! A folder by its handle, and how it is come by: through no link that a stranger can have put there.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{
    fstat, mkdirat, openat, readlinkat, renameat, renameat_with, statat, unlinkat, AtFlags,
    FileType, Mode, OFlags, RenameFlags, Stat, CWD,
};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::{in_the_way, PRIVATE};

/// As many links on the way as the kernel follows.
const LINKS: usize = 40;
/// A handle that only stands for a place.
const PLACE: OFlags = OFlags::PATH
    .union(OFlags::NOFOLLOW)
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);

/// A folder that files of ours are in.
#[derive(Debug)]
pub(super) struct Folder {
    handle: OwnedFd,
    shared: bool,
}

impl Folder {
    /// Goes to the folder at `path`. Below a folder that others can write to no link is followed:
    /// they may have put it there, or the folder that has it.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let root = if path.is_absolute() { "/" } else { "." };
        let mut handle = openat(CWD, root, PLACE, Mode::empty())?;
        let mut shared = is_shared(&fstat(&handle)?);
        let mut parts = parts_of(path);
        let mut links = 0;
        while let Some(part) = parts.pop_front() {
            match openat(&handle, &part, PLACE, Mode::empty()) {
                Ok(next) => handle = next,
                Err(Errno::NOTDIR | Errno::LOOP) => {
                    let stat = statat(&handle, &part, AtFlags::SYMLINK_NOFOLLOW)?;
                    if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
                        return Err(Errno::NOTDIR.into());
                    }
                    if shared {
                        return Err(in_the_way(format!(
                            "{} of {} is a link in a folder that others can write to",
                            Path::new(&part).display(),
                            path.display()
                        )));
                    }
                    links += 1;
                    if links > LINKS {
                        return Err(Errno::LOOP.into());
                    }
                    let target = readlinkat(&handle, &part, Vec::new())?;
                    let target = Path::new(OsStr::from_bytes(target.to_bytes()));
                    if target.is_absolute() {
                        handle = openat(CWD, "/", PLACE, Mode::empty())?;
                    }
                    for part in parts_of(target).into_iter().rev() {
                        parts.push_front(part);
                    }
                    continue;
                }
                Err(error) => return Err(error.into()),
            }
            shared |= is_shared(&fstat(&handle)?);
        }
        Ok(Folder { handle, shared })
    }

    /// Others can write to it, or to one above it.
    pub(super) fn is_shared(&self) -> bool {
        self.shared
    }

    /// Whether we have made a file, as far as its filesystem tells: where all of them belong to one
    /// user, or root's belong to nobody, so do ours.
    pub(super) fn is_ours(&self, stat: &Stat) -> bool {
        if stat.st_uid == geteuid().as_raw() {
            return true;
        }
        static PROBES: AtomicU64 = AtomicU64::new(0);
        let number = PROBES.fetch_add(1, Ordering::Relaxed);
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.unwrap_or_default().as_nanos();
        // Never the name of another container's process with the same number.
        let probe = OsString::from(format!(".sidecar-owner-{now:x}-{number}"));
        let Ok(file) = self.create(&probe, PRIVATE) else {
            return false;
        };
        let owner = fstat(&file).map(|stat| stat.st_uid);
        // Nothing is lost with an empty file that stays.
        let _ = self.unlink(&probe);
        owner.is_ok_and(|owner| owner == stat.st_uid)
    }

    /// Opens what is there, whatever it is but a link, without waiting for anybody.
    pub(super) fn open_file(&self, name: &OsStr, access: OFlags) -> Result<(File, Stat), Errno> {
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = openat(&self.handle, name, access | flags, Mode::empty())?;
        let stat = fstat(&file)?;
        Ok((file.into(), stat))
    }

    /// Makes a file where there is nothing.
    pub(super) fn create(&self, name: &OsStr, mode: u32) -> Result<File, Errno> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let mode = Mode::from_raw_mode(mode);
        Ok(openat(&self.handle, name, flags | OFlags::CLOEXEC, mode)?.into())
    }

    /// Makes a folder for us alone where there is nothing.
    pub(super) fn create_folder(&self, name: &OsStr) -> io::Result<Folder> {
        mkdirat(&self.handle, name, Mode::RWXU)?;
        let handle = openat(&self.handle, name, PLACE, Mode::empty())?;
        Ok(Folder {
            handle,
            shared: self.shared,
        })
    }

    /// Removes every file in it.
    pub(super) fn empty(&self) -> io::Result<()> {
        for entry in std::fs::read_dir(self.path())? {
            self.unlink(&entry?.file_name())?;
        }
        Ok(())
    }

    pub(super) fn remove_folder(&self, name: &OsStr) -> Result<(), Errno> {
        unlinkat(&self.handle, name, AtFlags::REMOVEDIR)
    }

    /// A path that leads here whatever the folder's name is by now.
    pub(super) fn path(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.handle.as_raw_fd()).into()
    }

    pub(super) fn stat(&self, name: &OsStr) -> Result<Stat, Errno> {
        statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW)
    }

    pub(super) fn unlink(&self, name: &OsStr) -> Result<(), Errno> {
        unlinkat(&self.handle, name, AtFlags::empty())
    }

    pub(super) fn rename(&self, from: &OsStr, to: &OsStr, flags: RenameFlags) -> Result<(), Errno> {
        if flags.is_empty() {
            return renameat(&self.handle, from, &self.handle, to);
        }
        renameat_with(&self.handle, from, &self.handle, to, flags)
    }

    /// Has names in it reach the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let file: File = openat(&self.handle, ".", flags, Mode::empty())?.into();
        file.sync_all()
    }
}

fn parts_of(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            _ => None,
        })
        .collect()
}

/// Whether somebody other than root and us can write to a folder.
fn is_shared(stat: &Stat) -> bool {
    let writable = stat.st_mode & 0o022 != 0;
    let stranger = stat.st_uid != 0 && stat.st_uid != geteuid().as_raw();
    writable || stranger
}
