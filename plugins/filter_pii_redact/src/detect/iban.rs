//! IBAN: country, length and structure from the registry, mod 97 (ISO 13616).

use iban::Iban;

use super::bounds::{self, Join};
use super::Inspection;
use crate::catalog::Id;

/// Longest IBAN.
const MAX: usize = 34;

/// Total length per country. The crate `iban_validate` checks structure and sum, but does not
/// tell the length, which is what cuts an IBAN out of a text.
const LENGTHS: &str = "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22DJ27DK18\
DO28EE20EG29ES24FI18FK18FO18FR27GB22GE22GI23GL18GR27GT28HN28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20\
LB28LC32LI21LT20LU20LV21LY25MC27MD24ME22MK19MN20MR27MT31MU30NI28NL18NO15OM23PK24PL28PS29PT25QA29RO24\
RS22RU33SA24SC31SD18SE24SI19SK24SM27SO23ST25SV28TL23TN24TR26UA29VA22VG24XK20YE30";

fn length(country: &[u8]) -> Option<usize> {
    let entry = LENGTHS
        .as_bytes()
        .chunks_exact(4)
        .find(|e| &e[..2] == country)?;
    Some(usize::from(entry[2] - b'0') * 10 + usize::from(entry[3] - b'0'))
}

/// Verifies an IBAN that starts at `start`; returns whether it is one.
pub(super) fn find(i: &mut Inspection<'_>, start: usize) -> bool {
    let text = i.text;
    let Some(length) = text.get(start..start + 2).and_then(length) else {
        return false;
    };
    let mut compact = [0u8; MAX];
    let mut taken = 0;
    let mut at = start;
    // Groups are separated by single blanks or hyphens, all of one kind.
    let mut separator = None;
    while taken < length {
        let Some(byte) = text.get(at) else {
            return false;
        };
        if byte.is_ascii_uppercase() || byte.is_ascii_digit() {
            compact[taken] = *byte;
            taken += 1;
        } else {
            let blank = (*byte == b' ' || *byte == b'-')
                && taken % 4 == 0
                && *separator.get_or_insert(*byte) == *byte
                && text[at - 1] != *byte;
            if !blank {
                return false;
            }
        }
        at += 1;
    }
    let valid = bounds::both(text, start, at) == Join::Free
        && std::str::from_utf8(&compact[..length]).is_ok_and(|text| text.parse::<Iban>().is_ok());
    i.report(Id::Iban, start, at, valid)
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
