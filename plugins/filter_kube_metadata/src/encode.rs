//! The metadata as msgpack, encoded once and then copied behind each record's own fields.

use std::collections::HashSet;
use std::time::SystemTime;

use flb_sidecar_sdk::msgpack::{write_bytes_as_str, write_map_len, write_str};
use flb_sidecar_sdk::{ConfigError, Settings};
use glob::Pattern;
use memchr::memmem::Finder;

use crate::pod::Pod;
use crate::podinfo::Pairs;
use crate::workload::Workload;

/// Which parts of the pod go into records.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    /// When the filter started.
    start: SystemTime,
    labels: bool,
    annotations: bool,
    owner_references: bool,
    namespace_labels: bool,
    namespace_annotations: bool,
    namespace_only: bool,
    label_keys: Keys,
    annotation_keys: Keys,
    dedot: bool,
    host_ip: bool,
    service_account: bool,
    workload: bool,
    add: Vec<(String, String)>,
    names: Vec<Finder<'static>>,
}

/// Which keys of a map are taken.
#[derive(Clone, Debug, Default)]
struct Keys {
    include: Vec<Pattern>,
    exclude: Vec<Pattern>,
}

impl Keys {
    fn new(settings: &Settings, include: &str, exclude: &str) -> Result<Self, ConfigError> {
        let patterns = |option: &str| -> Result<Vec<Pattern>, ConfigError> {
            settings
                .list(option)
                .into_iter()
                .map(|text| {
                    Pattern::new(text).map_err(|_| {
                        ConfigError::value(option, text, "keys, with * and ? as in file names")
                    })
                })
                .collect()
        };
        Ok(Keys {
            include: patterns(include)?,
            exclude: patterns(exclude)?,
        })
    }

    fn take(&self, key: &[u8]) -> bool {
        if self.include.is_empty() && self.exclude.is_empty() {
            return true;
        }
        let key = String::from_utf8_lossy(key);
        let any = |patterns: &[Pattern]| patterns.iter().any(|p| p.matches(&key));
        (self.include.is_empty() || any(&self.include)) && !any(&self.exclude)
    }
}

impl Content {
    /// Reads the options.
    ///
    /// # Errors
    /// A pattern, an `extra_fields` item or an `add` that is none.
    pub(crate) fn new(settings: &Settings) -> Result<Self, ConfigError> {
        let mut content = Content {
            labels: settings.boolean("labels"),
            annotations: settings.boolean("annotations"),
            owner_references: settings.boolean("owner_references"),
            namespace_labels: settings.boolean("namespace_labels"),
            namespace_annotations: settings.boolean("namespace_annotations"),
            namespace_only: settings.boolean("namespace_metadata_only"),
            label_keys: Keys::new(settings, "labels_include", "labels_exclude")?,
            annotation_keys: Keys::new(settings, "annotations_include", "annotations_exclude")?,
            dedot: settings.boolean("dedot"),
            start: SystemTime::now(),
            host_ip: false,
            service_account: false,
            workload: false,
            add: Vec::new(),
            names: Vec::new(),
        };
        for item in settings.list("extra_fields") {
            match item {
                "host_ip" => content.host_ip = true,
                "service_account" => content.service_account = true,
                "workload" => content.workload = true,
                other => {
                    let allowed = "host_ip, service_account, workload";
                    return Err(ConfigError::value("extra_fields", other, allowed));
                }
            }
        }
        for text in settings.all("add") {
            let (key, value) = text.trim().split_once(char::is_whitespace).ok_or_else(|| {
                ConfigError::value("add", text, "a key and a value with a blank between them")
            })?;
            content.add.push((key.to_owned(), value.trim().to_owned()));
        }
        // `kubernetes_namespace` starts with `kubernetes`: one search finds both.
        let names = content.add.iter().map(|(key, _)| key.as_bytes());
        content.names = std::iter::once(&b"kubernetes"[..])
            .chain(names)
            .map(|name| Finder::new(name).into_owned())
            .collect();
        Ok(content)
    }

    /// The bytes may hold the name of a field that records get.
    pub(crate) fn may_be_in(&self, bytes: &[u8]) -> bool {
        self.names.iter().any(|name| name.find(bytes).is_some())
    }

    /// The namespace object is asked for.
    pub(crate) fn needs_namespace(&self) -> bool {
        self.namespace_labels || self.namespace_annotations
    }
}

/// What is added to a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Encoded {
    /// Each added field.
    pub(crate) fields: Vec<Field>,
    /// Keys and values of all of them in a row, msgpack.
    pub(crate) suffix: Vec<u8>,
}

/// One top-level field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    /// Its key.
    pub(crate) name: String,
    /// Its value, msgpack.
    pub(crate) value: Vec<u8>,
}

impl Encoded {
    /// The fields for records of `container`. Empty when nothing is known.
    pub(crate) fn new(pod: &Pod, container: Option<&[u8]>, content: &Content) -> Encoded {
        let mut encoded = Encoded::default();
        if !content.namespace_only {
            encoded.push_map("kubernetes", kubernetes(pod, container, content));
        }
        if content.needs_namespace() {
            encoded.push_map("kubernetes_namespace", kubernetes_namespace(pod, content));
        }
        for (key, text) in &content.add {
            let mut value = Vec::new();
            write_str(&mut value, text);
            encoded.push(key, value);
        }
        encoded
    }

    fn push_map(&mut self, name: &str, map: MapWriter) {
        if map.len > 0 {
            self.push(name, map.finish());
        }
    }

    fn push(&mut self, name: &str, value: Vec<u8>) {
        write_str(&mut self.suffix, name);
        self.suffix.extend_from_slice(&value);
        self.fields.push(Field {
            name: name.to_owned(),
            value,
        });
    }
}

/// Keys in the order of Fluent Bit's `kubernetes` filter, then those it does not have.
fn kubernetes(pod: &Pod, container: Option<&[u8]>, content: &Content) -> MapWriter {
    let mut map = MapWriter::default();
    map.text("pod_name", pod.name.as_deref());
    map.text("namespace_name", pod.namespace.as_deref());
    map.text("pod_id", pod.uid.as_deref());
    if content.labels {
        map.pairs(
            "labels",
            pod.labels.as_ref(),
            &content.label_keys,
            content.dedot,
        );
    }
    if content.annotations {
        let keys = &content.annotation_keys;
        map.pairs("annotations", pod.annotations.as_ref(), keys, content.dedot);
    }
    if let (true, Some(references)) = (content.owner_references, &pod.owner_references) {
        map.key("ownerReferences");
        map.body.extend_from_slice(references);
    }
    map.text("host", pod.host.as_deref());
    map.text("pod_ip", pod.ip.as_deref());
    if let Some(name) = container {
        map.bytes("container_name", name);
        let status = pod.containers.iter().find(|c| c.name.as_bytes() == name);
        if let Some(status) = status {
            map.text("docker_id", status.docker_id.as_deref());
            map.text("container_hash", status.hash.as_deref());
            map.text("container_image", status.image.as_deref());
        }
    }
    if content.host_ip {
        map.text("host_ip", pod.host_ip.as_deref());
    }
    if content.service_account {
        map.text("service_account", pod.service_account.as_deref());
    }
    if content.workload {
        let workload = Workload::of(pod, content.start);
        map.text("deployment_name", workload.deployment.as_deref());
        map.text("statefulset_name", workload.statefulset.as_deref());
        map.text("job_name", workload.job.as_deref());
        map.text("cronjob_name", workload.cronjob.as_deref());
    }
    map
}

fn kubernetes_namespace(pod: &Pod, content: &Content) -> MapWriter {
    let mut map = MapWriter::default();
    let all = Keys::default();
    map.text("name", pod.namespace.as_deref());
    if content.namespace_labels {
        map.pairs("labels", pod.namespace_labels.as_ref(), &all, content.dedot);
    }
    if content.namespace_annotations {
        let pairs = pod.namespace_annotations.as_ref();
        map.pairs("annotations", pairs, &all, content.dedot);
    }
    map
}

/// A map whose length is known at the end.
#[derive(Debug, Default)]
struct MapWriter {
    len: usize,
    body: Vec<u8>,
}

impl MapWriter {
    fn key(&mut self, key: &str) {
        self.len += 1;
        write_str(&mut self.body, key);
    }

    fn text(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.bytes(key, value.as_bytes());
        }
    }

    fn bytes(&mut self, key: &str, value: &[u8]) {
        self.key(key);
        write_bytes_as_str(&mut self.body, value);
    }

    /// A map of texts. With `dedot` dots in keys become underscores; of keys that become the same
    /// the first stays. A map of which nothing is taken is left out.
    fn pairs(&mut self, key: &str, pairs: Option<&Pairs>, keys: &Keys, dedot: bool) {
        let Some(pairs) = pairs else {
            return;
        };
        let mut seen = HashSet::new();
        let mut taken: Vec<(Vec<u8>, &[u8])> = Vec::new();
        for (key, value) in pairs.iter().filter(|(key, _)| keys.take(key)) {
            let mut key = key.clone();
            if dedot {
                for byte in &mut key {
                    if *byte == b'.' {
                        *byte = b'_';
                    }
                }
                if !seen.insert(key.clone()) {
                    continue;
                }
            }
            taken.push((key, value));
        }
        if taken.is_empty() && !pairs.is_empty() {
            return;
        }
        self.key(key);
        write_map_len(&mut self.body, taken.len());
        for (key, value) in taken {
            write_bytes_as_str(&mut self.body, &key);
            write_bytes_as_str(&mut self.body, value);
        }
    }

    fn finish(self) -> Vec<u8> {
        let mut map = Vec::with_capacity(self.body.len() + 5);
        write_map_len(&mut map, self.len);
        map.extend_from_slice(&self.body);
        map
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flb_sidecar_sdk::json;

    #[test]
    fn dedotted_keys_are_unique() {
        let pairs: Pairs = [("a.b", "1"), ("a_b", "2"), ("a.b.c/d", "3")]
            .map(|(k, v)| (k.as_bytes().to_vec(), v.as_bytes().to_vec()))
            .into();
        let mut map = MapWriter::default();
        map.pairs("labels", Some(&pairs), &Keys::default(), true);
        let (json, _) = json::read(&map.finish(), 0).unwrap();
        assert_eq!(json.to_string(), r#"{"labels":{"a_b":"1","a_b_c/d":"3"}}"#);
    }
}
