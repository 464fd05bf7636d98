//! What an instance waits for, in words: a trigger that nobody sets is a Job that never ends.

use super::{Config, Mode};

/// One line for the start. `sigterm`: the signal is ours.
pub(crate) fn waits_for(config: &Config, sigterm: bool) -> String {
    let mut all: Vec<String> = Vec::new();
    if let Some(flags) = &config.flags {
        let glue = match flags.mode {
            Mode::Any => " or ",
            Mode::All => " and ",
        };
        all.push(format!("flag file {}", flags.patterns.join(glue)));
    }
    if let Some(processes) = &config.processes {
        let pids = processes
            .pid_files
            .iter()
            .map(|path| path.display().to_string());
        let patterns = processes.names.iter().chain(&processes.cgroups);
        let names: Vec<String> = pids.chain(patterns.map(ToString::to_string)).collect();
        all.push(format!("the end of processes {}", names.join(", ")));
    }
    if let Some(pod) = &config.pod {
        let names = pod.containers.join(", ");
        all.push(format!("the end of container {names} in the API"));
    }
    if let Some(time) = config.idle_time {
        all.push(format!("silence of {} s", time.as_secs_f64()));
    }
    let limits = config.limits;
    all.extend(limits.flushes.map(|count| format!("{count} flushes")));
    all.extend(limits.records.map(|count| format!("{count} records")));
    all.extend(limits.time.map(|time| format!("{} s", time.as_secs_f64())));
    let glue = match config.trigger_mode {
        Mode::Any => "; or ",
        Mode::All => "; and ",
    };
    let all = all.join(glue);
    match (all.is_empty(), sigterm) {
        (true, _) => "waits for SIGTERM alone: no other trigger is set".to_owned(),
        (false, true) => format!("waits for {all}; or SIGTERM"),
        (false, false) => format!("waits for {all}"),
    }
}

#[cfg(test)]
mod tests {
    use flb_sidecar_sdk::Settings;

    use super::*;
    use crate::options::OPTIONS;

    fn told(entries: &[(&str, &str)]) -> String {
        let settings = Settings::new("completion_exit.0", OPTIONS, entries.iter().copied());
        let config = Config::read(&settings.expect("they are options")).expect("they fit");
        waits_for(&config, config.sigterm)
    }

    #[test]
    fn every_trigger_is_named_and_none_as_well() {
        assert_eq!(
            told(&[]),
            "waits for SIGTERM alone: no other trigger is set"
        );
        assert_eq!(
            told(&[("flag_file", "/logs/a,/logs/b"), ("idle_time", "90")]),
            "waits for flag file /logs/a or /logs/b; or silence of 90 s; or SIGTERM"
        );
        assert_eq!(
            told(&[
                ("flag_file", "/logs/a,/logs/b"),
                ("flag_mode", "all"),
                ("process_name", "java"),
                ("trigger_mode", "all"),
                ("sigterm", "off"),
            ]),
            "waits for flag file /logs/a and /logs/b; and the end of processes java"
        );
        assert_eq!(
            told(&[("record_count", "7"), ("time_count", "60")]),
            "waits for 7 records; or 60 s; or SIGTERM"
        );
    }
}
