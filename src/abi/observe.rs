//! Looks at the running host from outside: which symbols it exports, and how large its own
//! plugin structs are.

use std::ffi::{c_char, c_int, c_void, CStr, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::generations::Seen;
use crate::host::Section;

/// Plugins of the host itself that its default build exports in every release: symbol and name.
const INPUTS: &[(&CStr, &str)] = &[
    (c"in_emitter_plugin", "emitter"),
    (c"in_dummy_plugin", "dummy"),
    (c"in_lib_plugin", "lib"),
    (c"in_storage_backlog_plugin", "storage_backlog"),
    (c"in_tail_plugin", "tail"),
];
const FILTERS: &[(&CStr, &str)] = &[
    (c"filter_grep_plugin", "grep"),
    (c"filter_modify_plugin", "modify"),
    (c"filter_stdout_plugin", "stdout"),
    (c"filter_record_modifier_plugin", "record_modifier"),
];
const OUTPUTS: &[(&CStr, &str)] = &[
    (c"out_null_plugin", "null"),
    (c"out_stdout_plugin", "stdout"),
    (c"out_lib_plugin", "lib"),
    (c"out_counter_plugin", "counter"),
];

/// One of the host's own plugins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OwnPlugin {
    pub(crate) section: Section,
    pub(crate) symbol: &'static str,
    pub(crate) name: &'static str,
    /// Where its registration struct is.
    pub(crate) address: usize,
}

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

/// The file that code was loaded from, under the name that the host gave.
pub(crate) fn file_of(code: *const c_void) -> Option<PathBuf> {
    let mut info = libc::Dl_info {
        dli_fname: std::ptr::null(),
        dli_fbase: std::ptr::null_mut(),
        dli_sname: std::ptr::null(),
        dli_saddr: std::ptr::null_mut(),
    };
    // SAFETY: the out-parameter is valid for writes; dladdr only compares the address.
    if unsafe { libc::dladdr(code, &mut info) } == 0 || info.dli_fname.is_null() {
        return None;
    }
    // SAFETY: the linker's own NUL-terminated name of an object that stays loaded.
    let name = unsafe { CStr::from_ptr(info.dli_fname) };
    Some(PathBuf::from(OsStr::from_bytes(name.to_bytes())))
}

fn sizes(names: &[(&'static CStr, &'static str)]) -> Vec<(&'static str, u64)> {
    names
        .iter()
        .filter_map(|(symbol_name, _)| {
            let size = size_of_symbol(symbol(symbol_name)?)?;
            Some((symbol_name.to_str().unwrap_or("?"), size))
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

/// Those of the host's own plugins that are there, at most so many of each kind.
pub(crate) fn own_plugins(most: usize) -> Vec<OwnPlugin> {
    let kinds = [
        (Section::Input, INPUTS),
        (Section::Filter, FILTERS),
        (Section::Output, OUTPUTS),
    ];
    let mut found = Vec::new();
    for (section, plugins) in kinds {
        let there = plugins.iter().filter_map(|(exported, name)| {
            Some(OwnPlugin {
                section,
                symbol: exported.to_str().unwrap_or("?"),
                name,
                address: symbol(exported)? as usize,
            })
        });
        found.extend(there.take(most));
    }
    found
}
