//! Small files written by a thread of its own: the report and the ready file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{channel, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::worker::Worker;

#[derive(Debug)]
enum Job {
    Write(&'static str, PathBuf, Vec<u8>),
    Remove(&'static str, PathBuf),
}

/// Writes and removes files in the order asked for.
#[derive(Debug)]
pub(crate) struct Files {
    /// Closed before `_thread` is dropped, which tells the thread to end.
    scribe: Scribe,
    _thread: Worker,
}

/// A handle for other threads. Does not keep the thread that writes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scribe(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    jobs: Mutex<Option<Sender<Job>>>,
    /// Jobs that are not done.
    open: AtomicUsize,
    /// Jobs that are not done or not on the disk.
    unsynced: AtomicUsize,
}

impl Files {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub(crate) fn start() -> io::Result<Self> {
        let (jobs, todo) = channel();
        let scribe = Scribe::default();
        *scribe.jobs() = Some(jobs);
        let thread = Worker::start("flb-sc-report", {
            let shared = scribe.0.clone();
            move || {
                for job in todo {
                    let written = run(job);
                    shared.open.fetch_sub(1, Ordering::AcqRel);
                    if let Some(file) = written {
                        // Pipes and devices have nothing to sync.
                        let _ = file.sync_all();
                    }
                    shared.unsynced.fetch_sub(1, Ordering::AcqRel);
                }
            }
        })?;
        Ok(Files {
            scribe,
            _thread: thread,
        })
    }

    /// For other threads.
    pub(crate) fn scribe(&self) -> Scribe {
        self.scribe.clone()
    }

    /// Writes `content` to the file of `option`.
    pub(crate) fn write(&self, option: &'static str, path: &Path, content: Vec<u8>) {
        self.scribe.write(option, path, content);
    }

    /// Removes the file of `option`, if it is there.
    pub(crate) fn remove(&self, option: &'static str, path: &Path) {
        self.scribe.send(Job::Remove(option, path.to_owned()));
    }

    /// Everything asked for is done.
    pub(crate) fn done(&self) -> bool {
        self.scribe.0.open.load(Ordering::Acquire) == 0
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        *self.scribe.jobs() = None;
    }
}

impl Scribe {
    /// Writes `content` to the file of `option`.
    pub(crate) fn write(&self, option: &'static str, path: &Path, content: Vec<u8>) {
        self.send(Job::Write(option, path.to_owned(), content));
    }

    /// Everything asked for is done and on the disk.
    pub(crate) fn synced(&self) -> bool {
        self.0.unsynced.load(Ordering::Acquire) == 0
    }

    fn jobs(&self) -> MutexGuard<'_, Option<Sender<Job>>> {
        self.0.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, job: Job) {
        let jobs = self.jobs();
        self.0.open.fetch_add(1, Ordering::AcqRel);
        self.0.unsynced.fetch_add(1, Ordering::AcqRel);
        if jobs.as_ref().is_none_or(|jobs| jobs.send(job).is_err()) {
            self.0.open.fetch_sub(1, Ordering::AcqRel);
            self.0.unsynced.fetch_sub(1, Ordering::AcqRel);
            tracing::error!("the thread that writes files has ended");
        }
    }
}

/// Does it; the file that was written.
fn run(job: Job) -> Option<File> {
    match job {
        Job::Write(option, path, content) => {
            let written = overwrite(&path, &content);
            return written
                .inspect_err(|error| tracing::error!("{option} {}: {error}", path.display()))
                .ok();
        }
        Job::Remove(option, path) => match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::error!("{option} {}: {error}", path.display());
            }
            _ => {}
        },
    }
    None
}

/// In place: `/dev/termination-log` is a mount of its own, over which nothing can be renamed.
fn overwrite(path: &Path, content: &[u8]) -> io::Result<File> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)?;
    file.write_all(content)?;
    Ok(file)
}
