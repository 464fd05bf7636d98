//! Scans: the folders that the patterns look into, which are watched, and the files in them.

use std::ffi::OsStr;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flb_sidecar_sdk::Why;
use tracing::{info, warn};

use crate::compressed::left_alone::Compressed;
use crate::context::Context;
use crate::counters::Trouble;
use crate::fs::{none_left, Fs};
use crate::map::{HashMap, HashSet};
use crate::source::confine::Confine;
use crate::source::globs::Visitor;
use crate::source::inotify::Watches;
use crate::source::links::Links;
use crate::source::listings::Listings;
use crate::source::paths::Paths;
use crate::track::descriptors::{is_missing, make_room, say_none_left};
use crate::track::files::Files;
use crate::track::limit::Folders;
use crate::track::queue::{Queue, Task};

/// How much is kept of paths before it is looked through for those that are gone, at least.
const SWEEP_AT: usize = 1024;

struct Found {
    confine: Arc<Confine>,
    admitted: Folders,
    refused: Vec<PathBuf>,
    folders: Vec<PathBuf>,
    waits: Vec<PathBuf>,
    unreadable: Vec<(PathBuf, io::Error)>,
    files: FoundFiles,
}

/// Files that match, and the inodes of their names where a listing told them; 0: none did.
pub(crate) type FoundFiles = Paths<u64>;

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
    fn file(&mut self, folder: &Path, name: &OsStr, inode: Option<u64>) {
        self.files.push_in(folder, name, inode.unwrap_or(0));
    }
}

/// The folders that the patterns look into, and who tells of changes in them.
#[derive(Debug)]
pub(crate) struct Sources {
    watches: Option<Watches>,
    listings: Listings,
    /// Folders of which nobody tells changes.
    polled: HashSet<PathBuf>,
    /// Folders on network filesystems, and all others that were asked about.
    remote: HashMap<PathBuf, bool>,
    admitted: Folders,
    /// How much is to be kept of paths when those that are gone are dropped.
    sweep_at: usize,
}

impl Sources {
    pub(crate) fn new(ctx: &Context) -> Self {
        let watches = ctx.options.inotify.then(|| Watches::new(&ctx.fs));
        let watches = watches.and_then(|made| {
            made.map_err(|error| {
                ctx.counters.error(Trouble::Watch);
                warn!("no inotify ({error}): files are looked at four times a second");
            })
            .ok()
        });
        Sources {
            watches,
            listings: Listings::new(ctx.time.clone(), ctx.fs.clone()),
            polled: HashSet::default(),
            remote: HashMap::default(),
            admitted: Folders::new(ctx.options.max_files),
            sweep_at: SWEEP_AT,
        }
    }

    /// Readable when the kernel has something to tell.
    pub(crate) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.watches.as_ref().and_then(Watches::fd)
    }

    /// Passes on what the kernel tells, a buffer full of it at most. `false`: there is no more.
    pub(crate) fn changes(&mut self, queue: &mut Queue) -> bool {
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
            queue.later(Task::Told(change));
        }
        more
    }

    /// Whether the kernel will tell when the file at `path` is written to.
    pub(crate) fn is_told(&self, fs: &Fs, path: &Path) -> bool {
        let folder = path.parent();
        self.watches.is_some()
            && folder.is_some_and(|folder| !self.polled.contains(folder))
            && fs
                .symlink_metadata(path)
                .is_ok_and(|metadata| !metadata.is_symlink())
    }

    #[cfg(test)]
    pub(crate) fn watches(&self) -> Option<&Watches> {
        self.watches.as_ref()
    }

    #[cfg(test)]
    pub(crate) fn admitted_mut(&mut self) -> &mut Folders {
        &mut self.admitted
    }

    #[cfg(test)]
    pub(crate) fn admitted(&self) -> &Folders {
        &self.admitted
    }

    /// The kernel tells of changes in every folder.
    pub(crate) fn are_told(&self) -> bool {
        self.watches.is_some() && self.polled.is_empty()
    }

    /// There are folders of which nobody tells changes.
    pub(crate) fn polls(&self) -> bool {
        !self.polled.is_empty()
    }

    /// Has files looked at of which nobody tells changes.
    pub(crate) fn poll(&self, files: &mut Files) {
        let paths = files.registry.paths().filter(|_| self.polls());
        let polled = paths.filter(|(path, _)| self.is_polled(&files.links, path));
        for id in polled.map(|(_, id)| id).chain(files.registry.restless()) {
            files.queue.later(Task::Check(id));
        }
    }

    /// Whether nobody tells of what happens at this path, or where it leads.
    pub(crate) fn is_polled(&self, links: &Links, path: &Path) -> bool {
        let target = links.target_of(path);
        let mut folders = path
            .parent()
            .into_iter()
            .chain(target.and_then(|t| t.parent()));
        folders.any(|folder| self.polled.contains(folder))
    }

    /// What was listed may not be all.
    pub(crate) fn list_again(&mut self) {
        self.listings.clear();
    }

    /// The same of one folder.
    pub(crate) fn changed(&mut self, folder: &Path) {
        self.listings.changed(folder);
    }

    /// Folders that are there and not looked into.
    pub(crate) fn beyond(&self) -> u64 {
        self.admitted.beyond()
    }

    /// Before a scan: looks for room for folders that were left out.
    pub(crate) fn take_more(&mut self, fs: &Fs) {
        if self.admitted.make_room(fs) {
            self.listings.clear();
        }
    }

    /// After a scan: says whether all folders are looked into again.
    pub(crate) fn tell(&mut self) {
        self.admitted.tell();
    }

    /// Drops what is kept of paths that are gone, whenever as much has come again as was left.
    pub(crate) fn sweep(&mut self, files: &mut Files, compressed: &mut Compressed) {
        if self.kept_of_paths(files, compressed) < self.sweep_at {
            return;
        }
        let fs = &files.ctx.fs;
        let is_there = |path: &Path| fs.symlink_metadata(path).is_ok();
        self.listings.retain(|folder| fs.is_dir(folder));
        self.remote.retain(|folder, _| fs.is_dir(folder));
        self.polled.retain(|folder| fs.is_dir(folder));
        self.admitted.retain(|folder| fs.is_dir(folder));
        files.ctx.troubles.retain(is_there);
        compressed.retain(is_there);
        files.states.retain(is_there);
        files.links.retain(|link| fs.is_symlink(link));
        self.sweep_at = (2 * self.kept_of_paths(files, compressed)).max(SWEEP_AT);
    }

    fn kept_of_paths(&self, files: &Files, compressed: &Compressed) -> usize {
        self.listings.len()
            + self.remote.len()
            + self.polled.len()
            + self.admitted.len()
            + files.ctx.troubles.len()
            + compressed.len()
            + files.links.len()
            + files.states.len()
    }

    /// Files in all folders that patterns look into, or in a new one and below it.
    pub(crate) fn find(&mut self, files: &mut Files, new: Option<&Path>) -> FoundFiles {
        if new.is_none() {
            self.watch_roots(files);
        }
        let mut found = self.walk(files, new);
        if self.watch_folders(&files.ctx, &found) {
            // What came between the listing and the watch is in a second listing.
            if new.is_none() {
                self.listings.clear();
            }
            drop(found);
            found = self.walk(files, new);
        }
        let stuck = found.unreadable.iter().any(|(_, error)| none_left(error));
        if stuck && make_room(files) {
            drop(found);
            found = self.walk(files, new);
        }
        if !files.ctx.troubles.is_empty() {
            for folder in &found.folders {
                if found.unreadable.iter().all(|(path, _)| path != folder) {
                    files.ctx.troubles.over(Trouble::Open, folder);
                }
            }
        }
        for folder in found.refused {
            let text = files.handles.confine().why_refused();
            files.ctx.troubles.say(Trouble::Link, &folder, &text);
        }
        for (folder, error) in found.unreadable {
            if none_left(&error) {
                say_none_left(&files.ctx.troubles, &error);
            } else {
                files
                    .ctx
                    .troubles
                    .say(Trouble::Open, &folder, &Why(&error).to_string());
            }
        }
        found.files
    }

    fn walk(&mut self, files: &mut Files, new: Option<&Path>) -> Found {
        let mut found = Found {
            confine: files.handles.confine_again(),
            admitted: std::mem::take(&mut self.admitted),
            refused: Vec::new(),
            folders: Vec::new(),
            waits: Vec::new(),
            unreadable: Vec::new(),
            files: FoundFiles::default(),
        };
        let globs = &files.ctx.options.globs;
        match new {
            None => globs.scan(&mut self.listings, &mut found),
            // It is still changing.
            Some(folder) => globs.scan_folder(
                folder,
                &mut Listings::new(files.ctx.time.clone(), files.ctx.fs.clone()),
                &mut found,
            ),
        }
        self.admitted = std::mem::take(&mut found.admitted);
        self.admitted.tell_new(&files.ctx);
        found
    }

    /// Watches the folders that the patterns name, before what is in them is listed for the first time: it need
    /// not be listed again for what has come meanwhile.
    fn watch_roots(&mut self, files: &Files) {
        for root in files.ctx.options.globs.roots() {
            let new = !self.remote.contains_key(root) && files.ctx.fs.is_dir(root);
            if new && files.handles.confine().enters(root) {
                self.watch_folder(&files.ctx, root);
            }
        }
    }

    /// Watches folders; `true`: some were not watched before.
    fn watch_folders(&mut self, ctx: &Context, found: &Found) -> bool {
        let mut any_new = false;
        for folder in &found.folders {
            any_new |= self.watch_folder(ctx, folder);
        }
        for folder in &found.waits {
            // Without it the next scan finds what comes.
            let waits = self.watches.as_mut().map(|watches| watches.wait_in(folder));
            any_new |= matches!(waits, Some(Ok(true)));
        }
        any_new
    }

    /// Keeps in mind where a path leads if it is a symbolic link, and watches the folder there.
    pub(crate) fn note_link(&mut self, files: &mut Files, path: &Path) {
        if !files.ctx.fs.is_symlink(path) {
            return;
        }
        if let Ok(target) = files.ctx.fs.canonicalize(path) {
            // What happens where it must not lead is nobody's business here.
            let Some(folder) = target
                .parent()
                .filter(|f| files.handles.confine().enters(f))
            else {
                return;
            };
            if files.links.is_full(files.ctx.options.max_files)
                && files.links.target_of(path).is_none()
            {
                return;
            }
            if self.remote.contains_key(folder) || self.admitted.admit(folder) {
                self.watch_folder(&files.ctx, folder);
            }
            files.links.insert(path.into(), target.into());
        }
    }

    /// Has the kernel tell of changes in a folder, else its files are looked at often. `true`: it does
    /// from now on.
    pub(crate) fn watch_folder(&mut self, ctx: &Context, folder: &Path) -> bool {
        if !self.remote.contains_key(folder) {
            let Ok(remote) = ctx.fs.is_remote(folder) else {
                return false;
            };
            if remote {
                info!(
                    "{} is on a network filesystem: it is polled",
                    folder.display()
                );
            }
            self.remote.insert(folder.to_owned(), remote);
        }
        let Some(watches) = &mut self.watches else {
            self.polled.insert(folder.to_owned());
            return false;
        };
        let watched = watches.add(folder);
        let remote = self.remote.get(folder) == Some(&true);
        if remote {
            self.polled.insert(folder.to_owned());
        }
        match watched {
            Ok(new) => {
                if !remote {
                    self.polled.remove(folder);
                }
                ctx.troubles.over(Trouble::Watch, folder);
                new
            }
            Err(error) if is_missing(&error) => false,
            Err(error) => {
                self.polled.insert(folder.to_owned());
                let text = match error.raw_os_error() {
                    Some(28) => format!(
                        "{error}: fs.inotify.max_user_watches is used up; its files are looked at four times a second"
                    ),
                    _ => format!("{}; its files are looked at four times a second", Why(&error)),
                };
                ctx.troubles.say(Trouble::Watch, folder, &text);
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
        let polled = |steps: &Steps| {
            let worker = &steps.worker;
            let (sources, files) = (&worker.discovery.sources, &worker.files);
            let paths = files.registry.paths();
            let polled = paths.filter(|(path, _)| sources.is_polled(&files.links, path));
            polled.count()
        };
        assert_eq!(polled(&steps), 0);
        let (folder, target) = (
            steps.path(""),
            fs::canonicalize(steps.path("folder")).unwrap(),
        );
        for (n, folder) in [&target, &folder].into_iter().enumerate() {
            let sources = &mut steps.worker.discovery.sources;
            sources.polled.insert(folder.clone());
            assert_eq!(polled(&steps), n + 1);
        }
        for (n, folder) in [(1, &folder), (0, &target)] {
            let ctx = steps.worker.ctx.clone();
            steps.worker.discovery.sources.watch_folder(&ctx, folder);
            assert_eq!(polled(&steps), n);
        }
    }

    #[test]
    fn a_file_that_comes_after_the_clock_was_set_back_is_found() {
        let options = [("inotify_watcher", "off")];
        let mut steps = Steps::prepared("*.log", &options, |dir| age(dir.path()));
        steps.round();
        steps.worker.ctx.time.set_wall(-7200);
        steps.append("a.log", "one\n");
        // The very time of the folder's last change.
        age(&steps.path(""));
        steps.round();
        assert_eq!(steps.lines, ["one"]);
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
                    worker.discovery.sources.listings.len(),
                    worker.discovery.sources.remote.len(),
                    worker.discovery.sources.polled.len(),
                    worker.ctx.troubles.len(),
                    worker.compressed.len(),
                    worker.files.links.len(),
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
                steps
                    .worker
                    .compressed
                    .settle(&mut steps.worker.files, true);
                assert!(steps.worker.compressed.len() + steps.worker.ctx.troubles.len() >= 3);
                fs::remove_dir_all(&folder).unwrap();
                steps.worker.discovery.sources.sweep_at = 0;
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
        let watches = steps.worker.discovery.sources.watches().unwrap();
        assert!(watches.paths().all(Path::is_dir), "{watches:?}");
    }
}
