//! Helpers for tests: a filter with options, a batch of records, and what becomes of them.
#![allow(dead_code, unreachable_pub)]

pub mod adversarial;
pub mod labelled;
pub mod lines;
pub mod written;

use filter_pii_redact::PiiRedact;
use flb_sidecar_sdk::event::{self, RecordFormat, Timestamp};
use flb_sidecar_sdk::fake::FakeHost;
use flb_sidecar_sdk::{json, msgpack, Chunk, ConfigError, Filter, Settings, Verdict};
use serde_json::Value as Json;

/// A filter and its host.
pub struct Bench {
    pub filter: PiiRedact,
    pub host: FakeHost,
}

impl Bench {
    pub fn try_new<K: Into<String>, V: Into<String>>(
        options: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, ConfigError> {
        let mut host = FakeHost::default();
        let settings = Settings::new("pii_redact.0", PiiRedact::INFO.options, options)?;
        let filter = PiiRedact::init(&settings, &mut host)?;
        Ok(Bench { filter, host })
    }

    pub fn new(options: &[(&str, &str)]) -> Self {
        Self::try_new(options.iter().copied()).unwrap_or_else(|e| panic!("{e}"))
    }

    /// The batch after the filter; `None`: unchanged.
    pub fn run(&mut self, data: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        let chunk = Chunk { data, tag: b"t" };
        (self.filter.filter(chunk, &mut out) == Verdict::Replaced).then_some(out)
    }

    /// The record `{"log": text}` after the filter, its text.
    pub fn text(&mut self, text: &str) -> String {
        let data = record(|data| {
            msgpack::write_map_len(data, 1);
            msgpack::write_str(data, "log");
            msgpack::write_str(data, text);
        });
        match self.run(&data) {
            None => text.to_owned(),
            Some(out) => bodies(&out)[0]["log"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        }
    }

    /// Sum of the counters of one name, or of one rule of it.
    pub fn count(&self, name: &str, rule: &str) -> u64 {
        let series = self.host.metrics.series();
        let wanted = |s: &&flb_sidecar_sdk::metrics::Series| {
            s.name == name && (rule.is_empty() || s.labels.iter().any(|l| l.1 == rule))
        };
        series.iter().filter(wanted).map(|s| s.value.get()).sum()
    }
}

/// A batch of one record.
pub fn record(body: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut data = Vec::new();
    let time = Timestamp {
        seconds: 1_700_000_000,
        nanos: 1,
    };
    event::begin_record(&mut data, RecordFormat::WithMetadata, time);
    body(&mut data);
    data
}

/// A batch of records from their bodies.
pub fn batch(records: &[Json]) -> Vec<u8> {
    records
        .iter()
        .flat_map(|body| record(|data| json::write(data, body)))
        .collect()
}

/// The bodies of a batch.
pub fn bodies(data: &[u8]) -> Vec<Json> {
    event::records(data)
        .map(|r| {
            json::read(data, r.expect("whole records").body)
                .expect("valid msgpack")
                .0
        })
        .collect()
}

/// The digits with their Luhn check digit.
pub fn with_luhn(body: &str) -> String {
    let sum: u32 = body
        .bytes()
        .rev()
        .enumerate()
        .map(|(n, b)| {
            let digit = u32::from(b - b'0') << (1 - n % 2);
            digit / 10 + digit % 10
        })
        .sum();
    format!("{body}{}", (10 - sum % 10) % 10)
}
