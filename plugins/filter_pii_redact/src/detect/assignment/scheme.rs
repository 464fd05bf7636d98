//! Credentials behind the scheme of an `Authorization` header (RFC 9110, section 11.6.2).

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
    schemes.iter().find_map(|scheme| {
        let (start, rest) = value.split_at_checked(scheme.len())?;
        let blanks = rest.iter().take_while(|b| **b == b' ').count();
        (start.eq_ignore_ascii_case(scheme) && blanks > 0).then_some(scheme.len() + blanks)
    })
}

/// Whether a header's value begins with a scheme that has parameters.
pub(super) fn has_parameters(value: &[u8]) -> bool {
    behind(value, PARAMETERS).is_some()
}

/// Whether a header's value begins with a known scheme.
pub(super) fn starts(value: &[u8]) -> bool {
    behind(value, TOKENS).is_some() || has_parameters(value)
}

/// The credentials of an `Authorization` header: behind the scheme.
pub(crate) fn credentials(text: &[u8], start: usize, end: usize) -> Option<(usize, usize)> {
    let value = &text[start..end];
    if let Some(first) = behind(value, PARAMETERS) {
        return (start + first < end).then_some((start + first, end));
    }
    if let Some(first) = behind(value, TOKENS) {
        let rest = &value[first..];
        let len = rest.iter().position(|b| *b == b' ').unwrap_or(rest.len());
        return (len > 0).then_some((start + first, start + first + len));
    }
    // No scheme: the first word, if it is alone.
    (!value.contains(&b' ')).then_some((start, end))
}
