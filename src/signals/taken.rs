//! A handler of ours in front of the host's, as it was installed.
//!
//! Whatever was installed is called as the kernel would call it: with its number of arguments, with
//! its signals blocked, on its stack. The runtime of Go, which plugins of the host may bring along,
//! relies on all of that.

use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicI32, AtomicU64, AtomicUsize, Ordering};

use libc::siginfo_t;

/// A handler with all that the kernel tells it.
pub(crate) type Handler = extern "C" fn(c_int, *mut siginfo_t, *mut c_void);

/// In the word of a handler: it takes three arguments. No address of a program has this bit.
const THREE_ARGUMENTS: usize = 1 << (usize::BITS - 1);

/// A signal that the host handles, and its handler.
pub(crate) struct Taken {
    pub(crate) signal: c_int,
    ours: Handler,
    /// Its address, with `THREE_ARGUMENTS`; one word, since handlers read it at any moment.
    host: AtomicUsize,
    /// How it was installed.
    flags: AtomicI32,
    /// What is blocked while it runs: bit n is signal n + 1.
    mask: AtomicU64,
}

/// Whether our handler is in front.
pub(crate) enum Place {
    Refused,
    Kept,
    TakenBack,
}

/// Everything here but `new` may be called by a handler.
impl Taken {
    pub(crate) const fn new(signal: c_int, ours: Handler) -> Self {
        Taken {
            signal,
            ours,
            host: AtomicUsize::new(libc::SIG_DFL),
            flags: AtomicI32::new(0),
            mask: AtomicU64::new(0),
        }
    }

    pub(crate) fn put_in_front(&self) -> Place {
        let Some(action) = self.current() else {
            return Place::Refused;
        };
        if action.sa_sigaction == self.ours as usize {
            return Place::Kept;
        }
        let takes_three = action.sa_flags & libc::SA_SIGINFO != 0;
        let word = action.sa_sigaction | if takes_three { THREE_ARGUMENTS } else { 0 };
        self.flags.store(action.sa_flags, Ordering::Release);
        self.mask.store(bits(&action.sa_mask), Ordering::Release);
        self.host.store(word, Ordering::Release);
        let mut ours = action;
        ours.sa_sigaction = self.ours as usize;
        // Ours stays, and may come on a thread whose own stack is small.
        ours.sa_flags &= !libc::SA_RESETHAND;
        ours.sa_flags |= libc::SA_SIGINFO | libc::SA_ONSTACK;
        if matches!(action.sa_sigaction, libc::SIG_DFL | libc::SIG_IGN) {
            ours.sa_flags |= libc::SA_RESTART;
        }
        if self.set(&ours) {
            Place::TakenBack
        } else {
            Place::Refused
        }
    }

    pub(crate) fn give_back(&self) {
        let Some(mut action) = self.current() else {
            return;
        };
        if action.sa_sigaction == self.ours as usize {
            action.sa_sigaction = self.host.load(Ordering::Acquire) & !THREE_ARGUMENTS;
            action.sa_flags = self.flags.load(Ordering::Acquire);
            action.sa_mask = set_of(self.mask.load(Ordering::Acquire));
            self.set(&action);
        }
    }

    /// The signal does what the system does.
    pub(crate) fn is_unhandled(&self) -> bool {
        let action = self.current();
        action.is_some_and(|action| action.sa_sigaction == libc::SIG_DFL)
    }

    fn current(&self) -> Option<libc::sigaction> {
        let mut action = MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: asks for the action of a valid signal into a place of ours.
        let asked = unsafe { libc::sigaction(self.signal, std::ptr::null(), action.as_mut_ptr()) };
        // SAFETY: zeroed is a valid sigaction, and the call filled it.
        (asked == 0).then(|| unsafe { action.assume_init() })
    }

    fn set(&self, action: &libc::sigaction) -> bool {
        // SAFETY: the handler is ours, which takes three arguments and is set with SA_SIGINFO, or the
        // one that sigaction gave before, with the flags that belong to it.
        unsafe { libc::sigaction(self.signal, action, std::ptr::null_mut()) == 0 }
    }

    /// What would have happened without us.
    pub(crate) fn call_host(&self, info: *mut siginfo_t, context: *mut c_void) {
        let word = self.host.load(Ordering::Acquire);
        let address = word & !THREE_ARGUMENTS;
        match address {
            libc::SIG_IGN => {}
            // Stopped processes go on without a handler.
            libc::SIG_DFL if self.signal == libc::SIGCONT => {}
            libc::SIG_DFL => {
                // SAFETY: ends the process as the signal would have; allowed in handlers.
                unsafe { libc::_exit(128 + self.signal) }
            }
            _ => {
                if self.flags.load(Ordering::Acquire) & libc::SA_RESETHAND != 0 {
                    self.host.store(libc::SIG_DFL, Ordering::Release);
                }
                if word == address {
                    // SAFETY: sigaction gave this address as the handler of this signal, without
                    // SA_SIGINFO: it takes one int.
                    let handler: extern "C" fn(c_int) = unsafe { std::mem::transmute(address) };
                    handler(self.signal);
                } else {
                    // SAFETY: the same, with SA_SIGINFO: it takes what the kernel has given us.
                    let handler: Handler = unsafe { std::mem::transmute(address) };
                    handler(self.signal, info, context);
                }
            }
        }
    }
}

/// Signals that a mask can have: those of Linux.
const SIGNALS: c_int = 64;

/// A set in one word.
fn bits(set: &libc::sigset_t) -> u64 {
    (1..=SIGNALS)
        // SAFETY: asks a valid set for a signal; allowed in handlers.
        .filter(|signal| unsafe { libc::sigismember(set, *signal) } == 1)
        .fold(0, |word, signal| word | 1 << (signal - 1))
}

/// The set of such a word.
fn set_of(word: u64) -> libc::sigset_t {
    let mut set = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: fills a place of ours; allowed in handlers.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    for signal in (1..=SIGNALS).filter(|signal| word >> (signal - 1) & 1 == 1) {
        // SAFETY: the set was made empty just now. The C library refuses the two signals that are its
        // own.
        unsafe { libc::sigaddset(set.as_mut_ptr(), signal) };
    }
    // SAFETY: sigemptyset has filled it.
    unsafe { set.assume_init() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a handler of the host saw.
    static CALLS: AtomicI32 = AtomicI32::new(0);
    static SIGNAL: AtomicI32 = AtomicI32::new(0);
    static BLOCKED: AtomicU64 = AtomicU64::new(0);
    static STACK: AtomicUsize = AtomicUsize::new(0);
    static CONTEXT: AtomicUsize = AtomicUsize::new(0);

    static TAKEN: Taken = Taken::new(libc::SIGUSR1, ours);

    extern "C" fn ours(_signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
        TAKEN.call_host(info, context);
    }

    fn note() {
        let mut set = set_of(0);
        let place = 0u8;
        CALLS.fetch_add(1, Ordering::SeqCst);
        STACK.store(std::ptr::from_ref(&place) as usize, Ordering::SeqCst);
        // SAFETY: asks for the mask into a place of ours.
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), &mut set) };
        BLOCKED.store(bits(&set), Ordering::SeqCst);
    }

    extern "C" fn one_argument(signal: c_int) {
        note();
        SIGNAL.store(signal, Ordering::SeqCst);
    }

    extern "C" fn three_arguments(_signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
        note();
        CONTEXT.store(context as usize, Ordering::SeqCst);
        // SAFETY: the kernel made it for this call.
        SIGNAL.store(unsafe { (*info).si_signo }, Ordering::SeqCst);
    }

    /// Every way to install a handler: with ours in front it is called as without, and given back as
    /// it was.
    #[test]
    fn a_handler_is_called_and_given_back_as_it_was_installed() {
        const STACK_BYTES: usize = 64 << 10;
        let stack = vec![0u8; STACK_BYTES].leak();
        let other = libc::stack_t {
            ss_sp: stack.as_mut_ptr().cast(),
            ss_flags: 0,
            ss_size: STACK_BYTES,
        };
        // SAFETY: the memory stays; only this thread uses it.
        let set = unsafe { libc::sigaltstack(&other, std::ptr::null_mut()) };
        assert_eq!(set, 0);
        let own = 1u64 << (libc::SIGUSR1 - 1);
        let masks = [0, 1 << (libc::SIGUSR2 - 1), 1 << (libc::SIGTERM - 1) | 1];
        let flags = [
            libc::SA_SIGINFO,
            libc::SA_ONSTACK,
            libc::SA_RESTART,
            libc::SA_NODEFER,
            libc::SA_RESETHAND,
        ];
        for choice in 0..1 << flags.len() {
            let chosen = flags.iter().enumerate();
            let flags = chosen
                .filter(|(bit, _)| choice >> bit & 1 == 1)
                .fold(0, |all, (_, flag)| all | flag);
            let three = flags & libc::SA_SIGINFO != 0;
            for mask in masks {
                let mut action = TAKEN.current().unwrap();
                action.sa_sigaction = if three {
                    three_arguments as Handler as usize
                } else {
                    one_argument as extern "C" fn(c_int) as usize
                };
                action.sa_flags = flags;
                action.sa_mask = set_of(mask);
                assert!(TAKEN.set(&action));
                let installed = TAKEN.current().unwrap();
                let how = format!("flags {flags:#x}, mask {mask:#x}");

                assert!(matches!(TAKEN.put_in_front(), Place::TakenBack), "{how}");
                assert!(matches!(TAKEN.put_in_front(), Place::Kept), "{how}");
                CALLS.store(0, Ordering::SeqCst);
                CONTEXT.store(0, Ordering::SeqCst);
                // SAFETY: its handler is ours.
                unsafe { libc::raise(libc::SIGUSR1) };
                assert_eq!(CALLS.load(Ordering::SeqCst), 1, "{how}");
                assert_eq!(SIGNAL.load(Ordering::SeqCst), libc::SIGUSR1, "{how}");
                assert_eq!(CONTEXT.load(Ordering::SeqCst) != 0, three, "{how}");
                let defers = if flags & libc::SA_NODEFER == 0 {
                    own
                } else {
                    0
                };
                assert_eq!(BLOCKED.load(Ordering::SeqCst), mask | defers, "{how}");
                let on_stack = stack
                    .as_ptr_range()
                    .contains(&(STACK.load(Ordering::SeqCst) as *const u8));
                assert!(on_stack, "{how}");

                TAKEN.give_back();
                let back = TAKEN.current().unwrap();
                if flags & libc::SA_RESETHAND == 0 {
                    assert_eq!(back.sa_sigaction, installed.sa_sigaction, "{how}");
                } else {
                    assert_eq!(back.sa_sigaction, libc::SIG_DFL, "{how}");
                }
                assert_eq!(back.sa_flags, installed.sa_flags, "{how}");
                assert_eq!(bits(&back.sa_mask), mask, "{how}");
            }
        }
        let none = libc::stack_t {
            ss_flags: libc::SS_DISABLE,
            ..other
        };
        // SAFETY: no handler runs on it now.
        let unset = unsafe { libc::sigaltstack(&none, std::ptr::null_mut()) };
        assert_eq!(unset, 0);
    }
}
