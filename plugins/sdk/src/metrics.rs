//! Counters and gauges of an instance.
//!
//! A plugin registers its series at initialisation and changes them from any thread; the border
//! copies the values into the host's own metrics where the generation has an interface for it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Whether a series only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeriesKind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
}

/// One registered series.
#[derive(Clone, Debug)]
pub struct Series {
    /// Counter or gauge.
    pub kind: SeriesKind,
    /// Name without the plugin's prefix, such as `lines_total`.
    pub name: &'static str,
    /// Help text.
    pub help: &'static str,
    /// Labels besides the instance's name.
    pub labels: Vec<(&'static str, String)>,
    /// The value.
    pub value: Metric,
}

/// The value of a series; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Metric(Arc<AtomicU64>);

impl Metric {
    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Sets the value (gauges).
    pub fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    /// The value.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The series of one instance; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Metrics(Arc<Mutex<Vec<Series>>>);

impl Metrics {
    /// Registers a counter. Series of one name share their label names.
    pub fn counter(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[(&'static str, &str)],
    ) -> Metric {
        self.register(SeriesKind::Counter, name, help, labels)
    }

    /// Registers a gauge.
    pub fn gauge(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[(&'static str, &str)],
    ) -> Metric {
        self.register(SeriesKind::Gauge, name, help, labels)
    }

    fn register(
        &self,
        kind: SeriesKind,
        name: &'static str,
        help: &'static str,
        labels: &[(&'static str, &str)],
    ) -> Metric {
        let value = Metric::default();
        self.lock().push(Series {
            kind,
            name,
            help,
            labels: labels.iter().map(|(k, v)| (*k, (*v).to_owned())).collect(),
            value: value.clone(),
        });
        value
    }

    /// What is registered, in order.
    pub fn series(&self) -> Vec<Series> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Series>> {
        // A push does not leave the list half-changed, so a poisoned lock is still good.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
