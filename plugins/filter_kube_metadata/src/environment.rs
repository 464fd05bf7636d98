//! What the process finds around itself: environment variables and files, behind one trait so
//! that tests bring their own.

use std::io;
use std::path::Path;

/// Largest file read: the Downward API's are bounded by the API server's 1.5 MiB per object.
const MAX_FILE: u64 = 4 << 20;

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

/// Reads a file of at most 4 MiB.
pub(crate) fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    std::fs::File::open(path)?
        .take(MAX_FILE + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(io::Error::other("the file is larger than 4 MiB"));
    }
    Ok(bytes)
}
