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
    /// `-p X`
    Apart,
    /// `-u user:X`
    Pair(u8),
}

use Kind::{Apart, Either, Glued, Pair};

/// Program, option, and how its password is given.
type Row = (&'static [u8], &'static [u8], Kind);

/// So many of them, the first, are words behind two hyphens.
const LONG: usize = 4;

const OPTIONS: &[Row] = &[
    (b"curl", b"user", Pair(b':')),
    (b"curl", b"proxy-user", Pair(b':')),
    (b"curl", b"cookie", Pair(b'=')),
    (b"secret", b"from-literal", Pair(b'=')),
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
    (b"curl", b"b", Pair(b'=')),
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
    (b"psexec", b"p", Either),
    (b"zip", b"P", Either),
    (b"unzip", b"P", Either),
    (b"7z", b"p", Glued),
    (b"7za", b"p", Glued),
    (b"7zz", b"p", Glued),
    (b"openssl", b"k", Apart),
    (b"openssl", b"K", Apart),
    (b"ipmitool", b"P", Either),
    (b"snmpwalk", b"c", Either),
    (b"snmpget", b"c", Either),
    (b"snmpset", b"c", Either),
    (b"snmpbulkwalk", b"c", Either),
    (b"mosquitto_pub", b"P", Either),
    (b"mosquitto_sub", b"P", Either),
];

/// How far in front of an option its program is looked for.
const FAR: usize = 256;

/// Whether the option that starts at `at` may be one of a row.
fn fits(text: &[u8], at: usize, (_, name, kind): &Row) -> bool {
    let rest = &text[at..];
    // The first letter tells most of them apart.
    rest.first() == name.first()
        && if name.len() > 1 {
            rest.starts_with(name) && matches!(rest.get(name.len()), Some(b' ' | b'='))
        } else {
            let next = rest.get(1).copied().unwrap_or(b' ');
            let apart = matches!(next, b' ' | b'=' | b'\n' | b'"');
            match kind {
                Glued => !apart,
                Apart => apart,
                Either | Pair(_) => true,
            }
        }
}

/// The rows that the option at `at`, behind one or two hyphens, may be one of.
fn rows(text: &[u8], at: usize) -> impl Iterator<Item = (usize, &'static Row)> + use<'_> {
    let hyphens = text[..at].iter().rev().take(3).take_while(|b| **b == b'-');
    let hyphens = hyphens.count();
    let blank = text[..at - hyphens].last();
    let some = match hyphens {
        _ if blank.is_some_and(|b| !matches!(b, b' ' | b'"' | b'\'')) => 0..0,
        1 => LONG..OPTIONS.len(),
        2 => 0..LONG,
        _ => 0..0,
    };
    let some = some.map(|n| (n, &OPTIONS[n]));
    some.filter(move |(_, row)| fits(text, at, row))
}

/// Whether an option with a password may start at `at`, whatever its program.
pub(super) fn plausible(text: &[u8], at: usize) -> bool {
    rows(text, at).next().is_some()
}

/// The programs of [`OPTIONS`] in the command that a text is in, as far as it was gone through: no byte
/// is looked at again for the next option.
#[derive(Clone, Copy, Debug)]
pub(in crate::detect) struct Programs {
    /// Up to which byte that was.
    gone: usize,
    /// Where each of them begins that was seen last, and one more.
    last: [u32; OPTIONS.len()],
}

impl Default for Programs {
    fn default() -> Self {
        Programs {
            gone: 0,
            last: [0; OPTIONS.len()],
        }
    }
}

impl Programs {
    /// Forgets the text before. Most have no option, and nothing to forget.
    #[inline]
    pub(in crate::detect) fn reset(&mut self) {
        if self.gone > 0 {
            *self = Programs::default();
        }
    }

    /// Goes on to the option at `at`.
    fn go_to(&mut self, text: &[u8], at: usize, budget: &Budget) {
        let from = self.gone.max(at.saturating_sub(FAR));
        if from >= at {
            return;
        }
        budget.look(at - from);
        self.gone = at;
        // A word that was cut in two is one.
        let apart = |b: &u8| {
            matches!(
                b,
                b' ' | b'"' | b'\'' | b'/' | b'[' | b'`' | b'\n' | b'|' | b';'
            )
        };
        let word = text[..from]
            .iter()
            .rev()
            .take(LONGEST + 1)
            .take_while(|b| !apart(b));
        let mut start = from - word.count();
        while start < at {
            let rest = &text[start..at];
            let len = rest.iter().position(apart).unwrap_or(rest.len());
            if len <= LONGEST && is_program(&rest[..len]) {
                for (row, last) in OPTIONS.iter().zip(&mut self.last) {
                    if row.0 == &rest[..len] {
                        *last = u32::try_from(start + 1).unwrap_or(u32::MAX);
                    }
                }
            }
            // What is behind it is another command.
            if matches!(rest.get(len), Some(b'\n' | b'|' | b';')) {
                self.last = [0; OPTIONS.len()];
            }
            start += len + 1;
        }
    }
}

/// The longest name of a program.
const LONGEST: usize = {
    let (mut most, mut n) = (0, 0);
    while n < OPTIONS.len() {
        if OPTIONS[n].0.len() > most {
            most = OPTIONS[n].0.len();
        }
        n += 1;
    }
    most
};

/// Whether a word may be one of the programs, told by its length and first letter.
fn is_program(word: &[u8]) -> bool {
    static FIRSTS: [u32; LONGEST + 1] = {
        let mut firsts = [0; LONGEST + 1];
        let mut n = 0;
        while n < OPTIONS.len() {
            firsts[OPTIONS[n].0.len()] |= 1 << (OPTIONS[n].0[0] & 31);
            n += 1;
        }
        firsts
    };
    let first = word.first().map_or(0, |b| b & 31);
    FIRSTS
        .get(word.len())
        .is_some_and(|firsts| firsts >> first & 1 != 0)
}

/// Span of the password of the option that starts at `at`.
pub(super) fn option(
    text: &[u8],
    at: usize,
    programs: &mut Programs,
    budget: &Budget,
) -> Option<(usize, usize)> {
    let mut rows = rows(text, at).peekable();
    rows.peek()?;
    programs.go_to(text, at, budget);
    let near = |place: u32| place as usize > at.saturating_sub(FAR);
    let (_, (_, name, kind)) = rows.find(|(n, _)| near(programs.last[*n]))?;
    let mut start = at + name.len();
    if *kind != Glued {
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
        start += memchr::memchr(*sign, &text[start..end])? + 1;
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
            ("mysql -h x; tar -pxf a.tar", None),
            ("tar -pxf a | mysql -pZq7", Some("Zq7")),
        ] {
            let text = line.as_bytes();
            let mut programs = Programs::default();
            let found = (1..text.len())
                .filter(|at| text[at - 1] == b'-' && text[*at].is_ascii_alphabetic())
                .find_map(|at| option(text, at, &mut programs, &Budget::new(0)));
            assert_eq!(found.map(|(from, to)| &line[from..to]), expected, "{line}");
        }
    }
}
