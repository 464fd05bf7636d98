//! Shortens the end of the process.
//!
//! After the engine has stopped by itself, the host's main thread notices only when its current
//! one-second sleep is over. A signal with an empty handler ends that sleep. It must come after
//! the engine's thread has gone, because the main thread looks only at what that thread left.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

/// Longest wait for the engine's thread.
const PATIENCE: Duration = Duration::from_secs(10);

/// The thread whose end is awaited.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EngineThread(libc::pid_t);

impl EngineThread {
    /// The calling thread.
    pub(crate) fn current() -> Self {
        // SAFETY: no arguments, always succeeds. Through syscall(): older C libraries have no
        // function of this name.
        let id = unsafe { libc::syscall(libc::SYS_gettid) };
        EngineThread(libc::pid_t::try_from(id).unwrap_or(0))
    }

    /// Ends the main thread's sleep as soon as this thread has gone.
    ///
    /// The helper thread cannot be joined by anyone, since it outlives every callback; it ends
    /// within moments, and the library stays mapped.
    pub(crate) fn wake_main_when_gone(self) {
        if !ensure_handler() {
            return;
        }
        let task = PathBuf::from(format!("/proc/self/task/{}", self.0));
        // Without a thread the process ends as late as it does without us.
        let _ = thread::Builder::new()
            .name("flb-sc-wake".to_owned())
            .stack_size(64 << 10)
            .spawn(move || {
                let start = Instant::now();
                while task.exists() && start.elapsed() < PATIENCE {
                    thread::sleep(Duration::from_millis(2));
                }
                // The main thread may be between its look and its sleep: once more, a bit later.
                for _ in 0..3 {
                    interrupt_main();
                    thread::sleep(Duration::from_millis(5));
                }
            });
    }
}

extern "C" fn on_signal(_signal: libc::c_int) {}

/// SIGURG needs a handler, or it would be ignored without ending a sleep. One that is there
/// already (Go's, say) does as well.
fn ensure_handler() -> bool {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: asks for the action of a valid signal into a place of ours.
    if unsafe { libc::sigaction(libc::SIGURG, std::ptr::null(), action.as_mut_ptr()) } != 0 {
        return false;
    }
    // SAFETY: zeroed is a valid sigaction, and the call filled it.
    let action = unsafe { action.assume_init_mut() };
    if action.sa_sigaction != libc::SIG_DFL {
        return action.sa_sigaction != libc::SIG_IGN;
    }
    action.sa_sigaction = on_signal as extern "C" fn(libc::c_int) as usize;
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: the handler is ours and takes the signal's number only.
    unsafe { libc::sigaction(libc::SIGURG, action, std::ptr::null_mut()) == 0 }
}

fn interrupt_main() {
    // SAFETY: no arguments. The main thread's id is the process's.
    let process = unsafe { libc::getpid() };
    // SAFETY: a signal with a handler, to a thread of this process.
    unsafe { libc::syscall(libc::SYS_tgkill, process, process, libc::SIGURG) };
}
