//! Looks at the running host from outside: which symbols it exports, and how large its own
//! plugin structs are.

use std::ffi::{c_char, c_int, c_void, CStr};

use super::generations::Seen;

/// Plugins of the host itself that its default build exports in every release.
const INPUTS: &[&CStr] = &[
    c"in_emitter_plugin",
    c"in_dummy_plugin",
    c"in_lib_plugin",
    c"in_storage_backlog_plugin",
    c"in_tail_plugin",
];
const FILTERS: &[&CStr] = &[
    c"filter_grep_plugin",
    c"filter_modify_plugin",
    c"filter_stdout_plugin",
    c"filter_record_modifier_plugin",
];
const OUTPUTS: &[&CStr] = &[
    c"out_null_plugin",
    c"out_stdout_plugin",
    c"out_lib_plugin",
    c"out_counter_plugin",
];

extern "C" {
    // glibc since 2.3.3; the libc crate does not declare it.
    fn dladdr1(
        address: *const c_void,
        info: *mut libc::Dl_info,
        extra: *mut *mut c_void,
        flags: c_int,
    ) -> c_int;
}

/// `RTLD_DL_SYMENT` of dlfcn.h: dladdr1 stores the symbol's ELF entry.
const DL_SYMENT: c_int = 1;

/// Address of a symbol in the global scope: the executable's first.
pub(crate) fn symbol(name: &CStr) -> Option<*mut c_void> {
    // SAFETY: dlsym takes any NUL-terminated name and gives NULL for one it does not find.
    let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr().cast::<c_char>()) };
    (!address.is_null()).then_some(address)
}

/// Size of a data symbol as the ELF symbol table has it.
fn size_of_symbol(address: *mut c_void) -> Option<u64> {
    let mut info = libc::Dl_info {
        dli_fname: std::ptr::null(),
        dli_fbase: std::ptr::null_mut(),
        dli_sname: std::ptr::null(),
        dli_saddr: std::ptr::null_mut(),
    };
    let mut entry: *mut c_void = std::ptr::null_mut();
    // SAFETY: both out-pointers are valid for writes; dladdr1 only compares the address.
    let found = unsafe { dladdr1(address, &mut info, &mut entry, DL_SYMENT) };
    if found == 0 || entry.is_null() || info.dli_saddr != address {
        return None;
    }
    // SAFETY: with RTLD_DL_SYMENT dladdr1 stored a pointer to the symbol's entry in the mapped
    // symbol table of a loaded object, which is an Elf64_Sym on every 64-bit machine.
    let entry = unsafe { &*entry.cast::<libc::Elf64_Sym>() };
    Some(entry.st_size)
}

fn sizes(names: &'static [&'static CStr]) -> Vec<(&'static str, u64)> {
    names
        .iter()
        .filter_map(|name| {
            let size = size_of_symbol(symbol(name)?)?;
            Some((name.to_str().unwrap_or("?"), size))
        })
        .collect()
}

/// What the host's own plugins measure.
pub(crate) fn look() -> Seen {
    Seen {
        inputs: sizes(INPUTS),
        filters: sizes(FILTERS),
        outputs: sizes(OUTPUTS),
    }
}
