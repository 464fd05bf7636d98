//! A started host: its output, its end.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{kill_process, prlimit, Pid, Resource, Rlimit, Signal};

use crate::{wait_until, Host, DEADLINE};

/// Writes a script that can be run at once. A process of its own writes it: one that another thread of ours
/// starts meanwhile would have our descriptor for a moment, and what is open for writing cannot be run.
///
/// # Panics
/// When it cannot be written.
pub fn script(path: &Path, text: &str) {
    let mut install = Command::new("install")
        .args(["-m", "755", "/dev/stdin"])
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()
        .expect("install is there");
    let mut stdin = install.stdin.take().expect("it is a pipe");
    stdin.write_all(text.as_bytes()).expect("install reads");
    drop(stdin);
    let status = install.wait().expect("it is our child");
    assert!(status.success(), "{}: {status}", path.display());
}

/// A running host. Killed when dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    status: Option<ExitStatus>,
    started: Instant,
    output: Output,
}

/// The files that a host writes to.
#[derive(Clone, Debug)]
pub struct Output {
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Output {
    /// What is on stdout so far.
    pub fn stdout(&self) -> String {
        text(&self.stdout)
    }

    /// What is on stderr so far.
    pub fn stderr(&self) -> String {
        text(&self.stderr)
    }

    /// The records that `-o stdout -p format=json_lines` has printed so far.
    pub fn records(&self) -> Vec<serde_json::Value> {
        json_lines(&self.stdout())
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "stdout:\n{}\nstderr:\n{}", self.stdout(), self.stderr())
    }
}

/// What a host left behind.
#[derive(Debug)]
pub struct Ended {
    /// Exit status; `None`: a signal ended it.
    pub status: Option<i32>,
    /// Everything on stdout.
    pub stdout: String,
    /// Everything on stderr.
    pub stderr: String,
    /// From start to end.
    pub took: Duration,
}

fn text(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

impl Running {
    /// Starts `command`; its output goes to files in `folder`.
    ///
    /// # Panics
    /// When the program does not start.
    pub fn start(command: &mut Command, folder: &Path) -> Self {
        let stdout = folder.join("host.stdout");
        let stderr = folder.join("host.stderr");
        let file = |path: &Path| File::create(path).expect("the folder takes files");
        let child = command
            .stdin(Stdio::null())
            .stdout(file(&stdout))
            .stderr(file(&stderr))
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Running {
            child,
            status: None,
            started: Instant::now(),
            output: Output { stdout, stderr },
        }
    }

    /// What it has written so far.
    pub fn output(&self) -> &Output {
        &self.output
    }

    /// Process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `ready` says yes.
    ///
    /// # Panics
    /// When that does not happen in time, or the host ends before.
    pub fn wait_for(&mut self, what: &str, mut ready: impl FnMut(&Output) -> bool) {
        let mut ended = false;
        let seen = wait_until(DEADLINE, || {
            // In this order: what it wrote last counts, too.
            let was_ended = ended;
            ended = matches!(self.child.try_wait(), Ok(Some(_)));
            if ready(&self.output) {
                Some(true)
            } else {
                was_ended.then_some(false)
            }
        });
        assert!(
            seen == Some(true),
            "{what} did not happen{}\n{}",
            if ended { ", the host ended" } else { "" },
            self.output
        );
    }

    /// Whether the process's main thread sleeps, as Fluent Bit's does once it has started. A SIGHUP
    /// before that hangs releases that reload inside the signal handler (2.1.0): they wait for an
    /// engine that they do not stop yet. True where the kernel does not tell.
    pub fn main_thread_sleeps(&self) -> bool {
        const CLOCK_NANOSLEEP: &str = if cfg!(target_arch = "x86_64") {
            "230"
        } else {
            "115"
        };
        let Ok(text) = fs::read_to_string(format!("/proc/{}/syscall", self.id())) else {
            return true;
        };
        text.split_whitespace().next() == Some(CLOCK_NANOSLEEP)
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // The process may have ended by itself.
            let _ = kill_process(pid, signal);
        }
    }

    /// Allows no more descriptors, or as many as are usual.
    ///
    /// # Panics
    /// When the system does not take it.
    pub fn may_open(&self, more: bool) {
        const SOME: u64 = 1024;
        let fds = PathBuf::from(format!("/proc/{}/fd", self.id()));
        let free = (0..SOME).find(|fd| fds.join(fd.to_string()).symlink_metadata().is_err());
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let limit = Rlimit {
            current: Some(free.filter(|_| !more).unwrap_or(SOME)),
            maximum: Some(SOME),
        };
        prlimit(pid, Resource::Nofile, limit).expect("a limit");
    }

    /// Its exit status as soon as it has one; never waits.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.status = self.status.or(self.child.try_wait().ok().flatten());
        self.status
    }

    /// What [`Running::ended`] found last.
    pub fn last_status(&self) -> Option<ExitStatus> {
        self.status
    }

    /// Waits until the process is gone.
    ///
    /// # Panics
    /// When that does not happen in time.
    pub fn wait_for_end(&mut self) -> ExitStatus {
        let status = wait_until(DEADLINE, || self.child.try_wait().ok().flatten());
        status.unwrap_or_else(|| panic!("the host does not end\n{}", self.output))
    }

    /// Waits for the end.
    ///
    /// # Panics
    /// When it does not come in time.
    pub fn end(mut self) -> Ended {
        let status = self.wait_for_end();
        let took = self.started.elapsed();
        Ended {
            status: status.code(),
            stdout: self.output.stdout(),
            stderr: self.output.stderr(),
            took,
        }
    }

    /// SIGTERM, then the end.
    pub fn terminate(self) -> Ended {
        self.signal(Signal::TERM);
        self.end()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Ended processes cannot be killed; that is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// Panics with everything the host said unless `right`.
    pub fn check(&self, what: &str, right: bool) -> &Self {
        assert!(
            right,
            "{what}\nstatus: {:?} after {:?}\nstdout:\n{}\nstderr:\n{}",
            self.status, self.took, self.stdout, self.stderr
        );
        self
    }

    /// Panics unless the exit status is `status`.
    pub fn check_status(&self, status: i32) -> &Self {
        self.check(
            &format!("exit status {status} was expected"),
            self.status == Some(status),
        )
    }

    /// A start that must fail and name `part`. A real Fluent Bit stops its log thread without emptying
    /// the thread's queue, so now and then its reasons are lost, for stock plugins, too.
    pub fn check_refused(&self, host: &Host, part: &str) -> &Self {
        self.check("the start must fail", self.status != Some(0));
        let mut lines = self.error_lines().into_iter();
        let lost = host.real && lines.all(|line| line.contains("[lib]"));
        self.check(
            &format!("'{part}' must be named"),
            lost || self.output().contains(part),
        )
    }

    /// The host's log lines at the level error.
    pub fn error_lines(&self) -> Vec<&str> {
        self.stderr
            .lines()
            .filter(|line| line.contains("[error]"))
            .collect()
    }

    /// Stdout and stderr.
    pub fn output(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// The lines of stdout that are JSON objects: what `-o stdout -p format=json_lines` printed.
    pub fn records(&self) -> Vec<serde_json::Value> {
        json_lines(&self.stdout)
    }
}

/// The lines that are JSON objects.
pub fn json_lines(text: &str) -> Vec<serde_json::Value> {
    text.lines()
        .filter(|line| line.starts_with('{'))
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}
