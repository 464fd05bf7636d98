//! Bytes become records.

pub(crate) mod charset;
pub(crate) mod decode;
pub(crate) mod docker_line;
pub(crate) mod encode;
pub(crate) mod holes;
pub(crate) mod json_line;
pub(crate) mod json_repair;
pub(crate) mod lines;
pub(crate) mod outbox;
pub(crate) mod reader;
pub(crate) mod tag;
pub(crate) mod timestamp;
pub(crate) mod unfinished;
