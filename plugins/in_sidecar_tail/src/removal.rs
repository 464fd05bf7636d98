//! `remove_after`: deletes rotated files that are fully read, delivered and old.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use flb_sidecar_sdk::event::Timestamp;
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
        let now = self.time.timestamp();
        let old: Vec<FileId> = self
            .files
            .iter()
            .filter(|(_, file)| {
                self.awaits_removal(file)
                    && !file.queued
                    && file.checkpoint >= file.offset
                    && file.ahead() == 0
                    && is_old(&file.seen, age, now)
            })
            .map(|(id, _)| *id)
            .collect();
        for id in old {
            self.remove(id, age);
        }
    }

    fn forget_gone(&mut self, id: FileId) {
        if let Some(file) = self.files.get_mut(&id) {
            file.matched = false;
        }
        self.forget(id);
    }

    fn remove(&mut self, id: FileId, age: Duration) {
        if self.files.get(&id).is_some_and(|f| is_behind_link(f)) {
            return;
        }
        let Some(path) = self.files.get(&id).and_then(|f| current_path(f)) else {
            // It was deleted by somebody else, or is where nobody looks.
            self.forget_gone(id);
            return;
        };
        let Ok(metadata) = fs::metadata(&path) else {
            return;
        };
        let seen = Seen::of(&metadata);
        if self
            .files
            .get(&id)
            .is_none_or(|file| seen.size != file.seen.size)
            || !is_old(&seen, age, self.time.timestamp())
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
                self.forget_gone(id);
            }
            Err(error) => {
                let text = format!("cannot be removed: {error}");
                self.trouble(Trouble::Remove, &path, &text);
            }
        }
    }
}

fn is_old(seen: &Seen, age: Duration, now: Timestamp) -> bool {
    i64::from(now.seconds) - seen.modified_second()
        >= i64::try_from(age.as_secs()).unwrap_or(i64::MAX)
}

/// Whether the path is still a symbolic link to the file: only the link was renamed.
fn is_behind_link(file: &Followed) -> bool {
    file.path.as_ref().is_some_and(|path| {
        fs::symlink_metadata(path).is_ok_and(|m| m.is_symlink())
            && fs::metadata(path).is_ok_and(|m| Identity::of(&m) == file.identity)
    })
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::steps::{age, Steps};

    #[test]
    fn what_is_behind_a_renamed_link_is_neither_removed_nor_read_again() {
        for target in ["1", "folder/1"] {
            let mut steps = Steps::prepared("*.log", &[("remove_after", "1h")], |dir| {
                fs::create_dir(dir.path().join("folder")).unwrap();
                fs::write(dir.path().join(target), "one\n").unwrap();
                symlink(target, dir.path().join("a.log")).unwrap();
                age(&dir.path().join(target));
            });
            steps.round();
            steps.rename("a.log", "b.log");
            steps.round();
            for file in steps.worker.files.values_mut() {
                file.confirm(4);
            }
            steps.worker.remove_old();
            // Something has the folder listed again.
            steps.append("c.log", "two\n");
            steps.round();
            assert_eq!(steps.lines, ["one", "two"]);
            assert!(steps.path("b.log").exists());
        }
    }
}
