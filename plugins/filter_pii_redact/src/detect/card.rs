//! Payment cards: issuer prefix, length, grouping and the Luhn digit (ISO/IEC 7812-1).

use super::Match;

const MIN_DIGITS: usize = 12;
const MAX_DIGITS: usize = 19;

pub(super) fn find(text: &[u8], found: &mut Vec<Match>) {
    let mut at = 0;
    while at < text.len() {
        if !text[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        match card_at(text, at) {
            Some(end) => {
                found.push(Match {
                    start: at,
                    end,
                    placeholder: "[CARD]",
                });
                at = end;
            }
            None => at = run_end(text, at),
        }
    }
}

fn run_end(text: &[u8], at: usize) -> usize {
    text[at..]
        .iter()
        .position(|b| !b.is_ascii_digit())
        .map_or(text.len(), |n| at + n)
}

/// End of the card number whose first digit run starts at `start`.
fn card_at(text: &[u8], start: usize) -> Option<usize> {
    if !is_boundary_before(text, start) {
        return None;
    }
    let mut digits = [0u8; MAX_DIGITS];
    let first = run_end(text, start);
    let mut len = push(&mut digits, 0, &text[start..first])?;
    let mut end = first;
    if len < MIN_DIGITS {
        let separator = *text.get(end)?;
        if separator != b' ' && separator != b'-' {
            return None;
        }
        let mut groups = [len, 0, 0, 0];
        for group in &mut groups[1..] {
            if text.get(end) != Some(&separator) {
                break;
            }
            let next = run_end(text, end + 1);
            *group = next - end - 1;
            len = push(&mut digits, len, &text[end + 1..next])?;
            end = next;
        }
        if !matches!(groups, [4, 4, 4, 4] | [4, 6, 5, 0] | [4, 6, 4, 0]) {
            return None;
        }
    }
    (is_boundary_after(text, end) && is_card(&digits[..len])).then_some(end)
}

fn push(digits: &mut [u8; MAX_DIGITS], len: usize, run: &[u8]) -> Option<usize> {
    let end = len + run.len();
    for (slot, byte) in digits.get_mut(len..end)?.iter_mut().zip(run) {
        *slot = byte - b'0';
    }
    Some(end)
}

/// A number is part of a longer one, of a name or of a fraction behind these.
fn is_boundary_before(text: &[u8], start: usize) -> bool {
    let Some(previous) = start.checked_sub(1).map(|n| text[n]) else {
        return true;
    };
    let before = start.checked_sub(2).map(|n| text[n]);
    match previous {
        b'-' | b'.' => !before.is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_'),
        b'_' => false,
        _ => !previous.is_ascii_alphanumeric(),
    }
}

fn is_boundary_after(text: &[u8], end: usize) -> bool {
    let Some(next) = text.get(end) else {
        return true;
    };
    let after = text.get(end + 1);
    match next {
        b'-' | b'.' => !after.is_some_and(u8::is_ascii_alphanumeric),
        b'_' => false,
        _ => !next.is_ascii_alphanumeric(),
    }
}

fn is_card(digits: &[u8]) -> bool {
    is_issued(digits) && luhn(digits)
}

/// Whether a card with this prefix and length can exist.
///
/// Ranges: ISO/IEC 7812 issuer identification numbers as the networks publish them.
fn is_issued(digits: &[u8]) -> bool {
    if digits.len() < MIN_DIGITS || digits.len() > MAX_DIGITS {
        return false;
    }
    let prefix = |n: usize| digits[..n].iter().fold(0u32, |p, d| p * 10 + u32::from(*d));
    let (two, three, four) = (prefix(2), prefix(3), prefix(4));
    match digits.len() {
        14 => matches!(two, 36 | 38 | 39) || matches!(three, 300..=305 | 309),
        15 => matches!(two, 34 | 37) || matches!(four, 1800 | 2131),
        13 => digits[0] == 4,
        16 => {
            digits[0] == 4
                || matches!(two, 50..=58 | 60 | 62 | 64 | 65 | 67)
                || matches!(four, 2221..=2720 | 2200..=2204 | 3528..=3589 | 6304 | 6390)
        }
        19 => digits[0] == 4 || matches!(two, 62 | 65) || is_maestro(four),
        _ => is_maestro(four),
    }
}

fn is_maestro(four: u32) -> bool {
    matches!(four, 604 | 5018 | 5020 | 5038 | 5600..=5899 | 6304 | 6390 | 6759 | 6761..=6763)
}

/// Luhn, ISO/IEC 7812-1 annex B.
fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(index, digit)| {
            let doubled = u32::from(*digit) << (index % 2);
            if doubled > 9 {
                doubled - 9
            } else {
                doubled
            }
        })
        .sum();
    sum % 10 == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<&str> {
        let mut found = Vec::new();
        find(text.as_bytes(), &mut found);
        found.iter().map(|m| &text[m.start..m.end]).collect()
    }

    #[test]
    fn valid_and_invalid_examples() {
        for (text, card) in [
            ("My card is 4012888888881881", "4012888888881881"),
            ("pay 4012-8888-8888-1881 now", "4012-8888-8888-1881"),
            ("pay 4012 8888 8888 1881.", "4012 8888 8888 1881"),
            ("amex 3782 822463 10005", "3782 822463 10005"),
            ("visa 4222222222222,", "4222222222222"),
            ("{\"pan\":30569309025904}", "30569309025904"),
            ("5555555555554444", "5555555555554444"),
            ("3530111333300000", "3530111333300000"),
        ] {
            assert_eq!(found(text), [card], "{text}");
        }
        for text in [
            "4012888888881882",
            "blk_-1608999687919862906",
            "blk_4012888888881881",
            "0x4012888888881881",
            "0.4012888888881881",
            "4012-888888-881881",
            "a4012888888881881",
            "550e8400-4012-8888-8888-188112345678",
            "1445062781478000",
        ] {
            assert!(found(text).is_empty(), "{text}");
        }
    }
}
