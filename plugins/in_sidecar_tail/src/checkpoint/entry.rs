//! The state file: how far each file has been delivered, across restarts.
//!
//! A JSON document with a version, replaced as a whole: written beside, synced, renamed over the
//! old one. Between two documents changes go into a journal, a line each, so that a crash repeats
//! little: what is kept of ten thousand files is not written whenever one of them grows. A lock
//! file beside them, held for as long as the instance lives, keeps a second reader away; a lock
//! and not a process id, since two sidecars do not share a PID namespace.
//!
//! A line of the journal is the XXH3 of its JSON in 16 hexadecimal digits, a space and the JSON.
//! It names the document that it follows, so lines left over from an older document do no harm,
//! and neither does a build that knows no journal.

use std::borrow::{Borrow, Cow};
use std::ffi::OsStr;
use std::io::{self, Write};
use std::num::NonZeroU64;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};
use xxhash_rust::xxh3::Xxh3;

use crate::read::lines::CutLine;
use crate::track::file::TrackedFile;
use crate::track::fingerprint::{Fingerprint, Identity, Print};

/// Version of the document that this build writes, and the newest that it reads.
pub(crate) const VERSION: u32 = 1;
/// The inode of a file that has none any more.
const NOWHERE: u64 = 0;

/// How far one file has been delivered.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "Row<'_>")]
pub(crate) struct Entry {
    pub(crate) path: Arc<Path>,
    pub(crate) identity: Identity,
    pub(crate) fingerprint: Fingerprint,
    /// It had been renamed: a last line without a newline is complete.
    pub(crate) rotated: bool,
    /// When a file was last seen for it, in seconds since 1970.
    pub(crate) seen: u64,
    /// What few have: there may be a hundred thousand.
    pub(crate) rare: Option<Box<Rare>>,
}

/// What is kept of few files only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rare {
    /// Where the path led, if it was a symbolic link.
    pub(crate) target: Option<Arc<Path>>,
    /// The line that the position is in, if its beginning was passed on.
    pub(crate) cut: Option<CutLine>,
    /// It is compressed, and all of it was read when it was this long; 0: it was not.
    pub(crate) packed: Option<u64>,
}

impl Rare {
    /// `None`: there is nothing of it.
    pub(crate) fn kept(self) -> Option<Box<Self>> {
        (self != Rare::default()).then(|| Box::new(self))
    }
}

impl Entry {
    /// How far a file has been delivered.
    pub(crate) fn of(file: &TrackedFile, seen: u64) -> Self {
        Entry {
            path: file.shown().clone(),
            identity: file.identity,
            fingerprint: Fingerprint {
                offset: file.checkpoint,
                head: file.head.print(),
                tail: file.checkpoint_tail,
            },
            rotated: file.life.is_rotated(),
            seen,
            rare: Rare {
                target: file.target().cloned(),
                cut: file.cut_line(),
                packed: file.packed(),
            }
            .kept(),
        }
    }

    /// The same without its file, which is gone or has begun anew.
    pub(crate) fn without_file(mut self, seen: u64) -> Self {
        self.identity.inode = NOWHERE;
        self.seen = seen;
        self
    }

    /// Where the path led, if it was a symbolic link.
    pub(crate) fn target(&self) -> Option<&Arc<Path>> {
        self.rare.as_ref()?.target.as_ref()
    }

    /// The line that the position is in, if its beginning was passed on.
    pub(crate) fn cut(&self) -> Option<CutLine> {
        self.rare.as_ref()?.cut
    }

    /// How long it was when all of it was read, if it is compressed; 0: not all of it was.
    pub(crate) fn packed(&self) -> Option<u64> {
        self.rare.as_ref()?.packed
    }

    /// It is read on from there, perhaps inside this line.
    pub(crate) fn go_on_at(&mut self, fingerprint: Fingerprint, cut: Option<CutLine>) {
        self.fingerprint = fingerprint;
        let rare = self.rare.take().map_or_else(Rare::default, |rare| *rare);
        self.rare = Rare { cut, ..rare }.kept();
    }

    /// Where the file was: at its path, and where that led.
    pub(crate) fn places(&self) -> impl Iterator<Item = &Path> {
        let places = [Some(&self.path), self.target()];
        places.into_iter().flatten().map(|path| &**path)
    }
}

/// What has changed since a document, or since the changes before these.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Files of which nothing is kept any more.
    pub(crate) gone: Vec<Identity>,
    /// Files of which this is kept now.
    pub(crate) files: Vec<Entry>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[derive(Serialize, Deserialize)]
struct Row<'a> {
    path: Text<'a>,
    device: u64,
    inode: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    birth: Option<NonZeroU64>,
    offset: u64,
    head_length: u16,
    head_hash: u64,
    tail_length: u16,
    tail_hash: u64,
    #[serde(default)]
    rotated: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target: Option<Text<'a>>,
    /// Where the line began that the offset is in, and how many parts of it are before that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cut_line: Option<u64>,
    #[serde(default, skip_serializing_if = "is_none")]
    cut_parts: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    packed: Option<u64>,
    seen: u64,
}

fn is_none(count: &u32) -> bool {
    *count == 0
}

/// A path need not be UTF-8.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Text<'a> {
    Utf8(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
}

fn text_of(path: &Path) -> Text<'_> {
    match path.to_str() {
        Some(text) => Text::Utf8(text.into()),
        None => Text::Bytes(path.as_os_str().as_bytes().into()),
    }
}

impl From<Text<'_>> for Arc<Path> {
    fn from(text: Text<'_>) -> Self {
        match text {
            Text::Utf8(text) => Path::new(&*text).into(),
            Text::Bytes(bytes) => Path::new(OsStr::from_bytes(&bytes)).into(),
        }
    }
}

impl<'a> From<&'a Entry> for Row<'a> {
    fn from(entry: &'a Entry) -> Self {
        Row {
            path: text_of(&entry.path),
            device: entry.identity.device,
            inode: entry.identity.inode,
            birth: entry.identity.birth,
            offset: entry.fingerprint.offset,
            head_length: entry.fingerprint.head.length,
            head_hash: entry.fingerprint.head.hash(),
            tail_length: entry.fingerprint.tail.length,
            tail_hash: entry.fingerprint.tail.hash(),
            rotated: entry.rotated,
            target: entry.target().map(|target| text_of(target)),
            cut_line: entry.cut().map(|line| line.start),
            cut_parts: entry.cut().map_or(0, |line| line.parts),
            packed: entry.packed(),
            seen: entry.seen,
        }
    }
}

impl From<Row<'_>> for Entry {
    fn from(row: Row<'_>) -> Self {
        Entry {
            path: row.path.into(),
            identity: Identity {
                device: row.device,
                inode: row.inode,
                birth: row.birth,
            },
            fingerprint: Fingerprint {
                offset: row.offset,
                head: Print::kept(row.head_length, row.head_hash),
                tail: Print::kept(row.tail_length, row.tail_hash),
            },
            rotated: row.rotated,
            rare: Rare {
                target: row.target.map(Text::into),
                cut: row
                    .cut_line
                    .filter(|start| *start <= row.offset && row.cut_parts > 0)
                    .map(|start| CutLine {
                        start,
                        parts: row.cut_parts,
                    }),
                packed: row.packed,
            }
            .kept(),
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

impl Unusable {
    /// Says where it is damaged, and not what stands there: it may be anything.
    pub(crate) fn damaged(error: &serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        Unusable::Damaged(format!("{:?} at {line}:{column}", error.classify()))
    }
}

/// Writes a document from which the journal of this number goes on. The entries come in pieces.
pub(crate) fn write_document(
    out: &mut dyn Write,
    entries: &[Vec<Arc<Entry>>],
    journal: u64,
) -> serde_json::Result<()> {
    #[derive(Serialize)]
    struct Document<'a> {
        version: u32,
        #[serde(skip_serializing_if = "is_zero")]
        journal: u64,
        #[serde(serialize_with = "rows")]
        files: &'a [Vec<Arc<Entry>>],
    }
    let document = Document {
        version: VERSION,
        journal,
        files: entries,
    };
    serde_json::to_writer(out, &document)
}

/// Writes a line of a journal.
pub(crate) fn write_changes(
    out: &mut dyn Write,
    changes: &Changes,
    journal: u64,
) -> io::Result<()> {
    #[derive(Serialize)]
    struct Line<'a> {
        journal: u64,
        #[serde(skip_serializing_if = "<[_]>::is_empty")]
        gone: &'a [Identity],
        #[serde(serialize_with = "rows")]
        files: &'a [Vec<Entry>],
    }
    let line = Line {
        journal,
        gone: &changes.gone,
        files: std::slice::from_ref(&changes.files),
    };
    // Made twice, since the hash comes first: ten thousand files are megabytes.
    let mut hash = Hash(Xxh3::new());
    let hashed: &mut dyn Write = &mut hash;
    serde_json::to_writer(hashed, &line)?;
    write!(out, "{:016x} ", hash.0.digest())?;
    serde_json::to_writer(&mut *out, &line)?;
    out.write_all(b"\n")
}

/// One row after the other.
fn rows<E: Borrow<Entry>, S: Serializer>(entries: &[Vec<E>], out: S) -> Result<S::Ok, S::Error> {
    out.collect_seq(
        entries
            .iter()
            .flatten()
            .map(|entry| Row::from(entry.borrow())),
    )
}

/// Keeps nothing of what is written but its hash.
struct Hash(Xxh3);

impl Write for Hash {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::fs::Fs;
    use std::fs;

    use flb_sidecar_sdk::metrics::Metric;

    use super::*;
    use crate::checkpoint::load::{self, Limits};
    use crate::checkpoint::store::Store;
    use crate::options::Sync;

    const SEEN: u64 = 1_700_000_000;

    fn parse(document: &[u8], journal: &[u8]) -> Result<Vec<Entry>, Unusable> {
        load::read(document, journal, Limits::of(0)).map(|loaded| loaded.entries)
    }

    fn store(dir: &tempfile::TempDir) -> Store {
        Store::beside(
            &Fs::default(),
            &dir.path().join("tail.db"),
            0,
            &Metric::default(),
        )
    }

    fn entry(path: &[u8], inode: u64) -> Entry {
        Entry {
            path: Path::new(OsStr::from_bytes(path)).into(),
            identity: Identity {
                device: 1,
                inode,
                birth: Some(NonZeroU64::MAX),
            },
            fingerprint: Fingerprint {
                offset: 77,
                head: Print::of(b"head"),
                tail: Print::of(b"tail"),
            },
            rotated: false,
            seen: SEEN,
            rare: None,
        }
    }

    #[test]
    fn what_is_saved_is_loaded() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir);
        assert_eq!(store.load(SEEN), (vec![], None));
        let entries = vec![entry(b"/var/log/a.log", 5), entry(b"/var/log/\xff.log", 6)];
        for sync in [Sync::Off, Sync::File, Sync::Folder] {
            store.save(&[shared(&entries)], 0, sync).unwrap();
            assert_eq!(store.load(SEEN), (entries.clone(), None));
        }
    }

    #[test]
    fn a_damaged_state_is_kept_aside() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir);
        for damaged in [&b""[..], b"{", b"[]", b"{\"version\":1}", b"\xff\x00"] {
            fs::write(store.state(), damaged).unwrap();
            let (entries, said) = store.load(SEEN);
            assert!(entries.is_empty());
            assert!(said.unwrap().contains(".damaged"));
            let aside = fs::read(dir.path().join("tail.db.sidecar.damaged")).unwrap();
            assert_eq!(aside, damaged);
        }
    }

    #[test]
    fn a_newer_state_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir);
        fs::write(store.state(), br#"{"version":2,"unknown":[]}"#).unwrap();
        let error = store.check().unwrap_err().to_string();
        assert!(error.contains("version 2"), "{error}");
    }

    #[test]
    fn one_reader_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir);
        let lock = store.try_lock().unwrap();
        assert!(lock.is_some());
        assert!(store.try_lock().unwrap().is_none());
        drop(lock);
        assert!(store.try_lock().unwrap().is_some());
    }

    fn at(inode: u64, offset: u64) -> Entry {
        let mut entry = entry(b"/var/log/a.log", inode);
        entry.fingerprint.offset = offset;
        entry
    }

    fn sorted(mut entries: Vec<Entry>) -> Vec<(u64, u64)> {
        entries.sort_by_key(|entry| entry.identity.inode);
        let short = |entry: &Entry| (entry.identity.inode, entry.fingerprint.offset);
        entries.iter().map(short).collect()
    }

    fn shared(entries: &[Entry]) -> Vec<Arc<Entry>> {
        entries.iter().cloned().map(Arc::new).collect()
    }

    fn document(entries: &[Entry], journal: u64) -> Vec<u8> {
        let mut document = Vec::new();
        write_document(&mut document, &[shared(entries)], journal).unwrap();
        document
    }

    fn line(gone: &[Entry], files: &[Entry], journal: u64) -> Vec<u8> {
        let changes = Changes {
            gone: gone.iter().map(|entry| entry.identity).collect(),
            files: files.to_vec(),
        };
        let mut line = Vec::new();
        write_changes(&mut line, &changes, journal).unwrap();
        line
    }

    #[test]
    fn the_journal_goes_on_from_its_document_only() {
        let all = document(&[at(1, 10), at(2, 20), at(3, 30)], 7);
        let lines = [
            line(&[], &[at(9, 90)], 6),
            line(&[], &[at(1, 11), at(4, 40)], 7),
            line(&[at(2, 0), at(4, 0)], &[at(4, 41), at(1, 12)], 7),
            line(&[at(3, 0)], &[], 7),
        ];
        let journal = lines.concat();
        assert_eq!(sorted(parse(&all, &journal).unwrap()), [(1, 12), (4, 41)]);
        let without = document(&[at(1, 10)], 0);
        assert_eq!(sorted(parse(&without, &journal).unwrap()), [(1, 10)]);
    }

    #[test]
    fn a_journal_is_read_up_to_where_it_is_torn_or_damaged() {
        let document = document(&[at(1, 10)], 7);
        let lines = [11, 12, 13].map(|offset| line(&[], &[at(1, offset)], 7));
        let journal = lines.concat();
        let ends = [lines[0].len(), lines[0].len() + lines[1].len()];
        for length in 0..journal.len() {
            // A line counts with its last brace; the newline behind it adds nothing.
            let expected = 10
                + ends.iter().filter(|end| length + 1 >= **end).count() as u64
                + u64::from(length + 1 == journal.len());
            let read = parse(&document, &journal[..length]).unwrap();
            assert_eq!(sorted(read), [(1, expected)], "cut at {length}");
        }
        for damaged in 0..journal.len() {
            let mut journal = journal.clone();
            journal[damaged] ^= 1;
            let expected = 10 + ends.iter().filter(|end| damaged >= **end).count() as u64;
            let read = parse(&document, &journal).unwrap();
            assert_eq!(sorted(read), [(1, expected)], "damaged at {damaged}");
        }
    }

    #[test]
    fn states_of_older_builds_are_read() {
        let state = include_bytes!("../../tests/states/version-1.json");
        let expected = [entry(b"/var/log/a.log", 5), entry(b"/var/log/\xff.log", 6)];
        assert_eq!(parse(state, b"").unwrap(), expected);
        let state = include_bytes!("../../tests/states/version-1-journal.json");
        let journal = include_bytes!("../../tests/states/version-1-journal.journal");
        let mut entries = parse(state, journal).unwrap();
        entries.sort_by_key(|entry| entry.identity.inode);
        assert_eq!(entries, expected);
    }
}
