//! Reads the database of the host's own `tail` with the host's own SQLite, which the executable
//! exports with everything else: no second copy of it, and always the version that wrote the file.
//!
//! Whoever can write to its folder may have put any database there: one whose table is a view without
//! end, or whose names are larger than the memory. So a query may take only so many steps and give
//! only so much.

use std::cell::Cell;
use std::ffi::{c_char, c_int, c_void, CString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use flb_sidecar_sdk::StockPosition;

use crate::host::Host;

/// `SQLITE_OK`, `SQLITE_ROW` and `SQLITE_DONE`: constants of SQLite's interface.
const OK: c_int = 0;
const ROW: c_int = 100;
const DONE: c_int = 101;
/// `SQLITE_OPEN_READWRITE`: a database with a write-ahead log cannot always be opened for reading.
const READ_WRITE: c_int = 2;

/// `SQLITE_LIMIT_LENGTH`: the category of limits that is about one value's bytes.
const LIMIT_LENGTH: c_int = 0;
/// Bytes of one value at most: a path has 4,096, a schema little more.
const LONGEST_VALUE: c_int = 64 << 10;
/// Rows and bytes of names that are taken over at most.
const ROWS: usize = 100_000;
const BYTES: usize = 16 << 20;
/// Steps of SQLite's machine between two looks at how many it has taken, and how many looks: a row
/// takes about ten, so that a tenth of a second is the end of it.
const STEPS: c_int = 10_000;
const LOOKS: u32 = 500;

/// Counts how often SQLite has asked; anything but 0 ends the query.
unsafe extern "C" fn progress(looks: *mut c_void) -> c_int {
    // SAFETY: the counter of `positions`, which outlives the connection, on the thread that uses it.
    let looks = unsafe { &*looks.cast::<Cell<u32>>() };
    looks.set(looks.get() + 1);
    c_int::from(looks.get() > LOOKS)
}

/// An open connection.
struct Connection<'a> {
    host: &'a Host,
    handle: *mut c_void,
}

impl Drop for Connection<'_> {
    fn drop(&mut self) {
        if let Some(close) = self.host.functions.sqlite_close {
            // SAFETY: opened by `positions`, closed once, after its statement.
            unsafe { close(self.handle) };
        }
    }
}

/// A prepared statement.
struct Statement<'a> {
    host: &'a Host,
    handle: *mut c_void,
}

impl Drop for Statement<'_> {
    fn drop(&mut self) {
        if let Some(finalize) = self.host.functions.sqlite_finalize {
            // SAFETY: prepared by `positions`, finalized once.
            unsafe { finalize(self.handle) };
        }
    }
}

/// The rows of `in_tail_files` in the database at `path`. `None`: it cannot be read, or the host
/// has no SQLite.
pub(crate) fn positions(host: &Host, path: &Path) -> Option<Vec<StockPosition>> {
    let functions = &host.functions;
    let open = functions.sqlite_open?;
    let prepare = functions.sqlite_prepare?;
    let step = functions.sqlite_step?;
    let bytes_of = functions.sqlite_column_bytes?;
    let text_of = functions.sqlite_column_blob?;
    let integer_of = functions.sqlite_column_int64?;
    let limit = functions.sqlite_limit?;
    let set_progress = functions.sqlite_progress?;
    functions.sqlite_close?;
    functions.sqlite_finalize?;

    let path = CString::new(path.as_os_str().as_bytes()).ok()?;
    let looks = Cell::new(0);
    let mut handle: *mut c_void = std::ptr::null_mut();
    // SAFETY: the path is NUL-terminated, the place is ours; NULL: the default file system.
    let opened = unsafe { open(path.as_ptr(), &mut handle, READ_WRITE, std::ptr::null()) };
    // Even a failed open may leave a handle to be closed.
    let connection = Connection { host, handle };
    if opened != OK {
        return None;
    }
    // SAFETY: an open connection; the counter outlives it.
    unsafe {
        limit(connection.handle, LIMIT_LENGTH, LONGEST_VALUE);
        set_progress(
            connection.handle,
            STEPS,
            Some(progress),
            (&raw const looks).cast_mut().cast(),
        );
    }
    let query = c"SELECT name, inode, offset FROM in_tail_files";
    let mut handle: *mut c_void = std::ptr::null_mut();
    // SAFETY: an open connection, a NUL-terminated statement, a place of ours; -1: up to the NUL.
    let prepared = unsafe {
        prepare(
            connection.handle,
            query.as_ptr().cast::<c_char>(),
            -1,
            &mut handle,
            std::ptr::null_mut(),
        )
    };
    if prepared != OK || handle.is_null() {
        return None;
    }
    let statement = Statement { host, handle };
    let mut rows = Vec::new();
    let mut bytes = 0;
    loop {
        // SAFETY: a prepared statement of an open connection, here and below.
        match unsafe { step(statement.handle) } {
            ROW => {}
            DONE => return Some(rows),
            _ => return None,
        }
        // SAFETY: column 0 of a row; the blob is asked for before its length, as SQLite wants it.
        let (text, len) = unsafe { (text_of(statement.handle, 0), bytes_of(statement.handle, 0)) };
        let len = usize::try_from(len).unwrap_or(0);
        let name = if text.is_null() {
            Vec::new()
        } else {
            // SAFETY: SQLite gives this many bytes, valid until the next step.
            unsafe { std::slice::from_raw_parts(text.cast::<u8>(), len) }.to_vec()
        };
        bytes += name.len();
        if rows.len() == ROWS || bytes > BYTES {
            return None;
        }
        // SAFETY: columns 1 and 2 of a row.
        let (inode, offset) = unsafe {
            (
                integer_of(statement.handle, 1),
                integer_of(statement.handle, 2),
            )
        };
        rows.push(StockPosition {
            path: name,
            inode: inode as u64,
            offset: u64::try_from(offset).unwrap_or(0),
        });
    }
}
