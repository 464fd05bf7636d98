//! Notices that the host's own `tail` reads beside us: what both follow is delivered twice.
//!
//! One of this process is seen in the configuration, whichever begins first. One of another process
//! is known by the lock that SQLite holds on a database as long as it is open, in any container of
//! this machine. Only files that no `tail` of this process has may be opened for that: closing one
//! gives up every lock that the process has on it.

use std::path::{Path, PathBuf};

use flb_sidecar_sdk::{ConfigError, InputHost, StockTail};
use rustix::process::{fcntl_getlk, Flock, FlockType};
use tracing::warn;

use crate::fs::Fs;
use crate::source::globs::Globs;

/// Where SQLite puts its locks: `PENDING_BYTE` of its file format, and as many bytes as it uses.
const LOCKS: (u64, u64) = (0x4000_0000, 512);

/// What an instance follows, as it was written and as it was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Followed<'a> {
    pub(crate) paths: &'a [&'a str],
    pub(crate) excludes: &'a [&'a str],
    pub(crate) globs: &'a Globs,
}

/// Looks for one that follows the same files, or has the same `db`.
///
/// # Errors
/// One of this process does both.
pub(crate) fn check(
    ours: Followed<'_>,
    db: Option<&Path>,
    fs: &Fs,
    host: &dyn InputHost,
) -> Result<(), ConfigError> {
    let mut here = false;
    for tail in host.stock_tails() {
        let name = &tail.name;
        let shared = db.filter(|db| tail.db.as_deref().is_some_and(|theirs| same(db, theirs)));
        let path = common(ours, &tail);
        match (shared, path) {
            (Some(db), Some(path)) => {
                return Err(ConfigError::value(
                    "db",
                    &db.to_string_lossy(),
                    format_args!(
                        "a path that the input '{name}' does not have: it is a tail, follows \
                         '{path}', too, and would deliver every line a second time; take it out"
                    ),
                ));
            }
            (Some(db), None) => {
                here = true;
                warn!(
                    "{}: the input '{name}', a tail, has it, too: a file that both follow is delivered twice",
                    db.display()
                );
            }
            (None, Some(path)) => {
                warn!("the input '{name}', a tail, follows '{path}', too: its lines are delivered twice");
            }
            (None, None) => {}
        }
    }
    if let Some((db, user)) = db
        .filter(|_| !here)
        .and_then(|db| Some((db, user(fs, db)?)))
    {
        warn!(
            "{}: {user} has it open: if that is a tail that follows the same files, their lines are delivered twice",
            db.display()
        );
    }
    Ok(())
}

/// A pattern of `tail` that finds files of ours for certain.
fn common<'a>(ours: Followed<'_>, tail: &'a StockTail) -> Option<&'a str> {
    let excludes: Vec<&str> = words(&tail.exclude_path).collect();
    words(&tail.path).find(|text| {
        let Ok(theirs) = Globs::parse(&[text], &excludes) else {
            return false;
        };
        let same = |path: &&str| Path::new(path) == Path::new(text);
        ours.excludes == excludes && ours.paths.iter().any(same)
            // One of them is a file's own path.
            || ours.globs.matches(text.as_ref()) && theirs.matches(text.as_ref())
            || ours.paths.iter().map(Path::new).any(|path| theirs.matches(path) && ours.globs.matches(path))
    })
}

fn words(list: &str) -> impl Iterator<Item = &str> {
    let words = list.split(',').map(str::trim);
    words.filter(|word| !word.is_empty())
}

/// Whether two paths are those of one file, be it there or not.
fn same(one: &Path, other: &Path) -> bool {
    real(one) == real(other)
}

fn real(path: &Path) -> PathBuf {
    let whole = std::fs::canonicalize(path);
    let whole = whole.or_else(|error| {
        let folder = path.parent().filter(|folder| *folder != Path::new(""));
        let folder = std::fs::canonicalize(folder.unwrap_or(Path::new(".")))?;
        path.file_name().map(|name| folder.join(name)).ok_or(error)
    });
    whole.unwrap_or_else(|_| path.to_owned())
}

/// Another process that has the database at `db` open, in words.
fn user(fs: &Fs, db: &Path) -> Option<String> {
    let file = fs.open_database(db).ok()??;
    let mut any = Flock::from(FlockType::WriteLock);
    (any.start, any.length) = LOCKS;
    let held = fcntl_getlk(file, &any).ok()??;
    // A number only in the same container: elsewhere it says nothing.
    let pid = held.pid.map(|pid| pid.as_raw_nonzero().get());
    Some(match pid.filter(|pid| *pid > 0) {
        Some(pid) => format!("process {pid}"),
        None => "a process of another container".to_owned(),
    })
}
