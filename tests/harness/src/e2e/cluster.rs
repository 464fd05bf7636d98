//! A namespace of its own in a cluster, through `kubectl`.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{json, Value as Json};

use crate::wait_until;

/// What `kubectl` said, or why it did not work.
type Said = Result<String, String>;

/// A namespace in a cluster. It goes when this goes.
#[derive(Debug)]
pub struct Cluster {
    /// The namespace of the run.
    pub namespace: String,
}

impl Cluster {
    /// Makes a namespace with restricted Pod Security. `Ok(None)`: there is no cluster to be had.
    ///
    /// # Errors
    /// A cluster that is named and does not answer, or refuses the namespace.
    pub fn new(name: &str) -> Result<Option<Self>, String> {
        let named = std::env::var_os("KUBECONFIG").is_some_and(|value| !value.is_empty());
        let installed = Command::new("kubectl")
            .arg("version")
            .arg("--client")
            .output();
        if !named || !installed.is_ok_and(|output| output.status.success()) {
            return Ok(None);
        }
        let cluster = Cluster {
            namespace: name.to_owned(),
        };
        let labels = json!({
            "pod-security.kubernetes.io/enforce": "restricted",
            "flb-sidecar/injection": "enabled",
        });
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}});
        cluster.apply(&[namespace])?;
        Ok(Some(cluster))
    }

    /// Runs `kubectl` in the namespace.
    ///
    /// # Errors
    /// What it says when it fails.
    pub fn kubectl(&self, arguments: &[&str], input: &str) -> Said {
        let mut child = Command::new("kubectl")
            .args(["--namespace", &self.namespace, "--request-timeout", "30s"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("kubectl: {error}"))?;
        if let Some(mut to) = child.stdin.take() {
            // It may end without reading: its status says so.
            let _ = to.write_all(input.as_bytes());
        }
        let output = child
            .wait_with_output()
            .map_err(|error| format!("kubectl: {error}"))?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            Ok(said)
        } else {
            let error = String::from_utf8_lossy(&output.stderr);
            Err(format!(
                "kubectl {}: {}{said}",
                arguments.join(" "),
                error.trim()
            ))
        }
    }

    /// Applies objects.
    ///
    /// # Errors
    /// As [`Cluster::kubectl`].
    pub fn apply(&self, objects: &[Json]) -> Said {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        self.kubectl(&["apply", "-f", "-"], &list.to_string())
    }

    /// What the API server makes of an object, without keeping it.
    ///
    /// # Errors
    /// As [`Cluster::kubectl`].
    pub fn dry_run(&self, object: &Json) -> Result<Json, String> {
        let arguments = ["create", "--dry-run=server", "-o", "json", "-f", "-"];
        let said = self.kubectl(&arguments, &object.to_string())?;
        serde_json::from_str(&said).map_err(|error| error.to_string())
    }

    /// An object as it is.
    ///
    /// # Errors
    /// As [`Cluster::kubectl`].
    pub fn get(&self, what: &str) -> Result<Json, String> {
        let said = self.kubectl(&["get", what, "-o", "json"], "")?;
        serde_json::from_str(&said).map_err(|error| error.to_string())
    }

    /// Waits until `ready` gives something of the object.
    ///
    /// # Errors
    /// When `limit` passes before.
    pub fn wait<T>(
        &self,
        what: &str,
        limit: Duration,
        mut ready: impl FnMut(&Json) -> Option<T>,
    ) -> Result<T, String> {
        let mut last = Json::Null;
        let found = wait_until(limit, || {
            last = self.get(what).ok()?;
            ready(&last)
        });
        found.ok_or_else(|| {
            format!(
                "{what} did not come so far in {limit:?}: {}",
                last["status"]
            )
        })
    }

    /// Whether the account of the sidecar may do this.
    ///
    /// # Errors
    /// As [`Cluster::kubectl`], but for the answer "no".
    pub fn may(&self, account: &str, verb: &str, resource: &str) -> Result<bool, String> {
        let whom = format!("--as=system:serviceaccount:{}:{account}", self.namespace);
        match self.kubectl(&["auth", "can-i", verb, resource, &whom], "") {
            Ok(_) => Ok(true),
            Err(said) if said.trim_end().ends_with("no") => Ok(false),
            Err(said) => Err(said),
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::env::var_os("KEEP").is_none() {
            let arguments = ["delete", "namespace", &self.namespace, "--wait=false"];
            // Said by the next run, whose namespace has another name.
            let _ = self.kubectl(&arguments, "");
        }
    }
}

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

    fn path(&self, path: &str) -> String {
        let namespace = &self.cluster.namespace;
        format!("/api/v1/namespaces/{namespace}/pods/collector:8080/proxy{path}")
    }

    /// Everything that it kept.
    ///
    /// # Errors
    /// As [`Cluster::kubectl`].
    pub fn kept(&self) -> Said {
        self.cluster
            .kubectl(&["get", "--raw", &self.path("/lines")], "")
    }

    /// Changes how it answers from now on.
    ///
    /// # Errors
    /// As [`Cluster::kubectl`].
    pub fn mood(&self, name: &str) -> Said {
        let path = self.path(&format!("/mood/{name}"));
        self.cluster
            .kubectl(&["replace", "--raw", &path, "-f", "-"], "")
    }
}
