//! The catalogue of tokens: a row for each prefix, in a file for each family. What the gate looks for is
//! derived from it, and so are the examples of the tests and of `CATALOGUE.md`.

mod ai;
mod chat;
mod cloud;
mod code;
mod keys;
mod pay;
mod watch;

use super::form::Form;
use crate::catalog::Id;

/// A kind of token.
#[derive(Debug)]
pub(crate) struct Row {
    /// Whose it is. This and the example are for tests and for `CATALOGUE.md`: a library has no use for them.
    #[cfg(test)]
    pub(crate) what: &'static str,
    /// What it begins with, or has at a fixed place.
    pub(super) prefix: &'static str,
    pub(crate) id: Id,
    pub(super) form: Form,
    /// What one looks like: `{a36}` are 36 letters and digits, `{h32}` hexadecimal digits, `{d12}` digits,
    /// `{u16}` capitals and digits, `{2a16}` those of base32, `{b40}` base64, `{w22}` letters, digits, `_`
    /// and `-`.
    #[cfg(test)]
    pub(crate) example: &'static str,
}

#[cfg_attr(not(test), allow(unused_variables))]
const fn row(
    what: &'static str,
    prefix: &'static str,
    id: Id,
    form: Form,
    example: &'static str,
) -> Row {
    Row {
        #[cfg(test)]
        what,
        prefix,
        id,
        form,
        #[cfg(test)]
        example,
    }
}

/// The families; of two prefixes at one place, the first counts.
const FAMILIES: &[&[Row]] = &[
    keys::ROWS,
    cloud::ROWS,
    code::ROWS,
    chat::ROWS,
    pay::ROWS,
    ai::ROWS,
    watch::ROWS,
];

/// Every row, the longer of two prefixes that begin alike in front.
pub(crate) fn all() -> impl Iterator<Item = &'static Row> {
    let mut rows: Vec<&Row> = FAMILIES.iter().copied().flatten().collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.prefix.len()));
    rows.into_iter()
}
