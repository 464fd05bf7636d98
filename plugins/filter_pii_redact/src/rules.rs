//! Rules of the user: `rule NAME /regex/ [action] [validator]`.

use flb_sidecar_sdk::ConfigError;
use regex::bytes::{Regex, RegexBuilder};

use crate::action::{self, Action};
use crate::checksum;

/// Largest compiled regular expression, in bytes.
const MAX_REGEX: usize = 4 << 20;

/// A test that a match of a user rule has to pass.
type Validator = fn(&[u8]) -> bool;

const VALIDATORS: &[(&str, Validator)] = &[
    ("luhn", |value| check(value, checksum::luhn)),
    ("verhoeff", |value| check(value, checksum::verhoeff)),
    ("mod11_10", |value| {
        check(value, checksum::iso7064_mod_11_10)
    }),
    ("mod97", mod97),
    ("entropy", |value| checksum::entropy(value) >= 3.0),
];

/// Whether the digits of a value, at least two, pass a checksum.
fn check(value: &[u8], checksum: fn(&[u8]) -> bool) -> bool {
    let digits = value.iter().filter(|b| b.is_ascii_digit());
    let digits: Vec<u8> = digits.map(|b| b - b'0').collect();
    digits.len() > 1 && checksum(&digits)
}

/// ISO 7064 MOD 97-10, letters as 10 to 35: the remainder is 1.
fn mod97(value: &[u8]) -> bool {
    let mut rest = 0u32;
    let mut any = false;
    for byte in value.iter().filter(|b| b.is_ascii_alphanumeric()) {
        let digit = (*byte as char).to_digit(36).unwrap_or(0);
        rest = (rest * if digit > 9 { 100 } else { 10 } + digit) % 97;
        any = true;
    }
    any && rest == 1
}

/// One rule.
#[derive(Clone, Debug)]
pub(crate) struct UserRule {
    /// Name in the configuration and the counters.
    pub(crate) name: String,
    /// Action of its own.
    pub(crate) action: Option<Action>,
    regex: Regex,
    validator: Option<Validator>,
}

impl UserRule {
    /// Reads the value of the option `rule`.
    pub(crate) fn parse(text: &str) -> Result<Self, ConfigError> {
        const FORM: &str = "NAME /regex/ [action] [validator]";
        let wrong = |what: &str| ConfigError::value("rule", text, format!("{FORM} ({what})"));
        let trimmed = text.trim();
        let (name, rest) = trimmed
            .split_once(char::is_whitespace)
            .ok_or_else(|| wrong("there is no regex"))?;
        let named = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        if !name.bytes().all(named) {
            return Err(wrong("a name has letters, digits, '_' and '-'"));
        }
        let body = rest
            .trim_start()
            .strip_prefix('/')
            .ok_or_else(|| wrong("the regex starts with '/'"))?;
        let (pattern, rest) = split_regex(body).ok_or_else(|| wrong("the regex ends with '/'"))?;
        let mut action = None;
        let mut validator = None;
        for word in rest.split_whitespace() {
            if let Some(known) = Action::parse(word) {
                if action.replace(known).is_some() {
                    return Err(wrong("there is more than one action"));
                }
            } else if let Some((_, known)) = VALIDATORS.iter().find(|(n, _)| *n == word) {
                if validator.replace(*known).is_some() {
                    return Err(wrong("there is more than one validator"));
                }
            } else {
                let names: Vec<&str> = VALIDATORS.iter().map(|(n, _)| *n).collect();
                return Err(wrong(&format!(
                    "'{word}' is neither an action ({}) nor a validator ({})",
                    action::ALLOWED,
                    names.join(", ")
                )));
            }
        }
        let regex = compile("rule", &format!("{name} "), pattern)?;
        // What has no bytes is no match, so such a rule would never find anything.
        let most = regex_syntax::parse(&pattern.replace("\\/", "/"))
            .ok()
            .and_then(|hir| hir.properties().maximum_len());
        if most == Some(0) {
            return Err(wrong("the regex matches nothing but the empty text"));
        }
        Ok(UserRule {
            name: name.to_ascii_lowercase(),
            action,
            regex,
            validator,
        })
    }

    /// Calls `report` with every match, and whether its validator accepts it, until that says `false`.
    pub(crate) fn find(&self, text: &[u8], mut report: impl FnMut(usize, usize, bool) -> bool) {
        for found in self.regex.find_iter(text).filter(|m| !m.is_empty()) {
            let valid = self.validator.is_none_or(|check| check(found.as_bytes()));
            if !report(found.start(), found.end(), valid) {
                break;
            }
        }
    }
}

/// The regex up to the next `/` that is not escaped, and what follows.
fn split_regex(body: &str) -> Option<(&str, &str)> {
    let mut escaped = false;
    for (at, byte) in body.bytes().enumerate() {
        match byte {
            b'\\' if !escaped => escaped = true,
            b'/' if !escaped => return Some((&body[..at], &body[at + 1..])),
            _ => escaped = false,
        }
    }
    None
}

/// Compiles a regex of the configuration, with what stands before it in the option's value. Linear
/// time: no back-references, no look-around.
pub(crate) fn compile(option: &str, before: &str, pattern: &str) -> Result<Regex, ConfigError> {
    let pattern = pattern.replace("\\/", "/");
    RegexBuilder::new(&pattern)
        .size_limit(MAX_REGEX)
        .build()
        .map_err(|error| {
            ConfigError::value(
                option,
                &format!("{before}/{pattern}/"),
                format!("a regular expression ({})", reason(&pattern, &error)),
            )
        })
}

/// Position and reason in one line; the crate draws them over several.
fn reason(pattern: &str, error: &regex::Error) -> String {
    let text = error.to_string();
    let lines: Vec<&str> = text.lines().collect();
    let position = lines
        .iter()
        .find(|l| l.trim_start().starts_with('^'))
        .and_then(|l| l.find('^'))
        .map(|column| column.saturating_sub(4))
        .filter(|column| *column <= pattern.len());
    let cause = lines
        .iter()
        .rev()
        .find_map(|l| l.trim().strip_prefix("error: "))
        .unwrap_or(text.trim());
    match position {
        Some(position) => format!("{cause}, at position {position}"),
        None => cause.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_has_name_regex_action_and_validator() {
        let rule = UserRule::parse(r"Order /ord-\d{4}\/\d+/ keep_last:2 luhn").unwrap();
        assert_eq!(rule.name, "order");
        assert_eq!(rule.action, Some(Action::Keep { first: 0, last: 2 }));
        let mut found = Vec::new();
        rule.find(b"x ord-4242/42 y", |s, e, valid| {
            found.push((s, e, valid));
            true
        });
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn what_does_not_compile_is_refused_with_position_and_reason() {
        let text = |rule: &str| UserRule::parse(rule).unwrap_err().to_string();
        assert!(
            text("x /a(b/").contains("unclosed group, at position 1"),
            "{}",
            text("x /a(b/")
        );
        assert!(
            text(r"x /(a)\1/").contains("at position 3"),
            "{}",
            text(r"x /(a)\1/")
        );
        assert!(
            text("x /(?=a)/").contains("look-around"),
            "{}",
            text("x /(?=a)/")
        );
        // Of several rules the wrong one is named.
        let wrong = text("order-id /a(b/ keep_last:2");
        assert!(
            wrong.contains("'order-id /a(b/'") && wrong.contains("allowed: a regular expression ("),
            "{wrong}"
        );
        assert!(text("x").contains("there is no regex"));
        assert!(text("x a+").contains("starts with '/'"));
        assert!(text("x /a+").contains("ends with '/'"));
        assert!(text("x /a/ shred").contains("'shred'"));
        assert!(text("x! /a/").contains("a name has"));
        for empty in ["x //", "x /^$/", "x /\\b/", "x /()/ mask"] {
            assert!(text(empty).contains("the empty text"), "{empty}");
        }
        assert!(text("x /a/ mask hmac").contains("more than one action"));
        assert!(text("x /a/ luhn entropy").contains("more than one validator"));
    }

    #[test]
    fn mod_97_is_that_of_iso_7064() {
        assert!(mod97(b"WEST12345698765432GB82"));
        assert!(!mod97(b"WEST12345698765432GB83"));
        assert!(!mod97(b""));
    }
}
