//! The whole core in one thread, on simulated clocks: writers that keep old files open, rotate them
//! by every scheme, write in place and are idle for days; stops, crashes and a host that takes
//! nothing or delivers late, kernels that tell late or lose what they had to tell, full disks, clocks
//! that are set. The filesystem is simulated, too, and others may do something in the middle of anything.
//!
//! `SIDECAR_TAIL_SCHEDULES` sets how many schedules run and `SIDECAR_TAIL_SEED` where they start. A
//! failure prints its seed, and the fewest steps that fail in the same way.

mod crowd;
mod host;
mod hostile;
mod life;
mod schedule;
pub(crate) mod steps;
mod trace;
mod world;

use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use flb_sidecar_sdk::{Input, Settings, Wake};
use tracing::debug;

use crate::fs::simulated::SimFs;
use crate::fs::Fs;
use crate::host::input::SidecarTail;
use crate::time::Time;
use crate::worker::{Turn, Worker};
use host::{Host, Tells};
pub(crate) use schedule::Random;
use schedule::{Setting, Step};
use world::World;

const STEPS: usize = 200;
/// The time of day at which a simulation begins.
const WALL: Duration = Duration::from_secs(2_000_000_000);
const TICK: Duration = Duration::from_millis(250);
/// Longer than anything waits for.
const SETTLED: u64 = 20_000;
/// Descriptors that are never too few: its own files, and a few logs.
const ENOUGH: usize = 100;
/// Turns without an end, if there are more.
const TURNS: usize = 20_000;
/// Calls of a turn without an end, if there are more.
const CALLS: u64 = 1_000_000;

/// An instance that runs.
struct Running {
    tail: SidecarTail,
    worker: Worker,
    host: Host,
}

/// What is to happen in the middle of what the instance does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Armed {
    Nothing,
    Action,
    Crash,
}

/// The process ends.
struct Crash;

struct Simulation {
    time: Time,
    fs: SimFs,
    world: Arc<Mutex<World>>,
    setting: Setting,
    running: Option<Running>,
    armed: Armed,
    full: bool,
    stuck: bool,
    disk_full: bool,
    next_tick: Instant,
    began: Instant,
}

impl Simulation {
    fn new(setting: Setting) -> Self {
        let time = Time::simulated(WALL);
        let world = World::new(setting, time.clone());
        Simulation {
            fs: world.fs.clone(),
            world: Arc::new(Mutex::new(world)),
            setting,
            running: None,
            armed: Armed::Nothing,
            full: false,
            stuck: false,
            disk_full: false,
            next_tick: time.now(),
            began: time.now(),
            time,
        }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&mut self) {
        if self.running.is_some() || self.disk_full {
            return;
        }
        let mut path = format!("/logs/{}", self.setting.pattern);
        if self.world().follows_strangers() {
            path += ",/logs/apple*.log";
        }
        let on = |on| if on { "on" } else { "off" };
        let options = [
            ("path", path.as_str()),
            ("db", "/state/db"),
            ("db.sync", "off"),
            // The links of its world lead out of the folder of logs.
            ("follow_links", "on"),
            ("buffer_chunk_size", "1024"),
            ("inotify_watcher", on(self.setting.inotify)),
            ("read_from_head", on(self.setting.from_head)),
            ("db.compare_filename", on(self.setting.by_name)),
            (
                "ignore_older",
                if self.setting.ignores_old { "1h" } else { "0" },
            ),
        ];
        let info = SidecarTail::INFO.options;
        let settings = Settings::new("tail", info, options.iter().copied()).unwrap();
        let after = Duration::from_millis(self.setting.delivers_after);
        let mut host = Host::new(self.setting.tells, after, &self.time);
        let fs = Fs::simulated(self.fs.clone());
        let (tail, mut worker) =
            SidecarTail::made(&settings, &mut host, self.time.clone(), fs).unwrap();
        assert!(worker.take_state(), "the state is free");
        self.world().started();
        self.running = Some(Running { tail, worker, host });
        self.turns();
    }

    /// Records come to their destination.
    fn deliver(&mut self) {
        if let Some(Running { host, .. }) = &mut self.running {
            let came = host.delivered(false);
            let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
            for body in &came {
                world.came(body);
            }
        }
    }

    /// The instance does all there is to do now; when it wants to go on.
    fn turns(&mut self) -> Instant {
        for _ in 0..TURNS {
            let now = self.time.now();
            self.deliver();
            let Some(Running { tail, worker, host }) = &mut self.running else {
                return now;
            };
            host.stuck = self.stuck;
            host.paused = self.full;
            let appends = host.appends;
            self.fs.has_patience(CALLS);
            let turn = catch_unwind(AssertUnwindSafe(|| {
                let turn = worker.turn();
                tail.collect(Wake::Event, host);
                turn
            }));
            let turn = match turn {
                Ok(turn) => turn,
                Err(end) if end.is::<Crash>() => {
                    self.crash();
                    return now;
                }
                Err(panic) => resume_unwind(panic),
            };
            let told = self
                .fs
                .next_event_at()
                .is_some_and(|at| at <= self.time.nanos());
            match turn {
                Turn::More => {}
                Turn::Until(next) | Turn::Frozen(next)
                    if host.appends == appends && !told && next > self.time.now() =>
                {
                    return next;
                }
                Turn::Until(_) | Turn::Frozen(_) => {}
            }
        }
        self.world()
            .failure
            .get_or_insert("the instance does not come to rest".into());
        self.time.now() + TICK
    }

    /// Has something happen behind so many calls of the instance.
    fn arm(&mut self, calls: u64, armed: Armed, what: impl FnOnce() + Send + 'static) {
        self.disarm();
        self.armed = armed;
        self.fs.interrupt(calls, what);
    }

    /// What was to happen and has not happens now, before anything else that the instance does.
    fn disarm(&mut self) {
        match std::mem::replace(&mut self.armed, Armed::Nothing) {
            Armed::Nothing => {}
            Armed::Action => {
                if self.fs.interrupt_now() {
                    self.turns();
                }
            }
            Armed::Crash => {
                if self.fs.forget_interrupt() {
                    self.crash();
                }
            }
        }
    }

    /// The process ends in the middle of anything: what it has not written is gone, and so are the
    /// records of the host.
    fn crash(&mut self) {
        self.fs.forget_interrupt();
        self.armed = Armed::Nothing;
        self.fs.set_dead(true);
        let ran = self.running.take().is_some();
        self.fs.set_dead(false);
        if ran {
            self.world().crashed();
        }
    }

    /// The earliest of what comes next by itself.
    fn until(&self, next: Instant, target: Instant) -> Instant {
        let now = self.time.now();
        let event = self.fs.next_event_at().map(|at| {
            let wait = at.saturating_sub(self.time.nanos());
            now + Duration::from_nanos(wait)
        });
        let host = self.running.as_ref().and_then(|r| r.host.next());
        let moments = [Some(next), Some(self.next_tick), event, host, Some(target)];
        let moments = moments.into_iter().flatten();
        moments.map(|at| at.max(now)).min().unwrap_or(target)
    }

    fn wait(&mut self, millis: u64) {
        let began = self.time.now();
        let target = began + Duration::from_millis(millis);
        // What happens in days of rest is what happens in the first and the last seconds of them.
        let jump = millis.checked_sub(SETTLED).map(|rest| {
            let from = self.time.now() + Duration::from_secs(12);
            (from, Duration::from_millis(rest))
        });
        let mut jump = jump.filter(|(_, rest)| *rest > Duration::from_secs(5));
        loop {
            let next = self.turns();
            let now = self.time.now();
            if now >= target || self.world().failure.is_some() {
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
            let until = self.until(next, target);
            self.time.advance(until - now);
            if self.time.now() >= self.next_tick {
                self.next_tick = self.time.now() + TICK;
                self.deliver();
                if let Some(Running { tail, host, .. }) = &mut self.running {
                    tail.collect(Wake::Tick, host);
                }
            }
        }
        self.disarm();
        if self.running.is_none() {
            return;
        }
        let delivers = !self.full;
        let confirms = !self.full && !self.stuck && !self.disk_full;
        let mut world = self.world();
        let ran = self.time.since(began.max(world.acted)).as_millis() as u64;
        world.ran(ran.min(millis), delivers, confirms);
        if ran >= SETTLED && !self.full && !self.stuck && world.failure.is_none() {
            world.check();
        }
    }

    /// The engine stops in order.
    fn stop(&mut self) {
        self.disarm();
        let Some(mut running) = self.running.take() else {
            return;
        };
        self.world().stops();
        self.fs.has_patience(CALLS);
        let Running { tail, worker, host } = &mut running;
        host.stopping = true;
        host.paused = self.full;
        host.stuck = self.stuck;
        if let Some(mut stop) = tail.begin_stop(host) {
            let mut turns = 0;
            while tail.stop_step(&mut stop, host) && turns < TURNS {
                worker.turn();
                turns += 1;
            }
            tail.end_stop(stop, host);
        }
        let came = host.delivered(true);
        tail.ending(host);
        worker.end();
        drop(running);
        let mut world = self.world();
        for body in &came {
            world.came(body);
        }
        // Without a descriptor, or the right to open it, nobody reads what is before a position, to know it again
        // by that.
        let blind = world.starved || world.denied;
        if self.stuck || self.full || self.disk_full || blind {
            world.crashed();
        } else if self.setting.stale.is_none() {
            world.ran(SETTLED, true, true);
        }
    }

    fn step(&mut self, step: Step) {
        let at = self.time.since(self.began);
        debug!("{at:?} {step:?}");
        if !matches!(step, Step::Wait(_)) {
            self.disarm();
        }
        let running = self.running.is_some();
        match step {
            Step::Write { lines, open } => self.world().write(lines, open, running),
            Step::Wait(millis) => self.wait(millis),
            Step::Rotate => self.world().rotate(running),
            Step::Reopen => self.world().reopen(),
            Step::CopyTruncate => self.world().copy_truncate(running),
            Step::Archive => self.world().archive(running),
            Step::Compress => self.world().compress(running),
            // What cannot be opened becomes too old.
            Step::Deny | Step::Descriptors(_) if self.setting.ignores_old => {}
            Step::Deny | Step::Allow => self.world().allow(step == Step::Allow),
            Step::Descriptors(most) => {
                self.fs.set_descriptors(most);
                self.world().starve(most < ENOUGH);
            }
            Step::Stranger => self.world().stranger(),
            Step::Stop => self.stop(),
            Step::Complete => {
                if let Some(handle) = self.running.as_ref().and_then(|r| r.tail.drain_handle()) {
                    self.world().stops();
                    handle.request(Duration::from_secs(5));
                    self.turns();
                    self.stop();
                }
            }
            Step::Crash => self.crash(),
            Step::CrashAt(calls) if running => {
                self.arm(calls, Armed::Crash, || resume_unwind(Box::new(Crash)));
            }
            Step::CrashAt(_) => {}
            Step::During(calls, action) => {
                let world = self.world.clone();
                self.arm(calls, Armed::Action, move || {
                    let mut world = world.lock().unwrap_or_else(PoisonError::into_inner);
                    world.act(action, running);
                });
            }
            Step::Start => self.start(),
            Step::HostFull => self.full = true,
            Step::HostStuck => self.stuck = true,
            Step::HostWorks => {
                self.full = false;
                self.stuck = false;
                if let Some(Running { tail, host, .. }) = &mut self.running {
                    host.paused = false;
                    host.stuck = false;
                    tail.resume(host);
                }
            }
            Step::DiskFull | Step::DiskFree => {
                self.disk_full = step == Step::DiskFull;
                self.fs.set_full(self.disk_full);
                self.world().disk_full = self.disk_full;
            }
            Step::SetClock(seconds) if !self.setting.ignores_old => {
                self.world().set_clock(seconds);
            }
            Step::SetClock(_) => {}
        }
    }
}

/// Runs a schedule; what is wrong, if anything is.
fn run(setting: Setting, steps: &[Step]) -> Option<String> {
    let ran = catch_unwind(AssertUnwindSafe(|| {
        let mut simulation = Simulation::new(setting);
        let end = [
            Step::HostWorks,
            Step::DiskFree,
            Step::Allow,
            Step::Descriptors(usize::MAX),
            Step::Start,
            Step::Wait(SETTLED),
            Step::Wait(SETTLED),
        ];
        for step in steps.iter().chain(&end) {
            simulation.step(*step);
            if simulation.world().failure.is_some() {
                break;
            }
        }
        let failure = simulation.world().failure.take();
        failure
    }));
    ran.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or(panic.downcast_ref::<&str>().copied());
        Some(format!("a panic: {}", text.unwrap_or("of some kind")))
    })
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
    use schedule::{Action, Mode, Scheme};
    let setting = Setting {
        device: u64::MAX,
        scheme: Scheme::LinkTarget,
        mode: Mode::Append,
        pattern: "*.log",
        header: false,
        inotify: false,
        from_head: true,
        ignores_old: false,
        by_name: false,
        wide: false,
        late: 0,
        room: 16_384,
        stale: None,
        births: true,
        reuses: false,
        tells: Tells::Count,
        delivers_after: 0,
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
    let numbered = Setting {
        scheme: Scheme::Numbered,
        pattern: "app.log",
        header: true,
        inotify: true,
        late: 60,
        births: false,
        device: u64::MAX - 1,
        ..setting
    };
    // A position that was confirmed when the file had been truncated.
    let confirmed_late = vec![
        Step::Start,
        write(3, false),
        Step::During(
            8,
            Action::Write {
                lines: 3,
                open: true,
            },
        ),
        Step::Wait(60),
        Step::CopyTruncate,
        Step::CrashAt(13),
        Step::Wait(7_200_000),
        Step::During(1, Action::Rotate),
        Step::Reopen,
        Step::Rotate,
        write(4, false),
        write(4, false),
    ];
    let under_another_name = vec![
        Step::Rotate,
        Step::Wait(7_200_000),
        Step::Start,
        write(4, false),
    ];
    // Nobody may read the log for longer than positions of files that are gone are kept.
    let denied = Setting {
        scheme: Scheme::LinkSwap,
        mode: Mode::Mapped,
        inotify: true,
        births: false,
        reuses: true,
        device: u64::MAX - 2,
        ..setting
    };
    let denied_for_days = vec![
        Step::Start,
        write(3, false),
        Step::Deny,
        Step::Stop,
        Step::Stranger,
        Step::Wait(200_000_000),
        Step::Start,
    ];
    // What was reported of others in other words. A new file has the number of one that is gone from the
    // server, of which only a stale handle is left: google/mtail issue 505, grafana/loki issue 3651.
    let stale = Setting {
        scheme: Scheme::HardLink,
        pattern: "*",
        from_head: false,
        room: 2,
        stale: Some(100),
        births: false,
        reuses: true,
        tells: Tells::Ring,
        device: u64::MAX - 3,
        ..setting
    };
    let stale_handle = vec![
        Step::Start,
        Step::Rotate,
        Step::Reopen,
        Step::Compress,
        Step::Rotate,
        Step::Reopen,
        write(3, false),
    ];
    // A new log has the number of a compressed one: elastic/beats issues 1341 and 6984.
    let used = Setting {
        scheme: Scheme::Numbered,
        pattern: "*",
        inotify: true,
        from_head: false,
        births: false,
        reuses: true,
        device: u64::MAX - 4,
        ..setting
    };
    let (rotate, reopen) = (Step::Rotate, Step::Reopen);
    let used_number = vec![
        Step::Start,
        write(3, false),
        rotate,
        reopen,
        rotate,
        reopen,
        rotate,
        reopen,
        Step::Compress,
        rotate,
        reopen,
        Step::Stop,
        rotate,
        reopen,
        write(2, false),
        write(2, false),
    ];
    // Nobody wrote to it for long, and then it is copied and emptied and has more than before.
    let old = Setting {
        scheme: Scheme::Rename,
        pattern: "app.log",
        inotify: true,
        from_head: false,
        ignores_old: true,
        device: u64::MAX - 5,
        ..setting
    };
    let old_and_emptied = vec![
        write(3, false),
        Step::Wait(7_200_000),
        Step::Start,
        Step::CopyTruncate,
        write(3, false),
    ];
    for (setting, steps) in [
        (stale, stale_handle),
        (used, used_number),
        (old, old_and_emptied),
        (denied, denied_for_days),
        (setting, behind_a_link),
        (copied, cut_and_copied),
        (linked, under_another_name),
        (numbered, confirmed_late),
    ] {
        assert_eq!(run(setting, &steps), None, "{setting:?}\n{steps:?}");
    }
}

/// Runs one schedule; a failure of it with the fewest steps.
fn run_seed(seed: u64) -> Option<String> {
    let mut random = Random(seed);
    let setting = schedule::setting(&mut random);
    let mut steps = Vec::new();
    if setting.ignores_old {
        // There is a log that nobody has written to for long.
        let (lines, open) = (3, false);
        steps.extend([Step::Write { lines, open }, Step::Wait(7_200_000)]);
    }
    steps.push(Step::Start);
    steps.extend(schedule::schedule(&mut random, STEPS));
    let traced = number("SIDECAR_TAIL_TRACE", 0);
    if traced > 1 {
        // All of it, for one that does not come to an end.
        tracing::subscriber::with_default(trace::Trace, || run(setting, &steps))?;
    } else {
        run(setting, &steps)?;
    }
    let fewest = shrink(setting, &steps);
    let failure = if traced > 0 {
        tracing::subscriber::with_default(trace::Trace, || run(setting, &fewest))
    } else {
        run(setting, &fewest)
    };
    let failure = failure.unwrap_or_default();
    Some(format!("seed {seed}: {failure}\n{setting:?}\n{fewest:?}"))
}

#[test]
#[allow(clippy::print_stdout, reason = "how many schedules were run is said")]
fn no_schedule_loses_or_repeats_a_line() {
    let first = number("SIDECAR_TAIL_SEED", 1);
    let count = number("SIDECAR_TAIL_SCHEDULES", 100);
    let most = number("SIDECAR_TAIL_FAILURES", 1);
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let next = AtomicU64::new(first);
    let over = AtomicBool::new(false);
    let failed = Mutex::new(Vec::new());
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= first + count || over.load(Ordering::Relaxed) {
                    break;
                }
                if let Some(failure) = run_seed(seed) {
                    println!("{failure}");
                    let mut failed = failed.lock().unwrap();
                    failed.push(failure);
                    over.store(failed.len() as u64 >= most, Ordering::Relaxed);
                }
            });
        }
    });
    let ran = (next.load(Ordering::Relaxed) - first).min(count);
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{ran} schedules of {STEPS} steps, {:.0} a second",
        ran as f64 / seconds
    );
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}
