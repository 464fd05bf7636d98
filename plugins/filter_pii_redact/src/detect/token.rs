//! Tokens with a fixed prefix: cloud keys, access tokens, JWT, private key blocks.

mod form;
mod hash;
mod rows;
mod vendor;

use std::cell::Cell;

use super::assignment::is_blanked;
use super::{Inspection, CANDIDATE};
use crate::budget::Budget;
use crate::catalog::Set;
use crate::scan::{Case, Next, Runs, Words, RUN, WINDOW};

use form::{is_alnum, is_word_or_hyphen, starts, Form, Part, Text};
pub(crate) use rows::{all as rows, Row};

/// Length of the shortest run that tokens have.
const SHORTEST: usize = 20;
/// How far in front of the gate's candidate a token may start.
const BEFORE: usize = 160;
/// How far behind it is searched; a longer run is taken for plausible.
const BEHIND: usize = 512;
/// What a byte counts for in which a prefix may begin, and beyond that a place that looks like it.
const WORDS: usize = 1;
const PLACE: usize = 8;
/// What a prefix counts for, whatever follows it.
const PREFIX: usize = 12;
/// What a byte in front of a run counts for, and a prefix that is compared.
const FRONT: usize = 3;
const ROW: usize = 2;
/// So many bytes behind a prefix tell whether a closer look is worth it.
const NEAR: usize = 16;
/// A run so long may have a mark within.
const MARKED: usize = 72;

/// Whether any detector of `set` is one of these.
pub(super) fn wanted(set: Set) -> bool {
    rows().any(|row| set.has(row.id))
}

/// The part of a text in which no prefix begins that is joined to what is behind that part: it is not
/// looked at again for the next candidate.
#[derive(Clone, Debug, Default)]
pub(crate) struct Passed(Cell<(usize, usize)>);

/// The prefixes of all tokens that are wanted.
#[derive(Debug)]
pub(super) struct Prefixes {
    wanted: Vec<&'static Row>,
    /// Where each of these may begin.
    words: Words,
    /// For each byte, which of these start with it.
    firsts: Box<[Vec<u16>; 256]>,
    /// A bit for what the first three bytes of a token hash to.
    starts: Box<Bits>,
    /// The same for the first two of those whose prefix is no longer.
    pairs: Box<Bits>,
    /// Prefixes of one byte.
    signs: Vec<u8>,
}

impl Prefixes {
    /// `None` if the fixed table cannot be compiled.
    pub(super) fn new(set: Set) -> Option<Self> {
        let wanted: Vec<_> = rows().filter(|row| set.has(row.id)).collect();
        let words = wanted.iter().map(|row| row.prefix.as_bytes());
        let words = Words::new(words, Case::Same)?;
        let mut firsts = Box::new([const { Vec::new() }; 256]);
        let (mut starts, mut pairs) = (Box::new([0; WORDS_OF_BITS]), Box::new([0; WORDS_OF_BITS]));
        let mut signs = Vec::new();
        for (n, row) in (0..).zip(&wanted) {
            let prefix = row.prefix.as_bytes();
            firsts[usize::from(prefix[0])].push(n);
            let (table, hash) = match *prefix {
                [first, second, third, ..] => (&mut starts, hash([first, second, third])),
                [first, second] => (&mut pairs, hash([first, second, 0])),
                _ => {
                    signs.extend(prefix);
                    continue;
                }
            };
            table[hash / 64] |= 1 << (hash % 64);
        }
        Some(Prefixes {
            wanted,
            words,
            firsts,
            starts,
            pairs,
            signs,
        })
    }

    /// Whether a prefix is near the candidate at `at`, whose window has these runs.
    pub(super) fn plausible(
        &self,
        text: &[u8],
        at: usize,
        runs: Runs,
        (passed, budget): (&Passed, &Budget),
    ) -> bool {
        if text[at] == b'~' {
            return at >= 2 && text[at - 1] == b'Q' && matches!(text[at - 2], b'7' | b'8');
        }
        if text[at] == b'-' {
            let hyphens = text[at..].iter().take_while(|b| **b == b'-').count();
            let rest = &text[at + hyphens..];
            if rest
                .strip_prefix(b" ")
                .unwrap_or(rest)
                .starts_with(b"BEGIN ")
            {
                return true;
            }
        }
        if text[at] == b'$' {
            return hash::plausible(text, at);
        }
        let Runs {
            window,
            alnum,
            word,
            ..
        } = runs;
        // The part of the run in front that is in the window; a few bytes may be in front of that.
        let here = at - window;
        let before = (!(word << (WINDOW - 1 - here))).leading_zeros() as usize;
        let mut start = at + 1 - before;
        if start == window {
            let rest = text[..start].iter().rev().take(RUN);
            start -= rest.take_while(|b| is_word_or_hyphen(**b)).count();
        }
        let more = text.get(at + 1..start + SHORTEST);
        if !more.is_some_and(|more| more.iter().all(|b| is_word_or_hyphen(*b))) {
            return false;
        }
        if (start..window).any(|n| self.is_prefix(text, n, budget)) {
            return true;
        }
        let first = start.saturating_sub(window);
        let len = (!(word >> first)).trailing_zeros() as usize;
        let mut starts = (word & !(alnum << 1)) >> first << first;
        if first + len < runs.len {
            starts &= (1 << (first + len)) - 1;
        }
        while starts != 0 {
            if self.is_prefix(text, window + starts.trailing_zeros() as usize, budget) {
                return true;
            }
            starts &= starts - 1;
        }
        let mut end = window + first + len;
        if first + len >= runs.len {
            let behind = window + runs.len;
            end = behind;
            while end < text.len() && is_word_or_hyphen(text[end]) {
                if end - behind == BEHIND
                    || matches!(text[end - 1], b'-' | b'_') && self.is_prefix(text, end, budget)
                {
                    return true;
                }
                end += 1;
            }
        }
        // The part of a token in front of the run, where a dot, slash or sign joins them.
        let long = end - start >= MARKED;
        long || self.is_prefix_in_front(text, start, passed, budget)
    }

    /// Whether a prefix stands in front of the run that begins at `start`, joined by dots, slashes and
    /// other signs.
    fn is_prefix_in_front(
        &self,
        text: &[u8],
        start: usize,
        passed: &Passed,
        budget: &Budget,
    ) -> bool {
        let Some(joint) = start.checked_sub(1).map(|n| text[n]) else {
            return false;
        };
        if joint == b'"' || joint == b' ' {
            // A private key as JSON (RFC 7517).
            let before = text[..start].strip_suffix(b"\"").unwrap_or_default();
            let before = before.strip_suffix(b" ").unwrap_or(before);
            return before.ends_with(b"\"d\":") || before.ends_with(b"\"k\":");
        }
        if !is_joint(joint) {
            return false;
        }
        let floor = start.saturating_sub(BEFORE);
        let part = |b: &u8| is_word_or_hyphen(*b) || is_joint(*b);
        let alnum = |at: usize| text[at].is_ascii_alphanumeric();
        // In raw msgpack the length of the text may look like a letter, behind a byte that does not.
        let header = |at: usize| [2, 3].iter().any(|n| at >= *n && text[at - n] >= 0x80);
        let (first, until) = passed.0.get();
        let from = match (first..until).contains(&floor) {
            true => until,
            false => floor,
        };
        // Nothing in front of what is no part reaches to here.
        let from = from.min(start);
        let parts = text[from..start].iter().rev().take_while(|b| part(b));
        let joined = parts.count();
        budget.look(FRONT * joined);
        let found = (start - joined..start).any(|at| {
            (at == 0 || !alnum(at) || !alnum(at - 1) || header(at))
                && (self.is_prefix(text, at, budget)
                    || self.signs.contains(&text[at]) && self.is_whole_prefix(text, at, budget))
        });
        if !found && start > from {
            // What does not reach to here does not reach further.
            passed
                .0
                .set((if from == floor { floor } else { first }, start));
        }
        found
    }

    /// Whether a prefix starts at `start`, where a word does.
    #[inline(always)]
    fn is_prefix(&self, text: &[u8], start: usize, budget: &Budget) -> bool {
        let Some(first) = text.get(start..).and_then(|rest| rest.first_chunk::<3>()) else {
            return false;
        };
        let (long, short) = (hash(*first), hash([first[0], first[1], 0]));
        let has = self.starts[long / 64] >> (long % 64) | self.pairs[short / 64] >> (short % 64);
        has & 1 != 0 && self.is_whole_prefix(text, start, budget)
    }

    #[inline(never)]
    fn is_whole_prefix(&self, text: &[u8], start: usize, budget: &Budget) -> bool {
        let rows = &self.firsts[usize::from(text[start])];
        budget.look(NEAR + rows.len() * ROW);
        rows.iter().any(|n| {
            let row = self.wanted[usize::from(*n)];
            text[start..].starts_with(row.prefix.as_bytes()) && plausible(text, start, row)
        })
    }

    /// Verifies every prefix in the string.
    pub(super) fn find(&self, i: &mut Inspection<'_>) {
        let text = Text::new(i.text, i.budget);
        i.budget.look(WORDS * text.len());
        let places = self.words.each(&text, |start, pattern| {
            let row = self.wanted[pattern];
            let Row {
                prefix, id, form, ..
            } = row;
            i.budget.look(PREFIX + near(row).map_or(0, |near| near.0));
            // Of those at one place the longest counts.
            let mut next = start + 1;
            if form.starts_alone() && !starts(&text, start) || !plausible(&text, start, row) {
                return Next::From(next);
            }
            i.budget.look(CANDIDATE);
            if i.budget.is_spent() {
                return Next::Nowhere;
            }
            if let Some((from, end, valid)) = form.verify(&text, start, start + prefix.len()) {
                // What was written over is no token any more.
                let valid = valid && !is_blanked(&text[from..end]);
                if i.report(*id, from, end, valid) {
                    next = end.max(next);
                    text.ends_token(end);
                }
            }
            Next::From(next)
        });
        i.budget.look(PLACE * places);
    }
}

/// Bits of a hash of three bytes.
const HASH: u32 = 14;
const WORDS_OF_BITS: usize = 1 << (HASH - 6);
type Bits = [u64; WORDS_OF_BITS];

/// So many bits of three bytes (Knuth's multiplicative hash).
#[inline]
fn hash([first, second, third]: [u8; 3]) -> usize {
    let bytes = u32::from_le_bytes([first, second, third, 0]);
    (bytes.wrapping_mul(0x9e37_79b1) >> (32 - HASH)) as usize
}

/// Whether what follows a prefix may be of its token: so many bytes of the class.
fn plausible(text: &[u8], start: usize, row: &Row) -> bool {
    let body = start + row.prefix.len();
    near(row).is_none_or(|(len, class)| {
        text.get(body..body + len)
            .is_some_and(|body| body.iter().all(|b| class(*b)))
    })
}

/// Whether a byte is of a class.
type Class = fn(u8) -> bool;

/// How many bytes behind a prefix are looked at first, and of which class they are.
fn near(row: &Row) -> Option<(usize, Class)> {
    let near: (usize, Class) = match row.form {
        Form::Exactly(len, class) | Form::AtLeast(len, class) => (len.min(NEAR), class),
        Form::Parts([Part::Run(len, _, class), ..]) => ((*len).min(NEAR), *class),
        Form::Own(_) | Form::Parts(_) => match row.prefix.as_bytes() {
            b"sk-" | b"eyJ" => (8, is_word_or_hyphen as Class),
            b"00" => (40, is_word_or_hyphen as Class),
            [_, _] if row.prefix != "s." && row.prefix != "Q~" => (20, is_alnum as Class),
            b"s." => (24, is_alnum as Class),
            _ => return None,
        },
    };
    Some(near)
}

/// What joins the parts of a token.
fn is_joint(byte: u8) -> bool {
    b"./:=~$@!+%".contains(&byte)
}
