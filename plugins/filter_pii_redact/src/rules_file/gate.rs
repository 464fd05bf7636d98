//! Which rules may have a match in a text, told by their anchors.

use std::collections::hash_map::{Entry, HashMap};

use crate::budget::Budget;
use crate::scan::{Case, Gate, Halves, Kinds, Next, SignTables, SignWindows, Signs, Words, WINDOW};

use super::anchor::{Anchor, Bytes, Place};
use super::tail::Tail;

/// What a rule is looked for by.
#[derive(Debug)]
struct Trigger {
    rule: u16,
    /// The bytes that a match begins with at least, from the word on: what each may be.
    front: Vec<Bytes>,
    /// What begins with the word in a match; `None`: nothing that is known.
    tail: Option<Tail>,
}

/// Words, and the triggers that have each.
#[derive(Debug)]
struct Table {
    /// A bit for each second letter that a word with this first letter has: it rules most places out with
    /// the least memory.
    begins: [u32; 32],
    words: Words,
    triggers: Vec<Vec<u16>>,
}

impl Table {
    /// Whether a word may begin at `start`, in front of `second`.
    #[inline(always)]
    fn may_begin(&self, first: u8, second: u8) -> bool {
        self.begins[usize::from(first & 31)] >> (second & 31) & 1 != 0
    }

    /// Those of some places of a window where a word may begin. Without a branch for each: which it is
    /// cannot be foreseen.
    #[inline(always)]
    fn sift(&self, text: &[u8], window: usize, places: u64) -> u64 {
        let (mut left, mut kept) = (places, 0);
        while left != 0 {
            let bit = left.trailing_zeros();
            left &= left - 1;
            let at = window + bit as usize;
            let may = match text.get(at..).and_then(<[u8]>::first_chunk) {
                Some(first) => self.may_begin(first[0], first[1]) & self.words.may_begin(*first),
                None => true,
            };
            kept |= u64::from(may) << bit;
        }
        kept
    }

    /// Visits the triggers of the words that begin at `start`.
    #[inline(never)]
    fn at<'a>(&'a self, text: &[u8], start: usize, mut visit: impl FnMut(&'a [u16])) {
        self.words.at(text, start, |_, word| {
            visit(&self.triggers[word]);
            Next::Here
        });
    }
}

/// The words of one place while they are collected.
#[derive(Default)]
struct List {
    words: Vec<Vec<u8>>,
    numbers: HashMap<Vec<u8>, usize>,
    triggers: Vec<Vec<u16>>,
    first: Vec<[Halves; 4]>,
}

impl List {
    /// A word, and what a match is that begins with it, as far as that is known.
    fn add(&mut self, word: &[u8], front: &[Bytes], trigger: u16) {
        self.first.push(std::array::from_fn(|n| {
            let may = front.get(n).unwrap_or(&Bytes::ALL);
            let may = word.get(n).map_or(*may, |byte| may.cases(*byte));
            may.halves()
        }));
        match self.numbers.entry(word.to_vec()) {
            Entry::Occupied(number) => self.triggers[*number.get()].push(trigger),
            Entry::Vacant(number) => {
                number.insert(self.words.len());
                self.words.push(word.to_vec());
                self.triggers.push(vec![trigger]);
            }
        }
    }

    fn table(self) -> Option<Table> {
        let words = self.words.iter().map(Vec::as_slice);
        let mut begins = [0; 32];
        for word in words.clone() {
            let second = word.get(1).map_or(u32::MAX, |second| 1 << (second & 31));
            begins[usize::from(word[0] & 31)] |= second;
        }
        Some(Table {
            begins,
            words: Words::new(words, Case::Any)?,
            triggers: self.triggers,
        })
    }
}

/// A word at a place of a text, in front of what may be a match.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sighting {
    /// Where it was seen: its start, or the sign behind it. They come in ascending order.
    pub(crate) at: usize,
    start: usize,
    trigger: u16,
}

impl Sighting {
    /// The same in the text that begins `by` bytes later; `None`: it is not in there.
    pub(crate) fn behind(self, by: usize) -> Option<Self> {
        Some(Sighting {
            at: self.at.checked_sub(by)?,
            start: self.start.checked_sub(by)?,
            ..self
        })
    }
}

/// How far a text was gone through; its buffers are kept from text to text.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    windows: SignWindows,
    /// What is left of the window that the scan is in.
    window: Signs,
    left: u64,
    /// What was seen there and not taken yet.
    seen: Vec<Sighting>,
}

impl Scan {
    /// Goes to a place of another text.
    pub(crate) fn start(&mut self, at: usize) {
        self.windows.start(at);
        self.left = 0;
        self.seen.clear();
    }
}

/// The anchors of all rules of a file.
#[derive(Debug)]
pub(super) struct Triggers {
    gate: Gate,
    tables: SignTables,
    names: Table,
    tokens: Table,
    runs: Table,
    /// Words that may be anywhere, and the keywords of rules without an anchor.
    words: Table,
    /// What so many bytes in front of a sign may be between it and the start of a name.
    between: Vec<Bytes>,
    all: Vec<Trigger>,
}

/// How one rule is looked for.
pub(super) enum By {
    Anchors(Vec<Anchor>),
    /// In small letters.
    Keywords(Vec<Vec<u8>>),
}

impl Triggers {
    /// For the rules in the order of their numbers. `None`: there are too many words.
    pub(super) fn new(rules: impl Iterator<Item = By>) -> Option<Self> {
        let [mut names, mut tokens, mut runs, mut words] = [(); 4].map(|()| List::default());
        let (mut between, mut all) = (Vec::new(), Vec::new());
        for (rule, by) in (0..).zip(rules) {
            let next = |all: &Vec<Trigger>| u16::try_from(all.len()).ok();
            match by {
                By::Keywords(keywords) => {
                    let trigger = next(&all)?;
                    keywords
                        .iter()
                        .for_each(|word| words.add(word, &[], trigger));
                    all.push(Trigger {
                        rule,
                        front: Vec::new(),
                        tail: None,
                    });
                }
                By::Anchors(anchors) => {
                    for anchor in anchors {
                        let trigger = next(&all)?;
                        let list = match anchor.place {
                            Place::Token => &mut tokens,
                            Place::Run => &mut runs,
                            Place::Anywhere => &mut words,
                            Place::Name(more) => {
                                between.resize(more.len().max(between.len()), Bytes::default());
                                between
                                    .iter_mut()
                                    .zip(&more)
                                    .for_each(|(all, more)| all.add_all(more));
                                &mut names
                            }
                        };
                        for word in &anchor.words {
                            list.add(word, &anchor.front, trigger);
                        }
                        all.push(Trigger {
                            rule,
                            front: anchor.front,
                            tail: Some(Tail::new(anchor.tail)),
                        });
                    }
                }
            }
        }
        Some(Triggers {
            gate: Gate::new(),
            tables: SignTables {
                names: Kinds::of_halves([&names.first]),
                tokens: Kinds::of_halves([&tokens.first, &runs.first]),
                words: Kinds::of_halves([&words.first]),
            },
            names: names.table()?,
            tokens: tokens.table()?,
            runs: runs.table()?,
            words: words.table()?,
            between,
            all,
        })
    }

    /// The next word in a text in front of what may be a match.
    #[inline]
    pub(super) fn next(&self, scan: &mut Scan, text: &[u8]) -> Option<Sighting> {
        loop {
            if let Some(sighting) = scan.seen.pop() {
                return Some(sighting);
            }
            while scan.left == 0 {
                let mut window = scan.windows.next(self.gate, text, &self.tables)?;
                window.words = self.words.sift(text, window.at, window.words);
                window.tokens = self.tokens.sift(text, window.at, window.tokens);
                window.runs = self.runs.sift(text, window.at, window.runs);
                scan.left = window.all();
                scan.window = window;
            }
            self.look(scan, text);
        }
    }

    /// Looks for words at the next place of the window.
    #[inline(always)]
    fn look(&self, scan: &mut Scan, text: &[u8]) {
        let Scan {
            window, left, seen, ..
        } = scan;
        let bit = *left & left.wrapping_neg();
        *left ^= bit;
        let at = window.at + bit.trailing_zeros() as usize;
        for (table, places) in [
            (&self.words, window.words),
            (&self.runs, window.runs),
            (&self.tokens, window.tokens),
        ] {
            if places & bit != 0 {
                table.at(text, at, |triggers| {
                    self.see(text, (at, at), triggers, seen);
                });
            }
        }
        if window.values & bit != 0 {
            self.names_before(text, at, |start, triggers| {
                self.see(text, (at, start), triggers, seen);
            });
        }
    }

    /// Keeps those triggers of a word that may have a match by the bytes it begins with.
    #[inline(never)]
    fn see(
        &self,
        text: &[u8],
        (at, start): (usize, usize),
        triggers: &[u16],
        seen: &mut Vec<Sighting>,
    ) {
        for trigger in triggers {
            let front = &self.all[usize::from(*trigger)].front;
            // Behind the end of a string there may be what is no part of it: more than there is no
            // match of anyway.
            let fits = text
                .get(start..start + front.len())
                .is_some_and(|bytes| bytes.iter().zip(front).all(|(byte, may)| may.has(*byte)));
            if fits {
                seen.push(Sighting {
                    at,
                    start,
                    trigger: *trigger,
                });
            }
        }
    }

    /// Visits the names in front of a sign.
    #[inline(always)]
    fn names_before<'a>(
        &'a self,
        text: &[u8],
        sign: usize,
        mut visit: impl FnMut(usize, &'a [u16]),
    ) {
        // Nearest to the sign first: what is in between is looked at once.
        let from = sign.saturating_sub(WINDOW - 1);
        let [starts] = self.gate.kinds(text, from, &self.tables.names);
        let before = (1 << (sign - from)) - 1;
        let mut starts = self.names.sift(text, from, starts & before);
        let mut known = sign;
        while starts != 0 {
            let bit = starts.ilog2();
            starts ^= 1 << bit;
            let start = from + bit as usize;
            let mut may = (start..known).rev();
            let fits = may.all(|at| {
                let between = self.between.get(sign - at);
                between.is_some_and(|between| between.has(text[at]))
            });
            if !fits {
                break;
            }
            known = start;
            self.names
                .at(text, start, |triggers| visit(start, triggers));
        }
    }

    /// The rule of a sighting.
    pub(super) fn rule(&self, sighting: Sighting) -> u16 {
        self.all[usize::from(sighting.trigger)].rule
    }

    /// Whether there may be a match at a word in `text`, which is all of a string.
    pub(super) fn may_match(
        &self,
        text: &[u8],
        sighting: Sighting,
        budget: &Budget,
        checks: &mut Checks,
    ) -> bool {
        let Some(tail) = &self.all[usize::from(sighting.trigger)].tail else {
            return true;
        };
        if checks.left == 0 {
            return true;
        }
        let (may, looked) = tail.may_begin(text, sighting.start);
        budget.look(looked);
        checks.left = checks.left.saturating_sub(looked);
        may
    }
}

/// How many bytes may still be looked at behind the words of a text. Then a look at all of it by every rule
/// that has a word there is less.
#[derive(Debug)]
pub(crate) struct Checks {
    left: usize,
}

impl Checks {
    pub(crate) fn new(text: &[u8]) -> Self {
        const TIMES: usize = 4;
        const FREE: usize = 1024;
        Checks {
            left: TIMES * text.len() + FREE,
        }
    }
}
