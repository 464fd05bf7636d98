//! How much is kept at most, whatever somebody puts into the folders.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use tracing::{info, warn};
use xxhash_rust::xxh3::xxh3_64;

use crate::counters::Trouble;
use crate::host::queue::Purpose;
use crate::map::{HashMap, HashSet};
use crate::track::file::{FileId, TrackedFile};
use crate::track::fingerprint::Identity;
use crate::track::transition::Observation;
use crate::worker::Worker;

/// Paths in trouble that are kept in mind, so that each is said once; beyond that they are counted.
pub(crate) const MOST_TROUBLES: usize = 10_000;
/// Paths that are tried again, or waited for, at a time.
pub(crate) const MOST_PATHS: usize = 10_000;

/// Folders that are looked into at a time; if more files than these may be followed, as many.
const MOST_FOLDERS: usize = 10_000;

/// Files or folders beyond the limit that are told apart; of more than these each look counts one.
const MOST_BEYOND: usize = 200_000;

/// Paths of files beyond the limit that are kept, so that a folder is not listed for each of them.
const MOST_WAITING: usize = 50_000;

/// What is beyond a limit, each counted once, however often it is come by.
#[derive(Debug, Default)]
struct Outside {
    /// Their numbers, and those from before there was room.
    now: HashSet<u64>,
    before: HashSet<u64>,
}

/// Whether something beyond the limit was come by before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Come {
    /// Since there was room last.
    Again,
    /// Before there was room last.
    Before,
    New,
}

impl Outside {
    fn come(&mut self, number: u64) -> Come {
        if self.now.len() < MOST_BEYOND && !self.now.insert(number) {
            Come::Again
        } else if self.before.contains(&number) {
            Come::Before
        } else {
            Come::New
        }
    }

    /// It has its turn now, and is beyond the limit again if it is come by once more.
    fn has_turn(&mut self, number: u64) {
        if self.now.remove(&number) {
            self.before.insert(number);
        }
    }

    /// There is room: everything is come by again.
    fn begin_anew(&mut self) {
        self.before = std::mem::take(&mut self.now);
    }
}

/// Folders that wildcards have found and that are looked into.
#[derive(Debug, Default)]
pub(crate) struct Folders {
    most: usize,
    inside: HashSet<PathBuf>,
    outside: Outside,
    /// Folders that are there and not looked into, since there are too many.
    pub(crate) beyond: u64,
    /// Those of them that nobody was told of, and one of these.
    untold: u64,
    example: PathBuf,
    said: bool,
}

impl Folders {
    pub(crate) fn new(max_files: usize) -> Self {
        Folders::at_most(max_files.max(MOST_FOLDERS))
    }

    fn at_most(most: usize) -> Self {
        Folders {
            most,
            ..Folders::default()
        }
    }

    /// Whether a folder is looked into.
    pub(crate) fn admit(&mut self, folder: &Path) -> bool {
        if self.inside.contains(folder) {
            return true;
        }
        if self.inside.len() < self.most {
            return self.inside.insert(folder.to_owned());
        }
        let come = self.outside.come(xxh3_64(folder.as_os_str().as_bytes()));
        if come != Come::Again {
            self.beyond += 1;
        }
        if come == Come::New {
            self.untold += 1;
            self.example = folder.to_owned();
        }
        false
    }

    pub(crate) fn len(&self) -> usize {
        self.inside.len()
    }

    pub(crate) fn retain(&mut self, keep: impl Fn(&Path) -> bool) {
        self.inside.retain(|folder| keep(folder));
    }
}

/// Files that are there and not followed, since there are too many.
#[derive(Debug, Default)]
pub(crate) struct Beyond {
    pub(crate) files: u64,
    /// That they have, together.
    pub(crate) bytes: u64,
    said: bool,
    outside: Outside,
    /// Where some of them are.
    paths: Vec<PathBuf>,
    /// Files that a drain has read and that gave way to others, by their numbers.
    ended: HashMap<u64, Ended>,
}

/// How a file was that gave way.
#[derive(Clone, Copy, Debug)]
struct Ended {
    /// Bytes that it had.
    bytes: u64,
    /// How far it was read.
    offset: u64,
}

impl Worker {
    /// Whether one more file would be too many.
    pub(crate) fn is_full(&self) -> bool {
        self.registry.len() + self.compressed.len() >= self.options.max_files
    }

    /// One more file of so many bytes would be too many.
    pub(crate) fn leave_out(&mut self, path: &Path, identity: &Identity, bytes: u64) {
        let come = self.beyond.outside.come(identity.number());
        if come == Come::Again {
            return;
        }
        if self.beyond.paths.len() < MOST_WAITING {
            self.beyond.paths.push(path.to_owned());
        }
        self.beyond.files += 1;
        self.beyond.bytes = self.beyond.bytes.saturating_add(bytes);
        if come == Come::New {
            self.counters.error(Trouble::Limit);
        }
        if !self.beyond.said {
            self.beyond.said = true;
            let most = self.options.max_files;
            warn!(
                "{}: max_files {most} are followed: this and others wait until one of them ends",
                path.display()
            );
        }
    }

    /// Whether a drain has read this file to its end and it has not changed since.
    pub(crate) fn has_given_way(&self, identity: &Identity, bytes: u64) -> bool {
        let ended = self.beyond.ended.get(&identity.number());
        ended.is_some_and(|ended| ended.bytes == bytes)
    }

    /// Where a file ended that gave way.
    pub(crate) fn end_when_it_gave_way(&mut self, identity: &Identity) -> Option<u64> {
        let ended = self.beyond.ended.remove(&identity.number());
        ended.map(|ended| ended.offset)
    }

    /// Everything that is followed has been read for a drain: files give way to those that wait.
    /// `true`: the drain goes on with these.
    pub(crate) fn give_way(&mut self) -> bool {
        let stops = self.shared.drain_purpose() == Purpose::Stop;
        let none = self.beyond.files == 0 && self.beyond.paths.is_empty();
        if stops || none || self.beyond.ended.len() >= MOST_BEYOND {
            return false;
        }
        for (identity, bytes) in self.take_settled() {
            let ended = Ended {
                bytes,
                offset: bytes,
            };
            self.beyond.ended.insert(identity.number(), ended);
        }
        let read = |file: &TrackedFile| {
            // One that cannot be read stays, and is said to be unread.
            file.life.is_idle() && file.ahead() == 0
        };
        let read = self.registry.iter().filter(|(_, file)| read(file));
        let read: Vec<FileId> = read.map(|(id, _)| id).collect();
        for id in read {
            let Some(file) = self.registry.get(id) else {
                continue;
            };
            let ended = Ended {
                bytes: file.seen.size,
                offset: file.offset,
            };
            self.beyond.ended.insert(file.identity.number(), ended);
            self.end_unfinished(id);
            self.end_stream(id);
            self.observe(id, Observation::GivesWay);
            self.go_on();
        }
        // Those of which something is with the host stay until that has left it.
        if self.is_full() {
            return self.registry.iter().any(|(_, file)| file.life.is_let_go());
        }
        let first = self.registry.count();
        self.take_waiting();
        if !self.is_full() {
            self.scan();
        }
        for id in self.registry.ids() {
            if id.0 >= first {
                self.observe(id, Observation::Drained);
            }
        }
        true
    }

    /// Follows files that were left out, as far as there is room and their paths are known.
    fn take_waiting(&mut self) {
        while !self.is_full() {
            let Some(path) = self.beyond.paths.pop() else {
                return;
            };
            self.beyond.files = self.beyond.files.saturating_sub(1);
            if let Ok(metadata) = self.fs.metadata(&path) {
                let number = Identity::of(&metadata).number();
                self.beyond.outside.has_turn(number);
                self.beyond.bytes = self.beyond.bytes.saturating_sub(metadata.len());
            }
            self.consider(&path);
        }
    }

    /// Before a scan: what was left out is offered again, if there is room for some of it.
    pub(crate) fn take_more(&mut self) {
        self.take_waiting();
        if self.beyond.files > 0 && !self.is_full() {
            self.beyond.files = 0;
            self.beyond.bytes = 0;
            self.beyond.paths.clear();
            self.beyond.outside.begin_anew();
            self.listings.clear();
        }
        if self.draining.is_none() && !self.beyond.ended.is_empty() {
            // Nobody looks at these in any other way.
            self.listings.clear();
        }
        if self.folders.beyond > 0 {
            let fs = self.fs.clone();
            self.folders.retain(|folder| fs.is_dir(folder));
            if self.folders.inside.len() < self.folders.most {
                self.folders.beyond = 0;
                self.folders.outside.begin_anew();
                self.listings.clear();
            }
        }
    }

    /// Says that folders are not looked into.
    pub(crate) fn say_folders(&mut self) {
        let untold = std::mem::take(&mut self.folders.untold);
        self.counters.errors_of(Trouble::Limit).add(untold);
        if untold > 0 && !self.folders.said {
            self.folders.said = true;
            warn!(
                "{}: {} folders are looked into: this and others wait until one of them goes",
                self.folders.example.display(),
                self.folders.most
            );
        }
    }

    /// After a scan: says whether files wait.
    pub(crate) fn tell_beyond(&mut self) {
        self.counters.waiting.set(self.beyond.files);
        if self.beyond.said && self.beyond.files == 0 {
            self.beyond.said = false;
            self.beyond.outside = Outside::default();
            info!("every file is followed");
        }
        if self.folders.said && self.folders.beyond == 0 {
            self.folders.outside = Outside::default();
            self.folders.said = false;
            info!("every folder is looked into");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use std::io::Write as _;
    use std::time::Duration;

    use flate2::{write::GzEncoder, Compression};
    use flb_sidecar_sdk::drain::Drain as _;

    use super::*;
    use crate::host::queue::Item;
    use crate::sim::steps::Steps;
    use crate::worker::Turn;

    #[test]
    fn files_beyond_the_limit_have_their_turn_as_others_end() {
        for inotify in ["on", "off"] {
            let options = [("max_files", "3"), ("rotate_wait", "0")];
            let options = [&options[..], &[("inotify_watcher", inotify)]].concat();
            let mut steps = Steps::prepared("*.log", &options, |dir| {
                for n in 0..10 {
                    fs::write(dir.path().join(format!("{n}.log")), format!("{n}\n")).unwrap();
                }
            });
            steps.round();
            assert_eq!(steps.worker.registry.len(), 3);
            assert_eq!(steps.worker.beyond.files, 7);
            assert_eq!(steps.worker.beyond.bytes, 14);
            assert_eq!(steps.worker.counters.errors(Trouble::Limit), 7);
            for _ in 0..10 {
                let paths = steps.worker.registry.paths();
                let names: Vec<_> = paths.map(|(path, _)| path.clone()).collect();
                for path in names {
                    fs::remove_file(path).unwrap();
                }
                steps.round();
                steps.round();
                assert!(steps.worker.registry.len() <= 3);
            }
            steps.lines.sort();
            let all = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
            assert_eq!(steps.lines, all, "inotify {inotify}");
            assert_eq!(steps.worker.counters.waiting.get(), 0);
            assert_eq!(steps.worker.counters.errors(Trouble::Limit), 7);
        }
    }

    #[test]
    fn folders_beyond_the_limit_have_their_turn_as_others_go() {
        for (pattern, inotify) in [("*/*.log", "on"), ("*/a.log", "on"), ("*/*.log", "off")] {
            let options = [("rotate_wait", "0"), ("inotify_watcher", inotify)];
            let mut steps = Steps::prepared(pattern, &options, |_| {});
            steps.worker.folders = Folders::at_most(3);
            for n in 0..10 {
                fs::create_dir(steps.path(&n.to_string())).unwrap();
                steps.append(&format!("{n}/a.log"), &format!("{n}\n"));
            }
            steps.round();
            steps.round();
            assert_eq!(steps.lines.len(), 3, "{pattern} inotify {inotify}");
            assert_eq!(steps.worker.folders.beyond, 7);
            assert_eq!(steps.worker.counters.errors(Trouble::Limit), 7);
            // The root, and those three.
            let watches = steps.worker.watches.as_ref();
            assert!(watches.is_none_or(|watches| watches.paths().count() <= 4));
            // Whoever has work in a folder that is known keeps it, however many come.
            let known: Vec<_> = steps.worker.folders.inside.iter().cloned().collect();
            let text = format!("{}/a.log", known[0].display());
            steps.append(&text, "more\n");
            steps.round();
            assert_eq!(steps.lines.pop().as_deref(), Some("more"));
            for _ in 0..10 {
                let folders: Vec<_> = steps.worker.folders.inside.iter().cloned().collect();
                for path in folders {
                    // Those that had gone before have not been swept yet.
                    let _ = fs::remove_dir_all(path);
                }
                steps.round();
                steps.round();
                assert!(steps.worker.folders.len() <= 3);
            }
            steps.lines.sort();
            let all = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
            assert_eq!(steps.lines, all, "{pattern} inotify {inotify}");
            assert_eq!(steps.worker.folders.beyond, 0);
            assert_eq!(steps.worker.counters.errors(Trouble::Limit), 7);
        }
    }

    /// Drains, for a host that delivers at once; whether the drain came to its end.
    fn drain(steps: &mut Steps) -> bool {
        let shared = steps.worker.shared.clone();
        shared.start_drain(Duration::from_secs(60), Purpose::Completion);
        for _ in 0..10_000 {
            let turn = steps.worker.turn();
            let mut items = 0;
            while let Some(item) = shared.pop() {
                items += 1;
                match item {
                    Item::Batch(batch) => {
                        steps.take(&batch.events);
                        let reach = |r: &crate::read::encode::Reach| ((r.file, r.epoch), r.offset);
                        shared.confirm(batch.reaches.iter().map(reach).collect());
                        shared.delivered(batch);
                    }
                    Item::DrainEnd(request) => {
                        shared.drain_ended(request);
                        // Says where it is.
                        steps.worker.turn();
                        return true;
                    }
                    Item::FileEnd(_) => {}
                }
            }
            match turn {
                Turn::Until(_) if items == 0 => {
                    steps.worker.time.advance(Duration::from_millis(100));
                }
                _ => {}
            }
        }
        false
    }

    #[test]
    fn a_drain_reads_what_is_beyond_the_limit_and_nothing_twice() {
        for (with_db, compressed) in [(false, false), (true, false), (false, true), (true, true)] {
            let state = tempfile::tempdir().unwrap();
            let db = state.path().join("db");
            let db = [("db", db.to_str().unwrap()), ("db.sync", "off")];
            let options = [&[("max_files", "3")][..], if with_db { &db } else { &[] }].concat();
            let mut expected: Vec<String> = (0..40).map(|n| format!("line {n:02}")).collect();
            let mut steps = Steps::prepared("*", &options, |dir| {
                for (n, line) in expected.iter().enumerate() {
                    // The last ones have no newline.
                    let end = if n < 35 { "\n" } else { "" };
                    let text = format!("{line}{end}");
                    let path = dir.path().join(n.to_string());
                    if compressed && n % 3 == 0 {
                        let file = fs::File::create(path).unwrap();
                        let mut file = GzEncoder::new(file, Compression::fast());
                        file.write_all(text.as_bytes()).unwrap();
                        file.finish().unwrap();
                    } else if n % 5 == 1 && n < 35 {
                        // Made longer in advance.
                        fs::write(path, text + &"\0".repeat(10_000)).unwrap();
                    } else {
                        fs::write(path, text).unwrap();
                    }
                }
            });
            assert!(steps.worker.take_state());
            let case = format!("db {with_db}, compressed {compressed}");
            assert!(drain(&mut steps), "{case}");
            steps.lines.sort();
            assert_eq!(steps.lines, expected, "{case}");
            assert!(steps.worker.registry.len() <= 3, "{case}");
            let status = steps.worker.shared.status();
            assert_eq!(status.unread_bytes, 0, "{case}");
            assert_eq!(status.missed_files, 0, "{case}");
            // One that is written to later goes on where it was.
            steps.append("2", "more\n");
            expected.push("more".to_owned());
            steps.worker.time.advance(Duration::from_secs(5));
            assert!(drain(&mut steps), "{case}");
            steps.lines.sort();
            assert_eq!(steps.lines, expected, "{case}");
        }
    }

    #[test]
    fn what_a_compressed_file_is_that_nobody_knows_yet_is_unread() {
        let head = "the same banner\n".repeat(20);
        let mut steps = Steps::prepared("*", &[], |dir| {
            fs::write(dir.path().join("a.log"), &head).unwrap();
        });
        steps.round();
        steps.lines.clear();
        let file = fs::File::create(steps.path("a.log.1.gz")).unwrap();
        let mut file = GzEncoder::new(file, Compression::fast());
        file.write_all((head + "another\n").as_bytes()).unwrap();
        let bytes = file.finish().unwrap().metadata().unwrap().len();
        assert!(drain(&mut steps));
        assert!(steps.lines.is_empty(), "{:?}", steps.lines);
        assert_eq!(steps.worker.shared.status().unread_bytes, bytes);
        let report = steps.worker.shared.report();
        assert!(report.contains("a.log.1.gz"), "{report}");
        // Once it is old enough to be complete, it is read.
        steps.worker.time.advance(Duration::from_secs(40));
        assert!(drain(&mut steps));
        assert_eq!(steps.lines.last().map(String::as_str), Some("another"));
        assert_eq!(steps.worker.shared.status().unread_bytes, 0);
    }
}
