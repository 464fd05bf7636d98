//! National numbers by how they are written: the plan of one country, and layouts that only phone
//! numbers have.

use super::form::{extension, has_trunk_prefix, is_alone, is_date, is_free_behind, is_time, take};
use super::plan::Style;
use crate::catalog::Id;
use crate::detect::bounds::{self, Join};
use crate::detect::label::{is_identifier, is_range};
use crate::detect::row::{gaps, lengths, Gap, Pattern, Row};
use crate::detect::Inspection;
use crate::keywords::group::{
    AADHAAR, ABA, BANK, CALL, CNPJ, CPF, DE_TAX_ID, ITIN, NHS, NIR, NPI, PHONE, SIN, SSN,
};

/// Words for numbers that are not those of phones.
const OTHER: u32 =
    SSN | ITIN | ABA | NPI | NHS | SIN | AADHAAR | CPF | CNPJ | DE_TAX_ID | NIR | BANK;

/// A layout that says enough in every country.
struct Clear {
    lengths: Pattern,
    gaps: Pattern,
    /// What the first digit is one of.
    first: &'static [u8],
    /// The first group stands in brackets.
    bracketed: bool,
}

const CLEAR: &[Clear] = &[
    // "(11) 96123-9411", "11 96123-9411"
    Clear {
        lengths: lengths(&[2, 5, 4]),
        gaps: gaps(&[Gap::Paren, Gap::Hyphen]),
        first: b"123456789",
        bracketed: true,
    },
    Clear {
        lengths: lengths(&[2, 4, 4]),
        gaps: gaps(&[Gap::Paren, Gap::Hyphen]),
        first: b"123456789",
        bracketed: true,
    },
    Clear {
        lengths: lengths(&[2, 5, 4]),
        gaps: gaps(&[Gap::Blank, Gap::Hyphen]),
        first: b"123456789",
        bracketed: false,
    },
    Clear {
        lengths: lengths(&[2, 4, 4]),
        gaps: gaps(&[Gap::Blank, Gap::Hyphen]),
        first: b"123456789",
        bracketed: false,
    },
    // "8 (301) 127-17-70", "8 (301) 127-1770"
    Clear {
        lengths: lengths(&[1, 3, 3, 2, 2]),
        gaps: gaps(&[Gap::Paren, Gap::Paren, Gap::Hyphen, Gap::Hyphen]),
        first: b"078",
        bracketed: false,
    },
    Clear {
        lengths: lengths(&[1, 3, 3, 4]),
        gaps: gaps(&[Gap::Paren, Gap::Paren, Gap::Hyphen]),
        first: b"078",
        bracketed: false,
    },
    // "8-800-555-3535", "0-5917-1218"
    Clear {
        lengths: lengths(&[1, 3, 3, 4]),
        gaps: gaps(&[Gap::Hyphen; 3]),
        first: b"078",
        bracketed: false,
    },
    Clear {
        lengths: lengths(&[1, 4, 4]),
        gaps: gaps(&[Gap::Hyphen; 2]),
        first: b"0",
        bracketed: false,
    },
    // "(415)5550132"
    Clear {
        lengths: lengths(&[3, 7]),
        gaps: gaps(&[Gap::Paren]),
        first: b"23456789",
        bracketed: true,
    },
    // "(14)/506-1231", "89/171-2187"
    Clear {
        lengths: lengths(&[2, 3, 4]),
        gaps: gaps(&[Gap::Paren, Gap::Hyphen]),
        first: b"123456789",
        bracketed: true,
    },
    Clear {
        lengths: lengths(&[2, 3, 4]),
        gaps: gaps(&[Gap::Slash, Gap::Hyphen]),
        first: b"123456789",
        bracketed: false,
    },
];

/// `(555) 123-4567`, `555-123-4567`, `1.555.123.4567`, with an extension.
pub(super) fn north_american(i: &mut Inspection<'_>, row: &Row<'_>) -> bool {
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
    let digits = &text[area.start..area.end];
    let strict = is_nanp(digits, &text[exchange.start..exchange.end]);
    let same = exchange.gap == line.gap;
    let shaped = match (exchange.gap, line.gap) {
        (Gap::Paren, Gap::Hyphen | Gap::Dot | Gap::Blank) => true,
        (Gap::Slash, Gap::Hyphen) | (Gap::Hyphen, Gap::Dot) => strict,
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
    let extended = extension(text, end);
    let alone =
        bounds::left(text, start) == Join::Free && (extended > end || is_free_behind(i, end));
    let chained = row
        .group(first + 3)
        .is_some_and(|g| g.gap == line.gap && line.gap != Gap::Blank)
        || row.previous().is_some_and(|_| {
            row.group(0)
                .is_some_and(|g| matches!(g.gap, Gap::Hyphen | Gap::Dot | Gap::Slash))
        });
    let blanks = exchange.gap == Gap::Blank && line.gap == Gap::Blank;
    let isolated = !row.is_part_of_more(first + 3, Gap::Blank);
    let zeros = text[area.start..end]
        .iter()
        .all(|b| !b.is_ascii_digit() || *b == b'0');
    // What no network has given out may be anything's that has a name.
    let other = !strict && exchange.gap != Gap::Paren && is_range_or_id(i, start);
    let valid = alone
        && !chained
        && !zeros
        && !other
        && (!blanks
            || (strict
                && isolated
                && !is_column(text, start, end)
                && !is_something_else(i, start))
            || i.near(start, end, PHONE | CALL));
    i.report(Id::Phone, start, extended, valid)
}

/// Whether numbers that stand between blanks are columns of an access log: a status, sizes, a dash.
fn is_column(text: &[u8], start: usize, end: usize) -> bool {
    text[..start].ends_with(b"\" ")
        || text[end..].starts_with(b" - ")
        || text[end..].starts_with(b" \"")
}

fn is_range_or_id(i: &Inspection<'_>, start: usize) -> bool {
    is_range(i.text, i.key, start) || is_identifier(i.text, i.key, start)
}

/// Whether a word in front says that a number is another one than that of a phone.
fn is_something_else(i: &mut Inspection<'_>, start: usize) -> bool {
    is_range_or_id(i, start) || i.introduced(start, OTHER, usize::MAX)
}

/// Area codes and exchanges start with 2 to 9; `N11` are service codes (NANPA).
fn is_nanp(area: &[u8], exchange: &[u8]) -> bool {
    is_area(area) && is_area(exchange)
}

pub(super) fn is_area(digits: &[u8]) -> bool {
    digits[0] >= b'2' && &digits[1..] != b"11"
}

/// Numbers in one of the layouts of [`CLEAR`].
pub(super) fn clear(i: &mut Inspection<'_>, row: &Row<'_>) -> bool {
    let text = i.text;
    let found = CLEAR.iter().find(|clear| {
        row.has(clear.lengths)
            && row.has_gaps(clear.gaps)
            && row
                .group(0)
                .is_some_and(|g| clear.first.contains(&text[g.start]))
    });
    let Some((clear, (mut start, end))) =
        found.and_then(|clear| Some((clear, row.span(clear.lengths.groups)?)))
    else {
        return false;
    };
    if clear.bracketed {
        if start == 0 || text[start - 1] != b'(' {
            return false;
        }
        start -= 1;
    }
    // "13 2019-2020"
    let years = !clear.bracketed
        && row
            .group(1)
            .is_some_and(|g| g.len() == 4 && matches!(&text[g.start..g.start + 2], b"19" | b"20"));
    let valid = !years && is_alone(i, start, end);
    i.report(Id::Phone, start, end, valid)
}

/// Numbers of the configured country, written with separators.
pub(super) fn of_country(i: &mut Inspection<'_>, row: &Row<'_>) -> bool {
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

/// Numbers of any country with a trunk prefix, in one or in groups that nothing else is written in.
pub(super) fn trunk(i: &mut Inspection<'_>, row: &Row<'_>) -> bool {
    let text = i.text;
    let Some(first) = row.group(0) else {
        return false;
    };
    if !has_trunk_prefix(text, first) || first.gap != Gap::None {
        return false;
    }
    if matches!(first.len(), 10 | 11) {
        return trunk_in_one(i, row);
    }
    let most = match row.group(1).map(|g| g.gap) {
        Some(Gap::Slash) => 13,
        // German mobile numbers
        Some(Gap::Hyphen) if text[first.start + 1] == b'1' => 12,
        _ => 11,
    };
    let Some((groups, _)) = take(row, (9, most)).filter(|_| (2..=6).contains(&first.len())) else {
        return false;
    };
    let Some((start, end)) = row.span(groups) else {
        return false;
    };
    let rest = || (1..groups).filter_map(|n| row.group(n));
    let shaped = match groups {
        0 | 1 => false,
        2 => {
            let joined = match row.gap(2) {
                Some(Gap::Slash) => !is_moment(&text[start..end]),
                gap => matches!(gap, Some(Gap::Blank | Gap::Hyphen)),
            };
            let fewest = if first.len() == 2 { 7 } else { 5 };
            joined && rest().all(|g| g.len() >= fewest)
        }
        _ => {
            // "01.23.45.67.89"
            let pairs = groups == 5
                && row.has(const { lengths(&[2; 5]) })
                && matches!(row.gap(5), Some(Gap::Blank | Gap::Dot))
                && !bounds::is_among_pairs(text, start, end);
            // "0440.326.991"
            let dots = row.has(const { lengths(&[4, 3, 3]) }) && row.gap(3) == Some(Gap::Dot);
            // "06-30/139 7061", "06-1/139 7061"
            let slashed = (row.has(const { lengths(&[2, 2, 3, 4]) })
                || row.has(const { lengths(&[2, 1, 3, 4]) }))
                && (row.has_gaps(const { gaps(&[Gap::Hyphen, Gap::Slash, Gap::Blank]) })
                    || row.has_gaps(const { gaps(&[Gap::Hyphen, Gap::Slash, Gap::Hyphen]) }));
            pairs
                || dots
                || slashed
                || (groups < 5
                    && first.len() < 6
                    && !row.has(const { lengths(&[3, 2, 4]) })
                    && rest().all(|g| matches!(g.gap, Gap::Blank | Gap::Hyphen))
                    && rest().all(|g| (2..=5).contains(&g.len())))
        }
    };
    let more = row.group(groups).is_some_and(|g| g.gap != Gap::None);
    let alone = is_alone(i, start, end);
    // "01 00000000": of a table of numbers.
    let zeros = rest().all(|g| text[g.start..g.end].iter().all(|b| *b == b'0'));
    shaped
        && !zeros
        && alone
        && !more
        && !is_date(row)
        && !is_time(text, start)
        && !is_something_else(i, start)
        && i.report(Id::Phone, start, end, true)
}

/// `0701/114930`: month and day, hour, minute and second.
fn is_moment(text: &[u8]) -> bool {
    let part = |at: usize| (text[at] - b'0') * 10 + text[at + 1] - b'0';
    text.len() == 11
        && text[4] == b'/'
        && (1..=12).contains(&part(0))
        && (1..=31).contains(&part(2))
        && (part(5) < 24 && part(7) < 60 && part(9) <= 60)
}

/// `07911123456`: ten or eleven digits with a trunk prefix.
fn trunk_in_one(i: &mut Inspection<'_>, row: &Row<'_>) -> bool {
    let Some((start, end)) = row.span(1) else {
        return false;
    };
    let digits = &i.text[start..end];
    let counted = digits
        .windows(2)
        .all(|pair| pair[1] == pair[0] + 1 || pair == b"90")
        || digits == b"0987654321";
    let more = row.group(1).is_some_and(|g| g.gap != Gap::None);
    // A part of a path, or what is quoted as code: "[`0841496992`](https://…/commit/0841496992)".
    let code = matches!(start.checked_sub(1).map(|n| i.text[n]), Some(b'/' | b'`'));
    // "postfix/qmgr[812]: 0841496992: removed": what waits in a queue.
    let queued = i.text[..start].ends_with(b"]: ") && i.text[end..].starts_with(b": ");
    !counted
        && !more
        && !code
        && !queued
        && is_alone(i, start, end)
        && !is_time(i.text, start)
        && !is_something_else(i, start)
        && i.report(Id::Phone, start, end, true)
}
