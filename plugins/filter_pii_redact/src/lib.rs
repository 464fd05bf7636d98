//! `pii_redact`: a filter that finds personal data and secrets in every string of a record and
//! replaces them.
//!
//! The way of a batch: [`scan`] looks for shapes that could be something sensitive in the raw
//! msgpack; only records with such a shape are walked ([`record`]), their strings handed to the
//! detectors ([`detect`]), which verify a candidate in a small window. [`inspect`] takes encodings
//! off, resolves overlaps and applies actions; [`record`] writes the changed records and copies
//! all others verbatim.
#![forbid(unsafe_code)]

mod action;
mod allow;
mod budget;
mod catalog;
#[cfg(test)]
mod catalogue_tests;
mod checksum;
mod detect;
mod inspect;
mod keywords;
mod lexicon;
mod list;
mod name;
mod options;
mod path;
mod record;
mod rejected;
mod rules;
mod rules_file;
mod scan;
mod text;

// What tests and examples share names the crate.
#[cfg(test)]
extern crate self as filter_pii_redact;

use flb_sidecar_sdk::metrics::{Metric, Metrics};
use flb_sidecar_sdk::{Chunk, ConfigError, Filter, FilterHost, PluginInfo, Settings, Verdict};

use detect::Finder;
use inspect::Inspector;
use options::Config;
use record::{Outcome, Rewriter};

/// The filter plugin.
#[derive(Debug)]
pub struct PiiRedact {
    rewriter: Rewriter,
    rules: Vec<RuleMetrics>,
    batches: BatchMetrics,
    /// The last batch had this trouble; a lasting trouble is logged once.
    last: Outcome,
}

/// Counters of one rule.
#[derive(Debug)]
struct RuleMetrics {
    matched: Metric,
    rejected: Metric,
    allowed: Metric,
    acted: Metric,
}

/// Counters of what does not belong to a rule.
#[derive(Debug)]
struct BatchMetrics {
    malformed: Metric,
    dropped: Metric,
    oversized: Metric,
    deep: Metric,
    late: Metric,
    looked: Metric,
    panics: Metric,
}

impl BatchMetrics {
    fn new(metrics: &Metrics) -> Self {
        BatchMetrics {
            malformed: metrics.counter(
                "malformed_chunks_total",
                "Batches whose end was no whole msgpack record and passed on as it was",
                &[],
            ),
            dropped: metrics.counter(
                "dropped_records_total",
                "Records dropped by an action or by on_error",
                &[],
            ),
            oversized: metrics.counter(
                "oversized_values_total",
                "Strings over max_value_size, treated as on_error says",
                &[],
            ),
            deep: metrics.counter(
                "deep_values_total",
                "Values nested too deeply: JSON in text is inspected as text, a record's own as on_error says",
                &[],
            ),
            late: metrics.counter(
                "late_records_total",
                "Records left when time_budget or the work for a batch was used up, and strings that no number of passes finishes, treated as on_error says",
                &[],
            ),
            looked: metrics.counter(
                "looked_bytes_total",
                "Bytes looked at in batches with a candidate, each as often as it was",
                &[],
            ),
            panics: metrics.counter(
                "failed_chunks_total",
                "Batches given up after an internal error, treated as on_error says",
                &[],
            ),
        }
    }
}

impl RuleMetrics {
    fn new(metrics: &Metrics, rule: &str) -> Self {
        let counter = |name, help| metrics.counter(name, help, &[("rule", rule)]);
        RuleMetrics {
            matched: counter("matched_total", "Matches that passed their validator"),
            rejected: counter("rejected_total", "Candidates that a validator refused"),
            allowed: counter("allowed_total", "Matches that an allow-list let pass"),
            acted: counter(
                "acted_total",
                "Matches that were redacted, removed, dropped or tagged",
            ),
        }
    }
}

impl Filter for PiiRedact {
    const INFO: PluginInfo = PluginInfo {
        name: "pii_redact",
        description: "Redact personal data and secrets found by validated detectors",
        options: options::OPTIONS,
        sensitive: true,
    };

    fn init(settings: &Settings, host: &mut dyn FilterHost) -> Result<Self, ConfigError> {
        let (mut config, detect) = Config::new(settings)?;
        let finder = Finder::new(detect)
            .ok_or_else(|| ConfigError::other("the detectors' tables cannot be compiled"))?;
        let inspector = Inspector::new(&mut config, finder);
        let metrics = host.metrics();
        let rules = inspector.rules().iter();
        Ok(PiiRedact {
            rules: rules.map(|r| RuleMetrics::new(metrics, &r.name)).collect(),
            batches: BatchMetrics::new(metrics),
            rewriter: Rewriter::new(config, inspector),
            last: Outcome::default(),
        })
    }

    fn filter(&mut self, chunk: Chunk<'_>, out: &mut Vec<u8>) -> Verdict {
        let outcome = self.rewriter.rewrite(chunk.data, out);
        self.account(outcome)
    }

    fn recover(&mut self, chunk: Chunk<'_>, out: &mut Vec<u8>) -> Verdict {
        self.batches.panics.add(1);
        out.clear();
        let outcome = self.rewriter.recover(chunk.data, out);
        self.account(outcome)
    }

    fn exit(self) {
        let mut line = String::new();
        for (rule, metrics) in self.rewriter.inspector.rules().iter().zip(&self.rules) {
            let (matched, rejected) = (metrics.matched.get(), metrics.rejected.get());
            if matched + rejected > 0 {
                let (allowed, acted) = (metrics.allowed.get(), metrics.acted.get());
                line.push_str(&format!(
                    " {}={matched}/{rejected}/{allowed}/{acted}",
                    rule.name
                ));
            }
        }
        if line.is_empty() {
            line.push_str(" nothing");
        }
        tracing::info!("found, as rule=matched/rejected/allowed/acted:{line}");
    }
}

impl PiiRedact {
    /// Moves the counts of a batch to the metrics and logs troubles that are new.
    fn account(&mut self, outcome: Outcome) -> Verdict {
        let rules = &self.rules;
        self.rewriter.inspector.take_counts(|index, counts| {
            if let Some(metrics) = rules.get(index) {
                metrics.matched.add(counts.matched);
                metrics.rejected.add(counts.rejected);
                metrics.allowed.add(counts.allowed);
                metrics.acted.add(counts.acted);
            }
        });
        self.batches.malformed.add(u64::from(outcome.malformed));
        self.batches.dropped.add(outcome.dropped);
        self.batches.oversized.add(outcome.oversized);
        self.batches.deep.add(outcome.deep);
        self.batches.late.add(outcome.late);
        self.batches.looked.add(outcome.looked);
        if outcome.malformed && !self.last.malformed {
            tracing::warn!("a batch is not whole msgpack; what cannot be read passes as it is");
        }
        if outcome.oversized > 0 && self.last.oversized == 0 {
            tracing::warn!("{} values are over max_value_size", outcome.oversized);
        }
        if outcome.deep > 0 && self.last.deep == 0 {
            tracing::warn!("{} values are nested too deeply", outcome.deep);
        }
        if outcome.late > 0 && self.last.late == 0 {
            tracing::warn!("{} records or strings were left unfinished", outcome.late);
        }
        self.last = outcome;
        if outcome.changed {
            Verdict::Replaced
        } else {
            Verdict::Unchanged
        }
    }
}
