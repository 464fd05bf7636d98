//! An instance, its host and its world, step by step.

use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use flb_sidecar_sdk::{Input, Settings, Wake};
use tracing::debug;

use super::host::Host;
use super::schedule::{Setting, Step};
use super::world::World;
use crate::fs::simulated::SimFs;
use crate::fs::Fs;
use crate::host::input::SidecarTail;
use crate::time::Time;
use crate::worker::{Turn, Worker};

/// The time of day at which a simulation begins.
const WALL: Duration = Duration::from_secs(2_000_000_000);
const TICK: Duration = Duration::from_millis(250);
/// Longer than anything waits for.
pub(super) const SETTLED: u64 = 20_000;
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

pub(super) struct Simulation {
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
    pub(super) fn new(setting: Setting) -> Self {
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

    pub(super) fn world(&self) -> MutexGuard<'_, World> {
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

    /// Whoever copies needs so many milliseconds for each half.
    fn copy_slowly(&mut self, waits: [u64; 2]) {
        let running = self.running.is_some();
        let copy = self.world().begin_copy(running);
        let Some(copy) = copy else {
            return;
        };
        let (half, rest) = copy.text.split_at(copy.text.len() / 2);
        for (part, wait) in [half, rest].into_iter().zip(waits) {
            self.fs.writer(&copy.path).unwrap().append(part);
            // What nobody knows yet cannot be told from its copy.
            if self.world().knows(&copy) {
                self.wait(wait);
            }
        }
        let running = self.running.is_some();
        self.world().truncate_copied(copy, running);
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

    pub(super) fn step(&mut self, step: Step) {
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
            Step::SlowCopyTruncate(half, whole) => self.copy_slowly([half, whole]),
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
