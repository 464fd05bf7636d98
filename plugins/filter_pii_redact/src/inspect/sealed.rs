//! What an earlier pass left in place of a match, which is never matched again.

use super::Inspector;
use crate::action;

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
        end <= open + close + 1 && self.is_placeholder(&text[open + 1..=open + close])
    }

    pub(super) fn is_sealed_whole(&self, value: &[u8]) -> bool {
        value
            .strip_prefix(b"[")
            .is_some_and(|inner| inner.ends_with(b"]") && self.is_placeholder(inner))
    }

    /// `CARD]`, or `CARD:k1:` and the rest of a token, with the name of our own key or a number of
    /// one. Nobody can tell whose digest it is; but nothing else fits into such a token.
    fn is_placeholder(&self, inner: &[u8]) -> bool {
        let Some(label) = inner.iter().position(|b| matches!(b, b':' | b']')) else {
            return false;
        };
        let (name, rest) = inner.split_at(label);
        let known = name == TOO_LARGE.as_bytes()
            || self.rules.iter().any(|rule| rule.label.as_bytes() == name);
        if !known || rest == b"]" {
            return known;
        }
        action::rest_of_token(rest).is_some_and(|(id, len)| {
            let ours = self.hmac.as_ref().map(|key| key.id().as_bytes());
            len == rest.len() && (ours == Some(id) || action::is_key_number(id))
        })
    }
}
