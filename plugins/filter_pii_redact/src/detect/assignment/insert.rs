//! Values of the columns of an `INSERT`: `INSERT INTO users (name, password) VALUES ('ada', 'x')`.

use super::is_quote;
use super::layout::quoted;
use super::value::{is_secret_value, Place};
use crate::budget::Budget;
use crate::name::{class_of_name, NameClass};

/// Longest list of columns, and most of them.
const LIST: usize = 1024;
const COLUMNS: usize = 64;

/// What names of columns are made of, and what is between them.
fn is_list(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80 || b"_.,`\"'[] \n\t".contains(&byte)
}

/// Where the values of an `INSERT` begin whose list of columns the comma at `at` is in: behind the word
/// `VALUES`. Up to `seen` there is nothing but a list behind an earlier comma: it is not read again.
pub(super) fn values(text: &[u8], at: usize, seen: &mut usize, budget: &Budget) -> Option<usize> {
    let most = text.len().min(at + LIST);
    let from = at.max(*seen).min(most);
    let len = text[from..most].iter().position(|b| !is_list(*b));
    *seen = len.map_or(most, |len| from + len).max(*seen);
    budget.look(*seen - from.min(*seen));
    let end = from + len?;
    let rest = text[end..most].strip_prefix(b")")?.trim_ascii_start();
    let word = rest.get(..6)?;
    let start = most - rest.len() + word.len();
    let opens = text[start..].trim_ascii_start().starts_with(b"(");
    (opens && word.eq_ignore_ascii_case(b"values")).then_some(start)
}

/// The classes of the columns that are listed in front of `VALUES`, which ends at `end`; `None`: no list, or
/// none of them is secret.
fn columns(text: &[u8], end: usize) -> Option<[NameClass; COLUMNS]> {
    let list = text[..end - b"values".len()].trim_ascii_end();
    let list = list.strip_suffix(b")")?;
    let floor = list.len().saturating_sub(LIST);
    let open = floor + memchr::memrchr(b'(', &list[floor..])?;
    let class = |column: &[u8]| {
        let mark = |b: &u8| !(b.is_ascii_alphanumeric() || *b >= 0x80);
        let first = column.iter().position(|b| !mark(b)).unwrap_or(0);
        let last = column.iter().rposition(|b| !mark(b)).map_or(0, |n| n + 1);
        let class = class_of_name(column.get(first..last).unwrap_or_default());
        let whole = !class.is_header() && class != NameClass::Indirect;
        if class.is_secret() && whole {
            class
        } else {
            NameClass::Plain
        }
    };
    let mut classes = [NameClass::Plain; COLUMNS];
    let names = list[open + 1..].split(|b| *b == b',');
    for (slot, name) in classes.iter_mut().zip(names) {
        *slot = class(name);
    }
    let secret = classes.iter().any(|class| class.is_secret());
    secret.then_some(classes)
}

/// Calls `visit` with the class and the span of every secret value behind `VALUES`, which ends at `at`; returns where
/// the last of them ends.
pub(super) fn each(
    text: &[u8],
    at: usize,
    budget: &Budget,
    mut visit: impl FnMut(NameClass, usize, usize),
) -> usize {
    budget.look(LIST / 8);
    let Some(classes) = columns(text, at) else {
        return at;
    };
    let (mut column, mut depth, mut end) = (0, 0, at);
    let mut next = at;
    while let Some(byte) = text.get(next) {
        match byte {
            b'(' => depth += 1,
            b')' => {
                depth -= 1;
                if depth == 0 {
                    column = 0;
                }
            }
            b',' if depth == 1 => column += 1,
            quote if is_quote(*quote) && depth > 0 => {
                let start = next + 1;
                let close = start + quoted(&text[start..], *quote, false);
                let class = classes.get(column).copied().unwrap_or(NameClass::Plain);
                if is_secret_value(class, &text[start..close], Place::Member) {
                    visit(class, start, close);
                    end = close;
                }
                next = close;
            }
            b' ' | b',' | b'\n' | b'\r' | b'\t' => {}
            // Behind the last row.
            _ if depth == 0 => break,
            _ => {}
        }
        next += 1;
    }
    budget.look(next.saturating_sub(at));
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_secret_columns_are_found_in_every_row() {
        for (text, expected) in [
            (
                "insert into u (name, password, age) values ('ada', 'x1y2z3', 3), ('bob', 'it''s', 4)",
                &["x1y2z3", "it''s"][..],
            ),
            ("INSERT INTO `u` (`pwd`,`n`) VALUES(md5('x1y2z3'),1);", &["x1y2z3"]),
            ("INSERT INTO u (name, password) VALUES (?, ?)", &[]),
            ("INSERT INTO u (name, age) VALUES ('password', 3)", &[]),
            ("INSERT INTO u VALUES ('password', 'x')", &[]),
        ] {
            let budget = Budget::new(0);
            let at = text.find(',').and_then(|at| values(text.as_bytes(), at, &mut 0, &budget));
            let mut found = Vec::new();
            if let Some(at) = at {
                each(text.as_bytes(), at, &budget, |_, from, to| {
                    found.push(&text[from..to]);
                });
            }
            assert_eq!(found, expected, "{text}");
        }
    }
}
