//! E-mail addresses: the dot-atom form of RFC 5322 with a domain of at least two labels.

use super::Match;

/// Longest local part: RFC 5321, section 4.5.3.1.1.
const MAX_LOCAL: usize = 64;
/// Longest domain: RFC 5321, section 4.5.3.1.2.
const MAX_DOMAIN: usize = 255;
/// Longest label of a domain: RFC 1035, section 2.3.4.
const MAX_LABEL: usize = 63;

pub(super) fn find(text: &[u8], found: &mut Vec<Match>) {
    for at in memchr::memchr_iter(b'@', text) {
        if let Some((start, end)) = around(text, at) {
            found.push(Match {
                start,
                end,
                placeholder: "[EMAIL]",
            });
        }
    }
}

/// Start and end of the address around the `@` at `at`.
fn around(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let start = local_start(text, at)?;
    let end = domain_end(text, at + 1)?;
    Some((start, end))
}

fn local_start(text: &[u8], at: usize) -> Option<usize> {
    let floor = at.saturating_sub(MAX_LOCAL);
    let mut start = at;
    while start > floor && is_local(text[start - 1]) {
        start -= 1;
    }
    // A dot is no first character; punctuation in front of an address is not part of it.
    while start < at && !is_local_edge(text[start]) {
        start += 1;
    }
    (start < at && text[at - 1] != b'.').then_some(start)
}

fn is_local_edge(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

fn is_local(byte: u8) -> bool {
    is_local_edge(byte) || matches!(byte, b'.' | b'-' | b'+' | b'\'')
}

fn domain_end(text: &[u8], start: usize) -> Option<usize> {
    let limit = text.len().min(start + MAX_DOMAIN);
    let mut end = None;
    let mut label = start;
    let mut labels = 0;
    let mut at = start;
    loop {
        let byte = if at < limit { text[at] } else { b' ' };
        if byte.is_ascii_alphanumeric() || byte == b'-' || byte >= 0x80 {
            at += 1;
            continue;
        }
        let mut stop = at;
        while stop > label && text[stop - 1] == b'-' {
            stop -= 1;
        }
        let name = &text[label..stop];
        if name.is_empty() || name.len() > MAX_LABEL || name[0] == b'-' {
            return end;
        }
        labels += 1;
        let top = name.len() >= 2 && !name[0].is_ascii_digit();
        if labels >= 2 && top {
            end = Some(stop);
        }
        if byte != b'.' || stop != at {
            return end;
        }
        at += 1;
        label = at;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<&str> {
        let mut found = Vec::new();
        find(text.as_bytes(), &mut found);
        found.iter().map(|m| &text[m.start..m.end]).collect()
    }

    #[test]
    fn valid_and_invalid_examples() {
        for (text, address) in [
            ("mail bob@example.com.", "bob@example.com"),
            (
                "<first.last+tag@mail.example.co.uk>",
                "first.last+tag@mail.example.co.uk",
            ),
            ("o'neil@example.ie,", "o'neil@example.ie"),
            ("to=a_b-c@ex-ample.org;", "a_b-c@ex-ample.org"),
            ("müller@exämple.de", "müller@exämple.de"),
        ] {
            assert_eq!(found(text), [address], "{text}");
        }
        for text in [
            "user@localhost",
            "@example.com",
            "a.@example.com",
            "android.os.BinderProxy@1234.5",
            "git@",
            "x@-a.com",
            "a@b..com",
        ] {
            assert!(found(text).is_empty(), "{text}");
        }
    }
}
