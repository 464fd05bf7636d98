//! What must hold for any bytes, for the fuzz targets and the properties of this crate.

use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use crate::checkpoint::{entry, load};
use crate::read::charset::{Code, Order, Transcoder, GB18030_CODE, SHIFT_JIS_CODE};
use crate::read::lines::{Limits, LongLines, Piece, Splitter};

/// A piece as it came out: kind, offset, text.
pub(crate) type Pieces = Vec<(Piece, u64, Vec<u8>)>;

/// Encodings with different newlines and characters.
pub(crate) const CODES: [Code; 5] = [
    Code::Plain,
    Code::Utf16(Order::Little),
    Code::Utf16(Order::Big),
    SHIFT_JIS_CODE,
    GB18030_CODE,
];

/// Splits blocks, as if they were what reads of a file gave.
pub(crate) fn pieces_of<'a>(blocks: impl Iterator<Item = &'a [u8]>, limits: Limits) -> Pieces {
    let mut splitter = Splitter::at(0);
    let mut pieces = Vec::new();
    let mut total = 0;
    for block in blocks {
        total += block.len() as u64;
        splitter.split(block, limits, |kind, at, first, second| {
            pieces.push((kind, at, [first, second].concat()));
        });
        assert!(splitter.line_start() <= splitter.start() && splitter.start() <= total);
    }
    splitter.finish(limits.code, |kind, at, first, second| {
        pieces.push((kind, at, [first, second].concat()));
    });
    assert_eq!((splitter.line_start(), splitter.start()), (total, total));
    pieces
}

/// Lines of `text` and their offsets, in the plainest way.
fn model(text: &[u8], code: Code) -> Vec<(u64, &[u8])> {
    let ascii = |byte| match code {
        Code::Utf16(order) => order.ascii(byte).to_vec(),
        _ => vec![byte],
    };
    let (newline, mark) = (ascii(b'\n'), ascii(b'\r'));
    let width = code.width();
    let mut lines = Vec::new();
    let (mut start, mut at) = (0, 0);
    while at + width <= text.len() {
        if text[at..at + width] == newline {
            lines.push((start, at));
            start = at + width;
        }
        at += width;
    }
    if start < text.len() {
        lines.push((start, text.len()));
    }
    let line = |(start, end): (usize, usize)| {
        let line = &text[start..end];
        let ends_in_unit = line.len() % width == 0;
        let marked = line.strip_suffix(mark.as_slice()).filter(|_| ends_in_unit);
        (start as u64, marked.unwrap_or(line))
    };
    lines.into_iter().map(line).collect()
}

/// The splitter gives the lines of `text` and nothing else, whatever blocks it comes in, and
/// long ones as they are to be treated.
pub(crate) fn check_lines(text: &[u8], size: usize, length: usize, code: Code) {
    let split =
        |text: &[u8], length, long| pieces_of(text.chunks(size), Limits { length, long, code });
    let text_of = |(kind, at, text): (Piece, u64, Vec<u8>)| {
        (!matches!(kind, Piece::Rest { .. })).then_some((at, text))
    };

    let whole = split(text, usize::MAX, LongLines::Split);
    assert!(whole.iter().all(|(kind, ..)| *kind == Piece::Whole));
    let whole = whole.iter().map(|(_, at, text)| (*at, text.as_slice()));
    assert!(whole.eq(model(text, code)));

    // Half a unit at the very end does not count for the limit.
    let text = &text[..text.len() / code.width() * code.width()];
    let lines = model(text, code);
    let mut joined: Vec<(u64, Vec<u8>)> = Vec::new();
    let mut parts = 0;
    for (kind, at, piece) in split(text, length, LongLines::Split) {
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

    let cut: Vec<_> = split(text, length, LongLines::Cut)
        .into_iter()
        .filter_map(text_of)
        .collect();
    assert_eq!(cut.len(), lines.len());
    for ((at, cut), (start, line)) in cut.iter().zip(&lines) {
        assert_eq!(at, start);
        assert!(line.starts_with(cut) && (cut.len() == line.len() || cut.len() + 3 >= length));
    }

    let short = split(text, length, LongLines::Skip)
        .into_iter()
        .filter_map(text_of);
    let expect = lines.iter().filter(|(_, line)| line.len() <= length);
    assert!(short.eq(expect.map(|(at, line)| (*at, line.to_vec()))));
}

/// The line splitter. The first three bytes say how long blocks and lines are, and the encoding.
pub fn lines(data: &[u8]) {
    let [size, length, code, text @ ..] = data else {
        return;
    };
    let code = CODES[usize::from(*code) % CODES.len()];
    let length = usize::from(*length) % 64 + 4;
    check_lines(text, usize::from(*size) + 1, length, code);
    let mut transcoder = Transcoder::default();
    for (at, line) in model(text, code) {
        let ((text, _), invalid) = transcoder.line(code, at == 0, (line, &[]));
        assert!(code == Code::Plain || std::str::from_utf8(text).is_ok());
        let replaced = String::from_utf8_lossy(text).matches('\u{fffd}').count() as u64;
        assert!(code == Code::Plain || invalid <= replaced);
    }
}

/// A line of a journal that can be seen to be whole.
fn sealed(json: &[u8]) -> Vec<u8> {
    let mut line = format!("{:016x} ", xxh3_64(json)).into_bytes();
    line.extend_from_slice(json);
    line.push(b'\n');
    line
}

/// The reader of the state file and of its journal: what it takes for a state, it writes and reads
/// as the same one. Behind the first NUL is the journal, as it is and again with every line sealed.
pub fn state(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == 0);
    let (document, journal) = data.split_at(end.unwrap_or(data.len()));
    let sealed: Vec<u8> = journal
        .split(|byte| *byte == b'\n' || *byte == 0)
        .flat_map(sealed)
        .collect();
    for journal in [journal, &sealed] {
        let limits = load::Limits::of(0);
        let loaded = load::read(document, journal, limits);
        if let Some(load::Loaded { entries, .. }) = loaded.ok().filter(|loaded| !loaded.cut) {
            let mut again = Vec::new();
            let (one, other) = entries.split_at(entries.len() / 2);
            let shared = |entries: &[entry::Entry]| entries.iter().cloned().map(Arc::new).collect();
            let pieces = [one, other].map(shared);
            assert!(entry::write_document(&mut again, &pieces, 1).is_ok());
            let read = load::read(again.as_slice(), &b""[..], limits);
            assert_eq!(read.map(|loaded| loaded.entries), Ok(entries));
        }
    }
}
