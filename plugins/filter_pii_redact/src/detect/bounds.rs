//! What stands left and right of a candidate.

/// How a candidate is joined to its neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Join {
    /// It stands for itself.
    Free,
    /// It may be part of a name: `blk_123`, `task-123`, `-123`. A keyword is needed.
    Loose,
    /// It is part of a longer word or number.
    Tight,
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// What is in front of `start`.
pub(super) fn left(text: &[u8], start: usize) -> Join {
    let Some(previous) = start.checked_sub(1).map(|n| text[n]) else {
        return Join::Free;
    };
    let before = start.checked_sub(2).map(|n| text[n]);
    match previous {
        b'_' | b'-' | b'@' | b'$' => Join::Loose,
        b'.' => match before {
            Some(b) if b.is_ascii_digit() => Join::Tight,
            Some(b) if is_word(b) => Join::Loose,
            _ => Join::Free,
        },
        // An escape in a string that is not decoded: the letter belongs to the backslash.
        b'n' | b'r' | b't' if before == Some(b'\\') => Join::Free,
        // The start of the first track of a card (ISO/IEC 7813).
        b'B' if before == Some(b'%') => Join::Free,
        previous if previous.is_ascii_alphabetic() && is_glued(text, start) => Join::Loose,
        previous if previous.is_ascii_alphanumeric() => Join::Tight,
        _ => Join::Free,
    }
}

/// Whether the word that a number is glued to announces it: `card4111…`.
pub(super) fn is_glued(text: &[u8], start: usize) -> bool {
    const WORDS: &[&[u8]] = &[
        b"card", b"cc", b"mc", b"visa", b"amex", b"pan", b"ccn", b"iban", b"ssn",
    ];
    let letters = text[..start].iter().rev().take(6);
    let len = letters.take_while(|b| b.is_ascii_alphabetic()).count();
    let word = &text[start - len..start];
    let alone = !text[..start - len].last().is_some_and(u8::is_ascii_digit);
    alone && WORDS.iter().any(|w| w.eq_ignore_ascii_case(word))
}

/// What is behind `end`.
pub(super) fn right(text: &[u8], end: usize) -> Join {
    let Some(next) = text.get(end) else {
        return Join::Free;
    };
    let after = text.get(end + 1);
    match next {
        b'_' | b'@' => Join::Loose,
        b'-' => match after {
            Some(b) if is_word(*b) => Join::Loose,
            _ => Join::Free,
        },
        b'.' => match after {
            Some(b) if b.is_ascii_digit() => Join::Tight,
            _ => Join::Free,
        },
        next if next.is_ascii_alphanumeric() => Join::Tight,
        _ => Join::Free,
    }
}

/// Whether a group of four hexadecimal digits, some of them letters, is beside what stands at `start..end`,
/// as in a dump: `4116 edd1 3579 9090 3a8d 4116`.
pub(super) fn is_in_dump(text: &[u8], start: usize, end: usize) -> bool {
    let mixed = |group: &[u8]| {
        group.iter().any(u8::is_ascii_digit) && group.iter().any(u8::is_ascii_alphabetic)
    };
    let hex = |group: &&[u8]| group.iter().all(u8::is_ascii_hexdigit);
    // Most of the groups beside it have letters, so that two on each side are enough.
    let front = text[..start].rchunks_exact(5).take(2);
    let behind = text[end..].chunks_exact(5).take(2);
    let mut front = front
        .map_while(|chunk| chunk.strip_suffix(b" "))
        .take_while(hex);
    let mut behind = behind
        .map_while(|chunk| chunk.strip_prefix(b" "))
        .take_while(hex);
    front.any(mixed) || behind.any(mixed)
}

/// Whether pairs of digits stand among pairs of hexadecimal ones: `5a 01 23 45 67 89 a0`.
pub(super) fn is_among_pairs(text: &[u8], start: usize, end: usize) -> bool {
    let hex = |pair: &[u8]| {
        pair.iter().all(u8::is_ascii_hexdigit) && pair.iter().any(u8::is_ascii_alphabetic)
    };
    let alone = |byte: Option<&u8>| byte.is_none_or(|b| !b.is_ascii_alphanumeric());
    let front = text[..start].strip_suffix(b" ").unwrap_or_default();
    let behind = text[end..].strip_prefix(b" ").unwrap_or_default();
    matches!(front, [rest @ .., a, b] if hex(&[*a, *b]) && alone(rest.last()))
        || matches!(behind, [a, b, rest @ ..] if hex(&[*a, *b]) && alone(rest.first()))
}

/// The looser of both sides is not enough: both count.
pub(super) fn both(text: &[u8], start: usize, end: usize) -> Join {
    left(text, start).max(right(text, end))
}
