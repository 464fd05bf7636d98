//! What the kernel tells of folders: inotify(7).

use std::ffi::OsStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};

#[cfg(test)]
use super::simulated::SimNotify;

pub(crate) use rustix::fs::inotify::{ReadFlags as Mask, WatchFlags as Wanted};

/// Bytes of events that are taken at once.
const BUFFER: usize = 64 << 10;

/// Bytes of an event without its name, which is filled up to a multiple of this.
const HEADER: usize = 16;

/// A queue of events of watched folders.
#[derive(Debug)]
pub(crate) enum Notify {
    Kernel {
        fd: OwnedFd,
        buffer: Box<[MaybeUninit<u8>]>,
    },
    #[cfg(test)]
    Simulated(SimNotify),
}

/// What happened in a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event<'a> {
    pub(crate) watch: i32,
    pub(crate) mask: Mask,
    /// Both halves of a renaming have the same.
    pub(crate) cookie: u32,
    /// `None`: it happened to the folder itself.
    pub(crate) name: Option<&'a OsStr>,
}

impl Notify {
    pub(super) fn kernel() -> io::Result<Self> {
        Ok(Notify::Kernel {
            fd: inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?,
            buffer: vec![MaybeUninit::uninit(); BUFFER].into(),
        })
    }

    /// Readable when there are events; `None`: nobody waits in a simulation.
    pub(crate) fn fd(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Notify::Kernel { fd, .. } => Some(fd.as_fd()),
            #[cfg(test)]
            Notify::Simulated(_) => None,
        }
    }

    /// Watches a folder. One that is watched already has the number that it had.
    pub(crate) fn add(&self, folder: &Path, wanted: WatchFlags) -> io::Result<i32> {
        match self {
            Notify::Kernel { fd, .. } => Ok(inotify::add_watch(fd, folder, wanted)?),
            #[cfg(test)]
            Notify::Simulated(notify) => notify.add(folder, wanted),
        }
    }

    pub(crate) fn remove(&self, watch: i32) {
        match self {
            // The error is that the kernel has done so already.
            Notify::Kernel { fd, .. } => drop(inotify::remove_watch(fd, watch)),
            #[cfg(test)]
            Notify::Simulated(notify) => notify.remove(watch),
        }
    }

    /// Passes on at most a buffer of events, and what `take` calls for behind that: it says whether an
    /// event needs the next one. `false`: there are no more.
    pub(crate) fn read(&mut self, mut take: impl FnMut(Event<'_>) -> bool) -> bool {
        match self {
            Notify::Kernel { fd, buffer } => {
                let mut reader = inotify::Reader::new(fd, buffer);
                let mut first = true;
                let mut half = false;
                let mut bytes = 0;
                while first || half || !reader.is_buffer_empty() {
                    let Ok(event) = reader.next() else {
                        // There is nothing more to read now.
                        return false;
                    };
                    first = false;
                    bytes += HEADER + event.file_name().map_or(0, |name| name.to_bytes().len());
                    half = take(Event {
                        watch: event.wd(),
                        mask: event.events(),
                        cookie: event.cookie(),
                        name: event
                            .file_name()
                            .map(|name| OsStr::from_bytes(name.to_bytes())),
                    });
                }
                // What did not fill the buffer was all there was.
                bytes >= BUFFER / 2
            }
            #[cfg(test)]
            Notify::Simulated(notify) => {
                let mut half = false;
                for taken in 0.. {
                    if taken >= simulated_buffer() && !half {
                        return true;
                    }
                    let Some(event) = notify.next() else {
                        return false;
                    };
                    half = take(event.borrowed());
                }
                false
            }
        }
    }
}

/// Events that a buffer holds.
#[cfg(test)]
const fn simulated_buffer() -> usize {
    BUFFER / 32
}
