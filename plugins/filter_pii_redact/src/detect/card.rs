//! Payment cards: issuer prefix, length, grouping, boundary and the Luhn digit (ISO/IEC 7812-1).

use super::bounds::{self, Join};
use super::number::{Digits, Gap, Row};
use super::Inspection;
use crate::catalog::Id;
use crate::checksum::luhn;
use crate::keywords::group;

const MIN_DIGITS: usize = 12;
const MAX_DIGITS: usize = 19;

/// Numbers that networks and payment providers publish for tests.
pub(crate) const TEST_CARDS: &[&str] = &[
    "4111111111111111",
    "4012888888881881",
    "4222222222222",
    "4242424242424242",
    "4000056655665556",
    "4000002500003155",
    "4000000000000002",
    "5555555555554444",
    "5105105105105100",
    "5200828282828210",
    "2223003122003222",
    "2223000048400011",
    "378282246310005",
    "371449635398431",
    "378734493671000",
    "6011111111111117",
    "6011000990139424",
    "6011000400000000",
    "3056930009020004",
    "30569309025904",
    "38520000023237",
    "36227206271667",
    "3530111333300000",
    "3566002020360505",
    "6200000000000005",
    "6304000000000000",
    "5019717010103742",
    "6331101999990016",
];

/// How numbers are grouped. A longer grouping stands in front of those that begin it. The flag:
/// printed on cards so; the others are by four whatever the length, and count only without further
/// groups beside them.
const GROUPINGS: &[(&[usize], bool)] = &[
    (&[4, 4, 4, 4, 3], true),
    (&[4, 4, 4, 4, 2], false),
    (&[4, 4, 4, 4, 1], false),
    (&[4, 4, 4, 4], true),
    (&[4, 4, 4, 3], false),
    (&[4, 4, 4, 2], false),
    (&[4, 4, 4, 1], false),
    (&[4, 4, 4], false),
    (&[4, 6, 5], true),
    (&[4, 6, 4], true),
    (&[4, 3, 3, 3], false),
];

/// A number written without separators.
pub(super) fn find_bare(i: &mut Inspection<'_>, row: Row<'_>) {
    let Some((start, end)) = row.span(1) else {
        return;
    };
    if !i.wants(Id::Card) || !(MIN_DIGITS..=MAX_DIGITS).contains(&(end - start)) {
        return;
    }
    let Some(digits) = Digits::of(&i.text[start..end]) else {
        return;
    };
    if !is_issued(digits.get()) {
        return;
    }
    let join = bounds::both(i.text, start, end);
    let valid = join != Join::Tight
        && luhn(digits.get())
        && !is_monotonous(digits.get())
        && (join == Join::Free || i.near(start, end, group::CARD));
    i.report(Id::Card, start, end, valid);
}

/// A number in groups.
pub(super) fn find_grouped(i: &mut Inspection<'_>, row: Row<'_>) {
    if !i.wants(Id::Card) {
        return;
    }
    for (lengths, printed) in GROUPINGS {
        if !row.lengths(lengths) {
            continue;
        }
        let gap = row.gap(lengths.len());
        let (Some(gap @ (Gap::Blank | Gap::Hyphen | Gap::Dot)), Some((start, end))) =
            (gap, row.span(lengths.len()))
        else {
            continue;
        };
        let Some(digits) = Digits::of(&i.text[start..end]) else {
            continue;
        };
        if !is_issued(digits.get()) {
            continue;
        }
        let mut join = bounds::both(i.text, start, end);
        if (gap != Gap::Blank || !printed) && row.is_part_of_more(lengths.len(), gap) {
            join = Join::Tight;
        }
        let valid = join != Join::Tight
            && luhn(digits.get())
            && !is_monotonous(digits.get())
            && (join == Join::Free || i.near(start, end, group::CARD));
        if i.report(Id::Card, start, end, valid) {
            return;
        }
    }
}

/// Whether these digits are a card number.
pub(super) fn is_plausible(digits: &[u8]) -> bool {
    is_issued(digits) && luhn(digits)
}

/// Whether all digits are the same, as in a ruler or a placeholder.
fn is_monotonous(digits: &[u8]) -> bool {
    digits.iter().all(|d| *d == digits[0])
}

/// Whether a card with this prefix and length can exist.
///
/// Issuer identification numbers and lengths as the networks publish them; an overview is
/// <https://en.wikipedia.org/wiki/Payment_card_number>.
fn is_issued(digits: &[u8]) -> bool {
    if !(MIN_DIGITS..=MAX_DIGITS).contains(&digits.len()) {
        return false;
    }
    let prefix = |n: usize| digits[..n].iter().fold(0u32, |p, d| p * 10 + u32::from(*d));
    let (two, three, four) = (prefix(2), prefix(3), prefix(4));
    match digits.len() {
        13 => digits[0] == 4 || is_maestro(four),
        14 => matches!(two, 36 | 38 | 39) || matches!(three, 300..=305 | 309) || is_maestro(four),
        15 => matches!(two, 34 | 37) || matches!(four, 1800 | 2131) || is_maestro(four),
        16 => {
            digits[0] == 4
                || matches!(two, 30 | 35 | 36 | 38 | 50..=58 | 60 | 62..=69 | 81)
                || matches!(four, 2014 | 2149 | 2200..=2204 | 2221..=2720 | 9792)
                || is_maestro(four)
        }
        19 => {
            digits[0] == 4 || matches!(two, 60 | 62 | 64 | 65) || three == 352 || is_maestro(four)
        }
        17 | 18 => two == 62 || is_maestro(four),
        _ => is_maestro(four),
    }
}

/// Prefixes of Maestro cards of 12 to 19 digits, the national ones included.
fn is_maestro(four: u32) -> bool {
    matches!(
        four,
        604 | 5018 | 5020 | 5038 | 5600..=5899 | 6304 | 6390 | 6759 | 6761..=6763
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issued(text: &str) -> bool {
        let digits = Digits::of(text.as_bytes()).unwrap();
        is_issued(digits.get()) && luhn(digits.get())
    }

    #[test]
    fn test_cards_are_valid_and_neighbours_are_not() {
        for card in TEST_CARDS {
            assert!(issued(card), "{card}");
            let last = card.as_bytes()[card.len() - 1] - b'0';
            let wrong = format!("{}{}", &card[..card.len() - 1], (last + 1) % 10);
            assert!(!issued(&wrong), "{wrong}");
        }
    }

    #[test]
    fn times_in_milliseconds_to_nanoseconds_are_no_cards() {
        for text in ["1445062781478", "1445062781478000", "1445062781478000000"] {
            assert!(
                !is_issued(Digits::of(text.as_bytes()).unwrap().get()),
                "{text}"
            );
        }
    }
}
