//! The options.

use flb_sidecar_sdk::{Kind, OptionSpec};

const fn text(name: &'static str, help: &'static str) -> OptionSpec {
    OptionSpec::new(name, Kind::String, help)
}

const fn flag(name: &'static str, default: &'static str, help: &'static str) -> OptionSpec {
    OptionSpec::new(name, Kind::Boolean, help).default(default)
}

const fn time(name: &'static str, default: &'static str, help: &'static str) -> OptionSpec {
    OptionSpec::new(name, Kind::Time, help).default(default)
}

const fn list(name: &'static str, help: &'static str) -> OptionSpec {
    OptionSpec::new(name, Kind::CommaList, help)
}

const fn idle(name: &'static str, kind: Kind) -> OptionSpec {
    OptionSpec::new(
        name,
        kind,
        "Taken for the sake of configurations of the filter kubernetes; does nothing.",
    )
}

/// Every option, in the order of the README's tables.
pub(crate) static OPTIONS: &[OptionSpec] = &[
    text("pod_name", "Name of the pod; unset: environment or HOSTNAME."),
    text("namespace_name", "Namespace of the pod; unset: environment or kube_namespace_file."),
    text("pod_id", "UID of the pod; unset: environment or mountinfo."),
    text("pod_ip", "IP address of the pod; unset: environment."),
    text("host", "Name of the node; unset: environment."),
    text("host_ip", "IP address of the node; unset: environment."),
    text("service_account", "Service account of the pod; unset: environment."),
    text("podinfo_path", "Folder of a Downward API volume with the files labels and annotations.")
        .default("/etc/podinfo"),
    text("labels_file", "Downward API file with the labels; unset: labels in podinfo_path."),
    text(
        "annotations_file",
        "Downward API file with the annotations; unset: annotations in podinfo_path.",
    ),
    text("kube_namespace_file", "File with the namespace, as a service account mount has it.")
        .default("/var/run/secrets/kubernetes.io/serviceaccount/namespace"),
    text(
        "kube_meta_preload_cache_dir",
        "Folder with <namespace>_<pod>.meta and <namespace>.namespace_meta, objects of the API as JSON.",
    ),
    text("container_name", "Name of the container that writes the logs."),
    text(
        "path_template",
        "Where the container's name is in the path of the file, such as /var/log/app/{container_name}/*.log; needs path_key.",
    ),
    text("path_key", "Field of the record with the path of its file, as the input's Path_Key sets it."),
    text("tag_template", "Where the container's name is in the tag, such as app.{container_name}.*."),
    flag("labels", "true", "Add the labels of the pod."),
    flag("annotations", "true", "Add the annotations of the pod."),
    flag("owner_references", "false", "Add the owner references of the pod."),
    flag("namespace_labels", "false", "Add kubernetes_namespace with the labels of the namespace."),
    flag(
        "namespace_annotations",
        "false",
        "Add kubernetes_namespace with the annotations of the namespace.",
    ),
    flag("namespace_metadata_only", "false", "Leave out kubernetes, add only kubernetes_namespace."),
    list("labels_include", "Take only these labels; * and ? as in file names."),
    list("labels_exclude", "Leave out these labels; * and ? as in file names."),
    list("annotations_include", "Take only these annotations; * and ? as in file names."),
    list("annotations_exclude", "Leave out these annotations; * and ? as in file names."),
    flag("dedot", "false", "Dots in the keys of labels and annotations become underscores."),
    list("extra_fields", "Fields the filter kubernetes does not have: host_ip, service_account, workload."),
    text("add", "A key and a value, added to each record that lacks the key.").repeatable(),
    flag("merge_log", "false", "Fields inside the field log become fields of the record."),
    text("merge_parser", "Parser of the host for log; unset: JSON."),
    text("merge_log_key", "Put the fields of log into a map of this name."),
    flag("merge_log_trim", "true", "Remove line feeds at the end of strings out of log."),
    flag("keep_log", "true", "Keep log when its fields were merged."),
    flag("k8s-logging.parser", "false", "Follow the annotations fluentbit.io/parser."),
    flag("k8s-logging.exclude", "false", "Follow the annotations fluentbit.io/exclude."),
    text(
        "default_stream",
        "Stream of records without a field stream, for the annotations: stdout or stderr.",
    ),
    flag("use_api", "false", "Ask the API for what only it has; in the background, own pod only."),
    text("kube_url", "The API.").default("https://kubernetes.default.svc"),
    text("kube_ca_file", "Certificates of the API's authority.")
        .default("/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"),
    text("kube_token_file", "The service account's token; read before each call.")
        .default("/var/run/secrets/kubernetes.io/serviceaccount/token"),
    time("kube_meta_cache_ttl", "0", "Ask for the pod again after this time; 0: once it is complete, never."),
    time(
        "kube_meta_namespace_cache_ttl",
        "15m",
        "Ask for the namespace again after this time; 0: never.",
    ),
    flag("tls.verify", "true", "Check the API's certificate and name."),
    idle("kube_tag_prefix", Kind::String),
    idle("regex_parser", Kind::String),
    idle("use_tag_for_meta", Kind::Boolean),
    idle("use_journal", Kind::Boolean),
    idle("cache_use_docker_id", Kind::Boolean),
    idle("dummy_meta", Kind::Boolean),
    idle("use_kubelet", Kind::Boolean),
    idle("kubelet_host", Kind::String),
    idle("kubelet_port", Kind::Integer),
    idle("buffer_size", Kind::Size),
    idle("dns_retries", Kind::Integer),
    idle("dns_wait_time", Kind::Time),
    idle("kube_token_command", Kind::String),
    idle("kube_token_ttl", Kind::Time),
    idle("kube_ca_path", Kind::String),
    idle("tls.debug", Kind::Integer),
    idle("tls.vhost", Kind::String),
    idle("tls.verify_hostname", Kind::Boolean),
    idle("aws_use_pod_association", Kind::Boolean),
    idle("use_pod_association", Kind::Boolean),
    idle("aws_pod_association_host", Kind::String),
    idle("aws_pod_association_endpoint", Kind::String),
    idle("aws_pod_association_port", Kind::Integer),
    idle("aws_pod_association_host_server_ca_file", Kind::String),
    idle("aws_pod_association_host_client_cert_file", Kind::String),
    idle("aws_pod_association_host_client_key_file", Kind::String),
    idle("aws_pod_association_host_tls_debug", Kind::Integer),
    idle("aws_pod_association_host_tls_verify", Kind::Boolean),
    idle("aws_pod_service_map_ttl", Kind::Integer),
    idle("aws_pod_service_map_refresh_interval", Kind::Integer),
    idle("aws_pod_service_preload_cache_dir", Kind::String),
    idle("set_platform", Kind::String),
];
