//! What rules of the user begin with, told a window at a time.
//!
//! Of a hundred words there is always one whose first letters look like those of another, so words alone
//! cost too much. But nearly every rule is about one of two things: a value behind a sign (`name = value`),
//! in front of which the name is, or a token that begins with the word. Both have a long run of the bytes
//! that keys are made of, which are maps of bits; words are looked for only there. The few others
//! are looked for everywhere.

use super::vector::Vector;
use super::{kinds_in, load_from, Gate, Kinds, QUADS, WINDOW};

/// Bytes of a window whose signs are told at a time: the rest of it is what is behind them.
pub(crate) const STEP: usize = 48;
/// Shortest value behind a sign.
pub(crate) const VALUE: usize = 8;
/// Most bytes between the sign and the value.
pub(crate) const GAP: usize = 6;
/// Shortest token, with the word that it begins with.
pub(crate) const TOKEN: usize = 16;

const _: () = assert!(VALUE == 8 && TOKEN <= 16);
const _: () = assert!(STEP + TOKEN <= super::WINDOW && STEP + GAP + VALUE < super::WINDOW);

/// Whether keys are made of it. With some that they are not: what is told by two shuffles costs least.
pub(crate) fn is_value(byte: u8) -> bool {
    class_of(byte) & VALUES != 0
}

/// Whether it stands behind the name of a value.
pub(crate) fn is_sign(byte: u8) -> bool {
    class_of(byte) & SIGNS != 0
}

/// Whether it may stand between a sign and the value.
pub(crate) fn is_gap(byte: u8) -> bool {
    class_of(byte) & GAPS != 0
}

/// Whether it is a letter, a digit or an underscore.
pub(crate) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Groups of bytes by their low and their high halves, a bit each: all bytes that have both are in a group.
const CLASSES: [[u8; 16]; 2] = {
    const GROUPS: [(&[u8], &[u8]); 8] = [
        // Letters, and what is between them.
        (
            &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
            &[4, 6],
        ),
        (&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 14, 15], &[5, 7]),
        // Digits and the equals sign.
        (&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 13], &[3]),
        // + - . /
        (&[11, 13, 14, 15], &[2]),
        // : = >
        (&[10, 13, 14], &[3]),
        // , |
        (&[12], &[2, 7]),
        // The blank, quotes and the backtick; b and g are so, too.
        (&[0, 2, 7], &[2, 6]),
        // Tabs and ends of lines.
        (&[9, 10, 11, 12, 13], &[0]),
    ];
    let mut halves = [[0; 16]; 2];
    let mut n = 0;
    while n < GROUPS.len() {
        let (low, high) = GROUPS[n];
        let mut at = 0;
        while at < 16 {
            if at < low.len() {
                halves[0][low[at] as usize] |= 1 << n;
            }
            if at < high.len() {
                halves[1][high[at] as usize] |= 1 << n;
            }
            at += 1;
        }
        n += 1;
    }
    halves
};
/// The groups of each class.
const VALUES: u8 = 0x0f;
const SIGNS: u8 = 0x30;
const GAPS: u8 = 0xf0;

fn class_of(byte: u8) -> u8 {
    CLASSES[0][usize::from(byte & 15)] & CLASSES[1][usize::from(byte >> 4)]
}

/// What is looked for.
#[derive(Clone, Debug)]
pub(crate) struct SignTables {
    /// Names in front of a sign with a value behind it.
    pub(crate) names: Kinds<1>,
    /// The words of tokens that are behind no other word, and of those behind anything.
    pub(crate) tokens: Kinds<2>,
    /// Words that may be anywhere.
    pub(crate) words: Kinds<1>,
}

/// Bits of a window, the first [`STEP`] of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Signs {
    /// Where it begins.
    pub(crate) at: usize,
    /// Signs with a value behind them, and what may be a name in front.
    pub(crate) values: u64,
    /// Where a token with one of the words may begin, behind no other word.
    pub(crate) tokens: u64,
    /// The same behind anything.
    pub(crate) runs: u64,
    /// Where one of the other words may begin.
    pub(crate) words: u64,
}

/// Windows that are looked at before what is in them is asked for.
const WINDOWS: usize = 16;

impl Signs {
    /// Where there is anything.
    #[inline(always)]
    pub(crate) fn all(&self) -> u64 {
        self.values | self.tokens | self.runs | self.words
    }
}

/// What is in front of a window, a bit each as if its bytes were behind the last ones of the window before.
#[derive(Clone, Copy, Debug, Default)]
struct Before {
    /// Letters, digits and underscores.
    word: u64,
    /// What is no ASCII.
    high: u64,
}

impl Before {
    /// Where no word is in front, in a window with these bytes. A string in a batch has a header of one to
    /// five bytes, the last of which may look like a letter: behind what may be one, a word may begin as well.
    #[inline(always)]
    fn next(&mut self, word: u64, high: u64) -> u64 {
        let before = |bits: u64, last: u64, by: usize| bits << by | last >> (STEP - by);
        let is_behind = before(word, self.word, 1);
        let [two, three, five] = [2, 3, 5].map(|by| before(high, self.high, by));
        (self.word, self.high) = (word, high);
        !is_behind | two | three | five
    }
}

/// Windows of a text in which there is something.
#[derive(Debug, Default)]
pub(crate) struct SignWindows {
    windows: [Signs; WINDOWS],
    len: usize,
    /// The next of them.
    next: usize,
    /// Where the text was not looked at yet.
    at: usize,
    before: Before,
}

impl SignWindows {
    /// Goes to a place of another text.
    pub(crate) fn start(&mut self, at: usize) {
        (self.len, self.next, self.at) = (0, 0, at);
        self.before = Before::default();
    }

    /// The next window.
    #[inline]
    pub(crate) fn next(&mut self, gate: Gate, text: &[u8], tables: &SignTables) -> Option<Signs> {
        if self.next == self.len {
            (self.len, self.next) = (0, 0);
            gate.signs(text, tables, self);
        }
        let window = self.windows[..self.len].get(self.next).copied()?;
        self.next += 1;
        Some(window)
    }
}

/// Looks at the text until the windows are full.
#[inline(always)]
pub(super) fn signs<V: Vector>(v: V, text: &[u8], tables: &SignTables, all: &mut SignWindows) {
    let SignWindows {
        windows,
        len,
        at,
        before,
        ..
    } = all;
    let mut windows = windows.iter_mut();
    let mut place = windows.next();
    while let (Some(window), true) = (place.as_deref_mut(), *at < text.len()) {
        let rest = &text[*at..];
        let mut found = match rest.first_chunk() {
            Some(bytes) => signs_in(v, bytes, (1 << STEP) - 1, tables, before),
            None => {
                let mut bytes = [0; QUADS];
                bytes[..rest.len()].copy_from_slice(rest);
                signs_in(v, &bytes, (1 << rest.len().min(STEP)) - 1, tables, before)
            }
        };
        let mut left = found.values;
        while left != 0 {
            let sign = left & left.wrapping_neg();
            left ^= sign;
            if !is_behind_name(v, text, *at + sign.trailing_zeros() as usize, &tables.names) {
                found.values ^= sign;
            }
        }
        if found.all() != 0 {
            *window = Signs { at: *at, ..found };
            *len += 1;
            place = windows.next();
        }
        *at += STEP;
    }
}

#[inline(always)]
fn signs_in<V: Vector>(
    v: V,
    window: &[u8; QUADS],
    fresh: u64,
    tables: &SignTables,
    before: &mut Before,
) -> Signs {
    let bytes = load_from(v, window, 0);
    let classes = v.classes(CLASSES, bytes, [VALUES, SIGNS, GAPS]);
    let [value, sign, gap] = classes.map(|mask| v.bits(mask));
    // Behind each of these bits are so many others.
    let two = value & value >> 1;
    let four = two & two >> 2;
    let eight = four & four >> 4;
    let run = eight & eight >> (TOKEN - 8) & fresh;
    let mut found = Signs::default();
    if !tables.names.is_empty() {
        let mut reach = eight;
        for _ in 0..GAP {
            reach |= gap & reach >> 1;
        }
        found.values = sign & reach >> 1 & fresh;
    }
    let alnum = v.or(v.letters(bytes), v.within(bytes, b'0', b'9'));
    let word = v.bits(v.or(alnum, v.equal(bytes, b'_')));
    let begins = before.next(word, v.bits(v.high(bytes)));
    if run != 0 {
        let [tokens, runs] = kinds_in(v, window, &tables.tokens);
        found.tokens = tokens & run & begins;
        found.runs = runs & run;
    }
    let [words] = kinds_in(v, window, &tables.words);
    found.words = words & fresh;
    found
}

/// Whether there may be a name within a window in front of a sign.
#[inline(always)]
fn is_behind_name<V: Vector>(v: V, text: &[u8], sign: usize, names: &Kinds<1>) -> bool {
    let from = sign.saturating_sub(WINDOW - 1);
    let Some(window) = text[from..].first_chunk() else {
        return sign > 0;
    };
    let before = (1 << (sign - from)) - 1;
    let [found] = kinds_in(v, window, names);
    found & before != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn runs(text: &[u8], at: usize, len: usize) -> bool {
        text.get(at..at + len)
            .is_some_and(|run| run.iter().copied().all(is_value))
    }

    proptest! {
        #[test]
        fn signs_are_what_stands_in_front_of_values(
            text in "([a-z0-9_/~+.-]{0,18}[ -~\t\u{e9}]{0,2}[=:>|, \"'`]{0,7}){0,60}",
        ) {
            let text = text.as_bytes();
            let every = [[[u16::MAX; 2]; 4]];
            let tables = SignTables {
                names: Kinds::of_halves([&every]),
                tokens: Kinds::of_halves([&every, &every]),
                words: Kinds::of_halves([&[]]),
            };
            for gate in Gate::every() {
                let mut windows = SignWindows::default();
                let mut all = std::iter::from_fn(|| windows.next(gate, text, &tables)).peekable();
                for at in (0..text.len()).step_by(STEP) {
                    let found = all.next_if(|found| found.at == at).unwrap_or_default();
                    for n in 0..STEP.min(text.len() - at) {
                        let at = at + n;
                        let value = at > 0 && is_sign(text[at]) && (0..=GAP).any(|gap| {
                            text.len() > at + gap
                                && text[at + 1..=at + gap].iter().copied().all(is_gap)
                                && runs(text, at + 1 + gap, VALUE)
                        });
                        prop_assert_eq!(found.values >> n & 1 != 0, value, "{} in {:?}", at, text);
                        let run = runs(text, at, TOKEN);
                        prop_assert_eq!(found.runs >> n & 1 != 0, run);
                        let is_high = |by: usize| at >= by && !text[at - by].is_ascii();
                        let begins = at == 0
                            || !is_word(text[at - 1])
                            || [2, 3, 5].into_iter().any(is_high);
                        prop_assert_eq!(found.tokens >> n & 1 != 0, run && begins);
                    }
                    prop_assert!(found.all() >> STEP == 0);
                }
                prop_assert_eq!(all.next(), None);
            }
        }
    }
}
