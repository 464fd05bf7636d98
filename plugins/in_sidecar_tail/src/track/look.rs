//! Looking at a file: has it grown, shrunk, or been rewritten? What that means for its life is in
//! [`crate::track::transition`], what follows from a truncation in [`crate::track::copies`].

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tracing::debug;

use crate::compressed::format::{Format, GZIP};
use crate::compressed::left_alone::Compressed;
use crate::fs::none_left;
use crate::read::reader::Reader;
use crate::track::copies::rewritten;
use crate::track::descriptors::{close, ensure_open};
use crate::track::file::{FileId, Seen};
use crate::track::files::Files;
use crate::track::fingerprint::{Identity, HEAD};
use crate::track::quarantine::original_of;
use crate::track::queue::Task;
use crate::track::rotation::gone;
use crate::track::state_files::{leave_state, may_begin_a_state};
use crate::track::transition::{Look, Observation};

/// On network filesystems, how long a file must look truncated before that is believed.
const SECOND_LOOK: Duration = Duration::from_secs(1);

/// For how long another change may have the time of the one that was seen: clocks have their steps, and what a network
/// filesystem tells is seconds old.
const CLOCK_STEP: Duration = Duration::from_secs(3);

/// What was found at a file's path.
enum Reopened {
    /// The file, which is now read through a new handle if it has a path, and what is seen through that.
    Same(Seen),
    /// Another file.
    Replaced(Arc<Path>),
    /// Nothing that can be opened.
    Not,
    /// No descriptor is left to see.
    Later,
}

/// Looks at a file. `told`: something said that it has changed.
pub(crate) fn look(
    files: &mut Files,
    reader: &mut Reader,
    compressed: &mut Compressed,
    id: FileId,
    told: bool,
) {
    let Some(file) = files.registry.get(id).filter(|file| !file.life.is_let_go()) else {
        return;
    };
    let round = !told;
    // Before it is taken to be at its end for good, it is looked at in full.
    let told = told || file.life.is_restless() && file.handle.is_some();
    let ends = file
        .life
        .ends(files.ctx.time.now(), files.ctx.options.rotate_wait);
    // What its server told before may be older than what ends its text.
    let anew = match (file.remote && round && ends).then(|| reopen(files, id)) {
        Some(Reopened::Same(seen)) => Some(seen),
        Some(Reopened::Later) => return,
        Some(Reopened::Replaced(path)) => {
            return files.queue.push(Task::Recheck(path.to_path_buf()));
        }
        Some(Reopened::Not) | None => None,
    };
    let Some(file) = files.registry.get(id) else {
        return;
    };
    let seen = match (anew, &file.handle, file.path()) {
        (Some(seen), _, _) => Ok(seen),
        (None, Some(handle), _) => handle.metadata().map(|m| Seen::of(&m)),
        (None, None, Some(path)) => files.ctx.fs.metadata(path).map(|m| Seen::of(&m)),
        (None, None, None) => return,
    };
    match seen {
        Ok(seen) => looked(files, reader, compressed, id, (told, round), seen),
        Err(error) => {
            // On a network filesystem another file may have its number by now, and would not be opened.
            if error.kind() == io::ErrorKind::StaleNetworkFileHandle && file.path().is_some() {
                close(files, id);
            }
            // Nothing can be told of it now; it does not live for ever for that.
            observe_look(files, id, round, false);
        }
    }
    files.queue.push(Task::Rest(id));
}

/// Goes by what was seen of a file when it was opened, a moment ago.
pub(crate) fn go_by(
    files: &mut Files,
    reader: &mut Reader,
    compressed: &mut Compressed,
    id: FileId,
    seen: Seen,
) {
    let followed = files.registry.get(id);
    if followed.is_some_and(|file| !file.life.is_let_go()) {
        looked(files, reader, compressed, id, (true, false), seen);
        files.queue.push(Task::Rest(id));
    }
}

/// Goes by what was seen of a file.
fn looked(
    files: &mut Files,
    reader: &mut Reader,
    compressed: &mut Compressed,
    id: FileId,
    (told, round): (bool, bool),
    mut seen: Seen,
) {
    // It may be another text by now.
    files.heads.take(id);
    let Some(file) = files.registry.get_mut(id) else {
        return;
    };
    if !told && seen == file.seen && !files.unsettled.contains_key(&id) {
        if let Some(rare) = &mut file.rare {
            rare.shorter_since = None;
        }
        let unread = file.has_more(seen.size);
        return observe_look(files, id, round, unread);
    }
    // Something was written: what is there now may be as long as what was.
    if file.handle.is_none() && !ensure_open(files, id) {
        let file = files.registry.get(id);
        if file.is_some_and(|file| seen == file.seen && seen.size <= file.offset) {
            observe_look(files, id, round, false);
        }
        return;
    }
    let Some(file) = files.registry.get(id) else {
        return;
    };
    let mut anew = file.is_rewritten(seen.size);
    if anew && file.remote {
        match look_again(files, id) {
            None | Some(Reopened::Later) => return,
            Some(Reopened::Same(now)) => {
                seen = now;
                let file = files.registry.get(id);
                anew = file.is_some_and(|file| file.is_rewritten(seen.size));
            }
            Some(Reopened::Replaced(path)) => {
                // The handle holds neither the old file nor surely the new one.
                close(files, id);
                gone(files, &path, false);
                return files.queue.push(Task::Consider(path.to_path_buf()));
            }
            Some(Reopened::Not) => {}
        }
    }
    if anew {
        // Its size may be older than what was found in it.
        let handle = files.registry.get(id).and_then(|file| file.handle.as_ref());
        let size = handle.and_then(|handle| handle.metadata().ok());
        return rewritten(
            files,
            reader,
            id,
            size.map_or(seen.size, |metadata| metadata.len()),
        );
    }
    grown(files, compressed, id, round, seen);
}

/// A file is what it was, and may have more.
fn grown(files: &mut Files, compressed: &mut Compressed, id: FileId, round: bool, seen: Seen) {
    let unpacking = files.windows.has(id);
    let drains = files.is_draining();
    let Some(file) = files.registry.get_mut(id) else {
        return;
    };
    if let Some(rare) = &mut file.rare {
        rare.shorter_since = None;
    }
    file.blank &= seen.size == file.seen.size;
    let before = std::mem::replace(&mut file.seen, seen);
    let now = files.ctx.time.now();
    // A file that is found may have been quiet for long.
    let news = match before.modified {
        0 => files.ctx.age(seen.modified_second()) < CLOCK_STEP.as_secs() as i64,
        _ => seen != before,
    };
    // Of all others the kernel tells.
    let untold = file.remote || round || seen.size > file.offset || !files.ctx.options.inotify;
    if news && untold {
        files.unsettled.insert(id, now + CLOCK_STEP);
    } else if files.unsettled.get(&id).is_some_and(|until| *until <= now) {
        files.unsettled.remove(&id);
    }
    let head = file.head.len();
    let mut text = [0; HEAD];
    let read = file.grow_head_in(&mut text).unwrap_or_else(|_| {
        debug!("{}: cannot read its head", file.name.display());
        0
    });
    let more_known = file.head.len() > head;
    let unread = file.has_more(seen.size);
    // What is new, and what begins anew: its number may be that of a file that came to be compressed.
    if (file.read == 0 || file.offset == 0) && !unpacking {
        if let Some(format) = Format::of(file.head.start()) {
            return compressed.leave(files, id, format);
        }
        if file.head.start() == [GZIP] && !drains {
            // The next byte tells whether it is compressed.
            return observe_look(files, id, round, false);
        }
        if may_begin_a_state(file.head.start()) && leave_state(files, id) {
            return;
        }
    }
    let Some(file) = files.registry.get_mut(id) else {
        return;
    };
    if read > 0 && read as u64 == seen.size && file.offset == 0 && !file.remote && !unpacking {
        files.heads.keep(id, &text[..read]);
    }
    if !file.compared && !file.head.is_empty() {
        file.compared = true;
        if let Some(original) = original_of(files, id) {
            files.observe(id, Observation::Resembles { original });
        }
    }
    if more_known {
        // A copy of it is known by that, even before anything of it has left the host.
        files.changed(id);
    }
    observe_look(files, id, round, unread);
}

fn observe_look(files: &mut Files, id: FileId, round: bool, unread: bool) {
    let Some(file) = files.registry.get(id) else {
        return;
    };
    let look = Look {
        round,
        unread,
        too_old: files.ctx.options.ignore_active_older
            && files.ctx.is_older(file.seen.modified_second()),
        unpacking: files.windows.has(id),
    };
    files.observe(id, Observation::Looked(look));
}

/// A network filesystem's answer may be older than what was read: the truncation is believed only if
/// it is still there a second later, through a new handle. `None`: not yet.
fn look_again(files: &mut Files, id: FileId) -> Option<Reopened> {
    let now = files.ctx.time.now();
    let file = files.registry.get_mut(id)?;
    let since = *file.rare().shorter_since.get_or_insert(now);
    let second = now.saturating_duration_since(since) >= SECOND_LOOK;
    if file.path().is_none() {
        if second {
            // Some answer for the new file of that name.
            files.observe(id, Observation::NotFound);
        }
        return None;
    }
    let reopened = reopen(files, id);
    second.then_some(reopened)
}

/// Has the next look ask the server instead of a cache.
fn reopen(files: &mut Files, id: FileId) -> Reopened {
    let Some(file) = files.registry.get_mut(id) else {
        return Reopened::Not;
    };
    let Some(path) = file.path().cloned() else {
        let now = file.handle.as_ref().map(|handle| handle.metadata_now());
        return match now {
            Some(Ok(metadata)) => Reopened::Same(Seen::of(&metadata)),
            _ => Reopened::Not,
        };
    };
    match files.handles.open_at_once(&path) {
        Ok((_, metadata)) if Identity::of(&metadata) != file.identity => Reopened::Replaced(path),
        Ok((handle, metadata)) => {
            file.handle = file.handle.is_some().then(|| Box::new(handle));
            Reopened::Same(Seen::of(&metadata))
        }
        Err(error) if none_left(&error) => Reopened::Later,
        _ => Reopened::Not,
    }
}

/// Has a file's path and the file looked at, in its turn.
pub(crate) fn check(files: &mut Files, id: FileId) {
    let Some(file) = files.registry.get(id).filter(|file| !file.life.is_let_go()) else {
        return;
    };
    let task = match file.path() {
        None => Task::Glance(id),
        Some(path) => match files.ctx.fs.metadata(path) {
            Ok(metadata) if file.identity == Identity::of(&metadata) => Task::Glance(id),
            _ => Task::Recheck(path.to_path_buf()),
        },
    };
    files.queue.push(task);
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::fs::File;
    use std::io::Write as _;

    use super::*;
    use crate::sim::steps::Steps;
    use crate::time::Time;
    use crate::worker::Worker;

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
        let id = steps.worker.files.registry.ids()[0];
        told(&mut steps.worker, id, true, before);
        steps.append("a.log", "three\n");
        steps.round();
        steps.lines.sort();
        assert_eq!(steps.lines, ["one", "three", "two"]);
        assert_eq!(steps.worker.ctx.counters.truncations.get(), 1);
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

    /// The kernel's clock for such times has steps of some milliseconds.
    #[test]
    fn what_is_as_long_and_as_old_as_what_was_there_is_read() {
        let mut steps = Steps::prepared("a.log*", &[("inotify_watcher", "off")], |_| {});
        let log = steps.path("a.log");
        for text in ["one\n", "two\n", "six\n"] {
            let before = fs::metadata(&log).and_then(|there| there.modified());
            fs::write(&log, text).unwrap();
            if let Ok(time) = before {
                let log = File::options().write(true).open(&log).unwrap();
                log.set_modified(time).unwrap();
            }
            steps.round();
            steps.round();
        }
        assert_eq!(steps.lines, ["one", "two", "six"]);
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
            assert_eq!(steps.worker.ctx.counters.truncations.get(), 0);
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
        assert_eq!(steps.worker.ctx.counters.nul_bytes.get(), hole);
    }

    /// A worker that has read the file at `path`, as if that were on a network filesystem.
    fn far_away(path: &Path) -> (Worker, FileId) {
        let options = [("path", path.to_str().unwrap())];
        let mut worker = Worker::at(&options, Time::simulated(Duration::from_secs(1)));
        worker.scan();
        while worker.read_turn() {}
        let id = worker.files.registry.ids()[0];
        worker.files.registry.get_mut(id).unwrap().remote = true;
        (worker, id)
    }

    fn told(worker: &mut Worker, id: FileId, told: bool, seen: Seen) {
        let (files, compressed) = (&mut worker.files, &mut worker.compressed);
        looked(
            files,
            &mut worker.reader,
            compressed,
            id,
            (told, !told),
            seen,
        );
        worker.go_on();
    }

    #[test]
    fn a_stale_size_is_no_truncation() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        fs::write(&path, "one\ntwo\n").unwrap();
        let (mut worker, id) = far_away(&path);
        let current = worker.files.registry.get(id).unwrap().seen;
        let stale = Seen {
            size: 4,
            modified: 1,
        };
        // The next answer is right again; it may be the same one as before, or a newer one.
        for next in [current, Seen { size: 8, ..stale }] {
            told(&mut worker, id, false, stale);
            told(&mut worker, id, false, stale);
            told(&mut worker, id, false, next);
            let file = worker.files.registry.get_mut(id).unwrap();
            assert_eq!(file.rare().shorter_since, None, "{next:?}");
        }
        // It is told for long, but one who asks anew is told better.
        told(&mut worker, id, true, stale);
        worker.ctx.time.advance(SECOND_LOOK);
        told(&mut worker, id, true, stale);
        // The same of a file that has left its path, and whose rest is still to come.
        let mut writer = File::options().append(true).open(&path).unwrap();
        fs::remove_file(&path).unwrap();
        gone(&mut worker.files, &path, true);
        worker.go_on();
        told(&mut worker, id, true, stale);
        writer.write_all(b"three\n").unwrap();
        worker.files.look_at(id);
        worker.go_on();
        while worker.read_turn() {}
        assert_eq!(worker.files.registry.get(id).unwrap().offset, 14);
        assert_eq!(worker.ctx.counters.truncations.get(), 0);
        assert_eq!(worker.ctx.counters.lines.get(), 3);
    }

    #[test]
    fn far_away_a_truncation_is_believed_at_the_second_look() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        fs::write(&path, "one\ntwo\n").unwrap();
        let (mut worker, id) = far_away(&path);
        fs::write(&path, "3\n").unwrap();
        worker.files.look_at(id);
        worker.go_on();
        worker.files.look_at(id);
        worker.go_on();
        worker.go_on();
        assert_eq!(worker.ctx.counters.truncations.get(), 0);
        worker.ctx.time.advance(SECOND_LOOK);
        worker.files.queue.push(Task::Glance(id));
        worker.go_on();
        worker.go_on();
        assert_eq!(worker.ctx.counters.truncations.get(), 1);
        while worker.read_turn() {}
        assert_eq!(worker.ctx.counters.lines.get(), 3);
    }
}
