//! International numbers: a calling code of E.164 behind `+`, `00` or `011`.

use super::codes::Code;
use super::form::{extension, MAX_GROUPS};
use super::plan::Style;
use crate::catalog::Id;
use crate::detect::bounds::{self, Join};
use crate::detect::row::{Gap, Row};
use crate::detect::Inspection;
use crate::keywords::group::{CALL, PHONE};

/// Most digits of an international number, calling code included: ITU-T E.164, 6.1.
const MAX_DIGITS: usize = 15;

/// So many digits in one, code included, are a whole number.
const LONG: usize = 10;
/// Fewest digits, code included, of a number in one and of one in groups.
const MIN_BARE: usize = 9;
const MIN_GROUPED: usize = 7;

/// What stands in front of a calling code.
#[derive(Clone, Copy)]
struct Prefix {
    /// Where the number starts.
    start: usize,
    /// Digits that are dialled in front of the code; none behind a sign.
    dialled: usize,
    /// Where the code is.
    code: usize,
    /// The group that the code is in.
    group: usize,
}

impl Prefix {
    fn of(i: &Inspection<'_>, row: &Row<'_>) -> Option<Self> {
        let text = i.text;
        let first = row.group(0)?;
        let sign = match text[..first.start] {
            [.., b'+'] => 1,
            [.., b'+', b'('] => 2,
            _ => 0,
        };
        if sign > 0 {
            // "(+44) 20 7946 0958"
            let bracket =
                text[..first.start].ends_with(b"(+") && text.get(first.end) == Some(&b')');
            let start = first.start - sign - usize::from(bracket);
            // A sign behind a digit starts a number only if that is grouped: "667946+43 20 667946".
            // That of a version does not: "4.9+20161219-1", "30+20221128-1".
            let glued = start > 0 && text[start - 1].is_ascii_digit();
            let glued = glued && !text[..start - 1].ends_with(b".");
            let grouped = row.group(1).is_some() && first.len() < 4;
            let free = match start.checked_sub(1).map(|n| text[n]) {
                // "1:14~++20210827-1"
                Some(b'~' | b'+') => false,
                _ => bounds::left(text, start) == Join::Free || glued && grouped,
            };
            return (free && text[first.start] != b'0').then_some(Prefix {
                start,
                dialled: 0,
                code: first.start,
                group: 0,
            });
        }
        let digits = &text[first.start..first.end];
        let bracket = row.group(1).is_some_and(|g| g.gap == Gap::Paren);
        if bracket && text[..first.start].ends_with(b"(") {
            return Prefix::bracketed(text, row);
        }
        let dialled = match digits {
            b"011" if i.settings.phone.style == Style::Nanp => 3,
            [b'0', b'0', ..] => 2,
            _ => return None,
        };
        let (code, group) = if dialled == digits.len() {
            let next = row.group(1)?;
            matches!(next.gap, Gap::Blank | Gap::Hyphen).then_some((next.start, 1))?
        } else {
            (first.start + dialled, 0)
        };
        let free = bounds::left(text, first.start) == Join::Free;
        (free && text[code] != b'0' && !bracket).then_some(Prefix {
            start: first.start,
            dialled,
            code,
            group,
        })
    }
}

impl Prefix {
    /// `(351) 211 393 095`: a whole code in brackets.
    fn bracketed(text: &[u8], row: &Row<'_>) -> Option<Self> {
        let first = row.group(0)?;
        let start = first.start - 1;
        let code = Code::of(&text[first.start..first.end])?;
        let closed = row.group(1)?.gap == Gap::Paren && text.get(first.end) == Some(&b')');
        (closed
            && code.len == first.len()
            && code.value != 1
            && bounds::left(text, start) == Join::Free)
            .then_some(Prefix {
                start,
                dialled: 0,
                code: first.start,
                group: 0,
            })
    }
}

/// `+CC ...`, `+(CC) ...`, `00CC...`, `00 CC ...`, `011 CC ...`.
pub(super) fn find(i: &mut Inspection<'_>, row: &Row<'_>) -> bool {
    let text = i.text;
    let Some(prefix) = Prefix::of(i, row) else {
        return false;
    };
    let known = Code::of(&text[prefix.code..]);
    // What is dialled at home may stand in brackets, and is counted.
    let bracketed = prefix.dialled == 0 && row.group(1).is_some_and(|g| g.gap == Gap::Paren);
    let (min, max) = match known {
        Some(code) if !bracketed => {
            let (min, max) = code.digits;
            // Numbers in use are at times a digit shorter than the plan says.
            let min = min + code.len - usize::from(code.value != 1);
            (min.max(MIN_GROUPED), max + code.len)
        }
        _ => (8, MAX_DIGITS),
    };
    let mut total = 0;
    let mut best = None;
    for n in 0..=MAX_GROUPS {
        let Some(group) = row.group(n) else { break };
        if n > 0 && group.gap == Gap::None {
            break;
        }
        // Digits that are a number by themselves end it.
        if n > 0 && n == prefix.group + 1 && total - prefix.dialled.min(total) >= LONG {
            break;
        }
        // "+44 (0)20": the trunk prefix is not dialled.
        let trunk =
            n > 0 && group.len() == 1 && group.gap == Gap::Paren && text[group.start] == b'0';
        if !trunk {
            total += group.len();
        }
        let digits = total - prefix.dialled.min(total);
        if digits > max && !(n == 0 && digits <= MAX_DIGITS) {
            break;
        }
        if digits >= min {
            best = Some((group.end, n));
        }
    }
    let Some((end, last)) = best else {
        let end = row.group(0).map_or(prefix.start, |group| group.end);
        i.report(Id::Phone, prefix.start, end, false);
        return false;
    };
    let grouped = last > prefix.group;
    let written = match (prefix.dialled, grouped) {
        // Brackets are around many numbers.
        (0, true) if text[prefix.start] == b'(' => {
            let digits = text[prefix.code..end]
                .iter()
                .filter(|b| b.is_ascii_digit())
                .count();
            known.is_some_and(|code| digits >= LONG && is_national(&code, digits))
                && is_dialled(row, 0, last)
        }
        // "+35236450.6"
        (0, true) => !row
            .group(last)
            .is_some_and(|g| g.gap == Gap::Dot && g.len() == 1),
        (0, false) => known.is_some_and(|code| is_bare(&code, end - prefix.code, 2)),
        _ if i.near(prefix.start, end, PHONE | CALL) => known.is_some() || grouped,
        (_, true) => known.is_some() && is_dialled(row, prefix.group, last),
        // "001..." is more often a number with zeros in front.
        (_, false) => {
            known.is_some_and(|code| code.value != 1 && is_bare(&code, end - prefix.code, 0))
        }
    };
    // Brackets around all of a number are not part of it.
    let inside = !grouped && text[prefix.start] == b'(';
    let start = prefix.start + usize::from(inside);
    let extended = extension(text, end);
    let free = bounds::right(text, end) != Join::Tight || extended > end;
    // "+9999-12-31 23:59:59"
    let time = matches!(text[end..], [b':', a, b, ..] if a.is_ascii_digit() && b.is_ascii_digit())
        && grouped
        && row.group(last).is_some_and(|g| g.len() == 2);
    // "0082 0002 01 00": no number at home begins with two zeros.
    let zeros = prefix.dialled > 0
        && row
            .group(prefix.group + 1)
            .is_some_and(|g| grouped && text[g.start..g.end].starts_with(b"00"));
    let free = free && !time && !zeros;
    i.report(Id::Phone, start, extended, written && free)
}

/// Whether `len` digits, code included, are as many as the plan says.
fn is_national(code: &Code, len: usize) -> bool {
    (code.digits.0..=code.digits.1).contains(&(len - code.len))
}

/// Whether `len` digits in one, code included, are a number of the code; `more` may be too many.
fn is_bare(code: &Code, len: usize, more: usize) -> bool {
    let (min, max) = code.digits;
    let slack = if code.value == 1 { 0 } else { more };
    let national = len - code.len;
    len >= MIN_BARE && (min..=max).contains(&national)
        || slack > 0
            && (LONG..=MAX_DIGITS).contains(&len)
            && (min - 1..=max + slack).contains(&national)
}

/// Whether groups behind a dialled prefix stand for themselves and are no dump of bytes.
fn is_dialled(row: &Row<'_>, code: usize, last: usize) -> bool {
    let pairs = (0..=last).all(|n| row.group(n).is_some_and(|g| g.len() == 2));
    let alone = row
        .previous()
        .is_none_or(|_| row.group(0).is_some_and(|g| g.gap == Gap::None))
        && row.group(last + 1).is_none_or(|g| g.gap == Gap::None);
    !pairs && alone && last > code
}
