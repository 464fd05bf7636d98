//! The worker thread: finds, reads and encodes, and never waits for anything but its wake-ups.

use std::collections::{HashMap, VecDeque};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use flb_sidecar_sdk::event::{RecordFormat, Timestamp};
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use tracing::{debug, info, warn};

use crate::discovery::Visitor;
use crate::encode::{Batch, Encoder};
use crate::followed::{self, FileId, Followed, Identity};
use crate::lines;
use crate::options::Options;
use crate::queue::{Item, Shared};
use crate::tag;
use crate::watch::{Change, Watches};

/// How often the folders are scanned, whatever the watches say.
const SCAN_INTERVAL: Duration = Duration::from_secs(1);
/// How often a busy worker says what is unread.
const PUBLISH_INTERVAL: Duration = Duration::from_millis(100);
/// Bytes of one read.
const BLOCK: usize = 128 << 10;
/// A batch goes to the queue when it is this long.
const BATCH: usize = 192 << 10;
/// Bytes that one file may read before the next one has its turn.
const TURN: u64 = 1 << 20;

/// The worker of one instance.
#[derive(Debug)]
pub(crate) struct Worker {
    options: Options,
    /// The instance's tag, if it has a `*`.
    tag_template: Option<String>,
    shared: Arc<Shared>,
    encoder: Encoder,
    watches: Option<Watches>,
    files: HashMap<FileId, Followed>,
    by_identity: HashMap<Identity, FileId>,
    by_path: HashMap<PathBuf, FileId>,
    next_id: u64,
    /// Files that may have something to read.
    turns: VecDeque<FileId>,
    batch: Batch,
    block: Vec<u8>,
    scanned: bool,
    next_scan: Instant,
    next_publish: Instant,
    /// Files that left their path.
    detached: Vec<FileId>,
    /// Bytes of all lines that have no newline yet.
    carried: u64,
    /// The drain request being worked on, and how many files have not come to their end in it.
    draining: Option<u64>,
    drain_left: usize,
    drain_seen: u64,
}

impl Worker {
    pub(crate) fn new(
        options: Options,
        tag: Option<&str>,
        format: RecordFormat,
        shared: Arc<Shared>,
    ) -> Self {
        let watches = match Watches::new() {
            Ok(watches) => Some(watches),
            Err(error) => {
                warn!("no inotify ({error}): files are looked at every second");
                None
            }
        };
        Worker {
            encoder: Encoder::new(&options, format),
            options,
            tag_template: tag.filter(|t| t.contains('*')).map(str::to_owned),
            shared,
            watches,
            files: HashMap::new(),
            by_identity: HashMap::new(),
            by_path: HashMap::new(),
            next_id: 0,
            turns: VecDeque::new(),
            batch: Batch::default(),
            block: vec![0; BLOCK],
            scanned: false,
            next_scan: Instant::now(),
            next_publish: Instant::now(),
            detached: Vec::new(),
            carried: 0,
            draining: None,
            drain_left: 0,
            drain_seen: 0,
        }
    }

    /// Works until [`Shared::stop`].
    pub(crate) fn run(mut self) {
        while !self.shared.stopped() {
            self.changes();
            let (asked, _) = self.shared.drain_asked();
            if asked > self.drain_seen {
                self.begin_drain(asked);
            } else if Instant::now() >= self.next_scan {
                self.scan();
            }
            let more = self.read_turn();
            self.end_drain();
            self.publish(!more);
            if !more {
                self.wait();
            }
        }
    }

    /// Waits for a change, a wake-up or the next scan.
    fn wait(&self) {
        let left = self.next_scan.saturating_duration_since(Instant::now());
        let timeout = Timespec {
            tv_sec: left.as_secs() as i64,
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        let wake = PollFd::from_borrowed_fd(self.shared.worker_fd(), PollFlags::IN);
        // An interrupted wait only means to look around earlier.
        let _ = match &self.watches {
            Some(watches) => {
                let changes = PollFd::from_borrowed_fd(watches.fd(), PollFlags::IN);
                poll(&mut [wake, changes], Some(&timeout))
            }
            None => poll(&mut [wake], Some(&timeout)),
        };
        self.shared.clear_worker_wake();
    }

    /// Says where the worker is; while it is busy, only so often.
    fn publish(&mut self, waits: bool) {
        let now = Instant::now();
        if !waits && now < self.next_publish {
            return;
        }
        self.next_publish = now + PUBLISH_INTERVAL;
        let ahead: u64 = self
            .turns
            .iter()
            .filter_map(|id| self.files.get(id))
            .map(|file| {
                let size = file.handle.metadata().map_or(0, |m| m.len());
                size.saturating_sub(file.offset)
            })
            .sum();
        let idle = self.turns.is_empty() && self.batch.records == 0;
        let unread = ahead + self.carried;
        self.shared.publish(idle, self.files.len() as u64, unread);
    }

    // Finding.

    fn changes(&mut self) {
        let Some(watches) = &mut self.watches else {
            return;
        };
        let mut changes = Vec::new();
        watches.read(|change| changes.push(change));
        let mut rescan = false;
        for change in changes {
            match change {
                Change::Written(folder, name) => {
                    let path = folder.join(OsString::from_vec(name));
                    match self.by_path.get(&path) {
                        Some(id) => self.give_turn(*id),
                        None => self.appeared(&folder, &path),
                    }
                }
                Change::Appeared(folder, name) => {
                    let path = folder.join(OsString::from_vec(name));
                    self.appeared(&folder, &path);
                }
                Change::Gone(folder, name) => {
                    self.gone(&folder.join(OsString::from_vec(name)));
                }
                Change::Rescan => rescan = true,
            }
        }
        if rescan {
            self.next_scan = Instant::now();
        }
    }

    fn appeared(&mut self, folder: &Path, path: &Path) {
        let name = path.file_name().map(OsStrExt::as_bytes).unwrap_or_default();
        if self.options.globs.matches(folder, name) {
            self.consider(path);
        }
    }

    /// Looks at everything the patterns match.
    fn scan(&mut self) {
        #[derive(Default)]
        struct Found {
            folders: Vec<PathBuf>,
            files: Vec<PathBuf>,
        }
        impl Visitor for Found {
            fn folder(&mut self, path: &Path) {
                self.folders.push(path.to_owned());
            }
            fn file(&mut self, path: PathBuf) {
                self.files.push(path);
            }
        }
        let mut found = Found::default();
        self.options.globs.scan(&mut found);
        let mut listed_before_watch = false;
        if let Some(watches) = &mut self.watches {
            for folder in &found.folders {
                match watches.add(folder) {
                    Ok(new) => listed_before_watch |= new,
                    Err(error) => debug!("folder {} is not watched: {error}", folder.display()),
                }
            }
        }
        if listed_before_watch {
            // What came between the listing and the watch is in a second listing.
            found.files.clear();
            self.options.globs.scan(&mut found);
        }
        for path in found.files {
            self.consider(&path);
        }
        let missing: Vec<PathBuf> = self
            .by_path
            .keys()
            .filter(|path| fs::metadata(path).is_err_and(|e| e.kind() == io::ErrorKind::NotFound))
            .cloned()
            .collect();
        for path in missing {
            self.gone(&path);
        }
        self.retire();
        self.scanned = true;
        self.next_scan = Instant::now() + SCAN_INTERVAL;
    }

    /// Follows the file at `path` if it is a new one, and reads it if it has grown.
    fn consider(&mut self, path: &Path) {
        let Ok(metadata) = fs::metadata(path) else {
            return;
        };
        if !metadata.is_file() {
            return;
        }
        let identity = Identity::of(&metadata);
        if let Some(id) = self.by_identity.get(&identity).copied() {
            self.moved(id, path);
            if self
                .files
                .get(&id)
                .is_some_and(|f| f.offset != metadata.len())
            {
                self.give_turn(id);
            }
            return;
        }
        let (handle, metadata) = match followed::open(path) {
            Ok(opened) => opened,
            Err(error) => {
                debug!("cannot open {}: {error}", path.display());
                return;
            }
        };
        // The name may have come to stand for something else since.
        let identity = Identity::of(&metadata);
        if !metadata.is_file() || self.by_identity.contains_key(&identity) {
            return;
        }
        let from_head = self.scanned || self.options.read_from_head;
        let id = FileId(self.next_id);
        self.next_id += 1;
        self.gone(path);
        let tag = self
            .tag_template
            .as_deref()
            .and_then(|t| tag::expand(t, &path.to_string_lossy()))
            .map(Arc::from);
        self.files.insert(
            id,
            Followed {
                identity,
                name: path.to_owned(),
                path: Some(path.to_owned()),
                tag,
                handle,
                offset: if from_head { 0 } else { metadata.len() },
                carry: Vec::new(),
                queued: false,
                drained: self.drain_seen,
                at_end_since: None,
                failing: false,
            },
        );
        self.by_identity.insert(identity, id);
        self.by_path.insert(path.to_owned(), id);
        info!("following {}", path.display());
        self.give_turn(id);
    }

    /// The file `id` is at `path` now.
    fn moved(&mut self, id: FileId, path: &Path) {
        if self.by_path.get(path) == Some(&id) {
            return;
        }
        self.gone(path);
        let Some(file) = self.files.get_mut(&id) else {
            return;
        };
        if let Some(old) = &file.path {
            // A second name of the same file, as long as the first one is there.
            if fs::metadata(old).is_ok_and(|m| Identity::of(&m) == file.identity) {
                return;
            }
            self.by_path.remove(old);
        }
        debug!("{} is now {}", file.name.display(), path.display());
        file.path = Some(path.to_owned());
        self.by_path.insert(path.to_owned(), id);
        self.detached.retain(|other| *other != id);
    }

    /// No file that is followed is at `path` any more; its handle is read to the end.
    fn gone(&mut self, path: &Path) {
        let Some(id) = self.by_path.remove(path) else {
            return;
        };
        if let Some(file) = self.files.get_mut(&id) {
            file.path = None;
            self.detached.push(id);
            self.give_turn(id);
        }
    }

    /// Lets go of files that left their path and had nothing new for `rotate_wait`.
    fn retire(&mut self) {
        let now = Instant::now();
        let wait = self.options.rotate_wait;
        let mut over = Vec::new();
        for id in &self.detached {
            let Some(file) = self.files.get(id).filter(|file| !file.queued) else {
                continue;
            };
            let grown = file
                .handle
                .metadata()
                .is_ok_and(|metadata| metadata.len() > file.offset);
            if grown {
                over.push((*id, false));
            } else if file.at_end_since.is_some_and(|since| now - since >= wait) {
                over.push((*id, true));
            }
        }
        for (id, finished) in over {
            if finished {
                self.emit_carry(id);
                self.flush();
                self.detached.retain(|other| *other != id);
                if let Some(file) = self.files.remove(&id) {
                    self.by_identity.remove(&file.identity);
                    debug!("no longer following {}", file.name.display());
                }
            } else {
                self.give_turn(id);
            }
        }
    }

    // Reading.

    fn give_turn(&mut self, id: FileId) {
        if let Some(file) = self.files.get_mut(&id) {
            if !file.queued {
                file.queued = true;
                self.turns.push_back(id);
            }
        }
    }

    /// Reads one file for one turn. `false`: there is nothing to do, or no room for it.
    fn read_turn(&mut self) -> bool {
        if self.turns.is_empty() || !self.shared.has_room() {
            self.flush();
            return false;
        }
        let Some(id) = self.turns.pop_front() else {
            return false;
        };
        if self.read_file(id) {
            self.turns.push_back(id);
        } else if let Some(file) = self.files.get_mut(&id) {
            file.queued = false;
            file.at_end_since.get_or_insert_with(Instant::now);
            if let Some(request) = self.draining {
                if file.drained < request {
                    file.drained = request;
                    self.drain_left = self.drain_left.saturating_sub(1);
                }
            }
        }
        true
    }

    /// Reads until the file's end (`false`) or the end of its turn (`true`).
    fn read_file(&mut self, id: FileId) -> bool {
        let Some(file) = self.files.get_mut(&id) else {
            return false;
        };
        if self.batch.tag != file.tag && self.batch.records > 0 {
            send(&self.shared, &mut self.batch);
        }
        if file.handle.metadata().is_ok_and(|m| m.len() < file.offset) {
            info!(
                "{} was truncated: reading from its head",
                file.name.display()
            );
            file.offset = 0;
            self.carried -= file.carry.len() as u64;
            file.carry.clear();
        }
        let turn_end = file.offset + TURN;
        while file.offset < turn_end {
            let length = match file.read(&mut self.block) {
                Ok(0) => return false,
                Ok(length) => length,
                Err(error) => {
                    if !file.failing {
                        warn!("cannot read {}: {error}", file.name.display());
                    }
                    file.failing = true;
                    return false;
                }
            };
            file.failing = false;
            file.at_end_since = None;
            let time = Timestamp::now();
            self.encoder.begin(file.name.as_os_str().as_bytes(), time);
            self.batch.tag.clone_from(&file.tag);
            let mut offset = file.line_start();
            let start = offset;
            let (encoder, batch) = (&self.encoder, &mut self.batch);
            let skip_empty = self.options.skip_empty_lines;
            lines::split(
                &mut file.carry,
                &self.block[..length],
                |in_file, first, second| {
                    if !(skip_empty && first.is_empty() && second.is_empty()) {
                        encoder.line(batch, offset, first, second);
                    }
                    offset += in_file as u64;
                },
            );
            file.offset += length as u64;
            // What was carried before and what was read is now in records or carried again.
            self.carried += length as u64;
            self.carried -= offset - start;
            if offset > start {
                self.batch.reached(id, offset, offset - start);
            }
            if self.batch.events.len() >= BATCH {
                send(&self.shared, &mut self.batch);
                if !self.shared.has_room() {
                    return true;
                }
            }
            if length < self.block.len() && self.draining.is_none() {
                // The end, as far as the kernel said; a later write is a change of its own.
                return false;
            }
        }
        true
    }

    /// Makes a record of a last line that has no newline.
    fn emit_carry(&mut self, id: FileId) {
        let Some(file) = self.files.get_mut(&id) else {
            return;
        };
        if file.carry.is_empty() {
            return;
        }
        if self.batch.tag != file.tag && self.batch.records > 0 {
            send(&self.shared, &mut self.batch);
        }
        let path = file.name.as_os_str().as_bytes();
        self.encoder.begin(path, Timestamp::now());
        self.batch.tag.clone_from(&file.tag);
        let (first, second) = lines::without_return(&file.carry, &[]);
        self.encoder
            .line(&mut self.batch, file.line_start(), first, second);
        self.batch.reached(id, file.offset, file.carry.len() as u64);
        self.carried -= file.carry.len() as u64;
        file.carry.clear();
    }

    fn flush(&mut self) {
        if self.batch.records > 0 || self.batch.read_bytes > 0 {
            send(&self.shared, &mut self.batch);
        }
    }

    // Draining.

    fn begin_drain(&mut self, request: u64) {
        self.drain_seen = request;
        self.scan();
        self.draining = Some(request);
        self.drain_left = 0;
        let ids: Vec<FileId> = self.files.keys().copied().collect();
        for id in ids {
            if let Some(file) = self.files.get_mut(&id) {
                file.drained = request - 1;
                self.drain_left += 1;
            }
            self.give_turn(id);
        }
    }

    fn end_drain(&mut self) {
        let Some(request) = self.draining else {
            return;
        };
        if self.drain_left > 0 {
            return;
        }
        let ids: Vec<FileId> = self.files.keys().copied().collect();
        for id in ids {
            self.emit_carry(id);
        }
        self.flush();
        self.shared.push(Item::DrainEnd(request));
        self.draining = None;
    }
}

/// Hands the batch over and begins an empty one.
fn send(shared: &Shared, batch: &mut Batch) {
    let next = Batch {
        events: shared.spare_buffer(),
        ..Batch::default()
    };
    shared.push(Item::Batch(std::mem::replace(batch, next)));
}
