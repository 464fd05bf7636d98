//! How far the gate has come in a buffer.

use super::shape::{KINDS, LOOK, REACH, STEP};
use super::{Gate, Kind, Shapes, Sight, LANES, WINDOW};
use crate::text::is_escape;

/// Goes through the candidates of a buffer in ascending order.
#[derive(Debug)]
pub(crate) struct Cursor {
    gate: Gate,
    shapes: Shapes,
    /// Where the last look began, what it saw and was not passed yet, and the window that is next.
    start: usize,
    sight: Sight,
    lane: usize,
    /// Where the next look begins, and how many bytes of it were seen.
    next: usize,
    seen: usize,
}

/// The runs of a window of a text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Runs {
    /// Where it starts, and how many bytes it has.
    pub(crate) window: usize,
    pub(crate) len: usize,
    /// Letters and digits.
    pub(crate) alnum: u64,
    /// The same with hyphens and underscores.
    pub(crate) word: u64,
}

impl Cursor {
    /// At the start of a buffer.
    pub(crate) fn new(gate: Gate, shapes: Shapes) -> Self {
        Cursor {
            gate,
            shapes,
            start: 0,
            sight: Sight::default(),
            lane: LANES,
            next: 0,
            seen: 0,
        }
    }

    /// What may be written otherwise is not looked for any more.
    pub(crate) fn pass_escapes(&mut self) {
        self.shapes.escape = false;
    }

    /// Goes to the start of another buffer.
    pub(crate) fn restart(&mut self) {
        (self.lane, self.next, self.seen) = (LANES, 0, 0);
    }

    /// The next candidate.
    #[inline(always)]
    pub(crate) fn next(&mut self, buf: &[u8]) -> Option<(Kind, usize)> {
        loop {
            while let Some(any) = self.sight.any.get(self.lane).copied() {
                if any == 0 {
                    self.lane += 1;
                    continue;
                }
                let index = any.trailing_zeros() as usize;
                let at = self.start + self.lane * STEP + index;
                if let Some(found) = self
                    .take(1 << index)
                    .and_then(|kind| self.wanted(kind, buf, at))
                {
                    return Some(found);
                }
            }
            if !self.look(buf) {
                return None;
            }
        }
    }

    /// Takes a candidate at a bit of the window.
    #[inline(always)]
    fn take(&mut self, bit: u64) -> Option<Kind> {
        let Cursor { sight, lane, .. } = self;
        let lane = *lane;
        let found = (0..KINDS.len()).find(|n| sight.maps[*n][lane] & bit != 0);
        if sight.several[lane] & bit == 0 {
            sight.any[lane] &= !bit;
        } else if let Some(n) = found {
            sight.maps[n][lane] &= !bit;
        } else {
            sight.any[lane] &= !bit;
        }
        found.map(|n| KINDS[n])
    }

    /// The candidate at `at`, if it is looked for.
    #[inline(always)]
    fn wanted(&self, kind: Kind, buf: &[u8], at: usize) -> Option<(Kind, usize)> {
        if kind != Kind::Escape {
            return Some((kind, at));
        }
        // One map has all that is rare.
        let shapes = self.shapes;
        match buf[at] {
            b'@' => shapes.at.then_some((Kind::At, at)),
            b'~' | b'$' => shapes.token.then_some((Kind::Token, at)),
            b'+' if is_escape(buf, at) => shapes.escape.then_some((Kind::Escape, at)),
            b'+' => {
                let number = match buf.get(at + 1) {
                    Some(b'(') => buf.get(at + 2).is_some_and(u8::is_ascii_digit),
                    next => next.is_some_and(u8::is_ascii_digit),
                };
                (shapes.number && number).then_some((Kind::Number, at + 1))
            }
            // Behind a blank or hyphen that is no ASCII.
            b'0'..=b'9' => (shapes.escape && shapes.number).then_some((Kind::Escape, at)),
            _ => shapes.escape.then_some((Kind::Escape, at)),
        }
    }

    #[inline(never)]
    fn look(&mut self, buf: &[u8]) -> bool {
        let sight = &mut self.sight;
        let start = self
            .gate
            .look(buf, self.next, self.seen, self.shapes, sight);
        self.seen = REACH;
        match start {
            Some(start) if start + LOOK < buf.len() => self.next = start + LANES * STEP,
            _ => (self.next, self.seen) = (buf.len(), 0),
        }
        let Some(start) = start else {
            self.lane = LANES;
            return false;
        };
        (self.start, self.lane) = (start, 0);
        true
    }

    /// Passes over what is in front of `at`.
    pub(crate) fn pass(&mut self, at: usize) {
        if at >= self.next + self.seen {
            (self.lane, self.next, self.seen) = (LANES, at, 0);
            return;
        }
        while let Some(any) = self.sight.any.get_mut(self.lane) {
            let window = self.start + self.lane * STEP;
            if at < window + WINDOW {
                *any &= u64::MAX << at.saturating_sub(window);
                break;
            }
            self.lane += 1;
        }
    }

    /// Passes over the candidates for numbers in front of `end`: a row has one in every group.
    #[inline]
    pub(crate) fn pass_numbers(&mut self, end: usize) {
        for lane in self.lane..LANES {
            let passed = end.saturating_sub(self.start + lane * STEP);
            if passed == 0 {
                break;
            }
            let left = match passed < WINDOW {
                true => u64::MAX << passed,
                false => 0,
            };
            let sight = &mut self.sight;
            let mut numbers = 0;
            for n in [NUMBER, PHONE] {
                numbers |= sight.maps[n][lane];
                sight.maps[n][lane] &= left;
            }
            sight.any[lane] &= left | !numbers | sight.several[lane];
        }
    }

    /// The runs of the window that the last candidate is in, for a text that starts at `start`.
    #[inline]
    pub(crate) fn runs(&self, start: usize) -> Runs {
        let window = self.start + self.lane * STEP;
        let before = start.saturating_sub(window).min(WINDOW - 1);
        Runs {
            window: window.saturating_sub(start),
            len: WINDOW - before,
            alnum: self.sight.alnum[self.lane] >> before,
            word: self.sight.word[self.lane] >> before,
        }
    }
}

/// Where numbers and phone numbers are among the kinds.
const NUMBER: usize = 1;
const PHONE: usize = 3;
const _: () = assert!(matches!(
    (KINDS[NUMBER], KINDS[PHONE]),
    (Kind::Number, Kind::Phone)
));
