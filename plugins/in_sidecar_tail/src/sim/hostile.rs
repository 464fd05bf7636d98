//! Random hostile folders: whatever somebody puts beside the logs, every good line comes once, no turn
//! of the worker or of the host's thread takes long, and nothing outside the folder is read, written or
//! deleted.
//!
//! `HOSTILE_FOLDERS` says how many (`make soak-hostile`), `HOSTILE_SEED` the first one's seed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{symlink, MetadataExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use flate2::write::GzEncoder;
use flate2::Compression;
use flb_sidecar_sdk::drain::{DrainState, DrainStatus};
use flb_sidecar_sdk::fake::FakeHost;
use flb_sidecar_sdk::{Input, Pending, Settings, Wake};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::fs::{mknodat, FileType, Mode, CWD};

use super::number;
use super::schedule::Random;
use crate::fs::Fs;
use crate::host::input::SidecarTail;
use crate::time::Time;
use crate::worker::{Turn, Worker};

const TOKEN: &str = "a token of somebody else";
/// Longest time that one turn may take, of a processor or blocked: of what is built to be fast.
const HANG: Duration = Duration::from_secs(if cfg!(debug_assertions) { 20 } else { 1 });
/// Turns without an end, if there are more.
const TURNS: usize = 100_000;

/// Runs something that must not hang. What it waits for a processor, since others have it, does not
/// count.
fn within<T>(seed: u64, what: &str, run: impl FnOnce() -> T) -> T {
    let waited = || {
        let text = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        text.split(' ')
            .nth(1)?
            .parse()
            .ok()
            .map(Duration::from_nanos)
    };
    let (began, before) = (Instant::now(), waited());
    let result = run();
    let passed = began.elapsed();
    let waited = waited().zip(before).map(|(now, then)| now - then);
    let spent = passed.saturating_sub(waited.unwrap_or_default());
    assert!(spent < HANG, "seed {seed}: {what}: a hang of {spent:?}");
    result
}

struct Site {
    folder: tempfile::TempDir,
    random: Random,
    made: usize,
    /// Lines that must come, each once.
    good: Vec<String>,
    outside: Outside,
}

/// What is outside, and the kernel's word on what happens to it.
struct Outside {
    seen: BTreeMap<PathBuf, (Vec<u8>, u32, i64, i64)>,
    events: OwnedFd,
}

impl Outside {
    fn new(folder: &Path) -> Self {
        let seen = Outside::look(folder);
        let events = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).unwrap();
        let all = WatchFlags::ACCESS
            | WatchFlags::MODIFY
            | WatchFlags::ATTRIB
            | WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVE;
        inotify::add_watch(&events, folder, all).unwrap();
        Outside { seen, events }
    }

    /// Names, contents, modes and times of change.
    fn look(folder: &Path) -> BTreeMap<PathBuf, (Vec<u8>, u32, i64, i64)> {
        let entries = fs::read_dir(folder).unwrap().flatten();
        let entry = |entry: fs::DirEntry| {
            let metadata = entry.metadata().unwrap();
            let content = fs::read(entry.path()).unwrap();
            let times = (metadata.mtime_nsec(), metadata.ctime_nsec());
            (entry.path(), (content, metadata.mode(), times.0, times.1))
        };
        entries.map(entry).collect()
    }

    /// Nothing was read, written or deleted.
    fn check(&self, folder: &Path, seed: u64) {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(&self.events, &mut buffer);
        while let Ok(event) = reader.next() {
            let flags = event.events();
            // That it was opened and closed is how it is found out that it is outside.
            assert!(
                flags.intersects(ReadFlags::IGNORED),
                "seed {seed}: {flags:?} of {:?}",
                event.file_name()
            );
        }
        assert_eq!(Outside::look(folder), self.seen, "seed {seed}");
    }
}

fn append(path: &Path, text: &str) {
    let mut options = File::options();
    let mut file = options.append(true).create(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

fn member(text: &[u8]) -> Vec<u8> {
    let mut member = GzEncoder::new(Vec::new(), Compression::fast());
    member.write_all(text).unwrap();
    member.finish().unwrap()
}

impl Site {
    fn new(seed: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["volume", "volume/sub", "outside"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        for name in ["token", "token.log", "state.db"] {
            fs::write(folder.path().join("outside").join(name), TOKEN).unwrap();
        }
        Site {
            outside: Outside::new(&folder.path().join("outside")),
            folder,
            random: Random(seed),
            made: 0,
            good: Vec::new(),
        }
    }

    fn below(&mut self, n: u64) -> u64 {
        self.random.below(n)
    }

    fn volume(&self) -> PathBuf {
        self.folder.path().join("volume")
    }

    fn outside(&self) -> PathBuf {
        self.folder.path().join("outside")
    }

    fn name(&mut self) -> PathBuf {
        self.made += 1;
        let folder = if self.below(3) == 0 { "sub" } else { "" };
        let odd = ["a", "\n[error] x", "\u{1b}[2J", "%s%n", " ", "\u{202e}"];
        let odd = self.random.of(&odd);
        let name = format!("{odd}{}.log", self.made);
        self.volume().join(folder).join(name)
    }

    /// A name of one of our own files, or of one that we look at.
    fn own_name(&mut self) -> PathBuf {
        let names = [
            ".sidecar",
            ".sidecar.journal",
            ".sidecar.lock",
            ".sidecar.tmp",
            ".sidecar.takeover",
            ".sidecar.damaged",
            "",
            "-wal",
        ];
        let name = self.random.of(&names);
        self.volume().join(format!("tail.db{name}"))
    }

    fn good_line(&mut self) -> String {
        let line = format!("good {}", self.good.len());
        self.good.push(line.clone());
        line + "\n"
    }

    /// One hostile or good thing. A stranger can make things only where there is nothing, and take
    /// nothing of ours away.
    fn step(&mut self) {
        let outside = self.outside();
        let own = self.below(3) == 0;
        let path = if own { self.own_name() } else { self.name() };
        let free = fs::symlink_metadata(&path).is_err();
        match self.below(16) {
            0 => drop(symlink(outside.join("token.log"), &path)),
            1 => drop(symlink(&outside, &path)),
            2 => drop(symlink("/proc/self/environ", &path)),
            3 => drop(symlink(&path, &path)),
            4 => drop(mknodat(CWD, &path, FileType::Fifo, Mode::RWXU, 0)),
            5 => drop(UnixListener::bind(&path)),
            6 => drop(fs::create_dir(&path)),
            7 => drop(symlink("/dev/zero", &path)),
            8 if own => {
                let row = r#"{"path":"/etc/passwd","device":1,"inode":1,"offset":0,"head_length":0,"head_hash":0,"tail_length":0,"tail_hash":0,"seen":1},"#;
                let rows = self.random.of(&[10, 2000, 50_000]);
                let text = format!("{{\"version\":1,\"files\":[{}", row.repeat(rows));
                if free {
                    fs::write(&path, text).unwrap();
                }
            }
            8 => self.compressed(&path),
            9 if !own => {
                let mut text = match self.below(3) {
                    0 => b"[".repeat(200_000),
                    1 => b"{\"a\":".repeat(100_000),
                    _ => vec![0; 3 << 20],
                };
                text.push(b'\n');
                text.extend(self.good_line().into_bytes());
                append(&path, &String::from_utf8(text).unwrap());
            }
            10 if !own => self.swap_folder(),
            11 if !own => {
                // One more name of what is there already.
                let line = self.good_line();
                append(&path, &line);
                drop(fs::hard_link(&path, path.with_extension("log.2")));
            }
            _ if own => {}
            _ => self.good_file(&path),
        }
    }

    fn good_file(&mut self, path: &Path) {
        for _ in 0..=self.below(3) {
            let line = self.good_line();
            append(path, &line);
        }
        if self.below(3) == 0 {
            fs::rename(path, path.with_extension("log.1")).unwrap();
            let line = self.good_line();
            append(path, &line);
        }
    }

    /// Nothing, or much, in few bytes.
    fn compressed(&mut self, path: &Path) {
        let good = self.good_line();
        let text = match self.below(3) {
            0 => [member(b"").repeat(20_000), member(good.as_bytes())].concat(),
            1 => member(&[&vec![b'x'; 8 << 20][..], b"\n", good.as_bytes()].concat()),
            _ => [member(good.as_bytes()), b"rubbish".to_vec()].concat(),
        };
        fs::write(path.with_extension("gz"), text).unwrap();
    }

    /// A folder becomes a link to what is outside, and a folder again at the next time.
    fn swap_folder(&mut self) {
        let sub = self.volume().join("sub");
        self.made += 1;
        if fs::remove_file(&sub).is_ok() {
            fs::create_dir(&sub).unwrap();
            return;
        }
        fs::rename(&sub, self.volume().join(format!("sub.{}", self.made))).unwrap();
        fs::create_dir(&sub).unwrap();
    }

    /// The same, seen by whoever looks.
    fn link_folder(&self) {
        let (sub, aside) = (self.volume().join("sub"), self.volume().join("aside"));
        if fs::rename(&sub, aside).is_ok() {
            symlink(self.outside(), &sub).unwrap();
        }
    }

    fn folder_back(&self) {
        let (sub, aside) = (self.volume().join("sub"), self.volume().join("aside"));
        if aside.is_dir() {
            fs::remove_file(&sub).unwrap();
            fs::rename(aside, sub).unwrap();
        }
    }

    fn start(&mut self, seed: u64) -> Running {
        let volume = self.volume();
        let path = format!("{0}/*.log*,{0}/*.gz,{0}/*/*", volume.to_str().unwrap());
        let db = volume.join("tail.db");
        let max_files = self.random.of(&["200", "200", "7"]);
        let options = [
            ("path", path.as_str()),
            ("db", db.to_str().unwrap()),
            ("db.sync", "off"),
            ("rotate_wait", "0"),
            ("max_files", max_files),
            ("format", self.random.of(&["none", "json", "docker", "cri"])),
            ("follow_links", self.random.of(&["inside", "off"])),
            ("inotify_watcher", self.random.of(&["on", "on", "off"])),
            ("buffer_max_size", self.random.of(&["32k", "256k"])),
            ("remove_after", self.random.of(&["1h", "100d"])),
        ];
        let info = SidecarTail::INFO.options;
        let settings = Settings::new("tail", info, options.iter().copied()).unwrap();
        let mut host = FakeHost {
            pending: Some(Pending::default()),
            ..FakeHost::default()
        };
        // Behind the times of the files, so that none is taken to be quiet for long.
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let time = Time::simulated(wall.unwrap() - Duration::from_secs(3600));
        let made = within(seed, "start", || {
            SidecarTail::made(&settings, &mut host, time.clone(), Fs::default())
        });
        let (tail, mut worker) = made.unwrap();
        within(seed, "state", || worker.take_state());
        Running {
            seed,
            tail,
            worker,
            host,
            time,
            lines: Vec::new(),
        }
    }
}

/// An instance on simulated clocks, in one thread.
struct Running {
    seed: u64,
    tail: SidecarTail,
    worker: Worker,
    host: FakeHost,
    time: Time,
    lines: Vec<String>,
}

impl Running {
    /// One turn of the worker and one of the host; what they wait for.
    fn turn(&mut self) -> Turn {
        let turn = within(self.seed, "turn", || self.worker.turn());
        within(self.seed, "collect", || {
            self.tail.collect(Wake::Tick, &mut self.host);
        });
        let came = self.host.bodies();
        self.host.appended.clear();
        let lines = came.iter().filter_map(|body| body["log"].as_str());
        self.lines.extend(lines.map(str::to_owned));
        match turn {
            Turn::Until(_) if !came.is_empty() => Turn::More,
            turn => turn,
        }
    }

    /// All there is to do until then.
    fn pass(&mut self, time: Duration) {
        let until = self.time.now() + time;
        for _ in 0..TURNS {
            let next = match self.turn() {
                Turn::More => continue,
                Turn::Until(next) | Turn::Frozen(next) => next,
            };
            let now = self.time.now();
            if now >= until {
                return;
            }
            self.time.advance(next.max(now).min(until) - now);
        }
        panic!("seed {}: it does not come to rest", self.seed);
    }

    fn drain(&mut self) -> DrainStatus {
        let handle = self.tail.drain_handle().unwrap();
        handle.request(Duration::from_secs(600));
        for _ in 0..6000 {
            self.pass(Duration::from_millis(100));
            let status = handle.status();
            if status.state != DrainState::Draining {
                return status;
            }
        }
        panic!("seed {}: a drain without an end", self.seed);
    }

    fn end(mut self) {
        self.tail.ending(&mut self.host);
        within(self.seed, "end", || self.worker.end());
    }
}

fn play(seed: u64) {
    let mut site = Site::new(seed);
    for _ in 0..site.below(30) {
        site.step();
    }
    let mut running = site.start(seed);
    for _ in 0..site.below(10) {
        site.step();
        running.turn();
        if site.below(4) == 0 {
            site.link_folder();
            running.turn();
            running.turn();
            site.folder_back();
        }
        let millis = site.random.of(&[0, 20, 300, 3000]);
        running.pass(Duration::from_millis(millis));
    }
    let status = running.drain();
    assert_eq!(status.state, DrainState::Drained, "seed {seed}");
    assert_eq!(status.unread_bytes, 0, "seed {seed}: {status:?}");
    let good = |lines: &[String]| {
        let good = lines.iter().filter(|line| line.starts_with("good "));
        let mut good: Vec<String> = good.cloned().collect();
        good.sort();
        good
    };
    assert_eq!(good(&running.lines), good(&site.good), "seed {seed}");
    let leaked = running
        .lines
        .iter()
        .any(|line| line.contains(TOKEN) || line.contains("PATH=") || line.contains("HOME="));
    assert!(!leaked, "seed {seed}: what is outside was read");
    running.end();
    site.outside.check(&site.outside(), seed);
    check_copies(&site.volume(), seed);
}

/// Nothing of what is outside lies in a file inside.
fn check_copies(folder: &Path, seed: u64) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            check_copies(&entry.path(), seed);
        } else if kind.is_file() {
            let content = fs::read(entry.path()).unwrap();
            let text = String::from_utf8_lossy(&content);
            assert!(!text.contains(TOKEN), "seed {seed}: {:?}", entry.path());
        }
    }
}

#[test]
fn hostile_folders_neither_lose_nor_leak() {
    let first = number("HOSTILE_SEED", 1);
    for seed in first..first + number("HOSTILE_FOLDERS", 60) {
        play(seed);
    }
}
