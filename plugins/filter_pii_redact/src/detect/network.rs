//! IP and MAC addresses.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::Inspection;
use crate::catalog::Id;

/// Longest IPv6 address in text: RFC 4291 with an embedded IPv4 address.
const MAX_IPV6: usize = 45;

/// Verifies the IPv4 address whose fourth number starts at `fourth`.
pub(super) fn find_ipv4(i: &mut Inspection<'_>, fourth: usize, done: &mut usize) {
    let text = i.text;
    let previous = |at: usize| {
        let digits = text[..at - 1].iter().rev().take(3);
        at - 1 - digits.take_while(|b| b.is_ascii_digit()).count()
    };
    // The first digit behind the first dot.
    let at = previous(previous(fourth));
    if at <= *done {
        return;
    }
    let mut start = at - 1;
    while start > *done && at - start <= 3 && text[start - 1].is_ascii_digit() {
        start -= 1;
    }
    let mut end = at;
    let mut octets = [0u8; 4];
    let mut position = start;
    for (n, octet) in octets.iter_mut().enumerate() {
        let first = position;
        let mut value = 0u32;
        while position < text.len() && position - first < 4 && text[position].is_ascii_digit() {
            value = value * 10 + u32::from(text[position] - b'0');
            position += 1;
        }
        let padded = position - first > 1 && text[first] == b'0';
        let Ok(value) = u8::try_from(value) else {
            *done = at;
            return;
        };
        if position == first || position - first > 3 || padded {
            *done = at;
            return;
        }
        *octet = value;
        end = position;
        if n < 3 {
            if text.get(position) != Some(&b'.') {
                *done = at;
                return;
            }
            position += 1;
        }
    }
    *done = end;
    let before = start.checked_sub(1).map(|n| text[n]);
    // "v1.2.3.4", "lib-1.2.3.4" and "1.2.3.4.5" are versions; so is "1.2.3.4-rc1".
    let left = match before {
        Some(b'.' | b'_') => false,
        Some(b'-') => {
            !start
                .checked_sub(2)
                .is_some_and(|n| text[n].is_ascii_alphanumeric())
                || is_host_name_part(text, start)
        }
        Some(b) => !b.is_ascii_alphanumeric() || is_escape_letter(text, start),
        None => true,
    };
    let right = match text.get(end) {
        Some(b'.') => !text.get(end + 1).is_some_and(u8::is_ascii_alphanumeric),
        Some(b'_') => false,
        Some(b) => !b.is_ascii_alphanumeric(),
        None => true,
    };
    let address = Ipv4Addr::from(octets);
    let wanted = i.settings.reserved_ips || !is_reserved_v4(address);
    if wanted {
        i.report(Id::Ip, start, end, left && right);
    }
}

/// `ip-10.0.0.1`: a word for addresses in front of the hyphen.
fn is_host_name_part(text: &[u8], start: usize) -> bool {
    start >= 3 && text[start - 3..start - 1].eq_ignore_ascii_case(b"ip")
}

fn is_escape_letter(text: &[u8], start: usize) -> bool {
    start >= 2 && matches!(text[start - 1], b'n' | b'r' | b't') && text[start - 2] == b'\\'
}

/// Verifies the IPv6 address around the colon at `at`.
pub(super) fn find_ipv6(i: &mut Inspection<'_>, at: usize, done: &mut usize) {
    let text = i.text;
    // The gate takes an equals sign for a colon.
    if at < *done || text[at] != b':' {
        return;
    }
    let is_part = |b: u8| b.is_ascii_hexdigit() || b == b':' || b == b'.';
    let floor = at.saturating_sub(MAX_IPV6).max(*done);
    let mut start = at;
    while start > floor && is_part(text[start - 1]) {
        start -= 1;
    }
    let mut end = at + 1;
    while end < text.len() && end - start <= MAX_IPV6 && is_part(text[end]) {
        end += 1;
    }
    *done = end;
    while end > start && text[end - 1] == b'.' {
        end -= 1;
    }
    if end - start > MAX_IPV6 {
        return;
    }
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    if start.checked_sub(1).is_some_and(|n| word(text[n]))
        || text.get(end).is_some_and(|b| word(*b))
    {
        return;
    }
    let parse = |span: &[u8]| -> Option<Ipv6Addr> { std::str::from_utf8(span).ok()?.parse().ok() };
    // A colon of the sentence may stand behind the address.
    let mut address = parse(&text[start..end]);
    if address.is_none() && end > start && text[end - 1] == b':' {
        end -= 1;
        address = parse(&text[start..end]);
    }
    let Some(address) = address else {
        return;
    };
    // "::" alone, and "a::b" as in C++ names, are no addresses of anybody.
    let digits = text[start..end]
        .iter()
        .filter(|b| b.is_ascii_hexdigit())
        .count();
    let reserved = is_reserved_v6(address);
    if digits < 3 && !(digits > 0 && reserved) {
        return;
    }
    if i.settings.reserved_ips || !reserved {
        i.report(Id::Ip, start, end, true);
    }
}

/// IANA IPv4 Special-Purpose Address Registry.
pub(crate) fn is_reserved_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_documentation()
        || address.is_multicast()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 198 && (18..20).contains(&b))
        || (a == 192 && b == 0 && c == 0)
}

/// IANA IPv6 Special-Purpose Address Registry.
pub(crate) fn is_reserved_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    address.is_loopback()
        || address.is_unspecified()
        || address.is_multicast()
        || a & 0xfe00 == 0xfc00
        || a & 0xffc0 == 0xfe80
        || (a == 0x2001 && b == 0xdb8)
}

/// The 17 bytes of the MAC address whose fifth separator is at `at`, if they have its shape.
fn mac_span(text: &[u8], at: usize) -> Option<&[u8; 17]> {
    let start = at.checked_sub(14)?;
    let span: &[u8; 17] = text.get(start..)?.first_chunk()?;
    let separator = span[14];
    let separated = [2, 5, 8, 11].iter().all(|n| span[*n] == separator);
    let octets = || {
        span.chunks(3)
            .all(|octet| octet[..2].iter().all(u8::is_ascii_hexdigit))
    };
    (matches!(separator, b':' | b'-') && separated && octets()).then_some(span)
}

/// Whether the candidate has the shape of a MAC address.
pub(super) fn mac_plausible(text: &[u8], at: usize) -> bool {
    mac_span(text, at).is_some()
}

/// Verifies the MAC address whose fifth separator is at `at`.
pub(super) fn find_mac(i: &mut Inspection<'_>, at: usize, done: &mut usize) {
    let text = i.text;
    if at < *done {
        return;
    }
    let Some(span) = mac_span(text, at) else {
        return;
    };
    let start = at - 14;
    let separator = text[at];
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == separator;
    let alone = !start.checked_sub(1).is_some_and(|n| word(text[n]))
        && !text.get(start + 17).is_some_and(|b| word(*b));
    let mut digits = span.iter().filter(|b| b.is_ascii_hexdigit());
    let first = digits.next().copied().unwrap_or(b'0').to_ascii_lowercase();
    let uniform = matches!(first, b'0' | b'f') && digits.all(|b| b.to_ascii_lowercase() == first);
    *done = start + 17;
    i.report(Id::Mac, start, start + 17, alone && !uniform);
}
