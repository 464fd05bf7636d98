//! Proof that a layout is that of the running host, before anything is trusted to it.
//!
//! At the start the host's own plugins are looked at through it ([`registration`]); later every
//! instance of ours, before its fields are read ([`instance`]), and its first chunk ([`chunks`]). Nothing here follows an address that
//! the kernel has not checked.

mod chunks;
mod instance;
mod registration;
#[cfg(test)]
mod tests;

pub(crate) use chunks::ChunkProof;
pub(crate) use instance::{instance, without_instances, Instance};
pub(crate) use registration::registration;
