//! IBAN: country, length and structure from the registry, mod 97 (ISO 13616).

use iban::Iban;

use super::bounds::{self, Join};
use super::Inspection;
use crate::budget::Budget;
use crate::catalog::Id;
use crate::keywords::group;

/// Longest IBAN, and with separators.
const MAX: usize = 34;
const MAX_WRITTEN: usize = MAX + MAX / 4;

/// Total length per country. The crate `iban_validate` checks structure and sum, but does not
/// tell the length, which is what cuts an IBAN out of a text. Countries that use IBANs without being
/// in the registry are here, too, such as Iran and Algeria.
const LENGTHS: &str = "AD24AE23AL28AO25AT20AZ28BA20BE16BF28BG22BH22BI27BJ28BR29BY28CF27CG27CH21\
CI28CM27CR22CV25CY28CZ24DE22DJ27DK18DO28DZ26EE20EG29ES24FI18FK18FO18FR27GA27GB22GE22GI23GL18GQ27\
GR27GT28GW25HN28HR21HU28IE22IL23IQ23IR26IS26IT27JO30KM27KW30KZ20LB28LC32LI21LT20LU20LV21LY25MA28\
MC27MD24ME22MG27MK19ML28MN20MR27MT31MU30MZ25NE28NI28NL18NO15OM23PK24PL28PS29PT25QA29RO24RS22RU33\
SA24SC31SD18SE24SI19SK24SM27SN28SO23ST25SV28TD27TG28TL23TN24TR26UA29VA22VG24XK20YE30";

/// What the look at an IBAN counts for.
const SUM: usize = 256;
/// What one counts for that is too short.
const TAKEN: usize = 32;

/// Shortest IBAN, and the shortest of a country that has none.
const MIN: usize = 15;
const MIN_UNKNOWN: usize = 14;

/// Whether an IBAN may start here: a country of the registry and two digits; of another country, with
/// the right sum.
pub(super) fn is_plausible(text: &[u8]) -> bool {
    let digits = |at: usize| {
        text.get(at..at + 2)
            .is_some_and(|d| d.iter().all(u8::is_ascii_digit))
    };
    digits(2) && (length(&text[..2]).is_some() || is_unknown(text).is_some())
}

/// Length of an IBAN of a country without any, written in one, that starts here.
fn is_unknown(text: &[u8]) -> Option<usize> {
    let run = text.iter().take(MAX + 1);
    let len = run
        .take_while(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
        .count();
    let number = text.get(len.checked_sub(DIGITS)?..len)?;
    let shaped = (MIN_UNKNOWN..=MAX).contains(&len)
        && text[2..4].iter().all(u8::is_ascii_digit)
        && number.iter().all(u8::is_ascii_digit);
    (shaped && mod_97(&text[..len])).then_some(len)
}

/// [`LENGTHS`] by the letters of the country; 0 for none.
static BY_COUNTRY: [[u8; 26]; 26] = {
    let mut table = [[0; 26]; 26];
    let entries = LENGTHS.as_bytes();
    let mut n = 0;
    while n < entries.len() {
        table[(entries[n] - b'A') as usize][(entries[n + 1] - b'A') as usize] =
            (entries[n + 2] - b'0') * 10 + (entries[n + 3] - b'0');
        n += 4;
    }
    table
};

/// Length of the IBANs of a country.
fn length(country: &[u8]) -> Option<usize> {
    let letter = |n: usize| Some(usize::from(country.get(n)?.wrapping_sub(b'A')));
    let length = *BY_COUNTRY.get(letter(0)?)?.get(letter(1)?)?;
    (length > 0).then_some(usize::from(length))
}

/// The same for a country in small letters.
fn small_length(country: &[u8]) -> Option<usize> {
    let [first @ b'a'..=b'z', second @ b'a'..=b'z'] = country else {
        return None;
    };
    length(&[first.to_ascii_uppercase(), second.to_ascii_uppercase()])
}

/// An IBAN as it stands in a text, and without its separators.
struct Candidate {
    compact: [u8; MAX],
    len: usize,
    end: usize,
}

/// Takes up to `limit` capitals and digits; groups are separated by single blanks or hyphens, all
/// of one kind.
fn take(text: &[u8], start: usize, limit: usize) -> Candidate {
    let mut taken = Candidate {
        compact: [0; MAX],
        len: 0,
        end: start,
    };
    let mut separator = None;
    let mut at = start;
    while taken.len < limit {
        match text.get(at) {
            Some(byte) if byte.is_ascii_uppercase() || byte.is_ascii_digit() => {
                taken.compact[taken.len] = *byte;
                taken.len += 1;
                taken.end = at + 1;
            }
            Some(byte @ (b' ' | b'-'))
                if taken.len % 4 == 0
                    && *separator.get_or_insert(*byte) == *byte
                    && text[at - 1] != *byte => {}
            _ => break,
        }
        at += 1;
    }
    taken
}

/// Verifies an IBAN that starts at `start`; returns whether it is one.
pub(super) fn find(i: &mut Inspection<'_>, start: usize) -> bool {
    let text = i.text;
    let Some(length) = text.get(start..start + 2).and_then(length) else {
        let end = is_unknown(&text[start..]).map(|len| start + len);
        return end.is_some_and(|end| {
            bounds::both(text, start, end) == Join::Free
                && i.near(start, end, group::BANK)
                && i.report(Id::Iban, start, end, true)
        });
    };
    i.budget.look(SUM);
    let exact = take(text, start, length);
    let joined = |c: &Candidate| bounds::both(text, start, c.end) != Join::Free;
    if exact.len == length && !joined(&exact) {
        let valid = is_valid(&exact.compact[..length]);
        if i.report(Id::Iban, start, exact.end, valid) {
            return true;
        }
    }
    // Of another length it is no IBAN of that country; but if the sum is right and the text
    // speaks of banking it is meant to be one.
    if !i.may_be_near(start, group::BANK) {
        return false;
    }
    let other = take(text, start, MAX);
    let valid = other.len >= MIN
        && !joined(&other)
        && mod_97(&other.compact[..other.len])
        && i.near(start, other.end, group::BANK);
    valid && i.report(Id::Iban, start, other.end, true)
}

/// Where the IBAN in small letters ends that starts at `start`, in one or in groups.
pub(super) fn small_end(text: &[u8], start: usize, budget: &Budget) -> Option<usize> {
    let length = small_length(text.get(start..start + 2)?)?;
    let mut capitals = [0; MAX_WRITTEN];
    for (capital, byte) in capitals.iter_mut().zip(&text[start..]) {
        // One in both cases is none.
        if !byte.is_ascii_uppercase() {
            *capital = byte.to_ascii_uppercase();
        }
    }
    let taken = take(&capitals, 0, length);
    budget.look(if taken.len == length { SUM } else { TAKEN });
    let whole = taken.len == length && has_structure(&taken.compact[..length]);
    whole.then_some(start + taken.end)
}

/// Verifies an IBAN in small letters that starts at `start`.
pub(super) fn find_small(i: &mut Inspection<'_>, start: usize) -> bool {
    small_end(i.text, start, i.budget).is_some_and(|end| {
        let alone = bounds::both(i.text, start, end) == Join::Free;
        i.report(Id::Iban, start, end, alone)
    })
}

/// So many digits in a row say as much as the structure.
const DIGITS: usize = 8;

/// Sum and structure of an IBAN in capitals, without separators. Countries change their structures,
/// and generators know them in part: with a long number in it, the sum is enough.
fn is_valid(compact: &[u8]) -> bool {
    if !mod_97(compact) {
        return false;
    }
    if has_structure(compact) {
        return true;
    }
    let mut numbers = compact[4..].chunk_by(|a, b| a.is_ascii_digit() && b.is_ascii_digit());
    numbers.any(|digits| digits.len() >= DIGITS)
}

/// Whether an IBAN in capitals has the structure of its country, and the right sum.
fn has_structure(compact: &[u8]) -> bool {
    // The sum is the quicker look, and one of a hundred passes it.
    if !mod_97(compact) {
        return false;
    }
    // The crate's registry lacks Pakistan (4!a16!c) and Honduras (4!a20!n).
    if matches!(&compact[..2], b"PK" | b"HN") {
        return compact[4..8].iter().all(u8::is_ascii_uppercase);
    }
    std::str::from_utf8(compact).is_ok_and(|text| text.parse::<Iban>().is_ok())
}

/// ISO 7064 MOD 97-10 with the first four characters moved to the end.
fn mod_97(compact: &[u8]) -> bool {
    let (head, tail) = compact.split_at(4);
    let mut rest = 0u64;
    for byte in tail.iter().chain(head) {
        rest = match byte {
            b'0'..=b'9' => rest * 10 + u64::from(byte - b'0'),
            _ => rest * 100 + u64::from(byte.wrapping_sub(b'A')) + 10,
        };
        // Far from what would not fit.
        if rest > 1 << 48 {
            rest %= 97;
        }
    }
    rest % 97 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_agree_with_the_registry_of_the_crate() {
        for (iban, len) in [
            ("GB82WEST12345698765432", 22),
            ("DE44500105175407324931", 22),
            ("NO9386011117947", 15),
            ("MT84MALT011000012345MTLCAST001S", 31),
        ] {
            assert!(iban.parse::<Iban>().is_ok(), "{iban}");
            assert_eq!(length(&iban.as_bytes()[..2]), Some(len));
            assert_eq!(iban.len(), len);
        }
        assert_eq!(length(b"ZZ"), None);
    }
}
