//! Destinations that fail as random scripts say: the account of the report is what the destinations and
//! the files say. Many more in `make soak-faults`.

use flb_sidecar_tests::fault_script::{run, Plan};
use flb_sidecar_tests::host::real_hosts;
use flb_sidecar_tests::random::Random;
use flb_sidecar_tests::{say, side_by_side};

#[test]
fn the_account_is_what_destinations_and_files_say() {
    const SEEDS: std::ops::Range<u64> = 1..13;
    let hosts = real_hosts();
    if hosts.is_empty() {
        return say("SKIPPED scripts of faults: no Fluent Bit found");
    }
    let faults: Vec<String> = side_by_side(SEEDS, |seed| {
        let host = &hosts[((seed - 1) % hosts.len() as u64) as usize];
        let plan = Plan::random(&mut Random::new(seed));
        let faults = run(host, &plan);
        (!faults.is_empty())
            .then(|| format!("seed {seed}, {host}: {}\n{plan:?}", faults.join("\n")))
    })
    .into_iter()
    .flatten()
    .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    say("scripts of faults: ok");
}
