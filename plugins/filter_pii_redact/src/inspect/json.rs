//! JSON inside a string: the same inspection for its keys, strings and numbers, with edits that
//! leave everything else as it is. What is nested too deeply is inspected as the text that it is.

use std::borrow::Cow;

use flb_sidecar_sdk::depth::MAX_WALK;

use super::{Edit, Flow, Inspector};
use crate::options::KeyRule;
use crate::text::{self, View};

/// What a string counts for, and each byte of one that is decoded.
const STRING: usize = 48;
const DECODED: usize = 4;

/// Where in JSON a value is.
#[derive(Clone, Copy)]
pub(super) struct Within<'a> {
    /// The whole text, which is valid JSON.
    text: &'a [u8],
    /// Name of the field that the text is the value of.
    key: &'a [u8],
    /// Encodings that were taken off so far.
    depth: usize,
    /// Containers around the value.
    level: usize,
}

impl<'a> Within<'a> {
    pub(super) fn new(text: &'a [u8], key: &'a [u8], depth: usize) -> Self {
        Within {
            text,
            key,
            depth,
            level: 0,
        }
    }

    fn inner(self) -> Self {
        Within {
            level: self.level + 1,
            ..self
        }
    }
}

impl Inspector {
    /// Collects the edits of the JSON value at `at`, the value of the member `name`; returns where
    /// it ends.
    pub(super) fn inspect_json(
        &mut self,
        within: Within<'_>,
        at: usize,
        name: &[u8],
        edits: &mut Vec<Edit>,
    ) -> (usize, Flow) {
        let Within { text, depth, .. } = within;
        let name = if name.is_empty() { within.key } else { name };
        let at = skip_blanks(text, at);
        match text.get(at) {
            Some(b'{' | b'[') if within.level == MAX_WALK => {
                let end = value_end(text, at);
                (end, self.inspect_too_deep(text, (at, end), name, edits))
            }
            Some(b'{') => self.inspect_json_object(within.inner(), at, edits),
            Some(b'[') => {
                let mut flow = Flow::default();
                let mut at = skip_blanks(text, at + 1);
                while at < text.len() && text[at] != b']' {
                    let (end, inner) = self.inspect_json(within.inner(), at, name, edits);
                    flow = flow.and(inner);
                    at = skip_blanks(text, end.max(at + 1));
                    if text.get(at) == Some(&b',') {
                        at = skip_blanks(text, at + 1);
                    }
                }
                (at + 1, flow)
            }
            Some(b'"') => {
                let end = string_end(text, at);
                let flow = self.inspect_json_string(text, (at + 1, end - 1), name, depth, edits);
                (end, flow)
            }
            Some(_) => {
                let end = scalar_end(text, at);
                let token = &text[at..end];
                let digits = without_fraction(token);
                let mut flow = Flow::default();
                if token.len() >= 4 && digits.iter().all(u8::is_ascii_digit) {
                    let mut own = Vec::new();
                    flow = self.inspect_number(digits, name, true, &mut own);
                    edits.extend(own.into_iter().map(|e| Edit {
                        start: e.start + at,
                        end,
                        new: e.new,
                    }));
                }
                (end, flow)
            }
            None => (text.len(), Flow::default()),
        }
    }

    /// Collects the edits of JSON at `start..end` that is nested too deeply to go into.
    fn inspect_too_deep(
        &mut self,
        text: &[u8],
        (start, end): (usize, usize),
        name: &[u8],
        edits: &mut Vec<Edit>,
    ) -> Flow {
        self.count_deep();
        let mut own = Vec::new();
        let flow = self.inspect_plain(&text[start..end], name, &mut own);
        edits.extend(own.into_iter().map(|edit| Edit {
            start: start + edit.start,
            end: start + edit.end,
            new: edit.new,
        }));
        flow
    }

    /// The object at `at`, which `within` counts.
    fn inspect_json_object(
        &mut self,
        within: Within<'_>,
        at: usize,
        edits: &mut Vec<Edit>,
    ) -> (usize, Flow) {
        let Within { text, depth, .. } = within;
        let mut flow = Flow::default();
        let mut at = skip_blanks(text, at + 1);
        // Where the last member that stays ends, and where one that goes starts if none stays yet.
        let mut kept: Option<usize> = None;
        let mut removed: Option<(usize, usize)> = None;
        while at < text.len() && text[at] == b'"' {
            let member = at;
            let mark = edits.len();
            if let Some((start, _)) = removed.take() {
                self.push_removal(start, member, edits);
            }
            let mark = mark.max(edits.len());
            let key_end = string_end(text, at);
            let name = &text[at + 1..key_end - 1];
            let name = match memchr::memchr(b'\\', name) {
                Some(_) => Cow::Owned(View::decode_json(name).text),
                None => Cow::Borrowed(name),
            };
            let colon = skip_blanks(text, key_end);
            let value = skip_blanks(text, colon + 1);
            let (end, inner) = match self.key_rule_for(&name) {
                Some(KeyRule::Remove) => {
                    let acts = self.count_removed_key();
                    let remove = Flow {
                        remove: acts,
                        drop: false,
                    };
                    (value_end(text, value), remove)
                }
                Some(KeyRule::Redact) => {
                    let end = value_end(text, value);
                    (end, self.redact_json(text, (value, end), edits))
                }
                None => {
                    let span = (at + 1, key_end - 1);
                    let before = edits.len();
                    let of_key = self.inspect_json_string(text, span, b"", depth, edits);
                    let new = self.new_name(text, span, &edits[before..]);
                    let name = new.as_deref().unwrap_or(&name);
                    let (end, inner) = self.inspect_json(within, value, name, edits);
                    (end, inner.and(of_key))
                }
            };
            flow.drop |= inner.drop;
            if inner.remove {
                edits.truncate(mark);
                match kept {
                    Some(previous) => self.push_removal(previous, end, edits),
                    None => removed = Some((member, end)),
                }
            }
            if !inner.remove || kept.is_some() {
                kept = Some(end);
            }
            at = skip_blanks(text, end.max(at + 1));
            if text.get(at) == Some(&b',') {
                at = skip_blanks(text, at + 1);
            }
        }
        if let Some((start, end)) = removed {
            self.push_removal(start, end, edits);
        }
        (at + 1, flow)
    }

    /// Applies the action for keys to the value at `start..end`, as to the same value of a record:
    /// what is kept of it is part of the value, not of the way it is written.
    fn redact_json(
        &mut self,
        text: &[u8],
        (start, end): (usize, usize),
        edits: &mut Vec<Edit>,
    ) -> Flow {
        let written = &text[start..end];
        let value = match written {
            b"null" => return Flow::default(),
            [b'"', inner @ .., b'"'] => Some(View::decode_json(inner).text),
            digits if digits.iter().all(u8::is_ascii_digit) => Some(digits.to_vec()),
            _ => None,
        };
        let mut own = Vec::new();
        let flow = self.redact_whole(value.as_deref(), (start, end), &mut own);
        for edit in own {
            let plain = self.arena[edit.new].to_vec();
            let new = self.arena.len();
            self.arena.push(b'"');
            text::escape_json(&plain, &mut self.arena);
            self.arena.push(b'"');
            edits.push(Edit {
                start,
                end,
                new: new..self.arena.len(),
            });
        }
        flow
    }

    /// The name that the member whose name is at `span` has got by the edits.
    fn new_name(&self, text: &[u8], span: (usize, usize), edits: &[Edit]) -> Option<Vec<u8>> {
        if edits.is_empty() {
            return None;
        }
        let mut name = Vec::new();
        let mut at = span.0;
        for edit in edits {
            name.extend_from_slice(text.get(at..edit.start)?);
            name.extend_from_slice(&self.arena[edit.new.clone()]);
            at = edit.end;
        }
        name.extend_from_slice(text.get(at..span.1)?);
        Some(View::decode_json(&name).text)
    }

    fn push_removal(&self, start: usize, end: usize, edits: &mut Vec<Edit>) {
        let here = self.arena.len();
        edits.push(Edit {
            start,
            end,
            new: here..here,
        });
    }

    /// Collects the edits of the inside of a JSON string.
    fn inspect_json_string(
        &mut self,
        text: &[u8],
        (start, end): (usize, usize),
        key: &[u8],
        depth: usize,
        edits: &mut Vec<Edit>,
    ) -> Flow {
        let inner = &text[start..end];
        let mark = edits.len();
        self.finder.budget.look(STRING);
        if memchr::memchr(b'\\', inner).is_none() {
            let flow = self.inspect(inner, key, depth + 1, edits);
            for edit in &mut edits[mark..] {
                edit.start += start;
                edit.end += start;
            }
            return flow;
        }
        self.finder.budget.look(DECODED * inner.len());
        let mut view = self.decoded.pop().unwrap_or_default();
        view.become_json(inner);
        let flow = self.inspect(&view.text, key, depth + 1, edits);
        for edit in &mut edits[mark..] {
            let (from, to) = view.source_of(edit.start, edit.end);
            (edit.start, edit.end) = (start + from, start + to);
            let plain = self.arena[edit.new.clone()].to_vec();
            let new = self.arena.len();
            text::escape_json(&plain, &mut self.arena);
            edit.new = new..self.arena.len();
        }
        self.decoded.push(view);
        flow
    }
}

/// Whether the whole text, without blanks around it, is a JSON object or array.
pub(super) fn is_json(text: &[u8]) -> bool {
    matches!(
        (text.first(), text.last()),
        (Some(b'{'), Some(b'}')) | (Some(b'['), Some(b']'))
    ) && serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok()
}

/// Drops the items that are not inside one string of a JSON text. They are in ascending order.
pub(super) fn retain_in_strings<T>(
    text: &[u8],
    items: &mut Vec<T>,
    span: impl Fn(&T) -> (usize, usize),
) {
    let mut string = (0, 0);
    let mut at = 0;
    items.sort_unstable_by_key(&span);
    items.retain(|item| {
        let (start, end) = span(item);
        while string.1 < end {
            let Some(next) = text.get(at..).and_then(|rest| memchr::memchr(b'"', rest)) else {
                return false;
            };
            string = (at + next + 1, string_end(text, at + next) - 1);
            at = string.1 + 1;
        }
        let slashes = text[string.0.min(start)..start].iter().rev();
        let escaped = slashes.take_while(|b| **b == b'\\').count() % 2 == 1;
        string.0 <= start && !escaped
    });
}

/// A number without a fraction of zeros.
fn without_fraction(token: &[u8]) -> &[u8] {
    let whole = token.iter().rposition(|b| *b != b'0').map(|n| &token[..n]);
    match whole {
        Some(whole) if token[whole.len()] == b'.' && whole.len() + 1 < token.len() => whole,
        _ => token,
    }
}

fn skip_blanks(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    at + rest.iter().take_while(|b| b.is_ascii_whitespace()).count()
}

/// End of the JSON string at `at`, behind its closing quote.
fn string_end(text: &[u8], at: usize) -> usize {
    let mut position = at + 1;
    while let Some(offset) = text
        .get(position..)
        .and_then(|rest| memchr::memchr2(b'"', b'\\', rest))
    {
        position += offset;
        if text[position] == b'"' {
            return position + 1;
        }
        position += 2;
    }
    text.len()
}

fn scalar_end(text: &[u8], at: usize) -> usize {
    let stop = |b: &u8| matches!(b, b',' | b'}' | b']') || b.is_ascii_whitespace();
    text[at..]
        .iter()
        .position(stop)
        .map_or(text.len(), |n| at + n)
}

/// End of the JSON value at `at`.
fn value_end(text: &[u8], at: usize) -> usize {
    let mut depth = 0usize;
    let mut position = at;
    while let Some(byte) = text.get(position) {
        match byte {
            b'"' => position = string_end(text, position),
            b'{' | b'[' => {
                depth += 1;
                position += 1;
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                position += 1;
            }
            _ if depth == 0 => return scalar_end(text, position),
            _ => position += 1,
        }
        if depth == 0 {
            return position;
        }
    }
    text.len()
}
