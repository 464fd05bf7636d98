//! Regular expressions as Go writes them, for the crate `regex`.
//!
//! Both are of RE2's family and linear in time. What differs, from the documentation of both:
//! classes and word boundaries of Go are those of ASCII; a `[` inside a class, and a `{` that begins
//! no repetition, stand for themselves; `\<` and `\>` do so, too, while they are ends of a word here;
//! `\Q…\E` quotes. In a class two `&`, `-` or `~` in a row mean nothing there and set operations here.

use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::hir::{Class, Hir, HirKind};
use regex_syntax::ParserBuilder;

/// Largest compiled expression, in bytes.
const MAX_REGEX: usize = 2 << 20;
/// What an expression may keep of what it has seen, in bytes. With less, those with long bounded
/// repetitions are ten times as slow; most need little of it: all of gitleaks' 221 rules together
/// some 30 MiB on a text that has every keyword.
const MAX_CACHE: usize = 1 << 20;

/// A compiled expression.
#[derive(Debug)]
pub(super) struct Expression {
    pub(super) regex: Regex,
    unicode: bool,
}

impl Expression {
    /// How many bytes and classes it has, those of repetitions as often as they may be.
    pub(super) fn size(&self) -> usize {
        self.parts().as_ref().map_or(1, size)
    }

    /// Its parts.
    pub(super) fn parts(&self) -> Option<Hir> {
        let mut parser = ParserBuilder::new();
        let parser = parser.unicode(self.unicode).utf8(false);
        parser.build().parse(self.regex.as_str()).ok()
    }
}

/// Compiles an expression of Go.
pub(super) fn compile(pattern: &str) -> Result<Expression, regex::Error> {
    let pattern = translate(pattern);
    let build = |unicode: bool| {
        let regex = RegexBuilder::new(&pattern)
            .unicode(unicode)
            .size_limit(MAX_REGEX)
            .dfa_size_limit(MAX_CACHE)
            .build()?;
        Ok(Expression { regex, unicode })
    };
    // Letters beyond ASCII in a class are no bytes: there the other mode is nearer.
    build(false).or_else(|error| build(true).map_err(|_: regex::Error| error))
}

fn size(hir: &Hir) -> usize {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) | HirKind::Class(Class::Bytes(_)) => 1,
        HirKind::Literal(text) => text.0.len(),
        // Its ranges are rows of bytes.
        HirKind::Class(Class::Unicode(class)) => 1 + class.ranges().len(),
        HirKind::Repetition(some) => {
            let times = some.max.unwrap_or(some.min).max(1) as usize;
            size(&some.sub).saturating_mul(times)
        }
        HirKind::Capture(group) => size(&group.sub).saturating_add(1),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            parts.iter().map(size).fold(1, usize::saturating_add)
        }
    }
}

/// The same expression in the syntax of the crate.
fn translate(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut rest = pattern;
    let mut in_class = false;
    while let Some(first) = rest.chars().next() {
        let len = match first {
            '\\' => escape(rest, &mut out),
            '[' if !in_class => {
                in_class = true;
                // A bracket right behind the start, or behind its `^`, is one of the class.
                let start = ["[^]", "[]", "[^", "["]
                    .into_iter()
                    .find(|start| rest.starts_with(start))
                    .unwrap_or("[");
                out.push_str(&start.replace(']', "\\]"));
                start.len()
            }
            '[' => match named_class(rest) {
                Some(len) => {
                    out.push_str(&rest[..len]);
                    len
                }
                None => {
                    out.push_str("\\[");
                    1
                }
            },
            ']' if in_class => {
                in_class = false;
                out.push(']');
                1
            }
            '&' | '~' if in_class => {
                out.push('\\');
                out.push(first);
                1
            }
            '-' if in_class && rest.starts_with("--") => {
                // The end of a range, or the second of two that mean the same.
                out.push_str("-\\-");
                2
            }
            '{' if !in_class && repetition(rest).is_none() => {
                out.push_str("\\{");
                1
            }
            other => {
                out.push(other);
                other.len_utf8()
            }
        };
        rest = &rest[len..];
    }
    out
}

/// Writes the escape at the start of `rest`; its length.
fn escape(rest: &str, out: &mut String) -> usize {
    let mut chars = rest.chars();
    chars.next();
    match chars.next() {
        Some('Q') => {
            let quoted = &rest[2..];
            let end = quoted.find("\\E");
            out.push_str(&regex::escape(&quoted[..end.unwrap_or(quoted.len())]));
            end.map_or(rest.len(), |end| 2 + end + 2)
        }
        Some(angle @ ('<' | '>')) => {
            out.push(angle);
            2
        }
        Some(other) => {
            let len = 1 + other.len_utf8();
            // `\x{…}` and `\p{…}`: their braces are no repetition.
            let braced = matches!(other, 'x' | 'p' | 'P') && rest[len..].starts_with('{');
            let len = match rest[len..].find('}') {
                Some(end) if braced => len + end + 1,
                _ => len,
            };
            out.push_str(&rest[..len]);
            len
        }
        None => {
            out.push('\\');
            1
        }
    }
}

/// Length of `[:alpha:]`.
fn named_class(rest: &str) -> Option<usize> {
    let name = rest.strip_prefix("[:")?;
    let end = name.find(":]")?;
    let inner = name[..end].trim_start_matches('^');
    (!inner.is_empty() && inner.bytes().all(|b| b.is_ascii_lowercase())).then_some(end + 4)
}

/// Length of `{2}`, `{2,}` or `{2,5}`.
fn repetition(rest: &str) -> Option<usize> {
    let inner = rest.strip_prefix('{')?;
    let end = inner.find('}')?;
    let (least, most) = match inner[..end].split_once(',') {
        Some((least, most)) => (least, most),
        None => (&inner[..end], ""),
    };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    (!least.is_empty() && digits(least) && digits(most)).then_some(end + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finds(pattern: &str, text: &str) -> bool {
        compile(pattern)
            .unwrap_or_else(|e| panic!("{pattern}: {e}"))
            .regex
            .is_match(text.as_bytes())
    }

    #[test]
    fn what_go_takes_means_the_same_here() {
        for (pattern, yes, no) in [
            (r"^[[]$", "[", "x"),
            (r"^[^[]$", "x", "["),
            (r"^[]a]$", "]", "b"),
            (r"^[^]a]$", "b", "]"),
            (r"^[a&&b]$", "&", "-"),
            (r"^[+--]$", ",", "."),
            (r"^[a~~b]$", "~", "&"),
            (r"^[[:digit:]_]{2}$", "4_", "4x"),
            (r"^a{$", "a{", "a"),
            (r"^\${x}$", "${x}", "$x"),
            (r"^x{2}$", "xx", "x{2}"),
            (r"^\Qa.b\E.$", "a.bc", "axbc"),
            (r"^\<a\>$", "<a>", "a"),
            (r"^\x{41}\x42$", "AB", "A"),
            (r"(?i)^k$", "K", "\u{212a}"),
            (r"^\w$", "a", "\u{e4}"),
            (r"\bkey\b", "\u{e4}key", "akey"),
            (r"^[\]\[]$", "[", "x"),
            (r"(?P<secret>a)(?<b>b)", "ab", "ac"),
            (r"^\p{Greek}$", "\u{3b1}", "a"),
        ] {
            assert!(finds(pattern, yes), "{pattern} in {yes}");
            assert!(!finds(pattern, no), "{pattern} not in {no}");
        }
        for pattern in ["a(b", r"(a)\1", "(?=a)", "[z-a]"] {
            assert!(compile(pattern).is_err(), "{pattern}");
        }
    }
}
