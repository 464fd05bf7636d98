//! What the instance says of itself: how much is unread, and the report of its files.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::{info, warn};

use crate::compressed::left_alone::Compressed;
use crate::counters::Trouble;
use crate::host::queue::Row;
use crate::read::reader::Reader;
use crate::track::discovery::Discovery;
use crate::track::file::{FileId, TrackedFile};
use crate::track::files::Files;
use crate::track::quarantine::awaits_release;

/// How often a busy worker says what is unread.
const PUBLISH_INTERVAL: Duration = Duration::from_millis(100);
/// At most this part of the time is spent on saying it.
const PUBLISH_SHARE: u32 = 20;
/// Files named in the log when a drain's deadline passes; the others are only counted.
const NAMED_UNREAD: usize = 20;
/// Finished files kept for the report; the others are summed up.
const REPORTED: usize = 1000;

/// Where what is said comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known<'a> {
    pub(crate) files: &'a Files,
    pub(crate) reader: &'a Reader,
    pub(crate) compressed: &'a Compressed,
    pub(crate) discovery: &'a Discovery,
    /// A drain was asked for.
    pub(crate) drained: bool,
}

/// Says where the instance is.
#[derive(Debug)]
pub(crate) struct Publisher {
    next: Instant,
    /// Not before this, since saying it takes long with many files.
    allowed: Instant,
    /// There may be more to say than was said last.
    unpublished: bool,
    finished: Vec<Row>,
    finished_more: u64,
    /// How many files were ever found, are followed and are finished in the report that is out.
    reported: (u64, usize, usize),
    said_unread: bool,
}

impl Publisher {
    pub(crate) fn new(now: Instant) -> Self {
        Publisher {
            next: now,
            allowed: now,
            unpublished: false,
            finished: Vec::new(),
            finished_more: 0,
            reported: (0, 0, 0),
            said_unread: false,
        }
    }

    /// When there is something to say.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.unpublished.then_some(self.allowed)
    }

    /// Says where the instance is, if it is time; while it is busy, only so often.
    pub(crate) fn publish(&mut self, known: Known<'_>, waits: bool) {
        let now = known.files.ctx.time.now();
        self.unpublished = now < self.allowed || !waits && now < self.next;
        if !self.unpublished {
            self.publish_now(known);
        }
    }

    pub(crate) fn publish_now(&mut self, known: Known<'_>) {
        let Known {
            files,
            reader,
            compressed,
            discovery,
            drained,
        } = known;
        let ctx = &files.ctx;
        let now = ctx.time.now();
        self.next = now + PUBLISH_INTERVAL;
        let registry = &files.registry;
        let ready = || registry.ready().filter_map(|id| registry.get(id));
        let ahead: u64 = ready().map(TrackedFile::ahead).sum();
        let oldest = ready()
            .filter_map(|file| Some(now.saturating_duration_since(file.life.since()?).as_secs()))
            .max();
        // A drain that leaves files out is not complete; before one, they do not make a tail busy.
        let unsettled = compressed.unsettled_bytes();
        let beyond = discovery.beyond.bytes().saturating_add(unsettled) * u64::from(drained);
        let unread = ahead
            .saturating_add(files.windows.left_of_all())
            .saturating_add(reader.unfinished())
            .saturating_add(beyond);
        let waits = if drained {
            awaits_release(files)
        } else {
            registry.quarantined().next().is_some()
        };
        let idle = registry.ready().len() == 0
            && reader.is_idle()
            && !waits
            && !compressed.searches()
            && files.windows.reading() == 0;
        ctx.counters.files.set(registry.len() as u64);
        ctx.counters.files_open.set(files.handles.count() as u64);
        ctx.counters.lag_seconds.set(oldest.unwrap_or(0));
        let unreadable = ctx.troubles.unreadable() as u64;
        // What is in folders that are not looked into is not known.
        let unreadable = unreadable + discovery.sources.beyond();
        let missed = unreadable + ctx.counters.errors_of(Trouble::Missed).get();
        let followed = registry.len() as u64;
        let lag = ctx.shared.publish(idle, (followed, missed), unread);
        ctx.counters.lag_bytes.set(lag);
        // Before a drain only paths matter, so what is read makes no new report.
        let reported = (registry.count(), registry.len(), self.finished.len());
        if files.is_draining() || reported != self.reported {
            self.reported = reported;
            self.set_report(known);
        }
        self.allowed = now + ctx.time.since(now) * PUBLISH_SHARE;
    }

    /// A drain begins.
    pub(crate) fn begin_drain(&mut self) {
        self.said_unread = false;
    }

    /// Names what is unread when a drain's deadline has passed, once.
    pub(crate) fn say_unread(&mut self, known: Known<'_>) {
        if self.said_unread || !known.files.is_draining() {
            return;
        }
        self.said_unread = true;
        let files = known.files;
        let mut unread: Vec<(u64, &Arc<Path>)> = files
            .registry
            .iter()
            .map(|(id, file)| (file.unread() + files.windows.left(id), &file.name))
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
        self.set_report(known);
    }

    /// Keeps what a file has given for the report.
    pub(crate) fn note_finished(&mut self, id: FileId, file: &TrackedFile) {
        if file.read == 0 {
            return;
        }
        if self.finished.len() < REPORTED {
            self.finished.push(row(id, file));
        } else {
            self.finished_more += file.read;
        }
    }

    pub(crate) fn set_report(&self, known: Known<'_>) {
        let files = known.files;
        let beyond = known.discovery.beyond.bytes();
        files.ctx.shared.set_report(|rows| {
            let live = files.registry.iter();
            let live = live.filter(|(_, file)| !file.life.is_let_go());
            rows.reserve_exact(files.registry.len() + self.finished.len() + 1);
            rows.extend(self.finished.iter().cloned());
            rows.extend(live.map(|(id, file)| {
                let mut row = row(id, file);
                row.unread += files.windows.left(id);
                row
            }));
            rows.extend(known.compressed.unknown().map(|file| Row {
                file: Some((FileId::NONE, file.path.clone())),
                read: 0,
                unread: file.growth.size(),
            }));
            if self.finished_more > 0 || beyond > 0 {
                rows.push(Row {
                    file: None,
                    read: self.finished_more,
                    unread: beyond,
                });
            }
        });
    }
}

fn row(id: FileId, file: &TrackedFile) -> Row {
    Row {
        file: Some((id, file.name.clone())),
        read: file.read,
        unread: file.unread(),
    }
}

#[cfg(test)]
mod tests {
    use crate::worker::Worker;

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
            for _ in 0..2 {
                let (publisher, known) = worker.known();
                publisher.publish(known, true);
                put_off = publisher.unpublished;
            }
        }
        let (publisher, _) = worker.known();
        let allowed = publisher.allowed;
        assert!(worker.next_timer() <= allowed);
        let (publisher, known) = worker.known();
        while publisher.unpublished {
            publisher.publish(known, true);
        }
    }
}
