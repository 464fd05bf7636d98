//! The time before the drain: what the instance waits for, and what has happened of it.

use std::io;
use std::time::Duration;

use flb_sidecar_sdk::EngineHost;

use crate::config::Config;
use crate::guard::Alarm;
use crate::report;
use crate::settle;
use crate::sigterm::{Sigterm, Terminated};
use crate::silence::Silence;
use crate::trigger::pod_status::PodStatus;
use crate::trigger::watch::Watch;
use crate::trigger::{Fired, Trigger, Triggers};
use crate::{DEADLINE, SIGTERM_DEADLINE};

/// Every trigger of an instance.
#[derive(Debug)]
pub(crate) struct Waiting {
    triggers: Triggers,
    watch: Option<Watch>,
    pod_status: Option<PodStatus>,
    silence: Silence,
    sigterm: Sigterm,
}

impl Waiting {
    /// Starts the threads that look. `sigterm`: the signal is ours.
    ///
    /// # Errors
    /// When the system has no descriptor or thread left.
    pub(crate) fn start(config: &Config, sigterm: bool, alarm: Alarm) -> io::Result<Self> {
        let deadline = config.deadline.unwrap_or(SIGTERM_DEADLINE);
        let sigterm = Sigterm::new(sigterm, config.sigterm_wait, deadline);
        let watched = config.flags.is_some() || config.processes.is_some();
        let watch = if watched || config.idle_time.is_some() || sigterm.will_read_on() {
            let (flags, processes) = (config.flags.clone(), config.processes.clone());
            Some(Watch::start(flags, processes, alarm.clone())?)
        } else {
            None
        };
        let pod_status = match config.pod.clone() {
            Some(pod) => Some(PodStatus::start(pod, alarm)?),
            None => None,
        };
        Ok(Waiting {
            triggers: Triggers::new(config),
            watch,
            pod_status,
            silence: Silence::new(),
            sigterm,
        })
    }

    /// What has fired.
    pub(crate) fn fired(&self) -> &[Fired] {
        self.triggers.fired()
    }

    /// The exit status that came with it.
    pub(crate) fn code(&self) -> Option<u8> {
        self.triggers.code()
    }

    /// SIGTERM has come, and somebody was seen to write when the wait for them was over: they may have
    /// written since.
    pub(crate) fn writer_left(&self) -> bool {
        self.sigterm.come().is_some() && self.silence.writer_seen()
    }

    /// SIGTERM has come.
    pub(crate) fn is_terminated(&self) -> bool {
        self.sigterm.come().is_some()
    }

    /// When the end was asked for: `now`, or at SIGTERM.
    pub(crate) fn asked_at(&self, now: Duration) -> Duration {
        self.sigterm.come().map_or(now, |terminated| terminated.at)
    }

    fn fire(&mut self, fired: Fired) {
        let line = fired.to_string();
        if self.triggers.fire(fired) {
            tracing::info!("{line}");
        }
    }

    /// SIGTERM, if it has come since the last look.
    pub(crate) fn look_for_sigterm(
        &mut self,
        now: Duration,
        host: &mut dyn EngineHost,
    ) -> Option<Terminated> {
        let terminated = self.sigterm.look(now, host)?;
        self.fire(Fired::new(Trigger::Sigterm, "received"));
        Some(terminated)
    }

    /// Reading goes on for a while after SIGTERM.
    pub(crate) fn read_on(&mut self, now: Duration, terminated: Terminated) {
        if terminated.drain_at > now {
            let most = report::seconds(terminated.drain_at - now);
            tracing::info!("reading on for up to {most} s");
            self.silence.look_again(now);
        }
    }

    /// Takes in what has happened.
    pub(crate) fn look(&mut self, now: Duration, config: &Config, host: &dyn EngineHost) {
        self.look_for_news(now, config);
        self.look_at_counters(now, config, host);
        let watched = config.idle_time.is_some() || self.sigterm.will_read_on();
        let silent = watched.then(|| self.silence.look(now, host)).flatten();
        if let Some(silent) = silent {
            self.look_if_idle(now, config, silent, host);
            self.settle(now, silent, host);
        }
    }

    fn look_for_news(&mut self, now: Duration, config: &Config) {
        if let Some(fired) = self.pod_status.as_ref().and_then(PodStatus::news) {
            self.fire(fired);
        }
        let Some(news) = self.watch.as_ref().and_then(Watch::news) else {
            return;
        };
        for fired in news.fired {
            self.fire(fired);
        }
        let writers = news.writers.as_ref();
        let idle = writers.and_then(|found| self.silence.judge(now, config.idle_time, found));
        if let Some(fired) = idle {
            self.fire(fired);
        }
    }

    fn look_at_counters(&mut self, now: Duration, config: &Config, host: &dyn EngineHost) {
        let limits = config.limits;
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

    fn look_if_idle(
        &mut self,
        now: Duration,
        config: &Config,
        silent: Duration,
        host: &dyn EngineHost,
    ) {
        let Some(limit) = config.idle_time else {
            return;
        };
        if silent < limit {
            if self.triggers.retract(Trigger::Idle) {
                tracing::info!("idle: no longer");
            }
        } else if !self.triggers.has(Trigger::Idle) {
            self.silence.ask(now, self.watch.as_ref(), host);
        }
    }

    /// After SIGTERM: who writes is looked for, and with `sigterm_wait auto` reading is over once nobody does
    /// any more.
    fn settle(&mut self, now: Duration, silent: Duration, host: &dyn EngineHost) {
        let Some(terminated) = self.sigterm.reads_on(now) else {
            return;
        };
        self.silence.ask(now, self.watch.as_ref(), host);
        let after = now.saturating_sub(terminated.at);
        let settled = settle::is_settled(after, silent, self.silence.writer_seen());
        if settled && self.sigterm.settles() {
            self.sigterm.settled(now);
        }
    }

    /// Time until the deadline; `None`: nothing asks for an end.
    pub(crate) fn time_left(&self, now: Duration, config: &Config) -> Option<Duration> {
        let complete = self.triggers.complete();
        let deadline = complete.then(|| config.deadline.unwrap_or(DEADLINE));
        let Some(terminated) = self.sigterm.come() else {
            return deadline;
        };
        if deadline.is_none() && now < terminated.drain_at {
            return None;
        }
        let left = terminated.end_at.saturating_sub(now);
        Some(deadline.map_or(left, |deadline| deadline.min(left)))
    }

    /// The drain begins: the threads' work is done, and they open files.
    pub(crate) fn stop(&mut self) {
        if let Some(watch) = &self.watch {
            watch.stop();
        }
        if let Some(pod_status) = &mut self.pod_status {
            pod_status.stop();
        }
    }
}

#[cfg(test)]
impl Waiting {
    /// Somebody was asked who writes, and has not answered yet.
    pub(crate) fn has_asked(&self) -> bool {
        self.silence.has_asked()
    }
}
