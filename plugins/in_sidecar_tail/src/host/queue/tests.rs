//! When the host is woken, and for what.

use super::*;
use crate::read::encode::Reach;

fn batch(tag: &str, file: u64, offset: u64) -> Item {
    let mut batch = Batch {
        tag: Some(tag.into()),
        records: 1,
        events: vec![0x90; 100],
        ..Batch::default()
    };
    batch.reached(FileId(file), 0, offset, 100);
    Item::Batch(batch)
}

/// Whether the host was woken since the last call.
fn woken(shared: &Shared) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(shared.host_fd(), PollFlags::IN)];
    poll(&mut fds, Some(&Timespec::default())).unwrap();
    let woken = !fds[0].revents().is_empty();
    shared.clear_host_wake();
    woken
}

fn batches(shared: &Shared) -> Vec<Batch> {
    std::iter::from_fn(|| shared.pop())
        .map(|item| match item {
            Item::Batch(batch) => batch,
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn what_comes_line_by_line_comes_together_and_wakes_the_host_rarely() {
    let time = Time::simulated(Duration::from_secs(1_700_000_000));
    let shared = Shared::new(time.clone()).unwrap();
    // The first one has nothing to wait for.
    shared.push(batch("a", 1, 100));
    assert!(woken(&shared));
    assert_eq!(batches(&shared).len(), 1);
    let mut wakes = 0;
    let mut records = 0;
    for n in 2..=1000 {
        time.advance(Duration::from_millis(1));
        shared.push(batch("a", 1, n * 100));
        assert!(shared
            .next_telling()
            .is_none_or(|at| at <= time.now() + HANDOVER));
        shared.tell_host();
        if woken(&shared) {
            wakes += 1;
            let [all] = batches(&shared).try_into().unwrap();
            records += all.records;
            assert_eq!(all.events.len(), all.records * 100);
            assert_eq!(all.read_bytes, all.records as u64 * 100);
            let [reach] = all.reaches[..].try_into().unwrap();
            let Reach { offset, bytes, .. } = reach;
            assert_eq!((offset, bytes), (n * 100, all.read_bytes));
            shared.delivered(all);
        }
    }
    assert_eq!(wakes, 49);
    // What is left is told in time without anything new.
    let rest = shared.next_telling().unwrap();
    time.advance(rest - time.now());
    shared.tell_host();
    assert!(woken(&shared) && shared.next_telling().is_none());
    records += batches(&shared).iter().map(|b| b.records).sum::<usize>();
    assert_eq!(records, 999);
}

#[test]
fn much_and_the_end_of_a_drain_wake_the_host_at_once() {
    let time = Time::simulated(Duration::from_secs(1_700_000_000));
    let shared = Shared::new(time).unwrap();
    shared.push(batch("a", 1, 100));
    assert!(woken(&shared));
    shared.push(batch("a", 1, 200));
    assert!(!woken(&shared));
    shared.push(Item::DrainEnd(1));
    assert!(woken(&shared));
    let batches = std::iter::from_fn(|| shared.pop());
    for batch in batches {
        if let Item::Batch(batch) = batch {
            shared.delivered(batch);
        }
    }
    for n in 0..=MUCH as u64 / 100 {
        assert!(!woken(&shared), "{n}");
        shared.push(batch("a", 1, n * 100));
    }
    assert!(woken(&shared));
}

#[test]
fn only_batches_that_may_come_together_are_joined() {
    let shared = Shared::new(Time::default()).unwrap();
    let mut parsed = batch("a", 1, 300);
    if let Item::Batch(batch) = &mut parsed {
        batch.parsed = true;
    }
    let mut of_one_file = batch("a", 1, 500);
    if let Item::Batch(batch) = &mut of_one_file {
        batch.name = Some(Path::new("/a.log").into());
    }
    let items = [
        batch("a", 1, 100),
        batch("a", 2, 100),
        batch("b", 2, 200),
        batch("a", 1, 200),
        parsed,
        batch("a", 1, 400),
        of_one_file,
        batch("a", 1, 600),
    ];
    for item in items {
        shared.push(item);
    }
    let reaches: Vec<Vec<u64>> = batches(&shared)
        .iter()
        .map(|batch| batch.reaches.iter().map(|reach| reach.offset).collect())
        .collect();
    let expected: [&[u64]; 7] = [&[100, 100], &[200], &[200], &[300], &[400], &[500], &[600]];
    assert_eq!(reaches, expected);
}
