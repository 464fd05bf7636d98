//! Options of Fluent Bit's `kubernetes` filter that are taken, so that a configuration needs only
//! a new name, but have nothing to do here.

use flb_sidecar_sdk::Settings;
use tracing::info;

/// Name of each with the reason.
pub(crate) static IDLE: &[(&str, &str)] = &[
    ("kube_tag_prefix", OWN_POD),
    ("regex_parser", OWN_POD),
    ("use_tag_for_meta", OWN_POD),
    (
        "use_journal",
        "a sidecar reads its own pod's files, not the node's journal",
    ),
    (
        "cache_use_docker_id",
        "the metadata is this pod's own, there is no cache of pods",
    ),
    (
        "dummy_meta",
        "without a pod nothing is added; options such as pod_name stand in for it",
    ),
    ("use_kubelet", KUBELET),
    ("kubelet_host", KUBELET),
    ("kubelet_port", KUBELET),
    (
        "buffer_size",
        "a response of the API may always have up to 4 MiB",
    ),
    ("dns_retries", DNS),
    ("dns_wait_time", DNS),
    (
        "kube_token_command",
        "the token is read from kube_token_file, which every pod has",
    ),
    ("kube_token_ttl", "the token is read before each call"),
    (
        "kube_ca_path",
        "the certificates are read from kube_ca_file",
    ),
    (
        "tls.debug",
        "what fails is logged with its reason at any level",
    ),
    ("tls.vhost", "the server must have the name in kube_url"),
    (
        "tls.verify_hostname",
        "the server's name is always checked unless tls.verify is off",
    ),
    ("aws_use_pod_association", AWS),
    ("use_pod_association", AWS),
    ("aws_pod_association_host", AWS),
    ("aws_pod_association_endpoint", AWS),
    ("aws_pod_association_port", AWS),
    ("aws_pod_association_host_server_ca_file", AWS),
    ("aws_pod_association_host_client_cert_file", AWS),
    ("aws_pod_association_host_client_key_file", AWS),
    ("aws_pod_association_host_tls_debug", AWS),
    ("aws_pod_association_host_tls_verify", AWS),
    ("aws_pod_service_map_ttl", AWS),
    ("aws_pod_service_map_refresh_interval", AWS),
    ("aws_pod_service_preload_cache_dir", AWS),
    ("set_platform", AWS),
];

const OWN_POD: &str = "the metadata is this pod's own and not found by the tag; see tag_template for the container's name";
const KUBELET: &str = "this pod's metadata needs no kubelet";
const DNS: &str =
    "the API is asked in the background, and again after a failure; nothing waits for it";
const AWS: &str = "the association of pods with services belongs to an agent for the whole node";

/// Says which of those that are set do nothing, a line for each reason.
pub(crate) fn tell(settings: &Settings) {
    let mut told: Vec<(&str, Vec<&str>)> = Vec::new();
    for (name, reason) in IDLE.iter().filter(|(name, _)| settings.is_set(name)) {
        match told.iter_mut().find(|(other, _)| other == reason) {
            Some((_, names)) => names.push(name),
            None => told.push((reason, vec![name])),
        }
    }
    for (reason, names) in told {
        info!("nothing is done here with {}: {reason}", names.join(", "));
    }
}
