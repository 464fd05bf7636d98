//! Fluent Bit input `sidecar_tail`: follows files, losing nothing and repeating nothing.
//!
//! A worker thread ([`worker`]) owns every file: it finds, reads, splits and encodes. Batches of
//! records go through a bounded [`host::queue`] to the host's thread, which only appends them. The
//! folders in the order of a byte's way:
//!
//! - [`source`]: patterns, folders, what the kernel tells, links
//! - [`track`]: what a file is and what happens to it: growth, renames, truncation, copies
//! - [`read`]: bytes become lines, lines become records
//! - [`compressed`]: gzip files, decompressed into windows
//! - [`host`]: handing records over, and learning what has left the host
//! - [`checkpoint`]: positions across restarts
#![forbid(unsafe_code)]

mod checkpoint;
mod compressed;
mod counters;
mod fs;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod host;
mod map;
mod options;
mod pace;
mod read;
#[cfg(test)]
mod sim;
mod source;
mod time;
mod track;
mod worker;

pub use host::input::SidecarTail;
