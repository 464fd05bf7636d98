//! Keeping positions: what has left the host goes into the state file, and is found again.

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::os::unix::fs::DirEntryExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use flb_sidecar_sdk::event::Timestamp;
use flb_sidecar_sdk::worker;
use tracing::{error, info, warn};

use crate::counters::{Counters, Trouble};
use crate::followed::{self, FileId, Followed};
use crate::identity::{Clue, Identity, Print};
use crate::options::{Options, Sync};
use crate::rotation::related;
use crate::state::{self, Entry, Location, Lock, Unclaimed};
use crate::worker::Worker;

/// How often positions are written at most.
const INTERVAL: Duration = Duration::from_secs(1);
/// A large state is written less often: at most this part of the time goes into rendering it.
const SHARE: u32 = 200;
/// How often a state that another reader has is tried.
const LOCK_INTERVAL: Duration = Duration::from_millis(250);
/// Seconds for which the position of a file that is not there is kept.
const KEEP: u64 = 24 * 3600;

/// The state of one instance.
#[derive(Debug)]
pub(crate) struct Saving {
    location: Location,
    sync: Sync,
    by_name: bool,
    lock: Option<Lock>,
    /// Positions of the stock tail, for a first start.
    pub(crate) taken_over: Vec<Entry>,
    unclaimed: Unclaimed,
    unsaved: bool,
    next: Instant,
    writer: Option<Writer>,
}

/// The thread that writes, since a sync may take its time.
#[derive(Debug)]
struct Writer {
    documents: Sender<Vec<u8>>,
    busy: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Writer {
    fn start(location: Location, sync: Sync, counters: Counters) -> std::io::Result<Self> {
        let (documents, next) = mpsc::channel::<Vec<u8>>();
        let busy = Arc::new(AtomicBool::new(false));
        let writing = busy.clone();
        let thread = worker::spawn("flb-sc-state", move || {
            let mut failing = false;
            while let Ok(mut document) = next.recv() {
                while let Ok(newer) = next.try_recv() {
                    document = newer;
                }
                match location.save(&document, sync) {
                    Ok(()) if failing => {
                        failing = false;
                        info!("{}: can be written again", location.state().display());
                    }
                    Ok(()) => {}
                    Err(error) => {
                        if !failing {
                            let path = location.state().display();
                            error!("{path}: cannot be written: {error}; positions are not kept");
                            counters.error(Trouble::State);
                        }
                        failing = true;
                    }
                }
                writing.store(false, Ordering::Release);
            }
        })?;
        Ok(Writer {
            documents,
            busy,
            thread,
        })
    }
}

impl Saving {
    pub(crate) fn new(options: &Options) -> Option<Self> {
        options.db.as_deref().map(|db| Saving {
            location: Location::beside(db),
            sync: options.sync,
            by_name: options.compare_filename,
            lock: None,
            taken_over: Vec::new(),
            unclaimed: Unclaimed::default(),
            unsaved: false,
            next: Instant::now(),
            writer: None,
        })
    }
}

impl Worker {
    /// Waits for the state to be free and reads it. `false`: the instance ended first.
    pub(crate) fn take_state(&mut self) -> bool {
        let Some(mut saving) = self.saving.take() else {
            return true;
        };
        let mut said = false;
        while saving.lock.is_none() {
            if self.shared.stopped() {
                return false;
            }
            let path = saving.location.state().display();
            match saving.location.try_lock() {
                Ok(Some(lock)) => saving.lock = Some(lock),
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
            if saving.lock.is_none() {
                self.wait(Instant::now() + LOCK_INTERVAL);
            }
        }
        if said {
            info!("{} is free", saving.location.state().display());
        }
        let (entries, problem) = saving.location.load();
        if let Some(problem) = problem {
            self.counters.error(Trouble::State);
            let path = saving.location.state().display();
            error!("{path} cannot be used, so files are read anew: {problem}");
        }
        let taken_over = std::mem::take(&mut saving.taken_over);
        // Another reader may have written the state while this one waited.
        let entries = if entries.is_empty() {
            taken_over
        } else {
            entries
        };
        saving.unclaimed = Unclaimed::new(entries);
        let counters = self.counters.clone();
        match Writer::start(saving.location.clone(), saving.sync, counters) {
            Ok(writer) => saving.writer = Some(writer),
            Err(error) => error!("no thread to write the state: {error}"),
        }
        self.saving = Some(saving);
        true
    }

    pub(crate) fn mark_unsaved(&mut self) {
        if let Some(saving) = &mut self.saving {
            saving.unsaved = true;
        }
    }

    pub(crate) fn next_save(&self) -> Instant {
        let far = Instant::now() + Duration::from_secs(3600);
        match &self.saving {
            Some(saving) if saving.unsaved => saving.next,
            _ => far,
        }
    }

    /// Takes in what has left the host and has it written; `last`: now, and waits for it.
    pub(crate) fn save(&mut self, last: bool) {
        for ((id, epoch), offset) in self.shared.take_confirmed() {
            self.confirm(id, epoch, offset);
        }
        let Some(saving) = &mut self.saving else {
            return;
        };
        let now = Instant::now();
        let due = saving.unsaved && now >= saving.next;
        if !(due || last && saving.unsaved) {
            if last {
                self.end_writer();
            }
            return;
        }
        let Some(writer) = &saving.writer else {
            return;
        };
        if writer.busy.swap(true, Ordering::AcqRel) && !last {
            saving.next = now + INTERVAL / 10;
            return;
        }
        let seen = u64::from(Timestamp::now().seconds);
        saving.unclaimed.remove(|entry| entry.seen + KEEP < seen);
        let live: Vec<Entry> = self
            .files
            .values()
            .filter_map(|file| entry_of(file, seen))
            .collect();
        let document = state::render(live.iter().chain(saving.unclaimed.iter()));
        // The thread ends only after this end of the channel.
        let _ = writer.documents.send(document);
        saving.unsaved = false;
        saving.next = now + INTERVAL.max(now.elapsed() * SHARE);
        if last {
            self.end_writer();
        }
    }

    fn end_writer(&mut self) {
        let writer = self.saving.as_mut().and_then(|s| s.writer.take());
        if let Some(Writer {
            documents, thread, ..
        }) = writer
        {
            drop(documents);
            if thread.join().is_err() {
                error!("the thread that writes the state has panicked");
            }
        }
    }

    fn confirm(&mut self, id: FileId, epoch: u32, offset: u64) {
        let current = self.files.get(&id).is_some_and(|file| file.epoch == epoch);
        let id = if current {
            id
        } else {
            // The text went on in a copy.
            let of = Some((id, epoch));
            match self.files.iter().find(|(_, file)| file.continues == of) {
                Some((copy, _)) => *copy,
                None => return,
            }
        };
        let Some(file) = self.files.get_mut(&id) else {
            return;
        };
        if offset > file.checkpoint && offset <= file.offset {
            file.confirm(offset);
        }
        let done = file.retired && file.checkpoint >= file.offset;
        let over = done && self.files.get(&id).is_some_and(|f| !self.awaits_removal(f));
        self.mark_unsaved();
        if over {
            self.forget(id);
        }
    }

    // Finding positions again.

    /// Follows a file whose position is known. `false`: it is not known.
    pub(crate) fn consider_claimed(&mut self, path: &Path) -> bool {
        if self.saving.as_ref().is_none_or(|s| s.unclaimed.is_empty()) {
            return false;
        }
        let Ok((handle, metadata)) = followed::open(path) else {
            return false;
        };
        let identity = Identity::of(&metadata);
        if !metadata.is_file() || self.by_identity.contains_key(&identity) {
            return false;
        }
        let Some(entry) = self.claim(path, &identity, &handle, &metadata) else {
            return false;
        };
        let name = self.name_of(&entry, path);
        self.follow_claimed(path, handle, &metadata, entry, name);
        true
    }

    fn follow_claimed(
        &mut self,
        path: &Path,
        handle: File,
        metadata: &Metadata,
        entry: Entry,
        name: PathBuf,
    ) {
        let identity = Identity::of(metadata);
        let offset = entry.clue.offset;
        info!("{}: going on at byte {offset}", path.display());
        let id = self.follow(path, identity, handle, metadata, Some(offset), Some(name));
        if let Some(file) = self.files.get_mut(&id) {
            file.checkpoint_tail = entry.clue.tail;
        }
        if entry.rotated || entry.path != path {
            self.rotated(id);
        }
    }

    fn claim(
        &mut self,
        path: &Path,
        identity: &Identity,
        handle: &File,
        metadata: &Metadata,
    ) -> Option<Entry> {
        let saving = self.saving.as_mut()?;
        let by_name = saving.by_name;
        saving.unclaimed.claim(identity, |entry| {
            let same_place = entry.identity.device == identity.device || entry.path == path;
            same_place
                && (!by_name || entry.path == path)
                && entry.clue.fits(handle, metadata.len()).unwrap_or(false)
        })
    }

    /// A file that was renamed keeps the name that its records have.
    fn name_of(&self, entry: &Entry, path: &Path) -> PathBuf {
        let renamed = self.options.globs.matches(path);
        if renamed { path } else { &entry.path }.to_owned()
    }

    /// Where to start reading a new file, and the name it has in records.
    pub(crate) fn position_of(
        &mut self,
        path: &Path,
        identity: &Identity,
        handle: &File,
        metadata: &Metadata,
    ) -> (Option<u64>, Option<PathBuf>) {
        if let Some(entry) = self.claim(path, identity, handle, metadata) {
            return (Some(entry.clue.offset), None);
        }
        if self.scanned {
            return (None, None);
        }
        // The copy of a file that was truncated while nobody was reading.
        let Some(saving) = &mut self.saving else {
            return (None, None);
        };
        let is_copy = |entry: &Entry| {
            entry.path != path
                && entry.path.parent() == path.parent()
                && related(&entry.path, path)
                && entry.clue.head.length > 0
                && entry.clue.fits(handle, metadata.len()).unwrap_or(false)
        };
        let entry = saving.unclaimed.iter().find(|e| is_copy(e)).cloned();
        let Some(entry) = entry else {
            return (None, None);
        };
        saving.unclaimed.remove(|other| *other == entry);
        (Some(entry.clue.offset), Some(entry.path))
    }

    /// Looks for files with known positions that no pattern matches any more: rotated while
    /// nobody was reading.
    pub(crate) fn recover_unclaimed(&mut self) {
        let Some(saving) = &self.saving else {
            return;
        };
        let entries: Vec<Entry> = saving.unclaimed.iter().cloned().collect();
        let mut place = saving.location.state().as_os_str().to_owned();
        place.push(".rest");
        let mut listings: HashMap<PathBuf, HashMap<u64, PathBuf>> = HashMap::new();
        for entry in entries {
            let Some(folder) = entry.path.parent() else {
                continue;
            };
            let listing = listings
                .entry(folder.to_owned())
                .or_insert_with(|| list(folder));
            let renamed = listing.get(&entry.identity.inode).cloned();
            let found = renamed
                .and_then(|path| {
                    let (handle, metadata) = followed::open(&path).ok()?;
                    let identity = Identity::of(&metadata);
                    let fits = metadata.is_file()
                        && !self.by_identity.contains_key(&identity)
                        && entry.identity.compatible(&identity)
                        && entry.clue.fits(&handle, metadata.len()).ok()?;
                    fits.then_some((path, handle, metadata))
                })
                .or_else(|| self.find_copy(folder, &entry.path, &entry.clue, None));
            let recovered = match found {
                Some((path, handle, metadata)) => {
                    let name = entry.path.clone();
                    self.follow_claimed(&path, handle, &metadata, entry.clone(), name);
                    true
                }
                None => self.recover_compressed(&entry, place.as_ref()),
            };
            if let Some(saving) = self.saving.as_mut().filter(|_| recovered) {
                saving.unclaimed.remove(|other| *other == entry);
            }
        }
    }
}

/// Paths in a folder by the inodes of their names.
pub(crate) fn list(folder: &Path) -> HashMap<u64, PathBuf> {
    fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .map(|entry| (entry.ino(), folder.join(entry.file_name())))
        .collect()
}

/// What is kept of a file; `None`: there is nothing to keep.
fn entry_of(file: &Followed, seen: u64) -> Option<Entry> {
    let known = file.head.len().min(file.offset as usize);
    (file.held.is_none()).then(|| Entry {
        path: file.path.as_ref().unwrap_or(&file.name).clone(),
        identity: file.identity,
        clue: Clue {
            offset: file.checkpoint,
            head: Print::of(&file.head[..known]),
            tail: file.checkpoint_tail,
        },
        rotated: file.rotated,
        seen,
    })
}
