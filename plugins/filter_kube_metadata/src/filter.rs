//! The filter: from its options to what becomes of a batch.

use std::sync::Arc;

use flb_sidecar_sdk::event::{records, RecordKind};
use flb_sidecar_sdk::{Chunk, ConfigError, Filter, FilterHost, PluginInfo, Settings, Verdict};
use tracing::{info, warn};

use crate::api::{Api, ApiOptions};
use crate::container::Names;
use crate::counters::{Counters, Tally};
use crate::encode::Content;
use crate::environment::{Environment, Process};
use crate::hints::{Allowed, Stream};
use crate::merge::MergeLog;
use crate::parsers::HostParsers;
use crate::pod::Pod;
use crate::podinfo::Pairs;
use crate::preload::preload;
use crate::store::{Source, Store};
use crate::threads::Threads;
use crate::view::{View, Views};
use crate::watch::{self, Watch};
use crate::writer::Writer;
use crate::{idle, options};

/// The filter `kube_metadata`.
pub struct KubeMetadata {
    names: Names,
    parsers: HostParsers,
    store: Arc<Store>,
    views: Views,
    writer: Writer,
    counters: Counters,
    _threads: Threads,
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
        let content = Arc::new(Content::new(settings)?);
        let names = Names::new(settings)?;
        let default_stream = default_stream(settings)?;
        let parsers = HostParsers::new(settings, host.parsers());
        let api = ApiOptions::new(settings, content.needs_namespace())?;
        idle::tell(settings);

        let counters = Counters::new(host);
        let store = Arc::new(Store::default());
        store.set(Source::Environment, Pod::from_environment(settings, env));
        store.set(Source::Preloaded, preload(settings, &store.pod(), &content));
        let folder = settings.string("podinfo_path").unwrap_or_default();
        let mut watch = Watch::new(
            watch::path(settings.string("labels_file"), folder, "labels"),
            watch::path(settings.string("annotations_file"), folder, "annotations"),
            counters.file_failures.clone(),
        );
        watch.look(&store, true);
        tell(&store.pod());
        let mut threads = Threads::default();
        let watched = store.clone();
        threads.start("kube-podinfo", move |stop| watch.run(&watched, stop));
        if let Some(api) = api.and_then(|api| Api::new(&api, &store.pod(), host.metrics())) {
            threads.interrupt = Some(api.interrupt());
            let asked = store.clone();
            threads.start("kube-api", move |stop| api.run(&asked, stop));
        }

        let allowed = Allowed {
            parser: settings.boolean("k8s-logging.parser"),
            exclude: settings.boolean("k8s-logging.exclude"),
        };
        let merge = MergeLog::new(settings, &content);
        Ok(KubeMetadata {
            names,
            parsers,
            views: Views::new(content.clone(), allowed, &store),
            writer: Writer::new(content, merge, default_stream),
            store,
            counters,
            _threads: threads,
        })
    }
}

fn default_stream(settings: &Settings) -> Result<Stream, ConfigError> {
    match settings.string("default_stream") {
        None | Some("") => Ok(Stream::None),
        Some("stdout") => Ok(Stream::Stdout),
        Some("stderr") => Ok(Stream::Stderr),
        Some(other) => Err(ConfigError::value(
            "default_stream",
            other,
            "stdout, stderr",
        )),
    }
}

fn tell(pod: &Pod) {
    if *pod == Pod::default() {
        warn!("nothing is known of the pod: no option, no Downward API environment or files, no service account");
        return;
    }
    let count = |pairs: &Option<Pairs>| pairs.as_ref().map_or(0, Vec::len);
    info!(
        "pod '{}' in namespace '{}', {} labels, {} annotations",
        pod.name.as_deref().unwrap_or("?"),
        pod.namespace.as_deref().unwrap_or("?"),
        count(&pod.labels),
        count(&pod.annotations),
    );
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
        self.views.refresh(&self.store);
        let batch_name = self.names.of_tag(chunk.tag);
        let batch_view = self.views.of(batch_name, &mut self.parsers);
        if !self.names.in_paths() && !self.writer.has_work(&batch_view) {
            return Verdict::Unchanged;
        }
        let data = chunk.data;
        self.writer.begin(data, &batch_view, out);
        let mut tally = Tally::default();
        // Records of one file come in a row.
        let mut last: Option<(&[u8], Arc<View>)> = None;
        for record in records(data) {
            let record = match record {
                Ok(record) => record,
                Err(malformed) => {
                    tally.malformed = true;
                    out.extend_from_slice(&data[malformed.at..]);
                    break;
                }
            };
            if record.kind == RecordKind::Opaque {
                out.extend_from_slice(&data[record.start..record.end]);
                continue;
            }
            let header = &data[record.start..record.body];
            let body = &data[record.body..record.end];
            if let Some(path) = self.names.path(body) {
                if last.as_ref().is_none_or(|(other, _)| *other != path) {
                    let name = self.names.of_path(path).or(batch_name);
                    last = Some((path, self.views.of(name, &mut self.parsers)));
                }
            } else {
                last = None;
            }
            let view = last.as_ref().map_or(&batch_view, |(_, view)| view);
            self.writer
                .record(header, body, view, &mut self.parsers, out, &mut tally);
        }
        self.counters.add(&tally);
        if tally.changed() {
            Verdict::Replaced
        } else {
            Verdict::Unchanged
        }
    }
}

#[cfg(test)]
#[path = "filter_tests.rs"]
mod tests;
