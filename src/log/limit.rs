//! How often something of a kind is said: 20,000 new folders are no 20,000 lines.
//!
//! The kind of a line is where it comes from. Each may come in a burst, and then now and then, with
//! how many were left out.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;

/// Lines of a kind at once.
const BURST: u32 = 20;
/// Time until there may be one more.
const REFILL: Duration = Duration::from_secs(10);
/// Bytes of the last line left out that are told with their number.
const EXAMPLE: usize = 200;

/// The kinds of lines of an instance: no more than there are places in the code.
#[derive(Debug, Default)]
pub(super) struct Limits(HashMap<Identifier, Bucket>);

#[derive(Debug)]
struct Bucket {
    left: u32,
    /// Since when it is filled again.
    since: Instant,
    left_out: u64,
    level: i32,
    example: String,
}

impl Bucket {
    fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.since);
        let more = u32::try_from(passed.as_millis() / REFILL.as_millis()).unwrap_or(BURST);
        if more > 0 {
            self.left = self.left.saturating_add(more).min(BURST);
            self.since = now;
        }
    }
}

impl Limits {
    /// Whether one more line of this kind may be said; if so, how many were left out before.
    pub(super) fn may_say(
        &mut self,
        kind: Identifier,
        level: i32,
        text: &str,
        now: Instant,
    ) -> Option<u64> {
        let bucket = self.0.entry(kind).or_insert_with(|| Bucket {
            left: BURST,
            since: now,
            left_out: 0,
            level,
            example: String::new(),
        });
        bucket.refill(now);
        if bucket.left == 0 {
            bucket.left_out += 1;
            bucket.example.clear();
            bucket.example.extend(text.chars().take(EXAMPLE));
            return None;
        }
        if bucket.left == BURST {
            bucket.since = now;
        }
        bucket.left -= 1;
        Some(std::mem::take(&mut bucket.left_out))
    }

    /// What was left out and may be told by now, or `all` of it: level, number and an example.
    pub(super) fn left_out(&mut self, all: bool, now: Instant) -> Vec<(i32, u64, String)> {
        let mut told = Vec::new();
        for bucket in self.0.values_mut() {
            bucket.refill(now);
            if bucket.left_out > 0 && (all || bucket.left > 0) {
                bucket.left = bucket.left.saturating_sub(1);
                let number = std::mem::take(&mut bucket.left_out);
                told.push((bucket.level, number, std::mem::take(&mut bucket.example)));
            }
        }
        told
    }

    /// Whether something was left out that is not told yet.
    pub(super) fn owes(&self) -> bool {
        self.0.values().any(|bucket| bucket.left_out > 0)
    }
}

#[cfg(test)]
mod tests {
    use tracing::Callsite as _;

    use super::*;

    fn kind() -> Identifier {
        let callsite = tracing::callsite!(
            name: "kind",
            kind: tracing::metadata::Kind::EVENT,
            fields: message
        );
        callsite.metadata().callsite()
    }

    #[test]
    fn a_flood_is_a_few_lines_and_a_number() {
        let start = Instant::now();
        let mut limits = Limits::default();
        let (one, mut said, mut told) = (kind(), 0u64, 0u64);
        // An hour of one line every ten milliseconds.
        let step = Duration::from_millis(10);
        let count = 3600 * 100;
        for n in 0..count {
            if let Some(before) = limits.may_say(one.clone(), 2, "x", start + step * n) {
                said += 1;
                told += before;
            }
        }
        assert!(said <= u64::from(BURST) + 360, "{said}");
        for (_, number, example) in limits.left_out(true, start + step * count) {
            assert_eq!(example, "x");
            told += number;
        }
        assert_eq!(said + told, u64::from(count));
        assert!(!limits.owes());
    }

    #[test]
    fn rare_lines_are_all_said_and_kinds_do_not_take_from_each_other() {
        let start = Instant::now();
        let mut limits = Limits::default();
        let other = tracing::callsite!(
            name: "other",
            kind: tracing::metadata::Kind::EVENT,
            fields: message
        );
        let other = other.metadata().callsite();
        for n in 0..1000 {
            let said = limits.may_say(kind(), 2, "x", start + REFILL * n);
            assert_eq!(said, Some(0));
        }
        let end = start + REFILL * 1000;
        for _ in 0..100 {
            limits.may_say(kind(), 2, "x", end);
        }
        assert_eq!(limits.may_say(other, 2, "y", end), Some(0));
        assert!(limits.owes());
        // Nothing is told before it may be, but at the end.
        assert!(limits.left_out(false, end).is_empty());
        assert_eq!(limits.left_out(false, end + REFILL).len(), 1);
        assert!(limits.left_out(true, end + REFILL).is_empty());
    }
}
