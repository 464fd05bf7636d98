//! The thread that waits for flag files, so that the engine's thread never touches a file system.
//!
//! inotify tells of a flag at once where the writer runs on the same machine. A look every
//! [`LOOK_EVERY`] finds it on network file systems as well, and keeps the watches where they
//! belong while folders come and go.

use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use flb_sidecar_sdk::worker;
use rustix::event::{eventfd, poll, EventfdFlags, PollFd, PollFlags, Timespec};
use rustix::fs::inotify;
use rustix::io::Errno;

use crate::flag::Flag;

/// Time between two looks without an event.
const LOOK_EVERY: Timespec = Timespec {
    tv_sec: 1,
    tv_nsec: 0,
};

/// Why a trigger fired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fired {
    /// For people: what happened.
    pub(crate) reason: String,
}

impl fmt::Display for Fired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

#[derive(Debug, Default)]
struct Shared {
    /// Set behind `fired`: the engine's thread looks here only.
    ready: AtomicBool,
    stop: AtomicBool,
    fired: Mutex<Option<Fired>>,
}

/// The running thread.
#[derive(Debug)]
pub(crate) struct Watch {
    shared: Arc<Shared>,
    wake: Arc<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Starts to wait for `flags`.
    ///
    /// # Errors
    /// When the system has no descriptor or thread left.
    pub(crate) fn start(flags: Vec<Flag>) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let thread = worker::spawn("flb-sc-flag", {
            let (shared, wake) = (shared.clone(), wake.clone());
            move || run(&flags, &shared, &wake)
        })?;
        Ok(Watch {
            shared,
            wake,
            thread: Some(thread),
        })
    }

    /// What fired, once. Without a trigger this is one atomic load.
    pub(crate) fn fired(&self) -> Option<Fired> {
        if !self.shared.ready.swap(false, Ordering::AcqRel) {
            return None;
        }
        self.shared
            .fired
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        // The counter is far from its limit, so the write cannot fail; the thread looks every
        // second anyway.
        let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
        if let Some(thread) = self.thread.take() {
            if thread.join().is_err() {
                tracing::error!("the thread that waits for flag files panicked");
            }
        }
    }
}

fn run(flags: &[Flag], shared: &Shared, wake: &OwnedFd) {
    let inotify = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)
        .inspect_err(|error| {
            tracing::warn!("no inotify ({error}): flag files are looked for every second");
        })
        .ok();
    while !shared.stop.load(Ordering::Acquire) {
        // First the watch, then the look: what appears in between is an event.
        for flag in flags {
            if let Some(inotify) = &inotify {
                watch_folder(inotify, flag.folder());
            }
        }
        if let Some(path) = flags.iter().find_map(Flag::find) {
            let reason = format!("flag file {} is there", path.display());
            *shared.fired.lock().unwrap_or_else(PoisonError::into_inner) = Some(Fired { reason });
            shared.ready.store(true, Ordering::Release);
            return;
        }
        wait(inotify.as_ref(), wake);
    }
}

/// Watches `folder`, or as long as that is missing the nearest folder above it.
fn watch_folder(inotify: &OwnedFd, folder: &Path) {
    let flags = inotify::WatchFlags::CREATE
        | inotify::WatchFlags::MOVED_TO
        | inotify::WatchFlags::CLOSE_WRITE
        | inotify::WatchFlags::ONLYDIR;
    for folder in folder.ancestors() {
        let folder = if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            folder
        };
        // A folder that is watched already keeps its watch.
        if inotify::add_watch(inotify, folder, flags).is_ok() {
            return;
        }
    }
}

/// Waits for an event, the end or the next look, and takes the events away.
fn wait(inotify: Option<&OwnedFd>, wake: &OwnedFd) {
    let mut fds = vec![PollFd::new(wake, PollFlags::IN)];
    if let Some(inotify) = inotify {
        fds.push(PollFd::new(inotify, PollFlags::IN));
    }
    match poll(&mut fds, Some(&LOOK_EVERY)) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => {
            tracing::error!("poll: {error}");
            std::thread::sleep(std::time::Duration::from_secs(1));
        }
    }
    if let Some(inotify) = inotify {
        let mut space = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(inotify.as_fd(), &mut space);
        while events.next().is_ok() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::time::{Duration, Instant};

    fn fired_within(watch: &Watch, limit: Duration) -> Option<Fired> {
        let start = Instant::now();
        loop {
            if let Some(fired) = watch.fired() {
                return Some(fired);
            }
            if start.elapsed() > limit {
                return None;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn a_flag_that_is_there_already_fires_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("flag");
        fs::write(&path, "").unwrap();
        let watch = Watch::start(vec![Flag::new(&path)]).unwrap();
        let fired = fired_within(&watch, Duration::from_secs(10)).unwrap();
        assert!(fired.reason.contains(path.to_str().unwrap()), "{fired}");
        assert_eq!(watch.fired(), None);
    }

    #[test]
    fn a_flag_in_a_folder_that_comes_later_fires() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("a/b");
        let watch = Watch::start(vec![Flag::new(folder.join("flag"))]).unwrap();
        fs::create_dir_all(&folder).unwrap();
        assert_eq!(watch.fired(), None);
        fs::write(folder.join("flag"), "").unwrap();
        assert!(fired_within(&watch, Duration::from_secs(10)).is_some());
    }

    #[test]
    fn a_renamed_flag_and_a_dangling_link_fire() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("flag");
        let watch = Watch::start(vec![Flag::new(&path)]).unwrap();
        fs::write(dir.path().join("other"), "").unwrap();
        fs::rename(dir.path().join("other"), &path).unwrap();
        assert!(fired_within(&watch, Duration::from_secs(10)).is_some());

        let link = dir.path().join("link");
        std::os::unix::fs::symlink("nowhere", &link).unwrap();
        let watch = Watch::start(vec![Flag::new(&link)]).unwrap();
        assert!(fired_within(&watch, Duration::from_secs(10)).is_some());
    }

    #[test]
    fn dropping_the_watch_ends_its_thread_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let watch = Watch::start(vec![Flag::new(dir.path().join("flag"))]).unwrap();
        let start = Instant::now();
        drop(watch);
        assert!(
            start.elapsed() < Duration::from_millis(900),
            "{:?}",
            start.elapsed()
        );
    }
}
