//! conf/shared-volume as autoscaling uses it: many Jobs at once, one folder for all.

use flb_sidecar_tests::build::root;
use flb_sidecar_tests::e2e::{account, poll, seconds_between};
use flb_sidecar_tests::e2e::{Cluster, Collector, Ends, Images, Verdict, NEUTRAL_IMAGE};
use serde_json::{json, Value as Json};

use crate::volumes::{as_root, claim, volume_of_node};
use crate::{expect, Found, LIMIT};

/// The storage class of conf/shared-volume.
const CLASS: &str = "efs-sc";
/// Lines that each main container writes there.
const LINES: usize = 5;
/// From a main container's end to its sidecar's, with everything that is going on.
const SECONDS: i64 = 30;

pub(crate) fn burst(
    cluster: &Cluster,
    collector: &Collector<'_>,
    images: &Images,
    count: usize,
) -> Found {
    let class = std::env::var("SHARED").unwrap_or_default();
    let volume = format!("{}-logs", cluster.namespace);
    if class.is_empty() {
        let nodes = cluster.kubectl(&["get", "nodes", "-o", "name"], "")?;
        if nodes.lines().count() > 1 {
            let why = "several nodes and no storage class for all of them: SHARED=…";
            return Ok(Verdict::Skipped(why.into()));
        }
        // With one node, a folder of it is as good as a network filesystem.
        cluster.apply(&[volume_of_node(cluster, &volume, CLASS, "shared-logs")])?;
    }
    let made = prepare(cluster, collector, images, &class);
    let found = made.and_then(|template| run(cluster, collector, &template, count));
    // What it wrote goes as well.
    let jobs = ["delete", "jobs", "--all", "--cascade=foreground"];
    let cleaned = cluster
        .kubectl(&jobs, "")
        .and_then(|_| as_root(cluster, "clean", "rm -rf /shared/*", &claim("shared-logs")));
    if class.is_empty() {
        cluster.kubectl(&["delete", "pvc", "shared-logs", "--wait=false"], "")?;
        cluster.kubectl(&["delete", "pv", &volume, "--wait=false"], "")?;
    }
    found.and_then(|found| cleaned.map(|()| found))
}

/// Everything of conf/shared-volume but its Job, which it gives; and the folder's owner and mode, as its
/// README says.
fn prepare(
    cluster: &Cluster,
    collector: &Collector<'_>,
    images: &Images,
    class: &str,
) -> Result<Json, String> {
    let folder = root().join("conf/shared-volume");
    let text = cluster.kubectl(&["kustomize", &folder.to_string_lossy()], "")?;
    let class = if class.is_empty() { CLASS } else { class };
    let text = text
        .replace(NEUTRAL_IMAGE, &images.sidecar())
        .replace("collector.logging.svc", &collector.host())
        .replace(CLASS, class);
    let words = ["apply", "--dry-run=client", "-o", "json", "-f", "-"];
    let made: Json = serde_json::from_str(&cluster.kubectl(&words, &text)?)
        .map_err(|error| error.to_string())?;
    let all = made["items"].as_array().cloned().unwrap_or_default();
    let (jobs, others): (Vec<Json>, Vec<Json>) =
        all.into_iter().partition(|object| object["kind"] == "Job");
    cluster.apply(&others)?;
    let own = "chgrp 65532 /shared && chmod 2770 /shared";
    as_root(cluster, "own", own, &claim("shared-logs"))?;
    jobs.into_iter().next().ok_or_else(|| "no Job".into())
}

fn run(cluster: &Cluster, collector: &Collector<'_>, template: &Json, count: usize) -> Found {
    let jobs: Vec<Json> = (0..count)
        .map(|number| {
            let mut job = template.clone();
            job["metadata"] = json!({"name": format!("import-{number}")});
            job["spec"]["completions"] = 1.into();
            job["spec"]["parallelism"] = 1.into();
            job
        })
        .collect();
    let start = std::time::Instant::now();
    cluster.apply(&jobs)?;
    let mut last = String::new();
    let ended = poll(LIMIT * 3, || {
        let said = cluster.kubectl(&["get", "jobs", "-o", "json"], "").ok()?;
        let jobs: Json = serde_json::from_str(&said).ok()?;
        let sum = |key: &str| -> u64 {
            let all = jobs["items"].as_array().into_iter().flatten();
            all.filter_map(|job| job["status"][key].as_u64()).sum()
        };
        let (good, bad) = (sum("succeeded"), sum("failed"));
        last = format!("{good} succeeded, {bad} failed");
        (good + bad >= count as u64).then_some(bad)
    });
    expect(ended == Some(0), || last.clone())?;
    let seconds = start.elapsed().as_secs();
    account(&collector.kept("app")?, "import").is_whole(count, LINES)?;
    let mut slowest = 0;
    for pod in cluster.pods("import")? {
        let (Some(main), Some(logs)) = (Ends(&pod).end("import"), Ends(&pod).end("logs")) else {
            return Err(format!("a container has not ended: {}", pod["status"]));
        };
        expect(main.code == 0 && logs.code == 0, || {
            format!("exit codes {} and {}", main.code, logs.code)
        })?;
        slowest = slowest.max(seconds_between(&main.at, &logs.at).ok_or("no times")?);
    }
    expect(slowest <= SECONDS, || {
        format!("a sidecar ended {slowest} s after its main container")
    })?;
    Ok(Verdict::Ok(format!(
        "all in {seconds} s, at most {slowest} s from main container to sidecar"
    )))
}
