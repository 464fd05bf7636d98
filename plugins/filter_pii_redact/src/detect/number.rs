//! Numbers: takes a row of digit groups apart and offers each to the families.

use flb_sidecar_sdk::msgpack::{self, Value};

use super::{card, national, phone, ssn, Inspection};

/// What separates two groups of digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gap {
    /// Nothing joins it to a group in front.
    None,
    Blank,
    Hyphen,
    Dot,
    Slash,
    /// A parenthesis, at times with a blank or hyphen.
    Paren,
}

/// A run of digits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group {
    pub(super) start: usize,
    pub(super) end: usize,
    /// What is in front of it.
    pub(super) gap: Gap,
}

impl Group {
    pub(super) fn len(&self) -> usize {
        self.end - self.start
    }
}

/// Most digits that any number here has.
pub(super) const MAX_DIGITS: usize = 24;

/// The digits of a span, without what separates them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Digits {
    values: [u8; MAX_DIGITS],
    len: usize,
}

impl Digits {
    /// `None`: there are more than [`MAX_DIGITS`].
    pub(super) fn of(span: &[u8]) -> Option<Self> {
        let mut digits = Digits {
            values: [0; MAX_DIGITS],
            len: 0,
        };
        for byte in span.iter().filter(|b| b.is_ascii_digit()) {
            *digits.values.get_mut(digits.len)? = byte - b'0';
            digits.len += 1;
        }
        Some(digits)
    }

    pub(super) fn get(&self) -> &[u8] {
        &self.values[..self.len]
    }
}

/// A row of groups and the one to start from.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    groups: &'a [Group],
    at: usize,
}

impl<'a> Row<'a> {
    /// The `n`th group from here.
    pub(super) fn group(&self, n: usize) -> Option<&'a Group> {
        self.groups.get(self.at + n)
    }

    /// The group in front.
    pub(super) fn previous(&self) -> Option<&'a Group> {
        self.at.checked_sub(1).map(|n| &self.groups[n])
    }

    /// Whether the groups from here have these lengths.
    pub(super) fn lengths(&self, lengths: &[usize]) -> bool {
        let end = self.at + lengths.len();
        self.groups
            .get(self.at..end)
            .is_some_and(|groups| groups.iter().zip(lengths).all(|(g, len)| g.len() == *len))
    }

    /// The one gap between the first `n` groups from here.
    pub(super) fn gap(&self, n: usize) -> Option<Gap> {
        let inner = self.groups.get(self.at + 1..self.at + n)?;
        let gap = inner.first()?.gap;
        inner.iter().all(|g| g.gap == gap).then_some(gap)
    }

    /// Whether the gaps between the groups from here are these.
    pub(super) fn gaps(&self, gaps: &[Gap]) -> bool {
        let start = self.at + 1;
        self.groups
            .get(start..start + gaps.len())
            .is_some_and(|groups| groups.iter().zip(gaps).all(|(g, gap)| g.gap == *gap))
    }

    /// Start and end of the first `n` groups from here.
    pub(super) fn span(&self, n: usize) -> Option<(usize, usize)> {
        let first = self.group(0)?;
        let last = self.group(n.checked_sub(1)?)?;
        Some((first.start, last.end))
    }

    /// Whether a further group is joined to the first `n` in the way they are joined.
    pub(super) fn is_part_of_more(&self, n: usize, gap: Gap) -> bool {
        self.group(0).is_some_and(|g| g.gap == gap) || self.group(n).is_some_and(|g| g.gap == gap)
    }
}

/// Verifies the row of groups around the candidate at `at`.
pub(super) fn find(i: &mut Inspection<'_>, at: usize, groups: &mut Vec<Group>, done: &mut usize) {
    if at < *done {
        return;
    }
    let text = i.text;
    let mut start = at;
    while start > *done && (text[start - 1].is_ascii_digit() || is_separator(text[start - 1])) {
        start -= 1;
    }
    *done = split(text, start, at, groups);
    for n in 0..groups.len() {
        let row = Row { groups, at: n };
        match groups[n].len() {
            1 => {
                phone::find(i, row);
                national::find_nir(i, row);
            }
            2 => {
                national::find_two(i, row);
                phone::find(i, row);
            }
            3 => {
                ssn::find_grouped(i, row);
                national::find_three(i, row);
                phone::find(i, row);
            }
            4 => {
                card::find_grouped(i, row);
                national::find_four(i, row);
                phone::find(i, row);
            }
            5..=8 => phone::find(i, row),
            9..=MAX_DIGITS => {
                card::find_bare(i, row);
                ssn::find_bare(i, row);
                national::find_bare(i, row);
                phone::find(i, row);
            }
            _ => {}
        }
    }
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b' ' | b'(' | b')' | b'-' | b'.' | b'/')
}

/// Splits what starts at `start` into groups; returns where the row ends, behind `at`.
fn split(text: &[u8], start: usize, at: usize, groups: &mut Vec<Group>) -> usize {
    groups.clear();
    let mut position = start;
    let mut gap = Gap::None;
    loop {
        let first = position;
        while position < text.len() && text[position].is_ascii_digit() {
            position += 1;
        }
        if position > first {
            groups.push(Group {
                start: first,
                end: position,
                gap,
            });
        }
        let separator = position;
        while position < text.len() && is_separator(text[position]) {
            position += 1;
        }
        gap = if groups.is_empty() {
            Gap::None
        } else {
            gap_of(&text[separator..position])
        };
        let goes_on = position < text.len() && text[position].is_ascii_digit();
        if !goes_on && (position > at || position >= text.len()) {
            return position.max(at + 1);
        }
        if !goes_on {
            // The candidate is a plus sign, or stands behind one.
            position += 1;
            gap = Gap::None;
        }
    }
}

fn gap_of(separator: &[u8]) -> Gap {
    match separator {
        b" " => Gap::Blank,
        b"-" => Gap::Hyphen,
        b"." => Gap::Dot,
        b"/" => Gap::Slash,
        b")" | b"(" | b") " | b" (" | b")-" | b")." | b")/" | b"-(" => Gap::Paren,
        _ => Gap::None,
    }
}

/// Whether the candidate in raw msgpack needs a closer look. A name in front of the digits
/// (`blk_123`) rules a bare number out, if it cannot be the length bytes of a string.
pub(super) fn plausible(chunk: &[u8], at: usize) -> bool {
    let mut start = at;
    let floor = at.saturating_sub(MAX_DIGITS);
    while start > floor && chunk[start - 1].is_ascii_digit() {
        start -= 1;
    }
    let grouped = at + 1 - start < 9;
    if grouped || start < 5 {
        return true;
    }
    let name = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_' || byte == b'-';
    let named = name(chunk[start - 1])
        && (chunk[start - 2] == b'_' || chunk[start - 2].is_ascii_alphabetic());
    !(named
        && chunk[start - 1] != b'n'
        && chunk[start - 1] != b'r'
        && chunk[start - 1] != b't'
        && chunk[start - 3] != 0xda
        && chunk[start - 5] != 0xdb
        && !is_card_word(&chunk[start.saturating_sub(24)..start]))
}

/// Whether a word for cards ends the text: `card_4012…` counts although it is a name.
fn is_card_word(text: &[u8]) -> bool {
    text.windows(4).any(|w| w.eq_ignore_ascii_case(b"card"))
        || text.windows(2).any(|w| w.eq_ignore_ascii_case(b"cc"))
}

/// Whether the msgpack integer at `at` has at least eight digits.
pub(super) fn integer_plausible(chunk: &[u8], at: usize) -> bool {
    match msgpack::read(chunk, at) {
        Some((Value::Unsigned(n), _)) => (10_000_000..10_000_000_000_000_000_000).contains(&n),
        _ => false,
    }
}
