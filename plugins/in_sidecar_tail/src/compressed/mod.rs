//! Compressed files.

pub(crate) mod format;
pub(crate) mod gunzip;
mod kin;
pub(crate) mod left_alone;
pub(crate) mod search;
pub(crate) mod window;
