//! Phone numbers: E.164, the national plan of one country, and numbers that a keyword announces.

use super::bounds::{self, Join};
use super::number::{Gap, Row};
use super::Inspection;
use crate::catalog::Id;
use crate::keywords::group::{CALL, PHONE};

/// Most digits of an international number, calling code included: ITU-T E.164, 6.1.
const MAX_DIGITS: usize = 15;
/// Most groups of a number.
const MAX_GROUPS: usize = 7;

/// A national numbering plan, as far as it is needed to tell numbers from other digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    country: &'static str,
    style: Style,
    /// Fewest and most digits of a national number, trunk prefix included.
    digits: (usize, usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    /// North America: 3-3-4.
    Nanp,
    /// A trunk prefix 0 in front.
    Trunk,
    /// No trunk prefix: the first digit is one of these.
    First(&'static [u8]),
    /// International numbers only.
    None,
}

const fn plan(country: &'static str, style: Style, min: usize, max: usize) -> Plan {
    Plan {
        country,
        style,
        digits: (min, max),
    }
}

/// Plans by ISO 3166 code, after the national annexes of ITU-T E.164.
const PLANS: &[Plan] = &[
    plan("US", Style::Nanp, 10, 11),
    plan("CA", Style::Nanp, 10, 11),
    plan("GB", Style::Trunk, 10, 11),
    plan("IE", Style::Trunk, 9, 10),
    plan("DE", Style::Trunk, 7, 13),
    plan("AT", Style::Trunk, 7, 13),
    plan("CH", Style::Trunk, 10, 10),
    plan("FR", Style::Trunk, 10, 10),
    plan("BE", Style::Trunk, 9, 10),
    plan("NL", Style::Trunk, 10, 10),
    plan("SE", Style::Trunk, 8, 10),
    plan("IT", Style::First(b"03"), 8, 11),
    plan("ES", Style::First(b"6789"), 9, 9),
    plan("PT", Style::First(b"29"), 9, 9),
    plan("PL", Style::First(b"123456789"), 9, 9),
    plan("DK", Style::First(b"23456789"), 8, 8),
    plan("NO", Style::First(b"23456789"), 8, 8),
    plan("AU", Style::Trunk, 10, 10),
    plan("NZ", Style::Trunk, 9, 11),
    plan("JP", Style::Trunk, 10, 11),
    plan("IN", Style::First(b"06789"), 10, 11),
    plan("BR", Style::First(b"123456789"), 10, 11),
    plan("ZA", Style::Trunk, 10, 10),
    plan("NONE", Style::None, 0, 0),
];

impl Plan {
    /// Plan of a country, `NONE` for none.
    pub(crate) fn of(country: &str) -> Option<Self> {
        PLANS
            .iter()
            .find(|plan| plan.country.eq_ignore_ascii_case(country))
            .copied()
    }

    /// Every country that [`Plan::of`] knows.
    pub(crate) fn countries() -> impl Iterator<Item = &'static str> {
        PLANS.iter().map(|plan| plan.country)
    }
}

/// Calling code, and the fewest and most digits behind it. E.164 country codes with a known plan.
const CODES: &[(&[u8], usize, usize)] = &[
    (b"1", 10, 10),
    (b"7", 10, 10),
    (b"20", 8, 10),
    (b"27", 9, 9),
    (b"30", 10, 10),
    (b"31", 9, 9),
    (b"32", 8, 9),
    (b"33", 9, 9),
    (b"34", 9, 9),
    (b"36", 8, 9),
    (b"39", 6, 11),
    (b"40", 9, 9),
    (b"41", 9, 9),
    (b"43", 6, 13),
    (b"44", 9, 10),
    (b"45", 8, 8),
    (b"46", 7, 10),
    (b"47", 8, 8),
    (b"48", 9, 9),
    (b"49", 6, 13),
    (b"52", 10, 11),
    (b"54", 10, 11),
    (b"55", 10, 11),
    (b"60", 8, 10),
    (b"61", 9, 9),
    (b"62", 8, 12),
    (b"63", 8, 10),
    (b"64", 8, 10),
    (b"65", 8, 8),
    (b"66", 8, 9),
    (b"81", 9, 10),
    (b"82", 8, 10),
    (b"84", 9, 10),
    (b"86", 10, 11),
    (b"90", 10, 10),
    (b"91", 10, 10),
    (b"92", 9, 10),
    (b"98", 10, 10),
    (b"351", 9, 9),
    (b"353", 7, 9),
    (b"358", 6, 11),
    (b"380", 9, 9),
    (b"420", 9, 9),
    (b"852", 8, 8),
    (b"966", 9, 9),
    (b"971", 8, 9),
    (b"972", 8, 9),
];

/// Offers the row to every way of writing a phone number.
pub(super) fn find(i: &mut Inspection<'_>, row: Row<'_>) {
    if !i.wants(Id::Phone) {
        return;
    }
    let _ =
        international(i, row) || north_american(i, row) || national(i, row) || announced(i, row);
}

/// `+CC ...` and `00CC-...`.
fn international(i: &mut Inspection<'_>, row: Row<'_>) -> bool {
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
    if bounds::left(text, start) != Join::Free || text[first.start] == b'0' && plus {
        return false;
    }
    let skip = if zeros { 2 } else { 0 };
    let code = first.start + skip;
    let known = CODES
        .iter()
        .find(|(digits, ..)| text[code..].starts_with(digits));
    let (min, max) = known.map_or((8, MAX_DIGITS - 2), |(digits, min, max)| {
        (min + digits.len(), max + digits.len())
    });
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
    let bare_unknown = groups == 0 && known.is_none();
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
fn north_american(i: &mut Inspection<'_>, row: Row<'_>) -> bool {
    if i.settings.phone.style != Style::Nanp {
        return false;
    }
    let text = i.text;
    let prefixed =
        row.lengths(&[1, 3, 3, 4]) && row.group(0).is_some_and(|g| text[g.start] == b'1');
    let first = usize::from(prefixed);
    if !prefixed && !row.lengths(&[3, 3, 4]) {
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
    let alone = bounds::left(text, start) == Join::Free
        && (extended > end || bounds::right(text, end) == Join::Free);
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

/// Numbers of the configured country, written with separators.
fn national(i: &mut Inspection<'_>, row: Row<'_>) -> bool {
    let text = i.text;
    let plan = i.settings.phone;
    let Some(first) = row.group(0) else {
        return false;
    };
    let lead = text[first.start];
    let fits = match plan.style {
        Style::Trunk => lead == b'0' && text.get(first.start + 1) != Some(&b'0'),
        Style::First(digits) => digits.contains(&lead),
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
    let alone = bounds::both(text, start, end) == Join::Free;
    let isolated = !row.is_part_of_more(groups, Gap::Blank);
    let clear = groups > 1 && isolated && plan.style == Style::Trunk;
    let valid = alone
        && total >= plan.digits.0
        && !is_date(row)
        && (clear || i.near(start, end, PHONE | CALL));
    i.report(Id::Phone, start, end, valid)
}

/// Whatever a keyword announces, if it has as many digits as phone numbers have.
fn announced(i: &mut Inspection<'_>, row: Row<'_>) -> bool {
    let text = i.text;
    let Some(first) = row.group(0) else {
        return false;
    };
    if matches!(first.gap, Gap::Hyphen | Gap::Dot | Gap::Slash | Gap::Paren) {
        return false;
    }
    let Some((groups, total)) = take(row, (7, 13)) else {
        return false;
    };
    let Some((mut start, end)) = row.span(groups) else {
        return false;
    };
    let grouped = groups > 1;
    let lead = text[first.start];
    let plain = match total {
        7 => grouped && row.lengths(&[3, 4]),
        8 => grouped,
        9 => grouped || lead == b'0',
        10 => grouped || lead != b'1',
        _ => grouped || total == 11,
    };
    let ip_like =
        groups >= 4 && (1..groups).all(|n| row.group(n).is_some_and(|g| g.gap == Gap::Dot));
    if !plain || ip_like || is_date(row) || row.lengths(&[3, 2, 4]) {
        return false;
    }
    let open = start > 0 && text[start - 1] == b'(';
    if !open && !i.near(start, end, PHONE | CALL) {
        return false;
    }
    if open {
        start -= 1;
    }
    let extended = extension(text, end);
    let alone = bounds::left(text, start) == Join::Free
        && (extended > end || bounds::right(text, end) == Join::Free);
    if !alone {
        return false;
    }
    let nanp = total == 10 && !grouped && is_area(&text[start..start + 3]);
    let trunk = lead == b'0' && text.get(first.start + 1) != Some(&b'0');
    let bracketed = text[start] == b'(' && row.group(1).is_some_and(|g| g.gap == Gap::Paren);
    let words = if grouped || nanp || lead == b'0' {
        PHONE | CALL
    } else {
        PHONE
    };
    // "(0115) 496 0627" speaks for itself; two columns of digits do not, even near a keyword.
    let valid = (bracketed && trunk && total >= 8)
        || if lead == b'0' || groups > 2 || nanp {
            i.near(start, end, words)
        } else {
            i.announced(start, words)
        };
    valid && i.report(Id::Phone, start, extended, true)
}

/// Takes groups until their digits are as many as `digits` allows; how many groups and digits.
fn take(row: Row<'_>, (min, max): (usize, usize)) -> Option<(usize, usize)> {
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

/// `2015-10-18`, `18.10.2015`, `10/18/15`.
fn is_date(row: Row<'_>) -> bool {
    let Some(gap) = row.gap(3) else {
        return false;
    };
    matches!(gap, Gap::Hyphen | Gap::Slash | Gap::Dot)
        && (row.lengths(&[4, 2, 2]) || row.lengths(&[2, 2, 4]) || row.lengths(&[2, 2, 2]))
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
