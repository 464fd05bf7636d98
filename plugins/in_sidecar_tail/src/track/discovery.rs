//! Finding new files, and what the kernel tells of paths.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use flb_sidecar_sdk::Why;
use tracing::info;

use crate::checkpoint::recovery::{has_unclaimed, position_of};
use crate::compressed::left_alone::Compressed;
use crate::context::Context;
use crate::counters::Trouble;
use crate::fs::{none_left, Folder, Handle, Metadata};
use crate::map::{HashMap, HashSet};
use crate::pace::Stopwatch;
use crate::read::holes::{line_begins, written_end};
use crate::source::confine::is_refused;
use crate::source::scan::{FoundFiles, Sources};
use crate::track::beyond::{is_full, Beyond, Known};
use crate::track::descriptors::{is_missing, open};
use crate::track::dormant::is_same;
use crate::track::file::{FileId, Seen};
use crate::track::files::{Files, Stage};
use crate::track::fingerprint::{Clue, Fingerprint, Identity};
use crate::track::follow::follow;
use crate::track::limit::MOST_PATHS;
use crate::track::queue::{Queue, Task};
use crate::track::rotation::{gone, is_there, moved, renumbered};
use crate::track::state_files::is_still_a_state;
use crate::track::transition::Observation;

/// What stands at a path.
struct There {
    metadata: Metadata,
    /// The path itself is a link.
    is_link: bool,
    /// It is open already.
    opened: Option<Handle>,
}

impl There {
    /// What is at the path, without opening it.
    fn closed(files: &Files, path: &Path) -> io::Result<Self> {
        let (metadata, is_link) = files.ctx.fs.metadata_and_link(path)?;
        Ok(There {
            metadata,
            is_link,
            opened: None,
        })
    }
}

/// The folder of the path that was looked at last, while many are one after the other: most of the way to each
/// is the same. Whoever moves the folder meanwhile has moved it a moment later.
#[derive(Debug, Default)]
struct Near(Option<(PathBuf, Option<Folder>)>);

impl Near {
    /// The folder of a path and the name in it. `None`: it is looked at by its path.
    fn folder<'a>(&mut self, files: &Files, path: &'a Path) -> Option<(&Folder, &'a OsStr)> {
        let whole = path.as_os_str().as_bytes();
        let (folder, name) = whole.split_at(memchr::memrchr(b'/', whole)?);
        let folder = Path::new(OsStr::from_bytes(folder));
        let name = OsStr::from_bytes(&name[1..]);
        if matches!(name.as_bytes(), b"" | b"." | b"..") {
            return None;
        }
        match &self.0 {
            Some((near, _)) if near.as_os_str() == folder.as_os_str() => {}
            _ => {
                let opened = files.handles.confine().folder(folder);
                self.0 = Some((folder.to_owned(), opened));
            }
        }
        let (_, near) = self.0.as_ref()?;
        Some((near.as_ref()?, name))
    }

    /// What was a file when it was looked at before: most are one still, and opening it says so.
    fn opened(&mut self, files: &Files, path: &Path) -> io::Result<There> {
        let near = self.folder(files, path);
        let handle = near.and_then(|(folder, name)| folder.open(name));
        let opened = handle.and_then(|handle| Some((handle.metadata().ok()?, handle)));
        let Some((metadata, handle)) = opened else {
            return There::closed(files, path);
        };
        Ok(There {
            metadata,
            is_link: false,
            opened: Some(handle),
        })
    }

    /// What is at the path, without opening it.
    fn closed(&mut self, files: &Files, path: &Path) -> io::Result<There> {
        let near = self.folder(files, path);
        let there = near.and_then(|(folder, name)| folder.metadata(name));
        match there.filter(|there| !there.is_symlink()) {
            Some(metadata) => Ok(There {
                metadata,
                is_link: false,
                opened: None,
            }),
            None => There::closed(files, path),
        }
    }
}

/// How new files are found, and what is kept of those that are not followed.
#[derive(Debug)]
pub(crate) struct Discovery {
    pub(crate) sources: Sources,
    /// What is there and not followed, since there is too much.
    pub(crate) beyond: Beyond,
    /// Where files ended that were too old at the start or could not be opened, by their identities'
    /// numbers; only if what was there then is not to be read.
    left_out: HashMap<u64, Clue>,
    /// Paths that match and could not be followed so far, for a reason that may pass unnoticed.
    retry: HashSet<PathBuf>,
    near: Near,
}

impl Discovery {
    pub(crate) fn new(ctx: &Context) -> Self {
        Discovery {
            sources: Sources::new(ctx),
            beyond: Beyond::default(),
            left_out: HashMap::default(),
            retry: HashSet::default(),
            near: Near::default(),
        }
    }

    /// Follows the file at `path` if it is a new one, and reads it if it has grown.
    /// `false`: there is no such file.
    pub(crate) fn consider(
        &mut self,
        files: &mut Files,
        compressed: &mut Compressed,
        path: &Path,
    ) -> bool {
        self.consider_as(files, compressed, path, None)
    }

    /// The same, under the name that the file had.
    pub(crate) fn consider_as(
        &mut self,
        files: &mut Files,
        compressed: &mut Compressed,
        path: &Path,
        named: Option<&Path>,
    ) -> bool {
        if files.ctx.keeps(path) {
            return true;
        }
        match There::closed(files, path) {
            Ok(there) => self.consider_there(files, compressed, path, named, there),
            Err(error) => self.cannot_open(files, path, &error),
        }
    }

    /// The same of one of many that are looked at one after the other, until [`Discovery::goes_on`].
    pub(crate) fn consider_next(
        &mut self,
        files: &mut Files,
        compressed: &mut Compressed,
        path: &Path,
    ) -> bool {
        if files.ctx.keeps(path) {
            return true;
        }
        match self.near.closed(files, path) {
            Ok(there) => self.consider_there(files, compressed, path, None, there),
            Err(error) => self.cannot_open(files, path, &error),
        }
    }

    /// Something else is done.
    pub(crate) fn goes_on(&mut self) {
        self.near = Near::default();
    }

    /// The same of what is there.
    fn consider_there(
        &mut self,
        files: &mut Files,
        compressed: &mut Compressed,
        path: &Path,
        named: Option<&Path>,
        there: There,
    ) -> bool {
        let There {
            metadata,
            is_link,
            opened,
        } = there;
        if !metadata.is_file() {
            files.ctx.troubles.say(
                Trouble::NotAFile,
                path,
                "it is not a regular file, so it is not read",
            );
            return true;
        }
        files.ctx.troubles.over(Trouble::NotAFile, path);
        let identity = Identity::of(&metadata);
        let own = if is_link {
            self.sources.note_link(files, path);
            own_name(files, path, &identity)
        } else {
            None
        };
        let path = own.as_deref().unwrap_or(path);
        if let Some(id) = files.registry.followed(&identity) {
            if is_another(files, id, path) {
                files.observe(id, Observation::NotFound);
                files.queue.later(Task::Consider(path.to_owned()));
                return true;
            }
            moved(files, id, path);
            files.queue.push(Task::Glance(id));
            return true;
        }
        if self.beyond.has_given_way(&identity, metadata.len())
            || is_still_a_state(files, path, &identity, Seen::of(&metadata))
            || compressed.is_left_alone(files, &identity, path, Seen::of(&metadata))
            || compressed.is_known_packed(files, path, &identity, &metadata)
        {
            replaced(files, path, &identity);
            return true;
        }
        if files.ctx.is_older(Seen::of(&metadata).modified_second())
            && files.registry.at(path).is_none()
        {
            if !self.sources.is_told(&files.ctx.fs, path) {
                self.try_later(path);
            }
            self.leave_out(files, path, &metadata);
            return true;
        }
        if is_full(files, compressed) {
            replaced(files, path, &identity);
            if is_link {
                // One that leads where it must not has no turn to wait for.
                match open(files, path) {
                    Err(error) if is_refused(&error) => {
                        return self.cannot_open(files, path, &error)
                    }
                    Ok(_) | Err(_) => {}
                }
            }
            self.beyond
                .leave_out(&files.ctx, path, &identity, metadata.len());
            return true;
        }
        let opened = match opened {
            Some(handle) => Ok((handle, metadata)),
            None => open(files, path),
        };
        match opened {
            Ok((handle, metadata)) => {
                // The name may have come to stand for something else since.
                let identity = Identity::of(&metadata);
                if metadata.is_file() && files.registry.followed(&identity).is_none() {
                    files.ctx.troubles.over(Trouble::Open, path);
                    files.ctx.troubles.over(Trouble::Link, path);
                    if let Some(id) = same_but_renumbered(files, path, &handle, &metadata) {
                        renumbered(files, id, identity, handle);
                        files.look_at(id);
                        return true;
                    }
                    if let Some(id) = let_go_before(files, &identity, &handle, &metadata) {
                        files.observe(id, Observation::ComesBack);
                        moved(files, id, path);
                        return true;
                    }
                    let mut position = position_of(files, path, &identity, &handle, &metadata);
                    if position.offset.is_none() && files.is_short() && has_unclaimed(files) {
                        // It may be the copy of one that could not be looked at.
                        self.try_later(path);
                        return true;
                    }
                    let end = || self.end_at_the_start(&identity, &handle, &metadata);
                    position.offset = position.offset.or_else(end);
                    position.name = position.name.or_else(|| named.map(Arc::from));
                    position.seen = Some(Seen::of(&metadata));
                    follow(files, path, identity, handle, &metadata, position);
                }
                true
            }
            Err(error) => {
                if error.kind() != io::ErrorKind::StaleNetworkFileHandle {
                    self.leave_out(files, path, &metadata);
                    replaced(files, path, &identity);
                }
                self.cannot_open(files, path, &error)
            }
        }
    }

    /// Only what comes behind the end that a file has at the start may be to be read, whenever it can be.
    fn leave_out(&mut self, files: &Files, path: &Path, metadata: &Metadata) {
        if files.stage != Stage::Starting || files.ctx.options.read_from_head {
            return;
        }
        let opened = files
            .handles
            .open_at_once(path)
            .and_then(|(handle, metadata)| {
                let end = written_end(&handle, metadata.len())?;
                Ok((Identity::of(&metadata), Fingerprint::at(&handle, end)?))
            });
        // Of one that cannot be opened nobody knows more than how long it is.
        let (identity, end) = opened.unwrap_or_else(|_| {
            let offset = metadata.len();
            let end = Fingerprint {
                offset,
                ..Fingerprint::default()
            };
            (Identity::of(metadata), end)
        });
        self.left_out.insert(identity.number(), end.into());
    }

    fn try_later(&mut self, path: &Path) {
        if self.retry.len() < MOST_PATHS {
            self.retry.insert(path.to_owned());
        }
    }

    /// Where a file ended at the start that was too old to be followed then and is to be read from
    /// its end. It may have begun anew since, and be longer by now.
    fn end_at_the_start(
        &mut self,
        identity: &Identity,
        handle: &Handle,
        metadata: &Metadata,
    ) -> Option<u64> {
        let end = self.left_out.remove(&identity.number());
        let end = end.or_else(|| self.beyond.end_when_it_gave_way(identity))?;
        let same = end.fits(handle, metadata.len()).unwrap_or(false);
        let offset = if same { end.offset() } else { 0 };
        // It may have been made longer than what is written, and nobody could look into it.
        let written = written_end(handle, metadata.len());
        let offset = written.map_or(offset, |written| written.min(offset));
        if same && end.fits_anything() {
            // Nobody knows whether it is the same file: not from the middle of a line.
            return Some(line_begins(handle, offset).unwrap_or(offset));
        }
        Some(offset)
    }

    /// Whether nothing is to be done about a name that a scan has found, though its file is not followed.
    pub(crate) fn is_known(
        &self,
        files: &Files,
        compressed: &Compressed,
        (path, inode): (&Path, u64),
    ) -> bool {
        // What is written to a file that gave way in a drain is told.
        let told = self.sources.are_told();
        let waits = told && files.is_draining() || is_full(files, compressed);
        inode != 0
            && match self.beyond.known(path, inode) {
                Some(Known::Waits) => waits,
                Some(Known::GaveWay) => told,
                Some(Known::HasTurn) | None => false,
            }
    }

    /// Whether the file at `path` waits for its turn.
    pub(crate) fn waits(&self, files: &Files, path: &Path) -> bool {
        let there = files.ctx.fs.metadata(path);
        there.is_ok_and(|there| {
            let inode = Identity::of(&there).inode;
            self.beyond.known(path, inode) == Some(Known::Waits)
        })
    }

    /// Follows one of the files that were left out, if there is room. `false`: there is not, or it is not
    /// known where any of them is.
    pub(crate) fn take_one(&mut self, files: &mut Files, compressed: &mut Compressed) -> bool {
        if is_full(files, compressed) {
            return false;
        }
        let Some((path, waits)) = self.beyond.next() else {
            return false;
        };
        match self.near.opened(files, &path) {
            Ok(there) => {
                let metadata = &there.metadata;
                self.beyond
                    .has_turn(&path, &Identity::of(metadata), metadata.len());
                self.consider_there(files, compressed, &path, None, there);
            }
            Err(error) => {
                self.cannot_open(files, &path, &error);
                if is_missing(&error) {
                    self.beyond.is_not_there(path, waits);
                }
            }
        }
        true
    }

    /// Looks for everything that the patterns match and that is not known to be unchanged; what finding it
    /// has cost.
    pub(crate) fn begin_scan(
        &mut self,
        files: &mut Files,
        compressed: &mut Compressed,
    ) -> (Duration, FoundFiles) {
        let watch = Stopwatch::start(&files.ctx.time);
        self.take_more(files, compressed);
        let found = self.sources.find(files, None);
        (files.ctx.time.cost(watch.spent()), found)
    }

    /// A scan is over.
    pub(crate) fn end_scan(&mut self, files: &mut Files, compressed: &mut Compressed) {
        for (named, path) in self.beyond.find_strayed(files) {
            self.consider_as(files, compressed, &path, Some(&named));
            if let Some(id) = files.registry.at(&path) {
                files.observe(id, Observation::Rotated);
            }
        }
        self.beyond.tell(&files.ctx);
        self.sources.tell();
        self.sources.sweep(files, compressed);
        if files.is_short() {
            // All of it is come by again.
            self.sources.list_again();
            files.stage = Stage::StartingAgain;
        } else if !files.scanned() {
            let paths = files.registry.paths().map(|(path, _)| path);
            for pattern in files.ctx.options.globs.without_files(paths) {
                info!("{pattern} matches no file yet; one that comes is found");
            }
            files.stage = Stage::Following;
            files.ctx.shared.set_scanned();
        }
    }

    /// Before a scan: what was left out is offered again, if there is room for some of it.
    fn take_more(&mut self, files: &mut Files, compressed: &mut Compressed) {
        // A drain has those have their turn whose paths are known, and looks for the others behind that.
        let asks = !files.is_draining() || self.beyond.are_to_be_found();
        while !files.is_draining() && self.take_one(files, compressed) {}
        self.goes_on();
        let again = asks && !is_full(files, compressed) && self.beyond.begin_anew();
        let told = self.sources.are_told();
        let looks = !files.is_draining()
            && self
                .beyond
                .doubts_those_that_gave_way(files.ctx.time.now(), told);
        if again || looks {
            self.sources.list_again();
        }
        self.sources.take_more(&files.ctx.fs);
    }

    /// Has looked again at what could not be followed.
    pub(crate) fn try_again(&mut self, queue: &mut Queue) {
        for path in std::mem::take(&mut self.retry) {
            queue.later(Task::Consider(path));
        }
    }

    /// What is at `path` cannot be opened now. `false`: there is nothing.
    fn cannot_open(&mut self, files: &Files, path: &Path, error: &io::Error) -> bool {
        let missing = is_missing(error);
        if missing && files.ctx.fs.symlink_metadata(path).is_err() {
            return false;
        }
        // That may change without any change of its folder; a link may lead somewhere later.
        self.try_later(path);
        if !missing && !none_left(error) && !is_refused(error) {
            files
                .ctx
                .troubles
                .say(Trouble::Open, path, &Why(error).to_string());
        }
        true
    }

    /// Looks at a link and what is behind it.
    pub(crate) fn check_link(
        &mut self,
        files: &mut Files,
        compressed: &mut Compressed,
        link: &Path,
    ) {
        if let Some(id) = files.registry.at(link) {
            files.queue.push(Task::Check(id));
        } else if !self.consider(files, compressed, link) {
            files.links.remove(link);
        }
    }

    /// A file is let go, and may be written to again.
    pub(crate) fn watch_let_go(&mut self, files: &Files, id: FileId) {
        let file = files.registry.get(id);
        if let Some(path) = file.and_then(|file| file.path().cloned()) {
            info!("{}: older than ignore_older, let go", path.display());
            if !self.sources.is_told(&files.ctx.fs, &path) {
                self.try_later(&path);
            }
        }
    }

    /// Files of a folder that has just come.
    pub(crate) fn scan_folder(&mut self, files: &mut Files, folder: &Path) {
        for (path, _) in self.sources.find(files, Some(folder)).into_iter() {
            files.queue.push(Task::Consider(path));
        }
    }

    /// Something happened to the name of a followed file: what is there now? `deleted`: the name
    /// was deleted, so the file was not renamed.
    pub(crate) fn recheck(
        &mut self,
        files: &mut Files,
        compressed: &mut Compressed,
        path: &Path,
        deleted: bool,
    ) {
        let Some(id) = files.registry.at(path) else {
            return;
        };
        match files.ctx.fs.metadata(path) {
            Ok(metadata) if files.registry.is_file(id, Identity::of(&metadata)) => {
                files.look_at(id);
            }
            Ok(metadata) if files.ctx.options.globs.matches(path) => {
                if !metadata.is_file() {
                    gone(files, path, deleted);
                }
                self.consider(files, compressed, path);
            }
            Err(error) if !is_missing(&error) => {
                files
                    .ctx
                    .troubles
                    .say(Trouble::Open, path, &Why(&error).to_string());
            }
            _ => gone(files, path, deleted),
        }
    }
}

/// What was at this path has left it, whatever becomes of the one that is there now.
fn replaced(files: &mut Files, path: &Path, now: &Identity) {
    let before = files.registry.at(path);
    if before.is_some_and(|before| !files.registry.is_file(before, *now)) {
        gone(files, path, false);
    }
}

/// The file's own name, if a link leads to one that is to be read anyway: a link may lead elsewhere later,
/// and what is still written to the file is none of the next one's.
fn own_name(files: &Files, link: &Path, identity: &Identity) -> Option<PathBuf> {
    let fs = &files.ctx.fs;
    let target = fs.canonicalize(link).ok()?;
    // A pattern may come to the same folder in another way.
    let beside = link.parent()?.join(target.file_name()?);
    [beside, target].into_iter().find(|own| {
        let there = || fs.metadata_and_link(own).ok();
        own != link
            && files.ctx.options.globs.matches(own)
            && !files.ctx.keeps(own)
            && there().is_some_and(|(m, is_link)| !is_link && Identity::of(&m) == *identity)
    })
}

/// The file followed at `path`, if what is there now holds what was read of it: filesystems
/// over the network may number it anew, such as when a cache tells the new content of a
/// replaced file before its number.
fn same_but_renumbered(
    files: &Files,
    path: &Path,
    handle: &Handle,
    metadata: &Metadata,
) -> Option<FileId> {
    let id = files.registry.at(path)?;
    let file = files.registry.get(id)?;
    // A filesystem of layers has it born again when it is first written to.
    let open = file.handle.as_ref().and_then(|open| open.metadata().ok());
    if let Some(open) = open {
        // Both are there: what is new may begin like what was read.
        return (Identity::of(&open) == Identity::of(metadata)).then_some(id);
    }
    if !file.remote || file.offset == 0 {
        return None;
    }
    let fits = file.fingerprint().fits(handle, metadata.len()).ok()?;
    // What is new may begin like what was read, and that may be elsewhere by now.
    let before = files.ctx.fs.shortages();
    let there = fits && is_there(files, file);
    let sure = files.ctx.fs.shortages() == before;
    (fits && !there && sure).then_some(id)
}

/// Whether what is at a new path has only the number of this file, which was deleted: where nobody tells when
/// files were born, on a network filesystem, where open files do not stay, or of a closed one.
fn is_another(files: &Files, id: FileId, path: &Path) -> bool {
    let Some(file) = files.registry.get(id) else {
        return false;
    };
    let same_path = file.path().is_some_and(|at| **at == *path);
    if file.identity.birth.is_some() || file.is_held() || same_path || file.offset == 0 {
        return false;
    }
    let now = files.handles.open_at_once(path).ok();
    now.is_some_and(|(handle, metadata)| {
        let fits = file.fingerprint().fits(&handle, metadata.len());
        Identity::of(&metadata) == file.identity && !fits.unwrap_or(true)
    })
}

/// The file that was let go before all of it had left the host, if this is it.
fn let_go_before(
    files: &Files,
    identity: &Identity,
    handle: &Handle,
    metadata: &Metadata,
) -> Option<FileId> {
    let id = files.registry.known(identity)?;
    let file = files
        .registry
        .get(id)
        .filter(|file| file.life.is_let_go())?;
    is_same(identity, &file.fingerprint(), handle, metadata).then_some(id)
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
    fn a_folder_that_becomes_a_link_between_two_of_its_files_leads_nowhere() {
        let outside = tempfile::tempdir().unwrap();
        for name in ["2.log", "token.log"] {
            fs::write(outside.path().join(name), "somebody else's").unwrap();
        }
        let steps = Steps::prepared("*/*.log", &[], |dir| {
            let sub = dir.path().join("sub");
            fs::create_dir(&sub).unwrap();
            for name in ["1.log", "2.log"] {
                fs::write(sub.join(name), "ours").unwrap();
            }
        });
        let files = &steps.worker.files;
        let mut near = Near::default();
        let first = near.opened(files, &steps.path("sub/1.log"));
        assert!(first.unwrap().opened.is_some());
        steps.rename("sub", "aside");
        symlink(outside.path(), steps.path("sub")).unwrap();
        // The folder is still the one that was opened.
        let second = near.opened(files, &steps.path("sub/2.log")).unwrap();
        let ours = fs::metadata(steps.path("aside/2.log")).unwrap().into();
        assert_eq!(Identity::of(&second.metadata), Identity::of(&ours));
        // What is not in it is looked at by its path, and not opened.
        let token = near.opened(files, &steps.path("sub/token.log"));
        assert!(token.unwrap().opened.is_none());
        // Whoever comes later finds the link, and does not go through it.
        let mut near = Near::default();
        for name in ["sub/2.log", "sub/token.log"] {
            let there = near.opened(files, &steps.path(name)).unwrap();
            assert!(there.opened.is_none(), "{name}");
            let opened = files.handles.confine().open(&steps.path(name));
            assert!(is_refused(&opened.err().unwrap()), "{name}");
        }
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
            assert_eq!(steps.worker.files.registry.len(), 1);
            fs::remove_dir_all(steps.path("folder")).unwrap();
            fs::write(steps.path("folder"), "").unwrap();
            steps.round();
            steps.round_after(Duration::from_secs(60));
            assert_eq!(steps.lines, ["one"]);
            steps.round_after(Duration::from_secs(60));
            assert!(steps
                .worker
                .files
                .registry
                .iter()
                .all(|(_, file)| file.life.is_let_go()));
            assert_eq!(steps.worker.ctx.counters.errors(Trouble::Open), 0);
        }
    }

    #[test]
    fn a_folder_in_a_files_place_is_counted_whenever_there_is_one() {
        let mut steps = Steps::new("*.log");
        for n in 1..3 {
            fs::create_dir(steps.path("a.log")).unwrap();
            steps.round();
            steps.round();
            assert_eq!(steps.worker.ctx.counters.errors(Trouble::NotAFile), n);
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
            assert_eq!(steps.worker.files.registry.len(), 0);
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

    /// As was reported of others: nxadm/tail issue 78, bgreenlee/pygtail pull request 57.
    #[test]
    fn a_file_left_out_at_the_start_that_begins_anew_is_read_from_its_head() {
        for anew in ["two, longer than what was there\n", "two\n", "2\n"] {
            let options = [("ignore_older", "1h"), ("read_from_head", "off")];
            let mut steps = Steps::prepared("*.log", &options, |dir| {
                fs::write(dir.path().join("a.log"), "one\n").unwrap();
                age(&dir.path().join("a.log"));
            });
            steps.round();
            fs::write(steps.path("a.log"), anew).unwrap();
            steps.round();
            assert_eq!(steps.lines, [anew.trim_end()]);
        }
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
