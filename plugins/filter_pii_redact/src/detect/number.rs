//! Numbers: takes a row of digit groups apart and offers each to the families.

use super::bounds::{self, Join};
use super::row::{is_separator, Digits, Group, Row, Splitter, MAX_DIGITS};
use super::{card, national, phone, ssn, Inspection};
use crate::scan::Gate;

/// Groups that are taken apart at a time, and how far a family looks ahead.
const SEGMENT: usize = 64;
const AHEAD: usize = 8;
/// What the look at a group counts for, and at one that alone can be something: most families look at that.
const GROUP: usize = 40;
const LONG_GROUP: usize = 165;
/// Digits without separators that can be something.
const LONG: usize = 9;

/// Verifies the row of groups around the candidate at `at`.
pub(super) fn find(
    i: &mut Inspection<'_>,
    gate: Gate,
    at: usize,
    groups: &mut Vec<Group>,
    done: &mut usize,
) {
    if at < *done {
        return;
    }
    let text = i.text;
    let mut start = at;
    while start > *done && (text[start - 1].is_ascii_digit() || is_separator(text[start - 1])) {
        start -= 1;
    }
    let mut splitter = Splitter::new(gate, text, start);
    groups.clear();
    let mut first = 0;
    loop {
        let mut ended = false;
        while groups.len() < SEGMENT && !ended {
            match splitter.next_group() {
                Some(group) => groups.push(group),
                None => ended = true,
            }
        }
        let ready = if ended { groups.len() } else { SEGMENT - AHEAD };
        let next = &groups[first.min(ready)..ready];
        let long = next.iter().filter(|group| group.len() >= LONG).count();
        let looks = GROUP * (next.len() - long) + LONG_GROUP * long;
        i.budget.look(looks);
        let mut row = Row::new(groups, first);
        for _ in first..ready {
            verify(i, &row);
            row.advance();
        }
        if ended {
            break;
        }
        // The one in front of the next stays, since it says how that is joined.
        groups.drain(..ready - 1);
        first = 1;
    }
    *done = splitter.position().max(at + 1);
}

/// Offers the row to the families, by the length of its first group.
fn verify(i: &mut Inspection<'_>, row: &Row<'_>) {
    match row.group(0).map_or(0, Group::len) {
        1 => {
            phone::find(i, row);
            national::find_nir(i, row);
        }
        2 => {
            national::find_two(i, row);
            phone::find(i, row);
        }
        3 => {
            ssn::find_grouped(i, row);
            national::find_three(i, row);
            phone::find(i, row);
        }
        4 => {
            card::find_grouped(i, row);
            national::find_four(i, row);
            phone::find(i, row);
        }
        5..=8 => phone::find(i, row),
        9.. => {
            if row.group(0).is_some_and(|group| group.len() > MAX_DIGITS) {
                return;
            }
            card::find_bare(i, row);
            ssn::find_bare(i, row);
            national::find_bare(i, row);
            phone::find(i, row);
        }
        0 => {}
    }
}

/// Whether the number at `at` needs a closer look.
pub(super) fn plausible(text: &[u8], at: usize) -> bool {
    let mut start = at;
    let floor = at.saturating_sub(MAX_DIGITS);
    while start > floor && text[start - 1].is_ascii_digit() {
        start -= 1;
    }
    let before = start.checked_sub(1).map(|n| text[n]);
    if before == Some(b'+') {
        // A zone offset is no phone number, nor are a few digits.
        return text[start] != b'0' && are_many(text, start);
    }
    if at + 1 - start < LONG {
        return grouped_plausible(text, start, at);
    }
    let mut end = at + 1;
    while end < text.len() && end - start <= MAX_DIGITS && text[end].is_ascii_digit() {
        end += 1;
    }
    // Times and identifiers begin as no number does that counts without a keyword.
    let len = end - start;
    if len > 15 && text[start] != b'0' && !card::is_issued(text, start, len) {
        return false;
    }
    let left = bounds::left(text, start);
    if left == Join::Tight {
        return false;
    }
    let Some(digits) = Digits::of_run(&text[start..end]) else {
        return false;
    };
    match left {
        // Joined by an underscore or a hyphen, a keyword in the name can still make it count.
        Join::Loose if digits.get().len() > 11 => card::is_plausible(digits.get()),
        _ => {
            let nir = digits.get().len() == 13
                && text.get(end) == Some(&b' ')
                && text.get(end + 1).is_some_and(u8::is_ascii_digit);
            nir || bare_plausible(digits.get()) || phone::named_plausible(text, start, end)
        }
    }
}

/// Whether the digits and what may stand between them from `start` on are as many as a phone number has.
fn are_many(text: &[u8], start: usize) -> bool {
    const FEWEST: usize = 7;
    let row = text[start..].iter().take(3 * FEWEST);
    let row = row.take_while(|b| b.is_ascii_digit() || is_separator(**b));
    row.filter(|b| b.is_ascii_digit()).nth(FEWEST - 1).is_some()
}

/// Whether a group of digits at `start..=at`, in a row of groups, needs a closer look. The shapes
/// of the gate are also those of addresses, dates and parts of identifiers.
fn grouped_plausible(text: &[u8], start: usize, at: usize) -> bool {
    let digit = |n: usize| text.get(n).is_some_and(u8::is_ascii_digit);
    let Some(gap) = start.checked_sub(1) else {
        return true;
    };
    let group = |end: usize| {
        let floor = end.saturating_sub(MAX_DIGITS);
        (floor..end)
            .rev()
            .take_while(|n| text[*n].is_ascii_digit())
            .last()
            .unwrap_or(end)
    };
    match text[gap] {
        b'.' => {
            let mut end = at + 1;
            while end < start + 4 && digit(end) {
                end += 1;
            }
            // The last part of "10.120.166.14", unless it goes on as in "123.456.789-09"; phone
            // numbers in pairs and threes begin with a 0.
            let pairs = at >= 10 && text[at - 10] == b'0' && text[at - 2] == b'.'
                || at >= 11
                    && text[at - 11] == b'0'
                    && text[at - 3] == b'.'
                    && text[at - 7] == b'.';
            let on = text.get(end).is_some_and(|b| matches!(b, b'-' | b'/')) && digit(end + 1);
            end - start >= 4 || pairs || on || !is_fourth(text, start, end)
        }
        b'-' => {
            // A part of "78dc1847-8848-49cc", or of a name such as "ip-10-105-160-95".
            let first = group(gap);
            let word = |n: usize| text[n].is_ascii_alphanumeric() || matches!(text[n], b'-' | b'_');
            let hex = first >= 2 && text[first - 1].is_ascii_alphabetic() && word(first - 2);
            let chain = first >= 2 && text[first - 1] == b'-' && digit(first - 2);
            let long = chain && {
                let second = group(first - 1);
                second >= 2 && text[second - 1] == b'-' && word(second - 2)
            };
            let short = at + 1 - start == 3 && !digit(at + 1);
            !(hex || (long && short))
        }
        _ => true,
    }
}

/// Whether the digits at `start..end` are in a row of four and more groups with dots between that does
/// not begin with a zero.
fn is_fourth(text: &[u8], start: usize, end: usize) -> bool {
    let dotted = |b: &&u8| b.is_ascii_digit() || **b == b'.';
    let before = text[..start]
        .iter()
        .rev()
        .take(MAX_DIGITS)
        .take_while(dotted);
    let behind = text[end..].iter().take(MAX_DIGITS).take_while(dotted);
    let first = start - before.clone().count();
    let dots = before.chain(behind).filter(|b| **b == b'.').count();
    dots >= 3 && text[first] != b'0'
}

/// Whether digits without separators could be anything.
fn bare_plausible(digits: &[u8]) -> bool {
    match digits.len() {
        9 | 11 => true,
        10 => digits[0] != 1 || national::is_plausible(digits),
        // "0044…"
        12..=17 if digits[..2] == [0, 0] && digits[2] != 0 => true,
        12.. => card::is_plausible(digits) || national::is_plausible(digits),
        _ => false,
    }
}
