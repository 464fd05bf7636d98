//! Flag files: whether they are there, whether they are of this pod, and what they say.
//!
//! Only a flag that is there at the very first look can be stale: what appears or changes later
//! was made by somebody who is alive. A stale flag is older than the pod. The pod's age must
//! survive a restart of this container, so it never comes from our own start; it comes from the
//! birth of a file that the kubelet makes once per pod. Unknown age: the flag is honoured.
//!
//! What was seen once counts, even if it is gone again: its author has said what there is to say.

mod age;
mod code;
mod wanted;

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use crate::config::{FlagConfig, Mode, Stale};
use crate::trigger::{Fired, Trigger};
use age::{age, pod_start};
use code::Code;
use wanted::{Seen, Wanted};

/// How long an empty flag may take to get its exit code.
const CODE_WAIT: Duration = Duration::from_millis(250);
/// Time between two looks at such a flag.
const CODE_LOOK: Duration = Duration::from_millis(20);

/// Outcome of a look.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// Not there.
    Nothing,
    /// There, but its content is still to come: look again after this time.
    Again(Duration),
    /// Enough flags are there.
    Found(Fired),
}

/// The flag files of an instance.
#[derive(Debug)]
pub(crate) struct Flags {
    wanted: Vec<Wanted>,
    mode: Mode,
    stale: Stale,
    wants_code: bool,
    pod_start: Option<SystemTime>,
    looked: bool,
    ignored: HashMap<PathBuf, Identity>,
    empty_since: Option<Instant>,
}

/// What changes when somebody writes or replaces a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    modified: (i64, i64),
    size: u64,
}

impl Identity {
    fn of(meta: &Metadata) -> Self {
        Identity {
            device: meta.dev(),
            inode: meta.ino(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            size: meta.size(),
        }
    }
}

impl Flags {
    /// The flags of `config`. Reads the pod's age, so not for the engine's thread.
    pub(crate) fn new(config: &FlagConfig) -> Self {
        Flags {
            wanted: config
                .patterns
                .iter()
                .map(|text| Wanted::new(text))
                .collect(),
            mode: config.mode,
            stale: config.stale,
            wants_code: config.wants_code,
            pod_start: pod_start(config.pod_start_file.as_deref(), Path::new("/etc/hosts")),
            looked: false,
            ignored: HashMap::new(),
            empty_since: None,
        }
    }

    /// The folders in which flags will appear.
    pub(crate) fn folders(&self) -> impl Iterator<Item = &Path> {
        self.wanted.iter().map(Wanted::folder)
    }

    /// The content matters, so the end of a write is an event too.
    pub(crate) fn wants_code(&self) -> bool {
        self.wants_code
    }

    /// A file of this name may be a flag.
    pub(crate) fn may_match(&self, name: &str) -> bool {
        self.wanted.iter().any(|wanted| wanted.may_match(name))
    }

    /// Looks for the flags.
    pub(crate) fn look(&mut self, now: Instant) -> Look {
        let first = !self.looked;
        self.looked = true;
        for why in self.wanted.iter_mut().filter_map(|w| w.complaint(now)) {
            tracing::warn!("{why}");
        }
        for index in 0..self.wanted.len() {
            self.see(index, first);
        }
        let missing = self.wanted.iter().any(|wanted| wanted.seen.is_empty());
        let found: Vec<(&PathBuf, &Seen)> = self.wanted.iter().flat_map(|w| &w.seen).collect();
        if found.is_empty() || (missing && self.mode == Mode::All) {
            return Look::Nothing;
        }
        let mut fired = Fired::new(Trigger::Flag, describe(&found));
        if self.wants_code {
            let since = *self.empty_since.get_or_insert(now);
            let empty = found.iter().any(|(_, seen)| seen.code == Code::Empty);
            if empty && now.saturating_duration_since(since) < CODE_WAIT {
                return Look::Again(CODE_LOOK);
            }
            for (path, seen) in found {
                match &seen.code {
                    Code::Status(status) => fired.code = fired.code.max(Some(*status)),
                    Code::Empty => {}
                    Code::Unreadable(why) => tracing::warn!(
                        "flag file {}: no exit code in it ({why}), as if it were empty",
                        path.display()
                    ),
                }
            }
        }
        Look::Found(fired)
    }

    /// The kernel has told that a file of this name came into this folder. It may be gone before
    /// anybody looks.
    pub(crate) fn came(&mut self, folder: &Path, name: &OsStr) {
        for wanted in &mut self.wanted {
            if let Some(path) = wanted.flag_at(folder, name) {
                self.ignored.remove(&path);
                wanted.see(path, gone());
            }
        }
    }

    /// Takes in what is there and what is not any more.
    fn see(&mut self, index: usize, first: bool) {
        let mut there = self.wanted[index].find();
        there.retain(|(path, meta)| self.counts(path, meta, first));
        let wanted = &mut self.wanted[index];
        let paths: HashSet<&PathBuf> = there.iter().map(|(path, _)| path).collect();
        let left = wanted.seen.keys().filter(|path| !paths.contains(path));
        for path in left.cloned().collect::<Vec<_>>() {
            wanted.see(path, gone());
        }
        for (path, _) in there {
            let code = match self.wants_code {
                true => code::read(&path),
                false => Code::Empty,
            };
            wanted.see(path, Seen { code, gone: false });
        }
    }

    /// Whether a file that is there is a flag of this pod.
    fn counts(&mut self, path: &Path, meta: &Metadata, first: bool) -> bool {
        if let Some(identity) = self.ignored.get(path) {
            return *identity != Identity::of(meta);
        }
        let stale = first && self.pod_start.is_some_and(|start| age(meta) < start);
        if !stale || self.stale == Stale::Honour {
            return true;
        }
        if self.stale == Stale::Remove {
            match fs::remove_file(path) {
                Ok(()) => {
                    tracing::info!(
                        "flag file {} is older than the pod: removed",
                        path.display()
                    );
                    return false;
                }
                Err(error) => tracing::warn!(
                    "flag file {} is older than the pod but cannot be removed: {error}",
                    path.display()
                ),
            }
        }
        tracing::info!(
            "flag file {} is older than the pod: ignored",
            path.display()
        );
        self.ignored.insert(path.to_owned(), Identity::of(meta));
        false
    }
}

/// A flag that can only be remembered.
fn gone() -> Seen {
    Seen {
        code: Code::Unreadable("it is gone".to_owned()),
        gone: true,
    }
}

fn describe(found: &[(&PathBuf, &Seen)]) -> String {
    let Some((path, seen)) = found.first() else {
        return String::new();
    };
    let first = path.display();
    match (found.len(), seen.gone) {
        (1, false) => format!("{first} is there"),
        (1, true) => format!("{first} was there"),
        (n, _) => format!("{first} and {} more are there", n - 1),
    }
}

#[cfg(test)]
mod tests;
