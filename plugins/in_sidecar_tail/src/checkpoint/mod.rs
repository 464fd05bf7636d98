//! What survives a restart: positions, by the files that they belong to.

pub(crate) mod checkpointer;
pub(crate) mod entry;
pub(crate) mod folder;
pub(crate) mod import_stock;
pub(crate) mod load;
pub(crate) mod other_tails;
pub(crate) mod recovery;
pub(crate) mod store;
pub(crate) mod unclaimed;
mod writer;
