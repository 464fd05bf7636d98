//! Taking over from the host's own `tail`: its database gives the first positions.
//!
//! The database is never opened itself, only a copy, so that going back to `tail` finds it as it
//! was left.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flb_sidecar_sdk::event::Timestamp;
use flb_sidecar_sdk::{InputHost, StockPosition};
use tracing::{info, warn};

use crate::identity::{Clue, Identity, Print};
use crate::state::{Entry, Location};

/// The positions in the stock database at `db`, when there is no state of our own yet. `lines`: files
/// have a newline's byte behind each line.
pub(crate) fn positions(
    db: &Path,
    location: &Location,
    lines: bool,
    host: &dyn InputHost,
) -> Vec<Entry> {
    if location.state().exists() || !db.is_file() {
        return Vec::new();
    }
    let copy = with_suffix(db, ".sidecar.takeover");
    let read = copy_database(db, &copy).map(|()| host.stock_positions(&copy));
    for suffix in ["", "-wal", "-shm"] {
        // Not all of them are there.
        let _ = fs::remove_file(with_suffix(&copy, suffix));
    }
    match read {
        Ok(Some(rows)) => {
            info!("{}: {} positions are taken over", db.display(), rows.len());
            rows.into_iter().map(|row| entry(row, lines)).collect()
        }
        Ok(None) => {
            warn!(
                "{}: cannot be read, so files are read from where read_from_head says",
                db.display()
            );
            Vec::new()
        }
        Err(error) => {
            warn!("{}: cannot be taken over: {error}", db.display());
            Vec::new()
        }
    }
}

fn copy_database(db: &Path, copy: &Path) -> io::Result<()> {
    fs::copy(db, copy)?;
    match fs::copy(with_suffix(db, "-wal"), with_suffix(copy, "-wal")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut text = path.as_os_str().to_owned();
    text.push(suffix);
    text.into()
}

fn entry(row: StockPosition, lines: bool) -> Entry {
    let path: Arc<Path> = Path::new(OsStr::from_bytes(&row.path)).into();
    // The stock tail keeps the inode alone; the file that has it now tells the rest.
    let metadata = fs::metadata(&path).ok().filter(|m| m.ino() == row.inode);
    let identity = match metadata {
        Some(metadata) => Identity::of(&metadata),
        None => Identity {
            device: 0,
            inode: row.inode,
            birth: None,
        },
    };
    Entry {
        path,
        identity,
        clue: Clue {
            offset: row.offset,
            // It keeps ends of lines, and little else that would tell of an inode used again.
            tail: Print::of(if lines && row.offset > 0 { b"\n" } else { b"" }),
            ..Clue::default()
        },
        rotated: false,
        seen: u64::from(Timestamp::now().seconds),
    }
}
