//! What the kernel tells of folders and of the files in them.

use std::path::Path;

use flb_sidecar_sdk::Why;
use tracing::debug;

use crate::counters::Trouble;
use crate::source::inotify::Change;
use crate::track::descriptors::is_missing;
use crate::track::fingerprint::Identity;
use crate::track::transition::Observation;
use crate::worker::Worker;

/// Buffers full of events that are looked into before files have their turn: a writer in a hurry
/// may have new ones as fast as anybody looks.
const BUFFERS_AT_ONCE: usize = 4;

impl Worker {
    /// Takes in what the kernel has told, or a part of it if that is very much.
    pub(crate) fn changes(&mut self) {
        for _ in 0..BUFFERS_AT_ONCE {
            if !self.some_changes() {
                break;
            }
        }
        self.find_missing(false);
    }

    /// Looks into a buffer full of events. `false`: there are no more.
    fn some_changes(&mut self) -> bool {
        let Some(watches) = &mut self.watches else {
            return false;
        };
        let mut changes = Vec::new();
        let more = watches.read(|change| {
            // A writer in a hurry has many of these.
            if changes.last() != Some(&change) {
                changes.push(change);
            }
        });
        for change in changes {
            self.changed_in_folder(change);
            self.go_on();
        }
        more
    }

    fn changed_in_folder(&mut self, change: Change) {
        match change {
            Change::Written(path) => {
                match self.registry.at(path.as_path()) {
                    Some(id) => self.look(id, true),
                    None if self.options.globs.matches(&path) => {
                        self.written_unknown(&path);
                    }
                    None => {}
                }
                self.target_changed(&path);
            }
            Change::Appeared(path) => {
                self.target_changed(&path);
                self.appeared(&path);
            }
            Change::Gone { path, deleted } => {
                self.recheck(&path, deleted);
                self.target_changed(&path);
            }
            Change::Renamed(from, to) => {
                self.renamed(&from, &to);
                self.target_changed(&from);
                self.target_changed(&to);
            }
            Change::Folder(path) => {
                self.scan_folder(&path);
            }
            Change::Folders => self.next_scan = self.scan_allowed,
            Change::Overflow => {
                debug!("events were lost: every file is looked at");
                self.listings.clear();
                self.next_scan = self.time.now();
                self.to_check = self.registry.ids();
                self.check_batch(usize::MAX);
            }
        }
    }

    /// A file that is not followed was written to.
    fn written_unknown(&mut self, path: &Path) {
        if self.consider(path) {
            return;
        }
        // Under a name that is gone since: the next scan looks where it is now.
        if let Some(folder) = path.parent() {
            self.listings.changed(folder);
        }
    }

    /// A name has come into a watched folder.
    pub(crate) fn appeared(&mut self, path: &Path) {
        if self.options.globs.matches(path) {
            if !self.consider(path) {
                self.unseen.created(path);
            }
        } else if self.fs.is_dir(path) {
            // A link to a folder.
            self.scan_folder(path);
        }
    }

    fn renamed(&mut self, from: &Path, to: &Path) {
        let matched = self.options.globs.matches(from);
        let wanted = self.unseen.is_wanted(from, to, matched);
        let known = self
            .fs
            .metadata(to)
            .ok()
            .and_then(|m| self.registry.followed(&Identity::of(&m)));
        match known {
            Some(id) => {
                // Unless that was counted when it was not found at its path.
                let file = self.registry.get(id);
                let at_path = file.is_some_and(|file| file.path().is_some());
                self.counters.rotations.add(u64::from(at_path));
                self.moved(id, to);
                // A scan may have found it there before.
                if wanted {
                    self.observe(id, Observation::Rotated);
                }
                self.look_at(id);
            }
            None => self.renamed_unseen(from, to, wanted),
        }
        self.recheck(from, false);
    }

    /// What was found where something was renamed to is not known.
    fn renamed_unseen(&mut self, from: &Path, to: &Path, wanted: bool) {
        if self.options.globs.matches(to) {
            self.appeared(to);
        } else if wanted {
            self.consider_as(to, Some(from));
        }
        let id = self.registry.at(to);
        if let Some(id) = id.filter(|_| wanted) {
            self.observe(id, Observation::Rotated);
        }
        self.unseen.renamed(from, to, id.is_some());
    }

    /// What has not been found since the last scan but one is gone.
    pub(crate) fn miss_unseen(&mut self) {
        for path in self.unseen.after_scan() {
            if self.registry.at(&path).is_none() && self.troubles.can_be_opened(&path) {
                let text = "it was gone before it could be opened";
                self.troubles.say_of_gone(Trouble::Missed, path, text);
            }
        }
    }

    /// Something happened to the name of a followed file: what is there now? `deleted`: the name
    /// was deleted, so the file was not renamed.
    pub(crate) fn recheck(&mut self, path: &Path, deleted: bool) {
        let Some(id) = self.registry.at(path) else {
            return;
        };
        match self.fs.metadata(path) {
            Ok(metadata) if self.registry.is_file(id, Identity::of(&metadata)) => {
                self.look_at(id);
            }
            Ok(metadata) if self.options.globs.matches(path) => {
                if !metadata.is_file() {
                    self.gone(path, deleted);
                }
                self.consider(path);
            }
            Err(error) if !is_missing(&error) => {
                self.troubles
                    .say(Trouble::Open, path, &Why(&error).to_string());
            }
            _ => self.gone(path, deleted),
        }
    }

    /// Something happened where links lead.
    fn target_changed(&mut self, target: &Path) {
        for link in self.links.to(target).to_vec() {
            self.look_behind(&link);
        }
    }

    /// Looks at the file behind a link, which may be a new one.
    pub(crate) fn look_behind(&mut self, link: &Path) {
        if self.registry.at(link).is_some() {
            self.recheck(link, false);
        } else {
            self.consider(link);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::Write as _;
    use std::os::unix::fs::symlink;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::Arc;
    use std::thread;
    use std::time::{Duration, Instant};

    use crate::sim::steps::Steps;

    #[test]
    fn writers_in_a_hurry_do_not_keep_files_from_being_read() {
        let mut steps = Steps::new("*.log");
        let paths = ["a.log", "b.log"].map(|name| steps.path(name));
        let first = paths[0].clone();
        let enough = Arc::new(AtomicBool::new(false));
        let told = enough.clone();
        let writer = thread::spawn(move || {
            let start = Instant::now();
            let mut files = paths.map(|path| File::create(path).unwrap());
            while !told.load(Ordering::Relaxed) && start.elapsed() < Duration::from_secs(60) {
                for file in &mut files {
                    file.write_all(b"\n").unwrap();
                }
            }
        });
        while !fs::metadata(&first).is_ok_and(|metadata| metadata.len() > 10_000) {
            thread::yield_now();
        }
        steps.told();
        assert!(!writer.is_finished(), "it was waited for");
        enough.store(true, Ordering::Relaxed);
        writer.join().unwrap();
    }

    #[test]
    fn every_path_of_a_folder_is_told_of() {
        // The link in it has the folder watched under its other name, too.
        let mut steps = Steps::prepared("link/*.log", &[], |dir| {
            let folder = dir.path().join("folder");
            fs::create_dir(&folder).unwrap();
            symlink("folder", dir.path().join("link")).unwrap();
            fs::write(folder.join("1"), "one\n").unwrap();
            symlink("1", folder.join("current.log")).unwrap();
            fs::write(folder.join("a.log"), "two\n").unwrap();
        });
        steps.read();
        steps.append("folder/1", "one\n");
        steps.append("folder/a.log", "two\n");
        steps.append("folder/b.log", "three\n");
        steps.told();
        steps.read();
        steps.rename("folder/b.log", "folder/c");
        steps.append("folder/c", "three\n");
        steps.told();
        steps.read();
        steps.lines.sort();
        assert_eq!(steps.lines, ["one", "one", "three", "three", "two", "two"]);
        assert_eq!(steps.missed(), 0);
    }
}
