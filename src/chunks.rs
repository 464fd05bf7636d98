//! The chunks of an input of ours, each followed from its birth to its end.
//!
//! An input that runs on the engine's thread is the only one that adds to its chunks, and while it
//! appends, the engine is not at work: nothing is delivered or given up meanwhile. So a chunk that
//! goes while we append was thrown away to make room (`storage.total_limit_size`), whether the host
//! counts that or not. One that goes at another time was delivered, or given up by an output, which
//! counts it as dropped.

use std::collections::BTreeMap;

use flb_sidecar_sdk::Routed;

mod seen;

use seen::bits;
pub(crate) use seen::{see, Routing, Seen, OUTPUTS};

/// Up to this many, the chunks are looked at after each append, else only when we are done with
/// appending for now.
const FEW: usize = 64;
/// Of more than those few, so many of the newest that may still grow are looked at.
const OPEN: usize = 1024;
/// Kinds of chunks, by tag and routes, that are told apart; the rest is not judged.
const KINDS: usize = 1024;

/// A tag, by its hash.
pub(crate) type Tag = u64;

/// Who had the time between two looks.
#[derive(Clone, Debug)]
pub(crate) enum Between<'a> {
    /// We appended, with this tag if it was one and is known.
    Appending(Option<Tag>),
    /// The engine was at work. How many records each output, by its number, has given up.
    Engine(&'a BTreeMap<u32, u64>),
}

/// Whether chunks go where they say, and have as many records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Ways {
    #[default]
    Proven,
    /// Nothing shows that it is right: any output may be among them.
    Unproven,
}

/// What is known of a chunk before a look.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Known {
    /// Nothing but its place; something may have become of it.
    Look(Seen),
    /// All that matters.
    AsBefore(Seen),
}

/// A chunk that was there at the last look.
#[derive(Clone, Copy, Debug)]
struct Live {
    number: u64,
    seen: Seen,
    /// What we have appended to it, about.
    bytes: u64,
    /// The outputs that will not have it, while others may still take it: they have given it up, or had
    /// no room for it.
    given_up: u64,
    /// Known where the tag alone decides.
    tag: Option<Tag>,
    /// The routes that it was born with.
    first_routes: u64,
}

/// What came into chunks of one tag with the same routes.
#[derive(Clone, Copy, Debug, Default)]
struct Kind {
    chunks: u64,
    records: u64,
    /// Those of the records that are not known to miss an output.
    unharmed: u64,
}

/// The chunks of one input.
#[derive(Debug, Default)]
pub(crate) struct Chunks {
    live: Vec<Live>,
    /// How many there have ever been: the number of the next.
    born: u64,
    /// The oldest that is known to be lost and was not told of.
    lost: Option<u64>,
    /// By tag and routes.
    kinds: BTreeMap<(Tag, u64), Kind>,
    ways: Ways,
    /// What has become of it all, but for outputs that never had room for a chunk.
    account: Account,
}

/// Sums over all chunks of an input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    /// Records that came into chunks, behind every filter; `None`: some were not counted.
    pub(crate) kept: Option<u64>,
    /// Those of chunks that no output wanted.
    pub(crate) unwanted: u64,
    /// Those of chunks that are lost.
    pub(crate) lost: u64,
    /// Those that are in chunks.
    pub(crate) left: u64,
    /// Chunks that were thrown away for lack of room, for one output or for all of them.
    pub(crate) evicted_chunks: u64,
    /// The same per output, by its number.
    pub(crate) outputs: BTreeMap<u32, Routed>,
}

impl Chunks {
    pub(crate) fn new() -> Self {
        Chunks {
            account: Account {
                kept: Some(0),
                ..Account::default()
            },
            ..Chunks::default()
        }
    }

    /// What has become of it all, for the report. A chunk that never had the way to an output that others
    /// of its tag have, found no room there (up to 2.1.0 the host counts that nowhere).
    pub(crate) fn account(&self) -> Account {
        let mut account = self.account.clone();
        for (&(tag, routes), kind) in &self.kinds {
            let refused = self.outputs_of(tag) & !routes;
            if refused == 0 || kind.records == 0 {
                continue;
            }
            for output in bits(refused) {
                let routed = account.outputs.entry(output).or_default();
                routed.kept += kind.records;
                routed.evicted += kind.records;
            }
            account.evicted_chunks += kind.chunks;
            account.lost += kind.unharmed;
        }
        if let Some(kept) = account.kept {
            account.lost = account.lost.min(kept.saturating_sub(account.left));
        }
        account
    }

    /// Where chunks of this tag were seen to go.
    fn outputs_of(&self, tag: Tag) -> u64 {
        let kinds = self.kinds.range((tag, 0)..=(tag, u64::MAX));
        kinds.fold(0, |all, ((_, routes), _)| all | routes)
    }

    /// There are few of them, so a look after each append costs little.
    pub(crate) fn are_few(&self) -> bool {
        self.live.len() <= FEW
    }

    /// So many bytes were appended since the last look, all to chunks that are there now.
    pub(crate) fn add_bytes(&mut self, bytes: u64) {
        if let Some(newest) = self.live.last_mut() {
            newest.bytes += bytes;
        }
    }

    /// Bytes that no output has failed to take.
    pub(crate) fn under_way(&self) -> u64 {
        let live = self.live.iter().filter(|live| !live.seen.has_failed);
        live.map(|live| live.bytes).sum()
    }

    /// How many there have ever been.
    pub(crate) fn born(&self) -> u64 {
        self.born
    }

    /// The oldest that is there.
    pub(crate) fn oldest(&self) -> Option<u64> {
        self.live.first().map(|live| live.number)
    }

    /// The oldest that was lost since the last call.
    pub(crate) fn take_lost(&mut self) -> Option<u64> {
        self.lost.take()
    }

    /// The newest of `now`, if it was not there at the last look.
    pub(crate) fn newborn<'a>(&self, now: &'a [Seen]) -> Option<&'a Seen> {
        now.last().filter(|_| self.survivors(now) < now.len())
    }

    /// Whether one of those at the last look is not among `nodes`.
    pub(crate) fn any_gone(&self, nodes: &[Seen]) -> bool {
        self.survivors(nodes) < self.live.len()
    }

    /// How many of `now` were there before: chunks keep their order and new ones come last, so a
    /// new one in the place of an old one is out of order.
    fn survivors(&self, now: &[Seen]) -> usize {
        let mut before = self.live.iter();
        now.iter()
            .take_while(|seen| before.any(|live| live.seen.node == seen.node))
            .count()
    }

    /// Of the chunks that are there, what is known of those that need not be looked at again. Where there
    /// are few, each is looked at. Of many, an old one that is on its way grows no more, and room is made at
    /// the cost of the oldest.
    pub(crate) fn known(&self, nodes: &[usize]) -> Vec<Known> {
        let newest = nodes.len().saturating_sub(FEW);
        let mut live = self.live.iter();
        let known = nodes.iter().enumerate().map(|(at, node)| {
            // They keep their order, and new ones come last.
            let last = live.find(|live| live.seen.node == *node);
            match last.filter(|_| (FEW..newest).contains(&at)) {
                Some(last) => Known::AsBefore(Seen {
                    has_failed: true,
                    ..last.seen
                }),
                None => Known::Look(Seen::unknown(*node)),
            }
        });
        let mut known: Vec<Known> = known.collect();
        let open = known.iter_mut().rev().filter(|known| match known {
            Known::AsBefore(seen) => !seen.has_task,
            Known::Look(_) => false,
        });
        for known in open.take(OPEN) {
            if let Known::AsBefore(seen) = known {
                *known = Known::Look(Seen::unknown(seen.node));
            }
        }
        known
    }

    /// How far to believe the chunks of the next looks.
    pub(crate) fn set_ways(&mut self, ways: Ways) {
        self.ways = ways;
    }

    /// Takes in what is there now, in the host's order.
    pub(crate) fn look(&mut self, now: &[Seen], between: &Between<'_>) {
        let survivors = self.survivors(now);
        let (mut dropped, tag) = match between {
            Between::Appending(tag) => (BTreeMap::new(), *tag),
            Between::Engine(dropped) => ((*dropped).clone(), None),
        };
        let before = std::mem::take(&mut self.live);
        let mut rest = now[..survivors].iter().peekable();
        for mut live in before {
            let seen = rest.next_if(|seen| seen.node == live.seen.node);
            Self::blame(&mut live, seen, &mut dropped, self.ways);
            match seen {
                Some(seen) => {
                    let seen = seen.or(live.seen);
                    self.grown(&mut live, seen, between);
                    self.live.push(live);
                }
                None => self.gone(live, between),
            }
        }
        for seen in &now[survivors..] {
            let live = Live {
                number: self.born,
                seen: Seen {
                    records: Some(0),
                    ..*seen
                },
                bytes: 0,
                given_up: 0,
                tag: tag.filter(|_| seen.routing == Routing::ByTag),
                first_routes: seen.routes,
            };
            self.born += 1;
            let mut live = self.born_with(live);
            self.grown(&mut live, *seen, between);
            self.live.push(live);
        }
        let left = self.live.iter().filter_map(|live| live.seen.records);
        self.account.left = left.sum();
        self.count_left();
    }

    /// Notes the kind of a new chunk, and the outputs that others of its tag have and it has not.
    fn born_with(&mut self, mut live: Live) -> Live {
        let Some(tag) = live.tag else {
            return live;
        };
        let kind = (tag, live.seen.routes);
        if self.kinds.len() >= KINDS && !self.kinds.contains_key(&kind) {
            live.tag = None;
            return live;
        }
        live.given_up = self.outputs_of(tag) & !live.seen.routes;
        if live.given_up != 0 {
            self.lose(live.number);
        }
        self.kinds.entry(kind).or_default().chunks += 1;
        live
    }

    fn lose(&mut self, number: u64) {
        self.lost = Some(self.lost.map_or(number, |n| n.min(number)));
    }

    fn count_left(&mut self) {
        for routed in self.account.outputs.values_mut() {
            routed.left = 0;
        }
        for live in &self.live {
            for output in bits(live.seen.routes) {
                let routed = self.account.outputs.entry(output).or_default();
                routed.left += live.seen.records.unwrap_or(0);
            }
        }
    }

    /// The chunk is still there, perhaps with more in it, or with fewer ways to go.
    fn grown(&mut self, live: &mut Live, seen: Seen, between: &Between<'_>) {
        let account = &mut self.account;
        let more = match (live.seen.records, seen.records) {
            (Some(before), Some(now)) => now.saturating_sub(before),
            _ => {
                account.kept = None;
                0
            }
        };
        account.kept = account.kept.map(|kept| kept + more);
        for output in bits(live.seen.routes) {
            account.outputs.entry(output).or_default().kept += more;
        }
        // What has lost a way may still grow.
        for output in bits(live.given_up & live.first_routes & !live.seen.routes) {
            let routed = account.outputs.entry(output).or_default();
            routed.kept += more;
            routed.evicted += more;
        }
        let kind = live.tag.map(|tag| (tag, live.first_routes));
        if let Some(kind) = kind.and_then(|kind| self.kinds.get_mut(&kind)) {
            kind.records += more;
            kind.unharmed += if live.given_up == 0 { more } else { 0 };
        }
        let cut = live
            .seen
            .records
            .map_or(0, |_| live.seen.routes & !seen.routes);
        if cut != 0 && matches!(between, Between::Appending(_)) {
            // Where it has a task, some releases deliver it all the same.
            if !seen.has_task {
                for output in bits(cut) {
                    let routed = account.outputs.entry(output).or_default();
                    routed.evicted += seen.records.unwrap_or(0);
                }
                account.evicted_chunks += 1;
                live.given_up |= cut;
            }
            self.lose(live.number);
        }
        live.seen = seen;
    }

    /// Notes the outputs that may have given the chunk up: those that dropped as many records as it
    /// has. The oldest are blamed first, since a position that stays before them is before all others.
    /// A chunk that has several ways to go stays while one of them is open; another one goes at once.
    fn blame(live: &mut Live, seen: Option<&Seen>, dropped: &mut BTreeMap<u32, u64>, ways: Ways) {
        let believed = |routes| match ways {
            Ways::Proven => routes,
            Ways::Unproven => u64::MAX,
        };
        let waits_for_others =
            |seen: &Seen| seen.has_task && believed(seen.routes).count_ones() > 1;
        if !seen.is_none_or(waits_for_others) {
            return;
        }
        // Without records there is nothing to lose.
        let records = match ways {
            Ways::Proven => live.seen.records.unwrap_or(1),
            Ways::Unproven => 1,
        };
        for output in bits(believed(live.seen.routes) & !live.given_up) {
            let rest = dropped.entry(output).or_default();
            if records > 0 && *rest >= records {
                *rest -= records;
                live.given_up |= 1 << output;
            }
        }
    }

    fn gone(&mut self, live: Live, between: &Between<'_>) {
        let records = live.seen.records;
        let account = &mut self.account;
        // Nobody wants it: the host throws it away when it is dispatched.
        let may_be_lost = match between {
            Between::Appending(_) => true,
            Between::Engine(_) => live.given_up != 0,
        };
        let unwanted = records.is_some() && live.seen.routes == 0;
        let unwanted = unwanted && !(may_be_lost && self.ways == Ways::Unproven);
        if unwanted {
            account.unwanted += records.unwrap_or(0);
        }
        let is_lost = match between {
            _ if unwanted => false,
            Between::Appending(_) => {
                account.evicted_chunks += 1;
                for output in bits(live.seen.routes) {
                    let routed = account.outputs.entry(output).or_default();
                    routed.evicted += records.unwrap_or(0);
                }
                true
            }
            Between::Engine(_) => live.given_up != 0,
        };
        // Without records there is nothing to lose.
        if is_lost && (records != Some(0) || self.ways == Ways::Unproven) {
            account.lost += records.unwrap_or(0);
            self.lose(live.number);
        }
    }
}

#[cfg(test)]
mod tests;
