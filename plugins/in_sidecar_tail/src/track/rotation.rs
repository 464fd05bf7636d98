//! What happens to a followed file: growth, renames, deletion. What follows from a truncation is
//! in [`crate::track::copies`].

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tracing::debug;

use crate::compressed::search::Format;
use crate::fs::Handle;
use crate::track::file::{FileId, Seen, TrackedFile};
use crate::track::fingerprint::Identity;
use crate::worker::Worker;

/// On network filesystems, how long a file must look truncated before that is believed.
const SECOND_LOOK: Duration = Duration::from_secs(1);

/// What was found at a file's path.
enum Reopened {
    /// The file, which is now read through a new handle, and what is seen through that.
    Same(Seen),
    /// Another file.
    Replaced(Arc<Path>),
    /// Nothing that can be opened.
    Not,
}

impl Worker {
    /// Looks at a file: has it grown, shrunk, or been rewritten? `told`: something said it changed.
    pub(crate) fn look(&mut self, id: FileId, told: bool) {
        let Some(file) = self.files.get(&id).filter(|file| !file.retired) else {
            return;
        };
        let metadata = match (&file.handle, &file.path) {
            (Some(handle), _) => handle.metadata(),
            (None, Some(path)) => self.fs.metadata(path),
            (None, None) => return,
        };
        let Ok(metadata) = metadata else {
            return;
        };
        self.looked(id, told, Seen::of(&metadata));
        self.done_with(id);
    }

    /// Goes by what was seen of a file.
    fn looked(&mut self, id: FileId, told: bool, mut seen: Seen) {
        let Some(file) = self.files.get_mut(&id) else {
            return;
        };
        if !told && seen == file.seen {
            let more = seen.size > file.offset && !file.is_still_blank();
            self.shrunk.remove(&id);
            if more {
                self.make_ready(id);
            }
            return;
        }
        // Something was written: what is there now may be as long as what was.
        if file.handle.is_none() && !self.ensure_open(id) {
            return;
        }
        let Some(file) = self.files.get_mut(&id) else {
            return;
        };
        let mut rewritten = file.is_rewritten(seen.size);
        if rewritten && file.remote {
            // A network filesystem's answer may be older than what was read.
            let now = self.time.now();
            let since = *self.shrunk.entry(id).or_insert(now);
            let second = self.time.since(since) >= SECOND_LOOK;
            if file.path.is_none() {
                if second {
                    // Some answer for the new file of that name.
                    self.counters.lost_bytes.add(file.ahead());
                    self.let_go(id);
                }
                return;
            }
            match self.reopen(id) {
                _ if !second => return,
                Reopened::Same(now) => {
                    seen = now;
                    let file = self.files.get(&id);
                    rewritten = file.is_some_and(|file| file.is_rewritten(seen.size));
                }
                Reopened::Replaced(path) => {
                    // The handle holds neither the old file nor surely the new one.
                    self.close(id);
                    self.gone(&path, false);
                    self.consider(&path);
                    return;
                }
                Reopened::Not => {}
            }
        }
        if rewritten {
            // Its size may be older than what was found in it.
            let handle = self.files.get(&id).and_then(|file| file.handle.as_ref());
            if let Some(metadata) = handle.and_then(|handle| handle.metadata().ok()) {
                seen = Seen::of(&metadata);
            }
            self.rewritten(id, seen.size);
            // It may have been closed to make room for its copy.
            if !self.ensure_open(id) {
                return;
            }
        }
        let size = seen.size;
        let Some(file) = self.files.get_mut(&id) else {
            return;
        };
        self.shrunk.remove(&id);
        if file.held && size > file.seen.size {
            if let Some(held) = self.held.get_mut(&id) {
                held.grown = self.time.now();
            }
        }
        file.blank &= seen.size == file.seen.size;
        file.seen = seen;
        if file.grow_head().is_err() {
            debug!("{}: cannot read its head", file.name.display());
        }
        if file.read == 0 && !self.spools.contains_key(&id) {
            if let Some(format) = Format::of(file.head.start()) {
                self.leave_compressed(id, format);
                return;
            }
        }
        if !file.compared && !file.head.is_empty() {
            file.compared = true;
            self.hold_if_copy(id);
        }
        let more = |file: &TrackedFile| size > file.offset && !file.is_still_blank();
        if self.files.get(&id).is_some_and(|file| more(file)) {
            self.make_ready(id);
        }
    }

    /// Has the next look ask the server instead of a cache.
    fn reopen(&mut self, id: FileId) -> Reopened {
        let file = self.files.get_mut(&id);
        let Some((file, path)) = file.and_then(|file| file.path.clone().map(|path| (file, path)))
        else {
            return Reopened::Not;
        };
        match self.confine.open(&path) {
            Ok((_, metadata)) if Identity::of(&metadata) != file.identity => {
                Reopened::Replaced(path)
            }
            Ok((handle, metadata)) if file.handle.is_some() => {
                file.handle = Some(handle);
                Reopened::Same(Seen::of(&metadata))
            }
            _ => Reopened::Not,
        }
    }

    /// On a network filesystem a file has got another identity, but it is the same one.
    pub(crate) fn renumbered(&mut self, id: FileId, identity: Identity, handle: Handle) {
        let Some(file) = self.files.get_mut(&id) else {
            return;
        };
        let old = std::mem::replace(&mut file.identity, identity);
        if file.handle.is_some() {
            file.handle = Some(handle);
        }
        self.by_identity.remove(&old);
        self.by_identity.insert(&identity, id);
        self.entry_gone(old);
        self.changed(id);
    }

    // Names.

    /// The file `id` is at `path` now.
    pub(crate) fn moved(&mut self, id: FileId, path: &Path) {
        if self.by_path.get(path) == Some(&id) {
            self.note_target(id, path);
            return;
        }
        let matched = self.options.globs.matches(path);
        let Some(file) = self.files.get(&id) else {
            return;
        };
        if let Some(old) = &file.path {
            // A second name of the same file does not count as long as the first one is there.
            let still_there = self
                .fs
                .metadata(old)
                .is_ok_and(|m| Identity::of(&m) == file.identity);
            if still_there && (file.matched || !matched) {
                return;
            }
            let old = old.clone();
            if self.by_path.get(&old) == Some(&id) {
                self.by_path.remove(&old);
            }
        }
        self.gone(path, false);
        let Some(file) = self.files.get_mut(&id) else {
            return;
        };
        debug!("{} is now {}", file.name.display(), path.display());
        let path: Arc<Path> = path.into();
        file.path = Some(path.clone());
        file.matched = matched;
        self.rotated(id);
        self.by_path.insert(path.clone(), id);
        self.detached.retain(|other| *other != id);
        if !matched {
            self.detached.push(id);
        }
        self.note_target(id, &path);
    }

    /// The file is where this path leads, if that is a link.
    fn note_target(&mut self, id: FileId, path: &Path) {
        if let Some(file) = self.files.get_mut(&id) {
            let target = self.links.target_of(path);
            if file.target() != target {
                file.rare().target = target.cloned();
                self.changed(id);
            }
        }
    }

    /// The file has left its place, and its writer need not know that yet: however long there was
    /// nothing new in it before, `rotate_wait` counts from now.
    fn wait_for_more(&mut self, id: FileId) {
        let now = self.time.now();
        if let Some(file) = self.files.get_mut(&id).filter(|file| !file.queued) {
            file.since = now;
        }
    }

    /// The last line of the file will be complete when nothing comes any more.
    pub(crate) fn rotated(&mut self, id: FileId) {
        self.wait_for_more(id);
        if let Some(file) = self.files.get_mut(&id) {
            file.rotated = true;
            if !self.rotating.contains(&id) {
                self.rotating.push(id);
            }
        }
    }

    /// The file that was at `path` is not there any more: its handle is read to the end, or it is
    /// looked for. `deleted`: it was not renamed.
    pub(crate) fn gone(&mut self, path: &Path, deleted: bool) {
        let Some(id) = self.by_path.remove(path) else {
            return;
        };
        if !self.fs.is_symlink(path) {
            self.links.remove(path);
        }
        let Some(file) = self.files.get_mut(&id) else {
            return;
        };
        file.path = None;
        file.matched = false;
        let target = file.target().cloned();
        self.wait_for_more(id);
        if !self.detached.contains(&id) {
            self.detached.push(id);
        }
        self.counters.rotations.add(1);
        let open = self
            .files
            .get(&id)
            .is_some_and(|file| file.handle.is_some());
        if open {
            self.look(id, true);
        } else {
            // The link was, not what it points to.
            let deleted = deleted && target.is_none();
            let place = target.as_deref().unwrap_or(path).to_owned();
            self.stray(id, place, deleted);
        }
    }

    /// Lets go of files that left their path and had nothing new for `rotate_wait`.
    pub(crate) fn retire(&mut self) {
        let wait = self.options.rotate_wait;
        for id in std::mem::take(&mut self.rotating) {
            // One that was closed at its end has grown if its size has.
            let open = self.files.get(&id).is_some_and(|f| f.handle.is_some());
            self.look(id, open);
            let Some(file) = self.files.get(&id).filter(|file| !file.retired) else {
                continue;
            };
            let quiet = self.time.since(file.since) >= wait;
            let unpacked = self.spools.contains_key(&id);
            if quiet && !file.queued && !file.held && !unpacked {
                self.end_text(id);
            } else {
                self.rotating.push(id);
            }
        }
        let over: Vec<FileId> = self
            .detached
            .iter()
            .filter(|id| {
                self.files.get(id).is_some_and(|file| {
                    let stray = file.path.is_none() && file.handle.is_none();
                    let quiet = self.time.since(file.since) >= wait;
                    let unpacked = self.spools.contains_key(id);
                    !file.queued && !file.held && quiet && !stray && !unpacked
                })
            })
            .copied()
            .collect();
        for id in over {
            self.look(id, true);
            let stays = |file: &TrackedFile| file.queued || file.retired;
            if self.files.get(&id).is_some_and(|file| !stays(file)) {
                self.let_go(id);
            }
        }
    }

    /// A file is read to its end and not followed any longer.
    pub(crate) fn let_go(&mut self, id: FileId) {
        self.end_text(id);
        self.part_with(id);
    }

    /// The same for one whose text is ended.
    pub(crate) fn part_with(&mut self, id: FileId) {
        self.flush();
        if let Some(file) = self.files.get(&id) {
            debug!("no longer following {}", file.name.display());
        }
        let waits = self.files.get(&id).is_some_and(|file| {
            self.awaits_removal(file) || self.checkpointer.is_some() && file.settled() < file.offset
        });
        if !waits {
            self.forget(id);
            return;
        }
        // It stays in the state until what was read of it has left the host.
        self.detach(id);
        if let Some(file) = self.files.get_mut(&id) {
            file.retired = true;
        }
    }

    /// Takes a file out of everything but the list of files and their identities.
    fn detach(&mut self, id: FileId) {
        self.close(id);
        self.detached.retain(|other| *other != id);
        self.held.remove(&id);
        self.shrunk.remove(&id);
        self.polled.remove(&id);
        self.holes.remove(&id);
        self.spools.remove(&id);
        let Some(file) = self.files.get_mut(&id) else {
            return;
        };
        if let Some(path) = file.path.as_ref() {
            if self.by_path.get(path) == Some(&id) {
                self.by_path.remove(path);
            }
        }
        if file.queued {
            file.queued = false;
            self.ready.retain(|other| *other != id);
        }
        self.drain_left -= usize::from(std::mem::take(&mut file.drains));
    }

    /// Drops a file and all that is known of it.
    pub(crate) fn forget(&mut self, id: FileId) {
        self.detach(id);
        if let Some(file) = self.files.remove(&id) {
            if self.by_identity.get(&file.identity) == Some(id) {
                self.by_identity.remove(&file.identity);
            }
            self.carried -= file.offset - file.lines.start();
            self.note_finished(id, &file);
            self.remember(&file);
            // What is lost of it is for the next start, wherever it is then.
            let is_there = (file.matched || file.has_lost()) && file.path.is_some();
            if is_there && file.offset > 0 {
                self.keep_position(&file);
            } else {
                self.entry_gone(file.identity);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::Write as _;

    use super::*;
    use crate::sim::steps::Steps;

    #[test]
    fn what_was_rewritten_between_a_look_and_a_read_is_not_mixed_with_what_was_there() {
        let mut steps = Steps::new("a.log");
        steps.append("a.log", "one\ntwo\n");
        steps.round();
        steps.append("a.log", "three\n");
        steps.told();
        steps.copy("a.log", "a.log.1");
        steps.cut("a.log", 0);
        steps.append("a.log", "four, longer than what was there\nfive\n");
        steps.read();
        steps.round();
        steps.lines.sort();
        let four = "four, longer than what was there";
        assert_eq!(steps.lines, ["five", four, "one", "three", "two"]);
        assert_eq!(steps.lost(), 0);
    }

    #[test]
    fn a_size_from_before_a_truncation_is_no_second_one() {
        let mut steps = Steps::new("a.log");
        steps.append("a.log", "one\n");
        steps.round();
        steps.append("a.log", "two\n");
        let before = Seen::of(&fs::metadata(steps.path("a.log")).unwrap().into());
        steps.copy("a.log", "a.log.1");
        steps.cut("a.log", 0);
        let id = *steps.worker.files.keys().next().unwrap();
        steps.worker.looked(id, true, before);
        steps.append("a.log", "three\n");
        steps.round();
        steps.lines.sort();
        assert_eq!(steps.lines, ["one", "three", "two"]);
        assert_eq!(steps.worker.counters.truncations.get(), 1);
        assert_eq!(steps.lost(), 0);
    }

    #[test]
    fn a_closed_file_that_is_as_long_as_before_may_have_been_rewritten() {
        for inotify in ["on", "off"] {
            let options = [("inotify_watcher", inotify)];
            let mut steps = Steps::prepared("a.log*", &options, |_| {});
            steps.append("a.log", "one\n");
            steps.round();
            steps.close_all();
            steps.copy("a.log", "a.log.1");
            steps.cut("a.log", 0);
            steps.append("a.log", "two\n");
            steps.round();
            steps.round_after(Duration::from_secs(60));
            assert_eq!(steps.lines, ["one", "two"], "inotify {inotify}");
        }
    }

    #[test]
    fn what_is_written_behind_the_rename_of_an_idle_file_is_read() {
        for (pattern, inotify) in [("a.log", "on"), ("a.log", "off"), ("a.log*", "on")] {
            let options = [("inotify_watcher", inotify)];
            let mut steps = Steps::prepared(pattern, &options, |_| {});
            steps.append("a.log", "one\n");
            steps.round();
            steps.round_after(Duration::from_secs(3600));
            steps.rename("a.log", "a.log.1");
            for (time, text) in [(0, "two\n"), (4, "thr"), (4, "ee\n"), (4, "four")] {
                steps.round_after(Duration::from_secs(time));
                steps.append("a.log.1", text);
                steps.round();
            }
            steps.round_after(Duration::from_secs(5));
            let all = ["one", "two", "three", "four"];
            assert_eq!(steps.lines, all, "{pattern}, inotify {inotify}");
        }
    }

    #[test]
    fn what_is_not_written_yet_is_no_line() {
        use std::os::unix::fs::FileExt as _;
        for closed in [false, true] {
            let mut steps = Steps::prepared("a.log*", &[], |dir| {
                let log = File::create(dir.path().join("a.log")).unwrap();
                log.set_len(1 << 20).unwrap();
            });
            let log = File::options()
                .write(true)
                .open(steps.path("a.log"))
                .unwrap();
            let mut at = 0;
            let mut all = Vec::new();
            for n in 0..30 {
                steps.round_after(Duration::from_secs(2));
                if closed {
                    steps.close_all();
                }
                // Longer than the head, in all.
                let line = format!("line {n} of a log that is written in place");
                log.write_all_at(format!("{line}\n").as_bytes(), at)
                    .unwrap();
                at += line.len() as u64 + 1;
                all.push(line);
                steps.round();
            }
            assert_eq!(steps.lines, all);
            // It is cut to what is written, and goes on as any other.
            log.set_len(at).unwrap();
            steps.round();
            steps.append("a.log", "the end\n");
            steps.rename("a.log", "a.log.1");
            steps.round();
            steps.round_after(Duration::from_secs(60));
            all.push("the end".to_owned());
            assert_eq!(steps.lines, all);
            assert_eq!(steps.worker.counters.truncations.get(), 0);
            assert_eq!(steps.lost(), 0);
        }
    }

    #[test]
    fn nuls_at_the_head_of_a_new_file_are_no_text() {
        let mut steps = Steps::new("*.log");
        let hole = 300 << 20;
        steps.append("a.log", "");
        let log = File::options()
            .write(true)
            .open(steps.path("a.log"))
            .unwrap();
        std::os::unix::fs::FileExt::write_all_at(&log, b"one\n", hole).unwrap();
        steps.round();
        steps.append("a.log", "two\n");
        steps.round();
        assert_eq!(steps.lines, ["one", "two"]);
        assert_eq!(steps.worker.counters.nul_bytes.get(), hole);
    }

    /// A worker that has read the file at `path`, as if that were on a network filesystem.
    fn far_away(path: &Path) -> (Worker, FileId) {
        let mut worker = Worker::with(&[("path", path.to_str().unwrap())]);
        worker.scan();
        while worker.read_turn() {}
        let id = *worker.files.keys().next().unwrap();
        worker.files.get_mut(&id).unwrap().remote = true;
        (worker, id)
    }

    fn a_second_later(worker: &mut Worker, id: FileId) {
        if let Some(since) = worker.shrunk.get_mut(&id) {
            *since -= SECOND_LOOK;
        }
    }

    #[test]
    fn a_stale_size_is_no_truncation() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        fs::write(&path, "one\ntwo\n").unwrap();
        let (mut worker, id) = far_away(&path);
        let current = worker.files[&id].seen;
        let stale = Seen {
            size: 4,
            modified: 1,
        };
        // The next answer is right again; it may be the same one as before, or a newer one.
        for next in [current, Seen { size: 8, ..stale }] {
            worker.looked(id, false, stale);
            worker.looked(id, false, stale);
            worker.looked(id, false, next);
            assert!(worker.shrunk.is_empty(), "{next:?}");
        }
        // It is told for long, but one who asks anew is told better.
        worker.looked(id, true, stale);
        a_second_later(&mut worker, id);
        worker.looked(id, true, stale);
        // The same of a file that has left its path, and whose rest is still to come.
        let mut writer = File::options().append(true).open(&path).unwrap();
        fs::remove_file(&path).unwrap();
        worker.gone(&path, true);
        worker.looked(id, true, stale);
        writer.write_all(b"three\n").unwrap();
        worker.look(id, true);
        while worker.read_turn() {}
        assert_eq!(worker.files[&id].offset, 14);
        assert_eq!(worker.counters.truncations.get(), 0);
        assert_eq!(worker.counters.lines.get(), 3);
    }

    #[test]
    fn far_away_a_truncation_is_believed_at_the_second_look() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        fs::write(&path, "one\ntwo\n").unwrap();
        let (mut worker, id) = far_away(&path);
        fs::write(&path, "3\n").unwrap();
        worker.look(id, true);
        worker.look(id, true);
        assert_eq!(worker.counters.truncations.get(), 0);
        a_second_later(&mut worker, id);
        worker.look(id, false);
        assert_eq!(worker.counters.truncations.get(), 1);
        while worker.read_turn() {}
        assert_eq!(worker.counters.lines.get(), 3);
    }
}
