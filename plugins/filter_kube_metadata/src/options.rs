//! The options.

use flb_sidecar_sdk::{Kind, OptionSpec};

/// Every option, in the order of the README's table.
pub(crate) static OPTIONS: &[OptionSpec] = &[
    OptionSpec::new(
        "pod_name",
        Kind::String,
        "Name of the pod; unset: environment or HOSTNAME.",
    ),
    OptionSpec::new(
        "namespace_name",
        Kind::String,
        "Namespace of the pod; unset: environment or kube_namespace_file.",
    ),
    OptionSpec::new(
        "pod_id",
        Kind::String,
        "UID of the pod; unset: environment or mountinfo.",
    ),
    OptionSpec::new(
        "pod_ip",
        Kind::String,
        "IP address of the pod; unset: environment.",
    ),
    OptionSpec::new(
        "host",
        Kind::String,
        "Name of the node; unset: environment.",
    ),
    OptionSpec::new(
        "host_ip",
        Kind::String,
        "IP address of the node; unset: environment.",
    ),
    OptionSpec::new(
        "service_account",
        Kind::String,
        "Service account; unset: environment.",
    ),
    OptionSpec::new(
        "container_name",
        Kind::String,
        "Name of the container that writes the logs.",
    ),
    OptionSpec::new(
        "podinfo_path",
        Kind::String,
        "Folder of a Downward API volume with the files labels and annotations.",
    )
    .default("/etc/podinfo"),
    OptionSpec::new(
        "labels_file",
        Kind::String,
        "Downward API file with the labels; unset: labels in podinfo_path.",
    ),
    OptionSpec::new(
        "annotations_file",
        Kind::String,
        "Downward API file with the annotations; unset: annotations in podinfo_path.",
    ),
    OptionSpec::new(
        "kube_namespace_file",
        Kind::String,
        "File with the namespace, as a service account mount has it.",
    )
    .default("/var/run/secrets/kubernetes.io/serviceaccount/namespace"),
    OptionSpec::new("labels", Kind::Boolean, "Add the labels of the pod.").default("true"),
    OptionSpec::new(
        "annotations",
        Kind::Boolean,
        "Add the annotations of the pod.",
    )
    .default("true"),
];
