//! The word of the lexicon that a name ends in.

use super::ends::{hash, may_end, three, Names, HASH};
use super::MAX_NAME;
use crate::lexicon::{Fit, Word, FRONTS, TAILS, WORDS};

/// The last eight letters of a word or tail as a number, the last one lowest; which bits of it count; and
/// which it is, tails behind words.
#[derive(Clone, Copy)]
struct Row {
    letters: u64,
    mask: u64,
    number: usize,
    /// How many bytes it has.
    len: usize,
}

impl Row {
    const fn is_long(self) -> bool {
        self.mask >> 40 != 0
    }
}

/// Bits of a hash that [`FIRST`] is asked with.
const SLOT: usize = 10;

/// The slot of a number's last three letters.
const fn slot(letters: u64) -> usize {
    let [third, second, first, ..] = letters.to_le_bytes();
    hash(three([first, second, third])) >> (HASH - SLOT)
}

/// Whether a row stands behind another one: by slot, then the shorter one, so that the first that fits is
/// the longest.
const fn comes_behind(one: Row, other: Row) -> bool {
    let (first, second) = (slot(one.letters), slot(other.letters));
    first > second || first == second && one.len < other.len
}

/// All words and tails, those of a slot behind each other.
static ROWS: [Row; WORDS.len() + TAILS.len()] = {
    let none = Row {
        letters: 0,
        mask: 0,
        number: 0,
        len: 0,
    };
    let mut rows = [none; WORDS.len() + TAILS.len()];
    let mut n = 0;
    while n < rows.len() {
        let text = if n < WORDS.len() {
            WORDS[n].text.as_bytes()
        } else {
            TAILS[n - WORDS.len()].as_bytes()
        };
        let mut row = Row {
            number: n,
            len: text.len(),
            ..none
        };
        let mut back = 0;
        while back < text.len() && back < 8 {
            row.letters |= (text[text.len() - 1 - back] as u64) << (8 * back);
            row.mask |= 0xff << (8 * back);
            back += 1;
        }
        let mut place = n;
        while place > 0 && comes_behind(rows[place - 1], row) {
            rows[place] = rows[place - 1];
            place -= 1;
        }
        rows[place] = row;
        n += 1;
    }
    rows
};

/// The first of [`ROWS`] in this slot or behind it.
static FIRST: [u16; (1 << SLOT) + 1] = {
    let mut first = [0; (1 << SLOT) + 1];
    let (mut n, mut place) = (0, 0);
    while place < first.len() {
        while n < ROWS.len() && slot(ROWS[n].letters) < place {
            n += 1;
        }
        first[place] = n as u16;
        place += 1;
    }
    first
};

/// Where the long rows of a slot end, those of more than five letters, and what the sixth and the seventh
/// letter of these may be, as bits of [`front_bit`].
static LONG: [(u16, u64); 1 << SLOT] = {
    let mut long = [(0, 0); 1 << SLOT];
    let mut place = 0;
    while place < long.len() {
        let (mut n, mut letters) = (FIRST[place] as usize, 0);
        while n < FIRST[place + 1] as usize && ROWS[n].is_long() {
            letters |= if ROWS[n].mask >> 48 == 0 {
                u64::MAX
            } else {
                front_bit(ROWS[n].letters)
            };
            n += 1;
        }
        long[place] = (n as u16, letters);
        place += 1;
    }
    long
};

/// How many words and tails have two letters.
const SHORT_WORDS: usize = {
    let (mut count, mut n) = (0, 0);
    while n < ROWS.len() {
        count += (ROWS[n].len == 2) as usize;
        n += 1;
    }
    count
};

/// The letters of these.
const SHORT: [u16; SHORT_WORDS] = {
    let mut short = [0; SHORT_WORDS];
    let (mut count, mut n) = (0, 0);
    while n < ROWS.len() {
        if ROWS[n].len == 2 {
            short[count] = ROWS[n].letters as u16;
            count += 1;
        }
        n += 1;
    }
    short
};

/// A bit for the sixth and the seventh letter from the end.
const fn front_bit(letters: u64) -> u64 {
    1 << ((letters >> 40 ^ letters >> 47) & 63)
}

/// The bytes of words in small letters; 0 for what stands between words.
static LETTERS: [u8; 256] = {
    let mut letters = [0; 256];
    let mut byte = 0;
    while byte < letters.len() {
        let letter = (byte as u8).to_ascii_lowercase();
        if letter.is_ascii_alphanumeric() || letter >= 0x80 {
            letters[byte] = letter;
        }
        byte += 1;
    }
    letters
};

/// A name, read from its end without what stands between its words, and without a copy of it.
#[derive(Clone, Copy)]
struct Words<'a>(&'a [u8]);

impl<'a> Words<'a> {
    /// The bytes of its words from the last to the first, in small letters, and where they are.
    fn letters(self) -> impl Iterator<Item = (usize, u8)> + use<'a> {
        let bytes = self.0.iter().enumerate().rev();
        let letters = bytes.map(|(at, byte)| (at, LETTERS[usize::from(*byte)]));
        letters.filter(|(_, letter)| *letter != 0)
    }

    /// Where the letters of `text` begin that it ends in.
    fn front_of(self, text: &str) -> Option<usize> {
        // Most are written in one.
        if let Some(first) = self.0.len().checked_sub(text.len()) {
            if self.0[first..].eq_ignore_ascii_case(text.as_bytes()) {
                return Some(first);
            }
        }
        let mut letters = self.letters();
        let mut first = None;
        for byte in text.bytes().rev() {
            let (at, letter) = letters.next()?;
            if letter != byte {
                return None;
            }
            first = Some(at);
        }
        first
    }

    /// Whether the letter at `at` starts a word: `dbPassword`, `DBPassword`.
    fn is_start(self, at: usize) -> bool {
        let byte = self.0[at];
        let before = at.checked_sub(1).map_or(0, |n| self.0[n]);
        let next = self.0.get(at + 1).is_some_and(u8::is_ascii_lowercase);
        let hump = byte.is_ascii_uppercase()
            && (before.is_ascii_lowercase() || before.is_ascii_uppercase() && next);
        hump || !(before.is_ascii_alphabetic() || before >= 0x80) || byte.is_ascii_digit()
    }

    /// What is in front of `at`.
    fn before(self, at: usize) -> Self {
        Words(&self.0[..at])
    }

    fn is_empty(self) -> bool {
        self.letters().next().is_none()
    }

    fn fits(self, word: &Word) -> bool {
        let Some(first) = self.front_of(word.text) else {
            return false;
        };
        match word.fit {
            Fit::Any => true,
            Fit::Whole => self.before(first).is_empty(),
            Fit::Part => self.is_start(first),
            Fit::Behind => self.is_start(first) && !self.before(first).is_empty(),
            Fit::Glued => self.is_start(first) || self.is_glued(first),
        }
    }

    /// Whether the part of a word in front of `first` is one that others are glued to.
    fn is_glued(self, first: usize) -> bool {
        let mut front = [0; MAX_FRONT];
        let mut from = MAX_FRONT;
        for (at, letter) in self.before(first).letters() {
            let Some(next) = from.checked_sub(1) else {
                return false;
            };
            from = next;
            front[from] = letter;
            if self.is_start(at) {
                break;
            }
        }
        let front = &front[from..];
        !front.is_empty()
            && IS_FRONT[slot_of_front(front)]
            && FRONTS.iter().any(|f| f.as_bytes() == front)
    }

    /// Its last eight letters as a number, the last one lowest.
    fn end(self) -> u64 {
        let (mut number, mut shift) = (0, 0);
        for byte in self.0.iter().rev() {
            let letter = LETTERS[usize::from(*byte)];
            if letter != 0 {
                number |= u64::from(letter) << shift;
                shift += 8;
                if shift == u64::BITS {
                    break;
                }
            }
        }
        number
    }

    /// The longest word that it ends in; else what is left of it without its tail, if it has one.
    fn last(self) -> Result<&'static Word, Option<Self>> {
        let end = self.end();
        let mut tail = None;
        // A word of two letters has any byte in front.
        let short = (end & 0xffff) as u16;
        let ends = match SHORT.contains(&short) {
            true => &[end, end & 0xffff][..],
            false => &[end],
        };
        for slot in ends.iter().map(|end| slot(*end)) {
            let (short, letters) = LONG[slot];
            // Most words are the tails of many longer ones.
            let first = match letters & front_bit(end) {
                0 => short,
                _ => FIRST[slot],
            };
            for row in &ROWS[usize::from(first)..usize::from(FIRST[slot + 1])] {
                if end & row.mask != row.letters {
                    continue;
                }
                if let Some(word) = WORDS.get(row.number) {
                    if self.fits(word) {
                        return Ok(word);
                    }
                } else if let Some(text) = TAILS.get(row.number - WORDS.len()) {
                    tail = tail.or(self.front_of(text).filter(|at| self.is_start(*at)));
                }
            }
        }
        if (end as u8).is_ascii_digit() {
            let digits = self.letters().take_while(|(_, b)| b.is_ascii_digit());
            tail = digits.last().map(|(at, _)| at);
        }
        Err(tail
            .map(|at| self.before(at))
            .filter(|name| !name.is_empty()))
    }
}

/// Longest name with all that stands between its words.
const LONGEST: usize = 4 * MAX_NAME;

/// The longest of [`FRONTS`].
const MAX_FRONT: usize = {
    let (mut most, mut n) = (0, 0);
    while n < FRONTS.len() {
        if FRONTS[n].len() > most {
            most = FRONTS[n].len();
        }
        n += 1;
    }
    most
};

/// A number below 1024 for what may be glued to a word.
const fn slot_of_front(front: &[u8]) -> usize {
    let (first, last) = (front[0] as usize, front[front.len() - 1] as usize);
    (first & 31) << 5 ^ (last & 31) ^ front.len() << 3 & 0x3ff
}

/// Whether one of [`FRONTS`] has such a number.
static IS_FRONT: [bool; 1024] = {
    let mut is_front = [false; 1024];
    let mut n = 0;
    while n < FRONTS.len() {
        is_front[slot_of_front(FRONTS[n].as_bytes())] = true;
        n += 1;
    }
    is_front
};

/// The word of the lexicon that a name ends in.
pub(super) fn word_of_name(name: &[u8]) -> Option<&'static Word> {
    if !may_end(name, Names::All) {
        return None;
    }
    let mut words = Words(name);
    // A longer one is not read to its end for each number beside it.
    if name.len() > MAX_NAME && (name.len() > LONGEST || words.letters().count() > MAX_NAME) {
        return None;
    }
    for _ in 0..4 {
        match words.last() {
            Ok(word) => return Some(word),
            Err(rest) => words = rest?,
        }
    }
    None
}
