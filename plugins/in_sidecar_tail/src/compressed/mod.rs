//! Compressed files.

pub(crate) mod gunzip;
pub(crate) mod search;
pub(crate) mod window;
