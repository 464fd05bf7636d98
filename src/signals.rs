//! Keeps SIGTERM from the host until everything is delivered.
//!
//! The host stops reading at SIGTERM. Its handler is installed before plugins are initialised,
//! and again whenever SIGHUP or SIGCONT comes. So ours are put in front of all three at
//! initialisation: SIGHUP and SIGCONT go on to the host, and SIGTERM is taken back right behind
//! it. Every tick checks that nobody else has taken it. The first SIGTERM is noted; the second
//! goes to the host's own handler. Where SIGTERM is left to the host, only the other two are heard: a host
//! that stops without SIGHUP does not stop for a reload.
//!
//! A host since 4.2 that is told to stop twice never ends: it waits for a shutdown timer that it
//! has forgotten. So an engine that we tell ([`close`]) is told by nobody else: what makes the host
//! stop or reload comes to nothing from then on, and where the host has heard such a signal before,
//! we do not tell.

mod quiet;
mod taken;

use std::ffi::{c_void, CStr};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use libc::siginfo_t;

pub(crate) use self::quiet::Quiet;
use self::taken::Place;
pub(crate) use self::taken::Taken;
use crate::abi::observe;

static SIGTERM: Taken = Taken::new(libc::SIGTERM, on_terminate);
/// With these the host installs all its handlers again.
static REINSTALLING: [Taken; 2] = [
    Taken::new(libc::SIGHUP, on_reinstall),
    Taken::new(libc::SIGCONT, on_reinstall),
];
/// The other signals with which the host stops; in front of these only once it is told to.
static STOPPING: [Taken; 2] = [
    Taken::new(libc::SIGINT, on_stop),
    Taken::new(libc::SIGQUIT, on_stop),
];
/// The host is told to end and hears no signal any more.
static CLOSED: AtomicBool = AtomicBool::new(false);
/// SIGHUP has come since the last instance was made.
static RELOAD_ASKED: AtomicBool = AtomicBool::new(false);
/// How many handlers are running, perhaps on their way to the host's.
static RUNNING: AtomicUsize = AtomicUsize::new(0);
/// When the first SIGTERM came, in nanoseconds of the monotonic clock; 0: none.
static REQUESTED_AT: AtomicU64 = AtomicU64::new(0);
/// How many instances hear what installs the host's handlers again.
static LISTENING: AtomicUsize = AtomicUsize::new(0);
/// How many of them keep SIGTERM from the host.
static KEPT: AtomicUsize = AtomicUsize::new(0);
/// Guards installing, giving back and closing.
static PLACES: Mutex<()> = Mutex::new(());

/// Reloads are heard as long as one of these lives.
#[derive(Debug)]
pub(crate) struct Ears {
    /// SIGTERM is kept from the host.
    keeps: bool,
}

impl Ears {
    /// Puts our handlers in front of the host's; `None` when the system refuses.
    pub(crate) fn open() -> Option<Self> {
        let _places = PLACES.lock().unwrap_or_else(PoisonError::into_inner);
        if !put_in_front() {
            return None;
        }
        LISTENING.fetch_add(1, Ordering::AcqRel);
        // Whatever engine was told to end, this one was not.
        CLOSED.store(false, Ordering::SeqCst);
        RELOAD_ASKED.store(false, Ordering::Release);
        Some(Ears { keeps: false })
    }

    /// Keeps SIGTERM from the host. `false`: the system refuses.
    pub(crate) fn keep_sigterm(&mut self) -> bool {
        let _places = PLACES.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.keeps && !matches!(SIGTERM.put_in_front(), Place::Refused) {
            KEPT.fetch_add(1, Ordering::AcqRel);
            self.keeps = true;
        }
        self.keeps
    }

    /// Takes the place in front again if it was lost. To be called at every tick.
    pub(crate) fn stay(&self) {
        let _places = PLACES.lock().unwrap_or_else(PoisonError::into_inner);
        put_in_front();
    }

    /// How long ago the first SIGTERM came that was kept.
    pub(crate) fn terminated(&self) -> Option<Duration> {
        self.keeps.then(requested).flatten()
    }
}

impl Drop for Ears {
    fn drop(&mut self) {
        let _places = PLACES.lock().unwrap_or_else(PoisonError::into_inner);
        let last = |count: &AtomicUsize| count.fetch_sub(1, Ordering::AcqRel) == 1;
        let closed = CLOSED.load(Ordering::SeqCst);
        // Without this, a configuration reloaded without us would have nobody to hear SIGTERM.
        if self.keeps && last(&KEPT) && !closed {
            SIGTERM.give_back();
        }
        if last(&LISTENING) && !closed {
            REINSTALLING.iter().for_each(Taken::give_back);
        }
    }
}

/// How long ago the first SIGTERM came.
pub(crate) fn requested() -> Option<Duration> {
    match REQUESTED_AT.load(Ordering::Acquire) {
        0 => None,
        at => Some(Duration::from_nanos(now().saturating_sub(at))),
    }
}

/// The host may be stopping its engine for a reload. It is told to with SIGHUP, by its HTTP server
/// as well; where that signal is not seen, what the host leaves for its main thread says it, since
/// 2.2.0.
pub(crate) fn may_reload(reads_flag: bool) -> bool {
    if observe::symbol(c"flb_reload").is_none() {
        return false;
    }
    if LISTENING.load(Ordering::Acquire) > 0 {
        return RELOAD_ASKED.load(Ordering::Acquire);
    }
    !reads_flag || flag(c"flb_bin_restarting").is_some_and(|reload| reload == RELOADS)
}

/// Keeps every signal that would make the host stop or reload from it, since it is to be told now.
/// `false`: it has heard one that it has not followed yet, so it must not be told.
pub(crate) fn close() -> bool {
    let _places = PLACES.lock().unwrap_or_else(PoisonError::into_inner);
    if CLOSED.load(Ordering::SeqCst) {
        return true;
    }
    for taken in std::iter::once(&SIGTERM)
        .chain(&REINSTALLING)
        .chain(&STOPPING)
    {
        taken.put_in_front();
    }
    // A handler that does not see this is seen here: each side writes first and then looks.
    CLOSED.store(true, Ordering::SeqCst);
    if RUNNING.load(Ordering::SeqCst) > 0 || host_has_heard() {
        CLOSED.store(false, Ordering::SeqCst);
        return false;
    }
    true
}

/// What the host's handlers leave for its main thread. Hosts without this end however often they
/// are told to, or do everything in the handler.
fn host_has_heard() -> bool {
    flag(c"flb_bin_restarting").is_some_and(|reload| {
        reload == RELOADS || flag(c"exit_signal").is_some_and(|signal| signal != 0)
    })
}

/// `FLB_RELOAD_IN_PROGRESS`; negative once a reload has failed.
const RELOADS: libc::c_int = 1;

/// What a handler of the host wrote for its main thread.
fn flag(name: &CStr) -> Option<libc::c_int> {
    let at = observe::symbol(name)?.cast::<libc::c_int>();
    // SAFETY: both that are asked for are a sig_atomic_t of the executable in every release that
    // has them.
    Some(unsafe { at.read_volatile() })
}

/// Whoever puts a handler of one of them in front of ours may have done so with the others.
fn put_in_front() -> bool {
    let kept = (KEPT.load(Ordering::Acquire) > 0).then_some(&SIGTERM);
    let [reload, go_on] = &REINSTALLING;
    let (first, others) = match kept {
        Some(terminate) => (terminate, [Some(reload), Some(go_on)]),
        None => (reload, [Some(go_on), None]),
    };
    match first.put_in_front() {
        Place::Refused => false,
        Place::Kept => true,
        Place::TakenBack => {
            for other in others.into_iter().flatten() {
                other.put_in_front();
            }
            true
        }
    }
}

fn now() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: fills a place of ours; allowed in signal handlers.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// Runs a handler's body, which learns whether the host may be told.
fn handle(body: impl FnOnce(bool)) {
    RUNNING.fetch_add(1, Ordering::SeqCst);
    body(!CLOSED.load(Ordering::SeqCst));
    RUNNING.fetch_sub(1, Ordering::SeqCst);
}

fn pass_on(taken: &[Taken], signal: libc::c_int, info: *mut siginfo_t, context: *mut c_void) {
    if let Some(taken) = taken.iter().find(|taken| taken.signal == signal) {
        taken.call_host(info, context);
    }
}

/// Only atomics and clock_gettime here, and the host's own handler.
extern "C" fn on_terminate(_signal: libc::c_int, info: *mut siginfo_t, context: *mut c_void) {
    handle(|open| {
        let kept = KEPT.load(Ordering::Acquire) > 0;
        let first = || {
            REQUESTED_AT
                .compare_exchange(0, now().max(1), Ordering::AcqRel, Ordering::Acquire)
                .is_ok()
        };
        if !(kept && first()) && open {
            SIGTERM.call_host(info, context);
        }
    });
}

/// Only atomics and sigaction here, and the host's own handler.
extern "C" fn on_reinstall(signal: libc::c_int, info: *mut siginfo_t, context: *mut c_void) {
    handle(|open| {
        if !open {
            return;
        }
        if signal == libc::SIGHUP {
            RELOAD_ASKED.store(true, Ordering::Release);
        }
        pass_on(&REINSTALLING, signal, info, context);
        if LISTENING.load(Ordering::Acquire) > 0 {
            put_in_front();
        }
    });
}

/// Only atomics here, and the host's own handler.
extern "C" fn on_stop(signal: libc::c_int, info: *mut siginfo_t, context: *mut c_void) {
    handle(|open| {
        if open {
            pass_on(&STOPPING, signal, info, context);
        }
    });
}
