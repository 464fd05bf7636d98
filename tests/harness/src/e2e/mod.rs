//! `make e2e`: the sidecar in a real cluster, whichever `KUBECONFIG` names, by `kubectl`. What is made
//! and what is expected is plain data here, tested without a cluster; [`Cluster`] alone talks to one.

mod account;
mod cluster;
mod collector;
mod jobs;
mod lives;
mod render;
mod state;

pub use account::{account, Account, LAST};
pub use cluster::{poll, said, Cluster};
pub use collector::Collector;
pub use jobs::{matrix, Expected, Mood, Trigger, Try, LINES};
pub use lives::{lives, Act, Life, Placement, FINALIZER};
pub use render::{to_collector, Images, Kustomization, NEUTRAL_IMAGE};
pub use state::{seconds_between, ContainerEnd, Ends};

use std::fmt;

/// What became of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be, and what was seen.
    Ok(String),
    /// Not, and why.
    Failed(String),
    /// The cluster cannot do it, and why.
    Skipped(String),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Ok(seen) if seen.is_empty() => f.write_str("ok"),
            Verdict::Ok(seen) => write!(f, "ok: {seen}"),
            Verdict::Failed(why) => write!(f, "FAILED: {why}"),
            Verdict::Skipped(why) => write!(f, "SKIPPED: {why}"),
        }
    }
}

/// The one table that a run prints.
#[derive(Debug, Default)]
pub struct Table(Vec<(String, f64, Verdict)>);

impl Table {
    /// Adds a row: what, seconds, verdict.
    pub fn add(&mut self, what: impl Into<String>, seconds: f64, verdict: Verdict) {
        self.0.push((what.into(), seconds, verdict));
    }

    /// Whether nothing failed.
    pub fn is_good(&self) -> bool {
        let failed = |row: &(String, f64, Verdict)| matches!(row.2, Verdict::Failed(_));
        !self.0.iter().any(failed)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| check | seconds | verdict |\n|---|---|---|")?;
        for (what, seconds, verdict) in &self.0 {
            writeln!(f, "| {what} | {seconds:.1} | {verdict} |")?;
        }
        Ok(())
    }
}
