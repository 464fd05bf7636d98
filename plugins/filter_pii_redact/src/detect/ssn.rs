//! United States: social security numbers and individual taxpayer numbers.

use super::bounds::{self, Join};
use super::label::is_place;
use super::row::{lengths, Digits, Gap, Row};
use super::Inspection;
use crate::catalog::Id;
use crate::checksum::number;
use crate::keywords::group;

/// `123-45-6789`, `123 45 6789`, and with a keyword `123.45.6789`.
pub(super) fn find_grouped(i: &mut Inspection<'_>, row: &Row<'_>) {
    if !row.has(const { lengths(&[3, 2, 4]) }) || !(i.wants(Id::Ssn) || i.wants(Id::Itin)) {
        return;
    }
    let (Some(gap), Some((start, end))) = (row.gap(3), row.span(3)) else {
        return;
    };
    let join = bounds::both(i.text, start, end);
    let alone = join == Join::Free && !row.is_part_of_more(3, gap);
    let clear = match gap {
        Gap::Hyphen => alone,
        // "Suite 680 36 4022 Oakridge Lane"
        Gap::Blank => alone && !is_place(i.text, start),
        _ => false,
    };
    check(i, start, end, clear, join != Join::Tight);
}

/// Nine digits in one.
pub(super) fn find_bare(i: &mut Inspection<'_>, row: &Row<'_>) {
    let Some((start, end)) = row.span(1) else {
        return;
    };
    if end - start != 9 || !i.may_be_near(start, group::SSN | group::ITIN) {
        return;
    }
    if !(i.wants(Id::Ssn) || i.wants(Id::Itin)) {
        return;
    }
    let joined = bounds::both(i.text, start, end) != Join::Tight;
    check(i, start, end, false, joined);
}

/// `clear`: written so that no keyword is needed; else one is, if the number is `possible` at all.
fn check(i: &mut Inspection<'_>, start: usize, end: usize, clear: bool, possible: bool) {
    if !clear && (!possible || !i.near(start, end, group::SSN | group::ITIN)) {
        return;
    }
    let Some(digits) = Digits::of(&i.text[start..end]) else {
        return;
    };
    let (id, issued, groups) = if digits.get()[0] == 9 {
        (Id::Itin, is_itin(digits.get()), group::ITIN | group::SSN)
    } else {
        (Id::Ssn, is_ssn(digits.get()), group::SSN)
    };
    if !i.wants(id) || digits.get().iter().all(|d| *d == digits.get()[0]) {
        return;
    }
    if clear {
        i.report(id, start, end, issued);
    } else if issued && i.near(start, end, groups) {
        i.report(id, start, end, true);
    }
}

/// Social Security Administration, "SSN Randomization": area, group and serial that are never issued.
fn is_ssn(digits: &[u8]) -> bool {
    let (area, group, serial) = parts(digits);
    !matches!(area, 0 | 666 | 900..) && group != 0 && serial != 0
}

/// Internal Revenue Service, publication 4757: the fourth and fifth digit of an ITIN.
fn is_itin(digits: &[u8]) -> bool {
    let (area, group, _) = parts(digits);
    area >= 900 && matches!(group, 50..=65 | 70..=88 | 90..=92 | 94..=99)
}

fn parts(digits: &[u8]) -> (u64, u64, u64) {
    let [area, group, serial] = [0..3, 3..5, 5..9].map(|part| number(&digits[part]));
    (area, group, serial)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digits(text: &str) -> Vec<u8> {
        text.bytes().map(|b| b - b'0').collect()
    }

    #[test]
    fn what_is_never_issued_is_refused() {
        assert!(is_ssn(&digits("123456789")));
        assert!(is_ssn(&digits("078051120")));
        for text in [
            "000456789",
            "666456789",
            "900456789",
            "123006789",
            "123450000",
        ] {
            assert!(!is_ssn(&digits(text)), "{text}");
        }
        assert!(is_itin(&digits("912701234")));
        for text in ["912891234", "912931234", "812701234", "912001234"] {
            assert!(!is_itin(&digits(text)), "{text}");
        }
    }
}
