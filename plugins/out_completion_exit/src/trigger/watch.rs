//! The thread that waits for flag files and processes, so that the engine's thread never touches
//! a file system.
//!
//! inotify tells of a flag at once where the writer runs on the same machine. A look every
//! [`LOOK_EVERY`] finds it on network file systems as well, and keeps the watches where they
//! belong while folders come and go.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{eventfd, poll, EventfdFlags, PollFd, PollFlags, Timespec};
use rustix::io::Errno;

use super::flag::{Flags, Look};
use super::inotify::Inotify;
use super::process::Processes;
use super::writers::{self, Writers};
use crate::config::{FlagConfig, ProcessConfig};
use crate::guard::Alarm;
use crate::trigger::Fired;
use crate::worker::Worker;

/// Time between two looks without an event.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const PROC: &str = "/proc";

#[derive(Debug, Default)]
struct Shared {
    /// Set behind the mailboxes: the engine's thread looks here only.
    ready: AtomicBool,
    stop: AtomicBool,
    fired: Mutex<Vec<Fired>>,
    question: Mutex<Option<Vec<PathBuf>>>,
    answer: Mutex<Option<Writers>>,
}

/// The running thread.
#[derive(Debug)]
pub(crate) struct Watch {
    shared: Arc<Shared>,
    wake: Arc<OwnedFd>,
    _thread: Worker,
}

/// What the thread told since the last question.
#[derive(Debug, Default)]
pub(crate) struct News {
    pub(crate) fired: Vec<Fired>,
    pub(crate) writers: Option<Writers>,
}

impl Watch {
    /// Starts to wait.
    ///
    /// # Errors
    /// When the system has no descriptor or thread left.
    pub(crate) fn start(
        flags: Option<FlagConfig>,
        processes: Option<ProcessConfig>,
        alarm: Alarm,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let thread = Worker::start("flb-sc-flag", {
            let (shared, wake) = (shared.clone(), wake.clone());
            move || {
                let own = std::process::id();
                let flags = flags.as_ref().map(Flags::new);
                let processes = processes
                    .as_ref()
                    .map(|config| Processes::new(config, Path::new(PROC), own, Instant::now()));
                run(flags, processes, &shared, &wake, &alarm);
            }
        })?;
        Ok(Watch {
            shared,
            wake,
            _thread: thread,
        })
    }

    /// What is new. When nothing is, this is one atomic operation.
    pub(crate) fn news(&self) -> Option<News> {
        if !self.shared.ready.swap(false, Ordering::AcqRel) {
            return None;
        }
        Some(News {
            fired: std::mem::take(&mut *lock(&self.shared.fired)),
            writers: lock(&self.shared.answer).take(),
        })
    }

    /// Tells the thread to end; it is joined when this is dropped.
    pub(crate) fn stop(&self) {
        self.shared.stop.store(true, Ordering::Release);
        wake_up(&self.wake);
    }

    /// Has the thread look who has `files` open for writing; the answer is in [`Watch::news`].
    pub(crate) fn ask_for_writers(&self, files: Vec<PathBuf>) {
        *lock(&self.shared.question) = Some(files);
        wake_up(&self.wake);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop();
    }
}

fn wake_up(wake: &OwnedFd) {
    // The counter is far from its limit, so this cannot fail; the thread looks every second anyway.
    let _ = rustix::io::write(wake, &1u64.to_ne_bytes());
}

/// A panic of the other thread leaves a mailbox as it was, so a poisoned lock is still good.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn run(
    mut flags: Option<Flags>,
    mut processes: Option<Processes>,
    shared: &Shared,
    wake: &OwnedFd,
    alarm: &Alarm,
) {
    let mut inotify = flags.as_ref().and_then(|_| Inotify::start());
    while !shared.stop.load(Ordering::Acquire) {
        let now = Instant::now();
        let mut pause = LOOK_EVERY;
        if let Some(wanted) = &mut flags {
            // First the watch, then the look: what appears in between is an event.
            if let Some(inotify) = &mut inotify {
                inotify.watch(wanted);
            }
            match wanted.look(now) {
                Look::Nothing => {}
                Look::Again(soon) => pause = pause.min(soon),
                Look::Found(fired) => {
                    tell(shared, alarm, fired);
                    flags = None;
                }
            }
        }
        if let Some(wanted) = &mut processes {
            if let Some(fired) = wanted.look(now) {
                tell(shared, alarm, fired);
                processes = None;
            } else if let Some(soon) = wanted.next_look(now) {
                pause = pause.min(soon);
            }
        }
        let question = lock(&shared.question).take();
        if let Some(files) = question {
            let found = writers::search(Path::new(PROC), std::process::id(), &files);
            *lock(&shared.answer) = Some(found);
            shared.ready.store(true, Ordering::Release);
        }
        wait(
            inotify.as_ref(),
            wake,
            flags.as_mut(),
            processes.as_ref(),
            pause,
        );
    }
}

fn tell(shared: &Shared, alarm: &Alarm, fired: Fired) {
    alarm.fired();
    lock(&shared.fired).push(fired);
    shared.ready.store(true, Ordering::Release);
}

/// Waits for an event worth a look, the end or the next look.
fn wait(
    inotify: Option<&Inotify>,
    wake: &OwnedFd,
    mut flags: Option<&mut Flags>,
    processes: Option<&Processes>,
    pause: Duration,
) {
    let end = Instant::now() + pause;
    loop {
        let mut fds = vec![PollFd::new(wake, PollFlags::IN)];
        if let Some(inotify) = inotify {
            fds.push(PollFd::from_borrowed_fd(inotify.fd(), PollFlags::IN));
        }
        let others = fds.len();
        for pidfd in processes.into_iter().flat_map(Processes::pidfds) {
            fds.push(PollFd::new(pidfd, PollFlags::IN));
        }
        let left = end.saturating_duration_since(Instant::now());
        let timeout = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(1),
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        match poll(&mut fds, Some(&timeout)) {
            Ok(0) => return,
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(error) => {
                tracing::error!("poll: {error}");
                std::thread::sleep(left);
                return;
            }
        }
        let ready = |fd: &PollFd<'_>| !fd.revents().is_empty();
        if fds.first().is_some_and(ready) {
            let mut count = [0; 8];
            // Empties the counter; it is readable, so this cannot wait.
            let _ = rustix::io::read(wake, &mut count);
            return;
        }
        if fds.iter().skip(others).any(ready) {
            return;
        }
        if inotify.is_some_and(|inotify| inotify.take_events(flags.as_deref_mut())) {
            return;
        }
    }
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
