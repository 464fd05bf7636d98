//! The admission policy and its twin.

use std::fs;
use std::time::Duration;

use flb_sidecar_tests::build::root;
use flb_sidecar_tests::e2e::{poll, Cluster, Images, Verdict, NEUTRAL_IMAGE};
use flb_sidecar_tests::pods::{shapes, Outcome, Shape};
use serde_json::{json, Value as Json};

use crate::{expect, Found, LIMIT};

pub(crate) fn check(cluster: &Cluster, images: &Images) -> Found {
    let group = [
        "api-resources",
        "--api-group=admissionregistration.k8s.io",
        "-o",
        "name",
    ];
    if !cluster
        .kubectl(&group, "")?
        .contains("mutatingadmissionpolicies")
    {
        let why = "this cluster has no MutatingAdmissionPolicy";
        return Ok(Verdict::Skipped(why.into()));
    }
    let folder = root().join("conf/kubernetes/admission-policy");
    let mut text = String::new();
    for file in ["policy.yaml", "warning.yaml"] {
        let part = fs::read_to_string(folder.join(file)).map_err(|error| error.to_string())?;
        text = format!(
            "{text}---\n{}\n",
            part.replace(NEUTRAL_IMAGE, &images.sidecar())
        );
    }
    cluster.kubectl(&["apply", "-f", "-"], &text)?;
    let found = run(cluster);
    let gone = cluster.kubectl(&["delete", "-f", "-"], &text);
    found.and_then(|found| gone.map(|_| found))
}

fn run(cluster: &Cluster) -> Found {
    // Restricted Pod Security would refuse most shapes, which are not about it.
    cluster.enforce("privileged")?;
    let all = shapes();
    // The server knows a new policy after a moment.
    let known = poll(Duration::from_secs(60), || one(cluster, &all[0]).ok());
    known.ok_or_else(|| format!("the policy does nothing: {:?}", one(cluster, &all[0])))?;
    for shape in &all {
        one(cluster, shape).map_err(|why| format!("{}: {why}", shape.name))?;
    }
    cluster.enforce("restricted")?;
    let lines = injected(cluster)?;
    Ok(Verdict::Ok(format!(
        "{} shapes; an injected Job without ConfigMap printed {lines} redacted lines",
        all.len()
    )))
}

fn one(cluster: &Cluster, shape: &Shape) -> Result<(), String> {
    let (pod, warnings) = cluster.dry_run(&shape.pod)?;
    let first = &pod["spec"]["initContainers"][0];
    let ours = first["name"] == "logs" && first["ports"][0]["name"] == "flb-metrics";
    let why = pod["metadata"]["annotations"]["flb-sidecar/not-injected"].as_str();
    let warned = warnings.contains("asks for the log sidecar");
    let good = match &shape.outcome {
        Outcome::Injected => ours && !warned,
        Outcome::LeftAlone(reason) => {
            !ours
                && why.is_some_and(|why| why.contains(reason))
                && warned
                && warnings.contains(reason)
        }
        Outcome::Untouched => !ours && why.is_none() && !warned,
    };
    expect(good, || format!("{pod}, {warnings}"))
}

/// A Job that has nothing but the label, in a restricted namespace without the ConfigMaps.
fn injected(cluster: &Cluster) -> Result<usize, String> {
    let script = "i=0; while [ $i -lt 5 ]; do i=$((i+1)); \
                  echo \"line $i of user$i@example.com\" >> /logs/app.log; done";
    let job = json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "injected"},
        "spec": {"backoffLimit": 0, "template": {
            "metadata": {"labels": {"app": "injected", "flb-sidecar/inject": "true"}},
            "spec": {
                "restartPolicy": "Never",
                "automountServiceAccountToken": false,
                "securityContext": {
                    "runAsNonRoot": true, "runAsUser": 1000, "fsGroup": 65532,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [{
                    "name": "main", "image": "busybox:1.37.0",
                    "command": ["/bin/sh", "-c", script],
                    "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
                    "volumeMounts": [{"name": "logs", "mountPath": "/logs"}],
                }],
                "volumes": [{"name": "logs", "emptyDir": {}}],
            },
        }},
    });
    cluster.apply(&[job])?;
    let condition = cluster.end_of_job("injected", LIMIT)?;
    let words = ["logs", "job/injected", "-c", "logs"];
    let said = cluster.kubectl(&words, "")?;
    let lines: Vec<Json> = said
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let redacted = lines
        .iter()
        .filter(|record| {
            record["log"]
                .as_str()
                .is_some_and(|log| log.ends_with("[EMAIL]"))
        })
        .count();
    expect(condition == "Complete" && redacted == 5, || {
        format!("the Job is {condition}: {said}")
    })?;
    Ok(redacted)
}
