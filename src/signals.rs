//! Keeps SIGTERM from the host until everything is delivered.
//!
//! The host stops reading at SIGTERM. Its handler is installed before plugins are initialised,
//! and again on SIGHUP and SIGCONT, so ours is put on top at initialisation and checked at every
//! tick. The first SIGTERM is noted; the second goes to the host's own handler.

use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// When the first SIGTERM came, in nanoseconds of the monotonic clock; 0: none.
static REQUESTED_AT: AtomicU64 = AtomicU64::new(0);
/// The host's handler, as an address; 0 while there is none.
static HOST_HANDLER: AtomicUsize = AtomicUsize::new(0);
/// How many instances keep the signal. Guards installing and giving back as well.
static KEEPERS: Mutex<usize> = Mutex::new(0);

/// The signal is kept from the host as long as one of these lives.
#[derive(Debug)]
pub(crate) struct Keeper(());

impl Keeper {
    /// Puts our handler in front of the host's; `None` when the system refuses.
    pub(crate) fn take() -> Option<Self> {
        let mut keepers = KEEPERS.lock().unwrap_or_else(PoisonError::into_inner);
        if !put_in_front() {
            return None;
        }
        *keepers += 1;
        Some(Keeper(()))
    }

    /// How long ago the first SIGTERM came. Takes the place in front again if it was lost.
    pub(crate) fn requested(&self) -> Option<Duration> {
        let _keepers = KEEPERS.lock().unwrap_or_else(PoisonError::into_inner);
        put_in_front();
        match REQUESTED_AT.load(Ordering::Acquire) {
            0 => None,
            at => Some(Duration::from_nanos(now().saturating_sub(at))),
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let mut keepers = KEEPERS.lock().unwrap_or_else(PoisonError::into_inner);
        *keepers -= 1;
        // Without this, a configuration reloaded without us would have nobody to hear SIGTERM.
        if *keepers == 0 && current_handler() == Some(our_handler()) {
            set_handler(HOST_HANDLER.load(Ordering::Acquire));
        }
    }
}

fn our_handler() -> usize {
    on_signal as extern "C" fn(libc::c_int) as usize
}

fn put_in_front() -> bool {
    match current_handler() {
        None => false,
        Some(handler) if handler == our_handler() => true,
        Some(handler) => {
            HOST_HANDLER.store(handler, Ordering::Release);
            set_handler(our_handler())
        }
    }
}

fn current_handler() -> Option<usize> {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: asks for the action of a valid signal into a place of ours.
    let asked = unsafe { libc::sigaction(libc::SIGTERM, std::ptr::null(), action.as_mut_ptr()) };
    // SAFETY: zeroed is a valid sigaction, and the call filled it.
    (asked == 0).then(|| unsafe { action.assume_init() }.sa_sigaction)
}

fn set_handler(handler: usize) -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: a zeroed sigaction is valid: no flags, an empty mask.
    let action = unsafe { action.assume_init_mut() };
    action.sa_sigaction = handler;
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: the handler is ours, or the one that sigaction gave before; both are of the kind
    // that takes the signal's number only.
    unsafe { libc::sigaction(libc::SIGTERM, action, std::ptr::null_mut()) == 0 }
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

/// Only atomics and clock_gettime here, and the host's own handler.
extern "C" fn on_signal(signal: libc::c_int) {
    let first = REQUESTED_AT
        .compare_exchange(0, now().max(1), Ordering::AcqRel, Ordering::Acquire)
        .is_ok();
    if first {
        return;
    }
    match HOST_HANDLER.load(Ordering::Acquire) {
        libc::SIG_IGN => {}
        libc::SIG_DFL => {
            // SAFETY: ends the process as the signal would have; allowed in handlers.
            unsafe { libc::_exit(128 + signal) }
        }
        handler => {
            // SAFETY: sigaction gave this address as the handler of this signal; the host's
            // takes one int.
            let handler: extern "C" fn(libc::c_int) = unsafe { std::mem::transmute(handler) };
            handler(signal);
        }
    }
}
