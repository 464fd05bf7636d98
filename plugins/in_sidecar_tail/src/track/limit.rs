//! How much is kept at most, whatever somebody puts into the folders.

use std::path::Path;

use tracing::{info, warn};

use crate::counters::Trouble;
use crate::map::HashSet;
use crate::track::fingerprint::Identity;
use crate::worker::Worker;

/// Paths in trouble that are kept in mind, so that each is said once; beyond that they are counted.
pub(crate) const MOST_TROUBLES: usize = 10_000;
/// Paths that are tried again, or waited for, at a time.
pub(crate) const MOST_PATHS: usize = 10_000;

/// Files beyond the limit that are told apart; of more than these each look counts one.
const MOST_BEYOND: usize = 200_000;

/// Files that are there and not followed, since there are too many.
#[derive(Debug, Default)]
pub(crate) struct Beyond {
    pub(crate) files: u64,
    /// That they have, together.
    pub(crate) bytes: u64,
    said: bool,
    /// Their numbers, and those from before files ended.
    now: HashSet<u64>,
    before: HashSet<u64>,
}

impl Worker {
    /// Whether one more file would be too many.
    pub(crate) fn is_full(&self) -> bool {
        self.files.len() + self.compressed.len() >= self.options.max_files
    }

    /// One more file of so many bytes would be too many.
    pub(crate) fn leave_out(&mut self, path: &Path, identity: &Identity, bytes: u64) {
        let number = identity.number();
        if self.beyond.now.len() < MOST_BEYOND && !self.beyond.now.insert(number) {
            return;
        }
        self.beyond.files += 1;
        self.beyond.bytes = self.beyond.bytes.saturating_add(bytes);
        if !self.beyond.before.contains(&number) {
            self.counters.error(Trouble::Limit);
        }
        if !self.beyond.said {
            self.beyond.said = true;
            let most = self.options.max_files;
            warn!(
                "{}: max_files {most} are followed: this and others wait until one of them ends",
                path.display()
            );
        }
    }

    /// Before a scan: what was left out is offered again, if there is room for some of it.
    pub(crate) fn take_more(&mut self) {
        if self.beyond.files > 0 && !self.is_full() {
            self.beyond.files = 0;
            self.beyond.bytes = 0;
            self.beyond.before = std::mem::take(&mut self.beyond.now);
            self.listings.clear();
        }
    }

    /// After a scan: says whether files wait.
    pub(crate) fn tell_beyond(&mut self) {
        self.counters.waiting.set(self.beyond.files);
        if self.beyond.said && self.beyond.files == 0 {
            self.beyond = Beyond::default();
            info!("every file is followed");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::counters::Trouble;
    use crate::sim::steps::Steps;

    #[test]
    fn files_beyond_the_limit_have_their_turn_as_others_end() {
        for inotify in ["on", "off"] {
            let options = [("max_files", "3"), ("rotate_wait", "0")];
            let options = [&options[..], &[("inotify_watcher", inotify)]].concat();
            let mut steps = Steps::prepared("*.log", &options, |dir| {
                for n in 0..10 {
                    fs::write(dir.path().join(format!("{n}.log")), format!("{n}\n")).unwrap();
                }
            });
            steps.round();
            assert_eq!(steps.worker.files.len(), 3);
            assert_eq!(steps.worker.beyond.files, 7);
            assert_eq!(steps.worker.beyond.bytes, 14);
            assert_eq!(steps.worker.counters.errors(Trouble::Limit), 7);
            for _ in 0..10 {
                let names: Vec<_> = steps.worker.by_path.keys().cloned().collect();
                for path in names {
                    fs::remove_file(path).unwrap();
                }
                steps.round();
                steps.round();
                assert!(steps.worker.files.len() <= 3);
            }
            steps.lines.sort();
            let all = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
            assert_eq!(steps.lines, all, "inotify {inotify}");
            assert_eq!(steps.worker.counters.waiting.get(), 0);
            assert_eq!(steps.worker.counters.errors(Trouble::Limit), 7);
        }
    }
}
