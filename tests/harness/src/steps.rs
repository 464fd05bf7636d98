//! Scripts of what happens to log files, and which lines must come of it: data, played on the pure
//! crate and on real hosts. Used by `#[path]` in the tests of `in_sidecar_tail`, too.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::Value as Json;

/// A script.
#[derive(Clone, Debug)]
pub struct Script {
    /// What it shows.
    pub name: String,
    /// Whose test it is in our words: repository, file, test.
    pub source: String,
    /// Options of every start; `{dir}` is the folder of the logs, `{state}` another one.
    pub options: Vec<(String, String)>,
    steps: Vec<Json>,
}

/// Who runs the input.
pub trait Player {
    /// Starts it with these options.
    fn start(&mut self, options: &[(String, String)]);
    /// Stops it in order.
    fn stop(&mut self);
    /// Waits until the records of all starts so far are as many.
    fn wait_for(&mut self, records: usize);
    /// Those records, without their times.
    fn records(&mut self) -> Vec<Json>;
}

/// The scripts in a folder's files, in the order of their names.
///
/// # Panics
/// When one is not as it must be.
pub fn load(folder: &Path) -> Vec<Script> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("the folder can be read").path())
        .collect();
    files.sort();
    files.iter().flat_map(|file| scripts(file)).collect()
}

fn scripts(file: &Path) -> Vec<Script> {
    let text = fs::read_to_string(file).expect("a file of scripts can be read");
    let json: Json =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let script = |script: &Json| Script {
        name: text_of(&script["name"]).to_owned(),
        source: format!("{} {}", text_of(&json["source"]), text_of(&script["test"])),
        options: pairs(&script["options"])
            .map(|(name, value)| (name.to_owned(), text_of(value).to_owned()))
            .collect(),
        steps: script["steps"]
            .as_array()
            .expect("a script has steps")
            .clone(),
    };
    let all = json["scripts"].as_array().expect("a file has scripts");
    all.iter().map(script).collect()
}

fn text_of(json: &Json) -> &str {
    json.as_str().unwrap_or_else(|| panic!("no text: {json}"))
}

fn pairs(json: &Json) -> impl Iterator<Item = (&str, &Json)> {
    let pairs = json.as_object().into_iter().flatten();
    pairs.map(|(name, value)| (name.as_str(), value))
}

impl Script {
    /// Plays it in two fresh folders: of the logs, and for whatever else.
    ///
    /// # Panics
    /// When other lines come than it says.
    pub fn play(&self, logs: &Path, state: &Path, player: &mut dyn Player) {
        let mut stage = Stage {
            logs,
            writers: HashMap::new(),
        };
        let place = |text: &str| {
            let text = text.replace("{dir}", &logs.to_string_lossy());
            text.replace("{state}", &state.to_string_lossy())
        };
        let mut expected: Vec<Json> = Vec::new();
        for step in &self.steps {
            let (what, about) = pairs(step).next().expect("a step says what");
            match what {
                "start" => {
                    let more = pairs(about).map(|(n, v)| (n.to_owned(), text_of(v).to_owned()));
                    let options = self.options.iter().cloned().chain(more);
                    let options: Vec<_> = options.map(|(n, v)| (n, place(&v))).collect();
                    player.start(&options);
                }
                // What is said to come may come with the stop only.
                "stop" => player.stop(),
                _ => stage.act(what, about),
            }
            if matches!(what, "come" | "stop") {
                let lines = about.as_array().map_or(&[][..], Vec::as_slice);
                let lines = lines.iter().map(|line| placed(line, &place));
                expected.extend(lines);
                player.wait_for(expected.len());
                self.compare(&expected, &player.records());
            }
        }
        player.stop();
        self.compare(&expected, &player.records());
    }

    fn compare(&self, expected: &[Json], records: &[Json]) {
        let sorted = |records: &[Json]| {
            let mut records: Vec<_> = records.iter().map(|r| ordered(short(r))).collect();
            records.sort();
            records
        };
        let (records, expected) = (sorted(records), sorted(expected));
        assert_eq!(records, expected, "{} ({})", self.name, self.source);
    }
}

/// A record as scripts have it: only its line, if there is nothing else in it.
fn short(record: &Json) -> &Json {
    match record.as_object() {
        Some(pairs) if pairs.len() == 1 => record.get("log").unwrap_or(record),
        _ => record,
    }
}

/// Its text with the keys in order: hosts print them in theirs.
fn ordered(record: &Json) -> String {
    let sorted: Option<BTreeMap<_, _>> = record.as_object().map(|pairs| pairs.iter().collect());
    sorted.map_or_else(|| record.to_string(), |pairs| format!("{pairs:?}"))
}

fn placed(json: &Json, place: &impl Fn(&str) -> String) -> Json {
    match json {
        Json::String(text) => place(text).into(),
        Json::Object(pairs) => {
            let pairs = pairs.iter().map(|(k, v)| (k.clone(), placed(v, place)));
            pairs.collect()
        }
        other => other.clone(),
    }
}

/// The logs, and the writers that hold them open.
struct Stage<'a> {
    logs: &'a Path,
    writers: HashMap<String, File>,
}

impl Stage<'_> {
    fn path(&self, name: &str) -> PathBuf {
        self.logs.join(name)
    }

    /// One step: its first word, and each file with what it is about.
    fn act(&mut self, what: &str, about: &Json) {
        for (name, value) in pairs(about) {
            let path = self.path(name);
            match what {
                "write" => fs::write(&path, content(value)).expect("there is room"),
                "append" => {
                    let mut file = OpenOptions::new().append(true).create(true).open(&path);
                    let file = file.as_mut().expect("the file can be opened");
                    file.write_all(&content(value)).expect("there is room");
                }
                "rename" => fs::rename(&path, self.path(text_of(value))).expect("it is there"),
                "copy" => {
                    fs::copy(&path, self.path(text_of(value))).expect("it is there");
                }
                "truncate" => {
                    let file = OpenOptions::new().write(true).open(&path);
                    let length = value.as_u64().expect("a length");
                    file.and_then(|file| file.set_len(length))
                        .expect("it is there");
                }
                "remove" => fs::remove_file(&path).expect("it is there"),
                "folder" => fs::create_dir(&path).expect("it is new"),
                // The name points to the other one, also if it pointed somewhere else before.
                "link" => {
                    let new = self.path("a link that is new");
                    std::os::unix::fs::symlink(self.path(text_of(value)), &new).expect("it is new");
                    fs::rename(new, &path).expect("one folder");
                }
                "age" => {
                    let seconds = value.as_u64().expect("seconds");
                    let then = SystemTime::now() - Duration::from_secs(seconds);
                    let file = OpenOptions::new().append(true).open(&path);
                    file.and_then(|file| file.set_modified(then))
                        .expect("it is there");
                }
                // A writer by the name of the first, on the file of the second.
                "open" => {
                    let mut how = OpenOptions::new();
                    how.append(true).create(true);
                    let file = how.open(self.path(text_of(value))).expect("a file");
                    self.writers.insert(name.to_owned(), file);
                }
                "through" => {
                    let writer = self.writers.get_mut(name).expect("a writer of this name");
                    writer.write_all(&content(value)).expect("there is room");
                }
                "come" | "because" => {}
                other => panic!("no step: {other}"),
            }
        }
    }
}

fn content(value: &Json) -> Vec<u8> {
    let Some(digits) = value["hex"].as_str() else {
        return text_of(value).as_bytes().to_vec();
    };
    let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal digits");
    (0..digits.len()).step_by(2).map(byte).collect()
}
