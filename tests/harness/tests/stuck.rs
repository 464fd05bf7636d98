//! A destination that is stuck does not keep a Job: on every real host the process is gone one
//! second after the deadline at most, with the right status and report, and no line counts as
//! delivered. All ways to be stuck with all outputs: `make soak-stuck`.

use std::time::Duration;

use flb_sidecar_tests::each_real_host;
use flb_sidecar_tests::side_by_side;
use flb_sidecar_tests::stuck::{Play, Trigger, Way};

#[test]
fn a_stuck_destination_does_not_keep_the_process() {
    each_real_host("stuck destinations", |host| {
        let play = |output, way, workers, trigger| Play {
            way,
            output,
            workers,
            trigger,
            deadline: Duration::from_secs(3),
        };
        let plays = [
            play("http", Way::Silent, 1, Trigger::Flag),
            play("forward", Way::Silent, 2, Trigger::Sigterm),
            play("tcp", Way::Full, 0, Trigger::Twice),
            play("http", Way::Drip, 2, Trigger::Sigint),
        ];
        side_by_side(plays, |play| {
            let outcome = play.run(host);
            let mut faults = outcome.faults(&play);
            // The machine may be busy: how late it is, is for the soak; a hang is a hang.
            faults.retain(|fault| !fault.ends_with("late"));
            assert!(faults.is_empty(), "{play}: {faults:?}\n{}", outcome.said);
        });
    });
}
