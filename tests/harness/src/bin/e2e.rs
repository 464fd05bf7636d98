//! `make e2e`: `e2e IMAGES TAG`. Prints one table, and fails if a row of it does.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "a table is to be read")]

use std::fs;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use flb_sidecar_tests::build::root;
use flb_sidecar_tests::e2e::{account, matrix, Cluster, Collector, Mood, Table, Try, Verdict};
use flb_sidecar_tests::pods::{shapes, Outcome};
use serde_json::Value as Json;

/// A Job's images, its pods and their ends take this long at most.
const LIMIT: Duration = Duration::from_secs(300);

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let (Some(images), Some(tag)) = (words.next(), words.next()) else {
        println!("e2e IMAGES TAG");
        return ExitCode::from(2);
    };
    let burst = std::env::var("BURST")
        .ok()
        .and_then(|text| text.parse().ok());
    let name = format!("flb-e2e-{}", std::process::id());
    let cluster = match Cluster::new(&name) {
        Ok(Some(cluster)) => cluster,
        Ok(None) => {
            println!("SKIPPED make e2e: KUBECONFIG names no cluster, or kubectl is not installed");
            return ExitCode::SUCCESS;
        }
        Err(why) => {
            println!("FAILED make e2e: {why}");
            return ExitCode::FAILURE;
        }
    };
    let mut table = Table::default();
    row(&mut table, "rights of base/", || rights(&cluster));
    row(&mut table, "policy on twenty pods", || policy(&cluster));
    match Collector::start(&cluster, &format!("{images}/collector:{tag}")) {
        Ok(collector) => {
            for attempt in matrix(&format!("{images}/sidecar:{tag}"), burst.unwrap_or(100)) {
                row(&mut table, &attempt.name, || {
                    job(&cluster, &collector, &attempt)
                });
            }
        }
        Err(why) => table.add("collector", 0.0, Verdict::Failed(why)),
    }
    println!("\n{table}");
    if table.is_good() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn row(table: &mut Table, what: &str, check: impl FnOnce() -> Result<Verdict, String>) {
    let start = Instant::now();
    let verdict = check().unwrap_or_else(Verdict::Failed);
    println!("{what}: {verdict}");
    table.add(what, start.elapsed().as_secs_f64(), verdict);
}

fn expect(good: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if good {
        Ok(())
    } else {
        Err(what())
    }
}

/// What the Role allows, and nothing else.
fn rights(cluster: &Cluster) -> Result<Verdict, String> {
    let file = root().join("conf/kubernetes/base/rbac.yaml");
    let text = fs::read_to_string(file).map_err(|error| error.to_string())?;
    cluster.kubectl(&["apply", "-f", "-"], &text)?;
    for (verb, resource, may) in [
        ("get", "pods", true),
        ("list", "pods", false),
        ("watch", "pods", false),
        ("get", "secrets", false),
        ("create", "pods", false),
        ("delete", "pods", false),
    ] {
        let found = cluster.may("fluent-bit-sidecar", verb, resource)?;
        expect(found == may, || format!("{verb} {resource}: {found}"))?;
    }
    Ok(Verdict::Ok)
}

/// Every shape of pod, as the API server with the policy makes it.
fn policy(cluster: &Cluster) -> Result<Verdict, String> {
    let group = [
        "api-resources",
        "--api-group=admissionregistration.k8s.io",
        "-o",
        "name",
    ];
    let known = cluster.kubectl(&group, "")?;
    if !known.contains("mutatingadmissionpolicies") {
        return Ok(Verdict::Skipped(
            "this cluster has no MutatingAdmissionPolicy".into(),
        ));
    }
    let folder = root().join("conf/kubernetes/admission-policy");
    let folder = folder.to_string_lossy();
    cluster.kubectl(&["apply", "-k", &folder], "")?;
    // Restricted Pod Security would refuse most shapes, which are not about it.
    let free = [
        "label",
        "namespace",
        &cluster.namespace,
        "--overwrite",
        "pod-security.kubernetes.io/enforce=privileged",
    ];
    cluster.kubectl(&free, "")?;
    let found = shapes().iter().try_for_each(|shape| {
        // The server knows a new policy after a moment: asked again until it does.
        let good = |pod: &Json| {
            let first = &pod["spec"]["initContainers"][0];
            let ours = first["name"] == "logs" && first["ports"][0]["name"] == "flb-metrics";
            let why = pod["metadata"]["annotations"]["flb-sidecar/not-injected"].as_str();
            match &shape.outcome {
                Outcome::Injected => ours,
                Outcome::LeftAlone(reason) => !ours && why.is_some_and(|why| why.contains(reason)),
                Outcome::Untouched => !ours && why.is_none(),
            }
        };
        let mut last = Err(String::new());
        flb_sidecar_tests::wait_until(Duration::from_secs(30), || {
            last = cluster.dry_run(&shape.pod);
            last.as_ref().is_ok_and(&good).then_some(())
        })
        .ok_or_else(|| format!("{}: {last:?}", shape.name))
    });
    let strict = [
        "label",
        "namespace",
        &cluster.namespace,
        "--overwrite",
        "pod-security.kubernetes.io/enforce=restricted",
    ];
    cluster.kubectl(&strict, "")?;
    cluster.kubectl(&["delete", "-k", &folder], "")?;
    found.map(|()| Verdict::Ok)
}

/// A Job from its start to its end.
fn job(cluster: &Cluster, collector: &Collector<'_>, attempt: &Try) -> Result<Verdict, String> {
    let name = &attempt.name;
    collector.mood(attempt.mood.name())?;
    cluster.apply(&attempt.objects)?;
    if attempt.mood == Mood::RefusesFirst {
        let pods = format!("pods --selector=app={name}");
        let words: Vec<&str> = pods.split(' ').collect();
        let ended = flb_sidecar_tests::wait_until(LIMIT, || {
            let mut all = vec!["get"];
            all.extend(&words);
            all.extend(["-o", "json"]);
            let said = cluster.kubectl(&all, "").ok()?;
            said.contains("\"terminated\"").then_some(())
        });
        expect(ended.is_some(), || "the main container does not end".into())?;
        collector.mood("ok")?;
    }
    let condition = cluster.wait(&format!("job/{name}"), LIMIT, |job| {
        let all = job["status"]["conditions"].as_array()?;
        let holds = |kind: &&str| {
            all.iter()
                .any(|c| c["type"] == **kind && c["status"] == "True")
        };
        ["Complete", "Failed"]
            .iter()
            .copied()
            .find(|kind| holds(kind))
    })?;
    let expected = &attempt.expected;
    expect(condition == expected.condition, || {
        format!("the Job is {condition}")
    })?;
    let found = account(&collector.kept()?, name);
    expect(found.plain == 0 && found.twice == 0, || {
        format!("{found:?}")
    })?;
    if expected.all_lines {
        let pods = attempt.objects[1]["spec"]["completions"]
            .as_u64()
            .unwrap_or(1);
        let all = found.lost == 0 && found.pods as u64 == pods;
        expect(all, || format!("{found:?} of {pods} pods"))?;
    }
    let selector = format!("--selector=app={name}");
    let pods = cluster.kubectl(&["get", "pods", &selector, "-o", "json"], "")?;
    let pods: Json = serde_json::from_str(&pods).map_err(|error| error.to_string())?;
    for pod in pods["items"].as_array().into_iter().flatten() {
        let status = &pod["status"];
        let all = ["initContainerStatuses", "containerStatuses"].map(|key| status[key].as_array());
        for container in all.into_iter().flatten().flatten() {
            let code = &container["state"]["terminated"]["exitCode"];
            expect(code == 0, || {
                format!("{}: exit code {code}", container["name"])
            })?;
        }
    }
    cluster.kubectl(&["delete", "job", name, "--wait=false"], "")?;
    Ok(Verdict::Ok)
}
