//! One string: finds matches through all its encodings, resolves overlaps, applies actions.

mod json;
mod quote;
mod sealed;

use std::ops::Range;

use crate::action::{self, Action, HmacKey};
use crate::allow::Allow;
use crate::catalog::{Form, Id};
use crate::detect::{self, Finder, Part};
use crate::name::{class_of_name, NameClass};
use crate::options::{Config, KeyRule};
use crate::path::KeyPattern;
use crate::text::{View, Views};

use quote::Quote;
pub(crate) use sealed::TOO_LARGE;

/// What a match counts for: it is compared with others and written anew.
const HIT: usize = 128;

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

/// What a byte counts for when it is asked whether a text is JSON.
const PARSED: usize = 2;

/// What it counts for each view to tell where in the text a match is.
const MAPPED: usize = 16;

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
    deep: u64,
    pub(crate) arena: Vec<u8>,
    hits: Vec<Hit>,
    /// Decoded strings of JSON that are not in use, kept for their buffers.
    decoded: Vec<View>,
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
            deep: 0,
            arena: Vec::new(),
            hits: Vec::new(),
            decoded: Vec::new(),
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
        !self.keys.is_empty() || self.finder.settings().tried_rules() > 0
    }

    /// Says whether the texts that follow were inspected before, so that what stays in them is not
    /// counted twice.
    pub(crate) fn again(&mut self, again: bool) {
        self.again = again;
    }

    /// Counts what the validators refused in the last string.
    pub(crate) fn count_rejected(&mut self) {
        let (counts, again) = (&mut self.counts, self.again);
        self.finder.rejected.take(|rule, rejected| {
            // The rule for keys has no candidates, and stands last.
            if let Some(counts) = counts.get_mut(rule).filter(|_| !again) {
                counts.rejected += rejected;
            }
        });
    }

    /// Counts JSON that is nested too deeply to be taken apart.
    fn count_deep(&mut self) {
        if !self.again {
            self.deep += 1;
        }
    }

    /// How often that was, since the last call.
    pub(crate) fn take_deep(&mut self) -> u64 {
        std::mem::take(&mut self.deep)
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

    /// Applies the action for keys to a whole value; `None`: what is neither text nor a number without
    /// a sign, and so has nothing that could be kept.
    pub(crate) fn redact_whole(
        &mut self,
        value: Option<&[u8]>,
        span: (usize, usize),
        edits: &mut Vec<Edit>,
    ) -> Flow {
        let text = value.unwrap_or_default();
        if self.is_sealed_whole(text) {
            return Flow::default();
        }
        // It is not what the text is, so that stars in its place are a change.
        let stand_in = value.is_none().then(|| {
            let start = self.arena.len();
            self.arena.extend_from_slice(b"****");
            start..self.arena.len()
        });
        let hit = Hit {
            start: 0,
            end: text.len(),
            rule: self.key_rule(),
            value: stand_in,
        };
        let mut own = Vec::new();
        let flow = self.apply(text, &[hit], Quote::None, &mut own);
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
        if self.finder.budget.is_spent() {
            // All of the record is given up.
            return Flow::default();
        }
        let mut hits = std::mem::take(&mut self.hits);
        hits.clear();
        let deep = depth < self.json_depth;
        // Of what is taken apart in any case, only that counts here which is not told by one member.
        let apart = deep && (!self.keys.is_empty() || memchr::memchr(b'\\', text).is_some());
        let apart = apart && self.is_json(text);
        self.collect(
            text,
            key,
            if apart { Part::Names } else { Part::All },
            &mut hits,
        );
        let flow = if apart || deep && !hits.is_empty() && self.is_json(text) {
            // What only the whole text shows: names and values that are members apart.
            hits.retain(|hit| {
                hit.rule == Id::Password as u16
                    || hit.rule == Id::Secret as u16
                    || self.finder.is_of_file(hit.rule)
            });
            json::retain_in_strings(text, &mut hits, |hit| (hit.start, hit.end));
            let mark = edits.len();
            let within = json::Within::new(text, key, depth);
            let flow = self.inspect_json(within, 0, b"", edits).1;
            if self.finder.budget.is_spent() {
                hits.clear();
            }
            let inner = &edits[mark..];
            hits.retain(|hit| {
                // They are in order and do not overlap.
                let next = inner.partition_point(|edit| edit.end <= hit.start);
                inner.get(next).is_none_or(|edit| edit.start >= hit.end)
            });
            if hits.is_empty() {
                self.hits = hits;
                return flow;
            }
            self.resolve(text, &mut hits);
            let more = self.apply(text, &hits, Quote::None, edits);
            edits[mark..].sort_unstable_by_key(|edit| edit.start);
            flow.and(more)
        } else {
            self.inspect_collected(text, key, &mut hits, edits)
        };
        self.hits = hits;
        flow
    }

    fn is_json(&self, text: &[u8]) -> bool {
        let ends = |byte: &u8| matches!(byte, b'{' | b'[' | b'}' | b']');
        let trimmed = text.trim_ascii();
        // Most text is none at a glance.
        if !(trimmed.first().is_some_and(ends) && trimmed.last().is_some_and(ends)) {
            return false;
        }
        self.finder.budget.look(PARSED * text.len());
        json::is_json(trimmed)
    }

    /// Collects the edits of a text that is not taken apart.
    fn inspect_plain(&mut self, text: &[u8], key: &[u8], edits: &mut Vec<Edit>) -> Flow {
        let mut hits = std::mem::take(&mut self.hits);
        hits.clear();
        self.collect(text, key, Part::All, &mut hits);
        let flow = self.inspect_collected(text, key, &mut hits, edits);
        self.hits = hits;
        flow
    }

    /// The rest of it once the matches in the text as it stands are in `hits`.
    fn inspect_collected(
        &mut self,
        text: &[u8],
        key: &[u8],
        hits: &mut Vec<Hit>,
        edits: &mut Vec<Edit>,
    ) -> Flow {
        self.count_rejected();
        if self.finder.encoded {
            let mut views = std::mem::take(&mut self.finder.views);
            for n in views.of(text, &self.finder.budget) {
                if views.is_worth_a_look(n) && !self.finder.budget.is_spent() {
                    self.collect_decoded(&views, n, key, hits);
                }
            }
            views.forget();
            self.finder.views = views;
        }
        if self.finder.budget.is_spent() {
            return Flow::default();
        }
        self.resolve(text, hits);
        self.apply(text, hits, Quote::Guess, edits)
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
        self.collect(text, key, Part::All, &mut hits);
        self.count_rejected();
        hits.retain(|hit| hit.start == 0 && hit.end == text.len());
        self.resolve(text, &mut hits);
        let quote = if quote { Quote::Json } else { Quote::None };
        let flow = self.apply(text, &hits, quote, edits);
        self.hits = hits;
        flow
    }

    fn collect(&mut self, text: &[u8], key: &[u8], part: Part, hits: &mut Vec<Hit>) {
        self.collect_under(key, text, hits);
        self.finder.find(text, key, part);
        hits.extend(self.finder.found.iter().map(|m| Hit {
            start: m.start,
            end: m.end,
            rule: m.rule,
            value: None,
        }));
    }

    /// Adds what is in view `n` of a text.
    fn collect_decoded(&mut self, views: &Views, n: usize, key: &[u8], hits: &mut Vec<Hit>) {
        let text = views.text(n);
        self.finder.find(text, key, Part::All);
        for found in &self.finder.found {
            let value = self.arena.len();
            self.arena.extend_from_slice(&text[found.start..found.end]);
            self.finder.budget.look(MAPPED * (n + 1));
            let (start, end) = views.source_of(n, found.start, found.end);
            hits.push(Hit {
                start,
                end,
                rule: found.rule,
                value: Some(value..self.arena.len()),
            });
        }
    }

    /// Adds the secret parts of a value whose key says that it is one.
    fn collect_under(&self, key: &[u8], text: &[u8], hits: &mut Vec<Hit>) {
        let class = class_of_name(key);
        if !class.is_secret() || !self.finder.settings().set.has(class.id()) {
            return;
        }
        let mut add = |start, end| {
            hits.push(Hit {
                start,
                end,
                rule: class.id() as u16,
                value: None,
            });
        };
        if class == NameClass::Cookie {
            return detect::each_cookie(text, add);
        }
        let header = class.is_header();
        let span = match header {
            true => detect::credentials(text, 0, text.len(), class),
            false => Some((0, text.len())),
        };
        match span {
            Some((start, end))
                if header || detect::is_secret_value(class, text, detect::Place::Member) =>
            {
                add(start, end);
            }
            _ => {}
        }
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
        hits.sort_unstable_by(|a, b| {
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
            self.finder.budget.look(HIT);
            if self.finder.budget.is_spent() {
                break;
            }
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
}
