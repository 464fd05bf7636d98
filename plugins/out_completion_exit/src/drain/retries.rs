//! When what waits to be tried again is sent during a drain. Pure.
//!
//! The host lets a failed chunk wait for up to half an hour. A drain has no time for that: it sends
//! all of them at once when it begins, then after 0.1 s and ever longer pauses, and again as soon
//! as something has gone through. An output's last attempt (`Retry_Limit`) is kept until there is
//! hope: the output has delivered since it last failed, or the deadline is near. So is the one before it
//! after the first of our own, since the host's timer spends one, too.

use std::time::Duration;

use flb_sidecar_sdk::TaskInfo;

use crate::delivery::Deliveries;

/// Between two attempts at first.
const FIRST: Duration = Duration::from_millis(100);
/// At most: as long as that a destination that is back may wait.
const LONGEST: Duration = Duration::from_secs(2);
/// How long before the deadline the last attempts are made.
const LAST_CHANCE: Duration = Duration::from_secs(3);
/// The last attempt, and one for the host's own timer, which may come before there is hope.
const KEPT: u32 = 2;

/// The attempts of one drain.
#[derive(Debug, Default)]
pub(crate) struct Retries {
    next: Duration,
    pause: Duration,
    next_look: Duration,
    successes: u64,
    chance_taken: bool,
    /// Attempts that are not to be spent without hope.
    kept: u32,
}

impl Retries {
    /// Whether it is worth looking at the outputs.
    pub(crate) fn wants_look(&mut self, now: Duration) -> bool {
        let wants = now >= self.next_look;
        if wants {
            self.next_look = now + FIRST;
        }
        wants
    }

    /// What to send at `now`, of all there is.
    pub(crate) fn due(
        &mut self,
        now: Duration,
        deadline: Duration,
        deliveries: &Deliveries,
        tasks: &[TaskInfo],
    ) -> Vec<u64> {
        let went_through = deliveries.successes() != self.successes;
        self.successes = deliveries.successes();
        let last_chance = !self.chance_taken && now + LAST_CHANCE >= deadline;
        if went_through {
            self.pause = Duration::ZERO;
        } else if !last_chance && now < self.next {
            return Vec::new();
        }
        self.chance_taken |= last_chance;
        self.pause = (self.pause * 2).clamp(FIRST, LONGEST);
        self.next = now + self.pause;
        let kept = std::mem::replace(&mut self.kept, KEPT).max(1);
        let retries = tasks.iter().flat_map(|task| &task.retries);
        retries
            .filter(|retry| retry.left > kept || last_chance || deliveries.is_up(&retry.output))
            .map(|retry| retry.key)
            .collect()
    }
}

#[cfg(test)]
#[path = "retries_tests.rs"]
mod tests;
