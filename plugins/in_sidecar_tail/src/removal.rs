//! `remove_after`: deletes rotated files that are fully read, delivered and old.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tracing::info;

use crate::counters::Trouble;
use crate::followed::{FileId, Followed, Seen};
use crate::identity::Identity;
use crate::saving::list;
use crate::worker::Worker;

impl Worker {
    /// Whether a file that is read to its end is kept in mind for its removal.
    pub(crate) fn awaits_removal(&self, file: &Followed) -> bool {
        self.options.remove_after.is_some() && file.rotated && file.path.is_some()
    }

    /// Deletes what is old enough.
    pub(crate) fn remove_old(&mut self) {
        let Some(age) = self.options.remove_after else {
            return;
        };
        let old: Vec<FileId> = self
            .files
            .iter()
            .filter(|(_, file)| {
                self.awaits_removal(file)
                    && !file.queued
                    && file.checkpoint >= file.seen.size
                    && is_old(&file.seen, age)
            })
            .map(|(id, _)| *id)
            .collect();
        for id in old {
            self.remove(id, age);
        }
    }

    fn remove(&mut self, id: FileId, age: Duration) {
        let Some(path) = self.files.get(&id).and_then(|f| current_path(f)) else {
            // It was deleted by somebody else, or is where nobody looks.
            self.forget(id);
            return;
        };
        let Ok(metadata) = fs::metadata(&path) else {
            return;
        };
        let seen = Seen::of(&metadata);
        if self
            .files
            .get(&id)
            .is_none_or(|file| seen.size != file.checkpoint)
            || !is_old(&seen, age)
        {
            return;
        }
        match fs::remove_file(&path) {
            Ok(()) => {
                info!(
                    "{}: read, delivered and old, so it is removed",
                    path.display()
                );
                self.counters.removed.add(1);
                self.forget(id);
            }
            Err(error) => {
                let text = format!("cannot be removed: {error}");
                self.trouble(Trouble::Remove, &path, &text);
            }
        }
    }
}

fn is_old(seen: &Seen, age: Duration) -> bool {
    let now = i64::from(flb_sidecar_sdk::event::Timestamp::now().seconds);
    now - seen.modified_second() >= i64::try_from(age.as_secs()).unwrap_or(i64::MAX)
}

/// Where the file is: rotation goes on renaming what nobody follows any more.
fn current_path(file: &Followed) -> Option<PathBuf> {
    let path = file.path.as_ref()?;
    let is_it = |path: &Path| {
        fs::symlink_metadata(path).is_ok_and(|m| m.is_file() && Identity::of(&m) == file.identity)
    };
    if is_it(path) {
        return Some(path.to_path_buf());
    }
    let folder = list(path.parent()?);
    folder
        .get(&file.identity.inode)
        .filter(|path| is_it(path))
        .cloned()
}
