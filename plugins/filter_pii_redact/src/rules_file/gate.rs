//! Which rules may have a match in a text, told by their anchors.

use crate::budget::Budget;
use crate::scan::{Case, Gate, Next, SignTables, Words, SIGN_STEP};

use super::anchor::{Anchor, Bytes, Place};
use super::tail::Tail;

/// What a rule is looked for by.
#[derive(Debug)]
struct Trigger {
    rule: u16,
    /// What is behind the word in a match; `None`: nothing that is known.
    tail: Option<Tail>,
}

/// Words, and the triggers that have each.
#[derive(Debug)]
struct Table {
    words: Words,
    triggers: Vec<Vec<u16>>,
}

/// The words of one place while they are collected.
#[derive(Default)]
struct List {
    words: Vec<Vec<u8>>,
    triggers: Vec<Vec<u16>>,
}

impl List {
    fn add(&mut self, word: &[u8], trigger: u16) {
        match self.words.iter().position(|known| known == word) {
            Some(n) => self.triggers[n].push(trigger),
            None => {
                self.words.push(word.to_vec());
                self.triggers.push(vec![trigger]);
            }
        }
    }

    fn table(self) -> Option<Table> {
        let words = self.words.iter().map(Vec::as_slice);
        Some(Table {
            words: Words::new(words, Case::Any)?,
            triggers: self.triggers,
        })
    }
}

/// A word at a place of a text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sighting<'a> {
    /// Where it was seen: its start, or the sign behind it. They come in ascending order.
    pub(super) at: usize,
    start: usize,
    triggers: &'a [u16],
}

/// The anchors of all rules of a file.
#[derive(Debug)]
pub(super) struct Triggers {
    gate: Gate,
    names: Table,
    tokens: Table,
    /// Words that may be anywhere, and the keywords of rules without an anchor.
    words: Table,
    /// What so many bytes in front of a sign may be between it and the start of a name, and the starts of
    /// names: a bit for each second letter that one with this first letter has.
    between: Vec<Bytes>,
    begins: Box<[u32; 32]>,
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
        let [mut names, mut tokens, mut words] = [(); 3].map(|()| List::default());
        let (mut between, mut begins, mut all) = (Vec::new(), Box::new([0; 32]), Vec::new());
        for (rule, by) in (0..).zip(rules) {
            let next = |all: &Vec<Trigger>| u16::try_from(all.len()).ok();
            match by {
                By::Keywords(keywords) => {
                    let trigger = next(&all)?;
                    keywords.iter().for_each(|word| words.add(word, trigger));
                    all.push(Trigger { rule, tail: None });
                }
                By::Anchors(anchors) => {
                    for anchor in anchors {
                        let trigger = next(&all)?;
                        let list = match anchor.place {
                            Place::Token => &mut tokens,
                            Place::Anywhere => &mut words,
                            Place::Name(more) => {
                                between.resize(more.len().max(between.len()), Bytes::default());
                                between
                                    .iter_mut()
                                    .zip(&more)
                                    .for_each(|(all, more)| all.add_all(more));
                                for word in &anchor.words {
                                    begins[usize::from(word[0] & 31)] |= 1 << (word[1] & 31);
                                }
                                &mut names
                            }
                        };
                        anchor.words.iter().for_each(|word| list.add(word, trigger));
                        let tail = Some(Tail::new(anchor.tail));
                        all.push(Trigger { rule, tail });
                    }
                }
            }
        }
        Some(Triggers {
            gate: Gate::new(),
            names: names.table()?,
            tokens: tokens.table()?,
            words: words.table()?,
            between,
            begins,
            all,
        })
    }

    /// Visits the words in `text` that are seen from `from` on, until it says that this is enough.
    #[inline]
    pub(super) fn each<'a>(
        &'a self,
        text: &[u8],
        from: usize,
        mut visit: impl FnMut(Sighting<'a>) -> Next,
    ) {
        let tables = SignTables {
            values: self.names.words.starts().is_some(),
            tokens: self.tokens.words.starts(),
            words: self.words.words.starts(),
        };
        let mut window = from;
        while window < text.len() {
            let signs = self.gate.signs(text, window, tables);
            let mut any = signs.values | signs.tokens | signs.words;
            while any != 0 {
                let bit = any & any.wrapping_neg();
                any ^= bit;
                let at = window + bit.trailing_zeros() as usize;
                let mut next = Next::Here;
                for (table, places) in [(&self.words, signs.words), (&self.tokens, signs.tokens)] {
                    if places & bit != 0 && next == Next::Here {
                        next = table.words.at(text, at, |start, word| {
                            let triggers = &table.triggers[word];
                            visit(Sighting {
                                at,
                                start,
                                triggers,
                            })
                        });
                    }
                }
                if signs.values & bit != 0 && next == Next::Here {
                    next = self.names_before(text, at, |start, triggers| {
                        visit(Sighting {
                            at,
                            start,
                            triggers,
                        })
                    });
                }
                if next != Next::Here {
                    return;
                }
            }
            window += SIGN_STEP;
        }
    }

    /// Visits the names in front of a sign, the nearest one first.
    #[inline(always)]
    fn names_before<'a>(
        &'a self,
        text: &[u8],
        sign: usize,
        mut visit: impl FnMut(usize, &'a [u16]) -> Next,
    ) -> Next {
        let mut second = text[sign];
        for (between, (start, first)) in self
            .between
            .iter()
            .skip(1)
            .zip(text[..sign].iter().enumerate().rev())
        {
            if !between.has(*first) {
                break;
            }
            if self.begins[usize::from(first & 31)] >> (second & 31) & 1 != 0 {
                let next = self.names.words.at(text, start, |start, word| {
                    visit(start, &self.names.triggers[word])
                });
                if next != Next::Here {
                    return next;
                }
            }
            second = *first;
        }
        Next::Here
    }

    /// Calls `want` with the rules that may have a match at a word; not with those that `is_wanted` already.
    pub(super) fn rules(
        &self,
        text: &[u8],
        sighting: Sighting<'_>,
        budget: &Budget,
        checks: &mut Checks,
        mut want: impl FnMut(u16),
        is_wanted: impl Fn(u16) -> bool,
    ) {
        for trigger in sighting.triggers {
            let Trigger { rule, tail } = &self.all[usize::from(*trigger)];
            if !is_wanted(*rule) {
                let may = tail.as_ref().is_none_or(|tail| {
                    checks.left == 0 || {
                        let (may, looked) = tail.may_begin(text, sighting.start);
                        budget.look(looked);
                        checks.left = checks.left.saturating_sub(looked);
                        may
                    }
                });
                if may {
                    want(*rule);
                }
            }
        }
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
