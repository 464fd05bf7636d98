//! Credentials in URLs: `scheme://user:password@host` (RFC 3986, section 3.2.1).

use super::Inspection;
use crate::catalog::Id;

/// Longest user information looked at.
const MAX: usize = 256;

/// Whether the `@` stands in front of a domain, or behind `scheme://user:`.
pub(super) fn or_email_plausible(text: &[u8], at: usize) -> bool {
    let Some(host) = text.get(at + 1..) else {
        return false;
    };
    if at == 0 || text[at - 1] <= b' ' || !host.first().is_some_and(|b| is_host_start(*b)) {
        return false;
    }
    if matches!(host, [b'[', first, ..] if first.is_ascii_alphanumeric()) {
        return true;
    }
    let is_host = |b: &u8| b.is_ascii_alphanumeric() || *b == b'-' || *b >= 0x80;
    let label = host.iter().take(64).take_while(|b| is_host(b)).count();
    let domain = host.get(label) == Some(&b'.')
        && host
            .get(label + 1)
            .is_some_and(|b| b.is_ascii_alphanumeric() || *b >= 0x80);
    if domain {
        return true;
    }
    // There is no slash in user information.
    let floor = at.saturating_sub(MAX);
    let Some(slash) = memchr::memrchr(b'/', &text[floor..at]) else {
        return false;
    };
    let user = &text[floor + slash + 1..at];
    // In front of another `@` all was looked at for that one.
    let user = memchr::memrchr(b'@', user).map_or(user, |before| &user[before + 1..]);
    text[..floor + slash].ends_with(b":/") && user.iter().all(|b| is_user_info(*b))
}

fn is_host_start(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'[' || byte >= 0x80
}

/// Verifies the user information in front of the `@` at `at`, which a password may hold, too. `done`
/// is where the one before ended, and where its user information started.
pub(super) fn find(i: &mut Inspection<'_>, at: usize, done: &mut (usize, Option<usize>)) {
    let text = i.text;
    if !text.get(at + 1).is_some_and(|b| is_host_start(*b)) || !i.wants(Id::UrlCredentials) {
        return;
    }
    let floor = at.saturating_sub(MAX).max(done.0);
    let mut start = at;
    while start > floor && (is_user_info(text[start - 1]) || text[start - 1] == b'@') {
        start -= 1;
    }
    let mut found = None;
    if start > 2 && &text[start - 3..start] == b"://" {
        found = Some(start);
    } else if start == done.0 {
        found = done.1;
    }
    *done = (at + 1, found);
    let Some(start) = found else {
        return;
    };
    let colon = memchr::memchr(b':', &text[start..at]);
    i.report(
        Id::UrlCredentials,
        start,
        at,
        colon.is_some_and(|n| start + n + 1 < at),
    );
}

fn is_user_info(byte: u8) -> bool {
    byte > b' ' && !matches!(byte, b'/' | b'"' | b'<' | b'>' | b'@' | b'?' | b'\\' | 0x7f)
}
