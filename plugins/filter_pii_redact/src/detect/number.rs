//! Numbers: takes a row of digit groups apart and offers each to the families.

use flb_sidecar_sdk::msgpack::{self, Value};

use super::row::{is_separator, Digits, Group, Row, Splitter, MAX_DIGITS};
use super::{card, iban, national, phone, ssn, Inspection};
use crate::catalog::Id;
use crate::scan::{REACH, WINDOW};

/// Groups that are taken apart at a time, and how far a family looks ahead.
const SEGMENT: usize = 64;
const AHEAD: usize = 8;

/// Verifies the row of groups around the candidate at `at`.
pub(super) fn find(i: &mut Inspection<'_>, at: usize, groups: &mut Vec<Group>, done: &mut usize) {
    if at < *done {
        return;
    }
    let text = i.text;
    let mut start = at;
    while start > *done && (text[start - 1].is_ascii_digit() || is_separator(text[start - 1])) {
        start -= 1;
    }
    let mut splitter = Splitter::new(i.gate, text, start);
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
            let start = row.group(0).map_or(0, |group| group.start);
            let joined = start > 0 && i.text[start - 1].is_ascii_lowercase();
            if joined && i.wants(Id::Iban) && iban::find_small(i, start) {
                return;
            }
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

/// Whether the gate sees a number in `start..end` by itself. One that it does not see is found or not
/// by what else stands in its string.
pub(super) fn is_seen(i: &Inspection<'_>, start: usize, end: usize) -> bool {
    let from = start.saturating_sub(REACH);
    let (numbers, phones) = i.gate.numbers(i.text, from);
    let within = |map: u64| map >> (start - from) << (start - from);
    let seen = |map: u64| {
        let bits = (0..WINDOW).filter(move |n| map >> n & 1 != 0);
        bits.map(move |n| from + n).take_while(move |at| *at < end)
    };
    seen(within(phones)).next().is_some() || seen(within(numbers)).any(|at| plausible(i.text, at))
}

/// Whether the candidate in raw msgpack needs a closer look.
///
/// Bytes around the digits may be text or the header of a string, so only what holds either way
/// rules a candidate out: a name in front (`blk_123`), a fraction, or digits that no validator for
/// numbers without separators would take.
pub(super) fn plausible(chunk: &[u8], at: usize) -> bool {
    if chunk[at] == b'+' {
        return chunk
            .get(at + 1)
            .is_some_and(|b| matches!(b, b'1'..=b'9' | b'('));
    }
    let mut start = at;
    let floor = at.saturating_sub(MAX_DIGITS);
    while start > floor && chunk[start - 1].is_ascii_digit() {
        start -= 1;
    }
    if at + 1 - start < 9 {
        return grouped_plausible(chunk, start, at);
    }
    let mut end = at + 1;
    while end < chunk.len() && end - start <= MAX_DIGITS && chunk[end].is_ascii_digit() {
        end += 1;
    }
    let before = |n: usize| start.checked_sub(n).map_or(0, |at| chunk[at]);
    // The header of a string: d9 and a byte of length, da and two, db and four, or one byte; c4, c5 and
    // c6 in front of binary data.
    let (length, header) = match (before(1), before(2), before(3)) {
        (0xd9 | 0xc4, ..) => (1, true),
        (0xda | 0xc5, ..) => (2, true),
        (_, 0xda | 0xc5, _) => (1, true),
        (first, second, third) => {
            let header = matches!(second, 0xd9 | 0xc4) || matches!(third, 0xda | 0xc5);
            (0, first >= 0x80 || header)
        }
    };
    if (1..=5).any(|n| matches!(before(n), 0xdb | 0xc6)) {
        return true;
    }
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let fraction = before(1) == b'.' && before(2).is_ascii_digit();
    let name = (before(1).is_ascii_alphabetic() || matches!(before(1), b'_' | b'-'))
        && word(before(2))
        && before(2) != b'\\';
    if before(1).is_ascii_lowercase() && iban::small_start(chunk, start).is_some() {
        return true;
    }
    if !header && (fraction || name) {
        // Joined by an underscore or a hyphen, a keyword in the name can still make it count.
        let loose = name && matches!(before(1), b'_' | b'-');
        let digits = Digits::of(&chunk[start..end]);
        return loose
            && digits.is_some_and(|digits| match digits.get().len() {
                12.. => card::is_plausible(digits.get()),
                _ => bare_plausible(digits.get()),
            });
    }
    let start = start + length;
    if end < start + 9 {
        return false;
    }
    let Some(digits) = Digits::of(&chunk[start..end]) else {
        return false;
    };
    let nir = end - start == 13
        && chunk.get(end) == Some(&b' ')
        && chunk.get(end + 1).is_some_and(u8::is_ascii_digit);
    nir || bare_plausible(digits.get())
}

/// Whether a group of digits at `start..=at`, in a row of groups, needs a closer look. The shapes
/// of the gate are also those of addresses, dates and parts of identifiers.
fn grouped_plausible(chunk: &[u8], start: usize, at: usize) -> bool {
    let digit = |n: usize| chunk.get(n).is_some_and(u8::is_ascii_digit);
    let Some(gap) = start.checked_sub(1) else {
        return true;
    };
    let group = |end: usize| {
        let floor = end.saturating_sub(MAX_DIGITS);
        (floor..end)
            .rev()
            .take_while(|n| chunk[*n].is_ascii_digit())
            .last()
            .unwrap_or(end)
    };
    match chunk[gap] {
        // A zone offset is no phone number.
        b'+' => chunk[start] != b'0',
        b'.' => {
            let mut end = at + 1;
            while end < start + 4 && digit(end) {
                end += 1;
            }
            // The last part of "10.120.166.14", unless it goes on as in "123.456.789-09"; phone
            // numbers in pairs and threes begin with a 0.
            let pairs = at >= 10 && chunk[at - 10] == b'0' && chunk[at - 2] == b'.'
                || at >= 11
                    && chunk[at - 11] == b'0'
                    && chunk[at - 3] == b'.'
                    && chunk[at - 7] == b'.';
            let on = chunk.get(end).is_some_and(|b| matches!(b, b'-' | b'/')) && digit(end + 1);
            end - start >= 4 || pairs || on
        }
        b'-' => {
            // A part of "78dc1847-8848-49cc", or of a name such as "ip-10-105-160-95".
            let first = group(gap);
            let word =
                |n: usize| chunk[n].is_ascii_alphanumeric() || matches!(chunk[n], b'-' | b'_');
            let hex = first >= 2 && chunk[first - 1].is_ascii_alphabetic() && word(first - 2);
            let chain = first >= 2 && chunk[first - 1] == b'-' && digit(first - 2);
            let long = chain && {
                let second = group(first - 1);
                second >= 2 && chunk[second - 1] == b'-' && word(second - 2)
            };
            let short = at + 1 - start == 3 && !digit(at + 1);
            !(hex || (long && short))
        }
        _ => true,
    }
}

/// Whether digits without separators could be anything. A number in an array may be followed by
/// the bytes of small integers, which look like digits: the card may be shorter than the run.
fn bare_plausible(digits: &[u8]) -> bool {
    let shortest = digits.len().saturating_sub(2).max(12);
    (shortest..=digits.len().min(19)).any(|len| card::is_plausible(&digits[..len]))
        || match digits.len() {
            9 | 11 => true,
            10 => digits[0] != 1 || national::is_plausible(digits),
            // "0044..."
            12..=17 if digits[..2] == [0, 0] && digits[2] != 0 => true,
            // "07911123456", and whatever small integers behind it
            12.. if digits[0] == 0 && digits[1] != 0 => true,
            _ => national::is_plausible(digits),
        }
}

/// Whether the msgpack integer at `at` has at least eight digits.
pub(super) fn integer_plausible(chunk: &[u8], at: usize) -> bool {
    match msgpack::read(chunk, at) {
        Some((Value::Unsigned(n), _)) => (10_000_000..10_000_000_000_000_000_000).contains(&n),
        _ => false,
    }
}
