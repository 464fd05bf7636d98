//! Rows of digit groups: `4012 8888 8888 1881` is one of four.

use crate::scan::{Gate, Numerals, WINDOW};

/// What separates two groups of digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
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
    /// A power of two, so that no place in it needs a check.
    values: [u8; 32],
    len: usize,
}

impl Digits {
    /// `None`: there are more than [`MAX_DIGITS`].
    pub(super) fn of(span: &[u8]) -> Option<Self> {
        let mut values = [0; 32];
        let mut len = 0;
        // What is no digit is written over by the next.
        for byte in span {
            let value = byte.wrapping_sub(b'0');
            values[len % 32] = value;
            len += usize::from(value < 10);
        }
        (len <= MAX_DIGITS).then_some(Digits { values, len })
    }

    /// Those of a span that has no others. `None`: they are more than [`MAX_DIGITS`].
    pub(super) fn of_run(run: &[u8]) -> Option<Self> {
        let len = run.len();
        let mut values = [0; 32];
        if len > MAX_DIGITS {
            return None;
        }
        values[..len].copy_from_slice(run);
        for value in &mut values {
            *value &= 0xf;
        }
        Some(Digits { values, len })
    }

    pub(super) fn get(&self) -> &[u8] {
        &self.values[..self.len]
    }
}

/// Groups of which a row tells lengths and gaps at a glance.
const NEAR: usize = 8;
/// Bits for each of them.
const BITS: usize = 5;
/// What stands for a longer group.
const LONG: usize = 31;
/// One in the bits of each group.
const EACH: u64 = below(NEAR) / below(1);

/// Lengths or gaps of the first groups of a row, so that a row is compared with them in one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    value: u64,
    mask: u64,
    /// How many groups it takes.
    pub(super) groups: usize,
}

impl Pattern {
    /// Whether these are the lengths of one group of so many digits.
    pub(super) fn is_one(self, len: usize) -> bool {
        self.groups == 1 && self.value == len as u64
    }
}

/// The pattern of these lengths, at most thirty digits each.
pub(super) const fn lengths(of: &[usize]) -> Pattern {
    let mut value = 0;
    let mut n = 0;
    while n < of.len() {
        assert!(of[n] < LONG && of[n] > 0);
        value |= (of[n] as u64) << (n * BITS);
        n += 1;
    }
    Pattern {
        value,
        mask: below(of.len()),
        groups: of.len(),
    }
}

/// The pattern of these gaps, the first the one between the first two groups.
pub(super) const fn gaps(of: &[Gap]) -> Pattern {
    let mut value = 0;
    let mut n = 0;
    while n < of.len() {
        value |= (of[n] as u64) << ((n + 1) * BITS);
        n += 1;
    }
    Pattern {
        value,
        mask: below(of.len() + 1) & !below(1),
        groups: of.len() + 1,
    }
}

/// The bits of the first `n` groups.
const fn below(n: usize) -> u64 {
    assert!(n <= NEAR);
    (1 << (n * BITS)) - 1
}

/// A row of groups and the one to start from.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    groups: &'a [Group],
    at: usize,
    /// Length of each of the next groups, the first the lowest; 0 where there is none.
    lengths: u64,
    /// Gap in front of each of them.
    gaps: u64,
}

impl<'a> Row<'a> {
    pub(super) fn new(groups: &'a [Group], at: usize) -> Self {
        let mut row = Row {
            groups,
            at,
            lengths: 0,
            gaps: 0,
        };
        for n in at..at + NEAR {
            row.shift_in(n);
        }
        row
    }

    /// Goes on to the next group.
    pub(super) fn advance(&mut self) {
        self.at += 1;
        self.shift_in(self.at + NEAR - 1);
    }

    fn shift_in(&mut self, n: usize) {
        const TOP: usize = (NEAR - 1) * BITS;
        let (length, gap) = match self.groups.get(n) {
            Some(group) => (group.len().min(LONG), group.gap),
            None => (0, Gap::None),
        };
        self.lengths = self.lengths >> BITS | (length as u64) << TOP;
        self.gaps = self.gaps >> BITS | (gap as u64) << TOP;
    }

    /// The `n`th group from here.
    pub(super) fn group(&self, n: usize) -> Option<&'a Group> {
        self.groups.get(self.at + n)
    }

    /// The group in front.
    pub(super) fn previous(&self) -> Option<&'a Group> {
        self.at.checked_sub(1).map(|n| &self.groups[n])
    }

    /// Whether the groups from here have these lengths.
    #[inline]
    pub(super) fn has(&self, lengths: Pattern) -> bool {
        self.lengths & lengths.mask == lengths.value
    }

    /// The one gap between the first `n` groups from here.
    #[inline]
    pub(super) fn gap(&self, n: usize) -> Option<Gap> {
        let gap = self.group(1)?.gap;
        self.group(n.checked_sub(2)? + 1)?;
        let all = gap as u64 * EACH;
        ((self.gaps ^ all) & below(n) & !below(1) == 0).then_some(gap)
    }

    /// Whether the gaps between the groups from here are these.
    #[inline]
    pub(super) fn has_gaps(&self, gaps: Pattern) -> bool {
        self.gaps & gaps.mask == gaps.value && self.group(gaps.groups - 1).is_some()
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

pub(super) fn is_separator(byte: u8) -> bool {
    matches!(byte, b' ' | b'(' | b')' | b'-' | b'.' | b'/')
}

/// Takes a row apart.
pub(super) struct Splitter<'a> {
    gate: Gate,
    text: &'a [u8],
    position: usize,
    /// What follows in front of the next group.
    gap: Gap,
    /// Where the window of the maps starts.
    window: usize,
    maps: Numerals,
}

impl<'a> Splitter<'a> {
    pub(super) fn new(gate: Gate, text: &'a [u8], position: usize) -> Self {
        Splitter {
            gate,
            text,
            position,
            gap: Gap::None,
            window: position,
            maps: gate.numerals(text, position),
        }
    }

    /// How far the row was taken apart.
    pub(super) fn position(&self) -> usize {
        self.position
    }

    /// Goes behind the bytes that are set in a map.
    #[inline(always)]
    fn take(&mut self, class: fn(&Numerals) -> u64) -> (usize, usize) {
        let first = self.position;
        loop {
            let offset = self.position - self.window;
            if offset >= WINDOW {
                self.window = self.position;
                self.maps = self.gate.numerals(self.text, self.position);
                continue;
            }
            let len = (!(class(&self.maps) >> offset)).trailing_zeros() as usize;
            self.position += len;
            // Zeros were shifted in, so a run ends at the window's end at the latest.
            if offset + len < WINDOW {
                return (first, self.position);
            }
        }
    }

    /// The next group; `None`: something else stands here.
    #[inline]
    pub(super) fn next_group(&mut self) -> Option<Group> {
        let leading = self.take(|maps| maps.separator);
        if leading.1 > leading.0 {
            self.gap = Gap::None;
        }
        let (start, end) = self.take(|maps| maps.digit);
        if end == start {
            return None;
        }
        let group = Group {
            start,
            end,
            gap: self.gap,
        };
        let behind = self.take(|maps| maps.separator);
        self.gap = gap_of(&self.text[behind.0..behind.1]);
        Some(group)
    }
}

fn gap_of(separator: &[u8]) -> Gap {
    match separator {
        [b' '] => Gap::Blank,
        [b'-'] => Gap::Hyphen,
        [b'.'] => Gap::Dot,
        [b'/'] => Gap::Slash,
        [b'(' | b')'] | [b')', b' ' | b'-' | b'.' | b'/'] | [b' ' | b'-', b'('] => Gap::Paren,
        _ => Gap::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(text: &str) -> Vec<Group> {
        let mut splitter = Splitter::new(Gate::new(), text.as_bytes(), 0);
        std::iter::from_fn(|| splitter.next_group()).collect()
    }

    #[test]
    fn a_row_is_taken_apart_wherever_a_window_ends() {
        for pad in 0..70 {
            let text = format!(
                "{}1{} 23-(456.78) 9/0  1x2",
                " ".repeat(pad % 3),
                "1".repeat(pad)
            );
            let found: Vec<_> = groups(&text).iter().map(|g| (g.len(), g.gap)).collect();
            let expected = [
                (1 + pad, Gap::None),
                (2, Gap::Blank),
                (3, Gap::Paren),
                (2, Gap::Dot),
                (1, Gap::Paren),
                (1, Gap::Slash),
                (1, Gap::None),
            ];
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn patterns_are_those_of_the_groups_from_here() {
        let found = groups("1 22-333-55555 666666666666666666 7");
        let mut row = Row::new(&found, 0);
        assert!(row.has(lengths(&[1, 2, 3, 5])) && row.has(lengths(&[1, 2])));
        assert!(!row.has(lengths(&[2])) && !row.has(lengths(&[1, 2, 3, 5, 30])));
        assert!(row.has_gaps(gaps(&[Gap::Blank, Gap::Hyphen, Gap::Hyphen])));
        assert_eq!((row.gap(2), row.gap(3)), (Some(Gap::Blank), None));
        row.advance();
        assert!(row.has(lengths(&[2, 3, 5])));
        assert_eq!((row.gap(3), row.gap(4)), (Some(Gap::Hyphen), None));
        (0..4).for_each(|_| row.advance());
        assert!(row.has(lengths(&[1])) && !row.has(lengths(&[1, 1])));
        assert_eq!((row.gap(1), row.gap(2)), (None, None));
        assert!(!row.has_gaps(gaps(&[Gap::None])));
    }
}
