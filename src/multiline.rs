//! The host's multiline engine, for inputs that name a multiline parser.
//!
//! One engine per stream of lines: so a stream's pending record can be let out on its own, which
//! the functions that all releases share cannot do inside a common engine.

use std::ffi::{c_char, c_int, c_void, CStr, CString};
use std::mem::offset_of;
use std::time::Duration;

use flb_sidecar_sdk::event::{self, Timestamp};
use flb_sidecar_sdk::Multiline;

use crate::abi::bindings::{host_config, host_multiline};
use crate::abi::memory::Memory;
use crate::host::Host;

/// `FLB_ML_TYPE_TEXT`.
const TEXT: c_int = 0;
/// What our engines are called.
const NAME: &CStr = c"flb-sidecar";
/// No parser waits for longer.
const MAX_PATIENCE: Duration = Duration::from_secs(24 * 3600);

/// One stream of lines.
pub(crate) struct HostMultiline {
    host: &'static Host,
    engine: *mut c_void,
    stream: u64,
    patience: Option<Duration>,
    /// Where the flush callback puts finished records; boxed, since the host keeps its address.
    finished: *mut Vec<u8>,
}

// SAFETY: used in callbacks of one instance only, which come from one thread.
unsafe impl Send for HostMultiline {}

/// What the engine calls with a finished record.
unsafe extern "C" fn on_record(
    _parser: *mut c_void,
    _stream: *mut c_void,
    data: *mut c_void,
    record: *mut c_char,
    bytes: usize,
) -> c_int {
    if data.is_null() || record.is_null() {
        return -1;
    }
    crate::guard::catch(|| {
        // SAFETY: `data` is the Vec that `new` gave; nobody else uses it while the engine runs.
        let finished = unsafe { &mut *data.cast::<Vec<u8>>() };
        // SAFETY: the engine gives this many bytes of msgpack.
        finished.extend_from_slice(unsafe { std::slice::from_raw_parts(record.cast(), bytes) });
    })
    .map_or(-1, |()| 0)
}

/// How many milliseconds this engine of ours lets a record wait. `None`: it does not begin as an engine does.
fn flush_ms(memory: &mut Memory, engine: usize) -> Option<i32> {
    let name = memory.word(engine + offset_of!(host_multiline, name))?;
    let ours = memory.sds(name)? == NAME.to_bytes();
    let set = memory.int(engine + offset_of!(host_multiline, flush_ms));
    set.filter(|_| ours)
}

impl HostMultiline {
    /// A stream that tries the parsers in this order.
    ///
    /// # Errors
    /// The first name that the host does not know, or an empty one when it lacks the functions.
    pub(crate) fn new(
        host: &'static Host,
        config: *mut host_config,
        parsers: &[&str],
    ) -> Result<Self, String> {
        let functions = &host.functions;
        let (Some(create), Some(add_parser), Some(add_stream)) = (
            functions.multiline_create,
            functions.multiline_parser,
            functions.multiline_stream,
        ) else {
            return Err(String::new());
        };
        // SAFETY: the engine's own config, in a callback; the name is copied.
        let engine = unsafe { create(config, NAME.as_ptr()) };
        if engine.is_null() {
            return Err(String::new());
        }
        let mut multiline = HostMultiline {
            host,
            engine,
            stream: 0,
            patience: None,
            finished: Box::into_raw(Box::default()),
        };
        let mut memory = Memory::open();
        let mut set = || flush_ms(memory.as_mut()?, engine as usize);
        let fresh = set();
        for name in parsers {
            let text = CString::new(*name).map_err(|_| (*name).to_owned())?;
            // SAFETY: the engine was just made; NULL for an unknown name.
            if unsafe { add_parser(engine, text.as_ptr()) }.is_null() {
                return Err((*name).to_owned());
            }
        }
        // A number that the parsers have set is theirs.
        multiline.patience = match (fresh, set()) {
            (Some(0), Some(set)) => u64::try_from(set).ok().map(Duration::from_millis),
            _ => None,
        }
        .filter(|patience| !patience.is_zero() && *patience <= MAX_PATIENCE);
        let name = c"lines";
        // SAFETY: the data outlives the engine, see `drop`; the number's place is ours.
        let added = unsafe {
            add_stream(
                engine,
                name.as_ptr(),
                name.count_bytes() as c_int,
                on_record,
                multiline.finished.cast(),
                &mut multiline.stream,
            )
        };
        if added != 0 {
            return Err(String::new());
        }
        Ok(multiline)
    }

    /// Moves what was finished to `out`; the number of records.
    fn take(&mut self, out: &mut Vec<u8>) -> usize {
        // SAFETY: the engine is not running, so nobody else uses it.
        let finished = unsafe { &mut *self.finished };
        let records = event::records(finished).filter(Result::is_ok).count();
        out.append(finished);
        records
    }
}

impl Multiline for HostMultiline {
    fn push(&mut self, line: &[u8], time: Timestamp, out: &mut Vec<u8>) -> usize {
        let functions = &self.host.functions;
        let mut time = libc::timespec {
            tv_sec: time.seconds.into(),
            tv_nsec: time.nanos.into(),
        };
        // The engine wants a mutable pointer, and some parsers cut the text in place.
        let mut text = line.to_vec();
        let (data, bytes) = (text.as_mut_ptr().cast::<c_void>(), text.len());
        if let Some(push) = functions.multiline_push_text {
            // SAFETY: engine and stream belong together; the text is ours during the call.
            unsafe { push(self.engine, self.stream, &mut time, data, bytes) };
        } else if let Some(push) = functions.multiline_push_before_2_1 {
            // SAFETY: as above, in the form of the releases that have this function.
            unsafe { push(self.engine, self.stream, TEXT, &mut time, data, bytes) };
        }
        self.take(out)
    }

    fn flush(&mut self, out: &mut Vec<u8>) -> usize {
        if let Some(flush) = self.host.functions.multiline_flush {
            // SAFETY: the engine lives until `drop`.
            unsafe { flush(self.engine) };
        }
        self.take(out)
    }

    fn patience(&self) -> Option<Duration> {
        self.patience
    }
}

impl Drop for HostMultiline {
    fn drop(&mut self) {
        if let Some(destroy) = self.host.functions.multiline_destroy {
            // SAFETY: made by `new`, destroyed once; it may still let records out.
            unsafe { destroy(self.engine) };
        }
        // SAFETY: made by Box::into_raw in `new`; the engine that used it is gone.
        drop(unsafe { Box::from_raw(self.finished) });
    }
}
