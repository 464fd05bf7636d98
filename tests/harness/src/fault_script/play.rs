//! The life of a Job with faults.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use rustix::process::Signal;
use serde_json::Value as Json;

use super::judge;
use super::{Filter, Plan, Way};
use crate::destination::{Destination, Mood, Phase};
use crate::host::Host;
use crate::pipeline::Pipeline;
use crate::process::Running;
use crate::sidecar::append;
use crate::wait_until;

/// How much longer than its deadline a Job may take here, where many run at once.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// How often it is started again until all has been read.
const STARTS: usize = 10;

/// One run of the sidecar, from its last start to its end.
#[derive(Debug)]
pub(super) struct Run {
    /// How it ended; `None` is a hang that the player killed.
    pub(super) ended: Option<ExitStatus>,
    pub(super) report: Json,
    /// How often each line came to each destination before this start, and until its end.
    pub(super) before: Vec<BTreeMap<String, u64>>,
    pub(super) after: Vec<BTreeMap<String, u64>>,
    pub(super) log: String,
}

/// Plays it; every fault that was found.
///
/// # Panics
/// When the host does not start.
pub fn run(host: &Host, plan: &Plan) -> Vec<String> {
    let destinations: Vec<Destination> = plan
        .ways
        .iter()
        .map(|_| Destination::new(Mood::Played))
        .collect();
    let pipeline = pipeline(host, plan, &destinations);
    let over = AtomicBool::new(false);
    let first = std::thread::scope(|scope| {
        for (way, destination) in plan.ways.iter().zip(&destinations) {
            let over = &over;
            scope.spawn(move || act(way, destination, over));
        }
        let first = live(plan, &pipeline, &destinations);
        over.store(true, Ordering::Relaxed);
        first
    });
    let mut faults = judge::first(plan, &first);
    for destination in &destinations {
        destination.set(Phase::Well);
    }
    let mut last = end(
        plan,
        &pipeline,
        pipeline.start(),
        came(&destinations),
        &destinations,
    );
    // The deadline may be short for all that was left.
    for _ in 0..STARTS {
        if last.report["ended_by"] == "drained" && last.report["left"]["unread_bytes"] == 0 {
            break;
        }
        last = end(
            plan,
            &pipeline,
            pipeline.start(),
            came(&destinations),
            &destinations,
        );
    }
    faults.extend(judge::last(plan, &first, &last));
    if !faults.is_empty() {
        faults.push(format!("log of the first run:\n{}", first.log));
        faults.push(format!("log of the last run:\n{}", last.log));
    }
    faults
}

fn pipeline(host: &Host, plan: &Plan, destinations: &[Destination]) -> Pipeline {
    let mut pipeline = Pipeline::new(host);
    let mut service = "[SERVICE]\n    scheduler.base 1\n    scheduler.cap 2\n".to_owned();
    if plan.stored {
        service.push_str(&format!("    storage.path {}\n", pipeline.path("storage")));
    }
    let service = pipeline.file("service.conf", service);
    pipeline.arg("-c").arg(service).arg("-f").arg("1");
    for input in 0..plan.inputs {
        let log = pipeline.file(&format!("logs/{input}.log"), "");
        let mut options = vec![
            ("path", log),
            ("tag", format!("app{input}")),
            ("db", pipeline.path(&format!("{input}.db"))),
        ];
        if plan.stored {
            options.push(("storage.type", "filesystem".to_owned()));
        }
        if plan.threaded {
            options.push(("threaded", "on".to_owned()));
        }
        pipeline.input("sidecar_tail", &options);
    }
    match plan.filter {
        Some(Filter::Grep) => {
            pipeline.filter("grep", "*", &[("exclude", "log ^aside")]);
        }
        Some(Filter::RewriteTag) => {
            let mut options = vec![("rule", "$log ^aside re.$TAG false")];
            if plan.emitter_stored {
                options.push(("emitter_storage.type", "filesystem"));
            }
            pipeline.filter("rewrite_tag", "app*", &options);
        }
        None => {}
    }
    for (way, destination) in plan.ways.iter().zip(destinations) {
        let mut options = destination.options();
        options.push(("retry_limit", way.retries.to_owned()));
        options.push(("workers", way.workers.to_string()));
        if let Some(room) = way.room {
            options.push(("storage.total_limit_size", room.to_owned()));
        }
        pipeline.output("http", "*", &options);
    }
    let exit = [
        ("flag_file", pipeline.path("flag")),
        ("ready_file", pipeline.path("ready")),
        ("report_file", pipeline.path("report")),
        ("loss_exit_code", "9".to_owned()),
        ("deadline", format!("{}", plan.deadline.as_secs())),
    ];
    pipeline.output("completion_exit", "nothing", &exit);
    pipeline
}

/// What one destination does.
fn act(way: &Way, destination: &Destination, over: &AtomicBool) {
    let started = Instant::now();
    let mut until = std::time::Duration::ZERO;
    for (phase, time) in &way.script {
        destination.set(*phase);
        until += *time;
        while started.elapsed() < until && !over.load(Ordering::Relaxed) {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}

fn came(destinations: &[Destination]) -> Vec<BTreeMap<String, u64>> {
    destinations.iter().map(Destination::lines).collect()
}

fn start(pipeline: &Pipeline) -> Running {
    let ready = pipeline.path("ready");
    let mut running = pipeline.start();
    running.wait_for("readiness", |_| Path::new(&ready).exists());
    running
}

fn live(plan: &Plan, pipeline: &Pipeline, destinations: &[Destination]) -> Run {
    let mut running = start(pipeline);
    let mut before = came(destinations);
    for (portion, (count, pause)) in plan.portions.iter().enumerate() {
        if plan.kill == Some(portion) {
            running.signal(Signal::KILL);
            running.wait_for_end();
            // It is there for the next one to remove, which shows that that one runs.
            let _ = fs::remove_file(pipeline.path("ready"));
            running = start(pipeline);
            before = came(destinations);
        }
        for input in 0..plan.inputs {
            let log = pipeline.path(&format!("logs/{input}.log"));
            append(Path::new(&log), Plan::lines(input, portion, *count));
        }
        std::thread::sleep(*pause);
    }
    end(plan, pipeline, running, before, destinations)
}

/// The flag, and the end.
fn end(
    plan: &Plan,
    pipeline: &Pipeline,
    mut running: Running,
    before: Vec<BTreeMap<String, u64>>,
    destinations: &[Destination],
) -> Run {
    fs::write(pipeline.path("flag"), "").expect("a flag can be set");
    let ended = wait_until(plan.deadline + PATIENCE, || running.ended());
    if ended.is_none() {
        running.signal(Signal::KILL);
        running.wait_for_end();
    }
    let report = fs::read_to_string(pipeline.path("report")).unwrap_or_default();
    for file in ["flag", "report"] {
        // The next start is without them.
        let _ = fs::remove_file(pipeline.path(file));
    }
    Run {
        ended,
        report: serde_json::from_str(&report).unwrap_or_default(),
        before,
        after: came(destinations),
        log: running.output().stderr(),
    }
}
