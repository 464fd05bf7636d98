//! The NetworkPolicies of conf/kubernetes/base, asked by pods that try to get through.

use std::fs;
use std::time::Duration;

use flb_sidecar_tests::build::root;
use flb_sidecar_tests::e2e::{poll, Cluster, Collector, Verdict};
use serde_json::{json, Value as Json};

use crate::{expect, Found, LIMIT};

/// How long a network may take to make a policy its own.
const SETTLED: Duration = Duration::from_secs(30);

fn pod(name: &str, labels: &Json, port: &str) -> Json {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "automountServiceAccountToken": false,
            "terminationGracePeriodSeconds": 1,
            "securityContext": {"runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{
                "name": "main", "image": "busybox:1.37.0",
                "command": ["/bin/sh", "-c", format!("httpd -f -p {port} -h /tmp")],
                "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
            }],
        },
    })
}

struct Network<'a>(&'a Cluster);

impl Network<'_> {
    /// Whether a pod gets through to a port.
    fn reaches(&self, pod: &str, host: &str, port: &str) -> bool {
        let asks = format!("nc -w 3 {host} {port} < /dev/null > /dev/null");
        let words = ["exec", pod, "--", "sh", "-c", &asks];
        self.0.kubectl(&words, "").is_ok()
    }

    fn address(&self, pod: &str) -> Result<String, String> {
        self.0.wait(&format!("pod/{pod}"), LIMIT, |pod| {
            let ready = pod["status"]["containerStatuses"][0]["ready"] == true;
            let address = pod["status"]["podIP"].as_str()?;
            ready.then(|| address.to_owned())
        })
    }
}

/// A sidecar's pod reaches the collector's namespace, names and, with the label for it, the API; nothing
/// else, and nobody but Prometheus reaches it.
pub(crate) fn check(cluster: &Cluster, collector: &Collector<'_>) -> Found {
    let network = Network(cluster);
    let injected = json!({"flb-sidecar/inject": "true", "flb-sidecar/use-api": "true"});
    // It only looks like one: the policy of another row must not make it one.
    let plain = [
        "label",
        "namespace",
        &cluster.namespace,
        "flb-sidecar/injection-",
    ];
    cluster.kubectl(&plain, "")?;
    let injected = pod("sidecar", &injected, "2020");
    cluster.apply(&[injected, pod("stranger", &json!({}), "8080")])?;
    let (sidecar, stranger) = (network.address("sidecar")?, network.address("stranger")?);
    let host = collector.host();
    expect(network.reaches("stranger", &sidecar, "2020"), || {
        "pods do not reach each other before there is a policy".into()
    })?;
    let file = root().join("conf/kubernetes/base/network-policy.yaml");
    let policies = fs::read_to_string(file).map_err(|error| error.to_string())?;
    let name = "kubernetes.io/metadata.name: logging";
    let (_, rest) = host.split_once('.').unwrap_or_default();
    let (namespace, _) = rest.split_once('.').unwrap_or_default();
    let own = policies.replace(name, &format!("kubernetes.io/metadata.name: {namespace}"));
    expect(own != policies, || format!("no {name:?} in {policies}"))?;
    cluster.kubectl(&["apply", "-f", "-"], &own)?;
    let closed = poll(SETTLED, || {
        let open = network.reaches("stranger", &sidecar, "2020")
            || network.reaches("sidecar", &stranger, "8080");
        (!open).then_some(())
    });
    if closed.is_none() {
        let why = "this cluster's network enforces no NetworkPolicy";
        return Ok(Verdict::Skipped(why.into()));
    }
    for (what, host, port) in [
        ("the collector", host.as_str(), "8080"),
        ("the API", "kubernetes.default.svc", "443"),
    ] {
        let reached = poll(SETTLED, || {
            network.reaches("sidecar", host, port).then_some(())
        });
        expect(reached.is_some(), || format!("{what} is not reached"))?;
    }
    cluster.kubectl(
        &["delete", "pod", "sidecar", "stranger", "--wait=false"],
        "",
    )?;
    Ok(Verdict::Ok(
        "collector, names and API reached; nobody else, and by nobody".into(),
    ))
}
