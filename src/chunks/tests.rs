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
    // The top level of the repository is fixed: no folder of seeds there.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
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

/// What is seen of a chunk of a host whose fields have moved: where it goes is anything, and sometimes
/// nothing is seen but its place.
fn moved(seen: &Seen, lie: u64) -> Seen {
    match lie % 3 {
        0 => Seen::unknown(seen.node),
        kind => Seen {
            routes: [0, lie][kind as usize - 1],
            has_task: lie & 8 != 0,
            records: match lie % 5 {
                0 => Some(0),
                1 => Some(lie >> 40),
                _ => seen.records,
            },
            ..*seen
        },
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    /// A fork with one field more in a task or a chunk: what an output has given up was taken for
    /// delivered. Where nothing proves where chunks go, more may be lost than was, but never less.
    #[test]
    fn what_is_lost_is_not_missed_where_fields_have_moved(
        steps in prop::collection::vec(step(), 1..100),
        lies in prop::collection::vec(any::<u64>(), 16),
    ) {
        let mut host = Host::default();
        let mut chunks = Chunks::new();
        chunks.set_ways(Ways::Unproven);
        let shown = |host: &Host, at: usize| -> Vec<Seen> {
            let lies = lies.iter().cycle().skip(at);
            host.chunks.iter().zip(lies).map(|(seen, lie)| moved(seen, *lie)).collect()
        };
        let mut lost: Option<u64> = None;
        let mut said: Option<u64> = None;
        let oldest = |one: Option<u64>, other: Option<u64>| one.into_iter().chain(other).min();
        // In the end, everything that is left is delivered.
        let rest = (0..100).map(|_| Step::Leaves { at: 0, dropped: false });
        for (at, step) in steps.into_iter().chain(rest).enumerate() {
            host.lost.clear();
            match step {
                Step::Append { records, new, evicts } => {
                    host.append(records, new, evicts);
                    chunks.look(&shown(&host, at), &Between::Appending(None));
                }
                Step::Leaves { at: which, dropped } => {
                    host.dropped.clear();
                    host.leaves(which, dropped);
                    chunks.look(&shown(&host, at), &Between::Engine(&host.dropped));
                }
            }
            lost = oldest(lost, host.lost.iter().min().copied());
            said = oldest(said, chunks.take_lost());
            // What is still there is not confirmed.
            let position = oldest(said, chunks.oldest());
            prop_assert!(lost.is_none_or(|lost| position.is_some_and(|at| at <= lost)));
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
    let mut chunks = Chunks::new();
    chunks.look(&[Seen::unknown(1)], &Between::Appending(None));
    chunks.look(&[Seen::unknown(2)], &Between::Appending(None));
    assert_eq!(chunks.take_lost(), Some(0));
    assert_eq!(chunks.account().kept, None);
    assert_eq!(chunks.account().evicted_chunks, 1);
    chunks.look(&[], &Between::Engine(&BTreeMap::new()));
    assert_eq!(chunks.take_lost(), None);
}

/// A host with many tags, each of which has a chunk that grows until the engine takes it up. What is not
/// looked at is as it was at the last look.
#[derive(Debug, Default)]
struct Crowd {
    chunks: Vec<Seen>,
    /// The chunk of each tag that still grows, by its place.
    open: BTreeMap<u64, usize>,
    places: usize,
    kept: u64,
    delivered: u64,
    evicted: u64,
}

#[derive(Clone, Debug)]
enum Act {
    /// We append so many records each with so many tags, from this one on.
    Append { first: u64, tags: u64, records: u64 },
    /// The engine takes up so many of the oldest chunks.
    Takes(usize),
    /// It delivers some.
    Delivers { at: usize, chunks: usize },
    /// We append something for which the oldest chunks go.
    Evicts(usize),
}

impl Crowd {
    fn append(&mut self, tag: u64, records: u64) {
        self.kept += records;
        let open = self.open.get(&tag);
        let open = open.and_then(|node| self.chunks.iter_mut().find(|seen| seen.node == *node));
        if let Some(seen) = open {
            seen.records = seen.records.map(|known| known + records);
            return;
        }
        self.places += 1;
        self.open.insert(tag, self.places);
        self.chunks.push(chunk(self.places, records, 1));
    }

    fn take(&mut self, at: usize, count: usize) -> u64 {
        let at = at.min(self.chunks.len());
        let end = (at + count).min(self.chunks.len());
        let gone: Vec<Seen> = self.chunks.drain(at..end).collect();
        self.open
            .retain(|_, node| gone.iter().all(|seen| seen.node != *node));
        gone.iter().filter_map(|seen| seen.records).sum()
    }

    fn play(&mut self, act: &Act) {
        match *act {
            Act::Append {
                first,
                tags,
                records,
            } => {
                for tag in first..first + tags {
                    self.append(tag, records);
                }
            }
            Act::Takes(count) => {
                for seen in self.chunks.iter_mut().take(count) {
                    seen.has_task = true;
                }
                let taken: Vec<usize> = self.chunks.iter().take(count).map(|s| s.node).collect();
                self.open.retain(|_, node| !taken.contains(node));
            }
            Act::Delivers { at, chunks } => self.delivered += self.take(at, chunks),
            Act::Evicts(count) => self.evicted += self.take(0, count),
        }
    }

    fn seen(&self, chunks: &Chunks) -> Vec<Seen> {
        let nodes: Vec<usize> = self.chunks.iter().map(|seen| seen.node).collect();
        let known = chunks.known(&nodes).into_iter().zip(&self.chunks);
        let looked = known.map(|(known, now)| match known {
            Known::Look(_) => *now,
            Known::AsBefore(seen) => seen,
        });
        looked.collect()
    }
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0u64..200, 1u64..200, 1u64..5)
            .prop_map(|(first, tags, records)| Act::Append { first, tags, records }),
        1 => (0usize..300).prop_map(Act::Takes),
        1 => (0usize..300, 1usize..100).prop_map(|(at, chunks)| Act::Delivers { at, chunks }),
        1 => (1usize..20).prop_map(Act::Evicts),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    /// However many chunks there are, old ones of other tags may grow, and many may come at once.
    #[test]
    fn the_account_of_many_tags_adds_up(acts in prop::collection::vec(act(), 1..30)) {
        let mut crowd = Crowd::default();
        let mut chunks = Chunks::new();
        for act in acts {
            crowd.play(&act);
            let nothing = BTreeMap::new();
            let between = match act {
                Act::Append { .. } | Act::Evicts(_) => Between::Appending(None),
                Act::Takes(_) | Act::Delivers { .. } => Between::Engine(&nothing),
            };
            chunks.look(&crowd.seen(&chunks), &between);
            let account = chunks.account();
            prop_assert_eq!(account.kept, Some(crowd.kept));
            let left: u64 = crowd.chunks.iter().filter_map(|seen| seen.records).sum();
            prop_assert_eq!(account.left, left);
            prop_assert_eq!(account.lost, crowd.evicted);
            prop_assert_eq!(crowd.kept, crowd.delivered + crowd.evicted + left);
        }
    }
}

/// A backlog that stays costs little: what is on its way is not looked at again.
#[test]
fn of_many_chunks_few_are_looked_at() {
    let all: Vec<Seen> = (1..=10_000)
        .map(|node| Seen {
            has_task: true,
            ..chunk(node, 1, 1)
        })
        .collect();
    let nodes: Vec<usize> = all.iter().map(|seen| seen.node).collect();
    let mut chunks = Chunks::new();
    let looks = |chunks: &Chunks| {
        let known = chunks.known(&nodes).into_iter();
        known
            .filter(|known| matches!(known, Known::Look(_)))
            .count()
    };
    assert_eq!(looks(&chunks), all.len());
    chunks.look(&all, &Between::Appending(None));
    assert_eq!(looks(&chunks), 2 * FEW);
    let open: Vec<Seen> = all.iter().map(|seen| chunk(seen.node, 1, 1)).collect();
    let mut chunks = Chunks::new();
    chunks.look(&open, &Between::Appending(None));
    assert_eq!(looks(&chunks), 2 * FEW + OPEN);
}
