//! What the report says, against what the destinations and the files say.

use serde_json::Value as Json;

use super::play::Run;
use super::Plan;

/// What is wrong with the run that had the faults.
pub(super) fn first(plan: &Plan, run: &Run) -> Vec<String> {
    let mut faults = sums(plan, run);
    let report = &run.report;
    let number = |value: &Json| value.as_u64().unwrap_or(u64::MAX);
    let mut check = |what: &str, right: bool| {
        if !right {
            faults.push(format!("{what}: {report}"));
        }
    };
    let complete = report["complete"] == true;
    let expected = if complete { 0 } else { 9 };
    let ended = run.ended.map_or("hung".to_owned(), |how| how.to_string());
    check(
        &format!("{ended}, not status {expected}"),
        run.ended.and_then(|how| how.code()) == Some(expected),
    );
    let drained = report["ended_by"] == "drained";
    let wanted = plan.wanted();
    let mut missing_anywhere = false;
    // What was lost before any output could have it.
    let of_outputs = report["outputs"].as_array().into_iter().flatten();
    let of_outputs: u64 = of_outputs.filter_map(|o| o["dropped"].as_u64()).sum();
    let on_the_way = number(&report["records"]["dropped"]).saturating_sub(of_outputs);
    for (way, output) in
        (0..plan.ways.len()).zip(report["outputs"].as_array().into_iter().flatten())
    {
        let came = |line: &String| run.after[way].get(line).copied().unwrap_or(0);
        let came_before = |line: &String| run.before[way].get(line).copied().unwrap_or(0);
        let missing = wanted.iter().filter(|line| came(line) == 0).count() as u64;
        missing_anywhere |= missing > 0;
        let now: u64 = wanted
            .iter()
            .map(|line| came(line) - came_before(line))
            .sum();
        if plan.kill.is_none() {
            if drained {
                check("what is out has come", number(&output["out"]) == now);
                let dropped = number(&output["dropped"]);
                let has_sum = plan.is_followed() || plan.threaded && !output["in"].is_null();
                check(
                    "what is missing was dropped",
                    !has_sum || dropped + on_the_way == missing,
                );
            } else {
                check("what is out has come", number(&output["out"]) <= now);
            }
        }
    }
    if plan.kill.is_none() && report["left"]["unread_bytes"] == 0 {
        check(
            "all was read",
            number(&report["records"]["in"]) == plan.written(),
        );
        if plan.is_followed() {
            let filtered = plan.written() - wanted.len() as u64;
            check(
                "filtered",
                number(&report["records"]["filtered"]) == filtered,
            );
        }
    }
    // What an output gave up before a kill was not followed there either, and is not of this run.
    let of_this_run = plan.kill.is_none() || plan.is_followed();
    check(
        "complete means that all has come",
        !complete || !missing_anywhere || !of_this_run,
    );
    if drained && plan.kill.is_none() {
        check(
            "all has come and it is not complete",
            complete || missing_anywhere,
        );
    }
    faults
}

/// What is out, dropped and left is what came in, everywhere.
fn sums(plan: &Plan, run: &Run) -> Vec<String> {
    let mut faults = Vec::new();
    let report = &run.report;
    if !report["complete"].is_boolean() {
        let why = match (run.ended, run.log.contains("the process ends now")) {
            (None, _) => "it hung, and this soak has killed it",
            (Some(_), true) => {
                "the guard has ended it, and the disk had not taken the report by then"
            }
            (Some(_), false) => "it ended by itself without one",
        };
        faults.push(format!("{:?}, no report ({why}): {report}", run.ended));
    }
    for kind in ["outputs", "inputs"] {
        for entry in report[kind].as_array().into_iter().flatten() {
            let [all, out, dropped, left] =
                ["in", "out", "dropped", "left"].map(|key| entry[key].as_u64());
            let sum = out.zip(dropped).zip(left).map(|((a, b), c)| a + b + c);
            // Inputs of the host have no sum, and threaded ones neither.
            let has_none =
                all.is_none() && (plan.threaded || kind == "inputs" && entry["files"].is_null());
            if !has_none && (all.is_none() || all != sum) {
                faults.push(format!("the sum of {entry} does not close: {report}"));
            }
        }
    }
    faults
}

/// What is wrong with the run after it, in which all is well.
pub(super) fn last(plan: &Plan, first: &Run, run: &Run) -> Vec<String> {
    let mut faults = sums(plan, run);
    let stays = plan.ways.iter().any(|way| way.room.is_some());
    let was_left = plan.kill.is_some() || first.report["ended_by"] != "drained";
    // What a run has left in files may be thrown away by the next one, or given up there; which lines were
    // lost with an emitter or a thread is not known.
    let gives_up = plan.ways.iter().any(|way| way.retries != "no_limits");
    let given_up = plan.stored && plan.kill.is_some() && gives_up;
    if stays && was_left || given_up || !plan.is_followed() {
        return faults;
    }
    for (way, came) in run.after.iter().enumerate() {
        let wanted = plan.wanted();
        let missing: Vec<&String> = wanted
            .iter()
            .filter(|line| !came.contains_key(*line))
            .collect();
        if let Some(one) = missing.first() {
            faults.push(format!(
                "{} of {} lines never came to destination {way}, such as '{}': {}\nbefore: {}",
                missing.len(),
                wanted.len(),
                &one[..one.len().min(30)],
                run.report,
                first.report,
            ));
        }
    }
    faults
}
