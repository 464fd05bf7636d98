//! When the worker does what nobody tells it to do.

use std::time::{Duration, Instant};

use crate::host::acks::LOOK;
use crate::options::Options;
use crate::pace::SHARE;

/// How often files are looked at of whose changes nobody tells.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// At most this part of the time is spent on scans when the kernel has told of folders, or tells
/// nothing of them at all.
const SHARE_IF_TOLD: u32 = 20;

/// What comes next.
#[derive(Debug)]
pub(crate) struct Timers {
    scan: Instant,
    /// Not before this, whatever the kernel tells of folders.
    scan_allowed: Instant,
    check: Instant,
    check_links: Instant,
    poll: Instant,
    question: Instant,
}

impl Timers {
    /// Everything is due.
    pub(crate) fn new(now: Instant) -> Self {
        Timers {
            scan: now,
            scan_allowed: now,
            check: now,
            check_links: now,
            poll: now,
            question: now,
        }
    }

    pub(crate) fn scan_is_due(&self, now: Instant) -> bool {
        now >= self.scan
    }

    /// A scan is over that has cost so much; `told`: the kernel tells of changes in all folders.
    pub(crate) fn scanned(&mut self, now: Instant, cost: Duration, told: bool, options: &Options) {
        self.scan_allowed = now + cost * SHARE_IF_TOLD;
        let share = if told { SHARE } else { SHARE_IF_TOLD };
        self.scan = now + options.refresh_interval.max(cost * share);
    }

    /// Something has happened to folders.
    pub(crate) fn scan_soon(&mut self) {
        self.scan = self.scan_allowed;
    }

    /// What has happened is not known.
    pub(crate) fn scan_now(&mut self, now: Instant) {
        self.scan = now;
    }

    /// Whether files are to be polled now.
    pub(crate) fn poll(&mut self, now: Instant) -> bool {
        due(&mut self.poll, now, POLL_INTERVAL)
    }

    pub(crate) fn check(&mut self, now: Instant, options: &Options) -> bool {
        due(&mut self.check, now, options.check_interval)
    }

    pub(crate) fn check_links(&mut self, now: Instant, options: &Options) -> bool {
        due(&mut self.check_links, now, options.watcher_interval)
    }

    /// Whether the host is to be asked now what it still has.
    pub(crate) fn question(&mut self, now: Instant) -> bool {
        due(&mut self.question, now, LOOK)
    }

    /// When the host is to be asked next.
    pub(crate) fn next_question(&self) -> Instant {
        self.question
    }

    /// When something is due.
    pub(crate) fn next(&self, polls: bool, links: bool) -> Instant {
        let mut next = self.scan.min(self.check);
        if links {
            next = next.min(self.check_links);
        }
        if polls {
            next = next.min(self.poll);
        }
        next
    }
}

fn due(timer: &mut Instant, now: Instant, interval: Duration) -> bool {
    let due = now >= *timer;
    if due {
        *timer = now + interval;
    }
    due
}
