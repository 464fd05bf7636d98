//! What names say of their values.

use std::ops::Range;

use crate::catalog::Id;

/// Longest name looked at.
const MAX_NAME: usize = 64;

/// What a name says of its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NameClass {
    /// Nothing.
    Plain,
    /// A password: any value is secret.
    Password,
    /// The same, or a count of what has passed.
    Pass,
    /// A key or token: secret if it looks random.
    Key,
    /// An HTTP header: a scheme, then credentials.
    Authorization,
    /// A phone number, at times without anything else that tells it from other numbers.
    Phone,
}

use NameClass::{Authorization, Key, Password, Phone};

impl NameClass {
    /// Whether a value under such a name may be a secret.
    pub(crate) fn is_secret(self) -> bool {
        !matches!(self, NameClass::Plain | Phone)
    }

    /// The detector that reports values under such a name.
    pub(crate) fn id(self) -> Id {
        match self {
            Password | NameClass::Pass => Id::Password,
            Phone => Id::Phone,
            NameClass::Plain | Key | Authorization => Id::Secret,
        }
    }
}

/// What stands in front of an end of names, in lower case without `_`, `-` and `.`, and what the
/// whole of it says. The flag: a longer word may end so.
type Name = (&'static [u8], NameClass, bool);

/// Names that end alike.
pub(crate) struct Tail {
    /// Their last three bytes.
    last: &'static [u8; 3],
    /// The end that all of them have.
    pub(crate) end: &'static [u8],
    pub(crate) names: &'static [Name],
}

const fn tail(last: &'static [u8; 3], end: &'static [u8], names: &'static [Name]) -> Tail {
    Tail { last, end, names }
}

/// The names by their last letters.
pub(crate) const NAMES: &[Tail] = &[
    tail(b"ion", b"authorization", &[(b"", Authorization, false)]),
    tail(b"ord", b"password", &[(b"", Password, true)]),
    tail(b"swd", b"passwd", &[(b"", Password, true)]),
    tail(b"pwd", b"pwd", &[(b"", Password, false)]),
    tail(b"ase", b"phrase", &[(b"pass", Password, true)]),
    tail(b"ode", b"code", &[(b"pass", Password, true)]),
    tail(b"ass", b"pass", &[(b"", NameClass::Pass, false)]),
    tail(
        b"ret",
        b"secret",
        &[
            (b"client", Password, true),
            (b"app", Password, false),
            (b"", Key, false),
        ],
    ),
    tail(
        b"ken",
        b"token",
        &[
            (b"", Key, false),
            (b"access", Key, false),
            (b"api", Key, false),
            (b"auth", Key, false),
            (b"refresh", Key, false),
            (b"session", Key, false),
        ],
    ),
    tail(
        b"key",
        b"key",
        &[
            (b"secret", Password, true),
            (b"secretaccess", Password, true),
            (b"api", Key, false),
            (b"access", Key, false),
            (b"auth", Key, false),
            (b"private", Key, false),
            (b"signing", Key, false),
            (b"encryption", Key, false),
            (b"master", Key, false),
            (b"account", Key, false),
            (b"sharedaccess", Key, false),
        ],
    ),
    tail(b"als", b"credentials", &[(b"", Key, false)]),
    tail(b"ial", b"credential", &[(b"", Key, false)]),
    tail(b"yid", b"id", &[(b"accesskey", Key, false)]),
    // Of signed URLs.
    tail(b"sig", b"sig", &[(b"", Key, false)]),
    tail(
        b"one",
        b"phone",
        &[
            (b"", Phone, false),
            (b"tele", Phone, false),
            (b"cell", Phone, false),
            (b"mobile", Phone, false),
            (b"home", Phone, false),
            (b"work", Phone, false),
        ],
    ),
    tail(b"nes", b"phones", &[(b"", Phone, false)]),
    tail(b"fon", b"telefon", &[(b"", Phone, false)]),
    tail(b"ile", b"mobile", &[(b"", Phone, false)]),
    tail(b"tel", b"tel", &[(b"", Phone, false)]),
    tail(b"ell", b"cell", &[(b"", Phone, false)]),
    tail(b"fax", b"fax", &[(b"", Phone, false)]),
    tail(b"sdn", b"msisdn", &[(b"", Phone, false)]),
    tail(
        b"ber",
        b"number",
        &[
            (b"phone", Phone, false),
            (b"telephone", Phone, false),
            (b"mobile", Phone, false),
            (b"cell", Phone, false),
            (b"tel", Phone, false),
            (b"fax", Phone, false),
            (b"contact", Phone, false),
        ],
    ),
    tail(
        b"ers",
        b"numbers",
        &[(b"phone", Phone, false), (b"mobile", Phone, false)],
    ),
    tail(b"ist", b"list", &[(b"phone", Phone, false)]),
    tail(b"num", b"num", &[(b"phone", Phone, false)]),
    tail(
        b"eno",
        b"no",
        &[(b"phone", Phone, false), (b"mobile", Phone, false)],
    ),
    tail(
        b"_no",
        b"no",
        &[(b"phone", Phone, false), (b"mobile", Phone, false)],
    ),
];

/// For each of the three places and each byte there, in either case, the tails that have it: a bit
/// each.
static TAILS: [[u32; 256]; 3] = {
    let mut tails = [[0u32; 256]; 3];
    let mut tail = 0;
    while tail < NAMES.len() {
        let mut place = 0;
        while place < 3 {
            let letter = NAMES[tail].last[place];
            tails[place][letter as usize] |= 1 << tail;
            tails[place][letter.to_ascii_uppercase() as usize] |= 1 << tail;
            place += 1;
        }
        tail += 1;
    }
    tails
};

/// Those of [`NAMES`] that end in the last letters of `name`.
#[inline(always)]
fn tail_of(name: &[u8]) -> Option<&'static Tail> {
    let [first, second, third] = name.last_chunk::<3>()?;
    let tails = TAILS[0][usize::from(*first)]
        & TAILS[1][usize::from(*second)]
        & TAILS[2][usize::from(*third)];
    if tails == 0 {
        return None;
    }
    let tail = &NAMES[tails.trailing_zeros() as usize];
    let end = name.get(name.len().checked_sub(tail.end.len())?..)?;
    end.eq_ignore_ascii_case(tail.end).then_some(tail)
}

/// Where a name in front of the sign at `at` ends: quotes and blanks may stand between them.
#[inline(always)]
fn end_before(buf: &[u8], at: usize) -> usize {
    let mut end = at;
    while end > 0 && at - end < 4 && matches!(buf[end - 1], b'"' | b'\'' | b'\\' | b' ' | b']') {
        end -= 1;
    }
    end
}

/// Whether a name in front of the sign at `at` ends like one of the table.
#[inline(always)]
pub(crate) fn may_be_named(buf: &[u8], at: usize) -> bool {
    tail_of(&buf[..end_before(buf, at)]).is_some()
}

/// The name in front of the sign at `at`; empty if it ends like none of the table.
pub(crate) fn name_before(buf: &[u8], at: usize) -> Range<usize> {
    let end = end_before(buf, at);
    match tail_of(&buf[..end]) {
        None => end..end,
        Some(_) => name_start(buf, end)..end,
    }
}

/// Whether the value at `at` stands behind a name for phone numbers: `phone=1234567`,
/// `"mobile": "1234567"`.
pub(crate) fn is_named_phone(text: &[u8], at: usize) -> bool {
    let joint = |b: &u8| matches!(b, b' ' | b'\t' | b'[' | b'"' | b'\'' | b'\\' | b'+');
    let joints = text[..at].iter().rev().take(6).take_while(|b| joint(b));
    let behind = at - joints.count();
    let Some(sign) = behind.checked_sub(1) else {
        return false;
    };
    matches!(text[sign], b':' | b'=' | b'>')
        && class_of_name(&text[name_before(text, sign)]) == Phone
}

pub(crate) fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

fn name_start(buf: &[u8], end: usize) -> usize {
    let floor = end.saturating_sub(MAX_NAME);
    let mut start = end;
    while start > floor && is_name(buf[start - 1]) {
        start -= 1;
    }
    start
}

/// What a name says of its value.
pub(crate) fn class_of_name(name: &[u8]) -> NameClass {
    let Some(tail) = tail_of(name) else {
        return NameClass::Plain;
    };
    let end = name.len() - tail.end.len();
    let found = tail.names.iter().find(|(front, _, inside)| {
        let first = match front.is_empty() {
            true => Some(end),
            false => front_of(&name[..end], front),
        };
        first.is_some_and(|first| *inside || is_start(name, first))
    });
    found.map_or(NameClass::Plain, |(_, class, _)| *class)
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

    #[test]
    fn names_are_classed_by_how_they_end() {
        for name in [
            "password",
            "DB_PASSWORD",
            "userPassword",
            "spring.datasource.password",
            "pwd",
            "client-secret",
        ] {
            assert_eq!(
                class_of_name(name.as_bytes()),
                NameClass::Password,
                "{name}"
            );
        }
        for name in [
            "api_key",
            "apiKey",
            "x-api-key",
            "access_token",
            "accessToken",
            "secret",
            "API-KEY",
            "authtoken",
            "masterKey",
            "sig",
        ] {
            assert_eq!(class_of_name(name.as_bytes()), NameClass::Key, "{name}");
        }
        for name in [
            "compass",
            "bypass",
            "key",
            "monkey",
            "tokens",
            "author",
            "signature",
            "barcode",
            "none",
            "file",
            "number",
            "passwordless",
            "",
        ] {
            assert_eq!(class_of_name(name.as_bytes()), NameClass::Plain, "{name}");
        }
        for name in [
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
        ] {
            assert_eq!(class_of_name(name.as_bytes()), NameClass::Phone, "{name}");
        }
        assert_eq!(class_of_name(b"db_pass"), NameClass::Pass);
        assert_eq!(
            class_of_name(b"Proxy-Authorization"),
            NameClass::Authorization
        );
    }
}
