//! Tokens with a fixed prefix: cloud keys, access tokens, JWT, private key blocks.

mod form;

use aho_corasick::packed;
use aho_corasick::{AhoCorasick, MatchKind};

use super::Inspection;
use crate::catalog::{Id, Set};
use crate::scan::{Runs, RUN, WINDOW};

use form::Form::{self, AtLeast, Exactly, Own};
use form::{
    aws, azure_client_secret, azure_shared_key, crc_token, github_pat, is_alnum_or_hyphen,
    is_base64, is_word_or_hyphen, jwt, openai, private_key, pypi, slack, slack_webhook, stripe,
    STRIPE,
};

/// Length of the shortest run that tokens have.
const SHORTEST: usize = 20;
/// How far in front of the gate's candidate a token may start.
const BEFORE: usize = 64;
/// How far behind it is searched; a longer run is taken for plausible.
const BEHIND: usize = 512;
/// At most 32: with more, Teddy takes half as many bytes at a time.
const PREFIXES: &[(&[u8], Id, Form)] = &[
    (b"-----BEGIN ", Id::PrivateKey, Own(private_key)),
    (b"eyJ", Id::Jwt, Own(jwt)),
    (b"AKIA", Id::AwsKey, Own(aws)),
    (b"ASIA", Id::AwsKey, Own(aws)),
    (b"ABIA", Id::AwsKey, Own(aws)),
    (b"AIza", Id::GcpKey, Exactly(35, is_word_or_hyphen)),
    (b"ya29.", Id::GcpKey, AtLeast(20, is_word_or_hyphen)),
    (b"GOCSPX-", Id::GcpKey, Exactly(28, is_word_or_hyphen)),
    (b"AccountKey=", Id::AzureKey, Own(azure_shared_key)),
    (b"SharedAccessKey=", Id::AzureKey, Own(azure_shared_key)),
    (b"7Q~", Id::AzureKey, Own(azure_client_secret)),
    (b"8Q~", Id::AzureKey, Own(azure_client_secret)),
    (b"ghp_", Id::GithubToken, Own(crc_token)),
    (b"gho_", Id::GithubToken, Own(crc_token)),
    (b"ghu_", Id::GithubToken, Own(crc_token)),
    (b"ghs_", Id::GithubToken, Own(crc_token)),
    (b"ghr_", Id::GithubToken, Own(crc_token)),
    (b"github_pat_", Id::GithubToken, Own(github_pat)),
    (b"glpat-", Id::GitlabToken, AtLeast(20, is_word_or_hyphen)),
    (b"gldt-", Id::GitlabToken, AtLeast(20, is_word_or_hyphen)),
    (b"glrt-", Id::GitlabToken, AtLeast(20, is_word_or_hyphen)),
    (b"glptt-", Id::GitlabToken, AtLeast(20, is_word_or_hyphen)),
    (b"xox", Id::SlackToken, Own(slack)),
    (b"xapp-", Id::SlackToken, AtLeast(30, is_alnum_or_hyphen)),
    (
        b"hooks.slack.com/services/",
        Id::SlackToken,
        Own(slack_webhook),
    ),
    (b"k_live_", Id::StripeKey, Own(stripe)),
    (b"k_test_", Id::StripeKey, Own(stripe)),
    (b"whsec_", Id::StripeKey, AtLeast(24, is_base64)),
    (b"npm_", Id::NpmToken, Own(crc_token)),
    (b"pypi-AgE", Id::PypiToken, Own(pypi)),
    (b"sk-", Id::OpenaiKey, Own(openai)),
];

/// Whether any detector of `set` is one of these.
pub(super) fn wanted(set: Set) -> bool {
    PREFIXES.iter().any(|(_, id, _)| set.has(*id))
}

/// Searches for all prefixes at once: the vectorised Teddy of `aho-corasick` where the processor
/// has it, its automaton elsewhere.
#[derive(Debug)]
pub(super) struct Prefixes {
    wanted: Vec<&'static (&'static [u8], Id, Form)>,
    /// For each byte, a set of those that may follow it where a token starts.
    pairs: Box<[[u64; 4]; 256]>,
    searcher: Option<Searcher>,
}

#[derive(Debug)]
enum Searcher {
    Packed(packed::Searcher),
    Automaton(AhoCorasick),
}

impl Searcher {
    fn find(&self, text: &[u8], from: usize, to: usize) -> Option<(usize, usize)> {
        match self {
            Searcher::Packed(searcher) => searcher
                .find_in(text, aho_corasick::Span::from(from..to))
                .map(|m| (m.pattern().as_usize(), m.start())),
            Searcher::Automaton(automaton) => automaton
                .find(aho_corasick::Input::new(text).range(from..to))
                .map(|m| (m.pattern().as_usize(), m.start())),
        }
    }
}

impl Prefixes {
    /// `None` if the fixed table cannot be compiled.
    pub(super) fn new(set: Set) -> Option<Self> {
        let wanted: Vec<_> = PREFIXES.iter().filter(|p| set.has(p.1)).collect();
        let patterns = wanted.iter().map(|p| p.0);
        let searcher = if wanted.is_empty() {
            None
        } else if let Some(packed) = packed::Config::new()
            .builder()
            .extend(patterns.clone())
            .build()
        {
            Some(Searcher::Packed(packed))
        } else {
            let automaton = AhoCorasick::builder()
                .match_kind(MatchKind::LeftmostFirst)
                .build(patterns)
                .ok()?;
            Some(Searcher::Automaton(automaton))
        };
        let mut pairs = Box::new([[0; 4]; 256]);
        let mut add = |first: u8, second: u8| {
            pairs[usize::from(first)][usize::from(second >> 6)] |= 1 << (second & 63);
        };
        for (prefix, ..) in &wanted {
            match lead(prefix) {
                0 => add(prefix[0], prefix[1]),
                _ => STRIPE.iter().for_each(|first| add(*first, prefix[0])),
            }
        }
        Some(Prefixes {
            wanted,
            pairs,
            searcher,
        })
    }

    /// Whether a prefix is near the candidate at `at`, whose window has these runs.
    pub(super) fn plausible(&self, text: &[u8], at: usize, runs: Runs) -> bool {
        if text[at] == b'~' {
            return at >= 2 && text[at - 1] == b'Q' && matches!(text[at - 2], b'7' | b'8');
        }
        if text[at] == b'-' {
            let hyphens = text[at..].iter().take_while(|b| **b == b'-').count();
            if text[at + hyphens..].starts_with(b"BEGIN ") {
                return true;
            }
        }
        let Runs {
            window,
            alnum,
            word,
            ..
        } = runs;
        // The part of the run in front that is in the window; a few bytes may be in front of that.
        let here = at - window;
        let before = (!(word << (WINDOW - 1 - here))).leading_zeros() as usize;
        let mut start = at + 1 - before;
        if start == window {
            let rest = text[..start].iter().rev().take(RUN);
            start -= rest.take_while(|b| is_word_or_hyphen(**b)).count();
        }
        let more = text.get(at + 1..start + SHORTEST);
        if !more.is_some_and(|more| more.iter().all(|b| is_word_or_hyphen(*b))) {
            return false;
        }
        if (start..=window.max(start)).any(|n| self.is_prefix(text, n)) {
            return true;
        }
        let first = start.saturating_sub(window);
        let len = (!(word >> first)).trailing_zeros() as usize;
        let mut starts = (word & !(alnum << 1)) >> first << first;
        if first + len < runs.len {
            starts &= (1 << (first + len)) - 1;
        }
        while starts != 0 {
            if self.is_prefix(text, window + starts.trailing_zeros() as usize) {
                return true;
            }
            starts &= starts - 1;
        }
        if first + len >= runs.len {
            let end = window + runs.len;
            let rest = text.get(end..).unwrap_or_default();
            for (n, byte) in rest.iter().enumerate() {
                if !is_word_or_hyphen(*byte) {
                    break;
                }
                let joint = matches!(text[end - 1 + n], b'-' | b'_');
                if n > BEHIND || (joint && self.is_prefix(text, end + n)) {
                    return true;
                }
            }
        }
        // The part of a token in front of the run, where a dot, slash or sign joins them.
        let Some((joint, before)) = text[at.saturating_sub(BEFORE)..start].split_last() else {
            return false;
        };
        match joint {
            b'.' => before.ends_with(b"ya29") || before.windows(3).any(|w| w == b"eyJ"),
            b'=' => before.ends_with(b"Key"),
            b'/' => before
                .rsplit(|b| *b == b'/')
                .next()
                .is_some_and(|part| part.starts_with(b"B")),
            _ => false,
        }
    }

    /// Whether a prefix starts at `start`, where a word does.
    #[inline(always)]
    fn is_prefix(&self, text: &[u8], start: usize) -> bool {
        let Some([first, second, ..]) = text.get(start..) else {
            return false;
        };
        let pairs = self.pairs[usize::from(*first)][usize::from(*second >> 6)];
        pairs >> (*second & 63) & 1 != 0 && self.is_whole_prefix(text, start)
    }

    #[inline(never)]
    fn is_whole_prefix(&self, text: &[u8], start: usize) -> bool {
        self.wanted.iter().any(|(prefix, ..)| {
            let start = start + lead(prefix);
            text[start..].starts_with(prefix) && plausible(text, start, prefix)
        })
    }

    /// Verifies every prefix in the string.
    pub(super) fn find(&self, i: &mut Inspection<'_>) {
        let Some(searcher) = &self.searcher else {
            return;
        };
        let text = i.text;
        let mut at = 0;
        while let Some((pattern, start)) = searcher.find(text, at, text.len()) {
            let (prefix, id, form) = self.wanted[pattern];
            at = start + 1;
            if !plausible(text, start, prefix) {
                continue;
            }
            if let Some((from, end, valid)) = form.verify(text, start, start + prefix.len()) {
                if i.report(*id, from, end, valid) {
                    at = end.max(at);
                }
            }
        }
    }
}

/// What follows a short prefix.
fn plausible(text: &[u8], start: usize, prefix: &[u8]) -> bool {
    match prefix {
        b"sk-" | b"eyJ" => text
            .get(start + 3..start + 11)
            .is_some_and(|body| body.iter().all(|b| is_word_or_hyphen(*b))),
        _ => true,
    }
}

/// Bytes of a token in front of its prefix: Stripe's kind of key.
fn lead(prefix: &[u8]) -> usize {
    usize::from(prefix.starts_with(b"k_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_few_enough_for_the_fast_search() {
        assert!(PREFIXES.len() <= 32);
    }
}
