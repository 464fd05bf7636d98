//! Coin addresses: Bitcoin (Base58Check, Bech32, Bech32m) and Ethereum (EIP-55).

use sha2::{Digest, Sha256};
use sha3::Keccak256;

use super::bounds::{self, Join};
use super::Inspection;
use crate::catalog::Id;
use crate::scan::RUN;

/// Length of the shortest address.
const SHORTEST: usize = 26;
/// Longest address looked at: a witness script hash.
const MAX: usize = 62;

/// Whether the run around `at` may be an address.
pub(super) fn plausible(text: &[u8], at: usize) -> bool {
    // Most runs are words.
    let first = (at + 1).checked_sub(RUN).map(|first| text[first]);
    if first.is_some_and(|b| b.is_ascii_alphanumeric() && !b"013bB".contains(&b)) {
        return false;
    }
    let start = run_start(text, at);
    let Some(run) = text.get(start..start + SHORTEST) else {
        return false;
    };
    let all = match run {
        [b'0', b'x', rest @ ..] => rest.iter().all(u8::is_ascii_hexdigit),
        [b'b' | b'B', b'c' | b'C', ..] => true,
        [b'1' | b'3', ..] => is_base58(run),
        _ => false,
    };
    all && run[at - start..].iter().all(u8::is_ascii_alphanumeric)
}

/// Where the run starts that the gate saw at `at`. In raw msgpack the length of the string may have
/// been part of it.
fn run_start(text: &[u8], at: usize) -> usize {
    let before = text[..at].iter().rev().take(RUN - 1);
    at - before.take_while(|b| b.is_ascii_alphanumeric()).count()
}

/// Verifies the run around `at`.
pub(super) fn find(i: &mut Inspection<'_>, at: usize) {
    let text = i.text;
    let start = run_start(text, at);
    if text.len() < start + SHORTEST {
        return;
    }
    let lead = &text[start..start + 2];
    if !matches!(lead[0], b'1' | b'3') && lead != b"0x" && !lead.eq_ignore_ascii_case(b"bc") {
        return;
    }
    let mut end = at + 1;
    while end < text.len() && end - start <= MAX && text[end].is_ascii_alphanumeric() {
        end += 1;
    }
    let run = &text[start..end];
    let check = match (lead, run.len()) {
        (b"0x", 42) if i.wants(Id::Eth) => (Id::Eth, ethereum(&run[2..])),
        ([b'1' | b'3', _], 26..=35) if i.wants(Id::Btc) && is_base58(run) => {
            (Id::Btc, base58_check(run))
        }
        (_, 42 | 62) if i.wants(Id::Btc) && lead.eq_ignore_ascii_case(b"bc") => {
            (Id::Btc, segwit(run))
        }
        _ => return,
    };
    let alone = bounds::both(text, start, end) == Join::Free;
    i.report(check.0, start, end, check.1 && alone);
}

/// Base58 leaves out 0, O, I and l; most hexadecimal digests have a 0.
fn is_base58(text: &[u8]) -> bool {
    !text.iter().any(|b| matches!(b, b'0' | b'O' | b'I' | b'l'))
}

/// Bitcoin wiki, "Base58Check encoding": version byte, hash, four bytes of a double SHA-256.
fn base58_check(text: &[u8]) -> bool {
    let Some(bytes) = base58(text) else {
        return false;
    };
    let Some((payload, sum)) = bytes.split_last_chunk::<4>() else {
        return false;
    };
    matches!(payload[0], 0x00 | 0x05) && Sha256::digest(Sha256::digest(payload))[..4] == *sum
}

/// Bytes of an address: version, hash and checksum.
const ADDRESS: usize = 25;

/// The bytes of an address. `None`: they would be more or fewer, or a character is none of base58.
fn base58(text: &[u8]) -> Option<[u8; ADDRESS]> {
    const NONE: u8 = 0xff;
    static VALUES: [u8; 256] = {
        let alphabet = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
        let mut values = [NONE; 256];
        let mut n = 0;
        while n < alphabet.len() {
            values[alphabet[n] as usize] = n as u8;
            n += 1;
        }
        values
    };
    // Ten digits fit in 64 bits: so many are taken at a time, and the number has few parts.
    let mut limbs = [0u64; 4];
    for digits in text.chunks(10) {
        let (mut value, mut power) = (0u64, 1u64);
        for digit in digits {
            let digit = VALUES[usize::from(*digit)];
            if digit == NONE {
                return None;
            }
            value = value * 58 + u64::from(digit);
            power *= 58;
        }
        let mut carry = u128::from(value);
        for limb in &mut limbs {
            let product = u128::from(*limb) * u128::from(power) + carry;
            *limb = product as u64;
            carry = product >> 64;
        }
        if carry != 0 {
            return None;
        }
    }
    let mut bytes = [0; 32];
    for (part, limb) in bytes.rchunks_exact_mut(8).zip(limbs) {
        part.copy_from_slice(&limb.to_be_bytes());
    }
    // Each 1 in front stands for a zero byte.
    let ones = text.iter().take_while(|b| **b == b'1').count();
    let (above, bytes) = bytes.split_last_chunk::<ADDRESS>()?;
    let zeros = bytes.iter().take_while(|b| **b == 0).count();
    (above.iter().all(|b| *b == 0) && zeros == ones).then_some(*bytes)
}

fn segwit(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| bech32::segwit::decode(text).is_ok())
}

/// EIP-55: the case of a letter is a bit of the hash of the lower-case address. An address in one
/// case has no checksum.
fn ethereum(digits: &[u8]) -> bool {
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return false;
    }
    let lower = digits.to_ascii_lowercase();
    let upper = digits.iter().any(u8::is_ascii_uppercase);
    if !upper || !digits.iter().any(u8::is_ascii_lowercase) {
        let first = lower[0];
        return lower.iter().any(|b| *b != first);
    }
    let hash = Keccak256::digest(&lower);
    digits.iter().enumerate().all(|(n, byte)| {
        let nibble = hash[n / 2] >> (4 * (1 - n % 2)) & 0xf;
        byte.is_ascii_digit() || byte.is_ascii_uppercase() == (nibble >= 8)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn checksums_take_the_published_examples_and_no_neighbour() {
        assert!(base58_check(b"1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"));
        assert!(base58_check(b"3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy"));
        assert!(!base58_check(b"1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb"));
        assert!(segwit(b"bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq"));
        assert!(!segwit(b"bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdp"));
        assert!(ethereum(b"5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"));
        assert!(!ethereum(b"5AAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"));
        assert!(ethereum(b"de0b295669a9fd93d5f28d9ec85e40f4cb697bae"));
        assert!(!ethereum(b"0000000000000000000000000000000000000000"));
    }

    proptest! {
        #[test]
        fn base58_is_that_of_the_crate(text in "1{0,3}[1-9A-HJ-NP-Za-km-z]{0,36}|[3-9].{0,34}") {
            let theirs = bs58::decode(&text).into_vec().ok();
            let theirs = theirs.and_then(|bytes| <[u8; ADDRESS]>::try_from(bytes).ok());
            prop_assert_eq!(base58(text.as_bytes()), theirs);
        }

        #[test]
        fn base58_of_an_address_is_decoded(bytes in any::<[u8; ADDRESS]>(), zeros in 0..3usize) {
            let mut bytes = bytes;
            bytes[..zeros].fill(0);
            let text = bs58::encode(&bytes).into_string();
            prop_assert_eq!(base58(text.as_bytes()), Some(bytes));
        }
    }
}
