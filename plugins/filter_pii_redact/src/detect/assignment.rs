//! Values behind a name that says they are secret: `password=…`, `"api_key": "…"`,
//! `Authorization: Bearer …`, and the same as keys of a record.

mod announced;
mod cookie;
mod element;
mod insert;
mod layout;
mod scheme;
mod sentence;
mod shell;
mod stand_in;
mod value;
mod words;

use std::ops::Range;

use self::announced::word_before;
use super::Inspection;
use crate::budget::Budget;
use crate::catalog::Id;
use crate::name::{
    class_of_bare, class_of_name, ends_in_values, is_bare, is_label, is_name, may_be_bare,
    may_be_named, may_be_quoted, name_before, name_start, NameClass,
};

pub(crate) use cookie::each as each_cookie;
pub(crate) use scheme::credentials;
pub(super) use shell::Programs;
pub(super) use stand_in::{is_blanked, is_stand_in};
pub(crate) use value::{is_secret_value, Place};

/// What the look at a name counts for: it is read to its start, and its end is looked up.
const NAME: usize = 64;

/// The same of the name of an argument, in front of which its hyphens are told and whose program is looked for.
const ARGUMENT: usize = 128;

/// What a byte of a value counts for, and beyond that what stands in its place is told for.
const VALUE: usize = 5;
const CHECKED: usize = 48;

/// What a name says of its value.
struct Named {
    class: NameClass,
    name: Range<usize>,
    /// The sign, or whatever stands between name and value.
    sign: usize,
    form: Form,
}

/// How name and value are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// `name=value`, `"name": "value"`
    Sign,
    /// `<name>value</name>`, `<name type="plain">value</name>`
    Element,
    /// `--name value`
    Argument,
    /// `["name", "value"]`
    Listed,
    /// `name value`
    Bare,
}

impl Named {
    /// The name in front of the sign or blank at `at`, or the one that starts there behind hyphens.
    fn at(text: &[u8], at: usize) -> Option<Self> {
        let (name, sign, form) = match text[at] {
            b':' | b'=' => (name_before(text, at), at, Form::Sign),
            b'>' => {
                let name = name_before(text, at);
                if text[..name.start].ends_with(b"</") && is_label(&text[name.clone()]) {
                    return element::in_sibling(text, name.start - 2, at);
                }
                let opened = match name.end == at {
                    true => element::is_opened(&text[..name.start]),
                    false => element::is_labelled(&text[..name.start]),
                };
                (opened.then_some(name)?, at, Form::Element)
            }
            b',' if at > 0 && is_quote(text[at - 1]) => (name_before(text, at), at, Form::Listed),
            b' ' | b'|' | b',' => return Named::bare(text, at),
            letter if letter.is_ascii_alphabetic() && text[..at].ends_with(b"-") => {
                let name = argument(text, at);
                (name.clone(), name.end, Form::Argument)
            }
            _ => return None,
        };
        if is_foreign(text, &name, sign) {
            return None;
        }
        let mut class = class_of_name(&text[name.clone()]);
        if !class.is_secret() && form == Form::Sign {
            if text[name.clone()].eq_ignore_ascii_case(b"key") {
                return Named::in_two_words(text, name, sign, form);
            }
            // "?Expires=1&Signature=": that of a URL; of itself it may be that of anything.
            let query = matches!(text[..name.start].last(), Some(b'&' | b'?'));
            if query && text[name.clone()].eq_ignore_ascii_case(b"signature") {
                class = NameClass::Key;
            }
        }
        class.is_secret().then_some(Named {
            class,
            name,
            sign,
            form,
        })
    }

    /// The name of a key that is written as two words: `private key = …`.
    fn in_two_words(text: &[u8], last: Range<usize>, sign: usize, form: Form) -> Option<Self> {
        let end = last.start.checked_sub(1).filter(|end| text[*end] == b' ')?;
        let name = name_start(text, end)..last.end;
        let class = class_of_name(&text[name.clone()]);
        // Any other word is in front of a key as well.
        matches!(class, NameClass::Password | NameClass::Secret).then_some(Named {
            class,
            name,
            sign,
            form,
        })
    }

    /// The name that ends directly in front of `at`, and has no sign.
    fn bare(text: &[u8], at: usize) -> Option<Self> {
        if !may_be_bare(text, at) {
            return None;
        }
        let name = name_start(text, at)..at;
        if words::is_passing(&text[name.clone()]) {
            return None;
        }
        let class = class_of_bare(&text[name.clone()]);
        if !class.is_secret() {
            if text[name.clone()].eq_ignore_ascii_case(b"key") {
                return Named::in_two_words(text, name, at, Form::Bare);
            }
            return None;
        }
        let (sign, form) = match element::is_opened(&text[..name.start]) {
            true => {
                let rest = &text[at..text.len().min(at + 256)];
                let end = memchr::memchr(b'>', rest).filter(|end| rest[end - 1] != b'/')?;
                (at + end, Form::Element)
            }
            false => (at, Form::Bare),
        };
        Some(Named {
            class,
            name,
            sign,
            form,
        })
    }
}

/// Names that look like one of a secret, and are something else.
fn is_foreign(text: &[u8], name: &Range<usize>, sign: usize) -> bool {
    let before = &text[..name.start];
    let (front, behind) = (&text[name.clone()], &text[sign..]);
    // "--- PASS: TestOrders (0.01s)": the word of test runners.
    front == b"PASS" && behind.starts_with(b": ")
        // "boarding pass: issued"
        || words::may_be_pass(front)
            && before.ends_with(b" ")
            && words::is_pass(word_before(text, name.start), front)
        || words::is_passing(front)
        // "%SYS-5-PRIV_AUTH_PASS: ...": what routers call their messages.
        || before.ends_with(b"%") && behind.starts_with(b": ")
        // "/etc/passwd:root:x:0"
        || behind.starts_with(b":") && matches!(before, [.., b, b'/'] if is_name(*b))
        // "checksum/secret: ...": what templates of Kubernetes note to see a change.
        || before.ends_with(b"checksum/")
        // "login:passwd:uid": the fields of a line, by name.
        || behind.starts_with(b":") && is_line_of_names(before, &behind[1..])
        // "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/db"
        || behind.starts_with(b":") && matches!(before, [.., b'0'..=b'9' | b'*' | b'}', b':'])
}

/// Whether a name behind `before` is one of several that colons join, the user's in front of it.
fn is_line_of_names(before: &[u8], behind: &[u8]) -> bool {
    let Some(front) = before.strip_suffix(b":") else {
        return false;
    };
    let user = [&b"name"[..], b"user", b"login", b"account", b"group"];
    let next = behind
        .iter()
        .take_while(|b| b.is_ascii_alphabetic() || **b == b'_')
        .count();
    let word = &behind[..next];
    let ends = behind
        .get(next)
        .is_none_or(|b| matches!(b, b':' | b'"' | b'\'' | b'\\' | b'\n'));
    let column = word.ends_with(b"dn")
        || word == b"host"
        || word == b"port"
        || word.ends_with(b"id")
        || word.ends_with(b"ID")
        || word == b"gecos"
        || word == b"x";
    user.iter().any(|word| front.ends_with(word)) && ends && column
}

/// The name of the argument that starts at `at`, if a blank follows; else nothing.
fn argument(text: &[u8], at: usize) -> Range<usize> {
    let len = text[at..]
        .iter()
        .take(64)
        .take_while(|b| is_name(**b))
        .count();
    match text.get(at + len) {
        Some(b' ' | b'\t') => at..at + len,
        _ => at..at,
    }
}

/// Whether the name in front of the sign at `at`, or that of the argument that starts there, says that
/// its value is secret.
#[inline(always)]
pub(super) fn plausible(text: &[u8], at: usize, budget: &Budget) -> bool {
    match text[at] {
        // What the name is, is asked once, when its value is looked at.
        b':' | b'=' | b'>' | b',' => true,
        b' ' | b'|' => is_bare(text, at),
        letter if letter.is_ascii_alphabetic() => {
            budget.look(ARGUMENT);
            let name = argument(text, at);
            !name.is_empty() && may_be_named(text, name.end) || shell::plausible(text, at)
        }
        _ => false,
    }
}

/// Verifies the value of the name at `at`; returns whether the name may be the prefix of a token.
pub(super) fn find(
    i: &mut Inspection<'_>,
    at: usize,
    programs: &mut Programs,
    listed: &mut usize,
    done: &mut usize,
) -> bool {
    let text = i.text;
    if at < *done {
        return false;
    }
    match text[at] {
        b' ' if may_be_quoted(text, at) => {
            if let Some(span) = announced::by(text, at + 1) {
                report_told(i, span, done);
            }
            return false;
        }
        b' ' if ends_in_values(&text[..at]) => {
            *done = report_inserted(i, at).max(at + 1);
            return false;
        }
        b',' => {
            if let Some(values) = insert::values(text, at, listed, i.budget) {
                *done = report_inserted(i, values);
                return false;
            }
        }
        letter if letter.is_ascii_alphabetic() => {
            if let Some(span) = shell::option(text, at, programs, i.budget) {
                report_told(i, span, done);
                return false;
            }
        }
        _ => {}
    }
    i.budget.look(NAME);
    let Some(mut named) = Named::at(text, at) else {
        return false;
    };
    // "AccountKey="
    let prefix = named.class.is_random() && text[..at].ends_with(b"Key");
    let mut place = Place::Text;
    if named.class == NameClass::Indirect {
        place = Place::Member;
        match announced::other_name(text, &named.name) {
            Some(class) => named.class = class,
            None => return false,
        }
    }
    let class = named.class;
    if !i.wants(class.id()) {
        return prefix;
    }
    if named.form == Form::Bare {
        if let Some((from, to)) = announced::bare(text, &named, i.budget) {
            let own_name = || is_own_name(text, &named, from, to);
            report(i, class, (from, to), Place::Text, own_name, done);
        }
        return prefix;
    }
    let Some((start, end)) = layout::value_at(text, &named) else {
        return prefix;
    };
    i.budget.look(CHECKED + VALUE * (end - start));
    if class == NameClass::Cookie {
        let mut found = false;
        cookie::each(&text[start..end], |from, to| {
            found = true;
            i.report(class.id(), start + from, start + to, true);
        });
        // What is no cookie may have names in it.
        *done = if found { end } else { start };
        return prefix;
    }
    let end = match class.is_random() && !is_quote(text[start - 1]) {
        true => value::token_end(text, start, end),
        false => end,
    };
    // "aead::chacha20_poly1305::Key::new(", "base64.b64encode(": what a program calls.
    let called = class.is_random() && text.get(end) == Some(&b'(');
    let small = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'_';
    let value = &text[start..end];
    if called && (is_path(value) || value.contains(&b'_') && value.iter().all(small)) {
        *done = end;
        return prefix;
    }
    let span = match class.is_header() {
        true => credentials(text, start, end, class),
        false => Some((start, end)),
    };
    let Some((from, to)) = span else {
        // A word behind the first may be a name itself, and so may the first: "auth: password=…".
        let first = &text[start..start + layout::word_len(&text[start..end])];
        *done = start + memchr::memchr2(b'=', b':', first).unwrap_or(first.len());
        return prefix;
    };
    if named.class.id() == Id::Password
        && (is_prose(text, &named, (from, to)) || is_field(text, &named, &text[from..to]))
    {
        *done = to;
        return prefix;
    }
    // "password= user=app": there is none.
    let empty = named.form == Form::Sign
        && matches!(text[named.sign..from], [b'=', b' ' | b','])
        && is_lower_pair(&text[from..to]);
    if empty || is_mentioned(text, &named, (from, to)) {
        *done = to;
        return prefix;
    }
    if named.form == Form::Listed && !announced::is_listed(text, &named, (from, to)) {
        return prefix;
    }
    if place == Place::Text && is_connection(&text[..named.name.start]) {
        place = Place::Connection;
    }
    // Asked of what looks like a secret only.
    let stands_for_itself =
        || is_constant(text, &named, (from, to)) || is_own_name(text, &named, from, to);
    report(i, class, (from, to), place, stands_for_itself, done);
    // "password = "old" -> "new"", as plans of changes have it.
    if *done == to && from > 0 && is_quote(text[from - 1]) {
        if let Some([_, b' ', b'-', b'>', b' ', quote, rest @ ..]) = text.get(to..) {
            if is_quote(*quote) {
                let from = to + 6;
                let to = from + layout::quoted(rest, *quote, false);
                i.budget.look(VALUE * (to - from));
                report(i, class, (from, to), place, || false, done);
            }
        }
    }
    prefix
}

/// Reports the secrets among the values of an `INSERT` behind `at`; where they end.
fn report_inserted(i: &mut Inspection<'_>, at: usize) -> usize {
    let (text, budget) = (i.text, i.budget);
    insert::each(text, at, budget, |class, from, to| {
        if i.wants(class.id()) {
            i.report(class.id(), from, to, true);
        }
    })
}

/// Whether a name behind `before` is that of a pair of a connection, and the one in front is the user's.
fn is_connection(before: &[u8]) -> bool {
    let Some(pairs) = before.strip_suffix(b";") else {
        return false;
    };
    let last = pairs.rsplit(|b| *b == b';').next().unwrap_or_default();
    let user = |name: &[u8]| {
        let start = last.trim_ascii_start().get(..name.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(name))
    };
    last.len() < 96 && (user(b"uid=") || user(b"user id=") || user(b"userid="))
}

/// Whether an option is spoken of, not given: `the --password option`, `--root-password= accepts a hash`.
fn is_mentioned(text: &[u8], named: &Named, (from, to): (usize, usize)) -> bool {
    let spoken = match named.form {
        // "grep -Pw": letters that are options by themselves.
        Form::Argument if text[named.name.clone()] == *b"Pw" => return true,
        // "--no-password    never prompt": a table of options.
        Form::Argument if text[named.sign..from] == *b"  " || from - named.sign > 2 => {
            return !is_quote(text[from - 1]);
        }
        Form::Argument => true,
        Form::Sign => text[named.sign..from] == *b"= " && text[named.name.start] == b'-',
        _ => false,
    };
    spoken && sentence::is_mention(&text[from..to])
}

/// Whether what follows the colon behind a name goes on as a sentence: `password: too weak`.
fn is_prose(text: &[u8], named: &Named, (from, to): (usize, usize)) -> bool {
    named.form == Form::Sign
        && text[named.sign..from].ends_with(b": ")
        && sentence::opens_sentence(text, from, to)
}

/// Whether the value is the name of a further field: `{User:app Password: SSL:true}`, where Go has an empty
/// one.
fn is_field(text: &[u8], named: &Named, value: &[u8]) -> bool {
    let letters = value
        .iter()
        .take_while(|b| b.is_ascii_alphanumeric())
        .count();
    text[named.sign..].starts_with(b": ")
        && text[named.name.start].is_ascii_uppercase()
        && matches!(text[..named.name.start].last(), Some(b' ' | b'{'))
        && value[0].is_ascii_uppercase()
        && value.get(letters) == Some(&b':')
        && value.get(letters + 1).is_none_or(|b| *b != b'/')
        && named.form == Form::Sign
}

/// Whether a value is a path of names of a program: `base64.b64encode`, `ring::aead::Key::new`.
fn is_path(value: &[u8]) -> bool {
    let mut parts = value.split(|b| matches!(b, b'.' | b':'));
    let part = |part: &[u8]| {
        part.first()
            .is_none_or(|b| b.is_ascii_alphabetic() || *b == b'_')
            && part.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_')
    };
    value.iter().any(|b| matches!(b, b'.' | b':')) && parts.all(part)
}

/// Whether a value is a further pair: `user=app`.
fn is_lower_pair(value: &[u8]) -> bool {
    let name = value
        .iter()
        .take_while(|b| b.is_ascii_lowercase() || **b == b'_')
        .count();
    name > 1 && matches!(value[name..], [b'=', next, ..] if next != b'=')
}

/// Whether a constant of a program has a number: `ATTR_SAE_PASSWORD = 277,`.
fn is_constant(text: &[u8], named: &Named, (from, to): (usize, usize)) -> bool {
    let name = &text[named.name.clone()];
    let value = &text[from..to];
    let number = || text.get(to) == Some(&b',') && value.iter().all(u8::is_ascii_digit);
    // "ERROR_RETRY_PASSWORD = ERROR_BASE + 16,"
    let other = || {
        value[0].is_ascii_uppercase()
            && value.contains(&b'_')
            && value.iter().all(|b| b.is_ascii_uppercase() || *b == b'_')
    };
    text[named.sign..from] == *b"= "
        && name.contains(&b'_')
        && !name.iter().any(u8::is_ascii_lowercase)
        && (number() || other())
}

/// Whether a value is the name itself, written otherwise: `CHALLENGE_PASSWORD: "challengePassword"`, or made of
/// it, as programs do: `pw = pw[1:]`, `#define set_private_key nettle_set_private_key`.
fn is_own_name(text: &[u8], named: &Named, from: usize, to: usize) -> bool {
    /// A word alone may well be a secret: `password: password`.
    const WORDS: usize = 9;
    let (name, value) = (&text[named.name.clone()], &text[from..to]);
    if let Some(rest) = value.strip_prefix(name) {
        // "psw: psw_t", "zip_mode, pwd=pwd)"
        let passed = rest.is_empty() && text.get(to) == Some(&b')');
        if matches!(rest, [b'[' | b'(', ..] | b"_t") || passed {
            return true;
        }
    }
    // "session->password": what is behind the arrow is not part of the value.
    let pointer = matches!(value, [first, .., b'-'] if first.is_ascii_lowercase())
        && matches!(text[to..], [b'>', next, ..] if next.is_ascii_lowercase() || next == b'_')
        && value[..value.len() - 1]
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || *b == b'_');
    let end = name.len().checked_sub(value.len()).map(|n| &name[n..]);
    let header = named.class.is_header() && end.is_some_and(|end| end.eq_ignore_ascii_case(value));
    if pointer || header {
        return true;
    }
    // "headers['Authorization'] = authorization_header", "#define PHASE_PASS "Pass""
    let described = value
        .get(..name.len())
        .is_some_and(|front| front.eq_ignore_ascii_case(name))
        && matches!(&value[name.len()..], [b'_', rest @ ..] if rest.iter().all(u8::is_ascii_lowercase));
    if described && name.len() >= WORDS
        || named.class == NameClass::Pass && value.eq_ignore_ascii_case(b"pass")
    {
        return true;
    }
    let joint = |b: &u8| matches!(b, b'_' | b'-' | b'.');
    let several = |text: &[u8]| {
        text.windows(2).any(|pair| {
            joint(&pair[0]) || pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase()
        })
    };
    let (mut names, mut values) = (name.iter(), value.iter());
    let mut same = 0;
    // Their last letters tell most apart.
    while let (Some(a), Some(b)) = (names.rfind(|b| !joint(b)), values.rfind(|b| !joint(b))) {
        if !a.eq_ignore_ascii_case(b) {
            return false;
        }
        same += 1;
    }
    same >= WORDS
        && several(name)
        && several(value)
        && value.iter().all(|b| b.is_ascii_alphanumeric() || joint(b))
}

/// Reports a password that what stands in front of it tells.
fn report_told(i: &mut Inspection<'_>, span: (usize, usize), done: &mut usize) {
    report(i, NameClass::Password, span, Place::Text, || false, done);
}

/// Reports a value that is a secret. `is_none`: what else tells that it is not.
fn report(
    i: &mut Inspection<'_>,
    class: NameClass,
    (from, to): (usize, usize),
    place: Place,
    is_none: impl FnOnce() -> bool,
    done: &mut usize,
) {
    let text = i.text;
    // What credentials are was told by their scheme.
    let class = match class.is_header() {
        true => NameClass::Authorization,
        false => class,
    };
    let valid = is_secret_value(class, &text[from..to], place) && !is_none();
    i.report(class.id(), from, to, valid);
    // What is no secret may have a name and its value in it. Only between quotes is that looked for:
    // they end where the next one is, while a value without them would be read to its end from every
    // name in it.
    let quoted = from > 0 && is_quote(text[from - 1]);
    *done = if valid || !quoted { to } else { from };
}

fn is_quote(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'' | b'`')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lexicon::{Fit, WORDS};

    #[test]
    fn every_name_of_a_secret_is_seen_in_front_of_its_value() {
        for word in WORDS {
            let name = match word.fit {
                Fit::Behind => format!("x_{}", word.text),
                _ => word.text.to_owned(),
            };
            let text = format!("{name}=abcdefghijkl");
            let budget = Budget::new(0);
            assert!(plausible(text.as_bytes(), name.len(), &budget), "{name}");
        }
    }
}
