//! What stands in the place of a secret: masks, variables, and where a store or a program has it.

use super::value::Place;
use super::words::is_word;
use crate::name::class_of_name;

/// Whether it ends in a word of its own that says so.
fn is_said_redacted(value: &[u8]) -> bool {
    let front = value.strip_suffix(b"REDACTED");
    front.is_some_and(|front| front.last().is_none_or(|b| !b.is_ascii_alphanumeric()))
}

/// One character, again and again: `****`, `xxxxx`, `...`, `••••`.
pub(super) fn is_mask(value: &[u8]) -> bool {
    let Some(first) = value.first() else {
        return false;
    };
    let repeated = value.iter().all(|b| b == first);
    repeated && (!first.is_ascii_alphanumeric() || matches!(first, b'x' | b'X'))
        // A field of a form, too: "[______]".
        || value.iter().all(|b| matches!(b, b'*' | b'-' | b'.' | b'_' | b'[' | b']'))
        || is_blanked(value)
        // "_env:CLIENT_SECRET:REDACTED"
        || is_said_redacted(value)
        // "xxxxx.yyyyy.zzzzz", as descriptions have it.
        || value.len() > 6 && value.iter().all(|b| matches!(b, b'x'..=b'z' | b'X'..=b'Z' | b'.' | b'-'))
        // What forms show is a character of three bytes.
        || *first == 0xe2 && value.chunks(3).all(|c| c == &value[..3.min(value.len())])
}

/// Whether a part of a value was written over: `bP88Q~xxxxxxxxxxxx`.
pub(in crate::detect) fn is_blanked(value: &[u8]) -> bool {
    const ROW: usize = 8;
    let over = |b: &u8| matches!(b, b'x' | b'X' | b'*' | b'#');
    value.len() >= ROW
        && value
            .windows(ROW)
            .any(|row| over(&row[0]) && row.iter().all(|b| *b == row[0]))
}

/// Whether something stands in the place of the password of a URL: `***`, `${PASSWORD}`, `[REDACTED]`.
pub(in crate::detect) fn is_stand_in(password: &[u8]) -> bool {
    let within = |open: u8, close: u8| match password {
        [first, inner @ .., last] if *first == open && *last == close => Some(inner),
        _ => None,
    };
    const DONE: &[&[u8]] = &[
        b"redacted",
        b"masked",
        b"hidden",
        b"filtered",
        b"removed",
        b"scrubbed",
    ];
    let name = |b: &u8| b.is_ascii_alphabetic() || matches!(b, b'_' | b'.');
    is_mask(password)
        || is_reference(password)
        || within(b'[', b']').is_some_and(|w| is_word(w, Place::Text))
        // "{password}", which a program fills in
        || within(b'{', b'}').is_some_and(|w| w.iter().all(name))
        || DONE.iter().any(|w| w.eq_ignore_ascii_case(password))
}

/// What a variable, a template or the place of a secret begins with.
const REFERENCES: &[&[u8]] = &[
    b"${",
    b"$(",
    b"{{",
    b"<",
    b"%(",
    b"%.",
    b"{%",
    b"%s",
    b"%v",
    b"{}",
    b"@{",
    b"(null)",
    b"[]",
    // Where a store of secrets has it.
    b"arn:",
    b"op://",
    b"ssm:/",
    b"@Microsoft.KeyVault(",
    b"secretref:",
    b"vault:",
    b"ref+",
    b"file:/",
    b"env:",
    b"awssm:",
    b"gcpsm:",
    b"secretsmanager:",
    b"keyvault:",
    b"aws-ssm:",
    b"doppler:",
    b"sm://",
    b"ENC[",
    b"ENC(",
    b"hmac-sha256:",
    // Where a program has it.
    b"#{",
    b"<%",
    b"os.environ",
    b"os.getenv",
    b"os.Getenv",
    b"process.env",
    b"self.",
    b"this.",
    b"typing.",
    b"dict[",
    b"System.getenv",
    b"System.getProperty",
    b"ENV[",
    b"ENV.fetch",
    b"$ENV{",
    b"$_ENV",
    b"$env:",
    b"Optional.empty",
    // Tags of YAML that name it.
    b"!Ref",
    b"!Sub",
    b"!GetAtt",
    b"!ImportValue",
    b"!secret",
    b"!env",
    b"!vault",
    b"!include",
];

/// Whether one of [`REFERENCES`] begins with a byte.
static IS_FIRST: [bool; 256] = {
    let mut first = [false; 256];
    let mut n = 0;
    while n < REFERENCES.len() {
        first[REFERENCES[n][0] as usize] = true;
        n += 1;
    }
    first
};

/// A variable or template instead of a value: `${PASSWORD}`, `{{ secret }}`, `<password>`, `%s`.
pub(super) fn is_reference(value: &[u8]) -> bool {
    let first = value.first().copied().unwrap_or_default();
    let starts = |s: &&[u8]| s[0] == first && value.starts_with(s);
    IS_FIRST[usize::from(first)] && REFERENCES.iter().any(starts)
        || matches!(value, [b'{', name @ ..] if !name.is_empty() && name.iter().all(|b| {
            b.is_ascii_alphabetic() || matches!(b, b'_' | b'.' | b'}')
        }))
        || is_type(value)
        || is_variable(value)
        || is_code(value)
        || is_invitation(value)
        || value.ends_with(b"()")
        // "$this->{bindpasswd}", of which the rest is behind the value
        || matches!(value, [b'$', name @ .., b'-'] if name.iter().all(|b| b.is_ascii_alphabetic() || matches!(b, b'_' | b':')))
}

/// What a parameter is said to be: `Optional[str`, `*mut c_char`, `&[u8`.
fn is_type(value: &[u8]) -> bool {
    const STARTS: [&[u8]; 12] = [
        b"Union[",
        b"Vec<",
        b"Annotated[",
        b"*mut",
        b"*const",
        b"&mut",
        b"&self",
        b"&str",
        b"&[u8",
        b"[u8",
        b"Optional[",
        b"Option<",
    ];
    const INNER: [&[u8]; 8] = [
        b"str", b"bytes", b"int", b"Any", b"Union", b"List", b"String", b"Secret",
    ];
    // "*ed25519.PrivateKey"
    if let [b'*', first, ..] = value {
        let path = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.');
        if first.is_ascii_lowercase() && value.contains(&b'.') && value[1..].iter().all(path) {
            return true;
        }
    }
    let first = value.first();
    let starts = STARTS.iter().enumerate();
    starts
        .filter(|(_, start)| start.first() == first)
        .any(|(n, start)| match value.strip_prefix(*start) {
            // "Optional[hunter2]" is what Java prints.
            Some(rest) if n > 9 => INNER.iter().any(|inner| rest.starts_with(inner)),
            rest => rest.is_some(),
        })
}

/// `$DB_PASSWORD`, `%DB_PASSWORD%`, and those of Terraform: `var.db_password`, `module.db.password`.
fn is_variable(value: &[u8]) -> bool {
    let name = |name: &[u8]| {
        !name.is_empty()
            && !name[0].is_ascii_digit()
            && name
                .iter()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_')
    };
    match value {
        // "--password=DOCKER_PASSWORD", as descriptions of options have it.
        _ if name(value) && value.contains(&b'_') => class_of_name(value).is_secret(),
        [b'$', rest @ ..] => name(rest),
        [b'%', rest @ .., b'%'] => name(rest),
        _ => {
            let roots = [&b"var."[..], b"local.", b"module.", b"data."];
            let path =
                |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._[]\"".contains(b);
            roots.iter().any(|root| value.starts_with(root)) && value.iter().all(path)
        }
    }
}

/// What source code has there: a call (`getpass.getpass(`, of which the rest is behind the value), or a field
/// that is called like a secret itself (`config.password`).
fn is_code(value: &[u8]) -> bool {
    let path = |b: &u8| b.is_ascii_alphabetic() || matches!(b, b'_' | b'.');
    let joint = |b: &u8| matches!(b, b'$' | b'@' | b'-' | b'>' | b':' | b'?' | b'!' | b'&');
    match value {
        // "getpass.getpass(", "$_POST[", "$this->config->get(", "Env::var("
        [called @ .., b'(' | b'['] => {
            called.len() > 2
                && called.last().is_some_and(path)
                && called
                    .iter()
                    .all(|b| path(b) || joint(b) || b.is_ascii_digit())
                && (called.iter().all(path) || called.iter().any(|b| joint(b) || *b == b'.'))
        }
        // "certs[0][2]", of which the rest is behind the value
        _ if value.last().is_some_and(u8::is_ascii_digit) && value.contains(&b'[') => {
            let mut parts = value.split(|b| *b == b'[');
            let name = parts.next().unwrap_or_default();
            name.len() > 3
                && name[0].is_ascii_lowercase()
                && name.iter().all(|b| path(b) || b.is_ascii_digit())
                && parts.all(|index| index.len() < 3 && index.iter().all(u8::is_ascii_digit))
        }
        // "self.get_password(url"
        _ if value.contains(&b'(') => {
            let called = value.split(|b| *b == b'(').next().unwrap_or_default();
            called.len() > 2
                && (path(&called[0]) || matches!(called[0], b'$' | b'@' | b'&'))
                && called.last().is_some_and(|b| path(b) || b.is_ascii_digit())
                && called
                    .iter()
                    .all(|b| path(b) || joint(b) || b.is_ascii_digit())
                && (called.iter().all(u8::is_ascii_lowercase)
                    && value[called.len() + 1..]
                        .iter()
                        .all(|b| path(b) || joint(b) || matches!(b, b'(' | b'['))
                    || called
                        .iter()
                        .any(|b| matches!(b, b'_' | b'.' | b':' | b'>')))
        }
        _ => {
            value.contains(&b'.')
                && value.iter().all(path)
                && !value.ends_with(b".")
                && class_of_name(value).is_secret()
        }
    }
}

/// What says that somebody has to put a secret there: `YOUR_API_KEY`, `replace-me`.
fn is_invitation(value: &[u8]) -> bool {
    let joint = |b: &u8| matches!(b, b'_' | b'-' | b' ' | b'.');
    let mut words = value.split(joint);
    let first = words.next().unwrap_or_default();
    let invites = [&b"your"[..], b"insert", b"replace", b"placeholder"];
    first.len() < value.len()
        && invites.iter().any(|word| first.eq_ignore_ascii_case(word))
        && words.all(|word| !word.is_empty() && word.iter().all(u8::is_ascii_alphabetic))
}
