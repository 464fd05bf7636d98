//! Labelled cases in JSON lines: what must go, what must stay, and how many of each note come out right.
#![allow(dead_code, missing_docs, unreachable_pub)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::{json, Value as Json};

/// One line of a file of cases.
#[derive(Clone, Debug)]
pub struct Labelled {
    /// File and line.
    pub place: String,
    /// The record; a text becomes its field `log`.
    pub record: Json,
    /// Something must go, not stay.
    pub redact: bool,
    /// What must be gone; nothing: the record must have changed.
    pub leaks: Vec<String>,
    pub note: String,
}

/// The cases of a file.
pub fn load(path: &Path) -> Result<Vec<Labelled>, String> {
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let mut cases = Vec::new();
    for (index, line) in text.lines().enumerate().filter(|line| !line.1.is_empty()) {
        let place = format!("{name}:{}", index + 1);
        let case: Json = serde_json::from_str(line).map_err(|error| format!("{place}: {error}"))?;
        let redact = match case["expect"].as_str() {
            Some("redact") => true,
            Some("keep") => false,
            _ => return Err(format!("{place}: expect is neither redact nor keep")),
        };
        let leaks = case["leak"].as_array().into_iter().flatten();
        cases.push(Labelled {
            record: match &case["text"] {
                Json::String(text) => json!({ "log": text }),
                record => record.clone(),
            },
            redact,
            leaks: leaks
                .filter_map(|leak| leak.as_str().map(str::to_owned))
                .collect(),
            note: case["note"].as_str().unwrap_or_default().to_owned(),
            place,
        });
    }
    Ok(cases)
}

fn holds(value: &Json, leak: &str) -> bool {
    match value {
        Json::String(text) => text.contains(leak),
        Json::Array(values) => values.iter().any(|value| holds(value, leak)),
        Json::Object(fields) => fields
            .iter()
            .any(|(name, value)| name.contains(leak) || holds(value, leak)),
        _ => false,
    }
}

impl Labelled {
    /// Whether `after` is what the label wants of the record.
    pub fn is_right(&self, after: &Json) -> bool {
        if !self.redact {
            return *after == self.record;
        }
        if self.leaks.is_empty() {
            return *after != self.record;
        }
        let text = after.to_string();
        let stays = |leak: &String| text.contains(leak) || holds(after, leak);
        !self.leaks.iter().any(stays)
    }
}

/// Right and all of one kind.
#[derive(Clone, Copy, Debug, Default)]
pub struct Score {
    pub right: usize,
    pub all: usize,
}

impl Score {
    fn add(&mut self, right: bool) {
        self.right += usize::from(right);
        self.all += 1;
    }

    /// Of a hundred.
    pub fn percent(self) -> f64 {
        100.0 * self.right as f64 / self.all.max(1) as f64
    }
}

/// What came out.
#[derive(Debug, Default)]
pub struct Report {
    pub redact: Score,
    pub keep: Score,
    files: BTreeMap<String, [Score; 2]>,
    notes: BTreeMap<String, Score>,
    /// The wrong ones: place, note, and what became of the record.
    pub wrong: Vec<String>,
}

impl Report {
    pub fn add(&mut self, case: &Labelled, after: &Json) {
        let right = case.is_right(after);
        let score = if case.redact {
            &mut self.redact
        } else {
            &mut self.keep
        };
        score.add(right);
        let file = case.place.split(':').next().unwrap_or_default().to_owned();
        self.files.entry(file).or_default()[usize::from(case.redact)].add(right);
        self.notes.entry(case.note.clone()).or_default().add(right);
        if !right {
            let label = if case.redact { "leaks" } else { "false" };
            self.wrong
                .push(format!("{label} {} ({}): {after}", case.place, case.note));
        }
    }

    /// A table; `notes`: with every note.
    pub fn table(&self, title: &str, notes: bool) -> String {
        let mut text = String::new();
        let (redact, keep) = (self.redact, self.keep);
        let _ = writeln!(
            text,
            "{title}: redact {} of {} ({:.1} %), keep {} of {} ({:.1} %)",
            redact.right,
            redact.all,
            redact.percent(),
            keep.right,
            keep.all,
            keep.percent()
        );
        for (file, [keep, redact]) in &self.files {
            let _ = writeln!(
                text,
                "  {file}: redact {} of {}, keep {} of {}",
                redact.right, redact.all, keep.right, keep.all
            );
        }
        if notes {
            for (note, score) in &self.notes {
                let _ = writeln!(text, "    {:>4} of {:>4}  {note}", score.right, score.all);
            }
        }
        text
    }
}
