//! Walks records with a candidate, collects edits, and writes the batch anew with them.

use flb_sidecar_sdk::event::{self, RecordKind};
use flb_sidecar_sdk::msgpack::{self, Value};

use crate::{detect, scan};

/// What became of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The output buffer holds the new batch.
    pub(crate) changed: bool,
    /// The end of the batch is not readable.
    pub(crate) malformed: bool,
}

/// Bytes `start..end` of the batch become `new` of the scratch buffer.
#[derive(Clone, Debug)]
struct Edit {
    start: usize,
    end: usize,
    new: std::ops::Range<usize>,
}

/// The rewriting engine; its buffers are kept from batch to batch.
#[derive(Debug, Default)]
pub(crate) struct Rewriter {
    edits: Vec<Edit>,
    scratch: Vec<u8>,
    text: Vec<u8>,
    found: Vec<detect::Match>,
}

impl Rewriter {
    /// Looks at the batch; writes the new one into `out` if it differs.
    pub(crate) fn rewrite(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Outcome {
        let mut outcome = Outcome::default();
        let Some(mut candidate) = scan::first_candidate(chunk, 0) else {
            return outcome;
        };
        let mut copied = 0;
        for record in event::records(chunk) {
            let Ok(record) = record else {
                outcome.malformed = true;
                break;
            };
            if record.end <= candidate {
                continue;
            }
            if record.kind == RecordKind::Log {
                self.edits.clear();
                self.scratch.clear();
                self.inspect(chunk, record.body, 0);
                for edit in &self.edits {
                    outcome.changed = true;
                    out.extend_from_slice(&chunk[copied..edit.start]);
                    out.extend_from_slice(&self.scratch[edit.new.clone()]);
                    copied = edit.end;
                }
            }
            match scan::first_candidate(chunk, record.end) {
                Some(next) => candidate = next,
                None => break,
            }
        }
        if outcome.changed {
            out.extend_from_slice(&chunk[copied..]);
        }
        outcome
    }

    /// Collects the edits of the value at `at`; returns where it ends.
    fn inspect(&mut self, chunk: &[u8], at: usize, depth: usize) -> Option<usize> {
        let (value, mut next) = msgpack::read(chunk, at)?;
        match value {
            Value::String { start, end } => {
                self.inspect_string(chunk, at, start, end);
                Some(end)
            }
            Value::Array(len) if depth < msgpack::MAX_DEPTH => {
                for _ in 0..len {
                    next = self.inspect(chunk, next, depth + 1)?;
                }
                Some(next)
            }
            Value::Map(pairs) if depth < msgpack::MAX_DEPTH => {
                for _ in 0..pairs {
                    let value = msgpack::skip(chunk, next)?;
                    next = self.inspect(chunk, value, depth + 1)?;
                }
                Some(next)
            }
            Value::Array(_) | Value::Map(_) => None,
            _ => Some(next),
        }
    }

    fn inspect_string(&mut self, chunk: &[u8], at: usize, start: usize, end: usize) {
        let text = &chunk[start..end];
        if scan::first_candidate(text, 0).is_none() {
            return;
        }
        detect::find(text, &mut self.found);
        if self.found.is_empty() {
            return;
        }
        self.text.clear();
        let mut copied = 0;
        for found in &self.found {
            self.text.extend_from_slice(&text[copied..found.start]);
            self.text.extend_from_slice(found.placeholder.as_bytes());
            copied = found.end;
        }
        self.text.extend_from_slice(&text[copied..]);
        let new = self.scratch.len();
        msgpack::write_bytes_as_str(&mut self.scratch, &self.text);
        self.edits.push(Edit {
            start: at,
            end,
            new: new..self.scratch.len(),
        });
    }
}
