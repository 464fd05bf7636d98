//! The same Job with `completion_exit`, and with a shell loop around a stock Fluent Bit that waits
//! for the flag:
//!
//! ```sh
//! fluent-bit … & while [ ! -f /data/completion-flag ]; do sleep 1; done && exit 0
//! ```
//!
//! Each is process 1 of a PID namespace, as in a container: what it leaves behind is killed with
//! it, and a shell as process 1 does not hear SIGTERM.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{kill_process, Pid, Signal};

use crate::destination::{Destination, Mood, Phase};
use crate::host::Host;
use crate::pipeline::Pipeline;
use crate::process::Running;
use crate::{side_by_side, wait_until, DEADLINE};

/// The kubelet kills what has not ended this long after SIGTERM.
const KUBELET_KILLS: Duration = Duration::from_secs(30);

/// A Job.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// For people.
    pub name: &'static str,
    /// Of the destination.
    pub mood: Mood,
    /// Lines of the main container, the last one right before its end.
    pub lines: u64,
    /// How long it lives once the sidecar is up; zero: it is over before the sidecar starts.
    pub life: Duration,
    /// Its end is SIGTERM for the sidecar, not a flag.
    pub sigterm: bool,
    /// The last line goes to a file of its own.
    pub late_file: bool,
    /// Half of the lines come while the main container stops, for this long after SIGTERM.
    pub stops_for: Duration,
}

const STEADY: Scenario = Scenario {
    name: "steady, 2.5 s",
    mood: Mood::Well,
    lines: 100,
    life: Duration::from_millis(2500),
    sigterm: false,
    late_file: false,
    stops_for: Duration::ZERO,
};

/// What is compared.
pub const SCENARIOS: &[Scenario] = &[
    STEADY,
    // The loop looks and the host flushes once a second, so what is lost depends on the phase.
    Scenario {
        name: "steady, 2 s",
        life: Duration::from_secs(2),
        ..STEADY
    },
    Scenario {
        name: "over before the sidecar is up",
        life: Duration::ZERO,
        ..STEADY
    },
    Scenario {
        name: "a new file right before the end",
        late_file: true,
        ..STEADY
    },
    Scenario {
        name: "SIGTERM (eviction)",
        sigterm: true,
        ..STEADY
    },
    Scenario {
        name: "SIGTERM, the main container writes on for 6 s",
        sigterm: true,
        stops_for: Duration::from_secs(6),
        ..STEADY
    },
    Scenario {
        name: "destination answers after 2 s",
        mood: Mood::Slow(Duration::from_secs(2)),
        ..STEADY
    },
    Scenario {
        name: "destination refuses (503) for 4 s",
        mood: Mood::Refuses(Duration::from_secs(4)),
        ..STEADY
    },
    Scenario {
        name: "destination resets for 4 s",
        mood: Mood::Resets(Duration::from_secs(4)),
        ..STEADY
    },
    Scenario {
        name: "destination down for 10 s",
        mood: Mood::Down(Duration::from_secs(10)),
        ..STEADY
    },
    Scenario {
        name: "destination refuses (503) for 30 s, healthy for 10 s, then the end",
        mood: Mood::Refuses(Duration::from_secs(30)),
        life: Duration::from_secs(41),
        ..STEADY
    },
    Scenario {
        name: "destination down for good, deadline 10 s",
        mood: Mood::Gone,
        ..STEADY
    },
    Scenario {
        name: "destination accepts and never answers, deadline 10 s",
        mood: Mood::Played,
        ..STEADY
    },
];

/// How the sidecar ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// `sidecar_tail` and `completion_exit`, `loss_exit_code 9`.
    Plugins,
    /// `tail`, and the shell loop.
    Loop,
}

/// How it went.
#[derive(Clone, Debug)]
pub struct Result {
    /// Lines that did not come.
    pub lost: u64,
    /// Lines that came more than once.
    pub twice: u64,
    /// From the flag or SIGTERM to the end.
    pub took: Duration,
    /// Exit status; 137: killed by the kubelet.
    pub status: i32,
}

/// Whether PID namespaces can be made here.
pub fn possible() -> bool {
    let mut command = contained();
    command.arg("true").stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn contained() -> Command {
    let mut command = Command::new("bwrap");
    command.args(["--dev-bind", "/", "/", "--proc", "/proc"]);
    command.args(["--unshare-pid", "--as-pid-1", "--die-with-parent", "--"]);
    command
}

fn pipeline(host: &Host, scenario: &Scenario, way: Way, destination: &Destination) -> Pipeline {
    let mut pipeline = match way {
        Way::Plugins => Pipeline::new(host),
        Way::Loop => Pipeline::bare(host),
    };
    let service = "[SERVICE]\n    flush 1\n    scheduler.base 1\n    scheduler.cap 2\n";
    let service = pipeline.file("service.conf", service);
    pipeline.arg("-c").arg(service);
    let path = pipeline.path("logs/*.log");
    pipeline.file("logs/app.log", "");
    match way {
        Way::Plugins => pipeline.input("sidecar_tail", &[("path", &path)]),
        Way::Loop => pipeline.input("tail", &[("path", path.as_str()), ("read_from_head", "on")]),
    };
    let mut options = destination.options();
    options.push(("retry_limit", "no_limits".to_owned()));
    pipeline.output("http", "*", &options);
    if way == Way::Plugins {
        let mut options = vec![
            ("loss_exit_code", "9".to_owned()),
            ("report_file", pipeline.path("report")),
        ];
        if !scenario.sigterm {
            options.push(("flag_file", pipeline.path("logs/flag")));
        }
        if matches!(scenario.mood, Mood::Gone | Mood::Played) {
            options.push(("deadline", "10".to_owned()));
        }
        pipeline.output("completion_exit", "*", &options);
    }
    pipeline
}

fn command(pipeline: &Pipeline, way: Way) -> Command {
    let host = pipeline.command();
    let mut command = contained();
    if way == Way::Loop {
        let script = "\"$@\" & while [ ! -f logs/flag ]; do sleep 1; done && exit 0";
        command.args(["sh", "-c", script, "sh"]);
    }
    command.arg(host.get_program()).args(host.get_args());
    command.current_dir(pipeline.folder());
    command
}

/// Process 1 of the namespace that `running` made.
fn first_process(running: &Running) -> Option<Pid> {
    let id = running.id();
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).ok()?;
    let child = children.split_whitespace().next()?.parse().ok()?;
    Pid::from_raw(child)
}

/// Runs it.
///
/// # Panics
/// When something does not start.
pub fn run(host: &Host, scenario: &Scenario, way: Way) -> Result {
    let destination = Destination::new(scenario.mood);
    if scenario.mood == Mood::Played {
        destination.set(Phase::Silent);
    }
    let pipeline = pipeline(host, scenario, way, &destination);
    let write = |file: &str, number: u64| {
        let path = pipeline.path(&format!("logs/{file}"));
        let file = OpenOptions::new().create(true).append(true).open(path);
        let line = format!("line {number}\n");
        let written = file.and_then(|mut file| file.write_all(line.as_bytes()));
        written.expect("the folder takes lines");
    };
    let mut running = None;
    if !scenario.life.is_zero() {
        let started = Running::start(&mut command(&pipeline, way), pipeline.folder());
        // It is up before the first line: what a start may lose is another scenario.
        let up = || {
            let text = started.output().stderr();
            text.contains("stream processor started").then_some(())
        };
        assert!(wait_until(DEADLINE, up).is_some(), "{}", started.output());
        running = Some(started);
    }
    let start = Instant::now();
    let after = if scenario.stops_for.is_zero() {
        0
    } else {
        scenario.lines / 2
    };
    let write_all = |numbers: std::ops::Range<u64>, time: Duration, since: Instant| {
        let (first, count) = (numbers.start, numbers.end - numbers.start);
        for number in numbers {
            let due = time.mul_f64((number - first + 1) as f64 / count as f64);
            std::thread::sleep(due.saturating_sub(since.elapsed()));
            write("app.log", number);
        }
    };
    write_all(1..scenario.lines - after, scenario.life, start);
    let last = if scenario.late_file {
        "late.log"
    } else {
        "app.log"
    };
    write(last, scenario.lines - after);
    let mut trigger = Instant::now();
    if !scenario.sigterm {
        fs::write(pipeline.path("logs/flag"), "").expect("the folder takes files");
    }
    let mut running = running.unwrap_or_else(|| {
        trigger = Instant::now();
        Running::start(&mut command(&pipeline, way), pipeline.folder())
    });
    if scenario.sigterm {
        if let Some(pid) = first_process(&running) {
            // It may have ended by itself.
            let _ = kill_process(pid, Signal::TERM);
        }
        let first = scenario.lines - after + 1;
        write_all(first..scenario.lines + 1, scenario.stops_for, trigger);
    }
    let limit = if scenario.sigterm {
        KUBELET_KILLS
    } else {
        KUBELET_KILLS * 2
    };
    let status = wait_until(limit, || running.ended());
    let took = trigger.elapsed();
    let status = status.map_or(137, |status| status.code().unwrap_or(137));
    drop(running);
    let came = destination.lines();
    let expected = |n: u64| came.contains_key(&format!("line {n}"));
    Result {
        lost: (1..=scenario.lines).filter(|n| !expected(*n)).count() as u64,
        twice: came.values().filter(|count| **count > 1).count() as u64,
        took,
        status,
    }
}

/// Runs every scenario both ways on `host`, and gives a table for a README.
pub fn table(host: &Host) -> String {
    let results = side_by_side(SCENARIOS, |scenario| {
        let plugins = run(host, scenario, Way::Plugins);
        (plugins, run(host, scenario, Way::Loop))
    });
    let mut text = format!(
        "| {host} | lost: loop | lost: plugins | twice: loop | twice: plugins | seconds: loop | \
         seconds: plugins | status: loop | status: plugins |\n|---|---|---|---|---|---|---|---|---|\n"
    );
    for (scenario, (ours, theirs)) in SCENARIOS.iter().zip(results) {
        text.push_str(&format!(
            "| {} | {} of {} | {} | {} | {} | {:.1} | {:.1} | {} | {} |\n",
            scenario.name,
            theirs.lost,
            scenario.lines,
            ours.lost,
            theirs.twice,
            ours.twice,
            theirs.took.as_secs_f64(),
            ours.took.as_secs_f64(),
            theirs.status,
            ours.status,
        ));
    }
    text
}
