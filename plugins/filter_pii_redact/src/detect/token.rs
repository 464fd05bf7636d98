//! Tokens with a fixed prefix: cloud keys, access tokens, JWT, private key blocks.

mod form;
mod vendor;

use aho_corasick::packed;
use aho_corasick::{AhoCorasick, MatchKind};

use super::{Inspection, CANDIDATE};
use crate::catalog::{Id, Set};
use crate::scan::{Runs, RUN, WINDOW};

use form::Form::{self, AtLeast, Exactly, Own};
use form::{
    aws, azure_client_secret, azure_shared_key, crc_token, github_pat, gitlab, is_alnum,
    is_alnum_or_hyphen, is_base64, is_hex, is_word_or_hyphen, jwt, openai, private_key, pypi,
    slack, slack_webhook, stripe, url_signature, Text, STRIPE,
};
use vendor::{databricks, digital_ocean, sendgrid, sentry, shopify, square, telegram};

/// Length of the shortest run that tokens have.
const SHORTEST: usize = 20;
/// How far in front of the gate's candidate a token may start.
const BEFORE: usize = 64;
/// How far behind it is searched; a longer run is taken for plausible.
const BEHIND: usize = 512;
/// At most 64, a bit each; Teddy takes no more.
const PREFIXES: &[(&[u8], Id, Form)] = &[
    (b"-----BEGIN ", Id::PrivateKey, Own(private_key)),
    (b"eyJ", Id::Jwt, Own(jwt)),
    (b"AKIA", Id::AwsKey, Own(aws)),
    (b"ASIA", Id::AwsKey, Own(aws)),
    (b"ABIA", Id::AwsKey, Own(aws)),
    (b"ACCA", Id::AwsKey, Own(aws)),
    (b"AIza", Id::GcpKey, Exactly(35, is_word_or_hyphen)),
    (b"ya29.", Id::GcpKey, AtLeast(20, is_word_or_hyphen)),
    (b"GOCSPX-", Id::GcpKey, Exactly(28, is_word_or_hyphen)),
    (b"AccountKey=", Id::AzureKey, Own(azure_shared_key)),
    (b"SharedAccessKey=", Id::AzureKey, Own(azure_shared_key)),
    (b"-Signature=", Id::Secret, Own(url_signature)),
    (b"Q~", Id::AzureKey, Own(azure_client_secret)),
    (b"ghp_", Id::GithubToken, Own(crc_token)),
    (b"gho_", Id::GithubToken, Own(crc_token)),
    (b"ghu_", Id::GithubToken, Own(crc_token)),
    (b"ghs_", Id::GithubToken, Own(crc_token)),
    (b"ghr_", Id::GithubToken, Own(crc_token)),
    (b"github_pat_", Id::GithubToken, Own(github_pat)),
    (b"glpat-", Id::GitlabToken, Own(gitlab)),
    (b"gldt-", Id::GitlabToken, Own(gitlab)),
    (b"glrt-", Id::GitlabToken, Own(gitlab)),
    (b"glptt-", Id::GitlabToken, Own(gitlab)),
    (b"glft-", Id::GitlabToken, Own(gitlab)),
    (b"glcbt-", Id::GitlabToken, Own(gitlab)),
    (b"gloas-", Id::GitlabToken, Own(gitlab)),
    (b"glimt-", Id::GitlabToken, Own(gitlab)),
    (b"glsoat-", Id::GitlabToken, Own(gitlab)),
    (b"glagent-", Id::GitlabToken, Own(gitlab)),
    (b"xox", Id::SlackToken, Own(slack)),
    (b"xapp-", Id::SlackToken, AtLeast(30, is_alnum_or_hyphen)),
    (b"hooks.slack.com/", Id::SlackToken, Own(slack_webhook)),
    (b"k_live_", Id::StripeKey, Own(stripe)),
    (b"k_test_", Id::StripeKey, Own(stripe)),
    (b"whsec_", Id::StripeKey, AtLeast(24, is_base64)),
    (b"npm_", Id::NpmToken, Own(crc_token)),
    (b"pypi-AgE", Id::PypiToken, Own(pypi)),
    (b"sk-", Id::OpenaiKey, Own(openai)),
    // Anthropic and OpenAI are above; Hugging Face, Groq, xAI, Perplexity, Replicate.
    (b"hf_", Id::VendorToken, Exactly(34, is_alnum)),
    (b"gsk_", Id::VendorToken, AtLeast(48, is_alnum)),
    (b"xai-", Id::VendorToken, AtLeast(60, is_alnum)),
    (b"pplx-", Id::VendorToken, AtLeast(40, is_alnum)),
    (b"r8_", Id::VendorToken, Exactly(37, is_alnum)),
    // DigitalOcean, Databricks, HashiCorp Vault, Pulumi, Docker, Tailscale, Alibaba, Heroku.
    (b"_v1_", Id::VendorToken, Own(digital_ocean)),
    (b"dapi", Id::VendorToken, Own(databricks)),
    (b"hvs.", Id::VendorToken, AtLeast(24, is_word_or_hyphen)),
    (b"hvb.", Id::VendorToken, AtLeast(100, is_word_or_hyphen)),
    (b"pul-", Id::VendorToken, Exactly(40, is_hex)),
    (
        b"dckr_pat_",
        Id::VendorToken,
        AtLeast(24, is_word_or_hyphen),
    ),
    (b"tskey-", Id::VendorToken, AtLeast(20, is_alnum_or_hyphen)),
    (b"LTAI", Id::VendorToken, Exactly(20, is_alnum)),
    (b"HRKU-", Id::VendorToken, AtLeast(36, is_word_or_hyphen)),
    // SendGrid, Shopify, Square, Telegram.
    (b"SG.", Id::VendorToken, Own(sendgrid)),
    (b"shp", Id::VendorToken, Own(shopify)),
    (b"sq0", Id::VendorToken, Own(square)),
    (b":AA", Id::VendorToken, Own(telegram)),
    // Grafana, Sentry, Linear, Notion, Figma, RubyGems, Atlassian, age.
    (b"glsa_", Id::VendorToken, Exactly(41, is_word_or_hyphen)),
    (b"sntry", Id::VendorToken, Own(sentry)),
    (b"lin_api_", Id::VendorToken, Exactly(40, is_alnum)),
    (b"ntn_", Id::VendorToken, Exactly(46, is_alnum)),
    (b"figd_", Id::VendorToken, AtLeast(36, is_word_or_hyphen)),
    (b"rubygems_", Id::VendorToken, Exactly(48, is_hex)),
    (b"ATATT3", Id::VendorToken, AtLeast(100, is_word_or_hyphen)),
    (b"AGE-SECRET-KEY-1", Id::VendorToken, Exactly(58, is_alnum)),
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
    /// For each byte, which of these may start with it.
    firsts: Box<[u64; 256]>,
    /// A bit for what the first three bytes of a token hash to.
    starts: Box<[u64; 64]>,
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
        let mut firsts = Box::new([0; 256]);
        let mut starts = Box::new([0; 64]);
        for (n, (prefix, ..)) in wanted.iter().enumerate() {
            let mut add = |start: [u8; 3]| {
                firsts[usize::from(start[0])] |= 1 << n;
                let hash = hash(start);
                starts[hash / 64] |= 1 << (hash % 64);
            };
            match *prefix {
                b"_v1_" => b"por".iter().for_each(|kind| add([b'd', b'o', *kind])),
                [b'k', b'_', ..] => STRIPE.iter().for_each(|kind| add([*kind, b'k', b'_'])),
                [first, second, third, ..] => add([*first, *second, *third]),
                // "7Q~", which the tilde tells
                _ => {}
            }
        }
        Some(Prefixes {
            wanted,
            firsts,
            starts,
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
            b'.' => {
                matches!(
                    before,
                    [.., b'y', b'a', b'2', b'9'] | [.., b'S', b'G'] | [.., b'h', b'v', b's' | b'b']
                ) || before.windows(3).any(|w| w == b"eyJ")
            }
            b':' => {
                before
                    .last_chunk::<8>()
                    .is_some_and(|id| id.iter().all(u8::is_ascii_digit))
                    && text[start..].starts_with(b"AA")
            }
            b'=' => before.ends_with(b"Key") || before.ends_with(b"-Signature"),
            // In front of the secret of a webhook is "B0…", or the number of a workflow.
            b'/' => before.rsplit(|b| *b == b'/').next().is_some_and(|part| {
                part.starts_with(b"B") || part.len() > 11 && part.iter().all(u8::is_ascii_digit)
            }),
            _ => false,
        }
    }

    /// Whether a prefix starts at `start`, where a word does.
    #[inline(always)]
    fn is_prefix(&self, text: &[u8], start: usize) -> bool {
        let Some(first) = text.get(start..).and_then(|rest| rest.first_chunk::<3>()) else {
            return false;
        };
        let hash = hash(*first);
        self.starts[hash / 64] >> (hash % 64) & 1 != 0 && self.is_whole_prefix(text, start)
    }

    #[inline(never)]
    fn is_whole_prefix(&self, text: &[u8], start: usize) -> bool {
        let mut left = self.firsts[usize::from(text[start])];
        while left != 0 {
            let (prefix, ..) = self.wanted[left.trailing_zeros() as usize];
            let rest = text.get(start + lead(prefix)..).unwrap_or_default();
            if rest.starts_with(prefix) && plausible(text, start + lead(prefix), prefix) {
                return true;
            }
            left &= left - 1;
        }
        false
    }

    /// Verifies every prefix in the string.
    pub(super) fn find(&self, i: &mut Inspection<'_>) {
        let Some(searcher) = &self.searcher else {
            return;
        };
        let text = Text::new(i.text, i.budget);
        let mut at = 0;
        i.budget.look(text.len());
        while let Some((pattern, start)) = searcher.find(&text, at, text.len()) {
            let (prefix, id, form) = self.wanted[pattern];
            at = start + 1;
            i.budget.look(CANDIDATE);
            if i.budget.is_spent() {
                break;
            }
            if !plausible(&text, start, prefix) {
                continue;
            }
            if let Some((from, end, valid)) = form.verify(&text, start, start + prefix.len()) {
                if i.report(*id, from, end, valid) {
                    at = end.max(at);
                }
            }
        }
    }
}

/// Twelve bits of three bytes (Knuth's multiplicative hash).
#[inline]
fn hash([first, second, third]: [u8; 3]) -> usize {
    let bytes = u32::from_le_bytes([first, second, third, 0]);
    (bytes.wrapping_mul(0x9e37_79b1) >> 20) as usize
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

/// Bytes of a token in front of its prefix: the kind of key of Stripe and DigitalOcean.
fn lead(prefix: &[u8]) -> usize {
    match prefix {
        [b'k', b'_', ..] => 1,
        b"_v1_" => 3,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_few_enough_for_a_word_of_bits_and_for_teddy() {
        assert!(PREFIXES.len() <= 64);
    }
}
