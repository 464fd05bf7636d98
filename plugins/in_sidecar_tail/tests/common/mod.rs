//! An instance on a fake host, driven until a condition holds.
#![allow(dead_code)]

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use flb_sidecar_sdk::drain::DrainState;
use flb_sidecar_sdk::fake::FakeHost;
use flb_sidecar_sdk::metrics::Series;
use flb_sidecar_sdk::{ConfigError, Input, Pending, Settings, Wake};
use in_sidecar_tail::SidecarTail;
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use serde_json::Value;

/// Longest wait for anything.
pub(crate) const DEADLINE: Duration = Duration::from_secs(120);

pub(crate) fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .expect("the file can be written");
    file.write_all(text.as_bytes()).expect("there is room");
}

pub(crate) struct Rig {
    pub(crate) host: FakeHost,
    pub(crate) tail: Option<SidecarTail>,
}

impl Rig {
    pub(crate) fn try_start(options: &[(&str, &str)], host: FakeHost) -> Result<Rig, ConfigError> {
        let mut host = host;
        let settings = Settings::new(
            "sidecar_tail.0",
            SidecarTail::INFO.options,
            options.iter().copied(),
        )?;
        let tail = SidecarTail::init(&settings, &mut host)?;
        Ok(Rig {
            host,
            tail: Some(tail),
        })
    }

    pub(crate) fn start(options: &[(&str, &str)]) -> Rig {
        Rig::try_start(options, FakeHost::default()).expect("the options are good")
    }

    pub(crate) fn follow(path: &Path) -> Rig {
        Rig::start(&[("path", path.to_str().expect("the path is UTF-8"))])
    }

    pub(crate) fn tail(&mut self) -> &mut SidecarTail {
        self.tail.as_mut().expect("the instance runs")
    }

    /// One round of the host's event loop: wait for the descriptor, collect.
    pub(crate) fn turn(&mut self) {
        let tail = self.tail.as_mut().expect("the instance runs");
        let wake = {
            let fd = tail.wake_fd().expect("there is a descriptor");
            let timeout = Timespec {
                tv_sec: 0,
                tv_nsec: 50_000_000,
            };
            let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
            match poll(&mut fds, Some(&timeout)) {
                Ok(1) => Wake::Event,
                _ => Wake::Tick,
            }
        };
        tail.collect(wake, &mut self.host);
    }

    fn running(&mut self) -> (&mut SidecarTail, &mut FakeHost) {
        let tail = self.tail.as_mut().expect("the instance runs");
        (tail, &mut self.host)
    }

    /// The host's timer.
    pub(crate) fn tick(&mut self) {
        let (tail, host) = self.running();
        tail.collect(Wake::Tick, host);
    }

    pub(crate) fn pause(&mut self) {
        let (tail, host) = self.running();
        tail.pause(host);
    }

    pub(crate) fn resume(&mut self) {
        let (tail, host) = self.running();
        tail.resume(host);
    }

    pub(crate) fn until(&mut self, what: &str, mut condition: impl FnMut(&mut Rig) -> bool) {
        let start = Instant::now();
        while !condition(self) {
            assert!(
                start.elapsed() < DEADLINE,
                "{what}: not within {DEADLINE:?}; got {} lines, the last of them {:?}",
                self.lines().len(),
                self.lines().iter().rev().take(20).collect::<Vec<_>>()
            );
            self.turn();
        }
    }

    /// The lines under `log` so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.host
            .bodies()
            .iter()
            .map(|body| match &body["log"] {
                Value::String(text) => text.clone(),
                other => panic!("no line in {other}"),
            })
            .collect()
    }

    pub(crate) fn wait_for(&mut self, lines: &[&str]) {
        self.until(&format!("lines {lines:?}"), |rig| {
            rig.lines().len() >= lines.len()
        });
        assert_eq!(self.lines(), lines);
    }

    /// Asks for a drain and waits for its end.
    pub(crate) fn drain(&mut self) {
        let handle = self.tail().drain_handle().expect("a tail can be drained");
        handle.request(DEADLINE);
        self.until("drained", |_| handle.status().state == DrainState::Drained);
    }

    /// The value of the series of this name, summed over its labels.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let series = self.host.metrics.series();
        let mut values = series.iter().filter(|s| s.name == name).peekable();
        assert!(values.peek().is_some(), "there is a metric {name}");
        values.map(|s| s.value.get()).sum()
    }

    pub(crate) fn errors(&self, kind: &str) -> u64 {
        let series = self.host.metrics.series();
        let of_kind = |s: &&Series| s.labels.iter().any(|(_, value)| value == kind);
        let found = series.iter().find(of_kind).expect("there is such a kind");
        found.value.get()
    }

    pub(crate) fn missed(&self) -> u64 {
        self.errors("missed")
    }

    /// Ends as a host does that has delivered what it could: it asks a last time.
    pub(crate) fn end(&mut self) {
        let (tail, host) = self.running();
        tail.ending(host);
        self.exit();
    }

    /// Ends like a host that does not ask any more.
    pub(crate) fn exit(&mut self) {
        if let Some(tail) = self.tail.take() {
            let start = Instant::now();
            tail.exit();
            assert!(start.elapsed() < DEADLINE, "an exit that does not hang");
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if let Some(tail) = self.tail.take() {
            tail.exit();
        }
    }
}

/// A host that delivers at once.
pub(crate) fn delivering() -> FakeHost {
    FakeHost {
        pending: Some(Pending::default()),
        ..FakeHost::default()
    }
}

/// A host that keeps everything.
pub(crate) fn stuck() -> FakeHost {
    FakeHost {
        pending: Some(Pending {
            chunks: 1,
            tasks: 0,
        }),
        ..FakeHost::default()
    }
}

/// A folder with logs and one with the state, for instances one after another.
pub(crate) struct Setup {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) state: tempfile::TempDir,
    pub(crate) pattern: &'static str,
}

impl Setup {
    pub(crate) fn new(pattern: &'static str) -> Self {
        Setup {
            dir: tempfile::tempdir().unwrap(),
            state: tempfile::tempdir().unwrap(),
            pattern,
        }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn db(&self) -> PathBuf {
        self.state.path().join("tail.db")
    }

    pub(crate) fn start_on(&self, host: FakeHost) -> Rig {
        let pattern = self.file(self.pattern);
        let db = self.db();
        let options = [
            ("path", pattern.to_str().unwrap()),
            ("db", db.to_str().unwrap()),
            ("db.sync", "off"),
            ("rotate_wait", "0"),
        ];
        Rig::try_start(&options, host).unwrap()
    }

    pub(crate) fn start(&self) -> Rig {
        self.start_on(delivering())
    }

    /// The file `a.log` with the line `one`, and an instance that has read it and saved that.
    pub(crate) fn one_is_read(&self) -> (PathBuf, Rig) {
        let file = self.file("a.log");
        append(&file, "one\n");
        let mut rig = self.start();
        rig.wait_for(&["one"]);
        self.saved(&mut rig, &file, 4);
        (file, rig)
    }

    /// Waits until the state says that `path` is delivered up to `offset`.
    pub(crate) fn saved(&self, rig: &mut Rig, path: &Path, offset: u64) {
        let state = self.state.path().join("tail.db.sidecar");
        let path = path.to_str().unwrap().to_owned();
        rig.until("the position is saved", |_| {
            let Ok(bytes) = fs::read(&state) else {
                return false;
            };
            let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            json["files"]
                .as_array()
                .unwrap()
                .iter()
                .any(|file| file["path"] == path.as_str() && file["offset"] == offset)
        });
    }
}

/// Prints what is logged, for the one who looks for a bug: set `SIDECAR_TAIL_LOG`.
pub(crate) fn print_log() {
    if std::env::var_os("SIDECAR_TAIL_LOG").is_some() {
        // Another test may have set it already.
        let _ = tracing::subscriber::set_global_default(Printer);
    }
}

struct Printer;

impl tracing::Subscriber for Printer {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
    #[allow(clippy::print_stderr)]
    fn event(&self, event: &tracing::Event<'_>) {
        struct Line(String);
        impl tracing::field::Visit for Line {
            fn record_debug(&mut self, _: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                self.0 += &format!("{value:?} ");
            }
        }
        let mut line = Line(String::new());
        event.record(&mut line);
        eprintln!("{} {}", event.metadata().level(), line.0);
    }
}
