use super::*;
use proptest::prelude::*;

fn output(number: u32, delivered: u64, retries: u64, failures: u64) -> OutputInfo {
    OutputInfo {
        number: Some(number),
        delivered_records: Some(delivered),
        dropped_records: Some(0),
        retries: Some(retries),
        failures: Some(failures),
        ..OutputInfo::default()
    }
}

fn chunk(key: u64, records: u64, outputs: u64) -> ChunkInfo {
    ChunkInfo {
        key,
        records: Some(records),
        outputs,
        ..ChunkInfo::default()
    }
}

const HOW: Counting = Counting::Nowhere;

#[test]
fn what_no_output_counts_was_thrown_away() {
    let mut evictions = Evictions::default();
    let all: Vec<_> = (1..=4).map(|key| chunk(key, 10, 1)).collect();
    evictions.observe(&all[..3], &[output(0, 0, 2, 0)], HOW);
    evictions.observe(&all[2..], &[output(0, 0, 3, 0)], HOW);
    assert_eq!(evictions.chunks(), 2);
    evictions.observe(&[], &[output(0, 20, 3, 0)], HOW);
    evictions.observe(&[chunk(5, 10, 1)], &[output(0, 20, 3, 0)], HOW);
    evictions.observe(&[], &[output(0, 20, 3, 1)], HOW);
    assert_eq!(evictions.chunks(), 2);
    assert_eq!(*evictions.lost(), BTreeMap::from([(0, 20)]));
}

/// Deliveries of one output used to hide what another one lost.
#[test]
fn what_other_outputs_count_explains_nothing() {
    let mut evictions = Evictions::default();
    evictions.observe(
        &[chunk(1, 10, 0b10)],
        &[output(0, 0, 0, 0), output(1, 0, 1, 0)],
        HOW,
    );
    evictions.observe(&[], &[output(0, 50, 0, 0), output(1, 0, 1, 0)], HOW);
    assert_eq!(evictions.chunks(), 1);
    assert_eq!(*evictions.lost(), BTreeMap::from([(1, 10)]));
}

/// Hosts whose processors may take records out between a chunk and its delivery.
#[test]
fn where_evictions_are_counted_any_count_explains_all() {
    let mut evictions = Evictions::default();
    evictions.observe(
        &[chunk(1, 10, 1)],
        &[output(0, 0, 0, 0)],
        Counting::AsDropped,
    );
    evictions.observe(&[], &[output(0, 3, 0, 0)], Counting::AsDropped);
    assert_eq!(evictions.chunks(), 0);
}

#[test]
fn what_goes_to_no_known_output_is_no_loss() {
    let mut evictions = Evictions::default();
    evictions.observe(&[chunk(1, 5, 0)], &[output(0, 0, 0, 0)], HOW);
    evictions.observe(&[], &[output(0, 0, 0, 0)], HOW);
    assert_eq!(evictions.chunks(), 0);
}

#[test]
fn a_way_that_had_no_room_is_lost_for_that_output() {
    let mut evictions = Evictions::default();
    let outputs = [output(0, 0, 1, 0), output(1, 0, 1, 0)];
    evictions.observe(&[chunk(1, 5, 0b11)], &outputs, HOW);
    evictions.observe(&[chunk(1, 5, 0b01)], &outputs, HOW);
    assert_eq!((evictions.chunks(), evictions.lost()[&1]), (1, 5));
}

#[test]
fn a_chunk_that_an_output_never_had_room_for_is_lost_for_it() {
    let of_kind = |key, records, outputs| ChunkInfo {
        kind: Some(7),
        ..chunk(key, records, outputs)
    };
    let outputs = [output(0, 0, 1, 0), output(1, 0, 1, 0)];
    let mut evictions = Evictions::default();
    evictions.observe(&[of_kind(1, 5, 0b11), chunk(2, 5, 0b01)], &outputs, HOW);
    assert_eq!(evictions.chunks(), 0);
    evictions.observe(&[of_kind(1, 5, 0b11), of_kind(3, 2, 0b01)], &outputs, HOW);
    evictions.observe(&[of_kind(1, 5, 0b11), of_kind(3, 9, 0b01)], &outputs, HOW);
    // The second one went without a count.
    assert_eq!((evictions.chunks(), evictions.lost()[&1]), (2, 9));
}

/// An output of a simulated host: what it holds, and what has become of the rest.
#[derive(Debug, Default)]
struct Way {
    held: Vec<ChunkInfo>,
    delivered: u64,
    evicted_chunks: u64,
    evicted_records: u64,
}

proptest! {
    /// A simulated host with two outputs: chunks come, grow, are delivered or thrown away between looks,
    /// in places that are used again. None is called thrown away that was not, and where an output
    /// delivers nothing, none is overlooked that was seen.
    #[test]
    fn nothing_is_called_lost_that_was_not(
        steps in prop::collection::vec((0usize..2, 0u8..4, 0u64..20, any::<bool>()), 1..200),
    ) {
        let mut evictions = Evictions::default();
        let mut ways = [Way::default(), Way::default()];
        let mut key = 0;
        let mut looked: Vec<Vec<ChunkInfo>> = vec![Vec::new(), Vec::new()];
        let (mut certain_chunks, mut certain_records) = (0u64, 0u64);
        let mut delivered_before = [0, 0];
        for (number, what, size, look) in steps {
            let way = &mut ways[number];
            match what {
                0 => {
                    key += 1;
                    way.held.push(chunk(key, size, 1 << number));
                }
                1 if !way.held.is_empty() => {
                    let last = way.held.last_mut().unwrap();
                    last.records = last.records.map(|records| records + size);
                }
                2 if !way.held.is_empty() => {
                    way.delivered += way.held.remove(0).records.unwrap();
                }
                3 if !way.held.is_empty() => {
                    let records = way.held.remove(0).records.unwrap();
                    way.evicted_records += records;
                    way.evicted_chunks += u64::from(records > 0);
                }
                _ => {}
            }
            if !look {
                continue;
            }
            for (number, way) in ways.iter().enumerate() {
                if way.delivered == delivered_before[number] {
                    let gone = looked[number].iter().filter(|chunk| {
                        chunk.records > Some(0) && !way.held.iter().any(|held| held.key == chunk.key)
                    });
                    for chunk in gone {
                        certain_chunks += 1;
                        certain_records += chunk.records.unwrap();
                    }
                }
            }
            let chunks: Vec<_> = ways.iter().flat_map(|way| way.held.clone()).collect();
            let outputs = [output(0, ways[0].delivered, 1, 0), output(1, ways[1].delivered, 1, 0)];
            evictions.observe(&chunks, &outputs, HOW);
            looked = ways.iter().map(|way| way.held.clone()).collect();
            delivered_before = [ways[0].delivered, ways[1].delivered];
            let all = |of: fn(&Way) -> u64| ways.iter().map(of).sum::<u64>();
            let lost: u64 = evictions.lost().values().sum();
            prop_assert!(evictions.chunks() <= all(|way| way.evicted_chunks));
            prop_assert!(lost <= all(|way| way.evicted_records));
            prop_assert!(evictions.chunks() >= certain_chunks);
            prop_assert!(lost >= certain_records);
        }
    }
}

/// The host threw it away while one of its outputs was down and the other one delivered other chunks
/// (`make soak-faults`, seed 31255 on 1.9.10).
#[test]
fn an_output_that_never_had_a_chunk_misses_it_whatever_another_one_counts() {
    let with_task = |key| ChunkInfo {
        has_task: true,
        ..chunk(key, 10, 0b11)
    };
    let outputs = |first, second| [output(0, first, 0, 0), output(1, second, 0, 0)];
    let mut evictions = Evictions::default();
    evictions.observe(
        &[chunk(1, 10, 0b11), chunk(2, 10, 0b11)],
        &outputs(0, 0),
        HOW,
    );
    evictions.observe(&[with_task(1), with_task(2)], &outputs(0, 0), HOW);
    // The second output has one of them first, and the other one goes as it counts again.
    evictions.observe(&[with_task(1), with_task(2)], &outputs(0, 10), HOW);
    evictions.observe(&[with_task(2)], &outputs(0, 20), HOW);
    assert_eq!(*evictions.lost(), BTreeMap::from([(0, 10)]));
    assert_eq!(evictions.chunks(), 1);
    // The first one is back.
    evictions.observe(&[], &outputs(10, 20), HOW);
    assert_eq!(*evictions.lost(), BTreeMap::from([(0, 10)]));
}

/// Where it was with some output before it was ever seen, nothing is said.
#[test]
fn a_chunk_that_was_first_seen_on_its_way_is_not_missed() {
    let mut evictions = Evictions::default();
    let on_its_way = ChunkInfo {
        has_task: true,
        ..chunk(1, 10, 0b11)
    };
    evictions.observe(
        &[on_its_way],
        &[output(0, 10, 0, 0), output(1, 0, 0, 0)],
        HOW,
    );
    evictions.observe(&[], &[output(0, 10, 0, 0), output(1, 10, 0, 0)], HOW);
    assert!(evictions.lost().is_empty());
    assert_eq!(evictions.chunks(), 0);
}
