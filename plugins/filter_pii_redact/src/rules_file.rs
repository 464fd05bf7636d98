//! `rules_file`: rules in the TOML form of gitleaks.
//!
//! A rule is tried only on a string that has one of its keywords; all keywords of all rules are looked
//! for in one pass. The secret is the group that the rule names, else the first group that matched,
//! else the match.

mod read;
mod syntax;

use std::path::Path;
use std::sync::OnceLock;

use flb_sidecar_sdk::{foreign_file, ConfigError};
use memchr::memmem;
use regex::bytes::Regex;

use crate::budget::Budget;
use crate::checksum::entropy;
use crate::scan::{Case, Next, Words};

/// Longest file.
const MAX_FILE: u64 = 4 << 20;
/// What counts for a match: the search for the next one may go far.
const MATCH: usize = 1024;

/// One rule of the file.
#[derive(Debug)]
pub(crate) struct FileRule {
    pub(crate) id: String,
    regex: Regex,
    /// What of the regex a text must have, where that is looked for faster; compiled when it is asked for.
    core: OnceLock<Option<Regex>>,
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

/// The rules of a file; its buffer is kept from string to string.
#[derive(Debug)]
pub(crate) struct FileRules {
    rules: Vec<FileRule>,
    keywords: Words,
    /// The rules of each keyword.
    of_keyword: Vec<Vec<u16>>,
    /// Rules without a keyword.
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

    fn new(rules: Vec<FileRule>) -> Option<Self> {
        let mut words: Vec<&[u8]> = Vec::new();
        let mut of_keyword: Vec<Vec<u16>> = Vec::new();
        let mut always = Vec::new();
        for (number, rule) in (0..).zip(&rules) {
            if rule.keywords.is_empty() {
                always.push(number);
            }
            for word in rule.keywords.iter().map(String::as_bytes) {
                match words.iter().position(|known| *known == word) {
                    Some(index) => of_keyword[index].push(number),
                    None => {
                        words.push(word);
                        of_keyword.push(vec![number]);
                    }
                }
            }
        }
        let keywords = Words::new(words.into_iter(), Case::Any)?;
        Some(FileRules {
            wanted: Vec::new(),
            is_wanted: vec![false; rules.len()],
            rules,
            keywords,
            of_keyword,
            always,
        })
    }

    /// The rules in the order of their numbers.
    pub(crate) fn rules(&self) -> &[FileRule] {
        &self.rules
    }

    /// How many rules have no keyword, so that they are tried on every string.
    pub(crate) fn without_keyword(&self) -> usize {
        self.always.len()
    }

    /// Whether a rule is to be tried on a string in `text`.
    pub(crate) fn may_match(&self, text: &[u8]) -> bool {
        let mut any = !self.always.is_empty();
        if !any {
            self.keywords.each(text, |_, _| {
                any = true;
                Next::Nowhere
            });
        }
        any
    }

    /// Where the next keyword in `text` begins, from `from` on.
    pub(crate) fn next_keyword(&self, text: &[u8], from: usize) -> Option<usize> {
        let mut next = None;
        self.keywords.each_in(text, from..text.len(), |start, _| {
            next = Some(start);
            Next::Nowhere
        });
        next
    }

    /// Calls `report` with the number of the rule, the secret and whether it is one, for every match
    /// in `text`, until the work is up. No keyword begins in its first `passed` bytes.
    pub(crate) fn find(
        &mut self,
        text: &[u8],
        passed: usize,
        budget: &Budget,
        mut report: impl FnMut(usize, (usize, usize), bool),
    ) {
        budget.look(text.len() - passed);
        let (wanted, is_wanted) = (&mut self.wanted, &mut self.is_wanted);
        let mut want = |rule: u16| {
            if !std::mem::replace(&mut is_wanted[usize::from(rule)], true) {
                wanted.push(rule);
            }
        };
        self.always.iter().copied().for_each(&mut want);
        self.keywords
            .each_in(text, passed..text.len(), |_, keyword| {
                self.of_keyword[keyword].iter().copied().for_each(&mut want);
                Next::Here
            });
        self.wanted.sort_unstable();
        for number in self.wanted.drain(..).map(usize::from) {
            self.is_wanted[number] = false;
            if budget.is_spent() {
                continue;
            }
            budget.look(text.len());
            self.rules[number].find(text, budget, |secret, valid| report(number, secret, valid));
        }
    }
}

impl FileRule {
    /// Whether the rule may have a match, told by the core of its regex.
    fn may_match(&self, text: &[u8]) -> bool {
        let core = self.core.get_or_init(|| syntax::core(&self.regex));
        core.as_ref().is_none_or(|core| core.is_match(text))
    }

    fn find(&self, text: &[u8], budget: &Budget, mut report: impl FnMut((usize, usize), bool)) {
        if !self.may_match(text) {
            return;
        }
        let mut at = 0;
        while let Some(whole) = self.regex.find_at(text, at) {
            budget.look(MATCH);
            if budget.is_spent() {
                return;
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
mod tests;
