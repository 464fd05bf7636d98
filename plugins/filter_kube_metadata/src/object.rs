//! The Pod and Namespace objects of the Kubernetes API, as far as records need them.

use flb_sidecar_sdk::json;
use serde::Deserialize;
use serde_json::{Map, Value as Json};

use crate::pod::{Container, Pod};
use crate::podinfo::Pairs;

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct PodObject {
    metadata: Metadata,
    spec: Spec,
    status: Status,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Metadata {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    labels: Option<Map<String, Json>>,
    annotations: Option<Map<String, Json>>,
    owner_references: Option<Json>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    node_name: Option<String>,
    service_account_name: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    #[serde(rename = "podIP")]
    pod_ip: Option<String>,
    #[serde(rename = "hostIP")]
    host_ip: Option<String>,
    container_statuses: Vec<ContainerStatus>,
    init_container_statuses: Vec<ContainerStatus>,
    ephemeral_container_statuses: Vec<ContainerStatus>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ContainerStatus {
    name: String,
    image: Option<String>,
    #[serde(rename = "imageID")]
    image_id: Option<String>,
    #[serde(rename = "containerID")]
    container_id: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct NamespaceObject {
    metadata: Metadata,
}

/// Reads a Pod object.
///
/// # Errors
/// What is not JSON, or no Pod object.
pub(crate) fn pod(text: &[u8]) -> Result<Pod, serde_json::Error> {
    let PodObject {
        metadata,
        spec,
        status,
    } = serde_json::from_slice(text)?;
    let references = metadata.owner_references.filter(|value| !value.is_null());
    let text = |json: &Json, key: &str| json.get(key).and_then(Json::as_str).map(str::to_owned);
    let owners = references
        .iter()
        .filter_map(Json::as_array)
        .flatten()
        .filter_map(|owner| Some((text(owner, "kind")?, text(owner, "name")?)))
        .collect();
    Ok(Pod {
        name: metadata.name,
        namespace: metadata.namespace,
        uid: metadata.uid,
        labels: metadata.labels.map(pairs),
        annotations: metadata.annotations.map(pairs),
        owner_references: references.map(|value| {
            let mut packed = Vec::new();
            json::write(&mut packed, &value);
            packed
        }),
        owners,
        host: spec.node_name,
        ip: status.pod_ip,
        host_ip: status.host_ip,
        service_account: spec.service_account_name,
        containers: status
            .container_statuses
            .into_iter()
            .chain(status.init_container_statuses)
            .chain(status.ephemeral_container_statuses)
            .map(container)
            .collect(),
        ..Pod::default()
    })
}

/// Reads a Namespace object into the namespace's part of a pod.
///
/// # Errors
/// What is not JSON, or no Namespace object.
pub(crate) fn namespace(text: &[u8]) -> Result<Pod, serde_json::Error> {
    let NamespaceObject { metadata } = serde_json::from_slice(text)?;
    Ok(Pod {
        namespace_labels: metadata.labels.map(pairs),
        namespace_annotations: metadata.annotations.map(pairs),
        ..Pod::default()
    })
}

fn pairs(map: Map<String, Json>) -> Pairs {
    map.into_iter()
        .map(|(key, value)| {
            let value = match value {
                Json::String(text) => text,
                other => other.to_string(),
            };
            (key.into_bytes(), value.into_bytes())
        })
        .collect()
}

fn container(status: ContainerStatus) -> Container {
    let id = |text: Option<String>| {
        text.as_deref()
            .and_then(without_scheme)
            .filter(|id| !id.is_empty())
            .map(str::to_owned)
    };
    Container {
        name: status.name,
        docker_id: id(status.container_id),
        hash: id(status.image_id),
        image: status.image.filter(|image| !image.is_empty()),
    }
}

/// `containerd://<id>` → `<id>`; without slashes behind the first colon the whole text, as Fluent
/// Bit has it. `None`: no colon.
fn without_scheme(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once(':')?;
    let tail = rest.trim_start_matches('/');
    Some(if tail.len() == rest.len() { text } else { tail })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_object_is_read() {
        let pod = pod(br#"{"kind":"Pod","metadata":{"name":"p","namespace":"ns","uid":"u","labels":{"b":"1","a":"2"},
            "ownerReferences":[{"apiVersion":"batch/v1","kind":"Job","name":"j","controller":true}]},
            "spec":{"nodeName":"n","containers":[{}]},
            "status":{"podIP":"10.0.0.1","containerStatuses":[{"name":"app","image":"i:1","imageID":"reg/i@sha256:ff","containerID":"containerd://cc"}],
            "initContainerStatuses":[{"name":"init","imageID":"docker-pullable://reg/i@sha256:aa","containerID":""}]}}"#).unwrap();
        assert_eq!(pod.labels.as_ref().unwrap()[0].0, b"b");
        assert_eq!(pod.annotations, None);
        assert_eq!(pod.owners, [("Job".to_owned(), "j".to_owned())]);
        assert_eq!(pod.containers[0].docker_id.as_deref(), Some("cc"));
        assert_eq!(pod.containers[0].hash.as_deref(), Some("reg/i@sha256:ff"));
        assert_eq!(pod.containers[1].hash.as_deref(), Some("reg/i@sha256:aa"));
        assert_eq!(pod.containers[1].docker_id, None);
    }

    #[test]
    fn other_texts_are_refused_or_empty() {
        for text in [&b""[..], b"{", b"[]x", b"\xff", br#"{"metadata":[1]}"#] {
            assert!(pod(text).is_err());
        }
        assert_eq!(pod(b"{}").unwrap(), Pod::default());
        assert_eq!(
            namespace(br#"{"metadata":{"name":"n"}}"#).unwrap(),
            Pod::default()
        );
    }
}
