//! `rules_file`: rules in the TOML form of gitleaks.
//!
//! A rule is tried only on a string that has one of its keywords, and in which a match may begin: what every
//! match of its expression has ([`anchor`]) is looked for in one pass for all rules ([`gate`]). The secret is the group that the rule names, else the first group that matched,
//! else the match.

mod anchor;
mod gate;
mod read;
mod syntax;
mod tail;

use std::cell::RefCell;
use std::path::Path;

use flb_sidecar_sdk::{foreign_file, ConfigError};
use memchr::memmem;
use regex::bytes::Regex;

use crate::budget::Budget;
use crate::checksum::entropy;
use anchor::Anchor;
use gate::{By, Triggers};
pub(crate) use gate::{Checks, Scan, Sighting};

/// Longest file.
const MAX_FILE: u64 = 4 << 20;
/// What counts for a match: the search for the next one may go far.
const MATCH: usize = 1024;

/// One rule of the file.
#[derive(Debug)]
pub(crate) struct FileRule {
    pub(crate) id: String,
    regex: Regex,
    /// One of these is in every match; taken out when all rules are put together.
    anchors: Option<Vec<Anchor>>,
    /// 0: the first that matched, or the match.
    group: usize,
    /// The secret has more bits a byte than this; 0: however many.
    entropy: f32,
    keywords: Vec<String>,
    allow: Vec<Allowlist>,
}

/// What makes a match none.
#[derive(Clone, Debug)]
struct Allowlist {
    /// Regexes and stop words must both be found.
    all: bool,
    target: Target,
    regexes: Vec<Regex>,
    /// In small letters.
    stopwords: Vec<Vec<u8>>,
}

/// What the regexes of an allowlist look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Secret,
    Match,
    Line,
}

/// A match of a rule.
struct Found<'a> {
    text: &'a [u8],
    whole: (usize, usize),
    secret: (usize, usize),
}

impl Allowlist {
    fn allows(&self, found: &Found<'_>) -> bool {
        let secret = &found.text[found.secret.0..found.secret.1];
        let (start, end) = match self.target {
            Target::Secret => found.secret,
            Target::Match => found.whole,
            Target::Line => line(found.text, found.whole),
        };
        let target = &found.text[start..end];
        let by_regex = || self.regexes.iter().any(|regex| regex.is_match(target));
        let by_word = || {
            let small = secret.to_ascii_lowercase();
            self.stopwords
                .iter()
                .any(|word| memmem::find(&small, word).is_some())
        };
        match (self.all, self.regexes.is_empty(), self.stopwords.is_empty()) {
            (true, false, false) => by_regex() && by_word(),
            _ => !self.regexes.is_empty() && by_regex() || !self.stopwords.is_empty() && by_word(),
        }
    }
}

/// The line that `start..end` is in, cut to what is near.
fn line(text: &[u8], (start, end): (usize, usize)) -> (usize, usize) {
    const NEAR: usize = 1024;
    let floor = start.saturating_sub(NEAR);
    let first = memchr::memrchr(b'\n', &text[floor..start]).map_or(floor, |n| floor + n + 1);
    let ceiling = text.len().min(end + NEAR);
    let last = memchr::memchr(b'\n', &text[end..ceiling]).map_or(ceiling, |n| end + n);
    (first, last)
}

/// Whether a text has a word, which is in small letters, in whatever case.
fn has_word(text: &[u8], word: &[u8]) -> bool {
    let Some(first) = word.first() else {
        return true;
    };
    memchr::memchr2_iter(*first, first.to_ascii_uppercase(), text).any(|at| {
        text[at..]
            .get(..word.len())
            .is_some_and(|some| some.eq_ignore_ascii_case(word))
    })
}

/// The rules of a file; its buffer is kept from string to string.
#[derive(Debug)]
pub(crate) struct FileRules {
    rules: Vec<FileRule>,
    triggers: Triggers,
    scan: RefCell<Scan>,
    /// Rules that nothing is known of, neither a keyword nor what they match.
    always: Vec<u16>,
    /// Rules that are to be tried on a string, and whether each is among them.
    wanted: Vec<u16>,
    is_wanted: Vec<bool>,
}

impl FileRules {
    /// Reads the file of the option; says what of it has no meaning for logs.
    pub(crate) fn open(option: &str, path: &str) -> Result<Self, ConfigError> {
        let bytes = foreign_file::read(Path::new(path), MAX_FILE).map_err(|error| {
            ConfigError::value(
                option,
                path,
                format!("a readable file of at most 4 MiB ({error})"),
            )
        })?;
        let text = String::from_utf8(bytes)
            .map_err(|_| ConfigError::value(option, path, "a file in UTF-8"))?;
        let contents = read::read(&text).map_err(|refused| {
            ConfigError::value(option, path, format!("a file of rules: {refused}"))
        })?;
        for notice in &contents.notices {
            tracing::info!("{option}: {notice}");
        }
        Self::new(contents.rules).ok_or_else(|| {
            ConfigError::value(
                option,
                path,
                "a file whose keywords can be compiled together",
            )
        })
    }

    fn new(mut rules: Vec<FileRule>) -> Option<Self> {
        let mut always = Vec::new();
        let by = (0..).zip(&mut rules).map(|(number, rule)| {
            if let Some(anchors) = rule.anchors.take() {
                return By::Anchors(anchors);
            }
            if rule.keywords.is_empty() {
                always.push(number);
            }
            let keywords = rule.keywords.iter().map(|word| word.clone().into_bytes());
            By::Keywords(keywords.collect())
        });
        let triggers = Triggers::new(by)?;
        Some(FileRules {
            wanted: Vec::new(),
            is_wanted: vec![false; rules.len()],
            rules,
            triggers,
            scan: RefCell::default(),
            always,
        })
    }

    /// The rules in the order of their numbers.
    pub(crate) fn rules(&self) -> &[FileRule] {
        &self.rules
    }

    /// How many rules are tried on every string.
    pub(crate) fn tried_on_all(&self) -> usize {
        self.always.len()
    }

    /// Whether a rule may have a match in `text`, which is all of a string.
    pub(crate) fn may_match(&self, text: &[u8], budget: &Budget) -> bool {
        budget.look(text.len());
        let (mut scan, mut checks) = (self.scan.take(), Checks::new(text));
        scan.start(0);
        let mut sightings = std::iter::from_fn(|| self.triggers.next(&mut scan, text));
        let any = !self.always.is_empty()
            || sightings.any(|seen| self.triggers.may_match(text, seen, budget, &mut checks));
        self.scan.replace(scan);
        any
    }

    /// What may be a match of a rule next, where the scan is in a text.
    pub(crate) fn next(&self, scan: &mut Scan, text: &[u8]) -> Option<Sighting> {
        self.triggers.next(scan, text)
    }

    /// Whether there may be a match at a sighting in `text`, which is all of a string.
    pub(crate) fn may_match_at(
        &self,
        text: &[u8],
        sighting: Sighting,
        budget: &Budget,
        checks: &mut Checks,
    ) -> bool {
        self.triggers.may_match(text, sighting, budget, checks)
    }

    /// Calls `report` with the number of the rule, the secret and whether it is one, for every match
    /// in `text`, until the work is up. Nothing is to be seen in its first `passed` bytes.
    pub(crate) fn find(
        &mut self,
        text: &[u8],
        passed: usize,
        budget: &Budget,
        mut report: impl FnMut(usize, (usize, usize), bool),
    ) {
        budget.look(text.len() - passed);
        for rule in &self.always {
            self.is_wanted[usize::from(*rule)] = true;
            self.wanted.push(*rule);
        }
        let (scan, mut checks) = (self.scan.get_mut(), Checks::new(text));
        scan.start(passed);
        while let Some(sighting) = self.triggers.next(scan, text) {
            let rule = self.triggers.rule(sighting);
            let is_wanted = &mut self.is_wanted[usize::from(rule)];
            if !*is_wanted && self.triggers.may_match(text, sighting, budget, &mut checks) {
                *is_wanted = true;
                self.wanted.push(rule);
            }
            if budget.is_spent() {
                break;
            }
        }
        self.wanted.sort_unstable();
        for number in self.wanted.drain(..).map(usize::from) {
            self.is_wanted[number] = false;
            if budget.is_spent() {
                continue;
            }
            let rule = &self.rules[number];
            budget.look(text.len());
            rule.find(text, budget, |secret, valid| report(number, secret, valid));
        }
    }
}

impl FileRule {
    /// Whether a text has one of the keywords.
    fn is_named(&self, text: &[u8]) -> bool {
        self.keywords.is_empty()
            || self
                .keywords
                .iter()
                .any(|word| has_word(text, word.as_bytes()))
    }

    fn find(&self, text: &[u8], budget: &Budget, mut report: impl FnMut((usize, usize), bool)) {
        let mut is_named = false;
        let mut at = 0;
        while let Some(whole) = self.regex.find_at(text, at) {
            budget.look(MATCH);
            if budget.is_spent() {
                return;
            }
            if !is_named {
                if !self.is_named(text) {
                    return;
                }
                is_named = true;
            }
            // Line ends around a match are no part of it.
            let trimmed = whole.as_bytes();
            let front = trimmed.iter().take_while(|b| **b == b'\n').count();
            let back = trimmed[front..]
                .iter()
                .rev()
                .take_while(|b| **b == b'\n')
                .count();
            let span = (whole.start() + front, whole.end() - back);
            at = whole.end().max(at + 1);
            let secret = self.secret(text, whole.start()).unwrap_or(span);
            if secret.1 > secret.0 {
                let found = Found {
                    text,
                    whole: span,
                    secret,
                };
                let value = &text[secret.0..secret.1];
                let random = self.entropy == 0.0 || entropy(value) > self.entropy;
                report(
                    secret,
                    random && !self.allow.iter().any(|list| list.allows(&found)),
                );
            }
            if at > text.len() {
                return;
            }
        }
    }

    /// The group of the match at `start` that is the secret.
    fn secret(&self, text: &[u8], start: usize) -> Option<(usize, usize)> {
        if self.regex.captures_len() < 2 {
            return None;
        }
        let captures = self.regex.captures_at(text, start)?;
        let group = match self.group {
            0 => captures
                .iter()
                .skip(1)
                .flatten()
                .find(|group| !group.is_empty()),
            group => captures.get(group),
        };
        group.map(|group| (group.start(), group.end()))
    }
}

#[cfg(test)]
mod same;
#[cfg(test)]
mod tests;
