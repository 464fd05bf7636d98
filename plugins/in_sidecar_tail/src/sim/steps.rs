//! A worker that tests drive step by step: what happens to files between two steps comes to it
//! at once, and nothing of it is read before the test says so.

use std::fs::{self, File, FileTimes, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use flb_sidecar_sdk::event;
use tempfile::TempDir;

use crate::counters::Trouble;
use crate::host::queue::Item;
use crate::time::Time;
use crate::worker::Worker;

pub(crate) struct Steps {
    pub(crate) dir: TempDir,
    pub(crate) worker: Worker,
    /// The lines that came.
    pub(crate) lines: Vec<String>,
}

/// Has a file or folder look as if nothing had happened to it for long.
pub(crate) fn age(path: &Path) {
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let times = FileTimes::new().set_modified(long_ago);
    File::open(path).unwrap().set_times(times).unwrap();
}

impl Steps {
    /// A worker that has found what `prepare` left in its folder, and read nothing.
    pub(crate) fn prepared(
        pattern: &str,
        options: &[(&str, &str)],
        prepare: impl FnOnce(&TempDir),
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        prepare(&dir);
        let path = dir.path().join(pattern);
        let path = ("path", path.to_str().unwrap());
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let time = Time::simulated(now.unwrap());
        let mut steps = Steps {
            worker: Worker::at(&[&[path], options].concat(), time),
            dir,
            lines: Vec::new(),
        };
        let told = steps.worker.discovery.sources.fd().is_some();
        assert_eq!(
            told, steps.worker.ctx.options.inotify,
            "no inotify instance is left"
        );
        steps.worker.scan();
        steps
    }

    /// A worker of files in an empty folder.
    pub(crate) fn new(pattern: &str) -> Self {
        Steps::prepared(pattern, &[], |_| {})
    }

    // What happens to files.

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn append(&self, name: &str, text: &str) {
        let mut options = OpenOptions::new();
        let options = options.append(true).create(true);
        let mut file = options.open(self.path(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    pub(crate) fn cut(&self, name: &str, size: u64) {
        let file = File::options().write(true).open(self.path(name)).unwrap();
        file.set_len(size).unwrap();
    }

    pub(crate) fn copy(&self, from: &str, to: &str) {
        fs::copy(self.path(from), self.path(to)).unwrap();
    }

    pub(crate) fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    // What the worker does.

    /// Takes in what the kernel tells.
    pub(crate) fn told(&mut self) {
        self.worker.changes();
    }

    /// Reads all that is known to be there.
    pub(crate) fn read(&mut self) {
        while self.read_once() {}
    }

    /// Reads one file for one turn, if there is something to read.
    pub(crate) fn read_once(&mut self) -> bool {
        let mut more = self.worker.read_turn();
        while let Some(item) = self.worker.ctx.shared.pop() {
            more = true;
            if let Item::Batch(batch) = item {
                self.take(&batch.events);
                self.worker.ctx.shared.delivered(batch);
            }
        }
        more
    }

    pub(crate) fn take(&mut self, events: &[u8]) {
        for record in event::records(events) {
            let body = record.unwrap().body;
            let (body, _) = flb_sidecar_sdk::json::read(events, body).unwrap();
            self.lines.push(body["log"].as_str().unwrap().to_owned());
        }
    }

    /// A round of all that the worker does, whatever the time.
    pub(crate) fn round(&mut self) {
        self.told();
        self.worker.scan();
        self.worker.poll_files();
        self.worker.check_some();
        self.worker.end_pieces();
        self.read();
    }

    /// A round, `time` after the last thing that happened.
    pub(crate) fn round_after(&mut self, time: Duration) {
        self.worker.ctx.time.advance(time);
        self.round();
    }

    /// Closes every file, as it happens to those that are at their end when many are followed.
    pub(crate) fn close_all(&mut self) {
        for id in self.worker.files.registry.ids() {
            crate::track::descriptors::close(&mut self.worker.files, id);
        }
    }

    /// How many were gone before they could be opened, when all that can be waited for has been.
    pub(crate) fn missed(&mut self) -> u64 {
        self.round();
        self.round();
        self.worker.ctx.counters.errors(Trouble::Missed)
    }

    pub(crate) fn lost(&self) -> u64 {
        self.worker.ctx.counters.lost_bytes.get()
    }
}
