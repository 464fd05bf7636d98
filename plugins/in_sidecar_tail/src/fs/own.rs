//! Files of our own: the state, its journal and its lock.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use flb_sidecar_sdk::metrics::Metric;
use flb_sidecar_sdk::own_file::{open_plain, Durability, OwnFile, PRIVATE};
use rustix::fs::{flock, FlockOperation};

#[cfg(test)]
use super::simulated::{SimFs, Writing};
use super::{Fs, Metadata, Whose};

/// The place of a file of ours.
#[derive(Clone, Debug)]
pub(crate) enum Own {
    Kernel(OwnFile),
    #[cfg(test)]
    Simulated(SimFs, PathBuf),
}

/// One that is open.
#[derive(Debug)]
pub(crate) enum OwnHandle {
    Kernel(File),
    #[cfg(test)]
    Simulated(Writing),
}

impl Fs {
    /// A database of the host's own `tail`, if there is one. Simulations have none.
    pub(crate) fn open_database(&self, path: &Path) -> io::Result<Option<File>> {
        match &self.whose {
            Whose::Kernel => open_plain(path),
            #[cfg(test)]
            Whose::Simulated(_) => Ok(None),
        }
    }

    /// A file of ours at `path`. What else stands there is counted in `strangers`.
    pub(crate) fn own(&self, path: &Path, strangers: &Metric) -> Own {
        match &self.whose {
            Whose::Kernel => Own::Kernel(OwnFile::at(path).counted(strangers)),
            #[cfg(test)]
            Whose::Simulated(fs) => Own::Simulated(fs.clone(), path.to_owned()),
        }
    }
}

impl Own {
    pub(crate) fn path(&self) -> &Path {
        match self {
            Own::Kernel(file) => file.path(),
            #[cfg(test)]
            Own::Simulated(_, path) => path,
        }
    }

    /// Opens it for reading; `None`: there is none.
    pub(crate) fn open(&self) -> io::Result<Option<OwnHandle>> {
        match self {
            Own::Kernel(file) => Ok(file.open()?.map(OwnHandle::Kernel)),
            #[cfg(test)]
            Own::Simulated(fs, path) => match fs.open_own(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                opened => Ok(Some(OwnHandle::Simulated(opened?))),
            },
        }
    }

    /// Opens it for reading and writing, or makes an empty one.
    pub(crate) fn open_or_make(&self) -> io::Result<OwnHandle> {
        match self {
            Own::Kernel(file) => file.open_or_make().map(OwnHandle::Kernel),
            #[cfg(test)]
            Own::Simulated(fs, path) => match fs.open_own(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    fs.make_own(path).map(OwnHandle::Simulated)
                }
                opened => opened.map(OwnHandle::Simulated),
            },
        }
    }

    /// Makes an empty one in the place of what is there.
    pub(crate) fn make(&self) -> io::Result<OwnHandle> {
        match self {
            Own::Kernel(file) => file.make().map(OwnHandle::Kernel),
            #[cfg(test)]
            Own::Simulated(fs, path) => fs.make_own(path).map(OwnHandle::Simulated),
        }
    }

    /// Replaces it in one step by what `write` writes.
    pub(crate) fn replace(
        &self,
        durability: Durability,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        match self {
            Own::Kernel(file) => file.replace(PRIVATE, durability, |file| write(file)),
            #[cfg(test)]
            Own::Simulated(fs, path) => {
                let beside = path.with_extension("tmp");
                let done = fs
                    .make_own(&beside)
                    .and_then(|mut file| write(&mut file))
                    .and_then(|()| fs.rename_own(&beside, path));
                if done.is_err() {
                    let _ = fs.unlink_own(&beside);
                }
                done
            }
        }
    }

    /// Gives it another ending, over whatever is there under that name; returns the new path.
    pub(crate) fn set_aside(&self, suffix: &str) -> io::Result<PathBuf> {
        match self {
            Own::Kernel(file) => file.set_aside(suffix),
            #[cfg(test)]
            Own::Simulated(fs, path) => {
                let aside = path.with_extension(suffix.trim_start_matches('.'));
                fs.rename_own(path, &aside)?;
                Ok(aside)
            }
        }
    }
}

impl OwnHandle {
    pub(crate) fn metadata(&self) -> io::Result<Metadata> {
        match self {
            OwnHandle::Kernel(file) => file.metadata().map(Metadata::from),
            #[cfg(test)]
            OwnHandle::Simulated(file) => file.metadata(),
        }
    }

    /// Takes its lock, which lasts as long as it is open. `false`: another one has it.
    pub(crate) fn try_lock(&self) -> io::Result<bool> {
        match self {
            OwnHandle::Kernel(file) => {
                match flock(file, FlockOperation::NonBlockingLockExclusive) {
                    Ok(()) => Ok(true),
                    Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
                    Err(error) => Err(error.into()),
                }
            }
            // A simulation has one instance at a time.
            #[cfg(test)]
            OwnHandle::Simulated(_) => Ok(true),
        }
    }

    /// Waits until what was written has reached the disk.
    pub(crate) fn sync_data(&self) -> io::Result<()> {
        match self {
            OwnHandle::Kernel(file) => file.sync_data(),
            #[cfg(test)]
            OwnHandle::Simulated(_) => Ok(()),
        }
    }
}

impl Read for OwnHandle {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            OwnHandle::Kernel(file) => file.read(buffer),
            #[cfg(test)]
            OwnHandle::Simulated(file) => file.read(buffer),
        }
    }
}

impl Write for OwnHandle {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            OwnHandle::Kernel(file) => file.write(bytes),
            #[cfg(test)]
            OwnHandle::Simulated(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            OwnHandle::Kernel(file) => file.flush(),
            #[cfg(test)]
            OwnHandle::Simulated(file) => file.flush(),
        }
    }
}
