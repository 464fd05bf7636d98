//! Values behind a name that says they are secret: `password=…`, `"api_key": "…"`,
//! `Authorization: Bearer …`, and the same as keys of a record.

mod scheme;
mod value;

use std::ops::Range;

use super::Inspection;
use crate::name::{class_of_name, is_name, may_be_named, name_before, NameClass};

pub(crate) use scheme::credentials;
pub(crate) use value::is_secret_value;
use value::{is_token, MIN_RANDOM};

/// What a name says of its value.
struct Named {
    class: NameClass,
    /// The sign, or whatever stands between name and value.
    sign: usize,
    form: Form,
}

/// How name and value are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// `name=value`, `"name": "value"`
    Sign,
    /// `<name>value</name>`
    Element,
    /// `--name value`
    Argument,
}

impl Named {
    /// The name in front of the sign at `at`, or the one that starts there behind two hyphens.
    fn at(text: &[u8], at: usize) -> Option<Self> {
        let (name, sign, form) = match text[at] {
            b':' | b'=' => (name_before(text, at), at, Form::Sign),
            b'>' => {
                let name = name_before(text, at);
                let opened = name.end == at && is_opened(&text[..name.start]);
                (opened.then_some(name)?, at, Form::Element)
            }
            letter if letter.is_ascii_alphabetic() && text[..at].ends_with(b"--") => {
                let name = argument(text, at);
                (name.clone(), name.end, Form::Argument)
            }
            _ => return None,
        };
        // "--- PASS: TestOrders (0.01s)": the word of test runners.
        if &text[name.clone()] == b"PASS" && text[sign..].starts_with(b": ") {
            return None;
        }
        let class = class_of_name(&text[name]);
        class.is_secret().then_some(Named { class, sign, form })
    }
}

/// Whether a name behind `before` is that of an element that begins: `<name`, `<ns:name`.
fn is_opened(before: &[u8]) -> bool {
    let prefix = match before {
        [.., b'<'] => return true,
        [prefix @ .., b':'] => prefix,
        _ => return false,
    };
    let letters = prefix
        .iter()
        .rev()
        .take(16)
        .take_while(|b| is_name(**b))
        .count();
    letters > 0 && prefix[..prefix.len() - letters].ends_with(b"<")
}

/// The name of the argument that starts at `at`, if a blank follows; else nothing.
fn argument(text: &[u8], at: usize) -> Range<usize> {
    let len = text[at..]
        .iter()
        .take(64)
        .take_while(|b| is_name(**b))
        .count();
    match text.get(at + len) {
        Some(b' ' | b'\t') => at..at + len,
        _ => at..at,
    }
}

/// Whether no name is in front of a sign in raw msgpack, whether or not these bytes are in its text.
#[inline(always)]
pub(super) fn is_ruled_out(chunk: &[u8], at: usize) -> bool {
    match chunk[at] {
        b':' | b'=' | b'>' => !may_be_named(chunk, at),
        b';' | b'<' => true,
        _ => false,
    }
}

/// Whether the name in front of the sign at `at`, or that of the argument that starts there, says that
/// its value is secret.
#[inline(always)]
pub(super) fn plausible(text: &[u8], at: usize) -> bool {
    match text[at] {
        b':' | b'=' | b'>' => may_be_named(text, at) && is_secret(text, at),
        letter if letter.is_ascii_alphabetic() => is_secret(text, at),
        _ => false,
    }
}

#[inline(never)]
fn is_secret(text: &[u8], at: usize) -> bool {
    Named::at(text, at).is_some_and(|named| match named.class {
        NameClass::Key => may_be_random(text, named.sign),
        _ => true,
    })
}

/// Whether enough bytes of a key or token follow the sign at `at`.
fn may_be_random(buf: &[u8], at: usize) -> bool {
    let blank = |b: &u8| {
        matches!(
            b,
            b':' | b'=' | b'>' | b' ' | b'\t' | b'[' | b'"' | b'\'' | b'\\' | b'`'
        )
    };
    let value = buf[at..]
        .iter()
        .take(MIN_RANDOM + 12)
        .skip_while(|b| blank(b));
    value.take(MIN_RANDOM).take_while(|b| is_token(b)).count() >= MIN_RANDOM
}

/// Verifies the value of the name at `at`; returns whether the name may be the prefix of a token.
pub(super) fn find(i: &mut Inspection<'_>, at: usize, done: &mut usize) -> bool {
    let text = i.text;
    if at < *done {
        return false;
    }
    let Some(named) = Named::at(text, at) else {
        return false;
    };
    let class = named.class;
    if class == NameClass::Key && !may_be_random(text, named.sign) {
        return false;
    }
    // "AccountKey="
    let prefix = class == NameClass::Key && text[..at].ends_with(b"Key");
    if !i.wants(class.id()) {
        return prefix;
    }
    let Some((start, end)) = value_at(text, &named) else {
        return prefix;
    };
    let span = match class {
        NameClass::Authorization => credentials(text, start, end),
        _ => Some((start, end)),
    };
    let Some((from, to)) = span else {
        // A word behind the first may be a name itself.
        *done = start + word_len(&text[start..end]);
        return prefix;
    };
    let valid = is_secret_value(class, &text[from..to]);
    i.report(class.id(), from, to, valid);
    // What is no secret may have a name and its value in it. Only between quotes is that looked for:
    // they end where the next one is, while a value without them would be read to its end from every
    // name in it.
    let quoted = start > 0 && is_quote(text[start - 1]);
    *done = if valid || !quoted { to } else { start };
    prefix
}

/// Span of the value of a name, without quotes.
fn value_at(text: &[u8], named: &Named) -> Option<(usize, usize)> {
    let at = named.sign;
    let mut start = at + 1;
    if named.form == Form::Element {
        return element(text, start);
    }
    // "=>", ":=", "=="
    while start < text.len() && start < at + 3 && matches!(text[start], b'=' | b'>') {
        start += 1;
    }
    let blanks = start;
    while start < text.len() && start < blanks + 4 && matches!(text[start], b' ' | b'\t') {
        start += 1;
    }
    let header = named.class == NameClass::Authorization;
    // The first of a list: `["hunter2"]`, and `[Bearer ...]` as Go prints headers. A placeholder of an
    // earlier pass is one value, brackets included.
    if let Some([b'[', rest @ ..]) = text.get(start..) {
        let text = rest.first().is_some_and(|b| is_quote(*b) || *b == b'\\');
        let listed = named.class == NameClass::Key || header && scheme::starts(rest);
        start += usize::from(text || listed);
    }
    let escaped = text.get(start) == Some(&b'\\')
        && text
            .get(start + 1)
            .is_some_and(|b| matches!(b, b'"' | b'\''));
    if escaped {
        start += 1;
    }
    let first = *text.get(start)?;
    if is_quote(first) {
        start += 1;
        let end = start + quoted(&text[start..], first, escaped);
        return (end > start).then_some((start, end));
    }
    // A further argument follows.
    if named.form == Form::Argument && first == b'-' {
        return None;
    }
    let rest = &text[start..];
    if header && scheme::has_parameters(rest) {
        let quote = before_name(text, at);
        let stop = |b: &u8| matches!(b, b'\n' | b'\r') || Some(*b) == quote;
        let len = rest.iter().position(stop).unwrap_or(rest.len());
        return Some((start, start + len));
    }
    let mut len = word_len(rest);
    if header && len > 0 {
        // The scheme, then the credentials.
        let blanks = rest[len..].iter().take_while(|b| **b == b' ').count();
        let more = word_len(&rest[len + blanks..]);
        if more > 0 {
            len += blanks + more;
        }
    }
    (len > 0).then_some((start, start + len))
}

fn is_quote(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'' | b'`')
}

/// Length of the value without quotes and blanks at the start of `rest`; brackets around all of it belong
/// to it.
fn word_len(rest: &[u8]) -> usize {
    let bracket = rest.first() == Some(&b'[');
    let stops = |byte: &u8| match byte {
        b']' => !bracket,
        b' ' | b'\t' | b'\n' | b'\r' | b'"' | b'\'' | b',' | b';' | b'&' | b')' | b'}' | b'<'
        | b'>' | b'\\' | b'|' => true,
        _ => false,
    };
    rest.iter().position(stops).unwrap_or(rest.len())
}

/// What is in the element whose content starts at `start`.
fn element(text: &[u8], start: usize) -> Option<(usize, usize)> {
    const OPEN: &[u8] = b"<![CDATA[";
    let rest = text.get(start..)?;
    let (start, rest) = match rest.strip_prefix(OPEN) {
        Some(rest) => (start + OPEN.len(), rest),
        None => (start, rest),
    };
    let tag = memchr::memchr(b'<', rest)?;
    let len = memchr::memmem::find(&rest[..tag], b"]]>").unwrap_or(tag);
    let closed = len < tag || rest[tag..].starts_with(b"</");
    (len > 0 && closed).then_some((start, start + len))
}

/// Length of what stands in quotes; those behind a backslash belong to it, unless the first one was.
fn quoted(rest: &[u8], quote: u8, escaped: bool) -> usize {
    let mut from = 0;
    while let Some(n) = memchr::memchr(quote, &rest[from..]) {
        let end = from + n;
        let slashes = rest[..end]
            .iter()
            .rev()
            .take_while(|b| **b == b'\\')
            .count();
        if escaped {
            return end - slashes;
        }
        if slashes % 2 == 0 {
            return end;
        }
        from = end + 1;
    }
    rest.len()
}

/// The quote in front of the name whose sign is at `at`.
fn before_name(text: &[u8], at: usize) -> Option<u8> {
    let name = name_before(text, at);
    let quote = text[..name.start].last()?;
    matches!(quote, b'"' | b'\'').then_some(*quote)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::NAMES;

    #[test]
    fn every_name_of_a_secret_is_seen_in_front_of_its_value() {
        for tail in NAMES {
            for (front, class, _) in tail.names {
                let name = [front, tail.end].concat();
                let text = [&name, &b"=abcdefghijkl"[..]].concat();
                assert_eq!(plausible(&text, name.len()), class.is_secret(), "{class:?}");
            }
        }
    }
}
