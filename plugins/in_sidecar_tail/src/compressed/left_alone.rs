//! Compressed files. gzip (RFC 1952) is read like any other file, but for what was read before it
//! was compressed: what was read of a file is known again in its compressed form, and a rest that
//! nobody had read before it was compressed is read from where it begins. Other formats are said.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tracing::info;

use crate::checkpoint::entry::Entry;
use crate::compressed::format::Format;
use crate::compressed::growth::Growth;
use crate::compressed::kin::{claim_packed, keep_packed, kin_of, Kin};
use crate::compressed::search::{is_gzip, Found, Goal, Otherwise, Searches, Step};
use crate::compressed::window::{Ending, Window};
use crate::counters::Trouble;
use crate::fs::{none_left, Fs, Metadata};
use crate::host::queue::Purpose;
use crate::map::{HashMap, HashSet};
use crate::track::file::{FileId, Seen};
use crate::track::files::Files;
use crate::track::fingerprint::{read_full, Fingerprint, Identity};
use crate::track::follow::{follow, Position};
use crate::track::queue::Task;
use crate::track::rotation::gone;
use crate::track::transition::Observation;

/// How long a compressed file must not have grown to count as complete.
pub(crate) const COMPLETE: Duration = Duration::from_secs(1);
/// The same if it begins like a file that was read: it may be that, and not be written to its end.
const COMPLETE_COPY: Duration = Duration::from_secs(30);
/// Compressed files that are read at a time.
const AT_ONCE: usize = 4;
/// Files of which it is found out what they are before others have their turn.
const SETTLED_AT_ONCE: usize = 50;

/// A compressed file that is not read, or not any more.
#[derive(Debug)]
struct LeftAlone {
    path: Arc<Path>,
    seen: Seen,
    /// How far it was read.
    read: Option<Fingerprint>,
}

/// A compressed file of which it is not known yet whether it is the form of a known one.
#[derive(Debug)]
pub(crate) struct Unsettled {
    pub(crate) path: Arc<Path>,
    identity: Identity,
    pub(crate) growth: Growth,
}

/// The compressed files of an instance that are not being read.
#[derive(Debug, Default)]
pub(crate) struct Compressed {
    left_alone: HashMap<Identity, LeftAlone>,
    /// Those of which it is not said yet what they are.
    unsettled: Vec<Unsettled>,
    /// Those of which it was not to be known at the end of a drain.
    unclear: Vec<Unsettled>,
    searches: Searches,
    /// Those that were found to be the form of a known file, as long as others are looked for.
    taken: HashSet<Identity>,
}

impl Compressed {
    pub(crate) fn len(&self) -> usize {
        self.left_alone.len()
    }

    /// Forgets those that are gone, as `is_there` says.
    pub(crate) fn retain(&mut self, is_there: impl Fn(&Path) -> bool) {
        self.left_alone.retain(|_, file| is_there(&file.path));
    }

    /// Something is looked for in compressed files.
    pub(crate) fn searches(&self) -> bool {
        !self.searches.is_empty()
    }

    /// It is not known yet of every file what it is.
    pub(crate) fn unsettled(&self) -> bool {
        !self.unsettled.is_empty()
    }

    /// Those of which it is not known what they are, now or at the end of a drain.
    pub(crate) fn unknown(&self) -> impl Iterator<Item = &Unsettled> {
        self.unsettled.iter().chain(&self.unclear)
    }

    /// Begins to look for the compressed form of a file that is not there any more, among these.
    pub(crate) fn search(&mut self, files: &Files, entry: Entry, paths: &[&PathBuf]) {
        self.searches.original(&files.ctx, entry, paths);
    }

    /// A file that is compressed is not read as it is; what it is will be told when it is complete.
    pub(crate) fn leave(&mut self, files: &mut Files, id: FileId, format: Format) {
        let Some(file) = files.registry.get(id) else {
            return;
        };
        let (identity, seen) = (file.identity, file.seen);
        let path = file.shown().clone();
        // What was there when the instance began is not to be read.
        let passed = file.offset > 0;
        files.observe(id, Observation::Compressed);
        if format != Format::Gzip {
            let text = format!("it is compressed ({}), so it is not read", format.name());
            files.ctx.troubles.say(Trouble::Compressed, &path, &text);
        } else if !passed {
            self.unsettled.push(Unsettled {
                path: path.clone(),
                identity,
                growth: Growth::new(seen.size, files.ctx.time.now()),
            });
        }
        self.leave_alone(identity, path, seen, None);
    }

    fn leave_alone(
        &mut self,
        identity: Identity,
        path: Arc<Path>,
        seen: Seen,
        read: Option<Fingerprint>,
    ) {
        let file = LeftAlone { path, seen, read };
        self.left_alone.insert(identity, file);
    }

    /// Whether the file is compressed as it was when it was left alone. It may have been rewritten,
    /// or be another one: not every filesystem tells when an inode is used again.
    pub(crate) fn is_left_alone(
        &mut self,
        files: &Files,
        identity: &Identity,
        path: &Path,
        seen: Seen,
    ) -> bool {
        self.moved(&files.ctx.fs, identity, path);
        let Some(file) = self.left_alone.get_mut(identity) else {
            return false;
        };
        if file.seen == seen {
            return true;
        }
        let mut start = [0; 16];
        let read = files
            .handles
            .confine()
            .open(path)
            .and_then(|(handle, _)| read_full(&handle, &mut start, 0));
        // Nothing was read of it by which it would be known, and its inode may be used again.
        let nothing = |read: Fingerprint| read.offset == 0 && identity.birth.is_none();
        match read {
            Ok(length)
                if Format::of(&start[..length]).is_none() || file.read.is_some_and(nothing) =>
            {
                self.left_alone.remove(identity);
                self.settled(identity);
                false
            }
            Ok(_) => {
                file.seen = seen;
                if let Some(fingerprint) = file.read {
                    // Members are added to it, or it is another one.
                    self.searches.itself(
                        &files.ctx.options,
                        path,
                        *identity,
                        (fingerprint, None),
                        Otherwise::Another,
                    );
                }
                true
            }
            // It may be another one, which is to be looked at again when it can be opened.
            Err(_) => false,
        }
    }

    /// A compressed file is found at `path`: it may have been renamed.
    fn moved(&mut self, fs: &Fs, identity: &Identity, path: &Path) {
        let Some(file) = self.left_alone.get_mut(identity) else {
            return;
        };
        if *file.path == *path || fs.symlink_metadata(&file.path).is_ok() {
            return;
        }
        let path: Arc<Path> = path.into();
        file.path = path.clone();
        let unsettled = self.unsettled.iter_mut().chain(&mut self.unclear);
        for file in unsettled.filter(|file| file.identity == *identity) {
            file.path = path.clone();
        }
        self.searches.moved(identity, &path);
    }

    /// Finds out what the next few compressed files are; `now`: incomplete ones, too, and what is not
    /// known of one then is not asked again in this drain.
    pub(crate) fn settle(&mut self, files: &mut Files, now: bool) {
        if self.searches() || !files.scanned() {
            return;
        }
        let few = self.unsettled.len().min(SETTLED_AT_ONCE);
        let few: Vec<Unsettled> = self.unsettled.drain(..few).collect();
        for mut file in few {
            let (handle, metadata) = match files.handles.open_at_once(&file.path) {
                Ok((handle, metadata)) if Identity::of(&metadata) == file.identity => {
                    (handle, metadata)
                }
                Err(error) if none_left(&error) => {
                    let later = if now {
                        &mut self.unclear
                    } else {
                        &mut self.unsettled
                    };
                    later.push(file);
                    continue;
                }
                // Wherever it is found it is a new one.
                _ => {
                    self.left_alone.remove(&file.identity);
                    continue;
                }
            };
            file.growth.see(metadata.len(), files.ctx.time.now());
            let quiet = files.ctx.time.since(file.growth.since());
            // Whoever compresses gives it its original's time when that is done.
            let age = files
                .ctx
                .time
                .wall()
                .duration_since(metadata.modified())
                .ok();
            let may_grow = quiet.max(age.unwrap_or_default()) < COMPLETE_COPY;
            let path = file.path.display();
            match kin_of(files, &file.path, handle) {
                Kin::FormOf(name, read) => {
                    info!("{path} is the compressed form of {}", name.display());
                    keep_packed(files, &file.path, &file.identity, metadata.len(), read);
                }
                Kin::Like(name, _) if now && may_grow => {
                    let name = name.display();
                    let text = format!("it is compressed, begins like {name}, and may not be complete: it is not read now");
                    files
                        .ctx
                        .troubles
                        .say(Trouble::Compressed, &file.path, &text);
                    self.unclear.push(file);
                }
                Kin::Like(..) if may_grow => self.unsettled.push(file),
                Kin::Stranger if !now && quiet < COMPLETE => self.unsettled.push(file),
                kin @ (Kin::Like(..) | Kin::Stranger) => {
                    files.ctx.troubles.over(Trouble::Compressed, &file.path);
                    // It may have more than was read of what it is like.
                    let mut read = match kin {
                        Kin::Like(_, read) => read,
                        Kin::FormOf(..) | Kin::Stranger => Vec::new(),
                    };
                    let furthest = read.pop().unwrap_or_default();
                    self.searches.itself(
                        &files.ctx.options,
                        &file.path,
                        file.identity,
                        furthest,
                        Otherwise::Read(read),
                    );
                }
            }
        }
    }

    /// It is known by now what a compressed file is.
    fn settled(&mut self, identity: &Identity) {
        self.unsettled.retain(|file| file.identity != *identity);
        self.unclear.retain(|file| file.identity != *identity);
    }

    /// Bytes of compressed files of which it is not known what they are.
    pub(crate) fn unsettled_bytes(&self) -> u64 {
        self.unknown().map(|file| file.growth.size()).sum()
    }

    /// Takes out files about which nothing is open: what they are was said, or all of them was read.
    pub(crate) fn take_settled(&mut self) -> Vec<(Identity, u64)> {
        let open: HashSet<Identity> = self.unknown().map(|file| file.identity).collect();
        let settled = self.left_alone.iter().filter(|(id, _)| !open.contains(id));
        let settled: Vec<_> = settled.map(|(id, file)| (*id, file.seen.size)).collect();
        for (identity, _) in &settled {
            self.left_alone.remove(identity);
        }
        settled
    }

    /// The drain is over: what was not clear at its end may be later.
    pub(crate) fn ask_unclear_again(&mut self) {
        self.unsettled.append(&mut self.unclear);
    }

    /// Whether a compressed file was read before the instance began. What has come since is read.
    pub(crate) fn is_known_packed(
        &mut self,
        files: &Files,
        path: &Path,
        identity: &Identity,
        metadata: &Metadata,
    ) -> bool {
        let same = |entry: &&Entry| {
            entry.packed().is_some()
                && (entry.identity.device == identity.device || *entry.path == *path)
        };
        let checkpointer = files.checkpointer.as_ref();
        let found =
            checkpointer.and_then(|checkpointer| checkpointer.unclaimed.find(identity, same));
        let found = found.map(|entry| (entry.fingerprint, entry.cut(), entry.packed()));
        let Some((fingerprint, cut, packed)) = found else {
            return false;
        };
        let grown = packed != Some(metadata.len());
        let unknown = if fingerprint.offset > 0 {
            // The state of an older build does not say by what it is known again.
            fingerprint.head.length == 0
        } else {
            identity.birth.is_none()
        };
        if grown && unknown {
            return false;
        }
        // Its inode may be that of another file by now.
        let opened = files.handles.open_at_once(path);
        if !opened.is_ok_and(|(handle, _)| is_gzip(&handle)) {
            return false;
        }
        self.leave_alone(
            *identity,
            path.into(),
            Seen::of(metadata),
            Some(fingerprint),
        );
        if grown {
            self.searches.itself(
                &files.ctx.options,
                path,
                *identity,
                (fingerprint, cut),
                Otherwise::Another,
            );
        }
        true
    }

    /// Goes on looking into compressed files. `false`: there is nothing to do at the moment.
    pub(crate) fn search_on(&mut self, files: &mut Files) -> bool {
        if files.windows.reading() >= AT_ONCE {
            return false;
        }
        match self.searches.step(files) {
            Step::Idle => {
                if !self.searches() {
                    self.taken.clear();
                }
                return false;
            }
            Step::More => {}
            // It is not there; wherever it is found it is a new one.
            Step::Nowhere(identity, path) => {
                self.left_alone.remove(&identity);
                files.queue.push(Task::Consider(path.to_path_buf()));
            }
            Step::Another(identity, path) => {
                self.left_alone.remove(&identity);
                claim_packed(files, &identity);
                files.queue.push(Task::Consider(path));
            }
            Step::Found(found) => return self.read_rest(files, *found),
        }
        true
    }

    fn is_taken(&self, files: &Files, identity: &Identity) -> bool {
        let packed = |entry: &&Entry| entry.packed().is_some();
        let checkpointer = files.checkpointer.as_ref();
        self.taken.contains(identity)
            || checkpointer.is_some_and(|kept| kept.unclaimed.find(identity, packed).is_some())
    }

    /// Reads a compressed file from where it was read to. `false`: not now.
    fn read_rest(&mut self, files: &mut Files, found: Found) -> bool {
        let Found {
            search,
            current,
            over,
        } = found;
        let (goal, entry) = (search.goal, &search.entry);
        let offset = entry.fingerprint.offset;
        let path = current.path.clone();
        // As the file that it is, if that is asked for, or as one that has no name any more.
        let matched = goal == Goal::Itself || files.ctx.options.globs.matches(&path);
        if files.registry.followed(&current.identity).is_some() {
            self.settled(&current.identity);
            return true;
        }
        if goal == Goal::Original && self.is_taken(files, &current.identity) {
            // Of several files that began alike it is the form of one.
            self.searches.go_on(search, None);
            return true;
        }
        if goal == Goal::Original && is_of_another(files, &path, &current.identity, offset) {
            self.searches.go_on(search, None);
            return true;
        }
        if goal == Goal::Original && self.searches.is_wanted_further(&path, offset) {
            self.searches.go_on(search, Some((path, current.identity)));
            return true;
        }
        let now = files.ctx.time.now();
        let (identity, head, tail) = (current.identity, &current.head, current.tail.bytes());
        let window = Window::new(&files.ctx.fs, current.gunzip, head, tail, offset, now).and_then(
            |mut window| {
                window.push(&current.rest);
                window.over = over.map(Ending::from);
                if window.over.is_none() && window.gunzip.is_over() {
                    window.begin_again();
                }
                let handle = window.handle();
                let metadata = handle.metadata()?;
                Ok((window, handle, metadata))
            },
        );
        let (window, handle, metadata) = match window {
            Ok(made) => made,
            Err(error) if none_left(&error) => {
                self.searches.go_on(search, Some((path, current.identity)));
                return false;
            }
            Err(error) => {
                self.settled(&identity);
                let text = format!("it cannot be decompressed: {error}");
                files.ctx.troubles.say(Trouble::Compressed, &path, &text);
                return true;
            }
        };
        self.settled(&identity);
        // The file itself may have come back meanwhile.
        if goal == Goal::Original && !files.drop_unclaimed(entry) {
            return true;
        }
        self.taken.insert(identity);
        let shown = path.display();
        match goal {
            Goal::Original => info!(
                "{shown} is the compressed form of {}, read up to byte {offset}",
                entry.path.display()
            ),
            Goal::Itself => info!("{shown} is compressed, reading from byte {offset} of its text"),
        }
        let identity = if matched {
            claim_packed(files, &identity);
            identity
        } else {
            Identity::of(&metadata)
        };
        let position = Position {
            offset: Some(offset),
            name: Some(entry.path.clone()),
            cut: entry.cut(),
            parts_of: Some(entry.identity),
            ..Position::default()
        };
        let id = follow(files, &path, identity, handle, &metadata, position);
        files.windows.insert(id, window);
        if let Some(file) = files.registry.get_mut(id) {
            file.compared = true;
            file.checkpoint_tail = entry.fingerprint.tail;
            if matched {
                file.rare().packed = Some(0);
            }
        }
        if !matched {
            // It is read to its end like a deleted file.
            gone(files, &path, true);
        }
        if files.is_draining() {
            files.observe(id, Observation::Drained);
        }
        files.observe_unread(id);
        true
    }

    /// A compressed file is read to its end.
    pub(crate) fn unpacked(&mut self, files: &mut Files, id: FileId) {
        let window = files.windows.remove(id);
        let Some((window, file)) = window.zip(files.registry.get_mut(id)) else {
            return;
        };
        let path = file.shown().clone();
        let metadata = window.gunzip.metadata();
        let metadata = metadata.ok().filter(|m| Identity::of(m) == file.identity);
        let (identity, fingerprint) = (file.identity, file.fingerprint());
        if let Some(metadata) = metadata {
            file.rare().packed = Some(metadata.len());
            let seen = Seen::of(&metadata);
            self.leave_alone(identity, path.clone(), seen, Some(fingerprint));
        }
        match &window.over {
            Some(Ending::Broken(error)) => say_broken(files, &path, error),
            Some(Ending::Cut) => say_broken(files, &path, &NO_END),
            Some(Ending::Rewritten) => {
                let read = (fingerprint, None);
                let (options, otherwise) = (&files.ctx.options, Otherwise::Another);
                self.searches
                    .itself(options, &path, identity, read, otherwise);
            }
            Some(Ending::Whole) | None => {}
        }
        files.observe(id, Observation::Unpacked);
    }
}

/// What is wrong with a file whose last member has no end.
const NO_END: &str = "its last member has no end";

fn say_broken(files: &Files, path: &Path, why: &dyn fmt::Display) {
    let text = format!("it is broken behind what was read of it: {why}");
    files.ctx.troubles.say(Trouble::Compressed, path, &text);
}

/// A drain ends here for files that end inside a member: no more is waited for.
pub(crate) fn say_cut(files: &Files) {
    if files.ctx.shared.drain_purpose() == Purpose::Stop {
        // The next start goes on with them.
        return;
    }
    for id in files.windows.that_are_cut() {
        if let Some(file) = files.registry.get(id) {
            say_broken(files, file.shown(), &NO_END);
        }
    }
}

/// Whether a compressed file, which begins like one that was read so far, is the form of one that was read further.
fn is_of_another(files: &Files, path: &Path, identity: &Identity, offset: u64) -> bool {
    match files.handles.open_at_once(path) {
        Ok((handle, metadata)) if Identity::of(&metadata) == *identity => {
            matches!(kin_of(files, path, handle), Kin::FormOf(_, its) if its.offset > offset)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::fs::File;

    use std::io::Write;

    use flate2::{write::GzEncoder, Compression};

    use super::*;
    use crate::host::queue::Item;
    use crate::sim::steps::Steps;
    use crate::time::Time;
    use crate::worker::Worker;

    fn gzip(from: &Path, to: &Path) {
        let mut to = GzEncoder::new(File::create(to).unwrap(), Compression::fast());
        to.write_all(&fs::read(from).unwrap()).unwrap();
        to.finish().unwrap();
        fs::remove_file(from).unwrap();
    }

    #[test]
    fn a_name_or_inode_of_a_compressed_file_may_be_that_of_a_log_later() {
        let mut steps = Steps::new("*");
        steps.append("a.log", "one\n");
        gzip(&steps.path("a.log"), &steps.path("a.log.1"));
        steps.round();
        assert!(steps.lines.is_empty());
        // The same inode, and on many filesystems nobody tells that the file is another one.
        fs::write(steps.path("a.log.1"), "two\n").unwrap();
        steps.round();
        assert_eq!(steps.lines, ["two"]);
        assert!(steps.worker.compressed.len() == 0 && !steps.worker.compressed.unsettled());
    }

    #[test]
    fn a_compressed_file_that_is_renamed_before_it_is_known_is_read_once() {
        for inotify in ["on", "off"] {
            for rounds in 0..4 {
                let options = [("inotify_watcher", inotify), ("rotate_wait", "0")];
                let mut steps = Steps::prepared("*/*", &options, |dir| {
                    fs::create_dir(dir.path().join("x")).unwrap();
                    fs::write(dir.path().join("a"), "one\n").unwrap();
                    gzip(&dir.path().join("a"), &dir.path().join("x/a.1.gz"));
                });
                for _ in 0..rounds {
                    steps.round_after(COMPLETE / 2);
                }
                steps.rename("x/a.1.gz", "x/a.2.gz");
                steps.round_after(COMPLETE / 2);
                steps.rename("x", "y");
                for _ in 0..8 {
                    steps.round_after(COMPLETE);
                    while steps.worker.search_on() {
                        steps.read();
                    }
                }
                assert_eq!(steps.lines, ["one"], "inotify {inotify}, {rounds} rounds");
            }
        }
    }

    #[test]
    fn a_log_that_was_made_longer_in_advance_is_known_in_its_compressed_form() {
        let mut steps = Steps::new("a.log*");
        steps.append("a.log", "one\n");
        steps.cut("a.log", 4096);
        steps.round();
        steps.rename("a.log", "a.log.1");
        gzip(&steps.path("a.log.1"), &steps.path("a.log.1.gz"));
        for _ in 0..20 {
            steps.round_after(Duration::from_secs(5));
            while steps.worker.search_on() {
                steps.read();
            }
        }
        assert_eq!(steps.lines, ["one"]);
    }

    /// Reads whatever waits for its turn, for a host that takes everything.
    fn read_all(worker: &mut Worker) {
        let mut more = true;
        while more {
            more = worker.read_turn() | worker.search_on();
            // A file is complete a second after it was written.
            let idle = worker.files.windows.is_empty() && !worker.compressed.searches();
            if !more && !idle {
                worker.ctx.time.advance(COMPLETE);
                worker.poll_files();
                more = true;
            }
            while let Some(item) = worker.ctx.shared.pop() {
                more = true;
                if let Item::Batch(batch) = item {
                    worker.ctx.shared.delivered(batch);
                }
            }
        }
    }

    /// More than is decompressed in one step, and more than is read in one turn.
    const LINES: u64 = 200_000;

    #[test]
    fn a_rest_is_looked_for_step_by_step_and_from_any_position() {
        let text: String = (0..LINES).map(|n| format!("line {n:07}\n")).collect();
        // Inside and behind what is known of its head; 0: nothing has left the host.
        for lines in [0, 1, 100, 30_000] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("a.log");
            let db = dir.path().join("db");
            let options = [
                ("path", path.to_str().unwrap()),
                ("db", db.to_str().unwrap()),
            ];
            fs::write(&path, &text).unwrap();
            let mut worker = Worker::with(&options);
            assert!(worker.take_state());
            worker.scan();
            worker.read_turn();
            let id = worker.files.registry.ids()[0];
            worker
                .ctx
                .shared
                .confirm([((id, 0), 13 * lines)].into_iter().collect());
            worker.save(true);
            drop(worker);

            gzip(&path, &dir.path().join("a.log.1.gz"));
            fs::write(&path, "new\n").unwrap();
            let mut worker = Worker::at(&options, Time::simulated(COMPLETE));
            assert!(worker.take_state());
            worker.scan();
            // The new file has its turn before the search is over.
            assert!(worker.files.registry.len() == 1 && worker.compressed.searches());
            assert!(worker.read_turn() && worker.search_on());
            assert!(lines < 30_000 || worker.compressed.searches());
            read_all(&mut worker);
            assert!(!worker.compressed.searches());
            let unread = worker.ctx.counters.lines.get() - 1;
            assert_eq!(unread, LINES - lines, "from line {lines}");
            assert_eq!(worker.ctx.counters.lost_bytes.get(), 0);
        }
    }
}
