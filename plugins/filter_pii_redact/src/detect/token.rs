//! Tokens with a fixed prefix: cloud keys, access tokens, JWT, private key blocks.

use aho_corasick::packed;
use aho_corasick::{AhoCorasick, MatchKind};
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine as _;
use memchr::memmem;

use super::Inspection;
use crate::catalog::{Id, Set};
use crate::checksum::entropy;
use crate::scan::Hits;

/// Length of the runs that the gate waits for.
const GATE: usize = 20;
/// How far in front of the gate's candidate a token may start.
const BEFORE: usize = 64;
/// How far behind it is searched; a longer run is taken for plausible.
const BEHIND: usize = 512;
/// Bytes of the length in the header of a string, at most. They may look like letters.
const HEADER: usize = 4;
/// Longest token looked at.
const MAX_TOKEN: usize = 8192;
/// Bits a byte that random letters and digits of these lengths do not fall below.
const RANDOM: f32 = 3.0;

/// End of the token whose prefix is at `start` and ends at `body`, and whether it is valid.
/// `None`: nothing that looks like one.
type Verify = fn(text: &[u8], start: usize, body: usize) -> Option<(usize, usize, bool)>;

/// What a token is made of behind its prefix.
#[derive(Clone, Copy, Debug)]
enum Form {
    /// So many random bytes of the class.
    Exactly(usize, fn(u8) -> bool),
    /// So many or more.
    AtLeast(usize, fn(u8) -> bool),
    /// What the function says.
    Own(Verify),
}

use Form::{AtLeast, Exactly, Own};

impl Form {
    fn verify(self, text: &[u8], start: usize, body: usize) -> Option<(usize, usize, bool)> {
        let (len, class) = match self {
            Own(verify) => return verify(text, start, body),
            Exactly(len, class) | AtLeast(len, class) => (len, class),
        };
        let end = run(text, body, class);
        let right = matches!(self, AtLeast(..)) || end - body == len;
        let valid = right && starts(text, start) && entropy(&text[body..end]) >= RANDOM;
        (end - body >= len).then_some((start, end, valid))
    }
}

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

    /// Whether a prefix is near the candidate at `at` in raw msgpack, in the window at `window`.
    pub(super) fn plausible(&self, chunk: &[u8], at: usize, window: usize, hits: &Hits) -> bool {
        if chunk[at] == b'~' {
            return at >= 2 && chunk[at - 1] == b'Q' && matches!(chunk[at - 2], b'7' | b'8');
        }
        if at >= 4 && chunk[at - 4..=at] == *b"-----" {
            let rest = &chunk[at..];
            let hyphens = rest.iter().take_while(|b| **b == b'-').count();
            if rest[hyphens..].starts_with(b"BEGIN ") {
                return true;
            }
        }
        let Some(start) = (at + 1).checked_sub(GATE) else {
            return false;
        };
        // The part of the run that is in the window; a few bytes may be in front of it.
        let first = start.saturating_sub(window);
        let len = (!(hits.word >> first)).trailing_zeros() as usize;
        if window + first + len <= at {
            return false;
        }
        let headed = chunk[start.saturating_sub(HEADER + 1)..start]
            .iter()
            .any(|b| matches!(b, 0xd9..=0xdb | b'\\'));
        let lead = if headed { start + HEADER } else { start };
        if (start..=lead.max(window)).any(|n| self.is_prefix(chunk, n)) {
            return true;
        }
        let mut starts = (hits.word & !(hits.alnum << 1)) >> first << first;
        if first + len < 64 {
            starts &= (1 << (first + len)) - 1;
        }
        while starts != 0 {
            if self.is_prefix(chunk, window + starts.trailing_zeros() as usize) {
                return true;
            }
            starts &= starts - 1;
        }
        if first + len == 64 {
            let rest = &chunk[window + 64..];
            for (n, byte) in rest.iter().enumerate() {
                if !is_word_or_hyphen(*byte) {
                    break;
                }
                let joint = matches!(chunk[window + 63 + n], b'-' | b'_');
                if n > BEHIND || (joint && self.is_prefix(chunk, window + 64 + n)) {
                    return true;
                }
            }
        }
        // The part of a token in front of the run, where a dot, slash or sign joins them.
        let Some((joint, before)) = chunk[at.saturating_sub(BEFORE)..start].split_last() else {
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
    fn is_prefix(&self, chunk: &[u8], start: usize) -> bool {
        let Some([first, second, ..]) = chunk.get(start..) else {
            return false;
        };
        if self.pairs[usize::from(*first)][usize::from(*second >> 6)] >> (*second & 63) & 1 == 0 {
            return false;
        }
        self.wanted.iter().any(|(prefix, ..)| {
            let start = start + lead(prefix);
            chunk[start..].starts_with(prefix) && plausible(chunk, start, prefix)
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

/// Cheap tests that hold in raw msgpack as well: what follows a short prefix.
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

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn is_word_or_hyphen(byte: u8) -> bool {
    is_word(byte) || byte == b'-'
}

fn is_alnum_or_hyphen(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-'
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=')
}

fn run(text: &[u8], from: usize, class: fn(u8) -> bool) -> usize {
    let limit = text.len().min(from + MAX_TOKEN);
    text[from..limit]
        .iter()
        .position(|b| !class(*b))
        .map_or(limit, |n| from + n)
}

/// A token does not start inside a word.
fn starts(text: &[u8], start: usize) -> bool {
    match start.checked_sub(1).map(|n| text[n]) {
        Some(b'n' | b'r' | b't') => start >= 2 && text[start - 2] == b'\\',
        Some(b) => !b.is_ascii_alphanumeric(),
        None => true,
    }
}

/// RFC 7468: from the BEGIN line to the END line, or to the end of what there is.
fn private_key(text: &[u8], start: usize, body: usize) -> Option<(usize, usize, bool)> {
    let window = &text[body..text.len().min(body + 64)];
    let dashes = memmem::find(window, b"-----")?;
    let label = &window[..dashes];
    if !(label.ends_with(b"PRIVATE KEY") || label.ends_with(b"PRIVATE KEY BLOCK")) {
        return None;
    }
    let rest = &text[body + dashes..];
    let end = memmem::find(rest, b"-----END ").map_or(text.len(), |n| {
        let line = body + dashes + n + b"-----END ".len();
        let window = &text[line..text.len().min(line + 64)];
        memmem::find(window, b"-----").map_or(text.len(), |n| line + n + 5)
    });
    Some((start, end, true))
}

/// RFC 7519: the header is JSON with an algorithm; payload and signature follow.
fn jwt(text: &[u8], start: usize, _body: usize) -> Option<(usize, usize, bool)> {
    if !starts(text, start)
        || start
            .checked_sub(1)
            .is_some_and(|n| is_word_or_hyphen(text[n]))
    {
        return None;
    }
    let header_end = run(text, start, is_word_or_hyphen);
    if text.get(header_end) != Some(&b'.') || header_end - start < 12 {
        return None;
    }
    let mut end = header_end;
    for _ in 0..4 {
        if text.get(end) != Some(&b'.') {
            break;
        }
        let next = run(text, end + 1, is_word_or_hyphen);
        if next == end + 1 {
            break;
        }
        end = next;
    }
    let header = URL_SAFE_NO_PAD.decode(&text[start..header_end]).ok();
    let json = header.and_then(|h| serde_json::from_slice::<serde_json::Value>(&h).ok());
    let valid = end > header_end
        && json.is_some_and(|json| json.get("alg").is_some() || json.get("enc").is_some());
    Some((start, end, valid))
}

/// AWS IAM user guide, "IAM identifiers": four letters for the kind, then base32.
fn aws(text: &[u8], start: usize, body: usize) -> Option<(usize, usize, bool)> {
    let end = run(text, body, is_word);
    let key = &text[body..end];
    let valid = key.iter().all(|b| matches!(b, b'A'..=b'Z' | b'2'..=b'7'))
        && starts(text, start)
        && entropy(key) >= 2.0;
    (key.len() == 16).then_some((start, end, valid))
}

/// Keys of storage accounts have 64 bytes, those of Service Bus and IoT Hub 32, in base64.
fn azure_shared_key(text: &[u8], _start: usize, body: usize) -> Option<(usize, usize, bool)> {
    let end = run(text, body, is_base64);
    let key = &text[body..end];
    let valid = matches!(key.len(), 44 | 88)
        && key.ends_with(b"=")
        && !key[..key.len() - 2].contains(&b'=')
        && entropy(key) >= RANDOM;
    (key.len() >= 40).then_some((body, end, valid))
}

/// Client secrets of Entra ID: three characters, `7Q~` or `8Q~`, 31 to 34 characters.
fn azure_client_secret(text: &[u8], start: usize, body: usize) -> Option<(usize, usize, bool)> {
    let class = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'~' | b'.' | b'-');
    let end = run(text, body, class);
    let first = start.checked_sub(3)?;
    let valid = (31..=34).contains(&(end - body))
        && text[first..start].iter().all(|b| class(*b))
        && !first.checked_sub(1).is_some_and(|n| class(text[n]))
        && entropy(&text[body..end]) >= RANDOM;
    (end - body >= 31).then_some((first, end, valid))
}

/// GitHub and npm: 30 random characters and the CRC-32 of these in base 62
/// (<https://github.blog/engineering/behind-githubs-new-authentication-token-formats/>).
/// Tokens whose sum differs still count if they look random: not every issuer writes it.
fn crc_token(text: &[u8], start: usize, body: usize) -> Option<(usize, usize, bool)> {
    let end = run(text, body, |b| b.is_ascii_alphanumeric());
    let key = &text[body..end];
    let valid = starts(text, start)
        && key.len() == 36
        && (has_crc(key) || (entropy(key) >= 3.5 && !text.get(end).is_some_and(|b| is_word(*b))));
    (key.len() >= 36).then_some((start, end, valid))
}

fn has_crc(key: &[u8]) -> bool {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let Some((random, sum)) = key.split_last_chunk::<6>() else {
        return false;
    };
    let mut crc = crc32fast::hash(random);
    sum.iter().rev().all(|byte| {
        let digit = DIGITS[(crc % 62) as usize];
        crc /= 62;
        *byte == digit
    })
}

fn github_pat(text: &[u8], start: usize, body: usize) -> Option<(usize, usize, bool)> {
    let end = run(text, body, is_word);
    let key = &text[body..end];
    let valid = key.len() == 82 && key[22] == b'_' && starts(text, start) && entropy(key) >= RANDOM;
    (key.len() >= 82).then_some((start, end, valid))
}

/// `xoxb-123-456-abc`, and `xoxe.xoxp-1-…` for rotated ones.
fn slack(text: &[u8], start: usize, body: usize) -> Option<(usize, usize, bool)> {
    let kind = text.get(body)?;
    if !b"abceoprs".contains(kind) || !matches!(text.get(body + 1), Some(b'-' | b'.')) {
        return None;
    }
    let end = run(text, body + 2, |b| {
        b.is_ascii_alphanumeric() || b == b'-' || b == b'.'
    });
    let rest = text[body + 2..end]
        .strip_suffix(b".")
        .unwrap_or(&text[body + 2..end]);
    let end = body + 2 + rest.len();
    let valid = starts(text, start)
        && rest.iter().filter(|b| b.is_ascii_digit()).count() >= 6
        && entropy(rest) >= 2.5;
    (rest.len() >= 20).then_some((start, end, valid))
}

fn slack_webhook(text: &[u8], start: usize, body: usize) -> Option<(usize, usize, bool)> {
    let end = run(text, body, |b| b.is_ascii_alphanumeric() || b == b'/');
    let mut parts = text[body..end].split(|b| *b == b'/');
    let valid = parts
        .next()
        .is_some_and(|p| p.starts_with(b"T") && p.len() >= 8)
        && parts
            .next()
            .is_some_and(|p| p.starts_with(b"B") && p.len() >= 8)
        && parts.next().is_some_and(|p| p.len() >= 20);
    (end - body >= 20).then_some((start, end, valid))
}

/// First letters of Stripe's keys: secret, restricted and publishable.
const STRIPE: &[u8] = b"srp";

/// The letter in front is part of the key.
fn stripe(text: &[u8], start: usize, body: usize) -> Option<(usize, usize, bool)> {
    let first = start
        .checked_sub(1)
        .filter(|n| STRIPE.contains(&text[*n]))?;
    AtLeast(16, |b| b.is_ascii_alphanumeric()).verify(text, first, body)
}

/// A macaroon in base64: version, and the location `pypi.org` or `test.pypi.org`.
fn pypi(text: &[u8], start: usize, body: usize) -> Option<(usize, usize, bool)> {
    let end = run(text, body, is_word_or_hyphen);
    let key = &text[start + 5..end];
    let located = key.starts_with(b"AgEIcHlwaS5vcmc") || key.starts_with(b"AgENdGVzdC5weXBpLm9yZw");
    (key.len() >= 60).then_some((start, end, located && starts(text, start)))
}

/// OpenAI keys carry the marker `T3BlbkFJ`; others of the style have a vendor in front.
fn openai(text: &[u8], start: usize, body: usize) -> Option<(usize, usize, bool)> {
    if start
        .checked_sub(1)
        .is_some_and(|n| is_word_or_hyphen(text[n]))
    {
        return None;
    }
    let end = run(text, body, is_word_or_hyphen);
    let key = &text[body..end];
    let vendor = [
        &b"proj-"[..],
        b"svcacct-",
        b"admin-",
        b"ant-",
        b"or-",
        b"None-",
    ]
    .iter()
    .any(|v| key.starts_with(v));
    let marked = memmem::find(key, b"T3BlbkFJ").is_some();
    let mixed = key.iter().any(u8::is_ascii_digit) && key.iter().any(u8::is_ascii_alphabetic);
    let valid = mixed && entropy(key) >= RANDOM && (vendor || marked || entropy(key) >= 3.8);
    (key.len() >= 32).then_some((start, end, valid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_few_enough_for_the_fast_search() {
        assert!(PREFIXES.len() <= 32);
    }

    #[test]
    fn the_checksum_of_a_token_is_the_crc_of_its_random_part() {
        let random = b"zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ";
        let mut crc = crc32fast::hash(random);
        let digits = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let mut sum = [0u8; 6];
        for slot in sum.iter_mut().rev() {
            *slot = digits[(crc % 62) as usize];
            crc /= 62;
        }
        let token = [&random[..], &sum[..]].concat();
        assert!(has_crc(&token));
        let mut wrong = token;
        wrong[0] = b'a';
        assert!(!has_crc(&wrong));
    }
}
