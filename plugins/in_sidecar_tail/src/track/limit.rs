//! How much is kept at most, whatever somebody puts into the folders.

use std::collections::hash_map::Entry;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use tracing::{info, warn};
use xxhash_rust::xxh3::xxh3_64;

use crate::context::Context;
use crate::counters::Trouble;
use crate::fs::Fs;
use crate::map::{HashMap, HashSet, Number};

/// Paths in trouble that are kept in mind, so that each is said once; beyond that they are counted.
pub(crate) const MOST_TROUBLES: usize = 10_000;
/// Paths that are tried again, or waited for, at a time.
pub(crate) const MOST_PATHS: usize = 10_000;

/// Folders that are looked into at a time; if more files than these may be followed, as many.
const MOST_FOLDERS: usize = 10_000;

/// Files or folders beyond the limit that are told apart; of more than these each look counts one.
pub(crate) const MOST_BEYOND: usize = 200_000;

/// What is beyond a limit, each counted once, however often it is come by.
#[derive(Debug, Default)]
pub(crate) struct Outside {
    /// Since when each is known, by its number.
    since: HashMap<Number, Since>,
    /// How many were come by since there was room last and have not had their turn.
    here: usize,
}

/// When something beyond the limit was come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Since {
    /// Since there was room last.
    Now,
    /// Before that, too.
    Both,
    /// Only before that.
    Before,
}

/// Whether something beyond the limit was come by before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Come {
    /// Since there was room last.
    Again,
    /// Before there was room last.
    Before,
    New,
}

impl Outside {
    pub(crate) fn come(&mut self, number: u64) -> Come {
        let room = self.here < MOST_BEYOND;
        match self.since.entry(number.into()) {
            Entry::Occupied(mut known) => match known.get() {
                Since::Now | Since::Both => Come::Again,
                Since::Before => {
                    if room {
                        known.insert(Since::Both);
                        self.here += 1;
                    }
                    Come::Before
                }
            },
            Entry::Vacant(new) => {
                if room {
                    new.insert(Since::Now);
                    self.here += 1;
                }
                Come::New
            }
        }
    }

    /// It has its turn now, and is beyond the limit again if it is come by once more. `false`: it was not beyond
    /// it, as far as is known.
    pub(crate) fn has_turn(&mut self, number: u64) -> bool {
        let known = self.since.get_mut(&number.into());
        let here = known.filter(|since| **since != Since::Before);
        let full = self.here >= MOST_BEYOND;
        if let Some(since) = here {
            *since = Since::Before;
            self.here -= 1;
            return true;
        }
        full
    }

    /// It was come by since there was room last.
    pub(crate) fn is_here(&self, number: u64) -> bool {
        let since = self.since.get(&number.into());
        since.is_some_and(|since| *since != Since::Before)
    }

    /// There is room: everything is come by again.
    pub(crate) fn begin_anew(&mut self) {
        self.since.retain(|_, since| {
            let here = *since != Since::Before;
            *since = Since::Before;
            here
        });
        self.here = 0;
    }
}

/// Folders that wildcards have found and that are looked into.
#[derive(Debug, Default)]
pub(crate) struct Folders {
    most: usize,
    inside: HashSet<PathBuf>,
    outside: Outside,
    /// Folders that are there and not looked into, since there are too many.
    beyond: u64,
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

    /// How many are left out.
    pub(crate) fn beyond(&self) -> u64 {
        self.beyond
    }

    /// Says that folders are not looked into.
    pub(crate) fn tell_new(&mut self, ctx: &Context) {
        let untold = std::mem::take(&mut self.untold);
        ctx.counters.errors_of(Trouble::Limit).add(untold);
        if untold > 0 && !self.said {
            self.said = true;
            warn!(
                "{}: {} folders are looked into: this and others wait until one of them goes",
                self.example.display(),
                self.most
            );
        }
    }

    /// Drops those that are gone, if others wait. `true`: there is room for some of them.
    pub(crate) fn make_room(&mut self, fs: &Fs) -> bool {
        if self.beyond == 0 {
            return false;
        }
        self.retain(|folder| fs.is_dir(folder));
        let room = self.inside.len() < self.most;
        if room {
            self.beyond = 0;
            self.outside.begin_anew();
        }
        room
    }

    /// After a scan: says that none waits any more.
    pub(crate) fn tell(&mut self) {
        if self.said && self.beyond == 0 {
            self.outside = Outside::default();
            self.said = false;
            info!("every folder is looked into");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use std::io::Write as _;
    use std::os::unix::fs::symlink;
    use std::time::Duration;

    use flate2::{write::GzEncoder, Compression};
    use flb_sidecar_sdk::drain::Drain as _;

    use super::*;
    use crate::host::queue::{Item, Purpose};
    use crate::sim::steps::Steps;
    use crate::worker::Turn;

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig {
            cases: 40,
            ..proptest::prelude::ProptestConfig::default()
        })]

        /// What waits for its turn and is renamed meanwhile is not forgotten without a word.
        #[test]
        fn what_waits_is_found_or_counted_whatever_becomes_of_its_name(
            inotify in proptest::bool::ANY,
            most in 1_usize..5,
            fates in proptest::collection::vec((0_usize..12, 0_u8..6), 1..40),
        ) {
            const FILES: usize = 12;
            let (most, inotify) = (most.to_string(), if inotify { "on" } else { "off" });
            let options = [("max_files", &*most), ("rotate_wait", "0"), ("inotify_watcher", inotify)];
            let mut steps = Steps::prepared("*.log", &options, |dir| {
                for n in 0..FILES {
                    fs::write(dir.path().join(format!("{n}.log")), format!("{n}\n")).unwrap();
                }
            });
            steps.round();
            let mut names: Vec<Option<String>> = (0..FILES).map(|n| Some(format!("{n}.log"))).collect();
            let mut deleted = 0;
            for (step, (n, fate)) in fates.into_iter().enumerate() {
                if let Some(name) = names[n].clone() {
                    match fate {
                        0..3 => {
                            let to = format!("{n}-{step}.{}", if fate == 0 { "log" } else { "done" });
                            steps.rename(&name, &to);
                            names[n] = Some(to);
                        }
                        3 => {
                            fs::remove_file(steps.path(&name)).unwrap();
                            names[n] = None;
                            deleted += 1;
                        }
                        _ => {}
                    }
                }
                steps.round();
            }
            // Whatever is followed ends, so that the others have their turn.
            for _ in 0..4 * FILES {
                let at: Vec<_> = steps.worker.files.registry.paths().map(|(path, _)| path.clone()).collect();
                for path in at {
                    let gone = names.iter().position(|name| name.as_ref().is_some_and(|name| *path == *steps.path(name)));
                    if let Some(n) = gone.filter(|_| path.extension().is_some_and(|e| e == "log")) {
                        let to = format!("{n}.end");
                        fs::rename(path, steps.path(&to)).unwrap();
                        names[n] = Some(to);
                    }
                }
                steps.round_after(Duration::from_secs(1));
            }
            let counters = &steps.worker.ctx.counters;
            proptest::prop_assert_eq!(counters.waiting.get(), 0);
            let missed = counters.errors(Trouble::Missed);
            let came = steps.lines.iter().collect::<HashSet<_>>().len();
            proptest::prop_assert_eq!(came, steps.lines.len());
            proptest::prop_assert_eq!(came as u64 + missed, FILES as u64);
            proptest::prop_assert!(missed <= deleted, "{} of {}", missed, deleted);
        }
    }

    #[test]
    fn what_is_deleted_before_its_turn_is_lost() {
        for inotify in ["on", "off"] {
            let options = [
                ("max_files", "1"),
                ("rotate_wait", "0"),
                ("inotify_watcher", inotify),
            ];
            let mut steps = Steps::prepared("*.log", &options, |dir| {
                for n in ["a", "b", "c"] {
                    fs::write(dir.path().join(format!("{n}.log")), "text\n").unwrap();
                }
            });
            steps.round();
            let followed = steps
                .worker
                .files
                .registry
                .paths()
                .next()
                .unwrap()
                .0
                .clone();
            let waits = ["a.log", "b.log", "c.log"].map(|name| steps.path(name));
            let mut waits = waits.iter().filter(|path| **path != *followed);
            fs::remove_file(waits.next().unwrap()).unwrap();
            fs::rename(waits.next().unwrap(), steps.path("d.done")).unwrap();
            steps.round();
            assert_eq!(
                steps.worker.ctx.counters.waiting.get(),
                2,
                "inotify {inotify}"
            );
            fs::remove_file(&followed).unwrap();
            for _ in 0..6 {
                steps.round_after(Duration::from_secs(1));
            }
            assert_eq!(steps.lines, ["text", "text"], "inotify {inotify}");
            assert_eq!(steps.missed(), 1);
            assert_eq!(steps.lost(), 5);
            assert_eq!(steps.worker.ctx.counters.waiting.get(), 0);
        }
    }

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
            assert_eq!(steps.worker.files.registry.len(), 3);
            assert_eq!(steps.worker.ctx.counters.waiting.get(), 7);
            assert_eq!(steps.worker.discovery.beyond.bytes(), 14);
            assert_eq!(steps.worker.ctx.counters.errors(Trouble::Limit), 7);
            for _ in 0..10 {
                let paths = steps.worker.files.registry.paths();
                let names: Vec<_> = paths.map(|(path, _)| path.clone()).collect();
                for path in names {
                    fs::remove_file(path).unwrap();
                }
                steps.round();
                steps.round();
                assert!(steps.worker.files.registry.len() <= 3);
            }
            steps.lines.sort();
            let all = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
            assert_eq!(steps.lines, all, "inotify {inotify}");
            assert_eq!(steps.worker.ctx.counters.waiting.get(), 0);
            assert_eq!(steps.worker.ctx.counters.errors(Trouble::Limit), 7);
        }
    }

    #[test]
    fn folders_beyond_the_limit_have_their_turn_as_others_go() {
        for (pattern, inotify) in [("*/*.log", "on"), ("*/a.log", "on"), ("*/*.log", "off")] {
            let options = [("rotate_wait", "0"), ("inotify_watcher", inotify)];
            let mut steps = Steps::prepared(pattern, &options, |_| {});
            *steps.worker.discovery.sources.admitted_mut() = Folders::at_most(3);
            for n in 0..10 {
                fs::create_dir(steps.path(&n.to_string())).unwrap();
                steps.append(&format!("{n}/a.log"), &format!("{n}\n"));
            }
            steps.round();
            steps.round();
            assert_eq!(steps.lines.len(), 3, "{pattern} inotify {inotify}");
            assert_eq!(steps.worker.discovery.sources.admitted().beyond, 7);
            assert_eq!(steps.worker.ctx.counters.errors(Trouble::Limit), 7);
            // The root, and those three.
            let watches = steps.worker.discovery.sources.watches();
            assert!(watches.is_none_or(|watches| watches.paths().count() <= 4));
            // Whoever has work in a folder that is known keeps it, however many come.
            let inside = |steps: &Steps| -> Vec<_> {
                let admitted = steps.worker.discovery.sources.admitted();
                admitted.inside.iter().cloned().collect()
            };
            let known = inside(&steps);
            let text = format!("{}/a.log", known[0].display());
            steps.append(&text, "more\n");
            steps.round();
            assert_eq!(steps.lines.pop().as_deref(), Some("more"));
            for _ in 0..10 {
                for path in inside(&steps) {
                    // Those that had gone before have not been swept yet.
                    let _ = fs::remove_dir_all(path);
                }
                steps.round();
                steps.round();
                assert!(steps.worker.discovery.sources.admitted().len() <= 3);
            }
            steps.lines.sort();
            let all = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
            assert_eq!(steps.lines, all, "{pattern} inotify {inotify}");
            assert_eq!(steps.worker.discovery.sources.admitted().beyond, 0);
            assert_eq!(steps.worker.ctx.counters.errors(Trouble::Limit), 7);
        }
    }

    /// Drains, for a host that delivers at once; whether the drain came to its end.
    fn drain(steps: &mut Steps) -> bool {
        let shared = steps.worker.ctx.shared.clone();
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
                    steps.worker.ctx.time.advance(Duration::from_millis(100));
                }
                _ => {}
            }
        }
        false
    }

    #[test]
    fn a_drain_reads_what_is_beyond_the_limit_and_nothing_twice() {
        let cases = [false, true].into_iter().flat_map(|with_db| {
            let cases = [(false, "on"), (true, "on"), (true, "off")];
            cases.map(|(compressed, inotify)| (with_db, compressed, inotify))
        });
        for (with_db, compressed, inotify) in cases {
            let state = tempfile::tempdir().unwrap();
            let db = state.path().join("db");
            let db = [("db", db.to_str().unwrap()), ("db.sync", "off")];
            let options = [("max_files", "3"), ("inotify_watcher", inotify)];
            let options = [&options[..], if with_db { &db } else { &[] }].concat();
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
                        let mut file = file.finish().unwrap();
                        if n % 2 == 0 {
                            file.write_all(b"no member").unwrap();
                        }
                    } else if n % 5 == 1 && n < 35 {
                        // Made longer in advance.
                        fs::write(path, text + &"\0".repeat(10_000)).unwrap();
                    } else {
                        fs::write(path, text).unwrap();
                    }
                }
            });
            assert!(steps.worker.take_state());
            let case = format!("db {with_db}, compressed {compressed}, inotify {inotify}");
            assert!(drain(&mut steps), "{case}");
            steps.lines.sort();
            assert_eq!(steps.lines, expected, "{case}");
            assert!(steps.worker.files.registry.len() <= 3, "{case}");
            let status = steps.worker.ctx.shared.status();
            assert_eq!(status.unread_bytes, 0, "{case}");
            assert_eq!(status.missed_files, 0, "{case}");
            // One that is written to later goes on where it was.
            steps.append("2", "more\n");
            expected.push("more".to_owned());
            steps.worker.ctx.time.advance(Duration::from_secs(5));
            assert!(drain(&mut steps), "{case}");
            steps.lines.sort();
            assert_eq!(steps.lines, expected, "{case}");
        }
    }

    #[test]
    fn a_link_that_is_not_followed_has_no_turn_to_wait_for() {
        let outside = tempfile::NamedTempFile::new().unwrap();
        fs::write(&outside, "somebody else's\n").unwrap();
        let mut steps = Steps::prepared("*", &[("max_files", "2")], |dir| {
            symlink(&outside, dir.path().join("link")).unwrap();
            fs::write(dir.path().join("1"), "one\n").unwrap();
        });
        steps.round();
        // Now there is no room, and the link is asked again: it may lead somewhere else.
        steps.append("2", "one\n");
        steps.round_after(Duration::from_secs(60));
        steps.round_after(Duration::from_secs(60));
        assert_eq!(steps.lines, ["one"; 2]);
        assert!(!steps.worker.discovery.beyond.waits());
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
        assert_eq!(steps.worker.ctx.shared.status().unread_bytes, bytes);
        let report = steps.worker.ctx.shared.report();
        assert!(report.contains("a.log.1.gz"), "{report}");
        // Once it is old enough to be complete, it is read.
        steps.worker.ctx.time.advance(Duration::from_secs(40));
        assert!(drain(&mut steps));
        assert_eq!(steps.lines.last().map(String::as_str), Some("another"));
        assert_eq!(steps.worker.ctx.shared.status().unread_bytes, 0);
    }
}
