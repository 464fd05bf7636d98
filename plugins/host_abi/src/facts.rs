//! What was found about a host: structs with their fields, functions with their signatures.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::signature::Signature;

/// What a field holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A pointer to data.
    Pointer,
    /// A pointer to a function.
    Function(Signature),
    /// An integer or enumeration of this many bytes.
    Integer(u64),
    /// A struct, by value: its name (empty: it has none) and bytes.
    Struct(String, u64),
    /// Anything else, with its bytes.
    Other(u64),
}

/// A field: where it is, and what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Bytes from the struct's start.
    pub offset: u64,
    /// What it holds.
    pub kind: Kind,
}

impl Kind {
    fn bytes(&self) -> u64 {
        match self {
            Kind::Pointer | Kind::Function(_) => 8,
            Kind::Integer(bytes) | Kind::Struct(_, bytes) | Kind::Other(bytes) => *bytes,
        }
    }
}

impl Field {
    /// The first byte behind it.
    pub(crate) fn end(&self) -> u64 {
        self.offset.saturating_add(self.kind.bytes())
    }

    /// Whether a byte belongs to both.
    pub(crate) fn overlaps(&self, other: &Field) -> bool {
        self.offset < other.end() && other.offset < self.end()
    }
}

/// A struct.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Struct {
    /// Its size.
    pub bytes: u64,
    /// Its fields by name; those of structs inside by path (`options.flags`).
    pub fields: BTreeMap<String, Field>,
}

/// What was found about a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The build id of the program, in hexadecimal digits.
    pub build_id: Option<String>,
    /// Structs by name.
    pub structs: BTreeMap<String, Struct>,
    /// Functions by name.
    pub functions: BTreeMap<String, Signature>,
    /// Structs and functions that the host's parts do not agree about: nothing of them is known.
    pub conflicts: Vec<String>,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Pointer => f.write_str("pointer"),
            Kind::Function(signature) => write!(f, "function {signature}"),
            Kind::Integer(bytes) => write!(f, "integer {bytes}"),
            Kind::Struct(name, bytes) => write!(f, "struct {bytes} {name}"),
            Kind::Other(bytes) => write!(f, "other {bytes}"),
        }
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        let number = |digits: &str| {
            digits
                .parse()
                .map_err(|_| format!("'{digits}' is no number of bytes"))
        };
        match word {
            "pointer" if rest.is_empty() => Ok(Kind::Pointer),
            "function" => Ok(Kind::Function(rest.parse()?)),
            "integer" => Ok(Kind::Integer(number(rest)?)),
            "struct" => {
                let (bytes, name) = rest.split_once(' ').unwrap_or((rest, ""));
                Ok(Kind::Struct(name.to_owned(), number(bytes)?))
            }
            "other" => Ok(Kind::Other(number(rest)?)),
            _ => Err(format!(
                "'{text}' is no kind of field (pointer, function, integer, struct, other)"
            )),
        }
    }
}
