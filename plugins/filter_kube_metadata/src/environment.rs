//! What the process finds around itself: environment variables and files, behind one trait so
//! that tests bring their own.

use std::io;
use std::path::Path;

pub(crate) use kube_client::read_file;

/// The surroundings of the process.
pub trait Environment: Send {
    /// A variable; `None` if unset, empty or not UTF-8.
    fn variable(&self, name: &str) -> Option<String>;

    /// The bytes of a file.
    ///
    /// # Errors
    /// As of the file system, and for a file above 4 MiB.
    fn file(&self, path: &Path) -> io::Result<Vec<u8>>;
}

/// The real surroundings.
#[derive(Clone, Copy, Debug, Default)]
pub struct Process;

impl Environment for Process {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok().filter(|value| !value.is_empty())
    }

    fn file(&self, path: &Path) -> io::Result<Vec<u8>> {
        read_file(path)
    }
}
