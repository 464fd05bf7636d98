//! The options as read.

mod own_files;
mod pod;
mod told;

use std::path::PathBuf;
use std::time::Duration;

use flb_sidecar_sdk::{ConfigError, Settings};
use glob::Pattern;

pub(crate) use own_files::Claim;
pub(crate) use pod::PodConfig;
pub(crate) use told::waits_for;

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

/// What the ready file waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadyAfter {
    Watching,
    FirstDelivery,
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
    /// `None`: as long as somebody writes.
    pub(crate) sigterm_wait: Option<Duration>,
    pub(crate) trigger_mode: Mode,
    pub(crate) deadline: Option<Duration>,
    pub(crate) quiet_time: Option<Duration>,
    pub(crate) exit_code: ExitCode,
    pub(crate) loss_exit_code: Option<u8>,
    pub(crate) report_file: Option<PathBuf>,
    pub(crate) ready_file: Option<PathBuf>,
    pub(crate) ready_after: ReadyAfter,
    pub(crate) healthy_file: Option<PathBuf>,
    pub(crate) unhealthy_after: Duration,
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
            pod: pod::read(settings)?,
            idle_time: above_zero(settings, "idle_time")?,
            limits: Limits {
                flushes: count(settings, "flush_count")?,
                records: count(settings, "record_count")?,
                time: count(settings, "time_count")?.map(Duration::from_secs),
            },
            sigterm: settings.boolean("sigterm"),
            sigterm_wait: sigterm_wait(settings)?,
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
            ready_after: match word(settings, "ready_after").as_str() {
                "watching" => ReadyAfter::Watching,
                "first_delivery" => ReadyAfter::FirstDelivery,
                other => {
                    let allowed = "watching or first_delivery";
                    return Err(ConfigError::value("ready_after", other, allowed));
                }
            },
            healthy_file: path(settings, "healthy_file"),
            unhealthy_after: above_zero(settings, "unhealthy_after")?.unwrap_or_default(),
        };
        if !config.sigterm && !config.has_trigger() {
            return Err(no_trigger());
        }
        own_files::check(&config)?;
        Ok(config)
    }

    /// The exit status of a drain, from the number that came with the trigger.
    pub(crate) fn status(&self, code: Option<u8>, loss: bool) -> i32 {
        i32::from(match (self.loss_exit_code, self.exit_code) {
            (Some(status), _) if loss => status,
            (_, ExitCode::Fixed(status)) => status,
            (_, ExitCode::Trigger) => code.unwrap_or(0),
        })
    }

    /// Files are to be written.
    pub(crate) fn writes_files(&self) -> bool {
        own_files::all(self).next().is_some()
    }

    /// The files that say that all is well, by their options.
    pub(crate) fn signs(&self) -> Vec<(&'static str, PathBuf)> {
        own_files::all(self)
            .filter(|(option, _)| *option != "report_file")
            .map(|(option, path)| (option, path.to_owned()))
            .collect()
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

/// Manifests of native sidecars set it. The kubelet tells those to end when every main container has
/// ended, and kills them 2 s later if these have used up the grace period: there is nobody to wait for.
const NATIVE: &str = "FLB_SIDECAR_NATIVE";

fn sigterm_wait(settings: &Settings) -> Result<Option<Duration>, ConfigError> {
    if word(settings, "sigterm_wait") == "auto" {
        let native = std::env::var(NATIVE).is_ok_and(|value| value == "1");
        return Ok(native.then_some(Duration::ZERO));
    }
    let time = settings.time("sigterm_wait").ok_or_else(|| {
        let value = settings.string("sigterm_wait").unwrap_or_default();
        ConfigError::value("sigterm_wait", value, "auto, or seconds such as 15 or 15s")
    })?;
    Ok(Some(time))
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
    use crate::options::OPTIONS;

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
            ("sigterm_wait", "later"),
            ("ready_after", "start"),
            ("unhealthy_after", "0"),
            ("api_interval", "0"),
            ("kube_url", "kubernetes"),
            ("flag_file", "a[b"),
            ("flag_file", "/logs/"),
            ("flag_file", "/logs/*/"),
            ("flag_file", "/"),
            ("flag_file", "/logs/.."),
            ("ready_file", "/logs/"),
            ("report_file", "/logs/."),
            ("healthy_file", ".."),
            ("process_name", "***"),
        ] {
            let error = read(&[(option, value)]).unwrap_err().to_string();
            assert!(error.contains(&format!("'{option}'")), "{error}");
            assert!(error.contains(&format!("'{value}'")), "{error}");
            assert!(error.contains("allowed: "), "{error}");
        }
    }

    #[test]
    fn no_file_of_ours_is_another_one_or_a_flag() {
        for (options, named) in [
            (
                [("report_file", "/a/b"), ("ready_file", "/a//b")],
                "ready_file",
            ),
            (
                [("ready_file", "/a/b"), ("healthy_file", "/a/b")],
                "healthy_file",
            ),
            (
                [("flag_file", "/x,/a/b"), ("ready_file", "/a/b")],
                "ready_file",
            ),
            (
                [("flag_file", "/a/*"), ("report_file", "/a/b")],
                "report_file",
            ),
        ] {
            let error = read(&options).unwrap_err().to_string();
            assert!(error.contains(&format!("'{named}'")), "{error}");
            assert!(error.contains("allowed: a path "), "{error}");
        }
        for options in [
            [("flag_file", "/a/*"), ("report_file", "/a/b/c")],
            [("flag_file", "/a/flag"), ("ready_file", "/a/flag2")],
            [("report_file", "/a/b"), ("ready_file", "/a/c")],
        ] {
            assert!(read(&options).is_ok(), "{options:?}");
        }
    }
}
