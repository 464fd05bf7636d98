//! What the outputs have done of late, from their counters. Pure.

use std::collections::HashMap;
use std::time::Duration;

use flb_sidecar_sdk::OutputInfo;

/// One output.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    delivered: u64,
    failed: u64,
    last_success: Option<Duration>,
    last_failure: Option<Duration>,
}

/// Every output by name.
#[derive(Debug, Default)]
pub(crate) struct Deliveries {
    outputs: HashMap<String, Seen>,
    successes: u64,
}

impl Deliveries {
    /// Looks at the counters at `now`.
    pub(crate) fn observe(&mut self, now: Duration, outputs: &[OutputInfo]) {
        for output in outputs {
            if output.plugin == "completion_exit" {
                continue;
            }
            let seen = self.outputs.entry(output.name.clone()).or_default();
            let delivered = output.delivered_records.unwrap_or(0);
            let failed = output
                .retries
                .unwrap_or(0)
                .saturating_add(output.dropped_records.unwrap_or(0));
            if delivered > seen.delivered {
                seen.last_success = Some(now);
                self.successes += 1;
            }
            if failed > seen.failed {
                seen.last_failure = Some(now);
            }
            seen.delivered = delivered;
            seen.failed = failed;
        }
    }

    /// Grows whenever something was delivered.
    pub(crate) fn successes(&self) -> u64 {
        self.successes
    }

    /// Its last delivery is newer than its last failure. Both at one look: it may be either.
    pub(crate) fn is_up(&self, output: &str) -> bool {
        self.outputs.get(output).is_some_and(|seen| {
            seen.last_success
                .is_some_and(|success| seen.last_failure.is_none_or(|failure| success > failure))
        })
    }
}
