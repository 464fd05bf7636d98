//! Quotes around what replaces a JSON number.

/// Whether what replaces a number must become a JSON string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quote {
    None,
    Json,
    /// If the number is the value of a JSON member inside other text.
    Guess,
}

impl Quote {
    pub(super) fn around(self, text: &[u8], start: usize, end: usize) -> &'static [u8] {
        match self {
            Quote::None => b"",
            Quote::Json => b"\"",
            Quote::Guess => guess_quote(text, start, end),
        }
    }
}

/// `…"card": 4012888888881881, …`: the quote that the key has, if the match is a bare number.
fn guess_quote(text: &[u8], start: usize, end: usize) -> &'static [u8] {
    if !text[start..end].iter().all(u8::is_ascii_digit) {
        return b"";
    }
    let before = text[..start].trim_ascii_end();
    let Some(key) = before.strip_suffix(b":").map(<[u8]>::trim_ascii_end) else {
        return b"";
    };
    let next = text[end..]
        .iter()
        .take(8)
        .find(|b| !b.is_ascii_whitespace());
    if !matches!(next, Some(b',' | b'}' | b']')) {
        return b"";
    }
    if key.ends_with(b"\\\"") {
        b"\\\""
    } else if key.ends_with(b"\"") {
        b"\""
    } else {
        b""
    }
}
