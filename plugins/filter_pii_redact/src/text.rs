//! Escapes: a view of a text with its percent-encoding or backslash escapes decoded, that can tell
//! where each decoded byte came from.

/// Value of a hexadecimal digit.
fn hex(byte: u8) -> Option<u32> {
    (byte as char).to_digit(16)
}

fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |n, b| Some(n << 4 | hex(*b)?))
}

/// A blank or a hyphen that is no ASCII, as typesetters and spreadsheets put them into numbers: what it
/// stands for, and its bytes.
fn typographic(text: &[u8]) -> Option<(u8, usize)> {
    Some(match text {
        [0xc2, 0xa0, ..] => (b' ', 2),
        [0xe2, 0x80, 0x80..=0x8a | 0xaf, ..] | [0xe2, 0x81, 0x9f, ..] | [0xe3, 0x80, 0x80, ..] => {
            (b' ', 3)
        }
        [0xe2, 0x80, 0x90..=0x95, ..] | [0xe2, 0x88, 0x92, ..] | [0xef, 0xbc, 0x8d, ..] => {
            (b'-', 3)
        }
        _ => return None,
    })
}

/// Whether the digit at `at` stands behind such a separator and a digit or bracket.
fn is_separated(buf: &[u8], at: usize) -> bool {
    [2, 3].into_iter().any(|len| {
        at.checked_sub(len + 1).is_some_and(|before| {
            (buf[before].is_ascii_digit() || buf[before] == b')')
                && typographic(&buf[before + 1..at]).is_some_and(|(_, bytes)| bytes == len)
        })
    })
}

/// Whether what starts at `at` is written differently from what it stands for: `%40`, `\u0040`, `\x40`,
/// or a digit behind a typographic separator.
pub(crate) fn is_escape(buf: &[u8], at: usize) -> bool {
    match buf[at] {
        b'0'..=b'9' => is_separated(buf, at),
        b'%' => buf.get(at + 1..at + 3).and_then(number).is_some(),
        b'\\' => match buf.get(at + 1) {
            Some(b'u') => buf.get(at + 2..at + 6).and_then(number).is_some(),
            Some(b'x') => buf.get(at + 2..at + 4).and_then(number).is_some(),
            _ => false,
        },
        _ => false,
    }
}

/// Whether a backslash escape is in a text, so that what is behind it may read otherwise.
pub(crate) fn has_backslash_escape(text: &[u8]) -> bool {
    memchr::memchr_iter(b'\\', text).any(|at| {
        let next = text.get(at + 1);
        matches!(
            next,
            Some(b'"' | b'\\' | b'/' | b'n' | b'r' | b't' | b'b' | b'f' | b'u')
        )
    })
}

/// A decoded text.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    /// The decoded bytes.
    pub(crate) text: Vec<u8>,
    /// From this offset of `text` on, bytes come from this offset of the source.
    breaks: Vec<(usize, usize)>,
    source: usize,
}

impl View {
    /// Becomes `source` with percent-encoding, backslash escapes and typographic separators of numbers
    /// decoded; `false` if there are none.
    pub(crate) fn decode(&mut self, source: &[u8]) -> bool {
        self.text.clear();
        self.breaks.clear();
        self.source = 0;
        let mut changed = false;
        while self.source < source.len() {
            let rest = &source[self.source..];
            let percent = (rest[0] == b'%')
                .then(|| rest.get(1..3).and_then(number))
                .flatten();
            if let Some(byte) = percent {
                self.push(&[byte as u8], 3);
                changed = true;
            } else if rest[0] == b'\\' {
                changed |= self.push_backslash(rest);
            } else if let Some((byte, len)) = self.separator(rest) {
                self.push(&[byte], len);
                changed = true;
            } else {
                self.copy(rest, |b| {
                    matches!(b, b'%' | b'\\' | 0xc2 | 0xe2 | 0xe3 | 0xef)
                });
            }
        }
        changed
    }

    /// The typographic separator at the start of `rest`, if it stands in a number.
    fn separator(&self, rest: &[u8]) -> Option<(u8, usize)> {
        let (byte, len) = typographic(rest)?;
        let before = matches!(self.text.last(), Some(b'0'..=b'9' | b')'));
        let behind = matches!(rest.get(len), Some(b'0'..=b'9' | b'('));
        (before && behind).then_some((byte, len))
    }

    /// Decodes the inside of a JSON string.
    pub(crate) fn decode_json(source: &[u8]) -> Self {
        let mut view = View::default();
        while view.source < source.len() {
            let rest = &source[view.source..];
            if rest[0] == b'\\' {
                view.push_backslash(rest);
            } else {
                view.copy(rest, |b| b == b'\\');
            }
        }
        view
    }

    /// Copies up to the next byte of interest, at least one.
    fn copy(&mut self, rest: &[u8], stop: fn(u8) -> bool) {
        let len = 1 + rest[1..]
            .iter()
            .position(|b| stop(*b))
            .unwrap_or(rest.len() - 1);
        self.push(&rest[..len], len);
    }

    fn push(&mut self, bytes: &[u8], consumed: usize) {
        self.breaks.push((self.text.len(), self.source));
        self.text.extend_from_slice(bytes);
        self.source += consumed;
    }

    /// Decodes the escape at the start of `rest`; `false`: it is none, the backslash is copied.
    fn push_backslash(&mut self, rest: &[u8]) -> bool {
        let unit = |at: usize| -> Option<u32> {
            (rest.get(at..at + 2)? == b"\\u").then(|| number(rest.get(at + 2..at + 6)?))?
        };
        let simple = match rest.get(1) {
            Some(b'"') => b"\"",
            Some(b'\\') => b"\\",
            Some(b'/') => b"/",
            Some(b'n') => b"\n",
            Some(b'r') => b"\r",
            Some(b't') => b"\t",
            Some(b'b') => b"\x08",
            Some(b'f') => b"\x0c",
            // What nginx and others write for quotes and control characters.
            Some(b'x') if rest.get(2..4).and_then(number).is_some() => {
                let byte = rest.get(2..4).and_then(number).unwrap_or_default();
                self.push(&[byte as u8], 4);
                return true;
            }
            _ => {
                let Some(high) = unit(0) else {
                    self.push(&rest[..1], 1);
                    return false;
                };
                let low = unit(6).filter(|low| (0xdc00..0xe000).contains(low));
                let (code, consumed) = match low {
                    Some(low) if (0xd800..0xdc00).contains(&high) => {
                        (0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00), 12)
                    }
                    _ => (high, 6),
                };
                let mut utf8 = [0u8; 4];
                let text = char::from_u32(code)
                    .unwrap_or('\u{fffd}')
                    .encode_utf8(&mut utf8);
                self.push(text.as_bytes(), consumed);
                return true;
            }
        };
        self.push(simple, 2);
        true
    }

    /// Where the byte at `offset` of the view starts in the source; its end for the end.
    pub(crate) fn source_of(&self, offset: usize) -> usize {
        if offset >= self.text.len() {
            return self.source;
        }
        let index = self
            .breaks
            .partition_point(|(decoded, _)| *decoded <= offset);
        let (decoded, source) = self.breaks[index.saturating_sub(1)];
        source + (offset - decoded)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded_and_offsets_lead_back() {
        let source = b"a%40b \\u0040\\\"x 50% \\ud83d\\ude00";
        let mut view = View::default();
        assert!(view.decode(source));
        assert_eq!(view.text, "a@b @\"x 50% \u{1f600}".as_bytes());
        let at = |byte: u8| view.text.iter().position(|b| *b == byte).unwrap();
        assert_eq!(view.source_of(at(b'@')), 1);
        assert_eq!(view.source_of(at(b'b')), 4);
        assert_eq!(view.source_of(at(b'"')), 12);
        assert_eq!(view.source_of(at(b'x')), 14);
        assert_eq!(view.source_of(view.text.len()), source.len());
        assert!(!view.decode(b"plain 100% text"));
    }

    #[test]
    fn escaped_text_decodes_to_itself() {
        let text = "quote \" backslash \\ line \n end";
        let mut escaped = Vec::new();
        escape_json(text.as_bytes(), &mut escaped);
        assert_eq!(View::decode_json(&escaped).text, text.as_bytes());
    }
}
