//! Whether the value behind a name is a secret, or something that stands in its place.

use super::sentence::is_sentence;
use super::stand_in::{is_mask, is_reference};
use super::words::is_word;
use crate::checksum::entropy;
use crate::name::{class_of_name, NameClass};

/// Shortest value that can be told from a word by its entropy.
pub(super) const MIN_RANDOM: usize = 12;

/// What tokens are made of.
static TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0u8;
    while byte < 0x80 {
        table[byte as usize] = byte.is_ascii_alphanumeric();
        byte += 1;
    }
    let others = b"_-./+=~:!#$%^*";
    let mut n = 0;
    while n < others.len() {
        table[others[n] as usize] = true;
        n += 1;
    }
    table
};

pub(super) fn is_token(byte: &u8) -> bool {
    TOKEN[usize::from(*byte)]
}

/// Where a value stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Behind its name in a text.
    Text,
    /// As all of a field, or of a member of JSON.
    Member,
    /// As one of the pairs of a connection, behind that of the user: `UID=app;PWD=/x7`.
    Connection,
}

/// Where the token ends that the value at `start..end` begins with, if it is one: what stands directly
/// behind it, such as `?`, `(` or a comma of another script, belongs to the text.
pub(super) fn token_end(text: &[u8], start: usize, end: usize) -> usize {
    let len = text[start..end].iter().take_while(|b| is_token(b)).count();
    // A quote within belongs to the value.
    let within = matches!(text.get(start + len), Some(b'"' | b'\\'));
    match len >= MIN_RANDOM && !within {
        true => start + len,
        false => end,
    }
}

/// Whether `value` under a name of `class` is a secret and no placeholder for one.
pub(crate) fn is_secret_value(class: NameClass, value: &[u8], place: Place) -> bool {
    let mut value = value.trim_ascii();
    if class.is_random() {
        // What has a quote within is told by what is in front of it.
        let quote = value.iter().position(|b| matches!(b, b'"' | b'\\'));
        value = &value[..quote.filter(|n| *n >= MIN_RANDOM).unwrap_or(value.len())];
    }
    if value.len() < 3 {
        return false;
    }
    // What is most often no secret is told first.
    let random =
        class.is_random() && (is_random(value) || class == NameClass::Secret && is_mixed(value));
    if class.is_random() && !random && (class != NameClass::Secret || place == Place::Text) {
        return false;
    }
    if is_mask(value) || is_reference(value) {
        return false;
    }
    // "[FILTERED]", "__REDACTED__"
    let bare = |b: &u8| !b.is_ascii_alphanumeric() && *b < 0x80;
    let first = value.iter().take_while(|b| bare(b)).count();
    let last = value.iter().rev().take_while(|b| bare(b)).count();
    let inner = value.get(first..value.len() - last).unwrap_or_default();
    // "Password:", which somebody is asked for; "Optional. The secret of ..."
    let told = first > 0 || matches!(value.last(), Some(b':' | b'.'));
    // ":pw", "@@PW@@", "__PW__": what a program fills in.
    let filled = first > 1 && first == last || first == 1 && last == 0 && value[0] == b':';
    if filled && class_of_name(inner).is_secret() {
        return false;
    }
    if is_word(value, place) || (told && is_word(inner, Place::Text)) || is_sentence(value) {
        return false;
    }
    match class {
        NameClass::Plain | NameClass::Phone | NameClass::Indirect | NameClass::Cookie => false,
        // A working directory is no password: PWD=/root.
        NameClass::Password => {
            let written = !is_directory(value) || is_base64(value);
            place == Place::Connection || written && !is_number(value)
        }
        NameClass::Pass => {
            let digits = value.iter().all(u8::is_ascii_digit);
            let count = digits && value.len() < 6 && place == Place::Text;
            !(value.starts_with(b"/") || count || is_number(value))
        }
        NameClass::Authorization => {
            value.len() >= 8 && (!value.contains(&b'@') || value.contains(&b'='))
        }
        // What parsers call tokens is short, too.
        NameClass::Secret => {
            random || place == Place::Member && value.len() > 3 && !is_label(value)
        }
        NameClass::Key | NameClass::OtherKey => random,
        NameClass::Auth => is_random(value),
        NameClass::Code => value.len() >= 16 && random,
        NameClass::Session => value.len() >= 16 && random && !is_uuid(value),
        NameClass::Weak => value.len() >= 6 && has_both(value),
        NameClass::Pin => {
            let digits = value.iter().all(u8::is_ascii_digit);
            digits && value.len() <= 8 || is_random(value)
        }
    }
}

/// What is a number of something and no password: `0x030`, `1.2.840.113549.1.9.7`.
fn is_number(value: &[u8]) -> bool {
    value.len() < 7 && is_hex_number(value)
        || value.iter().all(|b| b.is_ascii_digit() || *b == b'.')
            && value.iter().filter(|b| **b == b'.').count() > 2
}

/// Whether a value without quotes behind the word "password" and a blank is one, and no further word:
/// letters of both cases and digits.
pub(super) fn is_strong(value: &[u8]) -> bool {
    value.len() >= 6
        && value.iter().any(u8::is_ascii_digit)
        && value.iter().any(u8::is_ascii_lowercase)
        && (value.iter().any(u8::is_ascii_uppercase)
            || value.iter().any(|b| b"!#$%^&*".contains(b)))
        && changes(value) >= 3
        && !value.iter().any(|b| matches!(b, b':' | b'/' | b'(' | b'='))
}

/// Whether a word looks like a secret wherever it stands: a password as people have them, or a key.
pub(super) fn is_alone(word: &[u8]) -> bool {
    is_strong(word) || word.len() >= 16 && is_random(word) && word.iter().any(u8::is_ascii_digit)
}

pub(super) fn has_both(value: &[u8]) -> bool {
    value.iter().any(u8::is_ascii_digit) && value.iter().any(u8::is_ascii_alphabetic)
}

/// A name of something, as a member that is called "secret" has at times: `db-credentials`,
/// `app/tls`; what a parser calls a token: `StringLiteral`, `EOF`; or a sentence about it: `not set`.
fn is_label(value: &[u8]) -> bool {
    let lower = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let joint = |b: &u8| matches!(b, b'-' | b'/' | b'.' | b'_' | b':');
    let words = value.split(joint);
    let name = value.iter().any(joint)
        && words
            .into_iter()
            .all(|word| !word.is_empty() && word.iter().all(lower));
    let class = value[0].is_ascii_uppercase()
        && value.iter().all(u8::is_ascii_alphabetic)
        && (value.len() < 8 && value.iter().all(u8::is_ascii_uppercase) || is_wordy(value));
    let first = value.split(|b| *b == b' ').next().unwrap_or_default();
    let sentence = first.len() < value.len() && is_word(first, Place::Text);
    name || class
        || sentence
        || value.starts_with(b"/")
        || memchr::memmem::find(value, b"://").is_some()
}

/// What bytes a value is made of, and how they follow each other; told in one pass.
#[derive(Clone, Copy, Debug, Default)]
struct Traits {
    digits: usize,
    capitals: usize,
    small: usize,
    dots: usize,
    /// Hyphens, slashes, dots and underscores.
    joints: usize,
    /// What is hardly ever in a token of letters only.
    few: usize,
    /// How often letters, capitals, digits and others follow each other.
    changes: usize,
    /// Pairs of letters, and those of them that words have.
    pairs: usize,
    common: usize,
}

/// Kinds of bytes: small letters, capitals, digits, and others.
static KIND: [u8; 256] = {
    let mut kinds = [3; 256];
    let mut byte = 0u8;
    while byte < 0x80 {
        if byte.is_ascii_lowercase() {
            kinds[byte as usize] = 0;
        } else if byte.is_ascii_uppercase() {
            kinds[byte as usize] = 1;
        } else if byte.is_ascii_digit() {
            kinds[byte as usize] = 2;
        }
        byte += 1;
    }
    kinds
};

impl Traits {
    fn of(value: &[u8]) -> Self {
        let mut traits = Traits::default();
        let mut counts = [0; 4];
        let mut before = (u8::MAX, 0);
        for byte in value {
            let kind = KIND[usize::from(*byte)];
            counts[usize::from(kind)] += 1;
            traits.changes += usize::from(kind != before.0);
            let letter = byte & 31;
            if kind > 2 {
                traits.dots += usize::from(*byte == b'.');
                traits.joints += usize::from(matches!(byte, b'-' | b'/' | b'.' | b'_'));
                traits.few += usize::from(matches!(byte, b'.' | b':' | b'#' | b'$' | b'~' | b'!'));
            } else if kind < 2 && before.0 < 2 {
                traits.pairs += 1;
                let follows = PAIRS[usize::from(before.1 - 1)] >> (letter - 1) & 1;
                traits.common += follows as usize;
            }
            before = (kind, letter);
        }
        // The first byte follows none.
        traits.changes -= usize::from(!value.is_empty());
        [traits.small, traits.capitals, traits.digits, _] = counts;
        traits
    }

    fn letters(self) -> usize {
        self.small + self.capitals
    }

    /// Whether the letters follow each other as in words. Of random ones, 38 in 100 do.
    fn is_wordy(self, len: usize) -> bool {
        // Where every other letter is a capital, there are no words.
        let limit = if self.changes * 4 >= len * 3 { 90 } else { 68 };
        self.common * 100 >= self.pairs * limit
    }
}

/// How often letters, capitals, digits and others follow each other.
fn changes(value: &[u8]) -> usize {
    Traits::of(value).changes
}

/// Whether the letters of a value follow each other as in words.
fn is_wordy(value: &[u8]) -> bool {
    Traits::of(value).is_wordy(value.len())
}

/// Whether a value too short to be told by its entropy is as mixed as only passwords are: `abcZ9x8c7v6`.
fn is_mixed(value: &[u8]) -> bool {
    value.len() >= 8
        && value.iter().all(u8::is_ascii_alphanumeric)
        && has_both(value)
        && changes(value) >= 5
        && !is_class(value, Traits::of(value))
}

/// Whether a value that begins with a slash is random bytes in base64, as one in 64 secret keys of AWS is:
/// letters stand together by case in paths, and anywhere in these.
fn is_base64(value: &[u8]) -> bool {
    value.len() >= 32
        && value
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='))
        && changes(value) * 5 >= value.len() * 2
        && entropy(value) >= 4.0
}

/// For each letter, which follow it in words, a bit each: 260 pairs, which are 96 % of those in English
/// words and names of programs.
const PAIRS: [u32; 26] = [
    20888910, 1460497, 1985941, 1458457, 32504191, 1722673, 1468817, 672017, 36633727, 16401,
    262417, 18630937, 1364243, 20737405, 8321406, 18794897, 1048576, 20905309, 18794901, 22989205,
    964959, 273, 4350353, 557076, 442368, 16,
];

/// `/root`, `./src`, `~/src`, `~bob/src`, `C:\\Users`
fn is_directory(value: &[u8]) -> bool {
    match value {
        [b'/', ..] | [b'.', b'/', ..] | [b'.', b'.', b'/', ..] => true,
        [drive, b':', b'/' | b'\\', ..] => drive.is_ascii_alphabetic(),
        [b'~', rest @ ..] => {
            let user = rest.iter().take_while(|b| b.is_ascii_alphanumeric());
            rest.get(user.count()) == Some(&b'/')
        }
        _ => false,
    }
}

/// What people and programs call something: words, a few of them with digits, of one case and joined:
/// `default/default-token-7x2kq`, `ERR_CARD_DECLINED_51`, `SCRAM-SHA-256`.
fn is_called(value: &[u8], traits: Traits) -> bool {
    /// Most bytes of the words with digits: what is behind the name of an object of Kubernetes has ten.
    const MARKS: usize = 10;
    let one_case = (traits.capitals == 0) != (traits.small == 0);
    let plain = traits.letters() + traits.digits + traits.joints == value.len();
    if !one_case || !plain || !traits.is_wordy(value.len()) {
        return false;
    }
    // All of it is one word.
    if traits.joints == 0 && traits.digits == 0 {
        return true;
    }
    let joint = |b: &u8| matches!(b, b'-' | b'/' | b'.' | b'_');
    let (mut words, mut marks) = (0, 0);
    for part in value.split(joint) {
        match part.iter().any(u8::is_ascii_digit) {
            true => marks += part.len(),
            // "db", "tls"
            false if part.len() < 4 && !part.is_empty() || is_wordy(part) => words += part.len(),
            false => return false,
        }
    }
    marks <= MARKS && words >= 2 * marks.min(4) && words > marks
}

/// What programs call a class or a constant, with a number in it: `Ed25519PrivateKey`, `XXH64_hash_t`,
/// `POLY1305_UPDATE`.
fn is_class(value: &[u8], traits: Traits) -> bool {
    let plain = || {
        let mut bytes = value.iter();
        bytes.all(|b| b.is_ascii_alphanumeric() || *b == b'_')
    };
    let digit = |n: usize| value[n].is_ascii_digit();
    let runs = || {
        let starts = (0..value.len()).filter(|n| digit(*n) && (*n == 0 || !digit(*n - 1)));
        starts.count()
    };
    traits.digits <= 5
        && traits.letters() >= 8
        && traits.changes * 5 <= value.len() * 2
        && traits.is_wordy(value.len())
        && (value[0].is_ascii_alphabetic() || value[0] == b'_')
        && plain()
        && runs() < 2
}

/// A number of something, as the keys of caches are: `refresh:48213`.
fn is_cache_key(value: &[u8]) -> bool {
    let name = |b: &u8| b.is_ascii_lowercase() || matches!(b, b'_' | b'-');
    match value.iter().rposition(|b| *b == b':') {
        Some(sign) => {
            value[..sign]
                .split(|b| *b == b':')
                .all(|part| part.iter().all(name))
                && value[sign + 1..].iter().all(u8::is_ascii_digit)
        }
        None => false,
    }
}

/// An entry of a public list: `CVE-2019-13117`, `RHSA-2024:1234`.
fn is_entry(value: &[u8]) -> bool {
    let letters = value.iter().take_while(|b| b.is_ascii_uppercase()).count();
    (2..=6).contains(&letters)
        && value.get(letters) == Some(&b'-')
        && value[letters..]
            .iter()
            .all(|b| b.is_ascii_digit() || matches!(b, b'-' | b':'))
        && value.len() <= 20
}

/// The fingerprint of a key, as pairs: `51:C4:0C:…`.
fn is_fingerprint(value: &[u8]) -> bool {
    let mut pairs = value.split(|b| *b == b':');
    matches!(value.len(), 47 | 59 | 95)
        && pairs.all(|pair| pair.len() == 2 && pair.iter().all(u8::is_ascii_hexdigit))
}

/// A constant of a program: `RSA_PSS_2048_8192_SHA384_LEGACY_KEY`.
fn is_constant(value: &[u8]) -> bool {
    let name = value.strip_prefix(b"#").unwrap_or(value);
    let plain = |b: &u8| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_';
    let word = |part: &[u8]| part.len() > 3 && part.iter().all(u8::is_ascii_uppercase);
    let mut parts = name.split(|b| *b == b'_');
    name.iter().all(plain) && name.iter().filter(|b| **b == b'_').count() > 2 && parts.any(word)
}

/// The letters one behind the other.
fn is_alphabet(value: &[u8]) -> bool {
    const ROW: usize = 20;
    value.windows(ROW).any(|row| {
        row.windows(2)
            .all(|pair| pair[1] == pair[0].wrapping_add(1))
    })
}

/// A line of a source: `x11_be.c:1065`.
fn is_line(value: &[u8]) -> bool {
    let Some(colon) = memchr::memrchr(b':', value) else {
        return false;
    };
    let (file, line) = (&value[..colon], &value[colon + 1..]);
    let kind = file
        .iter()
        .rev()
        .take_while(|b| b.is_ascii_lowercase())
        .count();
    (1..=6).contains(&line.len())
        && line.iter().all(u8::is_ascii_digit)
        && (1..=5).contains(&kind)
        && file[..file.len() - kind].ends_with(b".")
}

/// What somebody calls something, each part of it letters or a few digits: `inf-vsqt-01-secret-id`,
/// `db-pass-2024`.
fn is_slug(value: &[u8]) -> bool {
    let (mut parts, mut digits, mut wordy) = (0, 0, false);
    for part in value.split(|b| *b == b'-') {
        let numbers = part.iter().filter(|b| b.is_ascii_digit()).count();
        let small = part.iter().all(u8::is_ascii_lowercase);
        if part.is_empty() || !small && numbers < part.len() {
            return false;
        }
        parts += 1;
        digits += numbers;
        wordy |= small && part.len() > 3 && is_wordy(part);
    }
    parts > 2 && digits <= 4 && wordy
}

/// Hexadecimal digits in groups of 8, 4, 4, 4 and 12.
fn is_uuid(value: &[u8]) -> bool {
    let hyphen = |(n, b): (usize, &u8)| match n {
        8 | 13 | 18 | 23 => *b == b'-',
        _ => b.is_ascii_hexdigit(),
    };
    value.len() == 36 && value.iter().enumerate().all(hyphen)
}

/// A number of 64 bits: the address of an object, the session of a server.
fn is_hex_number(value: &[u8]) -> bool {
    matches!(value, [b'0', b'x', digits @ ..]
        if (1..=16).contains(&digits.len()) && digits.iter().all(u8::is_ascii_hexdigit))
}

/// What is behind the name in a value that is a pair itself: `profile=prod-2024`, `expires_in=3600`.
fn behind_name(value: &[u8]) -> &[u8] {
    let name = |b: &&u8| b.is_ascii_lowercase() || **b == b'_';
    let letters = value.iter().take_while(name).count();
    match &value[letters..] {
        [b'=', rest @ ..] if letters > 2 && rest.len() > 2 => rest,
        _ => value,
    }
}

/// Whether a value is as mixed as credentials are and words, paths and class names are not.
pub(super) fn is_random(value: &[u8]) -> bool {
    let value = behind_name(value);
    // What has a byte that no token has is refused before anything is counted.
    if value.len() < MIN_RANDOM || !value.iter().all(is_token) {
        return false;
    }
    let traits = Traits::of(value);
    let mixed = (traits.digits >= 2 && traits.letters() >= 2)
        || (traits.letters() >= MIN_RANDOM && traits.few == 0 && !traits.is_wordy(value.len()));
    if !mixed || traits.dots > 2 && value.len() < 40 {
        return false;
    }
    let joined = || is_entry(value) || is_slug(value) || is_constant(value);
    // Colons are among what is in few.
    let signed = || {
        is_cache_key(value)
            || is_line(value)
            || is_fingerprint(value)
            || super::is_path(value) && memchr::memmem::find(value, b"::").is_some()
    };
    !(is_hex_number(value)
        || is_directory(value) && value[0] != b'/'
        || is_called(value, traits)
        || is_class(value, traits)
        || is_alphabet(value)
        || traits.joints > 0 && joined()
        || traits.few > 0 && signed())
        && (value[0] != b'/' || is_base64(value))
        && (traits.joints < 2 || memchr::memmem::find(value, b"://").is_none())
        && entropy(value) >= 3.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_words_and_directories_are_no_secrets() {
        for value in [
            "hunter2",
            "correct horse",
            "p@ss!",
            "abc",
            "/9Zk3nQwE7rTyU1iOpAsDfGhJkLzXcVbNm4q+eWx",
        ] {
            assert!(
                is_secret_value(NameClass::Password, value.as_bytes(), Place::Text),
                "{value}"
            );
        }
        for value in [
            "****",
            "xxxx",
            "${DB}",
            "$PASSWORD",
            "null",
            "incorrect",
            "/root",
            "/home/jenkins/workspace/Release2024/Build17",
            "/var/lib/kubelet/pods/Volumes/Secret/Token01",
            "<pw>",
            "ab",
            "",
            "[FILTERED]",
            "__REDACTED__",
            "***masked***",
            "(hidden)",
        ] {
            assert!(
                !is_secret_value(NameClass::Password, value.as_bytes(), Place::Text),
                "{value}"
            );
        }
        for value in [
            "9f86d081884c7d659a2f",
            "c2VjcmV0LWtleS0xMjM0NTY3",
            "dVpCznhYQESEcmfC3GPt",
            "bzqkfwjxvhpdmtgy",
            "QwErTyUiOpAsDf",
            "/28DDcHBSjT9Ru5vfKgWAzxKwE9vwhA4O4Mth++Xk9G=",
        ] {
            assert!(
                is_secret_value(NameClass::Key, value.as_bytes(), Place::Text),
                "{value}"
            );
        }
        for value in [
            "default-token-name",
            "AuthenticationManagerBuilder",
            "getUserTokenById",
            "android.os.BinderProxy@1234",
            "/var/run/secret1234567",
            "1234567890123",
        ] {
            assert!(
                !is_secret_value(NameClass::Key, value.as_bytes(), Place::Text),
                "{value}"
            );
        }
    }
}
