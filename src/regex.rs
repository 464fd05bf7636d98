//! The host's regular expressions (Onigmo), for options whose patterns were written for them.

use std::ffi::{c_char, c_void, CStr, CString};
use std::ptr;

use flb_sidecar_sdk::{HostRegex, RegexError};

use crate::host::Host;

/// A result of a search, which only the host reads and writes: 40 bytes on 64-bit machines in every
/// release, with room to spare.
type Search = [u64; 16];

/// A compiled expression.
pub(crate) struct Regex {
    host: &'static Host,
    regex: *mut c_void,
}

// SAFETY: the host keeps nothing of a search in the expression, and uses its own on several threads.
unsafe impl Send for Regex {}

impl Regex {
    pub(crate) fn new(host: &'static Host, pattern: &str) -> Result<Self, RegexError> {
        let functions = &host.functions;
        let (Some(create), Some(_), Some(_), Some(_)) = (
            functions.regex_create,
            functions.regex_do,
            functions.regex_parse,
            functions.regex_destroy,
        ) else {
            return Err(RegexError::Unavailable);
        };
        // Older hosts strip a slash at either end, whether or not there are two.
        if matches!(pattern, "" | "/") {
            return Err(RegexError::Invalid);
        }
        let pattern = CString::new(pattern).map_err(|_| RegexError::Invalid)?;
        // SAFETY: the pattern is NUL-terminated and only read.
        let regex = unsafe { create(pattern.as_ptr()) };
        if regex.is_null() {
            return Err(RegexError::Invalid);
        }
        Ok(Regex { host, regex })
    }
}

impl Drop for Regex {
    fn drop(&mut self) {
        if let Some(destroy) = self.host.functions.regex_destroy {
            // SAFETY: created by the host, ours, and not used any more.
            unsafe { destroy(self.regex) };
        }
    }
}

/// Names and values of the groups that matched.
type Groups = Vec<(Vec<u8>, Vec<u8>)>;

/// What the host calls with each named group.
unsafe extern "C" fn on_group(
    name: *const c_char,
    value: *const c_char,
    bytes: usize,
    data: *mut c_void,
) {
    // A group that took no part has no bytes, and its address is none.
    if name.is_null() || value.is_null() || data.is_null() || bytes == 0 {
        return;
    }
    crate::guard::catch(|| {
        // SAFETY: `data` is the list of the search that is under way, which nobody else has; the
        // name is NUL-terminated, and the value is this many bytes of the text that was searched.
        let (groups, name, value) = unsafe {
            (
                &mut *data.cast::<Groups>(),
                CStr::from_ptr(name),
                std::slice::from_raw_parts(value.cast::<u8>(), bytes),
            )
        };
        groups.push((name.to_bytes().to_vec(), value.to_vec()));
    });
}

impl HostRegex for Regex {
    fn named_groups(&self, text: &[u8], group: &mut dyn FnMut(&[u8], &[u8])) -> bool {
        let functions = &self.host.functions;
        let (Some(search), Some(parse)) = (functions.regex_do, functions.regex_parse) else {
            return false;
        };
        let mut result: Search = [0; 16];
        let place: *mut c_void = ptr::from_mut(&mut result).cast();
        // SAFETY: the expression is the host's; the text is only read; the place is ours and large
        // enough.
        let groups = unsafe { search(self.regex, text.as_ptr().cast(), text.len(), place) };
        // Without a group the host has given up its own part of the result already.
        if groups <= 0 {
            return false;
        }
        let mut found = Groups::new();
        let data: *mut c_void = ptr::from_mut(&mut found).cast();
        // SAFETY: the result of the search right before, whose text is still there; this call also
        // gives up the host's part of it. The list outlives the call.
        unsafe { parse(self.regex, place, Some(on_group), data) };
        for (name, value) in &found {
            group(name, value);
        }
        true
    }
}
