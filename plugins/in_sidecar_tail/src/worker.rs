//! The worker thread: owns every part of the instance, and never waits for anything but its wake-ups.
//!
//! Here is its loop: events in, tasks done, timers, drains. What is done is in the owners' own houses: see
//! the map in [`crate`].

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flb_sidecar_sdk::event::RecordFormat;
use flb_sidecar_sdk::memory;
use tracing::debug;

use crate::checkpoint::checkpointer::{Checkpointer, Place};
use crate::checkpoint::recovery::{
    begin_start, consider_claimed, has_unclaimed, recover_unclaimed,
};
use crate::compressed::left_alone::{say_cut, Compressed};
use crate::compressed::window::wake;
use crate::context::Context;
use crate::counters::Counters;
use crate::fs::Fs;
use crate::host::publisher::{Known, Publisher};
use crate::host::queue::{Item, Purpose, Shared, Woken};
use crate::options::Options;
use crate::read::reader::Reader;
use crate::source::events::Events;
use crate::source::inotify::Change;
use crate::source::scan::FoundFiles;
use crate::timers::Timers;
use crate::track::beyond::is_full;
use crate::track::copies::find_late_copies;
use crate::track::descriptors::{bound_handles, close, crowd_out, done_with};
use crate::track::discovery::Discovery;
use crate::track::file::FileId;
use crate::track::files::{Files, Stage};
use crate::track::look::{check, go_by, look};
use crate::track::quarantine::{release_quarantined, settle_quarantined};
use crate::track::queue::Task;
use crate::track::removal::remove_old;
use crate::track::rotation::{count_lost, find_missing, forget, note_elsewhere};
use crate::track::transition::{Effect, Observation};

/// Files looked at in one check.
const CHECKED_AT_ONCE: usize = 1000;
/// Buffers full of events that are looked into before files have their turn: a writer in a hurry
/// may have new ones as fast as anybody looks.
const BUFFERS_AT_ONCE: usize = 4;
/// Behind so many files memory that was freed goes back.
const MANY: usize = 10_000;
/// Short files that are read before something else has its turn.
const FEW: usize = 32;
/// After the kernel has told something, it is not listened to for so long: a writer that writes line
/// by line would have the worker woken for each. What is truncated or deleted meanwhile is not read, so
/// this is no longer than a busy processor has anybody wait.
const DEAF: Duration = Duration::from_millis(2);
/// Longer than anybody waits.
const LONG: Duration = Duration::from_secs(3600);

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

/// How a drain goes on once everything that is followed was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Nothing waits that could be read.
    Over,
    /// What waits has its turn when others have left the host.
    Waits,
    /// What has waited has its turn.
    GoesOn,
}

/// The worker of one instance.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) ctx: Arc<Context>,
    pub(crate) files: Files,
    pub(crate) reader: Reader,
    pub(crate) compressed: Compressed,
    pub(crate) discovery: Discovery,
    events: Events,
    publisher: Publisher,
    timers: Timers,
    /// Files still to be looked at in this round of checks.
    to_check: Vec<FileId>,
    /// Number of the newest request to drain that was begun; 0: none yet.
    drain_seen: u64,
    /// When the kernel is listened to again.
    listens: Cell<Instant>,
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
        let ctx = Arc::new(Context::new(options, tag, shared, counters, fs));
        let now = ctx.time.now();
        Worker {
            files: Files::new(ctx.clone()),
            reader: Reader::new(&ctx, format),
            compressed: Compressed::default(),
            discovery: Discovery::new(&ctx),
            events: Events::default(),
            publisher: Publisher::new(now),
            timers: Timers::new(now),
            to_check: Vec::new(),
            drain_seen: 0,
            listens: Cell::new(now),
            ctx,
        }
    }

    /// Works until [`Shared::stop`].
    pub(crate) fn run(mut self) {
        if !self.take_state() {
            return;
        }
        while !self.ctx.shared.stopped() {
            match self.turn() {
                Turn::More => {}
                Turn::Until(next) => self.wait(next, true),
                Turn::Frozen(next) => self.wait(next, false),
            }
        }
        self.end();
    }

    /// Waits for the state to be free and reads it; for its folder, too, unless a drain comes first.
    /// `false`: the instance ended first.
    pub(crate) fn take_state(&mut self) -> bool {
        let Some(mut kept) = self.files.checkpointer.take() else {
            return true;
        };
        let shared = &self.ctx.shared;
        if shared.stopped() {
            return false;
        }
        let place = kept.wait_for_folder(&self.ctx.options.globs, &self.ctx.time, |until| {
            // Nobody waits for logs that cannot be there.
            shared.set_scanned();
            shared.publish(true, (0, 0), 0);
            let drain = shared.drain_asked().0 > self.drain_seen;
            if !shared.stopped() && !drain {
                self.wait(until, true);
            }
            !shared.stopped() && !drain
        });
        if place == Place::Missing {
            return !shared.stopped();
        }
        let wait = |until| {
            if !shared.stopped() {
                self.wait(until, true);
            }
            !shared.stopped()
        };
        let taken = kept.take_state(&self.ctx.counters, &self.ctx.time, wait);
        if taken {
            if place == Place::New && kept.unclaimed.is_empty() {
                // What is in it now was written since the start.
                self.files.stage = Stage::Following;
            }
            self.files.checkpointer = Some(kept);
        }
        taken
    }

    /// Does what there is to do now.
    pub(crate) fn turn(&mut self) -> Turn {
        let shared = self.ctx.shared.clone();
        if shared.unconfirmed() && self.timers.question(self.ctx.time.now()) {
            shared.wake_host();
        }
        if shared.frozen() {
            self.save(false);
            return Turn::Frozen(self.next_save().min(self.next_question()));
        }
        bound_handles(&mut self.files);
        self.go_on();
        self.changes();
        let now = self.ctx.time.now();
        let (asked, deadline) = shared.drain_asked();
        if asked > self.drain_seen {
            self.begin_drain(asked);
        } else if self.timers.scan_is_due(now) {
            self.scan();
        }
        self.timers(now);
        let mut more = self.read_turns() | self.search_on();
        more |= self.end_drain();
        if deadline.is_some_and(|at| now >= at) {
            let (publisher, known) = self.known();
            publisher.say_unread(known);
        }
        let (publisher, known) = self.known();
        publisher.publish(known, !more);
        self.save(false);
        self.ctx.shared.tell_host();
        if more {
            Turn::More
        } else {
            Turn::Until(self.next_timer())
        }
    }

    /// Keeps what is to be kept when the instance ends.
    pub(crate) fn end(&mut self) {
        let (publisher, known) = self.known();
        publisher.publish_now(known);
        self.save(true);
    }

    /// Waits for a wake-up or until `until`; if `told`, for what the kernel tells, too.
    pub(crate) fn wait(&self, until: Instant, told: bool) {
        let shared = &self.ctx.shared;
        let deaf = self.listens.get().min(until);
        if deaf > self.ctx.time.now() {
            let woken = shared.worker_waits(deaf, None);
            if woken == Woken::Called || deaf == until {
                return;
            }
        }
        let changes = self.discovery.sources.fd().filter(|_| told);
        if shared.worker_waits(until, changes) == Woken::Changes {
            self.listens.set(self.ctx.time.now() + DEAF);
        }
    }

    // What is to be done, in its order.

    /// Does all that is to be done. Nothing that is done here comes back to this: it adds to the queue.
    pub(crate) fn go_on(&mut self) {
        while let Some(task) = self.files.queue.pop() {
            self.act(task);
        }
    }

    fn act(&mut self, task: Task) {
        let files = &mut self.files;
        let (reader, compressed) = (&mut self.reader, &mut self.compressed);
        match task {
            Task::Do(id, Effect::Look) => look(files, reader, compressed, id, true),
            Task::Seen(id, seen) => go_by(files, reader, compressed, id, seen),
            Task::Do(id, Effect::EndText) => reader.end_text(files, id),
            Task::Do(id, Effect::CountLost) => count_lost(files, id),
            Task::Do(id, Effect::Retry) => self.discovery.watch_let_go(files, id),
            Task::Do(id, Effect::Close) => {
                if let Some(file) = files.registry.get(id) {
                    debug!("no longer following {}", file.name.display());
                }
                reader.let_go(&self.ctx, id);
                note_elsewhere(files, id);
                close(files, id);
                files.windows.remove(id);
                files.heads.take(id);
                files.unsettled.remove(&id);
            }
            Task::Do(id, Effect::Checkpoint) => files.changed(id),
            Task::Do(id, Effect::Forget) => {
                if let Some(file) = forget(files, id) {
                    reader.kept(file.offset - file.lines.start(), 0);
                    self.publisher.note_finished(id, &file);
                }
            }
            Task::Glance(id) => look(files, reader, compressed, id, false),
            Task::Crowd(id) => crowd_out(files, id),
            Task::Rest(id) => done_with(files, id),
            Task::Unpacked(id) => compressed.unpacked(files, id),
            Task::Recheck(path) => self.discovery.recheck(files, compressed, &path, false),
            Task::Consider(path) => {
                self.discovery.consider(files, compressed, &path);
            }
            Task::Check(id) => check(files, id),
            Task::CheckLink(link) => self.discovery.check_link(files, compressed, &link),
            Task::Told(Change::Folders) => self.timers.scan_soon(),
            Task::Told(Change::Overflow) => {
                debug!("events were lost: every file is looked at");
                self.discovery.sources.list_again();
                self.discovery.beyond.doubt();
                self.timers.scan_now(self.ctx.time.now());
                self.to_check.clear();
                for id in files.registry.ids() {
                    files.queue.later(Task::Check(id));
                }
            }
            Task::Told(change) => {
                self.events
                    .told(&mut self.discovery, files, compressed, change);
            }
        }
    }

    /// Takes in what the kernel has told, or a part of it if that is very much.
    pub(crate) fn changes(&mut self) {
        for _ in 0..BUFFERS_AT_ONCE {
            let more = self.discovery.sources.changes(&mut self.files.queue);
            self.go_on();
            if !more {
                break;
            }
        }
        find_missing(&mut self.files, false);
        self.go_on();
    }

    /// Looks at everything the patterns match that is not known to be unchanged.
    pub(crate) fn scan(&mut self) {
        let (files, compressed) = (&mut self.files, &mut self.compressed);
        let starting = !files.scanned();
        if starting {
            begin_start(files);
        }
        let (cost, found) = self.discovery.begin_scan(files, compressed);
        self.go_on();
        let many = found.len() >= MANY;
        self.consider_all(found);
        if many {
            memory::give_back();
        }
        self.discovery.try_again(&mut self.files.queue);
        self.go_on();
        if starting && !self.files.is_short() {
            recover_unclaimed(&mut self.files, &mut self.compressed);
            self.go_on();
        }
        find_late_copies(&mut self.files);
        self.go_on();
        self.events.miss_unseen(&self.discovery, &self.files);
        self.find_and_settle(true);
        let (files, compressed) = (&mut self.files, &mut self.compressed);
        self.discovery.end_scan(files, compressed);
        let told = !self.discovery.sources.polls();
        let now = self.ctx.time.now();
        self.timers.scanned(now, cost, told, &self.ctx.options);
    }

    /// Looks at what a scan has found; at the start, files whose positions are known come first.
    fn consider_all(&mut self, found: FoundFiles) {
        let known_first = !self.files.scanned() && has_unclaimed(&self.files);
        // A log is known before its copies.
        let places = found.shortest_first();
        let all = || places.iter().filter_map(|place| found.get(*place));
        for (path, inode) in all().filter(|_| known_first) {
            if self.files.registry.is_at(&path, inode) || !has_unclaimed(&self.files) {
                continue;
            }
            let (files, compressed) = (&mut self.files, &mut self.compressed);
            consider_claimed(files, compressed, &mut self.discovery.sources, &path);
            self.go_on();
        }
        for (path, inode) in all() {
            let (files, compressed) = (&mut self.files, &mut self.compressed);
            if self.discovery.is_known(files, compressed, (&path, inode))
                || files.registry.is_at(&path, inode)
            {
                continue;
            }
            self.discovery.consider_next(files, compressed, &path);
            self.go_on();
        }
        self.discovery.goes_on();
    }

    /// Looks at files of which nobody tells changes.
    pub(crate) fn poll_files(&mut self) {
        self.discovery.sources.poll(&mut self.files);
        self.go_on();
        wake(&mut self.files);
        self.find_and_settle(false);
    }

    fn find_and_settle(&mut self, scanned: bool) {
        find_missing(&mut self.files, scanned);
        self.go_on();
        settle_quarantined(&mut self.files);
        self.go_on();
        if self.drain_seen > 0 {
            self.release_copies();
        }
        self.compressed.settle(&mut self.files, false);
    }

    /// Looks at the next few files, so that each has its turn however many there are.
    pub(crate) fn check_some(&mut self) {
        let files = &mut self.files;
        self.discovery.try_again(&mut files.queue);
        if self.to_check.is_empty() {
            self.to_check = files.registry.ids();
        }
        let from = self.to_check.len().saturating_sub(CHECKED_AT_ONCE);
        for id in self.to_check.drain(from..).rev() {
            files.queue.later(Task::Check(id));
        }
        self.go_on();
    }

    /// Looks at links and what is behind them.
    pub(crate) fn check_links(&mut self) {
        for link in self.files.links.all() {
            self.files.queue.later(Task::CheckLink(link.to_path_buf()));
        }
        self.go_on();
    }

    /// Makes records of pieces whose next one does not come.
    pub(crate) fn end_pieces(&mut self) {
        self.reader.end_pieces(&mut self.files);
    }

    /// Reads one file for one turn. `false`: there is nothing to do, or no room for it.
    pub(crate) fn read_turn(&mut self) -> bool {
        let more = self.reader.read_turn(&mut self.files);
        self.go_on();
        more
    }

    /// Goes on looking into compressed files. `false`: there is nothing to do at the moment.
    pub(crate) fn search_on(&mut self) -> bool {
        let more = self.compressed.search_on(&mut self.files);
        self.go_on();
        more
    }

    /// Takes in what has left the host and has it written; `last`: now, and waits for it.
    pub(crate) fn save(&mut self, last: bool) {
        self.files.take_confirmed();
        self.go_on();
        if let Some(kept) = &mut self.files.checkpointer {
            kept.save(&self.files.registry, &self.ctx.time, last);
        }
    }

    /// What there is to say, and who says it.
    pub(crate) fn known(&mut self) -> (&mut Publisher, Known<'_>) {
        let known = Known {
            files: &self.files,
            reader: &self.reader,
            compressed: &self.compressed,
            discovery: &self.discovery,
            drained: self.drain_seen > 0,
        };
        (&mut self.publisher, known)
    }

    // Timers.

    fn timers(&mut self, now: Instant) {
        let ctx = self.ctx.clone();
        if self.needs_poll() && self.timers.poll(now) {
            self.poll_files();
        }
        if self.timers.check(now, &ctx.options) {
            remove_old(&mut self.files);
            self.go_on();
            self.check_some();
            self.end_pieces();
        }
        if self.timers.check_links(now, &ctx.options) {
            self.check_links();
        }
    }

    fn needs_poll(&self) -> bool {
        self.discovery.sources.polls()
            || self.files.registry.restless().len() > 0
            || !self.files.windows.is_empty()
            || self.compressed.unsettled()
            || self.compressed.searches()
    }

    pub(crate) fn next_timer(&self) -> Instant {
        let links = !self.files.links.is_empty();
        let next = self.timers.next(self.needs_poll(), links);
        let next = self.publisher.next().map_or(next, |at| next.min(at));
        let next = self
            .ctx
            .shared
            .next_telling()
            .map_or(next, |at| next.min(at));
        next.min(self.next_save()).min(self.next_question())
    }

    fn next_save(&self) -> Instant {
        let kept = self.files.checkpointer.as_ref();
        let next = kept.and_then(Checkpointer::next_save);
        next.unwrap_or_else(|| self.ctx.time.now() + LONG)
    }

    /// When the host is to be asked next what it still has.
    fn next_question(&self) -> Instant {
        if self.ctx.shared.unconfirmed() {
            self.timers.next_question()
        } else {
            self.ctx.time.now() + LONG
        }
    }

    // Draining.

    fn begin_drain(&mut self, request: u64) {
        self.drain_seen = request;
        self.publisher.begin_drain();
        if self.ctx.options.ignore_older.is_some() {
            // Nobody may have told yet that one which was too old is written to.
            self.discovery.sources.list_again();
        }
        self.scan();
        self.release_copies();
        self.compressed.settle(&mut self.files, false);
        self.files.stage = Stage::Draining(request);
        self.files.registry.begin_drain();
        for id in self.files.registry.ids() {
            self.files.look_at(id);
            self.go_on();
            self.files.observe(id, Observation::Drained);
        }
        self.go_on();
    }

    /// A drain waits for no copy.
    fn release_copies(&mut self) {
        // A copy is told from a new file by its original.
        let originals = self.files.registry.quarantined();
        for id in originals.map(|(_, id)| id).collect::<Vec<_>>() {
            self.files.look_at(id);
        }
        self.go_on();
        release_quarantined(&mut self.files);
        self.go_on();
    }

    /// Ends the drain if everything is read. `true`: there is more to do at once.
    fn end_drain(&mut self) -> bool {
        let Stage::Draining(request) = self.files.stage else {
            return false;
        };
        if self.files.registry.drains() > 0 || self.compressed.searches() {
            return false;
        }
        self.compressed.settle(&mut self.files, true);
        if self.compressed.searches() || self.compressed.unsettled() {
            return true;
        }
        match self.give_way() {
            Way::Over => {}
            Way::Waits => return self.files.registry.ready().len() > 0,
            Way::GoesOn => return true,
        }
        self.compressed.ask_unclear_again();
        say_cut(&self.files);
        for id in self.files.registry.ids() {
            self.reader.end_drained(&mut self.files, id);
        }
        self.reader.flush(&self.ctx);
        let (publisher, known) = self.known();
        publisher.set_report(known);
        self.ctx.shared.push(Item::DrainEnd(request));
        self.files.stage = Stage::Following;
        false
    }

    /// Everything that is followed has been read for a drain: files give way to those that wait.
    fn give_way(&mut self) -> Way {
        let stops = self.ctx.shared.drain_purpose() == Purpose::Stop;
        if stops || !self.discovery.beyond.waits() {
            return Way::Over;
        }
        let before = self.discovery.beyond.have_given_way();
        self.discovery.beyond.take(self.compressed.take_settled());
        // Those that are closed may stay where they are, as long as there is room.
        let open = self.files.handles.ids();
        self.have_give_way(open);
        if is_full(&self.files, &self.compressed) {
            self.have_give_way(self.files.registry.ids());
        }
        if self.discovery.beyond.have_given_way() / MANY > before / MANY {
            memory::give_back();
        }
        // Those of which something is with the host stay until that has left it.
        if is_full(&self.files, &self.compressed) {
            let mut files = self.files.registry.iter();
            return match files.any(|(_, file)| file.life.is_let_go()) {
                true => Way::Waits,
                false => Way::Over,
            };
        }
        // No more than can be open, so that each is opened once.
        let many = self.files.handles.room().max(FEW);
        let first = self.files.registry.count();
        for _ in 0..many {
            let (files, compressed) = (&mut self.files, &mut self.compressed);
            let taken = self.discovery.take_one(files, compressed);
            self.go_on();
            if !taken {
                break;
            }
        }
        self.discovery.goes_on();
        if self.discovery.beyond.knows_no_path() {
            self.scan();
        }
        self.release_copies();
        for number in first..self.files.registry.count() {
            self.files.observe(FileId(number), Observation::Drained);
        }
        self.go_on();
        Way::GoesOn
    }

    /// Has those of these files give way that are read to their end.
    fn have_give_way(&mut self, ids: Vec<FileId>) {
        for id in ids {
            if self.discovery.beyond.gives_way(&self.files, id) {
                self.reader.end_given_way(&mut self.files, id);
                self.files.observe(id, Observation::GivesWay);
                self.go_on();
            }
        }
    }

    /// Reads files for a turn each: several as long as they are short, since whatever else is to be done is
    /// looked for behind each. `false`: there is nothing to do, or no room for it.
    fn read_turns(&mut self) -> bool {
        let enough = self.reader.bytes() + self.ctx.options.block as u64;
        for _ in 0..FEW {
            if !self.read_turn() {
                return false;
            }
            if self.reader.bytes() >= enough {
                break;
            }
        }
        true
    }
}

#[cfg(test)]
impl Worker {
    /// One that is driven by a test, step by step.
    pub(crate) fn with(options: &[(&str, &str)]) -> Self {
        Worker::at(options, crate::time::Time::default())
    }

    /// The same with these clocks.
    pub(crate) fn at(options: &[(&str, &str)], time: crate::time::Time) -> Self {
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
    fn what_the_kernel_tells_may_wait_and_who_calls_does_not() {
        let time = crate::time::Time::simulated(Duration::from_secs(1_700_000_000));
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("a.log");
        std::fs::write(&log, "one\n").unwrap();
        let mut worker = Worker::at(&[("path", log.to_str().unwrap())], time.clone());
        worker.scan();
        worker.changes();
        let later = time.now() + LONG;
        std::fs::write(&log, "one\ntwo\n").unwrap();
        worker.wait(later, true);
        let listens = time.now() + DEAF;
        assert_eq!(worker.listens.get(), listens);
        assert!(listens > time.now());
        // Time stands still, so it would be heard only behind this.
        std::fs::write(&log, "one\ntwo\nthree\n").unwrap();
        time.advance(DEAF / 2);
        worker.ctx.shared.start_drain(LONG, Purpose::Stop);
        worker.wait(later, true);
        assert_eq!(worker.listens.get(), listens);
        time.advance(DEAF / 2);
        worker.wait(later, true);
        assert_eq!(worker.listens.get(), time.now() + DEAF);
        // Nobody calls: what the kernel has to tell is not listened to before that, however short the wait is.
        let listens = worker.listens.get();
        time.advance(DEAF / 2);
        worker.wait(listens, true);
        assert_eq!(worker.listens.get(), listens);
        time.advance(DEAF);
        worker.wait(later, true);
        assert!(worker.listens.get() > listens);
    }

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
        assert_eq!(worker.files.registry.len(), 1);
        assert!(worker.next_timer() > Instant::now());
    }
}
