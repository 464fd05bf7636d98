//! Whether the value behind a name is a secret, or something that stands in its place.

use crate::checksum::entropy;
use crate::name::NameClass;

/// Shortest value that can be told from a word by its entropy.
pub(super) const MIN_RANDOM: usize = 12;

pub(super) fn is_token(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-./+=~:!#$%^*".contains(byte)
}

/// Words that stand where a password would, in prose and in configurations, by their length.
const WORDS: [&[&str]; 15] = [
    &[],
    &[],
    &["no", "is", "or"],
    &[
        "nil", "yes", "not", "was", "the", "for", "and", "has", "str", "n/a", "set",
    ],
    &[
        "true", "null", "none", "from", "have", "must", "text", "auth",
    ],
    &["false", "empty", "reset", "wrong", "token", "unset"],
    &[
        "change", "failed", "string", "passwd", "secret", "hidden", "masked", "prompt", "public",
    ],
    &[
        "invalid", "expired", "changed", "missing", "failure", "success", "removed", "unknown",
        "enabled", "default", "account", "session", "setcred", "omitted", "deleted",
    ],
    &[
        "required", "optional", "accepted", "rejected", "password", "redacted", "filtered",
        "disabled", "scrubbed",
    ],
    &[
        "undefined",
        "incorrect",
        "chauthtok",
        "sensitive",
        "protected",
        "sanitized",
    ],
    &["obfuscated"],
    &[],
    &["confidential"],
    &["authenticated"],
    &["authentication"],
];

/// Whether `value` under a name of `class` is a secret and no placeholder for one.
pub(crate) fn is_secret_value(class: NameClass, value: &[u8]) -> bool {
    let value = value.trim_ascii();
    if value.len() < 3 || is_mask(value) || is_reference(value) {
        return false;
    }
    // "[FILTERED]", "__REDACTED__"
    let bare = |b: &u8| !b.is_ascii_alphanumeric();
    let first = value.iter().take_while(|b| bare(b)).count();
    let last = value.iter().rev().take_while(|b| bare(b)).count();
    let inner = value.get(first..value.len() - last).unwrap_or_default();
    if is_word(value) || (first > 0 && is_word(inner)) {
        return false;
    }
    match class {
        NameClass::Plain | NameClass::Phone => false,
        // A working directory is no password: PWD=/root.
        NameClass::Password => {
            !(value.starts_with(b"/") || value.starts_with(b"~/")) || is_base64(value)
        }
        NameClass::Pass => {
            let digits = value.iter().all(u8::is_ascii_digit);
            !(value.starts_with(b"/") || digits && value.len() < 6)
        }
        NameClass::Authorization => {
            value.len() >= 8 && (!value.contains(&b'@') || value.contains(&b'='))
        }
        NameClass::Key => is_random(value),
    }
}

/// Whether `value` is one of the words that stand where a secret would.
fn is_word(value: &[u8]) -> bool {
    let words = WORDS.get(value.len()).copied().unwrap_or_default();
    words
        .iter()
        .any(|w| value.eq_ignore_ascii_case(w.as_bytes()))
}

/// Whether a value that begins with a slash is random bytes in base64, as one in 64 secret keys of AWS is:
/// letters stand together by case in paths, and anywhere in these.
fn is_base64(value: &[u8]) -> bool {
    let kind = |b: &u8| match b {
        b'a'..=b'z' => 0,
        b'A'..=b'Z' => 1,
        b'0'..=b'9' => 2,
        _ => 3,
    };
    let changes = value.windows(2).filter(|w| kind(&w[0]) != kind(&w[1]));
    value.len() >= 32
        && value
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='))
        && changes.count() * 5 >= value.len() * 2
        && entropy(value) >= 4.0
}

/// Whether a value is as mixed as credentials are and words, paths and class names are not.
fn is_random(value: &[u8]) -> bool {
    let digits = value.iter().filter(|b| b.is_ascii_digit()).count();
    let letters = value.iter().filter(|b| b.is_ascii_alphabetic()).count();
    let upper = value.iter().any(u8::is_ascii_uppercase);
    let lower = value.iter().any(u8::is_ascii_lowercase);
    let mixed =
        (digits >= 2 && letters >= 2) || (upper && lower && value.len() >= 24 && digits > 0);
    let dots = value.iter().filter(|b| **b == b'.').count();
    value.len() >= MIN_RANDOM
        && mixed
        && value.iter().all(is_token)
        && !value.starts_with(b"/")
        && memchr::memmem::find(value, b"://").is_none()
        && (dots < 3 || value.len() >= 40)
        && entropy(value) >= 3.0
}

/// One character, again and again: `****`, `xxxxx`, `...`.
fn is_mask(value: &[u8]) -> bool {
    let first = value[0];
    let repeated = value.iter().all(|b| *b == first);
    repeated && (!first.is_ascii_alphanumeric() || matches!(first, b'x' | b'X'))
        || value.iter().all(|b| matches!(b, b'*' | b'-' | b'.'))
}

/// A variable or template instead of a value: `${PASSWORD}`, `{{ secret }}`, `<password>`, `%s`.
fn is_reference(value: &[u8]) -> bool {
    let starts = [
        &b"${"[..],
        b"$(",
        b"{{",
        b"<",
        b"%(",
        b"{%",
        b"%s",
        b"%v",
        b"{}",
        b"@{",
        b"(null)",
        b"[]",
    ];
    starts.iter().any(|s| value.starts_with(s))
        || (value.len() > 1
            && value[0] == b'$'
            && value[1..]
                .iter()
                .all(|b| b.is_ascii_uppercase() || *b == b'_'))
        || value.ends_with(b"()")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_stands_under_its_length() {
        for (len, words) in WORDS.iter().enumerate() {
            assert!(words.iter().all(|word| word.len() == len), "{words:?}");
        }
    }

    #[test]
    fn placeholders_words_and_directories_are_no_secrets() {
        for value in [
            "hunter2",
            "correct horse",
            "p@ss!",
            "abc",
            "/9Zk3nQwE7rTyU1iOpAsDfGhJkLzXcVbNm4q+eWx",
        ] {
            assert!(
                is_secret_value(NameClass::Password, value.as_bytes()),
                "{value}"
            );
        }
        for value in [
            "****",
            "xxxx",
            "${DB}",
            "$PASSWORD",
            "null",
            "incorrect",
            "/root",
            "/home/jenkins/workspace/Release2024/Build17",
            "/var/lib/kubelet/pods/Volumes/Secret/Token01",
            "<pw>",
            "ab",
            "",
            "[FILTERED]",
            "__REDACTED__",
            "***masked***",
            "(hidden)",
        ] {
            assert!(
                !is_secret_value(NameClass::Password, value.as_bytes()),
                "{value}"
            );
        }
        for value in ["9f86d081884c7d659a2f", "c2VjcmV0LWtleS0xMjM0NTY3"] {
            assert!(is_secret_value(NameClass::Key, value.as_bytes()), "{value}");
        }
        for value in [
            "default-token-name",
            "android.os.BinderProxy@1234",
            "/var/run/secret1234567",
            "1234567890123",
        ] {
            assert!(
                !is_secret_value(NameClass::Key, value.as_bytes()),
                "{value}"
            );
        }
    }
}
