//! Finding files: new ones, and regular looks at those of whose changes nobody tells.

use std::io;
use std::path::Path;
use std::sync::Arc;

use flb_sidecar_sdk::Why;
use tracing::{debug, info, warn};

use crate::counters::Trouble;
use crate::fs::{Handle, Metadata};
use crate::read::holes::written_end;
use crate::read::tag;
use crate::source::confine::is_refused;
use crate::track::descriptors::{is_missing, none_left};
use crate::track::dormant::is_same;
use crate::track::file::{FileId, Seen, TrackedFile};
use crate::track::fingerprint::{Identity, Print, Tail};
use crate::track::limit::MOST_PATHS;
use crate::track::transition::{Life, Observation};
use crate::worker::{Task, Worker};

/// Files looked at in one check.
const CHECKED_AT_ONCE: usize = 1000;

impl Worker {
    // Looks.

    /// Looks at files of which nobody tells changes.
    pub(crate) fn poll_files(&mut self) {
        let ids: Vec<FileId> = self
            .polled
            .iter()
            .copied()
            .chain(self.registry.restless())
            .collect();
        for id in ids {
            self.check(id);
            self.go_on();
        }
        self.wake_unpacked();
        self.find_missing(false);
        self.settle_quarantined();
        self.settle_compressed(false);
    }

    /// Looks at the next few files, so that each has its turn however many there are.
    pub(crate) fn check_some(&mut self) {
        self.try_again();
        if self.to_check.is_empty() {
            self.to_check = self.registry.ids();
        }
        self.check_batch(CHECKED_AT_ONCE);
    }

    pub(crate) fn check_batch(&mut self, count: usize) {
        for _ in 0..count {
            let Some(id) = self.to_check.pop() else {
                return;
            };
            self.check(id);
            self.go_on();
        }
    }

    pub(crate) fn check_links(&mut self) {
        let links: Vec<Arc<Path>> = self.links.all().cloned().collect();
        for link in links {
            if let Some(id) = self.registry.at(&link) {
                self.check(id);
            } else if !self.consider(&link) {
                self.links.remove(&link);
            }
            self.go_on();
        }
    }

    /// Looks at a file's path and at the file.
    fn check(&mut self, id: FileId) {
        let Some(file) = self.registry.get(id).filter(|file| !file.life.is_let_go()) else {
            return;
        };
        let Some(path) = file.path().cloned() else {
            return self.look(id, false);
        };
        match self.fs.metadata(&path) {
            Ok(metadata) if self.registry.is_file(id, Identity::of(&metadata)) => {
                self.look(id, false);
            }
            _ => self.recheck(&path, false),
        }
    }

    /// A file is let go, and may be written to again.
    pub(crate) fn watch_let_go(&mut self, id: FileId) {
        let file = self.registry.get(id);
        if let Some(path) = file.and_then(|file| file.path().cloned()) {
            info!("{}: older than ignore_older, let go", path.display());
            if !self.is_told(&path) {
                self.try_later(&path);
            }
        }
    }

    pub(crate) fn is_older(&self, modified: i64) -> bool {
        let Some(limit) = self.options.ignore_older else {
            return false;
        };
        let now = self.time.timestamp().seconds;
        i64::from(now) - modified > limit.as_secs() as i64
    }

    // New files.

    /// Follows the file at `path` if it is a new one, and reads it if it has grown.
    /// `false`: there is no such file.
    pub(crate) fn consider(&mut self, path: &Path) -> bool {
        self.consider_as(path, None)
    }

    /// The same, under the name that the file had.
    pub(crate) fn consider_as(&mut self, path: &Path, named: Option<&Path>) -> bool {
        let metadata = match self.fs.metadata(path) {
            Ok(metadata) => metadata,
            Err(error) => return self.cannot_open(path, &error),
        };
        if !metadata.is_file() {
            self.troubles.say(
                Trouble::NotAFile,
                path,
                "it is not a regular file, so it is not read",
            );
            return true;
        }
        self.troubles.over(Trouble::NotAFile, path);
        self.note_link(path);
        let identity = Identity::of(&metadata);
        if let Some(id) = self.registry.followed(&identity) {
            self.moved(id, path);
            self.tasks.push_back(Task::Glance(id));
            return true;
        }
        if self.has_given_way(&identity, metadata.len())
            || self.is_left_alone(&identity, path, Seen::of(&metadata))
            || self.is_known_packed(path, &identity, &metadata)
        {
            return true;
        }
        if self.is_older(Seen::of(&metadata).modified_second()) && self.registry.at(path).is_none()
        {
            if !self.is_told(path) {
                self.try_later(path);
            }
            if !self.scanned && !self.options.read_from_head {
                let end = self
                    .confine
                    .open(path)
                    .and_then(|(handle, metadata)| written_end(&handle, metadata.len()));
                self.left_out
                    .insert(identity.number(), end.unwrap_or(metadata.len()));
            }
            return true;
        }
        if self.is_full() {
            self.leave_out(path, &identity, metadata.len());
            return true;
        }
        match self.open(path) {
            Ok((handle, metadata)) => {
                // The name may have come to stand for something else since.
                let identity = Identity::of(&metadata);
                if metadata.is_file() && self.registry.followed(&identity).is_none() {
                    self.troubles.over(Trouble::Open, path);
                    self.troubles.over(Trouble::Link, path);
                    if let Some(id) = self.same_but_renumbered(path, &handle, &metadata) {
                        self.renumbered(id, identity, handle);
                        self.look_at(id);
                        return true;
                    }
                    if let Some(id) = self.let_go_before(&identity, &handle, &metadata) {
                        self.observe(id, Observation::ComesBack);
                        self.moved(id, path);
                        return true;
                    }
                    let (offset, name, cut) = self.position_of(path, &identity, &handle, &metadata);
                    let plain = self.options.globs.name_of(path);
                    let offset = offset.or_else(|| self.end_at_the_start(&identity, &metadata));
                    let rotated = name.as_ref().is_some_and(|name| **name != *plain);
                    let name = name.or_else(|| named.map(Arc::from));
                    let id = self.follow(path, identity, handle, &metadata, offset, name);
                    self.goes_on_inside(id, cut);
                    if rotated {
                        self.observe(id, Observation::Rotated);
                    }
                }
                true
            }
            Err(error) => self.cannot_open(path, &error),
        }
    }

    fn try_later(&mut self, path: &Path) {
        if self.retry.len() < MOST_PATHS {
            self.retry.insert(path.to_owned());
        }
    }

    /// Where a file ended at the start that was too old to be followed then and is to be read from
    /// its end. It may have begun anew since.
    fn end_at_the_start(&mut self, identity: &Identity, metadata: &Metadata) -> Option<u64> {
        let end = self.left_out.remove(&identity.number());
        let end = end.or_else(|| self.end_when_it_gave_way(identity))?;
        Some(if metadata.len() < end { 0 } else { end })
    }

    /// Looks again at what could not be followed.
    pub(crate) fn try_again(&mut self) {
        for path in std::mem::take(&mut self.retry) {
            self.consider(&path);
            self.go_on();
        }
    }

    /// What is at `path` cannot be opened now. `false`: there is nothing.
    fn cannot_open(&mut self, path: &Path, error: &io::Error) -> bool {
        let missing = is_missing(error);
        if missing && self.fs.symlink_metadata(path).is_err() {
            return false;
        }
        // That may change without any change of its folder; a link may lead somewhere later.
        self.try_later(path);
        if !missing && !none_left(error) && !is_refused(error) {
            self.troubles
                .say(Trouble::Open, path, &Why(error).to_string());
        }
        true
    }

    /// Whether the kernel will tell when the file at `path` is written to.
    fn is_told(&self, path: &Path) -> bool {
        let folder = path.parent();
        self.watches.is_some()
            && folder.is_some_and(|folder| !self.polled_folders.contains(folder))
            && self
                .fs
                .symlink_metadata(path)
                .is_ok_and(|metadata| !metadata.is_symlink())
    }

    /// The file followed at `path`, if what is there now holds what was read of it: filesystems
    /// over the network may number it anew, such as when a cache tells the new content of a
    /// replaced file before its number.
    fn same_but_renumbered(
        &self,
        path: &Path,
        handle: &Handle,
        metadata: &Metadata,
    ) -> Option<FileId> {
        let id = self.registry.at(path)?;
        let file = self.registry.get(id)?;
        // A filesystem of layers has it born again when it is first written to.
        let open = file.handle.as_ref().and_then(|open| open.metadata().ok());
        if open.is_some_and(|open| Identity::of(&open) == Identity::of(metadata)) {
            return Some(id);
        }
        if !file.remote || file.offset == 0 {
            return None;
        }
        let fingerprint = file.fingerprint();
        fingerprint.fits(handle, metadata.len()).ok()?.then_some(id)
    }

    /// The file that was let go before all of it had left the host, if this is it.
    fn let_go_before(
        &self,
        identity: &Identity,
        handle: &Handle,
        metadata: &Metadata,
    ) -> Option<FileId> {
        let id = self.registry.known(identity)?;
        let file = self.registry.get(id).filter(|file| file.life.is_let_go())?;
        is_same(identity, &file.fingerprint(), handle, metadata).then_some(id)
    }

    /// Follows a new file, from `position` if one is known.
    pub(crate) fn follow(
        &mut self,
        path: &Path,
        identity: Identity,
        handle: Handle,
        metadata: &Metadata,
        position: Option<u64>,
        name: Option<Arc<Path>>,
    ) -> FileId {
        self.gone(path, false);
        // As in the stock tail, new files are read from their head if the first ones are.
        let from_head =
            self.options.read_from_head || self.scanned && self.options.read_new_from_head;
        let offset = match position {
            Some(offset) => offset,
            None if from_head => 0,
            // A log may have been made longer than what is written.
            None => written_end(&handle, metadata.len()).unwrap_or(metadata.len()),
        };
        let same = name.as_ref().filter(|name| ***name == *path);
        let shared: Arc<Path> = same.map_or_else(|| path.into(), Arc::clone);
        let matched = self.options.globs.matches(path);
        let life = Life::begin(shared.clone(), matched, self.time.now());
        let name = name.unwrap_or(shared);
        let mut file = TrackedFile::new(identity, name, life, offset);
        let plain = self.options.globs.name_of(&file.name);
        if plain.as_os_str() != file.name.as_os_str() {
            file.name = plain.into();
        }
        file.tag = self.tag_of(&file.name);
        file.tail = Tail::read(&handle, offset).unwrap_or_default();
        file.checkpoint_tail = Print::of(file.tail.bytes());
        file.fresh = self.scanned;
        file.compared = !self.scanned || offset > 0;
        file.seen.size = offset;
        let target = self.links.target_of(path).cloned();
        if target.is_some() {
            file.rare().target.clone_from(&target);
        }
        let folder = path.parent();
        file.remote = folder.is_some_and(|folder| self.remote_folders.get(folder) == Some(&true));
        let folders = folder
            .into_iter()
            .chain(target.as_deref().and_then(Path::parent));
        let polled = folders
            .into_iter()
            .any(|folder| self.polled_folders.contains(folder));
        // Now, while the new file is not among those that may be closed: it may soon be deleted.
        self.make_way();
        file.handle = Some(handle);
        let id = self.registry.insert(file);
        self.share.opened(id);
        if polled {
            self.polled.insert(id);
        }
        debug!("following {} from byte {offset}", path.display());
        self.changed(id);
        self.look_at(id);
        id
    }

    /// Keeps in mind where a path leads if it is a symbolic link, and watches the folder there.
    pub(crate) fn note_link(&mut self, path: &Path) {
        if !self.fs.is_symlink(path) {
            return;
        }
        if let Ok(target) = self.fs.canonicalize(path) {
            // What happens where it must not lead is nobody's business here.
            let Some(folder) = target.parent().filter(|f| self.confine.enters(f)) else {
                return;
            };
            if self.links.is_full(self.options.max_files) && self.links.target_of(path).is_none() {
                return;
            }
            if self.remote_folders.contains_key(folder) || self.folders.admit(folder) {
                self.watch_folder(folder);
            }
            self.links.insert(path.into(), target.into());
        }
    }

    fn tag_of(&self, name: &Path) -> Option<Arc<str>> {
        let template = self.tag_template.as_deref()?;
        let path = name.to_string_lossy();
        let tag = match &self.options.tag_regex {
            Some(regex) => tag::expand_groups(template, regex, &path),
            None => tag::expand(template, &path),
        };
        if tag.is_none() {
            warn!("{path}: tag_regex does not match, the tag is {template}");
        }
        tag.map(Arc::from)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::time::Duration;

    use super::*;
    use crate::sim::steps::{age, Steps};

    #[test]
    fn a_link_is_followed_when_there_is_something_behind_it() {
        let mut steps = Steps::prepared("*.log", &[], |dir| {
            symlink("folder/1", dir.path().join("a.log")).unwrap();
            fs::create_dir(dir.path().join("folder")).unwrap();
            age(dir.path());
        });
        steps.round();
        steps.append("folder/1", "one\n");
        steps.round();
        assert_eq!(steps.lines, ["one"]);
        assert_eq!(steps.missed(), 0);
    }

    #[test]
    fn files_of_a_folder_that_became_a_file_are_gone() {
        for inotify in ["on", "off"] {
            let options = [("inotify_watcher", inotify)];
            let mut steps = Steps::prepared("*/a.log", &options, |dir| {
                fs::create_dir(dir.path().join("folder")).unwrap();
                fs::write(dir.path().join("folder/a.log"), "one").unwrap();
            });
            steps.round();
            assert_eq!(steps.worker.registry.len(), 1);
            fs::remove_dir_all(steps.path("folder")).unwrap();
            fs::write(steps.path("folder"), "").unwrap();
            steps.round();
            steps.round_after(Duration::from_secs(60));
            assert_eq!(steps.lines, ["one"]);
            steps.round_after(Duration::from_secs(60));
            assert!(steps
                .worker
                .registry
                .iter()
                .all(|(_, file)| file.life.is_let_go()));
            assert_eq!(steps.worker.counters.errors(Trouble::Open), 0);
        }
    }

    #[test]
    fn a_folder_in_a_files_place_is_counted_whenever_there_is_one() {
        let mut steps = Steps::new("*.log");
        for n in 1..3 {
            fs::create_dir(steps.path("a.log")).unwrap();
            steps.round();
            steps.round();
            assert_eq!(steps.worker.counters.errors(Trouble::NotAFile), n);
            fs::remove_dir(steps.path("a.log")).unwrap();
            steps.append("a.log", "one\n");
            steps.round();
            fs::remove_file(steps.path("a.log")).unwrap();
        }
        assert_eq!(steps.lines, ["one", "one"]);
    }

    #[test]
    fn a_file_that_became_too_old_goes_on_where_it_was() {
        for (name, inotify) in [("a.log", "on"), ("a.log", "off"), ("link.log", "on")] {
            let options = [
                ("ignore_older", "1h"),
                ("ignore_active_older_files", "on"),
                ("inotify_watcher", inotify),
            ];
            let mut steps = Steps::prepared(&name.replace(".log", "*.log"), &options, |dir| {
                fs::create_dir(dir.path().join("folder")).unwrap();
                symlink("folder/1", dir.path().join("link.log")).unwrap();
                fs::write(dir.path().join("folder/1"), "one\n").unwrap();
                fs::write(dir.path().join("a.log"), "one\n").unwrap();
                age(dir.path());
            });
            steps.round();
            age(&steps.path(name));
            steps.round();
            assert_eq!(steps.worker.registry.len(), 0);
            steps.append(name, "two\n");
            steps.round();
            assert_eq!(steps.lines, ["one", "two"], "{name}, inotify {inotify}");
        }
    }

    #[test]
    fn an_old_file_is_read_when_it_is_written_to() {
        for (name, inotify) in [("a.log", "on"), ("a.log", "off"), ("link.log", "on")] {
            let options = [("ignore_older", "1h"), ("inotify_watcher", inotify)];
            let mut steps = Steps::prepared(&name.replace(".log", "*.log"), &options, |dir| {
                fs::create_dir(dir.path().join("folder")).unwrap();
                fs::write(dir.path().join("folder/1"), "one\n").unwrap();
                fs::write(dir.path().join("a.log"), "one\n").unwrap();
                symlink("folder/1", dir.path().join("link.log")).unwrap();
                age(&dir.path().join("folder/1"));
                age(&dir.path().join("a.log"));
                age(dir.path());
            });
            steps.round();
            assert!(steps.lines.is_empty());
            steps.append(name, "two\n");
            steps.round();
            assert_eq!(steps.lines, ["one", "two"], "{name}, inotify {inotify}");
        }
    }

    #[test]
    fn of_a_file_left_out_at_the_start_only_what_is_new_is_read() {
        let options = [("ignore_older", "1h"), ("read_from_head", "off")];
        let mut steps = Steps::prepared("*.log", &options, |dir| {
            fs::write(dir.path().join("a.log"), "one\n").unwrap();
            age(&dir.path().join("a.log"));
        });
        steps.round();
        steps.append("a.log", "two\n");
        steps.round();
        assert_eq!(steps.lines, ["two"]);
    }

    #[test]
    fn new_files_are_read_from_their_head_if_the_first_ones_are() {
        for (head, new, lines) in [("on", "off", 1), ("off", "off", 0), ("off", "on", 1)] {
            let options = [
                ("read_from_head", head),
                ("read_newly_discovered_files_from_head", new),
            ];
            let mut steps = Steps::prepared("*.log", &options, |_| {});
            steps.append("new", "one\n");
            steps.rename("new", "a.log");
            steps.round();
            assert_eq!(steps.lines.len(), lines, "{head} {new}");
        }
    }
}
