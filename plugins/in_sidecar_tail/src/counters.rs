//! The instance's metrics.

use flb_sidecar_sdk::metrics::{Metric, Metrics};

/// What can go wrong with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Trouble {
    /// No permission, or any other failure to open.
    Open,
    /// A failed read.
    Read,
    /// A folder that cannot be watched.
    Watch,
    /// The state cannot be written or read.
    State,
    /// A folder, FIFO, socket or device.
    NotAFile,
    /// A compressed file.
    Compressed,
    /// It was gone before it could be opened.
    Missed,
    /// It cannot be deleted.
    Remove,
    /// Something else stood where a file of ours belongs.
    InTheWay,
    /// A link that is not followed.
    Link,
    /// One file more than may be followed.
    Limit,
    /// The state of somebody who reads logs.
    NotALog,
}

impl Trouble {
    const ALL: [(Trouble, &'static str); 12] = [
        (Trouble::Open, "open"),
        (Trouble::Read, "read"),
        (Trouble::Watch, "watch"),
        (Trouble::State, "state"),
        (Trouble::NotAFile, "not_a_file"),
        (Trouble::Compressed, "compressed"),
        (Trouble::Missed, "missed"),
        (Trouble::Remove, "remove"),
        (Trouble::InTheWay, "in_the_way"),
        (Trouble::Link, "link"),
        (Trouble::Limit, "limit"),
        (Trouble::NotALog, "not_a_log"),
    ];
}

/// The metrics of one instance.
#[derive(Clone, Debug)]
pub(crate) struct Counters {
    pub(crate) files: Metric,
    pub(crate) files_open: Metric,
    pub(crate) waiting: Metric,
    pub(crate) bytes: Metric,
    pub(crate) lines: Metric,
    pub(crate) lag_bytes: Metric,
    pub(crate) lag_seconds: Metric,
    pub(crate) rotations: Metric,
    pub(crate) truncations: Metric,
    pub(crate) lost_bytes: Metric,
    pub(crate) long_lines_split: Metric,
    pub(crate) long_lines_cut: Metric,
    pub(crate) long_lines_skipped: Metric,
    pub(crate) empty_lines_skipped: Metric,
    pub(crate) undecoded_lines: Metric,
    pub(crate) deep_lines: Metric,
    pub(crate) invalid: Metric,
    pub(crate) nul_bytes: Metric,
    pub(crate) removed: Metric,
    errors: Vec<Metric>,
}

impl Counters {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let long = "lines longer than buffer_max_size, by what was done with them";
        let skipped = |what| metrics.counter("long_lines_total", long, &[("done", what)]);
        Counters {
            files: metrics.gauge("files_followed", "files that are followed", &[]),
            files_open: metrics.gauge("files_open", "open files", &[]),
            waiting: metrics.gauge(
                "files_waiting",
                "files that wait since max_files are followed",
                &[],
            ),
            bytes: metrics.counter("read_bytes_total", "bytes of files read into records", &[]),
            lines: metrics.counter("lines_total", "records made from lines", &[]),
            lag_bytes: metrics.gauge("lag_bytes", "bytes in files not handed to the host", &[]),
            lag_seconds: metrics.gauge(
                "oldest_unread_seconds",
                "age of the oldest byte not handed to the host",
                &[],
            ),
            rotations: metrics.counter("rotations_total", "files renamed or replaced", &[]),
            truncations: metrics.counter("truncations_total", "files truncated or rewritten", &[]),
            lost_bytes: metrics.counter(
                "lost_bytes_total",
                "bytes known to have been there that were overwritten or deleted unread",
                &[],
            ),
            long_lines_split: skipped("split"),
            long_lines_cut: skipped("cut"),
            long_lines_skipped: skipped("skipped"),
            empty_lines_skipped: metrics.counter(
                "empty_lines_skipped_total",
                "lines left out by skip_empty_lines",
                &[],
            ),
            undecoded_lines: metrics.counter(
                "undecoded_lines_total",
                "lines that the format or parser does not match, passed on as text",
                &[],
            ),
            deep_lines: metrics.counter(
                "deep_lines_total",
                "lines nested deeper than a host reads, passed on as text",
                &[],
            ),
            invalid: metrics.counter(
                "invalid_sequences_total",
                "byte sequences that are nothing in the file's encoding, replaced by U+FFFD",
                &[],
            ),
            nul_bytes: metrics.counter(
                "nul_bytes_skipped_total",
                "NUL bytes left out at the head of truncated files",
                &[],
            ),
            removed: metrics.counter("files_removed_total", "files deleted by remove_after", &[]),
            errors: Trouble::ALL
                .iter()
                .map(|(_, kind)| {
                    metrics.counter("errors_total", "errors, by kind", &[("kind", kind)])
                })
                .collect(),
        }
    }

    /// Counts one error.
    pub(crate) fn error(&self, trouble: Trouble) {
        self.errors_of(trouble).add(1);
    }

    /// What counts errors of a kind.
    pub(crate) fn errors_of(&self, trouble: Trouble) -> Metric {
        let at = Trouble::ALL.iter().position(|(t, _)| *t == trouble);
        let metric = at.and_then(|at| self.errors.get(at));
        metric.cloned().unwrap_or_default()
    }
}

#[cfg(test)]
impl Counters {
    pub(crate) fn errors(&self, trouble: Trouble) -> u64 {
        self.errors_of(trouble).get()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_readme_lists_every_metric() {
        let metrics = Metrics::default();
        Counters::new(&metrics);
        let series = metrics.series();
        let offered: BTreeSet<String> = series
            .iter()
            .map(|series| format!("| `{}` | {} |", series.name, series.help))
            .collect();
        let readme = include_str!("../README.md");
        let (_, section) = readme.split_once("## Metrics").expect("there is a section");
        let (section, _) = section.split_once("## ").expect("another one follows");
        let listed: BTreeSet<String> = section
            .lines()
            .filter(|line| line.starts_with("| `"))
            .map(str::to_owned)
            .collect();
        assert_eq!(listed, offered);
        for label in series.iter().flat_map(|series| &series.labels) {
            assert!(section.contains(&format!("`{}`", label.1)), "{label:?}");
        }
    }
}
