//! `remove_after`: deletes rotated files that are fully read, delivered and old.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use flb_sidecar_sdk::event::Timestamp;
use tracing::info;

use crate::checkpoint::folder::list;
use crate::counters::Trouble;
use crate::fs::{Fs, Metadata};
use crate::track::file::{FileId, Seen, TrackedFile};
use crate::track::files::Files;
use crate::track::fingerprint::Identity;
use crate::track::names::may_be_at;
use crate::track::transition::Observation;

/// Deletes what is old enough.
pub(crate) fn remove_old(files: &mut Files) {
    let Some(age) = files.ctx.options.remove_after else {
        return;
    };
    let now = files.ctx.time.timestamp();
    let old: Vec<FileId> = files
        .registry
        .iter()
        .filter(|(_, file)| {
            files.awaits_removal(file)
                && !file.life.waits_for_turn()
                && file.checkpoint >= file.offset
                && file.ahead() == 0
                && is_old(file.seen.modified_second(), age, now)
        })
        .map(|(id, _)| id)
        .collect();
    for id in old {
        remove(files, id, age);
    }
}

fn remove(files: &mut Files, id: FileId, age: Duration) {
    let file = files.registry.get(id);
    if file.is_some_and(|file| is_behind_link(&files.ctx.fs, file)) {
        return;
    }
    let Some(path) = file.and_then(|file| current_path(&files.ctx.fs, file)) else {
        // It was deleted by somebody else, or is where nobody looks.
        files.observe(id, Observation::Removed);
        return;
    };
    let Some(file) = files.registry.get(id) else {
        return;
    };
    let now = files.ctx.time.timestamp();
    let read = |metadata: &Metadata| {
        let whole = metadata.len() == file.seen.size;
        whole && is_old(Seen::of(metadata).modified_second(), age, now)
    };
    match unlink(&files.ctx.fs, &path, &file.identity, read) {
        Ok(false) => {}
        Ok(true) => {
            info!(
                "{}: read, delivered and old, so it is removed",
                path.display()
            );
            files.ctx.counters.removed.add(1);
            files.observe(id, Observation::Removed);
        }
        Err(error) => {
            let text = format!("cannot be removed: {error}");
            files.ctx.troubles.say(Trouble::Remove, &path, &text);
        }
    }
}

/// Removes the file of this identity from its folder, if nothing has happened to it since it was `read`.
fn unlink(
    fs: &Fs,
    path: &Path,
    identity: &Identity,
    read: impl Fn(&Metadata) -> bool,
) -> io::Result<bool> {
    fs.remove_if(path, |metadata| {
        let same = (metadata.dev(), metadata.ino()) == (identity.device, identity.inode);
        same && metadata.is_file() && read(metadata)
    })
}

fn is_old(modified: i64, age: Duration, now: Timestamp) -> bool {
    i64::from(now.seconds) - modified >= i64::try_from(age.as_secs()).unwrap_or(i64::MAX)
}

/// Whether the path is still a symbolic link to the file: only the link was renamed.
fn is_behind_link(fs: &Fs, file: &TrackedFile) -> bool {
    file.path().is_some_and(|path| {
        fs.is_symlink(path)
            && fs
                .metadata(path)
                .is_ok_and(|m| Identity::of(&m) == file.identity)
    })
}

/// Where the file is: rotation goes on renaming what nobody follows any more.
fn current_path(fs: &Fs, file: &TrackedFile) -> Option<PathBuf> {
    let path = file.path()?;
    let is_it = |path: &Path| {
        fs.symlink_metadata(path)
            .is_ok_and(|m| m.is_file() && Identity::of(&m) == file.identity)
    };
    if is_it(path) {
        return Some(path.to_path_buf());
    }
    let folder = list(fs, path.parent()?);
    folder
        .get(&file.identity.inode)
        .filter(|now| may_be_at(&file.identity, path, now) && is_it(now))
        .cloned()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::sim::steps::{age, Steps};

    #[test]
    fn only_what_was_read_is_removed_whatever_its_path_leads_to() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("a.log"), "one\n").unwrap();
        age(&outside.path().join("a.log"));
        let mut steps = Steps::prepared("*/a.log", &[("remove_after", "1h")], |dir| {
            fs::create_dir(dir.path().join("x")).unwrap();
            fs::write(dir.path().join("x/a.log"), "one\n").unwrap();
            age(&dir.path().join("x/a.log"));
        });
        steps.round();
        let id = steps.worker.files.registry.ids()[0];
        let identity = steps.worker.files.registry.get(id).unwrap().identity;
        let path = steps.path("x/a.log");
        // The folder has become a link between the look and the removal.
        fs::rename(steps.path("x"), steps.path("y")).unwrap();
        symlink(outside.path(), steps.path("x")).unwrap();
        assert!(!unlink(&Fs::default(), &path, &identity, |_| true).unwrap());
        // And the name one to the file itself.
        fs::remove_file(steps.path("x")).unwrap();
        fs::create_dir(steps.path("x")).unwrap();
        symlink("../y/a.log", &path).unwrap();
        assert!(!unlink(&Fs::default(), &path, &identity, |_| true).unwrap());
        assert!(!unlink(&Fs::default(), &steps.path("y/a.log"), &identity, |_| false).unwrap());
        assert!(unlink(&Fs::default(), &steps.path("y/a.log"), &identity, |_| true).unwrap());
        assert!(outside.path().join("a.log").exists());
        assert!(!steps.path("y/a.log").exists());
    }

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
            for id in steps.worker.files.registry.ids() {
                steps.worker.files.registry.get_mut(id).unwrap().confirm(4);
            }
            remove_old(&mut steps.worker.files);
            steps.worker.go_on();
            // Something has the folder listed again.
            steps.append("c.log", "two\n");
            steps.round();
            assert_eq!(steps.lines, ["one", "two"]);
            assert!(steps.path("b.log").exists());
        }
    }
}
