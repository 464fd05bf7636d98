//! Where the value of a name is, whatever is put around it: quotes, brackets, types, elements.

use super::scheme;
use super::value::{is_alone, is_random};
use super::{is_quote, Form, Named};
use crate::name::{class_of_name, is_inner, name_before, NameClass};

/// Most blanks in front of a value: tables align theirs.
const BLANKS: usize = 64;
/// Most layers around a value.
const LAYERS: usize = 4;
/// Longest name of a type around a value.
const TYPE: usize = 40;

/// Span of the value of a name, without quotes.
pub(super) fn value_at(text: &[u8], named: &Named) -> Option<(usize, usize)> {
    let at = named.sign;
    let mut start = at + 1;
    if named.form == Form::Element {
        return element(text, start);
    }
    // "userPassword:: c2VjcmV0" as LDIF has it; "password::hash" is a path.
    if text[at] == b':' && text.get(start) == Some(&b':') {
        start += 1;
        if text.get(start) != Some(&b' ') {
            return None;
        }
    }
    // "=>", ":=", "=="
    while start < text.len() && start < at + 3 && matches!(text[start], b'=' | b'>') {
        start += 1;
    }
    start += blanks(text, start);
    // "**Password:** x"
    if text[start.min(text.len())..].starts_with(b"** ") {
        start += 3;
    }
    start = block(text, start, named).unwrap_or(start);
    let below = next_line(text, start, named);
    start = below.unwrap_or(start);
    let header = named.class.is_header();
    // The first of a list: `["hunter2"]`, and `[Bearer ...]` as Go prints headers. A placeholder of an
    // earlier pass is one value, brackets included.
    if let Some([b'[', rest @ ..]) = text.get(start..) {
        let text = rest.first().is_some_and(|b| is_quote(*b) || *b == b'\\');
        let listed = named.class.is_random() || header && scheme::starts(rest);
        start += usize::from(text || listed);
    }
    let program = text[at..start] == *b"= " && is_expression(&text[start..]);
    if program || is_note(&text[start..]) || is_template(&text[start..]) || is_command(text, start)
    {
        return None;
    }
    let mut close = None;
    for _ in 0..LAYERS {
        match layer(text, start, named) {
            Some((next, end)) => (start, close) = (next, end.or(close)),
            None => break,
        }
    }
    let escaped = text.get(start) == Some(&b'\\')
        && text
            .get(start + 1)
            .is_some_and(|b| matches!(b, b'"' | b'\''));
    if escaped {
        start += 1;
    }
    let first = *text.get(start)?;
    if is_quote(first) {
        // "'Password: '": what somebody is asked, all of it between quotes.
        let asked = named.form == Form::Sign
            && text[..named.name.start].ends_with(&[first])
            && named.name.end == at
            && text[at..start] == *b": ";
        if asked {
            return None;
        }
        start += 1;
        let end = start + quoted(&text[start..], first, escaped);
        // In a list of pairs: `"kind": "auth", "next": 1`.
        let key = (named.form == Form::Listed || below.is_some()) && is_key(&text[end..]);
        return (end > start && !key).then_some((start, end));
    }
    if let Some(close) = close {
        let rest = &text[start..text.len().min(start + 512)];
        let end = memchr::memmem::find(rest, close)?;
        return (end > 0).then_some((start, start + end));
    }
    // A further argument follows; in a list, what has no quotes is no value.
    if named.form == Form::Listed || named.form == Form::Argument && first == b'-' {
        return None;
    }
    let rest = &text[start..];
    // "auth=bob host=db": another pair, no scheme.
    let one = named.class == NameClass::Auth && text[at] == b'=' && !scheme::is_known(rest);
    let header = header && !one;
    let line = header && scheme::has_parameters(rest)
        || named.class == NameClass::Cookie && text[at] == b':';
    if line {
        let quote = before_name(text, at);
        let stop = |b: &u8| matches!(b, b'\n' | b'\r') || Some(*b) == quote;
        let len = rest.iter().position(stop).unwrap_or(rest.len());
        return Some((start, start + len));
    }
    let mut len = word_len(rest);
    if header && len > 0 {
        // The scheme, then the credentials.
        let blanks = rest[len..].iter().take_while(|b| **b == b' ').count();
        let more = word_len(&rest[len + blanks..]);
        if more > 0 {
            len += blanks + more;
        }
    }
    (len > 0).then_some((start, start + len))
}

/// Whether `rest` begins with words in brackets, which say something of the value: `(known after apply)`.
fn is_note(rest: &[u8]) -> bool {
    let Some(inner) = rest.strip_prefix(b"(") else {
        return false;
    };
    let word = |b: &&u8| b.is_ascii_alphabetic() || matches!(b, b' ' | b'-' | b',');
    let len = inner.iter().take(64).take_while(word).count();
    inner.get(len) == Some(&b')') && inner[..len].contains(&b' ')
}

/// Whether `rest` begins with a word of a program in front of what it computes: `try allocator.dupe(u8, value)`.
fn is_expression(rest: &[u8]) -> bool {
    const WORDS: &[&[u8]] = &[
        b"try", b"await", b"if", b"match", b"lambda", b"not", b"yield",
    ];
    let len = rest
        .iter()
        .take(8)
        .take_while(|b| b.is_ascii_lowercase())
        .count();
    let line = &rest[..rest.len().min(64)];
    rest.get(len) == Some(&b' ')
        && WORDS.contains(&&rest[..len])
        && line
            .iter()
            .any(|b| matches!(b, b'(' | b'.' | b'[' | b'{' | b':'))
}

/// Whether `rest` begins with what a program fills in: `password={password}`.
fn is_template(rest: &[u8]) -> bool {
    let Some(inner) = rest.strip_prefix(b"{") else {
        return false;
    };
    let field = |b: &&u8| b.is_ascii_lowercase() || **b == b'_';
    let len = inner.iter().take(40).take_while(field).count();
    inner.get(len) == Some(&b'}')
        && !inner
            .get(len + 1)
            .is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'$')
        && (&inner[..len] == b"cipher" || class_of_name(&inner[..len]).is_secret())
}

/// Whether a command stands at `at` whose output is the value: ``=`pass show db` ``.
fn is_command(text: &[u8], at: usize) -> bool {
    let Some(inner) = text[at..].strip_prefix(b"`") else {
        return false;
    };
    let end = memchr::memchr(b'`', &inner[..inner.len().min(256)]);
    text[..at].ends_with(b"=") && end.is_some_and(|end| inner[..end].contains(&b' '))
}

/// Whether a colon follows the quote that `rest` begins with.
fn is_key(rest: &[u8]) -> bool {
    let joint = |b: &&u8| is_quote(**b) || matches!(b, b'\\' | b' ');
    let joints = rest.iter().take(4).take_while(joint).count();
    rest.get(joints) == Some(&b':')
}

fn blanks(text: &[u8], at: usize) -> usize {
    let rest = text[at.min(text.len())..].iter().take(BLANKS);
    rest.take_while(|b| matches!(b, b' ' | b'\t')).count()
}

/// The value on a line of its own: in quotes, as one of a list, or what looks like a secret.
fn next_line(text: &[u8], start: usize, named: &Named) -> Option<usize> {
    if named.form != Form::Sign || !matches!(text.get(start)?, b'\n' | b'\r') {
        return None;
    }
    let window = text[start..].iter().take(BLANKS);
    let at = start + window.take_while(|b| b.is_ascii_whitespace()).count();
    let at = at + if text[at..].starts_with(b"- ") { 2 } else { 0 };
    let rest = &text[at..];
    let word = &rest[..word_len(rest)];
    let counts = is_quote(*rest.first()?) || rest.starts_with(b"string(") || is_alone(word);
    counts.then_some(at)
}

/// The first line of a block of YAML: `key: |`, a new line, blanks.
fn block(text: &[u8], start: usize, named: &Named) -> Option<usize> {
    let mut at = start;
    if named.form != Form::Sign || !matches!(text.get(at)?, b'|' | b'>') {
        return None;
    }
    at += 1;
    if matches!(text.get(at)?, b'-' | b'+') {
        at += 1;
    }
    if text.get(at)? != &b'\n' {
        return None;
    }
    let blanks = blanks(text, at + 1);
    (blanks > 0).then_some(at + 1 + blanks)
}

/// What is put around the value at `start`: where the value goes on behind it, and what ends it.
fn layer(text: &[u8], start: usize, named: &Named) -> Option<(usize, Option<&'static [u8]>)> {
    let rest = &text[start.min(text.len())..];
    match rest {
        [0xc2, 0xab, ..] => return Some((start + 2, Some("\u{bb}".as_bytes()))),
        [0xe2, 0x80, 0x9c | 0x9e, ..] => return Some((start + 3, Some("\u{201d}".as_bytes()))),
        [0xe2, 0x80, 0x98, ..] => return Some((start + 3, Some("\u{2019}".as_bytes()))),
        [b'@' | b'$' | b'&', quote, ..] if is_quote(*quote) => return Some((start + 1, None)),
        // "new Password('x')"
        [b'n', b'e', b'w', b' ', next, ..] if next.is_ascii_uppercase() => {
            return Some((start + 4, None))
        }
        // An anchor of YAML: "&pw x"
        [b'&', name @ ..] if text[..start].ends_with(b": ") => {
            let word = name
                .iter()
                .take(TYPE)
                .take_while(|b| b.is_ascii_alphanumeric() || **b == b'_');
            let len = word.count();
            return (len > 0 && name.get(len) == Some(&b' ')).then_some((start + len + 2, None));
        }
        [b'!', tag @ ..] => return tagged(tag).map(|len| (start + 1 + len, None)),
        [b'<', b'<', quote, ..] if is_quote(*quote) => return Some((start + 2, None)),
        [b'.', b' ', quote, ..] if is_quote(*quote) => return Some((start + 2, None)),
        [b',', next, ..] if next.is_ascii_alphanumeric() => return Some((start + 1, None)),
        [b'(', next, ..] if is_quote(*next) || next.is_ascii_alphanumeric() => {
            return Some((start + 1, None))
        }
        [b'{', next, ..] => return brace(rest, *next, named).map(|(n, end)| (start + n, end)),
        [first, ..] if first.is_ascii_alphabetic() => {}
        _ => return None,
    }
    let word = |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b':');
    let len = rest.iter().take(TYPE).take_while(word).count();
    let short = len <= 2;
    match &rest[len..] {
        // What is there is a variable's.
        [b'(', ..] if rest[..len].ends_with(b"env") || rest[..len].ends_with(b"getProperty") => {
            None
        }
        // The secret itself: no type is called so.
        [b'(' | b'<', ..] if is_random(&rest[..len]) => None,
        // "get_password(url)", "getpass.getpass('Password: ')": a program's.
        [b'(', inner @ ..] if is_call(&rest[..len], inner) => None,
        // "Some(", "SecretStr('", and what PHP says of the length: "string(9) "
        [b'(', inner @ ..] => {
            let digits = inner.iter().take_while(|b| b.is_ascii_digit()).count();
            match &inner[digits..] {
                [b')', b' ', quote, ..] if digits > 0 && is_quote(*quote) => {
                    Some((start + len + digits + 3, None))
                }
                [b')', ..] => None,
                rest if digits == 0 => Some((start + len + 1 + argument(rest), None)),
                _ => Some((start + len + 1, None)),
            }
        }
        // "b'...'", "N'...'"
        [quote, ..] if short && is_quote(*quote) => Some((start + len, None)),
        // "Just \"...\""
        [b' ', quote, ..] if is_quote(*quote) && rest[0].is_ascii_uppercase() => {
            Some((start + len + 1, None))
        }
        [b'<', ..] if rest[0].is_ascii_uppercase() => Some((start + len + 1, Some(b">"))),
        // "text/plain;"
        [b'/', inner @ ..] if named.class == NameClass::Password => {
            let inner = inner.iter().take(TYPE).take_while(word).count();
            let end = len + 1 + inner;
            let typed = rest.get(end) == Some(&b';')
                && rest.get(end + 1).is_some_and(u8::is_ascii_alphanumeric);
            typed.then_some((start + end + 1, None))
        }
        _ => None,
    }
}

/// Whether what is called is a function of a program, not a type around a value.
fn is_call(name: &[u8], inner: &[u8]) -> bool {
    let quoted = inner.first().is_some_and(|b| is_quote(*b) || *b == b'\\')
        || matches!(inner, [_, quote, ..] if is_quote(*quote))
        || argument(inner) > 0
        || name == b"string";
    let small = name[0].is_ascii_lowercase();
    let path = name.iter().any(|b| matches!(b, b'_' | b'.' | b':'));
    let end = inner
        .iter()
        .position(|b| matches!(b, b')' | b',' | b' ' | b'\n'));
    let several = end.is_some_and(|end| inner[end] != b')');
    small && path || !quoted && (small && name.len() > 2 || several)
}

/// Length of a tag of YAML and the blank behind it, of `!!str x` and `!secret-ish "x"`; others say where the
/// value is.
fn tagged(tag: &[u8]) -> Option<usize> {
    let word = |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'!');
    let len = tag.iter().take(TYPE).take_while(word).count();
    let quoted = tag.get(len + 1).is_some_and(|b| is_quote(*b));
    (tag.get(len) == Some(&b' ') && (quoted || tag[0] == b'!')).then_some(len + 1)
}

/// Length of the name of an argument in front of its quote: `value='`.
fn argument(inner: &[u8]) -> usize {
    let letters = inner
        .iter()
        .take(16)
        .take_while(|b| b.is_ascii_lowercase())
        .count();
    match &inner[letters..] {
        [b'=', quote, ..] if is_quote(*quote) => letters + 1,
        _ => 0,
    }
}

/// `{noop}value`, `{"value": ...}`, and `{a;b}` as JDBC has it; how far behind the brace it goes on.
fn brace(rest: &[u8], next: u8, named: &Named) -> Option<(usize, Option<&'static [u8]>)> {
    if is_quote(next) || next == b'\\' {
        let window = &rest[..rest.len().min(48)];
        let sign = memchr::memchr(b':', window)?;
        let name = name_before(rest, sign);
        let inner = is_inner(&rest[name]);
        return inner.then(|| (sign + 1 + blanks(rest, sign + 1), None));
    }
    if named.class.is_header()
        || !(next.is_ascii_alphanumeric() || b"!#$%&*+-/;=?@^_~".contains(&next))
    {
        return None;
    }
    let window = &rest[..rest.len().min(256)];
    let end = memchr::memchr2(b'}', b'\n', window).filter(|end| window[*end] == b'}')?;
    let plain = rest[1..end]
        .iter()
        .all(|b| b.is_ascii_alphanumeric() || *b == b'-');
    match rest.get(end + 1) {
        Some(b) if plain && (b.is_ascii_alphanumeric() || *b == b'$') => Some((end + 1, None)),
        _ => Some((1, Some(b"}"))),
    }
}

/// Bytes that end no value.
static IS_PLAIN: [bool; 256] = {
    let mut table = [true; 256];
    let ends = b" \t\n\r\"',;&)}<>\\|]\x1b";
    let mut n = 0;
    while n < ends.len() {
        table[ends[n] as usize] = false;
        n += 1;
    }
    table
};

/// Length of the value without quotes and blanks at the start of `rest`; brackets around all of it belong
/// to it.
pub(super) fn word_len(rest: &[u8]) -> usize {
    let bracket = rest.first() == Some(&b'[');
    let mut at = 0;
    while let Some(byte) = rest.get(at) {
        if IS_PLAIN[usize::from(*byte)] {
            at += 1;
            continue;
        }
        match byte {
            b']' if bracket => {}
            b'&' if at > 0 && goes_on(&rest[at + 1..]) => {}
            b'\\' if at > 0 && rest[at - 1].is_ascii_alphanumeric() && slash(&rest[at..]) > 0 => {
                at += slash(&rest[at..]) - 1;
            }
            // A quote inside of a word.
            b'"' | b'\\' if at > 0 => {
                let quote = usize::from(*byte == b'\\');
                let inside = (quote == 0 || rest.get(at + 1) == Some(&b'"'))
                    && rest[at - 1].is_ascii_alphanumeric()
                    && rest
                        .get(at + quote + 1)
                        .is_some_and(u8::is_ascii_alphanumeric);
                if !inside {
                    return at;
                }
                at += quote;
            }
            _ => return at,
        }
        at += 1;
    }
    at
}

/// Whether an ampersand in front of `rest` is a part of a value: no further pair of a form, no entity.
fn goes_on(rest: &[u8]) -> bool {
    let name =
        |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'%' | b'[' | b']');
    let len = rest.iter().take(40).take_while(name).count();
    len > 0 && !matches!(rest.get(len), Some(b'=' | b';'))
}

/// Length of the backslashes at the start of `rest` that are part of a word, as one or, in JSON, as two; 0:
/// they may stand for something else, such as the end of a line.
fn slash(rest: &[u8]) -> usize {
    let row = rest.iter().take_while(|b| **b == b'\\').count();
    match rest.get(row) {
        Some(next) if row <= 2 && next.is_ascii_alphanumeric() && !b"nrtbfux0".contains(next) => {
            row
        }
        _ => 0,
    }
}

/// What is in the element whose content starts at `start`.
fn element(text: &[u8], start: usize) -> Option<(usize, usize)> {
    const OPEN: &[u8] = b"<![CDATA[";
    let rest = text.get(start..)?;
    let (start, rest) = match rest.strip_prefix(OPEN) {
        Some(rest) => (start + OPEN.len(), rest),
        None => inner_element(text, start).map_or((start, rest), |at| (at, &text[at..])),
    };
    let tag = memchr::memchr(b'<', rest)?;
    let len = memchr::memmem::find(&rest[..tag], b"]]>").unwrap_or(tag);
    let closed = len < tag || rest[tag..].starts_with(b"</");
    (len > 0 && closed).then_some((start, start + len))
}

/// Where the content begins of the element that stands alone in one: `<value><string>x</string></value>`.
fn inner_element(text: &[u8], start: usize) -> Option<usize> {
    let rest = &text[start..text.len().min(start + TYPE)];
    let end = memchr::memchr(b'>', rest)?;
    let named = rest[..end].strip_prefix(b"<")?;
    let word = !named.is_empty() && named.iter().all(u8::is_ascii_alphanumeric);
    word.then_some(start + end + 1)
}

/// Length of what stands in quotes; those behind a backslash belong to it, unless the first one was.
pub(super) fn quoted(rest: &[u8], quote: u8, escaped: bool) -> usize {
    let mut from = 0;
    while let Some(n) = memchr::memchr(quote, &rest[from..]) {
        let end = from + n;
        let slashes = rest[..end]
            .iter()
            .rev()
            .take_while(|b| **b == b'\\')
            .count();
        if escaped {
            return end - slashes;
        }
        // YAML and SQL double an apostrophe: `'it''s'`.
        let doubled = quote == b'\''
            && end > 0
            && rest.get(end + 1) == Some(&quote)
            && rest.get(end + 2).is_some_and(u8::is_ascii_alphanumeric);
        if doubled {
            from = end + 2;
            continue;
        }
        if slashes % 2 == 0 {
            return end;
        }
        from = end + 1;
    }
    rest.len()
}

/// The quote in front of the name whose sign is at `at`.
fn before_name(text: &[u8], at: usize) -> Option<u8> {
    let name = name_before(text, at);
    let mut start = name.start;
    // "-HAuthorization: ..."
    while start > 0 && text[start - 1] == b'-' {
        start -= 1;
    }
    let quote = text[..start].last()?;
    matches!(quote, b'"' | b'\'').then_some(*quote)
}
