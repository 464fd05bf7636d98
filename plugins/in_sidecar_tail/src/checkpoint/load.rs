//! Reading a state: what others may have written must cost neither much memory nor much time.
//!
//! A document is taken in row by row, up to so many rows and bytes; what is behind that is left out
//! and said to be. A row that never ends is damage.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::Deserialize;
use xxhash_rust::xxh3::xxh3_64;

use crate::checkpoint::entry::{Entry, Unusable, VERSION};
use crate::map::HashMap;
use crate::track::fingerprint::Identity;

/// Bytes of one row at most: a path has 4,096, and at worst six letters stand for each.
const LONGEST_ROW: usize = 64 << 10;
/// Bytes of a row at most besides the path.
const ROW: usize = 280;
/// Where the version stands, however the document is written.
const HEAD: u64 = 4096;

/// How much of a state is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) rows: usize,
    /// Of the document, and of a line of the journal.
    pub(crate) bytes: u64,
}

impl Limits {
    /// For an instance that follows so many files at most.
    pub(crate) fn of(files: usize) -> Self {
        // As many again may have been let go, and come back.
        let rows = files.saturating_mul(2).max(100_000);
        Limits {
            rows,
            bytes: (rows as u64).saturating_mul(320),
        }
    }

    /// As many of these, in their order, as are read again.
    pub(crate) fn of_these(
        self,
        entries: impl Iterator<Item = Arc<Entry>>,
    ) -> impl Iterator<Item = Arc<Entry>> {
        let mut bytes = HEAD;
        entries.take(self.rows).take_while(move |entry| {
            // At worst six letters stand for a byte of the path; that is a rare name.
            bytes += (ROW + entry.path.as_os_str().len()) as u64;
            bytes <= self.bytes
        })
    }

    /// Bytes of the whole journal: every line of it may have every file.
    fn journal(self) -> u64 {
        self.bytes.saturating_mul(8)
    }
}

/// What a state holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Loaded {
    pub(crate) entries: Vec<Entry>,
    /// When the document was written, in seconds since 1970: what is as new as that was followed then.
    pub(crate) written: u64,
    /// There is more than may be read.
    pub(crate) cut: bool,
}

/// The version of a document, if its head tells.
pub(crate) fn version_of(document: impl Read) -> Option<u32> {
    let mut head = Vec::new();
    document.take(HEAD).read_to_end(&mut head).ok()?;
    let mut version = None;
    let only = Version(&mut version);
    let _ = only.deserialize(&mut serde_json::Deserializer::from_slice(&head));
    version
}

/// Reads a document, and brings it up to date with the journal.
pub(crate) fn read(
    document: impl Read,
    journal: impl Read,
    limits: Limits,
) -> Result<Loaded, Unusable> {
    let mut read = Document {
        version: None,
        journal: 0,
        entries: None,
        most: limits.rows,
        full: false,
    };
    let bounded = Bounded {
        inner: document,
        left: limits.bytes,
        row: 0,
    };
    let mut json = serde_json::Deserializer::from_reader(BufReader::new(bounded));
    let result = read.deserialize(&mut json).and_then(|()| json.end());
    if let Some(version) = read.version.filter(|version| *version > VERSION) {
        return Err(Unusable::Newer(version));
    }
    let mut cut = read.full;
    if let Err(error) = result {
        cut |= error.io_error_kind() == Some(io::ErrorKind::FileTooLarge);
        if !cut || read.version.is_none() {
            return Err(Unusable::damaged(&error));
        }
    }
    let mut entries = read.entries.unwrap_or_default();
    let newer = changes(journal, read.journal, limits);
    let written = entries.iter().map(|entry| entry.seen).max().unwrap_or(0);
    entries.retain(|entry| !newer.contains_key(&entry.identity));
    entries.extend(newer.into_values().flatten().map(|entry| Entry {
        // The clock may have been set back since.
        seen: entry.seen.max(written),
        ..entry
    }));
    entries.truncate(limits.rows);
    Ok(Loaded {
        entries,
        written,
        cut,
    })
}

/// What the journal of this number has changed.
fn changes(journal: impl Read, number: u64, limits: Limits) -> HashMap<Identity, Option<Entry>> {
    let mut newer: HashMap<Identity, Option<Entry>> = HashMap::default();
    let mut journal = BufReader::new(journal.take(limits.journal()));
    let mut line = Vec::new();
    while newer.len() <= limits.rows {
        line.clear();
        let length = (&mut journal)
            .take(limits.bytes)
            .read_until(b'\n', &mut line);
        // What comes after a damaged line builds on it: repeating is better than losing.
        let Some(line) = length.ok().and_then(|_| read_line(&line)) else {
            break;
        };
        if line.journal == number {
            newer.extend(line.gone.into_iter().map(|gone| (gone, None)));
            let files = line.files.into_iter();
            newer.extend(files.map(|entry| (entry.identity, Some(entry))));
        }
    }
    newer
}

#[derive(Deserialize)]
struct Line {
    journal: u64,
    #[serde(default)]
    gone: Vec<Identity>,
    files: Vec<Entry>,
}

fn read_line(line: &[u8]) -> Option<Line> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let (hash, json) = line.split_at_checked(16)?;
    let hash = u64::from_str_radix(std::str::from_utf8(hash).ok()?, 16).ok()?;
    let json = json
        .strip_prefix(b" ")
        .filter(|json| xxh3_64(json) == hash)?;
    let bounded = Bounded {
        inner: json,
        left: u64::MAX,
        row: 0,
    };
    serde_json::from_reader(BufReader::new(bounded)).ok()
}

/// Passes on so many bytes, and so many between the ends of two rows.
struct Bounded<R> {
    inner: R,
    left: u64,
    row: usize,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer
            .len()
            .min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let length = self.inner.read(&mut buffer[..most])?;
        if length == 0 && most == 0 && !buffer.is_empty() && self.inner.read(&mut [0])? > 0 {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.left -= length as u64;
        let text = &buffer[..length];
        self.row = match memchr::memrchr(b'}', text) {
            Some(at) => length - at,
            None => self.row + length,
        };
        if self.row > LONGEST_ROW {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(length)
    }
}

/// The version of a document, and nothing else of it.
struct Version<'a>(&'a mut Option<u32>);

impl<'de> DeserializeSeed<'de> for Version<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Version<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a state")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            if key == "version" {
                *self.0 = Some(map.next_value()?);
                return Ok(());
            }
            map.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

/// A document as far as it is read.
struct Document {
    version: Option<u32>,
    /// Number of the journal that goes on from here; 0: there is none.
    journal: u64,
    entries: Option<Vec<Entry>>,
    most: usize,
    /// There are more rows than may be read.
    full: bool,
}

impl<'de> DeserializeSeed<'de> for &mut Document {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut Document {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a state")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "version" => {
                    let version = map.next_value()?;
                    self.version = Some(version);
                    if version > VERSION {
                        return Err(A::Error::custom("a newer version"));
                    }
                }
                "journal" => self.journal = map.next_value()?,
                "files" => {
                    let rows = Rows {
                        entries: self.entries.get_or_insert_default(),
                        most: self.most,
                        full: &mut self.full,
                    };
                    map.next_value_seed(rows)?;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        if self.version.is_none() || self.entries.is_none() {
            return Err(A::Error::custom("no version or no files"));
        }
        Ok(())
    }
}

/// The rows of a document.
struct Rows<'a> {
    entries: &'a mut Vec<Entry>,
    most: usize,
    full: &'a mut bool,
}

impl<'de> DeserializeSeed<'de> for Rows<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Rows<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(entry) = seq.next_element()? {
            if self.entries.len() == self.most {
                *self.full = true;
                return Err(A::Error::custom("too many rows"));
            }
            self.entries.push(entry);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Limits = Limits {
        rows: 3,
        bytes: 100_000,
    };

    fn row(inode: u64) -> String {
        format!(
            r#"{{"path":"/a","device":1,"inode":{inode},"offset":1,"head_length":0,"head_hash":0,"tail_length":0,"tail_hash":0,"seen":1}}"#
        )
    }

    fn document(rows: &[String]) -> String {
        format!(r#"{{"version":1,"files":[{}]}}"#, rows.join(","))
    }

    fn inodes(loaded: &Loaded) -> Vec<u64> {
        loaded.entries.iter().map(|e| e.identity.inode).collect()
    }

    #[test]
    fn rows_beyond_the_limit_are_left_out_and_that_is_told() {
        for (count, cut) in [(2, false), (3, false), (4, true), (1000, true)] {
            let rows: Vec<String> = (0..count).map(row).collect();
            let loaded = read(document(&rows).as_bytes(), &b""[..], SMALL).unwrap();
            assert_eq!(loaded.cut, cut, "{count}");
            assert_eq!(inodes(&loaded), (0..count.min(3)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn bytes_beyond_the_limit_are_left_out_and_that_is_told() {
        let rows: Vec<String> = (0..1000).map(row).collect();
        let text = document(&rows);
        for bytes in [40, 200, 1000, text.len() as u64 - 1, text.len() as u64] {
            let limits = Limits { rows: 1000, bytes };
            let loaded = read(text.as_bytes(), &b""[..], limits).unwrap();
            assert_eq!(loaded.cut, bytes < text.len() as u64);
            let whole = text[..bytes as usize].matches("\"seen\":1}").count() as u64;
            assert_eq!(inodes(&loaded), (0..whole).collect::<Vec<_>>(), "{bytes}");
        }
    }

    #[test]
    fn a_row_without_an_end_is_damage() {
        let long = "a".repeat(LONGEST_ROW);
        let numbers = "1,".repeat(LONGEST_ROW);
        let deep = "[".repeat(LONGEST_ROW);
        let blank = " ".repeat(2 * LONGEST_ROW);
        for text in [
            format!(r#"{{"version":1,"files":[{{"path":"{long}"#),
            format!(r#"{{"version":1,"files":[{{"path":[{numbers}1]"#),
            format!(r#"{{"version":1,"files":{deep}"#),
            format!(r#"{{"version":1,{blank}"files":[]}}"#),
        ] {
            let limits = Limits {
                rows: 10,
                bytes: u64::MAX,
            };
            let result = read(text.as_bytes(), &b""[..], limits);
            assert!(matches!(result, Err(Unusable::Damaged(_))), "{result:?}");
        }
    }

    #[test]
    fn what_is_damaged_is_not_quoted() {
        for text in [
            r#"{"version":"secret","files":[]}"#,
            r#"{"version":1,"files":[{"path":"/a","device":"secret"}]}"#,
            r#"{"version":1,"files":"secret"}"#,
            "secret",
        ] {
            let result = read(text.as_bytes(), &b""[..], SMALL);
            let Err(Unusable::Damaged(said)) = result else {
                panic!("{text}");
            };
            assert!(!said.contains("secret"), "{said}");
        }
    }

    #[test]
    fn a_journal_is_bounded_too() {
        use crate::checkpoint::entry::{write_changes, Changes};
        let mut journal = Vec::new();
        let entry = |inode| {
            let rows = document(&[row(inode)]);
            let loaded = read(rows.as_bytes(), &b""[..], SMALL).unwrap();
            loaded.entries.into_iter().next().unwrap()
        };
        for inode in 10..1000 {
            let changes = Changes {
                gone: vec![],
                files: vec![entry(inode)],
            };
            write_changes(&mut journal, &changes, 0).unwrap();
        }
        let text = document(&[row(1)]);
        let loaded = read(text.as_bytes(), journal.as_slice(), SMALL).unwrap();
        assert_eq!(loaded.entries.len(), SMALL.rows);
        // One without an end.
        let endless = io::repeat(b'x').take(u64::MAX);
        let loaded = read(text.as_bytes(), endless, SMALL).unwrap();
        assert_eq!(inodes(&loaded), [1]);
    }

    #[test]
    fn the_version_stands_at_the_head() {
        let newer = r#"{"version":2,"unknown":[]}"#;
        assert_eq!(version_of(newer.as_bytes()), Some(2));
        assert_eq!(version_of(document(&[row(1)]).as_bytes()), Some(1));
        assert_eq!(version_of(io::repeat(b' ').take(u64::MAX)), None);
        assert_eq!(version_of(&b"secret"[..]), None);
        assert_eq!(
            read(newer.as_bytes(), &b""[..], SMALL),
            Err(Unusable::Newer(2))
        );
    }
}
