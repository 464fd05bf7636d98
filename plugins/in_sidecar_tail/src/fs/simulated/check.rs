//! The simulated filesystem beside the kernel's: the same random calls have the same answers.
//!
//! What cannot be compared here: writing through a map, since that takes `unsafe`, and mounts over a
//! network. Change times are compared in one direction: what changed on the real one, whose clock has
//! coarse steps, has changed on the simulated one.

#![allow(clippy::print_stdout, reason = "what cannot be compared here is said")]

use std::collections::{HashMap, HashSet};
use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::fs::{fallocate, FallocateFlags};
use tempfile::TempDir;

use super::{Device, SimFs, Writer};
use crate::fs::notify::{Notify, Wanted};
use crate::fs::{Fs, Handle, Magic, Metadata};
use crate::sim::{number, Random};
use crate::time::Time;

const CALLS: usize = 400;
const NAMES: [&str; 12] = [
    "a", "b", "c.log", "c.log.1", "d", "d/a", "d/b", "d/e", "d/e/a", "f", "f/a", "a/b",
];
const TARGETS: [&str; 7] = ["a", "b", "d", "../a", "d/e", ".", "nothing"];

/// Both of them, with the same paths.
struct Both {
    random: Random,
    /// Holes are those of the simulation.
    exact: bool,
    time: Time,
    root: PathBuf,
    sim: SimFs,
    ours: [Fs; 2],
    handles: Vec<[Handle; 2]>,
    writers: Vec<(File, Writer)>,
    queues: [Notify; 2],
    watches: HashSet<i32>,
    /// The real file of each simulated one, and when both were changed.
    known: HashMap<u64, ((u64, u64), i64, i64)>,
    done: Vec<String>,
}

/// An answer, so that both can be compared.
fn plain<T>(result: io::Result<T>) -> Result<T, i32> {
    result.map_err(|error| error.raw_os_error().unwrap_or(-1))
}

impl Both {
    fn new(seed: u64, root: &Path, exact: bool) -> Self {
        let time = Time::simulated(Duration::from_secs(2_000_000_000));
        let sim = SimFs::new(time.clone(), Device::LOCAL);
        let mut above: Vec<&Path> = root.ancestors().collect();
        above.reverse();
        for folder in above.into_iter().skip(1) {
            sim.make_folder(folder).unwrap();
        }
        let ours = [Fs::default(), Fs::simulated(sim.clone())];
        let queues = ours.each_ref().map(|fs| fs.notify().unwrap());
        Both {
            random: Random(seed),
            exact,
            time,
            root: root.to_owned(),
            sim,
            ours,
            handles: Vec::new(),
            writers: Vec::new(),
            queues,
            watches: HashSet::new(),
            known: HashMap::new(),
            done: Vec::new(),
        }
    }

    fn path(&mut self) -> PathBuf {
        let name = self.random.of(&NAMES);
        match self.random.below(12) {
            0 => self.root.clone(),
            1 => self.root.join("d/..").join(name),
            _ => self.root.join(name),
        }
    }

    fn same<T: PartialEq + Debug>(&mut self, call: &str, real: T, simulated: T) {
        self.done.push(format!("{call}: {real:?}"));
        assert!(
            real == simulated,
            "{call}: really {real:?}, simulated {simulated:?}\n{:#?}",
            self.done
        );
    }

    fn same_metadata(&mut self, call: &str, both: [io::Result<Metadata>; 2]) {
        let [real, simulated] = both.map(plain);
        if let (Ok(real), Ok(simulated)) = (&real, &simulated) {
            let file = (
                (real.dev(), real.ino()),
                real.modified_nanos(),
                simulated.modified_nanos(),
            );
            let before = self.known.insert(simulated.ino(), file);
            if let Some((number, then, simulated_then)) = before {
                self.same("the file of a path", number, file.0);
                let changed = then != file.1;
                let told = simulated_then != file.2;
                assert!(
                    told || !changed,
                    "{call}: its time has changed\n{:#?}",
                    self.done
                );
            }
        }
        let shown = |m: Metadata| {
            let size = if m.is_dir() { 0 } else { m.len() };
            (m.is_file(), m.is_dir(), m.is_symlink(), size)
        };
        self.same(call, real.map(shown), simulated.map(shown));
    }

    fn changes(&mut self) {
        let (one, other) = (self.path(), self.path());
        let (a, b) = (one.display().to_string(), other.display().to_string());
        match self.random.below(8) {
            0 | 1 => {
                let real = plain(fs::create_dir(&one));
                let simulated = plain(self.sim.make_folder(&one));
                self.same(&format!("mkdir {a}"), real, simulated);
            }
            2 => {
                let real = plain(fs::remove_dir(&one));
                let simulated = plain(self.sim.remove_folder(&one));
                self.same(&format!("rmdir {a}"), real, simulated);
            }
            3 | 4 => {
                let real = plain(fs::rename(&one, &other));
                let simulated = plain(self.sim.rename(&one, &other));
                self.same(&format!("rename {a} {b}"), real, simulated);
            }
            5 => {
                let real = plain(fs::hard_link(&one, &other));
                let simulated = plain(self.sim.hard_link(&one, &other));
                self.same(&format!("link {a} {b}"), real, simulated);
            }
            6 => {
                let target = Path::new(self.random.of(&TARGETS));
                let real = plain(std::os::unix::fs::symlink(target, &one));
                let simulated = plain(self.sim.symlink(target, &one));
                self.same(
                    &format!("symlink {} {a}", target.display()),
                    real,
                    simulated,
                );
            }
            _ => {
                let real = plain(fs::remove_file(&one));
                let simulated = plain(self.sim.unlink(&one));
                self.same(&format!("unlink {a}"), real, simulated);
            }
        }
    }

    fn writes(&mut self) {
        if self.writers.is_empty() || self.random.below(4) == 0 {
            let path = self.path();
            let real = plain(
                OpenOptions::new()
                    .write(true)
                    .create(true)
                    .truncate(false)
                    .open(&path),
            );
            let simulated = plain(self.sim.writer(&path));
            let shown = format!("writer {}", path.display());
            self.same(&shown, real.as_ref().err(), simulated.as_ref().err());
            if let (Ok(real), Ok(simulated)) = (real, simulated) {
                self.writers.push((real, simulated));
            }
            return;
        }
        let at = self.random.below(self.writers.len() as u64) as usize;
        let offset = self.random.of(&[0, 3, 100, 4000, 4096, 9000, 20_000]);
        let text = vec![b'x'; self.random.of(&[1, 10, 5000])];
        let (real, simulated) = &self.writers[at];
        let call = match self.random.below(6) {
            0 | 1 => {
                real.write_all_at(&text, real.metadata().unwrap().len())
                    .unwrap();
                simulated.append(&text);
                "append"
            }
            2 => {
                real.write_all_at(&text, offset).unwrap();
                simulated.write_at(&text, offset);
                "write"
            }
            3 => {
                real.set_len(offset).unwrap();
                simulated.set_len(offset);
                "truncate"
            }
            4 => {
                fallocate(real, FallocateFlags::empty(), 0, offset + 1).unwrap();
                simulated.allocate(offset + 1);
                "allocate"
            }
            _ => {
                self.writers.swap_remove(at);
                "close"
            }
        };
        self.done
            .push(format!("{call} {at} at {offset}, {} bytes", text.len()));
    }

    fn looks(&mut self) {
        let path = self.path();
        let shown = path.display().to_string();
        match self.random.below(8) {
            0 | 1 => {
                let both = self.ours.each_ref().map(|fs| fs.metadata(&path));
                self.same_metadata(&format!("stat {shown}"), both);
            }
            2 => {
                let both = self.ours.each_ref().map(|fs| fs.symlink_metadata(&path));
                self.same_metadata(&format!("lstat {shown}"), both);
            }
            3 => {
                let [real, simulated] =
                    self.ours.each_ref().map(|fs| plain(fs.canonicalize(&path)));
                self.same(&format!("canonicalize {shown}"), real, simulated);
            }
            4 => {
                let list = |fs: &Fs| {
                    let entries = fs.list(&path)?.map(|e| e.map(|e| (e.name, e.kind)));
                    let mut entries: Vec<_> = entries.collect::<io::Result<_>>()?;
                    entries.sort();
                    Ok(entries)
                };
                let [real, simulated] = self.ours.each_ref().map(|fs| plain(list(fs)));
                self.same(&format!("list {shown}"), real, simulated);
            }
            5 => {
                let place = |fs: &Fs| Ok(fs.open_place(&path)?.place());
                let [real, simulated] = self.ours.each_ref().map(|fs| plain(place(fs)));
                self.same(&format!("place {shown}"), real, simulated);
            }
            6 => {
                let remove = |fs: &Fs| fs.remove_if(&path, Metadata::is_file);
                let [real, simulated] = self.ours.each_ref().map(|fs| plain(remove(fs)));
                self.same(&format!("remove {shown}"), real, simulated);
            }
            _ => {
                let straight = |fs: &Fs| plain(fs.open_without_links(&path).map(|_| ()));
                let [real, simulated] = self.ours.each_ref().map(straight);
                self.same(&format!("open without links {shown}"), real, simulated);
                let [real, simulated] = self
                    .ours
                    .each_ref()
                    .map(|fs| plain(fs.open(&path, Magic::Refused)));
                self.same(
                    &format!("open {shown}"),
                    real.as_ref().err(),
                    simulated.as_ref().err(),
                );
                if let (Ok(real), Ok(simulated)) = (real, simulated) {
                    self.handles.push([real, simulated]);
                }
            }
        }
    }

    fn reads(&mut self) {
        if self.handles.is_empty() {
            return;
        }
        let at = self.random.below(self.handles.len() as u64) as usize;
        let offset = self.random.of(&[0, 3, 100, 4000, 4096, 9000, 30_000]);
        let both = &self.handles[at];
        match self.random.below(6) {
            0 | 1 => {
                let read = |handle: &Handle| {
                    let mut buffer = vec![1; 6000];
                    let length = handle.read_at(&mut buffer, offset)?;
                    buffer.truncate(length);
                    Ok((length, xxhash_rust::xxh3::xxh3_64(&buffer)))
                };
                let [real, simulated] = both.each_ref().map(|handle| plain(read(handle)));
                self.same(&format!("read {at} at {offset}"), real, simulated);
            }
            2 => {
                let both = both.each_ref().map(Handle::metadata);
                self.same_metadata(&format!("fstat {at}"), both);
            }
            3 => {
                let file = both[0].metadata().is_ok_and(|metadata| metadata.is_file());
                let [real, simulated] = both.each_ref().map(|handle| handle.next_data(offset));
                // A filesystem may take for data what is only in its cache, and is nothing but NULs.
                let fits = match (real, simulated) {
                    (Some(real), Some(simulated)) => (offset..=simulated).contains(&real),
                    (real, simulated) => simulated.is_none() && (real.is_none() || !self.exact),
                };
                if file {
                    let call = format!("data of {at} behind {offset}: {real:?}, {simulated:?}");
                    self.same(&call, true, fits);
                }
            }
            4 => {
                let [real, simulated] = both.each_ref().map(Handle::place);
                self.same(&format!("place of {at}"), real, simulated);
            }
            _ => {
                self.handles.swap_remove(at);
            }
        }
    }

    fn watches(&mut self) {
        let path = self.path();
        let all = Wanted::CREATE
            | Wanted::MODIFY
            | Wanted::MOVED_FROM
            | Wanted::MOVED_TO
            | Wanted::DELETE
            | Wanted::DELETE_SELF
            | Wanted::MOVE_SELF
            | Wanted::ONLYDIR;
        let few = Wanted::CREATE | Wanted::MOVED_TO | Wanted::DELETE_SELF | Wanted::ONLYDIR;
        let wanted = match self.random.below(3) {
            0 => few | Wanted::MASK_ADD,
            _ => all,
        };
        match self.random.below(5) {
            0 => {
                let [real, simulated] = self
                    .queues
                    .each_ref()
                    .map(|queue| plain(queue.add(&path, wanted)));
                self.watches.extend(real.iter().copied());
                self.same(
                    &format!("watch {} {wanted:?}", path.display()),
                    real,
                    simulated,
                );
            }
            1 if self.random.below(4) == 0 => {
                let some = self.watches.iter().next().copied();
                if let Some(watch) = some {
                    self.queues.iter().for_each(|queue| queue.remove(watch));
                    self.watches.remove(&watch);
                    self.done.push(format!("forget {watch}"));
                }
            }
            _ => {
                let told = |queue: &mut Notify| {
                    let mut told = Vec::new();
                    while queue.read(|event| {
                        let name = event.name.map(ToOwned::to_owned);
                        told.push((event.watch, event.mask, event.cookie != 0, name));
                        false
                    }) {}
                    told
                };
                let [real, simulated] = self.queues.each_mut().map(told);
                self.same("events", real, simulated);
            }
        }
    }

    fn step(&mut self) {
        self.time.advance(Duration::from_millis(10));
        match self.random.below(12) {
            0..=2 => self.changes(),
            3..=5 => self.writes(),
            6..=7 => self.looks(),
            8..=9 => self.reads(),
            _ => self.watches(),
        }
    }
}

fn check_in(folder: &Path) {
    let first = number("SIDECAR_TAIL_SEED", 1);
    let count = number("SIDECAR_TAIL_SCRIPTS", 60);
    let exact = kind_of(folder) == "tmpfs";
    for seed in first..first + count {
        let root = tempfile::tempdir_in(folder).unwrap();
        // A link may lead to what is above it.
        let real = root.path().canonicalize().unwrap().join("root");
        fs::create_dir(&real).unwrap();
        let ran = std::panic::catch_unwind(|| {
            let mut both = Both::new(seed, &real, exact);
            for _ in 0..CALLS {
                both.step();
            }
        });
        assert!(ran.is_ok(), "seed {seed} in {}", folder.display());
    }
}

/// What a folder lies on, as mount(8) names it.
fn kind_of(folder: &Path) -> String {
    let told = Command::new("stat")
        .args(["-f", "-c", "%T"])
        .arg(folder)
        .output();
    let told = told.map(|told| String::from_utf8_lossy(&told.stdout).trim().to_owned());
    told.unwrap_or_default()
}

#[test]
fn it_answers_as_tmpfs_does() {
    let shared = Path::new("/dev/shm");
    if kind_of(shared) == "tmpfs" {
        check_in(shared);
    } else {
        println!("SKIPPED the simulated filesystem beside tmpfs: /dev/shm is none");
    }
}

#[test]
fn it_answers_as_ext4_does() {
    let folders = [
        std::env::temp_dir(),
        PathBuf::from(env!("CARGO_MANIFEST_DIR")),
    ];
    match folders
        .iter()
        .find(|folder| kind_of(folder).starts_with("ext"))
    {
        Some(folder) => check_in(folder),
        None => println!("SKIPPED the simulated filesystem beside ext4: there is none"),
    }
}

/// An overlay that is gone when this is dropped.
struct Overlay {
    dir: TempDir,
}

impl Overlay {
    fn new() -> io::Result<Self> {
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir())?;
        for name in ["lower", "upper", "work", "merged"] {
            fs::create_dir(dir.path().join(name))?;
        }
        let at = |name: &str| dir.path().join(name).display().to_string();
        let options = format!(
            "lowerdir={},upperdir={},workdir={}",
            at("lower"),
            at("upper"),
            at("work")
        );
        let mounted = Command::new("mount")
            .args(["-t", "overlay", "overlay", "-o", &options, &at("merged")])
            .output()?;
        if !mounted.status.success() {
            let said = String::from_utf8_lossy(&mounted.stderr).trim().to_owned();
            return Err(io::Error::other(said));
        }
        Ok(Overlay { dir })
    }
}

impl Drop for Overlay {
    fn drop(&mut self) {
        let merged = self.dir.path().join("merged");
        let _ = Command::new("umount").arg("-l").arg(merged).status();
    }
}

#[test]
fn it_answers_as_overlayfs_does() {
    match Overlay::new() {
        Ok(overlay) => check_in(&overlay.dir.path().join("merged")),
        Err(error) => println!("SKIPPED the simulated filesystem beside overlayfs: {error}"),
    }
}
