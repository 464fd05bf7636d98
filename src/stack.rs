//! A stack of our own for callbacks that the host may call on a small one.
//!
//! Inputs that the host runs as coroutines (`health`, `kubernetes_events`) call filters inside the
//! coroutine, on 24 KiB of the heap without a guard page up to release 5.0. What a plugin needs
//! depends on the record, so its body runs elsewhere: here, with a guard page. On the caller's
//! stack stays what does not depend on the record: the test host calls every filter on 16 KiB with a
//! guard page and says how much of it was used.

use std::io;
use std::ptr::NonNull;

use crate::guard;

/// Bytes that a plugin's body has. Only the pages that were used take memory. Without optimisation a
/// single frame of a filter has had 831 KiB.
const SIZE: usize = if cfg!(debug_assertions) {
    8 << 20
} else {
    1 << 20
};

/// Bytes for what runs once, at the start: as many as a program usually has.
const START: usize = 8 << 20;

/// The stack of an instance.
#[derive(Debug)]
pub(crate) struct Stack {
    /// The guard pages, then the bytes.
    mapping: NonNull<u8>,
    guard: usize,
    bytes: usize,
}

/// Runs what the start needs on a large stack: a host may be started with 64 KiB (`ulimit -s`). `None`
/// when it panicked.
pub(crate) fn at_start<R>(body: impl FnOnce() -> R) -> Option<R> {
    match Stack::of(START) {
        Ok(mut stack) => stack.run(body),
        Err(_) => guard::catch(body),
    }
}

// SAFETY: memory that only this value knows; who has it exclusively may use it on any thread.
unsafe impl Send for Stack {}

impl Stack {
    /// A new stack, with pages below it that nobody can touch.
    pub(crate) fn new() -> io::Result<Self> {
        Stack::of(SIZE)
    }

    fn of(bytes: usize) -> io::Result<Self> {
        // SAFETY: no pointers.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        let guard = usize::try_from(page).unwrap_or(0).max(1 << 16);
        // SAFETY: a new mapping, at an address that the kernel chooses.
        let mapping = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                guard + bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_STACK,
                -1,
                0,
            )
        };
        if mapping == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let mapping = NonNull::new(mapping.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        let stack = Stack {
            mapping,
            guard,
            bytes,
        };
        // SAFETY: the start of the mapping, in whole pages; nobody has used it yet.
        if unsafe { libc::mprotect(mapping.as_ptr().cast(), guard, libc::PROT_NONE) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(stack)
    }

    /// Runs `body` on this stack; `None` when it panicked. It must not be left in another way, and
    /// it cannot get here again, since that takes the stack itself.
    pub(crate) fn run<R>(&mut self, body: impl FnOnce() -> R) -> Option<R> {
        // SAFETY: behind the guard pages are `bytes` bytes, aligned to a page and used by nobody else
        // as long as `self` is borrowed. The body does not unwind: a panic ends in the guard, which
        // is inside.
        unsafe {
            psm::on_stack(self.mapping.as_ptr().add(self.guard), self.bytes, || {
                guard::catch(body)
            })
        }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: the whole mapping, which nothing runs on: `run` borrows the value.
        unsafe { libc::munmap(self.mapping.as_ptr().cast(), self.guard + self.bytes) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Uses at least so many bytes of stack.
    #[inline(never)]
    fn dig(bytes: usize) -> usize {
        let page = std::hint::black_box([1u8; 4096]);
        match bytes.checked_sub(4096) {
            Some(less) => dig(less) + usize::from(page[less % 4096]),
            None => 0,
        }
    }

    #[test]
    fn a_body_has_more_stack_than_its_caller() {
        let small = std::thread::Builder::new().stack_size(64 << 10);
        let answer = small.spawn(|| Stack::new().ok()?.run(|| dig(256 << 10)));
        assert_eq!(answer.unwrap().join().unwrap(), Some(64));
    }

    #[test]
    fn a_panic_ends_inside_and_the_stack_goes_on() {
        let mut stack = Stack::new().unwrap();
        for _ in 0..3 {
            assert_eq!(stack.run(|| panic!("deliberate")), None::<()>);
            let text = String::from("moved in and out");
            assert_eq!(stack.run(move || text), Some("moved in and out".to_owned()));
        }
    }

    #[test]
    fn several_stacks_nest_and_move_between_threads() {
        let mut outer = Stack::new().unwrap();
        let mut inner = Stack::new().unwrap();
        assert_eq!(outer.run(|| inner.run(|| dig(100_000))), Some(Some(24)));
        let moved = std::thread::spawn(move || inner.run(|| dig(100_000)));
        assert_eq!(moved.join().unwrap(), Some(24));
    }
}
