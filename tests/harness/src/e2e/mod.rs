//! `make e2e`: the sidecar in a real cluster, whichever `KUBECONFIG` names, by `kubectl`. What is made
//! and what is expected is plain data here, tested without a cluster; [`Cluster`] alone talks to one.

mod cluster;
mod jobs;

pub use cluster::{Cluster, Collector};
pub use jobs::{account, configuration, matrix, Account, Expected, Mood, Trigger, Try, LINES};

use std::fmt;

/// What became of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Not, and why.
    Failed(String),
    /// The cluster cannot do it, and why.
    Skipped(String),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Ok => f.write_str("ok"),
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
