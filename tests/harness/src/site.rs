//! Logs, the state of their reader, and a destination, all of which outlive a pipeline.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;

use serde_json::Value as Json;

use crate::{Host, Pipeline};

/// A folder with logs, a state, the host's chunks and what was delivered. Every line that is
/// written has a number of its own: `line 0`, `line 1` and so on.
#[derive(Debug)]
pub struct Site {
    folder: tempfile::TempDir,
    written: usize,
}

impl Site {
    /// An empty one.
    ///
    /// # Panics
    /// When there is no place for temporary files.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for name in ["log", "out", "storage"] {
            fs::create_dir(folder.path().join(name)).expect("a fresh folder takes a folder");
        }
        Site { folder, written: 0 }
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_string_lossy().into_owned()
    }

    /// The path of a log.
    pub fn log(&self, name: &str) -> String {
        self.path(&format!("log/{name}"))
    }

    /// How many lines were written.
    pub fn written(&self) -> usize {
        self.written
    }

    /// The next lines, which count as written.
    pub fn lines(&mut self, count: usize) -> String {
        let numbers = self.written..self.written + count;
        self.written += count;
        numbers.map(|number| format!("line {number}\n")).collect()
    }

    /// Appends the next lines to a log.
    ///
    /// # Panics
    /// When the log does not take them.
    pub fn write(&mut self, log: &str, count: usize) {
        let text = self.lines(count);
        self.write_text(log, &text);
    }

    /// Appends any text to a log.
    ///
    /// # Panics
    /// When the log does not take it.
    pub fn write_text(&self, log: &str, text: &str) {
        let mut file = self.open(log);
        file.write_all(text.as_bytes()).expect("a log takes text");
    }

    /// Opens a log for appending; it need not be there.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub fn open(&self, log: &str) -> File {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(self.log(log));
        file.expect("a fresh folder takes a log")
    }

    /// A pipeline with one input that follows `pattern` and keeps positions, without an output.
    pub fn input(
        &self,
        host: &Host,
        input: &str,
        pattern: &str,
        more: &[(&str, &str)],
    ) -> Pipeline {
        let mut pipeline = Pipeline::new(host);
        let (log, db) = (self.log(pattern), self.path("state.db"));
        pipeline
            .input(input, &[("path", &log), ("db", &db)])
            .options(more);
        pipeline
    }

    /// Adds an output that appends to a file: it never syncs, but a killed process loses nothing
    /// that it has written.
    pub fn deliver(&self, pipeline: &mut Pipeline) {
        let out = self.path("out");
        pipeline.output(
            "file",
            "*",
            &[("path", &out[..]), ("file", "out"), ("format", "plain")],
        );
    }

    /// What was delivered.
    pub fn delivered_text(&self) -> String {
        let bytes = fs::read(self.path("out/out")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// How often each line was delivered.
    pub fn delivered(&self) -> BTreeMap<usize, usize> {
        let mut counts = BTreeMap::new();
        for rest in self.delivered_text().split("line ").skip(1) {
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            if let Ok(number) = digits.parse() {
                *counts.entry(number).or_default() += 1;
            }
        }
        counts
    }

    /// Whether every line was delivered.
    pub fn all_delivered(&self) -> bool {
        let counts = self.delivered();
        (0..self.written).all(|line| counts.contains_key(&line))
    }

    /// The lines that were not delivered, and those that were more than once.
    pub fn faults(&self) -> (Vec<usize>, Vec<usize>) {
        let counts = self.delivered();
        let lost = (0..self.written).filter(|line| !counts.contains_key(line));
        let repeated = counts.iter().filter(|(_, count)| **count > 1);
        (lost.collect(), repeated.map(|(line, _)| *line).collect())
    }

    /// How far the state says that the one log is safe: its document, and what the journal adds.
    pub fn saved(&self) -> u64 {
        let offset = |json: &Json| {
            let files = json["files"].as_array().into_iter().flatten();
            files.filter_map(|file| file["offset"].as_u64()).max()
        };
        let read = |name: &str| fs::read_to_string(self.path(name)).unwrap_or_default();
        let document: Json = serde_json::from_str(&read("state.db.sidecar")).unwrap_or(Json::Null);
        let mut saved = offset(&document).unwrap_or(0);
        for line in read("state.db.sidecar.journal").lines() {
            let json = line
                .get(17..)
                .and_then(|json| serde_json::from_str(json).ok());
            let json: Json = json.unwrap_or(Json::Null);
            if json["journal"] == document["journal"] {
                saved = offset(&json).unwrap_or(saved);
            }
        }
        saved
    }

    /// Whether the state covers all of the one log.
    pub fn all_saved(&self, log: &str) -> bool {
        fs::metadata(self.log(log)).is_ok_and(|metadata| metadata.len() == self.saved())
    }

    /// Whether the host has chunk files.
    pub fn has_chunk_files(&self) -> bool {
        let streams = fs::read_dir(self.path("storage")).into_iter().flatten();
        streams.flatten().any(|stream| {
            fs::read_dir(stream.path()).is_ok_and(|mut chunks| chunks.next().is_some())
        })
    }
}

impl Default for Site {
    fn default() -> Self {
        Site::new()
    }
}
