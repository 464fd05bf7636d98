//! Credentials in URLs: `scheme://user:password@host` (RFC 3986, section 3.2.1).

use super::Inspection;
use crate::catalog::Id;

/// Longest user information looked at.
const MAX: usize = 256;

/// Whether the `@` in raw msgpack stands between two texts.
pub(super) fn or_email_plausible(chunk: &[u8], at: usize) -> bool {
    let host = chunk
        .get(at + 1)
        .is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'[' || *b >= 0x80);
    host && at.checked_sub(1).is_some_and(|n| chunk[n] > b' ')
}

/// Verifies the user information in front of the `@` at `at`. `done` is where the one before ended,
/// and where its user information started: a password may hold an `@`.
pub(super) fn find(i: &mut Inspection<'_>, at: usize, done: &mut (usize, Option<usize>)) {
    if !i.wants(Id::UrlCredentials) {
        return;
    }
    let text = i.text;
    let floor = at.saturating_sub(MAX).max(done.0);
    let mut start = at;
    while start > floor && is_user_info(text[start - 1]) {
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
    let host = text
        .get(at + 1)
        .is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'[' || *b >= 0x80);
    let colon = memchr::memchr(b':', &text[start..at]);
    let valid = host && colon.is_some_and(|n| start + n + 1 < at);
    i.report(Id::UrlCredentials, start, at, valid);
}

fn is_user_info(byte: u8) -> bool {
    byte > b' ' && !matches!(byte, b'/' | b'"' | b'<' | b'>' | b'@' | b'?' | b'\\' | 0x7f)
}
