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

use flb_sidecar_sdk::msgpack::{write_bytes_as_str, write_int, write_uint};
use memchr::memchr2;

/// U+FFFD in UTF-8, for a surrogate that has no partner.
const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();

/// Reads objects; keeps its buffer between them.
#[derive(Debug, Default)]
pub(crate) struct JsonReader {
    scratch: Vec<u8>,
}

impl JsonReader {
    /// Appends the pairs of the one object that `text` is to `out`, without a map header, and
    /// returns how many they are. String values of the object itself, not of nested ones, are
    /// trimmed if asked for. `None`: `text` is something else, or nested deeper than `max_depth`
    /// objects and arrays; `out` is as it was.
    pub(crate) fn object(
        &mut self,
        text: &[u8],
        max_depth: usize,
        trim: bool,
        out: &mut Vec<u8>,
    ) -> Option<usize> {
        let before = out.len();
        let mut cursor = Cursor {
            text,
            at: 0,
            scratch: &mut self.scratch,
        };
        cursor.skip_blanks();
        let pairs = if cursor.take(b'{') {
            cursor.pairs(out, max_depth, trim)
        } else {
            None
        };
        let end = out.len();
        if pairs.is_some() {
            cursor.skip_blanks();
            if cursor.at < text.len() && cursor.value(out, max_depth, false).is_some() {
                // A second JSON value: the text is no single object.
                out.truncate(before);
                return None;
            }
            out.truncate(end);
        } else {
            out.truncate(before);
        }
        pairs
    }
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

struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
    scratch: &'a mut Vec<u8>,
}

impl Cursor<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn value(&mut self, out: &mut Vec<u8>, depth: usize, trim: bool) -> Option<()> {
        match self.peek()? {
            b'"' => self.string(out, trim),
            open @ (b'{' | b'[') => {
                let inner = depth.checked_sub(1).filter(|left| *left > 0)?;
                self.at += 1;
                let head = out.len();
                out.push(0);
                if open == b'{' {
                    let len = self.pairs(out, inner, false)?;
                    write_len(out, head, len, 0x80, 0xde)
                } else {
                    let len = self.elements(out, inner)?;
                    write_len(out, head, len, 0x90, 0xdc)
                }
            }
            b'-' | b'0'..=b'9' => self.number(out),
            b't' => self.literal(b"true", 0xc3, out),
            b'f' => self.literal(b"false", 0xc2, out),
            b'n' => self.literal(b"null", 0xc0, out),
            _ => None,
        }
    }

    /// What follows `{`, up to and with `}`.
    fn pairs(&mut self, out: &mut Vec<u8>, depth: usize, trim: bool) -> Option<usize> {
        let mut len = 0;
        self.skip_blanks();
        if self.take(b'}') {
            return Some(len);
        }
        loop {
            self.skip_blanks();
            if self.peek()? != b'"' {
                return None;
            }
            self.string(out, false)?;
            self.skip_blanks();
            if !self.take(b':') {
                return None;
            }
            self.skip_blanks();
            self.value(out, depth, trim)?;
            len += 1;
            self.skip_blanks();
            if self.take(b'}') {
                return Some(len);
            }
            if !self.take(b',') {
                return None;
            }
        }
    }

    /// What follows `[`, up to and with `]`.
    fn elements(&mut self, out: &mut Vec<u8>, depth: usize) -> Option<usize> {
        let mut len = 0;
        self.skip_blanks();
        if self.take(b']') {
            return Some(len);
        }
        loop {
            self.skip_blanks();
            self.value(out, depth, false)?;
            len += 1;
            self.skip_blanks();
            if self.take(b']') {
                return Some(len);
            }
            if !self.take(b',') {
                return None;
            }
        }
    }

    fn literal(&mut self, text: &[u8], packed: u8, out: &mut Vec<u8>) -> Option<()> {
        self.text.get(self.at..)?.strip_prefix(text)?;
        self.at += text.len();
        out.push(packed);
        Some(())
    }

    fn digits(&mut self) -> &[u8] {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        &self.text[start..self.at]
    }

    fn number(&mut self, out: &mut Vec<u8>) -> Option<()> {
        let start = self.at;
        let negative = self.take(b'-');
        let digits = self.digits();
        if digits.is_empty() || (digits.len() > 1 && digits[0] == b'0') {
            return None;
        }
        let whole = digits.iter().try_fold(0u64, |n, digit| {
            n.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
        });
        let mut real = false;
        if self.take(b'.') {
            real = true;
            if self.digits().is_empty() {
                return None;
            }
        }
        if self.take(b'e') || self.take(b'E') {
            real = true;
            let _ = self.take(b'+') || self.take(b'-');
            if self.digits().is_empty() {
                return None;
            }
        }
        match whole {
            Some(n) if !real && !negative => write_uint(out, n),
            Some(n) if !real && n <= 1 << 63 => write_int(out, (n as i64).wrapping_neg()),
            _ => {
                let text = std::str::from_utf8(&self.text[start..self.at]).ok()?;
                let float: f64 = text.parse().ok()?;
                if float.is_infinite() {
                    return None;
                }
                out.push(0xcb);
                out.extend_from_slice(&float.to_bits().to_be_bytes());
            }
        }
        Some(())
    }

    /// A string, from its opening quote on.
    fn string(&mut self, out: &mut Vec<u8>, trim: bool) -> Option<()> {
        self.at += 1;
        let rest = &self.text[self.at..];
        let stop = string_end(rest)?;
        let plain = &rest[..stop];
        self.at += stop + 1;
        if rest[stop] == b'"' {
            let len = if trim { trimmed_len(plain) } else { stop };
            write_string(out, rest, len);
            return Some(());
        }
        self.scratch.clear();
        self.scratch.extend_from_slice(plain);
        loop {
            self.escape()?;
            let rest = &self.text[self.at..];
            let stop = string_end(rest)?;
            self.scratch.extend_from_slice(&rest[..stop]);
            self.at += stop + 1;
            if rest[stop] == b'"' {
                break;
            }
        }
        let len = if trim {
            trimmed_len(self.scratch)
        } else {
            self.scratch.len()
        };
        write_bytes_as_str(out, &self.scratch[..len]);
        Some(())
    }

    /// What follows a backslash.
    fn escape(&mut self) -> Option<()> {
        let kind = self.peek()?;
        self.at += 1;
        let byte = match kind {
            b'"' | b'\\' | b'/' => kind,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                self.unicode_escape();
                return Some(());
            }
            _ => return None,
        };
        self.scratch.push(byte);
        Some(())
    }

    /// What follows `\u`.
    fn unicode_escape(&mut self) {
        let (high, digits) = self.hex();
        if digits < 4 {
            // A broken escape stays as text, without the character that broke it.
            self.scratch.extend_from_slice(b"\\u");
            let text = &self.text[self.at - digits..self.at];
            self.scratch.extend_from_slice(text);
            if !matches!(self.peek(), None | Some(0 | b'"' | b'\'')) {
                self.at += 1;
            }
            return;
        }
        let mut code = high;
        if (0xd800..0xdc00).contains(&high) && self.text[self.at..].starts_with(b"\\u") {
            self.at += 2;
            let (low, digits) = self.hex();
            // A partner that is none is used up with it.
            if digits == 4 && (0xdc00..0xe000).contains(&low) {
                code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
            }
        }
        match char::from_u32(code) {
            Some(c) => self
                .scratch
                .extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            None => self.scratch.extend_from_slice(REPLACEMENT),
        }
    }

    /// Up to four hexadecimal digits: their value and number.
    fn hex(&mut self) -> (u32, usize) {
        let mut n = 0;
        for digits in 0..4 {
            let Some(digit) = self.peek().and_then(|b| char::from(b).to_digit(16)) else {
                return (n, digits);
            };
            n = n << 4 | digit;
            self.at += 1;
        }
        (n, 4)
    }
}

/// Where a string stops: at the first quote or backslash.
#[inline]
fn string_end(text: &[u8]) -> Option<usize> {
    // Keys and most values are short: eight bytes at a time, a byte that is sought becomes zero
    // and sets its highest bit, and the lowest such bit is right (Mycroft's test for a zero byte).
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHS: u64 = ONES << 7;
    let zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    let mut at = 0;
    while at < 32 {
        let Some(bytes) = text.get(at..).and_then(<[u8]>::first_chunk::<8>) else {
            break;
        };
        let word = u64::from_le_bytes(*bytes);
        let found = zero(word ^ (ONES * u64::from(b'"'))) | zero(word ^ (ONES * u64::from(b'\\')));
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    Some(at + memchr2(b'"', b'\\', text.get(at..)?)?)
}

/// Writes the first `len` bytes of `text` as a msgpack string.
#[inline]
fn write_string(out: &mut Vec<u8>, text: &[u8], len: usize) {
    if len >= 32 {
        write_bytes_as_str(out, &text[..len]);
        return;
    }
    out.push(0xa0 | len as u8);
    let end = out.len() + len;
    match text.first_chunk::<32>() {
        // A copy of fixed length needs no call; what is too much is cut off again.
        Some(block) => {
            out.extend_from_slice(block);
            out.truncate(end);
        }
        None => out.extend_from_slice(&text[..len]),
    }
}

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
