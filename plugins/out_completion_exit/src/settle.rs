//! `sigterm_wait auto`: when reading is over after SIGTERM. Pure.
//!
//! A native sidecar hears SIGTERM a moment after its main container has ended, other sidecars hear
//! it together with theirs, which may write on while it stops. So reading goes on as long as somebody
//! is seen to have one of the files open for writing (`/proc`), and until nothing has come for a
//! while.

use std::time::Duration;

/// How long nothing must have come.
const SILENCE: Duration = Duration::from_secs(2);
/// Time from SIGTERM for which nothing is decided by silence alone: who was silent before may begin
/// to say good-bye.
const LISTEN: Duration = Duration::from_millis(1200);

/// Whether the drain may begin, `after` SIGTERM, when nothing has come for `silent`. A writer who
/// opens the file for each line is not seen, so that nobody is seen is not enough.
pub(crate) fn is_settled(after: Duration, silent: Duration, writer_seen: bool) -> bool {
    !writer_seen && after >= LISTEN && silent >= SILENCE
}

/// When it begins in any case: what is left then is for delivering.
pub(crate) fn at_latest(deadline: Duration) -> Duration {
    deadline.saturating_sub((deadline / 2).min(Duration::from_secs(6)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// When the drain begins, in ms after SIGTERM, for a writer whose lines come at these times and
    /// who is seen until then.
    fn begins(lines: &[i64], seen_until: i64) -> i64 {
        (0..25_000)
            .step_by(20)
            .find(|now| {
                let last = lines.iter().filter(|at| *at <= now).max();
                let silent = MS * u32::try_from(now - last.unwrap_or(&-60_000)).unwrap();
                is_settled(MS * u32::try_from(*now).unwrap(), silent, *now < seen_until)
            })
            .unwrap_or(i64::MAX)
    }

    #[test]
    fn a_native_sidecar_does_not_wait_for_long() {
        // Its main container ended a second before.
        assert_eq!(begins(&[-1000], -1000), 1200);
        assert_eq!(begins(&[], -1000), 1200);
    }

    #[test]
    fn a_main_container_that_stops_slowly_is_heard_out() {
        let steady: Vec<i64> = (0..12).map(|n| n * 500).collect();
        assert_eq!(begins(&steady, -1000), 7500);
        assert_eq!(begins(&[0, 500], 6000), 6000);
        // Silent before, and with something to say in the end.
        assert_eq!(begins(&[600, 1800], -1000), 3800);
        let endless: Vec<i64> = (0..100).map(|n| n * 500).collect();
        assert_eq!(begins(&endless, -1000), i64::MAX);
    }

    #[test]
    fn delivery_has_its_time() {
        assert_eq!(at_latest(Duration::from_secs(25)), Duration::from_secs(19));
        assert_eq!(at_latest(Duration::from_secs(4)), Duration::from_secs(2));
        assert_eq!(at_latest(Duration::ZERO), Duration::ZERO);
    }
}
