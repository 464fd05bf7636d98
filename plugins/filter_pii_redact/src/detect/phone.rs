//! Phone numbers: E.164, the national plan of one country, and numbers that a keyword announces.

mod plan;

use super::bounds::{self, Join};
use super::row::{gaps, lengths, Gap, Group, Pattern, Row};
use super::Inspection;
use crate::catalog::Id;
use crate::keywords::group::{CALL, LABEL, PHONE};

pub(crate) use plan::Plan;
use plan::{calling_code, Style};

/// Most digits of an international number, calling code included: ITU-T E.164, 6.1.
const MAX_DIGITS: usize = 15;
/// Most groups of a number.
const MAX_GROUPS: usize = 7;

/// Layouts that say enough in every country: lengths of the groups, what separates them, and what
/// the first digit is one of.
type Clear = (Pattern, Pattern, &'static [u8]);

const CLEAR: &[Clear] = &[
    // "(11) 96123-9411"
    (
        lengths(&[2, 5, 4]),
        gaps(&[Gap::Paren, Gap::Hyphen]),
        b"123456789",
    ),
    (
        lengths(&[2, 4, 4]),
        gaps(&[Gap::Paren, Gap::Hyphen]),
        b"123456789",
    ),
    // "8 (301) 127-17-70"
    (
        lengths(&[1, 3, 3, 2, 2]),
        gaps(&[Gap::Paren, Gap::Paren, Gap::Hyphen, Gap::Hyphen]),
        b"78",
    ),
];

fn has_trunk_prefix(text: &[u8], first: &Group) -> bool {
    first.len() > 1 && text[first.start] == b'0' && text[first.start + 1] != b'0'
}

/// Whether the digits at `start` are the seconds of a time, or a fraction of them.
fn is_time(text: &[u8], start: usize) -> bool {
    let before = &text[start.saturating_sub(4)..start];
    match before {
        [.., digit, b':'] => digit.is_ascii_digit(),
        [b':', _, _, b',' | b'.'] => true,
        _ => false,
    }
}

/// Offers the row to every way of writing a phone number that it may be one of.
pub(super) fn find(i: &mut Inspection<'_>, row: &Row<'_>) {
    let Some(first) = row.group(0).filter(|_| i.wants(Id::Phone)) else {
        return;
    };
    let lead = i.text[first.start];
    let before = first.start.checked_sub(1).map_or(b' ', |n| i.text[n]);
    let national_too = !matches!(i.settings.phone.style, Style::Nanp | Style::None);
    let _ = ((before == b'+' || lead == b'0') && international(i, row))
        || north_american(i, row)
        || ((before == b'(' || first.len() == 1) && clear(i, row))
        || (national_too && national(i, row))
        || (lead == b'0' && trunk(i, row))
        || ((before == b'(' || i.may_be_near(first.start, PHONE | CALL)) && announced(i, row));
}

fn is_alone(i: &mut Inspection<'_>, start: usize, end: usize) -> bool {
    bounds::left(i.text, start) == Join::Free && is_free_behind(i, end)
}

/// Whether nothing is joined to a number that ends at `end`, but for what it is: `555-1234-Fax`.
fn is_free_behind(i: &mut Inspection<'_>, end: usize) -> bool {
    bounds::right(i.text, end) == Join::Free
        || (i.text[end] == b'-' && i.starts_with_keyword(end + 1, PHONE | CALL | LABEL))
}

/// `+CC ...` and `00CC-...`.
fn international(i: &mut Inspection<'_>, row: &Row<'_>) -> bool {
    let text = i.text;
    let Some(first) = row.group(0) else {
        return false;
    };
    let plus = first.start > 0 && text[first.start - 1] == b'+';
    let zeros = !plus
        && row.group(1).is_none_or(|g| g.gap != Gap::Paren)
        && text[first.start..first.end].starts_with(b"00")
        && (3..=5).contains(&first.len())
        && text[first.start + 2] != b'0';
    if !plus && !zeros {
        return false;
    }
    let start = if plus { first.start - 1 } else { first.start };
    // A sign behind a digit starts a number only if that is grouped: "667946+43 20 667946".
    let glued = plus && start > 0 && text[start - 1].is_ascii_digit();
    if (!glued && bounds::left(text, start) != Join::Free) || text[first.start] == b'0' && plus {
        return false;
    }
    let skip = if zeros { 2 } else { 0 };
    let code = first.start + skip;
    let known = calling_code(&text[code..]);
    let bracketed = plus && row.group(1).is_some_and(|g| g.gap == Gap::Paren);
    let (min, max) = match known {
        Some((len, min, max)) if !bracketed => (min + len, max + len),
        _ => (8, MAX_DIGITS),
    };
    let mut total = 0;
    let mut best = None;
    for n in 0..MAX_GROUPS + 1 {
        let Some(group) = row.group(n) else { break };
        if n > 0 && group.gap == Gap::None {
            break;
        }
        // "+44 (0)20": the trunk prefix is not dialled.
        let trunk =
            n > 0 && group.len() == 1 && group.gap == Gap::Paren && text[group.start] == b'0';
        if !trunk {
            total += group.len();
        }
        let digits = total - skip;
        if digits > max {
            break;
        }
        if digits >= min {
            best = Some((group.end, n));
        }
    }
    let Some((mut end, groups)) = best else {
        i.report(Id::Phone, start, first.end, false);
        return false;
    };
    let bare_unknown = (groups == 0 || zeros) && known.is_none() || (groups == 0 && glued);
    let valid = bounds::right(text, end) != Join::Tight
        && !bare_unknown
        && (!zeros
            || (groups > 0
                && (row.gap(2) == Some(Gap::Hyphen) || i.near(start, end, PHONE | CALL))));
    let extension = extension(text, end);
    let valid = valid || extension > end;
    end = extension;
    i.report(Id::Phone, start, end, valid)
}

/// `(555) 123-4567`, `555-123-4567`, `1.555.123.4567`, with an extension.
fn north_american(i: &mut Inspection<'_>, row: &Row<'_>) -> bool {
    if i.settings.phone.style != Style::Nanp {
        return false;
    }
    let text = i.text;
    let prefixed = row.has(const { lengths(&[1, 3, 3, 4]) })
        && row.group(0).is_some_and(|g| text[g.start] == b'1');
    let first = usize::from(prefixed);
    if !prefixed && !row.has(const { lengths(&[3, 3, 4]) }) {
        return false;
    }
    let (Some(area), Some(exchange), Some(line)) =
        (row.group(first), row.group(first + 1), row.group(first + 2))
    else {
        return false;
    };
    let Some((mut start, end)) = row.span(first + 3) else {
        return false;
    };
    let same = exchange.gap == line.gap;
    let shaped = match (exchange.gap, line.gap) {
        (Gap::Paren, Gap::Hyphen | Gap::Dot | Gap::Blank) => true,
        (Gap::Hyphen | Gap::Dot | Gap::Blank, _) => {
            same || (exchange.gap != Gap::Dot && matches!(line.gap, Gap::Hyphen | Gap::Blank))
        }
        _ => false,
    };
    if !shaped {
        return false;
    }
    if exchange.gap == Gap::Paren && area.start > 0 && text[area.start - 1] == b'(' && !prefixed {
        start = area.start - 1;
    }
    let digits = &text[area.start..area.end];
    let strict = is_nanp(digits, &text[exchange.start..exchange.end]);
    let extended = extension(text, end);
    let alone =
        bounds::left(text, start) == Join::Free && (extended > end || is_free_behind(i, end));
    let chained = row
        .group(first + 3)
        .is_some_and(|g| g.gap == line.gap && line.gap != Gap::Blank)
        || row.previous().is_some_and(|_| {
            row.group(0)
                .is_some_and(|g| matches!(g.gap, Gap::Hyphen | Gap::Dot))
        });
    let blanks = exchange.gap == Gap::Blank && line.gap == Gap::Blank;
    let isolated = !row.is_part_of_more(first + 3, Gap::Blank);
    let zeros = text[area.start..end]
        .iter()
        .all(|b| !b.is_ascii_digit() || *b == b'0');
    let valid = alone
        && !chained
        && !zeros
        && (!blanks || (strict && isolated) || i.near(start, end, PHONE | CALL));
    i.report(Id::Phone, start, extended, valid)
}

/// Area codes and exchanges start with 2 to 9; `N11` are service codes (NANPA).
fn is_nanp(area: &[u8], exchange: &[u8]) -> bool {
    is_area(area) && is_area(exchange)
}

fn is_area(digits: &[u8]) -> bool {
    digits[0] >= b'2' && &digits[1..] != b"11"
}

/// Numbers in one of the layouts of [`CLEAR`].
fn clear(i: &mut Inspection<'_>, row: &Row<'_>) -> bool {
    let text = i.text;
    let found = CLEAR.iter().find(|(lengths, gaps, first)| {
        row.has(*lengths)
            && row.has_gaps(*gaps)
            && row.group(0).is_some_and(|g| first.contains(&text[g.start]))
    });
    let Some((mut start, end)) = found.and_then(|(lengths, ..)| row.span(lengths.groups)) else {
        return false;
    };
    if row.group(0).is_some_and(|g| g.len() > 1) {
        if start == 0 || text[start - 1] != b'(' {
            return false;
        }
        start -= 1;
    }
    let valid = is_alone(i, start, end);
    i.report(Id::Phone, start, end, valid)
}

/// Numbers of the configured country, written with separators.
fn national(i: &mut Inspection<'_>, row: &Row<'_>) -> bool {
    let text = i.text;
    let plan = i.settings.phone;
    let Some(first) = row.group(0) else {
        return false;
    };
    let lead = text[first.start];
    let fits = match plan.style {
        Style::Trunk => has_trunk_prefix(text, first),
        Style::First(digits, _) => digits.contains(&lead),
        Style::Nanp | Style::None => false,
    };
    if !fits || first.gap != Gap::None && first.gap != Gap::Blank {
        return false;
    }
    let Some((groups, total)) = take(row, plan.digits) else {
        return false;
    };
    let Some((mut start, end)) = row.span(groups) else {
        return false;
    };
    if start > 0 && text[start - 1] == b'(' && row.gap(2) == Some(Gap::Paren) {
        start -= 1;
    }
    let alone = is_alone(i, start, end);
    let isolated = !row.is_part_of_more(groups, Gap::Blank);
    let laid_out = match plan.style {
        Style::First(_, layouts) => layouts.iter().any(|l| l.groups == groups && row.has(*l)),
        _ => groups > 1,
    };
    let valid = alone
        && total >= plan.digits.0
        && !is_date(row)
        && !is_time(text, start)
        && ((laid_out && isolated) || i.near(start, end, PHONE | CALL));
    i.report(Id::Phone, start, end, valid)
}

/// Numbers of any country with a trunk prefix, in groups that nothing else is written in.
fn trunk(i: &mut Inspection<'_>, row: &Row<'_>) -> bool {
    let text = i.text;
    let Some(first) = row.group(0) else {
        return false;
    };
    if !has_trunk_prefix(text, first) || first.gap != Gap::None || !(2..=5).contains(&first.len()) {
        return false;
    }
    let Some((groups, _)) = take(row, (9, 11)) else {
        return false;
    };
    let Some((start, end)) = row.span(groups) else {
        return false;
    };
    let rest = || (1..groups).filter_map(|n| row.group(n));
    let shaped = match groups {
        0 | 1 => false,
        2 => {
            // Logs have "0701/114930": month, day and time.
            let joined = match row.gap(2) {
                Some(Gap::Slash) => !row.has(const { lengths(&[4, 6]) }),
                gap => matches!(gap, Some(Gap::Blank | Gap::Hyphen)),
            };
            let fewest = if first.len() == 2 { 7 } else { 5 };
            joined && rest().all(|g| g.len() >= fewest)
        }
        _ => {
            // "01.23.45.67.89"
            let pairs = groups == 5
                && row.has(const { lengths(&[2; 5]) })
                && matches!(row.gap(5), Some(Gap::Blank | Gap::Dot));
            pairs
                || (groups < 5
                    && rest().all(|g| matches!(g.gap, Gap::Blank | Gap::Hyphen))
                    && rest().all(|g| (2..=5).contains(&g.len())))
        }
    };
    let more = row.group(groups).is_some_and(|g| g.gap != Gap::None);
    let alone = is_alone(i, start, end);
    shaped
        && alone
        && !more
        && !is_date(row)
        && !is_time(text, start)
        && i.report(Id::Phone, start, end, true)
}

/// How far in front of digits without separators a word that goes with phones, among others, begins.
const CLOSE: usize = 16;

/// Whatever a keyword announces, if it has as many digits as phone numbers have.
fn announced(i: &mut Inspection<'_>, row: &Row<'_>) -> bool {
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
    if !plain || (ip_like && lead != b'0') || is_date(row) || row.has(const { lengths(&[3, 2, 4]) })
    {
        return false;
    }
    let open = start > 0 && text[start - 1] == b'(';
    if open {
        start -= 1;
    }
    let extended = extension(text, end);
    let alone =
        bounds::left(text, start) == Join::Free && (extended > end || is_free_behind(i, end));
    if !alone || is_time(text, start) {
        return false;
    }
    if !open && !i.near(start, end, PHONE | CALL) {
        return false;
    }
    let nanp = total == 10 && !grouped && is_area(&text[start..start + 3]);
    let trunk = has_trunk_prefix(text, first);
    let bracketed = text[start] == b'(' && row.group(1).is_some_and(|g| g.gap == Gap::Paren);
    let words = if !grouped || lead == b'0' || is_usual(row, groups, total) {
        PHONE | CALL
    } else {
        PHONE
    };
    // "(0115) 496 0627" speaks for itself; two columns of digits do not, even near a keyword.
    let valid = if lead == b'0' || groups > 2 || nanp {
        (bracketed && trunk && total >= 8) || i.near(start, end, words)
    } else if grouped {
        i.introduced(start, words, usize::MAX)
    } else {
        i.introduced(start, PHONE, usize::MAX) || (total > 9 && i.introduced(start, CALL, CLOSE))
    };
    valid && i.report(Id::Phone, start, extended, true)
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

/// Takes groups until their digits are as many as `digits` allows; how many groups and digits.
fn take(row: &Row<'_>, (min, max): (usize, usize)) -> Option<(usize, usize)> {
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
fn is_date(row: &Row<'_>) -> bool {
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
fn extension(text: &[u8], end: usize) -> usize {
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
