//! Credentials behind the scheme of an `Authorization` header (RFC 9110, section 11.6.2).

use super::value::{is_random, is_secret_value, Place};
use crate::name::NameClass;

/// Schemes with one token.
const TOKENS: &[&[u8]] = &[
    b"bearer",
    b"basic",
    b"token",
    b"apikey",
    b"api-key",
    b"negotiate",
    b"ntlm",
    b"key",
    b"jwt",
    b"sharedkey",
    b"dpop",
    b"splunk",
    b"ssws",
    b"geniekey",
    b"bot",
    b"api-token",
    b"apitoken",
    b"api_key",
    b"accesskey",
    b"gitlab-ci-token",
];
/// Schemes with parameters, some of which are secret.
const PARAMETERS: &[&[u8]] = &[
    b"digest",
    b"hawk",
    b"oauth",
    b"signature",
    b"sharedaccesssignature",
    b"aws4-hmac-sha256",
    b"googlelogin",
    b"mac",
];

/// What is behind one of `schemes` and blanks; how far behind the start.
fn behind(value: &[u8], schemes: &[&[u8]]) -> Option<usize> {
    let first = value.first()?.to_ascii_lowercase();
    let mut schemes = schemes.iter().filter(|scheme| scheme[0] == first);
    schemes.find_map(|scheme| {
        let (start, rest) = value.split_at_checked(scheme.len())?;
        let blanks = rest.iter().take_while(|b| **b == b' ').count();
        (start.eq_ignore_ascii_case(scheme) && blanks > 0).then_some(scheme.len() + blanks)
    })
}

/// What is behind a word that may be a scheme, if it is `name=`: parameters.
fn parameters(value: &[u8]) -> Option<usize> {
    let word = |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    let scheme = value.iter().take_while(word).count();
    let blanks = value[scheme..].iter().take_while(|b| **b == b' ').count();
    let rest = &value[scheme + blanks..];
    let name = rest.iter().take_while(word).count();
    let named = scheme > 0 && blanks > 0 && name > 1;
    (named && rest.get(name) == Some(&b'=') && rest.get(name + 1).is_some_and(u8::is_ascii_graphic))
        .then_some(scheme + blanks)
}

/// Whether a header's value begins with a scheme that has parameters.
pub(super) fn has_parameters(value: &[u8]) -> bool {
    let named = || {
        parameters(value).filter(|first| {
            let known = behind(value, TOKENS).is_some();
            // "Token token=\"...\"" (Rails); else the token ends in a sign.
            !known
                || memchr::memchr(b'=', &value[*first..]).is_some_and(|sign| {
                    value.get(first + sign + 1) == Some(&b'"')
                        || value[*first..].starts_with(b"token=")
                })
        })
    };
    behind(value, PARAMETERS).is_some() || named().is_some()
}

/// Whether a header's value begins with a known scheme.
pub(super) fn is_known(value: &[u8]) -> bool {
    behind(value, TOKENS).is_some() || behind(value, PARAMETERS).is_some()
}

/// The same, or with one that has parameters.
pub(super) fn starts(value: &[u8]) -> bool {
    behind(value, TOKENS).is_some() || has_parameters(value)
}

/// The credentials of an `Authorization` header: behind the scheme. A scheme that is not known counts
/// if what is behind it looks random.
pub(crate) fn credentials(
    text: &[u8],
    start: usize,
    end: usize,
    class: NameClass,
) -> Option<(usize, usize)> {
    let value = &text[start..end];
    if let Some(first) = behind(value, PARAMETERS) {
        return (start + first < end).then_some((start + first, end));
    }
    if let Some(first) = behind(value, TOKENS) {
        let rest = &value[first..];
        let len = rest.iter().position(|b| *b == b' ').unwrap_or(rest.len());
        return (len > 0).then_some((start + first, start + first + len));
    }
    if let Some(first) = parameters(value) {
        return Some((start + first, end));
    }
    let Some(blank) = memchr::memchr(b' ', value) else {
        // No scheme: the first word, if it is alone.
        let one = is_secret_value(class, value, Place::Text);
        return one.then_some((start, end));
    };
    let blanks = value[blank..].iter().take_while(|b| **b == b' ').count();
    let rest = &value[blank + blanks..];
    let len = rest.iter().position(|b| *b == b' ').unwrap_or(rest.len());
    let first = start + blank + blanks;
    // "Authenticated via OAuth2: Session{user:…": what has signs in it is no scheme.
    let word = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':');
    if value[..blank].iter().all(word) && is_random(&rest[..len]) {
        return Some((first, first + len));
    }
    is_random(&value[..blank]).then_some((start, start + blank))
}
