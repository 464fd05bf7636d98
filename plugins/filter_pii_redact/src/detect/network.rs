//! IP and MAC addresses.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::Inspection;
use crate::catalog::Id;
use crate::list::List;

/// How far in front of a version it says that something was upgraded to it.
const UPGRADE: usize = 48;

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
        // "1.4.99.1+cvs20081228", "4.8.6.3~bpo": of packages.
        Some(b'+' | b'~') => !text.get(end + 1).is_some_and(u8::is_ascii_alphanumeric),
        Some(b'-') => ![
            &b"-rc"[..],
            b"-alpha",
            b"-beta",
            b"-dev",
            b"-pre",
            b"-SNAPSHOT",
        ]
        .iter()
        .any(|release| text[end..].starts_with(release)),
        Some(b) => !b.is_ascii_alphanumeric(),
        None => true,
    };
    let left = left && before != Some(b'~') && !is_version(text, i.key, start, end);
    // No host is in the network 0, but for all of them: "0.5.10.2" is a version.
    let network = octets[0] == 0 && octets != [0; 4] && is_small(&text[start..end]);
    let package = octets[0] < 10 && is_of_package(text, start, end);
    let left = left && !network && !package && !is_heading(text, start, end);
    let address = Ipv4Addr::from(octets);
    let wanted = i.settings.reserved_ips || !is_reserved_v4(address);
    if wanted {
        i.report(Id::Ip, start, end, left && right);
    }
}

/// `1.2.5.1-2`: the version of a package, and how often it was built; no range of addresses.
fn is_revision(text: &[u8], end: usize) -> bool {
    let Some([b'-', rest @ ..]) = text.get(end..) else {
        return false;
    };
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    let dotted = matches!(rest.get(digits..), Some([b'.', next, ..]) if next.is_ascii_digit());
    (1..=2).contains(&digits) && !(dotted && digits > 1)
}

/// ` (24 September 2014)`, ` (2008-12-12)`: when a version was released.
fn is_dated(behind: &[u8]) -> bool {
    let [b' ', b'(' | b'[', date @ ..] = behind else {
        return false;
    };
    let digits = date.iter().take_while(|b| b.is_ascii_digit()).count();
    match (digits, &date[digits..]) {
        (4, [b'-', b'0' | b'1', ..]) => true,
        (1 | 2, [b' ' | b'-', month @ ..]) => {
            month.first().is_some_and(u8::is_ascii_uppercase)
                && month
                    .iter()
                    .skip(1)
                    .take(2)
                    .filter(|b| b.is_ascii_lowercase())
                    .count()
                    == 2
        }
        _ => false,
    }
}

/// Whether four numbers whose first has one digit stand where the version of a package does:
/// `libx11-6 (>= 2:1.4.99.1)`, `man-db 2.7.0.1 (24 September 2014)`, `the 1.7.3.1 release`.
fn is_of_package(text: &[u8], start: usize, end: usize) -> bool {
    let before = &text[..start];
    // What Debian calls an epoch.
    let epoch = matches!(before, [.., b'(' | b' ', b'0'..=b'9', b':']);
    let before = before.trim_ascii_end();
    let related = [&b">="[..], b"<=", b"~="]
        .iter()
        .any(|sign| before.ends_with(sign));
    epoch
        || related
        || is_revision(text, end)
        || is_dated(&text[end..])
        || text[end..].starts_with(b" release")
}

/// `2.1.2.3. Stream Flags`: the number of a part of a text, where a line begins.
fn is_heading(text: &[u8], start: usize, end: usize) -> bool {
    let line = text[..start].iter().rev().take(32).find(|b| **b != b' ');
    matches!(text[end..], [b'.', b' ', next, ..] if next.is_ascii_uppercase())
        && line.is_none_or(|b| *b == b'\n')
        && is_small(&text[start..end])
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
    let colons = text[start..end].iter().all(|b| *b == b':');
    // "::" alone is no address of anybody.
    if end - start > MAX_IPV6 || colons {
        return;
    }
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let joined = |start: usize| start.checked_sub(1).is_some_and(|n| word(text[n]));
    // A name and a colon may stand in front: "node:2001:db8::1", "ip:2001:db8::1".
    let name = &text[start..end];
    if joined(start) || (name.starts_with(b":") && !name.starts_with(b"::")) {
        match memchr::memchr(b':', name) {
            Some(colon) if !name[colon..].starts_with(b"::") => start += colon + 1,
            _ => return,
        }
    }
    // "B1::f()" is a function.
    if joined(start) || text.get(end).is_some_and(|b| word(*b) || *b == b'(') {
        return;
    }
    let parse = |span: &[u8]| -> Option<Ipv6Addr> { std::str::from_utf8(span).ok()?.parse().ok() };
    // A colon of the sentence may stand behind the address, or a port behind all eight parts.
    let mut address = parse(&text[start..end]);
    if address.is_none() {
        let last = memchr::memrchr(b':', &text[start..end]).map_or(end, |n| start + n);
        if text[last..end].iter().skip(1).all(u8::is_ascii_digit) {
            address = parse(&text[start..last]);
            end = last;
        }
    }
    let Some(address) = address else {
        return;
    };
    // "x:1000:1000::/home/bob": a line of a table of users.
    let path = text[..end].ends_with(b"::")
        && match text[end..] {
            [b'/', next, ..] => next.is_ascii_alphabetic(),
            // "Jun 6 2006::"
            _ => end - start == 6 && text[start..end - 2].iter().all(u8::is_ascii_digit),
        };
    if path || !is_written_ipv6(&text[start..end]) {
        return;
    }
    // "::" alone, and "a::b" as in C++ names, are no addresses of anybody.
    let digits = text[start..end]
        .iter()
        .filter(|b| b.is_ascii_hexdigit())
        .count();
    let reserved = is_reserved_v6(address);
    let number = text[start..end].iter().any(u8::is_ascii_digit);
    if (digits < 3 || !number) && !(digits > 0 && reserved) {
        return;
    }
    if i.settings.reserved_ips || !reserved {
        i.report(Id::Ip, start, end, true);
    }
}

/// Whether what parses as an IPv6 address is written as one: no eight pairs, as names of ports of storage
/// and fingerprints have them, and if zeros are left out, no prefix that is given to nobody (`fe::80`,
/// `10:00::1`).
fn is_written_ipv6(span: &[u8]) -> bool {
    let mut groups = span.split(|b| *b == b':');
    // "Fe32::E" is a name of a program.
    if span.iter().any(u8::is_ascii_lowercase) && span.iter().any(u8::is_ascii_uppercase) {
        return false;
    }
    // "2:4:6:8:10:12:14:16"
    if !span.starts_with(b"0:")
        && groups
            .clone()
            .all(|group| (1..3).contains(&group.len()) && group.iter().all(u8::is_ascii_digit))
    {
        return false;
    }
    if memchr::memmem::find(span, b"::").is_none() {
        return groups.any(|group| group.len() != 2);
    }
    match groups.next().unwrap_or_default() {
        [] | [_, _, _, _, ..] | b"100" => true,
        b"64" => span.starts_with(b"64:ff9b:"),
        _ => false,
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

/// Names of programs in front of a slash and a version.
static PROGRAMS: List = List::new(
    "kernel linux firefox chrome chromium crios safari version edge edg edga opr opera iceweasel \
    seamonkey thunderbird netscape camino minefield",
);
/// Words for versions.
const VERSIONS: &[&[u8]] = &[
    b"version",
    b"ver",
    b"versions",
    b"release",
    b"build",
    b"firmware",
    b"revision",
    b"oid",
    b"objectidentifier",
];
/// The last letters of these.
const VERSION_ENDS: u32 = {
    let (mut ends, mut n) = (0, 0);
    while n < VERSIONS.len() {
        ends |= 1 << (VERSIONS[n][VERSIONS[n].len() - 1] & 31);
        n += 1;
    }
    ends
};
/// Words in front of a blank and the number of a part of a text, or of a program that is written small.
static NUMBERED: List = List::new(
    "section chapter clause paragraph figure appendix specification dpkg zlib oracle postgres postgresql \
    mysql mariadb clickhouse nginx openssl java jre jdk dotnet nuget patch hotfix",
);

/// Whether four numbers are a version: `Chrome/120.0.0.0`, `version 1.2.3.4`.
fn is_version(text: &[u8], key: &[u8], start: usize, end: usize) -> bool {
    let before = &text[..start];
    let joints = before.iter().rev().take(4);
    let joints = joints.take_while(|b| b" :=/\"')(".contains(b));
    let joint = &before[start - joints.count()..];
    let name = match &before[..start - joint.len()] {
        [] => key,
        name => name,
    };
    let letters = name
        .iter()
        .rev()
        .take(20)
        .take_while(|b| b.is_ascii_alphabetic());
    let word = &name[name.len() - letters.count()..];
    let Some(last) = word.last() else {
        // The heading of a list of changes: "## [1.128.1.0]".
        return joint.is_empty() && name.ends_with(b"# [");
    };
    match joint {
        // "app/4.2.1.3 (build 812)"
        b"/" => {
            let agent = text.get(start + 1) == Some(&b'.') && text[end..].starts_with(b" (");
            agent || text[..end].ends_with(b".0.0.0") || PROGRAMS.has(word)
        }
        b":" if word.eq_ignore_ascii_case(b"rv") => true,
        // "upgraded from 8.11.1.0 to 8.12.0.0"
        b" " if word == b"from" || word == b"to" || word == b"in" => {
            let front = &before[before.len().saturating_sub(UPGRADE)..];
            let says = |word: &[u8]| memchr::memmem::find(front, word).is_some();
            let small = text.get(start + 1) == Some(&b'.');
            match word {
                // "Changes in 1.2.5.1"
                b"in" => small && (says(b"Changes") || says(b"elease")),
                _ => says(b"grad") || small && (says(b"ersion") || says(b"ump ")),
            }
        }
        b" " if word.starts_with(b"lib") => true,
        b" " if PROGRAMS.has(word) || NUMBERED.has(word) => true,
        b" " if is_small(&text[start..end]) && is_program(word, &text[start..end]) => true,
        // "postgres (PostgreSQL) 16.2.1.0"
        b") " => is_small(&text[start..end]) && is_product(word),
        // "appVersion: 2.14.0.1"
        _ => {
            VERSION_ENDS >> (last & 31) & 1 != 0
                && VERSIONS.iter().any(|end| crate::name::ends_with(word, end))
        }
    }
}

/// Whether a word is written as the name of a program is: `OpenSSL`, `PostgreSQL`.
fn is_product(word: &[u8]) -> bool {
    let capitals = word.iter().filter(|b| b.is_ascii_uppercase()).count();
    let host = [&b"IP"[..], b"Addr", b"Host"]
        .iter()
        .any(|end| word.ends_with(end));
    capitals > 1 && capitals < word.len() && word[0].is_ascii_uppercase() && !host
}

/// The same of a word with one capital, unless it is one that goes with addresses: `Firmware 2.1.0.7`.
fn is_program(word: &[u8], address: &[u8]) -> bool {
    const HOSTS: &[&[u8]] = &[
        b"Client",
        b"Server",
        b"Host",
        b"From",
        b"To",
        b"At",
        b"Via",
        b"Peer",
        b"Remote",
        b"Source",
        b"Destination",
        b"Address",
        b"Addr",
        b"Ip",
        b"IP",
        b"Node",
        b"Gateway",
        b"Router",
        b"Dns",
        b"DNS",
        b"Nameserver",
        b"Connected",
        b"Connecting",
        b"Pinging",
        b"User",
        b"By",
        b"For",
        b"On",
    ];
    let capital = word.first().is_some_and(u8::is_ascii_uppercase);
    let private = address.starts_with(b"10.");
    is_product(word) || capital && word.len() > 2 && !private && !HOSTS.contains(&word)
}

/// Whether every number of an address is one that versions have.
fn is_small(address: &[u8]) -> bool {
    let mut numbers = address.split(|b| *b == b'.');
    numbers.all(|n| n.len() == 1 || n.len() == 2 && n[0] < b'4')
}

/// The MAC address around the separator at `at`: in six pairs, whose fifth separator it is, or in
/// three groups of four, whose second dot it is.
fn mac_span(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let separator = text[at];
    let (before, len, group) = match separator {
        b'.' => (9, 14, 5),
        b':' | b'-' => (14, 17, 3),
        _ => return None,
    };
    let start = at.checked_sub(before)?;
    let span = text.get(start..start + len)?;
    let mut groups = span.chunks(group);
    let shaped = groups.all(|part| match part.split_at_checked(group - 1) {
        Some((digits, last)) => {
            last.iter().all(|b| *b == separator) && digits.iter().all(u8::is_ascii_hexdigit)
        }
        None => false,
    });
    // Groups of digits alone are other numbers.
    let written = separator != b'.' || span.iter().any(u8::is_ascii_alphabetic);
    (shaped && written).then_some((start, start + len))
}

/// Whether the candidate has the shape of a MAC address.
pub(super) fn mac_plausible(text: &[u8], at: usize) -> bool {
    mac_span(text, at).is_some()
}

/// Verifies the MAC address around the separator at `at`.
pub(super) fn find_mac(i: &mut Inspection<'_>, at: usize, done: &mut usize) {
    let text = i.text;
    if at < *done {
        return;
    }
    let Some((start, end)) = mac_span(text, at) else {
        return;
    };
    let separator = text[at];
    let word = |n: Option<usize>| {
        let byte = n.and_then(|n| text.get(n));
        byte.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_')
    };
    // A further pair on either side; a colon behind a name or of the sentence is none.
    let hex = |n: Option<usize>| {
        n.and_then(|n| text.get(n))
            .is_some_and(u8::is_ascii_hexdigit)
    };
    let before = |n: usize| start.checked_sub(n);
    let front = before(1).is_some_and(|n| text[n] == separator)
        && hex(before(2))
        && (separator == b'.' || hex(before(3)) && !word(before(4)));
    let behind = text.get(end) == Some(&separator) && hex(Some(end + 1));
    // "[.1F9C.0020.0002]", "[*0000.0000.0000]": weights of a collation.
    let weights = separator == b'.' && before(1).is_some_and(|n| matches!(text[n], b'.' | b'*'));
    let alone = !word(before(1)) && !word(Some(end)) && !front && !behind && !weights;
    let mut digits = text[start..end].iter().filter(|b| b.is_ascii_hexdigit());
    let first = digits.next().copied().unwrap_or(b'0').to_ascii_lowercase();
    let uniform = matches!(first, b'0' | b'f') && digits.all(|b| b.to_ascii_lowercase() == first);
    // "mac:00:1a:…" begins with what looks like a pair, too.
    if i.report(Id::Mac, start, end, alone && !uniform) {
        *done = end;
    } else if behind && separator != b'.' && !word(before(1)) {
        // In a longer row each has a pair in front.
        let pair = |at: usize| {
            text[at] == separator && text[at + 1..at + 3].iter().all(u8::is_ascii_hexdigit)
        };
        let mut row = end;
        while row + 3 <= text.len() && pair(row) {
            row += 3;
        }
        *done = row;
    }
}
