//! What may start a drain, and whether enough of it has happened.
//!
//! - `watch` waits for `flag` files, of which `inotify` tells, and for the end of a `process` (by
//!   `pid_file`, too), on a thread of its own,
//! - `pod_status` asks the Kubernetes API for the ends of containers, on a thread of its own,
//! - `writers` is the second opinion on silence.

mod flag;
mod inotify;
mod pid_file;
pub(crate) mod pod_status;
mod process;
pub(crate) mod watch;
pub(crate) mod writers;

use std::fmt;

use crate::config::{Config, Mode};

/// A kind of trigger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trigger {
    Flag,
    Process,
    Container,
    Idle,
    Flushes,
    Records,
    Time,
    Sigterm,
}

impl Trigger {
    /// Name in log lines and in the report.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Trigger::Flag => "flag_file",
            Trigger::Process => "process",
            Trigger::Container => "api_container",
            Trigger::Idle => "idle",
            Trigger::Flushes => "flush_count",
            Trigger::Records => "record_count",
            Trigger::Time => "time_count",
            Trigger::Sigterm => "sigterm",
        }
    }
}

/// A trigger that fired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fired {
    pub(crate) trigger: Trigger,
    /// For people: what happened.
    pub(crate) reason: String,
    /// Exit status that came with it.
    pub(crate) code: Option<u8>,
}

impl Fired {
    pub(crate) fn new(trigger: Trigger, reason: impl Into<String>) -> Self {
        Fired {
            trigger,
            reason: reason.into(),
            code: None,
        }
    }
}

impl fmt::Display for Fired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.trigger.name(), self.reason)
    }
}

/// The triggers of an instance.
#[derive(Debug)]
pub(crate) struct Triggers {
    mode: Mode,
    /// Those that must fire in mode `all`.
    configured: Vec<Trigger>,
    fired: Vec<Fired>,
}

impl Triggers {
    /// Those of `config`.
    pub(crate) fn new(config: &Config) -> Self {
        let all = [
            (Trigger::Flag, config.flags.is_some()),
            (Trigger::Process, config.processes.is_some()),
            (Trigger::Container, config.pod.is_some()),
            (Trigger::Idle, config.idle_time.is_some()),
            (Trigger::Flushes, config.limits.flushes.is_some()),
            (Trigger::Records, config.limits.records.is_some()),
            (Trigger::Time, config.limits.time.is_some()),
        ];
        Triggers {
            mode: config.trigger_mode,
            configured: all
                .into_iter()
                .filter_map(|(trigger, set)| set.then_some(trigger))
                .collect(),
            fired: Vec::new(),
        }
    }

    /// Notes a trigger. `true`: new, so it is worth a log line.
    pub(crate) fn fire(&mut self, fired: Fired) -> bool {
        let new = !self.has(fired.trigger);
        if new {
            self.fired.push(fired);
        }
        new
    }

    /// Takes a trigger back that no longer holds. `true`: it had fired.
    pub(crate) fn retract(&mut self, trigger: Trigger) -> bool {
        let before = self.fired.len();
        self.fired.retain(|fired| fired.trigger != trigger);
        before != self.fired.len()
    }

    pub(crate) fn has(&self, trigger: Trigger) -> bool {
        self.fired.iter().any(|fired| fired.trigger == trigger)
    }

    /// What fired so far.
    pub(crate) fn fired(&self) -> &[Fired] {
        &self.fired
    }

    /// The drain may start. SIGTERM has rules of its own and does not count here.
    pub(crate) fn complete(&self) -> bool {
        let mut configured = self.configured.iter();
        match self.mode {
            Mode::Any => configured.any(|trigger| self.has(*trigger)),
            Mode::All => {
                !self.configured.is_empty() && configured.all(|trigger| self.has(*trigger))
            }
        }
    }

    /// The highest exit status that came with a trigger.
    pub(crate) fn code(&self) -> Option<u8> {
        self.fired.iter().filter_map(|fired| fired.code).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn triggers(mode: Mode) -> Triggers {
        Triggers {
            mode,
            configured: vec![Trigger::Flag, Trigger::Idle],
            fired: Vec::new(),
        }
    }

    #[test]
    fn any_needs_one_and_all_needs_every_kind() {
        let mut any = triggers(Mode::Any);
        assert!(!any.complete());
        assert!(any.fire(Fired::new(Trigger::Idle, "")));
        assert!(any.complete());

        let mut all = triggers(Mode::All);
        assert!(all.fire(Fired::new(Trigger::Flag, "")));
        assert!(!all.fire(Fired::new(Trigger::Flag, "")), "it is not new");
        assert!(!all.complete());
        assert!(all.fire(Fired::new(Trigger::Idle, "")));
        assert!(all.complete());
        assert!(all.retract(Trigger::Idle) && !all.complete());
    }

    #[test]
    fn sigterm_does_not_stand_for_another_trigger() {
        for mode in [Mode::Any, Mode::All] {
            let mut triggers = triggers(mode);
            triggers.fire(Fired::new(Trigger::Sigterm, ""));
            assert!(!triggers.complete());
        }
    }

    #[test]
    fn all_of_nothing_is_not_enough() {
        let mut none = triggers(Mode::All);
        none.configured.clear();
        assert!(!none.complete());
    }
}
