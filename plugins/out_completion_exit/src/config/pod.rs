//! Which pod the API is asked for, and how.

use std::time::Duration;

use flb_sidecar_sdk::{ConfigError, Settings};
use kube_client::ClientOptions;

/// Limit of a call of the API.
const API_TIMEOUT: Duration = Duration::from_secs(10);

/// Containers of the own pod, and how the API is asked for them.
#[derive(Clone, Debug)]
pub(crate) struct PodConfig {
    pub(crate) containers: Vec<String>,
    /// Of the own pod in the API.
    pub(crate) path: String,
    pub(crate) uid: Option<String>,
    pub(crate) interval: Duration,
    pub(crate) client: ClientOptions,
}

/// The first of these variables that is set.
fn variable(names: &[&str]) -> Option<String> {
    let value = |name: &&str| std::env::var(name).ok().filter(|value| !value.is_empty());
    names.iter().find_map(value)
}

/// Reads the options of `api_container`.
///
/// # Errors
/// A value that its option does not take, or a pod that nobody names.
pub(super) fn read(settings: &Settings) -> Result<Option<PodConfig>, ConfigError> {
    let text = |name: &str| settings.string(name).unwrap_or_default().trim().to_owned();
    let containers: Vec<String> = settings
        .list("api_container")
        .into_iter()
        .map(str::to_owned)
        .collect();
    let given = text("kube_url");
    let url = kube_client::url(&given)
        .ok_or_else(|| ConfigError::value("kube_url", &given, kube_client::URL_ALLOWED))?;
    let interval = settings.time("api_interval").unwrap_or_default();
    if interval < Duration::from_secs(1) {
        let given = interval.as_secs_f64().to_string();
        return Err(ConfigError::value("api_interval", &given, "1 s or more"));
    }
    if containers.is_empty() {
        return Ok(None);
    }
    let own = |option: &str, variables: &[&str]| {
        Some(text(option))
            .filter(|value| !value.is_empty())
            .or_else(|| variable(variables))
    };
    // Otherwise the only trigger might be one that never fires.
    let known = |option: &str, value: Option<String>| {
        let value = value.unwrap_or_default();
        if kube_client::is_name(&value) {
            return Ok(value);
        }
        Err(ConfigError::value(
            option,
            &value,
            "for api_container the name of this pod and of its namespace, from these options or \
             the environment variables POD_NAME and POD_NAMESPACE",
        ))
    };
    let name = own("pod_name", kube_client::POD_NAME_VARIABLES).or_else(|| variable(&["HOSTNAME"]));
    let namespace = own("namespace_name", kube_client::NAMESPACE_VARIABLES).or_else(|| {
        let file = kube_client::read_file(text("kube_namespace_file").as_ref()).ok()?;
        Some(String::from_utf8(file).ok()?.trim().to_owned())
    });
    let name = known("pod_name", name)?;
    let namespace = known("namespace_name", namespace)?;
    Ok(Some(PodConfig {
        containers,
        path: format!("/api/v1/namespaces/{namespace}/pods/{name}"),
        uid: own("pod_id", kube_client::POD_UID_VARIABLES),
        interval,
        client: ClientOptions {
            url: url.to_owned(),
            ca_file: text("kube_ca_file").into(),
            token_file: text("kube_token_file").into(),
            verify: settings.boolean("tls.verify"),
            timeout: API_TIMEOUT,
        },
    }))
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use crate::options::OPTIONS;
    use flb_sidecar_sdk::{ConfigError, Settings};
    use std::time::Duration;

    fn read(entries: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let entries = entries.iter().copied();
        Config::read(&Settings::new("completion_exit.0", OPTIONS, entries)?)
    }

    #[test]
    fn the_api_is_asked_only_for_named_containers_of_a_known_pod() {
        let identity = [("pod_name", "job-x7k2p"), ("namespace_name", "team-a")];
        assert!(read(&identity).unwrap().pod.is_none());
        let with = |more: &[(&str, &str)]| read(&[&identity, more].concat());
        let config = with(&[("api_container", "main, helper"), ("api_interval", "2")]).unwrap();
        assert!(config.has_trigger());
        let pod = config.pod.unwrap();
        assert_eq!(pod.containers, ["main", "helper"]);
        assert_eq!(pod.path, "/api/v1/namespaces/team-a/pods/job-x7k2p");
        assert_eq!(pod.interval, Duration::from_secs(2));
        for (name, namespace, part) in [
            ("a/../b", "ns", "'pod_name'"),
            ("p", "..", "'namespace_name'"),
        ] {
            let options = [
                ("api_container", "main"),
                ("pod_name", name),
                ("namespace_name", namespace),
            ];
            let error = read(&options).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
