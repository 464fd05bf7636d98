//! A simulated host: it takes records, delivers them later or never, and tells what it has as hosts of
//! several kinds do.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use flb_sidecar_sdk::event::{self, RecordFormat};
use flb_sidecar_sdk::metrics::Metrics;
use flb_sidecar_sdk::{InputHost, Pending, Refused};
use serde_json::Value;

use crate::time::Time;

/// How a host tells what it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tells {
    /// How many chunks there are.
    Count,
    /// Which ones.
    Numbers,
    /// The same for an input with a thread of its own, which hands over through a ring.
    Ring,
}

/// How often the engine looks into a ring.
const RING: Duration = Duration::from_millis(250);

/// A chunk that is not delivered.
#[derive(Debug)]
struct Chunk {
    number: u64,
    bodies: Vec<Value>,
    /// When the engine has it, and when it is delivered.
    taken: Instant,
    gone: Instant,
}

#[derive(Debug)]
pub(super) struct Host {
    time: Time,
    tells: Tells,
    delivers_after: Duration,
    began: Instant,
    metrics: Metrics,
    /// It takes nothing.
    pub(super) paused: bool,
    /// It delivers nothing.
    pub(super) stuck: bool,
    pub(super) stopping: bool,
    chunks: VecDeque<Chunk>,
    /// How often something was appended.
    pub(super) appends: u64,
}

impl Host {
    pub(super) fn new(tells: Tells, delivers_after: Duration, time: &Time) -> Self {
        Host {
            time: time.clone(),
            tells,
            delivers_after,
            began: time.now(),
            metrics: Metrics::default(),
            paused: false,
            stuck: false,
            stopping: false,
            chunks: VecDeque::new(),
            appends: 0,
        }
    }

    /// What is delivered by now; all of it when the engine has stopped in order.
    pub(super) fn delivered(&mut self, all: bool) -> Vec<Value> {
        let now = self.time.now();
        let mut bodies = Vec::new();
        while !self.stuck && self.chunks.front().is_some_and(|c| all || c.gone <= now) {
            bodies.extend(self.chunks.pop_front().into_iter().flat_map(|c| c.bodies));
        }
        bodies
    }

    /// When something happens next by itself.
    pub(super) fn next(&self) -> Option<Instant> {
        let now = self.time.now();
        let moments = self
            .chunks
            .iter()
            .flat_map(|chunk| [chunk.taken, chunk.gone]);
        moments.filter(|at| *at > now).min()
    }
}

impl InputHost for Host {
    fn record_format(&self) -> RecordFormat {
        RecordFormat::WithMetadata
    }

    fn append(&mut self, _: Option<&str>, records: usize, events: &[u8]) -> Result<(), Refused> {
        if self.paused {
            return Err(Refused);
        }
        let bodies: Vec<Value> = event::records(events)
            .map(|record| {
                let body = record.expect("appended records are whole").body;
                let (body, _) = flb_sidecar_sdk::json::read(events, body).expect("it is msgpack");
                body
            })
            .collect();
        assert_eq!(
            bodies.len(),
            records,
            "the record count of an append is right"
        );
        let now = self.time.now();
        let mut taken = now;
        if self.tells == Tells::Ring {
            let since = now.duration_since(self.began).as_millis() as u64;
            let next = (since + 1).next_multiple_of(RING.as_millis() as u64);
            taken = self.began + Duration::from_millis(next);
        }
        self.appends += 1;
        self.chunks.push_back(Chunk {
            number: self.appends,
            bodies,
            taken,
            gone: taken + self.delivers_after,
        });
        Ok(())
    }

    fn tag(&self) -> Option<&str> {
        Some("simulated.0")
    }

    fn is_paused(&self) -> bool {
        self.paused
    }

    fn is_stopping(&self) -> bool {
        self.stopping
    }

    fn flush(&mut self) {}

    fn exit(&mut self, _: i32) -> bool {
        self.stopping = true;
        true
    }

    fn pending(&self) -> Option<Pending> {
        Some(Pending {
            chunks: self.chunks.len(),
            tasks: 0,
        })
    }

    fn undelivered(&self, chunks: &mut Vec<u64>) -> bool {
        let now = self.time.now();
        let taken = self.chunks.iter().filter(|chunk| chunk.taken <= now);
        chunks.extend(taken.map(|chunk| chunk.number));
        self.tells != Tells::Count
    }

    fn on_their_way(&self) -> Option<u64> {
        let now = self.time.now();
        let way = self.chunks.iter().filter(|chunk| chunk.taken > now);
        Some(way.count() as u64)
    }

    fn metrics(&self) -> &Metrics {
        &self.metrics
    }
}
