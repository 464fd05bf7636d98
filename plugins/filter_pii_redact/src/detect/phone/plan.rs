//! Numbering plans: calling codes of E.164, and the national plans of some countries.

use crate::detect::row::{lengths, Pattern};

/// A national numbering plan, as far as it is needed to tell numbers from other digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    country: &'static str,
    pub(super) style: Style,
    /// Fewest and most digits of a national number, trunk prefix included.
    pub(super) digits: (usize, usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// North America: 3-3-4.
    Nanp,
    /// A trunk prefix 0 in front.
    Trunk,
    /// No trunk prefix: the first digit is one of these, the groups are as in one of the layouts.
    First(&'static [u8], &'static [Pattern]),
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
    plan(
        "IT",
        Style::First(
            b"03",
            &[
                lengths(&[3, 7]),
                lengths(&[2, 8]),
                lengths(&[2, 4, 4]),
                lengths(&[3, 3, 4]),
                lengths(&[3, 6]),
                lengths(&[4, 6]),
            ],
        ),
        8,
        11,
    ),
    plan(
        "ES",
        Style::First(b"6789", &[lengths(&[3, 3, 3]), lengths(&[3, 2, 2, 2])]),
        9,
        9,
    ),
    plan(
        "PT",
        Style::First(b"29", &[lengths(&[3, 3, 3]), lengths(&[2, 3, 4])]),
        9,
        9,
    ),
    plan(
        "PL",
        Style::First(b"123456789", &[lengths(&[3, 3, 3]), lengths(&[2, 3, 2, 2])]),
        9,
        9,
    ),
    plan(
        "DK",
        Style::First(b"23456789", &[lengths(&[2, 2, 2, 2]), lengths(&[4, 4])]),
        8,
        8,
    ),
    plan(
        "NO",
        Style::First(b"23456789", &[lengths(&[2, 2, 2, 2]), lengths(&[3, 2, 3])]),
        8,
        8,
    ),
    plan("AU", Style::Trunk, 10, 10),
    plan("NZ", Style::Trunk, 9, 11),
    plan("JP", Style::Trunk, 10, 11),
    plan(
        "IN",
        Style::First(
            b"06789",
            &[
                lengths(&[5, 5]),
                lengths(&[6, 5]),
                lengths(&[3, 3, 4]),
                lengths(&[3, 4, 4]),
            ],
        ),
        10,
        11,
    ),
    plan(
        "BR",
        Style::First(b"123456789", &[lengths(&[2, 4, 4]), lengths(&[2, 5, 4])]),
        10,
        11,
    ),
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

/// Calling codes by number, and the fewest and most digits behind them. E.164 country codes with a
/// known plan; none begins another.
const CODES: &[(&[u8], usize, usize)] = &[
    (b"1", 10, 10),
    (b"20", 8, 10),
    (b"27", 9, 9),
    (b"30", 10, 10),
    (b"31", 9, 9),
    (b"32", 8, 9),
    (b"33", 9, 9),
    (b"34", 9, 9),
    (b"351", 9, 9),
    (b"353", 7, 9),
    (b"358", 6, 11),
    (b"36", 8, 9),
    (b"380", 9, 9),
    (b"39", 6, 11),
    (b"40", 9, 9),
    (b"41", 9, 9),
    (b"420", 9, 9),
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
    (b"7", 10, 10),
    (b"81", 9, 10),
    (b"82", 8, 10),
    (b"84", 9, 10),
    (b"852", 8, 8),
    (b"86", 10, 11),
    (b"90", 10, 10),
    (b"91", 10, 10),
    (b"92", 9, 10),
    (b"966", 9, 9),
    (b"971", 8, 9),
    (b"972", 8, 9),
    (b"98", 10, 10),
];

/// For each first digit, where its codes are in [`CODES`].
const BY_DIGIT: [(usize, usize); 10] = {
    let mut table = [(0, 0); 10];
    let mut n = 0;
    while n < CODES.len() {
        let (start, end) = &mut table[(CODES[n].0[0] - b'0') as usize];
        if *end == 0 {
            *start = n;
        }
        *end = n + 1;
        n += 1;
    }
    table
};

/// The calling code that `text` starts with: its length, and the fewest and most digits behind it.
pub(super) fn calling_code(text: &[u8]) -> Option<(usize, usize, usize)> {
    let first = usize::from(text.first()?.wrapping_sub(b'0'));
    let (start, end) = *BY_DIGIT.get(first)?;
    CODES[start..end]
        .iter()
        .find(|(digits, ..)| text.starts_with(digits))
        .map(|(digits, min, max)| (digits.len(), *min, *max))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_calling_code_is_found() {
        for (digits, min, max) in CODES {
            let text = [digits, &b"234"[..]].concat();
            assert_eq!(calling_code(&text), Some((digits.len(), *min, *max)));
        }
        assert_eq!(calling_code(b"99"), None);
        assert_eq!(calling_code(b""), None);
    }
}
