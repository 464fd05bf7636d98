//! Paths that cannot be meant: a folder where a file is to be, one place for two files, and files of ours
//! that would count as flags, of this instance or of another one of the same engine.
//!
//! Places are compared, not spellings: links and `..` in the folder of a path are followed as far as it is
//! there. The last name is taken as it is, since no link there is followed later either.

use std::path::{Component, Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use flb_sidecar_sdk::ConfigError;
use glob::{MatchOptions, Pattern};

use super::Config;

/// As files are looked for.
const MATCH: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: false,
};

/// What the living instances of this process have claimed.
static CLAIMS: Mutex<Vec<(u64, Claimed)>> = Mutex::new(Vec::new());

/// The files that we write, by their options.
pub(super) fn all(config: &Config) -> impl Iterator<Item = (&'static str, &Path)> {
    let all = [
        ("report_file", &config.report_file),
        ("ready_file", &config.ready_file),
        ("healthy_file", &config.healthy_file),
    ];
    let wanted = all.map(|(option, path)| path.as_deref().map(|path| (option, path)));
    wanted.into_iter().flatten()
}

pub(super) fn check(config: &Config) -> Result<(), ConfigError> {
    for flag in flags(config) {
        names_a_file("flag_file", flag)?;
    }
    for (option, path) in all(config) {
        names_a_file(option, &path.to_string_lossy())?;
    }
    let mut others = Claimed::default();
    for own in Claimed::of(config).files {
        others.check_file(&own, "")?;
        others.files.push(own);
    }
    for flag in Claimed::of(config).flags {
        if let Some(own) = others.files.iter().find(|own| flag.finds(&own.place)) {
            return Err(own.is_flag(&flag.given, ""));
        }
    }
    Ok(())
}

fn flags(config: &Config) -> impl Iterator<Item = &str> {
    let flags = config.flags.iter().flat_map(|flags| &flags.patterns);
    flags.map(String::as_str)
}

/// What a variable leaves that is not set, in `/logs/${FLAG}`, is a folder, and that is there from the start.
fn names_a_file(option: &str, text: &str) -> Result<(), ConfigError> {
    let last = text.rsplit('/').next().unwrap_or_default();
    if matches!(last, "" | "." | "..") {
        let allowed = "the path of a file, not of a folder";
        return Err(ConfigError::value(option, text, allowed));
    }
    Ok(())
}

/// A file that we write.
#[derive(Clone, Debug)]
struct OwnFile {
    option: &'static str,
    given: String,
    place: PathBuf,
}

impl OwnFile {
    /// `whose`: the instance that has the flag.
    fn is_flag(&self, flag: &str, whose: &str) -> ConfigError {
        let allowed = format!("a path that is no flag; {whose}flag_file {flag} would find it");
        ConfigError::value(self.option, &self.given, allowed)
    }
}

/// A path or a glob of flags.
#[derive(Clone, Debug)]
struct Flag {
    given: String,
    place: PathBuf,
    globs: Vec<Pattern>,
}

impl Flag {
    fn new(given: &str) -> Self {
        // Folders in front of the first wildcard may be links.
        let wild = given.find(['*', '?', '[']).unwrap_or(given.len());
        let folder = given[..wild].rfind('/').map_or("", |at| &given[..=at]);
        let resolved = resolved(Path::new(if folder.is_empty() { "." } else { folder }));
        let resolved = Pattern::escape(&resolved.to_string_lossy());
        let elsewhere = format!(
            "{}/{}",
            resolved.trim_end_matches('/'),
            &given[folder.len()..]
        );
        let globs = [given, &elsewhere].map(Pattern::new);
        Flag {
            given: given.to_owned(),
            place: place(Path::new(given)),
            globs: globs.into_iter().flatten().collect(),
        }
    }

    fn finds(&self, place: &Path) -> bool {
        let mut globs = self.globs.iter();
        self.place == place || globs.any(|glob| glob.matches_path_with(place, MATCH))
    }
}

/// What one instance writes and waits for.
#[derive(Clone, Debug, Default)]
struct Claimed {
    engine: usize,
    instance: String,
    files: Vec<OwnFile>,
    flags: Vec<Flag>,
}

impl Claimed {
    fn of(config: &Config) -> Self {
        let files = all(config).map(|(option, path)| OwnFile {
            option,
            given: path.to_string_lossy().into_owned(),
            place: place(path),
        });
        Claimed {
            files: files.collect(),
            flags: flags(config).map(Flag::new).collect(),
            ..Claimed::default()
        }
    }

    /// Whether `file` of another instance, or another file of this one, is none of these. `whose`: of the
    /// instance that has these.
    fn check_file(&self, file: &OwnFile, whose: &str) -> Result<(), ConfigError> {
        if let Some(other) = self.files.iter().find(|other| other.place == file.place) {
            let allowed = format!("a path of its own; {whose}{} has this one", other.option);
            return Err(ConfigError::value(file.option, &file.given, allowed));
        }
        match self.flags.iter().find(|flag| flag.finds(&file.place)) {
            Some(flag) => Err(file.is_flag(&flag.given, whose)),
            None => Ok(()),
        }
    }
}

/// The places of an instance, until it is dropped.
#[derive(Debug)]
pub(crate) struct Claim(u64);

impl Claim {
    /// Refuses places that another instance of the same `engine` has. Those of another engine are of one
    /// that is being replaced by a reload, and may end later.
    pub(crate) fn make(
        config: &Config,
        instance: &str,
        engine: usize,
    ) -> Result<Self, ConfigError> {
        let ours = Claimed {
            engine,
            instance: instance.to_owned(),
            ..Claimed::of(config)
        };
        let mut claims = CLAIMS.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, other) in claims.iter().filter(|(_, other)| other.engine == engine) {
            let whose = format!("{}'s ", other.instance);
            for file in &ours.files {
                other.check_file(file, &whose)?;
            }
            for flag in &ours.flags {
                if let Some(file) = other.files.iter().find(|file| flag.finds(&file.place)) {
                    let allowed =
                        format!("a path that is no {} of {}", file.option, other.instance);
                    return Err(ConfigError::value("flag_file", &flag.given, allowed));
                }
            }
        }
        let number = claims.last().map_or(0, |(number, _)| number + 1);
        claims.push((number, ours));
        Ok(Claim(number))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut claims = CLAIMS.lock().unwrap_or_else(PoisonError::into_inner);
        claims.retain(|(number, _)| *number != self.0);
    }
}

/// Where a file of this path is.
fn place(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    let folder = resolved(folder.unwrap_or(Path::new(".")));
    path.file_name()
        .map_or(folder.clone(), |name| folder.join(name))
}

/// A folder without links and `..`; what is not there yet goes by its name.
fn resolved(folder: &Path) -> PathBuf {
    let mut place = std::env::current_dir().unwrap_or_default();
    for part in folder.components() {
        match part {
            Component::Prefix(_) | Component::CurDir => {}
            Component::RootDir => place = PathBuf::from("/"),
            // No link is left in front of it.
            Component::ParentDir => {
                place.pop();
            }
            Component::Normal(name) => {
                place.push(name);
                place = place.canonicalize().unwrap_or(place);
            }
        }
    }
    place
}

#[cfg(test)]
#[path = "own_files_tests.rs"]
mod tests;
