//! The national numbering plans of some countries.

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
