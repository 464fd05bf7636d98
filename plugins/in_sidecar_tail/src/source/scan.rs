//! Scans: the folders that the patterns look into, which are watched, and the files in them.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flb_sidecar_sdk::Why;
use tracing::info;

use crate::counters::Trouble;
use crate::pace::{Stopwatch, SHARE};
use crate::source::confine::Confine;
use crate::source::globs::{Listings, Visitor};
use crate::track::descriptors::{is_missing, none_left};
use crate::track::file::FileId;
use crate::track::limit::Folders;
use crate::worker::Worker;

/// At most this part of the time is spent on scans when the kernel has told of folders, or tells
/// nothing of them at all.
const SHARE_IF_TOLD: u32 = 20;

/// How much is kept of paths before it is looked through for those that are gone, at least.
pub(crate) const SWEEP_AT: usize = 1024;

struct Found {
    confine: Arc<Confine>,
    admitted: Folders,
    refused: Vec<PathBuf>,
    folders: Vec<PathBuf>,
    waits: Vec<PathBuf>,
    unreadable: Vec<(PathBuf, io::Error)>,
    files: Vec<(PathBuf, Option<u64>)>,
}

impl Visitor for Found {
    fn enters(&mut self, folder: &Path) -> bool {
        let enters = self.confine.enters(folder);
        if !enters {
            self.refused.push(folder.to_owned());
        }
        enters
    }
    fn admits(&mut self, folder: &Path) -> bool {
        self.admitted.admit(folder)
    }
    fn folder(&mut self, path: &Path) {
        self.folders.push(path.to_owned());
    }
    fn waits(&mut self, path: &Path) {
        self.waits.push(path.to_owned());
    }
    fn unreadable(&mut self, path: &Path, error: io::Error) {
        self.unreadable.push((path.to_owned(), error));
    }
    fn file(&mut self, path: PathBuf, inode: Option<u64>) {
        self.files.push((path, inode));
    }
}

impl Worker {
    /// Looks at everything the patterns match that is not known to be unchanged.
    pub(crate) fn scan(&mut self) {
        let watch = Stopwatch::start(&self.time);
        self.take_more();
        let found = self.find(None);
        let cost = self.time.cost(watch.spent());
        let mut later = Vec::new();
        for (path, inode) in found {
            let known = self.registry.at(&path);
            let known = known.and_then(|id| self.registry.get(id));
            let same = known.is_some_and(|file| Some(file.identity.inode) == inode);
            if same {
                continue;
            }
            if self.scanned || !self.has_unclaimed() {
                self.consider(&path);
            } else if !self.consider_claimed(&path) {
                later.push(path);
            }
            self.go_on();
        }
        for path in later {
            self.consider(&path);
            self.go_on();
        }
        self.try_again();
        if !self.scanned {
            self.recover_unclaimed();
        }
        self.miss_unseen();
        self.find_missing(true);
        self.settle_quarantined();
        self.settle_compressed(false);
        self.tell_beyond();
        self.sweep();
        if !self.scanned {
            let files = self.registry.paths().map(|(path, _)| path);
            for pattern in self.options.globs.without_files(files) {
                info!("{pattern} matches no file yet; one that comes is found");
            }
        }
        self.scanned = true;
        self.shared.set_scanned();
        let now = self.time.now();
        self.scan_allowed = now + cost * SHARE_IF_TOLD;
        let share = if self.polled_folders.is_empty() {
            SHARE
        } else {
            SHARE_IF_TOLD
        };
        self.next_scan = now + self.options.refresh_interval.max(cost * share);
    }

    /// The same for a folder that has just come.
    pub(crate) fn scan_folder(&mut self, folder: &Path) {
        for (path, _) in self.find(Some(folder)) {
            self.consider(&path);
            self.go_on();
        }
    }

    /// Drops what is kept of paths that are gone, whenever as much has come again as was left.
    fn sweep(&mut self) {
        if self.kept_of_paths() < self.sweep_at {
            return;
        }
        let fs = &self.fs;
        let is_there = |path: &Path| fs.symlink_metadata(path).is_ok();
        self.listings.retain(|folder| fs.is_dir(folder));
        self.remote_folders.retain(|folder, _| fs.is_dir(folder));
        self.polled_folders.retain(|folder| fs.is_dir(folder));
        self.folders.retain(|folder| fs.is_dir(folder));
        self.troubles.retain(is_there);
        self.compressed.retain(|_, file| is_there(&file.path));
        self.links.retain(|link| fs.is_symlink(link));
        self.sweep_at = (2 * self.kept_of_paths()).max(SWEEP_AT);
    }

    fn kept_of_paths(&self) -> usize {
        self.listings.len()
            + self.remote_folders.len()
            + self.polled_folders.len()
            + self.folders.len()
            + self.troubles.len()
            + self.compressed.len()
            + self.links.len()
    }

    /// Files in all folders that patterns look into, or in a new one and below it.
    fn find(&mut self, new: Option<&Path>) -> Vec<(PathBuf, Option<u64>)> {
        let mut found = self.walk(new);
        if self.watch_folders(&found) {
            // What came between the listing and the watch is in a second listing.
            if new.is_none() {
                self.listings.clear();
            }
            drop(found);
            found = self.walk(new);
        }
        let stuck = found.unreadable.iter().any(|(_, error)| none_left(error));
        if stuck && self.make_room() {
            drop(found);
            found = self.walk(new);
        }
        if !self.troubles.is_empty() {
            for folder in &found.folders {
                if found.unreadable.iter().all(|(path, _)| path != folder) {
                    self.troubles.over(Trouble::Open, folder);
                }
            }
        }
        for folder in found.refused {
            let text = self.confine.why_refused();
            self.troubles.say(Trouble::Link, &folder, &text);
        }
        for (folder, error) in found.unreadable {
            if none_left(&error) {
                self.say_none_left(&error);
            } else {
                self.troubles
                    .say(Trouble::Open, &folder, &Why(&error).to_string());
            }
        }
        found.files
    }

    fn walk(&mut self, new: Option<&Path>) -> Found {
        self.confine = Arc::new(self.confine.again());
        let mut found = Found {
            confine: self.confine.clone(),
            admitted: std::mem::take(&mut self.folders),
            refused: Vec::new(),
            folders: Vec::new(),
            waits: Vec::new(),
            unreadable: Vec::new(),
            files: Vec::new(),
        };
        let globs = &self.options.globs;
        match new {
            None => globs.scan(&mut self.listings, &mut found),
            // It is still changing.
            Some(folder) => globs.scan_folder(
                folder,
                &mut Listings::new(self.time.clone(), self.fs.clone()),
                &mut found,
            ),
        }
        self.folders = std::mem::take(&mut found.admitted);
        self.say_folders();
        found
    }

    /// Watches folders; `true`: some were not watched before.
    fn watch_folders(&mut self, found: &Found) -> bool {
        let mut any_new = false;
        for folder in &found.folders {
            any_new |= self.watch_folder(folder);
        }
        for folder in &found.waits {
            // Without it the next scan finds what comes.
            let waits = self.watches.as_mut().map(|watches| watches.wait_in(folder));
            any_new |= matches!(waits, Some(Ok(true)));
        }
        any_new
    }

    /// Nobody tells of changes in a folder from now on.
    fn poll_folder(&mut self, folder: &Path) {
        if self.polled_folders.insert(folder.to_owned()) {
            let files = self.files_in(folder);
            self.polled.extend(files);
        }
    }

    /// The kernel tells of changes in a folder again.
    fn poll_no_more(&mut self, folder: &Path) {
        for id in self.files_in(folder) {
            let path = self.registry.get(id).and_then(|file| file.path());
            let target = path.and_then(|path| self.links.target_of(path));
            let mut folders = path.into_iter().chain(target);
            let polled = |path: &Arc<Path>| {
                let folder = path.parent();
                folder.is_some_and(|folder| self.polled_folders.contains(folder))
            };
            if !folders.any(polled) {
                self.polled.remove(&id);
            }
        }
    }

    /// Files whose paths are in a folder, or what these point to.
    fn files_in(&self, folder: &Path) -> Vec<FileId> {
        let paths = self.registry.paths();
        let there = paths.filter(|(path, _)| path.parent() == Some(folder));
        let links = self.links.leading_to(folder);
        let behind = links.filter_map(|link| self.registry.at(link));
        there.map(|(_, id)| id).chain(behind).collect()
    }

    /// Has the kernel tell of changes in a folder, else its files are looked at often. `true`: it does
    /// from now on.
    pub(crate) fn watch_folder(&mut self, folder: &Path) -> bool {
        if !self.remote_folders.contains_key(folder) {
            let Ok(remote) = self.fs.is_remote(folder) else {
                return false;
            };
            if remote {
                info!(
                    "{} is on a network filesystem: it is polled",
                    folder.display()
                );
            }
            self.remote_folders.insert(folder.to_owned(), remote);
        }
        let Some(watches) = &mut self.watches else {
            self.poll_folder(folder);
            return false;
        };
        let watched = watches.add(folder);
        let remote = self.remote_folders.get(folder) == Some(&true);
        if remote {
            self.poll_folder(folder);
        }
        match watched {
            Ok(new) => {
                if !remote && self.polled_folders.remove(folder) {
                    self.poll_no_more(folder);
                }
                self.troubles.over(Trouble::Watch, folder);
                new
            }
            Err(error) if is_missing(&error) => false,
            Err(error) => {
                self.poll_folder(folder);
                let text = match error.raw_os_error() {
                    Some(28) => format!(
                        "{error}: fs.inotify.max_user_watches is used up; its files are looked at four times a second"
                    ),
                    _ => format!("{}; its files are looked at four times a second", Why(&error)),
                };
                self.troubles.say(Trouble::Watch, folder, &text);
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::sim::steps::{age, Steps};

    #[test]
    fn files_of_a_folder_that_loses_its_watch_are_polled_until_it_has_one_again() {
        let mut steps = Steps::prepared("*.log", &[], |dir| {
            fs::create_dir(dir.path().join("folder")).unwrap();
            fs::write(dir.path().join("folder/1"), "one\n").unwrap();
            symlink("folder/1", dir.path().join("link.log")).unwrap();
            fs::write(dir.path().join("a.log"), "one\n").unwrap();
        });
        assert!(steps.worker.polled.is_empty());
        let (folder, target) = (
            steps.path(""),
            fs::canonicalize(steps.path("folder")).unwrap(),
        );
        steps.worker.poll_folder(&target);
        assert_eq!(steps.worker.polled.len(), 1);
        steps.worker.poll_folder(&folder);
        assert_eq!(steps.worker.polled.len(), 2);
        steps.worker.watch_folder(&folder);
        assert_eq!(steps.worker.polled.len(), 1);
        steps.worker.watch_folder(&target);
        assert!(steps.worker.polled.is_empty());
    }

    #[test]
    fn folders_are_told_of_when_they_come() {
        for pattern in [
            "x/y/*.log",
            "x/*/a.log",
            "*/y/*.log",
            "x/y/a.log",
            "*/*/*.log",
        ] {
            let mut steps = Steps::new(pattern);
            fs::create_dir_all(steps.path("x/y")).unwrap();
            steps.append("x/y/a.log", "one\n");
            steps.told();
            steps.read();
            assert_eq!(steps.lines, ["one"], "{pattern}");
            // A file that would be gone before the next scan.
            fs::remove_file(steps.path("x/y/a.log")).unwrap();
            steps.append("x/y/a.log", "two\n");
            steps.told();
            fs::remove_file(steps.path("x/y/a.log")).unwrap();
            steps.round();
            assert_eq!(steps.lines, ["one", "two"], "{pattern}");
        }
    }

    #[test]
    fn a_folder_that_is_deleted_and_made_anew_is_told_of() {
        for pattern in ["x/*.log", "*/*.log", "x/a.log"] {
            let mut steps = Steps::new(pattern);
            for n in 0..3 {
                fs::create_dir(steps.path("x")).unwrap();
                steps.append("x/a.log", &format!("{n}\n"));
                steps.told();
                steps.read();
                steps.append("x/a.log", &format!("{n} again\n"));
                steps.told();
                fs::remove_dir_all(steps.path("x")).unwrap();
                if n == 1 {
                    // Gone and there again before anybody looks.
                    continue;
                }
                steps.round();
            }
            steps.round();
            let all = ["0", "0 again", "1", "1 again", "2", "2 again"];
            assert_eq!(steps.lines, all, "{pattern}");
            assert_eq!((steps.lost(), steps.missed()), (0, 0));
        }
    }

    #[test]
    fn nothing_is_kept_of_what_is_gone() {
        for inotify in ["on", "off"] {
            let mut steps = Steps::prepared("*/*", &[("inotify_watcher", inotify)], |_| {});
            let kept = |steps: &Steps| {
                let worker = &steps.worker;
                [
                    worker.listings.len(),
                    worker.remote_folders.len(),
                    worker.polled_folders.len(),
                    worker.troubles.len(),
                    worker.compressed.len(),
                    worker.links.len(),
                ]
            };
            let before = kept(&steps);
            for n in 0..3 {
                let folder = steps.path(&n.to_string());
                fs::create_dir_all(folder.join("no_file")).unwrap();
                fs::write(folder.join("a.zst"), [0x28, 0xb5, 0x2f, 0xfd]).unwrap();
                // Quiet for long enough for its listing to be kept.
                age(&folder);
                steps.round();
                steps.worker.settle_compressed(true);
                assert!(steps.worker.compressed.len() + steps.worker.troubles.len() >= 3);
                fs::remove_dir_all(&folder).unwrap();
                steps.worker.sweep_at = 0;
                steps.round();
                assert_eq!(kept(&steps), before, "inotify {inotify}");
            }
        }
    }

    #[test]
    fn a_folder_that_was_moved_has_its_files_with_it() {
        let mut steps = Steps::prepared("*/*/a.log", &[], |dir| {
            fs::create_dir_all(dir.path().join("x/y")).unwrap();
            fs::write(dir.path().join("x/y/a.log"), "one\n").unwrap();
        });
        steps.read();
        for (from, to) in [("x/y", "x/z"), ("x", "w")] {
            steps.rename(from, to);
            steps.round();
        }
        steps.append("w/z/a.log", "two\n");
        steps.told();
        steps.read();
        assert_eq!(steps.lines, ["one", "two"]);
        assert_eq!(steps.missed(), 0);
        let watches = steps.worker.watches.as_ref().unwrap();
        assert!(watches.paths().all(Path::is_dir), "{watches:?}");
    }
}
