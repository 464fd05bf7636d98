//! The plugin as the host sees it: everything here runs on the host's thread and never waits,
//! but for the one bounded wait when the engine stops.

use std::io::{self, ErrorKind};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use flb_sidecar_sdk::drain::Drain;
use flb_sidecar_sdk::own_file::{is_in_the_way, ReadFolder};
use flb_sidecar_sdk::{worker, ConfigError, Input, InputHost, PluginInfo, Settings, Wake, Why};
use tracing::{error, info, warn};

use crate::checkpoint::import_stock;
use crate::checkpoint::other_tails::{self, Followed};
use crate::checkpoint::store::Store;
use crate::counters::{Counters, Trouble};
use crate::fs::Fs;
use crate::host::acks::Acks;
use crate::host::losses::Losses;
use crate::host::multiline::{HostMultiline, Join};
use crate::host::parser::HostParser;
use crate::host::queue::{Item, Purpose, Shared};
use crate::options::{Options, OPTIONS};
use crate::time::Time;
use crate::worker::Worker;

/// Bytes handed over in one call, so that other inputs of the engine have their turn.
const PER_CALL: usize = 1 << 20;
/// Bytes after which the host is asked to dispatch what it has: between two of its flushes a file
/// read at full speed would fill the memory.
const DISPATCH: usize = 4 << 20;
/// Bytes that may be under way to the outputs at once where the host keeps them in files: it throws
/// old ones away for lack of room, even if the outputs take everything, only not as fast as a file is
/// read.
const UNDER_WAY: u64 = 1 << 20;
/// How long that may last if nothing is delivered and nothing fails.
const UNDER_WAY_FOR: Duration = Duration::from_secs(1);
/// How long the engine's stop may be held up by reading what is left.
const AT_STOP: Duration = Duration::from_millis(900);

/// The input `sidecar_tail`.
#[derive(Debug)]
pub struct SidecarTail {
    shared: Arc<Shared>,
    worker: Option<JoinHandle<()>>,
    acks: Acks,
    losses: Losses,
    counters: Counters,
    parser: Option<HostParser>,
    multiline: Option<HostMultiline>,
    /// Bytes appended since the host was last asked to dispatch.
    undispatched: usize,
    /// Until when nothing is appended, unless what is under way becomes less.
    held_until: Option<Instant>,
    /// Positions are kept, so it matters what has left the host.
    keeps_positions: bool,
    /// The engine stops, and what was left has been read.
    finished: bool,
    at_end: AtEnd,
    /// No file of an output of ours takes the place of these.
    _read: Vec<ReadFolder>,
}

/// What happens when all files have been read to their end (`exit_on_eof`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AtEnd {
    /// Nothing, or it has happened.
    ReadOn,
    /// As soon as there is a file, everything is drained.
    Drain,
    /// When this drain is done, the engine ends.
    Exit(u64),
}

/// The engine stops, and what is left is handed over.
#[derive(Debug)]
pub(crate) struct Stop {
    until: Instant,
    request: u64,
    /// Batches that the host took.
    taken: usize,
}

/// How a delivery ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Delivery {
    /// The queue is empty.
    All,
    /// There is more, for the next call.
    Some,
    /// The host takes nothing at the moment.
    Refused,
}

/// The volume takes no more files.
fn has_no_room(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded
    )
}

impl SidecarTail {
    /// An instance, and the worker that is to run on a thread of its own.
    pub(crate) fn made(
        settings: &Settings,
        host: &mut dyn InputHost,
        time: Time,
        fs: Fs,
    ) -> Result<(Self, Worker), ConfigError> {
        let mut options = Options::read(settings, host)?;
        let shared = Arc::new(Shared::new(time).map_err(|error| {
            ConfigError::other(format!("cannot create an event descriptor: {error}"))
        })?);
        let counters = Counters::new(host.metrics());
        let followed = Followed {
            paths: &settings.list("path"),
            excludes: &settings.list("exclude_path"),
            globs: &options.globs,
        };
        other_tails::check(followed, options.db.as_deref(), &fs, host)?;
        let mut taken_over = Vec::new();
        if let Some(db) = options.db.take() {
            let strangers = counters.errors_of(Trouble::InTheWay);
            let store = Store::beside(&fs, &db, options.max_files, &strangers);
            match store.check() {
                Ok(()) => {
                    let alone = store.number().map(|state| shared.is_alone_with(state));
                    if matches!(alone, Ok(false)) {
                        return Err(ConfigError::value(
                            "db",
                            &db.to_string_lossy(),
                            "a path of its own for each instance: another one keeps its positions there",
                        ));
                    }
                    let lines = options.source.has_newlines();
                    taken_over = import_stock::positions(&fs, &db, &store, lines, host);
                    if host.pending().is_none() {
                        warn!("this host does not tell what is delivered: positions are not kept");
                    }
                    options.db = Some(db);
                }
                // The worker waits for it.
                Err(_) if store.folder_to_come(&fs, &options.globs).is_some() => {
                    options.db = Some(db);
                }
                // Whoever put it there, or filled the volume, must not keep the lines from being read. Positions
                // that are there are not passed by.
                Err(error) if is_in_the_way(&error) || has_no_room(&error) && !store.is_there() => {
                    error!("positions are not kept, and the next start reads anew: {error}");
                }
                Err(error) => {
                    return Err(ConfigError::value(
                        "db",
                        &db.to_string_lossy(),
                        format_args!(
                            "a path in a folder where state can be kept ({})",
                            Why(&error)
                        ),
                    ));
                }
            }
        }
        let multiline = match options.join.clone() {
            Some(join) => Some(HostMultiline::new(&options, join, host)?),
            None => None,
        };
        if let Some(join) = &options.join {
            let unused = options.parser.take();
            if unused.is_some() && !matches!(join, Join::Docker { .. }) {
                warn!("lines are joined, so parser is not used");
            }
        }
        let parser = options
            .parser
            .as_deref()
            .map(|name| HostParser::new(name, &options.key, host))
            .transpose()?
            .flatten();
        if options.parser.is_some() && options.format.is_some() {
            return Err(ConfigError::other(
                "options 'parser' and 'format' are both given: allowed is one of them",
            ));
        }
        let at_end = if options.exit_on_eof {
            AtEnd::Drain
        } else {
            AtEnd::ReadOn
        };
        let keeps_positions = options.db.is_some() || options.remove_after.is_some();
        let read = options.globs.roots().map(ReadFolder::new).collect();
        let time = shared.time();
        let mut worker = Worker::new(
            options,
            host.tag(),
            host.record_format(),
            shared.clone(),
            counters.clone(),
            fs,
        );
        if let Some(checkpointer) = &mut worker.files.checkpointer {
            checkpointer.taken_over = taken_over;
        }
        let tail = SidecarTail {
            shared,
            worker: None,
            acks: Acks::new(time),
            losses: Losses::default(),
            counters,
            parser,
            multiline,
            undispatched: 0,
            held_until: None,
            at_end,
            keeps_positions,
            finished: false,
            _read: read,
        };
        Ok((tail, worker))
    }

    /// Appends up to `limit` bytes; also says how many batches the host took.
    fn deliver(&mut self, host: &mut dyn InputHost, limit: usize) -> (Delivery, usize) {
        let mut batches = 0;
        let mut bytes = 0;
        while bytes < limit {
            match self.shared.pop() {
                None => return (Delivery::All, batches),
                Some(Item::DrainEnd(request)) => {
                    let waiting = self.flush_joined(true);
                    if waiting.is_empty() {
                        self.shared.drain_ended(request);
                    } else {
                        let end = std::iter::once(Item::DrainEnd(request));
                        let items: Vec<Item> = waiting.into_iter().chain(end).collect();
                        self.shared.put_first(items.into_iter());
                    }
                }
                Some(Item::FileEnd(file)) => {
                    let rest = self.multiline.as_mut().and_then(|m| m.end(file));
                    self.shared.put_first(rest.map(Item::Batch).into_iter());
                }
                Some(Item::Batch(mut batch)) => {
                    if let Some(multiline) = self.multiline.as_mut().filter(|_| !batch.parsed) {
                        let before = batch.events.len();
                        multiline.join(&mut batch, host);
                        batch.parsed = true;
                        self.shared.resized(before, batch.events.len());
                    }
                    if let Some(parser) = self.parser.as_mut().filter(|_| !batch.parsed) {
                        let before = batch.events.len();
                        parser.parse(&mut batch, &self.counters);
                        batch.parsed = true;
                        self.shared.resized(before, batch.events.len());
                    }
                    // A good moment to ask: what is appended next would only be in the way.
                    if let Some(reaches) = self.acks.all_delivered(host) {
                        self.shared.confirm(reaches);
                    }
                    let appends = u64::from(batch.records > 0);
                    let born = host.chunks().map(|chunks| chunks.born);
                    // A batch of skipped lines has nothing for the host, only how far it reaches.
                    if batch.records > 0 {
                        let tag = batch.tag.as_deref();
                        if host.append(tag, batch.records, &batch.events).is_err() {
                            self.shared.put_back(batch);
                            return (Delivery::Refused, batches);
                        }
                        bytes += batch.events.len();
                        batches += 1;
                        self.undispatched += batch.events.len();
                        if self.undispatched >= DISPATCH {
                            self.undispatched = 0;
                            host.flush();
                        }
                    }
                    if self.keeps_positions {
                        match born {
                            Some(born) if appends > 0 => {
                                self.losses.appended(&batch.reaches, born);
                            }
                            Some(_) => self.losses.skipped(&batch.reaches),
                            None => {}
                        }
                        self.look_for_losses(host);
                        self.acks.appended(&batch.reaches, appends);
                        self.shared.set_unconfirmed(true);
                    }
                    self.shared.delivered(batch);
                }
            }
        }
        (Delivery::Some, batches)
    }

    /// What the host's multiline parsers let out now.
    fn flush_joined(&mut self, all: bool) -> Vec<Item> {
        let batches = self.multiline.as_mut().map(|m| m.flush(all));
        let batches = batches.unwrap_or_default();
        batches.into_iter().map(Item::Batch).collect()
    }

    /// Ends the engine when all has been handed over, if that is wanted.
    fn exit_at_end(&mut self, host: &mut dyn InputHost) {
        match self.at_end {
            AtEnd::ReadOn => {}
            AtEnd::Drain => {
                let status = self.shared.status();
                if status.files > 0 || status.records > 0 {
                    self.at_end =
                        AtEnd::Exit(self.shared.start_drain(Duration::MAX, Purpose::Completion));
                }
            }
            AtEnd::Exit(drain) => {
                if self.shared.drain_done() >= drain && host.exit(0) {
                    info!("every file has been read: the engine ends");
                    self.at_end = AtEnd::ReadOn;
                }
            }
        }
    }

    /// The host pauses this input. If it does so since the engine stops, everything that is there is
    /// to be handed over now: the collectors are stopped, so what is not handed over here never is.
    pub(crate) fn begin_stop(&mut self, host: &mut dyn InputHost) -> Option<Stop> {
        self.confirm(host, true);
        if !host.is_stopping() || self.finished {
            return None;
        }
        self.finished = true;
        // Not every host says after this whether it has delivered what it takes now.
        if self.keeps_positions && self.shared.drain_is_over() {
            self.shared.freeze();
            return None;
        }
        Some(Stop {
            until: self.shared.time().now() + AT_STOP,
            request: self.shared.start_drain(AT_STOP, Purpose::Stop),
            taken: 0,
        })
    }

    /// Hands over what the worker has read. `true`: wait for more.
    pub(crate) fn stop_step(&mut self, stop: &mut Stop, host: &mut dyn InputHost) -> bool {
        loop {
            let (delivery, batches) = self.deliver(host, PER_CALL);
            stop.taken += batches;
            if delivery == Delivery::Refused {
                warn!("the host takes no more records: what is unread stays unread");
                return false;
            }
            if self.shared.drain_done() >= stop.request {
                return false;
            }
            if self.shared.time().now() >= stop.until {
                warn!("the engine stops before every file is read to its end");
                return false;
            }
            if delivery == Delivery::All {
                return true;
            }
        }
    }

    pub(crate) fn end_stop(&mut self, stop: Stop, host: &mut dyn InputHost) {
        self.shared.freeze();
        if stop.taken > 0 {
            host.flush();
        }
    }

    /// How many bytes may be appended now. `None`: much is under way to the outputs, so that waits.
    fn room(&mut self, host: &mut dyn InputHost) -> Option<usize> {
        let chunks = host.chunks().filter(|chunks| chunks.in_files);
        let under_way = chunks.map_or(0, |chunks| chunks.under_way);
        let room = usize::try_from(UNDER_WAY.saturating_sub(under_way)).unwrap_or(PER_CALL);
        let now = self.shared.time().now();
        if room > 0 || self.held_until.is_some_and(|until| now >= until) {
            self.held_until = None;
            return Some(if room > 0 { room } else { PER_CALL });
        }
        if self.held_until.is_none() {
            self.held_until = Some(now + UNDER_WAY_FOR);
            host.flush();
        }
        // Has this asked again soon.
        self.shared.set_unconfirmed(true);
        None
    }

    /// Passes on what the host has lost.
    fn look_for_losses(&mut self, host: &mut dyn InputHost) {
        if let Some(lost) = self.losses.news(host) {
            self.shared.lost(lost);
        }
    }

    /// Passes on what has left the host.
    fn confirm(&mut self, host: &mut dyn InputHost, tick: bool) {
        self.look_for_losses(host);
        if let Some(reaches) = self.acks.confirmed(host, tick) {
            self.shared.confirm(reaches);
        }
        self.shared.set_unconfirmed(self.acks.is_waiting());
    }
}

impl Input for SidecarTail {
    const INFO: PluginInfo = PluginInfo {
        name: "sidecar_tail",
        description: "Follow files, losing nothing and repeating nothing",
        options: OPTIONS,
        sensitive: true,
    };
    const TICK: Duration = Duration::from_millis(250);

    fn init(settings: &Settings, host: &mut dyn InputHost) -> Result<Self, ConfigError> {
        let (mut tail, worker) = SidecarTail::made(settings, host, Time::default(), Fs::default())?;
        let worker = worker::spawn("flb-sc-tail", move || worker.run())
            .map_err(|error| ConfigError::other(format!("cannot start a thread: {error}")))?;
        tail.worker = Some(worker);
        Ok(tail)
    }

    fn wake_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.shared.host_fd())
    }

    fn collect(&mut self, wake: Wake, host: &mut dyn InputHost) {
        self.shared.clear_host_wake();
        self.confirm(host, wake == Wake::Tick);
        // What the host has must leave it now; the next start goes on behind that.
        if self.keeps_positions && self.shared.is_closed() {
            return;
        }
        if self.keeps_positions && self.acks.wants_quiet(host, wake == Wake::Tick) {
            if wake == Wake::Tick {
                host.flush();
            }
            return;
        }
        let Some(room) = self.room(host) else {
            return;
        };
        let (delivery, batches) = self.deliver(host, room);
        match delivery {
            Delivery::Some => self.shared.wake_host(),
            Delivery::All if wake == Wake::Tick => {
                if batches == 0 {
                    self.shared.spare_less();
                }
                let waiting = self.flush_joined(false);
                if !waiting.is_empty() {
                    self.shared.put_first(waiting.into_iter());
                    self.shared.wake_host();
                }
            }
            Delivery::All | Delivery::Refused => {}
        }
        self.exit_at_end(host);
    }

    fn pause(&mut self, host: &mut dyn InputHost) {
        let Some(mut stop) = self.begin_stop(host) else {
            return;
        };
        while self.stop_step(&mut stop, host) {
            self.shared.wait_for_item(stop.until);
        }
        self.end_stop(stop, host);
    }

    fn resume(&mut self, host: &mut dyn InputHost) {
        self.collect(Wake::Event, host);
    }

    fn drain_handle(&self) -> Option<Arc<dyn Drain>> {
        Some(self.shared.clone())
    }

    fn ending(&mut self, host: &mut dyn InputHost) {
        self.confirm(host, true);
    }

    fn exit(mut self) {
        self.shared.stop();
        if let Some(worker) = self.worker.take() {
            if worker.join().is_err() {
                error!("the reading thread has panicked");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use flb_sidecar_sdk::fake::FakeHost;

    use super::*;
    use crate::fs::simulated::{Device, SimFs};

    #[test]
    fn a_volume_without_room_for_a_file_keeps_no_line_from_being_read() {
        let time = Time::simulated(Duration::from_secs(1_000_000_000));
        let disk = SimFs::new(time.clone(), Device::LOCAL);
        for folder in ["/logs", "/state"] {
            disk.make_folder(Path::new(folder)).unwrap();
        }
        let options = [("path", "/logs/*.log"), ("db", "/state/db")];
        let made = || {
            let settings = Settings::new("tail", SidecarTail::INFO.options, options).unwrap();
            let fs = Fs::simulated(disk.clone());
            let made = SidecarTail::made(&settings, &mut FakeHost::default(), time.clone(), fs);
            made.map(|(_, worker)| worker.ctx.options.db.is_some())
        };
        disk.set_full(true);
        assert!(!made().unwrap());
        disk.set_full(false);
        assert!(made().unwrap());
        // One that was made before needs no room.
        disk.set_full(true);
        assert!(made().unwrap());
        // Positions that are there are not passed by.
        let lock = Path::new("/state/db.sidecar.lock");
        disk.rename(lock, Path::new("/state/db.sidecar")).unwrap();
        let error = made().unwrap_err().to_string();
        assert!(error.contains("'db'"), "{error}");
    }
}
