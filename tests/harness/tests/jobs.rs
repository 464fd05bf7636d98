//! Short Jobs on real hosts, and Jobs whose destination is slow, refuses, resets or is down.

use std::time::Duration;

use flb_sidecar_tests::destination::{Destination, Mood};
use flb_sidecar_tests::host::real_hosts;
use flb_sidecar_tests::random::{seed, Random};
use flb_sidecar_tests::short_job::{run_all, Disturbance, Filter, Plan, Trigger};
use flb_sidecar_tests::{say, Ended, Host, Pipeline};
use serde_json::Value as Json;

#[test]
fn short_jobs_lose_nothing_and_end() {
    const JOBS: u64 = 48;
    let hosts = real_hosts();
    if hosts.is_empty() {
        return say("SKIPPED short Jobs: no Fluent Bit found");
    }
    let seed = seed();
    say(&format!("{JOBS} short Jobs, FLB_SIDECAR_SEED={seed}"));
    let mut random = Random::new(seed);
    let plans: Vec<Plan> = (0..JOBS).map(|n| Plan::random(&mut random, n)).collect();
    let faults: Vec<String> = run_all(&hosts, &plans, 8)
        .into_iter()
        .filter(|(_, _, outcome)| !outcome.fault.is_empty())
        .map(|(host, _, outcome)| format!("{host}: {}", outcome.fault))
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// A host that stops for a reload loses what an emitter has taken and not yet passed on: no
/// position may be kept behind that.
#[test]
fn a_reload_loses_nothing_that_an_emitter_held() {
    let hosts = real_hosts();
    if hosts.is_empty() {
        return say("SKIPPED reloads with emitters: no Fluent Bit found");
    }
    for (filter, trigger) in [
        (Filter::RewriteTag, Trigger::Flag),
        (Filter::RewriteTag, Trigger::Sigterm),
        (Filter::Multiline, Trigger::Flag),
    ] {
        for host in &hosts {
            let plan = |number| Plan {
                number,
                trigger,
                life: Duration::from_millis(20),
                lines: 20,
                files: 1,
                code: 0,
                // As soon as it is up, which is when it reads all there is.
                disturbance: Some(Disturbance::ReloadBefore),
                inputs_apart: false,
                threaded: false,
                stored: false,
                backlog: 0,
                stock_tail: false,
                filter: Some(filter),
                workers: None,
                second_exit: false,
            };
            let plans: Vec<Plan> = (0..9).map(plan).collect();
            let faults: Vec<String> = run_all(std::slice::from_ref(host), &plans, 9)
                .into_iter()
                .filter(|(_, _, outcome)| !outcome.fault.is_empty())
                .map(|(host, _, outcome)| format!("{host}: {}", outcome.fault))
                .collect();
            assert!(faults.is_empty(), "{}", faults.join("\n"));
        }
    }
}

const SECOND: Duration = Duration::from_secs(1);
const LINES: usize = 50;

/// A Job with a destination.
struct Case {
    mood: Mood,
    retry_limit: &'static str,
    deadline: &'static str,
    loss_exit_code: Option<&'static str>,
}

/// What came of it.
struct Run {
    ended: Ended,
    report: Json,
    /// Lines that came, and how many of them more than once.
    came: usize,
    twice: usize,
    refused: u64,
}

impl Run {
    fn check(&self, what: &str, right: bool) {
        let what = format!(
            "{what}; {} came, {} twice, {}",
            self.came, self.twice, self.report
        );
        self.ended.check(&what, right);
    }

    /// Everything once, whatever it took, and the report says so.
    fn check_complete(&self) {
        self.ended.check_status(0);
        self.check("every line once", self.came == LINES && self.twice == 0);
        self.check("complete", self.report["complete"] == true);
        self.check("drained", self.report["ended_by"] == "drained");
        let records = &self.report["records"];
        self.check("records in", records["in"] == LINES);
        self.check(
            "records out",
            records["out"] == LINES && records["dropped"] == 0,
        );
        self.check("the status is in it", self.report["status"] == 0);
        let retried = self.report["retries"].as_u64() > Some(0);
        self.check("retries", retried || self.refused == 0);
    }
}

fn run(host: &Host, case: &Case) -> Run {
    let destination = Destination::new(case.mood);
    let mut pipeline = Pipeline::new(host);
    // A retry after one or two seconds instead of five to ten.
    let service = "[SERVICE]\n    flush 0.2\n    scheduler.base 1\n    scheduler.cap 2\n";
    let service = pipeline.file("service.conf", service);
    pipeline.arg("-c").arg(service);
    let text: String = (0..LINES).map(|n| format!("line {n}\n")).collect();
    let log = pipeline.file("a.log", text);
    pipeline.input("sidecar_tail", &[("path", &log)]);
    let mut options = destination.options();
    options.push(("retry_limit", case.retry_limit.to_owned()));
    pipeline.output("http", "*", &options);
    let flag = pipeline.file("flag", "");
    let report = pipeline.path("report");
    let mut options = vec![
        ("flag_file", flag.as_str()),
        ("report_file", report.as_str()),
        ("deadline", case.deadline),
    ];
    options.extend(case.loss_exit_code.map(|code| ("loss_exit_code", code)));
    pipeline.output("completion_exit", "*", &options);
    let ended = pipeline.run();
    let report = std::fs::read_to_string(&report).unwrap_or_default();
    let lines = destination.lines();
    Run {
        ended,
        report: serde_json::from_str(&report).unwrap_or_default(),
        came: lines.len(),
        twice: lines.values().filter(|count| **count > 1).count(),
        refused: destination.refused(),
    }
}

/// The oldest and the newest host, both at the same time.
fn each(what: &str, check: impl Fn(&Host) + Sync) {
    let all = real_hosts();
    let (Some(oldest), Some(newest)) = (all.first(), all.last()) else {
        return say(&format!("SKIPPED {what}: no Fluent Bit found"));
    };
    let ends = [oldest.version, newest.version];
    flb_sidecar_tests::each_real_host_where(what, |host| ends.contains(&host.version), check);
}

const PATIENT: Case = Case {
    mood: Mood::Well,
    retry_limit: "no_limits",
    deadline: "20",
    loss_exit_code: Some("9"),
};

#[test]
fn a_slow_destination_gets_everything() {
    each("slow destination", |host| {
        let run = run(
            host,
            &Case {
                mood: Mood::Slow(SECOND * 2),
                ..PATIENT
            },
        );
        run.check_complete();
        run.check("it waits for the answer", run.ended.took >= SECOND * 2);
    });
}

#[test]
fn a_destination_that_refuses_for_a_while_gets_everything() {
    each("503 for a while", |host| {
        let run = run(
            host,
            &Case {
                mood: Mood::Refuses(SECOND * 2),
                ..PATIENT
            },
        );
        run.check_complete();
        run.check("it refused", run.refused > 0);
    });
}

#[test]
fn a_destination_that_resets_for_a_while_gets_everything() {
    each("resets for a while", |host| {
        let run = run(
            host,
            &Case {
                mood: Mood::Resets(SECOND * 2),
                ..PATIENT
            },
        );
        run.check_complete();
        run.check("it reset", run.refused > 0);
    });
}

#[test]
fn a_destination_that_is_down_for_a_while_gets_everything() {
    each("down for a while", |host| {
        let run = run(
            host,
            &Case {
                mood: Mood::Down(SECOND * 10),
                deadline: "25",
                ..PATIENT
            },
        );
        run.check_complete();
        run.check("it retries", run.report["retries"].as_u64() > Some(0));
        run.check("it waits", run.ended.took >= SECOND * 9);
    });
}

#[test]
fn a_destination_that_is_down_for_good_ends_at_the_deadline() {
    each("down for good", |host| {
        for (loss_exit_code, status) in [(Some("9"), 9), (None, 0)] {
            let case = Case {
                mood: Mood::Gone,
                deadline: "3",
                loss_exit_code,
                ..PATIENT
            };
            let run = run(host, &case);
            run.ended.check_status(status);
            run.check("not complete", run.report["complete"] == false);
            run.check("by deadline", run.report["ended_by"] == "deadline");
            run.check("the status is in it", run.report["status"] == status);
            let left = &run.report["left"];
            let counted = left["chunks"].as_u64() > Some(0) || left["tasks"].as_u64() > Some(0);
            run.check("what is left is counted", counted);
            let took = run.ended.took;
            run.check("in time", took >= SECOND * 3 && took < SECOND * 7);
        }
    });
}

#[test]
fn retries_that_are_used_up_are_a_counted_loss() {
    each("retries used up", |host| {
        let case = Case {
            mood: Mood::Gone,
            retry_limit: "1",
            ..PATIENT
        };
        let run = run(host, &case);
        run.ended.check_status(9);
        run.check("not complete", run.report["complete"] == false);
        run.check(
            "nothing waits any more",
            run.report["ended_by"] == "drained",
        );
        run.check("dropped", run.report["records"]["dropped"] == LINES);
        let warns = |text: &str| run.ended.stderr.contains(text);
        run.check("the start warns", warns("Retry_Limit 1 drops records"));
        run.check(
            "the summary counts",
            warns(&format!("{LINES} records dropped")),
        );
        run.check("the status is in it", run.report["status"] == 9);
    });
}

#[test]
fn what_is_unread_at_the_deadline_is_counted_per_file() {
    each("unread at the deadline", |host| {
        let nowhere = Destination::new(Mood::Gone);
        let mut pipeline = Pipeline::new(host);
        let text: String = (0..20_000)
            .map(|n| format!("line {n}, somewhat longer than its number\n"))
            .collect();
        let log = pipeline.file("a.log", &text);
        pipeline.input(
            "sidecar_tail",
            &[("path", log.as_str()), ("mem_buf_limit", "50k")],
        );
        let mut options = nowhere.options();
        options.push(("retry_limit", "no_limits".to_owned()));
        pipeline.output("http", "*", &options);
        let flag = pipeline.file("flag", "");
        let report = pipeline.path("report");
        pipeline.output(
            "completion_exit",
            "*",
            &[
                ("flag_file", flag.as_str()),
                ("report_file", report.as_str()),
                ("deadline", "2"),
                ("loss_exit_code", "9"),
            ],
        );
        let ended = pipeline.run();
        ended.check_status(9);
        let report = std::fs::read_to_string(&report).unwrap_or_default();
        let report: Json = serde_json::from_str(&report).unwrap_or_default();
        let check = |what: &str, right: bool| {
            ended.check(&format!("{what}; {report}"), right);
        };
        let (file, input) = (&report["files"][0], &report["inputs"][0]);
        let (read, unread) = (file["read_bytes"].as_u64(), file["unread_bytes"].as_u64());
        check("something is unread", unread > Some(0));
        let sum = read.unwrap_or(0) + unread.unwrap_or(0);
        check("every byte is counted once", sum == text.len() as u64);
        check(
            "the input's count",
            input["read_bytes"] == file["read_bytes"],
        );
        check(
            "the whole",
            report["left"]["unread_bytes"] == file["unread_bytes"],
        );
    });
}
