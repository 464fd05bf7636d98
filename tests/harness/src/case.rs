//! Golden cases: `tests/cases/<plugin>/*.json`.

use std::cmp::Reverse;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use flb_sidecar_sdk::event::{self, RecordFormat, RecordKind, Timestamp};
use flb_sidecar_sdk::json;
use serde_json::Value as Json;

use crate::build::root;

/// What a case expects.
#[derive(Clone, Debug)]
pub enum Expect {
    /// These record bodies in this order, their keys in this order, too.
    Bodies(Vec<Json>),
    /// What went in, byte for byte.
    Unchanged,
    /// These bytes.
    Bytes(Vec<u8>),
    /// The start stops, and the message contains this.
    Error(String),
}

/// What a filter is given.
#[derive(Clone, Debug)]
pub enum Given {
    /// Record bodies.
    Records(Vec<Json>),
    /// A chunk, whole or not.
    Bytes(Vec<u8>),
}

/// One case, its files written.
#[derive(Clone, Debug)]
pub struct Case {
    /// File and name.
    pub name: String,
    /// Options in order; a list gives an option several times.
    pub options: Vec<(String, String)>,
    /// Environment of the process.
    pub environment: Vec<(String, String)>,
    /// Tag, where it matters.
    pub tag: Option<String>,
    /// What goes into a filter.
    pub given: Given,
    /// What comes out.
    pub expect: Expect,
}

/// Seconds of the first record of a case; the others count up.
pub const FIRST_SECOND: u32 = 1_700_000_000;
/// Nanoseconds of every record of a case.
pub const NANOS: u32 = 5;

fn plain(value: &Json) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn pairs(value: &Json) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    for (key, value) in value.as_object().into_iter().flatten() {
        match value {
            Json::Array(values) => pairs.extend(values.iter().map(|v| (key.clone(), plain(v)))),
            value => pairs.push((key.clone(), plain(value))),
        }
    }
    pairs
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter_map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok()))
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair.iter().fold(0, |n, d| n << 4 | d))
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Every `{dir}` in a string becomes `dir`, in keys and values.
fn place(value: &Json, dir: &str) -> Json {
    match value {
        Json::String(text) => Json::String(text.replace("{dir}", dir)),
        Json::Array(items) => items.iter().map(|v| place(v, dir)).collect(),
        Json::Object(map) => map
            .iter()
            .map(|(k, v)| (k.replace("{dir}", dir), place(v, dir)))
            .collect(),
        other => other.clone(),
    }
}

/// The case files of a plugin, in the order of their names.
///
/// # Panics
/// When there is none.
pub fn files(plugin: &str) -> Vec<PathBuf> {
    let folder = root().join("tests/cases").join(plugin);
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{} has no cases", folder.display());
    files
}

/// Loads every case of `plugin`; each one's files are written into a folder of its own in `folder`.
///
/// # Panics
/// When a case is not of the documented form.
pub fn load(plugin: &str, folder: &Path) -> Vec<Case> {
    let mut cases = Vec::new();
    for path in files(plugin) {
        let text = fs::read_to_string(&path).expect("a listed file can be read");
        let file: Json = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let stem = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        for raw in file["cases"].as_array().expect("a file has cases") {
            let dir = folder.join(cases.len().to_string());
            fs::create_dir_all(&dir).expect("the folder takes folders");
            cases.push(read(&stem, raw, &dir));
        }
    }
    cases
}

fn read(file: &str, raw: &Json, dir: &Path) -> Case {
    let raw = place(raw, dir.to_str().expect("a plain path"));
    let name = format!(
        "{file}: {}",
        raw["name"].as_str().expect("a case has a name")
    );
    for (path, content) in raw["files"].as_object().into_iter().flatten() {
        let path = dir.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).expect("the folder takes folders");
        }
        let content = match content["hex"].as_str() {
            Some(digits) => unhex(digits),
            None => content
                .as_str()
                .expect("a file has text or {hex}")
                .as_bytes()
                .to_vec(),
        };
        fs::write(path, content).expect("the folder takes files");
    }
    let given = match raw["chunk_hex"].as_str() {
        Some(digits) => Given::Bytes(unhex(digits)),
        None => Given::Records(raw["records"].as_array().cloned().unwrap_or_default()),
    };
    let expect = if let Some(part) = raw["expect_error"].as_str() {
        Expect::Error(part.to_owned())
    } else if let Some(digits) = raw["expect_hex"].as_str() {
        Expect::Bytes(unhex(digits))
    } else if raw["expect_unchanged"] == Json::Bool(true) {
        Expect::Unchanged
    } else {
        let bodies = raw["expect"].as_array();
        Expect::Bodies(
            bodies
                .unwrap_or_else(|| panic!("{name}: no expectation"))
                .clone(),
        )
    };
    Case {
        options: pairs(&raw["options"]),
        environment: pairs(&raw["environment"]),
        tag: raw["tag"].as_str().map(str::to_owned),
        name,
        given,
        expect,
    }
}

/// The records as a chunk.
pub fn encode(records: &[Json], format: RecordFormat) -> Vec<u8> {
    let mut chunk = Vec::new();
    for (seconds, body) in (FIRST_SECOND..).zip(records) {
        event::begin_record(
            &mut chunk,
            format,
            Timestamp {
                seconds,
                nanos: NANOS,
            },
        );
        json::write(&mut chunk, body);
    }
    chunk
}

/// The bodies of all log records.
///
/// # Panics
/// When the chunk is broken.
pub fn bodies(what: &str, chunk: &[u8]) -> Vec<Json> {
    event::records(chunk)
        .map(|record| record.unwrap_or_else(|e| panic!("{what}: broken at byte {}", e.at)))
        .filter(|record| record.kind == RecordKind::Log)
        .map(|record| json::read(chunk, record.body).expect("a whole body").0)
        .collect()
}

impl Case {
    /// Its options as the pipeline wants them.
    pub fn options(&self) -> Vec<(&str, &str)> {
        self.options
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect()
    }

    /// The chunk that goes in.
    pub fn chunk(&self, format: RecordFormat) -> Vec<u8> {
        match &self.given {
            Given::Bytes(bytes) => bytes.clone(),
            Given::Records(records) => encode(records, format),
        }
    }

    /// The bodies that are expected; `None`: the case is about bytes or an error.
    pub fn expected_bodies(&self) -> Option<Vec<Json>> {
        match (&self.expect, &self.given) {
            (Expect::Bodies(bodies), _) => Some(bodies.clone()),
            (Expect::Unchanged, Given::Records(records)) => Some(records.clone()),
            _ => None,
        }
    }

    /// Compares what came out of a filter with what is expected; `chunk` went in.
    ///
    /// # Errors
    /// What differs.
    pub fn compare(&self, chunk: &[u8], out: &[u8]) -> Result<(), String> {
        let bytes = match &self.expect {
            Expect::Bytes(bytes) => bytes.as_slice(),
            Expect::Unchanged => chunk,
            Expect::Bodies(_) => return self.compare_bodies(out),
            Expect::Error(part) => return Err(format!("{}: no error '{part}'", self.name)),
        };
        if out == bytes {
            return Ok(());
        }
        Err(format!(
            "{}:\n  expected {}\n  got      {}",
            self.name,
            hex(bytes),
            hex(out)
        ))
    }

    /// Compares record bodies, for a host that encodes headers anew.
    ///
    /// # Errors
    /// What differs.
    pub fn compare_bodies(&self, out: &[u8]) -> Result<(), String> {
        // As text: equality of objects would ignore the order of keys.
        let expected = Json::from(self.expected_bodies().unwrap_or_default()).to_string();
        let got = Json::from(bodies(&self.name, out)).to_string();
        if expected == got {
            return Ok(());
        }
        Err(format!(
            "{}:\n  expected {expected}\n  got      {got}",
            self.name
        ))
    }

    /// The same for chunks that may have overtaken each other.
    ///
    /// # Errors
    /// What differs.
    pub fn compare_chunks(&self, mut chunks: Vec<Vec<u8>>) -> Result<(), String> {
        let lines =
            |bodies: Vec<Json>| -> Vec<String> { bodies.iter().map(ToString::to_string).collect() };
        let expected = lines(self.expected_bodies().unwrap_or_default());
        let mut rest = expected.as_slice();
        let mut ordered = Vec::new();
        // Where two would do, the longer one: one record may be equal to the first of many.
        chunks.sort_by_key(|chunk| Reverse(chunk.len()));
        while let Some((next, behind)) = chunks.iter().enumerate().find_map(|(n, chunk)| {
            let records = lines(bodies(&self.name, chunk));
            rest.strip_prefix(records.as_slice())
                .map(|behind| (n, behind))
        }) {
            rest = behind;
            ordered.push(chunks.remove(next));
        }
        ordered.append(&mut chunks);
        self.compare_bodies(&ordered.concat())
    }
}
