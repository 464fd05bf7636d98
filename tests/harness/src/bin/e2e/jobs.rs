//! A Job per trigger and mood of the destination.

use flb_sidecar_tests::e2e::{account, poll, seconds_between, LINES};
use flb_sidecar_tests::e2e::{Cluster, Collector, Ends, Mood, Try, Verdict};
use serde_json::Value as Json;

use crate::{expect, Found, LIMIT};

pub(crate) fn check(cluster: &Cluster, collector: &Collector<'_>, attempt: &Try) -> Found {
    let name = &attempt.name;
    let expected = &attempt.expected;
    collector.mood(name, attempt.mood.name())?;
    cluster.apply(&attempt.objects)?;
    if attempt.mood == Mood::RefusesFirst {
        let ended = poll(LIMIT, || {
            let pods = cluster.pods(name).ok()?;
            pods.iter().find_map(|pod| Ends(pod).end("main"))
        });
        expect(ended.is_some(), || "the main container does not end".into())?;
        collector.mood(name, "ok")?;
    }
    let condition = cluster.end_of_job(name, LIMIT)?;
    let pods = cluster.pods(name)?;
    let said: Vec<String> = pods
        .iter()
        .filter_map(|pod| Ends(pod).end("logs"))
        .map(|end| end.message)
        .collect();
    expect(condition == expected.condition, || {
        format!("the Job is {condition}: {said:?}")
    })?;
    let found = account(&collector.kept(name)?, name);
    if expected.all_lines {
        found.is_whole(1, LINES)?;
    } else {
        found.has_no_hole()?;
    }
    let [pod] = pods.as_slice() else {
        return Err(format!("{} pods", pods.len()));
    };
    let end = |container: &str| {
        let ended = Ends(pod).end(container);
        ended.ok_or_else(|| format!("{container} has not ended"))
    };
    let (main, logs) = (end("main")?, end("logs")?);
    expect(main.code == 0 && logs.code == 0, || {
        format!("exit codes {} and {}", main.code, logs.code)
    })?;
    let report: Json = serde_json::from_str(&logs.message)
        .map_err(|error| format!("termination message {:?}: {error}", logs.message))?;
    let ended_by = if expected.all_lines {
        "drained"
    } else {
        "deadline"
    };
    let as_expected = report["trigger"] == expected.trigger
        && report["complete"] == expected.all_lines
        && report["ended_by"] == ended_by;
    expect(as_expected, || format!("termination message {report}"))?;
    let seconds = seconds_between(&main.at, &logs.at).ok_or("no times")?;
    expect(
        u64::try_from(seconds).unwrap_or_default() <= expected.seconds,
        || format!("ended {seconds} s after the main container"),
    )?;
    cluster.kubectl(&["delete", "job", name, "--wait=false"], "")?;
    Ok(Verdict::Ok(format!("{seconds} s, {ended_by}")))
}
