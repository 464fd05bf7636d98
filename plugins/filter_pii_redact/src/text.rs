//! Views: a text with what is written in it in another way (escapes, colours, percent-encoding,
//! entities, digits of other scripts) taken off, that can tell where each of its bytes came from.

mod unit;

use std::cell::Cell;
use std::ops::Range;

use crate::budget::Budget;
pub(crate) use unit::is_escape;
use unit::Unit;

/// Most views of one text, each over the one before.
const MAX_ROUNDS: usize = 5;
/// So many of a text without backslashes. Those behind take all backslashes of a row off at once: strings
/// of JSON within strings have twice as many on each level.
const FEW_ROUNDS: usize = 3;

/// What a view counts for, each byte of it, and beyond that what may be written otherwise and what is.
const LAYER: usize = 24;
const DECODED: usize = 2;
const TRIED: usize = 3;
const UNIT: usize = 11;

/// How many backslashes of a row are taken off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Depth {
    One,
    All,
}

/// A part of a view: bytes from `decoded` on come from `source` on, so many at a time from so many there.
/// Bytes that are copied are one from one each.
#[derive(Clone, Copy, Debug)]
struct Piece {
    decoded: usize,
    source: usize,
    len: usize,
    written: usize,
}

impl Piece {
    /// Where in the source the bytes begin that the one at `offset` of the view is decoded from.
    fn source_of(&self, offset: usize) -> usize {
        self.source + (offset - self.decoded) / self.len * self.written
    }
}

/// A decoded text.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    /// The decoded bytes.
    pub(crate) text: Vec<u8>,
    pieces: Vec<Piece>,
    source: usize,
    /// The last piece ends where the next one begins: nothing without bytes is between them.
    joined: bool,
    /// Nothing but backslashes in front of others is taken off.
    halved: bool,
    /// The piece that was asked for last.
    asked: Cell<usize>,
}

impl View {
    /// Becomes `source` with one layer of what is written otherwise taken off; returns how much was tried
    /// for it, and how often something was.
    fn decode(&mut self, source: &[u8], depth: Depth) -> (usize, usize) {
        self.text.clear();
        self.pieces.clear();
        self.source = 0;
        self.joined = false;
        self.halved = true;
        let (mut tried, mut units) = (0, 0);
        // Up to here nothing is written otherwise.
        let mut at = 0;
        while at < source.len() {
            if !unit::may_start(source[at]) {
                at += 1;
                continue;
            }
            tried += unit::weight(source[at]);
            if unit::looks_back(source[at]) {
                self.copy(source, at);
            }
            let row = match depth {
                Depth::All => unit::backslashes(&source[at..]),
                Depth::One => None,
            };
            let Some(Unit {
                bytes,
                len,
                written,
            }) = row.or_else(|| unit::at(source, at, &self.text))
            else {
                at += 1;
                continue;
            };
            units += 1;
            self.halved &= source[at..].starts_with(b"\\\\");
            self.copy(source, at);
            self.push(&bytes[..len], Some(written));
            at += written;
        }
        self.copy(source, source.len());
        (tried, units)
    }

    /// Decodes the inside of a JSON string.
    pub(crate) fn decode_json(source: &[u8]) -> Self {
        let mut view = View::default();
        view.become_json(source);
        view
    }

    /// Becomes the inside of a JSON string, decoded.
    pub(crate) fn become_json(&mut self, source: &[u8]) {
        self.text.clear();
        self.pieces.clear();
        self.text.reserve(source.len());
        self.source = 0;
        self.joined = false;
        while self.source < source.len() {
            let rest = &source[self.source..];
            if let [b'\\', byte @ (b'"' | b'\\' | b'/'), ..] = rest {
                self.push(std::slice::from_ref(byte), Some(2));
                continue;
            }
            match unit::backslash(rest) {
                Some(Unit {
                    bytes,
                    len,
                    written,
                }) => self.push(&bytes[..len], Some(written)),
                None => {
                    let len = 1 + memchr::memchr(b'\\', &rest[1..]).unwrap_or(rest.len() - 1);
                    self.push(&rest[..len], None);
                }
            }
        }
    }

    /// Copies what is not copied yet in front of `end`.
    fn copy(&mut self, source: &[u8], end: usize) {
        if self.source < end {
            self.push(&source[self.source..end], None);
        }
    }

    fn push(&mut self, bytes: &[u8], written: Option<usize>) {
        let (len, taken) = match written {
            Some(written) => (bytes.len(), written),
            None => (1, 1),
        };
        // The same again goes on with the piece before.
        let last = self.pieces.last().filter(|_| self.joined);
        let goes_on = last.is_some_and(|last| (last.len, last.written) == (len, taken));
        // What stands for nothing is in no piece.
        self.joined = !bytes.is_empty();
        if self.joined && !goes_on {
            self.pieces.push(Piece {
                decoded: self.text.len(),
                source: self.source,
                len,
                written: taken,
            });
        }
        self.text.extend_from_slice(bytes);
        self.source += written.unwrap_or(bytes.len());
    }

    fn piece(&self, offset: usize) -> Option<&Piece> {
        let starts = |piece: &Piece| piece.decoded <= offset;
        // Most are asked for in ascending order: from the last one on, further away each time.
        let first = self.asked.get().min(self.pieces.len());
        let (first, mut step) = match self.pieces.get(first).is_some_and(starts) {
            true => (first, 1),
            false => (0, self.pieces.len()),
        };
        let rest = &self.pieces[first..];
        while rest.get(step).is_some_and(starts) {
            step *= 2;
        }
        let next = rest[..step.min(rest.len())].partition_point(starts);
        let found = first + next.checked_sub(1)?;
        self.asked.set(found);
        self.pieces.get(found)
    }

    /// Where the byte at `offset` of the view starts in the source; its end for the end.
    fn start_of(&self, offset: usize) -> usize {
        if offset >= self.text.len() {
            return self.source;
        }
        self.piece(offset)
            .map_or(0, |piece| piece.source_of(offset))
    }

    /// Where in the source the byte in front of `offset` of the view ends.
    fn end_of(&self, offset: usize) -> usize {
        let Some(last) = offset.checked_sub(1) else {
            return self.start_of(0);
        };
        self.piece(last)
            .map_or(0, |piece| piece.source_of(last) + piece.written)
    }

    /// The span of the source that `start..end` of the view stands for.
    pub(crate) fn source_of(&self, start: usize, end: usize) -> (usize, usize) {
        let first = self.start_of(start);
        match end > start {
            true => (first, self.end_of(end)),
            false => (first, first),
        }
    }
}

/// The views of a text, each with one more layer taken off. They are kept from text to text.
#[derive(Debug, Default)]
pub(crate) struct Views {
    layers: Vec<View>,
    len: usize,
    /// The text that they are of, if that was kept: where it is, and its length.
    of: Option<(usize, usize)>,
    /// So many of the first have nothing in them.
    clean: usize,
}

impl Views {
    /// Keeps them for the next look at the same text, which must not change before [`Views::forget`].
    /// `clean`: so many of the first have nothing in them.
    pub(crate) fn keep(&mut self, text: &[u8], clean: usize) {
        self.of = Some((text.as_ptr() as usize, text.len()));
        self.clean = clean;
    }

    /// They are of no text any more.
    pub(crate) fn forget(&mut self) {
        self.of = None;
    }

    /// Those of `text` that may have something in them.
    pub(crate) fn of(&mut self, text: &[u8], budget: &Budget) -> Range<usize> {
        let kept = self.of == Some((text.as_ptr() as usize, text.len()));
        match kept {
            true => self.clean..self.len,
            false => 0..self.decode(text, budget),
        }
    }

    /// Becomes the views of `text`; returns how many there are.
    pub(crate) fn decode(&mut self, text: &[u8], budget: &Budget) -> usize {
        self.len = 0;
        self.of = None;
        while self.len < MAX_ROUNDS && !budget.is_spent() {
            if self.layers.len() == self.len {
                self.layers.push(View::default());
            }
            let (before, layer) = self.layers.split_at_mut(self.len);
            let source = before.last().map_or(text, |view| &view.text);
            // Only strings of JSON within strings go deeper.
            if self.len >= FEW_ROUNDS && memchr::memchr(b'\\', source).is_none() {
                break;
            }
            budget.look(LAYER + DECODED * source.len());
            let depth = match self.len < FEW_ROUNDS {
                true => Depth::One,
                false => Depth::All,
            };
            let (tried, units) = layer[0].decode(source, depth);
            budget.look(TRIED * tried + UNIT * units);
            if units == 0 {
                break;
            }
            self.len += 1;
        }
        self.len
    }

    /// Whether view `n` says more than those around it: not if it has only fewer backslashes than the one
    /// before, and another one behind it has fewer still.
    pub(crate) fn is_worth_a_look(&self, n: usize) -> bool {
        n + 1 == self.len || !self.layers[n].halved
    }

    /// The text of view `n`.
    pub(crate) fn text(&self, n: usize) -> &[u8] {
        &self.layers[n].text
    }

    /// The span of the source that `start..end` of view `n` stands for.
    pub(crate) fn source_of(&self, n: usize, start: usize, end: usize) -> (usize, usize) {
        let layers = self.layers[..=n].iter().rev();
        layers.fold((start, end), |(start, end), view| {
            view.source_of(start, end)
        })
    }
}

/// Appends `text` as it stands inside a JSON string.
pub(crate) fn escape_json(text: &[u8], out: &mut Vec<u8>) {
    for byte in text {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            0..=0x1f => {
                out.extend_from_slice(b"\\u00");
                out.extend(format!("{byte:02x}").bytes());
            }
            _ => out.push(*byte),
        }
    }
}

/// What is written, and how it reads.
#[cfg(test)]
pub(crate) const WRITTEN: &[(&str, &str)] = &[
    ("\u{1b}[36mtoken\u{1b}[0m=\u{1b}[1;35mx\u{1b}[0m", "token=x"),
    ("\\u001b[35mx\\u001b[0m", "x"),
    ("\\033[35mx\\e[0m", "x"),
    ("#033[35mx#033[0m#011a", "x\ta"),
    ("jo%2540example.org", "jo@example.org"),
    ("&quot;a&quot;&#61;&#x40;&amp;lt;", "\"a\"=@<"),
    ("card=4111+1111+1111+1111", "card=4111 1111 1111 1111"),
    ("a=Bearer+x1", "a=Bearer x1"),
    ("\u{ff14}\u{ff11}1\u{ff1a}\u{662}\u{661}\u{669}", "411:219"),
    ("pass\u{200b}word", "password"),
    (
        "\"{\"\"password\"\": \"\"x\"\"}\"",
        "\"{\"password\": \"x\"}\"",
    ),
    ("a=\"\" b=\"\"", "a=\"\" b=\"\""),
    ("To: jo.do=40example.org=3B", "To: jo.do@example.org;"),
    ("size=404 n=4096", "size=404 n=4096"),
    ("4111\n1111<br>1111\n1111", "4111 1111 1111 1111"),
    ("mysql:\\/\\/a:b@c", "mysql://a:b@c"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded_and_offsets_lead_back() {
        let source = b"a%40b \\u0040\\\"x 50% \\ud83d\\ude00";
        let mut view = View::default();
        assert_eq!(view.decode(source, Depth::One), (5, 4));
        assert_eq!(view.text, "a@b @\"x 50% \u{1f600}".as_bytes());
        let at = |byte: u8| view.text.iter().position(|b| *b == byte).unwrap();
        assert_eq!(view.source_of(at(b'@'), at(b'@') + 1), (1, 4));
        assert_eq!(view.source_of(at(b'b'), at(b'b') + 1), (4, 5));
        assert_eq!(view.source_of(at(b'"'), at(b'"') + 1), (12, 14));
        assert_eq!(view.start_of(at(b'x')), 14);
        assert_eq!(view.start_of(view.text.len()), source.len());
        assert_eq!(view.decode(b"plain 100% text", Depth::One), (1, 0));
    }

    fn unlimited() -> Budget {
        let budget = Budget::new(0);
        budget.start(None);
        budget
    }

    fn last(text: &str) -> String {
        let mut views = Views::default();
        match views.decode(text.as_bytes(), &unlimited()) {
            0 => text.to_owned(),
            n => String::from_utf8_lossy(views.text(n - 1)).into_owned(),
        }
    }

    #[test]
    fn every_way_of_writing_has_its_view() {
        for (written, plain) in WRITTEN {
            assert_eq!(last(written), *plain, "{written}");
        }
    }

    #[test]
    fn a_span_of_the_last_view_leads_back_to_what_is_written() {
        let text = "\u{1b}[36mk\u{1b}[0m=\\u001b[35mabc%2540d\\u001b[0m";
        let mut views = Views::default();
        let n = views.decode(text.as_bytes(), &unlimited()) - 1;
        assert_eq!(views.text(n), b"k=abc@d");
        let (start, end) = views.source_of(n, 2, 7);
        assert_eq!(&text[start..end], "abc%2540d");
    }

    #[test]
    fn rows_of_backslashes_are_few_views_of_which_fewer_are_looked_at() {
        let mut views = Views::default();
        let row = "\\".repeat(64) + "n";
        assert!(views.decode(format!("a{row}b").as_bytes(), &unlimited()) <= MAX_ROUNDS);
        let worth: Vec<usize> = (0..views.len)
            .filter(|n| views.is_worth_a_look(*n))
            .collect();
        assert!(worth.len() <= 2, "{worth:?}");
        // Strings of JSON within strings, six levels deep.
        let mut text = "token=x\n".to_owned();
        for _ in 0..6 {
            text = serde_json::Value::from(text).to_string();
        }
        assert!(last(&text).contains("token=x\n"), "{}", last(&text));
    }

    #[test]
    fn escaped_text_decodes_to_itself() {
        let text = "quote \" backslash \\ line \n end";
        let mut escaped = Vec::new();
        escape_json(text.as_bytes(), &mut escaped);
        assert_eq!(View::decode_json(&escaped).text, text.as_bytes());
    }
}
