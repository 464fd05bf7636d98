//! Codes of capitals and digits: IBAN, and the national identifiers that have letters.

use super::bounds::{self, Join};
use super::{iban, national, Inspection};
use crate::budget::Budget;
use crate::catalog::Id;

/// Longest code without separators.
const MAX: usize = 34;

/// Whether the candidate has the shape of one of the codes.
pub(super) fn plausible(text: &[u8], at: usize, budget: &Budget) -> bool {
    let span = |before: usize, len: usize| -> Option<&[u8]> {
        let start = at.checked_sub(before)?;
        text.get(start..start + len)
    };
    if text[at].is_ascii_uppercase() {
        // The letter behind seven or eight digits.
        let code = spanish_code(text, at).map(|(_, code)| code);
        return code.is_some_and(|code| dni(&code) == Some(true) || nie(&code) == Some(true));
    }
    let head = |before: usize, len: usize, check: fn(&[u8]) -> Option<bool>| {
        span(before, len).is_some_and(|code| check(code) == Some(true))
    };
    if at > 0 && text[at - 1].is_ascii_digit() {
        return at >= 3 && iban::small_end(text, at - 3, budget).is_some()
            || span(8, 9).is_some_and(|code| dea(code) == Some(true))
            || span(14, 15).is_some_and(|code| corsican_nir(code) == Some(true));
    }
    // At the start of a text its length may look like the capitals.
    if matches!(text[..at].last(), Some(b' ' | b'-')) {
        return at >= 3 && spaced_nino(text, at - 3).is_some();
    }
    at >= 2 && (iban::is_plausible(&text[at - 2..]) || spaced_nino(text, at - 2).is_some())
        || head(2, 9, dea)
        || head(5, 10, in_pan)
        || head(6, 16, codice_fiscale)
}

/// Verifies the code around the candidate at `at`.
pub(super) fn find(i: &mut Inspection<'_>, at: usize, done: &mut usize) {
    if at < *done {
        return;
    }
    let text = i.text;
    let mut start = at;
    let floor = at.saturating_sub(MAX).max(*done);
    while start > floor && text[start - 1].is_ascii_alphanumeric() {
        start -= 1;
    }
    let mut end = at + 1;
    while end < text.len() && end - start <= MAX && text[end].is_ascii_alphanumeric() {
        end += 1;
    }
    *done = end;
    if start == at && at >= 3 && text[at].is_ascii_digit() {
        // "QQ 12 34 56 C"
        find_spaced_nino(i, at - 3);
        return;
    }
    if start == at && text[at].is_ascii_uppercase() {
        // "12345678-Z"
        find_spanish(i, at);
        return;
    }
    if i.wants(Id::Iban) && (iban::find(i, start) || iban::find_small(i, start)) {
        return;
    }
    let code = &text[start..end];
    let check: (Id, Option<bool>) = match code.len() {
        9 if i.wants(Id::Nie) && nie(code).is_some() => (Id::Nie, nie(code)),
        9 if i.wants(Id::Dni) && code[0].is_ascii_digit() => (Id::Dni, dni(code)),
        9 if i.wants(Id::Dea) && code[8].is_ascii_digit() => (Id::Dea, dea(code)),
        9 if i.wants(Id::Nino) => (Id::Nino, nino(code)),
        // "QQ123456 C"
        4 | 6 | 8 if code[..2].iter().all(u8::is_ascii_uppercase) => {
            find_spaced_nino(i, start);
            return;
        }
        10 if i.wants(Id::InPan) => (Id::InPan, in_pan(code)),
        15 if i.wants(Id::Nir) => (Id::Nir, corsican_nir(code)),
        16 if i.wants(Id::CodiceFiscale) => (Id::CodiceFiscale, codice_fiscale(code)),
        _ => return,
    };
    if let (id, Some(valid)) = check {
        let alone = bounds::both(text, start, end) == Join::Free;
        i.report(id, start, end, valid && alone);
    }
}

fn find_spaced_nino(i: &mut Inspection<'_>, start: usize) {
    if !i.wants(Id::Nino) {
        return;
    }
    let Some((end, code)) = spaced_nino(i.text, start) else {
        return;
    };
    let alone = bounds::both(i.text, start, end) == Join::Free;
    i.report(Id::Nino, start, end, alone && nino(&code) == Some(true));
}

/// End and letters of a national insurance number in parts: `QQ 12 34 56 C`, `QQ 123456 C`.
fn spaced_nino(text: &[u8], start: usize) -> Option<(usize, [u8; 9])> {
    let mut code = [0u8; 9];
    let mut len = 0;
    let mut separator = None;
    let mut at = start;
    while len < code.len() {
        let byte = *text.get(at)?;
        let joint = matches!(byte, b' ' | b'-') && matches!(len, 2 | 4 | 6 | 8);
        if joint && text[at - 1] != byte && *separator.get_or_insert(byte) == byte {
            at += 1;
            continue;
        }
        code[len] = byte;
        len += 1;
        at += 1;
    }
    nino(&code).is_some().then_some((at, code))
}

/// Start and characters of a Spanish number whose letter is at `at`, a hyphen in front of it or not.
fn spanish_code(text: &[u8], at: usize) -> Option<(usize, [u8; 9])> {
    let end = match text[..at] {
        [.., b'-'] => at - 1,
        _ => at,
    };
    let start = end.checked_sub(8)?;
    let mut code = [text[at]; 9];
    code[..8].copy_from_slice(&text[start..end]);
    Some((start, code))
}

fn find_spanish(i: &mut Inspection<'_>, at: usize) {
    let Some((start, code)) = spanish_code(i.text, at) else {
        return;
    };
    let (id, check) = match code[0].is_ascii_digit() {
        true => (Id::Dni, dni(&code)),
        false => (Id::Nie, nie(&code)),
    };
    if let Some(valid) = check.filter(|_| i.wants(id)) {
        let alone = bounds::both(i.text, start, at + 1) == Join::Free;
        i.report(id, start, at + 1, valid && alone);
    }
}

/// Whether each byte of `code` is of the class in `shape`: `A` a capital, `0` a digit.
fn has_shape(code: &[u8], shape: &[u8]) -> bool {
    code.len() == shape.len()
        && code.iter().zip(shape).all(|(byte, class)| match class {
            b'A' => byte.is_ascii_uppercase(),
            _ => byte.is_ascii_digit(),
        })
}

fn digit(byte: u8) -> u32 {
    u32::from(byte.wrapping_sub(b'0'))
}

/// UK HMRC, NIM39110: letters that are never used, prefixes that are not allocated, suffix A to D.
fn nino(code: &[u8]) -> Option<bool> {
    if !has_shape(code, b"AA000000A") {
        return None;
    }
    let unused = b"DFIQUV";
    Some(
        !unused.contains(&code[0])
            && !unused.contains(&code[1])
            && code[1] != b'O'
            && !matches!(
                &code[..2],
                b"BG" | b"GB" | b"KN" | b"NK" | b"NT" | b"TN" | b"ZZ"
            )
            && matches!(code[8], b'A'..=b'D'),
    )
}

/// Income Tax Department of India: the fourth letter is the type of holder.
fn in_pan(code: &[u8]) -> Option<bool> {
    has_shape(code, b"AAAAA0000A")
        .then(|| b"ABCFGHLJPTE".contains(&code[3]) && &code[5..9] != b"0000")
}

/// DEA, Diversion Control Division: (d1 + d3 + d5) + 2 (d2 + d4 + d6) ends in d7.
fn dea(code: &[u8]) -> Option<bool> {
    if !has_shape(&code[2..], b"0000000") || !code[0].is_ascii_uppercase() {
        return None;
    }
    let d = |n: usize| digit(code[n + 1]);
    let sum = d(1) + d(3) + d(5) + 2 * (d(2) + d(4) + d(6));
    Some(
        b"ABCDEFGHJKLMPRSTUX".contains(&code[0])
            && (code[1].is_ascii_uppercase() || code[1] == b'9')
            && sum % 10 == d(7)
            && sum != 0,
    )
}

/// Check letters of Spanish numbers, by the remainder of 23 (Ministerio del Interior).
const SPANISH: &[u8; 23] = b"TRWAGMYFPDXBNJZSQVHLCKE";

fn spanish(number: u32, letter: u8) -> bool {
    SPANISH[(number % 23) as usize] == letter
}

fn dni(code: &[u8]) -> Option<bool> {
    if !has_shape(code, b"00000000A") {
        return None;
    }
    let number = code[..8].iter().fold(0, |n, b| n * 10 + digit(*b));
    Some(number != 0 && spanish(number, code[8]))
}

fn nie(code: &[u8]) -> Option<bool> {
    if !has_shape(code, b"A0000000A") {
        return None;
    }
    let lead = u32::from(code[0].checked_sub(b'X').filter(|lead| *lead < 3)?);
    let number = code[1..8].iter().fold(lead, |n, b| n * 10 + digit(*b));
    Some(spanish(number, code[8]))
}

/// The French number of who was born in Corsica: the department is `2A` or `2B`, which counts as 19
/// or 18 in the key (INSEE).
fn corsican_nir(code: &[u8]) -> Option<bool> {
    let department = match code.get(5..7)? {
        b"2A" => [1, 9],
        b"2B" => [1, 8],
        _ => return None,
    };
    let mut digits = [0; 15];
    for (slot, byte) in digits.iter_mut().zip(code) {
        *slot = byte.wrapping_sub(b'0');
    }
    digits[5..7].copy_from_slice(&department);
    digits
        .iter()
        .all(|d| *d < 10)
        .then(|| code.len() == 15 && national::is_nir(&digits))
}

/// Decree of the Ministry of Finance of 23/12/1976: odd and even positions have their own values.
fn codice_fiscale(code: &[u8]) -> Option<bool> {
    const ODD: [u32; 26] = [
        1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24,
        23,
    ];
    // Digits become these letters when two people would have the same code (omocodia).
    let is_digit = |b: u8| b.is_ascii_digit() || b"LMNPQRSTUV".contains(&b);
    let letters = [0, 1, 2, 3, 4, 5, 8, 11, 15];
    let shaped = (0..16).all(|n| {
        if letters.contains(&n) {
            code[n].is_ascii_uppercase()
        } else {
            is_digit(code[n])
        }
    });
    if !shaped {
        return None;
    }
    let value = |b: u8| -> usize {
        usize::from(if b.is_ascii_digit() {
            b - b'0'
        } else {
            b - b'A'
        })
    };
    let sum: u32 = code[..15]
        .iter()
        .enumerate()
        .map(|(n, b)| {
            if n % 2 == 0 {
                ODD[value(*b)]
            } else {
                value(*b) as u32
            }
        })
        .sum();
    let month = b"ABCDEHLMPRST".contains(&code[8]);
    Some(month && sum % 26 == u32::from(code[15] - b'A'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(check: fn(&[u8]) -> Option<bool>, valid: &[&str], invalid: &[&str]) {
        for code in valid {
            assert_eq!(check(code.as_bytes()), Some(true), "{code}");
        }
        for code in invalid {
            assert_ne!(check(code.as_bytes()), Some(true), "{code}");
        }
    }

    #[test]
    fn validators_take_the_published_examples_and_no_neighbour() {
        check(
            nino,
            &["AB123456C", "JG103759A"],
            &["BG123456C", "DA123456A", "AB123456E", "AO123456C"],
        );
        check(
            in_pan,
            &["AAAPL1234C", "ABCPE1234F"],
            &["AAAXL1234C", "AAAPL0000C"],
        );
        check(
            dea,
            &["AP5836727", "F91234563"],
            &["AP5836728", "NP5836727"],
        );
        check(
            dni,
            &["12345678Z", "00000001R"],
            &["12345678A", "00000000T"],
        );
        check(
            nie,
            &["X1234567L", "Y1234567X", "Z1234567R"],
            &["X1234567A"],
        );
        check(
            codice_fiscale,
            &["RSSMRA85T10A562S", "MRTMTT91D08F205J"],
            &["RSSMRA85T10A562T", "RSSMRA85X10A562S"],
        );
    }
}
