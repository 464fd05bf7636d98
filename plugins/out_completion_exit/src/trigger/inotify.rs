//! The folders of flag files, watched.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};

use super::flag::Flags;

/// What the kernel tells of folders.
#[derive(Debug)]
pub(super) struct Inotify {
    fd: OwnedFd,
    /// The folders of flags that are there, by their watches.
    folders: Vec<(i32, PathBuf)>,
}

impl Inotify {
    /// `None`: there is none left, which is said.
    pub(super) fn start() -> Option<Self> {
        let fd = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)
            .inspect_err(|error| {
                tracing::warn!("no inotify ({error}): flag files are looked for every second");
            })
            .ok()?;
        Some(Inotify {
            fd,
            folders: Vec::new(),
        })
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Watches the folders of `flags` as they are now.
    pub(super) fn watch(&mut self, flags: &Flags) {
        self.folders.clear();
        for folder in flags.folders() {
            if let Some(watch) = self.watch_nearest(folder, flags.wants_code()) {
                self.folders.push((watch, folder.to_owned()));
            }
        }
    }

    /// Watches `folder`, or as long as that is missing the nearest folder above it (`None`).
    fn watch_nearest(&self, folder: &Path, writes: bool) -> Option<i32> {
        let mut flags =
            WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::ATTRIB | WatchFlags::ONLYDIR;
        if writes {
            flags |= WatchFlags::CLOSE_WRITE;
        }
        for nearest in folder.ancestors() {
            let place = match nearest.as_os_str().is_empty() {
                true => Path::new("."),
                false => nearest,
            };
            // A folder that is watched already keeps its watch.
            if let Ok(watch) = inotify::add_watch(&self.fd, place, flags) {
                return (nearest == folder).then_some(watch);
            }
        }
        None
    }

    /// Takes all events away; whether one of them is worth a look.
    pub(super) fn take_events(&self, mut flags: Option<&mut Flags>) -> bool {
        let mut worth = false;
        let mut space = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(self.fd(), &mut space);
        while let Ok(event) = events.next() {
            // Events without a name say that a folder went or that events were lost.
            let Some(name) = event.file_name() else {
                worth = true;
                continue;
            };
            let told = event.events();
            worth |= told.contains(ReadFlags::ISDIR);
            let Some(flags) = flags.as_deref_mut() else {
                continue;
            };
            let text = name.to_string_lossy();
            if !flags.may_match(&text) {
                continue;
            }
            worth = true;
            if told.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO) {
                use std::os::unix::ffi::OsStrExt as _;
                let name = std::ffi::OsStr::from_bytes(name.to_bytes());
                for (_, folder) in self.folders.iter().filter(|(wd, _)| *wd == event.wd()) {
                    flags.came(folder, name);
                }
            }
        }
        worth
    }
}
