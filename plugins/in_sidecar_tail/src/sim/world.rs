//! The files of a simulation, the one who writes them, and an oracle that knows every word of them.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use flate2::{write::GzEncoder, Compression};
use serde_json::Value;
use tracing::debug;

use super::log::{Duty, Line, Log};
use super::schedule::{Action, Mode, Scheme, Setting};
use crate::fs::simulated::{Device, SimFs, Writer};
use crate::time::Time;

/// `rotate_wait` of the instance, and how much earlier the oracle ceases to rely on it.
const ROTATE_WAIT: u64 = 5_000;
const MARGIN: u64 = 700;
/// For how long it looks once more at what has not changed.
const CLOCK_STEP: u64 = 3_000;
/// How long it may take until the engine has what was handed over.
const RING: u64 = 250;
/// Bytes by which a file is made longer in advance.
const PREALLOCATED: u64 = 4096;
/// Bytes of a word.
const WORD: usize = 8;
const HEADER_LINES: u64 = 6;
/// Numbered files that are kept.
const MOST_ROTATED: u64 = 4;
/// For how long after it was compressed it may not be known what a file is, and for how long positions of files
/// that are gone are kept.
const UNSETTLED: u64 = 60_000;
const KEEP_GONE: u64 = 600_000;
/// `ignore_older`, if it is set.
const HOUR: u64 = 3_600_000;

/// A copy that is being made.
#[derive(Debug)]
pub(super) struct Copy {
    /// The log's number.
    of: usize,
    pub(super) path: PathBuf,
    pub(super) text: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct World {
    setting: Setting,
    pattern: glob::Pattern,
    time: Time,
    began: std::time::Instant,
    pub(super) fs: SimFs,
    logs: Vec<Log>,
    lines: Vec<Line>,
    /// The one that is written to, and the one at the path.
    current: usize,
    at_path: Option<usize>,
    writer: Option<Writer>,
    position: u64,
    reserved: u64,
    /// The last line of the current file is open.
    open: Option<usize>,
    names: u64,
    headers: u64,
    headers_most: u64,
    /// How often the instance has started.
    starts: u64,
    /// When a file was copied and truncated last.
    copied: Option<u64>,
    /// The instance cannot open all that is there: nothing is rotated meanwhile.
    pub(super) denied: bool,
    pub(super) starved: bool,
    /// When it was the last time.
    fed: Option<u64>,
    /// It was one of both at some time.
    was_blind: bool,
    /// There is no room for positions.
    pub(super) disk_full: bool,
    /// When the instance ended last.
    ended: u64,
    /// When a file was truncated last, and how long it was.
    cut: Option<(u64, usize)>,
    /// The time of day was set back: files need not be younger than those that were made before.
    set_back: bool,
    /// When something happened last in the middle of what the instance did.
    pub(super) acted: std::time::Instant,
    pub(super) failure: Option<String>,
}

impl World {
    pub(super) fn new(setting: Setting, time: Time) -> Self {
        let fs = SimFs::new(
            time.clone(),
            Device {
                number: setting.device,
                stale: setting.stale.map(|millis| millis * 1_000_000),
                births: setting.births,
                reuses: setting.reuses,
                ..Device::LOCAL
            },
        );
        fs.tell_late(Duration::from_millis(setting.late));
        fs.tell_at_most(setting.room);
        for folder in ["/logs", "/real", "/away"] {
            fs.make_folder(Path::new(folder)).unwrap();
        }
        // Positions are kept on a disk of ours.
        let own = Device {
            number: setting.device.wrapping_add(1 << 40),
            ..Device::LOCAL
        };
        fs.mount(Path::new("/state"), own).unwrap();
        let pattern = format!("/logs/{}", setting.pattern);
        let mut world = World {
            setting,
            pattern: glob::Pattern::new(&pattern).unwrap(),
            began: time.now(),
            acted: time.now(),
            time,
            fs,
            logs: Vec::new(),
            lines: Vec::new(),
            current: 0,
            at_path: None,
            writer: None,
            position: 0,
            reserved: 0,
            open: None,
            names: 0,
            headers: 0,
            headers_most: 0,
            starts: 0,
            copied: None,
            denied: false,
            starved: false,
            fed: None,
            was_blind: false,
            disk_full: false,
            ended: 0,
            cut: None,
            set_back: false,
            failure: None,
        };
        world.begin_file();
        world
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        Path::new("/").join(name)
    }

    /// Milliseconds since the simulation began.
    fn now(&self) -> u64 {
        self.time.since(self.began).as_millis() as u64
    }

    fn fail(&mut self, text: String) {
        self.failure.get_or_insert(text);
    }

    fn linked(&self) -> bool {
        matches!(self.setting.scheme, Scheme::LinkTarget | Scheme::LinkSwap)
    }

    fn matches(&self, path: &Path) -> bool {
        path.starts_with("/logs") && self.pattern.matches_path(path)
    }

    // What the writer does.

    /// Where the writer's file is.
    fn place(&self) -> PathBuf {
        match self.setting.scheme {
            Scheme::Rename | Scheme::HardLink | Scheme::Numbered => self.path("logs/app.log"),
            Scheme::Dated => self.path(&format!("logs/app-{:04}.log", self.names)),
            Scheme::LinkTarget => self.path("real/0.log"),
            Scheme::LinkSwap => self.path(&format!("real/{}.log", self.names)),
        }
    }

    fn begin_file(&mut self) {
        self.names += 1;
        let path = self.place();
        let writer = self.fs.writer(&path).unwrap();
        if self.setting.mode != Mode::Append {
            writer.set_len(0);
        }
        self.writer = Some(writer);
        self.position = 0;
        self.reserved = 0;
        self.open = None;
        let matched = self.linked() || self.matches(&path);
        self.current = self.logs.len();
        self.at_path = Some(self.current);
        let blind = self.starved;
        self.logs.push(Log {
            has_header: self.setting.header,
            blind,
            ..Log::new(path.clone(), matched, self.now())
        });
        if self.linked() {
            let link = self.path("logs/app.log");
            let swap = self.path("logs/swap");
            self.fs.symlink(&path, &swap).unwrap();
            self.fs.rename(&swap, &link).unwrap();
        }
        if self.setting.header {
            self.put_header();
        }
    }

    fn put_header(&mut self) {
        let line = format!("{}\n", "#".repeat(59));
        self.put(line.repeat(HEADER_LINES as usize).as_bytes());
        self.headers_most += HEADER_LINES;
    }

    /// Bytes come into the current file.
    fn put(&mut self, text: &[u8]) {
        let writer = self.writer.as_ref().expect("there is a current file");
        if matches!(self.setting.mode, Mode::Preallocated | Mode::Mapped) {
            while self.position + text.len() as u64 > self.reserved {
                self.reserved += PREALLOCATED;
                match self.setting.mode {
                    Mode::Mapped => writer.allocate(self.reserved),
                    _ => writer.set_len(self.reserved),
                }
            }
        }
        match self.setting.mode {
            Mode::Append => writer.append(text),
            Mode::Position | Mode::Preallocated => writer.write_at(text, self.position),
            Mode::Mapped => writer.write_mapped(text, self.position),
        }
        self.position += text.len() as u64;
    }

    pub(super) fn write(&mut self, lines: u64, open: bool, running: bool) {
        if lines == 0 {
            return;
        }
        let now = self.now();
        let linked = self.linked();
        self.settle_rotated(running);
        let before = self.writer.as_ref().map(Writer::seen);
        let first = self.open.unwrap_or(self.lines.len());
        for n in 0..lines {
            let line = self.open.take().unwrap_or_else(|| {
                self.lines.push(Line::new(self.current, Duty::Must));
                self.lines.len() - 1
            });
            // Its file may have been copied and truncated since it began.
            self.lines[line].log = self.current;
            let words = 1 + (line as u64 * 7 + n) % 5;
            let let_go = self.starved && !self.setting.births;
            let ended = !(open && n + 1 == lines);
            let mut text = String::new();
            let entry = &mut self.lines[line];
            for word in entry.words..entry.words + words {
                text += &format!("t{line:05}{word:02}");
            }
            entry.words += words;
            entry.came.resize(entry.words as usize, 0);
            entry.offered = false;
            entry.safe = false;
            entry.ended = ended;
            let log = &self.logs[self.current];
            // The same as of what was there when descriptors became short: see `starve`.
            entry.most += u64::from(let_go && log.rotated.is_some() && entry.words == words);
            // Nobody can tell how far one is written that was made longer in advance and cannot be opened.
            let longer = matches!(self.setting.mode, Mode::Preallocated | Mode::Mapped);
            let blind = longer && log.blind && !self.setting.from_head && !log.known;
            // Nobody tells of what is written through a map into one that is too old to be followed.
            let mapped = self.setting.mode == Mode::Mapped && self.setting.ignores_old;
            let blind = blind || mapped && !log.known;
            // Its number may be that of one that could not be looked into.
            let used = self.was_blind && !self.setting.births && self.setting.reuses;
            if (log.blind || used) && !self.setting.from_head && !log.known {
                // It is read from its end, whenever that can be seen.
                entry.duty = Duty::May;
                entry.may_be_cut();
            }
            if blind || log.let_go || (!log.matched && log.rotated.is_some() && !log.known) {
                entry.duty = Duty::May;
            }
            if !self.setting.births && self.setting.reuses && linked {
                // It has the number of one that was rotated, and its path does not tell.
                entry.cuts.push(entry.words);
            }
            if ended {
                text.push('\n');
            } else {
                self.open = Some(line);
            }
            self.put(text.as_bytes());
        }
        let log = &mut self.logs[self.current];
        let last = std::mem::replace(&mut log.written, now);
        // Who has closed it goes by what is told of it. What is as old as what was there is looked at for a moment.
        let told = self.setting.inotify && self.setting.stale.is_none();
        let told = told && self.setting.mode != Mode::Mapped;
        let unseen = log.blind && !told && now - last > CLOCK_STEP;
        let cut = self.cut.filter(|_| self.setting.stale.is_some());
        let seen = self.writer.as_ref().map(Writer::seen);
        if cut.is_some_and(|cut| seen.map(|(size, _)| (now, size)) == Some(cut)) {
            self.hide_what_looks_the_same(0);
        } else if unseen && seen == before {
            self.hide_what_looks_the_same(first);
        }
    }

    /// A file that is as long as it was before it was truncated at the same moment: a network filesystem that tells
    /// late what is in it never does, since nothing seems to have changed. The same of lines that were written, from
    /// the `first` on, when it was exactly as late as the last time, by a clock that was set back.
    fn hide_what_looks_the_same(&mut self, first: usize) {
        let lines = self.lines.iter_mut().skip(first);
        lines
            .filter(|line| line.log == self.current && line.duty == Duty::Must && line.is_late())
            .for_each(|line| line.duty = Duty::May);
    }

    /// Rotated files that were quiet for long need not be read any more, and their last lines are
    /// complete.
    fn settle_rotated(&mut self, running: bool) {
        let now = self.now();
        for (at, log) in self.logs.iter_mut().enumerate() {
            let Some(rotated) = log.rotated.filter(|_| running) else {
                continue;
            };
            // Without a descriptor those at their end make room for others.
            if !self.starved && now - rotated.max(log.written) < ROTATE_WAIT - MARGIN {
                continue;
            }
            log.let_go |= !log.matched;
            log.dropped |= !log.matched && log.path.is_some();
            for line in self.lines.iter_mut().filter(|l| l.log == at && !l.ended) {
                line.cuts.push(line.words);
            }
        }
    }

    /// Nothing may leave its place at present, since nobody could read it before.
    fn is_held(&self) -> bool {
        self.denied || self.starved || self.is_unseen()
    }

    /// A network filesystem has not told of a truncation yet, as far as that is believed: nobody renames
    /// what he has just truncated.
    fn is_unseen(&self) -> bool {
        let since = self.copied.map(|at| self.now() - at);
        let seen_after = self.setting.stale.map(|stale| 3 * stale + 3_000);
        since
            .zip(seen_after)
            .is_some_and(|(since, after)| since < after)
    }

    /// Whether the instance may open the log at the path.
    pub(super) fn allow(&mut self, allowed: bool) {
        if let Some(at) = self.at_path {
            let path = self.logs[at].path.clone().unwrap();
            self.fs.set_readable(&path, allowed).unwrap();
            self.denied = !allowed;
            self.was_blind |= !allowed;
            self.logs[at].blind |= !allowed;
        }
        if !allowed && (self.starved || self.fed.is_some()) {
            self.release_copies();
        }
    }

    /// A file may be closed since descriptors were short, and cannot be opened: nobody can look whether it was
    /// truncated, and a copy is not held for ever.
    fn release_copies(&mut self) {
        let copied = |line: &&mut Line| self.logs[line.log].copy;
        self.lines.iter_mut().filter(copied).for_each(|line| {
            line.most += 1;
            line.may_be_cut();
        });
        self.allow_headers_of_copies();
    }

    pub(super) fn set_clock(&mut self, seconds: i64) {
        self.time.set_wall(seconds);
        self.set_back |= seconds < 0;
        if seconds.unsigned_abs() * 1000 > KEEP_GONE {
            // What is kept of files that are gone has become too old before it was known of what one is the form.
            let now = self.now();
            let unsettled = |log: &Log| log.is_packed() && now - log.packed_at < UNSETTLED;
            let lines = self.lines.iter_mut();
            lines
                .filter(|line| unsettled(&self.logs[line.log]))
                .for_each(|line| line.most += 1);
        }
    }

    /// The instance has few descriptors from now on, or enough again.
    pub(super) fn starve(&mut self, starved: bool) {
        self.starved = starved;
        self.was_blind |= starved;
        for log in &mut self.logs {
            log.blind |= starved;
            // Who cannot look for a file where it was renamed to takes it for a new one there.
            log.seen_rotated &= !starved;
        }
        if !starved {
            self.fed = Some(self.now());
            return;
        }
        let copied = self.copied.is_some_and(|at| self.now() - at < 5_000);
        if self.denied || copied {
            // The truncated file may be let go before anybody has looked into it, if it was renamed.
            self.release_copies();
        }
        // What is let go since nobody can look for it is not known again, and for how long it is known in its
        // compressed form is bounded.
        let births = self.setting.births;
        let let_go = |log: &Log| log.rotated.is_some() && !births || log.is_packed();
        let headers = self.logs.iter().filter(|log| let_go(log) && log.has_header);
        self.headers_most += HEADER_LINES * headers.count() as u64;
        let let_go = |line: &&mut Line| let_go(&self.logs[line.log]);
        let lines = self.lines.iter_mut().filter(let_go);
        lines.for_each(|line| line.most += 1);
        // One that is closed and has another link is deleted to who cannot look for that, and so is its copy.
        let linked = self.setting.scheme == Scheme::HardLink;
        let alone = |log: &Log| linked && (log.copy || log.rotated.is_some());
        let lines = self.lines.iter_mut();
        lines
            .filter(|line| alone(&self.logs[line.log]) && line.is_late())
            .for_each(|line| {
                line.may_be_cut();
                line.excuse();
            });
    }

    /// The oldest rotated file is compressed. What nobody had read is nobody's duty then.
    pub(super) fn compress(&mut self, running: bool) {
        let plain = |log: &Log| {
            let path = log.path.as_ref();
            log.rotated.is_some()
                && path.is_some_and(|path| path.extension() != Some("gz".as_ref()))
        };
        let mut all = 0..self.logs.len();
        let Some(at) = all.find(|at| *at != self.current && plain(&self.logs[*at])) else {
            return;
        };
        if self.is_held() {
            return;
        }
        let path = self.logs[at].path.clone().unwrap();
        let text = self.fs.read(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let to = path.with_file_name(format!("{name}.gz"));
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&text).unwrap();
        let packed = gzip.finish().unwrap();
        self.fs.writer(&to).unwrap().append(&packed);
        self.fs.unlink(&path).unwrap();
        self.take_out(at, running);
        let lines = self.lines.iter_mut().filter(|line| line.log == at);
        lines
            .filter(|line| line.duty == Duty::Never)
            .for_each(|line| line.duty = Duty::May);
        // What it ends with is complete.
        let open = self.lines.iter_mut();
        open.filter(|line| line.log == at && !line.ended)
            .for_each(|line| line.cuts.push(line.words));
        self.logs[at].path = Some(to);
        self.logs[at].packed_at = self.now();
    }

    pub(super) fn rotate(&mut self, running: bool) {
        if self.is_held() {
            return;
        }
        let Some(at) = self.at_path else {
            return;
        };
        let from = self.place();
        let number = match self.setting.scheme {
            Scheme::Numbered => {
                self.shift(running);
                1
            }
            _ => self.logs.len() + 1000,
        };
        let to = from.with_file_name(format!(
            "{}.{number}",
            from.file_name().unwrap().to_str().unwrap(),
        ));
        match self.setting.scheme {
            Scheme::Rename | Scheme::Numbered | Scheme::LinkTarget => {
                self.fs.rename(&from, &to).unwrap();
            }
            Scheme::HardLink => {
                self.fs.hard_link(&from, &to).unwrap();
                self.fs.unlink(&from).unwrap();
            }
            // The writer does it itself.
            Scheme::Dated => {
                self.begin_file();
                return;
            }
            Scheme::LinkSwap => {
                self.logs[at].rotated = Some(self.now());
                self.logs[at].matched = false;
                self.forget_unoffered(at, false);
                self.begin_file();
                return;
            }
        }
        self.at_path = None;
        let matched = self.matches(&to);
        let now = self.now();
        let log = &mut self.logs[at];
        log.seen_rotated = log.known;
        log.left_out &= now - log.written > HOUR;
        log.path = Some(to);
        log.rotated = Some(now);
        log.matched = matched;
        self.renamed(at, running);
        if !matched {
            self.forget_unoffered(at, false);
        }
    }

    /// Rotated files get the next number; of more than a few the oldest is deleted.
    fn shift(&mut self, running: bool) {
        let number = |log: &Log| {
            let name = log.path.as_ref()?.file_name()?.to_str()?;
            let name = name.strip_prefix("app.log.")?;
            name.strip_suffix(".gz").unwrap_or(name).parse::<u64>().ok()
        };
        let mut rotated: Vec<(u64, usize)> = (0..self.logs.len())
            .filter_map(|at| Some((number(&self.logs[at])?, at)))
            .collect();
        rotated.sort_unstable_by(|one, two| two.cmp(one));
        for (number, at) in rotated {
            if number >= MOST_ROTATED && at != self.current {
                self.take_away(at, None, running);
                continue;
            }
            let packed = self.logs[at].path.as_ref().unwrap();
            let packed = packed.extension() == Some("gz".as_ref());
            let end = if packed { ".gz" } else { "" };
            let path = self.path(&format!("logs/app.log.{}{end}", number + 1));
            let from = self.logs[at].path.replace(path.clone()).unwrap();
            self.fs.rename(&from, &path).unwrap();
            self.renamed(at, running);
        }
    }

    /// A rotated file has another name.
    fn renamed(&mut self, at: usize, running: bool) {
        let log = &mut self.logs[at];
        log.moved = self.time.since(self.began).as_millis() as u64;
        log.renamed_unseen |= !running;
        if self.setting.by_name && running && log.blind && !log.known {
            // It could not be opened since the start, and is under another name by now.
            let lines = self.lines.iter_mut().filter(|line| line.log == at);
            lines.for_each(|line| line.most += 1);
        }
    }

    /// Something happens in the middle of what the instance does.
    pub(super) fn act(&mut self, action: Action, running: bool) {
        self.acted = self.time.now();
        match action {
            Action::Write { lines, open } => self.write(lines, open, running),
            Action::Rotate => self.rotate(running),
            Action::Reopen => self.reopen(),
            Action::CopyTruncate => self.copy_truncate(running),
            Action::Archive => self.archive(running),
        }
    }

    /// A file is where the instance need not find it: what it had no opportunity to read is nobody's
    /// duty; `all`: and neither is all that has not come.
    fn forget_unoffered(&mut self, at: usize, all: bool) {
        let known = self.logs[at].known && !all;
        for line in self.lines.iter_mut().filter(|line| line.log == at) {
            let came = line.came.iter().all(|came| *came > 0);
            let taken = all || !known || self.logs[at].path.is_none();
            if taken && !(came || line.offered && !all) {
                line.excuse();
                line.may_be_cut();
            }
        }
    }

    pub(super) fn reopen(&mut self) {
        if self.at_path.is_none() && !self.is_held() {
            self.begin_file();
        }
    }

    pub(super) fn copy_truncate(&mut self, running: bool) {
        if let Some(copy) = self.begin_copy(running) {
            self.fs.writer(&copy.path).unwrap().append(&copy.text);
            self.truncate_copied(copy, running);
        }
    }

    /// The log is to be copied: what, and where to.
    pub(super) fn begin_copy(&mut self, running: bool) -> Option<Copy> {
        let plain = matches!(
            self.setting.scheme,
            Scheme::Rename | Scheme::HardLink | Scheme::Numbered
        );
        let at = self.at_path.filter(|at| plain && *at == self.current)?;
        if self.is_held() {
            return None;
        }
        self.names += 1;
        let original = self.place();
        let number = match self.setting.scheme {
            Scheme::Numbered => {
                self.shift(running);
                1
            }
            _ => self.names,
        };
        Some(Copy {
            of: at,
            path: original.with_file_name(format!("app.log.{number}")),
            text: self.fs.read(&original).unwrap(),
        })
    }

    /// The instance knows what is copied, and cannot take the copy for one that is gone and had its number.
    pub(super) fn knows(&self, copy: &Copy) -> bool {
        let used = !self.setting.births && (self.setting.reuses || self.fed.is_some());
        self.logs[copy.of].known && !used
    }

    /// All of it is copied.
    pub(super) fn truncate_copied(&mut self, copy: Copy, running: bool) {
        let (at, to, text) = (copy.of, copy.path, copy.text);
        self.fs.writer(&self.place()).unwrap().set_len(0);
        let matched = self.matches(&to);
        let now = self.now();
        let known = self.logs[at].known && (running || self.logs[at].saved);
        let copy = self.logs.len();
        let log = &mut self.logs[at];
        let has_header = std::mem::take(&mut log.has_header);
        let has_head = has_header || self.lines.iter().any(|l| l.log == at && l.offered);
        let known = known && has_head;
        // What could not be opened since the start is not known again when it has become a copy.
        let not_looked_into = !known && log.blind && matched;
        // The copy may have the number and the first lines of one that is gone, and then it is that one to
        // everybody, with more lines in it; nor does a network filesystem tell at once that one is gone.
        let like_others = has_header || log.hollow;
        let used = !self.setting.births && self.setting.reuses;
        let used = used && (like_others || self.setting.stale.is_some());
        // One that is closed since descriptors were short, and was truncated and renamed, may be another one that has
        // its number.
        let used = used || !self.setting.births && self.fed.is_some();
        let (was_known, was_saved) = (known, log.saved && log.headed);
        let alike = like_others && !self.lines.iter().any(|l| l.log == at && l.safe);
        log.known = false;
        log.saved = false;
        log.headed = false;
        let hollow = std::mem::replace(&mut log.hollow, self.setting.mode != Mode::Append);
        self.logs.push(Log {
            rotated: Some(now),
            seen_rotated: known,
            known: was_known,
            saved: was_saved,
            headed: was_saved,
            renamed_unseen: !running,
            has_header,
            copy: true,
            hollow,
            alike,
            ..Log::new(to, matched, now)
        });
        for line in self.lines.iter_mut().filter(|line| line.log == at) {
            line.log = copy;
            line.anew = None;
            if line.duty == Duty::Never && matched {
                // The copy is a new file.
                line.duty = Duty::May;
            }
            if !line.ended {
                // Its rest begins the truncated file, and what was written last may be in no copy any more.
                line.may_be_cut();
                line.duty = Duty::May;
            }
            if used || self.setting.stale.is_some() || self.fed.is_some() {
                // Where a network filesystem tells late of the copy, or the file is closed since descriptors were
                // short and not found any more, what was read of a line comes by itself.
                line.may_be_cut();
            }
            // A copy that is read anew, for its name or since it begins like others, has the beginning of an open
            // line, too.
            let anew = !line.ended && (self.setting.by_name || has_header);
            line.most += u64::from(used || not_looked_into || anew);
            line.safe &= !not_looked_into;
            let came = line.came.iter().all(|came| *came > 0);
            if !known && !matched && !came && line.duty == Duty::Must {
                line.duty = Duty::May;
            }
            if (!was_saved && has_header || alike) && line.duty == Duty::Must {
                // It cannot be told from a file that begins alike.
                line.duty = Duty::May;
            }
        }
        if alike {
            // Another one may be taken for its copy.
            let like = |line: &&mut Line| self.logs[line.log].has_header;
            let lines = self.lines.iter_mut().filter(like);
            lines.for_each(|line| line.most += 1);
        }
        if has_header && (alike || !was_saved) {
            self.headers_most += HEADER_LINES;
        }
        self.copied = Some(now);
        self.cut = Some((now, text.len()));
        self.reserved = 0;
    }

    /// The oldest rotated file is taken away.
    pub(super) fn archive(&mut self, running: bool) {
        let rotated = |log: &Log| log.path.is_some() && log.rotated.is_some();
        let dated = self.setting.scheme == Scheme::Dated;
        if self.is_held() {
            return;
        }
        let Some(at) = (0..self.logs.len()).find(|at| {
            *at != self.current
                && (rotated(&self.logs[*at]) || dated && self.logs[*at].path.is_some())
        }) else {
            return;
        };
        let to = self.path(&format!("away/{at}"));
        self.take_away(at, Some(&to), running);
    }

    /// A rotated file is moved to where nobody looks, or deleted.
    fn take_away(&mut self, at: usize, to: Option<&Path>, running: bool) {
        let path = self.logs[at].path.take().unwrap();
        match to {
            Some(to) => self.fs.rename(&path, to).unwrap(),
            None => self.fs.unlink(&path).unwrap(),
        }
        self.take_out(at, running);
    }

    /// A rotated file is where nobody need find it.
    fn take_out(&mut self, at: usize, running: bool) {
        self.logs[at].path = None;
        self.logs[at].matched = false;
        let lines = self.lines.iter_mut().filter(|line| line.log == at);
        lines.for_each(|line| line.anew = None);
        self.logs[at]
            .rotated
            .get_or_insert(self.time.since(self.began).as_millis() as u64);
        self.forget_unoffered(at, !running);
        self.logs[at].let_go = true;
        if !running {
            (0..self.logs.len()).for_each(|at| self.forget_unoffered(at, true));
        }
        if self.fed.is_some() {
            // It may be closed since descriptors were short, and nobody finds it to read its rest.
            let open = self.lines.iter_mut();
            open.filter(|line| line.log == at && !line.ended)
                .for_each(|line| line.cuts.push(line.words));
        }
        // That of the copy may not be kept yet.
        let since = self.copied.map(|at| self.now() - at);
        if !running || self.disk_full || since.is_some_and(|since| since < 5_000) {
            // Without its original a copy is not known, and is read as a new file.
            let copied = |line: &&mut Line| {
                let begins = line.duty == Duty::May && !line.cuts.is_empty();
                self.logs[line.log].copy || begins
            };
            self.lines.iter_mut().filter(copied).for_each(|line| {
                line.most += 1;
                line.safe = false;
            });
            self.allow_headers_of_copies();
        }
    }

    /// Copies may be read as new files.
    fn allow_headers_of_copies(&mut self) {
        let headers = self.logs.iter().filter(|log| log.copy && log.has_header);
        self.headers_most += HEADER_LINES * headers.count() as u64;
    }

    /// The next run follows files of strangers, whatever the pattern is.
    pub(super) fn follows_strangers(&self) -> bool {
        self.setting.wide && self.starts == 0
    }

    /// No run follows them any more, and none has them followed by what was kept of them.
    fn forget_strangers(&mut self) {
        for at in 0..self.logs.len() {
            let path = self.logs[at].path.clone();
            let named = path.is_some_and(|path| self.matches(&path));
            let log = &mut self.logs[at];
            if !log.stranger || named || !log.matched {
                continue;
            }
            log.matched = false;
            let lines = self.lines.iter_mut().filter(|line| line.log == at);
            lines
                .filter(|line| line.is_late())
                .for_each(|line| line.duty = Duty::Never);
        }
    }

    /// A new file whose name begins alike, with lines of its own. Those that are there get another one, if somebody
    /// may follow them.
    pub(super) fn stranger(&mut self) {
        let wide = self.setting.wide;
        let there = |log: &Log| log.stranger && log.path.is_some();
        let all = (0..self.logs.len()).filter(|at| wide && there(&self.logs[*at]));
        for log in all.collect::<Vec<_>>() {
            let path = self.logs[log].path.clone().unwrap();
            let text = self.strangers_line(log);
            self.fs.writer(&path).unwrap().append(text.as_bytes());
            self.logs[log].written = self.now();
        }
        self.names += 1;
        let path = self.path(&format!("logs/apple-{}.log", self.names));
        let matched = self.matches(&path) || wide && self.starts <= 1;
        let log = self.logs.len();
        let blind = self.starved;
        self.logs.push(Log {
            has_header: self.setting.header,
            stranger: true,
            blind,
            ..Log::new(path.clone(), matched, self.now())
        });
        let mut text = String::new();
        if self.setting.header {
            text += &format!("{}\n", "#".repeat(59)).repeat(HEADER_LINES as usize);
            self.headers_most += if matched { HEADER_LINES } else { 0 };
        }
        for _ in 0..3 {
            text += &self.strangers_line(log);
        }
        self.fs.writer(&path).unwrap().append(text.as_bytes());
    }

    fn strangers_line(&mut self, log: usize) -> String {
        let line = self.lines.len();
        // It may have the number of one that is gone, which a network filesystem has not told, or of which nothing was
        // read but what it begins with, too.
        let alike = self.setting.stale.is_some() || self.setting.header;
        let used = !self.setting.births && self.setting.reuses && alike;
        let duty = match self.logs[log].matched {
            true => Duty::Must,
            false if used => Duty::May,
            false => Duty::Never,
        };
        self.lines.push(Line {
            words: 1,
            ended: true,
            came: vec![0],
            ..Line::new(log, duty)
        });
        format!("t{line:05}00\n")
    }

    // What the instance does.

    /// A position is taken up only by a file of the same path: others are read anew.
    fn compare_names(&mut self) {
        let (unseen, linked) = (self.is_unseen(), self.linked());
        for at in 0..self.logs.len() {
            let blind = self.denied || self.starved || unseen;
            let log = &mut self.logs[at];
            let link = linked && log.rotated.is_some();
            if log.saved_at == log.path && !log.copy && !link {
                continue;
            }
            let renamed = std::mem::take(&mut log.renamed_unseen);
            let anew = renamed && log.matched && log.saved && !log.is_packed() && !blind;
            let anew = anew && self.setting.from_head && !self.setting.ignores_old;
            // A network filesystem may give it its old name once more.
            let anew = anew && self.setting.stale.is_none();
            log.known = false;
            log.saved = false;
            log.seen_rotated = false;
            if log.has_header {
                self.headers_most += HEADER_LINES;
            }
            for line in self.lines.iter_mut().filter(|line| line.log == at) {
                line.most += 1;
                let came = line.came.iter().all(|came| *came > 0);
                if !came && !log.matched && line.duty != Duty::Never {
                    // No pattern names it, and a position that it had says nothing any more.
                    // But its header may be that of one that is known, and a line begin in another file.
                    let sure = renamed && line.ended && line.cuts.is_empty();
                    let sure = sure && !log.is_packed() && !log.has_header;
                    let sure = sure && self.setting.stale.is_none();
                    line.duty = if sure { Duty::Never } else { Duty::May };
                }
                let whole = came && line.ended && line.cuts.is_empty();
                let times = line.came.iter().min().copied();
                line.anew = times.filter(|_| anew && whole).or(line.anew);
                line.safe = false;
            }
        }
    }

    /// The instance starts: what it finds without a position may count as read.
    pub(super) fn started(&mut self) {
        if self.setting.by_name {
            self.compare_names();
        }
        if self.starts == 1 {
            self.forget_strangers();
        }
        let now = self.now();
        if self.is_unseen() {
            self.allow_headers_of_copies();
        }
        // Of several that begin alike one may be taken for the compressed form of another.
        let packed =
            |log: &Log| (log.has_header || log.hollow) && (log.is_packed() || log.path.is_none());
        let safe = |at: usize| self.lines.iter().any(|line| line.log == at && line.safe);
        let mut logs = self.logs.iter().enumerate();
        let kept = |at: usize, log: &Log| safe(at) && !log.dropped && !log.copy;
        if logs.any(|(at, log)| packed(log) && !kept(at, log)) {
            let packed = |line: &&mut Line| packed(&self.logs[line.log]);
            let lines = self.lines.iter_mut().filter(packed);
            lines.for_each(|line| line.most += 1);
            let headers = self.logs.iter().filter(|log| log.has_header);
            self.headers_most += HEADER_LINES * headers.count() as u64;
        }
        for at in 0..self.logs.len() {
            let denied = self.denied;
            let held = denied || self.starved;
            // Neither has a network filesystem told of the copy.
            let unseen = self.is_unseen();
            let log = &mut self.logs[at];
            // What cannot be opened at the start is looked at again at its path only.
            log.known &= !held;
            log.saved &= !held;
            if let Some(rotated) = &mut log.rotated {
                *rotated = now;
            }
            let old = self.setting.ignores_old && now - log.written > HOUR;
            let saved = log.saved;
            log.left_out = old && !saved && self.setting.mode == Mode::Mapped;
            let skipped = !saved && !self.setting.from_head;
            if !saved && !log.matched {
                log.let_go = true;
            }
            // It was compressed, and nobody had the time to see of what it is the form, nor is that kept for ever.
            let forgotten = log.is_packed()
                && self.ended.saturating_sub(log.packed_at) < UNSETTLED
                && now - self.ended > KEEP_GONE;
            let gone = log.let_go || log.path.is_none();
            let plain = matches!(self.setting.mode, Mode::Append | Mode::Position);
            let sure = plain && self.starts == 0 && !held && !gone && log.matched && !log.copy;
            for line in self.lines.iter_mut().filter(|line| line.log == at) {
                let came = line.came.iter().all(|came| *came > 0);
                let gone = gone || unseen && log.copy;
                // Of one that cannot be opened nobody can tell whether it was truncated, if it begins like
                // others, or the clock was set back so that times say nothing.
                let times = self.setting.births && !self.set_back;
                let alike = log.copy || !times && log.rotated.is_some();
                line.most += u64::from(unseen && log.copy || denied && alike);
                // What came a second time for that may have done so a moment ago.
                line.safe &= !(unseen && log.copy);
                // Nothing is kept of one that was read to its end where no pattern looks: if it begins like another
                // one, that one's position may be taken for its own.
                line.most += u64::from(forgotten || log.dropped && (log.has_header || log.hollow));
                line.offered &= !held;
                if line.duty == Duty::Must && !came && (skipped || gone || old && !saved) {
                    line.duty = Duty::May;
                }
                if skipped && !line.ended {
                    // It is read from here on.
                    line.cuts.push(line.words);
                }
                if skipped && old && !came && line.ended && sure {
                    // Whenever it is written to, only what is new is to be read.
                    line.duty = Duty::Never;
                }
            }
        }
        self.starts += 1;
    }

    /// The engine stops: the last lines of files that no start finds again come as they are.
    pub(super) fn stops(&mut self) {
        self.ended = self.now();
        let linked = self.linked();
        if self.is_unseen() || self.starved {
            // A drain waits neither for a network filesystem to tell of a truncation, nor for a descriptor to
            // tell what is a copy.
            let copied = |line: &&mut Line| {
                let begins = line.duty == Duty::May && !line.cuts.is_empty();
                self.logs[line.log].copy || begins || !line.ended
            };
            self.lines.iter_mut().filter(copied).for_each(|line| {
                line.most += 1;
                line.safe = false;
            });
            self.allow_headers_of_copies();
        }
        let late = self.setting.stale.is_some() || self.starved;
        for line in &mut self.lines {
            let log = &self.logs[line.log];
            let rotated = log.rotated.is_some();
            let unseen = log.path.is_none() || (linked || self.starved) && rotated;
            if unseen && late {
                // What a network filesystem has not told of is not there yet, nor what was not looked at.
                line.may_be_cut();
                if line.duty == Duty::Must && line.is_late() {
                    line.duty = Duty::May;
                }
            } else if unseen && !line.ended {
                line.cuts.push(line.words);
            }
        }
    }

    /// The instance ends without a word, or the host has not delivered what it took.
    pub(super) fn crashed(&mut self) {
        self.ended = self.now();
        let linked = self.linked();
        for line in &mut self.lines {
            let log = &self.logs[line.log];
            if line.safe {
                continue;
            }
            line.most += 1;
            // Nobody looks into the folders that a link led to.
            let unseen = linked && log.rotated.is_some();
            let came = line.came.iter().all(|came| *came > 0);
            let gone = unseen || log.path.is_none() || log.let_go || !log.matched && !log.saved;
            // By its header it cannot be told from another file.
            let gone = gone || log.alike && !came;
            if gone && line.duty == Duty::Must {
                line.duty = Duty::May;
            }
        }
        self.headers_most *= 2;
        for log in &mut self.logs {
            log.let_go |= linked && log.rotated.is_some();
            // Of one that is new to it nobody knows that it was rotated.
            log.seen_rotated &= log.saved;
            log.known &= log.saved;
        }
    }

    /// The instance has been running for so long, and handed over what it had (`delivers`), and the
    /// host has told that it has delivered it (`confirms`).
    pub(super) fn ran(&mut self, millis: u64, delivers: bool, confirms: bool) {
        self.settle_rotated(true);
        let told = self.setting.inotify && self.setting.mode != Mode::Mapped;
        let enough = match (self.setting.late, self.setting.stale) {
            (0, None) if told => 0,
            // A truncation is believed at the second look, a second later.
            (late, stale) => 3_000 + late + stale.map_or(0, |stale| 2 * stale + 1_000),
        };
        if millis < enough || !delivers || self.denied || self.starved {
            return;
        }
        let keeps = confirms && millis >= 3_000 + 2 * (self.setting.delivers_after + RING);
        let now = self.now();
        for log in &mut self.logs {
            let too_old = self.setting.ignores_old && now - log.written > HOUR;
            // Who had no descriptor or was not allowed to looks again in his turn.
            let fed = self.fed.is_none_or(|at| now >= at + 3_000) && !log.blind;
            // What is written to one that was too old is told under the name by which it was opened.
            let linked = self.setting.scheme == Scheme::HardLink && log.rotated.is_some();
            let told = !(linked && self.setting.ignores_old);
            let looked = fed && told || log.known || millis >= 3_000;
            let there = log.path.is_some() && log.matched && looked;
            let there = there && !too_old && !log.left_out;
            log.saved |= log.known && keeps;
            log.known |= there;
            log.saved |= log.known && keeps;
            log.headed |= log.saved && keeps && log.has_header;
            // Of a rename that nobody told of it knows when it looks again: who is stopped does not.
            if keeps && there && now - log.moved >= enough {
                log.saved_at.clone_from(&log.path);
            }
        }
        for line in &mut self.lines {
            let log = &mut self.logs[line.log];
            let came = line.came.iter().all(|came| *came > 0);
            line.offered |= log.known;
            log.headed |= log.saved && keeps && line.offered;
            // It came in a run that crashed, and nobody has read it since.
            let left_out = self.setting.ignores_old && now - log.written > HOUR && !log.known;
            // What is before a position cannot be read any more where an open file goes with its name.
            let gone = log.path.is_none() || log.is_packed();
            let gone = gone && self.setting.stale.is_some();
            line.safe |= came && keeps && line.ended && !left_out && !gone;
        }
    }

    /// A record came.
    pub(super) fn came(&mut self, body: &Value) {
        debug!("{:?} came: {body}", self.time.since(self.began));
        let text = body["log"].as_str().unwrap().to_owned();
        if text.is_empty() && body.get("partial_last").is_some_and(|last| last == "true") {
            // Of a line that was cut nothing more came.
            return;
        }
        if text.starts_with('#') {
            self.headers += 1;
            if self.headers > self.headers_most {
                self.fail("the header of a file came twice".into());
            }
            return;
        }
        if text.contains('\0') {
            self.fail(format!("a record of {} bytes with NULs", text.len()));
            return;
        }
        let words: Option<Vec<(usize, u64)>> = text
            .as_bytes()
            .chunks(WORD)
            .map(|word| {
                let word = std::str::from_utf8(word).ok()?.strip_prefix('t')?;
                Some((word.get(..5)?.parse().ok()?, word.get(5..)?.parse().ok()?))
            })
            .collect();
        let words = words.filter(|words| {
            let mut expected = words.first().copied();
            words.iter().all(|word| {
                let same = expected == Some(*word);
                expected = expected.map(|(line, word)| (line, word + 1));
                same
            })
        });
        let Some([(line, first), ..]) = words.as_deref() else {
            self.fail(format!("{text:?} is no line nor a part of one"));
            return;
        };
        let (line, first, count) = (*line, *first, text.len() / WORD);
        self.settle_rotated(true);
        let end = first + count as u64;
        let entry = &mut self.lines[line];
        let part = body.get("partial_message").is_some();
        let begins = part || first == 0 || entry.cuts.contains(&first);
        let ends = part || entry.ended && end == entry.words || entry.cuts.contains(&end);
        for came in &mut entry.came[first as usize..end as usize] {
            *came += 1;
        }
        let most = entry.came.iter().max().copied().unwrap_or(0);
        let (allowed, duty) = (entry.most, entry.duty);
        if !begins || !ends {
            self.fail(format!(
                "line {line} came in pieces: words {first} to {end}"
            ));
        } else if most > allowed {
            self.fail(format!("line {line} came {most} times"));
        } else if duty == Duty::Never {
            self.fail(format!("line {line} came, which no pattern matches"));
        }
    }

    /// Everything has had its time: all that must come has.
    pub(super) fn check(&mut self) {
        if self.denied || self.starved {
            return;
        }
        let late: Vec<usize> = (0..self.lines.len())
            .filter(|at| {
                let line = &self.lines[*at];
                let log = &self.logs[line.log];
                let over = line.ended || log.seen_rotated && !log.let_go;
                let came = line.came.iter().all(|came| *came > line.anew.unwrap_or(0));
                line.duty == Duty::Must && over && !came
            })
            .collect();
        if let Some(first) = late.first() {
            let line = &self.lines[*first];
            self.fail(format!(
                "{} lines did not come, the first is {first}: {line:?} of {:?}",
                late.len(),
                self.logs[line.log]
            ));
        }
    }
}
