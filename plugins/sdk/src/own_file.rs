//! Files that we write or keep: state, journal, lock, report, ready file.
//!
//! They may lie in a folder that others write to, too. So each is opened relative to its folder's
//! handle, as a plain file of ours: no link is followed, nothing waits for a FIFO's other end, and
//! what is written comes under a name of its own first. What else stands at one of our names is
//! moved aside, or removed if there is nothing in it to be lost; that is said, and counted.

mod folder;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{FileType, Mode, OFlags, RenameFlags, Stat};
use rustix::io::Errno;
use tracing::warn;

use crate::metrics::Metric;
use folder::Folder;

/// Mode of what nobody else has to read.
pub const PRIVATE: u32 = 0o600;
/// Mode of what a probe or another container reads.
pub const READABLE: u32 = 0o644;

/// How often a name is tried that somebody else keeps taking.
const ATTEMPTS: usize = 4;
/// Bytes of a name that stay in front of an ending of ours: names have at most 255.
const LONGEST_NAME: usize = 200;

/// How much of a file must have reached the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Durability {
    /// Nothing: the kernel writes it when it likes.
    None,
    /// What is in the file, before it takes the place of the old one.
    Content,
    /// That, and that it has taken the old one's place.
    Name,
}

/// What stands at one of our names and is no plain file of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stranger {
    /// Nothing is lost with it: a link, a FIFO, a socket.
    Empty(&'static str),
    /// A folder or somebody's file.
    Full(&'static str),
}

impl Stranger {
    fn what(self) -> &'static str {
        match self {
            Stranger::Empty(what) | Stranger::Full(what) => what,
        }
    }
}

/// Folders with logs that are read: those are not what stands in our way, but what we are here for.
static READ: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// As long as it lives, no file of ours takes the place of the folder, nor of one above it.
#[derive(Debug)]
pub struct ReadFolder(PathBuf);

impl ReadFolder {
    /// The folder need not be there yet.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        let place = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        lock_read().push(place.clone());
        ReadFolder(place)
    }
}

impl Drop for ReadFolder {
    fn drop(&mut self) {
        let mut all = lock_read();
        if let Some(at) = all.iter().position(|place| *place == self.0) {
            all.swap_remove(at);
        }
    }
}

fn lock_read() -> MutexGuard<'static, Vec<PathBuf>> {
    READ.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_read(path: &Path) -> bool {
    let place = path.canonicalize();
    let place = place.as_deref().unwrap_or(path);
    lock_read().iter().any(|read| read.starts_with(place))
}

/// Something else stands at one of our names, and stays there.
#[derive(Debug)]
struct InTheWay(String);

impl std::fmt::Display for InTheWay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InTheWay {}

fn in_the_way(text: String) -> io::Error {
    io::Error::other(InTheWay(text))
}

/// Whether an error says that somebody put something else where a file of ours belongs: no reason
/// to refuse a start, since that is what they may want.
#[must_use]
pub fn is_in_the_way(error: &io::Error) -> bool {
    let inner = error.get_ref();
    inner
        .and_then(|inner| inner.downcast_ref::<InTheWay>())
        .is_some()
}

/// Opens a plain file of anybody for reading, where no link leads to it; `None`: there is nothing.
///
/// # Errors
/// When it is something else, or cannot be opened.
pub fn open_plain(path: &Path) -> io::Result<Option<File>> {
    let (folder, name) = folder_of(path)?;
    let what = match folder.open_file(&name, OFlags::RDONLY) {
        Ok((file, stat)) => match stranger(&stat, None) {
            None => return Ok(Some(file)),
            Some(other) => other.what(),
        },
        Err(Errno::NOENT) => return Ok(None),
        Err(error) => match stranger(&folder.stat(&name)?, None) {
            None => return Err(error.into()),
            Some(other) => other.what(),
        },
    };
    Err(in_the_way(format!("it is {what}")))
}

fn folder_of(path: &Path) -> io::Result<(Folder, OsString)> {
    let name = path.file_name();
    let name = name.ok_or_else(|| io::Error::from(Errno::ISDIR))?;
    let folder = path.parent().filter(|p| *p != OsStr::new(""));
    let folder = Folder::open(folder.unwrap_or(Path::new(".")))?;
    Ok((folder, name.to_owned()))
}

/// A folder that only we can look into, for files that others open by their path. It is removed
/// with what is in it when this is dropped.
#[derive(Debug)]
pub struct OwnFolder {
    above: Folder,
    name: OsString,
    inside: Folder,
}

impl OwnFolder {
    /// Makes one at `path`.
    ///
    /// # Errors
    /// When it cannot be made, or what stands there cannot be moved.
    pub fn make(path: &Path) -> io::Result<Self> {
        let place = OwnFile::at(path);
        let (above, name) = place.folder()?;
        place.make_way(&above, &name, true)?;
        let inside = above.create_folder(&name)?;
        Ok(OwnFolder {
            above,
            name,
            inside,
        })
    }

    /// Makes a file in it.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn make_file(&self, name: &str) -> io::Result<File> {
        Ok(self.inside.create(OsStr::new(name), PRIVATE)?)
    }

    /// A path that leads there even if somebody puts another folder in its place.
    #[must_use]
    pub fn path_of(&self, name: &str) -> PathBuf {
        self.inside.path().join(name)
    }
}

impl Drop for OwnFolder {
    fn drop(&mut self) {
        let removed = self.inside.empty().and_then(|()| {
            self.above.remove_folder(&self.name)?;
            Ok(())
        });
        if let Err(error) = removed {
            warn!(
                "{}: it cannot be removed: {error}",
                self.name.to_string_lossy()
            );
        }
    }
}

/// The place of a file of ours.
#[derive(Clone, Debug)]
pub struct OwnFile {
    path: PathBuf,
    /// The user has given this very name, and may have put there what is there.
    named: bool,
    strangers: Metric,
}

impl OwnFile {
    /// A file whose name only we use, such as one with an ending of ours.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        OwnFile {
            path: path.to_owned(),
            named: false,
            strangers: Metric::default(),
        }
    }

    /// A file whose name is the value of an option. In a folder that only root and we can write to,
    /// what else stands there is the user's own: it stays, and is an error.
    #[must_use]
    pub fn named(path: &Path) -> Self {
        OwnFile {
            named: true,
            ..OwnFile::at(path)
        }
    }

    /// Counts in `metric` what else stood at the name.
    #[must_use]
    pub fn counted(mut self, metric: &Metric) -> Self {
        self.strangers = metric.clone();
        self
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens it for reading; `None`: there is none of ours.
    ///
    /// # Errors
    /// When the folder or the file cannot be opened, or what stands there cannot be moved.
    pub fn open(&self) -> io::Result<Option<File>> {
        let (folder, name) = self.folder()?;
        match self.open_in(&folder, &name, OFlags::RDONLY) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => opened,
        }
    }

    /// Reads it; `None`: there is none of ours.
    ///
    /// # Errors
    /// As [`open`](OwnFile::open), and when it has more than `most` bytes.
    pub fn read(&self, most: u64) -> io::Result<Option<Vec<u8>>> {
        let Some(file) = self.open()? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > most {
            let text = format!("it has more than {most} bytes");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
        }
        Ok(Some(bytes))
    }

    /// Opens it for reading and writing, or makes an empty one.
    ///
    /// # Errors
    /// As [`open`](OwnFile::open).
    pub fn open_or_make(&self) -> io::Result<File> {
        let (folder, name) = self.folder()?;
        for _ in 0..ATTEMPTS {
            match self.open_in(&folder, &name, OFlags::RDWR) {
                Ok(Some(file)) => return Ok(file),
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
            match folder.create(&name, PRIVATE) {
                Err(Errno::EXIST) => {}
                made => return Ok(made?),
            }
        }
        Err(self.contested())
    }

    /// Makes an empty one in the place of what is there.
    ///
    /// # Errors
    /// When it cannot be made, or what stands there cannot be moved.
    pub fn make(&self) -> io::Result<File> {
        let (folder, name) = self.folder()?;
        self.make_in(&folder, &name, PRIVATE)
    }

    /// Replaces it in one step by what `write` writes.
    ///
    /// # Errors
    /// When that cannot be written, or what stands there cannot be moved.
    pub fn replace<T>(
        &self,
        mode: u32,
        durability: Durability,
        write: impl FnOnce(&mut File) -> io::Result<T>,
    ) -> io::Result<T> {
        let (folder, name) = self.folder()?;
        let beside = ending(&name, ".tmp");
        let mut file = self.make_in(&folder, &beside, mode)?;
        let done = write(&mut file).and_then(|value| {
            if durability >= Durability::Content {
                file.sync_data()?;
            }
            self.put(&folder, &beside, &name)?;
            Ok(value)
        });
        if done.is_err() {
            // It may have been renamed by then.
            let _ = folder.unlink(&beside);
        }
        let value = done?;
        if durability >= Durability::Name {
            folder.sync()?;
        }
        Ok(value)
    }

    /// Replaces it by `content`. Where nothing can be put in its place, since it is a mount of its
    /// own such as `/dev/termination-log`, or its folder is read-only, it is written over. Returns
    /// what it wrote to, for who wants to have that synced.
    ///
    /// # Errors
    /// As [`replace`](OwnFile::replace).
    pub fn write(&self, mode: u32, content: &[u8]) -> io::Result<File> {
        let write = |file: &mut File| {
            file.write_all(content)?;
            file.try_clone()
        };
        match self.replace(mode, Durability::None, write) {
            Err(error) if is_fixed(&error) => self.write_over(content).map_err(|second| {
                // That it is not there says less than why it cannot be made.
                let missing = second.kind() == io::ErrorKind::NotFound;
                if missing {
                    error
                } else {
                    second
                }
            }),
            done => done,
        }
    }

    /// Removes it, if it is there.
    ///
    /// # Errors
    /// When it stays.
    pub fn remove(&self) -> io::Result<()> {
        let (folder, name) = self.folder()?;
        match folder.stat(&name) {
            Err(Errno::NOENT) => return Ok(()),
            Err(error) => return Err(error.into()),
            Ok(stat) => {
                if let Some(stranger) = stranger(&stat, None) {
                    let what = stranger.what();
                    return Err(in_the_way(format!("it is {what}, so it stays")));
                }
            }
        }
        match folder.unlink(&name) {
            Err(Errno::NOENT) => Ok(()),
            done => Ok(done?),
        }
    }

    /// Gives it another ending, over whatever is there under that name; returns the new path.
    ///
    /// # Errors
    /// When it cannot be renamed.
    pub fn set_aside(&self, suffix: &str) -> io::Result<PathBuf> {
        let (folder, name) = self.folder()?;
        let aside = ending(&name, suffix);
        self.put(&folder, &name, &aside)?;
        Ok(self.path.with_file_name(aside))
    }

    fn folder(&self) -> io::Result<(Folder, OsString)> {
        folder_of(&self.path)
    }

    /// `None`: what was there is out of the way.
    fn open_in(&self, folder: &Folder, name: &OsStr, access: OFlags) -> io::Result<Option<File>> {
        match folder.open_file(name, access) {
            Ok((file, stat)) => match stranger(&stat, Some(folder)) {
                None => {
                    if stat.st_mode & 0o077 != 0 && !self.named {
                        // An older build may have made it; not every filesystem has modes.
                        let _ = rustix::fs::fchmod(&file, Mode::from_raw_mode(PRIVATE));
                    }
                    Ok(Some(file))
                }
                Some(found) => self.clear(folder, name, found).map(|()| None),
            },
            Err(error) => {
                let stat = folder.stat(name)?;
                match stranger(&stat, Some(folder)) {
                    Some(found) => self.clear(folder, name, found).map(|()| None),
                    None => Err(error.into()),
                }
            }
        }
    }

    fn make_in(&self, folder: &Folder, name: &OsStr, mode: u32) -> io::Result<File> {
        for _ in 0..ATTEMPTS {
            match folder.create(name, mode) {
                Err(Errno::EXIST) => self.make_way(folder, name, true)?,
                made => return Ok(made?),
            }
        }
        Err(self.contested())
    }

    /// Gives what is named `from` the name `to`.
    fn put(&self, folder: &Folder, from: &OsStr, to: &OsStr) -> io::Result<()> {
        self.make_way(folder, to, false)?;
        Ok(folder.rename(from, to, RenameFlags::empty())?)
    }

    /// Has nothing stand at `name` that is not ours, or, if it `must_be_free`, nothing at all.
    fn make_way(&self, folder: &Folder, name: &OsStr, must_be_free: bool) -> io::Result<()> {
        let stat = match folder.stat(name) {
            Err(Errno::NOENT) => return Ok(()),
            stat => stat?,
        };
        match stranger(&stat, Some(folder)) {
            Some(found) => self.clear(folder, name, found),
            None if must_be_free => match folder.unlink(name) {
                Err(Errno::NOENT) => Ok(()),
                done => Ok(done?),
            },
            None => Ok(()),
        }
    }

    /// Moves or removes what is not ours, and says so.
    fn clear(&self, folder: &Folder, name: &OsStr, found: Stranger) -> io::Result<()> {
        let what = found.what();
        if matches!(found, Stranger::Full(_)) && is_read(&self.path.with_file_name(name)) {
            let text = format!("it is {what} in which logs are read, so it is left alone");
            return Err(in_the_way(text));
        }
        if self.named && !folder.is_shared() {
            return Err(in_the_way(format!("it is {what}, so it is left alone")));
        }
        let cleared = match found {
            Stranger::Empty(_) => folder.unlink(name).map(|()| None),
            Stranger::Full(_) => move_aside(folder, name).map(Some),
        };
        let path = self.path.with_file_name(name);
        let path = path.display();
        match cleared {
            // Somebody else has moved it.
            Err(Errno::NOENT) => Ok(()),
            Err(error) => {
                self.strangers.add(1);
                let error = io::Error::from(error);
                let text = format!("{path} is {what}, which cannot be moved away: {error}");
                Err(in_the_way(text))
            }
            Ok(aside) => {
                self.strangers.add(1);
                match aside {
                    Some(aside) => {
                        let aside = self.path.with_file_name(aside);
                        warn!("{path} was {what}: it is {} now", aside.display());
                    }
                    None => warn!("{path} was {what}: it is removed"),
                }
                Ok(())
            }
        }
    }

    fn write_over(&self, content: &[u8]) -> io::Result<File> {
        let (folder, name) = self.folder()?;
        let (mut file, stat) = folder.open_file(&name, OFlags::WRONLY)?;
        // Whose it is does not matter: a runtime mounts it for us.
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || stat.st_nlink > 1 {
            return Err(in_the_way("it is no file of its own".to_owned()));
        }
        file.set_len(0)?;
        file.write_all(content)?;
        Ok(file)
    }

    fn contested(&self) -> io::Error {
        in_the_way(format!(
            "{}: somebody else keeps putting something there",
            self.path.display()
        ))
    }
}

/// What something is, if it is no plain file of ours. Without a `folder` its owner does not matter.
fn stranger(stat: &Stat, folder: Option<&Folder>) -> Option<Stranger> {
    Some(match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile if folder.is_none_or(|f| f.is_ours(stat)) => return None,
        FileType::RegularFile => Stranger::Full("a file of another owner"),
        FileType::Directory => Stranger::Full("a folder"),
        FileType::Symlink => Stranger::Empty("a link"),
        FileType::Fifo => Stranger::Empty("a FIFO"),
        FileType::Socket => Stranger::Empty("a socket"),
        _ => Stranger::Full("a device"),
    })
}

/// Gives something a name that nothing has.
fn move_aside(folder: &Folder, name: &OsStr) -> Result<OsString, Errno> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default().as_nanos();
    let aside = ending(name, &format!(".aside-{now:x}"));
    match folder.rename(name, &aside, RenameFlags::NOREPLACE) {
        // Not every filesystem can do that.
        Err(Errno::INVAL | Errno::NOSYS) => folder.rename(name, &aside, RenameFlags::empty())?,
        done => done?,
    }
    Ok(aside)
}

fn ending(name: &OsStr, suffix: &str) -> OsString {
    use std::os::unix::ffi::OsStrExt as _;
    let bytes = name.as_bytes();
    let short = &bytes[..bytes.len().min(LONGEST_NAME)];
    let mut name = OsStr::from_bytes(short).to_owned();
    name.push(suffix);
    name
}

/// Nothing can be put in a file's place, which may be there and writable all the same.
fn is_fixed(error: &io::Error) -> bool {
    let errors = [Errno::BUSY, Errno::ACCESS, Errno::PERM, Errno::ROFS];
    let errors = errors.map(Errno::raw_os_error);
    error.raw_os_error().is_some_and(|e| errors.contains(&e))
}

#[cfg(test)]
mod tests;
