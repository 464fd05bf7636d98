//! `pii_redact`: a filter that finds personal data and secrets in every string of a record and
//! replaces them.
//!
//! The way of a batch: [`scan`] looks for bytes that could be part of something sensitive in the
//! raw msgpack; only records with such a byte are walked ([`record`]), their strings handed to
//! the detectors ([`detect`]), which verify a candidate in a small window. [`record`] then writes
//! the changed records and copies all others verbatim.
#![forbid(unsafe_code)]

mod detect;
mod record;
mod scan;

use flb_sidecar_sdk::metrics::Metric;
use flb_sidecar_sdk::{Chunk, ConfigError, Filter, FilterHost, PluginInfo, Settings, Verdict};

use record::Rewriter;

/// The filter plugin.
#[derive(Debug)]
pub struct PiiRedact {
    rewriter: Rewriter,
    malformed: Metric,
    was_malformed: bool,
}

impl Filter for PiiRedact {
    const INFO: PluginInfo = PluginInfo {
        name: "pii_redact",
        description: "Redact personal data and secrets found by validated detectors",
        options: &[],
        sensitive: true,
    };

    fn init(_settings: &Settings, host: &mut dyn FilterHost) -> Result<Self, ConfigError> {
        Ok(PiiRedact {
            rewriter: Rewriter::default(),
            malformed: host.metrics().counter(
                "malformed_chunks_total",
                "Batches whose end was no whole msgpack record and passed on as it was",
                &[],
            ),
            was_malformed: false,
        })
    }

    fn filter(&mut self, chunk: Chunk<'_>, out: &mut Vec<u8>) -> Verdict {
        let outcome = self.rewriter.rewrite(chunk.data, out);
        if outcome.malformed {
            self.malformed.add(1);
            if !self.was_malformed {
                tracing::warn!("a batch is not whole msgpack; what cannot be read passes as it is");
            }
        }
        self.was_malformed = outcome.malformed;
        if outcome.changed {
            Verdict::Replaced
        } else {
            Verdict::Unchanged
        }
    }
}
