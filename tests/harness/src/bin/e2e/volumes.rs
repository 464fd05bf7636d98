//! Volumes that are there before the sidecar comes: the components leave them as they are.

use flb_sidecar_tests::e2e::{lives as all_lives, Act, Cluster, Collector, Images, Verdict};
use serde_json::{json, Value as Json};

use crate::{expect, lives, Found, LIMIT};

/// The class of the claims here, which nobody provides.
const CLASS: &str = "flb-e2e-folder";

/// A claim as a volume `logs`.
pub(crate) fn claim(name: &str) -> Json {
    json!({"name": "logs", "persistentVolumeClaim": {"claimName": name}})
}

/// A folder of the node as a volume `logs`.
fn folder(name: &str) -> Json {
    json!({"name": "logs", "hostPath": {"path": place(name), "type": "DirectoryOrCreate"}})
}

/// Where a folder of the node is.
fn place(name: &str) -> String {
    format!("/var/lib/{name}")
}

/// A volume for one claim, in a folder of the only node.
pub(crate) fn volume_of_node(cluster: &Cluster, volume: &str, class: &str, claim: &str) -> Json {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": volume},
        "spec": {
            "storageClassName": class, "capacity": {"storage": "5Gi"}, "accessModes": ["ReadWriteMany"],
            "persistentVolumeReclaimPolicy": "Retain",
            "claimRef": {"namespace": cluster.namespace, "name": claim},
            "hostPath": {"path": place(volume), "type": "DirectoryOrCreate"},
        },
    })
}

/// Runs a command as root with a volume at `/shared`.
pub(crate) fn as_root(
    cluster: &Cluster,
    name: &str,
    command: &str,
    volume: &Json,
) -> Result<(), String> {
    let on_node = volume.get("hostPath").is_some();
    cluster.enforce(if on_node { "privileged" } else { "baseline" })?;
    cluster.apply(&[json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": false,
            "containers": [{
                "name": "main", "image": "busybox:1.37.0", "command": ["/bin/sh", "-c", command],
                "volumeMounts": [{"name": "logs", "mountPath": "/shared"}],
            }],
            "volumes": [volume],
        },
    })])?;
    let phase = cluster.wait(&format!("pod/{name}"), LIMIT, |pod| {
        let phase = pod["status"]["phase"].as_str()?;
        ["Succeeded", "Failed"]
            .into_iter()
            .find(|end| *end == phase)
    })?;
    cluster.kubectl(&["delete", "pod", name], "")?;
    cluster.enforce("restricted")?;
    expect(phase == "Succeeded", || format!("{command}: {phase}"))
}

/// Each component in a pod whose volume `logs` is a claim, and in one where it is a folder of the node;
/// as root, whom such volumes often belong to.
pub(crate) fn check(cluster: &Cluster, collector: &Collector<'_>, images: &Images) -> Found {
    lives::prepare(cluster, collector)?;
    let namespace = &cluster.namespace;
    let mut said = Vec::new();
    for life in all_lives(images) {
        if life.act != Act::Delete || !life.name.ends_with("ends-at-once") {
            continue;
        }
        let name = format!("{namespace}-{}", life.name);
        for (kind, volume) in [("claim", claim(&name)), ("folder", folder(&name))] {
            if kind == "claim" {
                cluster.apply(&[
                    volume_of_node(cluster, &name, CLASS, &name),
                    json!({
                        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name},
                        "spec": {
                            "storageClassName": CLASS, "accessModes": ["ReadWriteMany"],
                            "resources": {"requests": {"storage": "1Gi"}},
                        },
                    }),
                ])?;
            }
            let life = life.clone().over(kind, &volume);
            cluster.enforce("privileged")?;
            let found = lives::check(cluster, collector, images, &life);
            let clean = format!("clean-{}", life.name);
            let cleaned = as_root(cluster, &clean, "rm -rf /shared/*", &volume);
            if kind == "claim" {
                cluster.kubectl(&["delete", "pvc", &name, "--wait=false"], "")?;
                cluster.kubectl(&["delete", "pv", &name, "--wait=false"], "")?;
            }
            match found? {
                Verdict::Ok(text) => said.push(format!("{}: {text}", life.name)),
                other => return Ok(other),
            }
            cleaned?;
        }
    }
    expect(said.len() == 4, || format!("{said:?}"))?;
    Ok(Verdict::Ok(said.join("; ")))
}
