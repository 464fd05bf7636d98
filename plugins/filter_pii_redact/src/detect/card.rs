//! Payment cards: issuer prefix, length, grouping, boundary and the Luhn digit (ISO/IEC 7812-1).

use super::bounds::{self, Join};
use super::label::{is_counter, is_identifier};
use super::row::{lengths, Digits, Gap, Pattern, Row};
use super::Inspection;
use crate::catalog::Id;
use crate::checksum::luhn;
use crate::keywords::group;

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
const GROUPINGS: &[(Pattern, usize, bool)] = &[
    grouping(&[4, 4, 4, 4, 3], true),
    grouping(&[4, 4, 4, 4, 2], false),
    grouping(&[4, 4, 4, 4, 1], false),
    grouping(&[4, 4, 4, 4], true),
    grouping(&[4, 4, 4, 3], false),
    grouping(&[4, 4, 4, 2], false),
    grouping(&[4, 4, 4, 1], false),
    grouping(&[4, 4, 4], false),
    grouping(&[4, 6, 5], true),
    grouping(&[4, 6, 4], true),
    grouping(&[4, 3, 3, 3], false),
];

/// The grouping, how many digits it has, and whether cards are printed so.
const fn grouping(of: &[usize], printed: bool) -> (Pattern, usize, bool) {
    let mut digits = 0;
    let mut n = 0;
    while n < of.len() {
        digits += of[n];
        n += 1;
    }
    (lengths(of), digits, printed)
}

/// A number written without separators.
pub(super) fn find_bare(i: &mut Inspection<'_>, row: &Row<'_>) {
    let Some((start, end)) = row.span(1) else {
        return;
    };
    let issuer = issuer(first_four(i.text, start), end - start);
    if issuer == Issuer::None || !i.wants(Id::Card) {
        return;
    }
    let Some(digits) = Digits::of(&i.text[start..end]) else {
        return;
    };
    let mut join = bounds::both(i.text, start, end);
    // "card4111111111111111end", and the second track: a `D` and when the card expires.
    let glued = bounds::is_glued(i.text, start);
    let track = i.text[end..].starts_with(b"D")
        && i.text[end + 1..]
            .iter()
            .take(7)
            .filter(|b| b.is_ascii_digit())
            .count()
            == 7;
    // What a number of a program becomes that has no integers.
    let fraction = i.text[end..].strip_prefix(b".").is_some_and(|rest| {
        let zeros = rest.iter().take_while(|b| **b == b'0').count();
        zeros > 0 && !rest.get(zeros).is_some_and(u8::is_ascii_alphanumeric)
    });
    if fraction {
        join = bounds::left(i.text, start).max(Join::Loose);
    } else if glued || track {
        join = if glued {
            Join::Loose
        } else {
            bounds::left(i.text, start)
        };
    }
    let speaks = match issuer {
        // Identifiers are as long.
        _ if end - start > 16 => false,
        // Identifiers of Google's stores are as long: "/testcase-detail/5662839834476544".
        Issuer::Known => !is_counter(i.text, i.key, start) && !i.text[..start].ends_with(b"/"),
        Issuer::Wide => {
            !is_identifier(i.text, i.key, start)
                && !is_counter(i.text, i.key, start)
                && !i.text[..start].ends_with(b"/")
                && !is_field(i.text, start, end)
                && !is_host_label(i.text, end)
        }
        Issuer::Rare | Issuer::None => false,
    };
    let valid = join != Join::Tight
        && luhn(digits.get())
        && !is_monotonous(digits.get())
        && ((join == Join::Free && speaks) || i.near(start, end, group::CARD));
    i.report(Id::Card, start, end, valid);
}

/// A number in groups, the first of which has four digits.
pub(super) fn find_grouped(i: &mut Inspection<'_>, row: &Row<'_>) {
    let Some(first) = row.group(0) else {
        return;
    };
    let four = first_four(i.text, first.start);
    let mut digits = None;
    for (lengths, len, printed) in GROUPINGS {
        if !row.has(*lengths) {
            continue;
        }
        let issuer = issuer(four, *len);
        if issuer == Issuer::None || !i.wants(Id::Card) {
            continue;
        }
        let gap = row.gap(lengths.groups);
        let (Some(gap @ (Gap::Blank | Gap::Hyphen | Gap::Dot)), Some((start, end))) =
            (gap, row.span(lengths.groups))
        else {
            continue;
        };
        // Those that follow begin this one.
        let taken = match &digits {
            Some(digits) => digits,
            None => match Digits::of(&i.text[start..end]) {
                Some(all) => &*digits.insert(all),
                None => continue,
            },
        };
        let Some(digits) = taken.get().get(..*len) else {
            continue;
        };
        let mut join = bounds::both(i.text, start, end);
        let usual = issuer == Issuer::Known || (issuer == Issuer::Wide && *len != 16);
        let printed = *printed && gap == Gap::Blank && usual;
        if !printed && row.is_part_of_more(lengths.groups, gap) {
            join = Join::Tight;
        }
        if bounds::is_in_dump(i.text, start, end) {
            join = join.max(Join::Loose);
        }
        let valid = join != Join::Tight
            && luhn(digits)
            && !is_monotonous(digits)
            && !is_table(digits)
            && (join == Join::Free || i.near(start, end, group::CARD));
        if i.report(Id::Card, start, end, valid) {
            return;
        }
    }
}

/// Whether colons are on both sides, as in `arn:aws:iam::573909476810:role`.
fn is_field(text: &[u8], start: usize, end: usize) -> bool {
    text[..start].ends_with(b":") && text[end..].starts_with(b":")
}

/// Whether a further label of a host's name follows: `568022593043.dkr.ecr.eu-west-1.amazonaws.com`.
fn is_host_label(text: &[u8], end: usize) -> bool {
    let rest = text[end..].strip_prefix(b".").unwrap_or_default();
    let letters = rest.iter().take_while(|b| b.is_ascii_lowercase()).count();
    letters > 0 && rest.get(letters) == Some(&b'.')
}

/// The first four digits of the number at `start`.
fn first_four(text: &[u8], start: usize) -> u32 {
    let digits = text[start..].iter().take(4);
    digits.fold(0, |p, b| p * 10 + u32::from(b.wrapping_sub(b'0')))
}

/// Whether cards of `len` digits begin as the number at `start` does.
pub(super) fn is_issued(text: &[u8], start: usize, len: usize) -> bool {
    issuer(first_four(text, start), len) != Issuer::None
}

/// Whether these digits are a card number.
pub(super) fn is_plausible(digits: &[u8]) -> bool {
    let four = digits.iter().take(4);
    let four = four.fold(0, |p, d| p * 10 + u32::from(*d));
    issuer(four, digits.len()) != Issuer::None && luhn(digits)
}

/// Whether all digits are the same, as in a ruler or a placeholder.
fn is_monotonous(digits: &[u8]) -> bool {
    digits.iter().all(|d| *d == digits[0])
}

/// Whether groups of four go up by nearly the same, as the columns of a table do: `5600 5635 5670 5705`.
fn is_table(digits: &[u8]) -> bool {
    let number = |four: &[u8]| four.iter().fold(0, |n, d| n * 10 + i32::from(*d));
    let steps =
        |n: usize| number(&digits[4 * n + 4..4 * n + 8]) - number(&digits[4 * n..4 * n + 4]);
    digits.len() == 16
        && (0..3).all(|n| (1..100).contains(&steps(n)) && (steps(n) - steps(0)).abs() < 4)
}

/// How much an issuer prefix says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Issuer {
    /// No card of this length begins so.
    None,
    /// Of a range that is little used: a keyword must be near, or the number be grouped.
    Rare,
    /// Of a range or a length that many other numbers have: it must not be called an identifier.
    Wide,
    /// Cards of this length are issued so.
    Known,
}

/// What is known of cards of `len` digits that begin with these four.
///
/// Issuer identification numbers and lengths as the networks publish them; an overview is
/// <https://en.wikipedia.org/wiki/Payment_card_number>.
fn issuer(four: u32, len: usize) -> Issuer {
    let (one, two, three) = (four / 1000, four / 100, four / 10);
    let known = match len {
        12 => is_maestro(four) || matches!(two, 56..=58),
        13 => one == 4,
        14 => matches!(two, 36 | 38 | 39) || matches!(three, 300..=305 | 309),
        15 => matches!(two, 34 | 37) || matches!(four, 1800 | 2131),
        16 => {
            one == 4
                || matches!(two, 35 | 50..=58 | 60 | 62..=65 | 81 | 82)
                || matches!(four, 2200..=2204 | 2221..=2720 | 6104 | 8600 | 9792 | 9860)
                || is_maestro(four)
        }
        17 | 18 => two == 62,
        19 => {
            one == 4
                || matches!(two, 60 | 62 | 64 | 65)
                || matches!(four, 3528..=3589 | 5060 | 5061)
                || is_maestro(four)
        }
        _ => return Issuer::None,
    };
    if known {
        // Account numbers of AWS, barcodes and identifiers of 64 bits are as long.
        return match len {
            14..=16 => Issuer::Known,
            _ => Issuer::Wide,
        };
    }
    let rare = match len {
        13 | 14 | 17 | 18 => matches!(two, 50 | 56..=58 | 63 | 67),
        15 => one == 1 || matches!(two, 50 | 56..=58 | 63 | 67) || matches!(four, 2014 | 2149),
        16 if matches!(two, 59 | 61 | 66..=69) => return Issuer::Wide,
        16 => one == 9 || matches!(two, 30 | 36 | 38 | 39),
        19 => matches!(two, 50 | 56..=58 | 61 | 63 | 66..=69),
        _ => false,
    };
    match rare {
        true => Issuer::Rare,
        false => Issuer::None,
    }
}

/// Prefixes of Maestro cards and of national debit cards of its kind, in use with 12, 16 and 19 digits.
fn is_maestro(four: u32) -> bool {
    matches!(
        four,
        604 | 5018 | 5020 | 5038 | 5893 | 6304 | 6333 | 6334 | 6390 | 6706 | 6709 | 6759 | 6761
            ..=6763 | 6767 | 6771
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issued(text: &str) -> bool {
        let digits = Digits::of(text.as_bytes()).unwrap();
        is_plausible(digits.get())
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
            let issuer = issuer(first_four(text.as_bytes(), 0), text.len());
            assert_eq!(issuer, Issuer::None, "{text}");
        }
    }
}
