//! The upgrade in place of conf/sidecarset: containers of one pod replace each other again and
//! again, with other hosts and other builds of the library, while the main container writes and
//! rotates its logs.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::build::root;
use crate::destination::{Destination, Mood};
use crate::host::Host;
use crate::process::Running;
use crate::random::Random;
use crate::sidecar::{form, Sidecar};
use crate::{side_by_side, wait_until, DEADLINE};

/// How a container replaces the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// SIGTERM; when it has ended, the next one starts.
    Follow,
    /// The next one starts and waits for the positions; then SIGTERM.
    Overlap,
    /// `kill -9`; the next one starts.
    Kill,
}

/// How the main container writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// Without a pause.
    Steady,
    /// With a pause of a second after every half of one.
    Bursts,
}

/// What is tried.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    /// How a container replaces the one before.
    pub way: Way,
    /// How the main containers write.
    pub load: Load,
    /// How many containers are replaced, in all pods.
    pub rounds: usize,
    /// How many pods there are at once.
    pub pods: usize,
    /// The hosts of the containers.
    pub hosts: &'a [Host],
    /// Their libraries.
    pub libraries: &'a [PathBuf],
    /// Repeats the moments of the rotations.
    pub seed: u64,
}

/// What a container is made of.
#[derive(Clone, Debug)]
struct Build {
    host: Host,
    library: PathBuf,
}

/// How it went.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Lines that the main container wrote.
    pub lines: u64,
    /// Logs that it rotated.
    pub rotations: u64,
    /// Lines that did not come.
    pub lost: u64,
    /// Lines that came more than once.
    pub twice: u64,
    /// The lines that are lost, and some that came more than once.
    pub examples: Vec<String>,
}

impl Outcome {
    fn and(mut self, other: Outcome) -> Outcome {
        self.lines += other.lines;
        self.rotations += other.rotations;
        self.lost += other.lost;
        self.twice += other.twice;
        self.examples.extend(other.examples);
        self
    }
}

/// How a log is rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rotation {
    /// Renamed, and a new one made.
    Rename,
    /// Copied, and cut to nothing.
    CopyTruncate,
}

/// What a writer and the pod share.
#[derive(Debug, Default)]
struct Progress {
    stop: AtomicBool,
    written: AtomicU64,
    rotations: AtomicU64,
    /// How many rotations were asked for.
    wanted: AtomicU64,
}

/// One log of the main container, and the thread that writes it.
#[derive(Debug)]
struct Writer {
    name: &'static str,
    progress: Arc<Progress>,
    thread: Option<JoinHandle<()>>,
}

/// Lines written at once.
const BATCH: u64 = 4;
/// Time between two batches.
const PAUSE: Duration = Duration::from_millis(10);
/// Batches of a burst, and the pause behind it.
const BURST: u64 = 50;
const REST: Duration = Duration::from_secs(1);

fn line(name: &str, number: u64) -> String {
    format!("{name} line {number}")
}

impl Writer {
    fn start(folder: &Path, name: &'static str, rotation: Rotation, load: Load) -> Self {
        let progress = Arc::<Progress>::default();
        let shared = progress.clone();
        let log = folder.join(format!("{name}.log"));
        let thread = std::thread::spawn(move || {
            while !shared.stop.load(Ordering::Relaxed) {
                write(&log, name, rotation, load, &shared);
            }
        });
        Writer {
            name,
            progress,
            thread: Some(thread),
        }
    }

    fn rotate(&self) {
        self.progress.wanted.fetch_add(1, Ordering::Relaxed);
    }

    fn written(&self) -> u64 {
        self.progress.written.load(Ordering::Acquire)
    }

    fn stop(&mut self) {
        self.progress.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the writer does not panic");
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.progress.stop.store(true, Ordering::Relaxed);
    }
}

/// Writes until the log is to be rotated, and rotates it.
fn write(log: &Path, name: &str, rotation: Rotation, load: Load, progress: &Progress) {
    let mut file = File::options()
        .append(true)
        .create(true)
        .open(log)
        .expect("the folder takes files");
    let rotations = progress.rotations.load(Ordering::Relaxed);
    while progress.wanted.load(Ordering::Relaxed) == rotations {
        if progress.stop.load(Ordering::Relaxed) {
            return;
        }
        let first = progress.written.load(Ordering::Relaxed);
        let text: String = (first..first + BATCH)
            .map(|number| line(name, number) + "\n")
            .collect();
        file.write_all(text.as_bytes())
            .expect("the log takes lines");
        progress.written.store(first + BATCH, Ordering::Release);
        let rests = load == Load::Bursts && first / BATCH % BURST == BURST - 1;
        std::thread::sleep(if rests { REST } else { PAUSE });
    }
    let old = log.with_extension(format!("log.{rotations}"));
    let rotated = match rotation {
        Rotation::Rename => fs::rename(log, old),
        Rotation::CopyTruncate => fs::copy(log, old).and_then(|_| file.set_len(0)),
    };
    rotated.expect("the folder takes files");
    progress.rotations.fetch_add(1, Ordering::Relaxed);
}

/// A pod: the main container, its volumes, the destination of its logs.
#[derive(Debug)]
struct Pod {
    volumes: TempDir,
    destination: Destination,
    writers: Vec<Writer>,
}

impl Pod {
    /// Starts the main container.
    fn start(load: Load) -> Self {
        let volumes = tempfile::tempdir().expect("a temporary folder");
        for folder in ["logs", "state"] {
            fs::create_dir(volumes.path().join(folder)).expect("a fresh folder takes folders");
        }
        let logs = volumes.path().join("logs");
        let writers = vec![
            Writer::start(&logs, "renamed", Rotation::Rename, load),
            Writer::start(&logs, "copied", Rotation::CopyTruncate, load),
            Writer::start(&logs, "second", Rotation::Rename, load),
        ];
        Pod {
            volumes,
            destination: Destination::new(Mood::Well),
            writers,
        }
    }

    fn container(&self, build: &Build) -> Sidecar {
        let environment = [
            ("COLLECTOR_HOST", "127.0.0.1".to_owned()),
            ("COLLECTOR_PORT", self.destination.port().to_string()),
        ];
        let configuration = root().join("conf/sidecarset").join(form(&build.host));
        Sidecar::beside(
            self.volumes.path(),
            &build.host,
            &build.library,
            &configuration,
            &environment,
        )
    }

    /// Waits until a line of every log that is written from now on has come.
    fn wait_for_fresh_lines(&self, running: &mut Running) {
        for writer in &self.writers {
            let next = line(writer.name, writer.written());
            running.wait_for(&format!("the delivery of {next:?}"), |_| {
                self.destination.has(&next)
            });
        }
    }

    /// Rotates every log at a moment of `span`, seen from now.
    fn rotate(&self, random: &mut Random, span: Duration) {
        for writer in &self.writers {
            std::thread::sleep(random.time(Duration::from_millis(1), span) / 3);
            writer.rotate();
        }
    }

    /// Runs a container of every build, one replacing the other, and gives what became of the lines.
    fn run(
        mut self,
        way: Way,
        builds: &[Build],
        random: &mut Random,
        done: &(impl Fn(Duration) + Sync),
    ) -> Outcome {
        let (first, rest) = builds.split_first().expect("there is a first one");
        let mut sidecar = self.container(first);
        let mut running = sidecar.start();
        self.wait_for_fresh_lines(&mut running);
        for build in rest {
            let start = Instant::now();
            let next = self.container(build);
            // The logs are rotated before the change, in the gap, or right after it.
            let moment = random.below(3);
            let span = Duration::from_millis(100);
            if moment == 0 {
                self.rotate(random, span);
            }
            let mut next_running = match way {
                Way::Follow => {
                    sidecar.stop(running);
                    if moment == 1 {
                        self.rotate(random, span);
                    }
                    next.pipeline.start()
                }
                Way::Overlap => {
                    let mut waiting = next.pipeline.start();
                    waiting.wait_for("waiting for the positions", |output| {
                        output.stderr().contains("is in use by another instance")
                    });
                    self.wait_for_fresh_lines(&mut running);
                    if moment == 1 {
                        self.rotate(random, span);
                    }
                    let ended = running.terminate();
                    ended.check_status(0);
                    ended.check("no error", ended.error_lines().is_empty());
                    waiting
                }
                Way::Kill => {
                    running.signal(Signal::KILL);
                    running.wait_for_end();
                    if moment == 1 {
                        self.rotate(random, span);
                    }
                    next.pipeline.start()
                }
            };
            if moment == 2 {
                self.rotate(random, span);
            }
            self.wait_for_fresh_lines(&mut next_running);
            // Side by side they have one ready file, which the old one takes away with it.
            if way != Way::Overlap {
                next.wait_until_ready(&mut next_running);
            }
            (sidecar, running) = (next, next_running);
            done(start.elapsed());
        }
        for writer in &mut self.writers {
            writer.stop();
        }
        running.terminate().check_status(0);
        self.outcome()
    }

    fn outcome(&self) -> Outcome {
        let mut outcome = Outcome::default();
        for writer in &self.writers {
            outcome.lines += writer.written();
            outcome.rotations += writer.progress.rotations.load(Ordering::Relaxed);
        }
        // The answer to the last request may be on its way.
        wait_until(DEADLINE, || {
            (self.destination.count() >= outcome.lines).then_some(())
        });
        let came = self.destination.lines();
        for writer in &self.writers {
            for number in 0..writer.written() {
                let line = line(writer.name, number);
                let times = came.get(&line).copied().unwrap_or(0);
                outcome.lost += u64::from(times == 0);
                outcome.twice += u64::from(times > 1);
                // Of what came twice a few are enough to see where.
                if times == 0 || (times > 1 && outcome.twice <= 10) {
                    outcome.examples.push(format!("{line}: {times} times"));
                }
            }
        }
        outcome
    }
}

/// Runs the pods side by side; each container is replaced by every host and every library in turn,
/// and so also back. Says `done` after each.
///
/// # Panics
/// When a container does not start, read, or end as it should.
pub fn run(plan: &Plan<'_>, done: impl Fn(Duration) + Sync) -> Outcome {
    // Both change at once, or one of them; the libraries come at other rounds in every pod.
    let build = |pod: usize, round: usize| Build {
        host: plan.hosts[round % plan.hosts.len()].clone(),
        library: plan.libraries[(pod + round / 2) % plan.libraries.len()].clone(),
    };
    let run_pod = |pod: usize| {
        let share = plan.rounds / plan.pods + usize::from(pod < plan.rounds % plan.pods);
        let builds: Vec<Build> = (0..=share).map(|round| build(pod, round)).collect();
        let mut random = Random::new(plan.seed + pod as u64);
        Pod::start(plan.load).run(plan.way, &builds, &mut random, &done)
    };
    let outcomes = side_by_side(0..plan.pods, run_pod);
    outcomes.into_iter().fold(Outcome::default(), Outcome::and)
}
