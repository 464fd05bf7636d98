//! Files that have left their path: those that were closed at that time, and those that were never
//! seen at it.
//!
//! A file that is closed is known by its path alone. The kernel tells of renames in order, but
//! what is found at a path may be further than what it has told so far.

use std::path::{Path, PathBuf};

use tracing::warn;

use crate::checkpoint::checkpointer::list;
use crate::counters::Trouble;
use crate::fs::Fs;
use crate::map::{HashMap, HashSet};
use crate::track::file::FileId;
use crate::track::fingerprint::Identity;
use crate::track::limit::MOST_PATHS;
use crate::worker::Worker;

/// A file that left its path while it was closed.
#[derive(Debug)]
pub(crate) struct Stray {
    id: FileId,
    /// Where it was last: behind the link, if its path was one.
    place: PathBuf,
    /// It was deleted: it can only be there under a name that a scan will find.
    deleted: bool,
}

/// Files that are not known, as far as the kernel has told of them.
#[derive(Debug, Default)]
pub(crate) struct Unseen {
    now: Paths,
    /// The same from before the last scan: the kernel may tell of a renaming a moment after it can
    /// be seen.
    before: Paths,
}

#[derive(Debug, Default)]
struct Paths {
    /// Where files came to be and are not.
    created: HashSet<PathBuf>,
    /// Where they were renamed to.
    renamed: HashSet<PathBuf>,
}

impl Unseen {
    fn take_renamed(&mut self, path: &Path) -> bool {
        self.now.renamed.remove(path) | self.before.renamed.remove(path)
    }

    fn take_created(&mut self, path: &Path) -> bool {
        self.now.created.remove(path) | self.before.created.remove(path)
    }
}

impl Worker {
    /// A file has come that matches and is not there any more.
    pub(crate) fn unseen(&mut self, path: &Path) {
        if self.unseen.now.created.len() < MOST_PATHS {
            self.unseen.now.created.insert(path.to_owned());
        }
    }

    /// Something was renamed. `true`: it is to be read wherever it is now, known or not.
    pub(crate) fn is_wanted(&mut self, from: &Path, to: &Path) -> bool {
        let wanted = self.unseen.take_renamed(from) | self.options.globs.matches(from);
        if wanted && self.unseen.now.renamed.len() < MOST_PATHS {
            // It may be further already, and what is there another file.
            self.unseen.now.renamed.insert(to.to_owned());
        }
        wanted
    }

    /// What was found where something was renamed to is not known.
    pub(crate) fn renamed_unseen(&mut self, from: &Path, to: &Path, wanted: bool) {
        if self.options.globs.matches(to) {
            self.appeared(to);
        } else if wanted {
            self.consider_as(to, Some(from));
        }
        if let Some(id) = self.by_path.get(to).copied().filter(|_| wanted) {
            self.rotated(id);
        }
        if self.unseen.take_created(from) && !self.by_path.contains_key(to) {
            self.unseen.now.created.insert(to.to_owned());
        }
    }

    /// What has not been found since the last scan but one is gone.
    pub(crate) fn miss_unseen(&mut self) {
        let now = std::mem::take(&mut self.unseen.now);
        let before = std::mem::replace(&mut self.unseen.before, now);
        for path in before.created {
            if !self.by_path.contains_key(path.as_path()) && self.trouble_free(&path) {
                let text = "it was gone before it could be opened";
                self.trouble(Trouble::Missed, &path, text);
                self.troubles.remove(&(Trouble::Missed, path));
            }
        }
    }

    /// A file that was at `place` is not there any more, and it is closed.
    pub(crate) fn stray(&mut self, id: FileId, place: PathBuf, deleted: bool) {
        self.strays.push(Stray { id, place, deleted });
    }

    /// Looks for files where they may have been renamed to; `scanned`: deleted ones have had their
    /// chance, too.
    pub(crate) fn find_strays(&mut self, scanned: bool) {
        let mut listings = HashMap::default();
        for stray in std::mem::take(&mut self.strays) {
            let Some(file) = self.files.get(&stray.id) else {
                continue;
            };
            if file.path.is_some() || file.retired {
                continue;
            }
            if stray.deleted && !scanned {
                self.strays.push(stray);
                continue;
            }
            let identity = file.identity;
            match find(&self.fs, &stray, &identity, &mut listings) {
                Some(path) => {
                    self.moved(stray.id, &path);
                    self.look(stray.id, true);
                }
                None => self.lose(&stray),
            }
        }
    }

    fn lose(&mut self, stray: &Stray) {
        let unread = self.files.get(&stray.id).map_or(0, |file| file.ahead());
        if unread > 0 {
            warn!(
                "{}: deleted with {unread} unread bytes",
                stray.place.display()
            );
            self.counters.lost_bytes.add(unread);
        }
        self.let_go(stray.id);
    }
}

/// Where the file is now.
fn find(
    fs: &Fs,
    stray: &Stray,
    identity: &Identity,
    listings: &mut HashMap<PathBuf, HashMap<u64, PathBuf>>,
) -> Option<PathBuf> {
    let is_it = |path: &Path| {
        fs.metadata(path)
            .is_ok_and(|m| Identity::of(&m) == *identity)
    };
    if stray.deleted {
        return None;
    }
    if is_it(&stray.place) {
        return Some(stray.place.clone());
    }
    let folder = stray.place.parent()?;
    let listing = listings
        .entry(folder.to_owned())
        .or_insert_with(|| list(fs, folder));
    let path = listing.get(&identity.inode)?;
    is_it(path).then(|| path.clone())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::time::Duration;

    use crate::sim::steps::{age, Steps};

    #[test]
    fn a_closed_file_is_read_on_wherever_it_was_renamed_to() {
        for inotify in ["on", "off"] {
            for pattern in ["a.log", "a.log*"] {
                let mut steps = Steps::prepared(pattern, &[("inotify_watcher", inotify)], |_| {});
                steps.append("a.log", "one\n");
                steps.round();
                let mut all = vec!["one".to_owned()];
                for n in 1..5 {
                    steps.close_all();
                    steps.append("a.log", &format!("late {n}\n"));
                    for generation in (1..n).rev() {
                        let next = format!("a.log.{}", generation + 1);
                        steps.rename(&format!("a.log.{generation}"), &next);
                    }
                    steps.rename("a.log", "a.log.1");
                    steps.append("a.log", &format!("new {n}\n"));
                    steps.round();
                    all.extend([format!("late {n}"), format!("new {n}")]);
                }
                steps.lines.sort();
                all.sort();
                assert_eq!(steps.lines, all, "{pattern}, inotify {inotify}");
                assert_eq!(steps.lost(), 0);
            }
        }
    }

    #[test]
    fn what_comes_and_is_renamed_before_it_is_seen_is_read() {
        for pattern in ["a.log", "a.log*"] {
            let mut steps = Steps::new(pattern);
            steps.append("a.log", "one\n");
            steps.rename("a.log", "a.log.1");
            steps.append("a.log", "two\n");
            steps.rename("a.log.1", "a.log.2");
            steps.rename("a.log", "a.log.1");
            steps.append("a.log", "three\n");
            steps.rename("a.log", "b.log");
            steps.append("a.log", "four");
            steps.rename("a.log", "a.log.3");
            steps.round();
            steps.round_after(Duration::from_secs(60));
            steps.lines.sort();
            let all = ["four", "one", "three", "two"];
            assert_eq!(steps.lines, all, "{pattern}");
            assert_eq!(steps.missed(), 0);
            for file in steps.worker.files.values() {
                let name = file.name.file_name().unwrap().to_str().unwrap();
                assert!(name.starts_with("a.log"), "{name}");
            }
        }
    }

    #[test]
    fn what_a_scan_finds_before_its_renaming_is_told_has_a_last_line() {
        let mut steps = Steps::new("a.log*");
        steps.append("a.log", "one");
        steps.rename("a.log", "a.log.1");
        steps.worker.scan();
        steps.round();
        steps.round_after(Duration::from_secs(60));
        assert_eq!(steps.lines, ["one"]);
    }

    #[test]
    fn what_comes_and_goes_before_it_is_seen_is_counted() {
        let mut steps = Steps::new("*.log");
        steps.append("a.log", "one\n");
        fs::remove_file(steps.path("a.log")).unwrap();
        steps.round();
        steps.round();
        assert_eq!(steps.missed(), 1);
    }

    #[test]
    fn a_closed_file_behind_a_link_is_read_on_when_the_link_is_swapped() {
        let mut steps = Steps::prepared("*.log", &[], |dir| {
            fs::write(dir.path().join("1"), "one\n").unwrap();
            symlink("1", dir.path().join("a.log")).unwrap();
        });
        steps.round();
        steps.close_all();
        steps.append("1", "late\n");
        steps.append("2", "two\n");
        symlink("2", steps.path("swap")).unwrap();
        steps.rename("swap", "a.log");
        steps.round();
        steps.lines.sort();
        assert_eq!(steps.lines, ["late", "one", "two"]);
    }

    /// As the kubelet rotates the log of a container, to which `/var/log/containers` links.
    #[test]
    fn a_link_whose_target_is_rotated_leads_to_the_new_file() {
        for inotify in ["on", "off"] {
            let options = [("inotify_watcher", inotify)];
            let mut steps = Steps::prepared("*.log", &options, |dir| {
                fs::create_dir(dir.path().join("pod")).unwrap();
                fs::write(dir.path().join("pod/0"), "one\n").unwrap();
                symlink("pod/0", dir.path().join("a.log")).unwrap();
                symlink("pod/0", dir.path().join("b.log")).unwrap();
                age(dir.path());
            });
            steps.round();
            let mut all = vec!["one".to_owned()];
            for n in 1..4 {
                steps.append("pod/0", &format!("late {n}\n"));
                steps.rename("pod/0", &format!("pod/0.{n}"));
                steps.round_after(Duration::from_secs(4));
                steps.append(&format!("pod/0.{n}"), &format!("later {n}\n"));
                steps.append("pod/0", &format!("new {n}\n"));
                steps.round();
                steps.worker.check_links();
                steps.read();
                all.extend(["late", "later", "new"].map(|text| format!("{text} {n}")));
            }
            all.sort();
            steps.lines.sort();
            assert_eq!(steps.lines, all, "inotify {inotify}");
            assert_eq!((steps.lost(), steps.missed()), (0, 0));
        }
    }

    #[test]
    fn another_name_of_a_closed_file_is_no_new_file() {
        let mut steps = Steps::new("*.log");
        steps.append("a.log", "one\n");
        steps.round();
        fs::hard_link(steps.path("a.log"), steps.path("b.log")).unwrap();
        steps.round();
        steps.close_all();
        fs::remove_file(steps.path("a.log")).unwrap();
        steps.round();
        steps.append("b.log", "two\n");
        steps.round();
        assert_eq!(steps.lines, ["one", "two"]);
    }

    #[test]
    fn a_file_whose_name_is_a_folder_now_is_read_to_its_end() {
        for (closed, inotify) in [(false, "on"), (true, "on"), (false, "off"), (true, "off")] {
            let options = [("inotify_watcher", inotify)];
            let mut steps = Steps::prepared("a.log", &options, |_| {});
            steps.append("a.log", "one\n");
            steps.round();
            steps.append("a.log", "two");
            if closed {
                steps.close_all();
            }
            steps.rename("a.log", "b");
            fs::create_dir(steps.path("a.log")).unwrap();
            steps.round();
            steps.round_after(Duration::from_secs(60));
            steps.round_after(Duration::from_secs(60));
            assert_eq!(steps.lines, ["one", "two"]);
            assert!(steps.worker.files.is_empty());
        }
    }

    #[test]
    fn a_file_that_was_let_go_is_none_that_is_new_when_it_comes_back() {
        let db = tempfile::tempdir().unwrap();
        let db = db.path().join("db");
        let db = ("db", db.to_str().unwrap());
        // With positions it is kept in mind until all of it has left the host.
        for options in [&[][..], &[db]] {
            let mut steps = Steps::prepared("*.log", options, |_| {});
            steps.append("a.log", "one\n");
            steps.round();
            steps.rename("a.log", "a.tmp");
            steps.round();
            steps.round_after(Duration::from_secs(60));
            assert!(steps.worker.files.values().all(|file| file.retired));
            steps.append("a.tmp", "two\n");
            steps.rename("a.tmp", "a-1.log");
            steps.round();
            assert_eq!(steps.lines, ["one", "two"], "{options:?}");
            assert_eq!(steps.worker.files.len(), 1);
            let file = steps.worker.files.values().next().unwrap();
            assert!(!file.retired && file.name.ends_with("a.log"));
        }
    }

    #[test]
    fn what_a_closed_file_had_when_it_was_deleted_is_counted() {
        let mut steps = Steps::new("*.log");
        steps.append("a.log", "one\n");
        steps.round();
        steps.append("a.log", "two\n");
        steps.told();
        steps.close_all();
        fs::remove_file(steps.path("a.log")).unwrap();
        steps.round();
        assert_eq!(steps.lost(), 4);
        assert!(steps.worker.files.is_empty());
    }
}
