//! What the filter counts.

use flb_sidecar_sdk::metrics::Metric;
use flb_sidecar_sdk::FilterHost;

/// The metrics.
#[derive(Debug)]
pub(crate) struct Counters {
    records: Metric,
    kept: Metric,
    excluded: Metric,
    merged: Metric,
    malformed: Metric,
    pub(crate) file_failures: Metric,
}

impl Counters {
    pub(crate) fn new(host: &dyn FilterHost) -> Self {
        let counter = |name, help| host.metrics().counter(name, help, &[]);
        Counters {
            records: counter("records_total", "Records that metadata was added to."),
            kept: counter(
                "kept_records_total",
                "Records with a field of the same name that is no map and was left as it is.",
            ),
            excluded: counter(
                "excluded_records_total",
                "Records dropped because an annotation says so.",
            ),
            merged: counter("merged_records_total", "Records whose log was merged."),
            malformed: counter(
                "malformed_chunks_total",
                "Batches with an unreadable rest, which was passed on as it is.",
            ),
            file_failures: counter(
                "file_failures_total",
                "Times a Downward API file became unusable; the last good values stay.",
            ),
        }
    }

    pub(crate) fn add(&self, tally: &Tally) {
        self.records.add(tally.added);
        self.kept.add(tally.kept);
        self.excluded.add(tally.excluded);
        self.merged.add(tally.merged);
        self.malformed.add(u64::from(tally.malformed));
    }
}

/// What became of the records of a batch.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) added: u64,
    pub(crate) kept: u64,
    pub(crate) excluded: u64,
    pub(crate) merged: u64,
    pub(crate) malformed: bool,
}

impl Tally {
    /// The batch has changed.
    pub(crate) fn changed(&self) -> bool {
        self.added + self.merged + self.excluded > 0
    }
}
