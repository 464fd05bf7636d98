//! Set-ups of conf/ that need more than the sidecar's image: the stock image with the plugins brought to it,
//! and nginx with an aggregator.

use std::fs;
use std::time::Duration;

use flb_sidecar_tests::build::root;
use flb_sidecar_tests::e2e::NEUTRAL_IMAGE;
use flb_sidecar_tests::e2e::{poll, Cluster, Collector, Images, Kustomization, Verdict};
use serde_json::{json, Value as Json};

use crate::{expect, Found, LIMIT};

/// Requests to nginx.
const REQUESTS: usize = 10;

/// The stock image in a Job, with the plugins on a volume by a component of conf/kubernetes.
pub(crate) fn stock(cluster: &Cluster, images: &Images, component: &str) -> Found {
    let file = root().join("conf/kubernetes/quickstart/job.yaml");
    let text = fs::read_to_string(file).map_err(|error| error.to_string())?;
    let words = ["create", "--dry-run=client", "-o", "json", "-f", "-"];
    let mut job: Json = serde_json::from_str(&cluster.kubectl(&words, &text)?)
        .map_err(|error| error.to_string())?;
    let labels = job["metadata"]["labels"].take();
    job["metadata"] = json!({"name": component, "labels": labels});
    let made = Kustomization::new(
        images,
        &cluster.namespace,
        component,
        &[job],
        &["default"],
        &[
            "kubernetes/native-sidecar",
            &format!("kubernetes/{component}"),
        ],
    )?;
    let rendered = cluster.kubectl(&["kustomize", &made.folder().to_string_lossy()], "")?;
    let own = |name: &str| format!("{}/{name}:{}", images.prefix, images.tag);
    let rendered = rendered
        .replace(
            "registry.example.com/flb-sidecar-installer:0.1.0",
            &own("installer"),
        )
        .replace(
            "registry.example.com/flb-sidecar-plugins:0.1.0",
            &own("plugins"),
        );
    cluster.kubectl(&["apply", "-f", "-"], &rendered)?;
    let condition = cluster.end_of_job(component, LIMIT)?;
    let job = format!("job/{component}");
    let said = cluster.kubectl(&["logs", &job, "-c", "logs"], "")?;
    let lines = said.matches("[EMAIL] pays with [CARD]").count();
    expect(condition == "Complete" && lines == 10, || {
        format!("the Job is {condition}, {lines} lines: {said}")
    })?;
    cluster.kubectl(&["delete", &job, "--wait=false"], "")?;
    Ok(Verdict::Ok("ten redacted lines of the stock image".into()))
}

/// conf/nginx with an aggregator that hands everything to the collector.
pub(crate) fn nginx(cluster: &Cluster, collector: &Collector<'_>, images: &Images) -> Found {
    let sidecar = images.sidecar();
    let host = collector.host();
    let to = [
        "-f",
        "1",
        "-i",
        "forward",
        "-p",
        "port=24224",
        "-o",
        "http",
        "-p",
        &format!("host={host}"),
        "-p",
        "port=8080",
        "-p",
        "uri=/nginx",
        "-p",
        "format=json",
        "-m",
        "*",
    ];
    cluster.apply(&[
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "aggregator", "labels": {"app": "aggregator"}},
            "spec": {
                "automountServiceAccountToken": false,
                "securityContext": {"runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
                "containers": [{
                    "name": "aggregator", "image": sidecar, "args": to,
                    "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
                }],
            },
        }),
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "aggregator"},
            "spec": {"selector": {"app": "aggregator"}, "ports": [{"port": 24224}]},
        }),
    ])?;
    let folder = root().join("conf/nginx");
    let rendered = cluster.kubectl(&["kustomize", &folder.to_string_lossy()], "")?;
    let rendered = rendered
        .replace(NEUTRAL_IMAGE, &sidecar)
        .replace("aggregator.logging.svc", "aggregator");
    cluster.kubectl(&["apply", "-f", "-"], &rendered)?;
    let found = requests(cluster, collector);
    cluster.kubectl(&["delete", "-f", "-", "--wait=false"], &rendered)?;
    cluster.kubectl(&["delete", "pod", "aggregator", "--wait=false"], "")?;
    found
}

/// Asks nginx, and waits for its log.
fn requests(cluster: &Cluster, collector: &Collector<'_>) -> Found {
    let pod = poll(LIMIT, || {
        let pods = cluster.pods("nginx").ok()?;
        let ready = |pod: &&Json| {
            let all = pod["status"]["conditions"].as_array().into_iter().flatten();
            all.into_iter()
                .any(|c| c["type"] == "Ready" && c["status"] == "True")
        };
        let pod = pods.iter().find(ready)?;
        pod["metadata"]["name"].as_str().map(str::to_owned)
    });
    let pod = pod.ok_or("nginx does not become ready")?;
    for number in 0..REQUESTS {
        let path = format!(
            "/api/v1/namespaces/{}/pods/{pod}:8080/proxy/{number}/user@example.com",
            cluster.namespace
        );
        // Whatever it answers: it is logged.
        let _ = cluster.kubectl(&["get", "--raw", &path], "");
    }
    let mut kept = String::new();
    let all = poll(Duration::from_secs(60), || {
        kept = collector.kept("nginx").ok()?;
        (0..REQUESTS)
            .all(|number| kept.contains(&format!("GET /{number}/")))
            .then_some(())
    });
    expect(all.is_some(), || format!("not every request: {kept}"))?;
    let once = (0..REQUESTS).all(|number| {
        let access = kept.matches(&format!("GET /{number}/[EMAIL]")).count();
        // The error log may name it as well.
        (1..=2).contains(&access)
    });
    expect(once && !kept.contains("@example.com"), || kept.clone())?;
    Ok(Verdict::Ok(format!("{REQUESTS} requests, redacted")))
}
