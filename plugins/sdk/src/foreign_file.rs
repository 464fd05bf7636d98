//! Files of others that we read whole: flags, tokens, keys, labels.
//!
//! Kubernetes mounts many of them as links, so links are followed. But nothing waits for a FIFO's
//! writer, and nothing that never ends is read.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

use crate::why::explained;

/// Opens a plain file for reading, without waiting.
///
/// # Errors
/// As of the filesystem, and when it is something else.
pub fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits() as i32)
        .open(path)
        .map_err(explained)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    Ok(file)
}

/// Reads a plain file of at most `most` bytes.
///
/// # Errors
/// As [`open`], and for a larger file.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?
        .take(most.saturating_add(1))
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::other(format!("it has more than {most} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use rustix::fs::{mknodat, FileType, Mode, CWD};

    use super::*;

    #[test]
    fn only_plain_files_are_read_and_nothing_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("file"), "text").unwrap();
        symlink("file", path("link")).unwrap();
        mknodat(CWD, path("fifo"), FileType::Fifo, Mode::RWXU, 0).unwrap();
        symlink("fifo", path("link to a fifo")).unwrap();
        symlink("/dev/zero", path("endless")).unwrap();
        for name in ["file", "link"] {
            assert_eq!(read(&path(name), 4).unwrap(), b"text");
            read(&path(name), 3).unwrap_err();
        }
        for name in ["fifo", "link to a fifo", "endless", "", "nothing"] {
            read(&path(name), 100).unwrap_err();
        }
    }
}
