//! JSON that is not quite: raw control characters and bytes that are no UTF-8 inside strings, and
//! halves of surrogate pairs. The host's parsers take it, and so do we: control characters and bytes
//! stay what they are, half a pair becomes U+FFFD.
//!
//! Such a line is written anew as JSON with a private character in place of each such byte, read by
//! the same reader as any other, and the bytes are put back into what came out.

use std::borrow::Cow;

use flb_sidecar_sdk::msgpack::{self, Value};

/// The characters that stand for bytes, of a private plane: this one and the next 127.
const FIRST: u32 = 0x10_F780;

fn stand_in(byte: u8) -> char {
    char::from_u32(FIRST + u32::from(byte & 0x7f)).unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn byte_of(character: char) -> Option<u8> {
    let byte = u32::from(character).checked_sub(FIRST)?;
    u8::try_from(byte)
        .ok()
        .filter(|byte| *byte < 0x80)
        .map(|byte| byte | 0x80)
}

/// The line as JSON; `None`: there is nothing to mend, or that cannot be done.
pub(crate) fn mend(line: &[u8]) -> Option<String> {
    let mut out = String::with_capacity(line.len() + 16);
    let mut in_string = false;
    let mut mended = false;
    let mut rest = line;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'"' => {
                in_string = !in_string;
                out.push('"');
            }
            b'\\' if in_string => {
                let (half, bytes) = escape(rest);
                let (escaped, after) = rest.split_at_checked(bytes)?;
                if half {
                    out.push_str("\\ufffd");
                } else {
                    out.push('\\');
                    out.push_str(std::str::from_utf8(escaped).ok()?);
                }
                mended |= half;
                rest = after;
            }
            0x20..=0x7f => out.push(char::from(byte)),
            0..=0x1f if in_string => {
                out.push_str(&format!("\\u{byte:04x}"));
                mended = true;
            }
            0..=0x1f => out.push(char::from(byte)),
            0x80.. => {
                let window = &line[line.len() - rest.len() - 1..];
                let (character, bytes) = first_character(window);
                match character {
                    Some(character) if byte_of(character).is_some() => return None,
                    Some(character) => out.push(character),
                    None if in_string => {
                        out.push(stand_in(byte));
                        mended = true;
                    }
                    None => return None,
                }
                rest = window.get(bytes..)?;
            }
        }
    }
    mended.then_some(out)
}

/// What stands behind a backslash: whether it is half a pair of surrogates, and how many bytes belong
/// to it.
fn escape(rest: &[u8]) -> (bool, usize) {
    let unit = |rest: &[u8]| -> Option<u16> {
        let digits = std::str::from_utf8(rest.strip_prefix(b"u")?.get(..4)?).ok()?;
        // A sign is no digit.
        let plain = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        u16::from_str_radix(digits, 16).ok().filter(|_| plain)
    };
    let second = || unit(rest.get(5..)?.strip_prefix(b"\\")?);
    match (unit(rest), rest.first()) {
        (Some(0xd800..=0xdbff), _) if matches!(second(), Some(0xdc00..=0xdfff)) => (false, 11),
        (Some(0xd800..=0xdfff), _) => (true, 5),
        // Neither ends the string nor begins an escape.
        (None, Some(b'"' | b'\\')) => (false, 1),
        _ => (false, 0),
    }
}

/// The character that `text` begins with and its bytes; `None`: the first byte begins none.
fn first_character(text: &[u8]) -> (Option<char>, usize) {
    let window = &text[..text.len().min(4)];
    let valid = window
        .utf8_chunks()
        .next()
        .map_or("", |chunk| chunk.valid());
    match valid.chars().next() {
        Some(character) => (Some(character), character.len_utf8()),
        None => (None, 1),
    }
}

/// The bytes of a text that was read from a mended line.
pub(crate) fn bytes_of(text: &str) -> Cow<'_, [u8]> {
    if !text.contains(|character| byte_of(character).is_some()) {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut bytes = Vec::with_capacity(text.len());
    for character in text.chars() {
        match byte_of(character) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Cow::Owned(bytes)
}

/// Puts the bytes back into the strings of the msgpack in `out` from `start` on.
pub(crate) fn restore(out: &mut Vec<u8>, start: usize) {
    let written = out.split_off(start);
    let mut at = 0;
    while let Some((value, next)) = msgpack::read(&written, at) {
        let text = match value {
            Value::String { start, end } => std::str::from_utf8(&written[start..end]).ok(),
            _ => None,
        };
        match text {
            Some(text) => msgpack::write_bytes_as_str(out, &bytes_of(text)),
            None => out.extend_from_slice(&written[at..next]),
        }
        at = next;
    }
    out.extend_from_slice(&written[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_the_hosts_parsers_take_is_mended() {
        for (line, mended) in [
            (
                &b"{\"a\":\"tab\there\"}"[..],
                Some(r#"{"a":"tab\u0009here"}"#),
            ),
            (b"{\"a\":\"\\ud83d end\"}", Some(r#"{"a":"\ufffd end"}"#)),
            (
                b"{\"a\":\"\\udc00\\\\udc00\"}",
                Some(r#"{"a":"\ufffd\\udc00"}"#),
            ),
            (
                b"{\"a\":\"\\ud83d\\u0041\"}",
                Some(r#"{"a":"\ufffd\u0041"}"#),
            ),
            // As it is.
            (b"{\"a\":\"\\ud83d\\ude00 \\u00e9 \\q \\u12\"}", None),
            ("{\"a\":\"é\u{10F77F}\"}".as_bytes(), None),
            (b"{\"a\":1}\t", None),
            // Outside of strings, and what could not be told from a byte.
            (b"{\"a\":\xe9}", None),
            ("{\"a\":\"\t\u{10F7E9}\"}".as_bytes(), None),
        ] {
            let text = String::from_utf8_lossy(line);
            assert_eq!(mend(line).as_deref(), mended, "{text}");
        }
    }

    proptest! {
        /// Any bytes inside a string come out as they were, but for the escapes among them.
        #[test]
        fn bytes_in_strings_stay_what_they_are(
            bytes in proptest::collection::vec(
                prop_oneof![any::<u8>(), 0x80u8.., Just(0xf4), Just(0x8f), Just(b'a')],
                0..40,
            ),
        ) {
            let bytes: Vec<u8> = bytes.into_iter().filter(|b| !b"\"\\".contains(b)).collect();
            let line = [&b"{\"k\":\""[..], &bytes, b"\"}"].concat();
            // Private characters of the same plane are the one thing that is left alone.
            if let Some(mended) = mend(&line) {
                let json: serde_json::Value = serde_json::from_str(&mended).unwrap();
                let text = json["k"].as_str().unwrap();
                prop_assert_eq!(&*bytes_of(text), &bytes[..]);
                let mut out = vec![0x81];
                msgpack::write_str(&mut out, text);
                msgpack::write_str(&mut out, "next");
                restore(&mut out, 1);
                let mut expect = vec![0x81];
                msgpack::write_bytes_as_str(&mut expect, &bytes);
                msgpack::write_str(&mut expect, "next");
                prop_assert_eq!(out, expect);
            }
        }

        #[test]
        fn no_line_makes_it_panic(line in proptest::collection::vec(
            prop_oneof![any::<u8>(), Just(b'"'), Just(b'\\'), Just(b'u'), Just(b'd'), Just(b'8')],
            0..60,
        )) {
            let _ = mend(&line);
        }
    }
}
