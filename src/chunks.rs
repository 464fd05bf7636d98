//! The chunks of an input of ours, each followed from its birth to its end.
//!
//! An input that runs on the engine's thread is the only one that adds to its chunks, and while it
//! appends, the engine is not at work: nothing is delivered or given up meanwhile. So a chunk that
//! goes while we append was thrown away to make room (`storage.total_limit_size`), whether the host
//! counts that or not. One that goes at another time was delivered, or given up by an output, which
//! counts it as dropped.

use std::collections::BTreeMap;

use flb_sidecar_sdk::Routed;
use host_abi::Layout;

use crate::abi::memory::{Memory, Place};

/// Up to this many, the chunks are looked at after each append, else only when we are done with
/// appending for now.
const FEW: usize = 64;
/// Outputs that are told apart: as many as one word of a chunk's routes has.
pub(crate) const OUTPUTS: u32 = u64::BITS;
/// Kinds of chunks, by tag and routes, that are told apart; the rest is not judged.
const KINDS: usize = 1024;

/// A tag, by its hash.
pub(crate) type Tag = u64;

/// What is seen of a chunk at one look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Where it is: another one may be there later.
    pub(crate) node: usize,
    /// Its records, as filters have left them; `None`: not laid out as known.
    pub(crate) records: Option<u64>,
    /// A bit per output that it may go to.
    pub(crate) routes: u64,
    /// It is on its way to the outputs already.
    pub(crate) has_task: bool,
    /// An output has failed to take it.
    pub(crate) has_failed: bool,
    /// What its first routes come from.
    pub(crate) routing: Routing,
}

/// What decides where a new chunk goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Routing {
    /// Its tag, so every chunk of one tag has the same outputs, unless one has no room for it.
    ByTag,
    /// Perhaps its records, too.
    #[default]
    Unknown,
}

/// Who had the time between two looks.
#[derive(Clone, Debug)]
pub(crate) enum Between<'a> {
    /// We appended, with this tag if it was one and is known.
    Appending(Option<Tag>),
    /// The engine was at work. How many records each output, by its number, has given up.
    Engine(&'a BTreeMap<u32, u64>),
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

    /// Of so many chunks, those that are old as they were last seen, and the newest, to be looked at.
    pub(crate) fn known(&self, nodes: &[usize]) -> (Vec<Seen>, Vec<Seen>) {
        let blank = |node: &usize| Seen {
            node: *node,
            ..Seen::default()
        };
        let (old, newest) = nodes.split_at(nodes.len().saturating_sub(FEW));
        let mut live = self.live.iter();
        let old = old.iter().map(|node| {
            let known = live.find(|live| live.seen.node == *node);
            known.map_or(blank(node), |live| Seen {
                has_failed: true,
                ..live.seen
            })
        });
        (old.collect(), newest.iter().map(blank).collect())
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
            Self::blame(&mut live, seen, &mut dropped);
            match seen {
                Some(seen) => {
                    self.grown(&mut live, *seen, between);
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
        let cut = live.seen.routes & !seen.routes;
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
    fn blame(live: &mut Live, seen: Option<&Seen>, dropped: &mut BTreeMap<u32, u64>) {
        let waits_for_others = |seen: &Seen| seen.has_task && seen.routes.count_ones() > 1;
        if !seen.is_none_or(waits_for_others) {
            return;
        }
        // Without records there is nothing to lose.
        let records = live.seen.records.unwrap_or(1);
        for output in bits(live.seen.routes & !live.given_up) {
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
        let unwanted = records.is_some() && live.seen.routes == 0;
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
        if is_lost && records != Some(0) {
            account.lost += records.unwrap_or(0);
            self.lose(live.number);
        }
    }
}

/// The numbers of the bits that are set.
fn bits(word: u64) -> impl Iterator<Item = u32> {
    (0..OUTPUTS).filter(move |bit| word >> bit & 1 == 1)
}

/// What the chunk with this node in the list of `input` is. `None`: not laid out as the table says.
pub(crate) fn see(memory: &mut Memory, layout: &Layout, input: usize, node: usize) -> Option<Seen> {
    let known = &layout.input_chunk;
    known.node.iter().find_map(|offset| {
        let chunk = node.checked_sub(offset)?;
        let at = |field: Option<usize>| chunk.checked_add(field?);
        // A pointer, or an array of four words, as long as only tags decided.
        let mut routes = known.routes.iter().filter_map(|at| {
            Some(match offset.checked_sub(at)? {
                8 => (at, Routing::Unknown),
                32 => (at, Routing::ByTag),
                _ => return None,
            })
        });
        let (routes, routing) = routes.next()?;
        let [owner, records, routes, task] = memory.numbers([
            Place::word(at(known.input)?),
            Place::int(at(known.records)?),
            Place::word(at(Some(routes))?),
            Place::word(at(known.task)?),
        ])?;
        if owner != input || i32::try_from(records).is_err() {
            return None;
        }
        let routes = match routing {
            Routing::Unknown => memory.word(routes)?,
            Routing::ByTag => routes,
        };
        let retries = layout.task.retries.filter(|_| task != 0);
        let retries = retries.and_then(|at| memory.list(task.checked_add(at)?));
        Some(Seen {
            node,
            records: Some(records as u64),
            routes: routes as u64,
            has_task: task != 0,
            has_failed: retries.is_some_and(|retries| !retries.is_empty()),
            routing,
        })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A host with two outputs, whose chunks are in places that are used again.
    #[derive(Debug, Default)]
    struct Host {
        chunks: Vec<Seen>,
        free: Vec<usize>,
        places: usize,
        /// Numbers of the chunks as they were made, in the order of `chunks`.
        numbers: Vec<u64>,
        born: u64,
        dropped: BTreeMap<u32, u64>,
        evicted_records: [u64; 2],
        kept: u64,
        delivered: u64,
        lost: Vec<u64>,
        lost_records: u64,
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        /// Records to a new chunk or the newest, and how many old ones go for it.
        Append {
            records: u64,
            new: bool,
            evicts: usize,
        },
        /// The engine delivers or gives up some chunk.
        Leaves { at: usize, dropped: bool },
    }

    impl Host {
        fn append(&mut self, records: u64, new: bool, evicts: usize) {
            if new || self.chunks.is_empty() {
                let node = self.free.pop().unwrap_or_else(|| {
                    self.places += 1;
                    self.places
                });
                let seen = Seen {
                    node,
                    records: Some(0),
                    routes: 0b11,
                    ..Seen::default()
                };
                self.chunks.push(seen);
                self.numbers.push(self.born);
                self.born += 1;
                for _ in 0..evicts.min(self.chunks.len() - 1) {
                    let (records, number) = self.take(0);
                    for evicted in &mut self.evicted_records {
                        *evicted += records;
                    }
                    self.lose(records, number);
                }
            }
            let newest = self.chunks.last_mut().unwrap();
            newest.records = newest.records.map(|known| known + records);
            self.kept += records;
        }

        fn take(&mut self, at: usize) -> (u64, u64) {
            let chunk = self.chunks.remove(at);
            self.free.push(chunk.node);
            (chunk.records.unwrap(), self.numbers.remove(at))
        }

        fn lose(&mut self, records: u64, number: u64) {
            self.lost_records += records;
            if records > 0 {
                self.lost.push(number);
            }
        }

        fn leaves(&mut self, at: usize, dropped: bool) {
            if at >= self.chunks.len() {
                return;
            }
            let (records, number) = self.take(at);
            if dropped {
                *self.dropped.entry(1).or_default() += records;
                self.lose(records, number);
            } else {
                self.delivered += records;
            }
        }
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            2 => (1u64..50, any::<bool>(), 0usize..3)
                .prop_map(|(records, new, evicts)| Step::Append { records, new, evicts }),
            1 => (0usize..4, any::<bool>())
                .prop_map(|(at, dropped)| Step::Leaves { at, dropped }),
        ]
    }

    proptest! {
        /// Whatever the host does, the account of an input is exact: what came is delivered, lost or
        /// left, and what is lost is named.
        #[test]
        fn the_account_of_an_input_adds_up(steps in prop::collection::vec(step(), 1..200)) {
            let mut host = Host::default();
            let mut chunks = Chunks::new();
            for step in steps {
                host.lost.clear();
                match step {
                    Step::Append { records, new, evicts } => {
                        host.append(records, new, evicts);
                        chunks.look(&host.chunks, &Between::Appending(None));
                    }
                    Step::Leaves { at, dropped } => {
                        host.dropped.clear();
                        host.leaves(at, dropped);
                        chunks.look(&host.chunks, &Between::Engine(&host.dropped));
                    }
                }
                prop_assert_eq!(chunks.take_lost(), host.lost.iter().min().copied());
                prop_assert_eq!(chunks.born(), host.born);
                prop_assert_eq!(chunks.oldest(), host.numbers.first().copied());
                let account = chunks.account();
                prop_assert_eq!(account.kept, Some(host.kept));
                prop_assert_eq!(account.lost, host.lost_records);
                prop_assert_eq!(host.kept, host.delivered + account.lost + account.left);
                for (output, routed) in &account.outputs {
                    prop_assert_eq!(routed.kept, host.kept);
                    prop_assert_eq!(routed.left, account.left);
                    prop_assert_eq!(routed.evicted, host.evicted_records[*output as usize]);
                }
            }
        }
    }

    fn chunk(node: usize, records: u64, routes: u64) -> Seen {
        Seen {
            node,
            records: Some(records),
            routes,
            ..Seen::default()
        }
    }

    #[test]
    fn what_nobody_wants_is_no_loss() {
        let mut chunks = Chunks::new();
        chunks.look(&[chunk(1, 5, 0)], &Between::Appending(None));
        chunks.look(&[], &Between::Appending(None));
        assert_eq!(chunks.take_lost(), None);
        let account = chunks.account();
        assert_eq!((account.lost, account.evicted_chunks), (0, 0));
        assert_eq!(account.unwanted, 5);
    }

    #[test]
    fn a_chunk_that_loses_one_of_its_ways_is_lost_for_that_output() {
        let mut chunks = Chunks::new();
        chunks.look(&[chunk(1, 5, 0b11)], &Between::Appending(None));
        let news = [chunk(1, 5, 0b10), chunk(2, 1, 0b11)];
        chunks.look(&news, &Between::Appending(None));
        assert_eq!(chunks.take_lost(), Some(0));
        assert_eq!(chunks.account().outputs[&0].evicted, 5);
        assert_eq!(chunks.account().outputs[&1].evicted, 0);
        assert_eq!(chunks.account().evicted_chunks, 1);
        // It may grow, all the same.
        let news = [chunk(1, 8, 0b10), chunk(2, 1, 0b11)];
        chunks.look(&news, &Between::Appending(None));
        assert_eq!(chunks.account().outputs[&0].evicted, 8);
        assert_eq!(chunks.account().outputs[&0].kept, 9);
        let engine = BTreeMap::new();
        chunks.look(&news[1..], &Between::Engine(&engine));
        assert_eq!(chunks.account().lost, 8);
        // Where it is on its way, it may be delivered all the same.
        let on_its_way = Seen {
            has_task: true,
            ..chunk(2, 1, 0b01)
        };
        chunks.look(&[on_its_way], &Between::Appending(None));
        assert_eq!(chunks.account().outputs[&1].evicted, 0);
    }

    #[test]
    fn a_chunk_that_an_output_never_had_room_for_is_lost_for_it() {
        let chunk = |node, records, routes| Seen {
            routing: Routing::ByTag,
            ..chunk(node, records, routes)
        };
        let (app, web) = (Between::Appending(Some(1)), Between::Appending(Some(2)));
        let mut chunks = Chunks::new();
        // Nobody knows yet that this tag goes to the first output, too; the other tag never does.
        let mut all = vec![chunk(1, 3, 0b10)];
        chunks.look(&all, &app);
        all.push(chunk(2, 5, 0b10));
        chunks.look(&all, &web);
        assert_eq!(chunks.account().evicted_chunks, 0);
        all.push(chunk(3, 7, 0b11));
        chunks.look(&all, &app);
        assert_eq!(
            (chunks.account().evicted_chunks, chunks.take_lost()),
            (1, None)
        );
        all.push(chunk(4, 11, 0b10));
        chunks.look(&all, &app);
        assert_eq!(chunks.take_lost(), Some(3));
        // More comes into the last one.
        all[3] = chunk(4, 13, 0b10);
        chunks.look(&all, &app);
        chunks.look(&[], &Between::Engine(&BTreeMap::new()));
        let account = chunks.account();
        assert_eq!((account.kept, account.lost), (Some(28), 16));
        assert_eq!(account.evicted_chunks, 2);
        let routed = [account.outputs[&0], account.outputs[&1]];
        assert_eq!(routed.map(|routed| routed.kept), [23, 28]);
        assert_eq!(routed.map(|routed| routed.evicted), [16, 0]);
    }

    #[test]
    fn what_was_given_up_is_told_from_what_was_delivered_by_its_records() {
        let mut chunks = Chunks::new();
        let all = [chunk(1, 5, 1), chunk(2, 8, 1), chunk(3, 2, 1)];
        chunks.look(&all, &Between::Appending(None));
        let dropped = BTreeMap::from([(0, 7)]);
        chunks.look(&[], &Between::Engine(&dropped));
        assert_eq!(chunks.account().lost, 7);
        assert_eq!(chunks.take_lost(), Some(0));
    }

    #[test]
    fn what_one_output_gave_up_is_lost_whenever_another_one_has_taken_it() {
        let chunk = |node| Seen {
            has_task: true,
            ..chunk(node, 5, 0b11)
        };
        let mut chunks = Chunks::new();
        chunks.look(&[chunk(1), chunk(2), chunk(3)], &Between::Appending(None));
        // The first output gives all of them up, and the second one has taken the last.
        let dropped = BTreeMap::from([(0, 15)]);
        chunks.look(&[chunk(1), chunk(2)], &Between::Engine(&dropped));
        assert_eq!((chunks.account().lost, chunks.take_lost()), (5, Some(2)));
        chunks.look(&[chunk(1)], &Between::Engine(&BTreeMap::new()));
        assert_eq!((chunks.account().lost, chunks.take_lost()), (10, Some(1)));
        chunks.look(&[], &Between::Engine(&BTreeMap::new()));
        assert_eq!((chunks.account().lost, chunks.take_lost()), (15, Some(0)));
    }

    #[test]
    fn chunks_that_are_not_laid_out_as_known_are_still_told_apart() {
        let blank = |node| Seen {
            node,
            ..Seen::default()
        };
        let mut chunks = Chunks::new();
        chunks.look(&[blank(1)], &Between::Appending(None));
        chunks.look(&[blank(2)], &Between::Appending(None));
        assert_eq!(chunks.take_lost(), Some(0));
        assert_eq!(chunks.account().kept, None);
        assert_eq!(chunks.account().evicted_chunks, 1);
        chunks.look(&[], &Between::Engine(&BTreeMap::new()));
        assert_eq!(chunks.take_lost(), None);
    }
}
