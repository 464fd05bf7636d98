//! What the ways of writing a phone number share.

use crate::detect::bounds::{self, Join};
use crate::detect::row::{lengths, Gap, Group, Row};
use crate::detect::Inspection;
use crate::keywords::group::{CALL, LABEL, PHONE};

/// Most groups of a number.
pub(super) const MAX_GROUPS: usize = 7;

pub(super) fn has_trunk_prefix(text: &[u8], first: &Group) -> bool {
    first.len() > 1 && text[first.start] == b'0' && text[first.start + 1] != b'0'
}

/// Whether the digits at `start` are the seconds of a time, or a fraction of them.
pub(super) fn is_time(text: &[u8], start: usize) -> bool {
    let before = &text[start.saturating_sub(4)..start];
    match before {
        [.., digit, b':'] => digit.is_ascii_digit(),
        [b':', _, _, b',' | b'.'] => true,
        _ => false,
    }
}

pub(super) fn is_alone(i: &mut Inspection<'_>, start: usize, end: usize) -> bool {
    bounds::left(i.text, start) == Join::Free && is_free_behind(i, end)
}

/// Whether nothing is joined to a number that ends at `end`, but for what it is: `555-1234-Fax`.
pub(super) fn is_free_behind(i: &mut Inspection<'_>, end: usize) -> bool {
    bounds::right(i.text, end) == Join::Free
        || (i.text[end] == b'-' && i.starts_with_keyword(end + 1, PHONE | CALL | LABEL))
}

/// Takes groups until their digits are as many as `digits` allows; how many groups and digits.
pub(super) fn take(row: &Row<'_>, (min, max): (usize, usize)) -> Option<(usize, usize)> {
    let mut total = 0;
    let mut best = None;
    for n in 0..MAX_GROUPS {
        let Some(group) = row.group(n) else { break };
        if n > 0 && group.gap == Gap::None {
            break;
        }
        total += group.len();
        if total > max {
            break;
        }
        if total >= min {
            best = Some((n + 1, total));
        }
    }
    best
}

/// `2015-10-18`, `18.10.2015`, `10/18/15`, but not `60-56-85-91`.
pub(super) fn is_date(row: &Row<'_>) -> bool {
    let Some(gap) = row.gap(3) else {
        return false;
    };
    let on = row.group(3).is_some_and(|g| g.gap == gap);
    let with_year =
        row.has(const { lengths(&[4, 2, 2]) }) || row.has(const { lengths(&[2, 2, 4]) });
    match gap {
        Gap::Hyphen | Gap::Slash | Gap::Dot => {
            with_year || (row.has(const { lengths(&[2, 2, 2]) }) && !on)
        }
        Gap::Blank => with_year && !on,
        _ => false,
    }
}

/// End of an extension behind a number: `x123`, ` ext. 123`.
pub(super) fn extension(text: &[u8], end: usize) -> usize {
    let mut at = end;
    if text.get(at) == Some(&b',') {
        at += 1;
    }
    if text.get(at) == Some(&b' ') {
        at += 1;
    }
    let rest = &text[at..];
    if !matches!(rest.first(), Some(b'e' | b'E' | b'x' | b'X' | b'#')) {
        return end;
    }
    let word = [&b"extension"[..], b"ext.", b"ext", b"x", b"#"]
        .into_iter()
        .find(|word| {
            rest.get(..word.len())
                .is_some_and(|w| w.eq_ignore_ascii_case(word))
        });
    let Some(word) = word else {
        return end;
    };
    at += word.len();
    while matches!(text.get(at), Some(b' ' | b':' | b'.')) && at < end + 14 {
        at += 1;
    }
    let first = at;
    while at < first + 7 && text.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    if (1..=6).contains(&(at - first)) && !text.get(at).is_some_and(u8::is_ascii_alphanumeric) {
        at
    } else {
        end
    }
}
