//! Where a state lives: its document, its journal and its lock, each a file of our own.

use std::io::{self, BufWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::checkpoint::entry::{write_changes, write_document, Changes, Entry, Unusable, VERSION};
use crate::checkpoint::load::{self, Limits, Loaded};
use crate::fs::{Fs, Own, OwnHandle};
use crate::host::queue::StateNumber;
use crate::options::Sync;
use crate::source::globs::Globs;
use crate::track::fingerprint::Identity;
use flb_sidecar_sdk::metrics::Metric;
use flb_sidecar_sdk::own_file::Durability;

/// Bytes that are written at once.
const BUFFER: usize = 32 << 10;

/// Where the state of an instance lives.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    state: Own,
    journal: Own,
    lock: Own,
    limits: Limits,
}

/// The right to use the state, until dropped.
#[derive(Debug)]
pub(crate) struct Lock(#[allow(dead_code, reason = "held, not used")] OwnHandle);

impl Store {
    /// The state beside the stock tail's database at `db`, which is never touched, of an instance
    /// that follows so many files at most. What stands at its names and is not ours is counted.
    pub(crate) fn beside(fs: &Fs, db: &Path, files: usize, strangers: &Metric) -> Self {
        let with = |suffix: &str| fs.own(&with_suffix(db, suffix), strangers);
        Store {
            state: with(".sidecar"),
            journal: with(".sidecar.journal"),
            lock: with(".sidecar.lock"),
            limits: Limits::of(files),
        }
    }

    pub(crate) fn state(&self) -> &Path {
        self.state.path()
    }

    /// The folder of the state, where it is not there yet and all that `globs` name is in it: no log is
    /// written before somebody makes it.
    pub(crate) fn folder_to_come(&self, fs: &Fs, globs: &Globs) -> Option<&Path> {
        let folder = self.state().parent()?;
        let missing = fs
            .metadata(folder)
            .is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
        let all = globs.roots().all(|root| root.starts_with(folder));
        // A relative name without a folder is where the host was started.
        (missing && all && folder != Path::new("")).then_some(folder)
    }

    /// How much of it is kept.
    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// Whether there is a state.
    pub(crate) fn is_there(&self) -> bool {
        self.state.open().is_ok_and(|state| state.is_some())
    }

    /// Whether the state can be written here, and read if it is there.
    pub(crate) fn check(&self) -> io::Result<()> {
        self.lock.open_or_make()?;
        let version = self.state.open()?.and_then(load::version_of);
        if let Some(version) = version.filter(|version| *version > VERSION) {
            return Err(io::Error::other(format!(
                "{} has version {version}, this build reads up to version {VERSION}",
                self.state().display()
            )));
        }
        Ok(())
    }

    /// What tells the state from others, by whatever path it is found.
    pub(crate) fn number(&self) -> io::Result<StateNumber> {
        let lock = self.lock.open_or_make()?.metadata()?;
        Ok((lock.dev(), lock.ino()))
    }

    /// `Ok(None)`: another instance has it.
    pub(crate) fn try_lock(&self) -> io::Result<Option<Lock>> {
        let file = self.lock.open_or_make()?;
        if !file.try_lock()? {
            return Ok(None);
        }
        // Somebody may have put another one there meanwhile: that is what the next one locks.
        let now = self.lock.open_or_make()?.metadata()?;
        let ours = file.metadata()?;
        let same = (now.dev(), now.ino()) == (ours.dev(), ours.ino());
        Ok(same.then_some(Lock(file)))
    }

    fn peek(&self) -> Result<Loaded, Unusable> {
        match self.state.open() {
            Ok(Some(document)) => match self.journal.open() {
                Ok(Some(journal)) => load::read(document, journal, self.limits),
                // A journal that cannot be read is as none: that only repeats more.
                _ => load::read(document, io::empty(), self.limits),
            },
            Ok(None) => Ok(Loaded::default()),
            Err(error) => Err(Unusable::Damaged(error.to_string())),
        }
    }

    /// Reads the state. One that cannot be used is kept aside; what is wrong is told. Files that were
    /// followed to the last have been seen until `now`: what was not saved since nothing happened, or
    /// passed while nobody was reading, makes no position older.
    pub(crate) fn load(&self, now: u64) -> (Vec<Entry>, Option<String>) {
        match self.peek() {
            Ok(Loaded {
                mut entries,
                written,
                cut,
            }) => {
                let followed = entries.iter_mut().filter(|entry| entry.seen >= written);
                followed.for_each(|entry| entry.seen = now);
                let text = cut.then(|| {
                    format!(
                        "it has more than {} rows or {} bytes; what is behind them is left out",
                        self.limits.rows, self.limits.bytes
                    )
                });
                (entries, text)
            }
            Err(unusable) => {
                let kept = match self.state.set_aside(".damaged") {
                    Ok(aside) => format!("kept as {}", aside.display()),
                    Err(error) => format!("cannot be kept aside: {error}"),
                };
                let text = format!("{unusable:?}; {kept}; files are read anew");
                (Vec::new(), Some(text))
            }
        }
    }

    /// Replaces the state in one step. The journal of this number goes on from there.
    pub(crate) fn save(
        &self,
        entries: &[Vec<Arc<Entry>>],
        journal: u64,
        sync: Sync,
    ) -> io::Result<()> {
        let durability = match sync {
            Sync::Off => Durability::None,
            Sync::File => Durability::Content,
            Sync::Folder => Durability::Name,
        };
        self.state.replace(durability, |file| {
            let mut out = BufWriter::with_capacity(BUFFER, file);
            write_document(&mut out, entries, journal)?;
            out.flush()
        })
    }

    /// Begins the journal of the document that was just saved.
    pub(crate) fn begin_journal(&self) -> io::Result<Journal> {
        let file = self.journal.make()?;
        Ok(Journal(BufWriter::with_capacity(BUFFER, file)))
    }
}

/// The open journal of the newest document.
#[derive(Debug)]
pub(crate) struct Journal(BufWriter<OwnHandle>);

impl Journal {
    /// Adds a line. After an error nothing may be added: the line may be there in part.
    pub(crate) fn append(&mut self, changes: &Changes, journal: u64, sync: Sync) -> io::Result<()> {
        write_changes(&mut self.0, changes, journal)?;
        self.0.flush()?;
        if sync >= Sync::Folder {
            self.0.get_ref().sync_data()?;
        }
        Ok(())
    }
}

/// Whether the file at `path` is the database at `db`, or what SQLite or we keep beside it. Read as a log
/// it would never end: with every position it is written anew.
pub(crate) fn is_kept(fs: &Fs, db: &Path, path: &Path) -> bool {
    let names = db.file_name().zip(path.file_name());
    let suffix = names.and_then(|(db, name)| name.as_bytes().strip_prefix(db.as_bytes()));
    let Some(suffix) = suffix else {
        return false;
    };
    let of_sqlite = matches!(suffix, b"" | b"-journal" | b"-wal" | b"-shm");
    let ours = suffix == b".sidecar" || suffix.starts_with(b".sidecar.");
    let folder = |path: &Path| {
        let folder = path.parent().filter(|folder| *folder != Path::new(""));
        let metadata = fs.metadata(folder.unwrap_or(Path::new(".")));
        metadata.ok().map(|metadata| Identity::of(&metadata))
    };
    (of_sqlite || ours) && (db.parent() == path.parent() || folder(db) == folder(path))
}

pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut text = path.as_os_str().to_owned();
    text.push(suffix);
    text.into()
}
