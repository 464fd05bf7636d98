//! The library's memory.
//!
//! Rust's own `System` takes `malloc` for every alignment up to 16, which C promises on this
//! machine. But `malloc` is whatever the host brings: Fluent Bit's official builds link jemalloc
//! with a quantum of 8 bytes, so a block of 24 or 40 bytes is aligned to 8 only, and the first
//! aligned vector load from it ends the process. So anything above 8 goes through
//! `posix_memalign`.
//!
//! C code in this library expects the same of Rust's blocks: LLVM's unwinder, which the released
//! build links, stores a panic's exception object with aligned vector instructions, although its
//! Rust declaration asks for 8. So a fresh block that can hold such an object is aligned to 16.

use std::alloc::{GlobalAlloc, Layout};
use std::ffi::{c_char, c_int, c_void, CStr};

use crate::abi::observe;

/// What every `malloc` promises, jemalloc with the host's settings included.
const MALLOC_ALIGN: usize = 8;
/// What C code expects of a block: the alignment of its largest basic type.
const C_ALIGN: usize = 16;

/// Gives back to the system what was freed. The host's jemalloc keeps it for some seconds of work,
/// which an idle process never has.
pub(crate) fn give_back() {
    /// Every arena, in jemalloc 5.
    const PURGE: &CStr = c"arena.4096.purge";
    type Control =
        unsafe extern "C" fn(*const c_char, *mut c_void, *mut usize, *mut c_void, usize) -> c_int;
    let Some(control) = observe::symbol(c"mallctl") else {
        // SAFETY: may be called at any time; another malloc than glibc's has nothing there to trim.
        unsafe { libc::malloc_trim(0) };
        return;
    };
    // SAFETY: jemalloc's public function of this name, whose arguments never changed. The command
    // takes no value and gives none; one that it does not know is an error that changes nothing.
    unsafe {
        let control = std::mem::transmute::<*mut c_void, Control>(control);
        let none = std::ptr::null_mut();
        control(PURGE.as_ptr(), none, std::ptr::null_mut(), none, 0);
    }
}

/// `malloc` for small alignments, `posix_memalign` for the others; both end in `free`.
#[derive(Debug)]
pub(crate) struct HostMalloc;

#[global_allocator]
static ALLOCATOR: HostMalloc = HostMalloc;

fn aligned(size: usize, align: usize) -> *mut u8 {
    let mut block: *mut c_void = std::ptr::null_mut();
    // SAFETY: the alignment is a power of two and a multiple of a pointer's size.
    let failed = unsafe { libc::posix_memalign(&mut block, align, size) };
    if failed == 0 {
        block.cast()
    } else {
        std::ptr::null_mut()
    }
}

// SAFETY: every block comes from malloc, calloc, realloc or posix_memalign of one allocator, is
// aligned as asked, and goes back to free or realloc of the same one.
unsafe impl GlobalAlloc for HostMalloc {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.align() <= MALLOC_ALIGN && layout.size() < C_ALIGN {
            // SAFETY: any size will do.
            unsafe { libc::malloc(layout.size()).cast() }
        } else {
            aligned(layout.size(), layout.align().max(C_ALIGN))
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, _layout: Layout) {
        // SAFETY: the caller gives a block of this allocator.
        unsafe { libc::free(block.cast()) };
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if layout.align() <= MALLOC_ALIGN {
            // SAFETY: any size will do.
            return unsafe { libc::calloc(layout.size(), 1).cast() };
        }
        let block = aligned(layout.size(), layout.align());
        if !block.is_null() {
            // SAFETY: just allocated with this size.
            unsafe { block.write_bytes(0, layout.size()) };
        }
        block
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if layout.align() <= MALLOC_ALIGN {
            // SAFETY: the caller gives a block of this allocator; realloc keeps what malloc
            // promises.
            return unsafe { libc::realloc(block.cast(), new_size).cast() };
        }
        let fresh = aligned(new_size, layout.align());
        if !fresh.is_null() {
            let kept = layout.size().min(new_size);
            // SAFETY: two blocks with at least this size; then the old one goes back.
            unsafe {
                std::ptr::copy_nonoverlapping(block, fresh, kept);
                libc::free(block.cast());
            }
        }
        fresh
    }
}
