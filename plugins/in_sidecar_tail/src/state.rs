//! The state file: how far each file has been delivered, across restarts.
//!
//! A JSON document with a version, replaced as a whole: written beside, synced, renamed over the
//! old one. A lock file beside it, held for as long as the instance lives, keeps a second reader
//! away; a lock and not a process id, since two sidecars do not share a PID namespace.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::{flock, FlockOperation};
use serde::{Deserialize, Serialize};

use crate::identity::{Clue, Identity, Print};
use crate::options::Sync;

/// Version of the document that this build writes, and the newest that it reads.
const VERSION: u32 = 1;

/// How far one file has been delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) path: PathBuf,
    pub(crate) identity: Identity,
    pub(crate) clue: Clue,
    /// It had been renamed: a last line without a newline is complete.
    pub(crate) rotated: bool,
    /// When a file was last seen for it, in seconds since 1970.
    pub(crate) seen: u64,
}

#[derive(Serialize, Deserialize)]
struct Document {
    version: u32,
    files: Vec<Row>,
}

/// What every version has.
#[derive(Deserialize)]
struct AnyDocument {
    version: u32,
}

#[derive(Serialize, Deserialize)]
struct Row {
    path: Text,
    device: u64,
    inode: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    birth: Option<u64>,
    offset: u64,
    head_length: u16,
    head_hash: u64,
    tail_length: u16,
    tail_hash: u64,
    #[serde(default)]
    rotated: bool,
    seen: u64,
}

/// A path need not be UTF-8.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Text {
    Utf8(String),
    Bytes(Vec<u8>),
}

impl From<&Entry> for Row {
    fn from(entry: &Entry) -> Self {
        Row {
            path: match entry.path.to_str() {
                Some(text) => Text::Utf8(text.to_owned()),
                None => Text::Bytes(entry.path.as_os_str().as_bytes().to_vec()),
            },
            device: entry.identity.device,
            inode: entry.identity.inode,
            birth: entry.identity.birth,
            offset: entry.clue.offset,
            head_length: entry.clue.head.length,
            head_hash: entry.clue.head.hash,
            tail_length: entry.clue.tail.length,
            tail_hash: entry.clue.tail.hash,
            rotated: entry.rotated,
            seen: entry.seen,
        }
    }
}

impl From<Row> for Entry {
    fn from(row: Row) -> Self {
        Entry {
            path: match row.path {
                Text::Utf8(text) => text.into(),
                Text::Bytes(bytes) => OsString::from_vec(bytes).into(),
            },
            identity: Identity {
                device: row.device,
                inode: row.inode,
                birth: row.birth,
            },
            clue: Clue {
                offset: row.offset,
                head: Print {
                    length: row.head_length,
                    hash: row.head_hash,
                },
                tail: Print {
                    length: row.tail_length,
                    hash: row.tail_hash,
                },
            },
            rotated: row.rotated,
            seen: row.seen,
        }
    }
}

/// Why a state file is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unusable {
    /// It is not a state file, or damaged.
    Damaged(String),
    /// A later build wrote it.
    Newer(u32),
}

/// Reads a document.
pub(crate) fn parse(bytes: &[u8]) -> Result<Vec<Entry>, Unusable> {
    let damaged = |error: serde_json::Error| Unusable::Damaged(error.to_string());
    let AnyDocument { version } = serde_json::from_slice(bytes).map_err(damaged)?;
    if version > VERSION {
        return Err(Unusable::Newer(version));
    }
    let document: Document = serde_json::from_slice(bytes).map_err(damaged)?;
    Ok(document.files.into_iter().map(Entry::from).collect())
}

/// Writes a document.
pub(crate) fn render<'a>(entries: impl Iterator<Item = &'a Entry>) -> Vec<u8> {
    let document = Document {
        version: VERSION,
        files: entries.map(Row::from).collect(),
    };
    // Only maps with odd keys and failing writers make this fail, and there are none.
    serde_json::to_vec(&document).unwrap_or_default()
}

/// Where the state of an instance lives.
#[derive(Clone, Debug)]
pub(crate) struct Location {
    state: PathBuf,
    lock: PathBuf,
}

/// The right to use the state, until dropped.
#[derive(Debug)]
pub(crate) struct Lock(#[allow(dead_code, reason = "held, not used")] File);

impl Location {
    /// The state beside the stock tail's database at `db`, which is never touched.
    pub(crate) fn beside(db: &Path) -> Self {
        let with = |suffix: &str| {
            let mut path = db.as_os_str().to_owned();
            path.push(suffix);
            PathBuf::from(path)
        };
        Location {
            state: with(".sidecar"),
            lock: with(".sidecar.lock"),
        }
    }

    pub(crate) fn state(&self) -> &Path {
        &self.state
    }

    /// Whether the state can be written here, and read if it is there.
    pub(crate) fn check(&self) -> io::Result<()> {
        self.open_lock()?;
        if let Err(Unusable::Newer(version)) = self.peek() {
            return Err(io::Error::other(format!(
                "{} has version {version}, this build reads up to version {VERSION}",
                self.state.display()
            )));
        }
        Ok(())
    }

    fn peek(&self) -> Result<Vec<Entry>, Unusable> {
        match fs::read(&self.state) {
            Ok(bytes) => parse(&bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(Unusable::Damaged(error.to_string())),
        }
    }

    fn open_lock(&self) -> io::Result<File> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&self.lock)
    }

    /// `Ok(None)`: another instance has it.
    pub(crate) fn try_lock(&self) -> io::Result<Option<Lock>> {
        let file = self.open_lock()?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Lock(file))),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads the state. One that cannot be used is kept aside, and said to be so.
    pub(crate) fn load(&self) -> (Vec<Entry>, Option<String>) {
        match self.peek() {
            Ok(entries) => (entries, None),
            Err(unusable) => {
                let mut aside = self.state.as_os_str().to_owned();
                aside.push(".damaged");
                let kept = match fs::rename(&self.state, &aside) {
                    Ok(()) => format!("kept as {}", Path::new(&aside).display()),
                    Err(error) => format!("cannot be kept aside: {error}"),
                };
                (Vec::new(), Some(format!("{unusable:?}; {kept}")))
            }
        }
    }

    /// Replaces the state in one step.
    pub(crate) fn save(&self, document: &[u8], sync: Sync) -> io::Result<()> {
        let mut beside = self.state.as_os_str().to_owned();
        beside.push(".tmp");
        let mut file = File::create(&beside)?;
        file.write_all(document)?;
        if sync >= Sync::File {
            file.sync_data()?;
        }
        drop(file);
        fs::rename(&beside, &self.state)?;
        if sync >= Sync::Folder {
            let folder = self.state.parent().filter(|p| *p != OsStr::new(""));
            File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
        }
        Ok(())
    }
}

/// Entries for which no file has been found yet.
#[derive(Debug, Default)]
pub(crate) struct Unclaimed {
    by_inode: HashMap<u64, Vec<Entry>>,
}

impl Unclaimed {
    pub(crate) fn new(entries: Vec<Entry>) -> Self {
        let mut by_inode: HashMap<u64, Vec<Entry>> = HashMap::new();
        for entry in entries {
            by_inode
                .entry(entry.identity.inode)
                .or_default()
                .push(entry);
        }
        Unclaimed { by_inode }
    }

    /// The entry of this file, if one fits; it is taken out.
    pub(crate) fn claim(
        &mut self,
        identity: &Identity,
        mut fits: impl FnMut(&Entry) -> bool,
    ) -> Option<Entry> {
        let entries = self.by_inode.get_mut(&identity.inode)?;
        let at = entries
            .iter()
            .position(|entry| entry.identity.compatible(identity) && fits(entry))?;
        Some(entries.swap_remove(at))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.by_inode.values().flatten()
    }

    /// Takes out those that `out` says.
    pub(crate) fn remove(&mut self, mut out: impl FnMut(&Entry) -> bool) {
        self.by_inode.retain(|_, entries| {
            entries.retain(|entry| !out(entry));
            !entries.is_empty()
        });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_inode.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &[u8], inode: u64) -> Entry {
        Entry {
            path: OsStr::from_bytes(path).into(),
            identity: Identity {
                device: 1,
                inode,
                birth: Some(u64::MAX),
            },
            clue: Clue {
                offset: 77,
                head: Print::of(b"head"),
                tail: Print::of(b"tail"),
            },
            rotated: false,
            seen: 1_700_000_000,
        }
    }

    #[test]
    fn what_is_saved_is_loaded() {
        let dir = tempfile::tempdir().unwrap();
        let location = Location::beside(&dir.path().join("tail.db"));
        assert_eq!(location.load(), (vec![], None));
        let entries = vec![entry(b"/var/log/a.log", 5), entry(b"/var/log/\xff.log", 6)];
        for sync in [Sync::Off, Sync::File, Sync::Folder] {
            location.save(&render(entries.iter()), sync).unwrap();
            assert_eq!(location.load(), (entries.clone(), None));
        }
    }

    #[test]
    fn a_damaged_state_is_kept_aside() {
        let dir = tempfile::tempdir().unwrap();
        let location = Location::beside(&dir.path().join("tail.db"));
        for damaged in [&b""[..], b"{", b"[]", b"{\"version\":1}", b"\xff\x00"] {
            fs::write(location.state(), damaged).unwrap();
            let (entries, said) = location.load();
            assert!(entries.is_empty());
            assert!(said.unwrap().contains(".damaged"));
            let aside = fs::read(dir.path().join("tail.db.sidecar.damaged")).unwrap();
            assert_eq!(aside, damaged);
        }
    }

    #[test]
    fn a_newer_state_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let location = Location::beside(&dir.path().join("tail.db"));
        fs::write(location.state(), br#"{"version":2,"unknown":[]}"#).unwrap();
        let error = location.check().unwrap_err().to_string();
        assert!(error.contains("version 2"), "{error}");
    }

    #[test]
    fn one_reader_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let location = Location::beside(&dir.path().join("tail.db"));
        let lock = location.try_lock().unwrap();
        assert!(lock.is_some());
        assert!(location.try_lock().unwrap().is_none());
        drop(lock);
        assert!(location.try_lock().unwrap().is_some());
    }

    #[test]
    fn states_of_older_builds_are_read() {
        let state = include_bytes!("../tests/states/version-1.json");
        let entries = parse(state).unwrap();
        assert_eq!(
            entries,
            [entry(b"/var/log/a.log", 5), entry(b"/var/log/\xff.log", 6)]
        );
    }
}
