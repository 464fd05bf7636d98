//! The options, as declared and as read.

use std::path::PathBuf;
use std::time::Duration;

use flb_sidecar_sdk::{ConfigError, Kind, OptionSpec, Settings};
use glob::Pattern;
use kube_client::ClientOptions;

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
        Kind::Time,
        "How long to read on after SIGTERM before draining, unless another trigger fires: for \
         containers that get SIGTERM together with the main one.",
    )
    .default("0"),
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
         for emitters of filters 1.1 s or 4.5 s.",
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
];

/// Limit of a call of the API.
const API_TIMEOUT: Duration = Duration::from_secs(10);

/// Whether one is enough or all are needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Any,
    All,
}

/// What happens to a flag file that is older than the pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stale {
    Ignore,
    Remove,
    Honour,
}

/// The exit status of a drain that lost nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitCode {
    Fixed(u8),
    Trigger,
}

/// Flag files.
#[derive(Clone, Debug)]
pub(crate) struct FlagConfig {
    /// Paths and globs.
    pub(crate) patterns: Vec<String>,
    pub(crate) mode: Mode,
    pub(crate) stale: Stale,
    pub(crate) pod_start_file: Option<PathBuf>,
    /// The content matters, so an empty flag gets a moment to be written.
    pub(crate) wants_code: bool,
}

/// Processes to watch.
#[derive(Clone, Debug)]
pub(crate) struct ProcessConfig {
    pub(crate) pid_files: Vec<PathBuf>,
    pub(crate) names: Vec<Pattern>,
    pub(crate) cgroups: Vec<Pattern>,
    pub(crate) start_timeout: Option<Duration>,
    pub(crate) gone_time: Duration,
}

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

/// The counters of the stock output `exit`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) flushes: Option<u64>,
    pub(crate) records: Option<u64>,
    pub(crate) time: Option<Duration>,
}

/// The whole configuration of an instance.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) flags: Option<FlagConfig>,
    pub(crate) processes: Option<ProcessConfig>,
    pub(crate) pod: Option<PodConfig>,
    pub(crate) idle_time: Option<Duration>,
    pub(crate) limits: Limits,
    pub(crate) sigterm: bool,
    pub(crate) sigterm_wait: Duration,
    pub(crate) trigger_mode: Mode,
    pub(crate) deadline: Option<Duration>,
    pub(crate) quiet_time: Option<Duration>,
    pub(crate) exit_code: ExitCode,
    pub(crate) loss_exit_code: Option<u8>,
    pub(crate) report_file: Option<PathBuf>,
    pub(crate) ready_file: Option<PathBuf>,
}

impl Config {
    /// Reads `settings`.
    ///
    /// # Errors
    /// A value that its option does not take, or no trigger at all.
    pub(crate) fn read(settings: &Settings) -> Result<Self, ConfigError> {
        let exit_code = exit_code(settings)?;
        let config = Config {
            flags: flags(settings, exit_code)?,
            processes: processes(settings)?,
            pod: pod(settings)?,
            idle_time: above_zero(settings, "idle_time")?,
            limits: Limits {
                flushes: count(settings, "flush_count")?,
                records: count(settings, "record_count")?,
                time: count(settings, "time_count")?.map(Duration::from_secs),
            },
            sigterm: settings.boolean("sigterm"),
            sigterm_wait: settings.time("sigterm_wait").unwrap_or_default(),
            trigger_mode: mode(settings, "trigger_mode")?,
            deadline: settings.time("deadline"),
            quiet_time: settings.time("quiet_time"),
            exit_code,
            loss_exit_code: match settings.string("loss_exit_code") {
                Some(value) => Some(status(value).ok_or_else(|| {
                    ConfigError::value("loss_exit_code", value, "a whole number from 0 to 255")
                })?),
                None => None,
            },
            report_file: path(settings, "report_file"),
            ready_file: path(settings, "ready_file"),
        };
        if !config.sigterm && !config.has_trigger() {
            return Err(no_trigger());
        }
        Ok(config)
    }

    /// Something besides SIGTERM can end the host.
    pub(crate) fn has_trigger(&self) -> bool {
        self.flags.is_some()
            || self.processes.is_some()
            || self.pod.is_some()
            || self.idle_time.is_some()
            || self.limits != Limits::default()
    }
}

/// Nothing would ever end the host.
pub(crate) fn no_trigger() -> ConfigError {
    ConfigError::other(
        "no trigger: set at least one of flag_file, process_pid_file, process_name, \
         process_cgroup, api_container, idle_time, flush_count, record_count, time_count, or \
         sigterm on where the host allows it",
    )
}

fn flags(settings: &Settings, code: ExitCode) -> Result<Option<FlagConfig>, ConfigError> {
    let mode = mode(settings, "flag_mode")?;
    let stale = match word(settings, "flag_stale").as_str() {
        "ignore" => Stale::Ignore,
        "remove" => Stale::Remove,
        "honour" | "honor" => Stale::Honour,
        other => {
            let allowed = "ignore, remove or honour";
            return Err(ConfigError::value("flag_stale", other, allowed));
        }
    };
    let patterns: Vec<String> = settings
        .list("flag_file")
        .into_iter()
        .map(str::to_owned)
        .collect();
    for pattern in &patterns {
        parse_pattern("flag_file", pattern)?;
    }
    if patterns.is_empty() {
        return Ok(None);
    }
    Ok(Some(FlagConfig {
        patterns,
        mode,
        stale,
        pod_start_file: path(settings, "pod_start_file"),
        wants_code: code == ExitCode::Trigger,
    }))
}

fn processes(settings: &Settings) -> Result<Option<ProcessConfig>, ConfigError> {
    let patterns = |option: &str| -> Result<Vec<Pattern>, ConfigError> {
        settings
            .list(option)
            .into_iter()
            .map(|value| parse_pattern(option, value))
            .collect()
    };
    let config = ProcessConfig {
        pid_files: settings
            .list("process_pid_file")
            .into_iter()
            .map(PathBuf::from)
            .collect(),
        names: patterns("process_name")?,
        cgroups: patterns("process_cgroup")?,
        start_timeout: settings.time("process_start_timeout"),
        gone_time: settings.time("process_gone_time").unwrap_or_default(),
    };
    let none = config.pid_files.is_empty() && config.names.is_empty() && config.cgroups.is_empty();
    Ok((!none).then_some(config))
}

/// The first of these variables that is set.
fn variable(names: &[&str]) -> Option<String> {
    let value = |name: &&str| std::env::var(name).ok().filter(|value| !value.is_empty());
    names.iter().find_map(value)
}

fn pod(settings: &Settings) -> Result<Option<PodConfig>, ConfigError> {
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

fn parse_pattern(option: &str, value: &str) -> Result<Pattern, ConfigError> {
    Pattern::new(value)
        .map_err(|error| ConfigError::value(option, value, format!("a glob ({error})")))
}

fn exit_code(settings: &Settings) -> Result<ExitCode, ConfigError> {
    let value = word(settings, "exit_code");
    if value == "trigger" {
        return Ok(ExitCode::Trigger);
    }
    status(&value).map(ExitCode::Fixed).ok_or_else(|| {
        ConfigError::value(
            "exit_code",
            &value,
            "a whole number from 0 to 255, or trigger",
        )
    })
}

/// An exit status as text.
pub(crate) fn status(text: &str) -> Option<u8> {
    text.trim().parse().ok()
}

fn mode(settings: &Settings, option: &str) -> Result<Mode, ConfigError> {
    match word(settings, option).as_str() {
        "any" => Ok(Mode::Any),
        "all" => Ok(Mode::All),
        other => Err(ConfigError::value(option, other, "any or all")),
    }
}

/// -1 means unset, as the stock output has it.
fn count(settings: &Settings, option: &str) -> Result<Option<u64>, ConfigError> {
    match settings.integer(option) {
        None | Some(-1) => Ok(None),
        Some(n) if n > 0 => Ok(Some(n.unsigned_abs())),
        Some(n) => Err(ConfigError::value(
            option,
            &n.to_string(),
            "a whole number above 0, or -1 for unset",
        )),
    }
}

fn above_zero(settings: &Settings, option: &str) -> Result<Option<Duration>, ConfigError> {
    match settings.time(option) {
        Some(Duration::ZERO) => Err(ConfigError::value(option, "0", "a time above 0")),
        other => Ok(other),
    }
}

fn path(settings: &Settings, option: &str) -> Option<PathBuf> {
    settings
        .string(option)
        .map(str::trim)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

fn word(settings: &Settings, option: &str) -> String {
    settings
        .string(option)
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(entries: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::read(&Settings::new(
            "completion_exit.0",
            OPTIONS,
            entries.iter().copied(),
        )?)
    }

    #[test]
    fn sigterm_alone_is_a_configuration_and_nothing_is_none() {
        let config = read(&[]).unwrap();
        assert!(config.sigterm && !config.has_trigger());
        let error = read(&[("sigterm", "off")]).unwrap_err().to_string();
        assert!(error.contains("flag_file"), "{error}");
        assert!(read(&[("sigterm", "off"), ("time_count", "5")]).is_ok());
    }

    #[test]
    fn bad_values_are_named() {
        for (option, value) in [
            ("flag_mode", "some"),
            ("flag_stale", "old"),
            ("trigger_mode", "both"),
            ("exit_code", "256"),
            ("exit_code", "flag"),
            ("loss_exit_code", "-1"),
            ("flush_count", "0"),
            ("record_count", "-2"),
            ("idle_time", "0"),
            ("api_interval", "0"),
            ("kube_url", "kubernetes"),
            ("flag_file", "a[b"),
            ("process_name", "***"),
        ] {
            let error = read(&[(option, value)]).unwrap_err().to_string();
            assert!(error.contains(&format!("'{option}'")), "{error}");
            assert!(error.contains(&format!("'{value}'")), "{error}");
            assert!(error.contains("allowed: "), "{error}");
        }
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
