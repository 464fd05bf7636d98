//! Values whose name has no sign: `password hunter2`, `IDENTIFIED BY '…'`, `["--password", "…"]`, and
//! those whose name is said elsewhere.

use std::ops::Range;

use super::layout::{quoted, word_len};
use super::value::{has_both, is_alone, is_random, is_secret_value, is_strong, Place};
use super::{is_quote, Named, CHECKED, VALUE};
use crate::budget::Budget;
use crate::name::{class_of_name, class_of_other, is_label, name_start, NameClass};

/// How far the name of a value is looked for.
const FAR: usize = 96;
/// The same of what is said of somebody's password.
const SAID: usize = 48;
/// Words in front of a name that say what follows: any value counts.
const COMMANDS: &[&[u8]] = &[b"setenv", b"setx", b"env", b"export", b"login", b"define"];
/// Names that are all of a setting in front of its value, where a line begins or behind `CONFIG SET`.
const SETTINGS: &[&[u8]] = &[b"requirepass", b"masterauth"];

/// What is at `at` behind `IDENTIFIED BY`, in quotes behind `IDENTIFIED WITH plugin BY`, too.
pub(super) fn by(text: &[u8], at: usize) -> Option<(usize, usize)> {
    if !is_quote(text[at]) {
        let len = word_len(&text[at..]);
        let next = &text[at..at + len];
        let keyword =
            next.eq_ignore_ascii_case(b"password") || next.eq_ignore_ascii_case(b"values");
        // "Users are identified by their names" is no statement.
        let before = &text[at.saturating_sub(FAR)..at];
        let sql = is_of_role(&text[..at]) || says(before, b"grant ");
        return (len > 0 && !keyword && sql).then_some((at, at + len));
    }
    let before = &text[at.saturating_sub(FAR)..at];
    // "identified by `format`" is prose, and often so is "identified by "jamesh"".
    let found = match text[at] {
        b'\'' => says(before, b"identified"),
        b'"' => {
            memchr::memmem::find(before, b"IDENTIFIED").is_some()
                || says(before, b"identified")
                    && (is_of_role(&text[..at]) || says(before, b"grant "))
        }
        _ => false,
    };
    let start = at + 1;
    let end = start + quoted(&text[start..], text[at], false);
    (found && end > start).then_some((start, end))
}

/// The word that ends in front of `at` and blanks.
pub(super) fn word_before(text: &[u8], at: usize) -> &[u8] {
    let end = text[..at].trim_ascii_end().len();
    let letters = text[..end].iter().rev().take(16);
    let len = letters.take_while(|b| b.is_ascii_alphabetic()).count();
    &text[end - len..end]
}

fn starts_with(text: &[u8], word: &[u8]) -> bool {
    text.get(..word.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(word))
}

/// The value behind a name and a blank.
pub(super) fn bare(text: &[u8], named: &Named, budget: &Budget) -> Option<(usize, usize)> {
    let at = named.name.end;
    let skip = |from: usize| {
        let rest = text[from..].iter().take(40);
        from + rest.take_while(|b| **b == b' ').count()
    };
    let mut start = skip(at + 1);
    match text.get(start) {
        // The next column of a table.
        Some(b'|') if text[at] == b' ' => start = skip(start + 1),
        Some(0xe2) if text[at] == b' ' && is_box(&text[start..]) => start = skip(start + 3),
        // "password ....... x"
        Some(b'.') => {
            let dots = text[start..]
                .iter()
                .take(FAR)
                .take_while(|b| **b == b'.')
                .count();
            // "(password . \"x\")"
            if dots > 2 || text[start..].starts_with(b". \"") {
                start = skip(start + dots);
                start = skip(start + usize::from(text.get(start) == Some(&b':')));
            }
        }
        // "secret (base64): x"
        Some(b'(') => start = skip(behind_note(text, start).unwrap_or(start)),
        _ => {}
    }
    let password = matches!(named.class, NameClass::Password | NameClass::Pass);
    let before = word_before(text, named.name.start);
    if password && starts_with(&text[start..], b"for ") {
        return set_password(text, start, before).or_else(|| said_of(text, start));
    }
    let joints = [
        &b"-> "[..],
        b"=> ",
        b"to ",
        b"is ",
        b"was ",
        b"of ",
        b"is: ",
        b"provided: ",
        b"reset to ",
        b"set to ",
        b"changed to ",
        b"changed from ",
        b"- ",
        b"enc ",
    ];
    let mut arrow = false;
    let first = text.get(start).map_or(0, u8::to_ascii_lowercase);
    for joint in joints {
        if joint[0] == first && starts_with(&text[start..], joint) {
            arrow = joint.ends_with(b"> ");
            start = skip(start + joint.len());
            break;
        }
    }
    if matches!(named.class, NameClass::Password | NameClass::Secret) {
        if let Some(span) = below(text, start, password, budget) {
            return Some(span);
        }
    }
    let mut bracket = false;
    while matches!(text.get(start), Some(b'[' | b'(')) && !bracket {
        bracket = true;
        start += 1;
    }
    // "{password, <<\"x\">>}", as Erlang has it.
    let tuple = password && text[..named.name.start].ends_with(b"{") && text[at] == b',';
    if tuple && text[start..].starts_with(b"<<\"") {
        start += 2;
    }
    // "password 7 094F471A1A0A": how Cisco says in which form it is.
    let secret = named.class == NameClass::Secret && text[start..].get(2) == Some(&b'$');
    let typed = (password || secret)
        && matches!(text[start..], [b'0'..=b'9', b' ', ..])
        && has_both(&text[start + 2..start + 2 + word_len(&text[start + 2..])]);
    start += if typed { 2 } else { 0 };
    let first = *text.get(start)?;
    let (from, to) = if is_quote(first) {
        let start = start + 1;
        (start, start + quoted(&text[start..], first, false))
    } else {
        let len = word_len(&text[start..]);
        // The sign of the name, or a further one.
        let end = text[start..start + len]
            .iter()
            .rposition(|b| !matches!(b, b'.' | b',' | b'?' | b'!' | b':'))?
            + 1;
        (start, start + end)
    };
    budget.look(CHECKED + VALUE * (to - from));
    let value = &text[from..to];
    // "Pass "-Zbzip2 -z9" to dpkg-deb"
    let options = named.class == NameClass::Pass && value[..value.len().min(1)] == *b"-";
    if is_pair(value) || options && value.contains(&b' ') {
        return None;
    }
    // "#define PEM_R_GETTING_PASSWORD 109"
    if value.len() < 6 && before == b"define" && value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let command = || {
        COMMANDS.iter().any(|c| c.eq_ignore_ascii_case(before))
            || is_setting(text, named)
            || is_netrc(&text[..named.name.start])
    };
    let counts = if password {
        let sql = is_quote(first)
            && ([&b"with"[..], b"encrypted", b"set", b"identified", b"by"]
                .iter()
                .any(|word| word.eq_ignore_ascii_case(before))
                || is_of_role(&text[..named.name.start]));
        sql || tuple && is_quote(first) && matches!(text.get(to + 1), Some(b'}' | b'>'))
            || arrow && has_both(value)
            || typed && value.len() >= 8
            || is_strong(value)
            || is_alone(value) && value.iter().any(u8::is_ascii_uppercase)
            || !value.contains(&b' ') && command()
    } else {
        let basic = matches!(named.class, NameClass::Key) && is_basic(value);
        // "basic 16bit-cielab support"
        if !basic && value.len() < 20 && text[named.name.clone()].eq_ignore_ascii_case(b"basic") {
            return None;
        }
        let community = named.class == NameClass::Weak && before == b"server";
        if named.class == NameClass::Weak && !community {
            return None;
        }
        basic
            || community && is_secret_value(NameClass::Weak, value, Place::Text)
            || typed
            || is_random(value) && value.iter().any(u8::is_ascii_digit)
            || is_random(value) && value.len() >= 16
    };
    (counts && to > from).then_some((from, to))
}

/// Whether a value is a name and its value itself: `AWS_REGION=eu-west-1`.
fn is_pair(value: &[u8]) -> bool {
    let name = value
        .iter()
        .take_while(|b| b.is_ascii_alphanumeric() || **b == b'_')
        .count();
    name > 2
        && value[..name].contains(&b'_')
        && matches!(value[name..], [b'=', next, ..] if next != b'=')
}

/// Whether a vertical line of a table is next.
fn is_box(rest: &[u8]) -> bool {
    matches!(rest, [0xe2, 0x94, 0x82 | 0x83, ..] | [0xe2, 0x95, 0x91, ..])
}

/// Behind a note in brackets and a colon: `(base64): `.
fn behind_note(text: &[u8], at: usize) -> Option<usize> {
    let rest = &text[at + 1..text.len().min(at + 16)];
    let word = rest
        .iter()
        .take_while(|b| b.is_ascii_alphanumeric())
        .count();
    rest[word..].starts_with(b"): ").then_some(at + word + 4)
}

/// What stands alone behind the colon that a line ends in, or the one below: `use this password to sign in:`,
/// `a temporary password is generated for root@localhost: …`.
fn below(text: &[u8], at: usize, password: bool, budget: &Budget) -> Option<(usize, usize)> {
    let window = &text[at..text.len().min(at + FAR)];
    let line = memchr::memchr(b'\n', window).unwrap_or(window.len());
    let end = memchr::memrchr(b':', &window[..line])? + 1;
    let next = match window.get(end)? {
        // What is said of a key on a line may look like one: "session key exchange: curve25519-sha256".
        b' ' => password,
        next => matches!(next, b'\n' | b'\r'),
    };
    if !next {
        return None;
    }
    let rest = &text[at + end..];
    let blanks = rest
        .iter()
        .take(FAR)
        .take_while(|b| b.is_ascii_whitespace())
        .count();
    let start = at + end + blanks;
    let len = word_len(&text[start..]);
    budget.look(VALUE * len);
    let last = matches!(text.get(start + len), None | Some(b'\n' | b'\r'));
    (last && is_alone(&text[start..start + len])).then_some((start, start + len))
}

/// Whether a name is one of [`SETTINGS`] and its value follows: `requirepass x`, `CONFIG SET requirepass x`.
fn is_setting(text: &[u8], named: &Named) -> bool {
    let name = &text[named.name.clone()];
    let before = text[..named.name.start].trim_ascii_end();
    let first = before.is_empty() || text[before.len()..named.name.start].contains(&b'\n');
    SETTINGS.iter().any(|s| s.eq_ignore_ascii_case(name))
        && (first || word_before(text, named.name.start).eq_ignore_ascii_case(b"set"))
}

/// Whether words are somewhere in a text, in whatever case.
fn says(text: &[u8], words: &[u8]) -> bool {
    let mut windows = text.windows(words.len());
    windows.any(|window| window.eq_ignore_ascii_case(words))
}

/// Whether a statement in front is about a role: `ALTER ROLE app PASSWORD '…'`.
fn is_of_role(before: &[u8]) -> bool {
    let before = &before[before.len().saturating_sub(FAR)..];
    [
        &b"alter role "[..],
        b"create role ",
        b"alter user ",
        b"create user ",
    ]
    .iter()
    .any(|start| says(before, start))
}

/// Whether these lines are those of a `.netrc`: `machine … login … password …`.
fn is_netrc(before: &[u8]) -> bool {
    let before = &before[before.len().saturating_sub(FAR)..];
    let has = |word: &[u8]| memchr::memmem::find(before, word).is_some();
    has(b"login ") && (has(b"machine ") || has(b"default "))
}

/// User and password in base64 (RFC 7617).
fn is_basic(value: &[u8]) -> bool {
    use base64::engine::general_purpose::STANDARD_NO_PAD;
    use base64::Engine as _;
    let bare = value.iter().rposition(|b| *b != b'=').map_or(0, |n| n + 1);
    value.len() >= 8
        && STANDARD_NO_PAD
            .decode(&value[..bare])
            .is_ok_and(|pair| pair.contains(&b':') && pair.iter().all(|b| *b >= b' ' && *b != 0x7f))
}

/// `password for ada is hunter2X`
fn said_of(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let window = &text[at..text.len().min(at + SAID)];
    let start = at + memchr::memmem::find(window, b" is ")? + 4;
    let len = word_len(&text[start..]);
    is_alone(&text[start..start + len]).then_some((start, start + len))
}

/// `SET PASSWORD FOR user = '…'`
fn set_password(text: &[u8], at: usize, before: &[u8]) -> Option<(usize, usize)> {
    if !before.eq_ignore_ascii_case(b"set") {
        return None;
    }
    let window = &text[at..text.len().min(at + FAR)];
    let sign = memchr::memchr(b'=', window)?;
    let start = at
        + sign
        + 1
        + window[sign + 1..]
            .iter()
            .take_while(|b| **b == b' ')
            .count();
    let start = match text.get(start..)? {
        [b'P' | b'p', ..] => start + memchr::memchr(b'(', text.get(start..start + 10)?)? + 1,
        _ => start,
    };
    let quote = *text.get(start)?;
    let start = start + 1;
    let end = start + quoted(&text[start..], quote, false);
    (is_quote(quote) && end > start).then_some((start, end))
}

/// Whether what stands in a list behind a name is its value, and not a further name: an argument's, or
/// what looks like a secret.
pub(super) fn is_listed(text: &[u8], named: &Named, (from, to): (usize, usize)) -> bool {
    let argument = text[..named.name.start].ends_with(b"-") || text[named.name.start] == b'-';
    let value = &text[from..to];
    match named.class {
        NameClass::Password | NameClass::Pass if argument => true,
        NameClass::Password | NameClass::Pass => {
            is_strong(value)
                || word_before(text, named.name.start.saturating_sub(2)) == b"define"
                || is_in_pairs(text, named, to)
        }
        class => class.is_header() || is_secret_value(class, value, Place::Text),
    }
}

/// Whether a name and its value, which ends at `to`, are one of a list of pairs:
/// `[('user', 'jo'), ('password', 'x')]`.
fn is_in_pairs(text: &[u8], named: &Named, to: usize) -> bool {
    let Some(front) = named.name.start.checked_sub(2).map(|n| &text[..n]) else {
        return false;
    };
    let opened = text[front.len()..].starts_with(b"(") || text[front.len()..].starts_with(b"[");
    let listed = [&b"["[..], b"), ", b"],", b"], "]
        .iter()
        .any(|end| front.ends_with(end));
    opened && listed && matches!(text.get(to + 1), Some(b')' | b']'))
}

/// What a member says of which the name of another: `"name": "DB_PASSWORD", "value": "…"`.
pub(super) fn other_name(text: &[u8], value: &Range<usize>) -> Option<NameClass> {
    let floor = value.start.saturating_sub(FAR);
    let before = &text[floor..value.start];
    if let Some(class) = sibling(before).or_else(|| parent(before)) {
        return Some(class);
    }
    let cut = |b: &u8| matches!(b, b'{' | b'}' | b'<' | b'>');
    let from = before.iter().rposition(cut).map_or(0, |n| n + 1);
    let behind = &text[value.end..text.len().min(value.end + 2 * FAR)];
    let to = behind.iter().position(cut).unwrap_or(behind.len());
    [&before[from..], &behind[..to]]
        .into_iter()
        .find_map(name_in)
}

/// The class of the name that the element in front says: `<name>password</name><`.
fn sibling(before: &[u8]) -> Option<NameClass> {
    let tag = before
        .strip_suffix(b"<")?
        .trim_ascii_end()
        .strip_suffix(b">")?;
    let label = &tag[name_start(tag, tag.len())..];
    let name = tag[..tag.len() - label.len()].strip_suffix(b"</")?;
    let class = class_of_name(&name[name_start(name, name.len())..]);
    let found = is_label(label) && class.is_secret() && class != NameClass::Indirect;
    found.then_some(class)
}

/// The class of the name that the element around says: `<setting name="password" as="String"><`.
fn parent(before: &[u8]) -> Option<NameClass> {
    let tag = before.strip_suffix(b"<")?.trim_ascii_end();
    let tag = tag.strip_suffix(b">")?;
    let open = memchr::memrchr(b'<', tag)?;
    name_in(&tag[open + 1..])
}

/// The class of a name that `text` says: `name="password"`, `key: DB_PASSWORD`.
fn name_in(text: &[u8]) -> Option<NameClass> {
    let signs = memchr::memchr2_iter(b':', b'=', text);
    signs
        .filter_map(|sign| {
            let end = text[..sign]
                .iter()
                .rposition(|b| !matches!(b, b'"' | b'\'' | b'\\' | b' '))?
                + 1;
            let label = &text[name_start(text, end)..end];
            let rest = &text[sign + 1..];
            let start = rest
                .iter()
                .position(|b| !matches!(b, b'"' | b'\'' | b'\\' | b' '))?;
            let name = rest[start..]
                .iter()
                .take(64)
                .take_while(|b| crate::name::is_name(**b) || **b == b'/');
            let class = class_of_other(label, &rest[start..start + name.count()]);
            (class.is_secret() && class != NameClass::Indirect).then_some(class)
        })
        .next()
}
