//! Whether what is due is delivered. Pure.

use std::collections::HashMap;
use std::time::Duration;

use flb_sidecar_sdk::TaskInfo;

use crate::delivery::Deliveries;

/// Follows for how long something has waited for each output.
#[derive(Debug, Default)]
pub(crate) struct Health {
    waiting_since: HashMap<String, Duration>,
}

impl Health {
    /// Looks at the tasks of one moment. Unhealthy: something has waited for an output all the time
    /// since `limit`, and it has delivered nothing for as long. What waits may change meanwhile: a
    /// host without room throws old chunks away.
    pub(crate) fn observe(
        &mut self,
        now: Duration,
        limit: Duration,
        tasks: &[TaskInfo],
        deliveries: &Deliveries,
    ) -> bool {
        let before = std::mem::take(&mut self.waiting_since);
        for task in tasks {
            // Those that have failed; else it is under way to any of its outputs.
            let failed = task.retries.iter().map(|retry| &retry.output);
            let under_way = task.outputs.iter().filter(|_| task.retries.is_empty());
            for output in failed.chain(under_way) {
                let since = before.get(output).copied().unwrap_or(now);
                self.waiting_since.insert(output.clone(), since);
            }
        }
        self.waiting_since.iter().all(|(output, since)| {
            let success = deliveries.last_success(output).unwrap_or_default();
            now.saturating_sub(success.max(*since)) < limit
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flb_sidecar_sdk::{OutputInfo, Retry};

    const SECOND: Duration = Duration::from_secs(1);

    fn task(key: u64, failed: bool) -> TaskInfo {
        let retry = Retry {
            output: "http.0".to_owned(),
            ..Retry::default()
        };
        TaskInfo {
            key,
            outputs: vec!["http.0".to_owned()],
            retries: failed.then_some(retry).into_iter().collect(),
        }
    }

    fn delivered(records: u64) -> [OutputInfo; 1] {
        [OutputInfo {
            name: "http.0".to_owned(),
            plugin: "http".to_owned(),
            delivered_records: Some(records),
            ..OutputInfo::default()
        }]
    }

    #[test]
    fn it_is_lost_after_the_limit_and_back_with_the_first_success() {
        for failed in [true, false] {
            let (mut health, mut deliveries) = (Health::default(), Deliveries::default());
            let mut look = |now: u64, records: u64| {
                let now = SECOND * now as u32;
                deliveries.observe(now, &delivered(records));
                // A host without room has ever new ones.
                let key = now.as_secs();
                health.observe(now, SECOND * 60, &[task(key, failed)], &deliveries)
            };
            for now in 0..60 {
                assert!(look(now, 0), "{now}");
            }
            assert!(!look(60, 0));
            assert!(!look(100, 0));
            // One chunk goes through, the task still waits.
            assert!(look(101, 5));
            assert!(look(160, 5));
            assert!(!look(161, 5));
        }
    }

    #[test]
    fn a_steady_stream_is_healthy_and_so_is_silence() {
        let (mut health, mut deliveries) = (Health::default(), Deliveries::default());
        for now in 0..600 {
            let at = SECOND * now;
            deliveries.observe(at, &delivered(u64::from(now)));
            assert!(health.observe(at, SECOND * 60, &[task(1, false)], &deliveries));
        }
        // Nothing to deliver is healthy, too.
        for now in 600..900 {
            assert!(health.observe(SECOND * now, SECOND * 60, &[], &deliveries));
        }
    }
}
