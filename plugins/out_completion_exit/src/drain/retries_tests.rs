use super::*;
use flb_sidecar_sdk::{OutputInfo, Retry};
use proptest::prelude::*;

const TICK: Duration = Duration::from_millis(20);

/// A chunk of the simulated host, which has failed once.
#[derive(Clone, Debug)]
struct Chunk {
    attempts: u32,
    /// When the host would try it by itself.
    due: Duration,
}

/// A host with one output whose destination comes back at `back`.
struct Sim {
    limit: Option<u32>,
    back: Duration,
    /// Between two attempts by the host itself.
    pace: Duration,
    chunks: Vec<Chunk>,
    delivered: u64,
    retried: u64,
    dropped: u64,
}

impl Sim {
    fn attempt(&mut self, index: usize, now: Duration) {
        if now >= self.back {
            self.chunks.remove(index);
            self.delivered += 1;
            return;
        }
        let chunk = &mut self.chunks[index];
        if self.limit.is_some_and(|limit| chunk.attempts >= limit) {
            self.chunks.remove(index);
            self.dropped += 1;
        } else {
            chunk.attempts += 1;
            chunk.due = now + self.pace;
            self.retried += 1;
        }
    }

    fn tasks(&self) -> Vec<TaskInfo> {
        let task = |(index, chunk): (usize, &Chunk)| TaskInfo {
            key: index as u64,
            outputs: vec!["out".to_owned()],
            retries: vec![Retry {
                key: index as u64,
                output: "out".to_owned(),
                left: self
                    .limit
                    .map_or(u32::MAX, |limit| limit + 1 - chunk.attempts),
            }],
        };
        self.chunks.iter().enumerate().map(task).collect()
    }

    fn outputs(&self) -> [OutputInfo; 1] {
        [OutputInfo {
            name: "out".to_owned(),
            plugin: "http".to_owned(),
            delivered_records: Some(self.delivered),
            retries: Some(self.retried),
            dropped_records: Some(self.dropped),
            ..OutputInfo::default()
        }]
    }

    /// Plays a drain from zero to `deadline`: when all was gone.
    fn play(&mut self, deadline: Duration) -> Option<Duration> {
        let mut retries = Retries::default();
        let mut deliveries = Deliveries::default();
        let mut now = Duration::ZERO;
        while now < deadline {
            if self.chunks.is_empty() {
                return Some(now);
            }
            while let Some(index) = self.chunks.iter().position(|chunk| chunk.due <= now) {
                self.attempt(index, now);
            }
            if retries.wants_look(now) {
                deliveries.observe(now, &self.outputs());
                let due = retries.due(now, deadline, &deliveries, &self.tasks());
                for key in due.into_iter().rev() {
                    self.attempt(key as usize, now);
                }
            }
            now += TICK;
        }
        self.chunks.is_empty().then_some(now)
    }
}

fn sim(limit: Option<u32>, back: Duration, chunks: usize) -> Sim {
    let pace = Duration::from_secs(1000);
    let chunk = Chunk {
        attempts: 1,
        due: pace,
    };
    Sim {
        limit,
        back,
        pace,
        chunks: vec![chunk; chunks],
        delivered: 0,
        retried: 0,
        dropped: 0,
    }
}

#[test]
fn a_destination_that_is_back_gets_all_at_once() {
    let took = sim(None, Duration::ZERO, 100).play(Duration::from_secs(30));
    assert_eq!(took, Some(TICK));
}

#[test]
fn the_last_attempt_is_kept_until_there_is_hope() {
    let second = Duration::from_secs(1);
    let mut down = sim(Some(1), second * 26, 10);
    assert!(down.play(second * 30).is_some());
    assert_eq!((down.delivered, down.dropped), (10, 0));
    // One chunk with attempts left finds out that the destination is back.
    let mut mixed = sim(Some(20), second * 5, 10);
    for chunk in &mut mixed.chunks[1..] {
        chunk.attempts = 20;
    }
    let took = mixed.play(second * 30).unwrap();
    assert!(took <= second * 5 + LONGEST + FIRST * 2, "{took:?}");
    assert_eq!((mixed.delivered, mixed.dropped), (10, 0));
}

/// Three attempts were once spent in the first moment, and the host's timer spent the last one long before
/// the destination was back.
#[test]
fn the_hosts_own_timer_leaves_one_attempt_for_the_end() {
    let ms = Duration::from_millis(1);
    for limit in 3..8 {
        for pace in [2000, 2500, 4000] {
            let mut down = sim(Some(limit), ms * 3000, 10);
            down.pace = ms * pace;
            for chunk in &mut down.chunks {
                chunk.due = ms * pace;
            }
            assert!(down.play(ms * 8000).is_some(), "{limit}, {pace}");
            assert_eq!((down.delivered, down.dropped), (10, 0), "{limit}, {pace}");
        }
    }
}

proptest! {
    /// Whenever the destination comes back, all goes through within the longest pause and some;
    /// until then there are few attempts.
    #[test]
    fn what_waits_is_sent_soon_after_the_destination_is_back(
        back in 0u64..20_000,
        chunks in 1usize..50,
    ) {
        let back = Duration::from_millis(back);
        let mut sim = sim(None, back, chunks);
        let took = sim.play(Duration::from_secs(30));
        prop_assert!(took.is_some_and(|took| took <= back + LONGEST + FIRST * 2), "{took:?}");
        let each = sim.retried / chunks as u64;
        prop_assert!(each <= 6 + back.as_secs() / 2, "{each}");
        prop_assert_eq!(sim.delivered, chunks as u64);
    }
}
