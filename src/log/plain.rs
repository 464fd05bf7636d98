//! Text of others in our log lines: names of files, errors that quote, contents.
//!
//! Whoever names a file must not be able to write lines of the log, or to move the cursor of who
//! reads it. So here, where every line passes, control characters become their escapes, and what is
//! too long loses its middle: the path comes first in our lines, what is wrong with it last.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Longest line handed to the host, which has a limit of its own a little above.
const MAX_LINE: usize = 4000;
/// Bytes of the end that stay.
const END: usize = 1000;

/// The text on one line, without anything that is not shown as a character.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    let text = shorten(text);
    if !text.chars().any(is_control) {
        return text;
    }
    let mut plain = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_control(c) {
            // Writing to a String does not fail.
            let _ = write!(plain, "{}", c.escape_default());
        } else {
            plain.push(c);
        }
    }
    Cow::Owned(shorten(&plain).into_owned())
}

/// What ends a line, moves a cursor, or turns the direction of what follows.
fn is_control(c: char) -> bool {
    c.is_control()
        || matches!(c,
            // Line and paragraph separators, marks and overrides of direction, tags.
            '\u{2028}' | '\u{2029}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

fn shorten(text: &str) -> Cow<'_, str> {
    if text.len() <= MAX_LINE {
        return Cow::Borrowed(text);
    }
    let is_boundary = |at: &usize| text.is_char_boundary(*at);
    let head = (0..=MAX_LINE - END - 5).rev().find(is_boundary);
    let tail = (text.len() - END..text.len()).find(is_boundary);
    let (head, tail) = (head.unwrap_or(0), tail.unwrap_or(text.len()));
    Cow::Owned(format!("{} ... {}", &text[..head], &text[tail..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_text_stays() {
        for text in [
            "",
            "/var/log/app.log: permission denied",
            "\u{e4}\u{4e2d}\u{1f600} 'x' \\n",
        ] {
            assert_eq!(plain(text), text);
            assert!(matches!(plain(text), Cow::Borrowed(_)));
        }
    }

    #[test]
    fn nobody_writes_a_line_of_the_log_with_a_name() {
        for (text, expected) in [
            ("a\n[error] [input] forged", r"a\n[error] [input] forged"),
            ("a\r\nb\tc\0", r"a\r\nb\tc\u{0}"),
            ("\x1b[2J\x1b]0;title\x07", r"\u{1b}[2J\u{1b}]0;title\u{7}"),
            ("\u{9b}31m\x7f", r"\u{9b}31m\u{7f}"),
            ("gol.\u{202e}exe", r"gol.\u{202e}exe"),
            ("a\u{2028}b\u{85}c", r"a\u{2028}b\u{85}c"),
        ] {
            assert_eq!(plain(text), expected);
        }
        for c in '\0'..='\u{10ffff}' {
            let line = plain(&format!("a{c}b")).into_owned();
            assert!(line.chars().all(|c| !is_control(c)), "{c:?}");
            assert_eq!(line.lines().count(), 1, "{c:?}");
        }
    }

    #[test]
    fn a_long_name_does_not_hide_what_is_wrong_with_it() {
        for name in [
            "x".repeat(100_000),
            "\u{1f600}".repeat(5000),
            "\n".repeat(4096),
        ] {
            let line = plain(&format!("/logs/{name}: permission denied")).into_owned();
            assert!(line.len() <= MAX_LINE, "{}", line.len());
            assert!(line.starts_with("/logs/"));
            assert!(line.ends_with(": permission denied"));
        }
    }
}
