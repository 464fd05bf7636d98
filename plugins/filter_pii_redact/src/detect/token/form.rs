//! What tokens are made of behind their prefix.

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine as _;
use memchr::memmem;

use std::cell::Cell;
use std::ops::{Deref, Range};

use crate::budget::Budget;
use crate::checksum;

/// Longest header of a JWT.
const MAX_HEADER: usize = 8192;
/// Bytes of a token that tell how mixed it is: more say the same, and would be looked at again for
/// every prefix in them.
const SAMPLE: usize = 64;
/// What a byte of a sample counts for.
const ENTROPY: usize = 3;
/// So many bytes that are searched count for one.
const SEARCHED: usize = 8;
/// What a byte of a run counts for: its class is asked for each.
const READ: usize = 2;
/// What a byte of the header of a JWT counts for, which is decoded and read as JSON.
const HEADER: usize = 12;
/// Classes of bytes whose runs are remembered: there are fewer.
const RUNS: usize = 16;

/// A text in which tokens are looked for. How far a run of a class goes is remembered, so that a row of
/// prefixes does not go through it again from each of them.
pub(super) struct Text<'a> {
    bytes: &'a [u8],
    budget: &'a Budget,
    runs: [Cell<Option<Run>>; RUNS],
    /// The one that goes next.
    oldest: Cell<usize>,
    uniform: Cell<Option<Uniform>>,
    /// Where the last token ended: another one may be glued to it.
    edge: Cell<usize>,
}

/// From `start` to `end` every byte is of the class, and the one at `end` is not.
#[derive(Clone, Copy)]
struct Run {
    class: usize,
    start: usize,
    end: usize,
}

impl Deref for Text<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes
    }
}

impl<'a> Text<'a> {
    pub(super) fn new(bytes: &'a [u8], budget: &'a Budget) -> Self {
        Text {
            bytes,
            budget,
            runs: Default::default(),
            oldest: Cell::new(0),
            uniform: Cell::new(None),
            edge: Cell::new(0),
        }
    }

    /// A token ends at `end`.
    pub(super) fn ends_token(&self, end: usize) {
        self.edge.set(end);
    }

    /// End of the run of a class that `from` is in.
    fn run(&self, from: usize, class: fn(u8) -> bool) -> usize {
        let id = class as usize;
        let known = self.runs.iter().filter_map(Cell::get);
        let here = |run: &Run| run.class == id && (run.start..=run.end).contains(&from);
        if let Some(run) = known.into_iter().find(here) {
            return run.end;
        }
        let rest = self.bytes.get(from..).unwrap_or_default();
        let len = rest.iter().position(|b| !class(*b)).unwrap_or(rest.len());
        self.budget.look(READ * len);
        let slot = self.oldest.get();
        self.runs[slot].set(Some(Run {
            class: id,
            start: from,
            end: from + len,
        }));
        self.oldest.set((slot + 1) % RUNS);
        from + len
    }

    /// Where `needle` begins next in this part of the text.
    pub(super) fn find(&self, part: Range<usize>, needle: &[u8]) -> Option<usize> {
        let bytes = self.bytes.get(part.clone())?;
        let found = memmem::find(bytes, needle);
        self.budget.look(found.unwrap_or(bytes.len()) / SEARCHED);
        found.map(|n| part.start + n)
    }
}

/// Bits a byte of what begins at `from`, in a run that ends at `end`.
///
/// A row of prefixes is one long run. What is too uniform to have a token in it is that for what begins
/// a few bytes further on as well, and is not looked at again for it.
pub(super) fn entropy(text: &Text<'_>, from: usize, end: usize) -> f32 {
    if let Some(uniform) = text.uniform.get() {
        let near = (uniform.start..uniform.start + APART).contains(&from);
        if near && uniform.end == end {
            return uniform.entropy;
        }
    }
    let sample = end.min(from + SAMPLE);
    text.budget.look(ENTROPY * (sample - from));
    let entropy = checksum::entropy(&text[from..sample]);
    if entropy < UNIFORM {
        text.uniform.set(Some(Uniform {
            start: from,
            end,
            entropy,
        }));
    }
    entropy
}

/// Twenty random bytes and less than [`APART`] others in front have more bits a byte than this.
const UNIFORM: f32 = 2.9;
/// How far behind the start of a run that is too uniform the next look is.
const APART: usize = 16;

/// The start of a part of a run that has no token in it.
#[derive(Clone, Copy)]
struct Uniform {
    start: usize,
    /// Where the run ends.
    end: usize,
    entropy: f32,
}

/// Bits a byte that random letters and digits of these lengths do not fall below.
pub(super) const RANDOM: f32 = 3.0;
/// The same of short ones, and of numbers in them.
const LOW: f32 = 2.5;

/// End of the token whose prefix is at `start` and ends at `body`, and whether it is valid.
/// `None`: nothing that looks like one.
pub(super) type Verify =
    fn(text: &Text<'_>, start: usize, body: usize) -> Option<(usize, usize, bool)>;

/// What a token is made of behind its prefix.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    /// So many random bytes of the class.
    Exactly(usize, fn(u8) -> bool),
    /// So many or more.
    AtLeast(usize, fn(u8) -> bool),
    /// These, one behind the other.
    Parts(&'static [Part]),
    /// What the function says.
    Own(Verify),
}

/// A part of a token.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    /// These bytes.
    Sign(&'static str),
    /// From so many to so many bytes of the class.
    Run(usize, usize, fn(u8) -> bool),
}

/// Hexadecimal digits as in a UUID.
pub(super) const UUID: &[Part] = &[
    Part::Run(8, 8, is_hex),
    Part::Sign("-"),
    Part::Run(4, 4, is_hex),
    Part::Sign("-"),
    Part::Run(4, 4, is_hex),
    Part::Sign("-"),
    Part::Run(4, 4, is_hex),
    Part::Sign("-"),
    Part::Run(12, 12, is_hex),
];

impl Form {
    /// Whether a token of this form is none behind a letter or digit, whatever it is made of.
    pub(super) fn starts_alone(self) -> bool {
        !matches!(self, Form::Own(_))
    }

    pub(super) fn verify(
        self,
        text: &Text<'_>,
        start: usize,
        body: usize,
    ) -> Option<(usize, usize, bool)> {
        let (len, class) = match self {
            Form::Own(verify) => return verify(text, start, body),
            Form::Parts(parts) => {
                let mut end = body;
                for part in parts {
                    end = match *part {
                        Part::Sign(sign) => {
                            let found = text.get(end..)?.starts_with(sign.as_bytes());
                            found.then_some(end + sign.len())?
                        }
                        Part::Run(least, most, class) => {
                            let to = run(text, end, class);
                            (least..=most).contains(&(to - end)).then_some(to)?
                        }
                    };
                }
                let valid = starts(text, start) && entropy(text, body, end) >= LOW;
                return Some((start, end, valid));
            }
            Form::Exactly(len, class) | Form::AtLeast(len, class) => (len, class),
        };
        let end = run(text, body, class);
        let right = matches!(self, Form::AtLeast(..)) || end - body == len;
        let valid = right && starts(text, start) && entropy(text, body, end) >= RANDOM;
        (end - body >= len).then_some((start, end, valid))
    }
}

/// Percent-encoding as well.
pub(super) fn is_percent(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'%'
}

/// Capitals and digits.
pub(super) fn is_upper(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}

pub(super) fn is_digit(byte: u8) -> bool {
    byte.is_ascii_digit()
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

pub(super) fn is_word_or_hyphen(byte: u8) -> bool {
    static TABLE: [bool; 256] = {
        let mut table = [false; 256];
        let mut byte = 0u8;
        while byte < 0x80 {
            table[byte as usize] = byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
            byte += 1;
        }
        table
    };
    TABLE[usize::from(byte)]
}

pub(super) fn is_alnum(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

pub(super) fn is_hex(byte: u8) -> bool {
    byte.is_ascii_hexdigit()
}

pub(super) fn is_alnum_or_hyphen(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-'
}

pub(super) fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=')
}

pub(super) fn run(text: &Text<'_>, from: usize, class: fn(u8) -> bool) -> usize {
    text.run(from, class)
}

/// A token does not start inside a word, but may directly behind another one.
pub(super) fn starts(text: &Text<'_>, start: usize) -> bool {
    if start == text.edge.get() {
        return true;
    }
    match start.checked_sub(1).map(|n| text[n]) {
        Some(b'n' | b'r' | b't') => start >= 2 && text[start - 2] == b'\\',
        Some(b) => !b.is_ascii_alphanumeric(),
        None => true,
    }
}

/// RFC 7468: from the BEGIN line to the END line, or to the end of what there is.
pub(super) fn private_key(
    text: &Text<'_>,
    start: usize,
    body: usize,
) -> Option<(usize, usize, bool)> {
    let window = &text[body..text.len().min(body + 64)];
    let dashes = memmem::find(window, b"-----")?;
    let label = &window[..dashes];
    let ends = [
        &b"PRIVATE KEY"[..],
        b"PRIVATE KEY BLOCK",
        b"OpenVPN Static key V1",
    ];
    if !ends.iter().any(|end| label.ends_with(end)) {
        return None;
    }
    let last = text.find(body + dashes..text.len(), b"-----END ");
    let end = last.map_or(text.len(), |n| {
        let line = n + b"-----END ".len();
        let window = &text[line..text.len().min(line + 64)];
        memmem::find(window, b"-----").map_or(text.len(), |n| line + n + 5)
    });
    Some((start, end, true))
}

/// RFC 7519: the header is JSON with an algorithm; payload and signature follow.
pub(super) fn jwt(text: &Text<'_>, start: usize, _body: usize) -> Option<(usize, usize, bool)> {
    if !starts(text, start)
        || start
            .checked_sub(1)
            .is_some_and(|n| is_word_or_hyphen(text[n]))
    {
        return None;
    }
    let header_end = run(text, start, is_word_or_hyphen);
    if text.get(header_end) != Some(&b'.') || !(12..=MAX_HEADER).contains(&(header_end - start)) {
        return None;
    }
    text.budget.look(HEADER * (header_end - start));
    let header = URL_SAFE_NO_PAD.decode(&text[start..header_end]).ok();
    let json = header.and_then(|h| serde_json::from_slice::<serde_json::Value>(&h).ok());
    if !json.is_some_and(|json| json.get("alg").is_some() || json.get("enc").is_some()) {
        return Some((start, header_end, false));
    }
    let mut end = header_end;
    for _ in 0..4 {
        let Some(rest) = text[end..].strip_prefix(b".") else {
            break;
        };
        // Behind such a header it is a token to its end, however long.
        let len = rest.iter().take_while(|b| is_word_or_hyphen(**b)).count();
        // The key of an encrypted token may be empty, the last part not.
        if len == 0 && !(end == header_end && rest.starts_with(b".")) {
            break;
        }
        text.budget.look(READ * len);
        end += 1 + len;
    }
    Some((start, end, end > header_end))
}

/// AWS IAM user guide, "IAM identifiers": four letters for the kind, then base32.
pub(super) fn aws(text: &Text<'_>, start: usize, body: usize) -> Option<(usize, usize, bool)> {
    let end = run(text, body, is_word);
    let key = &text[body..end];
    if key.len() != 16 {
        return None;
    }
    let valid = key.iter().all(|b| matches!(b, b'A'..=b'Z' | b'2'..=b'7'))
        && !key.ends_with(b"EXAMPLE")
        && starts(text, start)
        && entropy(text, body, end) >= 2.0;
    Some((start, end, valid))
}

/// Keys of storage accounts have 64 bytes, those of Service Bus and IoT Hub 32, in base64.
pub(super) fn azure_shared_key(
    text: &Text<'_>,
    _start: usize,
    body: usize,
) -> Option<(usize, usize, bool)> {
    let end = run(text, body, is_base64);
    let key = &text[body..end];
    let valid = matches!(key.len(), 44 | 88)
        && key.ends_with(b"=")
        && !key[..key.len() - 2].contains(&b'=')
        && entropy(text, body, end) >= RANDOM;
    (key.len() >= 40).then_some((body, end, valid))
}

/// `X-Amz-Signature=…`, `X-Goog-Signature=…`: an HMAC or an RSA signature in hexadecimal digits.
pub(super) fn url_signature(
    text: &Text<'_>,
    _start: usize,
    body: usize,
) -> Option<(usize, usize, bool)> {
    let end = run(text, body, is_hex);
    Some((body, end, end - body >= 64))
}

/// Client secrets of Entra ID: three characters, `7Q~` or `8Q~`, 31 to 34 characters.
pub(super) fn azure_client_secret(
    text: &Text<'_>,
    start: usize,
    body: usize,
) -> Option<(usize, usize, bool)> {
    let class = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'~' | b'.' | b'-');
    let end = run(text, body, class);
    let first = start.checked_sub(4)?;
    if !matches!(text[start - 1], b'7' | b'8') {
        return None;
    }
    let valid = (31..=34).contains(&(end - body))
        && text[first..start].iter().all(|b| class(*b))
        && !first.checked_sub(1).is_some_and(|n| class(text[n]))
        && entropy(text, body, end) >= RANDOM;
    (end - body >= 31).then_some((first, end, valid))
}

/// GitHub and npm: 30 random characters and the CRC-32 of these in base 62
/// (<https://github.blog/engineering/behind-githubs-new-authentication-token-formats/>).
/// Tokens whose sum differs still count if they look random: not every issuer writes it.
pub(super) fn crc_token(
    text: &Text<'_>,
    start: usize,
    body: usize,
) -> Option<(usize, usize, bool)> {
    let end = run(text, body, |b| b.is_ascii_alphanumeric());
    let key = &text[body..end];
    let valid = starts(text, start)
        && key.len() == 36
        && (has_crc(key)
            || (entropy(text, body, end) >= 3.5 && !text.get(end).is_some_and(|b| is_word(*b))));
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

pub(super) fn github_pat(
    text: &Text<'_>,
    start: usize,
    body: usize,
) -> Option<(usize, usize, bool)> {
    let end = run(text, body, is_word);
    let key = &text[body..end];
    let valid = key.len() == 82
        && key[22] == b'_'
        && starts(text, start)
        && entropy(text, body, end) >= RANDOM;
    (key.len() >= 82).then_some((start, end, valid))
}

/// Routable tokens have a part of their own behind a dot: two characters of length, seven of a CRC.
pub(super) fn gitlab(text: &Text<'_>, start: usize, body: usize) -> Option<(usize, usize, bool)> {
    const PART: usize = 9;
    let (start, mut end, valid) = Form::AtLeast(20, is_word_or_hyphen).verify(text, start, body)?;
    while valid
        && text.get(end) == Some(&b'.')
        && matches!(run(text, end + 1, is_alnum) - end - 1, 2 | PART)
    {
        end = run(text, end + 1, is_alnum);
    }
    Some((start, end, valid))
}

/// `xoxb-123-456-abc`, and `xoxe.xoxp-1-…` for rotated ones.
pub(super) fn slack(text: &Text<'_>, start: usize, body: usize) -> Option<(usize, usize, bool)> {
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
    let sample = &rest[..rest.len().min(SAMPLE)];
    let valid = starts(text, start)
        && sample.iter().filter(|b| b.is_ascii_digit()).count() >= 6
        && entropy(text, body + 2, end) >= 2.5;
    (rest.len() >= 20).then_some((start, end, valid))
}

/// Webhooks of workspaces: `services/T…/B…/…`, and those of workflows and triggers.
pub(super) fn slack_webhook(
    text: &Text<'_>,
    start: usize,
    body: usize,
) -> Option<(usize, usize, bool)> {
    let end = run(text, body, |b| b.is_ascii_alphanumeric() || b == b'/');
    let mut parts = text[body..end].split(|b| *b == b'/');
    let kind = parts.next()?;
    let mut next = |least: usize| parts.next().filter(|part| part.len() >= least);
    let team = next(8).is_some_and(|team| matches!(team[0], b'T' | b'E'));
    let valid = team
        && match kind {
            b"services" => next(8).is_some_and(|part| part[0] == b'B') && next(20).is_some(),
            b"workflows" | b"triggers" => next(8).is_some() && next(12).is_some(),
            _ => return None,
        };
    (end - body >= 30).then_some((start, end, valid))
}

/// A macaroon in base64: version, and the location `pypi.org` or `test.pypi.org`.
pub(super) fn pypi(text: &Text<'_>, start: usize, body: usize) -> Option<(usize, usize, bool)> {
    let end = run(text, body, is_word_or_hyphen);
    let key = &text[start + 5..end];
    let located = key.starts_with(b"AgEIcHlwaS5vcmc") || key.starts_with(b"AgENdGVzdC5weXBpLm9yZw");
    (key.len() >= 60).then_some((start, end, located && starts(text, start)))
}

/// OpenAI keys carry the marker `T3BlbkFJ`; others of the style have a vendor in front.
pub(super) fn openai(text: &Text<'_>, start: usize, body: usize) -> Option<(usize, usize, bool)> {
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
    // Keys of 32 hexadecimal digits are less mixed.
    let hex = key.len() == 32 && key.iter().all(u8::is_ascii_hexdigit);
    let enough = if vendor || marked || hex { RANDOM } else { 3.8 };
    let valid = mixed && entropy(text, body, end) >= enough;
    (key.len() >= 32).then_some((start, end, valid))
}

#[cfg(test)]
mod tests {
    use super::*;

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
