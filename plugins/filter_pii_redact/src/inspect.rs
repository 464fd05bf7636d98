//! One string: finds matches through all its encodings, resolves overlaps, applies actions.

use std::ops::Range;

use crate::action::{self, Action, HmacKey, TOKEN_DIGITS};
use crate::allow::Allow;
use crate::catalog::{Form, Id};
use crate::detect::{self, Finder, NameClass};
use crate::options::{Config, KeyRule};
use crate::path::KeyPattern;
use crate::text::{self, View};

/// A detector or a rule of the user, with what becomes of its matches.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    /// Name in the configuration and the counters.
    pub(crate) name: String,
    /// Placeholder without brackets.
    pub(crate) label: String,
    pub(crate) action: Action,
    pub(crate) form: Form,
}

/// What was counted of one rule since the counts were last taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Matches that their validator accepts.
    pub(crate) matched: u64,
    /// Candidates that it does not accept.
    pub(crate) rejected: u64,
    /// Matches that an allow-list lets pass.
    pub(crate) allowed: u64,
    /// Matches that were redacted, removed, dropped or tagged.
    pub(crate) acted: u64,
}

/// Bytes `start..end` of a text become `new` of the arena.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Edit {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) new: Range<usize>,
}

/// What an action asks of whatever holds the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flow {
    /// Remove the field.
    pub(crate) remove: bool,
    /// Drop the record.
    pub(crate) drop: bool,
}

impl Flow {
    pub(crate) fn and(self, other: Flow) -> Flow {
        Flow {
            remove: self.remove || other.remove,
            drop: self.drop || other.drop,
        }
    }
}

/// A match with the value it stands for, which differs from the text where that is encoded.
#[derive(Clone, Debug)]
struct Hit {
    start: usize,
    end: usize,
    rule: u16,
    /// The decoded value, in the arena; `None`: the text itself.
    value: Option<Range<usize>>,
}

/// Inspects texts. Edits refer to its arena, which [`Inspector::start_record`] empties.
#[derive(Debug)]
pub(crate) struct Inspector {
    pub(crate) finder: Finder,
    rules: Vec<Rule>,
    allow: Allow,
    keys: Vec<(KeyPattern, KeyRule)>,
    hmac: Option<HmacKey>,
    json_depth: usize,
    shadow: bool,
    counts: Vec<Counts>,
    /// Bit per rule that was found in this record and is to be tagged.
    tagged: Vec<bool>,
    pub(crate) any_tagged: bool,
    again: bool,
    pub(crate) arena: Vec<u8>,
    hits: Vec<Hit>,
}

impl Inspector {
    /// `None` if a fixed table does not compile.
    pub(crate) fn new(config: &mut Config, finder: Finder) -> Self {
        let rules = std::mem::take(&mut config.rules);
        Inspector {
            finder,
            counts: vec![Counts::default(); rules.len()],
            tagged: vec![false; rules.len()],
            rules,
            allow: std::mem::take(&mut config.allow),
            keys: std::mem::take(&mut config.keys),
            hmac: config.hmac.take(),
            json_depth: config.json_depth,
            shadow: config.shadow,
            any_tagged: false,
            again: false,
            arena: Vec::new(),
            hits: Vec::new(),
        }
    }

    pub(crate) fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Number of the rule for keys.
    fn key_rule(&self) -> u16 {
        (self.rules.len() - 1) as u16
    }

    /// Records must be walked even if the gate finds nothing in them.
    pub(crate) fn needs_every_record(&self) -> bool {
        !self.keys.is_empty() || !self.finder.settings().user_rules.is_empty()
    }

    /// Says whether the texts that follow were inspected before, so that what stays in them is not
    /// counted twice.
    pub(crate) fn again(&mut self, again: bool) {
        self.again = again;
    }

    /// Counts what the validators refused in the last string.
    fn count_rejected(&mut self) {
        if !self.again {
            for (counts, rejected) in self.counts.iter_mut().zip(&self.finder.rejected) {
                counts.rejected += rejected;
            }
        }
    }

    /// Forgets the edits and tags of the record before.
    pub(crate) fn start_record(&mut self) {
        self.arena.clear();
        self.tagged.fill(false);
        self.any_tagged = false;
    }

    /// Names of the rules to tag the record with.
    pub(crate) fn tags(&self) -> impl Iterator<Item = &str> {
        let tagged = self.rules.iter().zip(&self.tagged);
        tagged
            .filter(|(_, on)| **on)
            .map(|(rule, _)| rule.name.as_str())
    }

    /// The counts per rule since the last call.
    pub(crate) fn take_counts(&mut self, mut each: impl FnMut(usize, Counts)) {
        for (index, counts) in self.counts.iter_mut().enumerate() {
            if *counts != Counts::default() {
                each(index, std::mem::take(counts));
            }
        }
    }

    /// What is to be done with the value under `key`.
    pub(crate) fn key_rule_for(&self, key: &[u8]) -> Option<KeyRule> {
        self.keys
            .iter()
            .find(|(pattern, _)| pattern.matches(key))
            .map(|(_, rule)| *rule)
    }

    /// Counts a field that goes away because of its key.
    pub(crate) fn count_removed_key(&mut self) -> bool {
        let rule = self.key_rule();
        self.act(rule)
    }

    /// Applies the action for keys to a whole value; `quote` as a JSON string.
    pub(crate) fn redact_whole(
        &mut self,
        value: &[u8],
        span: (usize, usize),
        quote: bool,
        edits: &mut Vec<Edit>,
    ) -> Flow {
        if self.is_sealed_whole(value) {
            return Flow::default();
        }
        let hit = Hit {
            start: 0,
            end: value.len(),
            rule: self.key_rule(),
            value: None,
        };
        let mut own = Vec::new();
        let flow = self.apply(
            value,
            &[hit],
            if quote { Quote::Json } else { Quote::None },
            &mut own,
        );
        edits.extend(own.into_iter().map(|edit| Edit {
            start: span.0,
            end: span.1,
            new: edit.new,
        }));
        flow
    }

    /// Collects the edits of `text`, the value of the field `key`; `depth` counts the encodings
    /// that were taken off so far.
    pub(crate) fn inspect(
        &mut self,
        text: &[u8],
        key: &[u8],
        depth: usize,
        edits: &mut Vec<Edit>,
    ) -> Flow {
        let mut hits = std::mem::take(&mut self.hits);
        hits.clear();
        self.collect(text, key, &mut hits);
        let worth =
            !hits.is_empty() || !self.keys.is_empty() || memchr::memchr(b'\\', text).is_some();
        let flow = if worth && depth < self.json_depth && is_json(text) {
            self.hits = hits;
            return self.inspect_json(text, 0, b"", key, depth, edits).1;
        } else {
            self.count_rejected();
            if let Some(view) = View::decode(text) {
                self.collect_decoded(&view, key, &mut hits);
            }
            self.resolve(text, &mut hits);
            self.apply(text, &hits, Quote::Guess, edits)
        };
        self.hits = hits;
        flow
    }

    /// Collects the edit of a number that stands for itself: an integer of the record, or a JSON
    /// number (`quote`). Only a match of all digits counts.
    pub(crate) fn inspect_number(
        &mut self,
        text: &[u8],
        key: &[u8],
        quote: bool,
        edits: &mut Vec<Edit>,
    ) -> Flow {
        let mut hits = std::mem::take(&mut self.hits);
        hits.clear();
        self.collect(text, key, &mut hits);
        self.count_rejected();
        hits.retain(|hit| hit.start == 0 && hit.end == text.len());
        self.resolve(text, &mut hits);
        let quote = if quote { Quote::Json } else { Quote::None };
        let flow = self.apply(text, &hits, quote, edits);
        self.hits = hits;
        flow
    }

    fn collect(&mut self, text: &[u8], key: &[u8], hits: &mut Vec<Hit>) {
        if let Some((id, start, end)) = self.secret_under(key, text) {
            hits.push(Hit {
                start,
                end,
                rule: id as u16,
                value: None,
            });
        }
        self.finder.find(text, key);
        hits.extend(self.finder.found.iter().map(|m| Hit {
            start: m.start,
            end: m.end,
            rule: m.rule,
            value: None,
        }));
    }

    fn collect_decoded(&mut self, view: &View, key: &[u8], hits: &mut Vec<Hit>) {
        self.finder.find(&view.text, key);
        for found in &self.finder.found {
            let value = self.arena.len();
            self.arena
                .extend_from_slice(&view.text[found.start..found.end]);
            hits.push(Hit {
                start: view.source_of(found.start),
                end: view.source_of(found.end),
                rule: found.rule,
                value: Some(value..self.arena.len()),
            });
        }
    }

    /// The secret part of a value whose key says that it is one.
    fn secret_under(&self, key: &[u8], text: &[u8]) -> Option<(Id, usize, usize)> {
        if key.is_empty() || !detect::is_name_plausible(key) {
            return None;
        }
        let class = detect::class_of_name(key);
        if class == NameClass::Plain || !self.finder.settings().set.has(class.id()) {
            return None;
        }
        let (start, end) = if class == NameClass::Authorization {
            detect::credentials(text, 0, text.len())?
        } else {
            (0, text.len())
        };
        detect::is_secret_value(class, &text[start..end]).then_some((class.id(), start, end))
    }

    /// Drops what is sealed or allowed, then what overlaps a better match: leftmost, longest,
    /// rules of the user before detectors, detectors in the order of the catalogue.
    fn resolve(&mut self, text: &[u8], hits: &mut Vec<Hit>) {
        let user = Id::Secret as u16;
        let rank = |rule: u16| if rule > user { (0, rule) } else { (1, rule) };
        hits.retain(|hit| {
            if self.is_sealed(text, hit.start, hit.end) {
                return false;
            }
            let value = match &hit.value {
                Some(range) => &self.arena[range.clone()],
                None => &text[hit.start..hit.end],
            };
            let allowed = self.allow.allows(hit.rule, value);
            if allowed && !self.again {
                let counts = &mut self.counts[usize::from(hit.rule)];
                counts.matched += 1;
                counts.allowed += 1;
            }
            !allowed
        });
        hits.sort_by(|a, b| {
            a.start
                .cmp(&b.start)
                .then(b.end.cmp(&a.end))
                .then(rank(a.rule).cmp(&rank(b.rule)))
        });
        let mut end = 0;
        hits.retain(|hit| {
            let free = hit.start >= end;
            if free {
                end = hit.end;
            }
            free
        });
    }

    /// Counts an action; whether it is to be carried out.
    fn act(&mut self, rule: u16) -> bool {
        let index = usize::from(rule);
        if self.again && self.rules[index].action == Action::Tag {
            return false;
        }
        self.counts[index].matched += 1;
        if self.shadow || self.rules[index].action == Action::Tag {
            self.tagged[index] = true;
            self.any_tagged = true;
        }
        if !self.shadow {
            self.counts[index].acted += 1;
        }
        !self.shadow
    }

    fn apply(&mut self, text: &[u8], hits: &[Hit], quote: Quote, edits: &mut Vec<Edit>) -> Flow {
        let mut flow = Flow::default();
        for hit in hits {
            if !self.act(hit.rule) {
                continue;
            }
            let rule = &self.rules[usize::from(hit.rule)];
            match rule.action {
                Action::Remove => flow.remove = true,
                Action::Drop => flow.drop = true,
                action if action.rewrites() => {
                    let quote = quote.around(text, hit.start, hit.end);
                    let decoded;
                    let value = match &hit.value {
                        Some(range) => {
                            decoded = self.arena[range.clone()].to_vec();
                            &decoded[..]
                        }
                        None => &text[hit.start..hit.end],
                    };
                    let new = self.arena.len();
                    self.arena.extend_from_slice(quote);
                    let (label, key) = (&rule.label, self.hmac.as_ref());
                    action::render(action, value, label, rule.form, key, &mut self.arena);
                    self.arena.extend_from_slice(quote);
                    if self.arena[new..] == text[hit.start..hit.end] {
                        self.arena.truncate(new);
                        continue;
                    }
                    edits.push(Edit {
                        start: hit.start,
                        end: hit.end,
                        new: new..self.arena.len(),
                    });
                }
                _ => {}
            }
        }
        flow
    }

    /// Whether `start..end` lies inside a placeholder or token of an earlier pass.
    fn is_sealed(&self, text: &[u8], start: usize, end: usize) -> bool {
        const MAX: usize = 128;
        let floor = start.saturating_sub(MAX);
        let before = &text[floor..(start + 1).min(text.len())];
        let Some(open) = memchr::memrchr(b'[', before) else {
            return false;
        };
        let open = floor + open;
        let limit = text.len().min(open + MAX);
        let Some(close) = text.get(open..limit).and_then(|t| memchr::memchr(b']', t)) else {
            return false;
        };
        end <= open + close + 1 && self.is_placeholder(&text[open + 1..open + close])
    }

    fn is_sealed_whole(&self, value: &[u8]) -> bool {
        let inner = value.strip_prefix(b"[").and_then(|v| v.strip_suffix(b"]"));
        inner.is_some_and(|inner| self.is_placeholder(inner))
    }

    /// `CARD`, or `CARD:k1:` and as many hexadecimal digits as a token has.
    fn is_placeholder(&self, inner: &[u8]) -> bool {
        let mut parts = inner.split(|b| *b == b':');
        let name = parts.next().unwrap_or_default();
        let known =
            self.rules.iter().any(|r| r.label.as_bytes() == name) || name == TOO_LARGE.as_bytes();
        let token = match (parts.next(), parts.next(), parts.next()) {
            (None, ..) => true,
            (Some(_), Some(hex), None) => {
                hex.len() == TOKEN_DIGITS && hex.iter().all(u8::is_ascii_hexdigit)
            }
            _ => false,
        };
        known && token
    }

    /// Collects the edits of the JSON value at `at`; returns where it ends. `text` is valid JSON.
    fn inspect_json(
        &mut self,
        text: &[u8],
        at: usize,
        name: &[u8],
        key: &[u8],
        depth: usize,
        edits: &mut Vec<Edit>,
    ) -> (usize, Flow) {
        let name = if name.is_empty() { key } else { name };
        let at = skip_blanks(text, at);
        match text.get(at) {
            Some(b'{') => self.inspect_json_object(text, at, key, depth, edits),
            Some(b'[') => {
                let mut flow = Flow::default();
                let mut at = skip_blanks(text, at + 1);
                while at < text.len() && text[at] != b']' {
                    let (end, inner) = self.inspect_json(text, at, name, key, depth, edits);
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
                let mut flow = Flow::default();
                if token.len() >= 4 && token.iter().all(u8::is_ascii_digit) {
                    let mut own = Vec::new();
                    flow = self.inspect_number(token, name, true, &mut own);
                    edits.extend(own.into_iter().map(|e| Edit {
                        start: e.start + at,
                        end: e.end + at,
                        new: e.new,
                    }));
                }
                (end, flow)
            }
            None => (text.len(), Flow::default()),
        }
    }

    fn inspect_json_object(
        &mut self,
        text: &[u8],
        at: usize,
        key: &[u8],
        depth: usize,
        edits: &mut Vec<Edit>,
    ) -> (usize, Flow) {
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
            let name = View::decode_json(&text[at + 1..key_end - 1]).text;
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
                    let inner = if text[value] == b'"' {
                        let span = (value + 1, end - 1);
                        self.redact_whole(&text[span.0..span.1], span, false, edits)
                    } else {
                        self.redact_whole(&text[value..end], (value, end), true, edits)
                    };
                    (end, inner)
                }
                None => {
                    let span = (at + 1, key_end - 1);
                    let of_key = self.inspect_json_string(text, span, b"", depth, edits);
                    let (end, inner) = self.inspect_json(text, value, &name, key, depth, edits);
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
        let mut own = Vec::new();
        if memchr::memchr(b'\\', inner).is_none() {
            let flow = self.inspect(inner, key, depth + 1, &mut own);
            edits.extend(own.into_iter().map(|edit| Edit {
                start: start + edit.start,
                end: start + edit.end,
                new: edit.new,
            }));
            return flow;
        }
        let view = View::decode_json(inner);
        let flow = self.inspect(&view.text, key, depth + 1, &mut own);
        for edit in own {
            let from = start + view.source_of(edit.start);
            let to = start + view.source_of(edit.end);
            let plain = self.arena[edit.new].to_vec();
            let new = self.arena.len();
            text::escape_json(&plain, &mut self.arena);
            edits.push(Edit {
                start: from,
                end: to,
                new: new..self.arena.len(),
            });
        }
        flow
    }
}

/// What a value over the size limit becomes.
pub(crate) const TOO_LARGE: &str = "TOO_LARGE";

/// Whether what replaces a number must become a JSON string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quote {
    None,
    Json,
    /// If the number is the value of a JSON member inside other text.
    Guess,
}

impl Quote {
    fn around(self, text: &[u8], start: usize, end: usize) -> &'static [u8] {
        match self {
            Quote::None => b"",
            Quote::Json => b"\"",
            Quote::Guess => guess_quote(text, start, end),
        }
    }
}

/// `…"card": 4012888888881881, …`: the quote that the key has, if the match is a bare number.
fn guess_quote(text: &[u8], start: usize, end: usize) -> &'static [u8] {
    if !text[start..end].iter().all(u8::is_ascii_digit) {
        return b"";
    }
    let before = text[..start].trim_ascii_end();
    let Some(key) = before.strip_suffix(b":").map(<[u8]>::trim_ascii_end) else {
        return b"";
    };
    let next = text[end..]
        .iter()
        .take(8)
        .find(|b| !b.is_ascii_whitespace());
    if !matches!(next, Some(b',' | b'}' | b']')) {
        return b"";
    }
    if key.ends_with(b"\\\"") {
        b"\\\""
    } else if key.ends_with(b"\"") {
        b"\""
    } else {
        b""
    }
}

fn is_json(text: &[u8]) -> bool {
    let trimmed = text.trim_ascii();
    let (Some(first), Some(last)) = (trimmed.first(), trimmed.last()) else {
        return false;
    };
    matches!((first, last), (b'{', b'}') | (b'[', b']'))
        && serde_json::from_slice::<serde::de::IgnoredAny>(trimmed).is_ok()
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
