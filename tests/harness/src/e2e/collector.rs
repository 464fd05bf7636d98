//! The destination of a run: a Pod, reached through the API server.

use std::time::Duration;

use serde_json::{json, Value as Json};

use super::cluster::{Cluster, Said};

/// The destination in the namespace.
#[derive(Debug)]
pub struct Collector<'a> {
    cluster: &'a Cluster,
}

impl<'a> Collector<'a> {
    /// What is to be applied for it.
    pub fn objects(image: &str) -> Vec<Json> {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "collector", "labels": {"app": "collector"}},
            "spec": {
                "automountServiceAccountToken": false,
                "securityContext": {"runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
                "containers": [{
                    "name": "collector", "image": image,
                    "ports": [{"name": "http", "containerPort": 8080}],
                    "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
                }],
            },
        });
        let service = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "collector"},
            "spec": {"selector": {"app": "collector"}, "ports": [{"port": 8080, "targetPort": "http"}]},
        });
        vec![pod, service]
    }

    /// Starts it.
    ///
    /// # Errors
    /// When it does not become ready.
    pub fn start(cluster: &'a Cluster, image: &str) -> Result<Self, String> {
        cluster.apply(&Collector::objects(image))?;
        cluster.wait("pod/collector", Duration::from_secs(120), |pod| {
            (pod["status"]["phase"] == "Running").then_some(())
        })?;
        Ok(Collector { cluster })
    }

    /// Its name for pods of other namespaces.
    pub fn host(&self) -> String {
        format!("collector.{}.svc", self.cluster.namespace)
    }

    /// `NAME` is what a sidecar has as its `URI`.
    fn path(&self, name: &str) -> String {
        let namespace = &self.cluster.namespace;
        format!("/api/v1/namespaces/{namespace}/pods/collector:8080/proxy/{name}")
    }

    /// Everything that it kept under a name.
    ///
    /// # Errors
    /// As [`Cluster::kubectl`].
    pub fn kept(&self, name: &str) -> Said {
        self.cluster
            .kubectl(&["get", "--raw", &self.path(name)], "")
    }

    /// Changes how it answers under a name from now on.
    ///
    /// # Errors
    /// As [`Cluster::kubectl`].
    pub fn mood(&self, name: &str, mood: &str) -> Said {
        let path = format!("{}?mood={mood}", self.path(name));
        self.cluster
            .kubectl(&["replace", "--raw", &path, "-f", "-"], "")
    }
}
