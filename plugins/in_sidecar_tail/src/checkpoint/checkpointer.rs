//! Keeping positions: what has left the host goes into the state file. How it is found again is in
//! [`crate::checkpoint::recovery`].

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use flb_sidecar_sdk::Why;
use tracing::{error, info, warn};

use crate::checkpoint::entry::{Changes, Entry};
use crate::checkpoint::folder::{place_of, Folder};
use crate::checkpoint::store::{Lock, Store};
use crate::checkpoint::unclaimed::Unclaimed;
use crate::checkpoint::writer::{Job, Writer};
use crate::counters::{Counters, Trouble};
use crate::fs::{Fs, Handle, Metadata};
use crate::map::{HashMap, HashSet};
use crate::options::{Options, Sync};
use crate::pace::Pace;
use crate::source::globs::Globs;
use crate::time::Time;
use crate::track::file::{FileId, TrackedFile};
use crate::track::fingerprint::Identity;
use crate::track::names::is_rotated_form;
use crate::track::registry::Registry;

/// How often all positions are written at most.
const INTERVAL: Duration = Duration::from_secs(1);
/// How often those that have changed are written at most.
const CHANGES_INTERVAL: Duration = Duration::from_millis(50);
/// Positions handed over in one piece of memory: the room of a few is found again, that of ten
/// thousand is taken anew every time.
const PIECE: usize = 128;
/// How often a state that another reader has is tried.
const LOCK_INTERVAL: Duration = Duration::from_millis(250);
/// Seconds for which the position of a file that is not there is kept, and behind which one that nobody
/// follows is looked for again.
const KEEP: u64 = 24 * 3600;

/// The same of a file that was deleted: whoever compresses it has done so by then.
const KEEP_GONE: u64 = 600;

/// Where the state is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// There from the start.
    Ready,
    /// It was made while the instance waited for it.
    New,
    /// Not there yet, but something else is to be done.
    Missing,
}

#[derive(Debug)]
pub(crate) struct Checkpointer {
    fs: Fs,
    pub(crate) store: Store,
    sync: Sync,
    /// A position is taken up only by a file of the same path.
    pub(super) by_name: bool,
    lock: Option<Lock>,
    /// Positions of the stock tail, for a first start.
    pub(crate) taken_over: Vec<Entry>,
    pub(crate) unclaimed: Unclaimed,
    /// What was in folders at the start; `None`: it is over.
    pub(super) folders: Option<HashMap<PathBuf, Folder>>,
    unsaved: bool,
    documents: Pace,
    /// Number of the newest document's journal; 0: none has been written yet.
    journal: u64,
    /// What has changed since the newest document or line of the journal.
    changed: HashSet<FileId>,
    gone: Vec<Identity>,
    kept: Vec<Entry>,
    /// How often no descriptor was left until the newest document.
    shortages: u64,
    lines: Pace,
    writer: Option<Writer>,
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
            fs: fs.clone(),
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
            folders: Some(HashMap::default()),
            unsaved: false,
            documents: Pace::new(INTERVAL, time),
            journal: 0,
            changed: HashSet::default(),
            gone: Vec::new(),
            kept: Vec::new(),
            shortages: 0,
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

    /// Has the lock that keeps other readers away, or says once why not. `false`: not yet.
    fn takes_lock(&mut self, said: &mut bool, counters: &Counters) -> bool {
        let path = self.store.state().display();
        match self.store.try_lock() {
            Ok(Some(lock)) => self.lock = Some(lock),
            Ok(None) if *said => {}
            Ok(None) => {
                *said = true;
                warn!("{path} is in use by another instance: reading begins when it is free");
            }
            Err(error) if *said => drop(error),
            Err(error) => {
                *said = true;
                counters.error(Trouble::State);
                error!(
                    "{path} cannot be locked: {}; reading begins when it can",
                    Why(&error)
                );
            }
        }
        self.lock.is_some()
    }

    /// Waits for the folder of the state, if that is where all logs will be; `wait` waits until a moment,
    /// and tells whether to go on.
    pub(crate) fn wait_for_folder(
        &self,
        globs: &Globs,
        time: &Time,
        wait: impl Fn(Instant) -> bool,
    ) -> Place {
        let mut place = Place::Ready;
        while let Some(folder) = self.store.folder_to_come(&self.fs, globs) {
            if place == Place::Ready {
                place = Place::New;
                info!(
                    "the folder {} of db and of all logs is not there yet: reading begins when it is",
                    folder.display()
                );
            }
            if !wait(time.now() + LOCK_INTERVAL) {
                return Place::Missing;
            }
        }
        place
    }

    /// Waits for the state to be free and reads it; `wait` waits until a moment, and tells whether the
    /// instance goes on. `false`: it ended first.
    pub(crate) fn take_state(
        &mut self,
        counters: &Counters,
        time: &Time,
        wait: impl Fn(Instant) -> bool,
    ) -> bool {
        let mut said = false;
        while !self.takes_lock(&mut said, counters) {
            if !wait(time.now() + LOCK_INTERVAL) {
                return false;
            }
        }
        let path = self.store.state().display();
        if said {
            info!("{path} is free");
        }
        let (entries, problem) = self.store.load(time.timestamp().seconds.into());
        if let Some(problem) = problem {
            counters.error(Trouble::State);
            error!("{path} cannot be used as it is: {problem}");
        }
        let taken_over = std::mem::take(&mut self.taken_over);
        // Another reader may have written the state while this one waited.
        let entries = if entries.is_empty() {
            taken_over
        } else {
            entries
        };
        self.unclaimed = Unclaimed::new(entries);
        let paces = (&self.documents, &self.lines);
        match Writer::start(&self.store, self.sync, paces, counters.clone(), time) {
            Ok(writer) => self.writer = Some(writer),
            Err(error) => error!("no thread to write the state: {error}"),
        }
        true
    }

    /// What is kept of a file has changed.
    pub(crate) fn changed(&mut self, id: FileId) {
        self.unsaved = true;
        self.changed.insert(id);
    }

    /// Nothing is kept of a file any more, unless another one has its identity now.
    pub(crate) fn gone(&mut self, identity: Identity, used_again: bool) {
        self.unsaved = true;
        if !used_again {
            self.gone.push(identity);
        }
    }

    /// A file that is there is not followed any longer, but may be again.
    pub(crate) fn keep_position(&mut self, file: &TrackedFile, time: &Time) {
        if let Some(entry) = entry_of(file, u64::from(time.timestamp().seconds)) {
            self.keep(entry);
        }
    }

    /// The same of one that is gone: its compressed form may be found, also behind a restart.
    pub(crate) fn keep_position_of_gone(&mut self, file: &TrackedFile, time: &Time) {
        if file.life.quarantine().is_none() {
            self.keep_gone(Self::entry_of_gone(file, time));
        }
    }

    pub(crate) fn keep_gone(&mut self, entry: Entry) {
        if !entry.fingerprint.fits_anything() {
            self.kept.push(entry.clone());
            self.keep(entry);
        }
    }

    /// What is kept of a file that is gone.
    pub(crate) fn entry_of_gone(file: &TrackedFile, time: &Time) -> Entry {
        let seen = u64::from(time.timestamp().seconds) + KEEP_GONE;
        Entry::of(file, 0).without_file(seen.saturating_sub(KEEP))
    }

    /// When there is something to be written.
    pub(crate) fn next_save(&self) -> Option<Instant> {
        if self.has_changes() {
            Some(self.documents.next().min(self.lines.next()))
        } else {
            self.unsaved.then(|| self.documents.next())
        }
    }

    /// Has what has changed written, if it is time; `last`: now, and waits for it.
    pub(crate) fn save(&mut self, files: &Registry, time: &Time, last: bool) {
        let now = time.now();
        self.unsaved |= self.is_owed(last);
        if self.unsaved && (last || now >= self.documents.next()) {
            if last || self.is_free() {
                self.save_all(files, time, now);
            } else {
                self.documents.put_off(now + CHANGES_INTERVAL);
            }
        } else if self.has_changes() && now >= self.lines.next() {
            if self.is_free() {
                self.save_changes(files, time, now);
            } else {
                self.lines.put_off(now + CHANGES_INTERVAL);
            }
        }
        if let Some(writer) = self.writer.take_if(|_| last) {
            writer.end();
        }
    }

    fn save_all(&mut self, files: &Registry, time: &Time, now: Instant) {
        let at = time.timestamp();
        let seen = u64::from(at.seconds);
        let (fs, mut folders) = (&self.fs, HashMap::default());
        // One that is there may be compressed and read, or not to be opened at present.
        let there = |entry: &Entry| {
            files.known(&entry.identity).is_none() && place_of(fs, entry, &mut folders).is_some()
        };
        // Without a descriptor nobody looks for them.
        let shortages = fs.shortages();
        let short = std::mem::replace(&mut self.shortages, shortages) != shortages;
        if self.folders.is_none() && !short {
            self.unclaimed
                .expire(seen.saturating_sub(KEEP), seen, there);
        }
        // Never used before, whoever wrote the document that was found here.
        self.journal = (self.journal + 1).max(seen * 1_000_000_000 + u64::from(at.nanos));
        let live = files.iter().filter_map(|(_, file)| entry_of(file, seen));
        let live = live.map(Arc::new);
        let all = live.chain(self.unclaimed.iter().cloned());
        let mut entries = self.store.limits().of_these(all).peekable();
        let mut pieces = Vec::new();
        while entries.peek().is_some() {
            let mut piece = Vec::with_capacity(PIECE);
            piece.extend(entries.by_ref().take(PIECE));
            pieces.push(piece);
        }
        drop(entries);
        self.write(Job::Document(pieces, self.journal));
        self.unsaved = false;
        self.changed.clear();
        self.gone.clear();
        self.kept.clear();
        self.documents.handed_over(now);
        self.lines.handed_over(now);
    }

    fn save_changes(&mut self, files: &Registry, time: &Time, now: Instant) {
        let seen = u64::from(time.timestamp().seconds);
        let changed = std::mem::take(&mut self.changed);
        let mut entries = std::mem::take(&mut self.kept);
        let live = changed.iter().filter_map(|id| files.get(*id));
        entries.extend(live.filter_map(|file| entry_of(file, seen)));
        let changes = Changes {
            files: entries,
            gone: std::mem::take(&mut self.gone),
        };
        self.write(Job::Changes(changes, self.journal));
        self.lines.handed_over(now);
    }

    /// The position of this file, if one is known; it is taken out.
    pub(crate) fn claim(
        &mut self,
        path: &Path,
        identity: &Identity,
        handle: &Handle,
        metadata: &Metadata,
    ) -> Option<Entry> {
        let by_name = self.by_name;
        self.unclaimed.claim(identity, |entry| {
            let same_place = entry.identity.device == identity.device || *entry.path == *path;
            // Nothing that was rotated gets its first name again: its inode may.
            let again = is_rotated_form(path, &entry.path);
            // That of a compressed file counts bytes of its text.
            same_place
                && (!again || identity.birth.is_some() && entry.identity.birth.is_some())
                && entry.packed().is_none()
                && (!by_name || *entry.path == *path)
                && entry
                    .fingerprint
                    .fits(handle, metadata.len())
                    .unwrap_or(false)
        })
    }

    /// The position is somebody's now. `false`: it was before.
    pub(crate) fn drop_unclaimed(&mut self, entry: &Entry) -> bool {
        let mut found = false;
        self.unclaimed.remove(|other| {
            found |= other == entry;
            other == entry
        });
        found
    }
}

/// What is kept of a file; `None`: there is nothing to keep, or nothing by which it would be known again.
fn entry_of(file: &TrackedFile, seen: u64) -> Option<Entry> {
    let entry = Entry::of(file, seen);
    let kept = file.life.quarantine().is_none() && !entry.fingerprint.fits_anything();
    kept.then_some(entry)
}
