//! The filter: keeps what is known encoded, and adds it to record after record.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use flb_sidecar_sdk::event::{records, Record, RecordKind};
use flb_sidecar_sdk::metrics::Metric;
use flb_sidecar_sdk::msgpack::{map_get, read, Value};
use flb_sidecar_sdk::{
    Chunk, ConfigError, Filter, FilterHost, Parser, Parsers, PluginInfo, Settings, Verdict,
};
use tracing::{error, info, warn};

use crate::api::{Api, ApiOptions};
use crate::container::Template;
use crate::encode::{Content, Encoded};
use crate::environment::{read_file, Environment, Process};
use crate::hints::{Allowed, Hints, Stream};
use crate::json::write_len;
use crate::merge::MergeLog;
use crate::pod::Pod;
use crate::record::{stream, write_header};
use crate::splice::{splice, splice_pairs, Spliced};
use crate::store::{Source, Store};
use crate::threads::Threads;
use crate::watch::{self, Watch};
use crate::{idle, object, options};

/// Containers whose fields are kept encoded; a pod has far fewer.
const MAX_VIEWS: usize = 256;

/// The filter `kube_metadata`.
pub struct KubeMetadata {
    content: Content,
    names: Names,
    allowed: Allowed,
    default_stream: Stream,
    merge: Option<MergeLog>,
    merge_parser: Option<Box<dyn Parser>>,
    /// The fields of a merged record, where they cannot go to the output at once.
    fields: Vec<u8>,
    parsers: HostParsers,
    store: Arc<Store>,
    current: Current,
    counters: Counters,
    _threads: Threads,
}

/// Where the container's name is found.
struct Names {
    fixed: Option<Vec<u8>>,
    tag: Option<Template>,
    path: Option<(Vec<u8>, Template)>,
}

/// What is known, in the form records need it.
struct Current {
    generation: u64,
    pod: Arc<Pod>,
    views: HashMap<Option<Vec<u8>>, Arc<View>>,
    /// Log what is wrong with annotations; once for each change of them.
    tell_hints: bool,
}

/// What the records of one container get.
#[derive(Debug, Default)]
struct View {
    encoded: Encoded,
    hints: Hints,
}

/// The host's parsers, and those that annotations named.
#[derive(Default)]
struct HostParsers {
    host: Option<Box<dyn Parsers>>,
    found: HashMap<String, Option<Box<dyn Parser>>>,
}

impl HostParsers {
    fn find(&mut self, name: &str) -> Option<&mut Box<dyn Parser>> {
        if !self.found.contains_key(name) {
            let parser = self.host.as_ref().and_then(|host| host.get(name));
            self.found.insert(name.to_owned(), parser);
        }
        self.found.get_mut(name)?.as_mut()
    }
}

struct Counters {
    records: Metric,
    kept: Metric,
    excluded: Metric,
    merged: Metric,
    malformed: Metric,
    file_failures: Metric,
}

impl Counters {
    fn new(host: &dyn FilterHost) -> Self {
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
}

impl Names {
    fn new(settings: &Settings) -> Result<Self, ConfigError> {
        let given = |option| settings.string(option).filter(|text| !text.is_empty());
        let tag = given("tag_template")
            .map(|text| Template::new("tag_template", text, '.'))
            .transpose()?;
        let path = match (given("path_template"), given("path_key")) {
            (None, _) => None,
            (Some(text), Some(key)) => Some((
                key.as_bytes().to_vec(),
                Template::new("path_template", text, '/')?,
            )),
            (Some(_), None) => {
                let needed = "with path_template, the field that the input's Path_Key sets";
                return Err(ConfigError::missing("path_key", needed));
            }
        };
        Ok(Names {
            fixed: given("container_name").map(|name| name.as_bytes().to_vec()),
            tag,
            path,
        })
    }

    /// The name for a batch.
    fn of_tag<'t>(&'t self, tag: &'t [u8]) -> Option<&'t [u8]> {
        let found = self.tag.as_ref().and_then(|template| template.find(tag));
        found.or(self.fixed.as_deref())
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
        let content = Content::new(settings)?;
        let names = Names::new(settings)?;
        let default_stream = match settings.string("default_stream") {
            None | Some("") => Stream::None,
            Some("stdout") => Stream::Stdout,
            Some("stderr") => Stream::Stderr,
            Some(other) => {
                return Err(ConfigError::value(
                    "default_stream",
                    other,
                    "stdout, stderr",
                ))
            }
        };
        let parsers = HostParsers {
            host: host.parsers(),
            found: HashMap::new(),
        };
        let merge_parser = merge_parser(settings, &parsers);
        let api = ApiOptions::new(settings, content.needs_namespace())?;
        idle::tell(settings);

        let counters = Counters::new(host);
        let store = Arc::new(Store::default());
        store.set(Source::Environment, Pod::from_environment(settings, env));
        preload(settings, &store, &content);
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

        Ok(KubeMetadata {
            content,
            names,
            allowed: Allowed {
                parser: settings.boolean("k8s-logging.parser"),
                exclude: settings.boolean("k8s-logging.exclude"),
            },
            default_stream,
            merge: MergeLog::new(settings),
            merge_parser,
            fields: Vec::new(),
            parsers,
            current: Current {
                generation: store.generation(),
                pod: store.pod(),
                views: HashMap::new(),
                tell_hints: true,
            },
            store,
            counters,
            _threads: threads,
        })
    }

    /// Takes over what changed since the last batch.
    fn refresh(&mut self) {
        let generation = self.store.generation();
        if generation == self.current.generation {
            return;
        }
        let pod = self.store.pod();
        self.current.tell_hints = pod.annotations != self.current.pod.annotations;
        self.current.generation = generation;
        self.current.pod = pod;
        self.current.views.clear();
    }

    fn view(&mut self, container: Option<&[u8]>) -> Arc<View> {
        let key = container.map(<[u8]>::to_vec);
        if let Some(view) = self.current.views.get(&key) {
            return view.clone();
        }
        if self.current.views.len() >= MAX_VIEWS {
            self.current.views.clear();
        }
        let pod = self.current.pod.clone();
        let hints = pod
            .annotations
            .as_ref()
            .map_or_else(Hints::default, |annotations| {
                let tell = std::mem::take(&mut self.current.tell_hints);
                let parsers = std::cell::RefCell::new(&mut self.parsers);
                let knows = |name: &str| parsers.borrow_mut().find(name).is_some();
                Hints::read(annotations, container, self.allowed, &knows, tell)
            });
        let view = Arc::new(View {
            encoded: Encoded::new(&pod, container, &self.content),
            hints,
        });
        self.current.views.insert(key, view.clone());
        view
    }
}

fn merge_parser(settings: &Settings, parsers: &HostParsers) -> Option<Box<dyn Parser>> {
    let name = settings
        .string("merge_parser")
        .filter(|name| !name.is_empty())?;
    match &parsers.host {
        None => warn!(
            "option 'merge_parser': this host gives no access to its parsers, log is read as JSON"
        ),
        Some(host) => {
            let parser = host.get(name);
            if parser.is_none() {
                error!("parser '{name}' is not registered, log is read as JSON");
            }
            return parser;
        }
    }
    None
}

/// Reads the objects that Fluent Bit's filter would find in its preload folder.
fn preload(settings: &Settings, store: &Store, content: &Content) {
    let known = store.pod();
    let Some(folder) = settings
        .string("kube_meta_preload_cache_dir")
        .map(Path::new)
    else {
        return;
    };
    let Some(namespace) = &known.namespace else {
        warn!("the namespace is not known, so nothing is read from kube_meta_preload_cache_dir");
        return;
    };
    let read = |name: String, parse: fn(&[u8]) -> Result<Pod, serde_json::Error>| {
        let path = folder.join(name);
        let text = read_file(&path).map_err(|error| error.to_string());
        match text.and_then(|text| parse(&text).map_err(|error| error.to_string())) {
            Ok(pod) => pod,
            Err(error) => {
                warn!("{}: {error}", path.display());
                Pod::default()
            }
        }
    };
    let mut pod = Pod::default();
    if let Some(name) = &known.name {
        pod = read(format!("{namespace}_{name}.meta"), object::pod);
    }
    if content.needs_namespace() {
        pod.fill(&read(
            format!("{namespace}.namespace_meta"),
            object::namespace,
        ));
    }
    store.set(Source::Preloaded, pod);
}

fn tell(pod: &Pod) {
    if *pod == Pod::default() {
        warn!("nothing is known of the pod: no option, no Downward API environment or files, no service account");
        return;
    }
    let count = |pairs: &Option<crate::podinfo::Pairs>| pairs.as_ref().map_or(0, Vec::len);
    info!(
        "pod '{}' in namespace '{}', {} labels, {} annotations",
        pod.name.as_deref().unwrap_or("?"),
        pod.namespace.as_deref().unwrap_or("?"),
        count(&pod.labels),
        count(&pod.annotations),
    );
}

/// What became of the records of a batch.
#[derive(Default)]
struct Tally {
    added: u64,
    kept: u64,
    excluded: u64,
    merged: u64,
}

impl KubeMetadata {
    /// Writes one record; `may_have` as for [`splice`].
    fn record(
        &mut self,
        header: &[u8],
        body: &[u8],
        view: &View,
        may_have: bool,
        out: &mut Vec<u8>,
        tally: &mut Tally,
    ) {
        let mut parser = None;
        if view.hints.may_exclude() || view.hints.may_parse() {
            let stream = match stream(body) {
                Stream::None => self.default_stream,
                other => other,
            };
            if view.hints.excludes(stream) {
                tally.excluded += 1;
                return;
            }
            parser = view.hints.parser(stream);
        }
        let before = out.len();
        let parser: Option<&mut dyn Parser> = match parser {
            Some(name) => self.parsers.find(name).map(|p| &mut **p as &mut dyn Parser),
            None => self
                .merge_parser
                .as_mut()
                .map(|p| &mut **p as &mut dyn Parser),
        };
        let encoded = &view.encoded;
        let spliced = match &mut self.merge {
            // A parser may find a time, which belongs before the fields.
            Some(merge) if parser.is_some() => {
                self.fields.clear();
                match merge.merge(body, parser, &mut self.fields) {
                    Some(merged) => {
                        tally.merged += 1;
                        write_header(header, merged.time, out);
                        let may_have = may_have || self.content.may_be_in(&self.fields);
                        splice_pairs(merged.len, &self.fields, encoded, may_have, out)
                    }
                    None => {
                        out.extend_from_slice(header);
                        splice(body, encoded, may_have, out)
                    }
                }
            }
            Some(merge) => {
                out.extend_from_slice(header);
                let head = out.len();
                out.push(0);
                match merge.merge(body, None, out) {
                    Some(merged) => {
                        tally.merged += 1;
                        if may_have || self.content.may_be_in(&out[head + 1..]) {
                            self.fields.clear();
                            self.fields.extend_from_slice(&out[head + 1..]);
                            out.truncate(head);
                            splice_pairs(merged.len, &self.fields, encoded, true, out)
                        } else {
                            out.extend_from_slice(&encoded.suffix);
                            let len = merged.len + encoded.fields.len();
                            write_len(out, head, len, 0x80, 0xde).map(|()| Spliced {
                                changed: !encoded.fields.is_empty(),
                                kept: false,
                            })
                        }
                    }
                    None => {
                        out.truncate(head);
                        splice(body, encoded, may_have, out)
                    }
                }
            }
            None => {
                out.extend_from_slice(header);
                splice(body, encoded, may_have, out)
            }
        };
        match spliced {
            Some(spliced) => {
                tally.added += u64::from(spliced.changed);
                tally.kept += u64::from(spliced.kept);
            }
            None => {
                out.truncate(before);
                out.extend_from_slice(header);
                out.extend_from_slice(body);
            }
        }
    }

    /// The name in the record's path, if its path is to be looked at.
    fn name_in_path<'r>(&self, body: &'r [u8]) -> Option<&'r [u8]> {
        let (key, template) = self.names.path.as_ref()?;
        let value = map_get(body, 0, key)?;
        let (Value::String { start, end }, _) = read(value, 0)? else {
            return None;
        };
        template.find(&value[start..end])
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
        self.refresh();
        let container = self.names.of_tag(chunk.tag).map(<[u8]>::to_vec);
        let batch_view = self.view(container.as_deref());
        let idle = batch_view.encoded.fields.is_empty()
            && !batch_view.hints.may_exclude()
            && self.merge.is_none()
            && self.names.path.is_none();
        if idle {
            return Verdict::Unchanged;
        }
        let data = chunk.data;
        let may_have = self.content.may_be_in(data);
        out.reserve(data.len() + data.len() / 2 + batch_view.encoded.suffix.len() * 8);
        let mut tally = Tally::default();
        let mut in_path: Option<(Vec<u8>, Arc<View>)> = None;
        for record in records(data) {
            let Record {
                start,
                body,
                end,
                kind,
                ..
            } = match record {
                Ok(record) => record,
                Err(malformed) => {
                    self.counters.malformed.add(1);
                    out.extend_from_slice(&data[malformed.at..]);
                    break;
                }
            };
            if kind == RecordKind::Opaque {
                out.extend_from_slice(&data[start..end]);
                continue;
            }
            let (header, body) = (&data[start..body], &data[body..end]);
            let view = match self.name_in_path(body) {
                None => batch_view.clone(),
                Some(name) => match &in_path {
                    Some((last, view)) if last == name => view.clone(),
                    _ => {
                        let view = self.view(Some(name));
                        in_path = Some((name.to_vec(), view.clone()));
                        view
                    }
                },
            };
            self.record(header, body, &view, may_have, out, &mut tally);
        }
        self.counters.records.add(tally.added);
        self.counters.kept.add(tally.kept);
        self.counters.excluded.add(tally.excluded);
        self.counters.merged.add(tally.merged);
        if tally.added == 0 && tally.merged == 0 && tally.excluded == 0 {
            Verdict::Unchanged
        } else {
            Verdict::Replaced
        }
    }
}

#[cfg(test)]
#[path = "filter_tests.rs"]
mod tests;
