//! Ends the host once the Job is done: waits for a trigger, drains, exits with a status.
//!
//! - `options` declares what can be set, `config` reads it, `warnings` says what of it will cost something,
//! - `waiting` is the time before the drain: every `trigger`, `sigterm` and `silence` (`arrivals`),
//! - `signs` tells others whether it is ready and healthy,
//! - `delivery` knows what the outputs have done of late,
//! - `losses` knows what was lost of chunks that nobody follows,
//! - `drain` decides at each tick what to do next, without clock or I/O,
//! - `ending` has the report written and ends the host: `stop` sees to it that a host that stops by itself
//!   comes to an end, `guard` that the process ends, whatever the host waits for,
//! - `report` says what came of it, `files` writes that down,
//! - this file leads them, tick by tick.
#![forbid(unsafe_code)]

mod account;
mod arrivals;
mod backlog;
mod balance;
mod config;
mod delivery;
mod drain;
mod ending;
mod evictions;
mod files;
mod guard;
mod health;
mod losses;
mod options;
mod report;
mod settle;
mod signs;
mod sigterm;
mod silence;
mod stop;
#[cfg(test)]
mod tests;
mod trigger;
mod waiting;
mod warnings;
mod worker;

use std::time::{Duration, Instant};

use flb_sidecar_sdk::{ConfigError, EngineHost, InputInfo, Output, PluginInfo, Settings};

use config::{Claim, Config, Mode};
use delivery::{believed, Deliveries};
use drain::retries::Retries;
use drain::{Action, Cause, End, Facts, Machine, Phase};
use ending::Ending;
use files::Files;
use guard::{Alarm, LastReport};
use losses::Losses;
use options::OPTIONS;
use report::Report;
use signs::Signs;
use waiting::Waiting;

/// Default of `deadline` after SIGTERM: the kubelet kills 30 s after it.
const SIGTERM_DEADLINE: Duration = Duration::from_secs(25);
/// Default of `deadline` after any other trigger.
const DEADLINE: Duration = Duration::from_secs(30);
/// What the host may still wait after a deadline.
const LAST_GRACE: Duration = Duration::from_secs(1);
/// How often the outputs' counters are looked at.
const DELIVERIES_EVERY: Duration = Duration::from_secs(1);

/// The output plugin `completion_exit`.
#[derive(Debug)]
pub struct CompletionExit {
    config: Config,
    _claim: Claim,
    start: Instant,
    started: bool,
    waiting: Waiting,
    signs: Signs,
    deliveries: Deliveries,
    next_deliveries: Duration,
    losses: Losses,
    machine: Machine,
    retries: Retries,
    /// The drain, or a stop without one, has begun.
    began: Option<Duration>,
    ending: Ending,
}

impl Output for CompletionExit {
    const INFO: PluginInfo = PluginInfo {
        name: "completion_exit",
        description: "Ends Fluent Bit once the Job is done and every record is delivered",
        options: OPTIONS,
        sensitive: false,
    };
    const TICK: Duration = Duration::from_millis(20);

    fn init(settings: &Settings, host: &mut dyn EngineHost) -> Result<Self, ConfigError> {
        let config = Config::read(settings)?;
        let claim = Claim::make(&config, settings.instance(), host.engine())?;
        let sigterm = config.sigterm && host.take_over_sigterm();
        if config.sigterm && !sigterm {
            if !config.has_trigger() {
                return Err(config::no_trigger());
            }
            tracing::warn!("SIGTERM stays with the host: it will stop without a drain");
        }
        let no_thread =
            |error: std::io::Error| ConfigError::other(format!("cannot start a thread: {error}"));
        let files = if config.writes_files() {
            Some(Files::start().map_err(no_thread)?)
        } else {
            None
        };
        let scribe = files.as_ref().map(Files::scribe).unwrap_or_default();
        let start = Instant::now();
        let ending = Ending::start(&config, start, sigterm, host.process_end(), files);
        let ending = ending.map_err(no_thread)?;
        // Where every kind must have fired, one that has is not the end.
        let alarm = match config.trigger_mode {
            Mode::Any => ending.alarm(),
            Mode::All => Alarm::silent(),
        };
        let waiting = Waiting::start(&config, sigterm, alarm).map_err(no_thread)?;
        let plugin = CompletionExit {
            start,
            started: false,
            waiting,
            signs: Signs::new(&config, scribe),
            deliveries: Deliveries::default(),
            next_deliveries: Duration::ZERO,
            losses: Losses::new(host),
            machine: Machine::new(config.quiet_time),
            retries: Retries::default(),
            began: None,
            ending,
            config,
            _claim: claim,
        };
        tracing::info!("{}", config::waits_for(&plugin.config, sigterm));
        Ok(plugin)
    }

    fn tick(&mut self, host: &mut dyn EngineHost) {
        self.tick_at(self.start.elapsed(), host);
    }

    fn exit(self) {
        if self.machine.phase() == Phase::Waiting {
            self.signs.not_ready();
        }
        self.signs.not_healthy();
    }
}

impl CompletionExit {
    fn tick_at(&mut self, now: Duration, host: &mut dyn EngineHost) {
        if !self.started {
            // Now every input and output is initialised and collects.
            self.started = true;
            warnings::say(self.config.idle_time, host);
        }
        if self.machine.phase() == Phase::Ended {
            let deadline = self.machine.deadline();
            self.ending.leave_if_written(now, deadline, host);
            if self.ending.stop_is_due() {
                self.look_for_sigterm(now, host);
                self.ending.look_at_stop(now, host);
            }
            return;
        }
        self.look_for_sigterm(now, host);
        self.look_at_outputs(now, host);
        if self.machine.phase() == Phase::Waiting {
            self.signs.look_if_ready(&self.deliveries, host);
            self.waiting.look(now, &self.config, host);
            if host.is_stopping() {
                self.stop_without_drain(now, host);
            } else {
                self.begin_if_due(now);
            }
        }
        match self.machine.phase() {
            Phase::Waiting => self.keep_will(now, host),
            Phase::Draining => self.drain(now, host),
            Phase::Ended => {}
        }
    }

    /// After SIGTERM the deadline runs while reading goes on, and the host may hang in that, too.
    fn keep_will(&mut self, now: Duration, host: &dyn EngineHost) {
        if !self.waiting.is_terminated() || !self.ending.has_guard() {
            return;
        }
        if self.began.is_none() && self.ending.is_time_for_will(now) {
            let inputs = host.inputs();
            let end = End {
                cause: Cause::Deadline,
                ..End::without_drain(&facts(now, &inputs, host))
            };
            let asked = Instant::now();
            let will = self.decided(end, host);
            self.ending
                .make_will(now, asked, &will, LastReport::Missing);
        }
    }

    /// SIGTERM starts a drain, and shortens one that runs.
    fn look_for_sigterm(&mut self, now: Duration, host: &mut dyn EngineHost) {
        let Some(terminated) = self.waiting.look_for_sigterm(now, host) else {
            return;
        };
        match self.machine.phase() {
            Phase::Draining => {
                self.machine
                    .begin(now, terminated.end_at - now, Duration::ZERO);
            }
            Phase::Waiting => self.waiting.read_on(now, terminated),
            Phase::Ended => self.ending.shorten(terminated.end_at),
        }
    }

    fn look_at_outputs(&mut self, now: Duration, host: &dyn EngineHost) {
        self.losses.look(now, host);
        if now >= self.next_deliveries {
            self.next_deliveries = now + DELIVERIES_EVERY;
            let outputs = believed(host.outputs());
            self.deliveries.observe(now, &outputs);
            self.losses.tell(host);
            self.signs.look_at_health(now, &self.deliveries, host);
        }
    }

    /// Starts the drain if it is time.
    fn begin_if_due(&mut self, now: Duration) {
        let Some(deadline) = self.waiting.time_left(now, &self.config) else {
            return;
        };
        tracing::info!("draining, at most {} s", report::seconds(deadline));
        self.signs.not_ready();
        self.waiting.stop();
        self.began = Some(now);
        let asked = now.saturating_sub(self.waiting.asked_at(now));
        self.machine.begin(now, deadline, asked);
        self.ending.end_by(self.machine.deadline());
    }

    /// The host stops by itself: at a second SIGTERM, another signal, for another plugin, or for a
    /// reload.
    fn stop_without_drain(&mut self, now: Duration, host: &mut dyn EngineHost) {
        if let Some(left) = self.waiting.time_left(now, &self.config) {
            self.ending.stop_by(now + left, host);
            self.ending.look_at_stop(now, host);
        }
        if host.may_reload() {
            return;
        }
        // Which tick of a stop is the last nobody knows, so the first one reports.
        let first = self.began.is_none();
        if first {
            self.began = Some(now);
            self.signs.not_ready();
            // It may hang as well.
            let deadline = self.config.deadline.unwrap_or(SIGTERM_DEADLINE);
            self.ending.end_by(now + deadline);
        }
        if !first && !self.ending.is_time_for_will(now) {
            return;
        }
        let inputs = host.inputs();
        let end = End::without_drain(&facts(now, &inputs, host));
        let expired = End {
            cause: Cause::Deadline,
            ..end
        };
        let asked = Instant::now();
        let will = self.decided(expired, host);
        self.ending
            .make_will(now, asked, &will, LastReport::Replace);
        self.ending.report_stop(&self.report(end, host));
    }

    fn drain(&mut self, now: Duration, host: &mut dyn EngineHost) {
        let inputs = host.inputs();
        let facts = facts(now, &inputs, host);
        let actions = self.machine.step(&facts);
        for action in actions {
            match action {
                Action::RequestDrain(time) => host.request_drain(time),
                Action::Flush => host.flush(),
                Action::Exit(end) => self.leave(now, end, host),
                Action::Report(end) => {
                    let report = self.report(end, host);
                    let deadline = self.machine.deadline();
                    self.ending.stopped(deadline, &report, host);
                }
            }
        }
        if self.machine.phase() != Phase::Draining {
            return;
        }
        self.retry(now, host);
        if self.ending.has_guard() && self.ending.is_time_for_will(now) {
            let asked = Instant::now();
            let will = self.decided(self.machine.at_deadline(&facts), host);
            self.ending
                .make_will(now, asked, &will, LastReport::Missing);
        }
    }

    /// Sends what waits to be tried again.
    fn retry(&mut self, now: Duration, host: &mut dyn EngineHost) {
        if !self.retries.wants_look(now) {
            return;
        }
        let Some(tasks) = host.tasks().filter(|tasks| !tasks.is_empty()) else {
            return;
        };
        let outputs = believed(host.outputs());
        self.deliveries.observe(now, &outputs);
        let deadline = self.machine.deadline();
        let due = self.retries.due(now, deadline, &self.deliveries, &tasks);
        if !due.is_empty() {
            host.retry_now(&due);
        }
    }

    /// The drain is over.
    fn leave(&mut self, now: Duration, end: End, host: &mut dyn EngineHost) {
        // What comes from now on is in no account.
        host.request_drain(Duration::ZERO);
        self.losses.look_now(host);
        let report = self.decided(end, host);
        let status = self.status(&report);
        self.ending.leave(now, &report, status);
        let deadline = self.machine.deadline();
        self.ending.leave_if_written(now, deadline, host);
    }

    fn status(&self, report: &Report) -> i32 {
        self.config.status(report.code, report.has_loss())
    }

    /// The report of an end with a status of ours.
    fn decided(&self, end: End, host: &dyn EngineHost) -> Report {
        let report = self.report(end, host);
        let status = Some(self.status(&report));
        Report { status, ..report }
    }

    fn report(&self, mut end: End, host: &dyn EngineHost) -> Report {
        end.left.unseen |= self.waiting.writer_left();
        Report::new(
            self.waiting.fired(),
            self.waiting.code(),
            end,
            self.began.unwrap_or_default(),
            &self.losses,
            host,
        )
    }
}

fn facts<'a>(now: Duration, inputs: &'a [InputInfo], host: &dyn EngineHost) -> Facts<'a> {
    Facts {
        now,
        inputs,
        tasks: host.running_tasks(),
        storage: host.storage_chunks(),
        stopping: host.is_stopping(),
    }
}
