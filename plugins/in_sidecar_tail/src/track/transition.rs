//! A file's life: what is seen of it makes it go on, and says what is to be done. Nothing else does.
//!
//! ```text
//!               Resembles              Released, Continued, Skipped
//!   Active ----------------> Quarantined ----------------> Active
//!      |
//!      |  at its end and quiet for `rotate_wait`, where no pattern looks (Unlinked, or a name
//!      |  that none matches); looked for in vain (Missing); too old; crowded out
//!      v
//!   AwaitingAck ----> forgotten, when all that was read of it has left the host
//! ```
//!
//! Where it is ([`crate::track::life::Place`]) and whether its last line may go on ([`LastLine`]) are questions of their own.
//! [`step`] has no clock, no files and no maps: what time it is and what only others know comes with the
//! call ([`Facts`]), what is to be done comes back ([`Effect`]).

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::track::file::FileId;
use crate::track::life::{LastLine, Life, Phase, Quarantine, Site, Turn};

/// What was seen of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Observation {
    /// It was looked at.
    Looked(Look),
    /// It was read to its end; `unfinished`: a line without its newline is there.
    ReadToEnd { unfinished: bool },
    /// A drain ends no earlier than this file does.
    Drained,
    /// It has this path now.
    Renamed { path: Arc<Path>, matched: bool },
    /// It has its first path again, and its writer goes on.
    RenamedBack { path: Arc<Path>, matched: bool },
    /// It was rotated, and that is not seen from its path.
    Rotated,
    /// It is not at its path any more, and was last there. `open`: its handle is.
    Left {
        last: Arc<Path>,
        deleted: bool,
        open: bool,
    },
    /// It was looked for where it may be, and is not there.
    NotFound,
    /// It begins like this file, whose copy it may become.
    Resembles { original: FileId },
    /// It was compared with its original again: does it still hold the same, and how long may copying
    /// take?
    Compared { alike: bool, longest: Duration },
    /// It is no copy, or nobody waits to know.
    Released,
    /// It is the copy of a truncated file: it goes on where that was.
    Continued,
    /// It is the copy of a truncated file, all of which was read.
    Skipped,
    /// It no longer holds what was read, and is read from its head.
    BeganAnew,
    /// Others need its descriptor; `unread`: it has more.
    Crowded { unread: bool },
    /// It is compressed, so it is not read as it is.
    Compressed,
    /// It was compressed, and all of its text was read.
    Unpacked,
    /// It was read to its end in a drain, and gives its place to another file.
    GivesWay,
    /// More of it has left the host.
    Acked,
    /// It was removed (`remove_after`), by us or somebody else.
    Removed,
    /// It was let go and is there again.
    ComesBack,
}

/// What a look at a file came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Look {
    /// Nothing told of it: it had its turn in a round of looks. Only then is it taken to be quiet.
    pub(crate) round: bool,
    /// There is something behind what was read.
    pub(crate) unread: bool,
    /// It is older than `ignore_older`, and that is looked at.
    pub(crate) too_old: bool,
    /// Its text is still being decompressed.
    pub(crate) unpacking: bool,
}

/// What others know of the moment and of the file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    pub(crate) now: Instant,
    pub(crate) rotate_wait: Duration,
    /// It cannot be forgotten: not all that was read of it has left the host, or it will be removed.
    pub(crate) owed: bool,
}

/// What is to be done with a file, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Something has changed: look at it.
    Look,
    /// Its text ends here: a last line is complete, and so is what the host joins.
    EndText,
    /// What is unread of it is lost.
    CountLost,
    /// Nobody tells when it is written to again: look at its path now and then.
    Retry,
    /// It is not read any more.
    Close,
    /// What is kept of it across restarts has changed.
    Checkpoint,
    /// Drop it, and all that is known of it.
    Forget,
}

/// A file's life goes on.
pub(crate) fn step(life: &mut Life, seen: Observation, facts: &Facts, effects: &mut Vec<Effect>) {
    let now = facts.now;
    if life.is_let_go() {
        match seen {
            Observation::Acked if !facts.owed => effects.push(Effect::Forget),
            Observation::Removed => {
                life.leave(Site::Unlinked, None, now);
                effects.push(Effect::Forget);
            }
            Observation::ComesBack => {
                life.phase = Phase::Active { since: now };
                life.leave(Site::Unlinked, None, now);
            }
            _ => {}
        }
        return;
    }
    match seen {
        Observation::Looked(look) => {
            // What is not read before it is known what it is has no turn.
            if look.unread {
                life.queue(now);
            } else {
                rest(life, look, facts, effects);
            }
        }
        Observation::ReadToEnd { unfinished } => {
            life.turn = Turn::Idle;
            life.wait_for_more(now);
            // What was written into a rotated file may end in a last line, whenever it was.
            if life.last_line == LastLine::Complete && unfinished {
                life.last_line = LastLine::Due;
            }
        }
        Observation::Drained => life.queue(now),
        Observation::Renamed { path, matched } => {
            life.leave(Site::named(matched), Some(path), now);
            life.last_line = LastLine::Due;
            // The next start goes by where it was, and by whether its last line may go on.
            effects.extend([Effect::Checkpoint, Effect::Look]);
        }
        Observation::RenamedBack { path, matched } => {
            life.leave(Site::named(matched), Some(path), now);
            life.last_line = LastLine::Open;
            effects.extend([Effect::Checkpoint, Effect::Look]);
        }
        Observation::Rotated => {
            life.last_line = LastLine::Due;
            life.wait_for_more(now);
        }
        Observation::Left { open: true, .. } => {
            life.leave(Site::Unlinked, None, now);
            effects.push(Effect::Look);
        }
        Observation::Left { last, deleted, .. } => {
            let site = if deleted {
                Site::Deleted
            } else {
                Site::Missing
            };
            life.leave(site, Some(last), now);
        }
        Observation::NotFound => {
            effects.push(Effect::CountLost);
            let_go(life, facts, effects);
        }
        // What is being read already is none.
        Observation::Resembles { original } if life.is_idle() => {
            life.phase = Phase::Quarantined(Box::new(Quarantine {
                original,
                since: now,
            }));
        }
        Observation::Compared { alike, longest } => {
            let over = life.quarantine().is_some_and(|quarantine| {
                !alike || now.saturating_duration_since(quarantine.since) >= longest
            });
            if over {
                step(life, Observation::Released, facts, effects);
            }
        }
        Observation::Released if life.quarantine().is_some() => {
            life.phase = Phase::Active { since: now };
            life.queue(now);
            effects.push(Effect::Look);
        }
        Observation::Continued => {
            life.phase = Phase::Active { since: now };
            life.last_line = LastLine::Due;
            effects.extend([Effect::Checkpoint, Effect::Look]);
        }
        Observation::Skipped => {
            life.phase = Phase::Active { since: now };
            effects.push(Effect::Checkpoint);
        }
        Observation::BeganAnew => {
            life.wait_for_more(now);
            effects.extend([Effect::Checkpoint, Effect::Look]);
        }
        // What it has is read in its turn: looking at it at once might need a descriptor again.
        Observation::Crowded { unread: true } => {}
        Observation::Crowded { unread: false } => {
            if life.is_idle() && life.site == Site::Unlinked {
                let_go(life, facts, effects);
            }
        }
        Observation::Compressed => effects.extend([Effect::Close, Effect::Forget]),
        Observation::GivesWay if life.is_idle() => part_with(life, facts, effects),
        Observation::Unpacked => let_go(life, facts, effects),
        Observation::Removed => {
            life.leave(Site::Unlinked, None, now);
            effects.extend([Effect::Close, Effect::Forget]);
        }
        Observation::Resembles { .. }
        | Observation::Released
        | Observation::GivesWay
        | Observation::Acked
        | Observation::ComesBack => {}
    }
}

/// It is not followed any longer.
fn let_go(life: &mut Life, facts: &Facts, effects: &mut Vec<Effect>) {
    effects.push(Effect::EndText);
    part_with(life, facts, effects);
}

/// The same where the text is not ended.
fn part_with(life: &mut Life, facts: &Facts, effects: &mut Vec<Effect>) {
    effects.push(Effect::Close);
    life.phase = Phase::AwaitingAck;
    life.turn = Turn::Idle;
    if !facts.owed {
        effects.push(Effect::Forget);
    }
}

/// It is at its end: is there anything left to wait for?
fn rest(life: &mut Life, look: Look, facts: &Facts, effects: &mut Vec<Effect>) {
    let Phase::Active { since } = life.phase else {
        return;
    };
    if life.turn == Turn::Waiting || look.unpacking || !look.round {
        return;
    }
    let quiet = facts.now.saturating_duration_since(since) >= facts.rotate_wait;
    if quiet && !life.matched() {
        let_go(life, facts, effects);
    } else if look.too_old && life.matched() {
        effects.push(Effect::Retry);
        let_go(life, facts, effects);
    } else if quiet && life.last_line == LastLine::Due {
        life.last_line = LastLine::Complete;
        effects.push(Effect::EndText);
    }
}
