//! Open files: not too many at a time, and what is said when one cannot be opened.

use std::io;
use std::ops::Deref;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Instant;

use flb_sidecar_sdk::Why;
use rustix::process::{getrlimit, Resource};

use crate::context::Context;
use crate::counters::Trouble;
use crate::fs::{none_left, Handle, Metadata};
use crate::map::HashSet;
use crate::source::confine::{is_refused, Confine};
use crate::track::file::{FileId, Seen, TrackedFile};
use crate::track::files::Files;
use crate::track::fingerprint::Identity;
use crate::track::queue::Task;
use crate::track::transition::Observation;
use crate::troubles::{Troubles, EVERY_FILE};

/// Handles kept open by all instances together. Room is made before a file is opened, by closing
/// those that are read to their end; where that is not enough, whoever opened a file closes it again
/// when he is done with it. So a file that cannot be opened again keeps its handle, and there are
/// never more of these than were open.
const MAX_OPEN: usize = 400;
/// What a host needs with two or three outputs, which are made when files are open already: 54 to 58 descriptors were
/// counted. With fewer than this each file is open as long as it has its turn.
const OF_THE_HOST: usize = 64;

/// What the instances of a process have together.
#[derive(Debug)]
struct All {
    instances: AtomicUsize,
    /// Handles that they have open.
    open: AtomicUsize,
}

impl All {
    const fn new() -> Self {
        All {
            instances: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
        }
    }
}

static ALL: All = All::new();

/// An instance's part of the descriptors that the process may have, and how files are opened.
#[derive(Debug)]
pub(crate) struct Handles {
    all: &'static All,
    most: usize,
    open: HashSet<FileId>,
    /// No open file was read to its end when it was last looked for one, nor since.
    none_idle: bool,
    confine: Arc<Confine>,
}

impl Handles {
    pub(crate) fn new(ctx: &Context) -> Self {
        let options = &ctx.options;
        let confine = Confine::new(&ctx.fs, options.follow_links, options.globs.roots());
        let limit = getrlimit(Resource::Nofile).current;
        let limit = limit.and_then(|limit| usize::try_from(limit).ok());
        Handles::of(&ALL, limit.map_or(MAX_OPEN, most_of), confine)
    }

    fn of(all: &'static All, most: usize, confine: Confine) -> Self {
        all.instances.fetch_add(1, Ordering::Relaxed);
        Handles {
            all,
            most,
            open: HashSet::default(),
            none_idle: false,
            confine: Arc::new(confine),
        }
    }

    /// The same in a process of its own, which may have `most` files open.
    #[cfg(test)]
    pub(crate) fn apart(&self, most: usize) -> Self {
        Handles::of(Box::leak(Box::new(All::new())), most, self.confine.again())
    }

    /// Where links may lead is looked at anew; what is known of that from now on.
    pub(crate) fn confine_again(&mut self) -> Arc<Confine> {
        self.confine = Arc::new(self.confine.again());
        self.confine.clone()
    }

    /// Opens a file, whether a descriptor is left for others or not.
    pub(crate) fn open_at_once(&self, path: &Path) -> io::Result<(Handle, Metadata)> {
        self.confine.open(path)
    }

    pub(crate) fn confine(&self) -> &Confine {
        &self.confine
    }

    /// A file was read to its end, so it may be closed.
    pub(crate) fn one_is_idle(&mut self) {
        self.none_idle = false;
    }

    /// Handles that the instance has open.
    pub(crate) fn count(&self) -> usize {
        self.open.len()
    }

    pub(crate) fn ids(&self) -> Vec<FileId> {
        self.open.iter().copied().collect()
    }

    /// How many more may be open.
    pub(crate) fn room(&self) -> usize {
        let all = self.all.open.load(Ordering::Relaxed);
        let fair = self.most / self.all.instances.load(Ordering::Relaxed).max(1);
        let own = fair.saturating_sub(self.open.len());
        own.max(self.most.saturating_sub(all))
    }

    pub(crate) fn opened(&mut self, id: FileId) {
        if self.open.insert(id) {
            self.all.open.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn closed(&mut self, id: FileId) {
        if self.open.remove(&id) {
            self.all.open.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// How many handles are too many, with these in addition: of all, and more than what is left for
    /// each.
    fn excess_with(&self, more: usize) -> usize {
        let all = self.all.open.load(Ordering::Relaxed) + more;
        let fair = self.most / self.all.instances.load(Ordering::Relaxed).max(1);
        let own = (self.open.len() + more).saturating_sub(fair);
        own.min(all.saturating_sub(self.most))
    }

    fn excess(&self) -> usize {
        self.excess_with(0)
    }
}

/// How many of so many descriptors may be handles.
fn most_of(limit: usize) -> usize {
    let left = limit.saturating_sub(OF_THE_HOST);
    left.min(limit * 2 / 5).min(MAX_OPEN)
}

impl Drop for Handles {
    fn drop(&mut self) {
        self.all.instances.fetch_sub(1, Ordering::Relaxed);
        self.all.open.fetch_sub(self.open.len(), Ordering::Relaxed);
    }
}

/// Opens a file, if a descriptor is left for it.
pub(crate) fn open(files: &mut Files, path: &Path) -> io::Result<(Handle, Metadata)> {
    let opened = match files.handles.confine.open(path) {
        Err(error) if none_left(&error) && make_room(files) => files.handles.confine.open(path),
        opened => opened,
    };
    match &opened {
        Err(error) if none_left(error) => say_none_left(&files.ctx.troubles, error),
        Err(error) if is_refused(error) => {
            files
                .ctx
                .troubles
                .say(Trouble::Link, path, &error.to_string());
        }
        Err(_) => {}
        Ok(_) => files
            .ctx
            .troubles
            .over(Trouble::Open, Path::new(EVERY_FILE)),
    }
    opened
}

/// Says that there is no descriptor left.
pub(crate) fn say_none_left(troubles: &Troubles, error: &io::Error) {
    let text = format!("{error}; they wait until there is a descriptor");
    troubles.say(Trouble::Open, Path::new(EVERY_FILE), &text);
}

/// Opens a file that was closed. `false`: it cannot be read now. Who calls this closes it with
/// [`done_with`].
pub(crate) fn ensure_open(files: &mut Files, id: FileId) -> bool {
    let Some(file) = files.registry.get(id) else {
        return false;
    };
    if file.handle.is_some() {
        return true;
    }
    let Some(path) = file.path().cloned() else {
        return false;
    };
    make_way(files);
    match open(files, &path) {
        Ok((handle, metadata)) if files.registry.is_file(id, Identity::of(&metadata)) => {
            if let Some(file) = files.registry.get_mut(id) {
                file.handle = Some(Box::new(handle));
                files.handles.none_idle &= file.life.waits_for_turn();
                files.handles.opened(id);
            }
            files.ctx.troubles.over(Trouble::Open, &path);
            true
        }
        Err(error) if !is_missing(&error) => {
            if !none_left(&error) && !is_refused(&error) {
                files
                    .ctx
                    .troubles
                    .say(Trouble::Open, &path, &Why(&error).to_string());
            }
            false
        }
        // Another file is there, or none.
        _ => {
            files.queue.push(Task::Recheck(path.to_path_buf()));
            false
        }
    }
}

/// A file's own handle, or one for a moment.
#[derive(Debug)]
pub(crate) enum AtHand<'a> {
    Its(&'a Handle),
    Another(Handle),
}

impl Deref for AtHand<'_> {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        match self {
            AtHand::Its(handle) => handle,
            AtHand::Another(handle) => handle,
        }
    }
}

pub(crate) fn at_hand<'a>(files: &Files, file: &'a TrackedFile) -> io::Result<AtHand<'a>> {
    match (&file.handle, file.path()) {
        (Some(handle), _) => Ok(AtHand::Its(handle)),
        (None, Some(path)) => {
            let (handle, metadata) = files.handles.confine.open(path)?;
            let same = Identity::of(&metadata) == file.identity;
            same.then_some(AtHand::Another(handle))
                .ok_or_else(|| io::ErrorKind::NotFound.into())
        }
        (None, None) => Err(io::ErrorKind::NotFound.into()),
    }
}

/// Makes room for one more, as far as files have been read to their end.
pub(crate) fn make_way(files: &mut Files) {
    let excess = files.handles.excess_with(1);
    if excess > 0 {
        // Some more, since looking for them takes its time.
        close_idle(files, excess.max(files.handles.count() / 4));
    }
}

/// Gives up what has become too much since others need their share.
pub(crate) fn bound_handles(files: &mut Files) {
    let excess = files.handles.excess();
    if excess == 0 {
        return;
    }
    close_idle(files, excess);
    let open: Vec<FileId> = files.handles.open.iter().copied().collect();
    for id in open {
        done_with(files, id);
    }
}

/// A file that was opened has been looked at or read. Beyond the limit it is closed, and opened
/// again when it has its turn.
pub(crate) fn done_with(files: &mut Files, id: FileId) {
    if files.handles.excess() > 0 && can_be_opened_again(files, id) {
        close(files, id);
    }
}

fn can_be_opened_again(files: &Files, id: FileId) -> bool {
    let file = files.registry.get(id);
    file.is_some_and(|file| file.handle.is_some() && file.path().is_some())
        && !files.windows.has(id)
}

/// Closes files that have been at their end for longest. If these are too few, deleted ones are let
/// go: they cannot be opened again, and neither can a new file that is deleted before its turn.
/// `false`: there is nothing to close.
fn close_idle(files: &mut Files, most: usize) -> bool {
    // At the start nothing has been read yet: not every new file is worth a look at all.
    if files.handles.none_idle {
        return false;
    }
    let before = files.handles.count();
    let mut idle: Vec<(Option<Instant>, FileId)> = Vec::new();
    let mut deleted: Vec<(Option<Instant>, FileId)> = Vec::new();
    for id in &files.handles.open {
        let Some(file) = files.registry.get(*id) else {
            continue;
        };
        let at_end = file.life.is_idle() && file.ahead() == 0;
        if at_end && !files.windows.has(*id) {
            let list = match file.path() {
                Some(_) => &mut idle,
                None => &mut deleted,
            };
            list.push((file.life.since(), *id));
        }
    }
    files.handles.none_idle = idle.is_empty() && deleted.is_empty();
    let excess = files.handles.excess_with(1);
    if idle.is_empty() || excess > idle.len() {
        deleted.sort_unstable();
        let most = excess.saturating_sub(idle.len()).max(before / 16).max(1);
        let deleted = deleted.into_iter().take(most);
        for (_, id) in deleted {
            files.queue.push(Task::Crowd(id));
        }
    }
    idle.sort_unstable();
    for (_, id) in idle.into_iter().take(most) {
        close(files, id);
    }
    files.handles.count() < before
}

/// Closes what is not needed at the moment, or can be opened again when it is. `false`: nothing.
pub(crate) fn make_room(files: &mut Files) -> bool {
    if close_idle(files, files.handles.count()) {
        return true;
    }
    let waiting = files.registry.ready();
    let waiting: Vec<FileId> = waiting
        .filter(|id| can_be_opened_again(files, *id))
        .collect();
    for id in &waiting {
        close(files, *id);
    }
    !waiting.is_empty()
}

pub(crate) fn close(files: &mut Files, id: FileId) {
    if let Some(file) = files.registry.get_mut(id) {
        if file.handle.take().is_some() {
            files.handles.closed(id);
        }
    }
}

/// Others need the file's descriptor, and it has no name by which it could be opened again.
pub(crate) fn crowd_out(files: &mut Files, id: FileId) {
    let file = files.registry.get(id).filter(|file| file.life.is_idle());
    let handle = file.and_then(|file| Some((file, file.handle.as_ref()?)));
    if let Some((file, handle)) = handle {
        // A network filesystem may not have told what was written last.
        let now = match file.remote {
            true => handle.metadata_now(),
            false => handle.metadata(),
        };
        let now = now.ok();
        let unread = now.is_some_and(|now| Seen::of(&now) != file.seen);
        // It may be found by its new name, and then nobody could tell that it is not a new file.
        let renamed = file.identity.birth.is_none() && now.is_some_and(|now| now.links() > 0);
        if !renamed {
            files.observe(id, Observation::Crowded { unread });
        }
    }
}

/// Nothing is at a path, nor can be as long as a folder of it is something else.
pub(crate) fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use crate::sim::steps::Steps;

    /// Steps in a process of their own, which may have `most` files open.
    fn steps(pattern: &str, most: usize) -> Steps {
        let mut steps = Steps::new(pattern);
        let handles = &mut steps.worker.files.handles;
        *handles = handles.apart(most);
        steps
    }

    #[test]
    fn the_host_has_what_it_needs_of_the_descriptors() {
        let of = [(16, 0), (64, 0), (80, 16), (256, 102), (1024, 400)];
        assert_eq!(
            of.map(|(limit, _)| super::most_of(limit)),
            of.map(|(_, most)| most)
        );
    }

    #[test]
    fn a_held_copy_stays_held_when_too_many_files_are_open() {
        let mut steps = steps("a.log*", 0);
        steps.append("a.log", "one\n");
        steps.round();
        steps.append("a.log", "two\n");
        steps.copy("a.log", "a.log.1");
        steps.round();
        steps.cut("a.log", 0);
        steps.append("a.log", "three\n");
        steps.round();
        steps.round_after(Duration::from_secs(60));
        steps.lines.sort();
        assert_eq!(steps.lines, ["one", "three", "two"]);
        assert_eq!(steps.lost(), 0);
    }

    #[test]
    fn a_new_file_stays_open_when_another_can_be_closed() {
        let mut steps = steps("*.log", 1);
        steps.append("a.log", "one\n");
        steps.round();
        steps.append("b", "two\n");
        steps.rename("b", "b.log");
        steps.told();
        fs::remove_file(steps.path("b.log")).unwrap();
        steps.round();
        assert_eq!(steps.lines, ["one", "two"]);
        assert_eq!(steps.lost(), 0);
    }

    #[test]
    fn deleted_files_make_room_once_they_are_read() {
        let mut steps = steps("*.log", 3);
        for n in 0..10 {
            let name = format!("{n}.log");
            steps.append("new", "one\n");
            steps.rename("new", &name);
            steps.told();
            fs::remove_file(steps.path(&name)).unwrap();
            steps.round();
        }
        steps.round();
        assert_eq!(steps.lines.len(), 10);
        assert!(
            steps.worker.files.handles.count() <= 3,
            "{}",
            steps.worker.files.handles.count()
        );
    }
}
