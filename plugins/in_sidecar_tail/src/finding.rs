//! Finding files: scans, the kernel's events, and regular looks at what nobody tells of.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use rustix::fs::{statfs, FsWord};
use tracing::{debug, info, warn};

use crate::counters::Trouble;
use crate::discovery::Visitor;
use crate::followed::{self, FileId, Followed, Seen};
use crate::identity::{Identity, Print, Tail};
use crate::tag;
use crate::watch::Change;
use crate::worker::Worker;

/// Files looked at in one check.
const CHECKED_AT_ONCE: usize = 1000;

/// Filesystems whose changes made elsewhere the kernel here does not tell of (statfs(2)).
const REMOTE: [FsWord; 9] = [
    0x6969,      // NFS
    0x6573_5546, // FUSE
    0x517b,      // SMB
    0xff53_4d42, // CIFS
    0xfe53_4d42, // SMB2
    0x0102_1997, // 9P
    0x00c3_6400, // Ceph
    0x5346_414f, // AFS
    0x0bd0_0bd0, // Lustre
];

#[derive(Default)]
struct Found {
    folders: Vec<PathBuf>,
    files: Vec<(PathBuf, Option<u64>)>,
}

impl Visitor for Found {
    fn folder(&mut self, path: &Path) {
        self.folders.push(path.to_owned());
    }
    fn file(&mut self, path: PathBuf, inode: Option<u64>) {
        self.files.push((path, inode));
    }
}

impl Worker {
    // Events.

    pub(crate) fn changes(&mut self) {
        while self.some_changes() {}
        self.miss_unseen();
        self.find_strays(false);
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
            match change {
                Change::Written(path) => {
                    let known = self.by_path.get(path.as_path());
                    let id = known.or(self.by_target.get(path.as_path()));
                    match id.copied() {
                        Some(id) => self.look(id, true),
                        None if self.options.globs.matches(&path) => {
                            self.consider(&path);
                        }
                        None => {}
                    }
                }
                Change::Appeared(path) => {
                    self.recheck_target(&path);
                    self.appeared(&path);
                }
                Change::Gone { path, deleted } => {
                    self.recheck(&path, deleted);
                    self.recheck_target(&path);
                }
                Change::Renamed(from, to) => {
                    self.renamed(&from, &to);
                    self.recheck_target(&from);
                    self.recheck_target(&to);
                }
                Change::Folders => self.next_scan = Instant::now(),
                Change::Overflow => {
                    debug!("events were lost: every file is looked at");
                    self.listings.clear();
                    self.next_scan = Instant::now();
                    self.to_check = self.files.keys().copied().collect();
                    self.check_batch(usize::MAX);
                }
            }
        }
        more
    }

    /// A name has come into a watched folder.
    pub(crate) fn appeared(&mut self, path: &Path) {
        if self.options.globs.matches(path) && !self.consider(path) {
            self.unseen(path);
        }
    }

    fn renamed(&mut self, from: &Path, to: &Path) {
        let known = fs::metadata(to)
            .ok()
            .and_then(|m| self.by_identity.get(&Identity::of(&m)).copied());
        match known {
            Some(id) => {
                // Unless that was counted when it was not found at its path.
                let at_path = self.files.get(&id).is_some_and(|file| file.path.is_some());
                self.counters.rotations.add(u64::from(at_path));
                self.moved(id, to);
                self.look(id, true);
            }
            None => self.renamed_unseen(from, to),
        }
        self.recheck(from, false);
    }

    /// Something happened to the name of a followed file: what is there now? `deleted`: the name
    /// was deleted, so the file was not renamed.
    pub(crate) fn recheck(&mut self, path: &Path, deleted: bool) {
        let Some(id) = self.by_path.get(path).copied() else {
            return;
        };
        match fs::metadata(path) {
            Ok(metadata) if self.is_file(id, &metadata) => self.look(id, true),
            Ok(_) if self.options.globs.matches(path) => {
                self.consider(path);
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                self.trouble(Trouble::Open, path, &error.to_string());
            }
            _ => self.gone(path, deleted),
        }
    }

    /// The same for a file behind a symbolic link.
    fn recheck_target(&mut self, target: &Path) {
        let link = self
            .by_target
            .get(target)
            .and_then(|id| self.files.get(id)?.path.clone());
        if let Some(link) = link {
            self.recheck(&link, false);
        }
    }

    pub(crate) fn is_file(&self, id: FileId, metadata: &Metadata) -> bool {
        self.files
            .get(&id)
            .is_some_and(|file| file.identity == Identity::of(metadata))
    }

    // Scans.

    /// Looks at everything the patterns match that is not known to be unchanged.
    pub(crate) fn scan(&mut self) {
        let mut found = Found::default();
        self.options.globs.scan(&mut self.listings, &mut found);
        if self.watch_folders(&found.folders) {
            // What came between the listing and the watch is in a second listing.
            found.files.clear();
            self.listings.clear();
            self.options.globs.scan(&mut self.listings, &mut found);
        }
        let mut later = Vec::new();
        for (path, inode) in found.files {
            let known = self
                .by_path
                .get(path.as_path())
                .and_then(|id| self.files.get(id));
            let same = known.is_some_and(|file| Some(file.identity.inode) == inode);
            if same {
                continue;
            }
            if self.scanned {
                self.consider(&path);
            } else if !self.consider_claimed(&path) {
                later.push(path);
            }
        }
        for path in later {
            self.consider(&path);
        }
        if !self.scanned {
            self.recover_unclaimed();
        }
        self.find_strays(true);
        self.settle_held();
        self.retire();
        self.settle_compressed(false);
        self.scanned = true;
        self.shared.set_scanned();
        self.next_scan = Instant::now() + self.options.refresh_interval;
    }

    /// Watches folders; `true`: some were not watched before.
    fn watch_folders(&mut self, folders: &[PathBuf]) -> bool {
        let mut any_new = false;
        for folder in folders {
            any_new |= self.watch_folder(folder);
        }
        any_new
    }

    fn watch_folder(&mut self, folder: &Path) -> bool {
        if !self.remote_folders.contains_key(folder) {
            let Ok(about) = statfs(folder) else {
                return false;
            };
            let remote = REMOTE.contains(&about.f_type);
            if remote {
                info!(
                    "{} is on a network filesystem: it is polled",
                    folder.display()
                );
            }
            self.remote_folders.insert(folder.to_owned(), remote);
        }
        let Some(watches) = &mut self.watches else {
            self.polled_folders.insert(folder.to_owned());
            return false;
        };
        if self.remote_folders.get(folder) == Some(&true) {
            self.polled_folders.insert(folder.to_owned());
        }
        match watches.add(folder) {
            Ok(new) => {
                if self.remote_folders.get(folder) == Some(&false)
                    && !self.polled_folders.is_empty()
                {
                    self.polled_folders.remove(folder);
                }
                self.trouble_over(Trouble::Watch, folder);
                new
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => {
                self.polled_folders.insert(folder.to_owned());
                let text = match error.raw_os_error() {
                    Some(28) => format!(
                        "{error}: fs.inotify.max_user_watches is used up; its files are looked at four times a second"
                    ),
                    _ => format!("{error}; its files are looked at four times a second"),
                };
                self.trouble(Trouble::Watch, folder, &text);
                false
            }
        }
    }

    // Looks.

    /// Looks at files of which nobody tells changes.
    pub(crate) fn poll_files(&mut self) {
        let ids: Vec<FileId> = self
            .polled
            .iter()
            .chain(&self.detached)
            .chain(&self.rotating)
            .chain(&self.held)
            .copied()
            .collect();
        for id in ids {
            self.check(id);
        }
        self.find_strays(false);
        self.settle_held();
        self.retire();
    }

    /// Looks at the next few files, so that each has its turn however many there are.
    pub(crate) fn check_some(&mut self) {
        if self.to_check.is_empty() {
            self.to_check = self.files.keys().copied().collect();
        }
        self.check_batch(CHECKED_AT_ONCE);
    }

    fn check_batch(&mut self, count: usize) {
        for _ in 0..count {
            let Some(id) = self.to_check.pop() else {
                return;
            };
            self.check(id);
        }
    }

    pub(crate) fn check_links(&mut self) {
        let ids: Vec<FileId> = self.by_target.values().copied().collect();
        for id in ids {
            self.check(id);
        }
    }

    /// Looks at a file's path and at the file.
    fn check(&mut self, id: FileId) {
        let Some(file) = self.files.get(&id).filter(|file| !file.retired) else {
            return;
        };
        let Some(path) = file.path.clone() else {
            return self.look(id, false);
        };
        match fs::metadata(&path) {
            Ok(metadata) if self.is_file(id, &metadata) => self.look(id, false),
            _ => self.recheck(&path, false),
        }
        let too_old = self.options.ignore_active_older
            && self.files.get(&id).is_some_and(|file| {
                !file.queued && file.matched && self.is_older(file.seen.modified.0)
            });
        if too_old {
            info!("{}: older than ignore_older, let go", path.display());
            self.end_text(id);
            self.forget(id);
        }
    }

    fn is_older(&self, modified: i64) -> bool {
        let Some(limit) = self.options.ignore_older else {
            return false;
        };
        let now = flb_sidecar_sdk::event::Timestamp::now().seconds;
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
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return false,
            Err(error) => {
                self.trouble(Trouble::Open, path, &error.to_string());
                return true;
            }
        };
        if !metadata.is_file() {
            self.trouble(
                Trouble::NotAFile,
                path,
                "it is not a regular file, so it is not read",
            );
            return true;
        }
        let identity = Identity::of(&metadata);
        if let Some(id) = self.by_identity.get(&identity).copied() {
            self.moved(id, path);
            self.look(id, false);
            return true;
        }
        if self.compressed.contains(&identity)
            || (self.is_older(Seen::of(&metadata).modified.0) && !self.by_path.contains_key(path))
        {
            return true;
        }
        match followed::open(path) {
            Ok((handle, metadata)) => {
                // The name may have come to stand for something else since.
                let identity = Identity::of(&metadata);
                if metadata.is_file() && !self.by_identity.contains_key(&identity) {
                    self.trouble_over(Trouble::Open, path);
                    if let Some(id) = self.same_but_renumbered(path, &handle, &metadata) {
                        self.renumbered(id, identity, handle);
                        self.look(id, true);
                        return true;
                    }
                    let (entry, name) = self.position_of(path, &identity, &handle, &metadata);
                    let name = name.or_else(|| named.map(Arc::from));
                    self.follow(path, identity, handle, &metadata, entry, name);
                }
                true
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => {
                let text = error.to_string();
                self.trouble(Trouble::Open, path, &text);
                true
            }
        }
    }

    /// The file followed at `path`, if what is there now holds what was read of it: filesystems
    /// over the network may number it anew, such as when a cache tells the new content of a
    /// replaced file before its number.
    fn same_but_renumbered(
        &self,
        path: &Path,
        handle: &fs::File,
        metadata: &Metadata,
    ) -> Option<FileId> {
        let id = *self.by_path.get(path)?;
        let file = self
            .files
            .get(&id)
            .filter(|file| file.remote && file.offset > 0)?;
        let clue = file.clue();
        clue.fits(handle, metadata.len()).ok()?.then_some(id)
    }

    /// Follows a new file, from `position` if one is known.
    pub(crate) fn follow(
        &mut self,
        path: &Path,
        identity: Identity,
        handle: fs::File,
        metadata: &Metadata,
        position: Option<u64>,
        name: Option<Arc<Path>>,
    ) -> FileId {
        self.gone(path, false);
        let from_head = if self.scanned {
            self.options.read_new_from_head
        } else {
            self.options.read_from_head
        };
        let offset = match position {
            Some(offset) => offset,
            None if from_head => 0,
            None => metadata.len(),
        };
        let id = FileId(self.next_id);
        self.next_id += 1;
        let same = name.as_ref().filter(|name| ***name == *path);
        let shared: Arc<Path> = same.map_or_else(|| path.into(), Arc::clone);
        let mut file = Followed::new(identity, shared.clone(), offset);
        if let Some(name) = name {
            file.name = name;
        }
        file.tag = self.tag_of(&file.name);
        file.tail = Tail::read(&handle, offset).unwrap_or_default();
        file.checkpoint_tail = Print::of(file.tail.bytes());
        file.matched = self.options.globs.matches(path);
        file.fresh = self.scanned;
        file.compared = !self.scanned || offset > 0;
        file.handle = Some(handle);
        file.seen.size = offset;
        file.polled = path
            .parent()
            .is_some_and(|folder| self.polled_folders.contains(folder));
        file.remote = path
            .parent()
            .is_some_and(|folder| self.remote_folders.get(folder) == Some(&true));
        if file.polled {
            self.polled.insert(id);
        }
        if !file.matched {
            self.detached.push(id);
        }
        self.open_handles += 1;
        debug!("following {} from byte {offset}", path.display());
        self.files.insert(id, Box::new(file));
        self.by_identity.insert(identity, id);
        self.by_path.insert(shared, id);
        self.follow_link(id, path);
        self.changed(id);
        self.look(id, true);
        self.bound_handles();
        id
    }

    /// Watches where a symbolic link points to.
    fn follow_link(&mut self, id: FileId, path: &Path) {
        if !fs::symlink_metadata(path).is_ok_and(|m| m.is_symlink()) {
            return;
        }
        if let Ok(target) = fs::canonicalize(path) {
            if let Some(folder) = target.parent() {
                self.watch_folder(folder);
                if self.polled_folders.contains(folder) {
                    self.polled.insert(id);
                }
            }
            let target: Arc<Path> = target.into();
            if let Some(file) = self.files.get_mut(&id) {
                file.target = Some(target.clone());
            }
            self.by_target.insert(target, id);
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
