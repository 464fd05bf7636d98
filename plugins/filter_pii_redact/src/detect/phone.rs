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
use crate::keywords::group::{CALL, PHONE};
use crate::keywords::Keywords;

pub(super) use announced::find_named;
use form::is_time;
pub(crate) use plan::Plan;
use plan::Style;

/// Whether a row of groups in raw msgpack needs a closer look: a keyword is near, or it begins with
/// a trunk prefix.
pub(super) fn plausible(keywords: &Keywords, chunk: &[u8], at: usize) -> bool {
    /// Furthest from where the gate sees a row to where the row starts.
    const FAR: usize = 14;
    let floor = at.saturating_sub(FAR);
    let row = chunk[floor..at].iter().rev();
    let start = at - row.take_while(|b| is_number(**b)).count();
    let trunk = (start..at).any(|n| {
        chunk[n] == b'0'
            && matches!(chunk[n + 1], b'1'..=b'9')
            && starts_number(chunk, n)
            && !is_time(chunk, n)
    });
    let international = chunk[start..at].starts_with(b"00") || chunk[..start].ends_with(b"+");
    trunk || international || keywords.any_near(chunk, at, PHONE | CALL)
}

/// Whether no digits are joined to those at `start` from in front.
fn starts_number(chunk: &[u8], start: usize) -> bool {
    let digit = |n: usize| start >= n && chunk[start - n].is_ascii_digit();
    !(digit(1) || digit(2) && chunk[start - 1] == b'-')
}

fn is_number(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b' ' | b'-' | b'(' | b')')
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
        || national::north_american(i, row)
        || (first.len() < 3
            && row.group(1).is_some_and(|g| g.len() > 2)
            && national::clear(i, row))
        || (national_too && national::of_country(i, row))
        || (lead == b'0' && national::trunk(i, row))
        || ((before == b'(' || i.may_be_near(first.start, PHONE | CALL))
            && announced::find(i, row));
}
