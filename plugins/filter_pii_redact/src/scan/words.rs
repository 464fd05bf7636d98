//! Many words at once: the keywords of a file of rules.

use super::{Gate, Trigrams, WINDOW};

/// Words that are looked for all at once, in whatever case, wherever they begin.
#[derive(Debug)]
pub(crate) struct Words {
    gate: Gate,
    /// The first three bytes of each.
    starts: Trigrams,
    /// The words in small letters with their numbers, those of one [`Words::slot`] behind each other.
    words: Vec<(Box<[u8]>, usize)>,
    /// The first of `words` in each slot or behind it; those of one byte are in the last one.
    first: Vec<u16>,
}

impl Words {
    /// Bits of a hash of three bytes.
    const HASH: u32 = 12;
    /// The slot of words that are too short to have one.
    const SHORT: usize = 1 << Self::HASH;

    /// The words in the order of their numbers. `None`: there are too many.
    pub(crate) fn new<'a>(words: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let mut words: Vec<(Box<[u8]>, usize)> = words
            .enumerate()
            .map(|(number, word)| (word.to_ascii_lowercase().into_boxed_slice(), number))
            .collect();
        let last = u16::try_from(words.len()).ok()?;
        words.sort_by_key(|(word, _)| Self::slot(word));
        let mut first = vec![last; Self::SHORT + 2];
        for (n, (word, _)) in (0..last).zip(&words).rev() {
            first[Self::slot(word)] = n;
        }
        for slot in (0..=Self::SHORT).rev() {
            first[slot] = first[slot].min(first[slot + 1]);
        }
        let start = |word: &[u8]| {
            let byte = |n: usize| word.get(n).copied().unwrap_or(0);
            [byte(0), byte(1), byte(2)]
        };
        Some(Words {
            gate: Gate::new(),
            starts: Trigrams::of(words.iter().map(|(word, _)| start(word))),
            words,
            first,
        })
    }

    /// The slot of a word.
    fn slot(word: &[u8]) -> usize {
        match *word {
            [a, b, c, ..] => Self::hash([a, b, c]),
            [a, b] => Self::hash([a, b, 0]),
            _ => Self::SHORT,
        }
    }

    #[inline(always)]
    fn hash([a, b, c]: [u8; 3]) -> usize {
        let bytes = u32::from_le_bytes([a, b, c, 0]) | 0x0020_2020;
        (bytes.wrapping_mul(0x9e37_79b1) >> (32 - Self::HASH)) as usize
    }

    /// Calls `visit` with the number of every word in `text`, as often as it is there, until that says
    /// `false`.
    pub(crate) fn each(&self, text: &[u8], mut visit: impl FnMut(usize) -> bool) {
        let mut at = 0;
        while at < text.len() {
            let mut starts = self.gate.trigrams(text, at, &self.starts);
            while starts != 0 {
                let rest = &text[at + starts.trailing_zeros() as usize..];
                starts &= starts - 1;
                let byte = |n: usize| rest.get(n).copied().unwrap_or(0);
                let slots = [
                    Self::hash([byte(0), byte(1), byte(2)]),
                    Self::hash([byte(0), byte(1), 0]),
                    Self::SHORT,
                ];
                for slot in slots {
                    let from = usize::from(self.first[slot]);
                    let to = usize::from(self.first[slot + 1]);
                    for (word, number) in &self.words[from..to] {
                        let start = rest.get(..word.len());
                        if start.is_some_and(|start| start.eq_ignore_ascii_case(word))
                            && !visit(*number)
                        {
                            return;
                        }
                    }
                }
            }
            at += WINDOW;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn words_are_found_wherever_they_are(
            words in prop::collection::vec("[a-cK_~\u{e9}.]{1,5}", 1..12),
            text in "([a-ck_~\u{e9}.A-C]{0,9}[ -~]{0,3}){0,40}",
        ) {
            let lower = text.to_ascii_lowercase();
            let expected: Vec<bool> =
                words.iter().map(|word| lower.contains(&word.to_ascii_lowercase())).collect();
            for gate in [Gate::new(), Gate::portable()] {
                let mut all = Words::new(words.iter().map(String::as_bytes)).unwrap();
                all.gate = gate;
                let mut found = vec![false; words.len()];
                all.each(text.as_bytes(), |number| {
                    found[number] = true;
                    true
                });
                prop_assert_eq!(&found, &expected);
            }
        }
    }
}
