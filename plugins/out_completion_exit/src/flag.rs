//! Flag files: whether they are there.

use std::fs;
use std::path::{Path, PathBuf};

/// A flag file to wait for.
#[derive(Clone, Debug)]
pub(crate) struct Flag {
    path: PathBuf,
}

impl Flag {
    /// The flag at `path`.
    pub(crate) fn new(path: impl Into<PathBuf>) -> Self {
        Flag { path: path.into() }
    }

    /// The folder in which it will appear.
    pub(crate) fn folder(&self) -> &Path {
        match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        }
    }

    /// The file, if it is there. A link that leads nowhere counts: somebody made it.
    pub(crate) fn find(&self) -> Option<&Path> {
        fs::symlink_metadata(&self.path)
            .is_ok()
            .then_some(&self.path)
    }
}
