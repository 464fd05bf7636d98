//! Small files written by a thread of its own: the report, the ready and the healthy file.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{channel, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flb_sidecar_sdk::own_file::{Durability, OwnFile, READABLE};
use flb_sidecar_sdk::Why;

use crate::worker::Worker;

#[derive(Debug)]
enum Job {
    Write(&'static str, PathBuf, Vec<u8>, Durability),
    Remove(&'static str, PathBuf),
    /// Say at the start what would be said at the end.
    LookAhead(&'static str, PathBuf),
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
    /// Jobs that are not done, or not on the disk where that was asked for.
    unsynced: AtomicUsize,
}

/// As many descriptors as a job needs, for a process that has none left.
#[derive(Debug)]
struct Spare(#[expect(dead_code, reason = "they are only held")] Vec<File>);

impl Spare {
    fn open() -> Self {
        const NEEDED: usize = 4;
        Spare(
            (0..NEEDED)
                .map_while(|_| File::open("/dev/null").ok())
                .collect(),
        )
    }
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
                let mut spare = Spare::open();
                for job in todo {
                    // Given back for the moment in which the job needs them.
                    drop(spare);
                    let written = run(job);
                    spare = Spare::open();
                    shared.open.fetch_sub(1, Ordering::AcqRel);
                    if let Some(file) = written {
                        // It is written, whatever the disk says.
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

    /// The same, and has it synced. A thread that syncs keeps the process until the disk is done,
    /// whatever kills it: not for shortly before a deadline.
    pub(crate) fn write_synced(&self, option: &'static str, path: &Path, content: Vec<u8>) {
        let synced = Durability::Content;
        let job = Job::Write(option, path.to_owned(), content, synced);
        self.scribe.send(job);
    }

    /// Warns if the file of `option` would find no folder, which may still come.
    pub(crate) fn look_ahead(&self, option: &'static str, path: &Path) {
        self.scribe.send(Job::LookAhead(option, path.to_owned()));
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
        let unsynced = Durability::None;
        self.send(Job::Write(option, path.to_owned(), content, unsynced));
    }

    /// Removes the file of `option`, if it is there.
    pub(crate) fn remove(&self, option: &'static str, path: &Path) {
        self.send(Job::Remove(option, path.to_owned()));
    }

    /// Everything asked for is done, and on the disk where that was asked for.
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

/// Does it; the file that is to be synced.
///
/// The kubelet's `/dev/termination-log` is a mount of its own, which is written over.
fn run(job: Job) -> Option<File> {
    let (option, path, done) = match job {
        Job::Write(option, path, content, durability) => {
            let written = OwnFile::named(&path).write(READABLE, &content);
            let to_sync = |file| (durability > Durability::None).then_some(file);
            (option, path, written.map(to_sync))
        }
        Job::Remove(option, path) => {
            let removed = match OwnFile::named(&path).remove() {
                // Nor is its folder there.
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                removed => removed,
            };
            (option, path, removed.map(|()| None))
        }
        Job::LookAhead(option, path) => {
            let folder = path.parent().filter(|folder| *folder != Path::new(""));
            if folder.is_some_and(|folder| !folder.is_dir()) {
                let path = path.display();
                tracing::warn!("{option} {path}: its folder is not there yet");
            }
            return None;
        }
    };
    done.unwrap_or_else(|error| {
        tracing::error!("{option} {}: {}", path.display(), Why(&error));
        None
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{symlink, PermissionsExt as _};

    use super::*;

    fn write(path: &Path, content: &str) -> bool {
        let content = content.as_bytes().to_vec();
        let synced = Durability::Content;
        run(Job::Write("report_file", path.to_owned(), content, synced)).is_some()
    }

    /// A folder that others write to, as a volume that is shared with the main container.
    fn shared() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        dir
    }

    #[test]
    fn nobody_has_us_write_to_a_file_of_theirs() {
        let dir = shared();
        let (theirs, report) = (dir.path().join("theirs"), dir.path().join("report"));
        fs::write(&theirs, "theirs").unwrap();
        symlink(&theirs, &report).unwrap();
        assert!(write(&report, "ours"));
        assert_eq!(fs::read_to_string(&theirs).unwrap(), "theirs");
        assert_eq!(fs::read_to_string(&report).unwrap(), "ours");
        assert!(fs::symlink_metadata(&report).unwrap().is_file());

        fs::remove_file(&report).unwrap();
        fs::hard_link(&theirs, &report).unwrap();
        assert!(write(&report, "ours"));
        assert_eq!(fs::read_to_string(&theirs).unwrap(), "theirs");
    }

    #[test]
    fn a_fifo_does_not_keep_the_thread_that_writes() {
        let dir = shared();
        let report = dir.path().join("report");
        let mode = rustix::fs::Mode::from_raw_mode(0o666);
        let fifo = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, &report, fifo, mode, 0).unwrap();
        assert!(write(&report, "ours"));
        assert_eq!(fs::read_to_string(&report).unwrap(), "ours");
    }

    #[test]
    fn a_second_report_replaces_a_longer_one_and_others_may_read_it() {
        let dir = shared();
        let report = dir.path().join("report");
        assert!(write(&report, "a longer one"));
        assert!(write(&report, "short"));
        assert_eq!(fs::read_to_string(&report).unwrap(), "short");
        let mode = fs::metadata(&report).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o644);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_not_there_is_removed() {
        let dir = shared();
        for path in ["ready", "none/ready"] {
            run(Job::Remove("ready_file", dir.path().join(path)));
        }
        let ready = dir.path().join("ready");
        assert!(write(&ready, "ready"));
        run(Job::Remove("ready_file", ready.clone()));
        assert!(!ready.exists());
    }
}
