//! What other tails' own suites assert, in our words, on the pure crate: `tests/cases/tail_peers`.

mod common;
// Public in the harness.
#[allow(unreachable_pub)]
#[path = "../../../tests/harness/src/steps.rs"]
mod steps;

use std::path::Path;

use common::{delivering, Rig};
use serde_json::Value as Json;
use steps::Player;

/// Instances one after another on hosts that deliver at once.
#[derive(Default)]
struct Core {
    rig: Option<Rig>,
    /// What came of those that have ended.
    records: Vec<Json>,
}

impl Player for Core {
    fn start(&mut self, options: &[(String, String)]) {
        let options: Vec<_> = options
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .collect();
        let rig = Rig::try_start(&options, delivering());
        self.rig = Some(rig.unwrap_or_else(|error| panic!("{error}")));
    }

    fn stop(&mut self) {
        if let Some(mut rig) = self.rig.take() {
            rig.host.stopping = true;
            rig.pause();
            // The engine has delivered what it got, and pauses once more.
            rig.pause();
            rig.exit();
            self.records.extend(rig.host.bodies());
        }
    }

    fn wait_for(&mut self, records: usize) {
        let before = self.records.len();
        if let Some(rig) = &mut self.rig {
            let what = format!("{records} records");
            rig.until(&what, |rig| before + rig.host.bodies().len() >= records);
        }
    }

    fn records(&mut self) -> Vec<Json> {
        let running = self.rig.iter().flat_map(|rig| rig.host.bodies());
        self.records.iter().cloned().chain(running).collect()
    }
}

#[test]
fn what_other_tails_assert() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases/tail_peers");
    let scripts = steps::load(&folder);
    assert!(scripts.len() > 40, "only {} scripts", scripts.len());
    let only = std::env::var("FLB_SIDECAR_ROW").unwrap_or_default();
    let scripts: Vec<_> = scripts.iter().filter(|s| s.name.contains(&only)).collect();
    let mut failed = Vec::new();
    for scripts in scripts.chunks(12) {
        std::thread::scope(|scope| {
            let running: Vec<_> = scripts
                .iter()
                .map(|script| {
                    let run = || {
                        let (logs, state) =
                            (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
                        script.play(logs.path(), state.path(), &mut Core::default());
                    };
                    (script, scope.spawn(run))
                })
                .collect();
            for (script, thread) in running {
                if thread.join().is_err() {
                    failed.push(format!("{} ({})", script.name, script.source));
                }
            }
        });
    }
    assert!(failed.is_empty(), "{failed:#?}");
}
