//! Ends the host once the Job is done: waits for a trigger, drains, exits with a status.
//!
//! - [`watch`] waits for flag files on a thread of its own,
//! - [`machine`] decides at each tick what to do next, without clock or I/O,
//! - [`source`] knows how long the host's own inputs must be quiet,
//! - this file connects them with the engine.
#![forbid(unsafe_code)]

mod flag;
mod machine;
mod source;
#[cfg(test)]
mod tests;
mod watch;

use std::time::{Duration, Instant};

use flb_sidecar_sdk::{ConfigError, EngineHost, Kind, OptionSpec, Output, PluginInfo, Settings};

use flag::Flag;
use machine::{Action, End, Facts, Machine, Phase};
use watch::{Fired, Watch};

static OPTIONS: &[OptionSpec] = &[
    OptionSpec::new(
        "flag_file",
        Kind::CommaList,
        "Path of a file whose appearance says that the Job is done. May be repeated.",
    )
    .repeatable(),
    OptionSpec::new(
        "deadline",
        Kind::Time,
        "Time from the trigger until the host exits even if something is left.",
    )
    .default("30"),
    OptionSpec::new(
        "quiet_time",
        Kind::Time,
        "How long inputs other than sidecar_tail must be quiet to count as drained; unset: 5 s, \
         for emitters of filters 1.1 s to 4.5 s.",
    ),
];

/// The output plugin `completion_exit`.
#[derive(Debug)]
pub struct CompletionExit {
    start: Instant,
    watch: Option<Watch>,
    machine: Machine,
    deadline: Duration,
    trigger: Option<Fired>,
}

impl Output for CompletionExit {
    const INFO: PluginInfo = PluginInfo {
        name: "completion_exit",
        description: "Ends Fluent Bit once the Job is done and every record is delivered",
        options: OPTIONS,
        sensitive: false,
    };
    const TICK: Duration = Duration::from_millis(20);

    fn init(settings: &Settings, _host: &mut dyn EngineHost) -> Result<Self, ConfigError> {
        let flags: Vec<Flag> = settings
            .list("flag_file")
            .into_iter()
            .map(Flag::new)
            .collect();
        if flags.is_empty() {
            return Err(ConfigError::missing(
                "flag_file",
                "the path of a file whose appearance says that the Job is done",
            ));
        }
        let deadline = settings.time("deadline").unwrap_or(Duration::from_secs(30));
        let watch = Watch::start(flags)
            .map_err(|error| ConfigError::other(format!("cannot wait for flag files: {error}")))?;
        Ok(CompletionExit {
            start: Instant::now(),
            watch: Some(watch),
            machine: Machine::new(settings.time("quiet_time")),
            deadline,
            trigger: None,
        })
    }

    fn tick(&mut self, host: &mut dyn EngineHost) {
        self.tick_at(self.start.elapsed(), host);
    }

    fn exit(self) {}
}

impl CompletionExit {
    fn tick_at(&mut self, now: Duration, host: &mut dyn EngineHost) {
        if self.machine.phase() == Phase::Waiting {
            let Some(fired) = self.watch.as_ref().and_then(Watch::fired) else {
                return;
            };
            tracing::info!(
                "{fired}: draining, at most {} s",
                self.deadline.as_secs_f64()
            );
            self.trigger = Some(fired);
            self.machine.begin(now, self.deadline);
        }
        if self.machine.phase() != Phase::Draining {
            return;
        }
        let inputs = host.inputs();
        let actions = self.machine.step(&Facts {
            now,
            inputs: &inputs,
            tasks: host.running_tasks(),
            storage: host.storage_chunks(),
            stopping: host.is_stopping(),
        });
        for action in actions {
            match action {
                Action::RequestDrain(time) => host.request_drain(time),
                Action::Flush => host.flush(),
                Action::Exit(end) => {
                    self.summarise(&end, host);
                    host.exit(0);
                }
            }
        }
    }

    fn summarise(&self, end: &End, host: &dyn EngineHost) {
        let (mut files, mut bytes, mut records) = (0u64, 0u64, 0u64);
        for drain in host
            .inputs()
            .iter()
            .filter_map(|input| input.drain.as_ref())
        {
            files += drain.files;
            bytes += drain.read_bytes;
            records += drain.records;
        }
        let trigger = self
            .trigger
            .as_ref()
            .map_or("", |fired| fired.reason.as_str());
        let took = end.took.as_millis();
        let left = end.left;
        if left.is_nothing() {
            tracing::info!(
                "drained in {took} ms ({trigger}): {files} files, {bytes} bytes and {records} \
                 records read, nothing left; exit status 0"
            );
        } else {
            tracing::warn!(
                "{} after {took} ms ({trigger}): {files} files, {bytes} bytes and {records} \
                 records read; left: {} inputs not read out, {} bytes unread, {} chunks and {} \
                 tasks undelivered; exit status 0",
                if end.expired { "deadline" } else { "done" },
                left.inputs,
                left.unread_bytes,
                left.chunks,
                left.tasks
            );
        }
    }
}
