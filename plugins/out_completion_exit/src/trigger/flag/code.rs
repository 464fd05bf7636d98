//! The exit status that a flag may hold.

use std::io::{self, Read};
use std::path::Path;

use flb_sidecar_sdk::foreign_file;

use crate::config;

/// What a flag holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// Nothing, so far.
    Empty,
    /// A status.
    Status(u8),
    /// None, and why.
    Unreadable(String),
}

/// Reads it, without waiting for anybody.
pub(super) fn read(path: &Path) -> Code {
    let text = || -> io::Result<String> {
        // Only regular files: opening a pipe would wait for its writer.
        let mut text = Vec::new();
        foreign_file::open(path)?.take(64).read_to_end(&mut text)?;
        Ok(String::from_utf8_lossy(&text).trim().to_owned())
    };
    match text() {
        Ok(text) if text.is_empty() => Code::Empty,
        // What it holds instead may be anybody's secret: the flag can be a link to it.
        Ok(text) => config::status(&text).map_or_else(
            || Code::Unreadable("it holds no status from 0 to 255".to_owned()),
            Code::Status,
        ),
        Err(error) => Code::Unreadable(error.to_string()),
    }
}
