//! The field that lists the rules found.

use flb_sidecar_sdk::msgpack::{self, Value};

use super::Rewriter;
use crate::inspect::Edit;

impl Rewriter {
    /// Adds the tag field to the body at `at..end`, or completes it; returns the pairs added.
    pub(super) fn tag(&mut self, chunk: &[u8], at: usize, end: usize) -> usize {
        let key = self.config.tag_key.as_bytes();
        let old = msgpack::map_get(chunk, at, key);
        let mut names: Vec<Vec<u8>> = Vec::new();
        if let Some(old) = old {
            let Some((Value::Array(len), mut next)) = msgpack::read(old, 0) else {
                return 0;
            };
            for _ in 0..len {
                let Some((Value::String { start, end }, _)) = msgpack::read(old, next) else {
                    return 0;
                };
                names.push(old[start..end].to_vec());
                next = end;
            }
        }
        let before = names.len();
        for name in self.inspector.tags() {
            if !names.iter().any(|n| n == name.as_bytes()) {
                names.push(name.as_bytes().to_vec());
            }
        }
        if names.len() == before {
            return 0;
        }
        let arena = &mut self.inspector.arena;
        let new = arena.len();
        if old.is_none() {
            msgpack::write_bytes_as_str(arena, key);
        }
        msgpack::write_array_len(arena, names.len());
        for name in &names {
            msgpack::write_bytes_as_str(arena, name);
        }
        let new = new..arena.len();
        match old {
            None => {
                self.edits.push(Edit {
                    start: end,
                    end,
                    new,
                });
                1
            }
            Some(old) => {
                // `old` is a part of the batch: its place is the distance of the two slices.
                let start = old.as_ptr() as usize - chunk.as_ptr() as usize;
                let end = start + old.len();
                self.edits.retain(|e| e.end <= start || e.start >= end);
                let index = self.edits.partition_point(|e| e.start < start);
                self.edits.insert(index, Edit { start, end, new });
                0
            }
        }
    }
}
