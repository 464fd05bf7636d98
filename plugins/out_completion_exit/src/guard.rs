//! Guarantees that the process ends, whatever the host waits for.
//!
//! A host that ends joins the workers of its outputs and waits for their connections, for ever if
//! a destination is silent. So a thread of its own counts down beside it, with the monotonic clock:
//! once there is an end to come, the process is gone shortly after the deadline, with the status
//! that was decided, or else with the one for a loss. What the countdown does is a pure function
//! ([`Countdown`]); the thread outlives the instance, because the host may hang behind our exit.
//!
//! Report and last log lines are other threads' work, so that a full pipe or a filesystem that
//! hangs costs them and not the end: from the deadline on the guard does nothing that may wait.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use flb_sidecar_sdk::ProcessEnd;

mod words;

use crate::files::Scribe;
use words::LastWords;

/// How long after the deadline the host may still end by itself.
const MERCY: Duration = Duration::from_millis(500);
/// How long before the deadline the report is written as it would be there, should nothing be heard of the
/// engine any more: a busy disk may need more time for it than there is behind the deadline.
const AHEAD: Duration = Duration::from_millis(500);
/// What a reload may take behind the deadline, until new instances say that the host lives.
const RELOAD: Duration = Duration::from_secs(4);
/// How long the report and the log may take then; a file system or who reads the log may hang.
const LAST_WORDS: Duration = Duration::from_millis(150);
/// Time between two looks at whether it is written.
const LOOK: Duration = Duration::from_millis(5);
/// How often SIGTERM is looked for, since an engine that hangs does not tell of it.
const LISTEN: Duration = Duration::from_millis(500);
/// No status was decided.
const UNDECIDED: i32 = -1;

/// What outlives the instances of an engine.
struct Lasting {
    /// The status that the first instance ended the engine with.
    decided: AtomicI32,
    /// Guards whose instance is gone while they count down.
    left_behind: Mutex<Vec<Arc<Shared>>>,
}

impl Lasting {
    const fn new() -> Self {
        Lasting {
            decided: AtomicI32::new(UNDECIDED),
            left_behind: Mutex::new(Vec::new()),
        }
    }

    #[cfg(not(test))]
    fn of_process() -> &'static Self {
        static LASTING: Lasting = Lasting::new();
        &LASTING
    }

    /// A test has engines of its own, and a thread.
    #[cfg(test)]
    fn of_process() -> &'static Self {
        thread_local!(static LASTING: &'static Lasting = Box::leak(Box::new(Lasting::new())));
        LASTING.with(|lasting| *lasting)
    }
}

/// What is left to do for the process when its time is over.
#[derive(Clone, Debug, Default)]
pub(crate) struct Will {
    pub(crate) status: i32,
    pub(crate) report: LastReport,
}

/// Who writes the report of a host that hangs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum LastReport {
    /// The engine has had it written.
    #[default]
    Written,
    /// There is one, of a host that stops; this replaces it if the host hangs.
    Replace(Vec<u8>),
    /// There is none, and nobody knows whether the engine will have it written.
    Missing(Vec<u8>),
}

/// What the thread is to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Order {
    /// Wait for this long at most.
    Wait(Duration),
    /// Have the report written as it would be at the deadline.
    WriteAhead,
    /// Have the report and the log written.
    Write,
    /// End the process.
    End,
}

/// The countdown. No clock and no I/O.
#[derive(Debug, Default)]
struct Countdown {
    due: Option<Duration>,
    /// The report was written for this end.
    ahead: Option<Duration>,
    /// The report and the log are being written since.
    writing: Option<Duration>,
}

impl Countdown {
    /// The process is to be gone shortly after `deadline`. The earliest counts.
    fn end_by(&mut self, deadline: Duration) {
        let due = deadline.saturating_add(MERCY);
        self.due = Some(self.due.map_or(due, |earlier| earlier.min(due)));
    }

    /// The host stops for a reload, which takes a moment after the deadline, too.
    fn put_off(&mut self) {
        self.due = self.due.map(|due| due.saturating_add(RELOAD));
    }

    /// How long ago the deadline was.
    fn late(&self, now: Duration) -> Duration {
        let deadline = self.due.unwrap_or(now).saturating_sub(MERCY);
        now.saturating_sub(deadline)
    }

    fn step(&mut self, now: Duration, written: bool) -> Order {
        let Some(due) = self.due else {
            return Order::Wait(LISTEN);
        };
        let ahead = due.saturating_sub(MERCY + AHEAD);
        if now < ahead {
            return Order::Wait(LISTEN.min(ahead - now));
        }
        if self.ahead != Some(due) && self.writing.is_none() {
            self.ahead = Some(due);
            return Order::WriteAhead;
        }
        if now < due {
            return Order::Wait(LISTEN.min(due - now));
        }
        match self.writing {
            None => {
                self.writing = Some(now);
                Order::Write
            }
            Some(since) if written || now.saturating_sub(since) >= LAST_WORDS => Order::End,
            Some(_) => Order::Wait(LOOK),
        }
    }
}

#[derive(Debug, Default)]
struct State {
    countdown: Countdown,
    will: Will,
    stop: bool,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    start: Instant,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Shared {
    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut lock(&self.state));
        self.changed.notify_all();
    }
}

/// A file by its option.
pub(crate) type Sign = (&'static str, PathBuf);

/// What a guard needs to know from the start.
pub(crate) struct Setup {
    /// The beginning of the plugin's time.
    pub(crate) start: Instant,
    /// Time from a trigger to the deadline, for triggers that the engine does not hear of.
    pub(crate) after_trigger: Duration,
    /// The same from SIGTERM; `None`: SIGTERM is the host's.
    pub(crate) after_sigterm: Option<Duration>,
    /// Who writes and removes files; `None`: there are none.
    pub(crate) files: Option<Scribe>,
    pub(crate) report: Option<PathBuf>,
    /// Files that are to be gone with the process.
    pub(crate) signs: Vec<Sign>,
    /// The will if the engine never says anything.
    pub(crate) will: Will,
}

/// The running guard.
#[derive(Debug)]
pub(crate) struct Guard {
    shared: Arc<Shared>,
    after_trigger: Duration,
    thread: Option<JoinHandle<()>>,
}

/// A way to tell the guard of a trigger from another thread.
#[derive(Clone, Debug)]
pub(crate) struct Alarm(Option<(Arc<Shared>, Duration)>);

impl Alarm {
    /// Nobody listens.
    pub(crate) fn silent() -> Self {
        Alarm(None)
    }

    /// A trigger that starts the drain by itself has fired.
    pub(crate) fn fired(&self) {
        if let Some((shared, after)) = &self.0 {
            let end = shared.start.elapsed().saturating_add(*after);
            shared.change(|state| state.countdown.end_by(end));
        }
    }
}

impl Guard {
    /// Starts the thread. The host lives, so guards of an engine before this one are called off.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub(crate) fn start(setup: Setup, end: Arc<dyn ProcessEnd>) -> io::Result<Self> {
        let lasting = Lasting::of_process();
        for guard in std::mem::take(&mut *lock(&lasting.left_behind)) {
            guard.change(|state| state.stop = true);
            lasting.decided.store(UNDECIDED, Ordering::Release);
        }
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                will: setup.will.clone(),
                ..State::default()
            }),
            changed: Condvar::new(),
            start: setup.start,
        });
        let after_trigger = setup.after_trigger;
        let thread = flb_sidecar_sdk::worker::spawn("flb-sc-guard", {
            let shared = shared.clone();
            move || watch(&shared, &setup, &end, &lasting.decided)
        })?;
        Ok(Guard {
            shared,
            after_trigger,
            thread: Some(thread),
        })
    }

    /// For threads that see triggers.
    pub(crate) fn alarm(&self) -> Alarm {
        Alarm(Some((self.shared.clone(), self.after_trigger)))
    }

    /// The process is to be gone shortly after `deadline`.
    pub(crate) fn end_by(&self, deadline: Duration) {
        self.shared.change(|state| state.countdown.end_by(deadline));
    }

    /// The host stops for a reload.
    pub(crate) fn reloading(&self) {
        self.shared.change(|state| state.countdown.put_off());
    }

    /// What is to be done if the engine says nothing more.
    pub(crate) fn will(&self, will: Will) {
        self.shared.change(|state| state.will = will);
    }

    /// The engine has a report written of a host that stops.
    pub(crate) fn reported(&self) {
        self.shared.change(|state| {
            let last = std::mem::take(&mut state.will.report);
            state.will.report = match last {
                LastReport::Missing(report) => LastReport::Replace(report),
                other => other,
            };
        });
    }

    /// The engine was told to end with `status`.
    ///
    /// It gets all of the time to the deadline for that: some outputs (kafka) deliver in their exit.
    pub(crate) fn decided(status: i32) {
        // Another instance may have been first: its status is the process's.
        let decided = &Lasting::of_process().decided;
        let _ = decided.compare_exchange(UNDECIDED, status, Ordering::AcqRel, Ordering::Acquire);
    }
}

impl Drop for Guard {
    /// An idle guard ends here; one that counts down goes on, until the process is gone or a new
    /// instance says that the host lives.
    fn drop(&mut self) {
        if lock(&self.shared.state).countdown.due.is_some() {
            lock(&Lasting::of_process().left_behind).push(self.shared.clone());
            return;
        }
        self.shared.change(|state| state.stop = true);
        if let Some(thread) = self.thread.take() {
            // A panic of it was logged by the hook.
            let _ = thread.join();
        }
    }
}

/// Counts down to the end of the process; `decided`: the status it has then.
fn watch(shared: &Shared, setup: &Setup, end: &Arc<dyn ProcessEnd>, decided: &AtomicI32) {
    let mut words = None;
    let mut status = setup.will.status;
    let mut ahead = Vec::new();
    let mut state = lock(&shared.state);
    while !state.stop {
        let now = shared.start.elapsed();
        if let (Some(after), Some(ago)) = (setup.after_sigterm, end.terminated()) {
            let deadline = now.saturating_add(after.saturating_sub(ago));
            state.countdown.end_by(deadline);
        }
        if state.countdown.due.is_some() && words.is_none() {
            // While all is well: a process that hangs may have no thread left.
            drop(state);
            words = Some(LastWords::prepare(end.clone()));
            state = lock(&shared.state);
            continue;
        }
        let done = setup.files.as_ref().is_none_or(Scribe::synced)
            && words.as_ref().is_none_or(LastWords::said);
        match state.countdown.step(now, done) {
            Order::Wait(time) => {
                let waited = shared.changed.wait_timeout(state, time);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
            Order::WriteAhead => {
                if let (Some(files), Some(path), LastReport::Missing(report)) =
                    (&setup.files, &setup.report, &state.will.report)
                {
                    files.write("report_file", path, report.clone());
                    ahead.clone_from(report);
                }
            }
            Order::Write => {
                let decided = decided.load(Ordering::Acquire);
                status = if decided == UNDECIDED {
                    state.will.status
                } else {
                    decided
                };
                if let Some(words) = &words {
                    words.say(status, state.countdown.late(now));
                }
                let report = match &state.will.report {
                    // Nobody has written anything else since.
                    LastReport::Missing(report) if *report == ahead => None,
                    LastReport::Missing(report) | LastReport::Replace(report) => Some(report),
                    LastReport::Written => None,
                };
                if let Some(files) = &setup.files {
                    // The host hangs, perhaps before any exit of ours; to go, these need no room on a disk.
                    for (option, path) in &setup.signs {
                        files.remove(option, path);
                    }
                    if let (Some(path), Some(report)) = (&setup.report, report) {
                        files.write("report_file", path, report.clone());
                    }
                }
            }
            Order::End => {
                end.end(status);
                return;
            }
        }
    }
}

/// A panic of the other thread leaves what is inside whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
