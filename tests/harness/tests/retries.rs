//! A destination that is back gets what waits for its retry when a drain begins, not when the host
//! would try again: on every real host, however far away that is.

use std::fs;

use flb_sidecar_tests::destination::{Destination, Mood};
use flb_sidecar_tests::{each_real_host, side_by_side, Host, Pipeline, Running};
use serde_json::Value as Json;

/// Longer than any deadline here.
const SERVICE: &str = "[SERVICE]\n    scheduler.base 600\n    scheduler.cap 900\n";

struct Job {
    pipeline: Pipeline,
    destination: Destination,
    running: Running,
}

impl Job {
    /// A Job whose destination has refused `refusals` times.
    fn refused(host: &Host, retry_limit: &str, workers: &str) -> Self {
        let destination = Destination::new(Mood::Shut);
        let mut pipeline = Pipeline::new(host);
        let service = pipeline.file("service.conf", SERVICE);
        let log = pipeline.file("logs/app.log", "early\n");
        let (flag, report) = (pipeline.path("flag"), pipeline.path("report"));
        let output = [("retry_limit", retry_limit), ("workers", workers)];
        pipeline
            .arg("-c")
            .arg(service)
            .input("sidecar_tail", &[("path", &log)])
            .output("http", "*", &destination.options())
            .options(&output)
            .output(
                "completion_exit",
                "nothing",
                &[("flag_file", flag), ("report_file", report)],
            );
        let mut running = pipeline.start();
        running.wait_for("a retry that waits", |out| {
            destination.refused() > 0 && out.stderr().contains("retry in")
        });
        Job {
            pipeline,
            destination,
            running,
        }
    }

    /// The flag, and the end of the process: what the report says.
    fn end(mut self) -> (Json, bool, bool) {
        fs::write(self.pipeline.path("flag"), "").expect("a flag can be set");
        self.running.wait_for_end();
        let report = fs::read_to_string(self.pipeline.path("report")).unwrap_or_default();
        let has = |line| self.destination.has(line);
        let (early, late) = (has("early"), has("late"));
        (
            serde_json::from_str(&report).unwrap_or_default(),
            early,
            late,
        )
    }
}

#[test]
fn what_waits_is_sent_when_the_drain_begins() {
    each_real_host("retries pulled forward", |host| {
        let variants = [("no_limits", "0"), ("no_limits", "2"), ("5", "1")];
        side_by_side(variants, |(limit, workers)| {
            let job = Job::refused(host, limit, workers);
            job.destination.open();
            let (report, early, _) = job.end();
            let right = report["complete"] == true && report["ended_by"] == "drained" && early;
            assert!(right, "{limit}, {workers} workers: {report}");
        });
    });
}

/// The only attempt that is left is not wasted on a destination that may still be down: a newer
/// line finds out that it is back.
#[test]
fn the_last_attempt_waits_for_a_success() {
    each_real_host("last attempts", |host| {
        let job = Job::refused(host, "1", "1");
        job.destination.open();
        let log = job.pipeline.path("logs/app.log");
        fs::write(&log, "early\nlate\n").expect("the log takes lines");
        let (report, early, late) = job.end();
        let right = report["complete"] == true && report["ended_by"] == "drained" && early && late;
        assert!(right, "{report}");
    });
}
