//! Which of the appended records have left the host. Runs on the host's thread.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use flb_sidecar_sdk::{InputHost, Pending};

use crate::map::HashMap;
use crate::read::encode::Reach;
use crate::time::Time;
use crate::track::file::FileId;

/// How far files reach, in each of their epochs.
pub(crate) type Reaches = HashMap<(FileId, u32), u64>;

/// Follows what was appended until a crash of the host can no longer lose it.
///
/// When the host has nothing that a crash would lose, all that was appended before is safe. Under
/// a steady stream there may never be nothing at the moment of asking. Where the host numbers its
/// chunks, what was appended up to a moment is safe when all chunks of that moment are gone, and
/// every look is such a moment; where filters hold records back, it comes later by as long as they
/// may do so. Elsewhere the one who appends holds back ([`Acks::wants_quiet`]) for a short while
/// when it has waited for too long.
#[derive(Debug, Default)]
pub(crate) struct Acks {
    time: Time,
    appended: Reaches,
    /// How often something was appended.
    appends: u64,
    hidden: Option<Hidden>,
    /// What was appended before the host had these chunks, the oldest first.
    moments: VecDeque<(Vec<u64>, Reaches)>,
    next_look: Option<Instant>,
    /// Ticks since something was appended that is not confirmed.
    waiting: u32,
    /// Ticks for which appending has been held back.
    held: u32,
}

/// What was appended up to a moment, and may be in no chunk yet.
#[derive(Debug)]
struct Hidden {
    /// How often something had been appended then.
    appends: u64,
    /// Since when all of that is with the engine.
    since: Option<Instant>,
    reaches: Reaches,
}

/// How often the host is asked between two ticks.
pub(crate) const LOOK: Duration = Duration::from_millis(50);
/// A host with many chunks is asked less often: at most this part of the time goes into it.
const SHARE: u32 = 50;
/// How many moments are kept apart: a host whose destination is down has ever more chunks.
const MOMENTS: usize = 8;
/// Ticks of a steady stream after which appending is held back.
const PATIENCE: u32 = 20;
/// Longest holding back, in ticks: a destination that is slow or down gets its records anyway.
const HOLD: u32 = 4;

impl Acks {
    pub(crate) fn new(time: Time) -> Self {
        Acks {
            time,
            ..Acks::default()
        }
    }

    /// The host took records that reach this far, in so many appends.
    pub(crate) fn appended(&mut self, reaches: &[Reach], appends: u64) {
        self.appends += appends;
        for reach in reaches {
            self.appended
                .insert((reach.file, reach.epoch), reach.offset);
        }
    }

    /// Something was appended that is not confirmed.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.appended.is_empty() || self.hidden.is_some() || !self.moments.is_empty()
    }

    /// What has become safe since the last time; at every tick, and in between if it is time.
    pub(crate) fn confirmed(&mut self, host: &dyn InputHost, tick: bool) -> Option<Reaches> {
        let now = self.time.now();
        if !self.is_waiting() || !tick && self.next_look.is_some_and(|at| now < at) {
            return None;
        }
        self.waiting += u32::from(tick);
        let confirmed = self.look(host, now);
        self.next_look = Some(now + LOOK.max(self.time.since(now) * SHARE));
        confirmed
    }

    fn look(&mut self, host: &dyn InputHost, now: Instant) -> Option<Reaches> {
        if let Some(all) = self.all_delivered(host) {
            return Some(all);
        }
        let mut chunks = Vec::new();
        if !host.undelivered(&mut chunks) {
            return None;
        }
        // A destination that was down for long leaves thousands of them.
        chunks.sort_unstable();
        self.waiting = 0;
        let delay = host.delay();
        let mut hidden = self.hidden.take().unwrap_or_else(|| Hidden {
            appends: self.appends,
            since: None,
            reaches: std::mem::take(&mut self.appended),
        });
        let on_their_way = host.on_their_way();
        let come = on_their_way.is_some_and(|n| self.appends.saturating_sub(n) >= hidden.appends);
        // While nobody can tell how long it takes from there, the time does not count.
        hidden.since = hidden
            .since
            .or(come.then_some(now))
            .filter(|_| delay.is_some());
        let settled = hidden
            .since
            .zip(delay)
            .is_some_and(|(since, delay)| now.saturating_duration_since(since) >= delay);
        let is_there = |chunk: &u64| chunks.binary_search(chunk).is_ok();
        let is_gone = |(then, _): &(Vec<u64>, Reaches)| !then.iter().any(is_there);
        let gone = self.moments.iter().take_while(|m| is_gone(m)).count();
        let confirmed = (gone > 0).then(|| {
            let moments = self.moments.drain(..gone);
            merged(moments.map(|(_, reaches)| reaches))
        });
        if hidden.reaches.is_empty() {
            return confirmed;
        }
        if !settled {
            self.hidden = Some(hidden);
            return confirmed;
        }
        let hidden = hidden.reaches;
        let full = self.moments.len() >= MOMENTS;
        match self.moments.back_mut() {
            Some((then, reaches)) if full || *then == chunks => {
                *then = chunks;
                reaches.extend(hidden);
            }
            _ => self.moments.push_back((chunks, hidden)),
        }
        confirmed
    }

    /// Everything, if the host has nothing of this input that a crash would lose.
    pub(crate) fn all_delivered(&mut self, host: &dyn InputHost) -> Option<Reaches> {
        if !self.is_waiting() || host.pending() != Some(Pending::default()) {
            return None;
        }
        self.waiting = 0;
        self.held = 0;
        let moments = self.moments.drain(..).map(|(_, reaches)| reaches);
        let hidden = self.hidden.take().map(|hidden| hidden.reaches);
        let appended = std::mem::take(&mut self.appended);
        Some(merged(moments.chain(hidden).chain([appended])))
    }

    /// Whether appending should be held back now, so that the host comes to an end with what it
    /// has. Counts a tick if `tick`. `true` the first time: ask the host to flush.
    pub(crate) fn wants_quiet(&mut self, host: &dyn InputHost, tick: bool) -> bool {
        if self.waiting < PATIENCE || host.pending().is_none() {
            return false;
        }
        if self.held >= HOLD {
            self.waiting = 0;
            self.held = 0;
            return false;
        }
        self.held += u32::from(tick);
        true
    }
}

/// How far all of these reach, the newest last.
fn merged(reaches: impl Iterator<Item = Reaches>) -> Reaches {
    let newer = |mut all: Reaches, newer| {
        all.extend(newer);
        all
    };
    reaches.reduce(newer).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use flb_sidecar_sdk::fake::FakeHost;

    use super::*;

    /// A line every 200 ms that the engine takes from a ring every 250 ms and delivers once a second:
    /// there is never a moment without one that is on its way.
    #[test]
    fn a_stream_through_a_ring_that_never_pauses_is_confirmed() {
        let time = Time::simulated(Duration::from_secs(1));
        let mut acks = Acks::new(time.clone());
        let mut host = FakeHost {
            pending: Some(Pending {
                chunks: 1,
                tasks: 0,
            }),
            delay: Some(Duration::from_millis(250)),
            ..FakeHost::default()
        };
        let (mut appended, mut confirmed) = (0u64, 0u64);
        // When each one is in a chunk, and when that is gone.
        let taken = |n: u64| (n * 200).next_multiple_of(250);
        let gone = |n: u64| taken(n).next_multiple_of(1000) + 10;
        for now in (0..20_000u64).step_by(50) {
            if now.is_multiple_of(200) {
                appended += 1;
                let reach = Reach {
                    file: FileId(1),
                    epoch: 0,
                    offset: appended,
                    bytes: 1,
                };
                acks.appended(&[reach], 1);
            }
            let all = 0..appended;
            host.on_their_way = all.clone().filter(|n| taken(*n) >= now).count() as u64;
            let there = all.filter(|n| taken(*n) < now && now < gone(*n));
            let mut chunks: Vec<u64> = there.map(gone).collect();
            chunks.dedup();
            host.undelivered = Some(chunks);
            for reach in acks
                .confirmed(&host, now.is_multiple_of(250))
                .into_iter()
                .flatten()
            {
                confirmed = reach.1;
                assert!(
                    gone(confirmed - 1) <= now,
                    "{confirmed} is not delivered at {now}"
                );
            }
            let late = appended - confirmed;
            assert!(late <= 20, "{late} are not confirmed at {now}");
            time.advance(Duration::from_millis(50));
        }
    }
}
