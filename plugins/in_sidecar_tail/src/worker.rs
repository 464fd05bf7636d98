//! The worker thread: owns every file, and never waits for anything but its wake-ups.
//!
//! This module has its loop, its timers and draining. How files are found is in [`crate::source::scan`],
//! [`crate::source::events`] and [`crate::track::discovery`], what happens to them in [`crate::track::rotation`],
//! [`crate::track::copies`] and [`crate::track::unlinked`], how they are read in [`crate::track::descriptors`] and
//! [`crate::read::reader`], and how positions are kept in [`crate::checkpoint::checkpointer`].

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use flb_sidecar_sdk::event::RecordFormat;
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use tracing::{debug, info, warn};

use crate::checkpoint::checkpointer::Checkpointer;
use crate::compressed::search::{LeftAlone, Search, Unsettled};
use crate::compressed::window::Window;
use crate::counters::{Counters, Trouble};
use crate::fs::Fs;
use crate::host::acks::LOOK;
use crate::host::queue::{Item, Row, Shared};
use crate::map::{HashMap, HashSet};
use crate::options::Options;
use crate::read::encode::{Batch, Encoder};
use crate::source::confine::Confine;
use crate::source::globs::Listings;
use crate::source::inotify::Watches;
use crate::source::links::Links;
use crate::source::scan::SWEEP_AT;
use crate::source::unseen::Unseen;
use crate::time::Time;
use crate::track::descriptors::Share;
use crate::track::dormant::Dormant;
use crate::track::file::{FileId, TrackedFile};
use crate::track::fingerprint::{Identity, Print, TAIL};
use crate::track::limit::{Beyond, Folders};
use crate::track::registry::Registry;
use crate::track::transition::{Effect, Facts, Look, Observation};
use crate::troubles::Troubles;

/// How often files are looked at of whose changes nobody tells.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// How often a busy worker says what is unread.
const PUBLISH_INTERVAL: Duration = Duration::from_millis(100);
/// At most this part of the time is spent on saying it.
const PUBLISH_SHARE: u32 = 20;
/// Files named in the log when a drain's deadline passes; the others are only counted.
const NAMED_UNREAD: usize = 20;
/// Finished files kept for the report; the others are summed up.
const REPORTED: usize = 1000;

/// What a turn of the worker came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// There is more to do at once.
    More,
    /// Nothing to do before this moment, unless something happens.
    Until(Instant),
    /// The same, and nothing is read any more.
    Frozen(Instant),
}

/// One thing to be done.
#[derive(Debug)]
pub(crate) enum Task {
    /// What a file's life asks for.
    Do(FileId, Effect),
    /// A look at a file that need not have changed.
    Glance(FileId),
    /// Others need the file's descriptor.
    Crowd(FileId),
    /// It was looked at, and may be closed.
    Rest(FileId),
    /// Something happened to what is at this path.
    Recheck(Arc<Path>),
    /// There may be a new file.
    Consider(Arc<Path>),
}

/// The worker of one instance.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) time: Time,
    pub(crate) fs: Fs,
    pub(crate) options: Options,
    pub(crate) confine: Arc<Confine>,
    /// The instance's tag, if it is made from the path.
    pub(crate) tag_template: Option<String>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) counters: Counters,
    pub(crate) encoder: Encoder,
    pub(crate) watches: Option<Watches>,
    pub(crate) listings: Listings,
    /// Folders of which nobody tells changes.
    pub(crate) polled_folders: HashSet<PathBuf>,
    /// Folders on network filesystems, and all others that were asked about.
    pub(crate) remote_folders: HashMap<PathBuf, bool>,
    pub(crate) registry: Registry,
    /// What is still to be done before the next thing is looked at.
    pub(crate) tasks: VecDeque<Task>,
    /// Room for what the life of one file asks for.
    effects: Vec<Effect>,
    pub(crate) links: Links,
    pub(crate) share: Share,
    /// No open file was read to its end when it was last looked for one, nor since.
    pub(crate) none_idle: bool,
    pub(crate) unseen: Unseen,
    /// Files with pieces of a container's line that wait for the next one.
    pub(crate) in_pieces: HashSet<FileId>,
    /// How far holes have been searched whose end is not found yet.
    pub(crate) holes: HashMap<FileId, u64>,
    /// Files that must be looked at often.
    pub(crate) polled: HashSet<FileId>,
    /// Files still to be looked at in this round of checks.
    pub(crate) to_check: Vec<FileId>,
    /// Compressed files, left alone.
    pub(crate) compressed: HashMap<Identity, LeftAlone>,
    /// Those of which it is not said yet what they are.
    pub(crate) unsettled: Vec<Unsettled>,
    /// Those of which it was not to be known at the end of a drain.
    pub(crate) unclear: Vec<Unsettled>,
    /// What is looked for in compressed files, and whose turn it was.
    pub(crate) searches: VecDeque<Search>,
    pub(crate) search_turn: usize,
    /// Compressed files that are being read.
    pub(crate) windows: HashMap<FileId, Window>,
    /// Room for what is decompressed.
    pub(crate) text: Vec<u8>,
    pub(crate) dormant: Dormant,
    /// Sizes of files that were too old at the start, by their identities' numbers; only if what was
    /// there then is not to be read.
    pub(crate) left_out: HashMap<u64, u64>,
    /// Paths that match and could not be followed so far, for a reason that may pass unnoticed.
    pub(crate) retry: HashSet<PathBuf>,
    /// What is there and not followed, since there is too much.
    pub(crate) beyond: Beyond,
    pub(crate) folders: Folders,
    pub(crate) troubles: Troubles,
    /// How much is to be kept of paths when those that are gone are dropped.
    pub(crate) sweep_at: usize,
    /// Bytes of all lines that have no newline yet.
    pub(crate) carried: u64,
    pub(crate) batch: Batch,
    pub(crate) block: Vec<u8>,
    /// The first scan is over.
    pub(crate) scanned: bool,
    pub(crate) next_scan: Instant,
    /// Not before this, whatever the kernel tells of folders.
    pub(crate) scan_allowed: Instant,
    pub(crate) next_check: Instant,
    pub(crate) next_link_check: Instant,
    pub(crate) next_poll: Instant,
    next_publish: Instant,
    /// Not before this, since saying it takes long with many files.
    publish_allowed: Instant,
    /// There may be more to say than was said last.
    unpublished: bool,
    next_question: Instant,
    pub(crate) checkpointer: Option<Checkpointer>,
    /// The drain request being worked on.
    pub(crate) draining: Option<u64>,
    pub(crate) drain_seen: u64,
    said_unread: bool,
    finished: Vec<Row>,
    finished_more: u64,
    /// How many files were ever found, are followed and are finished in the report that is out.
    reported: (u64, usize, usize),
}

impl Worker {
    pub(crate) fn new(
        options: Options,
        tag: Option<&str>,
        format: RecordFormat,
        shared: Arc<Shared>,
        counters: Counters,
        fs: Fs,
    ) -> Self {
        let watches = options.inotify.then(|| Watches::new(&fs)).and_then(|made| {
            made.map_err(|error| {
                counters.error(Trouble::Watch);
                warn!("no inotify ({error}): files are looked at four times a second");
            })
            .ok()
        });
        let has_pattern = |t: &&str| options.tag_regex.is_some() || t.contains('*');
        let time = shared.time();
        let now = time.now();
        Worker {
            time: time.clone(),
            encoder: Encoder::new(&options, format),
            tag_template: tag.filter(has_pattern).map(str::to_owned),
            checkpointer: Checkpointer::new(&options, &counters, &time, &fs),
            block: vec![0; TAIL + options.block],
            folders: Folders::new(options.max_files),
            confine: Arc::new(Confine::new(
                &fs,
                options.follow_links,
                options.globs.roots(),
            )),
            options,
            shared,
            troubles: Troubles::new(counters.clone()),
            counters,
            watches,
            listings: Listings::new(time, fs.clone()),
            fs,
            polled_folders: HashSet::default(),
            remote_folders: HashMap::default(),
            registry: Registry::default(),
            tasks: VecDeque::new(),
            effects: Vec::new(),
            links: Links::default(),
            share: Share::new(),
            none_idle: false,
            unseen: Unseen::default(),
            in_pieces: HashSet::default(),
            holes: HashMap::default(),
            polled: HashSet::default(),
            to_check: Vec::new(),
            compressed: HashMap::default(),
            unsettled: Vec::new(),
            unclear: Vec::new(),
            searches: VecDeque::new(),
            search_turn: 0,
            windows: HashMap::default(),
            text: Vec::new(),
            dormant: Dormant::default(),
            left_out: HashMap::default(),
            retry: HashSet::default(),
            beyond: Beyond::default(),
            sweep_at: SWEEP_AT,
            carried: 0,
            batch: Batch::default(),
            scanned: false,
            next_scan: now,
            scan_allowed: now,
            next_check: now,
            next_link_check: now,
            next_poll: now,
            next_publish: now,
            publish_allowed: now,
            unpublished: false,
            next_question: now,
            draining: None,
            drain_seen: 0,
            said_unread: false,
            finished: Vec::new(),
            finished_more: 0,
            reported: (0, 0, 0),
        }
    }

    /// Works until [`Shared::stop`].
    pub(crate) fn run(mut self) {
        if !self.take_state() {
            return;
        }
        while !self.shared.stopped() {
            match self.turn() {
                Turn::More => {}
                Turn::Until(next) => self.wait(next),
                Turn::Frozen(next) => self.wait_for_wake(next),
            }
        }
        self.end();
    }

    /// Does what there is to do now.
    pub(crate) fn turn(&mut self) -> Turn {
        self.ask_host();
        if self.shared.frozen() {
            self.save(false);
            return Turn::Frozen(self.next_save().min(self.next_question()));
        }
        self.bound_handles();
        self.changes();
        let now = self.time.now();
        let (asked, deadline) = self.shared.drain_asked();
        if asked > self.drain_seen {
            self.begin_drain(asked);
        } else if now >= self.next_scan {
            self.scan();
        }
        self.timers(now);
        let mut more = self.read_turn() | self.search_on();
        more |= self.end_drain();
        if deadline.is_some_and(|at| now >= at) {
            self.say_unread();
        }
        self.publish(!more);
        self.save(false);
        if more {
            Turn::More
        } else {
            Turn::Until(self.next_timer())
        }
    }

    /// Keeps what is to be kept when the instance ends.
    pub(crate) fn end(&mut self) {
        self.publish_now(self.time.now());
        self.save(true);
    }

    /// Waits for a change, a wake-up or until `until`.
    pub(crate) fn wait(&self, until: Instant) {
        let timeout = timeout(until.saturating_duration_since(self.time.now()));
        let wake = PollFd::from_borrowed_fd(self.shared.worker_fd(), PollFlags::IN);
        // An interrupted wait only means to look around earlier.
        let _ = match self.watches.as_ref().and_then(Watches::fd) {
            Some(changes) => {
                let changes = PollFd::from_borrowed_fd(changes, PollFlags::IN);
                poll(&mut [wake, changes], Some(&timeout))
            }
            None => poll(&mut [wake], Some(&timeout)),
        };
        self.shared.clear_worker_wake();
    }

    /// Waits for a wake-up or until `until`.
    fn wait_for_wake(&self, until: Instant) {
        let wake = PollFd::from_borrowed_fd(self.shared.worker_fd(), PollFlags::IN);
        let left = until.saturating_duration_since(self.time.now());
        let _ = poll(&mut [wake], Some(&timeout(left)));
        self.shared.clear_worker_wake();
    }

    fn needs_poll(&self) -> bool {
        !(self.polled.is_empty()
            && self.registry.restless().len() == 0
            && self.unsettled.is_empty()
            && self.searches.is_empty()
            && self.windows.is_empty())
    }

    fn next_timer(&self) -> Instant {
        let mut next = self.next_scan.min(self.next_check);
        if !self.links.is_empty() {
            next = next.min(self.next_link_check);
        }
        if self.needs_poll() {
            next = next.min(self.next_poll);
        }
        if self.unpublished {
            next = next.min(self.publish_allowed);
        }
        next.min(self.next_save()).min(self.next_question())
    }

    fn next_save(&self) -> Instant {
        let kept = self.checkpointer.as_ref();
        let next = kept.and_then(Checkpointer::next_save);
        next.unwrap_or_else(|| self.time.now() + Duration::from_secs(3600))
    }

    /// When the host is to be asked next what it still has.
    fn next_question(&self) -> Instant {
        if self.shared.unconfirmed() {
            self.next_question
        } else {
            self.time.now() + Duration::from_secs(3600)
        }
    }

    /// Has the host's thread look for what has left the host, soon after it has.
    fn ask_host(&mut self) {
        let now = self.time.now();
        if now >= self.next_question && self.shared.unconfirmed() {
            self.next_question = now + LOOK;
            self.shared.wake_host();
        }
    }

    fn timers(&mut self, now: Instant) {
        if now >= self.next_poll && self.needs_poll() {
            self.next_poll = now + POLL_INTERVAL;
            self.poll_files();
        }
        if now >= self.next_check {
            self.next_check = now + self.options.check_interval;
            self.remove_old();
            self.check_some();
            self.end_pieces();
        }
        if now >= self.next_link_check {
            self.next_link_check = now + self.options.watcher_interval;
            self.check_links();
        }
    }

    /// Says where the worker is, if it is time; while it is busy, only so often.
    fn publish(&mut self, waits: bool) {
        let now = self.time.now();
        self.unpublished = now < self.publish_allowed || !waits && now < self.next_publish;
        if !self.unpublished {
            self.publish_now(now);
        }
    }

    fn publish_now(&mut self, now: Instant) {
        self.next_publish = now + PUBLISH_INTERVAL;
        let ready = || self.registry.ready().filter_map(|id| self.registry.get(id));
        let ahead: u64 = ready().map(TrackedFile::ahead).sum();
        let oldest = ready()
            .filter_map(|file| Some(now.saturating_duration_since(file.life.since()?).as_secs()))
            .max();
        // A drain that leaves files out is not complete; before one, they do not make a tail busy.
        let beyond = self.beyond.bytes.saturating_add(self.unsettled_bytes());
        let beyond = beyond * u64::from(self.drain_seen > 0);
        let compressed: u64 = self
            .windows
            .keys()
            .map(|id| self.compressed_left(*id))
            .sum();
        let ahead = ahead.saturating_add(compressed);
        let unread = ahead.saturating_add(self.carried).saturating_add(beyond);
        let idle = self.registry.ready().len() == 0
            && self.batch.is_empty()
            && self.registry.quarantined().next().is_none()
            && self.searches.is_empty()
            && self.windows.is_empty();
        self.counters.files.set(self.registry.len() as u64);
        self.counters.files_open.set(self.share.open() as u64);
        self.counters.lag_seconds.set(oldest.unwrap_or(0));
        let files = self.registry.len() as u64;
        let unreadable = self.troubles.unreadable() as u64;
        // What is in folders that are not looked into is not known.
        let unreadable = unreadable + self.folders.beyond;
        let missed = unreadable + self.counters.errors_of(Trouble::Missed).get();
        let lag = self.shared.publish(idle, (files, missed), unread);
        self.counters.lag_bytes.set(lag);
        // Before a drain only paths matter, so what is read makes no new report.
        let reported = (
            self.registry.count(),
            self.registry.len(),
            self.finished.len(),
        );
        if self.draining.is_some() || reported != self.reported {
            self.reported = reported;
            self.set_report();
        }
        self.publish_allowed = now + self.time.since(now) * PUBLISH_SHARE;
    }

    // Positions.

    /// Waits for the state to be free and reads it. `false`: the instance ended first.
    pub(crate) fn take_state(&mut self) -> bool {
        let Some(mut kept) = self.checkpointer.take() else {
            return true;
        };
        if self.shared.stopped() {
            return false;
        }
        let wait = |until| {
            if !self.shared.stopped() {
                self.wait(until);
            }
            !self.shared.stopped()
        };
        let taken = kept.take_state(&self.counters, &self.time, wait);
        if taken {
            self.checkpointer = Some(kept);
        }
        taken
    }

    /// What is kept of a file has changed.
    pub(crate) fn changed(&mut self, id: FileId) {
        if let Some(kept) = &mut self.checkpointer {
            kept.changed(id);
        }
    }

    /// Nothing is kept of a file any more, unless another one has its identity now.
    pub(crate) fn entry_gone(&mut self, identity: Identity) {
        let used_again = self.registry.known(&identity).is_some();
        if let Some(kept) = &mut self.checkpointer {
            kept.gone(identity, used_again);
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
        if let Some(kept) = &mut self.checkpointer {
            kept.save(&self.registry, &self.time, last);
        }
    }

    /// What was read behind `from` left the host without being delivered.
    fn lost_behind(&mut self, id: FileId, epoch: u32, from: u64) {
        let Some(id) = self.registry.holder_of(id, epoch) else {
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
        let Some(id) = self.registry.holder_of(id, epoch) else {
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

    // What is to be done, in its order.

    /// A file's life goes on; what that asks for is done by [`Worker::go_on`].
    pub(crate) fn observe(&mut self, id: FileId, seen: Observation) {
        let Some(file) = self.registry.get(id) else {
            return;
        };
        let facts = Facts {
            now: self.time.now(),
            rotate_wait: self.options.rotate_wait,
            owed: self.awaits_removal(file)
                || self.checkpointer.is_some() && file.settled() < file.offset,
        };
        self.registry.observe(id, seen, &facts, &mut self.effects);
        let effects = self.effects.drain(..);
        self.tasks
            .extend(effects.map(|effect| Task::Do(id, effect)));
    }

    /// There is something to read, whatever a look would say.
    pub(crate) fn observe_unread(&mut self, id: FileId) {
        let look = Look {
            unread: true,
            ..Look::default()
        };
        self.observe(id, Observation::Looked(look));
    }

    /// Something has changed: the file is looked at.
    pub(crate) fn look_at(&mut self, id: FileId) {
        self.tasks.push_back(Task::Do(id, Effect::Look));
    }

    /// Does all that is to be done. Nothing that is done here comes back to this: it adds to the queue.
    pub(crate) fn go_on(&mut self) {
        while let Some(task) = self.tasks.pop_front() {
            match task {
                Task::Do(id, Effect::Look) => self.look(id, true),
                Task::Do(id, Effect::EndText) => self.end_text(id),
                Task::Do(id, Effect::CountLost) => self.count_lost(id),
                Task::Do(id, Effect::Retry) => self.watch_let_go(id),
                Task::Do(id, Effect::Close) => self.end_reading(id),
                Task::Do(id, Effect::Checkpoint) => self.changed(id),
                Task::Do(id, Effect::Forget) => self.forget(id),
                Task::Glance(id) => self.look(id, false),
                Task::Crowd(id) => self.crowd_out(id),
                Task::Rest(id) => self.done_with(id),
                Task::Recheck(path) => self.recheck(&path, false),
                Task::Consider(path) => {
                    self.consider(&path);
                }
            }
        }
    }

    /// A file is not read any more.
    fn end_reading(&mut self, id: FileId) {
        if let Some(file) = self.registry.get(id) {
            debug!("no longer following {}", file.name.display());
        }
        self.flush();
        self.close(id);
        self.polled.remove(&id);
        self.holes.remove(&id);
        self.windows.remove(&id);
    }

    // Draining.

    fn begin_drain(&mut self, request: u64) {
        self.drain_seen = request;
        self.said_unread = false;
        self.scan();
        // A copy is told from a new file by its original.
        let originals = self.registry.quarantined().map(|(_, original)| original);
        for id in originals.collect::<Vec<_>>() {
            self.look_at(id);
        }
        self.go_on();
        self.release_quarantined();
        self.settle_compressed(false);
        self.draining = Some(request);
        self.registry.begin_drain();
        for id in self.registry.ids() {
            self.look(id, true);
            self.go_on();
            self.observe(id, Observation::Drained);
        }
    }

    /// Ends the drain if everything is read. `true`: there is more to do at once.
    fn end_drain(&mut self) -> bool {
        let over = self.registry.drains() == 0 && self.searches.is_empty();
        let Some(request) = self.draining.filter(|_| over) else {
            return false;
        };
        self.settle_compressed(true);
        if !self.searches.is_empty() || !self.unsettled.is_empty() {
            return true;
        }
        if self.give_way() {
            return self.registry.ready().len() > 0;
        }
        self.ask_unclear_again();
        for id in self.registry.ids() {
            self.end_unfinished(id);
        }
        self.flush();
        self.set_report();
        self.shared.push(Item::DrainEnd(request));
        self.draining = None;
        false
    }

    /// Names what is unread when a drain's deadline has passed.
    fn say_unread(&mut self) {
        if self.said_unread || self.draining.is_none() {
            return;
        }
        self.said_unread = true;
        let mut unread: Vec<(u64, &Arc<Path>)> = self
            .registry
            .iter()
            .map(|(id, file)| (file.unread() + self.compressed_left(id), &file.name))
            .filter(|(unread, _)| *unread > 0)
            .collect();
        unread.sort_unstable_by(|one, two| two.cmp(one));
        for (bytes, name) in unread.iter().take(NAMED_UNREAD) {
            warn!(
                "{}: {bytes} bytes are unread at the deadline",
                name.display()
            );
        }
        let total: u64 = unread.iter().map(|(bytes, _)| bytes).sum();
        info!(
            "{total} bytes of {} files are unread at the deadline",
            unread.len()
        );
        self.set_report();
    }

    /// Keeps what a file has given for the report.
    pub(crate) fn note_finished(&mut self, id: FileId, file: &TrackedFile) {
        if file.read == 0 {
            return;
        }
        if self.finished.len() < REPORTED {
            self.finished.push(report_row(id, file));
        } else {
            self.finished_more += file.read;
        }
    }

    fn set_report(&self) {
        self.shared.set_report(|rows| {
            let live = self
                .registry
                .iter()
                .filter(|(_, file)| !file.life.is_let_go());
            rows.reserve_exact(self.registry.len() + self.finished.len() + 1);
            rows.extend(self.finished.iter().cloned());
            rows.extend(live.map(|(id, file)| {
                let mut row = report_row(id, file);
                row.unread += self.compressed_left(id);
                row
            }));
            let unsettled = self.unsettled.iter().chain(&self.unclear);
            rows.extend(unsettled.map(|file| Row {
                file: Some((FileId::NONE, file.path.clone())),
                read: 0,
                unread: file.size,
            }));
            if self.finished_more > 0 || self.beyond.bytes > 0 {
                rows.push(Row {
                    file: None,
                    read: self.finished_more,
                    unread: self.beyond.bytes,
                });
            }
        });
    }
}

fn timeout(left: Duration) -> Timespec {
    Timespec {
        tv_sec: left.as_secs() as i64,
        tv_nsec: i64::from(left.subsec_nanos()),
    }
}

fn report_row(id: FileId, file: &TrackedFile) -> Row {
    Row {
        file: Some((id, file.name.clone())),
        read: file.read,
        unread: file.unread(),
    }
}

#[cfg(test)]
impl Worker {
    /// One that is driven by a test, step by step.
    pub(crate) fn with(options: &[(&str, &str)]) -> Self {
        Worker::at(options, Time::default())
    }

    /// The same with these clocks.
    pub(crate) fn at(options: &[(&str, &str)], time: Time) -> Self {
        use crate::options::OPTIONS;
        use flb_sidecar_sdk::{fake::FakeHost, metrics::Metrics, Settings};
        let settings = Settings::new("tail", OPTIONS, options.iter().copied()).unwrap();
        Worker::new(
            Options::read(&settings, &FakeHost::default()).unwrap(),
            None,
            RecordFormat::WithMetadata,
            Arc::new(Shared::new(time).unwrap()),
            Counters::new(&Metrics::default()),
            Fs::default(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_time_is_too_long() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("*.log");
        let forever = u64::MAX.to_string();
        let mut options = vec![("path", path.to_str().unwrap())];
        options.extend(
            [
                "refresh_interval",
                "watcher_interval",
                "progress_check_interval",
                "rotate_wait",
                "ignore_older",
                "remove_after",
            ]
            .map(|name| (name, forever.as_str())),
        );
        options.push(("progress_check_interval_nsec", "9223372036854775807"));
        std::fs::write(dir.path().join("a.log"), "one\n").unwrap();
        let mut worker = Worker::with(&options);
        worker.scan();
        worker.timers(Instant::now());
        assert_eq!(worker.registry.len(), 1);
        assert!(worker.next_timer() > Instant::now());
    }

    #[test]
    fn with_many_files_saying_where_it_is_is_put_off() {
        let dir = tempfile::tempdir().unwrap();
        for n in 0..1000 {
            std::fs::write(dir.path().join(format!("{n}.log")), "one\n").unwrap();
        }
        let path = dir.path().join("*.log");
        let mut worker = Worker::with(&[("path", path.to_str().unwrap())]);
        worker.scan();
        // However fast it is asked for, it is put off now and then, and comes all the same.
        let mut put_off = false;
        while !put_off {
            worker.publish(true);
            worker.publish(true);
            put_off = worker.unpublished;
        }
        assert!(worker.next_timer() <= worker.publish_allowed);
        while worker.unpublished {
            worker.publish(true);
        }
    }
}
