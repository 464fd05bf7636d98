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

    /// When it last delivered something.
    pub(crate) fn last_success(&self, output: &str) -> Option<Duration> {
        self.outputs.get(output)?.last_success
    }

    /// Its last delivery is newer than its last failure. Both at one look: it may be either.
    pub(crate) fn is_up(&self, output: &str) -> bool {
        self.outputs.get(output).is_some_and(|seen| {
            seen.last_success
                .is_some_and(|success| seen.last_failure.is_none_or(|failure| success > failure))
        })
    }
}

/// The outputs as they are, without a known fault of the host's counters: `stdout` without `Format`
/// in 2.1.0 prints a chunk and then counts it as an error. It cannot fail otherwise, so one that has
/// never delivered anything has delivered what it counts as dropped.
pub(crate) fn believed(mut outputs: Vec<OutputInfo>) -> Vec<OutputInfo> {
    for output in &mut outputs {
        if output.plugin == "stdout" && output.delivered_records == Some(0) {
            output.delivered_records = output.dropped_records;
            output.dropped_records = output.dropped_records.and(Some(0));
            output.failures = output.failures.and(Some(0));
        }
    }
    outputs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stdout_that_counts_what_it_prints_as_dropped_has_printed_it() {
        let output = |plugin: &str, delivered, dropped| OutputInfo {
            plugin: plugin.to_owned(),
            delivered_records: Some(delivered),
            dropped_records: Some(dropped),
            ..OutputInfo::default()
        };
        let seen = believed(vec![
            output("stdout", 0, 7),
            output("stdout", 5, 7),
            output("http", 0, 7),
        ]);
        let counts: Vec<_> = seen
            .iter()
            .map(|output| (output.delivered_records, output.dropped_records))
            .collect();
        assert_eq!(
            counts,
            [(Some(7), Some(0)), (Some(5), Some(7)), (Some(0), Some(7))]
        );
    }
}
