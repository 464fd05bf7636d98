//! The one list of what this library touches in a host's memory.
//!
//! A line that is added here is a field of [`Layout`], is read from debug information, checked for
//! its kind, written to files and compared with the table; the compiler asks for it in the table.

#[macro_use]
mod wanted;
mod list;

pub use list::*;

use std::fmt;

use crate::facts::{Facts, Kind};
use crate::signature::Signature;

/// What a field must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// A pointer to data.
    Pointer,
    /// An int or an enumeration.
    Int,
    /// A size.
    Word,
    /// The head or a node of a list: two pointers, to the previous and to the next.
    List,
    /// One bit per output: an array of 32 bytes, or a pointer to one.
    Routes,
    /// A pointer to a function with one of these signatures.
    Function(&'static [&'static str]),
}

impl Holds {
    fn fits(self, kind: &Kind) -> bool {
        match (self, kind) {
            (Holds::Pointer, Kind::Pointer)
            | (Holds::Int, Kind::Integer(4))
            | (Holds::Word, Kind::Integer(8))
            | (Holds::Routes, Kind::Pointer | Kind::Other(_)) => true,
            (Holds::List, Kind::Struct(name, 16)) => name.ends_with("_list"),
            (Holds::Function(wanted), Kind::Function(found)) => wanted.iter().any(|text| {
                text.parse::<Signature>()
                    .is_ok_and(|wanted| found.fits(&wanted))
            }),
            _ => false,
        }
    }
}

impl fmt::Display for Holds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Holds::Pointer => f.write_str("pointer"),
            Holds::Int => f.write_str("integer 4"),
            Holds::Word => f.write_str("integer 8"),
            Holds::List => f.write_str("list"),
            Holds::Routes => f.write_str("pointer or other"),
            Holds::Function(all) => write!(f, "function {}", all.join(" or ")),
        }
    }
}

/// Whether anything works without a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// No: without it the host is refused.
    Needed,
    /// Yes, but something that a message names.
    Optional,
}

/// An offset, moved if it is not in front of `from`.
const fn behind(at: usize, from: usize, bytes: isize) -> usize {
    if at < from {
        at
    } else {
        at.saturating_add_signed(bytes)
    }
}

/// Where a field may be: in the table, releases of one row may differ. At most four places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Places {
    known: [Option<usize>; 4],
}

impl Places {
    /// Nowhere.
    pub const NONE: Places = Places { known: [None; 4] };

    /// At these offsets.
    ///
    /// # Panics
    /// When there are more than four.
    pub const fn at(offsets: &[usize]) -> Self {
        let mut known = [None; 4];
        let mut index = 0;
        while index < offsets.len() {
            known[index] = Some(offsets[index]);
            index += 1;
        }
        Places { known }
    }

    /// The same, moved like [`behind`].
    const fn grown(self, from: usize, bytes: isize) -> Self {
        let mut known = self.known;
        let mut index = 0;
        while index < known.len() {
            if let Some(at) = known[index] {
                known[index] = Some(behind(at, from, bytes));
            }
            index += 1;
        }
        Places { known }
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.known.iter().flatten().copied()
    }
}

/// A field of the list, for what goes over all of them.
#[derive(Clone, Copy, Debug)]
pub struct WantedField {
    /// Its name in [`Layout`].
    pub name: &'static str,
    /// Its path in the host's struct; more than one where releases call it differently.
    pub paths: &'static [&'static str],
    /// What it must hold.
    pub holds: Holds,
    /// Whether it must be there.
    pub need: Need,
}

/// A struct of the list.
#[derive(Clone, Copy, Debug)]
pub struct WantedStruct {
    /// Its name in the host.
    pub name: &'static str,
    /// A function of the host in whose source the struct is complete.
    pub anchor: &'static str,
    /// Its name in [`Layout`].
    pub group: &'static str,
    /// Its type in [`Layout`].
    pub row_type: &'static str,
    /// Its fields.
    pub fields: &'static [WantedField],
}

impl WantedStruct {
    /// Every path of every field.
    pub fn paths(&self) -> impl Iterator<Item = &'static str> {
        self.fields
            .iter()
            .flat_map(|field| field.paths.iter().copied())
    }

    /// Whether any field is needed.
    pub fn need(&self) -> Need {
        if self.fields.iter().any(|field| field.need == Need::Needed) {
            Need::Needed
        } else {
            Need::Optional
        }
    }

    /// Where `field` is, if it is there and holds what it should.
    fn find(&self, facts: &Facts, field: &WantedField) -> Result<usize, String> {
        let Some(layout) = facts.structs.get(self.name) else {
            let contradicted = facts.conflicts.iter().any(|name| name == self.name);
            return Err(if contradicted {
                format!("its parts do not agree about struct {}", self.name)
            } else {
                format!("no struct {}", self.name)
            });
        };
        let named = field
            .paths
            .iter()
            .find_map(|path| Some((*path, layout.fields.get(*path)?)));
        let Some((path, found)) = named else {
            return Err(format!("no {}.{}", self.name, field.paths[0]));
        };
        let inside = |outer: &str, inner: &str| {
            inner
                .strip_prefix(outer)
                .is_some_and(|rest| rest.starts_with('.'))
        };
        for (other, there) in &layout.fields {
            let is_other = other != path && !inside(other, path) && !inside(path, other);
            if is_other && found.overlaps(there) {
                return Err(format!("{}.{path} and {other} are in one place", self.name));
            }
        }
        if !field.holds.fits(&found.kind) {
            return Err(format!(
                "{}.{path} is '{}' instead of '{}'",
                self.name, found.kind, field.holds
            ));
        }
        // Bytes of the field, not only its start, lie inside.
        if found.end() > layout.bytes {
            return Err(format!("{}.{path} lies outside", self.name));
        }
        usize::try_from(found.offset).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file;

    fn refused(fields: &str) -> String {
        let text = format!("flb-sidecar-abi 1\nstruct flb_input_plugin 240\n{fields}end\n");
        Layout::from_facts(&file::parse(&text).unwrap()).unwrap_err()
    }

    #[test]
    fn fields_in_one_place_are_no_layout() {
        for other in [
            "  description 24 pointer\n",
            "  description 20 pointer\n",
            "  flags 28 integer 4\n",
            "  proxy 16 struct 16 something\n",
        ] {
            let why = refused(&format!("  name 24 pointer\n{other}"));
            assert!(
                why.starts_with("flb_input_plugin.name and "),
                "{other}: {why}"
            );
            assert!(why.ends_with(" are in one place"), "{other}: {why}");
        }
        // What stands inside does so rightly.
        for other in ["  description 32 pointer\n", "  name.length 24 integer 4\n"] {
            let why = refused(&format!("  name 24 pointer\n{other}"));
            assert!(!why.contains(".name and "), "{other}: {why}");
        }
    }
}
