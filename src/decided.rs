//! A host that was told to end with a status ends with that, whatever happens on its way.
//!
//! Hosts before 2.2 take the inputs with their chunks apart while workers of outputs still send them, so
//! what waits at the deadline may crash them; others have crashed in the exit of a plugin, or end with a
//! status of their own, because they could not make a timer. By then the account is written, and what is
//! stored lies in files. The host's own handler of faults prints where it was and aborts: there we stand, and
//! behind its last words when it exits.

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::Once;

use libc::siginfo_t;

use crate::process_end::write_to_stderr;
use crate::signals::Taken;

/// Nothing was decided.
const UNDECIDED: i32 = -1;

type AtExit = extern "C" fn(c_int, *mut c_void);

unsafe extern "C" {
    /// Has glibc call `handler` with the status at exit.
    fn on_exit(handler: AtExit, argument: *mut c_void) -> c_int;
}

static STATUS: AtomicI32 = AtomicI32::new(UNDECIDED);
/// What a host that handles faults ends with.
static ABORT: Taken = Taken::new(libc::SIGABRT, on_crash);
/// The host handles some of these, each release others.
static FAULTS: [Taken; 4] = [
    Taken::new(libc::SIGSEGV, on_crash),
    Taken::new(libc::SIGBUS, on_crash),
    Taken::new(libc::SIGFPE, on_crash),
    Taken::new(libc::SIGILL, on_crash),
];

/// The engine is told to end with `status`. The first one counts.
pub(crate) fn ends_with(status: c_int) {
    let first = STATUS.compare_exchange(UNDECIDED, status, Ordering::AcqRel, Ordering::Acquire);
    if first.is_ok() {
        ABORT.put_in_front();
        let unhandled = FAULTS.iter().filter(|fault| fault.is_unhandled());
        unhandled.for_each(|fault| {
            fault.put_in_front();
        });
        static REGISTERED: Once = Once::new();
        // SAFETY: the handler stays as long as the process: this library is never unloaded.
        REGISTERED.call_once(|| unsafe {
            on_exit(at_exit, std::ptr::null_mut());
        });
    }
}

/// Another engine begins in this process.
pub(crate) fn forget() {
    if STATUS.swap(UNDECIDED, Ordering::AcqRel) != UNDECIDED {
        ABORT.give_back();
        FAULTS.iter().for_each(Taken::give_back);
    }
}

/// The process exits by itself, as a rule with what was decided.
extern "C" fn at_exit(status: c_int, _argument: *mut c_void) {
    let decided = STATUS.load(Ordering::Acquire);
    if decided == UNDECIDED || decided == status {
        return;
    }
    write_to_stderr(
        "[completion_exit] the host ends with a status of its own; the one that was decided stands\n",
    );
    // SAFETY: a valid argument; writes out what the host has printed, which `_exit` does not.
    unsafe { libc::fflush(std::ptr::null_mut()) };
    // SAFETY: ends the process as the engine was told to.
    unsafe { libc::_exit(decided) }
}

/// Only atomics, poll, write and `_exit` here.
extern "C" fn on_crash(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let status = STATUS.load(Ordering::Acquire);
    if status == UNDECIDED {
        let all = std::iter::once(&ABORT).chain(&FAULTS);
        all.filter(|taken| taken.signal == signal)
            .for_each(|taken| taken.call_host(info, context));
        return;
    }
    write_to_stderr(
        "[completion_exit] the host has crashed while it ended; the status that was decided stands\n",
    );
    // SAFETY: ends the process as the engine was told to; allowed in handlers.
    unsafe { libc::_exit(status) }
}
