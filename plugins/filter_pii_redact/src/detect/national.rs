//! National numbers made of digits: bank routing, health, insurance and tax.

use super::bounds::{self, Join};
use super::label::is_identifier;
use super::row::{gaps, lengths, Digits, Gap, Pattern, Row};
use super::Inspection;
use crate::catalog::Id;
use crate::checksum::{iso7064_mod_11_10, luhn, luhn_sum, number, verhoeff, weighted};
use crate::keywords::group;

/// Whether a validator accepts the digits.
type Check = fn(&[u8]) -> bool;

/// One way to write a number: the lengths of its groups and what separates them.
struct Layout {
    id: Id,
    lengths: Pattern,
    gaps: Pattern,
    check: Check,
    /// Keyword groups; one must be near unless `clear`.
    groups: u32,
    /// The layout says enough without a keyword.
    clear: bool,
}

const TWO: &[Layout] = &[
    Layout {
        id: Id::Cnpj,
        lengths: lengths(&[2, 3, 3, 4, 2]),
        gaps: gaps(&[Gap::Dot, Gap::Dot, Gap::Slash, Gap::Hyphen]),
        check: is_cnpj,
        groups: group::CNPJ,
        clear: true,
    },
    Layout {
        id: Id::DeTax,
        lengths: lengths(&[2, 3, 3, 3]),
        gaps: gaps(&[Gap::Blank, Gap::Blank, Gap::Blank]),
        check: is_de_tax_id,
        groups: group::DE_TAX_ID,
        clear: true,
    },
];

const THREE: &[Layout] = &[
    Layout {
        id: Id::Cpf,
        lengths: lengths(&[3, 3, 3, 2]),
        gaps: gaps(&[Gap::Dot, Gap::Dot, Gap::Hyphen]),
        check: is_cpf,
        groups: group::CPF,
        clear: true,
    },
    Layout {
        id: Id::Nhs,
        lengths: lengths(&[3, 3, 4]),
        gaps: gaps(&[Gap::Blank, Gap::Blank]),
        check: is_nhs,
        groups: group::NHS,
        clear: false,
    },
    Layout {
        id: Id::Nhs,
        lengths: lengths(&[3, 3, 4]),
        gaps: gaps(&[Gap::Hyphen, Gap::Hyphen]),
        check: is_nhs,
        groups: group::NHS,
        clear: false,
    },
    Layout {
        id: Id::Sin,
        lengths: lengths(&[3, 3, 3]),
        gaps: gaps(&[Gap::Hyphen, Gap::Hyphen]),
        check: is_sin,
        groups: group::SIN,
        clear: true,
    },
    Layout {
        id: Id::Sin,
        lengths: lengths(&[3, 3, 3]),
        gaps: gaps(&[Gap::Blank, Gap::Blank]),
        check: is_sin,
        groups: group::SIN,
        clear: false,
    },
];

const FOUR: &[Layout] = &[
    Layout {
        id: Id::Aadhaar,
        lengths: lengths(&[4, 4, 4]),
        gaps: gaps(&[Gap::Blank, Gap::Blank]),
        check: is_aadhaar,
        groups: group::AADHAAR,
        clear: true,
    },
    Layout {
        id: Id::Aadhaar,
        lengths: lengths(&[4, 4, 4]),
        gaps: gaps(&[Gap::Hyphen, Gap::Hyphen]),
        check: is_aadhaar,
        groups: group::AADHAAR,
        clear: true,
    },
];

const BARE: &[Layout] = &[
    bare(Id::Aba, 9, is_aba, group::ABA),
    bare(Id::Npi, 10, is_npi, group::NPI),
    bare(Id::Nhs, 10, is_nhs, group::NHS),
    bare(Id::Sin, 9, is_sin, group::SIN),
    bare(Id::Aadhaar, 12, is_aadhaar, group::AADHAAR),
    bare(Id::Cpf, 11, is_cpf, group::CPF),
    bare(Id::Cnpj, 14, is_cnpj, group::CNPJ),
    bare(Id::DeTax, 11, is_de_tax_id, group::DE_TAX_ID),
    Layout {
        id: Id::Nir,
        lengths: lengths(&[15]),
        gaps: gaps(&[]),
        check: is_nir,
        groups: group::NIR,
        clear: true,
    },
    Layout {
        id: Id::Nir,
        lengths: lengths(&[13, 2]),
        gaps: gaps(&[Gap::Blank]),
        check: is_nir,
        groups: group::NIR,
        clear: true,
    },
];

const NIR: &[Layout] = &[Layout {
    id: Id::Nir,
    lengths: lengths(&[1, 2, 2, 2, 3, 3, 2]),
    gaps: gaps(&[Gap::Blank; 6]),
    check: is_nir,
    groups: group::NIR,
    clear: true,
}];

const fn bare(id: Id, len: usize, check: Check, groups: u32) -> Layout {
    Layout {
        id,
        lengths: lengths(&[len]),
        gaps: gaps(&[]),
        check,
        groups,
        clear: false,
    }
}

/// Numbers whose first group has two digits.
pub(super) fn find_two(i: &mut Inspection<'_>, row: &Row<'_>) {
    find(i, row, TWO);
}

/// Numbers whose first group has three digits.
pub(super) fn find_three(i: &mut Inspection<'_>, row: &Row<'_>) {
    find(i, row, THREE);
}

/// Numbers whose first group has four digits.
pub(super) fn find_four(i: &mut Inspection<'_>, row: &Row<'_>) {
    find(i, row, FOUR);
}

/// Numbers written in one.
pub(super) fn find_bare(i: &mut Inspection<'_>, row: &Row<'_>) {
    find(i, row, BARE);
}

/// The French number in its groups, whose first has one digit.
pub(super) fn find_nir(i: &mut Inspection<'_>, row: &Row<'_>) {
    find(i, row, NIR);
}

/// Whether these digits, without separators, are any of the numbers.
pub(super) fn is_plausible(digits: &[u8]) -> bool {
    BARE.iter()
        .any(|row| row.lengths.is_one(digits.len()) && (row.check)(digits))
}

fn find(i: &mut Inspection<'_>, row: &Row<'_>, layouts: &[Layout]) {
    for layout in layouts {
        if row.has(layout.lengths) && row.has_gaps(layout.gaps) && i.wants(layout.id) {
            verify(i, row, layout);
        }
    }
}

fn verify(i: &mut Inspection<'_>, row: &Row<'_>, layout: &Layout) {
    let count = layout.lengths.groups;
    let Some((start, end)) = row.span(count) else {
        return;
    };
    let second = row.group(1).filter(|_| count > 1);
    let more = second.is_some_and(|second| row.is_part_of_more(count, second.gap));
    // The cheapest test first: numbers and rows of groups come in long tables.
    let alone = layout.clear && !more;
    if !alone && !i.may_be_near(start, layout.groups) {
        return;
    }
    let join = bounds::both(i.text, start, end);
    let other = match count {
        1 => is_identifier(i.text, i.key, start),
        _ => bounds::is_in_dump(i.text, start, end),
    };
    let clear = alone && join == Join::Free && !other;
    if join == Join::Tight || (!clear && !i.near(start, end, layout.groups)) {
        return;
    }
    let digits = Digits::of(&i.text[start..end]);
    let valid = digits.is_some_and(|digits| (layout.check)(digits.get()));
    if clear || count > 1 || valid {
        i.report(layout.id, start, end, valid);
    }
}

/// American Bankers Association: Federal Reserve prefix and the weights 3, 7, 1.
fn is_aba(digits: &[u8]) -> bool {
    let prefix = digits[0] * 10 + digits[1];
    matches!(prefix, 0..=12 | 21..=32 | 61..=72 | 80)
        && weighted(digits, &[3, 7, 1, 3, 7, 1, 3, 7, 1]) % 10 == 0
        && number(digits) != 0
}

/// 45 CFR 162.406: Luhn over the number behind the prefix 80840, whose own sum is 24.
fn is_npi(digits: &[u8]) -> bool {
    matches!(digits[0], 1 | 2) && (luhn_sum(digits) + 24) % 10 == 0
}

/// NHS data dictionary: weights 10 to 2, mod 11.
fn is_nhs(digits: &[u8]) -> bool {
    let sum = weighted(&digits[..9], &[10, 9, 8, 7, 6, 5, 4, 3, 2]);
    let check = (11 - sum % 11) % 11;
    check != 10 && check == u32::from(digits[9]) && number(digits) != 0
}

/// Employment and Social Development Canada: Luhn; the number does not start with 8.
fn is_sin(digits: &[u8]) -> bool {
    digits[0] != 8 && luhn(digits) && number(digits) != 0
}

/// Unique Identification Authority of India: twelve digits, the first 2 to 9, Verhoeff.
fn is_aadhaar(digits: &[u8]) -> bool {
    digits[0] >= 2 && verhoeff(digits) && digits.iter().any(|d| *d != digits[0])
}

/// Receita Federal: two check digits of mod 11 with weights from 2 upwards.
fn is_cpf(digits: &[u8]) -> bool {
    let check = |n: usize| {
        let weights: [u32; 10] = std::array::from_fn(|k| (n + 1).saturating_sub(k) as u32);
        weighted(&digits[..n], &weights) * 10 % 11 % 10
    };
    digits.iter().any(|d| *d != digits[0])
        && check(9) == u32::from(digits[9])
        && check(10) == u32::from(digits[10])
}

/// Receita Federal: two check digits of mod 11 with weights 2 to 9 from the right.
fn is_cnpj(digits: &[u8]) -> bool {
    const WEIGHTS: [u32; 13] = [6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2];
    let check = |n: usize| {
        let rest = weighted(&digits[..n], &WEIGHTS[13 - n..]) % 11;
        if rest < 2 {
            0
        } else {
            11 - rest
        }
    };
    digits.iter().any(|d| *d != digits[0])
        && check(12) == u32::from(digits[12])
        && check(13) == u32::from(digits[13])
}

/// Bundeszentralamt für Steuern: ISO 7064 mod 11,10; of the first ten digits exactly one occurs
/// twice or three times, all others at most once; no leading zero.
fn is_de_tax_id(digits: &[u8]) -> bool {
    let mut counts = [0u8; 10];
    for digit in &digits[..10] {
        counts[usize::from(*digit)] += 1;
    }
    let repeated = counts.iter().filter(|n| **n > 1).count();
    digits[0] != 0 && repeated == 1 && counts.iter().all(|n| *n <= 3) && iso7064_mod_11_10(digits)
}

/// INSEE: sex, year, month, department, and the key 97 - (number mod 97).
pub(super) fn is_nir(digits: &[u8]) -> bool {
    let month = digits[3] * 10 + digits[4];
    let department = digits[5] * 10 + digits[6];
    matches!(digits[0], 1 | 2)
        && matches!(month, 1..=12 | 20 | 30..=42 | 50..=99)
        && department != 0
        && 97 - number(&digits[..13]) % 97 == number(&digits[13..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(check: Check, valid: &[&str], invalid: &[&str]) {
        let digits = |text: &str| -> Vec<u8> {
            text.bytes()
                .filter(u8::is_ascii_digit)
                .map(|b| b - b'0')
                .collect()
        };
        for text in valid {
            assert!(check(&digits(text)), "{text}");
        }
        for text in invalid {
            assert!(!check(&digits(text)), "{text}");
        }
    }

    #[test]
    fn validators_take_the_published_examples_and_no_neighbour() {
        check(
            is_aba,
            &["021000021", "011401533", "322271627"],
            &["021000022", "123456789", "000000000"],
        );
        check(
            is_npi,
            &["1234567893", "1245319599"],
            &["1234567890", "3234567893"],
        );
        check(
            is_nhs,
            &["9434765919", "4010232137"],
            &["9434765918", "0000000000"],
        );
        check(
            is_sin,
            &["046454286", "130692544"],
            &["046454287", "800000002", "000000000"],
        );
        check(
            is_aadhaar,
            &["234123412346", "499118665246"],
            &["234123412347", "134123412346"],
        );
        check(
            is_cpf,
            &["11144477735", "52998224725"],
            &["11144477736", "11111111111"],
        );
        check(
            is_cnpj,
            &["11222333000181", "11444777000161"],
            &["11222333000182", "00000000000000"],
        );
        check(
            is_de_tax_id,
            &["86095742719", "65929970489"],
            &["86095742718", "01234567890", "11111111111"],
        );
        check(
            is_nir,
            &["255081416802538", "185057800608491"],
            &["255081416802539", "355081416802538"],
        );
    }
}
