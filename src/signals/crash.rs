//! A host that crashes while it ends still ends with the status that was decided.
//!
//! Hosts before 2.2 take the inputs with their chunks apart while workers of outputs still send them, so
//! what waits at the deadline may crash them; others have crashed in the exit of a plugin. By then the
//! account is written, and what is stored lies in files. The host's own handler prints where it was and
//! aborts: there we stand.

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicI32, Ordering};

use libc::siginfo_t;

use super::taken::Taken;
use crate::process_end::write_to_stderr;

/// Nothing was decided.
const UNDECIDED: i32 = -1;

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
    }
}

/// Another engine begins in this process.
pub(crate) fn forget() {
    if STATUS.swap(UNDECIDED, Ordering::AcqRel) != UNDECIDED {
        ABORT.give_back();
        FAULTS.iter().for_each(Taken::give_back);
    }
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
