//! Our threads take no signals: the host's handlers run on the host's own threads, as without us. Its
//! dump at SIGCONT walks through the engine's lists in the handler, on whatever thread that is.

use std::mem::MaybeUninit;

/// Faults of a thread itself: those are for the host's handler, which prints where it was.
const FAULTS: [libc::c_int; 7] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGILL,
    libc::SIGABRT,
    libc::SIGTRAP,
    libc::SIGSYS,
];

/// As long as this lives, this thread takes no signals, and threads that it starts never do.
#[derive(Debug)]
pub(crate) struct Quiet(libc::sigset_t);

impl Quiet {
    pub(crate) fn begin() -> Self {
        let mut all = MaybeUninit::<libc::sigset_t>::zeroed();
        let mut before = MaybeUninit::<libc::sigset_t>::zeroed();
        // SAFETY: both are places of ours; the first is filled before it is read, and zero is a set, should
        // the call fail. Only valid numbers are taken out.
        unsafe {
            libc::sigfillset(all.as_mut_ptr());
            for fault in FAULTS {
                libc::sigdelset(all.as_mut_ptr(), fault);
            }
            libc::pthread_sigmask(libc::SIG_BLOCK, all.as_ptr(), before.as_mut_ptr());
            Quiet(before.assume_init())
        }
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // SAFETY: the set that this thread had.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.0, std::ptr::null_mut()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What this thread blocks, a bit per signal.
    fn blocked() -> u64 {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("SigBlk:"));
        u64::from_str_radix(line.unwrap().trim(), 16).unwrap()
    }

    #[test]
    fn threads_that_are_started_meanwhile_take_no_signals() {
        let bit = |signal: libc::c_int| 1u64 << (signal - 1);
        let before = blocked();
        let quiet = Quiet::begin();
        let theirs = std::thread::spawn(blocked).join().unwrap();
        drop(quiet);
        assert_eq!(blocked(), before, "the host's thread is as it was");
        for signal in [libc::SIGTERM, libc::SIGCONT, libc::SIGHUP, libc::SIGINT] {
            assert!(theirs & bit(signal) != 0, "{signal}");
        }
        for fault in FAULTS {
            assert_eq!(theirs & bit(fault), 0, "{fault}");
        }
    }
}
