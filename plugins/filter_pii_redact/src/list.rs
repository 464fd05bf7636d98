//! Lists of words. Most that are asked for are in none of them, which their length and three of their letters
//! tell.

/// Bits of a hash.
pub(crate) const HASH: usize = 11;

/// A number for the length and the first, the middle and the last letter of a word, in whatever case
/// (Knuth's multiplicative hash).
pub(crate) const fn hash(word: &[u8]) -> usize {
    let (first, last) = (word[0] as u32 & 31, word[word.len() - 1] as u32 & 31);
    let middle = word[word.len() / 2] as u32 & 31;
    let all = first << 17 | middle << 12 | last << 7 | word.len() as u32 & 127;
    (all.wrapping_mul(0x9e37_79b1) >> (32 - HASH)) as usize
}

/// Words with blanks between.
pub(crate) struct List {
    words: &'static str,
    /// A bit for what each of them hashes to.
    bits: [u64; 8],
}

impl List {
    /// The bit of a hash: fewer are enough.
    const fn bit(word: &[u8]) -> usize {
        hash(word) >> (HASH - 9)
    }

    pub(crate) const fn new(words: &'static str) -> Self {
        let mut bits = [0; 8];
        let mut rest = words.as_bytes();
        while !rest.is_empty() {
            let mut len = 0;
            while len < rest.len() && rest[len] != b' ' {
                len += 1;
            }
            let (word, more) = rest.split_at(len);
            if len > 0 {
                let bit = Self::bit(word);
                bits[bit / 64] |= 1 << (bit % 64);
            }
            rest = if more.is_empty() {
                more
            } else {
                more.split_at(1).1
            };
        }
        List { words, bits }
    }

    /// Whether `word` is one of them, in whatever case.
    #[inline]
    pub(crate) fn has(&self, word: &[u8]) -> bool {
        if word.is_empty() {
            return false;
        }
        let bit = Self::bit(word);
        self.bits[bit / 64] >> (bit % 64) & 1 != 0 && self.find(word)
    }

    #[inline(never)]
    fn find(&self, word: &[u8]) -> bool {
        let mut words = self.words.as_bytes().split(|b| *b == b' ');
        words.any(|other| other.eq_ignore_ascii_case(word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_its_words_in_whatever_case_and_no_others() {
        static LIST: List = List::new("can't não x  of");
        for word in ["can't", "CAN'T", "Não", "x", "OF"] {
            assert!(LIST.has(word.as_bytes()), "{word}");
        }
        for word in ["", " ", "can", "can't n", "o", "NÃO"] {
            assert!(!LIST.has(word.as_bytes()), "{word}");
        }
    }
}
