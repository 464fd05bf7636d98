//! Values behind a name that says they are secret: `password=…`, `"api_key": "…"`,
//! `Authorization: Bearer …`, and the same as keys of a record.

mod value;

use std::ops::Range;

use super::Inspection;
use crate::catalog::Id;

pub(crate) use value::is_secret_value;
use value::{is_token, MIN_RANDOM};

/// Longest name looked at.
const MAX_NAME: usize = 64;
/// Bytes of the header of a string, at most.
const HEADER: usize = 5;
/// Longest value without quotes.
const MAX_VALUE: usize = 4096;

/// What a name says of its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NameClass {
    /// Nothing.
    Plain,
    /// A password: any value is secret.
    Password,
    /// A key or token: secret if it looks random.
    Key,
    /// An HTTP header: a scheme, then credentials.
    Authorization,
}

impl NameClass {
    /// The detector that reports values under such a name.
    pub(crate) fn id(self) -> Id {
        if self == NameClass::Password {
            Id::Password
        } else {
            Id::Secret
        }
    }
}

/// An end of names, in lower case without `_`, `-` and `.`, and what it says. The flag: a longer word
/// may end so.
type Name = (&'static [u8], NameClass, bool);

/// The names by their last three letters.
const NAMES: &[(&[u8; 3], &[Name])] = &[
    (
        b"ion",
        &[(b"authorization", NameClass::Authorization, false)],
    ),
    (b"ord", &[(b"password", NameClass::Password, true)]),
    (b"swd", &[(b"passwd", NameClass::Password, true)]),
    (b"pwd", &[(b"pwd", NameClass::Password, false)]),
    (b"ase", &[(b"passphrase", NameClass::Password, true)]),
    (b"ode", &[(b"passcode", NameClass::Password, true)]),
    (b"ass", &[(b"pass", NameClass::Password, false)]),
    (
        b"ret",
        &[
            (b"clientsecret", NameClass::Password, true),
            (b"appsecret", NameClass::Password, false),
            (b"secret", NameClass::Key, false),
        ],
    ),
    (b"ken", &[(b"token", NameClass::Key, false)]),
    (
        b"key",
        &[
            (b"secretkey", NameClass::Password, true),
            (b"secretaccesskey", NameClass::Password, true),
            (b"apikey", NameClass::Key, false),
            (b"accesskey", NameClass::Key, false),
            (b"authkey", NameClass::Key, false),
            (b"privatekey", NameClass::Key, false),
            (b"signingkey", NameClass::Key, false),
            (b"encryptionkey", NameClass::Key, false),
            (b"accountkey", NameClass::Key, false),
            (b"sharedaccesskey", NameClass::Key, false),
        ],
    ),
    (b"als", &[(b"credentials", NameClass::Key, false)]),
    (b"ial", &[(b"credential", NameClass::Key, false)]),
    (b"yid", &[(b"accesskeyid", NameClass::Key, false)]),
];
/// Where "ion" is among them.
const ION: usize = 0;

/// For each of the three places and each byte there, in either case, the tails that have it: a bit
/// each.
static TAILS: [[u16; 256]; 3] = {
    let mut tails = [[0u16; 256]; 3];
    let mut tail = 0;
    while tail < NAMES.len() {
        let mut place = 0;
        while place < 3 {
            let letter = NAMES[tail].0[place];
            tails[place][letter as usize] |= 1 << tail;
            tails[place][letter.to_ascii_uppercase() as usize] |= 1 << tail;
            place += 1;
        }
        tail += 1;
    }
    tails
};

/// Which of [`NAMES`] may end in the last letters of `name`.
#[inline]
fn tail_of(name: &[u8]) -> Option<usize> {
    let [first, second, third] = name.last_chunk::<3>()?;
    let tails = TAILS[0][usize::from(*first)]
        & TAILS[1][usize::from(*second)]
        & TAILS[2][usize::from(*third)];
    (tails != 0).then(|| tails.trailing_zeros() as usize)
}

/// What the name that ends in front of `at` says of its value.
fn named(buf: &[u8], at: usize) -> NameClass {
    class_of_name(&buf[name_before(buf, at)])
}

/// The same in raw msgpack, where the length in the header of a string may look like a letter of its
/// first name.
fn named_in_string(buf: &[u8], name: Range<usize>) -> NameClass {
    let class = class_of_name(&buf[name.clone()]);
    if class != NameClass::Plain {
        return class;
    }
    let headers = name.start.saturating_sub(HEADER)..name.end;
    let texts = headers.filter_map(|n| match buf[n] {
        0xd9 => Some(n + 2),
        0xda => Some(n + 3),
        0xdb => Some(n + 5),
        _ => None,
    });
    texts
        .filter(|text| name.contains(text))
        .map(|text| class_of_name(&buf[text..name.end]))
        .find(|class| *class != NameClass::Plain)
        .unwrap_or(NameClass::Plain)
}

/// The name that ends in front of `at`; empty if it ends like none of the table.
#[inline]
fn name_before(buf: &[u8], at: usize) -> Range<usize> {
    let mut end = at;
    // Quotes and blanks may stand between the name and the sign.
    while end > 0 && at - end < 4 && matches!(buf[end - 1], b'"' | b'\'' | b'\\' | b' ' | b']') {
        end -= 1;
    }
    match tail_of(&buf[..end]) {
        None => end..end,
        // Words in "ion" are many, names of the table in "ion" only one.
        Some(ION) if !is_authorization(&buf[..end]) => end..end,
        Some(_) => name_start(buf, end)..end,
    }
}

fn is_authorization(name: &[u8]) -> bool {
    let last = name.last_chunk::<13>();
    last.is_some_and(|last| last.eq_ignore_ascii_case(b"authorization"))
}

/// Whether the name that ends in front of `at` in raw msgpack ends like a name of the table.
#[inline]
pub(super) fn plausible(buf: &[u8], at: usize) -> bool {
    let name = name_before(buf, at);
    if name.is_empty() {
        return false;
    }
    match named_in_string(buf, name) {
        NameClass::Plain => false,
        NameClass::Key => may_be_random(buf, at),
        NameClass::Password | NameClass::Authorization => true,
    }
}

/// Whether enough bytes of a key or token follow the sign at `at`. Behind a msgpack key the header
/// of the value follows instead.
fn may_be_random(buf: &[u8], at: usize) -> bool {
    if !matches!(buf.get(at), Some(b':' | b'=')) {
        return true;
    }
    let blank = |b: &u8| {
        matches!(
            b,
            b':' | b'=' | b'>' | b' ' | b'\t' | b'"' | b'\'' | b'\\' | b'`'
        )
    };
    let value = buf[at..]
        .iter()
        .take(MIN_RANDOM + 12)
        .skip_while(|b| blank(b));
    value.take(MIN_RANDOM).take_while(|b| is_token(b)).count() >= MIN_RANDOM
}

/// Whether a key ends like a name of the table.
pub(crate) fn is_name_plausible(key: &[u8]) -> bool {
    plausible(key, key.len())
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

fn name_start(buf: &[u8], end: usize) -> usize {
    let floor = end.saturating_sub(MAX_NAME);
    let mut start = end;
    while start > floor && is_name(buf[start - 1]) {
        start -= 1;
    }
    start
}

/// What a name says of its value.
pub(crate) fn class_of_name(name: &[u8]) -> NameClass {
    let names = tail_of(name).map_or(&[][..], |tail| NAMES[tail].1);
    names
        .iter()
        .find(|(end, _, inside)| ends_with(name, end, *inside))
        .map_or(NameClass::Plain, |(_, class, _)| *class)
}

/// Whether `name` ends in the word `end`, whatever its case and with `_`, `-`, `.` and blanks left
/// out. Unless `inside`, the word must start a part of the name: `authToken`, not `wtoken`.
pub(super) fn ends_with(name: &[u8], end: &[u8], inside: bool) -> bool {
    let mut at = name.len();
    let mut first = 0;
    for wanted in end.iter().rev() {
        while at > 0 && matches!(name[at - 1], b'_' | b'-' | b'.' | b' ') {
            at -= 1;
        }
        if at == 0 || name[at - 1].to_ascii_lowercase() != *wanted {
            return false;
        }
        at -= 1;
        first = at;
    }
    let Some(before) = first.checked_sub(1).map(|n| name[n]) else {
        return true;
    };
    inside
        || !before.is_ascii_alphanumeric()
        || (name[first].is_ascii_uppercase() && !before.is_ascii_uppercase())
}

/// Verifies the value behind the sign at `at`; returns whether the name is one of the table.
pub(super) fn find(i: &mut Inspection<'_>, at: usize, done: &mut usize) -> bool {
    let text = i.text;
    if at < *done || !matches!(text[at], b':' | b'=') {
        return false;
    }
    let class = named(text, at);
    if class == NameClass::Plain || (class == NameClass::Key && !may_be_random(text, at)) {
        return false;
    }
    if !i.wants(class.id()) {
        return true;
    }
    let Some((start, end)) = value_at(text, at, class) else {
        return true;
    };
    *done = end;
    let span = if class == NameClass::Authorization {
        credentials(text, start, end)
    } else {
        Some((start, end))
    };
    if let Some((start, end)) = span {
        let valid = is_secret_value(class, &text[start..end]);
        i.report(class.id(), start, end, valid);
    }
    true
}

/// Span of the value behind the sign at `at`, without quotes.
fn value_at(text: &[u8], at: usize, class: NameClass) -> Option<(usize, usize)> {
    let mut start = at + 1;
    // "=>", ":=", "=="
    while start < text.len() && start < at + 3 && matches!(text[start], b'=' | b'>') {
        start += 1;
    }
    let blanks = start;
    while start < text.len() && start < blanks + 4 && matches!(text[start], b' ' | b'\t') {
        start += 1;
    }
    let escaped =
        text.get(start) == Some(&b'\\') && matches!(text.get(start + 1), Some(b'"' | b'\''));
    if escaped {
        start += 1;
    }
    let limit = text.len().min(start + MAX_VALUE);
    let first = *text.get(start)?;
    if matches!(first, b'"' | b'\'' | b'`') {
        start += 1;
        let rest = text.get(start..limit)?;
        let mut end = start + memchr::memchr(first, rest).unwrap_or(rest.len());
        while end > start && text[end - 1] == b'\\' {
            end -= 1;
        }
        return (end > start).then_some((start, end));
    }
    let stops = |byte: u8| match byte {
        b' ' => class != NameClass::Authorization,
        b'\t' | b'\n' | b'\r' | b'"' | b'\'' | b',' | b';' | b'&' | b')' | b']' | b'}' | b'<'
        | b'>' | b'\\' | b'|' => true,
        _ => false,
    };
    // A placeholder of an earlier pass is one value, brackets included.
    let rest = &text[start..limit];
    let bracket = first == b'[';
    let len = rest
        .iter()
        .position(|b| {
            if bracket && *b == b']' {
                false
            } else {
                stops(*b)
            }
        })
        .unwrap_or(rest.len());
    (len > 0).then_some((start, start + len))
}

/// The credentials of an `Authorization` header: behind the scheme.
pub(crate) fn credentials(text: &[u8], start: usize, end: usize) -> Option<(usize, usize)> {
    let value = &text[start..end];
    for scheme in [
        &b"bearer"[..],
        b"basic",
        b"token",
        b"apikey",
        b"negotiate",
        b"digest",
    ] {
        let Some(rest) = value.get(scheme.len()..) else {
            continue;
        };
        if value[..scheme.len()].eq_ignore_ascii_case(scheme) && rest.first() == Some(&b' ') {
            let blanks = rest.iter().take_while(|b| **b == b' ').count();
            let first = start + scheme.len() + blanks;
            let len = if scheme == b"digest" {
                end - first
            } else {
                let rest = &text[first..end];
                rest.iter().position(|b| *b == b' ').unwrap_or(rest.len())
            };
            return (len > 0).then_some((first, first + len));
        }
    }
    // No scheme: the first word, if it is alone.
    (!value.contains(&b' ')).then_some((start, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_its_tail_in_the_table() {
        for (name, class, _) in NAMES.iter().flat_map(|(_, names)| *names) {
            let text = [name, &b"=abcdefghijkl"[..]].concat();
            assert!(plausible(&text, name.len()), "{class:?}");
        }
    }

    #[test]
    fn names_are_classed_by_how_they_end() {
        for name in [
            "password",
            "DB_PASSWORD",
            "userPassword",
            "spring.datasource.password",
            "pwd",
            "db_pass",
            "client-secret",
        ] {
            assert_eq!(
                class_of_name(name.as_bytes()),
                NameClass::Password,
                "{name}"
            );
        }
        for name in [
            "api_key",
            "apiKey",
            "x-api-key",
            "access_token",
            "accessToken",
            "secret",
            "API-KEY",
        ] {
            assert_eq!(class_of_name(name.as_bytes()), NameClass::Key, "{name}");
        }
        for name in [
            "compass",
            "bypass",
            "key",
            "monkey",
            "tokens",
            "author",
            "passwordless",
            "",
        ] {
            assert_eq!(class_of_name(name.as_bytes()), NameClass::Plain, "{name}");
        }
        assert_eq!(
            class_of_name(b"Proxy-Authorization"),
            NameClass::Authorization
        );
    }
}
