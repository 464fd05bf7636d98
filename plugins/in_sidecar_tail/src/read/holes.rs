//! Bytes that nobody has written: a log that was made longer before there was something to write,
//! or whose writer went on at its old position after a truncation, has NULs there.

use std::io;

use crate::fs::Handle;
use crate::read::charset::Code;
use crate::track::fingerprint::read_full;

/// NULs in a row that are no text any more: at the head of a file, between two lines, and inside one.
const HOLE_AT_HEAD: usize = 8;
const HOLE: usize = 64;
const HOLE_IN_LINE: usize = 4096;
/// Bytes read at once, and at most, to see what is written at a file's end.
const BACKWARDS: usize = 64 << 10;
const AT_START: u64 = 64 << 20;
/// Bytes of a hole that are looked at in one turn.
const AT_ONCE: u64 = 16 << 20;

/// What a block begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begins {
    /// As many bytes of text; what follows is for another look.
    Text(usize),
    /// As many bytes that were not written, with text behind them.
    Hole(usize),
    /// Nothing that was written, as far as it goes.
    Blank,
}

/// How many NULs at the beginning of a block are no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Least {
    /// Any, at the head of a file that was seen to begin anew.
    AtTruncation,
    /// At the head of a file: there may have been a truncation that nobody saw.
    AtHead,
    BetweenLines,
    InsideLine,
}

/// What `block`, which is at `offset` of its file, begins with.
pub(crate) fn begins(block: &[u8], offset: u64, code: Code, least: Least) -> Begins {
    let width = code.width();
    // Where the first whole unit begins.
    let first = (width - (offset % width as u64) as usize) % width;
    let mut at = 0;
    while let Some(found) = memchr::memchr(0, &block[at..]) {
        // A unit of two bytes may have one NUL and be text.
        let unit = (at + found).saturating_sub(first).next_multiple_of(width) + first;
        if unit >= block.len() {
            break;
        }
        let rest = &block[unit..];
        let nuls = rest.iter().take_while(|byte| **byte == 0).count();
        let to_the_end = nuls == rest.len();
        let nuls = nuls / width * width;
        let least = match unit.checked_sub(width) {
            _ if unit == 0 => match least {
                Least::AtTruncation => width,
                Least::AtHead => HOLE_AT_HEAD,
                Least::BetweenLines => HOLE,
                Least::InsideLine => HOLE_IN_LINE,
            },
            Some(last) if block[last..unit].contains(&b'\n') => HOLE,
            _ => HOLE_IN_LINE,
        };
        match (unit, nuls) {
            (_, 0) => {}
            (0, _) if to_the_end => return Begins::Blank,
            (0, _) if nuls >= least => return Begins::Hole(nuls),
            (_, _) if unit > 0 && (to_the_end || nuls >= least) => return Begins::Text(unit),
            _ => {}
        }
        at = unit + nuls.max(width);
        if at >= block.len() {
            break;
        }
    }
    Begins::Text(block.len())
}

/// Where what is written ends in a file that is `size` bytes long.
pub(crate) fn written_end(handle: &Handle, size: u64) -> io::Result<u64> {
    let mut block = vec![0; BACKWARDS];
    let mut end = size;
    while end > size.saturating_sub(AT_START) {
        let length = end.min(BACKWARDS as u64);
        let read = read_full(handle, &mut block[..length as usize], end - length)?;
        if let Some(last) = block[..read].iter().rposition(|byte| *byte != 0) {
            return Ok(end - length + last as u64 + 1);
        }
        end -= length;
    }
    Ok(if end == 0 { 0 } else { size })
}

/// Where the line begins that is before `offset` or ends there, as far as that is looked for.
pub(crate) fn line_begins(handle: &Handle, offset: u64) -> io::Result<u64> {
    let mut block = vec![0; BACKWARDS];
    let length = offset.min(BACKWARDS as u64);
    let read = read_full(handle, &mut block[..length as usize], offset - length)?;
    let newline = block[..read].iter().rposition(|byte| *byte == b'\n');
    Ok(match newline {
        // With two bytes for a character, it ends with a NUL.
        Some(at) if block.get(at + 1) == Some(&0) => offset,
        Some(at) => offset - length + at as u64 + 1,
        None if length == offset => 0,
        None => offset,
    })
}

/// Where something is written behind `from`, or how far it is known that nothing is. `block` is
/// room to read into.
pub(crate) fn next_text(
    handle: &Handle,
    from: u64,
    size: u64,
    block: &mut [u8],
) -> io::Result<Result<u64, u64>> {
    let mut at = from;
    while at < size && at - from < AT_ONCE {
        // Filesystems that know no holes say that all is data.
        match handle.next_data(at) {
            Some(data) => at = data,
            None => return Ok(Err(size)),
        }
        let length = read_full(handle, block, at)?;
        if let Some(text) = block[..length].iter().position(|byte| *byte != 0) {
            return Ok(Ok(at + text as u64));
        }
        if length == 0 {
            return Ok(Err(size));
        }
        at += length as u64;
    }
    Ok(Err(at.min(size)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::read::charset::Order;

    #[test]
    fn what_blocks_begin_with() {
        use Least::{AtHead, AtTruncation, BetweenLines, InsideLine};
        let nuls = |count: usize| vec![0u8; count];
        let text = |text: &str| text.as_bytes().to_vec();
        let cases = [
            (text("one\n"), BetweenLines, Begins::Text(4)),
            (
                [text("one\n"), nuls(1)].concat(),
                BetweenLines,
                Begins::Text(4),
            ),
            (
                [text("one\n"), nuls(100), text("two\n")].concat(),
                BetweenLines,
                Begins::Text(4),
            ),
            (
                [text("one"), nuls(100), text("two\n")].concat(),
                BetweenLines,
                Begins::Text(107),
            ),
            (
                [text("one"), nuls(5000), text("two\n")].concat(),
                BetweenLines,
                Begins::Text(3),
            ),
            (
                [text("o\0ne\n"), nuls(9)].concat(),
                BetweenLines,
                Begins::Text(5),
            ),
            (
                [nuls(8), text("two\n")].concat(),
                BetweenLines,
                Begins::Text(12),
            ),
            (
                [nuls(8), text("two\n")].concat(),
                AtTruncation,
                Begins::Hole(8),
            ),
            (
                [nuls(HOLE), text("two\n")].concat(),
                BetweenLines,
                Begins::Hole(HOLE),
            ),
            (
                [nuls(HOLE), text("two\n")].concat(),
                InsideLine,
                Begins::Text(HOLE + 4),
            ),
            (nuls(1), BetweenLines, Begins::Blank),
            ([nuls(8), text("two\n")].concat(), AtHead, Begins::Hole(8)),
            ([nuls(7), text("two\n")].concat(), AtHead, Begins::Text(11)),
            (nuls(1000), InsideLine, Begins::Blank),
        ];
        for (block, least, expected) in cases {
            assert_eq!(begins(&block, 0, Code::Plain, least), expected, "{block:?}");
        }
        // The second byte of a character is no NUL of its own.
        let little = Code::Utf16(Order::Little);
        assert_eq!(begins(b"a\0\n\0", 0, little, BetweenLines), Begins::Text(4));
        assert_eq!(
            begins(b"\0\n\0\0\0", 1, little, BetweenLines),
            Begins::Text(3)
        );
    }

    proptest! {
        #[test]
        fn text_without_nuls_is_all_text(block in proptest::collection::vec(1u8..255, 0..300), offset in 0u64..4) {
            for code in crate::fuzzing::CODES {
                prop_assert_eq!(begins(&block, offset, code, Least::AtTruncation), Begins::Text(block.len()));
            }
        }

        /// Whatever it is, something is taken of it, and only NULs are left out.
        #[test]
        fn only_nuls_are_left_out(block in proptest::collection::vec(prop_oneof![Just(0u8), Just(0), Just(b'\n'), any::<u8>()], 1..300), offset in 0u64..4, repeat in 1usize..50) {
            let block = block.repeat(repeat);
            for code in crate::fuzzing::CODES {
                for least in [Least::AtTruncation, Least::BetweenLines, Least::InsideLine] {
                    match begins(&block, offset, code, least) {
                        Begins::Text(length) => prop_assert!(length > 0),
                        Begins::Hole(length) => prop_assert!(length > 0 && block[..length].iter().all(|b| *b == 0)),
                        Begins::Blank => prop_assert!(block.iter().all(|b| *b == 0)),
                    }
                }
            }
        }

        #[test]
        fn the_next_text_is_found_wherever_it_is(size in 1u64..200_000, at in 0u64..200_000, from in 0u64..1000) {
            let file = tempfile::tempfile().unwrap();
            file.set_len(size).unwrap();
            std::os::unix::fs::FileExt::write_all_at(&file, b"x", at).unwrap();
            let file = Handle::from(file);
            let size = size.max(at + 1);
            let mut block = [0; 1000];
            let mut from = from.min(at);
            let found = loop {
                match next_text(&file, from, size, &mut block).unwrap() {
                    Ok(found) => break found,
                    Err(nothing) => from = nothing,
                }
            };
            prop_assert_eq!(found, at);
        }
    }
}
