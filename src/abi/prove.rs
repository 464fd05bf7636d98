//! Proof that a layout is that of the running host, before anything is trusted to it.
//!
//! At the start the host's own plugins are looked at through it ([`registration`]); later every
//! instance of ours, before its fields are read ([`instance`]), and the first chunk, task, ring
//! ([`verdict`]). Nothing here follows an address that
//! the kernel has not checked.

mod instance;
mod registration;
#[cfg(test)]
mod tests;
mod verdict;

pub(crate) use instance::{instance, without_instances, Instance};
pub(crate) use registration::registration;
pub(crate) use verdict::Verdict;
