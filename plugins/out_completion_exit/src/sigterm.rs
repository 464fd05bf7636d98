//! SIGTERM that is ours, and how long reading goes on after it.

use std::time::Duration;

use flb_sidecar_sdk::EngineHost;

use crate::settle;

/// SIGTERM has come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terminated {
    pub(crate) at: Duration,
    /// The drain starts then if no other trigger started it before.
    pub(crate) drain_at: Duration,
    /// The host exits then whatever is left.
    pub(crate) end_at: Duration,
}

/// Looks for the signal, and remembers it.
#[derive(Debug)]
pub(crate) struct Sigterm {
    /// The signal is ours.
    ours: bool,
    /// `None`: until nobody writes any more.
    wait: Option<Duration>,
    /// Time from the signal to the end.
    deadline: Duration,
    come: Option<Terminated>,
}

impl Sigterm {
    pub(crate) fn new(ours: bool, wait: Option<Duration>, deadline: Duration) -> Self {
        Sigterm {
            ours,
            wait,
            deadline,
            come: None,
        }
    }

    /// The signal, if it has come since the last look.
    pub(crate) fn look(&mut self, now: Duration, host: &mut dyn EngineHost) -> Option<Terminated> {
        if !self.ours || self.come.is_some() {
            return None;
        }
        let ago = host.terminate_requested()?;
        let wait = self.wait;
        let wait = wait.unwrap_or_else(|| settle::at_latest(self.deadline));
        self.come = Some(Terminated {
            at: now.saturating_sub(ago),
            drain_at: now + wait.saturating_sub(ago),
            end_at: now + self.deadline.saturating_sub(ago),
        });
        self.come
    }

    pub(crate) fn come(&self) -> Option<Terminated> {
        self.come
    }

    /// Reading goes on after it until nobody writes any more.
    pub(crate) fn settles(&self) -> bool {
        self.ours && self.wait.is_none()
    }

    /// Reading goes on after it, and who writes then is to be known.
    pub(crate) fn will_read_on(&self) -> bool {
        self.ours && self.wait != Some(Duration::ZERO)
    }

    /// It has come, and reading still goes on.
    pub(crate) fn reads_on(&self, now: Duration) -> Option<Terminated> {
        self.come.filter(|terminated| now < terminated.drain_at)
    }

    /// Nobody writes any more.
    pub(crate) fn settled(&mut self, now: Duration) {
        if let Some(terminated) = &mut self.come {
            terminated.drain_at = now;
        }
    }
}
