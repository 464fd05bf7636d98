//! Compressed files.

pub(crate) mod format;
mod growth;
pub(crate) mod gunzip;
mod kin;
pub(crate) mod left_alone;
#[cfg(test)]
mod pauses;
pub(crate) mod search;
pub(crate) mod window;
