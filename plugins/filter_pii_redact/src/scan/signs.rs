//! What rules of the user begin with, told a window at a time.
//!
//! Of a hundred words there is always one whose first letters look like those of another, so words alone
//! cost too much. But nearly every rule is about one of two things: a value behind a sign (`name = value`),
//! in front of which the name is, or a token that begins with the word. Both have a long run of the bytes
//! that keys are made of, which are maps of bits; words are looked for only there. The few others
//! are looked for everywhere.

use super::vector::Vector;
use super::{load_from, quads_in, Gate, Quads, QUADS};

/// Bytes of a window whose signs are told at a time: the rest of it is what is behind them.
pub(crate) const STEP: usize = 48;
/// Shortest value behind a sign.
pub(crate) const VALUE: usize = 10;
/// Most bytes between the sign and the value.
pub(crate) const GAP: usize = 5;
/// Shortest token, with the word that it begins with.
pub(crate) const TOKEN: usize = 16;

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
#[derive(Clone, Copy, Debug)]
pub(crate) struct SignTables<'a> {
    /// Signs with a value behind them.
    pub(crate) values: bool,
    /// The words of tokens.
    pub(crate) tokens: Option<&'a Quads>,
    /// Words that may be anywhere.
    pub(crate) words: Option<&'a Quads>,
}

/// Bits of a window, the first [`STEP`] of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Signs {
    /// Where it begins.
    pub(crate) at: usize,
    /// Signs with a value behind them.
    pub(crate) values: u64,
    /// Where a token with one of the words may begin.
    pub(crate) tokens: u64,
    /// Where one of the other words may begin.
    pub(crate) words: u64,
}

/// Windows that are looked at before what is in them is asked for.
const WINDOWS: usize = 16;

/// Windows of a text in which there is something.
#[derive(Debug, Default)]
pub(crate) struct SignWindows {
    windows: [Signs; WINDOWS],
    len: usize,
    /// The next of them.
    next: usize,
    /// Where the text was not looked at yet.
    at: usize,
}

impl SignWindows {
    /// Goes to a place of another text.
    pub(crate) fn start(&mut self, at: usize) {
        (self.len, self.next, self.at) = (0, 0, at);
    }

    /// The next window.
    #[inline]
    pub(crate) fn next(
        &mut self,
        gate: Gate,
        text: &[u8],
        tables: SignTables<'_>,
    ) -> Option<Signs> {
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
pub(super) fn signs<V: Vector>(v: V, text: &[u8], tables: SignTables<'_>, all: &mut SignWindows) {
    let SignWindows {
        windows, len, at, ..
    } = all;
    let mut windows = windows.iter_mut();
    let mut place = windows.next();
    while let (Some(window), true) = (place.as_deref_mut(), *at < text.len()) {
        let rest = &text[*at..];
        let found = match rest.first_chunk() {
            Some(bytes) => signs_in(v, bytes, (1 << STEP) - 1, tables),
            None => {
                let mut bytes = [0; QUADS];
                bytes[..rest.len()].copy_from_slice(rest);
                signs_in(v, &bytes, (1 << rest.len().min(STEP)) - 1, tables)
            }
        };
        if found.values | found.tokens | found.words != 0 {
            *window = Signs { at: *at, ..found };
            *len += 1;
            place = windows.next();
        }
        *at += STEP;
    }
}

#[inline(always)]
fn signs_in<V: Vector>(v: V, window: &[u8; QUADS], fresh: u64, tables: SignTables<'_>) -> Signs {
    let classes = v.classes(CLASSES, load_from(v, window, 0), [VALUES, SIGNS, GAPS]);
    let [value, sign, gap] = classes.map(|mask| v.bits(mask));
    // Behind each of these bits are so many others.
    let two = value & value >> 1;
    let four = two & two >> 2;
    let eight = four & four >> 4;
    let token = eight & eight >> (TOKEN - 8) & fresh;
    let mut found = Signs::default();
    if tables.values {
        let mut reach = eight & two >> (VALUE - 2);
        for _ in 0..GAP {
            reach |= gap & reach >> 1;
        }
        found.values = sign & reach >> 1 & fresh;
    }
    // First what is always looked for: the other table finds the halves of the bytes in registers.
    if let Some(table) = tables.words {
        found.words = quads_in(v, window, table) & fresh;
    }
    if let Some(table) = tables.tokens.filter(|_| token != 0) {
        found.tokens = quads_in(v, window, table) & token;
    }
    found
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
            let every = Quads::of_halves([[[u16::MAX; 2]; 4]].into_iter());
            let tables = SignTables { values: true, tokens: Some(&every), words: None };
            for gate in Gate::every() {
                let mut windows = SignWindows::default();
                let mut all = std::iter::from_fn(|| windows.next(gate, text, tables)).peekable();
                for at in (0..text.len()).step_by(STEP) {
                    let found = all.next_if(|found| found.at == at).unwrap_or_default();
                    for n in 0..STEP.min(text.len() - at) {
                        let at = at + n;
                        let value = is_sign(text[at]) && (0..=GAP).any(|gap| {
                            text.len() > at + gap
                                && text[at + 1..=at + gap].iter().copied().all(is_gap)
                                && runs(text, at + 1 + gap, VALUE)
                        });
                        prop_assert_eq!(found.values >> n & 1 != 0, value, "{} in {:?}", at, text);
                        prop_assert_eq!(found.tokens >> n & 1 != 0, runs(text, at, TOKEN));
                    }
                    prop_assert!(found.values >> STEP == 0 && found.tokens >> STEP == 0);
                }
                prop_assert_eq!(all.next(), None);
            }
        }
    }
}
