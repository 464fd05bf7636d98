//! The field that lists the rules found.

use flb_sidecar_sdk::msgpack::{self, Value};

use super::Rewriter;
use crate::inspect::Edit;

/// Start and end of every element of the list at `at`; of what is no list, its own.
fn elements(chunk: &[u8], at: usize) -> Option<Vec<(usize, usize)>> {
    let (value, first) = msgpack::read(chunk, at)?;
    let (len, mut next) = match value {
        Value::Array(len) => (len, first),
        _ => (1, at),
    };
    let mut all = Vec::new();
    for _ in 0..len {
        let end = msgpack::skip(chunk, next)?;
        all.push((next, end));
        next = end;
    }
    Some(all)
}

impl Rewriter {
    /// Adds the tag field to the body at `at..end`, or completes it; returns the pairs added. What the
    /// record has under that name already stays in front of the names.
    pub(super) fn tag(&mut self, chunk: &[u8], at: usize, end: usize) -> usize {
        let key = self.config.tag_key.as_bytes();
        let old = msgpack::map_get(chunk, at, key);
        // It is a part of the batch: its place is the distance of the two slices.
        let old = old.map(|old| old.as_ptr() as usize - chunk.as_ptr() as usize);
        let before = old.and_then(|old| elements(chunk, old)).unwrap_or_default();
        let is_there = |name: &str| {
            before
                .iter()
                .any(|(start, _)| match msgpack::read(chunk, *start) {
                    Some((Value::String { start, end }, _)) => {
                        &chunk[start..end] == name.as_bytes()
                    }
                    _ => false,
                })
        };
        let names = self.inspector.tags().filter(|name| !is_there(name));
        let names: Vec<String> = names.map(str::to_owned).collect();
        if names.is_empty() {
            return 0;
        }
        let new = self.inspector.arena.len();
        if old.is_none() {
            msgpack::write_bytes_as_str(&mut self.inspector.arena, key);
        }
        msgpack::write_array_len(&mut self.inspector.arena, before.len() + names.len());
        for (start, end) in &before {
            self.copy_edited(chunk, *start, *end);
        }
        for name in &names {
            msgpack::write_str(&mut self.inspector.arena, name);
        }
        let new = new..self.inspector.arena.len();
        let Some(start) = old else {
            self.edits.push(Edit {
                start: end,
                end,
                new,
            });
            return 1;
        };
        let end = msgpack::skip(chunk, start).unwrap_or(start);
        self.edits.retain(|e| e.end <= start || e.start >= end);
        let index = self.edits.partition_point(|e| e.start < start);
        self.edits.insert(index, Edit { start, end, new });
        0
    }

    /// Copies `start..end` of the batch as it reads after the edits in it.
    fn copy_edited(&mut self, chunk: &[u8], start: usize, end: usize) {
        let mut copied = start;
        let inner = self
            .edits
            .iter()
            .filter(|e| e.start >= start && e.end <= end);
        let arena = &mut self.inspector.arena;
        for edit in inner {
            arena.extend_from_slice(&chunk[copied..edit.start]);
            arena.extend_from_within(edit.new.clone());
            copied = edit.end;
        }
        arena.extend_from_slice(&chunk[copied..end]);
    }
}
