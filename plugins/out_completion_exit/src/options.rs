//! The options as declared. [`crate::config`] reads them.

use flb_sidecar_sdk::{Kind, OptionSpec};

/// Every option of `completion_exit`.
pub(crate) static OPTIONS: &[OptionSpec] = &[
    OptionSpec::new(
        "flag_file",
        Kind::CommaList,
        "Path or glob of a file whose appearance says that the Job is done.",
    )
    .repeatable(),
    OptionSpec::new(
        "flag_mode",
        Kind::String,
        "any: one of the flag files is enough. all: every path and every glob of flag_file needs \
         a file.",
    )
    .default("any"),
    OptionSpec::new(
        "flag_stale",
        Kind::String,
        "What happens to a flag file that is older than the pod: ignore, remove or honour.",
    )
    .default("ignore"),
    OptionSpec::new(
        "pod_start_file",
        Kind::String,
        "A file or folder that is made once per pod and tells its age; unset: /etc/hosts if the \
         kubelet made it, else the age is unknown and every flag is honoured.",
    ),
    OptionSpec::new(
        "sigterm",
        Kind::Boolean,
        "Take SIGTERM over: drain, then exit. off leaves it to the host, which stops reading.",
    )
    .default("on"),
    OptionSpec::new(
        "sigterm_wait",
        Kind::String,
        "How long to read on after SIGTERM before draining, unless another trigger fires: auto, or \
         a time. auto: until nobody is seen to write and nothing has come for 2 s.",
    )
    .default("auto"),
    OptionSpec::new(
        "process_pid_file",
        Kind::CommaList,
        "PID file of a process whose end says that the Job is done (shareProcessNamespace).",
    )
    .repeatable(),
    OptionSpec::new(
        "process_name",
        Kind::CommaList,
        "Name or glob of processes whose end says that the Job is done (shareProcessNamespace).",
    )
    .repeatable(),
    OptionSpec::new(
        "process_cgroup",
        Kind::CommaList,
        "Glob over /proc/PID/cgroup of processes whose end says that the Job is done; our own \
         cgroup and the pause process never count, so * means every other container.",
    )
    .repeatable(),
    OptionSpec::new(
        "process_start_timeout",
        Kind::Time,
        "A process that has not been seen for this long counts as ended; unset: wait for it.",
    ),
    OptionSpec::new(
        "process_gone_time",
        Kind::Time,
        "How long no matching process may be there until they count as ended.",
    )
    .default("1"),
    OptionSpec::new(
        "api_container",
        Kind::CommaList,
        "Name of a container of this pod; when the API says that all of them have terminated, the \
         Job is done.",
    )
    .repeatable(),
    OptionSpec::new(
        "api_interval",
        Kind::Time,
        "Time between two questions to the API, at least 1 s.",
    )
    .default("5"),
    OptionSpec::new(
        "pod_name",
        Kind::String,
        "Name of the pod, for api_container; unset: environment or HOSTNAME.",
    ),
    OptionSpec::new(
        "namespace_name",
        Kind::String,
        "Namespace of the pod, for api_container; unset: environment or kube_namespace_file.",
    ),
    OptionSpec::new(
        "pod_id",
        Kind::String,
        "UID of the pod, so that another pod of the same name does not count; unset: environment.",
    ),
    OptionSpec::new(
        "kube_namespace_file",
        Kind::String,
        "File with the namespace, as a service account mount has it.",
    )
    .default("/var/run/secrets/kubernetes.io/serviceaccount/namespace"),
    OptionSpec::new("kube_url", Kind::String, "The API.").default("https://kubernetes.default.svc"),
    OptionSpec::new(
        "kube_ca_file",
        Kind::String,
        "Certificates of the API's authority.",
    )
    .default("/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"),
    OptionSpec::new(
        "kube_token_file",
        Kind::String,
        "The service account's token; read before each call.",
    )
    .default("/var/run/secrets/kubernetes.io/serviceaccount/token"),
    OptionSpec::new(
        "tls.verify",
        Kind::Boolean,
        "Check the API's certificate and name.",
    )
    .default("true"),
    OptionSpec::new(
        "idle_time",
        Kind::Time,
        "Done when nothing came for this long, counted from the start, and nobody seen has the \
         files open for writing.",
    ),
    OptionSpec::new(
        "flush_count",
        Kind::Integer,
        "Done after this many flushes to this output (needs Match), as the output exit has it.",
    ),
    OptionSpec::new(
        "record_count",
        Kind::Integer,
        "Done after this many records to this output (needs Match), as the output exit has it.",
    ),
    OptionSpec::new(
        "time_count",
        Kind::Integer,
        "Done this many seconds after the start, records or not.",
    ),
    OptionSpec::new(
        "trigger_mode",
        Kind::String,
        "any: the first trigger starts the drain. all: every configured kind must have fired. \
         SIGTERM never waits for others.",
    )
    .default("any"),
    OptionSpec::new(
        "deadline",
        Kind::Time,
        "Time from the trigger until the host exits even if something is left; unset: 25 s after \
         SIGTERM, else 30 s.",
    ),
    OptionSpec::new(
        "quiet_time",
        Kind::Time,
        "How long inputs other than sidecar_tail must be quiet to count as drained; unset: 5 s, \
         for each emitter of a filter 1.1 s or 4.5 s.",
    ),
    OptionSpec::new(
        "exit_code",
        Kind::String,
        "Exit status: 0 to 255, or trigger for the number in the flag file or of api_container (0 \
         without one).",
    )
    .default("0"),
    OptionSpec::new(
        "loss_exit_code",
        Kind::Integer,
        "Exit status instead of exit_code when something was left behind or dropped.",
    ),
    OptionSpec::new(
        "report_file",
        Kind::String,
        "Where to write a JSON report of at most 4,096 bytes, such as /dev/termination-log.",
    ),
    OptionSpec::new(
        "ready_file",
        Kind::String,
        "File that is there while the inputs watch: made at the start, removed when draining \
         starts.",
    ),
    OptionSpec::new(
        "ready_after",
        Kind::String,
        "What ready_file waits for: watching, or first_delivery of any output.",
    )
    .default("watching"),
    OptionSpec::new(
        "healthy_file",
        Kind::String,
        "File that is there while what is due is delivered.",
    ),
    OptionSpec::new(
        "unhealthy_after",
        Kind::Time,
        "How long something may wait, and its output deliver nothing, until healthy_file goes.",
    )
    .default("60"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_has_every_option_with_its_default() {
        let table: Vec<Vec<String>> = include_str!("../README.md")
            .lines()
            .filter(|line| line.starts_with("| `"))
            .map(|line| {
                let cells = line.trim_matches('|').split(" | ");
                cells.map(|cell| cell.trim().replace('`', "")).collect()
            })
            .collect();
        let documented: Vec<(&str, &str)> = table
            .iter()
            .map(|row| (row[0].as_str(), row[2].as_str()))
            .collect();
        let declared: Vec<(&str, &str)> = OPTIONS
            .iter()
            .map(|spec| (spec.name, spec.default.unwrap_or("unset")))
            .collect();
        assert_eq!(documented, declared);
    }
}
