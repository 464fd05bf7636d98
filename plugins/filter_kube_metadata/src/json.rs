//! A JSON object as msgpack in one pass, with exactly the values Fluent Bit's reader gives.
//!
//! Fluent Bit 5 reads `log` with yyjson in a lenient mode: raw control characters and bytes that
//! are not UTF-8 stay in strings, an unpaired surrogate becomes U+FFFD, a broken `\u` escape stays
//! as text, and what follows the object is ignored unless it is JSON as well. No strict JSON
//! library gives these results, and merged records must be the same here and there, so the reader
//! is here; its strict part is tested against `serde_json`, all of it against a real host.
//!
//! Grammar: RFC 8259. Integers that fit 64 bits stay integers, all other numbers are doubles.
//! Keys that occur twice are kept twice. Time is linear in the text for a fixed depth.

use crate::packed::{Container, Packed, SLACK};
use crate::stops::Stops;

/// U+FFFD in UTF-8, for a surrogate that has no partner.
const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();

/// No value is longer in msgpack than this many times its text: a double has nine bytes, and three
/// characters at least.
const GROWTH: usize = 3;

/// Room that is kept between objects.
const KEPT_BYTES: usize = 1 << 20;

/// Reads objects; keeps its buffer between them.
#[derive(Debug, Default)]
pub(crate) struct JsonReader {
    buffer: Vec<u8>,
}

/// What was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Object {
    /// Number of its pairs.
    pub(crate) len: usize,
    /// One of its own keys, not of nested ones, was written with an escape.
    pub(crate) escaped_key: bool,
}

impl JsonReader {
    /// Appends the pairs of the one object that `text` is to `out`, without a map header. String
    /// values of the object itself, not of nested ones, are trimmed if asked for. `None`: `text` is
    /// something else, or nested deeper than `max_depth` objects and arrays; `out` is as it was.
    pub(crate) fn object(
        &mut self,
        text: &[u8],
        max_depth: usize,
        trim: bool,
        out: &mut Vec<u8>,
    ) -> Option<Object> {
        let start = text.iter().position(|byte| !is_blank(*byte))?;
        if text[start] != b'{' {
            return None;
        }
        let room = text.len() * GROWTH + SLACK;
        if self.buffer.len() < room {
            self.buffer.resize(room.next_power_of_two(), 0);
        }
        let mut reader = Reader {
            text,
            stops: Stops::new(text),
            packed: Packed::new(&mut self.buffer),
            escaped: false,
        };
        let object = reader.object(start + 1, max_depth, trim);
        if let Some((_, end)) = object {
            out.extend_from_slice(&self.buffer[..end]);
        }
        if self.buffer.len() > KEPT_BYTES {
            self.buffer = Vec::new();
        }
        object.map(|(object, _)| object)
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Number of bytes left of a string after trimming: line feeds at its end go, and so do the two
/// characters `\n` or `\r`, but the first byte always stays unless it is such a pair's backslash.
pub(crate) fn trimmed_len(text: &[u8]) -> usize {
    let mut len = text.len();
    while len > 1 {
        match (text[len - 2], text[len - 1]) {
            (_, b'\n') => len -= 1,
            (b'\\', b'n' | b'r') => len -= 2,
            _ => break,
        }
    }
    len
}

/// Reads values of `text`. Where it is goes from call to call as a number and not through memory:
/// the next step cannot start before it is known.
struct Reader<'a> {
    text: &'a [u8],
    stops: Stops<'a>,
    packed: Packed<'a>,
    /// A string with an escape was read.
    escaped: bool,
}

/// Offset of what comes next; `None`: the text is not as it must be.
type Next = Option<usize>;

impl Reader<'_> {
    /// The object behind its `{`, and where it ends in `packed`.
    fn object(&mut self, at: usize, max_depth: usize, trim: bool) -> Option<(Object, usize)> {
        let mut object = Object::default();
        let at = self.pairs(at, max_depth, trim, &mut object)?;
        let end = self.packed.len();
        let at = self.skip_blanks(at);
        // With a second JSON value the text is no single object.
        let single = at >= self.text.len() || self.value(at, max_depth, false).is_none();
        single.then_some((object, end))
    }

    #[inline(always)]
    fn peek(&self, at: usize) -> Option<u8> {
        self.text.get(at).copied()
    }

    #[inline(always)]
    fn is(&self, at: usize, byte: u8) -> bool {
        self.peek(at) == Some(byte)
    }

    #[inline(always)]
    fn skip_blanks(&self, mut at: usize) -> usize {
        while self.peek(at).is_some_and(is_blank) {
            at += 1;
        }
        at
    }

    #[inline(always)]
    fn value(&mut self, at: usize, depth: usize, trim: bool) -> Next {
        match self.peek(at)? {
            b'"' => self.string(at, trim),
            b'-' | b'0'..=b'9' => self.number(at),
            b't' => self.literal(at, b"true", 0xc3),
            b'f' => self.literal(at, b"false", 0xc2),
            b'n' => self.literal(at, b"null", 0xc0),
            open @ (b'{' | b'[') => self.container(at, open, depth),
            _ => None,
        }
    }

    fn container(&mut self, at: usize, open: u8, depth: usize) -> Next {
        let inner = depth.checked_sub(1).filter(|left| *left > 0)?;
        let head = self.packed.open();
        if open == b'{' {
            let mut object = Object::default();
            let next = self.pairs(at + 1, inner, false, &mut object)?;
            self.packed.close(head, object.len, Container::Map);
            Some(next)
        } else {
            let (len, next) = self.elements(at + 1, inner)?;
            self.packed.close(head, len, Container::Array);
            Some(next)
        }
    }

    /// What follows `{`, up to and with `}`.
    fn pairs(&mut self, at: usize, depth: usize, trim: bool, object: &mut Object) -> Next {
        let mut at = self.skip_blanks(at);
        if self.is(at, b'}') {
            return Some(at + 1);
        }
        let mut len = 0;
        loop {
            if !self.is(at, b'"') {
                return None;
            }
            self.escaped = false;
            at = self.string(at, false)?;
            object.escaped_key |= self.escaped;
            at = self.skip_blanks(at);
            if !self.is(at, b':') {
                return None;
            }
            at = self.skip_blanks(at + 1);
            at = self.value(at, depth, trim)?;
            len += 1;
            at = self.skip_blanks(at);
            match self.peek(at)? {
                b',' => at = self.skip_blanks(at + 1),
                b'}' => {
                    object.len = len;
                    return Some(at + 1);
                }
                _ => return None,
            }
        }
    }

    /// What follows `[`, up to and with `]`: how many elements there are, and where it ends.
    fn elements(&mut self, at: usize, depth: usize) -> Option<(usize, usize)> {
        let mut at = self.skip_blanks(at);
        if self.is(at, b']') {
            return Some((0, at + 1));
        }
        let mut len = 0;
        loop {
            at = self.value(at, depth, false)?;
            len += 1;
            at = self.skip_blanks(at);
            match self.peek(at)? {
                b',' => at = self.skip_blanks(at + 1),
                b']' => return Some((len, at + 1)),
                _ => return None,
            }
        }
    }

    fn literal(&mut self, at: usize, text: &[u8], packed: u8) -> Next {
        self.text.get(at..)?.strip_prefix(text)?;
        self.packed.byte(packed);
        Some(at + text.len())
    }

    /// Adds the digits at `at` to `n`; where they end. With more than 19 of them in all `n` may
    /// have overflowed.
    #[inline(always)]
    fn digits(&self, mut at: usize, n: &mut u64) -> usize {
        while let Some(digit @ b'0'..=b'9') = self.peek(at) {
            *n = n.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
            at += 1;
        }
        at
    }

    fn number(&mut self, start: usize) -> Next {
        let negative = self.is(start, b'-');
        let first = start + usize::from(negative);
        let mut n = 0;
        let end = self.digits(first, &mut n);
        let digits = end - first;
        if digits == 0 || (digits > 1 && self.is(first, b'0')) {
            return None;
        }
        if let Some(b'.' | b'e' | b'E') = self.peek(end) {
            return self.real(start, end, n, digits);
        }
        let whole = if digits < MANY_DIGITS {
            Some(n)
        } else {
            let text = std::str::from_utf8(&self.text[first..end]).ok()?;
            text.parse().ok()
        };
        match whole {
            Some(n) if !negative => self.packed.unsigned(n),
            Some(n) if n <= 1 << 63 => self.packed.negative((n as i64).wrapping_neg()),
            _ => {
                let float = self.parse(start, end)?;
                self.packed.double(float);
            }
        }
        Some(end)
    }

    /// The rest of the number at `start`, whose whole part ends at `at`, has `digits` digits and
    /// the value `n`.
    fn real(&mut self, start: usize, mut at: usize, mut n: u64, digits: usize) -> Next {
        let mut behind = 0;
        if self.is(at, b'.') {
            let end = self.digits(at + 1, &mut n);
            behind = end - (at + 1);
            if behind == 0 {
                return None;
            }
            at = end;
        }
        let exponent = self.is(at, b'e') || self.is(at, b'E');
        if exponent {
            at += 1;
            at += usize::from(self.is(at, b'+') || self.is(at, b'-'));
            let end = self.digits(at, &mut 0);
            if end == at {
                return None;
            }
            at = end;
        }
        // Clinger's fast path: both operands are exact, so the quotient is the nearest double.
        let float = if !exponent && digits + behind < MANY_DIGITS && n <= MAX_EXACT {
            let float = n as f64 / POWERS_OF_TEN[behind];
            if self.is(start, b'-') {
                -float
            } else {
                float
            }
        } else {
            self.parse(start, at)?
        };
        self.packed.double(float);
        Some(at)
    }

    /// The number in `start..end` as a double; `None`: it is too large for one.
    fn parse(&self, start: usize, end: usize) -> Option<f64> {
        let text = std::str::from_utf8(&self.text[start..end]).ok()?;
        let float: f64 = text.parse().ok()?;
        float.is_finite().then_some(float)
    }

    /// A string, from its opening quote on.
    #[inline(always)]
    fn string(&mut self, at: usize, trim: bool) -> Next {
        let start = at + 1;
        let stop = self.stops.next(start)?;
        if self.text[stop] != b'"' {
            return self.escaped_string(start, stop, trim);
        }
        let len = if trim {
            trimmed_len(&self.text[start..stop])
        } else {
            stop - start
        };
        self.packed.string(self.text, start, len);
        Some(stop + 1)
    }

    /// A string from `start` on that has a backslash at `stop`.
    fn escaped_string(&mut self, mut start: usize, mut stop: usize, trim: bool) -> Next {
        self.escaped = true;
        let open = self.packed.open_string();
        loop {
            self.packed.raw(self.text, start, stop - start);
            if self.text[stop] == b'"' {
                break;
            }
            start = self.escape(stop + 1)?;
            stop = self.stops.next(start)?;
        }
        let text = self.packed.text(&open);
        let len = if trim { trimmed_len(text) } else { text.len() };
        self.packed.close_string(open, len);
        Some(stop + 1)
    }

    /// What follows a backslash.
    fn escape(&mut self, at: usize) -> Next {
        let kind = self.peek(at)?;
        let byte = match kind {
            b'"' | b'\\' | b'/' => kind,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => return Some(self.unicode_escape(at + 1)),
            _ => return None,
        };
        self.packed.byte(byte);
        Some(at + 1)
    }

    /// What follows `\u`.
    fn unicode_escape(&mut self, start: usize) -> usize {
        let (high, mut at) = self.hex(start);
        if at < start + 4 {
            // A broken escape stays as text, without the character that broke it.
            self.packed.raw(self.text, start - 2, at - start + 2);
            let stays = matches!(self.peek(at), None | Some(0 | b'"' | b'\''));
            return at + usize::from(!stays);
        }
        let mut code = high;
        if (0xd800..0xdc00).contains(&high) && self.text[at..].starts_with(b"\\u") {
            let partner = at + 2;
            let (low, end) = self.hex(partner);
            // A partner that is none is used up with it.
            if end == partner + 4 && (0xdc00..0xe000).contains(&low) {
                code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
            }
            at = end;
        }
        let mut utf8 = [0; 4];
        let bytes = match char::from_u32(code) {
            Some(c) => c.encode_utf8(&mut utf8).as_bytes(),
            None => REPLACEMENT,
        };
        self.packed.raw(bytes, 0, bytes.len());
        at
    }

    /// Up to four hexadecimal digits: their value, and where they end.
    fn hex(&self, start: usize) -> (u32, usize) {
        let mut n = 0;
        for at in start..start + 4 {
            let Some(digit) = self.peek(at).and_then(|b| char::from(b).to_digit(16)) else {
                return (n, at);
            };
            n = n << 4 | digit;
        }
        (n, start + 4)
    }
}

/// Fewer digits than this always fit 64 bits.
const MANY_DIGITS: usize = 20;

/// Every integer up to this one is a double.
const MAX_EXACT: u64 = 1 << 53;

/// For as many digits behind the point as there can be with one before it; all are exact.
const POWERS_OF_TEN: [f64; MANY_DIGITS - 1] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18,
];

/// Writes the header of a map or array over the byte kept for it at `head`; moves what is behind
/// it if the length needs more. `None`: too long for msgpack.
pub(crate) fn write_len(
    out: &mut Vec<u8>,
    head: usize,
    len: usize,
    short: u8,
    marker16: u8,
) -> Option<()> {
    if len < 16 {
        out[head] = short | len as u8;
        return Some(());
    }
    let len = u32::try_from(len).ok()?;
    let wide = len > u32::from(u16::MAX);
    let extra = if wide { 4 } else { 2 };
    let end = out.len();
    out.resize(end + extra, 0);
    out.copy_within(head + 1..end, head + 1 + extra);
    out[head] = marker16 + u8::from(wide);
    let bytes = len.to_be_bytes();
    out[head + 1..=head + extra].copy_from_slice(&bytes[4 - extra..]);
    Some(())
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
