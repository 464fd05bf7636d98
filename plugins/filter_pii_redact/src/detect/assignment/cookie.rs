//! The values of `Cookie` and `Set-Cookie` (RFC 6265): names stay, values go.

use super::value::is_random;

/// What follows a cookie that is set, and is no secret.
const ATTRIBUTES: &[&[u8]] = &[
    b"path",
    b"domain",
    b"expires",
    b"max-age",
    b"samesite",
    b"priority",
    b"version",
];

/// Cookies that say how a page looks.
const LOOKS: &[&[u8]] = &[
    b"theme",
    b"lang",
    b"language",
    b"locale",
    b"timezone",
    b"tz",
    b"currency",
    b"country",
    b"consent",
    b"colorscheme",
];

/// The two numbers that a key exchange of IPsec (RFC 2408) calls cookies: `a1b2c3d4e5f60718/9a8b7c6d5e4f3021`.
fn is_key_exchange(value: &[u8]) -> bool {
    value.len() == 33
        && value[16] == b'/'
        && [&value[..16], &value[17..]]
            .iter()
            .all(|part| part.iter().all(u8::is_ascii_hexdigit))
}

/// Calls `visit` with the span of each value.
pub(crate) fn each(header: &[u8], mut visit: impl FnMut(usize, usize)) {
    let mut start = 0;
    for part in header.split(|b| *b == b';') {
        let end = start + part.len();
        let blanks = part.iter().take_while(|b| **b == b' ').count();
        let pair = &part[blanks..];
        match memchr::memchr(b'=', pair) {
            Some(sign) => {
                let name = &pair[..sign];
                let value = pair[sign + 1..].trim_ascii_end();
                let look = value.len() < 24 && LOOKS.iter().any(|a| a.eq_ignore_ascii_case(name));
                let attribute = look || ATTRIBUTES.iter().any(|a| a.eq_ignore_ascii_case(name));
                let named = name
                    .iter()
                    .all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'(' | b','));
                let from = start + blanks + sign + 1;
                let len = header[from..end].trim_ascii_end().len();
                if len > 0 && !attribute && named && !name.is_empty() {
                    visit(from, from + len);
                }
            }
            None if is_random(pair.trim_ascii_end()) && !is_key_exchange(pair.trim_ascii_end()) => {
                visit(start + blanks, start + blanks + pair.trim_ascii_end().len());
            }
            None => {}
        }
        start = end + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_cookies_are_found_and_attributes_are_none() {
        let values = |header: &str| {
            let mut found = Vec::new();
            each(header.as_bytes(), |from, to| {
                found.push(header[from..to].to_owned());
            });
            found
        };
        assert_eq!(values("theme=dark; user=bob; id=a=b"), ["bob", "a=b"]);
        assert_eq!(values("s=1f; Path=/; HttpOnly; Max-Age=3"), ["1f"]);
        assert_eq!(values("k3J9x7Lq2Mn8Vb4Rt6YwPq"), ["k3J9x7Lq2Mn8Vb4Rt6YwPq"]);
        assert!(values("disabled").is_empty());
    }
}
