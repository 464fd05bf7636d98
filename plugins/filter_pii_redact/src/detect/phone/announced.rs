//! Numbers that a keyword announces.

use super::form::{extension, has_trunk_prefix, is_date, is_free_behind, is_time, take};
use super::is_bare;
use super::national::is_area;
use crate::catalog::Id;
use crate::detect::bounds::{self, Join};
use crate::detect::label::is_identifier;
use crate::detect::row::{lengths, Gap, Pattern, Row};
use crate::detect::Inspection;
use crate::keywords::group::{CALL, PHONE};
use crate::name::{class_of_name, is_named_phone, NameClass};

/// How far in front of digits without separators a word that goes with phones, among others, begins.
const CLOSE: usize = 16;

/// Whatever a keyword announces, if it has as many digits as phone numbers have.
pub(super) fn find(i: &mut Inspection<'_>, row: &Row<'_>) -> bool {
    let text = i.text;
    let Some(first) = row.group(0) else {
        return false;
    };
    if matches!(first.gap, Gap::Hyphen | Gap::Dot | Gap::Slash | Gap::Paren) {
        return false;
    }
    // Ten digits and more are a number by themselves, whatever number stands behind them.
    let taken = match first.len() {
        len @ 10..=13 => Some((1, len)),
        _ => take(row, (7, 13)),
    };
    let Some((groups, total)) = taken else {
        return false;
    };
    let Some((mut start, end)) = row.span(groups) else {
        return false;
    };
    // "+1-555-0100" is too short for its code, but announced.
    let open = start > 0 && text[start - 1] == b'(';
    if open || start > 0 && text[start - 1] == b'+' {
        start -= 1;
    }
    // What stands beside it tells most of them apart.
    if bounds::left(text, start) != Join::Free {
        return false;
    }
    let grouped = groups > 1;
    let lead = text[first.start];
    let plain = match total {
        7 => row.has(const { lengths(&[3, 4]) }) || row.has(const { lengths(&[3, 2, 2]) }),
        8 => grouped,
        9 => true,
        10 => grouped || lead != b'1',
        _ => grouped || total == 11,
    };
    let ip_like =
        groups >= 4 && (1..groups).all(|n| row.group(n).is_some_and(|g| g.gap == Gap::Dot));
    // "1.2.3078051120" is a version.
    let dotted = (1..groups).any(|n| row.group(n).is_some_and(|g| g.gap == Gap::Dot));
    let uneven = (0..groups).any(|n| row.group(n).is_some_and(|g| !(2..=5).contains(&g.len())));
    if !plain
        || (dotted && uneven)
        || (ip_like && lead != b'0')
        || is_date(row)
        || row.has(const { lengths(&[3, 2, 4]) })
    {
        return false;
    }
    let zeros = text[start..end].iter().all(|b| !matches!(b, b'1'..=b'9'));
    if zeros || is_limit(&text[start..end]) || is_time(text, start) {
        return false;
    }
    let extended = extension(text, end);
    if extended == end && !is_free_behind(i, end) {
        return false;
    }
    if !open && !i.near(start, end, PHONE | CALL) {
        return false;
    }
    let nanp = total == 10 && !grouped && is_area(&text[start..start + 3]);
    let trunk = has_trunk_prefix(text, first);
    let bracketed = text[start] == b'(' && row.group(1).is_some_and(|g| g.gap == Gap::Paren);
    // "text 1234 5678", "text segment 0012345678": what programs count.
    let counted = row.has(const { lengths(&[4, 4]) }) && is_behind(text, start, b"text ")
        || !grouped && text[start..].starts_with(b"00");
    let words = if !counted && (!grouped || lead == b'0' || is_usual(row, groups, total)) {
        PHONE | CALL
    } else {
        PHONE
    };
    // "(0115) 496 0627" speaks for itself; two columns of digits do not, even near a keyword.
    let valid = if grouped && (lead == b'0' || groups > 2) {
        (bracketed && trunk && total >= 8) || i.near(start, end, words)
    } else if grouped {
        i.introduced(start, words, usize::MAX)
    } else if lead == b'0' || nanp {
        // Behind a number such words go with what follows.
        i.near(start, end, PHONE)
            || !counted
                && i.introduced(start, CALL, usize::MAX)
                && !is_identifier(text, i.key, start)
    } else {
        let far = if matches!(total, 9..=11) {
            usize::MAX
        } else {
            CLOSE
        };
        i.introduced(start, PHONE, far) && !is_identifier(text, i.key, start)
            || (total > 9 && i.introduced(start, CALL, CLOSE) && !is_identifier(text, i.key, start))
    };
    valid && i.report(Id::Phone, start, extended, true)
}

/// Digits in one that are the value of a name for phone numbers.
pub(super) fn find_named(i: &mut Inspection<'_>, row: &Row<'_>) -> bool {
    let text = i.text;
    let Some((digits, end)) = row.span(1) else {
        return false;
    };
    let start = digits - usize::from(text[..digits].ends_with(b"+"));
    let named = is_plain(&text[digits..end])
        && (is_named_phone(text, start)
            || (class_of_name(i.key) == NameClass::Phone && is_bare(text)));
    named
        && bounds::left(text, start) == Join::Free
        && is_free_behind(i, end)
        && i.report(Id::Phone, start, end, true)
}

/// Whether digits in one are as many as a phone number has, and no time.
pub(super) fn is_plain(digits: &[u8]) -> bool {
    let plain = match digits.len() {
        // No number of a subscriber begins with what stands for services and trunks (E.161).
        7 => !matches!(digits[0], b'0' | b'1'),
        8 => !is_day(digits),
        // Since 1970 in seconds or milliseconds.
        10 | 13 => digits[0] != b'1',
        9 | 11 | 12 => true,
        _ => false,
    };
    plain && digits.iter().any(|b| *b != digits[0]) && !is_limit(digits)
}

/// Whether a word is directly in front of `start`, in whatever case.
fn is_behind(text: &[u8], start: usize, word: &[u8]) -> bool {
    let before = start.checked_sub(word.len()).map(|n| &text[n..start]);
    before.is_some_and(|before| before.eq_ignore_ascii_case(word))
}

/// The largest number of 32 bits, and one more.
fn is_limit(digits: &[u8]) -> bool {
    matches!(
        digits,
        b"2147483647" | b"2147483648" | b"4294967295" | b"4294967296"
    )
}

/// `20240131`
fn is_day(digits: &[u8]) -> bool {
    let part = |from: usize| (digits[from] - b'0') * 10 + digits[from + 1] - b'0';
    let century = matches!(&digits[..2], b"19" | b"20");
    century && (1..=12).contains(&part(4)) && (1..=31).contains(&part(6))
}

/// Whether a number is grouped as phone numbers are, so that words count that go with other
/// numbers as well.
fn is_usual(row: &Row<'_>, groups: usize, total: usize) -> bool {
    const PAIRS: &[Pattern] = &[
        lengths(&[3, 4]),
        lengths(&[4, 4]),
        lengths(&[2, 6]),
        lengths(&[3, 6]),
        lengths(&[3, 7]),
    ];
    total <= 11
        && (groups > 2 || PAIRS.iter().any(|pair| row.has(*pair)))
        && (1..groups).all(|n| row.group(n).is_some_and(|g| g.len() > 1))
}
