//! Tokens of single services whose form is more than a prefix and a length.

use super::form::{
    entropy, is_alnum, is_hex, is_word_or_hyphen, run, starts, Form, Text, RANDOM, UUID,
};

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

/// What is in a base64 part of a token.
type Found = Option<(usize, usize, bool)>;

/// `MTA….abcdef.…`: an identifier in base64, a time, a signature.
pub(super) fn discord_bot(text: &Text<'_>, start: usize, _body: usize) -> Found {
    let first = run(text, start, is_alnum);
    if !(24..=28).contains(&(first - start)) || text.get(first) != Some(&b'.') {
        return None;
    }
    let second = run(text, first + 1, is_word_or_hyphen);
    if second - first != 7 || text.get(second) != Some(&b'.') {
        return None;
    }
    let end = run(text, second + 1, is_word_or_hyphen);
    (end - second > 27).then(|| (start, end, starts(text, start)))
}

/// A path with secrets in it, of webhooks: at least so many bytes.
fn path(text: &Text<'_>, start: usize, body: usize, least: usize) -> Found {
    let end = run(text, body, |b| {
        is_word_or_hyphen(b) || matches!(b, b'/' | b'@')
    });
    let mixed = entropy(text, body, end) >= RANDOM;
    (end - body >= least).then_some((start, end, mixed))
}

pub(super) fn discord_webhook(text: &Text<'_>, start: usize, body: usize) -> Found {
    path(text, start, body, 70)
}

pub(super) fn teams_webhook(text: &Text<'_>, start: usize, body: usize) -> Found {
    path(text, start, body, 60)
}

/// `00D…!…`: the organisation, then a session.
pub(super) fn salesforce(text: &Text<'_>, start: usize, body: usize) -> Found {
    let sign = run(text, body, is_alnum);
    if !(9..=15).contains(&(sign - body)) || text.get(sign) != Some(&b'!') {
        return None;
    }
    let end = run(text, sign + 1, |b| is_word_or_hyphen(b) || b == b'.');
    (end - sign > 60).then(|| (start, end, starts(text, start)))
}

/// Whether there are letters of both cases and digits.
fn is_mixed(key: &[u8]) -> bool {
    key.iter().any(u8::is_ascii_uppercase)
        && key.iter().any(u8::is_ascii_lowercase)
        && key.iter().any(u8::is_ascii_digit)
}

/// `00` and 40 characters of both cases, with digits.
pub(super) fn okta(text: &Text<'_>, start: usize, body: usize) -> Found {
    let end = run(text, body, is_word_or_hyphen);
    // Of a longer run, which may have many such prefixes, nothing is read.
    let key = text[body..end].first_chunk::<40>()?;
    let mixed = end - body == key.len() && is_mixed(key) && entropy(text, body, end) >= 4.0;
    // "0001-doc-improve-GREP_COLORS-doc-Bug-57696" is a name.
    let joints = key.iter().filter(|b| matches!(b, b'-' | b'_')).count();
    (mixed && joints < 5).then(|| (start, end, starts(text, start)))
}

/// 14 characters, `.atlasv1.`, 60 and more.
pub(super) fn terraform(text: &Text<'_>, start: usize, body: usize) -> Found {
    let before = text[..start].iter().rev().skip(1).take(15);
    let len = before.take_while(|b| b.is_ascii_alphanumeric()).count();
    let end = run(text, body, is_word_or_hyphen);
    (len == 14 && end - body >= 60).then(|| (start - 15, end, starts(text, start - 15)))
}

/// 52 characters, the mark `JQQJ99`, 26 more.
pub(super) fn azure_devops(text: &Text<'_>, start: usize, body: usize) -> Found {
    let first = start.checked_sub(52)?;
    let end = run(text, body, is_alnum);
    let before = text[first..start].iter().all(u8::is_ascii_alphanumeric);
    (before && (20..=30).contains(&(end - body))).then(|| (first, end, starts(text, first)))
}

/// 32 hexadecimal digits and the data centre: `…-us12`.
pub(super) fn mailchimp(text: &Text<'_>, start: usize, body: usize) -> Found {
    let first = start.checked_sub(33)?;
    let hex = text[first..start - 1].iter().all(u8::is_ascii_hexdigit);
    let end = run(text, body, |b| b.is_ascii_digit());
    (hex && text[start - 1] == b'-' && end - body < 2).then(|| (first, end, starts(text, first)))
}

/// `Private-Lines` of a key of PuTTY, up to the line of its MAC.
pub(super) fn putty(text: &Text<'_>, _start: usize, body: usize) -> Found {
    /// How far behind the first line they begin: the lines of the public key are in front of them.
    const PUBLIC: usize = 8192;
    let lines = text.find(body..text.len().min(body + PUBLIC), b"Private-Lines:")?;
    let end = text.find(lines..text.len(), b"Private-MAC:");
    Some((lines, end.unwrap_or(text.len()), true))
}

/// The private part of a key as JSON (RFC 7517), if that says what kind of key it is.
pub(super) fn jwk(text: &Text<'_>, _start: usize, body: usize) -> Found {
    /// How far from it that stands, at most.
    const NEAR: usize = 2048;
    let end = run(text, body, is_word_or_hyphen);
    if end - body < 40 {
        return None;
    }
    let around = body.saturating_sub(NEAR)..text.len().min(end + NEAR);
    text.find(around, b"\"kty\"").map(|_| (body, end, true))
}

/// The same of a key that is nothing but its secret.
pub(super) fn jwk_oct(text: &Text<'_>, start: usize, body: usize) -> Found {
    let found = jwk(text, start, body)?;
    let around = body.saturating_sub(256)..text.len().min(found.1 + 256);
    text.find(around, b"\"oct\"").map(|_| found)
}

/// `$ANSIBLE_VAULT;1.1;AES256`, then lines of hexadecimal digits, or all of them in one.
pub(super) fn ansible_vault(text: &Text<'_>, start: usize, body: usize) -> Found {
    /// Digits of a full line.
    const LINE: usize = 80;
    let behind = |from: usize, most: usize, class: &[u8], letters: bool| {
        let rest = text.get(from..).unwrap_or_default().iter().take(most);
        let of = |b: &&u8| class.contains(b) || letters && b.is_ascii_alphanumeric();
        from + rest.take_while(of).count()
    };
    let header = behind(body, 64, b";._-", true);
    let mut end = header;
    loop {
        let first = behind(end, 16, b" \n\r\t", false);
        let last = run(text, first, is_hex);
        // Behind a line that is not full, what looks like digits is a word.
        let least = if end == header { 64 } else { 2 };
        if first == end || last - first < least || text.get(last).is_some_and(|b| is_alnum(*b)) {
            break;
        }
        end = last;
        if last - first != LINE {
            break;
        }
    }
    (end > header).then_some((start, end, true))
}

/// `s.` and 24 characters of both cases, with digits.
pub(super) fn vault(text: &Text<'_>, start: usize, body: usize) -> Found {
    let end = run(text, body, is_alnum);
    let key = text[body..end].first_chunk::<24>()?;
    let mixed = end - body == key.len() && is_mixed(key);
    let free = starts(text, start) && !text[..start].ends_with(b".");
    (mixed && free).then_some((start, end, true))
}

/// `dp.st.`, at times the name of a configuration, 40 and more.
pub(super) fn doppler(text: &Text<'_>, start: usize, body: usize) -> Found {
    let first = run(text, body, is_word_or_hyphen);
    let end = match text.get(first) {
        Some(b'.') => run(text, first + 1, is_alnum),
        _ => first,
    };
    (end - body >= 40).then(|| (start, end, starts(text, start)))
}

/// `pat.`, account, identifier, secret.
pub(super) fn harness(text: &Text<'_>, start: usize, body: usize) -> Found {
    let first = run(text, body, is_word_or_hyphen);
    let second = run(text, (first + 1).min(text.len()), is_alnum);
    let end = run(text, (second + 1).min(text.len()), is_alnum);
    let dots = text.get(first) == Some(&b'.') && text.get(second) == Some(&b'.');
    let shaped = first - body >= 20 && second - first >= 21 && end - second >= 19;
    (dots && shaped).then(|| (start, end, starts(text, start)))
}

/// `pat-na1-` and a UUID.
pub(super) fn hubspot(text: &Text<'_>, start: usize, body: usize) -> Found {
    let (_, end, valid) = Form::Parts(UUID).verify(text, start, run(text, body, is_alnum) + 1)?;
    Some((start, end, valid))
}

/// The whole key, up to the line that ends it.
pub(super) fn ssh2(text: &Text<'_>, start: usize, body: usize) -> Found {
    let end = text.find(body..text.len(), b"---- END SSH2");
    Some((start, end.unwrap_or(text.len()), true))
}
