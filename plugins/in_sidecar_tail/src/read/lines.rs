//! Splits a file's bytes into lines, with a line's beginning carried over from block to block.
//!
//! Lines are found in the file's bytes, whatever their encoding, so that offsets are those of the
//! file. Every byte is looked at once. A line that is longer than the limit is split, cut or skipped
//! while it is being read, so it never has to fit into memory.

use crate::read::charset::{Code, Order};

/// Bytes of memory that a splitter keeps for the beginning of a line.
const KEPT: usize = 512;

/// What is done with a line longer than [`Limits::length`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LongLines {
    /// Several records, marked as parts.
    Split,
    /// One record with the beginning.
    Cut,
    /// No record.
    Skip,
}

/// How long a record's text may be, and what the text is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes of one record's text, as they are in the file.
    pub(crate) length: usize,
    pub(crate) long: LongLines,
    pub(crate) code: Code,
}

/// A line of which parts were passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CutLine {
    /// Offset of its first byte.
    pub(crate) start: u64,
    pub(crate) parts: u32,
}

/// What the splitter found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// A line.
    Whole,
    /// A piece of an over-long line.
    Part {
        /// Number of the piece; the first one is 1.
        ordinal: u32,
        last: bool,
        /// Offset of the line.
        line: u64,
    },
    /// The beginning of an over-long line whose rest is left out.
    Cut,
    /// The end of a line that is left out, or was `cut` before; no text.
    Rest { cut: bool },
}

/// The splitter of one file.
#[derive(Debug, Default)]
pub(crate) struct Splitter {
    /// Bytes read that no piece stands for yet.
    carry: Vec<u8>,
    /// The first byte of a unit of UTF-16 whose second one has not come yet; it follows the carry.
    half: Option<u8>,
    /// Offset of the first byte of the carry, or of the next one to come.
    start: u64,
    /// Offset of the first byte of the line that is not complete.
    line_start: u64,
    /// Pieces of the current line that have been passed on.
    parts: u32,
    /// The rest of the current line is left out.
    skipping: bool,
    /// It was cut: its beginning was not left out.
    cut: bool,
}

impl Splitter {
    /// A splitter for a file that is read from `offset` on.
    pub(crate) fn at(offset: u64) -> Self {
        Splitter {
            start: offset,
            line_start: offset,
            ..Splitter::default()
        }
    }

    /// A splitter for the rest of a line whose beginning was passed on in parts.
    pub(crate) fn inside(line: CutLine, offset: u64) -> Self {
        Splitter {
            start: offset,
            line_start: line.start,
            parts: line.parts,
            ..Splitter::default()
        }
    }

    /// Passes on what is carried of a line that is not complete, as a part of it; what the line is
    /// then. `None`: there is nothing of a line, or it is left out.
    pub(crate) fn cut(
        &mut self,
        code: Code,
        mut piece: impl FnMut(Piece, u64, &[u8], &[u8]),
    ) -> Option<CutLine> {
        // Half of a character waits for its other half.
        let end = match code {
            Code::Utf16(_) => self.carry.len() & !1,
            code => code.boundary(&self.carry, &[], self.carry.len()),
        };
        if self.skipping || end == 0 && self.parts == 0 {
            return None;
        }
        if end > 0 {
            self.parts = self.parts.saturating_add(1);
            let part = Piece::Part {
                ordinal: self.parts,
                last: false,
                line: self.line_start,
            };
            piece(part, self.start, &self.carry[..end], &[]);
            self.carry.drain(..end);
            self.start += end as u64;
        }
        Some(CutLine {
            start: self.line_start,
            parts: self.parts,
        })
    }

    #[cfg(test)]
    pub(crate) fn kept(&self) -> usize {
        self.carry.capacity()
    }

    /// Gives back memory that is not needed until more comes.
    pub(crate) fn give_back(&mut self) {
        if self.carry.capacity() > 2 * self.carry.len() + KEPT {
            self.carry.shrink_to(self.carry.len());
        }
    }

    /// Offset of the first byte of the line that is not complete: all before is in pieces.
    pub(crate) fn line_start(&self) -> u64 {
        self.line_start
    }

    /// Offset of the first byte that no piece stands for.
    pub(crate) fn start(&self) -> u64 {
        self.start
    }

    /// The file lost what follows `size`, which is less than what was read.
    pub(crate) fn cut_to(&mut self, size: u64) {
        match size.checked_sub(self.start) {
            Some(keep) => {
                self.carry.extend(self.half.take());
                self.carry.truncate(keep as usize);
            }
            None => *self = Splitter::at(size),
        }
    }

    /// Gives back what is carried, to be split again in another encoding than it was.
    pub(crate) fn take_carry(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.carry)
    }

    /// Moves on over bytes that are left out, at the start of a line.
    pub(crate) fn leave_out(&mut self, bytes: u64) {
        self.start += bytes;
        self.line_start += bytes;
    }

    /// Calls `piece(kind, offset, first, second)` for every line that ends in `block`, and for
    /// the parts of over-long ones. The text is `first` followed by `second`, without its newline
    /// and without a carriage return before it; `offset` is where it starts in the file.
    pub(crate) fn split(
        &mut self,
        block: &[u8],
        limits: Limits,
        mut piece: impl FnMut(Piece, u64, &[u8], &[u8]),
    ) {
        let Code::Utf16(order) = limits.code else {
            let newlines = memchr::memchr_iter(b'\n', block);
            return self.lines(block, newlines, limits, &mut piece);
        };
        let mut block = block;
        if self.carry.len() % 2 == 1 {
            self.half = self.carry.pop();
        }
        // Units begin at even offsets: this half of one is what is left of it.
        if let (true, None, [_, rest @ ..]) = (self.start % 2 == 1, self.half, block) {
            self.leave_out(1);
            block = rest;
        }
        if let ([second, rest @ ..], Some(first)) = (block, self.half) {
            self.half = None;
            self.units(&[first, *second], order, limits, &mut piece);
            block = rest;
        }
        let (units, half) = block.split_at(block.len() & !1);
        self.units(units, order, limits, &mut piece);
        self.half = half.first().copied().or(self.half);
    }

    /// Whole units of UTF-16.
    fn units(
        &mut self,
        block: &[u8],
        order: Order,
        limits: Limits,
        piece: &mut impl FnMut(Piece, u64, &[u8], &[u8]),
    ) {
        let newline = order.ascii(b'\n');
        let newlines = memchr::memchr_iter(b'\n', block)
            .map(|at| at & !1)
            .filter(|at| block[*at..*at + 2] == newline);
        self.lines(block, newlines, limits, piece);
    }

    /// `newlines` says where those of the block begin.
    fn lines(
        &mut self,
        block: &[u8],
        newlines: impl Iterator<Item = usize>,
        limits: Limits,
        piece: &mut impl FnMut(Piece, u64, &[u8], &[u8]),
    ) {
        let width = limits.code.width();
        let mut at = 0;
        for end in newlines {
            let text = &block[at..end];
            if self.carry.is_empty() && text.len() <= limits.length && !self.in_long_line() {
                let (text, _) = without_return(limits.code, text, &[]);
                piece(Piece::Whole, self.start, text, &[]);
                self.start += (end + width - at) as u64;
                self.line_start = self.start;
            } else {
                self.text(text, true, limits, piece);
            }
            at = end + width;
        }
        if at < block.len() {
            self.text(&block[at..], false, limits, piece);
        }
    }

    /// The input ends here: what is carried is a line although it has no newline.
    pub(crate) fn finish(&mut self, code: Code, mut piece: impl FnMut(Piece, u64, &[u8], &[u8])) {
        self.carry.extend(self.half.take());
        if self.skipping {
            piece(Piece::Rest { cut: self.cut }, self.start, &[], &[]);
        } else if !self.carry.is_empty() || self.parts > 0 {
            let (text, _) = without_return(code, &self.carry, &[]);
            piece(self.last_piece(), self.start, text, &[]);
        }
        self.start += self.carry.len() as u64;
        self.end_line();
    }

    fn in_long_line(&self) -> bool {
        self.parts > 0 || self.skipping
    }

    fn last_piece(&self) -> Piece {
        match self.parts {
            0 => Piece::Whole,
            parts => Piece::Part {
                ordinal: parts.saturating_add(1),
                last: true,
                line: self.line_start,
            },
        }
    }

    fn end_line(&mut self) {
        self.carry.clear();
        self.line_start = self.start;
        self.parts = 0;
        self.skipping = false;
        self.cut = false;
    }

    /// One piece of a line: what is carried and `text`, perhaps to the line's end.
    fn text(
        &mut self,
        text: &[u8],
        ended: bool,
        limits: Limits,
        piece: &mut impl FnMut(Piece, u64, &[u8], &[u8]),
    ) {
        let mut text = text;
        while !self.skipping {
            let (first, second) = without_return(limits.code, &self.carry, text);
            if first.len() + second.len() <= limits.length {
                break;
            }
            if limits.long == LongLines::Skip {
                self.skipping = true;
                break;
            }
            let cut = limits.code.boundary(&self.carry, text, limits.length);
            let kind = if limits.long == LongLines::Cut {
                self.skipping = true;
                self.cut = true;
                Piece::Cut
            } else {
                self.parts = self.parts.saturating_add(1);
                Piece::Part {
                    ordinal: self.parts,
                    last: false,
                    line: self.line_start,
                }
            };
            self.start += cut as u64;
            let start = self.start - cut as u64;
            if let Some(cut) = cut.checked_sub(self.carry.len()) {
                piece(kind, start, &self.carry, &text[..cut]);
                self.carry.clear();
                text = &text[cut..];
            } else {
                piece(kind, start, &self.carry[..cut], &[]);
                self.carry.drain(..cut);
            }
        }
        if self.skipping {
            self.start += (self.carry.len() + text.len()) as u64;
            self.carry.clear();
            if ended {
                self.start += limits.code.width() as u64;
                piece(Piece::Rest { cut: self.cut }, self.start, &[], &[]);
                self.end_line();
            }
        } else if ended {
            let (first, second) = without_return(limits.code, &self.carry, text);
            piece(self.last_piece(), self.start, first, second);
            self.start += (self.carry.len() + text.len() + limits.code.width()) as u64;
            self.end_line();
        } else {
            self.carry.extend_from_slice(text);
        }
    }
}

/// Cuts one carriage return off the end of the two pieces.
fn without_return<'a>(code: Code, first: &'a [u8], second: &'a [u8]) -> (&'a [u8], &'a [u8]) {
    if let Code::Utf16(order) = code {
        let strip = |text: &'a [u8]| {
            let whole = text.strip_suffix(&order.ascii(b'\r'));
            whole.filter(|text| text.len() % 2 == 0).unwrap_or(text)
        };
        return match second {
            [] => (strip(first), second),
            _ => (first, strip(second)),
        };
    }
    match (first, second) {
        ([head @ .., b'\r'], []) => (head, second),
        (_, [head @ .., b'\r']) => (first, head),
        _ => (first, second),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzzing::{self, Pieces};
    use proptest::prelude::*;

    fn pieces_of(blocks: &[&[u8]], length: usize, long: LongLines) -> Pieces {
        fuzzing::pieces_of(
            blocks.iter().copied(),
            Limits {
                length,
                long,
                code: Code::Plain,
            },
        )
    }

    fn texts(pieces: &Pieces) -> Vec<&[u8]> {
        pieces.iter().map(|(_, _, text)| text.as_slice()).collect()
    }

    #[test]
    fn lines_do_not_depend_on_where_blocks_end() {
        let text = b"one\ntwo\r\n\nfo\rur\r\r\n\r\nrest\r";
        let expect: Vec<&[u8]> = vec![b"one", b"two", b"", b"fo\rur\r", b"", b"rest"];
        for first in 0..text.len() {
            for second in first..text.len() {
                let blocks = [&text[..first], &text[first..second], &text[second..]];
                let pieces = pieces_of(&blocks, 100, LongLines::Split);
                assert_eq!(texts(&pieces), expect, "{first} {second}");
            }
        }
    }

    #[test]
    fn a_line_at_the_limit_is_whole_and_one_byte_more_is_long() {
        for text in [&b"12345678\n"[..], b"12345678\r\n", b"12345678"] {
            let pieces = pieces_of(&[text], 8, LongLines::Split);
            assert_eq!(pieces, [(Piece::Whole, 0, b"12345678".to_vec())]);
        }
        let part = |ordinal, last| Piece::Part {
            ordinal,
            last,
            line: 0,
        };
        assert_eq!(
            pieces_of(&[b"123456789\nx\n"], 8, LongLines::Split),
            [
                (part(1, false), 0, b"12345678".to_vec()),
                (part(2, true), 8, b"9".to_vec()),
                (Piece::Whole, 10, b"x".to_vec()),
            ]
        );
        assert_eq!(
            pieces_of(&[b"123456789\nx\n"], 8, LongLines::Cut),
            [
                (Piece::Cut, 0, b"12345678".to_vec()),
                (Piece::Rest { cut: true }, 10, vec![]),
                (Piece::Whole, 10, b"x".to_vec()),
            ]
        );
        assert_eq!(
            pieces_of(&[b"123456789\nx\n"], 8, LongLines::Skip),
            [
                (Piece::Rest { cut: false }, 10, vec![]),
                (Piece::Whole, 10, b"x".to_vec()),
            ]
        );
    }

    #[test]
    fn a_long_line_is_not_cut_inside_a_character() {
        let text = "1234567\u{20ac}89\n".as_bytes();
        for size in 1..text.len() {
            let blocks: Vec<&[u8]> = text.chunks(size).collect();
            let pieces = pieces_of(&blocks, 8, LongLines::Split);
            for (_, _, text) in &pieces {
                assert!(std::str::from_utf8(text).is_ok(), "{pieces:?}");
            }
            assert_eq!(texts(&pieces).concat(), "1234567\u{20ac}89".as_bytes());
        }
    }

    proptest! {
        #[test]
        fn blocks_and_limits_change_nothing_in_the_text(
            text in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(0), any::<u8>(), Just(b'a')], 0..200),
            size in 1usize..50,
            length in 4usize..20,
        ) {
            for code in fuzzing::CODES {
                fuzzing::check_lines(&text, size, length, code);
            }
        }
    }
}
