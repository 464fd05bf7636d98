//! Where a file is in its life, which goes on in [`crate::track::transition`].

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::track::file::FileId;

/// What a file is to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It is read as it grows. While it waits for its turn: since when. Else when its end was last
    /// reached, when it left its place, or since when it is followed.
    Active { since: Instant },
    /// It begins like another file, of which it may become a copy: not read before that is settled.
    Quarantined(Box<Quarantine>),
    /// It is not followed any more; kept until what was read of it has left the host, or until it is
    /// removed.
    AwaitingAck,
}

/// Why and since when a file is not read yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Quarantine {
    pub(crate) original: FileId,
    pub(super) since: Instant,
}

/// Where a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place<'a> {
    /// It can be opened there; if the patterns match its path it stays, else it is read to its end.
    Named { path: &'a Arc<Path>, matched: bool },
    /// Deleted, or renamed to where nobody looks; it is open.
    Unlinked,
    /// The same, but it was closed: it is looked for where it was last. If it was deleted there, only a
    /// scan may find another name of it.
    Missing { last: &'a Arc<Path>, deleted: bool },
}

/// What kind of place it is. Apart from its path, since there may be ten thousand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Site {
    Matched,
    Unmatched,
    Unlinked,
    Missing,
    Deleted,
}

/// Whether a last line without a newline is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LastLine {
    /// Its writer may go on with it.
    Open,
    /// The file was rotated: it is complete when nothing comes any more.
    Due,
    /// It was handed over.
    Complete,
}

/// Whether there is something to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It was read to its end, as far as is known.
    Idle,
    /// It waits to be read.
    Waiting,
}

/// Where a file is in its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Life {
    pub(super) phase: Phase,
    /// Where it is, or was last while it is looked for.
    pub(super) path: Option<Arc<Path>>,
    pub(super) site: Site,
    pub(super) last_line: LastLine,
    pub(super) turn: Turn,
}

impl Site {
    pub(super) fn named(matched: bool) -> Self {
        if matched {
            Site::Matched
        } else {
            Site::Unmatched
        }
    }
}

impl Life {
    /// A file was found at `path`.
    pub(crate) fn begin(path: Arc<Path>, matched: bool, now: Instant) -> Self {
        Life {
            phase: Phase::Active { since: now },
            path: Some(path),
            site: Site::named(matched),
            last_line: LastLine::Open,
            turn: Turn::Idle,
        }
    }

    pub(crate) fn place(&self) -> Place<'_> {
        let matched = self.site == Site::Matched;
        match (self.site, &self.path) {
            (Site::Matched | Site::Unmatched, Some(path)) => Place::Named { path, matched },
            (Site::Missing, Some(last)) => Place::Missing {
                last,
                deleted: false,
            },
            (Site::Deleted, Some(last)) => Place::Missing {
                last,
                deleted: true,
            },
            (_, _) => Place::Unlinked,
        }
    }

    /// Where it can be opened.
    pub(crate) fn path(&self) -> Option<&Arc<Path>> {
        match self.place() {
            Place::Named { path, .. } => Some(path),
            Place::Unlinked | Place::Missing { .. } => None,
        }
    }

    /// The patterns match its path.
    pub(crate) fn matched(&self) -> bool {
        self.site == Site::Matched
    }

    pub(crate) fn quarantine(&self) -> Option<&Quarantine> {
        match &self.phase {
            Phase::Quarantined(quarantine) => Some(quarantine),
            Phase::Active { .. } | Phase::AwaitingAck => None,
        }
    }

    pub(crate) fn is_let_go(&self) -> bool {
        self.phase == Phase::AwaitingAck
    }

    /// It was renamed, or is the copy of a truncated file.
    pub(crate) fn is_rotated(&self) -> bool {
        self.last_line != LastLine::Open
    }

    pub(crate) fn waits_for_turn(&self) -> bool {
        self.turn == Turn::Waiting
    }

    /// It was read to its end, as far as is known, and may be closed or let go.
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Active { .. }) && self.turn == Turn::Idle
    }

    /// While it waits for its turn: since when. Else when its end was last reached, when it left its
    /// place, or since when it is followed.
    pub(crate) fn since(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Active { since } => Some(*since),
            Phase::Quarantined(quarantine) => Some(quarantine.since),
            Phase::AwaitingAck => None,
        }
    }

    /// Nobody may tell of what happens to it next: it is looked at often.
    pub(crate) fn is_restless(&self) -> bool {
        match self.phase {
            Phase::AwaitingAck => false,
            Phase::Quarantined(_) => true,
            Phase::Active { .. } => self.last_line == LastLine::Due || !self.matched(),
        }
    }

    /// If nothing has come by now, its text ends here.
    pub(crate) fn ends(&self, now: Instant, rotate_wait: Duration) -> bool {
        let Phase::Active { since } = self.phase else {
            return false;
        };
        let due = self.last_line == LastLine::Due || !self.matched();
        due && self.turn == Turn::Idle && now.saturating_duration_since(since) >= rotate_wait
    }

    pub(super) fn leave(&mut self, site: Site, last: Option<Arc<Path>>, now: Instant) {
        self.site = site;
        self.path = last;
        self.wait_for_more(now);
    }

    pub(super) fn queue(&mut self, now: Instant) {
        if self.is_idle() {
            self.phase = Phase::Active { since: now };
            self.turn = Turn::Waiting;
        }
    }

    /// The file has left its place, and its writer need not know that yet: however long there was
    /// nothing new in it before, `rotate_wait` counts from now.
    pub(super) fn wait_for_more(&mut self, now: Instant) {
        if self.is_idle() {
            self.phase = Phase::Active { since: now };
        }
    }
}
