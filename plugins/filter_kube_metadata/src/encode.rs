//! The metadata as msgpack, encoded once and then copied behind each record's own fields.

use flb_sidecar_sdk::msgpack::{write_bytes_as_str, write_map_len, write_str};

use crate::pod::Pod;
use crate::podinfo::Pairs;

/// Which parts of the pod go into records.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Content {
    pub(crate) labels: bool,
    pub(crate) annotations: bool,
}

/// What is added to a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Encoded {
    /// Key and value of each added field, msgpack.
    pub(crate) fields: Vec<Field>,
    /// All of them in a row.
    pub(crate) suffix: Vec<u8>,
}

/// One top-level field: its name, and the map that is its value in msgpack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) map: Vec<u8>,
}

impl Encoded {
    /// The fields for records of `container`. Empty when nothing is known.
    pub(crate) fn new(pod: &Pod, container: Option<&[u8]>, content: Content) -> Encoded {
        let mut encoded = Encoded::default();
        encoded.push("kubernetes", kubernetes(pod, container, content));
        encoded
    }

    fn push(&mut self, name: &'static str, map: MapWriter) {
        if map.pairs == 0 {
            return;
        }
        let map = map.finish();
        write_str(&mut self.suffix, name);
        self.suffix.extend_from_slice(&map);
        self.fields.push(Field { name, map });
    }
}

/// Keys in the order of Fluent Bit's `kubernetes` filter.
fn kubernetes(pod: &Pod, container: Option<&[u8]>, content: Content) -> MapWriter {
    let mut map = MapWriter::default();
    map.text("pod_name", pod.name.as_deref());
    map.text("namespace_name", pod.namespace.as_deref());
    map.text("pod_id", pod.uid.as_deref());
    if content.labels {
        map.pairs("labels", &pod.labels);
    }
    if content.annotations {
        map.pairs("annotations", &pod.annotations);
    }
    map.text("host", pod.host.as_deref());
    map.text("pod_ip", pod.ip.as_deref());
    if let Some(container) = container {
        map.bytes("container_name", container);
    }
    map
}

/// A map whose length is known at the end.
#[derive(Debug, Default)]
struct MapWriter {
    pairs: usize,
    body: Vec<u8>,
}

impl MapWriter {
    fn text(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.bytes(key, value.as_bytes());
        }
    }

    fn bytes(&mut self, key: &str, value: &[u8]) {
        self.pairs += 1;
        write_str(&mut self.body, key);
        write_bytes_as_str(&mut self.body, value);
    }

    fn pairs(&mut self, key: &str, pairs: &Pairs) {
        if pairs.is_empty() {
            return;
        }
        self.pairs += 1;
        write_str(&mut self.body, key);
        write_map_len(&mut self.body, pairs.len());
        for (key, value) in pairs {
            write_bytes_as_str(&mut self.body, key);
            write_bytes_as_str(&mut self.body, value);
        }
    }

    fn finish(self) -> Vec<u8> {
        let mut map = Vec::with_capacity(self.body.len() + 5);
        write_map_len(&mut map, self.pairs);
        map.extend_from_slice(&self.body);
        map
    }
}
