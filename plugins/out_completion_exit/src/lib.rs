//! Ends the host once the Job is done: waits for a trigger, drains, exits with a status.
//!
//! - `options` declares what can be set, `config` reads it,
//! - `trigger` knows what may start the drain and whether enough of that has happened,
//! - `delivery` knows what the outputs have done of late,
//! - `losses` knows what was lost of chunks that nobody follows,
//! - `drain` decides at each tick what to do next, without clock or I/O,
//! - `stop` sees to it that a host that stops by itself comes to an end,
//! - `guard` sees to it that the process ends, whatever the host waits for,
//! - `report` says what came of it, `files` writes that down,
//! - this file connects them with the engine.
#![forbid(unsafe_code)]

mod account;
mod backlog;
mod config;
mod delivery;
mod drain;
mod evictions;
mod files;
mod guard;
mod health;
mod losses;
mod options;
mod report;
mod settle;
mod stop;
#[cfg(test)]
mod tests;
mod trigger;
mod worker;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use flb_sidecar_sdk::{
    ConfigError, EngineHost, InputInfo, Output, OutputInfo, PluginInfo, RetryLimit, Settings,
};

use config::{Config, Mode, ReadyAfter};
use delivery::{believed, Deliveries};
use drain::retries::Retries;
use drain::{Action, Cause, End, Facts, Machine, Phase};
use files::Files;
use guard::{Alarm, Guard, LastReport, Setup, Will};
use health::Health;
use losses::Losses;
use options::OPTIONS;
use report::Report;
use settle::Arrivals;
use stop::Stop;
use trigger::idle::Idle;
use trigger::pod_status::PodStatus;
use trigger::watch::Watch;
use trigger::writers::Writers;
use trigger::{Fired, Trigger, Triggers};

/// Default of `deadline` after SIGTERM: the kubelet kills 30 s after it.
const SIGTERM_DEADLINE: Duration = Duration::from_secs(25);
/// Default of `deadline` after any other trigger.
const DEADLINE: Duration = Duration::from_secs(30);
/// How long the exit waits for the report.
const REPORT_WAIT: Duration = Duration::from_millis(250);
/// What the host may still wait after a deadline.
const LAST_GRACE: Duration = Duration::from_secs(1);
/// How often what is to be reported is kept ready, should the engine hang.
const WILL_EVERY: Duration = Duration::from_millis(500);
/// How often the outputs' counters are looked at.
const DELIVERIES_EVERY: Duration = Duration::from_secs(1);
/// How often it is looked whether something has come.
const ARRIVALS_EVERY: Duration = Duration::from_millis(100);
/// How often silence is measured.
const IDLE_EVERY: Duration = Duration::from_millis(250);
/// How often a writer that was found is looked for again.
const WRITERS_EVERY: Duration = Duration::from_secs(1);

/// Outputs that cannot fail for long.
const LOCAL_OUTPUTS: &[&str] = &[
    "completion_exit",
    "counter",
    "exit",
    "file",
    "flowcounter",
    "null",
    "stdout",
];

/// SIGTERM has come.
#[derive(Clone, Copy, Debug)]
struct Terminated {
    at: Duration,
    /// The drain starts then if no other trigger started it before.
    drain_at: Duration,
    /// The host exits then whatever is left.
    end_at: Duration,
}

/// The drain is over; the report is being written.
#[derive(Clone, Copy, Debug)]
struct Leaving {
    status: i32,
    expired: bool,
    at_latest: Duration,
    /// The host's own stop is awaited, and that was said.
    told: bool,
}

/// The output plugin `completion_exit`.
#[derive(Debug)]
pub struct CompletionExit {
    config: Config,
    start: Instant,
    started: bool,
    /// The ready file is asked for.
    ready: bool,
    /// SIGTERM is ours.
    sigterm: bool,
    terminated: Option<Terminated>,
    leaving: Option<Leaving>,
    /// The host stops by itself.
    stop: Stop,
    /// It does so without a trigger of ours.
    stopping: bool,
    /// What was last reported of that.
    stop_reported: Option<String>,
    triggers: Triggers,
    machine: Machine,
    began: Duration,
    idle: Idle,
    next_idle: Duration,
    /// When writers may be looked for again; `None`: an answer is awaited.
    next_writers: Option<Duration>,
    writer_logged: bool,
    watch: Option<Watch>,
    pod_status: Option<PodStatus>,
    files: Option<Files>,
    guard: Option<Guard>,
    next_will: Duration,
    deliveries: Deliveries,
    next_deliveries: Duration,
    retries: Retries,
    losses: Losses,
    health: Health,
    /// What the healthy file says, once it was asked for.
    healthy: Option<bool>,
    arrivals: Arrivals,
    next_arrivals: Duration,
    /// Somebody was seen to write after SIGTERM.
    writer_seen: bool,
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
        let sigterm = config.sigterm && host.take_over_sigterm();
        if config.sigterm && !sigterm {
            if !config.has_trigger() {
                return Err(config::no_trigger());
            }
            tracing::warn!("SIGTERM stays with the host: it will stop without a drain");
        }
        let no_thread =
            |error: std::io::Error| ConfigError::other(format!("cannot start a thread: {error}"));
        let own = [
            &config.report_file,
            &config.ready_file,
            &config.healthy_file,
        ];
        let files = if own.iter().any(|file| file.is_some()) {
            Some(Files::start().map_err(no_thread)?)
        } else {
            None
        };
        let start = Instant::now();
        let guard = match host.process_end() {
            Some(end) => {
                let setup = guard_setup(&config, start, sigterm, files.as_ref());
                Some(Guard::start(setup, end).map_err(no_thread)?)
            }
            None => None,
        };
        // Where every kind must have fired, one that has is not the end.
        let alarm = match (&guard, config.trigger_mode) {
            (Some(guard), Mode::Any) => guard.alarm(),
            _ => Alarm::silent(),
        };
        let watched = config.flags.is_some() || config.processes.is_some();
        let settles = sigterm && config.sigterm_wait.is_none();
        let watch = if watched || config.idle_time.is_some() || settles {
            let (flags, processes) = (config.flags.clone(), config.processes.clone());
            Some(Watch::start(flags, processes, alarm.clone()).map_err(no_thread)?)
        } else {
            None
        };
        let pod_status = match config.pod.clone() {
            Some(pod) => Some(PodStatus::start(pod, alarm).map_err(no_thread)?),
            None => None,
        };
        let plugin = CompletionExit {
            triggers: Triggers::new(&config),
            machine: Machine::new(config.quiet_time),
            config,
            start,
            started: false,
            ready: false,
            sigterm,
            terminated: None,
            leaving: None,
            stop: Stop::default(),
            stopping: false,
            stop_reported: None,
            began: Duration::ZERO,
            idle: Idle::default(),
            next_idle: Duration::ZERO,
            next_writers: Some(Duration::ZERO),
            writer_logged: false,
            watch,
            pod_status,
            files,
            guard,
            next_will: Duration::ZERO,
            deliveries: Deliveries::default(),
            next_deliveries: Duration::ZERO,
            retries: Retries::default(),
            losses: Losses::new(host),
            health: Health::default(),
            healthy: None,
            arrivals: Arrivals::default(),
            next_arrivals: Duration::ZERO,
            writer_seen: false,
        };
        // A run that was killed may have left it behind.
        plugin.not_ready();
        tracing::info!("{}", config::waits_for(&plugin.config, sigterm));
        plugin.not_healthy();
        Ok(plugin)
    }

    fn tick(&mut self, host: &mut dyn EngineHost) {
        self.tick_at(self.start.elapsed(), host);
    }

    fn exit(self) {
        if self.machine.phase() == Phase::Waiting {
            self.not_ready();
        }
        self.not_healthy();
    }
}

impl CompletionExit {
    fn tick_at(&mut self, now: Duration, host: &mut dyn EngineHost) {
        if !self.started {
            self.started = true;
            self.first_tick(host);
        }
        if self.machine.phase() == Phase::Ended {
            self.leave_if_written(now, host);
            if self.stop.is_due() {
                self.look_for_sigterm(now, host);
                self.stop.look(now, host);
            }
            return;
        }
        self.look_for_sigterm(now, host);
        self.look_at_outputs(now, host);
        if self.machine.phase() == Phase::Waiting {
            self.look_if_ready(host);
            self.look_for_news(now);
            self.look_at_counters(now, host);
            self.look_at_silence(now, host);
            self.settle(now, host);
            if host.is_stopping() {
                self.stop_without_drain(now, host);
            } else {
                self.begin_if_due(now);
            }
        }
        if self.machine.phase() == Phase::Draining {
            self.drain(now, host);
        }
    }

    /// The first tick comes when every input and output is initialised and collects.
    fn first_tick(&self, host: &mut dyn EngineHost) {
        let outputs = host.outputs();
        for output in &outputs {
            if let Some(warning) = retry_warning(output) {
                tracing::warn!("{warning}");
            }
        }
        if !report::tells_drops(&outputs) {
            tracing::warn!(
                "this host does not tell what its outputs drop: no drain will be called complete, \
                 and loss_exit_code does not see dropped records"
            );
        }
        if host.tasks().is_none() || host.retry_now(&[]).is_none() {
            tracing::warn!(
                "this host does not let a drain send what waits for its retry: set scheduler.base 1 \
                 and scheduler.cap 5 in its service section, so that nothing waits for long"
            );
        }
        if let Some(time) = self.config.idle_time {
            tracing::info!(
                "idle_time {} s: relies on the counters of sidecar_tail, on chunks of other \
                 inputs, and on open files of other processes in /proc as far as they are visible",
                time.as_secs_f64()
            );
        }
    }

    /// Every input watches: those of the host from the first tick on, others once they say so.
    fn look_if_ready(&mut self, host: &dyn EngineHost) {
        let early = self.config.ready_after == ReadyAfter::FirstDelivery
            && self.deliveries.successes() == 0;
        if self.ready || early {
            return;
        }
        let (Some(files), Some(path)) = (&self.files, &self.config.ready_file) else {
            return;
        };
        let inputs = host.inputs();
        if !inputs
            .iter()
            .any(|input| input.drain.is_some_and(|d| d.starting))
        {
            self.ready = true;
            files.write("ready_file", path, b"ready\n".to_vec());
        }
    }

    fn not_ready(&self) {
        if let (Some(files), Some(path)) = (&self.files, &self.config.ready_file) {
            files.remove("ready_file", path);
        }
    }

    fn not_healthy(&self) {
        if let (Some(files), Some(path)) = (&self.files, &self.config.healthy_file) {
            files.remove("healthy_file", path);
        }
    }

    fn fire(&mut self, fired: Fired) {
        let line = fired.to_string();
        if self.triggers.fire(fired) {
            tracing::info!("{line}");
        }
    }

    /// SIGTERM starts a drain, and shortens one that runs.
    fn look_for_sigterm(&mut self, now: Duration, host: &mut dyn EngineHost) {
        if !self.sigterm || self.terminated.is_some() {
            return;
        }
        let Some(ago) = host.terminate_requested() else {
            return;
        };
        let deadline = self.config.deadline.unwrap_or(SIGTERM_DEADLINE);
        let wait = self.config.sigterm_wait;
        let wait = wait.unwrap_or_else(|| settle::at_latest(deadline));
        let terminated = Terminated {
            at: now.saturating_sub(ago),
            drain_at: now + wait.saturating_sub(ago),
            end_at: now + deadline.saturating_sub(ago),
        };
        self.terminated = Some(terminated);
        self.fire(Fired::new(Trigger::Sigterm, "received"));
        match self.machine.phase() {
            Phase::Draining => {
                self.machine
                    .begin(now, terminated.end_at - now, Duration::ZERO);
            }
            Phase::Waiting if terminated.drain_at > now => {
                let most = report::seconds(terminated.drain_at - now);
                tracing::info!("reading on for up to {most} s");
                // Whoever was found before may have ended.
                self.next_writers = Some(now);
            }
            Phase::Waiting => {}
            Phase::Ended => {
                self.stop.end_by(terminated.end_at);
                self.guard_end_by(terminated.end_at);
            }
        }
    }

    /// Time until the deadline; `None`: nothing asks for an end.
    fn time_left(&self, now: Duration) -> Option<Duration> {
        let mut deadline = None;
        if self.triggers.complete() {
            deadline = Some(self.config.deadline.unwrap_or(DEADLINE));
        }
        if let Some(terminated) = self.terminated {
            if deadline.is_some() || now >= terminated.drain_at {
                let left = terminated.end_at.saturating_sub(now);
                deadline = Some(deadline.map_or(left, |deadline| deadline.min(left)));
            }
        }
        deadline
    }

    /// Starts the drain if it is time.
    fn begin_if_due(&mut self, now: Duration) {
        let Some(deadline) = self.time_left(now) else {
            return;
        };
        tracing::info!("draining, at most {} s", report::seconds(deadline));
        self.not_ready();
        // Their work is done, and they open files.
        if let Some(watch) = &self.watch {
            watch.stop();
        }
        if let Some(pod_status) = &mut self.pod_status {
            pod_status.stop();
        }
        self.began = now;
        let asked = self.terminated.map_or(now, |terminated| terminated.at);
        self.machine.begin(now, deadline, now.saturating_sub(asked));
        self.guard_end_by(self.machine.deadline());
    }

    fn guard_end_by(&self, deadline: Duration) {
        if let Some(guard) = &self.guard {
            guard.end_by(deadline);
        }
    }

    /// The host stops by itself, and must have done so at `by`.
    fn stop_by(&mut self, by: Duration, host: &dyn EngineHost) {
        self.guard_end_by(by);
        if !self.stop.is_due() && host.may_reload() {
            if let Some(guard) = &self.guard {
                guard.reloading();
            }
        }
        self.stop.end_by(by);
    }

    /// The host stops by itself: at a second SIGTERM, another signal, for another plugin, or for a
    /// reload.
    fn stop_without_drain(&mut self, now: Duration, host: &mut dyn EngineHost) {
        if let Some(left) = self.time_left(now) {
            self.stop_by(now + left, host);
            self.stop.look(now, host);
        }
        if host.may_reload() {
            return;
        }
        // It may hang as well.
        if !self.stopping {
            self.stopping = true;
            self.began = now;
            self.not_ready();
            self.guard_end_by(now + self.config.deadline.unwrap_or(SIGTERM_DEADLINE));
        }
        self.report_stop(now, host);
    }

    /// Reports a stop without a drain, again and again, since nobody knows which tick is the last.
    fn report_stop(&mut self, now: Duration, host: &dyn EngineHost) {
        if now < self.next_will {
            return;
        }
        let inputs = host.inputs();
        let end = End::without_drain(&facts(now, &inputs, host));
        let expired = End {
            cause: Cause::Deadline,
            ..end
        };
        self.make_will(now, expired, LastReport::Replace, host);
        self.next_will = now + WILL_EVERY;
        let report = self.report(end, host);
        let json = report.json();
        if self.stop_reported.as_ref() == Some(&json) {
            return;
        }
        if self.stop_reported.is_none() {
            log(&report);
        }
        if let (Some(files), Some(path)) = (&self.files, &self.config.report_file) {
            files.write("report_file", path, json.clone().into_bytes());
        }
        self.stop_reported = Some(json);
    }

    /// Keeps ready what is to be reported, should the engine hang before it decides.
    fn make_will(
        &mut self,
        now: Duration,
        end: End,
        last: fn(Vec<u8>) -> LastReport,
        host: &dyn EngineHost,
    ) {
        let Some(guard) = self.guard.as_ref().filter(|_| now >= self.next_will) else {
            return;
        };
        self.next_will = now + WILL_EVERY;
        let mut report = self.report(end, host);
        let status = self.config.status(report.code, report.has_loss());
        report.status = Some(status);
        let report = last(report.json().into_bytes());
        guard.will(Will { status, report });
    }

    fn look_for_news(&mut self, now: Duration) {
        if let Some(fired) = self.pod_status.as_ref().and_then(PodStatus::news) {
            self.fire(fired);
        }
        let Some(news) = self.watch.as_ref().and_then(Watch::news) else {
            return;
        };
        for fired in news.fired {
            self.fire(fired);
        }
        if let Some(writers) = news.writers {
            self.judge_writers(now, &writers);
        }
    }

    fn look_at_counters(&mut self, now: Duration, host: &dyn EngineHost) {
        let limits = self.config.limits;
        let reached = |limit: Option<u64>, count: u64| limit.filter(|limit| count >= *limit);
        if limits.flushes.is_some() || limits.records.is_some() {
            let flushed = host.flushed();
            if let Some(limit) = reached(limits.flushes, flushed.flushes) {
                self.fire(Fired::new(Trigger::Flushes, format!("{limit} reached")));
            }
            if let Some(limit) = reached(limits.records, flushed.records) {
                self.fire(Fired::new(Trigger::Records, format!("{limit} reached")));
            }
        }
        if let Some(limit) = limits.time.filter(|limit| now >= *limit) {
            let reason = format!("{} s have passed", limit.as_secs());
            self.fire(Fired::new(Trigger::Time, reason));
        }
    }

    fn look_at_outputs(&mut self, now: Duration, host: &dyn EngineHost) {
        self.losses.look(now, host);
        if now >= self.next_deliveries {
            self.next_deliveries = now + DELIVERIES_EVERY;
            let outputs = believed(host.outputs());
            self.deliveries.observe(now, &outputs);
            self.losses.tell(host);
            self.look_at_health(now, host);
        }
    }

    fn look_at_health(&mut self, now: Duration, host: &dyn EngineHost) {
        let (Some(files), Some(path)) = (&self.files, &self.config.healthy_file) else {
            return;
        };
        let limit = self.config.unhealthy_after;
        let tasks = host.tasks().unwrap_or_default();
        let healthy = self.health.observe(now, limit, &tasks, &self.deliveries);
        if self.healthy == Some(healthy) {
            return;
        }
        if healthy {
            if self.healthy.is_some() {
                tracing::info!("healthy again: an output has delivered what was due");
            }
            files.write("healthy_file", path, b"healthy\n".to_vec());
        } else {
            let limit = limit.as_secs_f64();
            tracing::warn!("unhealthy: something has waited for {limit} s and its output has delivered nothing");
            files.remove("healthy_file", path);
        }
        self.healthy = Some(healthy);
    }

    /// After SIGTERM with `sigterm_wait auto`: begins the drain once nobody writes any more.
    fn settle(&mut self, now: Duration, host: &dyn EngineHost) {
        if !self.sigterm || self.config.sigterm_wait.is_some() || now < self.next_arrivals {
            return;
        }
        self.next_arrivals = now + ARRIVALS_EVERY;
        let silent = self.arrivals.observe(now, &host.inputs());
        let Some(terminated) = self.terminated.filter(|t| now < t.drain_at) else {
            return;
        };
        if let (Some(watch), true) = (&self.watch, self.next_writers.is_some_and(|at| now >= at)) {
            self.next_writers = None;
            watch.ask_for_writers(paths(&host.drain_reports()));
        }
        let after = now.saturating_sub(terminated.at);
        if settle::is_settled(after, silent, self.writer_seen) {
            self.terminated = Some(Terminated {
                drain_at: now,
                ..terminated
            });
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

    fn look_at_silence(&mut self, now: Duration, host: &dyn EngineHost) {
        let Some(limit) = self.config.idle_time else {
            return;
        };
        if now < self.next_idle {
            return;
        }
        self.next_idle = now + IDLE_EVERY;
        let silent = self.idle.observe(now, &host.inputs(), host.flushed());
        if silent < limit {
            if self.triggers.retract(Trigger::Idle) {
                tracing::info!("idle: no longer");
            }
            return;
        }
        if self.triggers.has(Trigger::Idle) || self.next_writers.is_none_or(|next| now < next) {
            return;
        }
        if let Some(watch) = &self.watch {
            self.next_writers = None;
            watch.ask_for_writers(paths(&host.drain_reports()));
        }
    }

    /// The answer to the question that silence raised.
    fn judge_writers(&mut self, now: Duration, writers: &Writers) {
        self.next_writers = Some(now + WRITERS_EVERY);
        self.writer_seen = writers.found.is_some();
        let Some(limit) = self.config.idle_time else {
            return;
        };
        // Something may have come while the thread looked.
        if now.saturating_sub(self.idle.since()) < limit {
            return;
        }
        if let Some((pid, path)) = &writers.found {
            if !self.writer_logged {
                self.writer_logged = true;
                tracing::info!(
                    "idle, but process {pid} has {} open for writing: waiting",
                    path.display()
                );
            }
            return;
        }
        let reason = format!(
            "nothing came for {} s; open files of {} other processes seen, of {} hidden",
            limit.as_secs_f64(),
            writers.seen,
            writers.hidden
        );
        self.fire(Fired::new(Trigger::Idle, reason));
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
                    self.stop_by(self.machine.deadline(), host);
                    if let Some(guard) = &self.guard {
                        guard.reported();
                    }
                    self.say(&self.report(end, host));
                }
            }
        }
        if self.machine.phase() == Phase::Draining {
            self.retry(now, host);
            let end = self.machine.at_deadline(&facts);
            self.make_will(now, end, LastReport::Missing, host);
        }
    }

    /// Says how it went, then ends the engine once the report is written.
    fn leave(&mut self, now: Duration, end: End, host: &mut dyn EngineHost) {
        self.losses.look_now(host);
        let mut report = self.report(end, host);
        let status = self.config.status(report.code, report.has_loss());
        report.status = Some(status);
        // In this order: what the guard has written before is of the past.
        if let Some(guard) = &self.guard {
            let report = LastReport::Written;
            guard.will(Will { status, report });
        }
        self.say(&report);
        self.leaving = Some(Leaving {
            status,
            expired: end.cause == Cause::Deadline,
            at_latest: now + REPORT_WAIT,
            told: false,
        });
        self.leave_if_written(now, host);
    }

    /// The report is written before the exit, not during it: hosts up to 3.2 close the timers of
    /// their inputs twice when they pause them, and the second time may hit a file that another
    /// thread has just opened.
    ///
    /// A host that is about to stop or to reload does that first: then the new instance drains.
    fn leave_if_written(&mut self, now: Duration, host: &mut dyn EngineHost) {
        let written = self.files.as_ref().is_none_or(Files::done);
        let Some(leaving) = self.leaving.take_if(|l| written || now >= l.at_latest) else {
            return;
        };
        if host.is_stopping() {
            self.stop_by(self.machine.deadline(), host);
            return;
        }
        if leaving.expired {
            host.limit_grace(LAST_GRACE);
        }
        if host.exit(leaving.status) {
            Guard::decided(leaving.status);
        } else {
            if !leaving.told {
                tracing::info!("the host is about to stop or to reload: that comes first");
            }
            self.leaving = Some(Leaving {
                told: true,
                ..leaving
            });
        }
    }

    fn report(&self, mut end: End, host: &dyn EngineHost) -> Report {
        // Whoever wrote when the wait for them was over may have written since.
        end.left.unseen |= self.terminated.is_some() && self.writer_seen;
        let code = self.triggers.code();
        Report::new(
            self.triggers.fired(),
            code,
            end,
            self.began,
            &self.losses,
            host,
        )
    }

    fn say(&self, report: &Report) {
        log(report);
        if let (Some(files), Some(path)) = (&self.files, &self.config.report_file) {
            let json = report.json().into_bytes();
            // The deadline comes before the disk.
            match report.end.cause {
                Cause::Drained => files.write_synced("report_file", path, json),
                Cause::Deadline | Cause::Host => files.write("report_file", path, json),
            }
        }
    }
}

fn log(report: &Report) {
    if report.has_loss() {
        tracing::warn!("{report}");
    } else {
        tracing::info!("{report}");
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

fn guard_setup(config: &Config, start: Instant, sigterm: bool, files: Option<&Files>) -> Setup {
    let report = files.zip(config.report_file.as_ref());
    Setup {
        start,
        after_trigger: config.deadline.unwrap_or(DEADLINE),
        after_sigterm: sigterm.then(|| config.deadline.unwrap_or(SIGTERM_DEADLINE)),
        report: report.map(|(files, path)| (files.scribe(), path.clone())),
        will: Will {
            status: config.status(None, true),
            report: LastReport::Missing(report::of_a_hang(config.status(None, true)).into_bytes()),
        },
    }
}

/// The host drops a chunk when its retries are used up, long before a deadline.
fn retry_warning(output: &OutputInfo) -> Option<String> {
    let RetryLimit::Times(limit) = output.retry_limit else {
        return None;
    };
    if limit > 1 || LOCAL_OUTPUTS.contains(&output.plugin.as_str()) {
        return None;
    }
    Some(format!(
        "output {}: Retry_Limit {limit} drops records while its destination is down; \
         'Retry_Limit no_limits' keeps them, and the deadline bounds the wait",
        output.name
    ))
}

/// The files that inputs read, from their reports.
fn paths(reports: &[(String, String)]) -> Vec<PathBuf> {
    reports
        .iter()
        .filter_map(|(_, text)| serde_json::from_str::<Vec<serde_json::Value>>(text).ok())
        .flatten()
        .filter_map(|file| file["path"].as_str().map(PathBuf::from))
        .collect()
}
