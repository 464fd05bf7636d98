//! Names that elements say: `<password>`, `<property name="password">`, `<key>password</key><string>`.

use super::{is_quote, Form, Named};
use crate::name::{class_of_name, is_label, is_name, name_start, NameClass};

/// Whether a name behind `before` is that of an element that begins: `<name`, `<ns:name`.
pub(super) fn is_opened(before: &[u8]) -> bool {
    let prefix = match before {
        [.., b'<'] => return true,
        [prefix @ .., b':'] => prefix,
        _ => return false,
    };
    let letters = prefix
        .iter()
        .rev()
        .take(16)
        .take_while(|b| is_name(**b))
        .count();
    letters > 0 && prefix[..prefix.len() - letters].ends_with(b"<")
}

/// Whether what stands in quotes behind `before` says of which name an element is:
/// `<property name="password">`.
pub(super) fn is_labelled(before: &[u8]) -> bool {
    let quotes = before
        .iter()
        .rev()
        .take_while(|b| is_quote(**b) || **b == b'\\');
    let Some(label) = before[..before.len() - quotes.count()].strip_suffix(b"=") else {
        return false;
    };
    label.len() < before.len() - 1 && is_label(&label[name_start(label, label.len())..])
}

/// The name that an element in front says, which ends at `end`, of the value in the next one:
/// `<key>password</key><string>…</string>`; `at` ends the tag between.
pub(super) fn in_sibling(text: &[u8], end: usize, at: usize) -> Option<Named> {
    let name = name_start(text, end)..end;
    let class = class_of_name(&text[name.clone()]);
    if !class.is_secret() || class == NameClass::Indirect || !text[..name.start].ends_with(b">") {
        return None;
    }
    let rest = &text[at + 1..text.len().min(at + 64)];
    let open = rest.iter().position(|b| !b.is_ascii_whitespace())?;
    let tag = memchr::memchr(b'>', rest).filter(|tag| rest[open] == b'<' && *tag > open + 1)?;
    (rest[open + 1].is_ascii_alphabetic()).then_some(Named {
        class,
        name,
        sign: at + 1 + tag,
        form: Form::Element,
    })
}
