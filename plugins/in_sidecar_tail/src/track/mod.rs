//! What a file is, and what happens to it.

pub(crate) mod beyond;
pub(crate) mod copies;
pub(crate) mod descriptors;
pub(crate) mod discovery;
pub(crate) mod dormant;
pub(crate) mod file;
pub(crate) mod files;
pub(crate) mod fingerprint;
pub(crate) mod follow;
pub(crate) mod heads;
pub(crate) mod life;
pub(crate) mod limit;
pub(crate) mod look;
pub(crate) mod names;
pub(crate) mod quarantine;
pub(crate) mod queue;
pub(crate) mod registry;
pub(crate) mod removal;
pub(crate) mod rotation;
pub(crate) mod state_files;
pub(crate) mod transition;
