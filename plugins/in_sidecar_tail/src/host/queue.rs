//! What the worker and the host's thread share: a bounded queue of batches, wake-ups both ways,
//! and how far a drain is.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use flb_sidecar_sdk::drain::{Drain, DrainState, DrainStatus};
use rustix::event::{eventfd, poll, EventfdFlags, PollFd, PollFlags, Timespec};
use serde::{Serialize, Serializer as _};

use crate::host::acks::Reaches;
use crate::map::HashMap;
use crate::read::encode::Batch;
use crate::time::Time;
use crate::track::file::FileId;

/// The worker reads on while the queue holds fewer bytes than this.
const MAX_BYTES: usize = 1 << 20;
/// The same for batches, so that many small ones are bounded too.
const MAX_BATCHES: usize = 64;
/// Empty batch buffers kept for reuse.
const SPARE: usize = 4;
/// From one wake-up of the host to the next at least, as long as little waits for it: each costs it
/// more than a line does, and what a writer writes line by line may come together.
const HANDOVER: Duration = Duration::from_millis(20);
/// So much does not wait.
const MUCH: usize = 64 << 10;

/// One thing to do for the host's thread.
#[derive(Debug)]
pub(crate) enum Item {
    /// To be appended.
    Batch(Batch),
    /// Everything of this drain request lies before.
    DrainEnd(u64),
    /// The text of this file ends here; only where the host joins lines.
    FileEnd(FileId),
}

/// What the worker waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// Somebody wants something of it.
    Called,
    /// The kernel has something to tell.
    Changes,
    Time,
}

/// Why everything is to be handed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The engine stops, and goes on later where it was.
    #[default]
    Stop,
    /// What is there is all there will be, as far as anybody knows.
    Completion,
}

/// Device and inode of what stands for a state.
pub(crate) type StateNumber = (u64, u64);

/// The states of this process's instances.
static STATES: Mutex<Vec<(StateNumber, Weak<Shared>)>> = Mutex::new(Vec::new());

/// What a file has given, for the report.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// `None`: several files.
    pub(crate) file: Option<(FileId, Arc<Path>)>,
    /// Bytes read into records, handed to the host or not.
    pub(crate) read: u64,
    pub(crate) unread: u64,
}

/// The same as the report has it.
#[derive(Serialize)]
struct Told<'a> {
    path: Option<Cow<'a, str>>,
    read_bytes: u64,
    unread_bytes: u64,
}

#[derive(Debug, Default)]
struct State {
    items: VecDeque<Item>,
    bytes: usize,
    spare: Vec<Vec<u8>>,
    /// When the host may be woken next for a little.
    wake_allowed: Option<Instant>,
    /// There is something that the host was not woken for.
    untold: bool,
    worker_waits: bool,
    stop: bool,
    freeze: bool,
    purpose: Purpose,
    /// Number of the newest drain request; 0: none yet.
    drain_asked: u64,
    /// Number of the newest request whose end the host's thread has reached.
    drain_done: u64,
    deadline: Option<Instant>,
    gave_up: bool,
    /// The worker has read every file to its end.
    idle: bool,
    /// The first scan is over.
    scanned: bool,
    files: u64,
    missed_files: u64,
    unread_bytes: u64,
    read_bytes: u64,
    records: u64,
    report: Vec<Row>,
    /// What has left the host, for the worker to take.
    confirmed: Reaches,
    /// Where what has left the host without being delivered begins, for the worker to take.
    lost: Reaches,
}

impl State {
    /// Keeps a buffer for the next batch.
    fn keep(&mut self, mut events: Vec<u8>) {
        events.clear();
        if self.spare.len() < SPARE {
            self.spare.push(events);
        }
    }

    /// Whether the host may be woken for a little.
    fn may_tell(&self, now: Instant) -> bool {
        self.wake_allowed.is_none_or(|at| now >= at)
    }
}

/// Shared by the worker, the host's thread and whoever drains.
#[derive(Debug)]
pub(crate) struct Shared {
    time: Time,
    state: Mutex<State>,
    /// Told of every new item and of the worker's end.
    changed: Condvar,
    host_wake: OwnedFd,
    worker_wake: OwnedFd,
    /// Something was appended that has not left the host, so the host should be asked soon.
    unconfirmed: AtomicBool,
}

impl Shared {
    pub(crate) fn new(time: Time) -> io::Result<Self> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        Ok(Shared {
            time,
            state: Mutex::default(),
            changed: Condvar::new(),
            host_wake: eventfd(0, flags)?,
            worker_wake: eventfd(0, flags)?,
            unconfirmed: AtomicBool::new(false),
        })
    }

    pub(crate) fn time(&self) -> Time {
        self.time.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No change of the state is left half-done by a panic: each is a plain assignment.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether no other instance of this process that reads on has this state; from now on this one
    /// has. One that is ending gives it up soon.
    pub(crate) fn is_alone_with(self: &Arc<Self>, state: StateNumber) -> bool {
        let mut states = STATES.lock().unwrap_or_else(PoisonError::into_inner);
        states.retain(|(_, owner)| {
            let owner = owner.upgrade();
            owner.is_some_and(|owner| !owner.stopped() && !owner.frozen())
        });
        let alone = states.iter().all(|(other, _)| *other != state);
        if alone {
            states.push((state, Arc::downgrade(self)));
        }
        alone
    }

    // The worker's side.

    /// Waits for a wake-up, for what can be read from `changes`, or until `until`.
    pub(crate) fn worker_waits(&self, until: Instant, changes: Option<BorrowedFd<'_>>) -> Woken {
        let left = until.saturating_duration_since(self.time.now());
        let timeout = Timespec {
            tv_sec: left.as_secs() as i64,
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        let wake = PollFd::from_borrowed_fd(self.worker_wake.as_fd(), PollFlags::IN);
        // An interrupted wait only means to look around earlier.
        let is_ready = |fd: &PollFd<'_>| !fd.revents().is_empty();
        let (called, changes) = match changes {
            Some(changes) => {
                let mut both = [wake, PollFd::from_borrowed_fd(changes, PollFlags::IN)];
                let _ = poll(&mut both, Some(&timeout));
                (is_ready(&both[0]), is_ready(&both[1]))
            }
            None => {
                let mut wake = [wake];
                let _ = poll(&mut wake, Some(&timeout));
                (is_ready(&wake[0]), false)
            }
        };
        if called {
            clear(&self.worker_wake);
            Woken::Called
        } else if changes {
            Woken::Changes
        } else {
            Woken::Time
        }
    }

    pub(crate) fn stopped(&self) -> bool {
        self.lock().stop
    }

    /// Nothing is to be read any more, but positions are still kept.
    pub(crate) fn frozen(&self) -> bool {
        self.lock().freeze
    }

    /// Whether the worker may read on; if not, it is woken when it may.
    pub(crate) fn has_room(&self) -> bool {
        let mut state = self.lock();
        let room = state.bytes < MAX_BYTES && state.items.len() < MAX_BATCHES;
        state.worker_waits = !room;
        room
    }

    /// Gives the host something to do. It is woken at once for much, for what is no batch, and if that was
    /// not done lately; else by [`Shared::tell_host`].
    pub(crate) fn push(&self, item: Item) {
        let now = self.time.now();
        let mut state = self.lock();
        let batch = match item {
            Item::Batch(batch) => batch,
            item => {
                state.items.push_back(item);
                state.untold = true;
                return self.tell(state, now);
            }
        };
        state.bytes += batch.events.len();
        let joined = match state.items.back_mut() {
            Some(Item::Batch(last)) => last.join(batch),
            _ => Err(batch),
        };
        match joined {
            Ok(buffer) => state.keep(buffer),
            Err(batch) => state.items.push_back(Item::Batch(batch)),
        }
        state.untold = true;
        if state.bytes >= MUCH || state.may_tell(now) {
            self.tell(state, now);
        }
    }

    /// Wakes the host for what was pushed and not told it, if that is due.
    pub(crate) fn tell_host(&self) {
        let now = self.time.now();
        let state = self.lock();
        if state.untold && state.may_tell(now) {
            self.tell(state, now);
        }
    }

    /// When [`Shared::tell_host`] has something to do; `None`: the host knows of everything.
    pub(crate) fn next_telling(&self) -> Option<Instant> {
        let state = self.lock();
        state.wake_allowed.filter(|_| state.untold)
    }

    fn tell(&self, mut state: MutexGuard<'_, State>, now: Instant) {
        state.untold = false;
        state.wake_allowed = Some(now + HANDOVER);
        drop(state);
        self.changed.notify_all();
        signal(&self.host_wake);
    }

    /// An empty buffer for the next batch.
    pub(crate) fn spare_buffer(&self) -> Vec<u8> {
        self.lock().spare.pop().unwrap_or_default()
    }

    /// The newest drain request, and until when.
    pub(crate) fn drain_asked(&self) -> (u64, Option<Instant>) {
        let state = self.lock();
        (state.drain_asked, state.deadline)
    }

    pub(crate) fn drain_purpose(&self) -> Purpose {
        self.lock().purpose
    }

    /// The worker says where it is; all that is not handed to the host, what is queued included.
    pub(crate) fn publish(
        &self,
        idle: bool,
        (files, missed): (u64, u64),
        unread_bytes: u64,
    ) -> u64 {
        let mut state = self.lock();
        state.missed_files = missed;
        state.idle = idle;
        state.files = files;
        state.unread_bytes = unread_bytes;
        unread_bytes + queued_bytes(&state)
    }

    /// The worker has looked around for the first time.
    pub(crate) fn set_scanned(&self) {
        self.lock().scanned = true;
    }

    /// Has the report made anew, in the memory of the old one.
    pub(crate) fn set_report(&self, fill: impl FnOnce(&mut Vec<Row>)) {
        let report = &mut self.lock().report;
        report.clear();
        fill(report);
    }

    /// What has left the host since the last call.
    pub(crate) fn take_confirmed(&self) -> Reaches {
        std::mem::take(&mut self.lock().confirmed)
    }

    /// Where what was lost since the last call begins.
    pub(crate) fn take_lost(&self) -> Reaches {
        std::mem::take(&mut self.lock().lost)
    }

    /// Something was appended that has not left the host: wake the host soon, to ask it.
    pub(crate) fn unconfirmed(&self) -> bool {
        self.unconfirmed.load(Ordering::Relaxed)
    }

    // The host's side.

    pub(crate) fn set_unconfirmed(&self, unconfirmed: bool) {
        let before = self.unconfirmed.swap(unconfirmed, Ordering::Relaxed);
        if unconfirmed && !before {
            signal(&self.worker_wake);
        }
    }

    /// These have left the host.
    pub(crate) fn confirm(&self, reaches: Reaches) {
        let mut state = self.lock();
        if state.confirmed.is_empty() {
            state.confirmed = reaches;
        } else {
            state.confirmed.extend(reaches);
        }
        drop(state);
        signal(&self.worker_wake);
    }

    /// What was read behind these has left the host, and not all of it was delivered.
    pub(crate) fn lost(&self, from: Reaches) {
        let lost = &mut self.lock().lost;
        for (key, from) in from {
            let known = lost.entry(key).or_insert(from);
            *known = from.min(*known);
        }
        signal(&self.worker_wake);
    }

    pub(crate) fn host_fd(&self) -> BorrowedFd<'_> {
        self.host_wake.as_fd()
    }

    pub(crate) fn clear_host_wake(&self) {
        clear(&self.host_wake);
    }

    /// Has [`Shared::host_fd`] readable again: there is more to do.
    pub(crate) fn wake_host(&self) {
        signal(&self.host_wake);
    }

    pub(crate) fn pop(&self) -> Option<Item> {
        self.lock().items.pop_front()
    }

    /// A batch that is out of the queue has changed its size.
    pub(crate) fn resized(&self, before: usize, after: usize) {
        let mut state = self.lock();
        state.bytes = (state.bytes + after).saturating_sub(before);
    }

    /// The host refused the batch: it stays the first.
    pub(crate) fn put_back(&self, batch: Batch) {
        self.lock().items.push_front(Item::Batch(batch));
    }

    /// More to append before all else.
    pub(crate) fn put_first(&self, items: impl DoubleEndedIterator<Item = Item>) {
        let mut state = self.lock();
        for item in items.rev() {
            if let Item::Batch(batch) = &item {
                state.bytes += batch.events.len();
            }
            state.items.push_front(item);
        }
    }

    /// Nothing happens: an empty buffer less is kept.
    pub(crate) fn spare_less(&self) {
        self.lock().spare.pop();
    }

    /// The host took the batch.
    pub(crate) fn delivered(&self, batch: Batch) {
        let mut state = self.lock();
        state.bytes = state.bytes.saturating_sub(batch.events.len());
        state.read_bytes += batch.read_bytes;
        state.records += batch.records as u64;
        state.keep(batch.events);
        self.wake_waiting_worker(&mut state);
    }

    /// The host's thread came by the end of a drain.
    pub(crate) fn drain_ended(&self, request: u64) {
        let mut state = self.lock();
        state.drain_done = state.drain_done.max(request);
        self.wake_waiting_worker(&mut state);
    }

    fn wake_waiting_worker(&self, state: &mut State) {
        let room = state.bytes < MAX_BYTES / 2 && state.items.len() < MAX_BATCHES / 2;
        if state.worker_waits && room {
            state.worker_waits = false;
            signal(&self.worker_wake);
        }
    }

    /// Asks for a drain of its own, whatever was asked before.
    pub(crate) fn start_drain(&self, deadline: Duration, purpose: Purpose) -> u64 {
        let mut state = self.lock();
        // A completion stays one when the engine stops before its end.
        if purpose == Purpose::Completion {
            state.purpose = purpose;
        }
        state.drain_asked += 1;
        state.deadline = self.time.now().checked_add(deadline);
        state.gave_up = false;
        signal(&self.worker_wake);
        state.drain_asked
    }

    pub(crate) fn drain_done(&self) -> u64 {
        self.lock().drain_done
    }

    /// The deadline of a completion's drain has passed, whether that had come to its end or not.
    pub(crate) fn is_closed(&self) -> bool {
        let state = self.lock();
        let late = state.deadline.is_some_and(|at| self.time.now() >= at);
        state.gave_up || late && state.drain_asked > 0 && state.purpose == Purpose::Completion
    }

    /// A drain was asked for, and is over.
    pub(crate) fn drain_is_over(&self) -> bool {
        let state = self.lock();
        state.gave_up || (state.drain_asked > 0 && state.drain_done >= state.drain_asked)
    }

    /// Waits until there is an item, the worker has stopped, or `until` has passed.
    pub(crate) fn wait_for_item(&self, until: Instant) {
        let state = self.lock();
        let left = until.saturating_duration_since(self.time.now());
        // A timeout needs no answer: the caller looks at the clock itself.
        drop(
            self.changed
                .wait_timeout_while(state, left, |s| s.items.is_empty() && !s.stop),
        );
    }

    /// Ends reading: nobody takes records any more.
    pub(crate) fn freeze(&self) {
        self.lock().freeze = true;
        signal(&self.worker_wake);
    }

    /// Ends the worker; it looks at this between two reads.
    pub(crate) fn stop(&self) {
        self.lock().stop = true;
        self.changed.notify_all();
        signal(&self.worker_wake);
    }
}

impl Drain for Shared {
    fn request(&self, deadline: Duration) {
        let mut state = self.lock();
        state.deadline = self.time.now().checked_add(deadline);
        state.gave_up = false;
        state.purpose = Purpose::Completion;
        if state.drain_asked == 0 {
            state.drain_asked = 1;
        }
        signal(&self.worker_wake);
    }

    fn status(&self) -> DrainStatus {
        let mut state = self.lock();
        let empty = state.items.is_empty() && state.bytes == 0;
        let drained = state.drain_done == state.drain_asked && empty && state.idle;
        let late = state.deadline.is_some_and(|at| self.time.now() >= at);
        let drain = if state.drain_asked == 0 {
            DrainState::Idle
        } else if drained && !state.gave_up {
            DrainState::Drained
        } else if late {
            // Once given up it stays so, or the one who asked would see it change its mind.
            state.gave_up = true;
            DrainState::GaveUp
        } else {
            DrainState::Draining
        };
        DrainStatus {
            state: drain,
            starting: !state.scanned,
            files: state.files,
            read_bytes: state.read_bytes,
            unread_bytes: state.unread_bytes + queued_bytes(&state),
            records: state.records,
            missed_files: state.missed_files,
        }
    }

    fn report(&self) -> String {
        let state = self.lock();
        let mut queued: HashMap<FileId, u64> = HashMap::default();
        for item in &state.items {
            if let Item::Batch(batch) = item {
                for reach in &batch.reaches {
                    *queued.entry(reach.file).or_default() += reach.bytes;
                }
            }
        }
        let rows = state.report.iter().map(|row| {
            let waiting = row.file.as_ref().and_then(|(id, _)| queued.get(id));
            let waiting = waiting.copied().unwrap_or(0).min(row.read);
            Told {
                path: row.file.as_ref().map(|(_, path)| path.to_string_lossy()),
                read_bytes: row.read - waiting,
                unread_bytes: row.unread + waiting,
            }
        });
        let mut text = Vec::new();
        let mut out = serde_json::Serializer::new(&mut text);
        // Nothing is written but to memory.
        let _ = out.collect_seq(rows);
        String::from_utf8(text).unwrap_or_default()
    }
}

fn queued_bytes(state: &State) -> u64 {
    state
        .items
        .iter()
        .map(|item| match item {
            Item::Batch(batch) => batch.read_bytes,
            Item::DrainEnd(_) | Item::FileEnd(_) => 0,
        })
        .sum()
}

fn signal(fd: &OwnedFd) {
    // The only error is a counter that would overflow: then the wake-up is there already.
    let _ = rustix::io::write(fd, &1u64.to_ne_bytes());
}

fn clear(fd: &OwnedFd) {
    // The only error is that there is nothing to take back.
    let _ = rustix::io::read(fd, &mut [0u8; 8]);
}

#[cfg(test)]
mod tests;
