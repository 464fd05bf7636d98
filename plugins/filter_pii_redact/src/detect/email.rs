//! E-mail addresses: the dot-atom and quoted forms of RFC 5322 with a domain of at least two labels
//! or an IP address in brackets.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::Inspection;
use crate::catalog::Id;
use crate::list::List;

/// Longest local part: RFC 5321, section 4.5.3.1.1.
const MAX_LOCAL: usize = 64;
/// Longest domain: RFC 5321, section 4.5.3.1.2.
const MAX_DOMAIN: usize = 255;
/// Longest IP address in brackets, with the bracket behind it: an IPv6 address and its tag.
const MAX_LITERAL: usize = 51;
/// Longest label of a domain: RFC 1035, section 2.3.4.
const MAX_LABEL: usize = 63;

/// Last labels that are no top-level domains but systemd units, services of Kubernetes and files, as in
/// `user@1000.service`, `kafka@broker-0.kafka.svc` and `logo@2x.png`.
static NOT_DOMAINS: List = List::new(
    "service socket timer mount automount target slice scope swap device path svc \
    png jpg jpeg gif svg webp ico js mjs cjs jsx ts tsx css scss map java kt class jar cpp hpp html htm php \
    json jsonl yaml yml toml xml csv sql log txt pdf conf ini lock tgz tar gz bz2 xz zst bak tmp dll exe whl \
    gem deb rpm apk woff ttf parquet avro",
);

/// Users of services that host source code: `git@github.com:acme/app`.
const SERVICES: &[&[u8]] = &[b"git", b"hg", b"svn"];

/// Whether a domain begins as the version of a package does: `core@1.2.3.tar.gz`.
fn is_version(domain: &[u8]) -> bool {
    let mut labels = domain.split(|b| *b == b'.');
    let mut number = || {
        labels
            .next()
            .is_some_and(|l| l.iter().all(u8::is_ascii_digit))
    };
    number() && number()
}

/// Whether a program fills in the user behind `before`: `%s@example.com`, `$USER@example.com`.
fn is_filled_in(before: &[u8], user: &[u8]) -> bool {
    match before.last() {
        Some(b'%') => matches!(user, b"s" | b"v" | b"d" | b"q"),
        Some(b'$') => {
            let joined = before
                .len()
                .checked_sub(2)
                .is_some_and(|n| is_local(before[n]));
            !joined && user.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_')
        }
        _ => false,
    }
}

/// Whether the word at `start` is what an action left of the user of a URL: `https://****word@host`.
fn is_masked_user(text: &[u8], start: usize) -> bool {
    if !text[..start].ends_with(b"**") {
        return false;
    }
    let user = text[..start].iter().rev().take(256);
    let len = user
        .take_while(|b| b.is_ascii_graphic() && **b != b'/')
        .count();
    text[..start - len].ends_with(b"://")
}

/// Verifies the address around the `@` at `at`.
pub(super) fn find(i: &mut Inspection<'_>, at: usize, done: &mut usize) {
    let floor = std::mem::replace(done, at + 1);
    let on = i.text.get(at + 1).is_some_and(|b| is_domain_start(*b));
    if !on || !i.wants(Id::Email) {
        return;
    }
    let local = local_start(i.text, at, floor).or_else(|| quoted_start(i.text, at, floor));
    let domain = domain_end(i.text, at + 1).or_else(|| literal_end(i.text, at + 1));
    let (Some(start), Some(end)) = (local, domain) else {
        return;
    };
    *done = end;
    let top = i.text[at..end]
        .rsplit(|b| *b == b'.')
        .next()
        .unwrap_or_default();
    let valid = !is_masked_user(i.text, start)
        && !is_filled_in(&i.text[..start], &i.text[start..at])
        && !NOT_DOMAINS.has(top)
        && !SERVICES.contains(&&i.text[start..at])
        && !is_version(&i.text[at + 1..end]);
    i.report(Id::Email, start, end, valid);
}

fn local_start(text: &[u8], at: usize, done: usize) -> Option<usize> {
    let floor = at.saturating_sub(MAX_LOCAL).max(done);
    let mut start = at;
    while start > floor && is_local(text[start - 1]) {
        start -= 1;
    }
    // A cut through a longer word is no address.
    if start > 0 && start == at.saturating_sub(MAX_LOCAL) && is_local(text[start - 1]) {
        return None;
    }
    // The letter of an escape in a string that is not decoded belongs to the backslash.
    if start > 0
        && text[start - 1] == b'\\'
        && matches!(text[start], b'n' | b'r' | b't' | b'b' | b'f')
    {
        start += 1;
    }
    // The digits of an escape belong to it: "\x22bob@example.com", "%22bob@example.com".
    let digits = |from: usize| {
        let hex = text.get(from..from + 2);
        hex.is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)) && from + 2 < at
    };
    match text[..start] {
        [.., b'\\'] if text[start] == b'x' && digits(start + 1) => start += 3,
        [.., b'%'] if digits(start) => start += 2,
        _ => {}
    }
    // A dot is no first character; punctuation in front of an address is not part of it.
    while start < at && !is_local_edge(text[start]) {
        start += 1;
    }
    (start < at && text[at - 1] != b'.').then_some(start)
}

/// Start of a local part in quotes: `"Jane Doe"@example.com`, or with a backslash in front of each
/// quote. Its edges are letters or digits, since in JSON any two strings have quotes between them.
fn quoted_start(text: &[u8], at: usize, done: usize) -> Option<usize> {
    let escaped = text[..at].ends_with(b"\\\"");
    let quote: &[u8] = if escaped { b"\\\"" } else { b"\"" };
    let end = text[..at].strip_suffix(quote)?.len();
    let floor = end.saturating_sub(MAX_LOCAL).max(done);
    let open = floor + memchr::memrchr(b'"', &text[floor..end])?;
    let content = &text[open + 1..end];
    let start = (open + 1).checked_sub(quote.len())?;
    let edges = content.first()?.is_ascii_alphanumeric() && content.last()?.is_ascii_alphanumeric();
    let printable = content.iter().all(|b| *b >= b' ' && *b != b'\\');
    (edges && printable && start >= done && text[start..].starts_with(quote)).then_some(start)
}

/// A label starts with a letter or digit, an address behind a bracket.
fn is_domain_start(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80 || byte == b'['
}

fn is_local_edge(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// The characters of an atom that are found in addresses in practice.
fn is_local(byte: u8) -> bool {
    is_local_edge(byte) || matches!(byte, b'.' | b'-' | b'+' | b'\'' | b'~' | b'!' | b'#' | b'&')
}

/// A top-level domain has letters only, or is in Punycode.
fn is_top(label: &[u8]) -> bool {
    label.len() >= 2
        && (label.iter().all(|b| b.is_ascii_alphabetic() || *b >= 0x80)
            || (label.len() > 4 && label[..4].eq_ignore_ascii_case(b"xn--")))
}

/// End of an IP address in brackets: RFC 5321, section 4.1.3.
fn literal_end(text: &[u8], start: usize) -> Option<usize> {
    let inner = text.get(start..)?.strip_prefix(b"[")?;
    let len = memchr::memchr(b']', &inner[..inner.len().min(MAX_LITERAL)])?;
    let address = std::str::from_utf8(&inner[..len]).ok()?;
    let valid = match address.strip_prefix("IPv6:") {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => address.parse::<Ipv4Addr>().is_ok(),
    };
    valid.then_some(start + len + 2)
}

/// End of the longest domain at `start`.
fn domain_end(text: &[u8], start: usize) -> Option<usize> {
    let limit = text.len().min(start + MAX_DOMAIN);
    let mut end = None;
    let mut label = start;
    let mut labels = 0;
    let mut at = start;
    loop {
        let byte = if at < limit { text[at] } else { b' ' };
        if byte.is_ascii_alphanumeric() || byte == b'-' || byte >= 0x80 {
            at += 1;
            continue;
        }
        let mut stop = at;
        while stop > label && text[stop - 1] == b'-' {
            stop -= 1;
        }
        let name = &text[label..stop];
        if name.is_empty() || name.len() > MAX_LABEL || name[0] == b'-' {
            return end;
        }
        labels += 1;
        if labels >= 2 && is_top(name) && byte != b'_' {
            end = Some(stop);
        }
        if byte != b'.' || stop != at {
            return end;
        }
        at += 1;
        label = at;
    }
}
