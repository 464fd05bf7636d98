//! National numbers by how they are written: the plan of one country, and layouts that only phone
//! numbers have.

use super::form::{extension, has_trunk_prefix, is_alone, is_date, is_free_behind, is_time, take};
use super::plan::Style;
use crate::catalog::Id;
use crate::detect::bounds::{self, Join};
use crate::detect::row::{gaps, lengths, Gap, Pattern, Row};
use crate::detect::Inspection;
use crate::keywords::group::{CALL, PHONE};

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

pub(super) fn is_area(digits: &[u8]) -> bool {
    digits[0] >= b'2' && &digits[1..] != b"11"
}

/// Numbers in one of the layouts of [`CLEAR`].
pub(super) fn clear(i: &mut Inspection<'_>, row: &Row<'_>) -> bool {
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
        && ((laid_out && isolated) || i.near(start, end, PHONE | CALL));
    i.report(Id::Phone, start, end, valid)
}

/// Numbers of any country with a trunk prefix, in groups that nothing else is written in.
pub(super) fn trunk(i: &mut Inspection<'_>, row: &Row<'_>) -> bool {
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
