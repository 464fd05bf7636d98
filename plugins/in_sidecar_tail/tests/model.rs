//! Random scripts against a model: whatever happens to the files, nothing that could be read is
//! lost and nothing comes twice.
//!
//! `SIDECAR_TAIL_SCRIPTS` sets how many scripts run, `SIDECAR_TAIL_SEED` where they start; a
//! failure prints the seed and the script that leads to it.

#![allow(
    clippy::print_stderr,
    reason = "seeds and skipped filesystems are named"
)]

mod common;

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use common::{Rig, DEADLINE};
use flb_sidecar_sdk::fake::FakeHost;
use flb_sidecar_sdk::{Input, Pending};

/// SplitMix64: <https://prng.di.unimi.it/splitmix64.c>.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

const STUCK: Option<Pending> = Some(Pending {
    chunks: 1,
    tasks: 0,
});
const DELIVERED: Option<Pending> = Some(Pending {
    chunks: 0,
    tasks: 0,
});

struct Script {
    random: Random,
    dir: tempfile::TempDir,
    state: tempfile::TempDir,
    pattern: &'static str,
    /// What every file begins with, also one that was truncated.
    header: &'static str,
    rig: Option<Rig>,
    /// The file that is written to; the path may be another one's by now.
    writer: File,
    /// The end of the file is inside a line.
    inside: bool,
    token: u64,
    rotations: u64,
    /// Tokens written in whole lines, and those at the end of the current file.
    whole: Vec<u64>,
    open: Vec<u64>,
    /// How often each token has come.
    seen: HashMap<u64, u32>,
    /// Tokens that came in this run of the instance: a crash may repeat them.
    session: Vec<u64>,
    /// Tokens that came since the host does not deliver.
    undelivered: Vec<u64>,
    repeatable: HashMap<u64, u32>,
    /// Over-long lines that are not complete.
    parts: HashMap<String, String>,
    log: Vec<String>,
}

impl Script {
    fn new(seed: u64, base: &Path) -> Self {
        let mut random = Random(seed);
        let dir = tempfile::tempdir_in(base).unwrap();
        let pattern = ["app.log", "app.log*", "*"][random.below(3) as usize];
        let header = ["", "# a header\n"][random.below(2) as usize];
        let writer = create(&dir.path().join("app.log"), header);
        let mut script = Script {
            random,
            header,
            state: tempfile::tempdir_in(base).unwrap(),
            dir,
            pattern,
            rig: None,
            writer,
            inside: false,
            token: 0,
            rotations: 0,
            whole: Vec::new(),
            open: Vec::new(),
            seen: HashMap::new(),
            session: Vec::new(),
            undelivered: Vec::new(),
            repeatable: HashMap::new(),
            parts: HashMap::new(),
            log: vec![format!("pattern {pattern}")],
        };
        script.start();
        script
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("app.log")
    }

    fn start(&mut self) {
        let pattern = self.dir.path().join(self.pattern);
        let db = self.state.path().join("db");
        let host = FakeHost {
            pending: DELIVERED,
            ..FakeHost::default()
        };
        let options = [
            ("path", pattern.to_str().unwrap()),
            ("db", db.to_str().unwrap()),
            ("db.sync", "off"),
            ("buffer_max_size", "200"),
            ("buffer_chunk_size", "1024"),
            ("rotate_wait", "1"),
        ];
        self.rig = Some(Rig::try_start(&options, host).unwrap());
        self.session.clear();
        self.undelivered.clear();
    }

    fn rig(&mut self) -> &mut Rig {
        self.rig.as_mut().unwrap()
    }

    /// Takes what the host got.
    fn take(&mut self) {
        let rig = self.rig.as_mut().unwrap();
        let stuck = rig.host.pending == STUCK;
        let bodies = rig.host.bodies();
        rig.host.appended.clear();
        for body in bodies {
            let mut text = body["log"].as_str().unwrap().to_owned();
            if let Some(id) = body.get("partial_id") {
                let id = id.as_str().unwrap().to_owned();
                if body["partial_ordinal"] == "1" {
                    self.parts.remove(&id);
                }
                let parts = self.parts.entry(id.clone()).or_default();
                parts.push_str(&text);
                if body["partial_last"] != "true" {
                    continue;
                }
                text = self.parts.remove(&id).unwrap();
            }
            self.take_tokens(&text, stuck);
        }
    }

    fn take_tokens(&mut self, text: &str, stuck: bool) {
        for token in text.split_whitespace() {
            let Some(token) = token.strip_prefix('t').and_then(|t| t.split('.').next()) else {
                continue;
            };
            let token: u64 = token.parse().unwrap();
            *self.seen.entry(token).or_default() += 1;
            self.session.push(token);
            if stuck {
                self.undelivered.push(token);
            }
        }
    }

    fn turn(&mut self) {
        self.rig().turn();
        self.take();
    }

    fn until(&mut self, what: &str, condition: impl Fn(&Script) -> bool) {
        let start = Instant::now();
        while !condition(self) {
            assert!(start.elapsed() < DEADLINE, "{what}: {}", self.report());
            self.turn();
        }
    }

    /// Waits until every whole line has come.
    fn sync(&mut self) {
        self.rig().host.paused = false;
        let tail = self.rig.as_mut().unwrap();
        tail.resume();
        self.take();
        self.until("every line", |script| {
            script
                .whole
                .iter()
                .all(|token| script.seen.contains_key(token))
        });
    }

    fn report(&self) -> String {
        let missing: Vec<&u64> = self
            .whole
            .iter()
            .filter(|t| !self.seen.contains_key(t))
            .collect();
        let (dir, log) = (self.dir.path().display(), self.log.join("\n"));
        format!("missing {missing:?} in {dir}\n{log}")
    }

    fn write(&mut self, tokens: u64) {
        let mut text = String::new();
        for _ in 0..tokens {
            self.token += 1;
            // Some are long, so that some lines are over-long.
            let padding = if self.random.below(20) == 0 {
                90
            } else {
                self.random.below(8)
            };
            let width = padding as usize;
            text += &format!(" t{:09}.{:.<width$}", self.token, "");
            self.open.push(self.token);
            self.inside = true;
            if self.random.below(3) > 0 {
                text.push('\n');
                self.inside = false;
                self.whole.append(&mut self.open);
            }
        }
        self.writer.write_all(text.as_bytes()).unwrap();
    }

    /// The file ends here for good: an open line is whole although it has no newline.
    fn end_file(&mut self) {
        self.whole.append(&mut self.open);
        self.inside = false;
    }

    fn rotated(&mut self) -> PathBuf {
        self.rotations += 1;
        // Old generations go, as logrotate does it; they have been read.
        self.dir.path().join(format!("app.log.{}", self.rotations))
    }

    fn truncate(&self) {
        File::create(self.path()).unwrap();
        create(&self.path(), self.header);
    }

    /// A new file at the path, which is free.
    fn begin_file(&mut self) {
        self.end_file();
        self.writer = create(&self.path(), self.header);
    }

    fn step(&mut self) {
        let choice = self.random.below(20);
        self.log.push(format!("{choice} at token {}", self.token));
        match choice {
            0..=5 => {
                let tokens = 1 + self.random.below(12);
                self.write(tokens);
            }
            6 => {
                for _ in 0..self.random.below(4) {
                    self.turn();
                }
            }
            7 => self.sync(),
            8 => {
                // Rename, and the writer goes on in the old file for a while.
                self.know();
                let to = self.rotated();
                fs::rename(self.path(), to).unwrap();
                if self.random.below(2) == 0 {
                    self.write(3);
                }
                self.begin_file();
                self.write(2);
            }
            9 => {
                let to = self.rotated();
                self.know();
                fs::rename(self.path(), to).unwrap();
                self.begin_file();
            }
            10 | 11 => {
                // copytruncate, perhaps with something unread.
                if choice == 10 {
                    self.sync();
                }
                self.know();
                let to = self.rotated();
                let truncations = self.rig().metric("truncations_total");
                fs::copy(self.path(), to).unwrap();
                self.truncate();
                self.end_file();
                self.seen_truncated(truncations);
            }
            12 => {
                // Everything was read: truncation loses nothing.
                self.know();
                self.token += 1;
                self.open.push(self.token);
                let text = format!(" t{:09}.\n", self.token);
                self.writer.write_all(text.as_bytes()).unwrap();
                self.end_file();
                self.sync();
                let truncations = self.rig().metric("truncations_total");
                self.truncate();
                self.seen_truncated(truncations);
            }
            13 => {
                // Deleted, perhaps unread: the handle is open.
                self.know();
                fs::remove_file(self.path()).unwrap();
                self.begin_file();
            }
            14 => {
                // Replaced by rename.
                self.know();
                let next = self.state.path().join("next");
                self.end_file();
                self.writer = create(&next, self.header);
                self.write(2);
                fs::rename(&next, self.path()).unwrap();
            }
            15 => self.rig().host.paused = true,
            16 => {
                // An orderly restart; what is written meanwhile waits.
                self.stop();
                self.rig().exit();
                let tokens = self.random.below(4);
                self.write(tokens);
                if self.random.below(3) == 0 {
                    let to = self.rotated();
                    fs::rename(self.path(), to).unwrap();
                    self.begin_file();
                    self.write(1);
                }
                self.start();
            }
            17 => {
                // Rotations as fast as they go: most of the files are never seen at the path. The
                // folder must be watched.
                self.know();
                let names = [self.rotated(), self.rotated(), self.rotated()];
                for _ in 0..1 + self.random.below(names.len() as u64) {
                    self.write(2);
                    for generation in (1..names.len()).rev() {
                        // As long as there are not so many.
                        let _ = fs::rename(&names[generation - 1], &names[generation]);
                    }
                    fs::rename(self.path(), &names[0]).unwrap();
                    self.begin_file();
                }
            }
            18 => {
                // What a rename does, in two steps.
                self.know();
                fs::hard_link(self.path(), self.rotated()).unwrap();
                fs::remove_file(self.path()).unwrap();
                self.begin_file();
            }
            _ => {
                // A crash: what the host had not delivered is gone. Deleted files must have been
                // read before, since nothing brings them back.
                self.sync();
                self.rig().host.pending = STUCK;
                let tokens = 1 + self.random.below(5);
                self.write(tokens);
                for _ in 0..3 {
                    self.turn();
                }
                self.take();
                for token in std::mem::take(&mut self.undelivered) {
                    *self.seen.get_mut(&token).unwrap() -= 1;
                    if self.seen[&token] == 0 {
                        self.seen.remove(&token);
                    }
                }
                for token in std::mem::take(&mut self.session) {
                    *self.repeatable.entry(token).or_default() += 1;
                }
                self.crash();
                self.start();
            }
        }
    }

    /// Ends the instance with the state that it has at this moment, whatever it writes at its end.
    fn crash(&mut self) {
        let names = ["db.sidecar.journal", "db.sidecar"];
        let paths = names.map(|name| self.state.path().join(name));
        let kept = paths.clone().map(|path| fs::read(path).ok());
        self.rig().exit();
        for (path, content) in paths.iter().zip(kept) {
            let _ = fs::remove_file(path);
            if let Some(content) = content {
                fs::write(path, content).unwrap();
            }
        }
    }

    /// Waits until the instance knows the current file: a file that comes and goes unseen is lost.
    fn know(&mut self) {
        // The instance's own count of what was found is the only way to tell from outside.
        let mut probe = String::new();
        self.token += 1;
        probe += &format!(" t{:09}.\n", self.token);
        let token = self.token;
        self.open.push(token);
        self.whole.append(&mut self.open);
        self.inside = false;
        self.writer.write_all(probe.as_bytes()).unwrap();
        let paused = self.rig().host.paused;
        self.rig().host.paused = false;
        self.until("the file is known", |script| {
            script.seen.contains_key(&token)
        });
        self.rig().host.paused = paused;
        if self.random.below(2) == 0 {
            let tokens = 1 + self.random.below(30);
            self.write(tokens);
        }
    }

    fn seen_truncated(&mut self, before: u64) {
        let start = Instant::now();
        while self.rig().metric("truncations_total") == before {
            assert!(
                start.elapsed() < DEADLINE,
                "truncation is seen: {}",
                self.report()
            );
            self.turn();
        }
        // The writer appends.
        self.writer = create(&self.path(), "");
    }

    fn stop(&mut self) {
        self.sync();
        let rig = self.rig.as_mut().unwrap();
        rig.host.stopping = true;
        rig.pause();
        rig.pause();
        self.take();
        // The open line waits for its end.
        for token in &self.open {
            assert!(
                !self.seen.contains_key(token),
                "open line {token}: {}",
                self.report()
            );
        }
    }

    fn check(&mut self) {
        self.sync();
        self.end_file();
        let tail = self.rig.as_mut().unwrap();
        let handle = tail.tail().drain_handle().unwrap();
        handle.request(DEADLINE);
        self.until("drained", |_| {
            handle.status().state == flb_sidecar_sdk::drain::DrainState::Drained
        });
        self.take();
        // A line that the drain has cut has its beginning in parts.
        for text in std::mem::take(&mut self.parts).into_values() {
            self.take_tokens(&text, false);
        }
        for token in 1..=self.token {
            let seen = self.seen.get(&token).copied().unwrap_or(0);
            let most = 1 + self.repeatable.get(&token).copied().unwrap_or(0);
            assert!(seen >= 1, "token {token} is lost: {}", self.report());
            assert!(
                seen <= most,
                "token {token} came {seen} times: {}",
                self.report()
            );
        }
        assert_eq!(
            self.rig().metric("lost_bytes_total"),
            0,
            "{}",
            self.report()
        );
    }
}

/// Opens the file to append to it; a header comes first.
fn create(path: &Path, header: &str) -> File {
    let mut options = OpenOptions::new();
    let mut file = options.append(true).create(true).open(path).unwrap();
    file.write_all(header.as_bytes()).unwrap();
    file
}

fn number(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().expect("a number"),
        Err(_) => default,
    }
}

fn run(base: &Path, scripts: u64) {
    common::print_log();
    let seed = number("SIDECAR_TAIL_SEED", 1);
    eprintln!(
        "{scripts} scripts on {}, SIDECAR_TAIL_SEED={seed}",
        base.display()
    );
    let next = std::sync::atomic::AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| loop {
                let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                if number >= scripts {
                    return;
                }
                let seed = seed + number;
                let result = std::panic::catch_unwind(|| {
                    let mut script = Script::new(seed, base);
                    let steps = 5 + script.random.below(25);
                    for _ in 0..steps {
                        script.step();
                    }
                    script.check();
                });
                assert!(
                    result.is_ok(),
                    "SIDECAR_TAIL_SEED={seed} on {}",
                    base.display()
                );
            });
        }
    });
}

#[test]
fn random_scripts() {
    let dir = tempfile::tempdir().unwrap();
    run(dir.path(), number("SIDECAR_TAIL_SCRIPTS", 200));
}

/// A filesystem mounted for the test, unmounted at its end.
struct Mount(PathBuf);

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn mount(arguments: &[&str], at: &Path) -> Option<Mount> {
    let done = Command::new("mount")
        .args(arguments)
        .arg(at)
        .output()
        .ok()?;
    done.status.success().then(|| Mount(at.to_owned()))
}

#[test]
fn random_scripts_on_other_filesystems() {
    let base = tempfile::tempdir().unwrap();
    let folder = |name: &str| {
        let path = base.path().join(name);
        fs::create_dir_all(&path).unwrap();
        path
    };
    let scripts = number("SIDECAR_TAIL_SCRIPTS", 200).div_ceil(3);
    let tmpfs = mount(&["-t", "tmpfs", "none"], &folder("tmpfs"));
    let layers = tmpfs.as_ref().and_then(|Mount(tmpfs)| {
        let lower = tmpfs.join("lower");
        let (upper, work) = (tmpfs.join("upper"), tmpfs.join("work"));
        for path in [&lower, &upper, &work] {
            fs::create_dir_all(path).ok()?;
        }
        let options = format!(
            "lowerdir={},upperdir={},workdir={}",
            lower.display(),
            upper.display(),
            work.display()
        );
        mount(
            &["-t", "overlay", "overlay", "-o", &options],
            &folder("overlay"),
        )
    });
    let image = base.path().join("image");
    File::create(&image).unwrap().set_len(64 << 20).unwrap();
    let made = Command::new("mkfs.ext4")
        .arg("-q")
        .arg("-F")
        .arg(&image)
        .output();
    let ext4 = made
        .ok()
        .filter(|m| m.status.success())
        .and_then(|_| mount(&["-o", "loop", image.to_str()?], &folder("ext4")));
    for (name, mounted) in [("overlay", layers), ("tmpfs", tmpfs), ("ext4", ext4)] {
        match mounted {
            Some(mounted) => run(&mounted.0, scripts),
            None => eprintln!("SKIPPED: {name} cannot be mounted here"),
        }
    }
}
