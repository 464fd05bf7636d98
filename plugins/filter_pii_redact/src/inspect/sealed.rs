//! What an earlier pass left in place of a match, which is never matched again.

use super::Inspector;
use crate::action::TOKEN_DIGITS;

/// What a value over the size limit becomes.
pub(crate) const TOO_LARGE: &str = "TOO_LARGE";

impl Inspector {
    /// Whether `start..end` lies inside a placeholder or token of an earlier pass.
    pub(super) fn is_sealed(&self, text: &[u8], start: usize, end: usize) -> bool {
        const MAX: usize = 128;
        let floor = start.saturating_sub(MAX);
        let before = &text[floor..(start + 1).min(text.len())];
        let Some(open) = memchr::memrchr(b'[', before) else {
            return false;
        };
        let open = floor + open;
        let limit = text.len().min(open + MAX);
        let Some(close) = text.get(open..limit).and_then(|t| memchr::memchr(b']', t)) else {
            return false;
        };
        end <= open + close + 1 && self.is_placeholder(&text[open + 1..open + close])
    }

    pub(super) fn is_sealed_whole(&self, value: &[u8]) -> bool {
        let inner = value.strip_prefix(b"[").and_then(|v| v.strip_suffix(b"]"));
        inner.is_some_and(|inner| self.is_placeholder(inner))
    }

    /// `CARD`, or `CARD:k1:` and as many hexadecimal digits as a token has.
    fn is_placeholder(&self, inner: &[u8]) -> bool {
        let mut parts = inner.split(|b| *b == b':');
        let name = parts.next().unwrap_or_default();
        let known =
            self.rules.iter().any(|r| r.label.as_bytes() == name) || name == TOO_LARGE.as_bytes();
        let token = match (parts.next(), parts.next(), parts.next()) {
            (None, ..) => true,
            (Some(_), Some(hex), None) => {
                hex.len() == TOKEN_DIGITS && hex.iter().all(u8::is_ascii_hexdigit)
            }
            _ => false,
        };
        known && token
    }
}
