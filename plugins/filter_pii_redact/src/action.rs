//! What becomes of a match.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::catalog::Form;

/// What is done with the matches of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// The rule's name in brackets.
    Placeholder,
    /// Every character becomes `*`.
    Mask,
    /// As [`Action::Mask`], but so many characters at the start and at the end stay.
    Keep { first: usize, last: usize },
    /// `[NAME:key id:HMAC-SHA256]`.
    Hmac,
    /// An IP address loses its host part: /24 or /48.
    Truncate,
    /// The field that holds the match is removed.
    Remove,
    /// The record is dropped.
    Drop,
    /// The text stays; the record is tagged.
    Tag,
}

/// What [`Action::parse`] takes, for messages.
pub(crate) const ALLOWED: &str =
    "placeholder, mask, keep_first:N, keep_last:N, keep:FIRST:LAST, hmac, truncate, remove, drop, tag";

impl Action {
    /// Reads an action of the configuration.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let lower = text.trim().to_ascii_lowercase();
        let mut parts = lower.split(':');
        let name = parts.next()?;
        let numbers: Vec<usize> = parts.map(|p| p.parse().ok()).collect::<Option<_>>()?;
        Some(match (name, numbers.as_slice()) {
            ("placeholder", []) => Action::Placeholder,
            ("mask", []) => Action::Mask,
            ("keep_first", [n]) => Action::Keep { first: *n, last: 0 },
            ("keep_last", [n]) => Action::Keep { first: 0, last: *n },
            ("keep", [first, last]) => Action::Keep {
                first: *first,
                last: *last,
            },
            ("hmac", []) => Action::Hmac,
            ("truncate", []) => Action::Truncate,
            ("remove", []) => Action::Remove,
            ("drop", []) => Action::Drop,
            ("tag", []) => Action::Tag,
            _ => return None,
        })
    }

    /// Whether the text of the match changes.
    pub(crate) fn rewrites(self) -> bool {
        !matches!(self, Action::Remove | Action::Drop | Action::Tag)
    }
}

/// Key of [`Action::Hmac`]. Not shown by `Debug`.
#[derive(Clone)]
pub(crate) struct HmacKey {
    mac: Hmac<Sha256>,
    id: String,
}

impl HmacKey {
    /// Its name.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// A key of any length; `None` is not returned for HMAC, whose keys are hashed if long.
    pub(crate) fn new(key: &[u8], id: &str) -> Option<Self> {
        Some(HmacKey {
            mac: Hmac::new_from_slice(key).ok()?,
            id: id.to_owned(),
        })
    }
}

impl fmt::Debug for HmacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HmacKey({})", self.id)
    }
}

/// Longest name of a key.
pub(crate) const MAX_KEY_ID: usize = 32;

/// Hexadecimal digits of a token: 128 bits of the MAC.
const TOKEN_DIGITS: usize = 32;

/// The key's name of a token whose label ends in front of `rest`, and how long the rest of the token
/// is: `:k1:`, as many small hexadecimal digits as one has, a letter among them, `]`. What else stands
/// behind a label is somebody's text and protects nothing.
pub(crate) fn rest_of_token(rest: &[u8]) -> Option<(&[u8], usize)> {
    let inner = rest.strip_prefix(b":")?;
    let id = inner.iter().take(MAX_KEY_ID + 1).position(|b| *b == b':')?;
    let behind = &inner[id + 1..];
    let (digest, end) = behind.split_at_checked(TOKEN_DIGITS)?;
    let right = digest
        .iter()
        .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        && digest.iter().any(u8::is_ascii_alphabetic)
        && end.first() == Some(&b']');
    right.then_some((&inner[..id], id + TOKEN_DIGITS + 3))
}

/// Whether a token may have this name of a key without being ours: `k1` to `k999`, as others number
/// theirs. A longer one could be what the token pretends to hide.
pub(crate) fn is_key_number(id: &[u8]) -> bool {
    matches!(id, [b'k', digits @ ..] if (1..=3).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit))
}

/// Appends what `value` becomes. `name` is the placeholder without brackets.
pub(crate) fn render(
    action: Action,
    value: &[u8],
    name: &str,
    form: Form,
    key: Option<&HmacKey>,
    out: &mut Vec<u8>,
) {
    match action {
        Action::Mask => mask(value, 0, 0, out),
        Action::Keep { first, last } => mask(value, first, last, out),
        Action::Hmac => match key {
            Some(key) => token(value, name, form, key, out),
            None => placeholder(name, out),
        },
        Action::Truncate => {
            if !truncate(value, out) {
                placeholder(name, out);
            }
        }
        Action::Placeholder | Action::Remove | Action::Drop | Action::Tag => placeholder(name, out),
    }
}

fn placeholder(name: &str, out: &mut Vec<u8>) {
    out.push(b'[');
    out.extend_from_slice(name.as_bytes());
    out.push(b']');
}

/// One `*` per character. If what is kept were all there is, nothing is kept.
fn mask(value: &[u8], first: usize, last: usize, out: &mut Vec<u8>) {
    // In text that is not UTF-8 every stray byte is a character.
    let mut starts: Vec<usize> = Vec::with_capacity(value.len());
    let mut at = 0;
    for chunk in value.utf8_chunks() {
        for (offset, _) in chunk.valid().char_indices() {
            starts.push(at + offset);
        }
        at += chunk.valid().len();
        if !chunk.invalid().is_empty() {
            starts.push(at);
            at += chunk.invalid().len();
        }
    }
    let len = starts.len();
    let (first, last) = if first.saturating_add(last) < len {
        (first, last)
    } else {
        (0, 0)
    };
    let head = starts.get(first).copied().unwrap_or(value.len());
    let tail = starts.get(len - last).copied().unwrap_or(value.len());
    out.extend_from_slice(&value[..head]);
    out.resize(out.len() + len - first - last, b'*');
    out.extend_from_slice(&value[tail..]);
}

/// RFC 2104 over the value in the detector's form, cut to 128 bits.
fn token(value: &[u8], name: &str, form: Form, key: &HmacKey, out: &mut Vec<u8>) {
    let mut mac = key.mac.clone();
    let normal: Vec<u8> = match form {
        Form::Verbatim => value.to_vec(),
        Form::Lower => value.to_ascii_lowercase(),
        Form::Address => match std::str::from_utf8(value).map(str::parse::<IpAddr>) {
            Ok(Ok(address)) => address.to_string().into_bytes(),
            _ => value.to_ascii_lowercase(),
        },
        Form::Compact => value
            .iter()
            .filter(|b| b.is_ascii_alphanumeric())
            .map(u8::to_ascii_uppercase)
            .collect(),
    };
    mac.update(&normal);
    let digest = mac.finalize().into_bytes();
    out.push(b'[');
    out.extend_from_slice(name.as_bytes());
    out.push(b':');
    out.extend_from_slice(key.id.as_bytes());
    out.push(b':');
    for byte in digest.iter().take(TOKEN_DIGITS / 2) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        out.push(HEX[usize::from(byte >> 4)]);
        out.push(HEX[usize::from(byte & 15)]);
    }
    out.push(b']');
}

fn truncate(value: &[u8], out: &mut Vec<u8>) -> bool {
    let Ok(text) = std::str::from_utf8(value) else {
        return false;
    };
    let new = if let Ok(address) = text.parse::<Ipv4Addr>() {
        let [a, b, c, _] = address.octets();
        Ipv4Addr::new(a, b, c, 0).to_string()
    } else if let Ok(address) = text.parse::<Ipv6Addr>() {
        match address.to_ipv4_mapped() {
            Some(mapped) => {
                let [a, b, c, _] = mapped.octets();
                Ipv4Addr::new(a, b, c, 0).to_ipv6_mapped().to_string()
            }
            None => {
                let [a, b, c, ..] = address.segments();
                Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0).to_string()
            }
        }
    } else {
        return false;
    };
    out.extend_from_slice(new.as_bytes());
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(action: Action, value: &str, form: Form) -> String {
        let key = HmacKey::new(b"key", "k1").unwrap();
        let mut out = Vec::new();
        render(action, value.as_bytes(), "X", form, Some(&key), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_action_has_its_form() {
        let keep = Action::Keep { first: 2, last: 3 };
        assert_eq!(
            rendered(Action::Placeholder, "secret", Form::Verbatim),
            "[X]"
        );
        assert_eq!(
            rendered(Action::Mask, "geheim\u{e4}", Form::Verbatim),
            "*******"
        );
        assert_eq!(rendered(keep, "12345678", Form::Verbatim), "12***678");
        assert_eq!(rendered(keep, "12345", Form::Verbatim), "*****");
        assert_eq!(
            rendered(Action::Truncate, "192.0.2.77", Form::Lower),
            "192.0.2.0"
        );
        assert_eq!(
            rendered(Action::Truncate, "2001:db8:1:2::7", Form::Lower),
            "2001:db8:1::"
        );
        assert_eq!(
            rendered(Action::Truncate, "::ffff:192.0.2.77", Form::Lower),
            "::ffff:192.0.2.0"
        );
    }

    #[test]
    fn tokens_do_not_depend_on_grouping_or_case() {
        let hmac = |value, form| rendered(Action::Hmac, value, form);
        assert_eq!(
            hmac("4012-8888", Form::Compact),
            hmac("40128888", Form::Compact)
        );
        assert_eq!(
            hmac("Bob@Example.com", Form::Lower),
            hmac("bob@example.com", Form::Lower)
        );
        assert_ne!(hmac("a", Form::Verbatim), hmac("A", Form::Verbatim));
        for spelled in ["2001:DB8:0:0::7", "2001:0db8:0000:0000:0000:0000:0000:0007"] {
            assert_eq!(
                hmac(spelled, Form::Address),
                hmac("2001:db8::7", Form::Address)
            );
        }
        // RFC 4231 has no case with this key; the value is from Python's hmac module.
        assert_eq!(
            hmac(
                "The quick brown fox jumps over the lazy dog",
                Form::Verbatim
            ),
            "[X:k1:f7bc83f430538424b13298e6aa6fb143]"
        );
    }
}
