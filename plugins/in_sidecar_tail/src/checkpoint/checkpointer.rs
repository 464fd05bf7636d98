//! Keeping positions: what has left the host goes into the state file, and is found again.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use flb_sidecar_sdk::worker;
use tracing::{error, info, warn};

use crate::checkpoint::entry::{Changes, Entry, Unclaimed};
use crate::checkpoint::store::{Journal, Lock, Store};
use crate::counters::{Counters, Trouble};
use crate::fs::{Fs, Handle, Metadata};
use crate::map::{HashMap, HashSet};
use crate::options::{Options, Sync};
use crate::pace::{Costs, Pace, Stopwatch};
use crate::read::lines::{CutLine, Splitter};
use crate::time::Time;
use crate::track::copies::{is_rotated_form, stem};
use crate::track::file::{FileId, TrackedFile};
use crate::track::fingerprint::{Fingerprint, Identity, Print};
use crate::track::transition::Observation;
use crate::worker::Worker;

/// How often all positions are written at most.
const INTERVAL: Duration = Duration::from_secs(1);
/// Names that positions without a file are compared with at the start, all together: with very many
/// of both, the rest is not looked for.
const MOST_LOOKS: usize = 200_000;
/// How often those that have changed are written at most.
const CHANGES_INTERVAL: Duration = Duration::from_millis(50);
/// Positions handed over in one piece of memory: the room of a few is found again, that of ten
/// thousand is taken anew every time.
const PIECE: usize = 128;
/// How often a state that another reader has is tried.
const LOCK_INTERVAL: Duration = Duration::from_millis(250);
/// Seconds for which the position of a file that is not there is kept.
const KEEP: u64 = 24 * 3600;

/// The state of one instance.
#[derive(Debug)]
pub(crate) struct Checkpointer {
    pub(crate) store: Store,
    sync: Sync,
    by_name: bool,
    lock: Option<Lock>,
    /// Positions of the stock tail, for a first start.
    pub(crate) taken_over: Vec<Entry>,
    pub(crate) unclaimed: Unclaimed,
    /// What was in folders at the start, until it is over.
    folders: HashMap<PathBuf, Folder>,
    unsaved: bool,
    documents: Pace,
    /// Number of the newest document's journal; 0: none has been written yet.
    journal: u64,
    /// What has changed since the newest document or line of the journal.
    changed: HashSet<FileId>,
    gone: Vec<Identity>,
    lines: Pace,
    writer: Option<Writer>,
}

/// One thing to be written, and the number of the journal.
#[derive(Debug)]
enum Job {
    Document(Vec<Vec<Entry>>, u64),
    /// A line of the newest document's journal.
    Changes(Changes, u64),
}

/// Writes the state.
#[derive(Debug)]
struct Scribe {
    time: Time,
    store: Store,
    sync: Sync,
    counters: Counters,
    documents: Costs,
    lines: Costs,
    /// None after a failure, until the next document: a line may be there in part.
    journal: Option<Journal>,
    failing: bool,
    /// What was handed over last could not be written.
    failed: Arc<AtomicBool>,
}

impl Scribe {
    fn write(&mut self, job: Job) {
        let watch = Stopwatch::start(&self.time);
        let (done, costs) = match job {
            Job::Document(entries, number) => {
                let saved = self.store.save(&entries, number, self.sync);
                let begun = saved.and_then(|()| self.store.begin_journal());
                (begun.map(|b| self.journal = Some(b)), &self.documents)
            }
            Job::Changes(changes, number) => {
                let open = self.journal.as_mut();
                let added = open.map(|j| j.append(&changes, number, self.sync));
                (added.unwrap_or(Ok(())), &self.lines)
            }
        };
        costs.cost(watch.spent());
        match done {
            Ok(()) if self.failing && self.journal.is_some() => {
                self.failing = false;
                info!("{}: can be written again", self.store.state().display());
            }
            Ok(()) => {}
            Err(error) => {
                self.journal = None;
                if !self.failing {
                    let path = self.store.state().display();
                    error!("{path}: cannot be written: {error}; positions are not kept");
                    self.counters.error(Trouble::State);
                }
                self.failing = true;
                self.failed.store(true, Ordering::Release);
            }
        }
    }
}

/// Who writes, since much takes its time and a sync may, too.
#[derive(Debug)]
enum Writer {
    Thread {
        jobs: Sender<Job>,
        busy: Arc<AtomicBool>,
        failed: Arc<AtomicBool>,
        thread: JoinHandle<()>,
    },
    /// The worker itself, at once: a simulation has one thread.
    #[cfg(test)]
    AtOnce(Box<std::sync::Mutex<Scribe>>),
}

impl Writer {
    fn start(
        checkpointer: &Checkpointer,
        counters: Counters,
        time: &Time,
    ) -> std::io::Result<Self> {
        let failed = Arc::new(AtomicBool::new(false));
        let mut scribe = Scribe {
            time: time.clone(),
            store: checkpointer.store.clone(),
            sync: checkpointer.sync,
            counters,
            documents: checkpointer.documents.costs(),
            lines: checkpointer.lines.costs(),
            journal: None,
            failing: false,
            failed: failed.clone(),
        };
        #[cfg(test)]
        if time.is_simulated() {
            return Ok(Writer::AtOnce(Box::new(scribe.into())));
        }
        let (jobs, next) = mpsc::channel::<Job>();
        let busy = Arc::new(AtomicBool::new(false));
        let writing = busy.clone();
        let thread = worker::spawn("flb-sc-state", move || {
            while let Ok(job) = next.recv() {
                scribe.write(job);
                writing.store(false, Ordering::Release);
            }
        })?;
        Ok(Writer::Thread {
            jobs,
            busy,
            failed,
            thread,
        })
    }

    /// Whether it has nothing to do.
    fn is_free(&self) -> bool {
        match self {
            Writer::Thread { busy, .. } => !busy.load(Ordering::Acquire),
            #[cfg(test)]
            Writer::AtOnce(_) => true,
        }
    }

    /// Whether something that was handed over could not be written since the last time.
    fn has_failed(&self) -> bool {
        match self {
            Writer::Thread { failed, .. } => failed.swap(false, Ordering::AcqRel),
            #[cfg(test)]
            Writer::AtOnce(scribe) => {
                let scribe = scribe.lock().unwrap();
                scribe.failed.swap(false, Ordering::AcqRel)
            }
        }
    }

    fn write(&self, job: Job) {
        match self {
            Writer::Thread { jobs, busy, .. } => {
                busy.store(true, Ordering::Release);
                // The thread ends only after this end of the channel.
                let _ = jobs.send(job);
            }
            #[cfg(test)]
            Writer::AtOnce(scribe) => scribe.lock().unwrap().write(job),
        }
    }

    /// Waits until all is written.
    fn end(self) {
        match self {
            Writer::Thread { jobs, thread, .. } => {
                drop(jobs);
                if thread.join().is_err() {
                    error!("the thread that writes the state has panicked");
                }
            }
            #[cfg(test)]
            Writer::AtOnce(_) => {}
        }
    }
}

impl Checkpointer {
    /// Keeps the position of a file that is not followed any more.
    pub(crate) fn keep(&mut self, entry: Entry) {
        self.unclaimed.add(entry, self.store.limits().rows);
        self.unsaved = true;
    }

    pub(crate) fn new(
        options: &Options,
        counters: &Counters,
        time: &Time,
        fs: &Fs,
    ) -> Option<Self> {
        options.db.as_deref().map(|db| Checkpointer {
            store: Store::beside(
                fs,
                db,
                options.max_files,
                &counters.errors_of(Trouble::InTheWay),
            ),
            sync: options.sync,
            by_name: options.compare_filename,
            lock: None,
            taken_over: Vec::new(),
            unclaimed: Unclaimed::default(),
            folders: HashMap::default(),
            unsaved: false,
            documents: Pace::new(INTERVAL, time),
            journal: 0,
            changed: HashSet::default(),
            gone: Vec::new(),
            lines: Pace::new(CHANGES_INTERVAL, time),
            writer: None,
        })
    }

    fn has_changes(&self) -> bool {
        self.journal != 0 && !(self.changed.is_empty() && self.gone.is_empty())
    }

    /// Whether the thread that writes has nothing to do.
    fn is_free(&self) -> bool {
        let writer = self.writer.as_ref();
        writer.is_some_and(Writer::is_free)
    }

    /// Whether something that was handed over has not been written, or, if this is the `last` time
    /// to ask, may not be.
    fn is_owed(&self, last: bool) -> bool {
        let writer = self.writer.as_ref();
        writer.is_some_and(Writer::has_failed) || last && !self.is_free()
    }

    /// Hands a job to the thread that writes.
    fn write(&self, job: Job) {
        if let Some(writer) = &self.writer {
            writer.write(job);
        }
    }
}

impl Worker {
    /// Waits for the state to be free and reads it. `false`: the instance ended first.
    pub(crate) fn take_state(&mut self) -> bool {
        let Some(mut checkpointer) = self.checkpointer.take() else {
            return true;
        };
        let mut said = false;
        while checkpointer.lock.is_none() {
            if self.shared.stopped() {
                return false;
            }
            let path = checkpointer.store.state().display();
            match checkpointer.store.try_lock() {
                Ok(Some(lock)) => checkpointer.lock = Some(lock),
                Ok(None) if said => {}
                Ok(None) => {
                    said = true;
                    warn!("{path} is in use by another instance: reading begins when it is free");
                }
                Err(error) if said => drop(error),
                Err(error) => {
                    said = true;
                    self.counters.error(Trouble::State);
                    error!("{path} cannot be locked: {error}; reading begins when it can");
                }
            }
            if checkpointer.lock.is_none() {
                self.wait(self.time.now() + LOCK_INTERVAL);
            }
        }
        if said {
            info!("{} is free", checkpointer.store.state().display());
        }
        let (entries, problem) = checkpointer.store.load();
        if let Some(problem) = problem {
            self.counters.error(Trouble::State);
            let path = checkpointer.store.state().display();
            error!("{path} cannot be used as it is: {problem}");
        }
        let taken_over = std::mem::take(&mut checkpointer.taken_over);
        // Another reader may have written the state while this one waited.
        let entries = if entries.is_empty() {
            taken_over
        } else {
            entries
        };
        checkpointer.unclaimed = Unclaimed::new(entries);
        let counters = self.counters.clone();
        match Writer::start(&checkpointer, counters, &self.time) {
            Ok(writer) => checkpointer.writer = Some(writer),
            Err(error) => error!("no thread to write the state: {error}"),
        }
        self.checkpointer = Some(checkpointer);
        true
    }

    /// What is kept of a file has changed.
    pub(crate) fn changed(&mut self, id: FileId) {
        if let Some(checkpointer) = &mut self.checkpointer {
            checkpointer.unsaved = true;
            checkpointer.changed.insert(id);
        }
    }

    /// Nothing is kept of a file any more, unless another one has its identity now.
    pub(crate) fn entry_gone(&mut self, identity: Identity) {
        let used_again = self.registry.known(&identity).is_some();
        if let Some(checkpointer) = &mut self.checkpointer {
            checkpointer.unsaved = true;
            if !used_again {
                checkpointer.gone.push(identity);
            }
        }
    }

    /// A file that is there is not followed any longer, but may be again.
    pub(crate) fn keep_position(&mut self, file: &TrackedFile) {
        let seen = u64::from(self.time.timestamp().seconds);
        if let Some((checkpointer, entry)) = self.checkpointer.as_mut().zip(entry_of(file, seen)) {
            checkpointer.keep(entry);
        }
    }

    pub(crate) fn next_save(&self) -> Instant {
        let far = self.time.now() + Duration::from_secs(3600);
        match &self.checkpointer {
            Some(checkpointer) if checkpointer.has_changes() => {
                checkpointer.documents.next().min(checkpointer.lines.next())
            }
            Some(checkpointer) if checkpointer.unsaved => checkpointer.documents.next(),
            _ => far,
        }
    }

    /// Takes in what has left the host and has it written; `last`: now, and waits for it.
    pub(crate) fn save(&mut self, last: bool) {
        for ((id, epoch), from) in self.shared.take_lost() {
            self.lost_behind(id, epoch, from);
        }
        for ((id, epoch), offset) in self.shared.take_confirmed() {
            self.confirm(id, epoch, offset);
        }
        self.go_on();
        let Some(mut checkpointer) = self.checkpointer.take() else {
            return;
        };
        let now = self.time.now();
        checkpointer.unsaved |= checkpointer.is_owed(last);
        if checkpointer.unsaved && (last || now >= checkpointer.documents.next()) {
            if last || checkpointer.is_free() {
                self.save_all(&mut checkpointer, now);
            } else {
                checkpointer.documents.put_off(now + CHANGES_INTERVAL);
            }
        } else if checkpointer.has_changes() && now >= checkpointer.lines.next() {
            if checkpointer.is_free() {
                self.save_changes(&mut checkpointer, now);
            } else {
                checkpointer.lines.put_off(now + CHANGES_INTERVAL);
            }
        }
        if let Some(writer) = checkpointer.writer.take_if(|_| last) {
            writer.end();
        }
        self.checkpointer = Some(checkpointer);
    }

    fn save_all(&self, checkpointer: &mut Checkpointer, now: Instant) {
        let time = self.time.timestamp();
        let seen = u64::from(time.seconds);
        checkpointer.unclaimed.remove(|entry| {
            entry.seen.saturating_add(KEEP) < seen && !is_still_packed(&self.fs, entry)
        });
        // Never used before, whoever wrote the document that was found here.
        checkpointer.journal =
            (checkpointer.journal + 1).max(seen * 1_000_000_000 + u64::from(time.nanos));
        let live = self
            .registry
            .iter()
            .filter_map(|(_, file)| entry_of(file, seen));
        let all = live.chain(checkpointer.unclaimed.iter().cloned());
        let mut entries = checkpointer.store.limits().of_these(all).peekable();
        let mut pieces = Vec::new();
        while entries.peek().is_some() {
            let mut piece = Vec::with_capacity(PIECE);
            piece.extend(entries.by_ref().take(PIECE));
            pieces.push(piece);
        }
        drop(entries);
        checkpointer.write(Job::Document(pieces, checkpointer.journal));
        checkpointer.unsaved = false;
        checkpointer.changed.clear();
        checkpointer.gone.clear();
        checkpointer.documents.handed_over(now);
        checkpointer.lines.handed_over(now);
    }

    fn save_changes(&self, checkpointer: &mut Checkpointer, now: Instant) {
        let seen = u64::from(self.time.timestamp().seconds);
        let changed = std::mem::take(&mut checkpointer.changed);
        let mut files = Vec::with_capacity(changed.len());
        let live = changed.iter().filter_map(|id| self.registry.get(*id));
        files.extend(live.filter_map(|file| entry_of(file, seen)));
        let gone = std::mem::take(&mut checkpointer.gone);
        checkpointer.write(Job::Changes(Changes { files, gone }, checkpointer.journal));
        checkpointer.lines.handed_over(now);
    }

    /// The file that holds the text of this epoch.
    fn holder_of(&self, id: FileId, epoch: u32) -> Option<FileId> {
        if self
            .registry
            .get(id)
            .is_some_and(|file| file.epoch == epoch)
        {
            return Some(id);
        }
        // The text went on in a copy.
        let mut copies = self.registry.iter().filter(|(_, file)| {
            let continued = file.continues();
            continued.is_some_and(|of| of.file == id && of.epoch == epoch)
        });
        copies.next().map(|(copy, _)| copy)
    }

    /// What was read behind `from` left the host without being delivered.
    fn lost_behind(&mut self, id: FileId, epoch: u32, from: u64) {
        let Some(id) = self.holder_of(id, epoch) else {
            return;
        };
        if let Some(file) = self.registry.get_mut(id) {
            if !file.has_lost() {
                let name = file.name.display();
                warn!(
                    "{name}: the host has lost what was read behind byte {from}: the position stays \
                     there, so that the next start reads it again"
                );
            }
            file.lost_behind(from);
        }
        self.changed(id);
    }

    fn confirm(&mut self, id: FileId, epoch: u32, offset: u64) {
        let Some(id) = self.holder_of(id, epoch) else {
            return;
        };
        let Some(file) = self.registry.get_mut(id) else {
            return;
        };
        if offset > file.settled() && offset <= file.offset {
            file.confirm(offset);
            // What is before it may be gone from the window of a compressed file.
            if self
                .windows
                .get(&id)
                .is_some_and(|window| !window.has(offset))
            {
                file.checkpoint_tail = Print::default();
            }
        }
        self.changed(id);
        self.observe(id, Observation::Acked);
    }

    // Finding positions again.

    /// Follows a file whose position is known. `false`: it is not known.
    pub(crate) fn consider_claimed(&mut self, path: &Path) -> bool {
        if self.is_full()
            || self
                .checkpointer
                .as_ref()
                .is_none_or(|s| s.unclaimed.is_empty())
        {
            return false;
        }
        let Ok((handle, metadata)) = self.confine.open(path) else {
            return false;
        };
        let identity = Identity::of(&metadata);
        if !metadata.is_file() || self.registry.known(&identity).is_some() {
            return false;
        }
        if self.is_known_packed(path, &identity, &metadata) {
            return true;
        }
        let Some(entry) = self.claim(path, &identity, &handle, &metadata) else {
            return false;
        };
        let name = self.name_of(&entry, path);
        self.note_link(path);
        self.follow_claimed(path, handle, &metadata, entry, name);
        true
    }

    fn follow_claimed(
        &mut self,
        path: &Path,
        handle: Handle,
        metadata: &Metadata,
        entry: Entry,
        name: Arc<Path>,
    ) {
        let identity = Identity::of(metadata);
        let offset = entry.fingerprint.offset;
        info!("{}: going on at byte {offset}", path.display());
        let id = self.follow(path, identity, handle, metadata, Some(offset), Some(name));
        if let Some(file) = self.registry.get_mut(id) {
            file.checkpoint_tail = entry.fingerprint.tail;
        }
        self.goes_on_inside(id, entry.cut);
        if entry.rotated || *entry.path != *path {
            self.observe(id, Observation::Rotated);
        }
    }

    /// A file begins inside a line whose beginning was passed on.
    pub(crate) fn goes_on_inside(&mut self, id: FileId, cut: Option<CutLine>) {
        if let Some((file, line)) = self.registry.get_mut(id).zip(cut) {
            file.lines = Splitter::inside(line, file.checkpoint);
            file.rare().before_checkpoint = Some(line);
        }
    }

    fn claim(
        &mut self,
        path: &Path,
        identity: &Identity,
        handle: &Handle,
        metadata: &Metadata,
    ) -> Option<Entry> {
        let checkpointer = self.checkpointer.as_mut()?;
        let by_name = checkpointer.by_name;
        let entry = checkpointer.unclaimed.claim(identity, |entry| {
            let same_place = entry.identity.device == identity.device || *entry.path == *path;
            same_place
                && (!by_name || *entry.path == *path)
                && entry
                    .fingerprint
                    .fits(handle, metadata.len())
                    .unwrap_or(false)
        })?;
        self.entry_gone(entry.identity);
        Some(entry)
    }

    /// A file that was renamed keeps the name that its records have.
    fn name_of(&self, entry: &Entry, path: &Path) -> Arc<Path> {
        if *entry.path != *path && self.options.globs.matches(path) {
            path.into()
        } else {
            entry.path.clone()
        }
    }

    /// Where to start reading a new file, the name it has in records, and the line that is inside.
    pub(crate) fn position_of(
        &mut self,
        path: &Path,
        identity: &Identity,
        handle: &Handle,
        metadata: &Metadata,
    ) -> (Option<u64>, Option<Arc<Path>>, Option<CutLine>) {
        if let Some(entry) = self.claim(path, identity, handle, metadata) {
            return (Some(entry.fingerprint.offset), None, entry.cut);
        }
        if let Some(file) = self.dormant.known_again(identity, handle, metadata) {
            return (Some(file.fingerprint.offset), Some(file.name), None);
        }
        if self.scanned {
            return (None, None, None);
        }
        // The copy of a file that was truncated while nobody was reading.
        let Some(checkpointer) = self
            .checkpointer
            .as_mut()
            .filter(|checkpointer| !checkpointer.by_name)
        else {
            return (None, None, None);
        };
        let folders = &mut checkpointer.folders;
        let mut is_copy = |entry: &Entry| {
            *entry.path != *path
                && entry.path.parent() == path.parent()
                && is_rotated_form(&entry.path, path)
                && is_there(&self.fs, entry, folders)
                && entry.fingerprint.head.length > 0
                && entry
                    .fingerprint
                    .fits(handle, metadata.len())
                    .unwrap_or(false)
        };
        let entry = checkpointer.unclaimed.originals(path).find(|e| is_copy(e));
        let Some(entry) = entry.cloned() else {
            return (None, None, None);
        };
        self.drop_unclaimed(&entry);
        (Some(entry.fingerprint.offset), Some(entry.path), entry.cut)
    }

    /// Looks for files with known positions that no pattern matches any more: rotated while
    /// nobody was reading.
    pub(crate) fn recover_unclaimed(&mut self) {
        let Some(checkpointer) = &mut self.checkpointer else {
            return;
        };
        let by_name = checkpointer.by_name;
        // Some of them are files that wait until others end.
        let room = self.options.max_files.saturating_sub(self.registry.len());
        let entries = checkpointer.unclaimed.iter();
        let entries = entries.filter(|entry| !by_name && entry.packed.is_none());
        let entries: Vec<Entry> = entries.take(room).cloned().collect();
        let mut folders = std::mem::take(&mut checkpointer.folders);
        let mut looks = MOST_LOOKS;
        for entry in entries {
            let Some(folder) = entry.path.parent() else {
                continue;
            };
            let in_place = is_there(&self.fs, &entry, &mut folders);
            // A link stays where it is when what it led to is renamed.
            let behind = entry.target.as_deref().and_then(Path::parent);
            let renamed = [Some(folder), behind]
                .into_iter()
                .flatten()
                .find_map(|folder| {
                    let listing = folders
                        .entry(folder.to_owned())
                        .or_insert_with(|| Folder::list(&self.fs, folder));
                    listing.by_inode.get(&entry.identity.inode).cloned()
                });
            let listing = folders
                .entry(folder.to_owned())
                .or_insert_with(|| Folder::list(&self.fs, folder));
            let related = listing.related(&entry.path);
            let related = &related[..related.len().min(looks)];
            looks -= related.len();
            let found = renamed
                .and_then(|path| {
                    let (handle, metadata) = self.confine.open(&path).ok()?;
                    let identity = Identity::of(&metadata);
                    let fits = metadata.is_file()
                        && self.registry.known(&identity).is_none()
                        && entry.identity.compatible(&identity)
                        && entry.fingerprint.fits(&handle, metadata.len()).ok()?;
                    fits.then_some((path, handle, metadata))
                })
                .or_else(|| {
                    let paths = related.iter().filter(|_| in_place).cloned();
                    self.find_copy(paths, &entry.path, &entry.fingerprint, None)
                });
            let Some((path, handle, metadata)) = found else {
                self.search_compressed(entry, related);
                continue;
            };
            self.drop_unclaimed(&entry);
            let name = entry.path.clone();
            self.follow_claimed(&path, handle, &metadata, entry, name);
            self.go_on();
        }
        if let Some(checkpointer) = &mut self.checkpointer {
            checkpointer.unclaimed.forget_stems();
        }
    }

    /// The position is somebody's now. `false`: it was before.
    pub(crate) fn drop_unclaimed(&mut self, entry: &Entry) -> bool {
        let Some(checkpointer) = &mut self.checkpointer else {
            return false;
        };
        let mut found = false;
        checkpointer.unclaimed.remove(|other| {
            found |= other == entry;
            other == entry
        });
        if found {
            self.entry_gone(entry.identity);
        }
        found
    }
}

/// What is in a folder: there may be thousands of files in it, and as many are looked for.
#[derive(Debug)]
struct Folder {
    by_inode: HashMap<u64, PathBuf>,
    /// In the order of their bytes.
    paths: Vec<PathBuf>,
}

impl Folder {
    fn list(fs: &Fs, folder: &Path) -> Self {
        let by_inode = list(fs, folder);
        let mut paths: Vec<PathBuf> = by_inode.values().cloned().collect();
        paths.sort_unstable_by(|one, two| one.as_os_str().cmp(two.as_os_str()));
        Folder { by_inode, paths }
    }

    /// Paths that look like rotated ones of `original`.
    fn related(&self, original: &Path) -> &[PathBuf] {
        let Some(stem) = stem(original) else {
            return &[];
        };
        let begin = original.with_file_name(stem);
        let begin = begin.as_os_str().as_bytes();
        let from = self
            .paths
            .partition_point(|path| path.as_os_str().as_bytes() < begin);
        let rest = &self.paths[from..];
        &rest[..rest.partition_point(|path| path.as_os_str().as_bytes().starts_with(begin))]
    }
}

/// Whether the file is there, whatever it holds: a truncated one stays where it is or is renamed
/// later, so what has come in the place of one that is gone is no copy of it.
fn is_there(fs: &Fs, entry: &Entry, folders: &mut HashMap<PathBuf, Folder>) -> bool {
    let is_it = |path: &Path| {
        fs.metadata(path).is_ok_and(|metadata| {
            let identity = Identity::of(&metadata);
            identity.device == entry.identity.device && identity.compatible(&entry.identity)
        })
    };
    let Some(folder) = entry.path.parent() else {
        return false;
    };
    is_it(&entry.path) || {
        let folder = folders
            .entry(folder.to_owned())
            .or_insert_with(|| Folder::list(fs, folder));
        let renamed = folder.by_inode.get(&entry.identity.inode);
        renamed.is_some_and(|path| is_it(path))
    }
}

/// Paths in a folder by the inodes of their names.
pub(crate) fn list(fs: &Fs, folder: &Path) -> HashMap<u64, PathBuf> {
    fs.list(folder)
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .map(|entry| (entry.inode, folder.join(entry.name)))
        .collect()
}

/// What is kept of a file; `None`: there is nothing to keep.
/// Whether a compressed file that was read is still there: it is not looked into again.
fn is_still_packed(fs: &Fs, entry: &Entry) -> bool {
    let there = fs.metadata(&entry.path);
    let same = |m: Metadata| Identity::of(&m).compatible(&entry.identity);
    entry.packed.is_some() && there.is_ok_and(same)
}

fn entry_of(file: &TrackedFile, seen: u64) -> Option<Entry> {
    file.life.quarantine().is_none().then(|| Entry {
        path: file.shown().clone(),
        identity: file.identity,
        fingerprint: Fingerprint {
            offset: file.checkpoint,
            head: file.head.print(),
            tail: file.checkpoint_tail,
        },
        rotated: file.life.is_rotated(),
        target: file.target().cloned(),
        cut: file.cut_line(),
        packed: file.packed(),
        seen,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::track::copies::related;

    const NAMES: [&str; 12] = [
        "app",
        "app.log",
        "app.log.1",
        "app-2024.log",
        "app1.log",
        "apple.log",
        "ap.log",
        "b.log",
        "b.log.gz",
        ".hidden",
        ".hidden.1",
        "\u{e4}pp.log",
    ];

    #[test]
    fn what_looks_like_a_rotated_form_is_found_without_looking_at_all_there_is() {
        let dir = tempfile::tempdir().unwrap();
        for name in NAMES {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let folder = Folder::list(&Fs::Kernel, dir.path());
        assert_eq!(folder.paths.len(), NAMES.len());
        for name in NAMES {
            let original = dir.path().join(name);
            let all = folder.paths.iter();
            let wanted: Vec<_> = all.filter(|path| related(&original, path)).collect();
            assert_eq!(
                folder.related(&original).iter().collect::<Vec<_>>(),
                wanted,
                "{name}"
            );
        }
    }

    #[test]
    fn positions_are_found_by_the_names_of_rotated_forms() {
        let dir = tempfile::tempdir().unwrap();
        let identity = Identity::of(&fs::metadata(dir.path()).unwrap().into());
        let entry = |name: &&str| Entry {
            path: Path::new("/logs").join(name).into(),
            identity,
            fingerprint: Fingerprint::default(),
            rotated: false,
            target: None,
            cut: None,
            packed: None,
            seen: 0,
        };
        let entries: Vec<_> = NAMES.iter().map(entry).collect();
        let unclaimed = Unclaimed::new(entries.clone());
        for name in NAMES {
            let path = Path::new("/logs").join(name);
            let all = entries.iter().map(|entry| &entry.path);
            let mut wanted: Vec<_> = all.filter(|original| related(original, &path)).collect();
            let found = unclaimed.originals(&path).map(|entry| &entry.path);
            let mut found: Vec<_> = found.collect();
            wanted.sort();
            found.sort();
            assert_eq!(found, wanted, "{name}");
        }
    }
}
