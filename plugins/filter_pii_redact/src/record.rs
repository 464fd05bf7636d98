//! Walks records with a candidate, collects edits, and writes the batch anew with them.

mod candidates;
mod place;
mod policy;
mod tag;

use flb_sidecar_sdk::depth;
use flb_sidecar_sdk::event::{self, Record, RecordKind};
use flb_sidecar_sdk::msgpack::{self, Value};

use crate::detect;
use crate::inspect::{Edit, Flow, Inspector};
use crate::name::{class_of_argument, class_of_name, class_of_other, is_inner, NameClass};
use crate::options::{Config, KeyRule, OnError};
use crate::path::Position;
use candidates::Candidates;

/// Passes over one string until nothing changes any more. What one pass leaves can look like
/// something new at its borders; this is how deep that can nest before it is given up, as if the
/// time were up.
const MAX_PASSES: usize = 8;

/// What a string counts for, however short it is, beyond the look at what is in it.
const STRING: usize = 48;

/// What a member of a map counts for when it is asked which of them says a name.
const MEMBER: usize = 16;

/// What became of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The output buffer holds the new batch.
    pub(crate) changed: bool,
    /// The end of the batch is not readable.
    pub(crate) malformed: bool,
    /// Records dropped by an action.
    pub(crate) dropped: u64,
    /// Values over the size limit.
    pub(crate) oversized: u64,
    /// Values nested too deeply.
    pub(crate) deep: u64,
    /// Records left when the work was up.
    pub(crate) late: u64,
    /// Bytes looked at.
    pub(crate) looked: u64,
}

/// The rewriting engine; its buffers are kept from batch to batch.
#[derive(Debug)]
pub(crate) struct Rewriter {
    config: Config,
    pub(crate) inspector: Inspector,
    edits: Vec<Edit>,
    inner: Vec<Edit>,
    text: Vec<u8>,
    next_text: Vec<u8>,
    oversized: u64,
    deep: u64,
    unfinished: u64,
    /// Everything is looked at, candidate or not.
    every: bool,
    candidates: Candidates,
}

/// The batch and what is under inspection in it.
#[derive(Clone, Copy)]
struct Place<'a> {
    chunk: &'a [u8],
    /// Name of the field; that of the array for its elements.
    key: &'a [u8],
    position: Option<&'a Position>,
    depth: usize,
}

impl Place<'_> {
    fn is_in(&self) -> bool {
        self.position.is_none_or(Position::is_in)
    }
}

/// The string or binary value at `at`.
fn string_at(chunk: &[u8], at: usize) -> Option<&[u8]> {
    match msgpack::read(chunk, at)?.0 {
        Value::String { start, end } | Value::Binary { start, end } => Some(&chunk[start..end]),
        _ => None,
    }
}

impl Rewriter {
    pub(crate) fn new(config: Config, inspector: Inspector) -> Self {
        Rewriter {
            candidates: Candidates::new(&inspector.finder),
            config,
            inspector,
            edits: Vec::new(),
            inner: Vec::new(),
            text: Vec::new(),
            next_text: Vec::new(),
            oversized: 0,
            deep: 0,
            unfinished: 0,
            every: false,
        }
    }

    /// Looks at the batch; writes the new one into `out` if it differs.
    pub(crate) fn rewrite(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Outcome {
        let mut outcome = Outcome::default();
        self.every =
            self.inspector.needs_every_record() || chunk.len() > self.config.max_value_size;
        if !self.every {
            self.candidates.start(&self.inspector.finder, chunk);
            if self.candidates.is_empty() {
                return outcome;
            }
        }
        self.oversized = 0;
        self.deep = 0;
        self.unfinished = 0;
        let time = self.config.time_budget;
        self.inspector.finder.start_batch(time);
        let mut copied = 0;
        for record in event::records(chunk) {
            if !self.every && self.candidates.is_empty() {
                break;
            }
            let Ok(record) = record else {
                outcome.malformed = true;
                break;
            };
            // What has no candidate is passed by without a look.
            let finder = &self.inspector.finder;
            finder.budget.start_record(record.end - record.start);
            let wanted = self.every
                || self.candidates.any_before(record.end)
                || self.candidates.may_be_of_file(finder, chunk, &record);
            if !wanted {
                continue;
            }
            if record.kind == RecordKind::Log {
                self.edits.clear();
                let budget = &self.inspector.finder.budget;
                budget.look(record.end - record.start);
                let mut flow = Flow::default();
                if !budget.is_spent()
                    && (self.every || self.candidates.confirm(&mut self.inspector, chunk, &record))
                {
                    flow = self.record(chunk, &record);
                }
                if self.inspector.finder.budget.is_spent() {
                    outcome.late += 1;
                    flow = self.give_up(chunk, &record);
                }
                self.write(chunk, &record, flow.drop, &mut copied, out, &mut outcome);
            }
            if !self.every {
                self.candidates.seek(chunk, record.end);
            }
        }
        self.inspector.count_rejected();
        if outcome.changed {
            out.extend_from_slice(&chunk[copied..]);
        }
        outcome.oversized = self.oversized;
        outcome.deep = self.deep + self.inspector.take_deep();
        outcome.late += self.unfinished;
        outcome.looked = self.inspector.finder.budget.looked();
        outcome
    }

    /// Whether nothing can be found in `text`, which ends at `end` of the batch and is the value of
    /// `key` or an element of it.
    fn is_clean(&mut self, place: Place<'_>, text: &[u8], end: usize) -> bool {
        !self.every
            && !class_of_name(place.key).is_secret()
            && !self
                .candidates
                .any_in(&self.inspector.finder, place.chunk, end - text.len(), end)
            && !self.inspector.finder.may_be_of_file(text)
    }

    /// Whether a further pass over `text`, the new value of `key`, cannot find anything: what is said
    /// of it now is what will be said of it in a batch.
    fn is_settled(&mut self, key: &[u8], text: &[u8]) -> bool {
        !self.every
            && !class_of_name(key).is_secret()
            && !self.inspector.finder.finds_any(text, key)
    }

    /// Writes what is there up to a record's last edit, or leaves the record out.
    fn write(
        &self,
        chunk: &[u8],
        record: &Record,
        drop: bool,
        copied: &mut usize,
        out: &mut Vec<u8>,
        outcome: &mut Outcome,
    ) {
        if drop {
            outcome.changed = true;
            outcome.dropped += 1;
            out.extend_from_slice(&chunk[*copied..record.start]);
            *copied = record.end;
            return;
        }
        for edit in &self.edits {
            outcome.changed = true;
            out.extend_from_slice(&chunk[*copied..edit.start]);
            out.extend_from_slice(&self.inspector.arena[edit.new.clone()]);
            *copied = edit.end;
        }
    }

    /// Collects the edits of a record.
    fn record(&mut self, chunk: &[u8], record: &Record) -> Flow {
        self.edits.clear();
        self.inspector.start_record();
        self.inspector.again(false);
        let root = (!self.config.scope.is_everything()).then(|| self.config.scope.root());
        let place = Place {
            chunk,
            key: b"",
            position: root.as_ref(),
            depth: 0,
        };
        match self.walk(place, record.body) {
            Some((_, flow)) => flow,
            None => Flow::default(),
        }
    }

    /// Collects the edits of the value at `at`; returns where it ends. `None`: not readable.
    fn walk(&mut self, place: Place<'_>, at: usize) -> Option<(usize, Flow)> {
        let (value, next) = msgpack::read(place.chunk, at)?;
        match value {
            Value::String { start, end } | Value::Binary { start, end } if place.is_in() => {
                let text = &place.chunk[start..end];
                Some((end, self.string(place, at, text, end)))
            }
            Value::Unsigned(n) if place.is_in() && self.config.scan_integers && n > 999 => {
                Some((next, self.integer(place, at, n, next)))
            }
            Value::Float(bits) if place.is_in() && self.config.scan_integers => {
                let flow = detect::whole(bits).map(|n| self.integer(place, at, n, next));
                Some((next, flow.unwrap_or_default()))
            }
            Value::Array(_) | Value::Map(_) if place.depth == depth::MAX_WALK => {
                let end = msgpack::skip(place.chunk, at)?;
                Some((end, self.too_deep(at, end)))
            }
            Value::Array(len) => self.array(place, next, len),
            Value::Map(pairs) => self.map(place, at, next, pairs),
            _ => Some((next, Flow::default())),
        }
    }

    fn array(&mut self, place: Place<'_>, first: usize, len: usize) -> Option<(usize, Flow)> {
        let mut flow = Flow::default();
        let mut at = first;
        let mut before: &[u8] = b"";
        for index in 0..len {
            let inner = place
                .position
                .map(|position| self.config.scope.under_index(position, index));
            if inner.as_ref().is_some_and(|inner| !inner.leads_in()) {
                at = msgpack::skip(place.chunk, at)?;
                continue;
            }
            // `["--password", "…"]`
            let argument = class_of_argument(before).is_secret();
            let element = Place {
                key: if argument {
                    &before[before
                        .iter()
                        .take_while(|b| matches!(b, b'-' | b' '))
                        .count()..]
                } else {
                    place.key
                },
                position: inner.as_ref(),
                depth: place.depth + 1,
                ..place
            };
            let (end, inner) = self.walk(element, at)?;
            flow = flow.and(inner);
            before = string_at(place.chunk, at).unwrap_or_default();
            at = end;
        }
        Some((at, flow))
    }

    /// The name that says what the value under `key` is, where that is another one: that of a member
    /// beside it (`{"name": "DB_PASSWORD", "value": "…"}`), or of the map that it is in. `beside` looks for
    /// that member.
    fn other_name<'a>(
        place: Place<'a>,
        key: &[u8],
        beside: impl FnOnce() -> Option<&'a [u8]>,
    ) -> Option<&'a [u8]> {
        let parent = class_of_name(place.key);
        // "passwords": {"bob": "..."}
        let several = parent.is_secret() && !parent.is_header() && place.key.ends_with(b"s");
        if is_inner(key) && parent.is_secret() || several && class_of_name(key) == NameClass::Plain
        {
            return Some(place.key);
        }
        if class_of_name(key) != NameClass::Indirect {
            return None;
        }
        beside().or_else(|| class_of_name(place.key).is_secret().then_some(place.key))
    }

    /// The name of a secret that a member says, of a map whose first key is at `first`.
    fn name_in<'a>(&self, chunk: &'a [u8], first: usize, pairs: usize) -> Option<&'a [u8]> {
        let mut at = first;
        for _ in 0..pairs {
            let value = msgpack::skip(chunk, at)?;
            let name = string_at(chunk, value).unwrap_or_default();
            let label = string_at(chunk, at).unwrap_or_default();
            if class_of_other(label, name).is_secret() {
                return Some(name);
            }
            let next = msgpack::skip(chunk, value)?;
            self.inspector.finder.budget.look(MEMBER + next - at);
            at = next;
        }
        None
    }

    fn map(
        &mut self,
        place: Place<'_>,
        at: usize,
        first: usize,
        pairs: usize,
    ) -> Option<(usize, Flow)> {
        let chunk = place.chunk;
        let header = self.edits.len();
        let mut left = pairs;
        let mut flow = Flow::default();
        let mut next = first;
        // Asked for once, however many members it may be of.
        let mut beside = None;
        for _ in 0..pairs {
            let pair = next;
            let mark = self.edits.len();
            let value = msgpack::skip(chunk, pair)?;
            let key = match msgpack::read(chunk, pair)?.0 {
                Value::String { start, end } | Value::Binary { start, end } => &chunk[start..end],
                _ => b"",
            };
            let inner = place
                .position
                .map(|position| self.config.scope.under_key(position, key));
            if inner.as_ref().is_some_and(|inner| !inner.leads_in()) {
                next = msgpack::skip(chunk, value)?;
                continue;
            }
            let field = Place {
                key: Self::other_name(place, key, || {
                    *beside.get_or_insert_with(|| self.name_in(chunk, first, pairs))
                })
                .unwrap_or(key),
                position: inner.as_ref(),
                depth: place.depth + 1,
                ..place
            };
            let (end, inner) = self.pair(field, pair, value)?;
            next = end;
            flow.drop |= inner.drop;
            if inner.remove {
                self.edits.truncate(mark);
                left -= 1;
                let new = self.inspector.arena.len();
                self.edits.push(Edit {
                    start: pair,
                    end,
                    new: new..new,
                });
            }
        }
        if place.depth == 0 && self.inspector.any_tagged && !self.config.tag_key.is_empty() {
            left += self.tag(chunk, at, next);
        }
        if left != pairs {
            let new = self.inspector.arena.len();
            msgpack::write_map_len(&mut self.inspector.arena, left);
            let edit = Edit {
                start: at,
                end: first,
                new: new..self.inspector.arena.len(),
            };
            self.edits.insert(header, edit);
        }
        Some((next, flow))
    }

    fn pair(&mut self, place: Place<'_>, pair: usize, value: usize) -> Option<(usize, Flow)> {
        let chunk = place.chunk;
        if place.is_in() {
            match self.inspector.key_rule_for(place.key) {
                Some(KeyRule::Remove) => {
                    let acts = self.inspector.count_removed_key();
                    let flow = Flow {
                        remove: acts,
                        drop: false,
                    };
                    return Some((msgpack::skip(chunk, value)?, flow));
                }
                Some(KeyRule::Redact) => return self.redact_value(chunk, value),
                None => {}
            }
        }
        let mut flow = Flow::default();
        let mark = self.edits.len();
        if self.config.scan_keys && place.is_in() {
            let of_key = Place { key: b"", ..place };
            flow = match msgpack::read(chunk, pair)?.0 {
                Value::Unsigned(n) if self.config.scan_integers && n > 999 => {
                    self.integer(of_key, pair, n, value)
                }
                _ if place.key.is_empty() => flow,
                _ => self.string(of_key, pair, place.key, value),
            };
        }
        let (end, inner) = match self.new_key(mark) {
            // What a further pass would be told of the value by the name that it finds.
            Some(key) => {
                let every = std::mem::replace(&mut self.every, true);
                let walked = self.walk(Place { key: &key, ..place }, value);
                self.every = every;
                walked?
            }
            None => self.walk(place, value)?,
        };
        Some((end, flow.and(inner)))
    }

    /// The name that a field has got by the first edit from `mark` on.
    fn new_key(&self, mark: usize) -> Option<Vec<u8>> {
        let new = &self.inspector.arena[self.edits.get(mark)?.new.clone()];
        match msgpack::read(new, 0)?.0 {
            Value::String { start, end } => Some(new[start..end].to_vec()),
            _ => None,
        }
    }

    /// The value of a key in `redact_key`, whatever its type.
    fn redact_value(&mut self, chunk: &[u8], at: usize) -> Option<(usize, Flow)> {
        let end = msgpack::skip(chunk, at)?;
        let digits;
        let value = match msgpack::read(chunk, at)?.0 {
            Value::Nil => return Some((end, Flow::default())),
            Value::String { start, end } => Some(&chunk[start..end]),
            Value::Unsigned(n) => {
                digits = n.to_string();
                Some(digits.as_bytes())
            }
            _ => None,
        };
        let mut edits = Vec::new();
        let flow = self.inspector.redact_whole(value, (at, end), &mut edits);
        for edit in edits {
            let text = self.inspector.arena[edit.new].to_vec();
            self.replace_bytes(at, end, &text);
        }
        Some((end, flow))
    }

    fn replace(&mut self, start: usize, end: usize, text: &str) {
        let new = self.inspector.arena.len();
        msgpack::write_str(&mut self.inspector.arena, text);
        let new = new..self.inspector.arena.len();
        self.edits.push(Edit { start, end, new });
    }

    fn replace_bytes(&mut self, start: usize, end: usize, text: &[u8]) {
        let new = self.inspector.arena.len();
        msgpack::write_bytes_as_str(&mut self.inspector.arena, text);
        let new = new..self.inspector.arena.len();
        self.edits.push(Edit { start, end, new });
    }

    /// The string `text`, which with its header is `at..end` of the batch.
    fn string(&mut self, place: Place<'_>, at: usize, text: &[u8], end: usize) -> Flow {
        if text.len() > self.config.max_value_size {
            return self.too_large(at, end);
        }
        if self.is_clean(place, text, end) {
            return Flow::default();
        }
        self.inspector.finder.budget.look(STRING);
        let mut inner = std::mem::take(&mut self.inner);
        inner.clear();
        let mut flow = self.inspector.inspect(text, place.key, 0, &mut inner);
        if !inner.is_empty() {
            self.splice(text, &inner);
            self.inspector.again(true);
            let mut stable = false;
            for _ in 1..MAX_PASSES {
                if self.inspector.finder.budget.is_spent() {
                    break;
                }
                inner.clear();
                let text = std::mem::take(&mut self.text);
                if self.is_settled(place.key, &text) {
                    stable = true;
                    self.text = text;
                    break;
                }
                flow = flow.and(self.inspector.inspect(&text, place.key, 0, &mut inner));
                stable = inner.is_empty();
                if stable {
                    self.text = text;
                    break;
                }
                self.splice(&text, &inner);
                self.next_text = text;
            }
            self.inspector.again(false);
            if self.inspector.finder.budget.is_spent() {
                // All of the record is given up.
                self.inner = inner;
                return flow;
            }
            let text = std::mem::take(&mut self.text);
            if self.config.on_error == OnError::Pass {
                self.replace_bytes(at, end, &text);
            } else if text.len() > self.config.max_value_size {
                // Placeholders made it larger: a second pass would not look at it.
                flow = flow.and(self.too_large(at, end));
            } else if !stable {
                flow = flow.and(self.unfinished(at, end));
            } else {
                self.replace_bytes(at, end, &text);
            }
            self.text = text;
        }
        self.inner = inner;
        flow
    }

    /// Writes `text` with the edits into the text buffer.
    fn splice(&mut self, text: &[u8], edits: &[Edit]) {
        let mut new = std::mem::take(&mut self.next_text);
        new.clear();
        let mut copied = 0;
        for edit in edits {
            new.extend_from_slice(&text[copied..edit.start]);
            new.extend_from_slice(&self.inspector.arena[edit.new.clone()]);
            copied = edit.end;
        }
        new.extend_from_slice(&text[copied..]);
        self.next_text = std::mem::replace(&mut self.text, new);
    }

    fn integer(&mut self, place: Place<'_>, at: usize, n: u64, end: usize) -> Flow {
        let plausible =
            detect::is_number_plausible(n, place.key) || class_of_name(place.key).is_secret();
        if !self.every && !plausible {
            return Flow::default();
        }
        let mut buffer = [0; 20];
        let digits = detect::digits_of(n, &mut buffer);
        let mut inner = std::mem::take(&mut self.inner);
        inner.clear();
        let flow = self
            .inspector
            .inspect_number(digits, place.key, false, &mut inner);
        for edit in inner.drain(..) {
            let text = self.inspector.arena[edit.new].to_vec();
            self.replace_bytes(at, end, &text);
        }
        self.inner = inner;
        flow
    }
}
