//! One `flag_file`: where it is looked for, what was seen of it, and why it may not be seen.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use glob::Pattern;
use rustix::fs::{AtFlags, StatxFlags, CWD};

use flb_sidecar_sdk::Why;

use super::code::Code;

/// Flags kept of one pattern; it is satisfied by one.
const KEPT: usize = 10_000;
/// How soon it is said again that a flag would not be seen; then twice that, and so on.
const SAID_AGAIN: Duration = Duration::from_secs(60);
/// Longest time until it is said again.
const SAID_AGAIN_MOST: Duration = Duration::from_secs(3600);

/// A flag that is or was there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// What it held last.
    pub(super) code: Code,
    /// Somebody has removed it since.
    pub(super) gone: bool,
}

/// A path or a glob that is waited for.
#[derive(Debug)]
pub(super) struct Wanted {
    text: String,
    path: PathBuf,
    glob: bool,
    /// Of the last component, for events.
    name: Pattern,
    /// What is here counts, even if it is there no longer.
    pub(super) seen: BTreeMap<PathBuf, Seen>,
    blind: Option<Blind>,
}

/// What was said about a flag that cannot be seen.
#[derive(Debug)]
struct Blind {
    said: String,
    again: Instant,
    pause: Duration,
}

impl Wanted {
    pub(super) fn new(text: &str) -> Self {
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
            seen: BTreeMap::new(),
            blind: None,
        }
    }

    /// The folder of the file; of a glob the last folder without wildcards.
    pub(super) fn folder(&self) -> &Path {
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

    /// A file of this name may be a flag.
    pub(super) fn may_match(&self, name: &str) -> bool {
        self.name.matches(name)
    }

    /// The flag that a file of this name in this folder is.
    pub(super) fn flag_at(&self, folder: &Path, name: &OsStr) -> Option<PathBuf> {
        let parent = self.path.parent().unwrap_or(Path::new(""));
        let here = parent.as_os_str().is_empty() && folder == Path::new(".");
        // Behind a folder with wildcards nothing is watched.
        let direct = parent == self.folder() && parent == folder || here;
        (direct && self.name.matches(&name.to_string_lossy())).then(|| parent.join(name))
    }

    /// What is there. A link that leads nowhere counts: somebody made it.
    pub(super) fn find(&self) -> Vec<(PathBuf, Metadata)> {
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

    /// A flag was seen. What it held stays known when it cannot be read any more.
    pub(super) fn see(&mut self, path: PathBuf, now: Seen) {
        let full = self.seen.len() >= KEPT;
        match self.seen.get_mut(&path) {
            Some(before) => {
                before.gone = now.gone;
                let unread = matches!(now.code, Code::Unreadable(_));
                if !(unread && matches!(before.code, Code::Status(_))) {
                    before.code = now.code;
                }
            }
            None if full => {}
            None => {
                self.seen.insert(path, now);
            }
        }
    }

    /// Why this flag would not be seen now.
    pub(super) fn blind(&self) -> Option<String> {
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

    /// What is to be said of that now: a new reason at once, an old one now and then, since whoever
    /// looks at the log of a Job that does not end looks at its last lines.
    pub(super) fn complaint(&mut self, now: Instant) -> Option<String> {
        let Some(why) = self.blind() else {
            self.blind = None;
            return None;
        };
        let pause = match &self.blind {
            Some(blind) if blind.said == why && now < blind.again => return None,
            Some(blind) if blind.said == why => (blind.pause * 2).min(SAID_AGAIN_MOST),
            _ => SAID_AGAIN,
        };
        self.blind = Some(Blind {
            said: why.clone(),
            again: now + pause,
            pause,
        });
        Some(why)
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
