//! A namespace of its own in a cluster, through `kubectl`.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{json, Value as Json};

/// What `kubectl` said, or why it did not work.
pub(super) type Said = Result<String, String>;

/// A namespace in a cluster. It goes when this goes.
#[derive(Debug)]
pub struct Cluster {
    /// The namespace of the run.
    pub namespace: String,
}

impl Cluster {
    /// Whether a cluster is named and can be asked.
    pub fn is_there() -> bool {
        let named = std::env::var_os("KUBECONFIG").is_some_and(|value| !value.is_empty());
        let installed = Command::new("kubectl")
            .arg("version")
            .arg("--client")
            .output();
        named && installed.is_ok_and(|output| output.status.success())
    }

    /// Makes a namespace with restricted Pod Security.
    ///
    /// # Errors
    /// A cluster that does not answer, or refuses the namespace.
    pub fn new(name: &str) -> Result<Self, String> {
        let cluster = Cluster {
            namespace: name.to_owned(),
        };
        let labels = json!({
            "pod-security.kubernetes.io/enforce": "restricted",
            "flb-sidecar/injection": "enabled",
        });
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}});
        cluster.apply(&[namespace])?;
        Ok(cluster)
    }

    /// Which pods the namespace takes from now on: a level of Pod Security.
    ///
    /// # Errors
    /// As [`Cluster::kubectl`].
    pub fn enforce(&self, level: &str) -> Said {
        let label = format!("pod-security.kubernetes.io/enforce={level}");
        self.kubectl(
            &["label", "namespace", &self.namespace, "--overwrite", &label],
            "",
        )
    }

    /// Runs `kubectl` in the namespace.
    ///
    /// # Errors
    /// What it says when it fails.
    pub fn kubectl(&self, arguments: &[&str], input: &str) -> Said {
        Ok(self.said(arguments, input)?.0)
    }

    /// What `kubectl` says, and what it says on stderr, where warnings are.
    ///
    /// # Errors
    /// What it says when it fails.
    pub fn said(&self, arguments: &[&str], input: &str) -> Result<(String, String), String> {
        let namespace = ["--namespace", &self.namespace, "--request-timeout", "60s"];
        said(&[&namespace, arguments].concat(), input)
    }

    /// Applies objects.
    ///
    /// # Errors
    /// As [`Cluster::kubectl`].
    pub fn apply(&self, objects: &[Json]) -> Said {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        self.kubectl(&["apply", "-f", "-"], &list.to_string())
    }

    /// What the API server makes of an object, without keeping it, and its warnings.
    ///
    /// # Errors
    /// As [`Cluster::kubectl`].
    pub fn dry_run(&self, object: &Json) -> Result<(Json, String), String> {
        let arguments = ["create", "--dry-run=server", "-o", "json", "-f", "-"];
        let (said, warnings) = self.said(&arguments, &object.to_string())?;
        let made = serde_json::from_str(&said).map_err(|error| error.to_string())?;
        Ok((made, warnings))
    }

    /// An object as it is.
    ///
    /// # Errors
    /// As [`Cluster::kubectl`].
    pub fn get(&self, what: &str) -> Result<Json, String> {
        let said = self.kubectl(&["get", what, "-o", "json"], "")?;
        serde_json::from_str(&said).map_err(|error| error.to_string())
    }

    /// The pods with the label `app`.
    ///
    /// # Errors
    /// As [`Cluster::kubectl`].
    pub fn pods(&self, app: &str) -> Result<Vec<Json>, String> {
        let selector = format!("--selector=app={app}");
        let said = self.kubectl(&["get", "pods", &selector, "-o", "json"], "")?;
        let list: Json = serde_json::from_str(&said).map_err(|error| error.to_string())?;
        Ok(list["items"].as_array().cloned().unwrap_or_default())
    }

    /// Waits for the condition that a Job comes to.
    ///
    /// # Errors
    /// When it comes to none.
    pub fn end_of_job(&self, name: &str, limit: Duration) -> Result<&'static str, String> {
        self.wait(&format!("job/{name}"), limit, |job| {
            let all = job["status"]["conditions"].as_array()?;
            let holds = |kind: &&str| {
                all.iter()
                    .any(|c| c["type"] == **kind && c["status"] == "True")
            };
            ["Complete", "Failed"].into_iter().find(|kind| holds(kind))
        })
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
        let found = poll(limit, || {
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
}

/// Runs `kubectl` as somebody at a terminal does.
///
/// # Errors
/// What it says when it fails.
pub fn said(arguments: &[&str], input: &str) -> Result<(String, String), String> {
    let mut child = Command::new("kubectl")
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
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() {
        Ok((said, error))
    } else {
        Err(format!(
            "kubectl {}: {}{said}",
            arguments.join(" "),
            error.trim()
        ))
    }
}

/// Asks again and again until `ready` gives something: each question is a process and a request.
pub fn poll<T>(limit: Duration, mut ready: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        if let Some(found) = ready() {
            return Some(found);
        }
        if start.elapsed() > limit {
            return None;
        }
        std::thread::sleep(Duration::from_millis(700));
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
