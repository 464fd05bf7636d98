//! Flag files: whether they are there, whether they are of this pod, and what they say.
//!
//! Only a flag that is there at the very first look can be stale: what appears or changes later
//! was made by somebody who is alive. A stale flag is older than the pod. The pod's age must
//! survive a restart of this container, so it never comes from our own start; it comes from the
//! birth of a file that the kubelet makes once per pod. Unknown age: the flag is honoured.

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use glob::Pattern;
use rustix::fs::{AtFlags, StatxFlags, CWD};

use flb_sidecar_sdk::{foreign_file, Why};

use crate::config::{self, FlagConfig, Mode, Stale};
use crate::trigger::{Fired, Trigger};

/// How long an empty flag may take to get its exit code.
const CODE_WAIT: Duration = Duration::from_millis(250);
/// Time between two looks at such a flag.
const CODE_LOOK: Duration = Duration::from_millis(20);
/// First words of `/etc/hosts` where the kubelet made it.
const KUBELET_HOSTS: &[u8] = b"# Kubernetes-managed hosts file";

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

#[derive(Debug)]
struct Wanted {
    text: String,
    path: PathBuf,
    glob: bool,
    /// Of the last component, for events.
    name: Pattern,
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
        self.wanted.iter().any(|wanted| wanted.name.matches(name))
    }

    /// Looks for the flags.
    pub(crate) fn look(&mut self, now: Instant) -> Look {
        let first = !self.looked;
        self.looked = true;
        if first {
            for why in self.wanted.iter().filter_map(Wanted::blind) {
                tracing::warn!("{why}");
            }
        }
        let mut found: Vec<PathBuf> = Vec::new();
        let mut missing = false;
        for index in 0..self.wanted.len() {
            let there: Vec<PathBuf> = self.wanted[index]
                .find()
                .into_iter()
                .filter(|(path, meta)| self.counts(path, meta, first))
                .map(|(path, _)| path)
                .collect();
            missing |= there.is_empty();
            found.extend(there);
        }
        if found.is_empty() || (missing && self.mode == Mode::All) {
            return Look::Nothing;
        }
        let mut fired = Fired::new(Trigger::Flag, describe(&found));
        if self.wants_code {
            let codes: Vec<Code> = found.iter().map(|path| read_code(path)).collect();
            let since = *self.empty_since.get_or_insert(now);
            if codes.contains(&Code::Empty) && now.saturating_duration_since(since) < CODE_WAIT {
                return Look::Again(CODE_LOOK);
            }
            for (path, code) in found.iter().zip(&codes) {
                match code {
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

impl Wanted {
    /// Why this flag would not be seen now.
    fn blind(&self) -> Option<String> {
        let (folder, text) = (self.folder(), &self.text);
        let seen = if self.glob {
            fs::read_dir(folder).map(drop)
        } else {
            fs::symlink_metadata(&self.path).map(drop)
        };
        let error = seen.err()?;
        if error.kind() != io::ErrorKind::NotFound {
            return Some(format!(
                "flag file {text} cannot be looked for: {}",
                Why(&error)
            ));
        }
        let folder = Some(folder).filter(|folder| !folder.exists())?.display();
        Some(format!(
            "flag file {text}: the folder {folder} is not there yet"
        ))
    }

    fn new(text: &str) -> Self {
        let path = PathBuf::from(text);
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let glob = text.contains(['*', '?', '[']);
        Wanted {
            text: text.to_owned(),
            // The options were checked; a pattern that cannot be read matches as it stands.
            name: if glob { Pattern::new(&name).ok() } else { None }
                .or_else(|| Pattern::new(&Pattern::escape(&name)).ok())
                .unwrap_or_default(),
            glob,
            path,
        }
    }

    /// The folder of the file; of a glob the last folder without wildcards.
    fn folder(&self) -> &Path {
        let mut folder = self.path.parent().unwrap_or(Path::new(""));
        while self.glob && folder.to_string_lossy().contains(['*', '?', '[']) {
            folder = folder.parent().unwrap_or(Path::new(""));
        }
        if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            folder
        }
    }

    /// What is there. A link that leads nowhere counts: somebody made it.
    fn find(&self) -> Vec<(PathBuf, Metadata)> {
        refresh(self.folder());
        let there = |path: PathBuf| {
            let meta = fs::symlink_metadata(&path).ok()?;
            Some((path, meta))
        };
        if !self.glob {
            return there(self.path.clone()).into_iter().collect();
        }
        glob::glob(&self.text)
            .into_iter()
            .flatten()
            .filter_map(Result::ok)
            .filter_map(there)
            .collect()
    }
}

/// Makes a network file system ask its server about `folder`: otherwise a file that was missing
/// stays missing for as long as the folder's attributes are cached, up to a minute on NFS.
fn refresh(folder: &Path) {
    // No folder yet, or no statx here: the look itself tells.
    let _ = rustix::fs::statx(
        CWD,
        folder,
        AtFlags::STATX_FORCE_SYNC,
        StatxFlags::MTIME | StatxFlags::CTIME,
    );
}

/// When the file was made or written last. The time of the last change of the inode is no help:
/// a volume with `fsGroup` gets new owners when it is mounted.
fn age(meta: &Metadata) -> SystemTime {
    let modified = meta.modified().unwrap_or_else(|_| SystemTime::now());
    birth(meta).map_or(modified, |birth| birth.max(modified))
}

/// Some file systems answer with the epoch.
fn birth(meta: &Metadata) -> Option<SystemTime> {
    meta.created().ok().filter(|birth| *birth > UNIX_EPOCH)
}

/// When the pod started: the birth of `configured` (its last change where the file system has no
/// births), or of the kubelet's `/etc/hosts`, which later container starts only write again.
fn pod_start(configured: Option<&Path>, hosts: &Path) -> Option<SystemTime> {
    if let Some(path) = configured {
        let start =
            fs::metadata(path).and_then(|meta| birth(&meta).map_or_else(|| meta.modified(), Ok));
        return start
            .inspect_err(|error| {
                tracing::warn!(
                    "pod_start_file {}: {error}; the pod's age is unknown, every flag counts",
                    path.display()
                );
            })
            .ok();
    }
    let mut head = Vec::new();
    let mut file = File::open(hosts).ok()?;
    file.by_ref()
        .take(KUBELET_HOSTS.len() as u64)
        .read_to_end(&mut head)
        .ok()?;
    if head != KUBELET_HOSTS {
        return None;
    }
    birth(&file.metadata().ok()?)
}

#[derive(Debug, PartialEq, Eq)]
enum Code {
    Empty,
    Status(u8),
    Unreadable(String),
}

fn read_code(path: &Path) -> Code {
    let read = || -> io::Result<String> {
        // Only regular files: opening a pipe would wait for its writer.
        let mut text = Vec::new();
        foreign_file::open(path)?.take(64).read_to_end(&mut text)?;
        Ok(String::from_utf8_lossy(&text).trim().to_owned())
    };
    match read() {
        Ok(text) if text.is_empty() => Code::Empty,
        // What it holds instead may be anybody's secret: the flag can be a link to it.
        Ok(text) => config::status(&text).map_or_else(
            || Code::Unreadable("it holds no status from 0 to 255".to_owned()),
            Code::Status,
        ),
        Err(error) => Code::Unreadable(error.to_string()),
    }
}

fn describe(found: &[PathBuf]) -> String {
    let first = found
        .first()
        .map_or_else(String::new, |path| path.display().to_string());
    match found.len() {
        0 | 1 => format!("{first} is there"),
        n => format!("{first} and {} more are there", n - 1),
    }
}

#[cfg(test)]
#[path = "flag_tests.rs"]
mod tests;
