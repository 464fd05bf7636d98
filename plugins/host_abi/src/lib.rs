//! How a Fluent Bit lays out what a plugin touches.
//!
//! [`Layout`] is the one list of wanted fields: what is added there is read from debug information,
//! written to files, compared with the table of known releases and printed as its next row.
//! [`Facts`] are what was found about a host, wherever it is from: [`debug_info::read`] has them
//! from a program's own debug information, [`file::parse`] from a file that [`file::write`] made.

#![forbid(unsafe_code)]

pub mod debug_info;
mod dwarf;
mod elf;
pub mod facts;
pub mod file;
pub mod layout;
pub mod row;
pub mod signature;

pub use elf::open_regular;
pub use facts::{Facts, Field, Kind, Struct};
pub use layout::Layout;
pub use signature::{Signature, Value};
