//! What the host is to the worker, and the worker to the host.

pub(crate) mod acks;
pub(crate) mod input;
pub(crate) mod joined_lines;
pub(crate) mod legacy_join;
pub(crate) mod losses;
pub(crate) mod multiline;
pub(crate) mod parser;
pub(crate) mod publisher;
pub(crate) mod queue;
