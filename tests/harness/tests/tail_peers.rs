//! What other tails' own suites assert, in our words, on real hosts: `tests/cases/tail_peers`.

use flb_sidecar_tests::build::root;
use flb_sidecar_tests::steps::{self, Player};
use flb_sidecar_tests::{each_real_host, side_by_side, Host, Pipeline, Running};
use serde_json::Value as Json;

/// One process after another.
struct Hosts<'a> {
    host: &'a Host,
    /// With its folder, which must be there until it has ended.
    running: Option<(Running, Pipeline)>,
    records: Vec<Json>,
}

fn without_times(mut records: Vec<Json>) -> Vec<Json> {
    for record in &mut records {
        if let Some(pairs) = record.as_object_mut() {
            pairs.remove("date");
        }
    }
    records
}

impl Player for Hosts<'_> {
    fn start(&mut self, options: &[(String, String)]) {
        let mut pipeline = Pipeline::new(self.host);
        let options: Vec<_> = options
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .collect();
        pipeline.input("sidecar_tail", &options).print();
        self.running = Some((pipeline.start(), pipeline));
    }

    fn stop(&mut self) {
        if let Some((running, _pipeline)) = self.running.take() {
            let ended = running.terminate();
            ended.check_status(0);
            self.records.extend(without_times(ended.records()));
        }
    }

    fn wait_for(&mut self, records: usize) {
        let before = self.records.len();
        if let Some((running, _)) = &mut self.running {
            running.wait_for(&format!("{records} records"), |output| {
                before + output.records().len() >= records
            });
        }
    }

    fn records(&mut self) -> Vec<Json> {
        let running = self.running.iter();
        let running = running.flat_map(|(running, _)| running.output().records());
        let records = self.records.iter().cloned().chain(running);
        without_times(records.collect())
    }
}

#[test]
fn what_other_tails_assert() {
    let scripts = steps::load(&root().join("tests/cases/tail_peers"));
    let only = std::env::var("FLB_SIDECAR_ROW").unwrap_or_default();
    let scripts: Vec<_> = scripts
        .into_iter()
        .filter(|script| script.name.contains(&only))
        .collect();
    each_real_host("what other tails assert", |host| {
        for scripts in scripts.chunks(6) {
            side_by_side(scripts, |script| {
                let folder = Pipeline::bare(host);
                let (logs, state) = (folder.path("logs"), folder.path("state"));
                for folder in [&logs, &state] {
                    std::fs::create_dir(folder).expect("the folder is ours");
                }
                let mut player = Hosts {
                    host,
                    running: None,
                    records: Vec::new(),
                };
                script.play(logs.as_ref(), state.as_ref(), &mut player);
            });
        }
    });
}
