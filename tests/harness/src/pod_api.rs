//! The Kubernetes API as a sidecar sees it that asks for its own pod.

use kube_client::testing::{Authority, Server};
use serde_json::{json, Value as Json};

use crate::pipeline::Pipeline;

/// What the main container is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Main {
    /// It runs.
    Running,
    /// It has ended with this status.
    Terminated(u8),
}

/// A TLS server with the pod `job-0` of the containers `main` and `logs`.
pub struct PodApi {
    server: Server,
    token: String,
    ca: String,
}

fn pod(main: Main) -> Json {
    let state = match main {
        Main::Running => json!({"running": {}}),
        Main::Terminated(code) => {
            json!({"terminated": {"exitCode": code, "reason": "Completed"}})
        }
    };
    json!({
        "kind": "Pod",
        "metadata": {"name": "job-0"},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "main"}, {"name": "logs"}]},
        "status": {"containerStatuses": [
            {"name": "main", "state": state},
            {"name": "logs", "state": {"running": {}}},
        ]},
    })
}

impl PodApi {
    /// Listens; certificate and token are files of `pipeline`.
    pub fn start(pipeline: &Pipeline) -> Self {
        let authority = Authority::new(pipeline.folder());
        let body = pod(Main::Running).to_string();
        PodApi {
            server: Server::start(authority.server_config(), "secret", &body),
            token: pipeline.file("token", "secret"),
            ca: pipeline.path("ca.crt"),
        }
    }

    /// Options of a `completion_exit` that asks here every second.
    pub fn options(&self) -> Vec<(&'static str, String)> {
        vec![
            ("api_container", "main".to_owned()),
            ("api_interval", "1".to_owned()),
            ("pod_name", "job-0".to_owned()),
            ("namespace_name", "default".to_owned()),
            ("kube_url", self.server.url.clone()),
            ("kube_ca_file", self.ca.clone()),
            ("kube_token_file", self.token.clone()),
        ]
    }

    /// What it says from now on.
    pub fn set(&self, main: Main) {
        self.server.set_body(&pod(main).to_string());
    }

    /// How often it was asked.
    pub fn calls(&self) -> usize {
        self.server.calls()
    }
}
