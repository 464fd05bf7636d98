//! What `completion_exit` says of losses where the chunks are not those of a `sidecar_tail` on the engine's
//! thread: a threaded one, an emitter, what an earlier run has left.

use std::fs;
use std::path::Path;

use flb_sidecar_tests::destination::{Destination, Mood};
use flb_sidecar_tests::sidecar::append;
use flb_sidecar_tests::{each_real_host, Host, Pipeline, Running};
use serde_json::Value as Json;

/// About half of what all portions take.
const ROOM: &str = "2M";
/// Each makes a chunk of its own.
const PORTIONS: usize = 20;
const LINES: usize = 1000;
const ALL: u64 = (PORTIONS * LINES) as u64;

/// A log for a destination that is shut, beside one whose deliveries go on all the time.
struct Job {
    pipeline: Pipeline,
    shut: Destination,
    well: Destination,
}

impl Job {
    /// `input`, `filter`: options of the log's input, and a rule that gives its lines another tag.
    fn new(host: &Host, room: &str, input: &[(&str, &str)], rule: Option<&str>) -> Self {
        let (shut, well) = (Destination::new(Mood::Shut), Destination::new(Mood::Well));
        let mut pipeline = Pipeline::new(host);
        let storage = pipeline.path("storage");
        let limit = "storage.backlog.mem_limit ${MEM_LIMIT}";
        let service = format!("[SERVICE]\n    storage.path {storage}\n    {limit}\n");
        let service = pipeline.file("service.conf", service);
        pipeline.arg("-c").arg(service);
        for (name, more) in [("app", input), ("side", &[])] {
            let log = pipeline.file(&format!("logs/{name}.log"), "");
            let options = [
                ("path", log),
                ("tag", name.to_owned()),
                ("db", pipeline.path(&format!("{name}.db"))),
                ("storage.type", "${STORAGE}".to_owned()),
            ];
            pipeline.input("sidecar_tail", &options).options(more);
        }
        if let Some(rule) = rule {
            let options = [
                ("rule", rule),
                ("emitter_name", "re"),
                ("emitter_storage.type", "${EMITTER}"),
                ("emitter_mem_buf_limit", "1M"),
            ];
            pipeline.filter("rewrite_tag", "app", &options);
        }
        let limit = [("storage.total_limit_size", "${ROOM}")];
        pipeline.env("ROOM", room);
        pipeline.env("MEM_LIMIT", "5M");
        pipeline.env("EMITTER", "filesystem");
        pipeline.env("STORAGE", "filesystem");
        // Only a bound: a busy machine takes its time.
        pipeline.env("DEADLINE", "60");
        let pattern = if rule.is_some() { "re.app" } else { "app" };
        for (pattern, destination, more) in
            [(pattern, &shut, limit.as_slice()), ("side", &well, &[])]
        {
            pipeline
                .output("http", pattern, &destination.options())
                .options(&[("retry_limit", "no_limits")])
                .options(more);
        }
        let exit = [
            ("flag_file", pipeline.path("flag")),
            ("report_file", pipeline.path("report")),
            ("loss_exit_code", "9".to_owned()),
            ("deadline", "${DEADLINE}".to_owned()),
        ];
        pipeline.output("completion_exit", "nothing", &exit);
        Job {
            pipeline,
            shut,
            well,
        }
    }

    fn line(&self, name: &str, lines: impl IntoIterator<Item = String>) {
        append(
            Path::new(&self.pipeline.path(&format!("logs/{name}.log"))),
            lines,
        );
    }

    /// Writes portion by portion, each after something of the ones before was refused once more; meanwhile
    /// the other output delivers.
    fn write(&self, running: &mut Running) {
        for portion in 0..PORTIONS {
            // What nobody takes any more is not refused either.
            let refused = self.shut.refused().min(PORTIONS as u64 / 2);
            let came = self.well.count();
            self.line("side", [format!("side {portion} {came}")]);
            let lines = (0..LINES).map(|n| format!("line {portion} {n} {}", "x".repeat(200)));
            self.line("app", lines);
            running.wait_for("a refusal and a delivery", |_| {
                self.shut.refused() > refused && self.well.count() > came
            });
        }
    }

    /// Writes everything, and waits until something of it was refused.
    fn write_at_once(&self, running: &mut Running) {
        let lines = (0..ALL).map(|n| format!("line {n} {}", "x".repeat(1000)));
        self.line("app", lines);
        running.wait_for("a refusal", |_| self.shut.refused() > 0);
    }

    /// The flag, the end: the status, and what the report says.
    fn end(&self, mut running: Running) -> (Option<i32>, Json) {
        fs::write(self.pipeline.path("flag"), "").expect("a flag can be set");
        let status = running.wait_for_end().code();
        let report = fs::read_to_string(self.pipeline.path("report")).unwrap_or_default();
        for file in ["flag", "report"] {
            let _ = fs::remove_file(self.pipeline.path(file));
        }
        (status, serde_json::from_str(&report).unwrap_or_default())
    }

    /// A run that reads everything and delivers nothing.
    fn comes_to_its_deadline(&mut self) {
        self.pipeline.env("DEADLINE", "5");
        let mut running = self.pipeline.start();
        self.write(&mut running);
        let (_, report) = self.end(running);
        assert!(report["complete"] == false, "{report}");
        self.pipeline.env("DEADLINE", "60");
    }

    /// The destination is back; what never comes is said.
    fn loses_and_says_so(&self, running: Running) {
        self.shut.open();
        let (status, report) = self.end(running);
        let lost = ALL - self.shut.count();
        assert!(lost > 0, "the host had room for all: {report}");
        assert!(report["complete"] == false, "{lost} lost: {report}");
        assert_eq!(status, Some(9), "{lost} lost: {report}");
    }

    /// The destination is back; what never comes, if anything, is said: how many, and where. What an emitter
    /// of a later release has no room for keeps its old tag, here one that no output wants: that is not known
    /// to be a loss.
    fn says_what_it_loses(&self, host: &Host, running: Running) -> (u64, Json) {
        self.shut.open();
        let (status, report) = self.end(running);
        let lost = ALL - self.shut.count();
        let records = &report["records"];
        match report["complete"].as_bool() {
            Some(complete) => assert_eq!(complete, lost == 0, "{lost} lost: {report}"),
            None => {
                let unwanted = records["unwanted"].as_u64() > Some(0);
                assert!(host.since(2, 2, 0) && unwanted, "{lost} lost: {report}");
            }
        }
        let status_of_loss = if report["complete"] == false { 9 } else { 0 };
        assert_eq!(status, Some(status_of_loss), "{report}");
        (lost, report)
    }

    /// The same, and nothing of it is unwanted.
    fn counts_what_it_loses(&self, host: &Host, running: Running) {
        let (lost, report) = self.says_what_it_loses(host, running);
        let dropped = &report["records"]["dropped"];
        assert!(
            host.since(2, 2, 0) || *dropped == lost,
            "{lost} lost: {report}"
        );
    }

    /// The destination is back, and all comes.
    fn loses_nothing(&self, running: Running) {
        self.shut.open();
        let (status, report) = self.end(running);
        assert_eq!(self.shut.count(), ALL, "{report}");
        assert!(report["complete"] == true, "{report}");
        assert_eq!(status, Some(0), "{report}");
    }
}

#[test]
fn what_is_thrown_away_of_a_threaded_input_is_a_loss() {
    each_real_host("a threaded input, storage.total_limit_size", |host| {
        let job = Job::new(host, ROOM, &[("threaded", "on")], None);
        let mut running = job.pipeline.start();
        job.write(&mut running);
        job.loses_and_says_so(running);
    });
}

/// So much at once that chunks are made and thrown away again before anybody can look at them.
/// fluent/fluent-bit #7887: what goes so is counted nowhere.
#[test]
fn what_is_thrown_away_at_once_is_a_loss() {
    each_real_host("a burst of a threaded input", |host| {
        let job = Job::new(host, "4M", &[("threaded", "on")], None);
        let mut running = job.pipeline.start();
        job.write_at_once(&mut running);
        job.counts_what_it_loses(host, running);
    });
}

#[test]
fn what_an_emitter_loses_at_once_is_a_loss() {
    each_real_host("a burst through an emitter", |host| {
        let job = Job::new(host, "4M", &[], Some(RULE));
        let mut running = job.pipeline.start();
        job.write_at_once(&mut running);
        job.counts_what_it_loses(host, running);
    });
}

/// At the deadline some of it is still in the ring, in no chunk.
#[test]
fn what_is_in_a_ring_at_the_deadline_is_left() {
    each_real_host("a ring at the deadline", |host| {
        let small = [("threaded", "on"), ("mem_buf_limit", "100k")];
        let mut job = Job::new(host, "100M", &small, None);
        job.pipeline.env("DEADLINE", "3");
        job.pipeline.env("STORAGE", "memory");
        let mut running = job.pipeline.start();
        job.write_at_once(&mut running);
        job.says_what_it_loses(host, running);
    });
}

#[test]
fn a_threaded_input_that_loses_nothing_is_complete() {
    each_real_host("a threaded input without a loss", |host| {
        let job = Job::new(host, "100M", &[("threaded", "on")], None);
        let mut running = job.pipeline.start();
        job.write(&mut running);
        job.loses_nothing(running);
    });
}

const RULE: &str = "$log .* re.app false";

#[test]
fn what_is_thrown_away_of_an_emitter_is_a_loss() {
    each_real_host("an emitter, storage.total_limit_size", |host| {
        let job = Job::new(host, ROOM, &[], Some(RULE));
        let mut running = job.pipeline.start();
        job.write(&mut running);
        job.loses_and_says_so(running);
    });
}

/// `rewrite_tag` of releases before 2.2 takes a record out although its emitter has no room for it.
#[test]
fn what_an_emitter_has_no_room_for_is_a_loss_or_waits() {
    each_real_host("an emitter that is full", |host| {
        let mut job = Job::new(host, "100M", &[], Some(RULE));
        job.pipeline.env("EMITTER", "memory");
        let mut running = job.pipeline.start();
        job.write(&mut running);
        job.says_what_it_loses(host, running);
    });
}

#[test]
fn an_emitter_that_loses_nothing_is_complete() {
    each_real_host("an emitter without a loss", |host| {
        let job = Job::new(host, "100M", &[], Some(RULE));
        let mut running = job.pipeline.start();
        job.write(&mut running);
        job.loses_nothing(running);
    });
}

/// The chunks of a run whose deadline was too short stay in files, and what the next one reads makes the
/// host throw some of them away, loaded already or not. Where the host would not keep such files after a
/// kill, the next run has read their lines again, so nothing is lost with them.
fn an_earlier_run_is_thrown_away(host: &Host, mem_limit: &str) {
    let mut job = Job::new(host, "1G", &[], None);
    job.pipeline.env("MEM_LIMIT", mem_limit);
    job.comes_to_its_deadline();
    job.pipeline.env("ROOM", "5M");
    let mut running = job.pipeline.start();
    let before = job.shut.refused();
    running.wait_for("a refusal", |_| job.shut.refused() > before);
    for portion in 0..PORTIONS / 2 {
        let refused = job.shut.refused();
        let lines = (0..LINES).map(|n| format!("more {portion} {n} {}", "x".repeat(200)));
        job.line("app", lines);
        running.wait_for("a refusal", |_| job.shut.refused() > refused);
    }
    job.shut.open();
    let (status, report) = job.end(running);
    let lost = ALL + ALL / 2 - job.shut.count();
    assert!(lost > 0, "the host had room for all: {report}");
    assert!(report["complete"] == false, "{lost} lost: {report}");
    assert_eq!(status, Some(9), "{report}");
}

#[test]
fn what_is_thrown_away_of_an_earlier_run_is_a_loss() {
    each_real_host("loaded chunks of an earlier run", |host| {
        an_earlier_run_is_thrown_away(host, "100M");
    });
}

#[test]
fn what_is_thrown_away_before_it_is_loaded_is_a_loss() {
    each_real_host("unloaded chunks of an earlier run", |host| {
        an_earlier_run_is_thrown_away(host, "1K");
    });
}

#[test]
fn an_earlier_run_of_which_nothing_is_lost_is_complete() {
    each_real_host("an earlier run without a loss", |host| {
        let mut job = Job::new(host, "1G", &[], None);
        job.comes_to_its_deadline();
        job.pipeline.env("ROOM", "100M");
        job.loses_nothing(job.pipeline.start());
    });
}
