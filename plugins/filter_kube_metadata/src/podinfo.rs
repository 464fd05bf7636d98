//! Downward API files: `labels` and `annotations` of the own pod.
//!
//! One entry per line, `key="value"`, sorted by key; the value is escaped as Go's `%q` does
//! (<https://pkg.go.dev/strconv#Quote>). Kubernetes replaces the whole folder at once, so a file
//! that does not read as a whole is not from there: [`parse`] refuses it entirely.

/// Keys with their values in file order. Values need not be UTF-8.
pub(crate) type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// Why a file is refused, with the number of the line (from 1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Malformed {
    pub(crate) line: usize,
    pub(crate) reason: &'static str,
}

/// What the kubelet notes in its own copy of the pod (`kubernetes.io/config.seen`, `.source`). A
/// Downward API file shows it, the API does not; it says nothing of the application and differs
/// from pod to pod.
const KUBELETS_OWN: &[u8] = b"kubernetes.io/config.";

/// Reads a whole file, without [`KUBELETS_OWN`].
pub(crate) fn parse(text: &[u8]) -> Result<Pairs, Malformed> {
    let mut pairs = Pairs::new();
    for (index, line) in text.split(|b| *b == b'\n').enumerate() {
        if line.is_empty() {
            continue;
        }
        let fail = |reason| Malformed {
            line: index + 1,
            reason,
        };
        let Some(equals) = memchr::memchr(b'=', line) else {
            return Err(fail("no '='"));
        };
        let (key, value) = (&line[..equals], &line[equals + 1..]);
        if key.is_empty() {
            return Err(fail("no key"));
        }
        let value = unquote(value).map_err(fail)?;
        if !key.starts_with(KUBELETS_OWN) {
            pairs.push((key.to_vec(), value));
        }
    }
    Ok(pairs)
}

/// Undoes Go's `strconv.Quote`.
fn unquote(text: &[u8]) -> Result<Vec<u8>, &'static str> {
    let inner = text
        .strip_prefix(b"\"")
        .ok_or("the value does not start with a quote")?;
    let mut out = Vec::with_capacity(inner.len());
    let mut rest = inner;
    loop {
        let stop = memchr::memchr2(b'"', b'\\', rest).ok_or("the value has no closing quote")?;
        out.extend_from_slice(&rest[..stop]);
        let escaped = &rest[stop + 1..];
        if rest[stop] == b'"' {
            return if escaped.is_empty() {
                Ok(out)
            } else {
                Err("text behind the closing quote")
            };
        }
        let (&kind, tail) = escaped.split_first().ok_or("a lone backslash")?;
        rest = tail;
        let simple = match kind {
            b'a' => 0x07,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'v' => 0x0b,
            b'\\' | b'"' => kind,
            b'x' => {
                out.push(hex(&mut rest, 2)? as u8);
                continue;
            }
            b'u' | b'U' => {
                let code = hex(&mut rest, if kind == b'u' { 4 } else { 8 })?;
                let char = char::from_u32(code).ok_or("an escape that is no character")?;
                out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
            _ => return Err("an unknown escape"),
        };
        out.push(simple);
    }
}

fn hex(rest: &mut &[u8], digits: usize) -> Result<u32, &'static str> {
    const SHORT: &str = "an escape without its hexadecimal digits";
    let (head, tail) = rest.split_at_checked(digits).ok_or(SHORT)?;
    let mut n = 0;
    for b in head {
        n = n << 4 | char::from(*b).to_digit(16).ok_or(SHORT)?;
    }
    *rest = tail;
    Ok(n)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(text: &str) -> Result<Vec<u8>, &'static str> {
        parse(text.as_bytes())
            .map(|pairs| pairs[0].1.clone())
            .map_err(|e| e.reason)
    }

    #[test]
    fn every_escape_of_go_is_undone() {
        assert_eq!(
            one(r#"k="\a\b\f\n\r\t\v\\\"""#).unwrap(),
            b"\x07\x08\x0c\n\r\t\x0b\\\""
        );
        assert_eq!(one(r#"k="\xff\x00""#).unwrap(), b"\xff\x00");
        assert_eq!(
            one(r#"k="\u00a0\ufeff\U0001f4a9 é日""#).unwrap(),
            "\u{a0}\u{feff}\u{1f4a9} é日".as_bytes()
        );
        assert_eq!(one(r#"k="""#).unwrap(), b"");
        assert_eq!(one(r#"k="a=b""#).unwrap(), b"a=b");
    }

    #[test]
    fn files_keep_their_order_and_may_end_with_or_without_a_newline() {
        let pairs = parse(b"app=\"x\"\napp.kubernetes.io/name=\"y\"").unwrap();
        assert_eq!(pairs.len(), 2);
        assert_eq!(pairs[1].0, b"app.kubernetes.io/name");
        assert_eq!(parse(b"a=\"1\"\n").unwrap().len(), 1);
        assert_eq!(parse(b"").unwrap().len(), 0);
    }

    #[test]
    fn what_go_cannot_have_written_is_refused_with_its_line() {
        for text in [
            "k",
            "k=",
            "k=v",
            "k=\"v",
            "=\"v\"",
            "k=\"v\" ",
            "k=\"\\",
            "k=\"\\q\"",
            "k=\"\\x4\"",
            "k=\"\\u12\"",
            "k=\"\\ud800\"",
            "k=\"\\U00110000\"",
            "k=\"\\'\"",
            "k=\"a\"b\"",
        ] {
            assert!(one(text).is_err(), "{text}");
        }
        assert_eq!(parse(b"a=\"1\"\n\nb").unwrap_err().line, 3);
    }

    /// A model of Go's `strconv.Quote`, escaping more than Go does where Go decides by a table.
    fn quote(bytes: &[u8]) -> String {
        use std::fmt::Write as _;
        let mut out = String::from("\"");
        for chunk in bytes.utf8_chunks() {
            for c in chunk.valid().chars() {
                match c {
                    '"' => out.push_str("\\\""),
                    '\\' => out.push_str("\\\\"),
                    '\n' => out.push_str("\\n"),
                    ' '..='~' => out.push(c),
                    c if (c as u32) < 0x80 => write!(out, "\\x{:02x}", c as u32).unwrap(),
                    c if c.is_alphanumeric() => out.push(c),
                    c if (c as u32) < 0x10000 => write!(out, "\\u{:04x}", c as u32).unwrap(),
                    c => write!(out, "\\U{:08x}", c as u32).unwrap(),
                }
            }
            for b in chunk.invalid() {
                write!(out, "\\x{b:02x}").unwrap();
            }
        }
        out.push('"');
        out
    }

    proptest! {
        #[test]
        fn quoted_bytes_come_back(value in proptest::collection::vec(any::<u8>(), 0..60), text in "\\PC{0,30}") {
            for bytes in [value, text.into_bytes()] {
                let line = format!("k={}", quote(&bytes));
                prop_assert_eq!(parse(line.as_bytes()).unwrap(), vec![(b"k".to_vec(), bytes)]);
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = parse(&bytes);
        }
    }
}
