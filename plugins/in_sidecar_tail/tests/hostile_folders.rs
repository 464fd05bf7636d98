//! Random hostile folders: whatever somebody puts beside the logs, every good line comes once, and
//! nothing outside the folder is read, written or deleted.
//!
//! `HOSTILE_FOLDERS` says how many (`make soak-hostile`), `HOSTILE_SEED` the first one's seed.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{symlink, MetadataExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use flate2::write::GzEncoder;
use flate2::Compression;
use rustix::fs::{mknodat, FileType, Mode, CWD};

use common::{append, delivering, Rig};

const TOKEN: &str = "a token of somebody else";
/// Longest time that one round of the host's loop may take, on a busy machine.
const HANG: Duration = Duration::from_secs(10);

/// SplitMix64: the same folders for the same seed, on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

struct Site {
    folder: tempfile::TempDir,
    random: Random,
    made: usize,
    /// Lines that must come, each once.
    good: Vec<String>,
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
            folder,
            random: Random(seed),
            made: 0,
            good: Vec::new(),
        }
    }

    fn volume(&self) -> PathBuf {
        self.folder.path().join("volume")
    }

    fn outside(&self) -> PathBuf {
        self.folder.path().join("outside")
    }

    /// What is outside: names, contents, modes, owners and times of change.
    fn seen_outside(&self) -> BTreeMap<PathBuf, (Vec<u8>, u32, i64, i64)> {
        fs::read_dir(self.outside())
            .unwrap()
            .flatten()
            .map(|entry| {
                let metadata = entry.metadata().unwrap();
                let content = fs::read(entry.path()).unwrap();
                let times = (metadata.mtime_nsec(), metadata.ctime_nsec());
                (entry.path(), (content, metadata.mode(), times.0, times.1))
            })
            .collect()
    }

    fn name(&mut self) -> PathBuf {
        self.made += 1;
        let folder = if self.random.below(3) == 0 { "sub" } else { "" };
        let odd = ["a", "\n[error] x", "\u{1b}[2J", "%s%n", " ", "\u{202e}"];
        let odd = odd[self.random.below(odd.len())];
        let name = format!("{odd}{}.log", self.made);
        self.volume().join(folder).join(name)
    }

    /// A name of one of our own files.
    fn own_name(&mut self) -> PathBuf {
        let names = ["", ".journal", ".lock", ".tmp", ".takeover", ".damaged"];
        let name = names[self.random.below(names.len())];
        self.volume().join(format!("tail.db.sidecar{name}"))
    }

    fn good_line(&mut self) -> String {
        let line = format!("good {}", self.good.len());
        self.good.push(line.clone());
        line + "\n"
    }

    /// One hostile or good thing.
    fn step(&mut self) {
        let outside = self.outside();
        let path = match self.random.below(3) {
            0 => self.own_name(),
            _ => self.name(),
        };
        let own = path.to_string_lossy().contains("tail.db");
        // What is there may be ours by now; strangers can take names away, too.
        match self.random.below(12) {
            0 => drop(symlink(outside.join("token.log"), &path)),
            1 => drop(symlink(&outside, &path)),
            2 => drop(symlink("/proc/self/environ", &path)),
            3 => drop(symlink(&path, &path)),
            4 => drop(mknodat(CWD, &path, FileType::Fifo, Mode::RWXU, 0)),
            5 => drop(UnixListener::bind(&path)),
            6 => drop(fs::create_dir(&path)),
            7 if !own => {
                let empty = GzEncoder::new(Vec::new(), Compression::best()).finish();
                fs::write(path.with_extension("gz"), empty.unwrap().repeat(5000)).unwrap();
            }
            8 if own => {
                let row = r#"{"path":"/etc/passwd","device":1,"inode":1,"offset":0,"head_length":0,"head_hash":0,"tail_length":0,"tail_hash":0,"seen":1},"#;
                let text = format!("{{\"version\":1,\"files\":[{}", row.repeat(2000));
                // A stranger can only make one where there is none.
                if fs::symlink_metadata(&path).is_err() {
                    drop(fs::write(&path, text));
                }
            }
            8 => {
                let mut file = fs::File::create(&path).unwrap();
                file.write_all(&vec![b'['; 200_000]).unwrap();
                file.write_all(b"\n").unwrap();
                let line = self.good_line();
                file.write_all(line.as_bytes()).unwrap();
            }
            _ if own => {}
            _ => {
                for _ in 0..=self.random.below(3) {
                    let line = self.good_line();
                    append(&path, &line);
                }
                if self.random.below(3) == 0 {
                    let (from, to) = (path.clone(), path.with_extension("log.1"));
                    fs::rename(from, to).unwrap();
                    let line = self.good_line();
                    append(&path, &line);
                }
            }
        }
    }

    fn start(&self) -> Rig {
        let path = format!(
            "{0}/*.log*,{0}/*.gz,{0}/*/*.log*",
            self.volume().to_str().unwrap()
        );
        let db = self.volume().join("tail.db");
        let options = [
            ("path", path.as_str()),
            ("db", db.to_str().unwrap()),
            ("db.sync", "off"),
            ("rotate_wait", "0"),
            ("max_files", "200"),
        ];
        Rig::try_start(&options, delivering()).unwrap()
    }
}

fn good_lines(rig: &Rig) -> Vec<String> {
    let lines = rig.lines().into_iter();
    lines.filter(|line| line.starts_with("good ")).collect()
}

fn play(seed: u64) {
    let mut site = Site::new(seed);
    let outside = site.seen_outside();
    for _ in 0..site.random.below(20) {
        site.step();
    }
    let mut rig = site.start();
    for _ in 0..site.random.below(10) {
        site.step();
        let before = Instant::now();
        rig.turn();
        assert!(before.elapsed() < HANG, "seed {seed}: a hang");
    }
    let wanted = site.good.len();
    rig.until(&format!("seed {seed}: {wanted} good lines"), |rig| {
        good_lines(rig).len() >= wanted
    });
    rig.drain();
    let (mut came, mut good) = (good_lines(&rig), site.good.clone());
    came.sort();
    good.sort();
    assert_eq!(came, good, "seed {seed}");
    let leaked = rig
        .lines()
        .into_iter()
        .any(|line| line.contains(TOKEN) || line.contains("PATH=") || line.contains("HOME="));
    assert!(!leaked, "seed {seed}: what is outside was read");
    rig.exit();
    assert_eq!(site.seen_outside(), outside, "seed {seed}");
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
    common::print_log();
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let count = number("HOSTILE_FOLDERS").unwrap_or(30);
    let first = number("HOSTILE_SEED").unwrap_or(1);
    for seed in first..first + count {
        play(seed);
    }
}
