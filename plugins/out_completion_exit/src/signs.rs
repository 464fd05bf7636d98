//! The files that tell others how it goes: `ready_file` and `healthy_file`.

use std::path::PathBuf;
use std::time::Duration;

use flb_sidecar_sdk::EngineHost;

use crate::config::{Config, ReadyAfter};
use crate::delivery::Deliveries;
use crate::files::Scribe;
use crate::health::Health;

/// Both files, as far as they are wanted.
#[derive(Debug)]
pub(crate) struct Signs {
    scribe: Scribe,
    ready_file: Option<PathBuf>,
    ready_after: ReadyAfter,
    /// The ready file was asked for.
    ready: bool,
    healthy_file: Option<PathBuf>,
    unhealthy_after: Duration,
    health: Health,
    /// What the healthy file says, once it was asked for.
    healthy: Option<bool>,
}

impl Signs {
    /// Neither is there at first, though a run that was killed may have left them behind.
    pub(crate) fn new(config: &Config, scribe: Scribe) -> Self {
        let signs = Signs {
            scribe,
            ready_file: config.ready_file.clone(),
            ready_after: config.ready_after,
            ready: false,
            healthy_file: config.healthy_file.clone(),
            unhealthy_after: config.unhealthy_after,
            health: Health::default(),
            healthy: None,
        };
        signs.not_ready();
        signs.not_healthy();
        signs
    }

    /// Every input watches: those of the host from the first tick on, others once they say so.
    pub(crate) fn look_if_ready(&mut self, deliveries: &Deliveries, host: &dyn EngineHost) {
        let early = self.ready_after == ReadyAfter::FirstDelivery && deliveries.successes() == 0;
        let Some(path) = self.ready_file.as_ref().filter(|_| !self.ready && !early) else {
            return;
        };
        let inputs = host.inputs();
        if !inputs
            .iter()
            .any(|input| input.drain.is_some_and(|d| d.starting))
        {
            self.ready = true;
            self.scribe.write("ready_file", path, b"ready\n".to_vec());
        }
    }

    /// What is due is delivered, or not any more.
    pub(crate) fn look_at_health(
        &mut self,
        now: Duration,
        deliveries: &Deliveries,
        host: &dyn EngineHost,
    ) {
        let Some(path) = &self.healthy_file else {
            return;
        };
        let limit = self.unhealthy_after;
        let tasks = host.tasks().unwrap_or_default();
        let healthy = self.health.observe(now, limit, &tasks, deliveries);
        if self.healthy == Some(healthy) {
            return;
        }
        if healthy {
            if self.healthy.is_some() {
                tracing::info!("healthy again: an output has delivered what was due");
            }
            self.scribe
                .write("healthy_file", path, b"healthy\n".to_vec());
        } else {
            let limit = limit.as_secs_f64();
            tracing::warn!("unhealthy: something has waited for {limit} s and its output has delivered nothing");
            self.scribe.remove("healthy_file", path);
        }
        self.healthy = Some(healthy);
    }

    /// The drain begins, or the end.
    pub(crate) fn not_ready(&self) {
        if let Some(path) = &self.ready_file {
            self.scribe.remove("ready_file", path);
        }
    }

    /// The end.
    pub(crate) fn not_healthy(&self) {
        if let Some(path) = &self.healthy_file {
            self.scribe.remove("healthy_file", path);
        }
    }
}

#[cfg(test)]
impl Signs {
    pub(crate) fn is_ready(&self) -> bool {
        self.ready
    }
}
