//! Fluent Bit filter that adds this pod's own Kubernetes metadata to each record.
//!
//! A sidecar knows its pod without asking the API: from options, from the Downward API's
//! environment variables and files, and from what the container runtime mounts. The fields have
//! the names and the order of Fluent Bit's own `kubernetes` filter. They are encoded once and
//! copied behind each record's fields; records are not decoded.
#![forbid(unsafe_code)]

mod encode;
mod environment;
mod options;
mod pod;
mod podinfo;
mod splice;
#[cfg(test)]
mod testing;

use std::path::{Path, PathBuf};

use flb_sidecar_sdk::event::{records, RecordKind};
use flb_sidecar_sdk::metrics::Metric;
use flb_sidecar_sdk::{Chunk, ConfigError, Filter, FilterHost, PluginInfo, Settings, Verdict};
use memchr::memmem;
use tracing::{info, warn};

use encode::{Content, Encoded};
pub use environment::{Environment, Process};
use pod::Pod;
use splice::{splice, Spliced};

/// The filter `kube_metadata`.
#[derive(Debug)]
pub struct KubeMetadata {
    encoded: Encoded,
    counters: Counters,
}

#[derive(Debug)]
struct Counters {
    records: Metric,
    kept: Metric,
    malformed: Metric,
}

impl Counters {
    fn new(host: &dyn FilterHost) -> Self {
        let metrics = host.metrics();
        Counters {
            records: metrics.counter("records_total", "Records that metadata was added to.", &[]),
            kept: metrics.counter(
                "kept_records_total",
                "Records whose own field 'kubernetes' is no map and was left as it is.",
                &[],
            ),
            malformed: metrics.counter(
                "malformed_chunks_total",
                "Batches with an unreadable rest, which was passed on as it is.",
                &[],
            ),
        }
    }
}

impl KubeMetadata {
    /// [`Filter::init`] in surroundings of the caller's choice.
    ///
    /// # Errors
    /// As [`Filter::init`].
    pub fn with_environment(
        settings: &Settings,
        host: &mut dyn FilterHost,
        env: &dyn Environment,
    ) -> Result<Self, ConfigError> {
        let mut pod = Pod::from_environment(settings, env);
        let file = |option: &str, name: &str| -> PathBuf {
            settings.string(option).map_or_else(
                || Path::new(settings.string("podinfo_path").unwrap_or_default()).join(name),
                PathBuf::from,
            )
        };
        pod.labels = read_pairs(
            env,
            &file("labels_file", "labels"),
            settings.is_set("labels_file"),
        );
        pod.annotations = read_pairs(
            env,
            &file("annotations_file", "annotations"),
            settings.is_set("annotations_file"),
        );
        let container = settings
            .string("container_name")
            .filter(|name| !name.is_empty());
        if pod.is_unknown() {
            warn!("nothing is known of the pod: no Downward API environment or files, no service account, no option");
        } else {
            info!(
                "pod '{}' in namespace '{}', {} labels, {} annotations, no API needed",
                pod.name.as_deref().unwrap_or("?"),
                pod.namespace.as_deref().unwrap_or("?"),
                pod.labels.len(),
                pod.annotations.len()
            );
        }
        let content = Content {
            labels: settings.boolean("labels"),
            annotations: settings.boolean("annotations"),
        };
        Ok(KubeMetadata {
            encoded: Encoded::new(&pod, container.map(str::as_bytes), content),
            counters: Counters::new(host),
        })
    }
}

/// A file that is absent is normal unless it was asked for.
fn read_pairs(env: &dyn Environment, path: &Path, asked_for: bool) -> podinfo::Pairs {
    let shown = path.display();
    match env.file(path) {
        Ok(text) => podinfo::parse(&text).unwrap_or_else(|malformed| {
            warn!("{shown}, line {}: {}", malformed.line, malformed.reason);
            podinfo::Pairs::new()
        }),
        Err(error) => {
            if asked_for || error.kind() != std::io::ErrorKind::NotFound {
                warn!("{shown}: {error}");
            }
            podinfo::Pairs::new()
        }
    }
}

impl Filter for KubeMetadata {
    const INFO: PluginInfo = PluginInfo {
        name: "kube_metadata",
        description: "Add this pod's Kubernetes metadata without asking the API server",
        options: options::OPTIONS,
        sensitive: false,
    };

    fn init(settings: &Settings, host: &mut dyn FilterHost) -> Result<Self, ConfigError> {
        Self::with_environment(settings, host, &Process)
    }

    fn filter(&mut self, chunk: Chunk<'_>, out: &mut Vec<u8>) -> Verdict {
        let encoded = &self.encoded;
        if encoded.fields.is_empty() {
            return Verdict::Unchanged;
        }
        let data = chunk.data;
        // Every field starts with this word: where it is nowhere, no record has one.
        let may_have = memmem::find(data, b"kubernetes").is_some();
        out.reserve(data.len() + encoded.suffix.len() * 8);
        let (mut added, mut kept) = (0, 0);
        for record in records(data) {
            let record = match record {
                Ok(record) => record,
                Err(malformed) => {
                    self.counters.malformed.add(1);
                    out.extend_from_slice(&data[malformed.at..]);
                    break;
                }
            };
            if record.kind == RecordKind::Opaque {
                out.extend_from_slice(&data[record.start..record.end]);
                continue;
            }
            let before = out.len();
            out.extend_from_slice(&data[record.start..record.body]);
            match splice(&data[record.body..record.end], encoded, may_have, out) {
                Some(Spliced::Added) => added += 1,
                Some(Spliced::Kept) => kept += 1,
                None => {
                    out.truncate(before);
                    out.extend_from_slice(&data[record.start..record.end]);
                }
            }
        }
        self.counters.records.add(added);
        self.counters.kept.add(kept);
        if added == 0 {
            Verdict::Unchanged
        } else {
            Verdict::Replaced
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flb_sidecar_sdk::Kind;

    #[test]
    fn the_readme_has_every_option_with_its_default_and_every_variable() {
        let readme = include_str!("../README.md");
        for spec in options::OPTIONS {
            let kind = match spec.kind {
                Kind::String | Kind::Prefix => "string",
                Kind::Integer => "integer",
                Kind::Boolean => "boolean",
                Kind::Size => "size",
                Kind::Time => "time",
                Kind::CommaList => "list",
                Kind::SpaceList => "words",
            };
            let default = spec
                .default
                .map_or("unset".to_owned(), |d| format!("`{d}`"));
            let row = format!("| `{}` | {kind} | {default} | ", spec.name);
            assert!(readme.contains(&row), "README lacks the row: {row}");
        }
        let rows = readme
            .lines()
            .filter(|line| line.starts_with("| `"))
            .count();
        assert_eq!(rows, options::OPTIONS.len());
        for name in pod::variables() {
            assert!(readme.contains(&format!("`{name}`")), "README lacks {name}");
        }
    }
}
