//! Fluent Bit filter that adds this pod's own Kubernetes metadata to each record.
//!
//! A sidecar knows its pod without asking the API: from options, from the Downward API's
//! environment variables and files, and from what the container runtime mounts. The fields have
//! the names and the order of Fluent Bit's own `kubernetes` filter. They are encoded once and
//! copied behind each record's fields; records are not decoded.
#![forbid(unsafe_code)]

mod api;
mod container;
mod counters;
mod encode;
mod environment;
mod filter;
mod hints;
mod idle;
mod json;
mod merge;
mod object;
mod options;
mod packed;
mod parsers;
mod pod;
mod podinfo;
mod preload;
mod record;
mod splice;
mod stops;
mod store;
#[cfg(test)]
mod testing;
mod threads;
mod view;
mod watch;
mod workload;
mod writer;

pub use environment::{Environment, Process};
pub use filter::KubeMetadata;
