//! What must hold for any bytes, for the fuzz targets and the properties of this crate.

use crate::lines::{Limits, LongLines, Piece, Splitter};
use crate::state;

/// A piece as it came out: kind, offset, text.
pub(crate) type Pieces = Vec<(Piece, u64, Vec<u8>)>;

/// Splits blocks, as if they were what reads of a file gave.
pub(crate) fn pieces_of<'a>(
    blocks: impl Iterator<Item = &'a [u8]>,
    length: usize,
    long: LongLines,
) -> Pieces {
    let mut splitter = Splitter::at(0);
    let mut pieces = Vec::new();
    let mut total = 0;
    for block in blocks {
        total += block.len() as u64;
        splitter.split(block, Limits { length, long }, |kind, at, first, second| {
            pieces.push((kind, at, [first, second].concat()));
        });
        assert!(splitter.line_start() <= splitter.start() && splitter.start() <= total);
    }
    splitter.finish(|kind, at, first, second| pieces.push((kind, at, [first, second].concat())));
    assert_eq!((splitter.line_start(), splitter.start()), (total, total));
    pieces
}

/// Lines of `text` and their offsets, in the plainest way.
fn model(text: &[u8]) -> Vec<(u64, &[u8])> {
    let mut at = 0;
    let mut lines: Vec<(u64, &[u8])> = text
        .split(|byte| *byte == b'\n')
        .map(|line| {
            let start = at;
            at += line.len() as u64 + 1;
            (start, line.strip_suffix(b"\r").unwrap_or(line))
        })
        .collect();
    if text.is_empty() || text.ends_with(b"\n") {
        lines.pop();
    }
    lines
}

/// The splitter gives the lines of `text` and nothing else, whatever blocks it comes in, and
/// long ones as they are to be treated.
pub(crate) fn check_lines(text: &[u8], size: usize, length: usize) {
    let blocks = || text.chunks(size);
    let lines = model(text);
    let text_of = |(kind, at, text): (Piece, u64, Vec<u8>)| {
        (!matches!(kind, Piece::Rest { .. })).then_some((at, text))
    };

    let whole = pieces_of(blocks(), usize::MAX, LongLines::Split);
    assert!(whole.iter().all(|(kind, ..)| *kind == Piece::Whole));
    let whole = whole.iter().map(|(_, at, text)| (*at, text.as_slice()));
    assert!(whole.eq(lines.iter().copied()));

    let mut joined: Vec<(u64, Vec<u8>)> = Vec::new();
    let mut parts = 0;
    for (kind, at, piece) in pieces_of(blocks(), length, LongLines::Split) {
        assert!(piece.len() <= length, "{piece:?}");
        assert!(text[at as usize..].starts_with(&piece));
        match (kind, joined.last_mut()) {
            (Piece::Part { ordinal, line, .. }, Some((start, whole))) if parts > 0 => {
                assert_eq!((ordinal, line), (parts + 1, *start));
                whole.extend(&piece);
            }
            (kind, _) => {
                assert!(matches!(
                    kind,
                    Piece::Whole | Piece::Part { ordinal: 1, .. }
                ));
                joined.push((at, piece));
            }
        }
        parts = match kind {
            Piece::Part {
                ordinal,
                last: false,
                ..
            } => ordinal,
            _ => 0,
        };
    }
    assert_eq!(parts, 0);
    let joined = joined.iter().map(|(at, text)| (*at, text.as_slice()));
    assert!(joined.eq(lines.iter().copied()));

    let cut: Vec<_> = pieces_of(blocks(), length, LongLines::Cut)
        .into_iter()
        .filter_map(text_of)
        .collect();
    assert_eq!(cut.len(), lines.len());
    for ((at, cut), (start, line)) in cut.iter().zip(&lines) {
        assert_eq!(at, start);
        assert!(line.starts_with(cut) && (cut.len() == line.len() || cut.len() + 3 >= length));
    }

    let short = pieces_of(blocks(), length, LongLines::Skip)
        .into_iter()
        .filter_map(text_of);
    let expect = lines.iter().filter(|(_, line)| line.len() <= length);
    assert!(short.eq(expect.map(|(at, line)| (*at, line.to_vec()))));
}

/// The line splitter. The first two bytes say how long blocks and lines are.
pub fn lines(data: &[u8]) {
    if let [size, length, text @ ..] = data {
        check_lines(text, usize::from(*size) + 1, usize::from(*length) % 64 + 4);
    }
}

/// The state file's reader: what it takes for a state, it writes and reads as the same one.
pub fn state(data: &[u8]) {
    if let Ok(entries) = state::parse(data) {
        let again = state::parse(&state::render(entries.iter()));
        assert_eq!(again, Ok(entries));
    }
}
