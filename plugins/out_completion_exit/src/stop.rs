//! The end of a host that stops by itself, on a signal or for a hot reload.
//!
//! It may wait for ever: a reload waits for every delivery, and since 4.0.3 for stored chunks that
//! are not loaded any more. So once a trigger has fired, the deadline ends the wait: the Job ends,
//! or the new instances can drain. Stored chunks stay stored.

use std::time::Duration;

use flb_sidecar_sdk::EngineHost;

use crate::LAST_GRACE;

/// How long the host may wait for stored chunks that nobody delivers: two of its rounds.
const STUCK: Duration = Duration::from_millis(2500);

/// A stop of the host.
#[derive(Debug, Default)]
pub(crate) struct Stop {
    by: Option<Duration>,
    /// Since when it waits for nothing but stored chunks.
    stuck_since: Option<Duration>,
    told: bool,
}

impl Stop {
    /// It must have ended at `by`. The earliest counts.
    pub(crate) fn end_by(&mut self, by: Duration) {
        self.by = Some(self.by.map_or(by, |earlier| earlier.min(by)));
    }

    /// Something asks for its end.
    pub(crate) fn is_due(&self) -> bool {
        self.by.is_some()
    }

    /// Has the host end its wait, once, if that has lasted for long enough.
    pub(crate) fn look(&mut self, now: Duration, host: &mut dyn EngineHost) {
        if self.told {
            return;
        }
        let stored_only = host.running_tasks() == Some(0)
            && matches!(host.storage_chunks(), Some((0, stored)) if stored > 0);
        let since = self.stuck_since.unwrap_or(now);
        self.stuck_since = stored_only.then_some(since);
        let why = if stored_only && now.saturating_sub(since) >= STUCK {
            "waits for stored chunks that nobody delivers"
        } else if self.by.is_some_and(|by| now >= by) {
            "has not stopped by the deadline"
        } else {
            return;
        };
        self.told = true;
        tracing::warn!("the host {why}: it is to wait no longer");
        host.limit_grace(LAST_GRACE);
    }
}
