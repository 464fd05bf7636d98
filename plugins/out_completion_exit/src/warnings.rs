//! What an instance says at its first tick, when every input and output is there.

use std::time::Duration;

use flb_sidecar_sdk::{EngineHost, OutputInfo, RetryLimit};

use crate::report;

/// Outputs that cannot fail for long.
const LOCAL_OUTPUTS: &[&str] = &[
    "completion_exit",
    "counter",
    "exit",
    "file",
    "flowcounter",
    "null",
    "stdout",
];

/// Says what of the configuration and of the host will cost something.
pub(crate) fn say(idle_time: Option<Duration>, host: &mut dyn EngineHost) {
    let outputs = host.outputs();
    for output in &outputs {
        if let Some(warning) = of_retries(output) {
            tracing::warn!("{warning}");
        }
    }
    if !report::tells_drops(&outputs) {
        tracing::warn!(
            "this host does not tell what its outputs drop: no drain will be called complete, \
             and loss_exit_code does not see dropped records"
        );
    }
    if host.tasks().is_none() || host.retry_now(&[]).is_none() {
        tracing::warn!(
            "this host does not let a drain send what waits for its retry: set scheduler.base 1 \
             and scheduler.cap 5 in its service section, so that nothing waits for long"
        );
    }
    if let Some(time) = idle_time {
        tracing::info!(
            "idle_time {} s: relies on what sidecar_tail sees of its files, on what the host counts of other \
             inputs, and on open files of other processes in /proc as far as they are visible",
            time.as_secs_f64()
        );
    }
}

/// The host drops a chunk when its retries are used up, long before a deadline.
fn of_retries(output: &OutputInfo) -> Option<String> {
    let RetryLimit::Times(limit) = output.retry_limit else {
        return None;
    };
    if limit > 1 || LOCAL_OUTPUTS.contains(&output.plugin.as_str()) {
        return None;
    }
    Some(format!(
        "output {}: Retry_Limit {limit} drops records while its destination is down; \
         'Retry_Limit no_limits' keeps them, and the deadline bounds the wait",
        output.name
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_retries_are_warned_of() {
        let output = |plugin: &str, retry_limit| OutputInfo {
            name: format!("{plugin}.0"),
            plugin: plugin.to_owned(),
            retry_limit,
            ..OutputInfo::default()
        };
        let warning = of_retries(&output("http", RetryLimit::Times(1))).unwrap();
        assert!(
            warning.contains("http.0") && warning.contains("no_limits"),
            "{warning}"
        );
        for quiet in [
            output("http", RetryLimit::Unlimited),
            output("http", RetryLimit::Unknown),
            output("http", RetryLimit::Times(10)),
            output("stdout", RetryLimit::Times(1)),
        ] {
            assert_eq!(of_retries(&quiet), None);
        }
    }
}
