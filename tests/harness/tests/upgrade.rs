//! A dozen upgrades and rollbacks in place on real hosts; a hundred in `make soak-upgrade`.

use std::path::PathBuf;

use flb_sidecar_tests::build::{library, root};
use flb_sidecar_tests::host::real_hosts;
use flb_sidecar_tests::random::seed;
use flb_sidecar_tests::say;
use flb_sidecar_tests::upgrade::{self, Load, Outcome, Plan, Way};

/// The library under test, and the released build of the same sources if there is one. The
/// builds of earlier sources take part in `make soak-upgrade`.
fn libraries() -> Vec<PathBuf> {
    let released = root().join("dist/libflb_sidecar.so");
    let mut all = vec![library()];
    all.extend(released.exists().then_some(released));
    all
}

/// Between the oldest and the newest host, and between the builds of the library.
fn run(what: &str, way: Way, pods: usize, rounds: usize) -> Option<Outcome> {
    let all = real_hosts();
    let (Some(oldest), Some(newest)) = (all.first(), all.last()) else {
        say(&format!("SKIPPED {what}: no Fluent Bit found"));
        return None;
    };
    let hosts = [oldest.clone(), newest.clone()];
    let seed = seed();
    let plan = Plan {
        way,
        load: Load::Steady,
        rounds,
        pods,
        hosts: &hosts,
        libraries: &libraries(),
        seed,
    };
    let outcome = upgrade::run(&plan, |_| {});
    say(&format!(
        "{what}: {rounds} times, {oldest} and {newest}, {} lines, {} rotations: {} lost, {} twice, \
         FLB_SIDECAR_SEED={seed}",
        outcome.lines, outcome.rotations, outcome.lost, outcome.twice
    ));
    Some(outcome)
}

#[test]
fn one_after_the_other_loses_nothing_and_repeats_nothing() {
    if let Some(outcome) = run("upgrades one after the other", Way::Follow, 2, 8) {
        assert_eq!((outcome.lost, outcome.twice), (0, 0), "{outcome:?}");
    }
}

#[test]
fn side_by_side_loses_nothing_and_repeats_nothing() {
    if let Some(outcome) = run("upgrades side by side", Way::Overlap, 2, 4) {
        assert_eq!((outcome.lost, outcome.twice), (0, 0), "{outcome:?}");
    }
}

#[test]
fn killed_sidecars_lose_nothing() {
    if let Some(outcome) = run("replaced after kill -9", Way::Kill, 1, 4) {
        assert_eq!(outcome.lost, 0, "{outcome:?}");
    }
}
