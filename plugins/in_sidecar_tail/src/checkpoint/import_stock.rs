//! Taking over from the host's own `tail`: its database gives the first positions.
//!
//! The database is never opened itself, only a copy, so that going back to `tail` finds it as it
//! was left. The copy lies in a folder that only we can look into.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use flb_sidecar_sdk::event::Timestamp;
use flb_sidecar_sdk::own_file::{open_plain, OwnFolder};
use flb_sidecar_sdk::{InputHost, StockPosition, Why};
use tracing::{info, warn};

use crate::checkpoint::entry::Entry;
use crate::checkpoint::store::{with_suffix, Store};
use crate::fs::Fs;
use crate::track::fingerprint::{Fingerprint, Identity, Print};

/// Bytes of the database, and of its log, that are copied: ten thousand files are three million.
const MOST: u64 = 64 << 20;

/// The positions in the stock database at `db`, when there is no state of our own yet. `lines`: files
/// have a newline's byte behind each line.
pub(crate) fn positions(
    fs: &Fs,
    db: &Path,
    store: &Store,
    lines: bool,
    host: &dyn InputHost,
) -> Vec<Entry> {
    if store.is_there() {
        return Vec::new();
    }
    let file = match fs.open_database(db) {
        Ok(Some(file)) => file,
        Ok(None) => return Vec::new(),
        Err(error) => {
            warn!("{}: cannot be taken over: {}", db.display(), Why(&error));
            return Vec::new();
        }
    };
    let read = copy_database(file, db).map(|(folder, copy)| {
        let rows = host.stock_positions(&folder.path_of(copy));
        drop(folder);
        rows
    });
    match read {
        Ok(Some(rows)) => {
            info!("{}: {} positions are taken over", db.display(), rows.len());
            rows.into_iter().map(|row| entry(fs, row, lines)).collect()
        }
        Ok(None) => {
            warn!(
                "{}: cannot be read, so files are read from where read_from_head says",
                db.display()
            );
            Vec::new()
        }
        Err(error) => {
            warn!("{}: cannot be taken over: {}", db.display(), Why(&error));
            Vec::new()
        }
    }
}

/// Copies a database and its write-ahead log; the folder with them, and the name of the copy.
fn copy_database(file: File, db: &Path) -> io::Result<(OwnFolder, &'static str)> {
    let folder = OwnFolder::make(&with_suffix(db, ".sidecar.takeover"))?;
    copy(file, &folder, "db")?;
    if let Some(log) = open_plain(&with_suffix(db, "-wal"))? {
        copy(log, &folder, "db-wal")?;
    }
    Ok((folder, "db"))
}

fn copy(from: File, folder: &OwnFolder, name: &str) -> io::Result<()> {
    let mut to = folder.make_file(name)?;
    let copied = io::copy(&mut from.take(MOST + 1), &mut to)?;
    if copied > MOST {
        let text = format!("it has more than {MOST} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
    }
    Ok(())
}

fn entry(fs: &Fs, row: StockPosition, lines: bool) -> Entry {
    let path: Arc<Path> = Path::new(OsStr::from_bytes(&row.path)).into();
    // The stock tail keeps the inode alone; the file that has it now tells the rest.
    let metadata = fs.metadata(&path).ok().filter(|m| m.ino() == row.inode);
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
        fingerprint: Fingerprint {
            offset: row.offset,
            // It keeps ends of lines, and little else that would tell of an inode used again.
            tail: Print::of(if lines && row.offset > 0 { b"\n" } else { b"" }),
            ..Fingerprint::default()
        },
        rotated: false,
        seen: u64::from(Timestamp::now().seconds),
        rare: None,
    }
}
