//! Tokens of single services whose form is more than a prefix and a length.

use super::form::{entropy, is_alnum, is_hex, is_word_or_hyphen, run, starts, Form, Text, RANDOM};

/// `dop_v1_`, `doo_v1_` or `dor_v1_` and 64 hexadecimal digits.
pub(super) fn digital_ocean(
    text: &Text<'_>,
    start: usize,
    body: usize,
) -> Option<(usize, usize, bool)> {
    let first = start.checked_sub(3)?;
    matches!(&text[first..start], [b'd', b'o', b'p' | b'o' | b'r'])
        .then(|| Form::Exactly(64, is_hex).verify(text, first, body))?
}

/// `dapi`, 32 hexadecimal digits, and at times a hyphen and a digit.
pub(super) fn databricks(
    text: &Text<'_>,
    start: usize,
    body: usize,
) -> Option<(usize, usize, bool)> {
    let (start, end, valid) = Form::Exactly(32, is_hex).verify(text, start, body)?;
    let more = text.get(end) == Some(&b'-') && text.get(end + 1).is_some_and(u8::is_ascii_digit);
    Some((start, if more { end + 2 } else { end }, valid))
}

/// `SG.`, 22 characters, a dot, 43 characters.
pub(super) fn sendgrid(text: &Text<'_>, start: usize, body: usize) -> Option<(usize, usize, bool)> {
    let dot = run(text, body, is_word_or_hyphen);
    if dot - body != 22 || text.get(dot) != Some(&b'.') {
        return None;
    }
    let end = run(text, dot + 1, is_word_or_hyphen);
    let valid = end - dot == 44 && starts(text, start) && entropy(text, body, end) >= RANDOM;
    Some((start, end, valid))
}

/// `shpat_`, `shpca_`, `shppa_` or `shpss_` and 32 hexadecimal digits.
pub(super) fn shopify(text: &Text<'_>, start: usize, body: usize) -> Option<(usize, usize, bool)> {
    let kind = text.get(body..body + 3)?;
    matches!(kind, b"at_" | b"ca_" | b"pa_" | b"ss_")
        .then(|| Form::Exactly(32, is_hex).verify(text, start, body + 3))?
}

/// `sq0atp-` and 22, or `sq0csp-` and 43 characters.
pub(super) fn square(text: &Text<'_>, start: usize, body: usize) -> Option<(usize, usize, bool)> {
    let len = match text.get(body..body + 4)? {
        b"atp-" => 22,
        b"csp-" => 43,
        _ => return None,
    };
    Form::AtLeast(len, is_word_or_hyphen).verify(text, start, body + 4)
}

/// Bots: an identifier of eight to ten digits, `:AA`, 33 characters.
pub(super) fn telegram(text: &Text<'_>, start: usize, body: usize) -> Option<(usize, usize, bool)> {
    let digits = text[..start].iter().rev().take(11);
    let first = start - digits.take_while(|b| b.is_ascii_digit()).count();
    let end = run(text, body, is_word_or_hyphen);
    // "bot" stands in front of it in URLs.
    let free = starts(text, first) || text[..first].ends_with(b"bot");
    let valid = end - body == 33 && free && entropy(text, body, end) >= RANDOM;
    ((8..=10).contains(&(start - first)) && end - body >= 33).then_some((first, end, valid))
}

/// `sntryu_` and 64 hexadecimal digits; `sntrys_`, JSON in base64 and a signature.
pub(super) fn sentry(text: &Text<'_>, start: usize, body: usize) -> Option<(usize, usize, bool)> {
    match text.get(body..body + 2)? {
        b"u_" => Form::Exactly(64, is_hex).verify(text, start, body + 2),
        b"s_" => Form::AtLeast(60, |b| {
            is_alnum(b) || matches!(b, b'_' | b'+' | b'/' | b'=')
        })
        .verify(text, start, body + 2),
        _ => None,
    }
}
