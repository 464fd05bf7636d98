//! Where files come from: patterns, folders, what the kernel tells of them, and links.

pub(crate) mod confine;
pub(crate) mod events;
pub(crate) mod globs;
pub(crate) mod inotify;
pub(crate) mod links;
pub(crate) mod listings;
pub(crate) mod paths;
pub(crate) mod scan;
pub(crate) mod unseen;
