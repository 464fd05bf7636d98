//! Many words at once: the prefixes of tokens, the keywords of a file of rules.

use std::ops::Range;

use super::vector::CASE;
use super::{Gate, Quads, WINDOW};

/// Whether capitals and small letters are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    Any,
    Same,
}

/// Where the search goes on behind a word that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// With what else begins there.
    Here,
    /// From this byte on.
    From(usize),
    Nowhere,
}

/// One of the words.
#[derive(Debug)]
struct Word {
    text: Box<[u8]>,
    number: usize,
    /// Its first eight bytes as a number, and the bits that count: of a letter in whatever case, all but
    /// that of small letters.
    start: u64,
    mask: u64,
}

impl Word {
    fn new(text: &[u8], number: usize, case: Case) -> Self {
        let text = match case {
            Case::Any => text.to_ascii_lowercase(),
            Case::Same => text.to_vec(),
        };
        let (mut start, mut mask) = ([0; 8], [0; 8]);
        for (n, byte) in text.iter().take(8).enumerate() {
            let any = case == Case::Any && byte.is_ascii_alphabetic();
            mask[n] = if any { !CASE } else { 0xff };
            start[n] = byte & mask[n];
        }
        Word {
            start: u64::from_le_bytes(start),
            mask: u64::from_le_bytes(mask),
            text: text.into(),
            number,
        }
    }

    /// Whether a text begins with it, of which the first eight bytes are `start`.
    #[inline(always)]
    fn begins(&self, start: u64, rest: &[u8], case: Case) -> bool {
        if start & self.mask != self.start || rest.len() < self.text.len() {
            return false;
        }
        let (rest, word) = (&rest[..self.text.len()], &*self.text);
        word.len() <= 8
            || match case {
                Case::Any => rest.eq_ignore_ascii_case(word),
                Case::Same => rest == word,
            }
    }
}

/// Tells by four bytes that no word begins with them: most of what the gate lets pass.
#[derive(Debug)]
struct Glance {
    /// The bits that count as set, so that capitals are small letters.
    any: u32,
    /// A bit for what the first four bytes of a word hash to, or as many as it has; by their number.
    has: [Option<Box<[u64; Self::BITS]>>; 3],
}

impl Glance {
    /// Bits of a hash of four bytes.
    const HASH: u32 = 14;
    const BITS: usize = 1 << (Self::HASH - 6);

    fn new(words: &[Word], case: Case) -> Self {
        let any = match case {
            Case::Any => 0x2020_2020,
            Case::Same => 0,
        };
        let mut glance = Glance {
            any,
            has: [const { None }; 3],
        };
        for text in words.iter().map(|word| &*word.text) {
            let missing = 4 - text.len().min(4);
            // One of one byte is looked for everywhere.
            if missing > 2 {
                continue;
            }
            let mut first = [0; 4];
            first[..4 - missing].copy_from_slice(&text[..4 - missing]);
            let bit = Self::hash(glance.bytes(first, missing));
            let table = glance.has[missing].get_or_insert_with(|| Box::new([0; Self::BITS]));
            table[bit / 64] |= 1 << (bit % 64);
        }
        glance
    }

    /// The bytes as a number, without so many of the last ones.
    #[inline(always)]
    fn bytes(&self, first: [u8; 4], missing: usize) -> u32 {
        (u32::from_le_bytes(first) | self.any) & u32::MAX >> (8 * missing)
    }

    #[inline(always)]
    fn hash(bytes: u32) -> usize {
        (bytes.wrapping_mul(0x9e37_79b1) >> (32 - Self::HASH)) as usize
    }

    /// Whether a word of two and more bytes may begin so.
    #[inline(always)]
    fn may_begin(&self, first: [u8; 4]) -> bool {
        (0..self.has.len()).any(|missing| {
            let bit = Self::hash(self.bytes(first, missing));
            let table = self.has[missing].as_ref();
            table.is_some_and(|table| table[bit / 64] >> (bit % 64) & 1 != 0)
        })
    }
}

/// Words that are looked for all at once, wherever they begin.
#[derive(Debug)]
pub(crate) struct Words {
    gate: Gate,
    case: Case,
    glance: Glance,
    /// The first four bytes of each.
    starts: Quads,
    /// Those of one [`Words::slot`] behind each other.
    words: Vec<Word>,
    /// A bit for what the first three bytes of a word hash to, and for the first two of those that have no
    /// more.
    begins: [Box<[u64; Self::BITS]>; 2],
    /// Whether there are words of one byte.
    single: bool,
    /// The first of `words` in each slot or behind it; those of one byte are in the last one.
    first: Vec<u16>,
}

impl Words {
    /// Bits of a hash of three bytes.
    const HASH: u32 = 12;
    /// The slot of words that are too short to have one.
    const SHORT: usize = 1 << Self::HASH;
    /// Numbers that have a bit for each slot.
    const BITS: usize = Self::SHORT / 64;

    /// The words in the order of their numbers. `None`: there are too many.
    pub(crate) fn new<'a>(words: impl Iterator<Item = &'a [u8]>, case: Case) -> Option<Self> {
        let mut words: Vec<Word> = words
            .enumerate()
            .map(|(number, word)| Word::new(word, number, case))
            .collect();
        let last = u16::try_from(words.len()).ok()?;
        words.sort_by_key(|word| Self::slot(&word.text));
        let mut first = vec![last; Self::SHORT + 2];
        for (n, word) in (0..last).zip(&words).rev() {
            first[Self::slot(&word.text)] = n;
        }
        for slot in (0..=Self::SHORT).rev() {
            first[slot] = first[slot].min(first[slot + 1]);
        }
        let start = |word: &[u8]| {
            let byte = |n: usize| word.get(n).copied().unwrap_or(0);
            [byte(0), byte(1), byte(2)]
        };
        let mut begins = [(); 2].map(|()| Box::new([0; Self::BITS]));
        for Word { text, .. } in words.iter().filter(|word| word.text.len() > 1) {
            let bit = Self::exact(start(text), case);
            begins[usize::from(text.len() == 2)][bit / 64] |= 1 << (bit % 64);
        }
        Some(Words {
            gate: Gate::new(),
            case,
            starts: Quads::of(words.iter().map(|word| {
                let [a, b, c] = start(&word.text);
                [a, b, c, word.text.get(3).copied().unwrap_or(0)]
            })),
            begins,
            glance: Glance::new(&words, case),
            single: words.iter().any(|word| word.text.len() < 2),
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

    /// The same number, which only bytes in another case share if that does not matter.
    #[inline(always)]
    fn exact([a, b, c]: [u8; 3], case: Case) -> usize {
        let any = match case {
            Case::Any => 0x0020_2020,
            Case::Same => 0,
        };
        let bytes = u32::from_le_bytes([a, b, c, 0]) | any;
        (bytes.wrapping_mul(0x9e37_79b1) >> (32 - Self::HASH)) as usize
    }

    /// Calls `visit` with the place and the number of every word in `text`; those at one place in the
    /// order of their numbers, the ones of three and more bytes first. It says where to go on. Returns how
    /// many places were looked at more closely.
    #[inline]
    pub(crate) fn each(&self, text: &[u8], visit: impl FnMut(usize, usize) -> Next) -> usize {
        self.each_in(text, 0..text.len(), visit)
    }

    /// The same for those that begin in a part of the text.
    #[inline]
    pub(crate) fn each_in(
        &self,
        text: &[u8],
        part: Range<usize>,
        mut visit: impl FnMut(usize, usize) -> Next,
    ) -> usize {
        let (mut at, mut from) = (part.start, part.start);
        let mut places = 0;
        while at < part.end {
            let mut starts = self.gate.quads(text, at, &self.starts);
            if part.end - at < WINDOW {
                starts &= (1 << (part.end - at)) - 1;
            }
            while starts != 0 {
                let start = at + starts.trailing_zeros() as usize;
                starts &= starts - 1;
                if start < from {
                    continue;
                }
                places += 1;
                match self.at(text, start, &mut visit) {
                    Next::Here => {}
                    Next::From(next) => from = next,
                    Next::Nowhere => return places,
                }
            }
            // What is passed over is not looked at.
            at = (at + WINDOW).max(from);
        }
        places
    }

    /// Whether a word may begin with these bytes.
    #[inline(always)]
    pub(crate) fn may_begin(&self, first: [u8; 4]) -> bool {
        self.single | self.glance.may_begin(first)
    }

    /// Visits the words that begin at `start`.
    #[inline(always)]
    pub(crate) fn at(
        &self,
        text: &[u8],
        start: usize,
        mut visit: impl FnMut(usize, usize) -> Next,
    ) -> Next {
        let rest = &text[start..];
        let first = rest.first_chunk().copied();
        if !self.single && first.is_some_and(|first| !self.glance.may_begin(first)) {
            return Next::Here;
        }
        let bytes = match *rest {
            [a, b, c, ..] => [a, b, c],
            [a, b] => [a, b, 0],
            [a] => [a, 0, 0],
            [] => [0; 3],
        };
        let two = [bytes[0], bytes[1], 0];
        let has = |table: usize, bytes: [u8; 3]| {
            let bit = Self::exact(bytes, self.case);
            self.begins[table][bit / 64] >> (bit % 64) & 1 != 0
        };
        let (is_long, is_pair) = (has(0, bytes), has(1, two));
        if !(is_long || is_pair || self.single) {
            return Next::Here;
        }
        let (long, pair) = (Self::hash(bytes), Self::hash(two));
        let slots = [
            is_long.then_some(long),
            (is_pair && !(is_long && pair == long)).then_some(pair),
            self.single.then_some(Self::SHORT),
        ];
        let first = match rest.first_chunk::<8>() {
            Some(first) => u64::from_le_bytes(*first),
            None => rest.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b)),
        };
        for slot in slots.into_iter().flatten() {
            let words = usize::from(self.first[slot])..usize::from(self.first[slot + 1]);
            for word in &self.words[words] {
                if word.begins(first, rest, self.case) {
                    match visit(start, word.number) {
                        Next::Here => {}
                        next => return next,
                    }
                }
            }
        }
        Next::Here
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
            for case in [Case::Any, Case::Same] {
                let form = |text: &str| match case {
                    Case::Any => text.to_ascii_lowercase(),
                    Case::Same => text.to_owned(),
                };
                let places = |word: &String| -> Vec<usize> {
                    let (text, word) = (form(&text), form(word));
                    (0..text.len()).filter(|at| text.as_bytes()[*at..].starts_with(word.as_bytes())).collect()
                };
                let expected: Vec<Vec<usize>> = words.iter().map(places).collect();
                for gate in Gate::every() {
                    let mut all = Words::new(words.iter().map(String::as_bytes), case).unwrap();
                    all.gate = gate;
                    let mut found = vec![Vec::new(); words.len()];
                    all.each(text.as_bytes(), |start, number| {
                        found[number].push(start);
                        Next::Here
                    });
                    prop_assert_eq!(&found, &expected);
                }
            }
        }

        #[test]
        fn the_search_goes_on_where_it_is_told_to(text in "[ab]{0,300}", step in 1usize..150) {
            let words = Words::new([&b"ab"[..], b"b"].into_iter(), Case::Same).unwrap();
            let (mut found, mut expected) = (Vec::new(), Vec::new());
            words.each(text.as_bytes(), |start, number| {
                found.push((start, number));
                Next::From(start + step)
            });
            let mut at = 0;
            while let Some(n) = text.get(at..).and_then(|rest| rest.find('b').map(|b| at + b)) {
                let start = if n > at && text.as_bytes()[n - 1] == b'a' { n - 1 } else { n };
                expected.push((start, (n - start) ^ 1));
                at = start + step;
            }
            prop_assert_eq!(found, expected);
        }
    }
}
