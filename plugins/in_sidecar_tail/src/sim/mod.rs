//! The whole core in one thread, on simulated clocks: writers that keep old files open, rotate them
//! by every scheme, write in place and are idle for days; stops, crashes and a host that takes
//! nothing. Only the filesystem is real, with times of the simulated clock.
//!
//! `SIDECAR_TAIL_SCHEDULES` sets how many schedules run and `SIDECAR_TAIL_SEED` where they start. A
//! failure prints its seed, and the fewest steps that fail in the same way.

mod crowd;
mod life;
mod schedule;
pub(crate) mod steps;
mod world;

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::time::Duration;

use flb_sidecar_sdk::fake::FakeHost;
use flb_sidecar_sdk::{Input, Pending, Settings, Wake};

use crate::fs::Fs;
use crate::host::input::SidecarTail;
use crate::time::Time;
use crate::worker::{Turn, Worker};
pub(crate) use schedule::Random;
use schedule::{Setting, Step};
use world::World;

const STEPS: usize = 60;
/// The time of day at which a simulation begins.
const WALL: Duration = Duration::from_secs(2_000_000_000);
const TICK: Duration = Duration::from_millis(250);
/// Longer than anything waits for.
const SETTLED: u64 = 20_000;
/// Turns without an end, if there are more.
const TURNS: usize = 20_000;

/// An instance that runs.
struct Running {
    tail: SidecarTail,
    worker: Worker,
    host: FakeHost,
}

struct Simulation {
    time: Time,
    world: World,
    setting: Setting,
    running: Option<Running>,
    full: bool,
    stuck: bool,
    next_tick: std::time::Instant,
}

impl Simulation {
    fn new(setting: Setting) -> Self {
        let time = Time::simulated(WALL);
        Simulation {
            world: World::new(setting, time.clone()),
            setting,
            running: None,
            full: false,
            stuck: false,
            next_tick: time.now(),
            time,
        }
    }

    fn start(&mut self) {
        if self.running.is_some() {
            return;
        }
        let path = self.world.path("logs").join(self.setting.pattern);
        let db = self.world.path("state/db");
        let on = |on| if on { "on" } else { "off" };
        let options = [
            ("path", path.to_str().unwrap()),
            ("db", db.to_str().unwrap()),
            ("db.sync", "off"),
            // The links of its world lead out of the folder of logs.
            ("follow_links", "on"),
            ("buffer_chunk_size", "1024"),
            ("inotify_watcher", on(self.setting.inotify)),
            ("read_from_head", on(self.setting.from_head)),
            (
                "ignore_older",
                if self.setting.ignores_old { "1h" } else { "0" },
            ),
        ];
        let info = SidecarTail::INFO.options;
        let settings = Settings::new("tail", info, options.iter().copied()).unwrap();
        let mut host = FakeHost {
            pending: Some(Pending::default()),
            ..FakeHost::default()
        };
        let (tail, mut worker) = SidecarTail::made(
            &settings,
            &mut host,
            self.time.clone(),
            Fs::Simulated(self.world.fs.clone()),
        )
        .unwrap();
        assert!(worker.take_state(), "the state is free");
        self.world.started();
        self.running = Some(Running { tail, worker, host });
        self.turns();
    }

    /// The instance does all there is to do now; when it wants to go on.
    fn turns(&mut self) -> std::time::Instant {
        for _ in 0..TURNS {
            let Some(Running { tail, worker, host }) = &mut self.running else {
                return self.time.now();
            };
            host.paused = self.full;
            let chunks = usize::from(self.stuck);
            host.pending = Some(Pending { chunks, tasks: 0 });
            let turn = worker.turn();
            tail.collect(Wake::Event, host);
            let came = host.bodies();
            host.appended.clear();
            for body in &came {
                self.world.came(body);
            }
            match turn {
                Turn::More => {}
                Turn::Until(next) | Turn::Frozen(next)
                    if came.is_empty() && next > self.time.now() =>
                {
                    return next;
                }
                Turn::Until(_) | Turn::Frozen(_) => {}
            }
        }
        self.world
            .failure
            .get_or_insert("the instance does not come to rest".into());
        self.time.now() + TICK
    }

    fn wait(&mut self, millis: u64) {
        let target = self.time.now() + Duration::from_millis(millis);
        // What happens in days of rest is what happens in the first and the last seconds of them.
        let jump = millis.checked_sub(SETTLED).map(|rest| {
            let from = self.time.now() + Duration::from_secs(12);
            (from, Duration::from_millis(rest))
        });
        let mut jump = jump.filter(|(_, rest)| *rest > Duration::from_secs(5));
        loop {
            let next = self.turns();
            let now = self.time.now();
            if now >= target || self.world.failure.is_some() {
                break;
            }
            if self.running.is_none() {
                self.time.advance(target - now);
                break;
            }
            if let Some((_, rest)) = jump.take_if(|(from, _)| now >= *from) {
                self.time.advance(rest);
                continue;
            }
            let until = next.min(self.next_tick.max(now)).min(target);
            self.time.advance(until - now);
            if self.time.now() >= self.next_tick {
                self.next_tick = self.time.now() + TICK;
                if let Some(Running { tail, host, .. }) = &mut self.running {
                    tail.collect(Wake::Tick, host);
                }
            }
        }
        if self.running.is_some() {
            self.world
                .ran(millis, !self.full, !self.full && !self.stuck);
            if millis >= SETTLED && !self.full && self.world.failure.is_none() {
                self.world.check();
            }
        }
    }

    /// The engine stops in order.
    fn stop(&mut self) {
        let Some(mut running) = self.running.take() else {
            return;
        };
        self.world.stops();
        let Running { tail, worker, host } = &mut running;
        host.stopping = true;
        host.paused = self.full;
        let chunks = usize::from(self.stuck);
        host.pending = Some(Pending { chunks, tasks: 0 });
        if let Some(mut stop) = tail.begin_stop(host) {
            let mut turns = 0;
            while tail.stop_step(&mut stop, host) && turns < TURNS {
                worker.turn();
                turns += 1;
            }
            tail.end_stop(stop, host);
        }
        let came = host.bodies();
        host.appended.clear();
        tail.ending(host);
        worker.end();
        for body in &came {
            self.world.came(body);
        }
        if self.stuck || self.full {
            self.world.crashed();
        } else {
            self.world.ran(SETTLED, true, true);
        }
    }

    fn step(&mut self, step: Step) {
        let running = self.running.is_some();
        match step {
            Step::Write { lines, open } => self.world.write(lines, open, running),
            Step::Wait(millis) => self.wait(millis),
            Step::Rotate => self.world.rotate(),
            Step::Reopen => self.world.reopen(),
            Step::CopyTruncate => self.world.copy_truncate(running),
            Step::Archive => self.world.archive(running),
            Step::Stranger => self.world.stranger(),
            Step::Stop => self.stop(),
            Step::Complete => {
                if let Some(handle) = self.running.as_ref().and_then(|r| r.tail.drain_handle()) {
                    self.world.stops();
                    handle.request(Duration::from_secs(5));
                    self.turns();
                    self.stop();
                }
            }
            Step::Crash => {
                if self.running.take().is_some() {
                    self.world.crashed();
                }
            }
            Step::Start => self.start(),
            Step::HostFull => self.full = true,
            Step::HostStuck => self.stuck = true,
            Step::HostWorks => {
                self.full = false;
                self.stuck = false;
                if let Some(Running { tail, host, .. }) = &mut self.running {
                    host.paused = false;
                    tail.resume(host);
                }
            }
        }
    }
}

/// Runs a schedule; what is wrong, if anything is.
fn run(setting: Setting, steps: &[Step]) -> Option<String> {
    let ran = catch_unwind(AssertUnwindSafe(|| {
        let mut simulation = Simulation::new(setting);
        let end = [
            Step::HostWorks,
            Step::Start,
            Step::Wait(SETTLED),
            Step::Wait(SETTLED),
        ];
        for step in steps.iter().chain(&end) {
            simulation.step(*step);
            if simulation.world.failure.is_some() {
                break;
            }
        }
        simulation.world.failure
    }));
    ran.unwrap_or_else(|_| Some("a panic".into()))
}

/// What fails in the same way with fewer steps.
fn shrink(setting: Setting, steps: &[Step]) -> Vec<Step> {
    let mut steps = steps.to_vec();
    let mut size = steps.len() / 2;
    while size > 0 {
        let mut at = 0;
        while at < steps.len() {
            let mut fewer = steps.clone();
            fewer.drain(at..(at + size).min(steps.len()));
            if run(setting, &fewer).is_some() {
                steps = fewer;
            } else {
                at += size;
            }
        }
        size /= 2;
    }
    steps
}

pub(crate) fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// What fell once, cut down.
#[test]
fn schedules_that_fell_stand() {
    use schedule::{Mode, Scheme};
    let setting = Setting {
        scheme: Scheme::LinkTarget,
        mode: Mode::Append,
        pattern: "*.log",
        header: false,
        inotify: false,
        from_head: true,
        ignores_old: false,
    };
    let write = |lines, open| Step::Write { lines, open };
    let behind_a_link = vec![
        Step::Start,
        Step::Wait(7_200_000),
        Step::Rotate,
        write(1, true),
        Step::Wait(1_000),
        Step::Stop,
        write(4, true),
    ];
    let copied = Setting {
        scheme: Scheme::HardLink,
        pattern: "*",
        ..setting
    };
    let cut_and_copied = vec![
        Step::Start,
        write(2, true),
        Step::Complete,
        write(2, false),
        Step::CopyTruncate,
    ];
    let linked = Setting {
        scheme: Scheme::HardLink,
        mode: Mode::Position,
        pattern: "app.log*",
        inotify: true,
        ignores_old: true,
        ..setting
    };
    let under_another_name = vec![
        Step::Rotate,
        Step::Wait(7_200_000),
        Step::Start,
        write(4, false),
    ];
    for (setting, steps) in [
        (setting, behind_a_link),
        (copied, cut_and_copied),
        (linked, under_another_name),
    ] {
        assert_eq!(run(setting, &steps), None, "{setting:?}\n{steps:?}");
    }
}

#[test]
fn no_schedule_loses_or_repeats_a_line() {
    let first = number("SIDECAR_TAIL_SEED", 1);
    let count = number("SIDECAR_TAIL_SCHEDULES", 200);
    let mut failed = Vec::new();
    for seed in first..first + count {
        let mut random = Random(seed);
        let setting = schedule::setting(&mut random);
        let mut steps = vec![Step::Start];
        steps.extend(schedule::schedule(&mut random, STEPS));
        if run(setting, &steps).is_some() {
            let fewest = shrink(setting, &steps);
            let failure = run(setting, &fewest).unwrap_or_default();
            failed.push(format!("seed {seed}: {failure}\n{setting:?}\n{fewest:?}"));
            if failed.len() as u64 >= number("SIDECAR_TAIL_FAILURES", 1) {
                break;
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}
