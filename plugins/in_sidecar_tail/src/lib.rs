//! Fluent Bit input `sidecar_tail`: follows files, losing nothing and repeating nothing.
//!
//! A worker thread owns every file: it finds, reads, splits and encodes. Batches of records go
//! through a bounded [`queue`] to the host's thread, which only appends them. The modules in the
//! order of a byte's way: [`discovery`] and [`watch`] find files, [`followed`] reads one,
//! [`lines`] splits, [`encode`] writes records into batches, [`worker`] ties them together and
//! [`input`] hands the batches to the host.
#![forbid(unsafe_code)]

mod discovery;
mod encode;
mod followed;
mod input;
mod lines;
mod options;
mod queue;
mod tag;
mod watch;
mod worker;

pub use input::SidecarTail;
