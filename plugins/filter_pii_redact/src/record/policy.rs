//! What becomes of what could not be looked at: `on_error`.

use flb_sidecar_sdk::depth;
use flb_sidecar_sdk::event::{self, Record, RecordKind};
use flb_sidecar_sdk::msgpack::{self, Value};

use super::{Outcome, Rewriter};
use crate::inspect::{Flow, TOO_LARGE};
use crate::options::OnError;

/// What a value becomes that could not be looked at.
const REDACTED: &str = "[REDACTED]";

impl Rewriter {
    /// Applies the policy for what could not be looked at to a whole batch.
    pub(crate) fn recover(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Outcome {
        let mut outcome = Outcome::default();
        let mut copied = 0;
        for record in event::records(chunk) {
            let Ok(record) = record else {
                outcome.malformed = true;
                break;
            };
            if record.kind != RecordKind::Log {
                continue;
            }
            let drop = self.give_up(chunk, &record).drop;
            self.write(chunk, &record, drop, &mut copied, out, &mut outcome);
        }
        if outcome.changed {
            out.extend_from_slice(&chunk[copied..]);
        }
        outcome
    }

    /// The edits of a record that is not looked at: `on_error` decides.
    pub(super) fn give_up(&mut self, chunk: &[u8], record: &Record) -> Flow {
        self.edits.clear();
        self.inspector.start_record();
        match self.config.on_error {
            OnError::Pass => Flow::default(),
            OnError::Drop => Flow {
                remove: false,
                drop: true,
            },
            OnError::Mask => {
                self.mask_values(chunk, record.body, 0);
                Flow::default()
            }
        }
    }

    /// Replaces every string, binary and long integer below `at`, and what is nested too deeply;
    /// keys stay.
    fn mask_values(&mut self, chunk: &[u8], at: usize, depth: usize) -> Option<usize> {
        let (value, mut next) = msgpack::read(chunk, at)?;
        match value {
            Value::Array(_) | Value::Map(_) if depth == depth::MAX_WALK => {
                next = msgpack::skip(chunk, at)?;
                self.replace(at, next, REDACTED);
            }
            Value::Array(len) => {
                for _ in 0..len {
                    next = self.mask_values(chunk, next, depth + 1)?;
                }
            }
            Value::Map(pairs) => {
                for _ in 0..pairs {
                    let value = msgpack::skip(chunk, next)?;
                    next = self.mask_values(chunk, value, depth + 1)?;
                }
            }
            Value::String { start, end } if &chunk[start..end] == REDACTED.as_bytes() => {}
            Value::String { .. } | Value::Binary { .. } => self.replace(at, next, REDACTED),
            Value::Unsigned(n) if n > 9_999_999 => self.replace(at, next, REDACTED),
            _ => {}
        }
        Some(next)
    }

    /// Applies the policy to the string at `at..end` of the batch, which is over the size limit.
    pub(super) fn too_large(&mut self, at: usize, end: usize) -> Flow {
        self.oversized += 1;
        self.give_up_value(at, end, &format!("[{TOO_LARGE}]"))
    }

    /// Applies the policy to the containers at `at..end` of the batch, which are nested too deeply.
    pub(super) fn too_deep(&mut self, at: usize, end: usize) -> Flow {
        self.deep += 1;
        self.give_up_value(at, end, REDACTED)
    }

    /// Applies the policy to the string at `at..end` of the batch, which pass after pass changes.
    pub(super) fn unfinished(&mut self, at: usize, end: usize) -> Flow {
        self.unfinished += 1;
        self.give_up_value(at, end, REDACTED)
    }

    fn give_up_value(&mut self, at: usize, end: usize, text: &str) -> Flow {
        if self.config.on_error == OnError::Mask {
            self.replace(at, end, text);
        }
        Flow {
            remove: false,
            drop: self.config.on_error == OnError::Drop,
        }
    }
}
