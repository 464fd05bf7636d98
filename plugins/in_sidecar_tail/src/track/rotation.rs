//! Names: what happens when a file is renamed, linked or deleted, or another one takes its path.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing::{debug, warn};

use crate::checkpoint::folder::list;
use crate::fs::{Fs, Handle};
use crate::map::HashMap;
use crate::track::file::{FileId, TrackedFile};
use crate::track::files::Files;
use crate::track::fingerprint::Identity;
use crate::track::life::Place;
use crate::track::names::{is_rotated_form, may_be_at};
use crate::track::transition::Observation;

/// The file `id` is at `path` now.
pub(crate) fn moved(files: &mut Files, id: FileId, path: &Path) {
    if files.registry.at(path) == Some(id) {
        note_target(files, id, path);
        return;
    }
    let matched = files.ctx.options.globs.matches(path);
    let Some(file) = files.registry.get(id) else {
        return;
    };
    if let Some(old) = file.path() {
        // A second name of the same file does not count as long as the first one is there.
        let still_there = files
            .ctx
            .fs
            .metadata(old)
            .is_ok_and(|m| Identity::of(&m) == file.identity);
        if still_there && (file.life.matched() || !matched) {
            files.linked = true;
            return;
        }
    }
    debug!("{} is now {}", file.name.display(), path.display());
    let plain = files.ctx.options.globs.name_of(path);
    let back = *file.name == *plain || is_rotated_form(plain, file.shown());
    // Perhaps it is a stranger's, which is read as long as the patterns match it.
    let doubtful = matched && !may_be_at(&file.identity, file.shown(), path) && !file.is_held();
    gone(files, path, false);
    let shared: Arc<Path> = path.into();
    let path = shared.clone();
    let renamed = if back || doubtful {
        Observation::RenamedBack { path, matched }
    } else {
        Observation::Renamed { path, matched }
    };
    files.observe(id, renamed);
    note_target(files, id, &shared);
}

/// The file is where this path leads, if that is a link.
fn note_target(files: &mut Files, id: FileId, path: &Path) {
    if let Some(file) = files.registry.get_mut(id) {
        let target = files.links.target_of(path);
        if file.target() != target {
            file.rare().target = target.cloned();
            files.changed(id);
        }
    }
}

/// The file that was at `path` is not there any more: its handle is read to the end, or it is
/// looked for. `deleted`: it was not renamed.
pub(crate) fn gone(files: &mut Files, path: &Path, deleted: bool) {
    let Some(id) = files.registry.at(path) else {
        return;
    };
    if !files.ctx.fs.is_symlink(path) {
        files.links.remove(path);
    }
    let Some(file) = files.registry.get(id) else {
        return;
    };
    files.ctx.counters.rotations.add(1);
    let left = Observation::Left {
        last: file.target().cloned().unwrap_or_else(|| path.into()),
        // The link was, not what it points to.
        deleted: deleted && file.target().is_none(),
        open: file.handle.is_some(),
    };
    files.observe(id, left);
}

/// On a network filesystem a file has got another identity, but it is the same one.
pub(crate) fn renumbered(files: &mut Files, id: FileId, identity: Identity, handle: Handle) {
    let Some(old) = files.registry.renumber(id, identity) else {
        return;
    };
    if let Some(file) = files.registry.get_mut(id) {
        if file.handle.is_some() {
            file.handle = Some(Box::new(handle));
        }
    }
    files.entry_gone(old);
    files.changed(id);
}

/// Looks for files that left their path while they were closed, where they may have been renamed to;
/// `scanned`: deleted ones have had their chance, too.
pub(crate) fn find_missing(files: &mut Files, scanned: bool) {
    let mut listings = HashMap::default();
    let before = files.ctx.fs.shortages();
    let missing = files.registry.restless().filter_map(|id| {
        let file = files.registry.get(id)?;
        match file.life.place() {
            Place::Missing { last, deleted } if scanned || !deleted => {
                Some((id, file.identity, last.clone(), deleted))
            }
            _ => None,
        }
    });
    for (id, identity, last, deleted) in missing.collect::<Vec<_>>() {
        let found = if deleted && identity.birth.is_none() {
            None
        } else {
            // What was deleted may have another name.
            find(&files.ctx.fs, &last, &identity, &mut listings)
        };
        match found {
            Some(path) => moved(files, id, &path),
            // Without a descriptor nobody can look for it.
            None if files.ctx.fs.shortages() > before => {}
            None => files.observe(id, Observation::NotFound),
        }
    }
}

pub(crate) fn count_lost(files: &Files, id: FileId) {
    let Some(file) = files.registry.get(id) else {
        return;
    };
    let unread = file.ahead();
    if unread > 0 {
        let name = file.shown().display();
        warn!("{name}: deleted with {unread} unread bytes");
        files.ctx.counters.lost_bytes.add(unread);
    }
}

/// A file is let go: whether one without a path was deleted or renamed is known as long as it is open.
pub(crate) fn note_elsewhere(files: &mut Files, id: FileId) {
    let file = files.registry.get_mut(id);
    let Some(file) = file.filter(|file| file.path().is_none()) else {
        return;
    };
    let now = file.handle.as_ref().and_then(|h| h.metadata().ok());
    if now.is_some_and(|now| now.links() > 0) && !files.windows.has(id) {
        file.rare().elsewhere = true;
    }
}

/// Drops a file and all that is known of it.
pub(crate) fn forget(files: &mut Files, id: FileId) -> Option<Box<TrackedFile>> {
    let file = files.registry.remove(id)?;
    files.dormant.keep(&file);
    // What is lost of it is for the next start, wherever it is then.
    let is_there = (file.life.matched() || file.has_lost()) && file.path().is_some();
    // Nor is one that was renamed unseen: the next start may find it.
    let is_there = is_there || file.rare.as_ref().is_some_and(|rare| rare.elsewhere);
    if is_there && file.offset > 0 {
        if let Some(kept) = &mut files.checkpointer {
            kept.keep_position(&file, &files.ctx.time);
        }
    } else {
        let gone = file.path().is_none() && file.offset > 0 && !file.head.is_empty();
        if let Some(kept) = files.checkpointer.as_mut().filter(|_| gone) {
            kept.keep_position_of_gone(&file, &files.ctx.time);
        }
        files.entry_gone(file.identity);
    }
    Some(file)
}

/// Whether a file that left its path is where it may be looked for.
pub(crate) fn is_there(files: &Files, file: &TrackedFile) -> bool {
    let last = file.target().unwrap_or_else(|| file.shown());
    find(&files.ctx.fs, last, &file.identity, &mut HashMap::default()).is_some()
}

/// Where a file is now that was at `last`.
fn find(
    fs: &Fs,
    last: &Path,
    identity: &Identity,
    listings: &mut HashMap<PathBuf, HashMap<u64, PathBuf>>,
) -> Option<PathBuf> {
    let is_it = |path: &Path| {
        fs.metadata(path)
            .is_ok_and(|m| Identity::of(&m) == *identity)
    };
    if is_it(last) {
        return Some(last.to_owned());
    }
    let folder = last.parent()?;
    let listing = listings
        .entry(folder.to_owned())
        .or_insert_with(|| list(fs, folder));
    let path = listing.get(&identity.inode)?;
    (may_be_at(identity, last, path) && is_it(path)).then(|| path.clone())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::time::Duration;

    use crate::sim::steps::{age, Steps};

    #[test]
    fn a_closed_file_is_read_on_wherever_it_was_renamed_to() {
        for inotify in ["on", "off"] {
            for pattern in ["a.log", "a.log*"] {
                let mut steps = Steps::prepared(pattern, &[("inotify_watcher", inotify)], |_| {});
                steps.append("a.log", "one\n");
                steps.round();
                let mut all = vec!["one".to_owned()];
                for n in 1..5 {
                    steps.close_all();
                    steps.append("a.log", &format!("late {n}\n"));
                    for generation in (1..n).rev() {
                        let next = format!("a.log.{}", generation + 1);
                        steps.rename(&format!("a.log.{generation}"), &next);
                    }
                    steps.rename("a.log", "a.log.1");
                    steps.append("a.log", &format!("new {n}\n"));
                    steps.round();
                    all.extend([format!("late {n}"), format!("new {n}")]);
                }
                steps.lines.sort();
                all.sort();
                assert_eq!(steps.lines, all, "{pattern}, inotify {inotify}");
                assert_eq!(steps.lost(), 0);
            }
        }
    }

    #[test]
    fn what_comes_and_is_renamed_before_it_is_seen_is_read() {
        for pattern in ["a.log", "a.log*"] {
            let mut steps = Steps::new(pattern);
            steps.append("a.log", "one\n");
            steps.rename("a.log", "a.log.1");
            steps.append("a.log", "two\n");
            steps.rename("a.log.1", "a.log.2");
            steps.rename("a.log", "a.log.1");
            steps.append("a.log", "three\n");
            steps.rename("a.log", "b.log");
            steps.append("a.log", "four");
            steps.rename("a.log", "a.log.3");
            steps.round();
            steps.round_after(Duration::from_secs(60));
            steps.lines.sort();
            let all = ["four", "one", "three", "two"];
            assert_eq!(steps.lines, all, "{pattern}");
            assert_eq!(steps.missed(), 0);
            for (_, file) in steps.worker.files.registry.iter() {
                let name = file.name.file_name().unwrap().to_str().unwrap();
                assert!(name.starts_with("a.log"), "{name}");
            }
        }
    }

    #[test]
    fn what_a_scan_finds_before_its_renaming_is_told_has_a_last_line() {
        let mut steps = Steps::new("a.log*");
        steps.append("a.log", "one");
        steps.rename("a.log", "a.log.1");
        steps.worker.scan();
        steps.round();
        steps.round_after(Duration::from_secs(60));
        assert_eq!(steps.lines, ["one"]);
    }

    #[test]
    fn what_comes_and_goes_before_it_is_seen_is_counted() {
        let mut steps = Steps::new("*.log");
        steps.append("a.log", "one\n");
        fs::remove_file(steps.path("a.log")).unwrap();
        steps.round();
        steps.round();
        assert_eq!(steps.missed(), 1);
    }

    #[test]
    fn a_closed_file_behind_a_link_is_read_on_when_the_link_is_swapped() {
        let mut steps = Steps::prepared("*.log", &[], |dir| {
            fs::write(dir.path().join("1"), "one\n").unwrap();
            symlink("1", dir.path().join("a.log")).unwrap();
        });
        steps.round();
        steps.close_all();
        steps.append("1", "late\n");
        steps.append("2", "two\n");
        symlink("2", steps.path("swap")).unwrap();
        steps.rename("swap", "a.log");
        steps.round();
        steps.lines.sort();
        assert_eq!(steps.lines, ["late", "one", "two"]);
    }

    /// As the kubelet rotates the log of a container, to which `/var/log/containers` links.
    #[test]
    fn a_link_whose_target_is_rotated_leads_to_the_new_file() {
        for inotify in ["on", "off"] {
            let options = [("inotify_watcher", inotify)];
            let mut steps = Steps::prepared("*.log", &options, |dir| {
                fs::create_dir(dir.path().join("pod")).unwrap();
                fs::write(dir.path().join("pod/0"), "one\n").unwrap();
                symlink("pod/0", dir.path().join("a.log")).unwrap();
                symlink("pod/0", dir.path().join("b.log")).unwrap();
                age(dir.path());
            });
            steps.round();
            let mut all = vec!["one".to_owned()];
            for n in 1..4 {
                steps.append("pod/0", &format!("late {n}\n"));
                steps.rename("pod/0", &format!("pod/0.{n}"));
                steps.round_after(Duration::from_secs(4));
                steps.append(&format!("pod/0.{n}"), &format!("later {n}\n"));
                steps.append("pod/0", &format!("new {n}\n"));
                steps.round();
                steps.worker.check_links();
                steps.read();
                all.extend(["late", "later", "new"].map(|text| format!("{text} {n}")));
            }
            all.sort();
            steps.lines.sort();
            assert_eq!(steps.lines, all, "inotify {inotify}");
            assert_eq!((steps.lost(), steps.missed()), (0, 0));
        }
    }

    #[test]
    fn another_name_of_a_closed_file_is_no_new_file() {
        let mut steps = Steps::new("*.log");
        steps.append("a.log", "one\n");
        steps.round();
        fs::hard_link(steps.path("a.log"), steps.path("b.log")).unwrap();
        steps.round();
        steps.close_all();
        fs::remove_file(steps.path("a.log")).unwrap();
        steps.round();
        steps.append("b.log", "two\n");
        steps.round();
        assert_eq!(steps.lines, ["one", "two"]);
    }

    #[test]
    fn a_file_whose_name_is_a_folder_now_is_read_to_its_end() {
        for (closed, inotify) in [(false, "on"), (true, "on"), (false, "off"), (true, "off")] {
            let options = [("inotify_watcher", inotify)];
            let mut steps = Steps::prepared("a.log", &options, |_| {});
            steps.append("a.log", "one\n");
            steps.round();
            steps.append("a.log", "two");
            if closed {
                steps.close_all();
            }
            steps.rename("a.log", "b");
            fs::create_dir(steps.path("a.log")).unwrap();
            steps.round();
            steps.round_after(Duration::from_secs(60));
            steps.round_after(Duration::from_secs(60));
            assert_eq!(steps.lines, ["one", "two"]);
            assert_eq!(steps.worker.files.registry.len(), 0);
        }
    }

    #[test]
    fn a_file_that_was_let_go_is_none_that_is_new_when_it_comes_back() {
        let db = tempfile::tempdir().unwrap();
        let db = db.path().join("db");
        let db = ("db", db.to_str().unwrap());
        // With positions it is kept in mind until all of it has left the host.
        for options in [&[][..], &[db]] {
            let mut steps = Steps::prepared("*.log", options, |_| {});
            steps.append("a.log", "one\n");
            steps.round();
            steps.rename("a.log", "a.tmp");
            steps.round();
            steps.round_after(Duration::from_secs(60));
            assert!(steps
                .worker
                .files
                .registry
                .iter()
                .all(|(_, file)| file.life.is_let_go()));
            steps.append("a.tmp", "two\n");
            steps.rename("a.tmp", "a-1.log");
            steps.round();
            assert_eq!(steps.lines, ["one", "two"], "{options:?}");
            assert_eq!(steps.worker.files.registry.len(), 1);
            let (_, file) = steps.worker.files.registry.iter().next().unwrap();
            assert!(!file.life.is_let_go() && file.name.ends_with("a.log"));
        }
    }

    #[test]
    fn what_a_closed_file_had_when_it_was_deleted_is_counted() {
        let mut steps = Steps::new("*.log");
        steps.append("a.log", "one\n");
        steps.round();
        steps.append("a.log", "two\n");
        steps.told();
        steps.close_all();
        fs::remove_file(steps.path("a.log")).unwrap();
        steps.round();
        assert_eq!(steps.lost(), 4);
        assert_eq!(steps.worker.files.registry.len(), 0);
    }
}
