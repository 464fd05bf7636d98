//! The sidecar of conf/full under a memory limit of 64 MiB; harder in `make soak-memory`.

use std::time::Duration;

use flb_sidecar_tests::host::real_hosts;
use flb_sidecar_tests::memory::{self, Plan};
use flb_sidecar_tests::say;

#[test]
fn a_burst_while_the_destination_is_down_stays_within_64_mib_and_loses_nothing() {
    const WHAT: &str = "a burst within 64 MiB";
    let hosts = real_hosts();
    let Some(host) = hosts.last() else {
        return say(&format!("SKIPPED {WHAT}: no Fluent Bit found"));
    };
    let plan = Plan {
        limit: 64 << 20,
        burst: 40 << 20,
        down: Duration::from_secs(5),
        patience: Duration::from_secs(120),
    };
    match memory::run(host, &plan) {
        Err(why) => say(&format!("SKIPPED {WHAT}: {why}")),
        Ok(outcome) => {
            say(&format!("{WHAT}: {host}: {outcome}"));
            assert_eq!((outcome.killed, outcome.lost), (0, 0), "{outcome:?}");
        }
    }
}
