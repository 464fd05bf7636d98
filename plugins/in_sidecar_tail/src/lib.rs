//! Fluent Bit input `sidecar_tail`: follows files, losing nothing and repeating nothing.
//!
//! A worker thread owns every file: it finds, reads, splits and encodes. Batches of records go
//! through a bounded [`queue`] to the host's thread, which only appends them. The modules in the
//! order of a byte's way: [`discovery`], [`scans`], [`watch`], [`events`] and [`finding`] find
//! files, [`identity`], [`rotation`], [`copies`], [`strays`] and [`remembered`] tell them apart
//! whatever happens to them, [`handles`] and [`reading`] open and read, [`lines`] splits, [`encoding`] decodes,
//! [`encode`] writes records into batches, [`worker`] ties this together, [`input`] hands the
//! batches to the host, [`delivery`] learns what has left it, and [`saving`] and [`state`] keep
//! that across restarts.
#![forbid(unsafe_code)]

mod clock;
mod compressed;
mod confine;
mod copies;
mod counters;
mod decode;
mod delivery;
mod discovery;
mod docker_line;
mod encode;
mod encoding;
mod events;
mod finding;
mod followed;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod gunzip;
mod handles;
mod holes;
mod host_multiline;
mod host_parser;
mod identity;
mod input;
mod json_line;
mod legacy_join;
mod limit;
mod lines;
mod links;
mod load;
mod location;
mod made_of;
mod map;
mod mend;
mod options;
mod pace;
mod queue;
mod reading;
mod remembered;
mod removal;
mod rotation;
mod saving;
mod scans;
#[cfg(test)]
mod sim;
mod spool;
mod state;
#[cfg(test)]
mod steps;
mod strays;
mod tag;
mod takeover;
mod time;
mod watch;
mod worker;

pub use input::SidecarTail;
