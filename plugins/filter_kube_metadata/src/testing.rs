//! Surroundings for unit tests.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::environment::{read_file, Environment};

/// Variables and files of a test; paths that are not given are read from the file system.
#[derive(Clone, Debug, Default)]
pub(crate) struct Surroundings {
    variables: HashMap<String, String>,
    files: HashMap<PathBuf, Vec<u8>>,
}

impl Surroundings {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn file(mut self, path: &str, text: &str) -> Self {
        self.files.insert(path.into(), text.as_bytes().to_vec());
        self
    }
}

impl Environment for Surroundings {
    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }

    fn file(&self, path: &Path) -> io::Result<Vec<u8>> {
        if let Some(bytes) = self.files.get(path) {
            return Ok(bytes.clone());
        }
        if path.starts_with("/proc") || path.starts_with("/var/run") || path.starts_with("/etc") {
            return Err(io::ErrorKind::NotFound.into());
        }
        read_file(path)
    }
}
