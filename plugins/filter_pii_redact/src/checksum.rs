//! Check digits, as pure functions over digits (`0..=9`, not ASCII).

use std::sync::LazyLock;

/// Luhn: ISO/IEC 7812-1, annex B.
pub(crate) fn luhn(digits: &[u8]) -> bool {
    luhn_sum(digits) % 10 == 0
}

/// Sum of the Luhn algorithm; a prefix can be taken into account by adding its own sum.
pub(crate) fn luhn_sum(digits: &[u8]) -> u32 {
    /// The sum of the digits of twice a digit.
    const DOUBLED: [u8; 16] = [0, 2, 4, 6, 8, 1, 3, 5, 7, 9, 0, 0, 0, 0, 0, 0];
    let doubled = |digit: u8| u32::from(DOUBLED[usize::from(digit & 15)]);
    let pairs = digits.rchunks_exact(2);
    let first = pairs.remainder().iter().map(|digit| u32::from(*digit));
    pairs
        .map(|pair| doubled(pair[0]) + u32::from(pair[1]))
        .chain(first)
        .sum()
}

/// Verhoeff, "Error Detecting Decimal Codes" (1969): the dihedral group D5.
pub(crate) fn verhoeff(digits: &[u8]) -> bool {
    const MULTIPLY: [[u8; 10]; 10] = [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        [1, 2, 3, 4, 0, 6, 7, 8, 9, 5],
        [2, 3, 4, 0, 1, 7, 8, 9, 5, 6],
        [3, 4, 0, 1, 2, 8, 9, 5, 6, 7],
        [4, 0, 1, 2, 3, 9, 5, 6, 7, 8],
        [5, 9, 8, 7, 6, 0, 4, 3, 2, 1],
        [6, 5, 9, 8, 7, 1, 0, 4, 3, 2],
        [7, 6, 5, 9, 8, 2, 1, 0, 4, 3],
        [8, 7, 6, 5, 9, 3, 2, 1, 0, 4],
        [9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
    ];
    const PERMUTE: [[u8; 10]; 8] = [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        [1, 5, 7, 6, 2, 8, 3, 0, 9, 4],
        [5, 8, 0, 3, 7, 9, 6, 1, 4, 2],
        [8, 9, 1, 6, 0, 4, 3, 5, 2, 7],
        [9, 4, 5, 3, 1, 2, 6, 8, 7, 0],
        [4, 2, 8, 6, 5, 7, 3, 9, 0, 1],
        [2, 7, 9, 3, 8, 0, 6, 4, 1, 5],
        [7, 0, 4, 6, 9, 1, 3, 2, 5, 8],
    ];
    let check = digits
        .iter()
        .rev()
        .enumerate()
        .fold(0u8, |state, (index, digit)| {
            let permuted = PERMUTE[index % 8][usize::from(*digit % 10)];
            MULTIPLY[usize::from(state)][usize::from(permuted)]
        });
    check == 0
}

/// Hybrid system of ISO/IEC 7064, MOD 11,10, over all digits but the last, which is the check digit.
pub(crate) fn iso7064_mod_11_10(digits: &[u8]) -> bool {
    let Some((check, body)) = digits.split_last() else {
        return false;
    };
    let product = body.iter().fold(10u32, |product, digit| {
        let sum = match (u32::from(*digit) + product) % 10 {
            0 => 10,
            sum => sum,
        };
        sum * 2 % 11
    });
    (11 - product) % 10 == u32::from(*check)
}

/// Sum of the products of digits and weights.
pub(crate) fn weighted(digits: &[u8], weights: &[u32]) -> u32 {
    digits
        .iter()
        .zip(weights)
        .map(|(digit, weight)| u32::from(*digit) * weight)
        .sum()
}

/// The number as an integer; 19 digits fit.
pub(crate) fn number(digits: &[u8]) -> u64 {
    digits.iter().fold(0u64, |n, digit| {
        n.wrapping_mul(10).wrapping_add(u64::from(*digit))
    })
}

/// Shannon entropy of the bytes, in bits a byte.
pub(crate) fn entropy(text: &[u8]) -> f32 {
    /// `n * log2(n)` for the counts that short texts have.
    static WEIGHTS: LazyLock<[f64; 64]> = LazyLock::new(|| std::array::from_fn(weight));
    fn weight(count: usize) -> f64 {
        match count {
            0 => 0.0,
            _ => count as f64 * (count as f64).log2(),
        }
    }
    if text.is_empty() {
        return 0.0;
    }
    let weights = &*WEIGHTS;
    let of = |count: usize| weights.get(count).copied().unwrap_or_else(|| weight(count));
    let mut counts = [0u32; 256];
    let mut sum = 0.0;
    if text.len() > weights.len() {
        // Of a long text, each byte once.
        text.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
        // Most bytes are in none.
        let counts = counts.iter().filter(|count| **count > 0);
        sum = counts.map(|count| of(*count as usize)).sum();
    } else {
        for byte in text {
            let count = &mut counts[usize::from(*byte)];
            let before = *count as usize;
            *count += 1;
            sum += of(before + 1) - of(before);
        }
    }
    let total = text.len() as f64;
    ((total.log2() - sum / total) as f32).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digits(text: &str) -> Vec<u8> {
        text.bytes().map(|b| b - b'0').collect()
    }

    #[test]
    fn published_examples() {
        assert!(luhn(&digits("79927398713")));
        assert!(!luhn(&digits("79927398710")));
        assert!(verhoeff(&digits("2363")));
        assert!(!verhoeff(&digits("2364")));
        assert!(iso7064_mod_11_10(&digits("86095742719")));
        assert!(!iso7064_mod_11_10(&digits("86095742718")));
        assert_eq!(number(&digits("123")), 123);
        assert_eq!(weighted(&digits("12"), &[3, 7]), 17);
    }

    #[test]
    fn entropy_of_uniform_text_is_the_logarithm_of_its_alphabet() {
        assert_eq!(entropy(b""), 0.0);
        assert_eq!(entropy(b"aaaa"), 0.0);
        assert!((entropy(b"abcd") - 2.0).abs() < 1e-6);
    }
}
