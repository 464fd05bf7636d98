//! Phone numbers: E.164, the national plan of one country, and numbers that a keyword announces.

mod announced;
mod codes;
mod form;
mod international;
mod national;
mod plan;

use super::row::Row;
use super::Inspection;
use crate::catalog::Id;
use crate::name::is_named_phone;

pub(crate) use plan::Plan;
use plan::Style;

/// Longest text without letters that may be one or more phone numbers.
const LONGEST: usize = 64;

/// Whether the candidate at `at` needs a closer look: groups of digits do, digits in one only if they
/// may be the value of a name for phone numbers.
pub(super) fn plausible(text: &[u8], at: usize) -> bool {
    let digits = text[..at].iter().rev().take(8);
    let start = at - digits.take_while(|b| b.is_ascii_digit()).count();
    at - start < 6 || named_plausible(text, start, at + 1)
}

/// Whether the digits at `start..end` may be the value of a name for phone numbers, which may be that
/// of the field.
pub(super) fn named_plausible(text: &[u8], start: usize, end: usize) -> bool {
    announced::is_plain(&text[start..end]) && (is_bare(text) || is_named_phone(text, start))
}

/// Whether a text may be one or more phone numbers and nothing else.
fn is_bare(text: &[u8]) -> bool {
    text.len() <= LONGEST && !text.iter().any(u8::is_ascii_alphabetic)
}

/// Offers the row to every way of writing a phone number that it may be one of.
pub(super) fn find(i: &mut Inspection<'_>, row: &Row<'_>) {
    let Some(first) = row.group(0).filter(|_| i.wants(Id::Phone)) else {
        return;
    };
    let lead = i.text[first.start];
    let before = first.start.checked_sub(1).map_or(b' ', |n| i.text[n]);
    let national_too = !matches!(i.settings.phone.style, Style::Nanp | Style::None);
    let signed = matches!(before, b'+' | b'(');
    let _ = ((signed || lead == b'0') && international::find(i, row))
        || (first.len() > 6 && announced::find_named(i, row))
        || national::north_american(i, row)
        || ((first.len() < 3 || before == b'(')
            && row.group(1).is_some_and(|g| g.len() > 2)
            && national::clear(i, row))
        || (national_too && national::of_country(i, row))
        // "+0100 12345" is the offset of a zone.
        || (lead == b'0' && before != b'+' && national::trunk(i, row))
        || announced::find(i, row);
}
