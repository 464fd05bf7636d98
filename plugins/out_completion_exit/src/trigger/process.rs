//! Processes of other containers (`shareProcessNamespace`): started, running, ended.
//!
//! A process is found by PID file, name or cgroup under `/proc`. Its end is awaited through a
//! pidfd where the kernel has one, and by a look every second. A number that is used again does
//! not count as the same process: the start time tells them apart.

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use glob::Pattern;
use rustix::process::{pidfd_open, Pid, PidfdFlags};

use super::pid_file::PidFile;
use crate::config::ProcessConfig;
use crate::trigger::{Fired, Trigger};

/// Processes whose end wakes the thread at once; others are noticed within a second.
const MAX_PIDFDS: usize = 16;

/// What was seen running in this process. A hot reload makes a new instance, and that must not
/// wait for the start of something that has ended meanwhile.
static SEEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// A process, and the clock tick of its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    pid: u32,
    start: u64,
}

#[derive(Debug)]
enum Rule {
    PidFile(PidFile),
    Name(Pattern),
    Cgroup(Pattern),
}

#[derive(Debug)]
struct Wanted {
    rule: Rule,
    /// The rule as text.
    text: String,
    seen: bool,
    alive: Vec<Identity>,
}

/// The processes of an instance.
#[derive(Debug)]
pub(crate) struct Processes {
    wanted: Vec<Wanted>,
    start_timeout: Option<Duration>,
    gone_time: Duration,
    proc: PathBuf,
    own: u32,
    began: Instant,
    gone_since: Option<Instant>,
    pidfds: Vec<(Identity, OwnedFd)>,
}

impl Processes {
    /// The processes of `config`, under `proc` (`/proc`), seen by the process `own`.
    pub(crate) fn new(config: &ProcessConfig, proc: &Path, own: u32, now: Instant) -> Self {
        let files = config.pid_files.iter().map(|path| {
            let text = format!("PID file {}", path.display());
            (Rule::PidFile(PidFile::new(path)), text)
        });
        let names = config
            .names
            .iter()
            .map(|name| (Rule::Name(name.clone()), format!("process {name}")));
        let cgroups = config
            .cgroups
            .iter()
            .map(|group| (Rule::Cgroup(group.clone()), format!("cgroup {group}")));
        let seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
        Processes {
            wanted: files
                .chain(names)
                .chain(cgroups)
                .map(|(rule, text)| Wanted {
                    rule,
                    seen: seen.contains(&text),
                    text,
                    alive: Vec::new(),
                })
                .collect(),
            start_timeout: config.start_timeout,
            gone_time: config.gone_time,
            proc: proc.to_owned(),
            own,
            began: now,
            gone_since: None,
            pidfds: Vec::new(),
        }
    }

    /// Descriptors that become readable when a process ends.
    pub(crate) fn pidfds(&self) -> impl Iterator<Item = &OwnedFd> {
        self.pidfds.iter().map(|(_, fd)| fd)
    }

    /// Looks around. `Some`: all have started and none is left.
    pub(crate) fn look(&mut self, now: Instant) -> Option<Fired> {
        let mut table = Table::default();
        if self
            .wanted
            .iter()
            .any(|w| !matches!(w.rule, Rule::PidFile(_)))
        {
            table = Table::read(&self.proc, self.own);
        }
        let waited = now.saturating_duration_since(self.began);
        let given_up = self.start_timeout.is_some_and(|limit| waited >= limit);
        for wanted in &mut self.wanted {
            wanted.look(now, &self.proc, self.own, &table);
            if !wanted.seen && given_up {
                tracing::warn!(
                    "{} was not seen for {} s: counts as ended",
                    wanted.text,
                    waited.as_secs()
                );
                wanted.seen = true;
            }
        }
        self.follow();
        let running = self.wanted.iter().any(|w| !w.seen || !w.alive.is_empty());
        if running {
            self.gone_since = None;
            return None;
        }
        let since = *self.gone_since.get_or_insert(now);
        if now.saturating_duration_since(since) < self.gone_time {
            return None;
        }
        let texts: Vec<&str> = self.wanted.iter().map(|w| w.text.as_str()).collect();
        let reason = format!("{} ended", texts.join(", "));
        Some(Fired::new(Trigger::Process, reason))
    }

    /// Time until the next look is worth it, if that is known.
    pub(crate) fn next_look(&self, now: Instant) -> Option<Duration> {
        let since = self.gone_since?;
        Some((since + self.gone_time).saturating_duration_since(now))
    }

    /// Keeps a pidfd for each running process.
    fn follow(&mut self) {
        let alive: Vec<Identity> = self.wanted.iter().flat_map(|w| w.alive.clone()).collect();
        self.pidfds.retain(|(identity, _)| alive.contains(identity));
        for identity in alive {
            if self.pidfds.len() >= MAX_PIDFDS {
                break;
            }
            if self.pidfds.iter().any(|(known, _)| *known == identity) {
                continue;
            }
            let pid = i32::try_from(identity.pid).ok().and_then(Pid::from_raw);
            // Without pidfds (old kernels, sandboxes) the look every second is enough.
            if let Some(Ok(fd)) = pid.map(|pid| pidfd_open(pid, PidfdFlags::empty())) {
                self.pidfds.push((identity, fd));
            }
        }
    }
}

impl Wanted {
    fn look(&mut self, now: Instant, proc: &Path, own: u32, table: &Table) {
        match &mut self.rule {
            Rule::PidFile(file) => {
                // A daemon may remove its file at its end, so what was seen stays followed.
                self.alive
                    .retain(|known| identity(proc, known.pid) == Some(*known));
                if let Some(pid) = file.look(now, own) {
                    // The file is there, so the process has started, even if it has ended.
                    self.note();
                    if let Some(found) = identity(proc, pid) {
                        if !self.alive.contains(&found) {
                            self.alive.push(found);
                        }
                    }
                }
            }
            Rule::Name(name) => {
                self.alive = table.find(|process| {
                    name.matches(&process.comm)
                        || process.program.as_deref().is_some_and(|p| name.matches(p))
                });
            }
            Rule::Cgroup(group) => {
                self.alive = table.find(|process| {
                    process.cgroup != table.own_cgroup
                        && !(process.identity.pid == 1 && process.comm == "pause")
                        && process.cgroup.iter().any(|line| group.matches(line))
                });
            }
        }
        if !self.alive.is_empty() {
            self.note();
        }
    }

    fn note(&mut self) {
        if !self.seen {
            self.seen = true;
            tracing::info!("{} has started, waiting for its end", self.text);
            SEEN.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(self.text.clone());
        }
    }
}

#[derive(Debug)]
struct Process {
    identity: Identity,
    comm: String,
    /// Last component of the first argument.
    program: Option<String>,
    /// Paths, one per hierarchy.
    cgroup: Vec<String>,
}

#[derive(Debug, Default)]
struct Table {
    processes: Vec<Process>,
    own_cgroup: Vec<String>,
}

impl Table {
    fn read(proc: &Path, own: u32) -> Self {
        let pids = fs::read_dir(proc)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        Table {
            processes: pids
                .filter(|pid| *pid != own)
                .filter_map(|pid| Process::read(proc, pid))
                .collect(),
            own_cgroup: cgroup(proc, own),
        }
    }

    fn find(&self, matches: impl Fn(&Process) -> bool) -> Vec<Identity> {
        self.processes
            .iter()
            .filter(|process| matches(process))
            .map(|process| process.identity)
            .collect()
    }
}

impl Process {
    fn read(proc: &Path, pid: u32) -> Option<Self> {
        let identity = identity(proc, pid)?;
        let folder = proc.join(pid.to_string());
        let comm = fs::read(folder.join("comm")).ok()?;
        let arguments = fs::read(folder.join("cmdline")).unwrap_or_default();
        let program = arguments
            .split(|byte| *byte == 0)
            .next()
            .unwrap_or_default();
        let program = String::from_utf8_lossy(program);
        Some(Process {
            identity,
            comm: String::from_utf8_lossy(&comm)
                .trim_end_matches('\n')
                .to_owned(),
            program: program
                .rsplit('/')
                .next()
                .filter(|p| !p.is_empty())
                .map(str::to_owned),
            cgroup: cgroup(proc, pid),
        })
    }
}

/// The process, unless it is gone or a zombie.
fn identity(proc: &Path, pid: u32) -> Option<Identity> {
    let stat = fs::read(proc.join(pid.to_string()).join("stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    // The name stands in brackets and may hold brackets and blanks itself.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X" | "x") {
        return None;
    }
    // Field 22 of the line; the state is field 3.
    let start = fields.nth(18)?.parse().ok()?;
    Some(Identity { pid, start })
}

fn cgroup(proc: &Path, pid: u32) -> Vec<String> {
    fs::read_to_string(proc.join(pid.to_string()).join("cgroup"))
        .unwrap_or_default()
        .lines()
        .filter_map(|line| line.splitn(3, ':').nth(2))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
#[path = "process_tests.rs"]
mod tests;
