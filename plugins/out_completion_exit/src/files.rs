//! Small files written by a thread of its own: the report and the ready file.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{channel, Sender};
use std::sync::Arc;

use crate::worker::Worker;

#[derive(Debug)]
enum Job {
    Write(&'static str, PathBuf, Vec<u8>),
    Remove(&'static str, PathBuf),
}

/// Writes and removes files in the order asked for.
#[derive(Debug)]
pub(crate) struct Files {
    /// Dropped before `_thread`, which tells the thread to end.
    jobs: Sender<Job>,
    /// Jobs that are not done.
    open: Arc<AtomicUsize>,
    _thread: Worker,
}

impl Files {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub(crate) fn start() -> io::Result<Self> {
        let (jobs, todo) = channel();
        let open = Arc::new(AtomicUsize::new(0));
        let thread = Worker::start("flb-sc-report", {
            let open = open.clone();
            move || {
                for job in todo {
                    run(job);
                    open.fetch_sub(1, Ordering::AcqRel);
                }
            }
        })?;
        Ok(Files {
            jobs,
            open,
            _thread: thread,
        })
    }

    /// Writes `content` to the file of `option`.
    pub(crate) fn write(&self, option: &'static str, path: &Path, content: Vec<u8>) {
        self.send(Job::Write(option, path.to_owned(), content));
    }

    /// Removes the file of `option`, if it is there.
    pub(crate) fn remove(&self, option: &'static str, path: &Path) {
        self.send(Job::Remove(option, path.to_owned()));
    }

    /// Everything asked for is done.
    pub(crate) fn done(&self) -> bool {
        self.open.load(Ordering::Acquire) == 0
    }

    fn send(&self, job: Job) {
        self.open.fetch_add(1, Ordering::AcqRel);
        if self.jobs.send(job).is_err() {
            tracing::error!("the thread that writes files has ended");
        }
    }
}

fn run(job: Job) {
    match job {
        Job::Write(option, path, content) => {
            if let Err(error) = overwrite(&path, &content) {
                tracing::error!("{option} {}: {error}", path.display());
            }
        }
        Job::Remove(option, path) => match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::error!("{option} {}: {error}", path.display());
            }
            _ => {}
        },
    }
}

/// In place: `/dev/termination-log` is a mount of its own, over which nothing can be renamed.
fn overwrite(path: &Path, content: &[u8]) -> io::Result<()> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)?
        .write_all(content)
}
