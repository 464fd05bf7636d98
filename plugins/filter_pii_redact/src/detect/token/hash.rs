//! Hashes of passwords as `crypt` writes them: `$2b$12$…`, `$argon2id$…`, `$6$…`.

use super::form::{run, Text};

/// Their names between the first two signs, and how long what follows is at least.
const KINDS: &[(&[u8], usize)] = &[
    (b"2a", 56),
    (b"2b", 56),
    (b"2x", 56),
    (b"2y", 56),
    (b"1", 22),
    (b"5", 43),
    (b"6", 80),
    (b"7", 43),
    (b"y", 43),
    (b"gy", 43),
    (b"P", 31),
    (b"H", 31),
    (b"apr1", 22),
    (b"sha1", 30),
    (b"argon2i", 40),
    (b"argon2d", 40),
    (b"argon2id", 40),
    (b"scrypt", 40),
    (b"pbkdf2", 40),
    (b"pbkdf2-sha256", 40),
    (b"pbkdf2-sha512", 40),
];

/// The kind whose second sign is at `at`, and where the first is.
fn kind(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let window = &text[at.saturating_sub(15)..at];
    let first = at - window.len() + memchr::memrchr(b'$', window)?;
    let row = KINDS.iter().find(|row| row.0 == &text[first + 1..at])?;
    Some((first, row.1))
}

/// Whether the second sign of a hash is at `at`.
pub(super) fn plausible(text: &[u8], at: usize) -> bool {
    text[at] == b'$' && kind(text, at).is_some()
}

/// The hash whose kind begins at `start`.
pub(super) fn crypt(text: &Text<'_>, start: usize, body: usize) -> Option<(usize, usize, bool)> {
    let rest = text.get(start + 1..text.len().min(start + 16))?;
    let second = start + 1 + memchr::memchr(b'$', rest)?;
    let (first, least) = kind(text, second)?;
    let class = |b: u8| {
        b.is_ascii_alphanumeric()
            || matches!(b, b'.' | b'/' | b'$' | b'+' | b'=' | b',' | b'-' | b'_')
    };
    let end = run(text, body, class);
    let end = body
        + text[body..end]
            .iter()
            .rposition(|b| !matches!(b, b'.' | b','))
            .map_or(0, |n| n + 1);
    (first == start && end > second && end - second > least).then_some((start, end, true))
}
