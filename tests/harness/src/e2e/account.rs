//! What the destination has of somebody's lines.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

/// The word at the end of a main container's last line.
pub const LAST: &str = "bye";

/// What a destination has of some pods.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Pods that lines came from.
    pub pods: usize,
    /// Lines that did not come, up to the last one that did.
    pub gaps: usize,
    /// Lines that came once too often.
    pub twice: usize,
    /// Lines with an address in them.
    pub plain: usize,
    /// Different lines that came.
    pub lines: usize,
    /// Pods whose last line came.
    pub ended: usize,
    /// The values of the label `flb-e2e` that records have.
    pub labels: BTreeSet<String>,
}

/// Counts what a destination kept, a JSON array or objects a line, of the pods whose names begin with
/// `owner`. A line is `WORD NUMBER` or `WORD NUMBER of …`, counted from 1.
pub fn account(kept: &str, owner: &str) -> Account {
    let mut seen: BTreeMap<String, BTreeMap<usize, usize>> = BTreeMap::new();
    let mut found = Account::default();
    let values = kept
        .lines()
        .filter_map(|line| serde_json::from_str::<Json>(line).ok());
    let records = values.flat_map(|value| match value {
        Json::Array(records) => records,
        record => vec![record],
    });
    for record in records {
        let pod = &record["kubernetes"];
        let name = pod["pod_name"].as_str().unwrap_or_default();
        if name != owner && !name.starts_with(&format!("{owner}-")) {
            continue;
        }
        let log = record["log"].as_str().unwrap_or_default();
        found.plain += usize::from(log.contains("@example.com"));
        found.ended += usize::from(log.ends_with(LAST));
        found
            .labels
            .extend(pod["labels"]["flb-e2e"].as_str().map(str::to_owned));
        let words = log.split(" of ").next().unwrap_or_default();
        let number = words.rsplit(' ').next().and_then(|word| word.parse().ok());
        let lines = seen.entry(name.into()).or_default();
        if let Some(number) = number {
            *lines.entry(number).or_default() += 1;
        }
    }
    found.pods = seen.len();
    for lines in seen.values() {
        found.lines += lines.len();
        let last = lines.keys().next_back().copied().unwrap_or_default();
        found.gaps += last.saturating_sub(lines.len());
        found.twice += lines.values().map(|count| count - 1).sum::<usize>();
    }
    found
}

impl Account {
    /// Whether each of so many pods brought each of so many lines, once and redacted.
    ///
    /// # Errors
    /// What it is instead.
    pub fn is_whole(&self, pods: usize, lines: usize) -> Result<(), String> {
        self.has_no_hole()?;
        if self.pods == pods && self.lines == pods * lines {
            return Ok(());
        }
        Err(format!("not {pods} pods with {lines} lines each: {self:?}"))
    }

    /// Whether nothing is missing between lines that came, nothing came twice, and all is redacted.
    ///
    /// # Errors
    /// What it is instead.
    pub fn has_no_hole(&self) -> Result<(), String> {
        if self.gaps == 0 && self.twice == 0 && self.plain == 0 {
            return Ok(());
        }
        Err(format!("{self:?}"))
    }
}
