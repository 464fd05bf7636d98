//! What names say of their values. A name is split into its words (`dbPassword`, `DB_PASSWORD`,
//! `db.password`), and [`crate::lexicon`] says what the last of them mean.

mod ends;
mod words;

use std::ops::Range;

use crate::catalog::Id;
use ends::{may_end, may_end_in, Names};
use words::word_of_name;

/// Longest name looked at.
const MAX_NAME: usize = 64;
/// Most blanks between a name and its sign.
const MAX_BLANKS: usize = 40;

/// What a name says of its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NameClass {
    /// Nothing.
    Plain,
    /// A password: any value is secret.
    Password,
    /// The same, or a count of what has passed.
    Pass,
    /// A secret or token: any value of a field, or what looks random in a text.
    Secret,
    /// Secret if it looks random.
    Key,
    /// The same, for names that are at times those of keys of a table.
    OtherKey,
    /// Secret if it is long and looks random: a status has a code as well.
    Code,
    /// The same, but no UUID: what opens a session, and what it is called.
    Session,
    /// Secret if letters and digits are mixed.
    Weak,
    /// A few digits, or what looks random.
    Pin,
    /// An HTTP header: a scheme, then credentials.
    Authorization,
    /// The same, or a word about how somebody has signed in.
    Auth,
    /// Pairs of which the values are secret.
    Cookie,
    /// The name is said elsewhere: `{"name": "DB_PASSWORD", "value": "..."}`.
    Indirect,
    /// A phone number, at times without anything else that tells it from other numbers.
    Phone,
}

use NameClass::{Auth, Authorization, Pass, Password, Phone, Plain};

impl NameClass {
    /// Whether a value under such a name may be a secret.
    pub(crate) fn is_secret(self) -> bool {
        !matches!(self, Plain | Phone)
    }

    /// Whether the value begins with a scheme.
    pub(crate) fn is_header(self) -> bool {
        matches!(self, Authorization | Auth)
    }

    /// Whether only what looks random is secret in a text.
    pub(crate) fn is_random(self) -> bool {
        matches!(
            self,
            NameClass::Secret
                | NameClass::Key
                | NameClass::OtherKey
                | NameClass::Code
                | NameClass::Session
        )
    }

    /// The detector that reports values under such a name.
    pub(crate) fn id(self) -> Id {
        match self {
            Password | Pass => Id::Password,
            Phone => Id::Phone,
            _ => Id::Secret,
        }
    }
}

/// Where a name in front of the sign at `at` ends: quotes and blanks may stand between them.
#[inline(always)]
fn end_before(buf: &[u8], at: usize) -> usize {
    let mut end = at;
    while end > 0 && at - end < 4 && matches!(buf[end - 1], b'"' | b'\'' | b'\\' | b' ' | b']') {
        end -= 1;
    }
    if at - end == 4 {
        while end > 0 && at - end < MAX_BLANKS && matches!(buf[end - 1], b' ' | b'\t') {
            end -= 1;
        }
    }
    end
}

/// Whether a name in front of the sign at `at` ends like one of the lexicon.
#[inline(always)]
pub(crate) fn may_be_named(buf: &[u8], at: usize) -> bool {
    may_end(&buf[..end_before(buf, at)], Names::All)
}

/// Whether a name that ends directly in front of `at` ends like one that needs no sign.
#[inline(always)]
pub(crate) fn may_be_bare(buf: &[u8], at: usize) -> bool {
    may_end(&buf[..at], Names::Bare)
}

/// Whether a byte that the gate takes for what stands behind a name may be that, told by the end of the
/// name.
#[inline(always)]
pub(crate) fn may_be_assigned(buf: &[u8], at: usize) -> bool {
    // Most stand directly behind a word or its quote, of which three letters tell that it is no name.
    let Some(front) = buf[..at].last_chunk::<4>() else {
        return is_behind_name(buf, at);
    };
    let quoted = front[3] == b'"';
    let letter = if quoted { front[2] } else { front[3] };
    let front = u32::from_le_bytes(*front);
    let end = if quoted {
        front & 0x00ff_ffff
    } else {
        front >> 8
    };
    if letter.is_ascii_alphabetic() && !may_end_in(end) {
        return false;
    }
    is_behind_name(buf, at)
}

#[inline(never)]
fn is_behind_name(buf: &[u8], at: usize) -> bool {
    match buf[at] {
        b' ' | b'|' => may_be_bare(buf, at) && is_bare(buf, at),
        b',' => may_be_bare(buf, at) || may_be_named(buf, at),
        b';' | b'<' => false,
        // The name of an argument starts here.
        letter if letter.is_ascii_alphabetic() => true,
        _ => may_be_named(buf, at) && !is_other_id(&buf[..end_before(buf, at)]),
    }
}

/// Whether a name ends in `_id`, and is none of the few of those that say something of their values.
fn is_other_id(name: &[u8]) -> bool {
    let [front @ .., b'_' | b'-' | b'.', b'i' | b'I', b'd' | b'D'] = name else {
        return false;
    };
    let ends = |word: &[u8]| {
        let end = front.len().checked_sub(word.len());
        end.is_some_and(|end| front[end..].eq_ignore_ascii_case(word))
    };
    !(ends(b"session") || ends(b"sess") || ends(b"key"))
}

/// Whether a name that ends at the blank at `at`, and needs no sign, may have its value behind it, told by
/// the first bytes there: not "Failed password for root", nor a sign with a blank behind it, which is
/// looked at by itself.
#[inline(always)]
pub(crate) fn is_bare(buf: &[u8], at: usize) -> bool {
    match buf.get(at + 1..).unwrap_or_default() {
        [b'=' | b':', b' ', ..] => false,
        // "INSERT INTO users (login, password) VALUES ("
        next if ends_in_values(&buf[..at]) => next.first() == Some(&b'('),
        [b'f', b'o', b'r', b' ', rest @ ..] => {
            // "SET PASSWORD FOR", the name of an element, and "password for ada is ...".
            let before = &buf[..name_start(buf, at)];
            let set = before.trim_ascii_end().last_chunk::<3>();
            !before.ends_with(b" ")
                || set.is_some_and(|end| end.eq_ignore_ascii_case(b"set"))
                || rest[..rest.len().min(40)]
                    .windows(4)
                    .any(|is| is == b" is ")
        }
        _ => !buf[..at].ends_with(b"by") || may_be_quoted(buf, at),
    }
}

/// Whether a text ends in the word `VALUES`.
pub(crate) fn ends_in_values(text: &[u8]) -> bool {
    let last = text.last_chunk::<6>();
    last.is_some_and(|word| word.eq_ignore_ascii_case(b"values"))
}

/// Whether the blank at `at` stands behind the word `BY`, and a quote behind it or `IDENTIFIED` in front.
pub(crate) fn may_be_quoted(text: &[u8], at: usize) -> bool {
    let before = text[..at].last_chunk::<3>();
    if !before.is_some_and(|end| end.eq_ignore_ascii_case(b" by")) {
        return false;
    }
    let word = b"identified by";
    match text.get(at + 1) {
        Some(b'"' | b'\'' | b'`') => true,
        Some(next) if next.is_ascii_graphic() => {
            let before = text[..at].last_chunk::<13>();
            before.is_some_and(|end| end.eq_ignore_ascii_case(word))
        }
        _ => false,
    }
}

/// The name in front of the sign at `at`; empty if it ends like none of the lexicon.
pub(crate) fn name_before(buf: &[u8], at: usize) -> Range<usize> {
    let end = end_before(buf, at);
    match may_end(&buf[..end], Names::All) {
        false => end..end,
        true => name_start(buf, end)..end,
    }
}

/// Whether the value at `at` stands behind a name for phone numbers: `phone=1234567`,
/// `"mobile": "1234567"`.
pub(crate) fn is_named_phone(text: &[u8], at: usize) -> bool {
    let joint = |b: &u8| matches!(b, b' ' | b'\t' | b'[' | b'"' | b'\'' | b'\\');
    let joints = text[..at].iter().rev().take(6).take_while(|b| joint(b));
    let behind = at - joints.count();
    let Some(sign) = behind.checked_sub(1) else {
        return false;
    };
    matches!(text[sign], b':' | b'=' | b'>')
        && class_of_name(&text[name_before(text, sign)]) == Phone
}

/// Whether a string that ends in front of the header at `at` is the name of an argument, as in
/// `["--password", "…"]`.
pub(crate) fn is_argument(chunk: &[u8], at: usize) -> bool {
    let name = &chunk[name_before(chunk, at)];
    let header = name.iter().rposition(|b| *b >= 0x80);
    class_of_argument(&name[header.map_or(0, |n| n + 1)..]).is_secret()
}

/// What an element of a list says of the one behind it.
pub(crate) fn class_of_argument(element: &[u8]) -> NameClass {
    let name = element.trim_ascii_start();
    let hyphens = name.iter().take(2).take_while(|b| **b == b'-').count();
    let class = class_of_name(&name[hyphens..]);
    match hyphens > 0 || class.is_header() {
        true => class,
        false => Plain,
    }
}

/// Whether a member of this name says how another one is called.
pub(crate) fn is_label(name: &[u8]) -> bool {
    const LABELS: &[&[u8]] = &[
        b"name",
        b"key",
        b"id",
        b"field",
        b"header",
        b"variable",
        b"var",
        b"property",
        b"k",
        b"n",
        b"parameter",
        b"label",
        b"attribute",
        b"displayname",
        b"setting",
        b"option",
        b"envvar",
        b"parameterkey",
        b"parametername",
        b"optionname",
    ];
    LABELS.iter().any(|label| label.eq_ignore_ascii_case(name))
}

/// What the value `name` of a member `label` says of the one beside it: `"name": "DB_PASSWORD"`, and
/// `"path": "/password"` of a JSON patch (RFC 6902).
pub(crate) fn class_of_other(label: &[u8], name: &[u8]) -> NameClass {
    let path = || label.eq_ignore_ascii_case(b"path") && name.starts_with(b"/");
    match class_of_name(name) {
        class if is_label(label) => class,
        Password if path() => Password,
        _ => Plain,
    }
}

/// Whether a member of this name has the value of the one that it is in: `{"password": {"new": "..."}}`.
pub(crate) fn is_inner(name: &[u8]) -> bool {
    const INNER: &[&[u8]] = &[
        b"value",
        b"new",
        b"old",
        b"current",
        b"previous",
        b"data",
        b"raw",
        b"plain",
        b"plaintext",
        b"content",
        b"string",
    ];
    INNER.iter().any(|inner| inner.eq_ignore_ascii_case(name))
}

/// What names are made of.
static IS_NAME: [bool; 256] = {
    let mut is_name = [false; 256];
    let mut n = 0;
    while n < is_name.len() {
        let byte = n as u8;
        is_name[n] =
            byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.') || byte >= 0x80;
        n += 1;
    }
    is_name
};

#[inline(always)]
pub(crate) fn is_name(byte: u8) -> bool {
    IS_NAME[usize::from(byte)]
}

/// Where the name begins that ends at `end`.
pub(crate) fn name_start(buf: &[u8], end: usize) -> usize {
    let floor = end.saturating_sub(MAX_NAME);
    let mut start = end;
    while start > floor && is_name(buf[start - 1]) {
        start -= 1;
    }
    start
}

/// What a name says of its value.
#[inline]
pub(crate) fn class_of_name(name: &[u8]) -> NameClass {
    // "checksum/secret"
    word_of_name(name)
        .filter(|_| !name.starts_with(b"checksum/"))
        .map_or(Plain, |word| word.class)
}

/// The same of a name that stands in front of its value without a sign.
pub(crate) fn class_of_bare(name: &[u8]) -> NameClass {
    word_of_name(name)
        .filter(|word| word.bare)
        .map_or(Plain, |word| word.class)
}

/// Whether `name` ends in the word `end`, whatever its case and with `_`, `-`, `.` and blanks left
/// out, and that starts a part of the name: `authToken`, not `wtoken`.
pub(crate) fn ends_with(name: &[u8], end: &[u8]) -> bool {
    front_of(name, end).is_some_and(|first| is_start(name, first))
}

/// Where the word `end` begins that `name` ends in.
fn front_of(name: &[u8], end: &[u8]) -> Option<usize> {
    let mut at = name.len();
    let mut first = 0;
    for wanted in end.iter().rev() {
        while at > 0 && matches!(name[at - 1], b'_' | b'-' | b'.' | b' ') {
            at -= 1;
        }
        if at == 0 || name[at - 1].to_ascii_lowercase() != *wanted {
            return None;
        }
        at -= 1;
        first = at;
    }
    Some(first)
}

/// Whether a part of the name starts at `first`.
fn is_start(name: &[u8], first: usize) -> bool {
    let Some(before) = first.checked_sub(1).map(|n| name[n]) else {
        return true;
    };
    !before.is_ascii_alphanumeric()
        || (name[first].is_ascii_uppercase() && !before.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lexicon::{Fit, WORDS};

    fn all(class: NameClass, names: &[&str]) {
        for name in names {
            assert_eq!(class_of_name(name.as_bytes()), class, "{name}");
        }
    }

    #[test]
    fn names_are_classed_by_their_last_words() {
        all(
            NameClass::Password,
            &[
                "password",
                "DB_PASSWORD",
                "userPassword",
                "spring.datasource.password",
                "pwd",
                "client-secret",
                "password1",
                "password_confirmation",
                "newPasswordRepeat",
                "pwdHash",
                "PGPASSWORD",
                "dbpwd",
                "Passwort",
                "mot_de_passe",
                "contraseña",
                "用户密码",
                "пароль",
                "secret_key_base",
            ],
        );
        all(
            NameClass::Secret,
            &[
                "api_key",
                "apiKey",
                "x-api-key",
                "access_token",
                "accessToken",
                "secret",
                "API-KEY",
                "authtoken",
                "masterKey",
                "csrftoken",
                "X-CSRFToken",
                "jwtsecret",
            ],
        );
        all(
            NameClass::OtherKey,
            &["privateClientKey", "DD_APP_KEY", "x-functions-key"],
        );
        all(NameClass::Pass, &["db_pass", "dbpass", "userpass", "pw"]);
        all(
            NameClass::Plain,
            &[
                "compass",
                "bypass",
                "key",
                "monkey",
                "author",
                "none",
                "file",
                "number",
                "passwordless",
                "wtoken",
                "primary_key",
                "PublicKeyToken",
                "next_token",
                "token_ttl",
                "secret_name",
                "keystore",
                "inside",
                "",
            ],
        );
        all(
            NameClass::Phone,
            &[
                "phone",
                "cellphone",
                "customer_phone",
                "phone_number",
                "mobileNumber",
                "mobile",
                "phoneNo",
                "phone_no",
                "MSISDN",
                "contact-number",
            ],
        );
        all(NameClass::Authorization, &["Proxy-Authorization"]);
    }

    #[test]
    fn every_word_of_the_lexicon_is_seen_as_a_name_and_in_front_of_a_sign() {
        for word in WORDS {
            let name = match word.fit {
                Fit::Behind => format!("x_{}", word.text),
                _ => word.text.to_owned(),
            };
            assert_eq!(class_of_name(name.as_bytes()), word.class, "{name}");
            let text = format!("{name}=x");
            assert!(may_be_named(text.as_bytes(), name.len()), "{name}");
            assert!(
                !word.bare || may_be_bare(text.as_bytes(), name.len()),
                "{name}"
            );
        }
    }
}
