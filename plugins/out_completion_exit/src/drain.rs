//! The drain as a state machine: facts of one tick in, actions out. No clock and no I/O.
//!
//! A drain is complete when every input that can be asked has read all there is, and nothing is
//! left in the host: no chunk and no task of any input, no running task, no stored chunk. That
//! must hold for [`SETTLED_TICKS`] ticks in a row, with a forced flush in between. Inputs that
//! cannot be asked hold records where the host does not show them, so nothing may come for a
//! while either; how long depends on the input ([`source`]).

pub(crate) mod retries;
pub(crate) mod source;

use std::time::Duration;

use flb_sidecar_sdk::drain::DrainState;
use flb_sidecar_sdk::InputInfo;

/// Ticks in a row without anything pending that prove an empty host.
const SETTLED_TICKS: u32 = 2;

/// Forced flushes while chunks wait. Each cuts every chunk short, so not at every tick.
const FLUSH_EVERY: Duration = Duration::from_millis(200);

/// What the host says at one tick.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts<'a> {
    /// Time since some fixed moment; never goes back.
    pub(crate) now: Duration,
    /// Every input.
    pub(crate) inputs: &'a [InputInfo],
    /// Tasks being delivered.
    pub(crate) tasks: Option<usize>,
    /// Chunks in memory and on the filesystem.
    pub(crate) storage: Option<(usize, usize)>,
    /// The engine shuts down already.
    pub(crate) stopping: bool,
}

/// What is to be done, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Ask the inputs to drain within this time.
    RequestDrain(Duration),
    /// Dispatch every chunk now.
    Flush,
    /// End the engine.
    Exit(End),
    /// The engine ends for another reason: say how far the drain was.
    Report(End),
}

/// What the host still holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Left {
    /// Inputs that have not read all.
    pub(crate) inputs: usize,
    /// Bytes seen in files but not read.
    pub(crate) unread_bytes: u64,
    /// Files that are known and could not be read.
    pub(crate) missed_files: u64,
    /// Chunks not delivered.
    pub(crate) chunks: usize,
    /// Tasks that run or wait for a retry.
    pub(crate) tasks: usize,
    /// The host does not show what some input holds, so there may be more.
    pub(crate) unseen: bool,
}

impl Left {
    fn of(facts: &Facts<'_>) -> Self {
        let mut left = Left {
            unseen: facts.inputs.is_empty(),
            ..Left::default()
        };
        for input in facts.inputs {
            if let Some(drain) = &input.drain {
                left.inputs += usize::from(drain.state != DrainState::Drained);
                left.unread_bytes = left.unread_bytes.saturating_add(drain.unread_bytes);
                left.missed_files = left.missed_files.saturating_add(drain.missed_files);
            }
            left.unseen |= input.pending.is_none();
            let pending = input.pending.unwrap_or_default();
            left.chunks = left.chunks.saturating_add(pending.chunks);
            left.tasks = left.tasks.saturating_add(pending.tasks);
        }
        let stored = facts.storage.map_or(0, |(mem, fs)| mem.saturating_add(fs));
        // Both views count the same chunks and tasks; each sees some that the other does not.
        left.chunks = left.chunks.max(stored);
        left.tasks = left.tasks.max(facts.tasks.unwrap_or(0));
        left
    }

    /// The host holds nothing; files may still hold something.
    pub(crate) fn delivered(&self) -> bool {
        self.chunks == 0 && self.tasks == 0
    }

    /// Nothing that can be seen was left behind.
    pub(crate) fn is_nothing(&self) -> bool {
        self.delivered() && self.inputs == 0 && self.unread_bytes == 0 && self.missed_files == 0
    }
}

/// What ended a drain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// All that can be read is read, and nothing is pending.
    Drained,
    /// The deadline came first.
    Deadline,
    /// The host shut down by itself.
    Host,
}

/// How a drain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    /// What ended it.
    pub(crate) cause: Cause,
    /// What was left behind.
    pub(crate) left: Left,
    /// Time from the trigger to here.
    pub(crate) took: Duration,
}

impl End {
    /// The host stops before a drain has begun: nobody has read all there is, or waited for what is
    /// not shown.
    pub(crate) fn without_drain(facts: &Facts<'_>) -> Self {
        End {
            cause: Cause::Host,
            left: Left {
                unseen: true,
                ..Left::of(facts)
            },
            took: Duration::ZERO,
        }
    }
}

/// Where a drain is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Not asked for.
    #[default]
    Waiting,
    /// Reading and delivering.
    Draining,
    /// The engine was told to end, or ends for another reason.
    Ended,
}

/// One drain, from the trigger to the exit.
#[derive(Debug, Default)]
pub(crate) struct Machine {
    phase: Phase,
    /// Time that stock inputs must be quiet, if configured.
    quiet_time: Option<Duration>,
    began: Duration,
    /// When the end was asked for.
    asked: Duration,
    deadline: Duration,
    requested: bool,
    read_out: bool,
    settled: u32,
    last_flush: Duration,
    last_activity: Duration,
    last_records: u64,
}

impl Machine {
    /// A machine that waits for [`Machine::begin`].
    pub(crate) fn new(quiet_time: Option<Duration>) -> Self {
        Machine {
            quiet_time,
            ..Machine::default()
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    /// When the drain ends whatever is left; means nothing before it has begun.
    pub(crate) fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Starts draining at `now`, to end by `now + deadline`, which was asked for `waited` ago: inputs
    /// were read since then, so that what is kept for delivery is a part of it all. While draining, an
    /// earlier end wins.
    pub(crate) fn begin(&mut self, now: Duration, deadline: Duration, waited: Duration) {
        let end = now.saturating_add(deadline);
        let asked = now.saturating_sub(waited);
        match self.phase {
            Phase::Waiting => {
                self.phase = Phase::Draining;
                self.began = now;
                self.last_flush = now;
                self.last_activity = now;
                self.asked = asked;
                self.deadline = end;
            }
            Phase::Draining if end < self.deadline => {
                self.asked = asked;
                self.deadline = end;
                self.requested = false;
            }
            Phase::Draining | Phase::Ended => {}
        }
    }

    /// One tick.
    pub(crate) fn step(&mut self, facts: &Facts<'_>) -> Vec<Action> {
        if self.phase != Phase::Draining {
            return Vec::new();
        }
        let now = facts.now;
        let left = Left::of(facts);
        if facts.stopping {
            return vec![Action::Report(self.end(now, Cause::Host, left))];
        }
        if now >= self.deadline {
            return vec![Action::Exit(self.end(now, Cause::Deadline, left))];
        }
        let mut actions = Vec::new();
        if !self.requested {
            self.requested = true;
            actions.push(Action::RequestDrain(self.reading_time(now)));
            actions.push(Action::Flush);
            self.last_flush = now;
        }
        if self.active(facts) {
            self.last_activity = now;
        }
        let read_out = facts.inputs.iter().all(|input| {
            input
                .drain
                .is_none_or(|drain| matches!(drain.state, DrainState::Drained | DrainState::GaveUp))
        });
        let quiet = now.saturating_sub(self.last_activity)
            >= source::quiet_window(facts.inputs, facts.storage.is_some(), self.quiet_time);
        if read_out && quiet && left.delivered() {
            self.settled += 1;
        } else {
            self.settled = 0;
        }
        if self.settled >= SETTLED_TICKS {
            return vec![Action::Exit(self.end(now, Cause::Drained, left))];
        }
        let just_read_out = read_out && !self.read_out;
        let waiting = !left.delivered() && now.saturating_sub(self.last_flush) >= FLUSH_EVERY;
        if (just_read_out || self.settled == 1 || waiting) && !actions.contains(&Action::Flush) {
            actions.push(Action::Flush);
            self.last_flush = now;
        }
        self.read_out = read_out;
        actions
    }

    /// How the drain ends if the engine says nothing more.
    pub(crate) fn at_deadline(&self, facts: &Facts<'_>) -> End {
        End {
            cause: Cause::Deadline,
            left: Left::of(facts),
            took: self.deadline.saturating_sub(self.began),
        }
    }

    fn end(&mut self, now: Duration, cause: Cause, left: Left) -> End {
        self.phase = Phase::Ended;
        End {
            cause,
            left,
            took: now.saturating_sub(self.began),
        }
    }

    /// How long inputs may read from now on. The rest is for delivering and for the host's own end,
    /// which the guard would cut short: two fifths of all the time that there is since the end was
    /// asked for, 5 s at most. Who was asked late still gets a look.
    fn reading_time(&self, now: Duration) -> Duration {
        let left = self.deadline.saturating_sub(now);
        let all = self.deadline.saturating_sub(self.asked);
        let rest = (all * 2 / 5).min(Duration::from_secs(5));
        left.saturating_sub(rest).max(left / 5)
    }

    /// Records are still on their way from a source that has an end.
    fn active(&mut self, facts: &Facts<'_>) -> bool {
        let mut active = false;
        let mut records = 0u64;
        for input in facts.inputs {
            if source::is_endless(input) {
                continue;
            }
            if let Some(drain) = &input.drain {
                active |= matches!(drain.state, DrainState::Idle | DrainState::Draining);
                records = records.saturating_add(drain.records);
            }
            active |= match input.pending {
                Some(pending) => pending.chunks > 0 || pending.tasks > 0,
                None => facts.tasks.is_some_and(|tasks| tasks > 0),
            };
        }
        if facts.inputs.is_empty() {
            active |= facts.tasks.is_some_and(|tasks| tasks > 0);
        }
        active |= records != self.last_records;
        self.last_records = records;
        active
    }
}

#[cfg(test)]
#[path = "drain_tests.rs"]
mod tests;
