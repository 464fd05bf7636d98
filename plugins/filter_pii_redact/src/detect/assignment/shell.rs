//! Passwords that programs take as an option of one letter: `mysql -pX`, `curl -u user:X`.

use super::is_quote;
use super::layout::{quoted, word_len};
use crate::budget::Budget;

/// How the password stands behind its option.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// `-pX`
    Glued,
    /// `-p X` or `-pX`
    Either,
    /// `-u user:X`
    Pair(u8),
}

use Kind::{Either, Glued, Pair};

/// Program, option, and how its password is given.
const OPTIONS: &[(&[u8], &[u8], Kind)] = &[
    (b"mysql", b"p", Glued),
    (b"mysqldump", b"p", Glued),
    (b"mysqladmin", b"p", Glued),
    (b"mysqlimport", b"p", Glued),
    (b"mariadb", b"p", Glued),
    (b"mariadb-dump", b"p", Glued),
    (b"sshpass", b"p", Either),
    (b"redis-cli", b"a", Either),
    (b"curl", b"u", Pair(b':')),
    (b"curl", b"U", Pair(b':')),
    (b"curl", b"user", Pair(b':')),
    (b"curl", b"proxy-user", Pair(b':')),
    (b"http", b"a", Pair(b':')),
    (b"ab", b"A", Pair(b':')),
    (b"smbclient", b"U", Pair(b'%')),
    (b"ldapsearch", b"w", Either),
    (b"ldapmodify", b"w", Either),
    (b"ldapadd", b"w", Either),
    (b"mongo", b"p", Either),
    (b"mongosh", b"p", Either),
    (b"mongodump", b"p", Either),
    (b"cqlsh", b"p", Either),
    (b"sqlcmd", b"P", Either),
    (b"bcp", b"P", Either),
    (b"login", b"p", Either),
    (b"mosquitto_pub", b"P", Either),
    (b"mosquitto_sub", b"P", Either),
    (b"secret", b"from-literal", Pair(b'=')),
];

/// How far in front of an option its program is looked for.
const FAR: usize = 256;

/// The option that starts at `at` behind one or two hyphens, and the span behind it.
fn row(text: &[u8], at: usize, budget: &Budget) -> Option<(&'static [u8], Kind)> {
    let hyphens = text[..at].iter().rev().take(3).take_while(|b| **b == b'-');
    let hyphens = hyphens.count();
    let blank = text[..at - hyphens].last();
    if !(1..=2).contains(&hyphens) || !blank.is_none_or(|b| matches!(b, b' ' | b'"' | b'\'')) {
        return None;
    }
    let rest = &text[at..];
    let fits = |name: &[u8], kind: Kind| {
        // The first letter tells most of them apart.
        rest.first() == name.first()
            && if name.len() > 1 {
                hyphens == 2
                    && rest.starts_with(name)
                    && matches!(rest.get(name.len()), Some(b' ' | b'='))
            } else {
                let next = rest.get(1).copied().unwrap_or(b' ');
                hyphens == 1 && (kind != Glued || !matches!(next, b' ' | b'=' | b'\n' | b'"'))
            }
    };
    if !OPTIONS.iter().any(|(_, name, kind)| fits(name, *kind)) {
        return None;
    }
    let line = &text[at.saturating_sub(FAR)..at];
    budget.look(line.len());
    let from = line
        .iter()
        .rposition(|b| matches!(b, b'\n' | b'|' | b';'))
        .map_or(0, |n| n + 1);
    let mut words = line[from..].split(|b| matches!(b, b' ' | b'"' | b'\'' | b'/' | b'[' | b'`'));
    let named = OPTIONS.iter().filter(|(_, name, kind)| fits(name, *kind));
    let found = words.find_map(|word| named.clone().find(|row| row.0 == word))?;
    Some((found.1, found.2))
}

/// Whether an option with a password may start at `at`.
pub(super) fn plausible(text: &[u8], at: usize, budget: &Budget) -> bool {
    row(text, at, budget).is_some()
}

/// Span of the password of the option that starts at `at`.
pub(super) fn option(text: &[u8], at: usize, budget: &Budget) -> Option<(usize, usize)> {
    let (name, kind) = row(text, at, budget)?;
    let mut start = at + name.len();
    if kind != Glued {
        start += text[start..].iter().take_while(|b| **b == b' ').count();
    }
    start += usize::from(text.get(start) == Some(&b'='));
    let first = *text.get(start)?;
    let end = if is_quote(first) {
        start += 1;
        start + quoted(&text[start..], first, false)
    } else {
        start + word_len(&text[start..])
    };
    if let Pair(sign) = kind {
        start += memchr::memchr(sign, &text[start..end])? + 1;
    }
    (end > start && text[start] != b'-').then_some((start, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_of_a_program_has_its_password() {
        for (line, expected) in [
            ("mysql -uroot -pZq7mK9 shop", Some("Zq7mK9")),
            ("/usr/bin/mysqldump -p'a b' x", Some("a b")),
            ("redis-cli -a Zq7 ping", Some("Zq7")),
            ("curl -sS -u jo:Zq7 https://x", Some("Zq7")),
            ("curl --user jo:Zq7 https://x", Some("Zq7")),
            ("smbclient -U jo%Zq7 //x", Some("Zq7")),
            (
                "kubectl create secret generic x --from-literal=k=Zq7",
                Some("Zq7"),
            ),
            ("mysql -p shop", None),
            ("tar -pxf a.tar", None),
            ("curl -u jo https://x", None),
        ] {
            let text = line.as_bytes();
            let found = (1..text.len())
                .filter(|at| text[at - 1] == b'-' && text[*at].is_ascii_alphabetic())
                .find_map(|at| option(text, at, &Budget::default()));
            assert_eq!(found.map(|(from, to)| &line[from..to]), expected, "{line}");
        }
    }
}
