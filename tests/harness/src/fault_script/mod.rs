//! A Job whose destinations fail as a random script says: down, slow, 503, 400, reset, silent; with
//! limits of storage and of retries, filters, several inputs and outputs, and `kill -9`. What the report
//! says of it is compared with what the destinations and the files say; then all is well, and a last
//! start must bring what was lost.
//!
//! - this file makes the plans,
//! - `play` is the Job's life,
//! - `judge` compares.

mod judge;
mod play;

use std::time::Duration;

use crate::destination::Phase;
use crate::random::Random;

pub use play::run;

/// What a filter does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// `grep` takes some lines out.
    Grep,
    /// `rewrite_tag` takes some out and gives them back through an emitter.
    RewriteTag,
}

/// One destination and the output that leads to it.
#[derive(Clone, Debug)]
pub struct Way {
    /// Phases and how long each lasts; the last one lasts for ever.
    pub script: Vec<(Phase, Duration)>,
    /// `storage.total_limit_size`.
    pub room: Option<&'static str>,
    /// `Retry_Limit`.
    pub retries: &'static str,
    /// `workers`.
    pub workers: u64,
}

/// A Job.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Its destinations.
    pub ways: Vec<Way>,
    /// Inputs, each with a file of its own.
    pub inputs: u64,
    /// The inputs store their chunks as files.
    pub stored: bool,
    /// The inputs run on threads of their own, where the host can.
    pub threaded: bool,
    /// Between inputs and outputs.
    pub filter: Option<Filter>,
    /// The emitter's chunks are files, too.
    pub emitter_stored: bool,
    /// How many lines the main container writes to each file at once, and how long it is silent then.
    pub portions: Vec<(u64, Duration)>,
    /// `kill -9` and a new start behind so many portions.
    pub kill: Option<usize>,
    /// From the flag to the end.
    pub deadline: Duration,
}

const MS: Duration = Duration::from_millis(1);

impl Way {
    fn random(random: &mut Random, stored: bool) -> Self {
        let phases = random.below(4);
        let mut script: Vec<(Phase, Duration)> = (0..phases)
            .map(|_| {
                let phase = match random.below(7) {
                    0 => Phase::Well,
                    1 => Phase::Slow(random.time(MS * 10, MS * 1500)),
                    2 => Phase::Refuses,
                    3 => Phase::Rejects,
                    4 => Phase::Resets,
                    5 => Phase::Silent,
                    _ => Phase::Down,
                };
                (phase, random.time(MS * 100, MS * 4000))
            })
            .collect();
        let last = match random.below(6) {
            0 => Phase::Refuses,
            1 => Phase::Silent,
            2 => Phase::Down,
            _ => Phase::Well,
        };
        script.push((last, Duration::ZERO));
        let rooms = [None, Some("4M"), Some("8M")];
        Way {
            script,
            room: rooms[random.below(3) as usize].filter(|_| stored),
            retries: ["no_limits", "no_limits", "1", "2", "no_retries"][random.below(5) as usize],
            workers: random.below(3),
        }
    }
}

impl Plan {
    /// A random Job.
    pub fn random(random: &mut Random) -> Self {
        let stored = random.below(2) == 0;
        let ways = 1 + random.below(2);
        let portions = 1 + random.below(6);
        let portions: Vec<(u64, Duration)> = (0..portions)
            .map(|_| {
                let lines = random.time(MS * 100, MS * 4000).as_millis() as u64;
                (lines, random.time(MS * 20, MS * 1500))
            })
            .collect();
        let kill = random.below(portions.len() as u64 + 1) as usize;
        Plan {
            ways: (0..ways).map(|_| Way::random(random, stored)).collect(),
            inputs: 1 + random.below(2),
            stored,
            filter: match random.below(5) {
                0 => Some(Filter::Grep),
                1 => Some(Filter::RewriteTag),
                _ => None,
            },
            kill: Some(kill).filter(|_| random.below(4) == 0),
            portions,
            deadline: random.time(MS * 3000, MS * 8000),
            threaded: random.below(6) == 0,
            emitter_stored: stored && random.below(2) == 0,
        }
    }

    /// The lines of one input's portion. Some are for the filter.
    fn lines(input: u64, portion: usize, count: u64) -> impl Iterator<Item = String> {
        (0..count).map(move |n| {
            let word = if n % 7 == 3 { "aside" } else { "plain" };
            format!("{word} {input} {portion} {n} {}", "x".repeat(1000))
        })
    }

    /// All of them that destinations should see.
    fn wanted(&self) -> Vec<String> {
        let portions = self.portions.iter().enumerate();
        let all = portions.flat_map(|(portion, (count, _))| {
            (0..self.inputs).flat_map(move |input| Plan::lines(input, portion, *count))
        });
        let taken_out =
            |line: &String| self.filter == Some(Filter::Grep) && line.starts_with("aside");
        all.filter(|line| !taken_out(line)).collect()
    }

    /// Every chunk is one that its input follows.
    fn is_followed(&self) -> bool {
        self.filter != Some(Filter::RewriteTag) && !self.threaded
    }

    /// How many the main container writes.
    fn written(&self) -> u64 {
        let portions = self.portions.iter();
        portions.map(|(count, _)| count).sum::<u64>() * self.inputs
    }
}
