//! How long nothing has come, and who may still write.

use std::path::PathBuf;
use std::time::Duration;

use flb_sidecar_sdk::EngineHost;

use crate::arrivals::Arrivals;
use crate::trigger::watch::Watch;
use crate::trigger::writers::Writers;
use crate::trigger::{Fired, Trigger};

/// How often it is looked whether something has come.
const ARRIVALS_EVERY: Duration = Duration::from_millis(100);
/// How often a writer that was found is looked for again.
const WRITERS_EVERY: Duration = Duration::from_secs(1);

/// Measures silence, and has writers looked for.
#[derive(Debug)]
pub(crate) struct Silence {
    arrivals: Arrivals,
    next_arrivals: Duration,
    /// When writers may be looked for again; `None`: an answer is awaited.
    next_writers: Option<Duration>,
    writer_logged: bool,
    /// Somebody was seen to write at the last look.
    writer_seen: bool,
}

impl Silence {
    pub(crate) fn new() -> Self {
        Silence {
            arrivals: Arrivals::default(),
            next_arrivals: Duration::ZERO,
            next_writers: Some(Duration::ZERO),
            writer_logged: false,
            writer_seen: false,
        }
    }

    pub(crate) fn writer_seen(&self) -> bool {
        self.writer_seen
    }

    /// For how long nothing has come, counted from the start; `None`: it is not time to look.
    pub(crate) fn look(&mut self, now: Duration, host: &dyn EngineHost) -> Option<Duration> {
        if now < self.next_arrivals {
            return None;
        }
        self.next_arrivals = now + ARRIVALS_EVERY;
        let received = host.received();
        let silent = self
            .arrivals
            .observe(now, &host.inputs(), &received, host.flushed());
        Some(silent)
    }

    /// Whoever was found before may have ended.
    pub(crate) fn look_again(&mut self, now: Duration) {
        self.next_writers = Some(now);
    }

    /// Asks who has the files open for writing, if it is time; the answer comes as news of `watch`.
    pub(crate) fn ask(&mut self, now: Duration, watch: Option<&Watch>, host: &dyn EngineHost) {
        if let (Some(watch), true) = (watch, self.next_writers.is_some_and(|at| now >= at)) {
            self.next_writers = None;
            watch.ask_for_writers(paths(&host.drain_reports()));
        }
    }

    /// The answer. With `idle_time`, what it says of silence.
    pub(crate) fn judge(
        &mut self,
        now: Duration,
        idle_time: Option<Duration>,
        writers: &Writers,
    ) -> Option<Fired> {
        self.next_writers = Some(now + WRITERS_EVERY);
        self.writer_seen = writers.found.is_some();
        let limit = idle_time?;
        // Something may have come while the thread looked.
        if now.saturating_sub(self.arrivals.since()) < limit {
            return None;
        }
        if let Some((pid, path)) = &writers.found {
            if !self.writer_logged {
                self.writer_logged = true;
                tracing::info!(
                    "idle, but process {pid} has {} open for writing: waiting",
                    path.display()
                );
            }
            return None;
        }
        let reason = format!(
            "nothing came for {} s; open files of {} other processes seen, of {} hidden",
            limit.as_secs_f64(),
            writers.seen,
            writers.hidden
        );
        Some(Fired::new(Trigger::Idle, reason))
    }
}

#[cfg(test)]
impl Silence {
    pub(crate) fn has_asked(&self) -> bool {
        self.next_writers.is_none()
    }
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
