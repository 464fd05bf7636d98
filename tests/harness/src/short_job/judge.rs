//! What came, compared with what had to come.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use serde_json::Value as Json;

use super::sidecar::{backlog, Sidecar};
use super::{Outcome, Plan, Trigger};
use crate::process::{json_lines, Running};

/// What happened.
pub(super) struct Life<'a> {
    pub(super) plan: &'a Plan,
    /// Of the main container, in order.
    pub(super) lines: Vec<String>,
    /// How many of them were there at a SIGTERM that came at a moment of its own.
    pub(super) terminated: Option<usize>,
    /// The host ends with the status that it was given.
    pub(super) keeps_status: bool,
    /// The sidecar was up before the trigger.
    pub(super) ready: bool,
    /// From the trigger to the end.
    pub(super) took: Duration,
    /// What a sidecar that was killed had said.
    pub(super) killed: String,
}

/// How often each line came.
fn delivered(sidecar: &Sidecar, running: &Running) -> BTreeMap<String, u64> {
    if let Some(destination) = &sidecar.destination {
        return destination.lines();
    }
    let mut counts = BTreeMap::new();
    for record in json_lines(&running.output().stdout()) {
        let line = record["log"].as_str().unwrap_or_default().to_owned();
        *counts.entry(line).or_default() += 1;
    }
    counts
}

/// Nothing in the pipeline waits for silence, so the end follows the trigger at once.
fn ends_at_once(plan: &Plan) -> bool {
    let waits = plan.threaded || plan.stock_tail || plan.filter.is_some() || plan.stored;
    plan.trigger == Trigger::Flag && plan.disturbance.is_none() && !waits
}

pub(super) fn judge(sidecar: &Sidecar, running: &Running, life: &Life<'_>) -> Outcome {
    let plan = life.plan;
    let seen = delivered(sidecar, running);
    let due = life.terminated.unwrap_or(life.lines.len());
    let old = backlog(plan);
    let known: BTreeSet<&String> = life.lines.iter().chain(&old).collect();
    let lost: Vec<&String> = life.lines[..due]
        .iter()
        .chain(&old)
        .filter(|line| !seen.contains_key(*line))
        .collect();
    let twice: Vec<&String> = seen
        .iter()
        .filter_map(|(line, count)| (*count > 1 && !plan.may_repeat()).then_some(line))
        .collect();
    let strange: Vec<&String> = seen.keys().filter(|line| !known.contains(line)).collect();
    let ended = running.last_status();
    let status = ended.and_then(|status| status.code());
    let carries_code = matches!(plan.trigger, Trigger::Flag | Trigger::Api);
    let mut allowed = vec![if carries_code { plan.code } else { 0 }];
    if life.terminated.is_some() {
        allowed.push(0);
    }
    let report = fs::read_to_string(sidecar.pipeline.path("report")).unwrap_or_default();
    let report: Json = serde_json::from_str(&report).unwrap_or_default();
    let mut faults = Vec::new();
    for (what, lines) in [("lost", &lost), ("twice", &twice), ("not ours", &strange)] {
        if !lines.is_empty() {
            let some = &lines[..lines.len().min(9)];
            faults.push(format!("{} lines {what}: {some:?}", lines.len()));
        }
    }
    if ended.is_none() {
        faults.push("it does not end".to_owned());
    } else if life.keeps_status
        && !status.is_some_and(|s| allowed.iter().any(|a| i32::from(*a) == s))
    {
        faults.push(format!("it ended with {ended:?}, {allowed:?} was expected"));
    }
    // A SIGTERM between the instances of a reload goes to the host.
    let own = life.terminated.is_none() && !(plan.reloads() && plan.trigger == Trigger::Sigterm);
    if own && report["complete"] != true {
        faults.push("the report says that it is not complete".to_owned());
    }
    let fault = if faults.is_empty() {
        String::new()
    } else {
        format!(
            "{plan:?}\n{} lines, SIGTERM after {:?}, took {:?}\n{}\nreport: {report}\n{}\n{}",
            life.lines.len(),
            life.terminated,
            life.took,
            faults.join("\n"),
            life.killed,
            running.output().stderr()
        )
    };
    Outcome {
        lost: lost.len() as u64,
        twice: twice.len() as u64,
        hung: ended.is_none(),
        after_trigger: (life.ready && ends_at_once(plan)).then_some(life.took),
        fault,
    }
}
