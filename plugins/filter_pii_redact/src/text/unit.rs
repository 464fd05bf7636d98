//! What is written otherwise: one escape, colour, entity or character, and what it stands for.

/// Longest entity and longest sequence of a terminal.
const ENTITY: usize = 10;
const SEQUENCE: usize = 48;
/// How far back the sign of a form's value is looked for.
const FORM: usize = 64;

/// What `written` bytes of a text stand for.
pub(super) struct Unit {
    pub(super) bytes: [u8; 4],
    pub(super) len: usize,
    pub(super) written: usize,
}

fn unit(bytes: &[u8], written: usize) -> Option<Unit> {
    let mut all = [0; 4];
    all.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(Unit {
        bytes: all,
        len: bytes.len(),
        written,
    })
}

/// The character of a number; a byte if it is one.
fn character(code: u32, written: usize) -> Option<Unit> {
    let mut utf8 = [0; 4];
    let text = char::from_u32(code)
        .unwrap_or('\u{fffd}')
        .encode_utf8(&mut utf8);
    unit(text.as_bytes(), written)
}

fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |n: u32, b| {
        Some(n.checked_mul(16)? + (*b as char).to_digit(16)?)
    })
}

/// Whether something written otherwise may start with a byte.
#[inline]
pub(super) fn may_start(byte: u8) -> bool {
    static STARTS: [bool; 256] = {
        let mut starts = [false; 256];
        let all = b"%\\&+\"=\n<_#\x1b";
        let mut n = 0;
        while n < all.len() {
            starts[all[n] as usize] = true;
            n += 1;
        }
        let mut byte = 0xc2;
        while byte < starts.len() {
            starts[byte] = true;
            byte += 1;
        }
        starts
    };
    STARTS[usize::from(byte)]
}

/// Whether what is decoded in front of a byte tells if something starts with it.
#[inline]
pub(super) fn looks_back(byte: u8) -> bool {
    matches!(byte, b'\n' | b'<' | 0xc2..)
}

/// How many others a byte is as dear as that something may start with.
#[inline]
pub(super) fn weight(byte: u8) -> usize {
    match byte {
        // What is around it tells.
        b'&' | b'+' => 4,
        _ => 1,
    }
}

/// What is written otherwise at `at` of a text, behind what is decoded of it so far.
pub(super) fn at(text: &[u8], at: usize, decoded: &[u8]) -> Option<Unit> {
    let rest = &text[at..];
    match rest[0] {
        b'%' => percent(rest, decoded),
        b'\\' => backslash(rest),
        b'&' => entity(rest),
        b'#' => octal(rest),
        b'+' if is_form_blank(text, at) => unit(b" ", 1),
        b'"' if is_doubled(text, at) => unit(b"\"", 2),
        b'=' => quoted_printable(text, at),
        b'\n' | b'<' => line_break(rest, decoded),
        b'_' if is_grouped(text, at) => unit(b"-", 1),
        0x1b => sequence(rest).and_then(|len| unit(b"", len)),
        0xc2.. => separator(rest, decoded).or_else(|| other_script(rest)),
        _ => None,
    }
}

/// `%40`. What is no part of a character is none either: `%DB_PASSWORD%`.
fn percent(rest: &[u8], decoded: &[u8]) -> Option<Unit> {
    let byte = rest.get(1..3).and_then(number)? as u8;
    let whole = match byte {
        0..0x80 => true,
        0x80..0xc0 => decoded.last().is_some_and(|last| *last >= 0x80),
        _ => matches!(
            rest.get(3..5),
            Some([b'%', b'8' | b'9' | b'a' | b'b' | b'A' | b'B'])
        ),
    };
    whole.then(|| unit(&[byte], 3))?
}

/// All backslashes of a row but the last.
pub(super) fn backslashes(rest: &[u8]) -> Option<Unit> {
    let row = rest.iter().take_while(|b| **b == b'\\').count();
    (row > 1).then(|| unit(b"", row - 1))?
}

/// `\n`, `\u0040`, `\x40`, `\/`, `\033`
pub(super) fn backslash(rest: &[u8]) -> Option<Unit> {
    let hex = |from: usize, to: usize| rest.get(from..to).and_then(number);
    if rest[0] != b'\\' {
        return None;
    }
    let simple = match rest.get(1)? {
        b'"' => b"\"",
        b'\\' => b"\\",
        b'/' => b"/",
        b'n' => b"\n",
        b'r' => b"\r",
        b't' => b"\t",
        b'b' => b"\x08",
        b'f' => b"\x0c",
        b'e' if rest.get(2) == Some(&b'[') => b"\x1b",
        b'0' if rest.get(2..5) == Some(b"33[") => return unit(b"\x1b", 4),
        // What nginx and others write for quotes and control characters.
        b'x' => return unit(&[hex(2, 4)? as u8], 4),
        b'u' => {
            let high = hex(2, 6)?;
            let low = (rest.get(6..8) == Some(b"\\u"))
                .then(|| hex(8, 12))
                .flatten()
                .filter(|low| (0xdc00..0xe000).contains(low));
            return match low {
                Some(low) if (0xd800..0xdc00).contains(&high) => {
                    character(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00), 12)
                }
                _ => character(high, 6),
            };
        }
        _ => return None,
    };
    unit(simple, 2)
}

/// `#012`, `#033[1m`: what rsyslog writes for control characters.
fn octal(rest: &[u8]) -> Option<Unit> {
    let byte = match rest.get(1..4)? {
        b"011" => b'\t',
        b"012" => b'\n',
        b"015" => b'\r',
        b"033" if rest.get(4) == Some(&b'[') => 0x1b,
        _ => return None,
    };
    let more = rest.get(4).is_some_and(u8::is_ascii_digit);
    (!more).then(|| unit(&[byte], 4))?
}

/// `&quot;`, `&#64;`, `&#x40;`
fn entity(rest: &[u8]) -> Option<Unit> {
    const NAMED: &[(&[u8], &[u8])] = &[
        (b"quot", b"\""),
        (b"amp", b"&"),
        (b"lt", b"<"),
        (b"gt", b">"),
        (b"apos", b"'"),
        (b"nbsp", b" "),
        (b"commat", b"@"),
        (b"equals", b"="),
        (b"colon", b":"),
    ];
    let window = &rest[1..rest.len().min(ENTITY)];
    let end = memchr::memchr(b';', window)?;
    let name = &window[..end];
    let code = match name {
        [b'#', b'x' | b'X', digits @ ..] if !digits.is_empty() => number(digits)?,
        [b'#', digits @ ..] if !digits.is_empty() => digits.iter().try_fold(0u32, |n, b| {
            n.checked_mul(10)?.checked_add((*b as char).to_digit(10)?)
        })?,
        _ => {
            let row = NAMED.iter().find(|row| row.0 == name)?;
            return unit(row.1, end + 2);
        }
    };
    (code != 0).then(|| character(code, end + 2))?
}

/// Length of a control sequence of a terminal (ECMA-48): `ESC [ … m`, `ESC ] … BEL`.
fn sequence(rest: &[u8]) -> Option<usize> {
    let window = &rest[..rest.len().min(SEQUENCE)];
    match window.get(1)? {
        b'[' => {
            let end = window[2..].iter().position(|b| !matches!(b, 0x20..=0x3f))?;
            matches!(window[2 + end], 0x40..=0x7e).then_some(end + 3)
        }
        b']' => memchr::memchr(0x07, window).map(|end| end + 1),
        b'(' | b')' => (window.len() > 2).then_some(3),
        _ => None,
    }
}

/// Whether a plus stands for a blank: between groups of four of a card or an IBAN, or in a value of a
/// form, `a=Bearer+x`.
fn is_form_blank(text: &[u8], at: usize) -> bool {
    let word = |b: &&u8| b.is_ascii_alphanumeric();
    if !text.get(at + 1).is_some_and(u8::is_ascii_alphanumeric) {
        return false;
    }
    let before = text[..at].iter().rev().take(5);
    let group = before.clone().take_while(word).count();
    let digits = before.take(group).filter(|b| b.is_ascii_digit()).count();
    let next = text[at + 1..].iter().take(5).take_while(word).count();
    if group == 4 && digits >= 2 && (2..=4).contains(&next) {
        return true;
    }
    // A name in front of a sign, and further values of a form or the start of the text around.
    if group == 0 || digits == group {
        return false;
    }
    let form = |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'%' | b'.' | b'-' | b'_');
    let floor = at.saturating_sub(FORM + 1);
    let Some(sign) = memchr::memrchr(b'=', &text[floor..at]).map(|n| floor + n + 1) else {
        return false;
    };
    if !text[sign..at].iter().all(|b| form(&b)) {
        return false;
    }
    let name = text[..sign - 1]
        .iter()
        .rev()
        .take(FORM)
        .take_while(form)
        .count();
    name > 0
        && matches!(
            text[..sign - 1 - name].last(),
            None | Some(b'&' | b'?' | b' ' | b'"')
        )
}

/// Whether a quote and the next one stand for one, as in CSV: at a word, and not an empty value.
fn is_doubled(text: &[u8], at: usize) -> bool {
    if text.get(at + 1) != Some(&b'"') {
        return false;
    }
    let word = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
    let before = at.checked_sub(1).map(|n| text[n]);
    let behind = text.get(at + 2);
    let opens = behind.is_some_and(word) && !before.is_some_and(|b| word(&b) || b == b'=');
    let closes = before.is_some_and(|b| word(&b)) && !behind.is_some_and(word);
    opens || closes
}

/// `=40` of quoted-printable (RFC 2045), where a text is written so.
fn quoted_printable(text: &[u8], at: usize) -> Option<Unit> {
    let rest = &text[at..];
    let break_ = |rest: &[u8]| match rest {
        [b'=', b'\n', ..] => Some(2),
        [b'=', b'\r', b'\n', ..] => Some(3),
        _ => None,
    };
    if let Some(len) = break_(rest) {
        return unit(b"", len);
    }
    if !is_quoted_printable(rest) {
        return None;
    }
    let byte = rest.get(1..3).and_then(number)? as u8;
    let before = at
        .checked_sub(1)
        .is_some_and(|n| text[n].is_ascii_graphic());
    (before && !byte.is_ascii_alphanumeric()).then(|| unit(&[byte], 3))?
}

/// Whether a sign starts a byte in quoted-printable that nothing else looks like.
fn is_quoted_printable(rest: &[u8]) -> bool {
    match rest {
        [b'=', b'3', b'A' | b'B' | b'C' | b'D' | b'E' | b'F', ..] => {
            !rest.get(3).is_some_and(u8::is_ascii_hexdigit) || rest[2] == b'D'
        }
        [b'=', b'4', b'0', letter, more @ ..] => {
            let domain = more.iter().take(64);
            let domain = domain
                .take_while(|b| b.is_ascii_alphanumeric() || **b == b'-')
                .count();
            letter.is_ascii_lowercase() && more.get(domain) == Some(&b'.')
        }
        _ => false,
    }
}

/// Whether an underscore stands between two groups of a card, or of a number as `219_09_9999`.
fn is_grouped(text: &[u8], at: usize) -> bool {
    let digits = |b: &&u8| b.is_ascii_digit();
    let before = text[..at].iter().rev().take(5).take_while(digits).count();
    let behind = text[at + 1..].iter().take(5).take_while(digits).count();
    matches!((before, behind), (4, 4) | (3, 2) | (2, 4))
}

/// A new line, in whatever way, between two groups of four digits.
fn line_break(rest: &[u8], decoded: &[u8]) -> Option<Unit> {
    let len = match rest {
        [b'\n', ..] => 1,
        [b'<', b'b', b'r', b'>', ..] => 4,
        [b'<', b'b', b'r', b'/', b'>', ..] => 5,
        [b'<', b'b', b'r', b' ', b'/', b'>', ..] => 6,
        _ => return None,
    };
    let digits = |b: &&u8| b.is_ascii_digit();
    let before = decoded.iter().rev().take(5).take_while(digits).count();
    let behind = rest[len..].iter().take(5).take_while(digits).count();
    (before == 4 && behind == 4).then(|| unit(b" ", len))?
}

/// A blank or a hyphen that is no ASCII between the digits of a number.
fn separator(rest: &[u8], decoded: &[u8]) -> Option<Unit> {
    let (byte, len) = typographic(rest)?;
    let before = matches!(decoded.last(), Some(b'0'..=b'9' | b')'));
    let behind = matches!(rest.get(len), Some(b'0'..=b'9' | b'(' | b' '))
        || rest
            .get(len..)
            .is_some_and(|rest| other_script(rest).is_some());
    (before && behind).then(|| unit(&[byte], len))?
}

/// A blank or a hyphen that is no ASCII, as typesetters and spreadsheets put them into numbers: what it
/// stands for, and its bytes.
fn typographic(text: &[u8]) -> Option<(u8, usize)> {
    Some(match text {
        [0xc2, 0xa0, ..] => (b' ', 2),
        [0xe2, 0x80, 0x80..=0x8a | 0xaf, ..] | [0xe2, 0x81, 0x9f, ..] | [0xe3, 0x80, 0x80, ..] => {
            (b' ', 3)
        }
        [0xe2, 0x80, 0x90..=0x95, ..] | [0xe2, 0x88, 0x92, ..] | [0xef, 0xbc, 0x8d, ..] => {
            (b'-', 3)
        }
        _ => return None,
    })
}

/// A digit of another script, a full-width character, or one that is not seen.
fn other_script(rest: &[u8]) -> Option<Unit> {
    let digit = |byte: u8, zero: u8, len: usize| unit(&[b'0' + (byte - zero)], len);
    match *rest {
        // Arabic, Persian.
        [0xd9, b @ 0xa0..=0xa9, ..] => digit(b, 0xa0, 2),
        [0xdb, b @ 0xb0..=0xb9, ..] => digit(b, 0xb0, 2),
        // Devanagari, Bengali, Thai.
        [0xe0, 0xa5 | 0xa7, b @ 0xa6..=0xaf, ..] => digit(b, 0xa6, 3),
        [0xe0, 0xb9, b @ 0x90..=0x99, ..] => digit(b, 0x90, 3),
        // Mathematical, in bold and the like.
        [0xf0, 0x9d, 0x9f, b @ 0x8e..=0xbf, ..] => unit(&[b'0' + (b - 0x8e) % 10], 4),
        [0xef, 0xbc, b @ 0x81..=0xbf, ..] => unit(&[b - 0x81 + b'!'], 3),
        [0xef, 0xbd, b @ 0x80..=0x9e, ..] => unit(&[b - 0x80 + b'`'], 3),
        [0xc2, 0xad, ..] => unit(b"", 2),
        [0xe2, 0x80, 0x8b..=0x8d, ..] | [0xe2, 0x81, 0xa0, ..] | [0xef, 0xbb, 0xbf, ..] => {
            unit(b"", 3)
        }
        _ => None,
    }
}

/// Whether the digit at `at` stands behind such a separator and a digit or bracket.
fn is_separated(buf: &[u8], at: usize) -> bool {
    [2, 3].into_iter().any(|len| {
        at.checked_sub(len + 1).is_some_and(|before| {
            (buf[before].is_ascii_digit() || buf[before] == b')')
                && typographic(&buf[before + 1..at]).is_some_and(|(_, bytes)| bytes == len)
        })
    })
}

/// Whether the header of a string of raw msgpack may be in front of `at`: its length may look like a
/// letter or digit of what the string begins with.
fn is_near_header(buf: &[u8], at: usize) -> bool {
    let before = &buf[at.saturating_sub(HEADER)..at];
    !before.is_ascii()
}

/// How far in front of a group of five the first byte of a header is, at most.
const HEADER: usize = 10;

/// Whether what starts at `at`, or ends there for a digit, is written differently from what it stands
/// for. In raw msgpack, what may be counts at the start of a string.
pub(crate) fn is_escape(buf: &[u8], at: usize) -> bool {
    let rest = &buf[at..];
    match buf[at] {
        b'0'..=b'9' if at > 0 && buf[at - 1] >= 0x80 => is_separated(buf, at),
        // "=40", "=3D", seen at their ends.
        b'0' | b'D' if at > 1 && buf[at - 2] == b'=' => is_quoted_printable(&buf[at - 2..]),
        b'0'..=b'9' if at > 0 && buf[at - 1] == b'_' => {
            is_grouped(buf, at - 1) || is_near_header(buf, at)
        }
        b'\n' | b'<' => {
            let near = matches!(rest, [b'\n', b'0'..=b'9', ..] | [b'<', b'b', b'r', ..]);
            line_break(rest, &buf[..at]).is_some() || near && is_near_header(buf, at)
        }
        b'%' => rest.get(1..3).and_then(number).is_some(),
        b'\\' => backslash(rest).is_some(),
        b'&' => entity(rest).is_some(),
        b'#' => octal(rest).is_some(),
        b'+' => {
            // Between groups; else it is the sign of a phone number.
            let near = rest.get(1).is_some_and(u8::is_ascii_alphanumeric)
                && buf[..at].last().is_some_and(u8::is_ascii_digit);
            is_form_blank(buf, at) || near && is_near_header(buf, at)
        }
        b'"' => at > 0 && is_doubled(buf, at - 1),
        0x1b => sequence(rest).is_some(),
        0x80.. => is_other_script(buf, at),
        _ => false,
    }
}

/// Whether the last byte of a character of another script that has a view is at `at`.
fn is_other_script(buf: &[u8], at: usize) -> bool {
    // Most are told by the byte that they begin with.
    let first = |back: usize| at.checked_sub(back).map_or(0, |start| buf[start]);
    let is = |back: usize| {
        other_script(&buf[at - back..=at]).is_some_and(|unit| unit.written == back + 1)
    };
    matches!(first(1), 0xc2 | 0xd9 | 0xdb) && is(1)
        || matches!(first(2), 0xe0 | 0xe2 | 0xef) && is(2)
        || first(3) == 0xf0 && is(3)
}
