//! Entry points of a filter.

use std::ffi::{c_char, c_int, c_void};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Mutex;

use flb_sidecar_sdk::event;
use flb_sidecar_sdk::metrics::Metrics;
use flb_sidecar_sdk::{Chunk, ConfigError, Filter, FilterHost, Parsers, Verdict};

use super::{lock, OurName, Timer, INIT_FAILED, INIT_OK};
use crate::abi::bindings::{host_config, host_filter, host_input};
use crate::abi::layouts::FilterCallbacks;
use crate::abi::memory::Memory;
use crate::host::Section;
use crate::instance::Core;
use crate::parsers::HostParsers;
use crate::stack::Stack;
use crate::trial::Outcome;

/// `FLB_FILTER_MODIFIED` and `FLB_FILTER_NOTOUCH`.
const MODIFIED: c_int = 1;
const NOT_TOUCHED: c_int = 2;

/// Room in the output buffer that is kept between calls.
const KEPT_BYTES: usize = 4 << 20;

/// How often waiting log lines and metrics are handed over when no record comes.
const TIMER_MS: c_int = 1000;

/// A filter of this library: its type, and where its name was registered.
pub(crate) trait FilterPlugin: Filter {
    /// Set by the constructor.
    fn our_name() -> &'static OurName;
}

struct Context<P> {
    core: Core,
    timer: Option<Timer>,
    /// A batch has come.
    seen_records: AtomicBool,
    state: Mutex<State<P>>,
}

impl<P> Context<P> {
    /// The first batch on a host that no table vouches for: says so if it holds no records as every
    /// known release has them. What the plugin does with it, is the same on every host, unless there
    /// is nothing to be read: `false`.
    fn look_at_first(&self, data: *const c_void, bytes: usize) -> bool {
        self.seen_records.store(true, Ordering::Relaxed);
        let is_readable = Memory::open()
            .is_none_or(|mut memory| memory.is_readable(data as usize, bytes))
            && bytes > 0;
        let begin = if is_readable {
            // SAFETY: the kernel has just read it, and the host keeps it during the call.
            let data = unsafe { std::slice::from_raw_parts(data.cast::<u8>(), bytes) };
            // Also what is no log record is an array there.
            let is_array = matches!(data[0], 0x90..=0x9f | 0xdc | 0xdd);
            if is_array && matches!(event::records(data).next(), Some(Ok(_))) {
                return true;
            }
            format!("which begin with 0x{:02x}", data[0])
        } else {
            "which cannot be read".to_owned()
        };
        self.core.run(|| {
            tracing::error!(
                "this Fluent Bit hands filters something else than msgpack records: {bytes} bytes, \
                 {begin}; no table of this library knows this release"
            );
        });
        is_readable
    }
}

struct State<P> {
    plugin: Option<P>,
    out: Vec<u8>,
    /// Where the plugin runs: the caller's stack may be that of a coroutine.
    stack: Stack,
}

/// Callbacks of `P`.
pub(crate) fn callbacks<P: FilterPlugin>() -> FilterCallbacks {
    FilterCallbacks {
        init: Some(init::<P>),
        filter_ten: Some(filter_ten::<P>),
        filter_nine: Some(filter_nine::<P>),
        exit: Some(exit::<P>),
    }
}

struct Handle<'a>(&'a Core);

impl FilterHost for Handle<'_> {
    fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    fn parsers(&self) -> Option<Box<dyn Parsers>> {
        let parsers = HostParsers::new(self.0.host, self.0.config)?;
        Some(Box::new(parsers))
    }
}

unsafe extern "C" fn init<P: FilterPlugin>(
    instance: *mut host_filter,
    config: *mut host_config,
    _data: *mut c_void,
) -> c_int {
    super::init(|| start::<P>(instance.cast(), config))
}

fn start<P: FilterPlugin>(instance: *mut c_void, config: *mut host_config) -> c_int {
    let Some(opened) = super::open(Section::Filter, instance, config, &P::INFO, P::our_name())
    else {
        return INIT_FAILED;
    };
    let core = opened.core;
    let host = core.host;
    let made = super::make(&core, opened.settings, |settings| {
        if let Some(outcome @ Outcome::NoFilters(_)) = &host.trial {
            return Err(ConfigError::other(outcome.to_string()));
        }
        let stack = Stack::new()
            .map_err(|error| ConfigError::other(format!("no memory for a stack: {error}")))?;
        Ok((P::init(settings, &mut Handle(&core))?, stack))
    });
    let Some((plugin, stack)) = made else {
        return INIT_FAILED;
    };
    let context = Box::into_raw(Box::new(Context {
        core,
        timer: None,
        seen_records: AtomicBool::new(false),
        state: Mutex::new(State {
            plugin: Some(plugin),
            out: Vec::new(),
            stack,
        }),
    }));
    let timer = Timer::start(host, TIMER_MS, on_timer::<P>, context.cast());
    // SAFETY: just made; no timer has fired yet, since this thread runs them.
    unsafe { (*context).timer = timer };
    if let Some(set_context) = host.functions.filter_set_context {
        // SAFETY: the instance is the host's; the context lives until `exit`.
        unsafe { set_context(instance, context.cast()) };
    }
    INIT_OK
}

unsafe extern "C" fn on_timer<P: FilterPlugin>(_config: *mut host_config, data: *mut c_void) {
    // SAFETY: the data is the timer's own target.
    let context = unsafe { Timer::target(data) };
    // SAFETY: not NULL only while the context lives; exit runs on this thread or has stopped it.
    if let Some(context) = unsafe { context.cast::<Context<P>>().as_ref() } {
        context.core.run(|| {});
    }
}

unsafe extern "C" fn filter_ten<P: FilterPlugin>(
    data: *const c_void,
    bytes: usize,
    tag: *const c_char,
    tag_len: c_int,
    out: *mut *mut c_void,
    out_bytes: *mut usize,
    _instance: *mut host_filter,
    _input: *mut host_input,
    context: *mut c_void,
    _config: *mut host_config,
) -> c_int {
    // SAFETY: the arguments are the host's, in the form of 1.9.3 and later.
    unsafe { filter::<P>(data, bytes, tag, tag_len, out, out_bytes, context) }
}

unsafe extern "C" fn filter_nine<P: FilterPlugin>(
    data: *const c_void,
    bytes: usize,
    tag: *const c_char,
    tag_len: c_int,
    out: *mut *mut c_void,
    out_bytes: *mut usize,
    _instance: *mut host_filter,
    context: *mut c_void,
    _config: *mut host_config,
) -> c_int {
    // SAFETY: the arguments are the host's, in the form of 1.9.0 to 1.9.2.
    unsafe { filter::<P>(data, bytes, tag, tag_len, out, out_bytes, context) }
}

/// # Safety
/// The pointers are the host's: `data` and `tag` readable for their lengths, `out` and
/// `out_bytes` writable, `context` NULL or what `start::<P>` set.
unsafe fn filter<P: FilterPlugin>(
    data: *const c_void,
    bytes: usize,
    tag: *const c_char,
    tag_len: c_int,
    out: *mut *mut c_void,
    out_bytes: *mut usize,
    context: *mut c_void,
) -> c_int {
    // SAFETY: the caller says so.
    let Some(context) = (unsafe { context.cast::<Context<P>>().as_ref() }) else {
        return NOT_TOUCHED;
    };
    if data.is_null() || out.is_null() || out_bytes.is_null() {
        return NOT_TOUCHED;
    }
    let core = &context.core;
    let mut state = lock(&context.state);
    let State {
        plugin: Some(plugin),
        out: buffer,
        stack,
    } = &mut *state
    else {
        return NOT_TOUCHED;
    };
    if !core.host.is_known_release() && !context.seen_records.load(Ordering::Relaxed) {
        // On the stack that has room for it, as all that says something.
        let is_readable = stack.run(|| context.look_at_first(data, bytes));
        if is_readable != Some(true) {
            return match without_verdict(core, buffer) {
                Verdict::Unchanged => NOT_TOUCHED,
                Verdict::Replaced => {
                    // SAFETY: both places are the host's out-parameters. Nothing goes on.
                    unsafe {
                        *out = std::ptr::null_mut();
                        *out_bytes = 0;
                    }
                    MODIFIED
                }
            };
        }
    }
    if bytes == 0 {
        return NOT_TOUCHED;
    }
    let chunk = Chunk {
        // SAFETY: readable for this length during the call, and nobody writes to it.
        data: unsafe { std::slice::from_raw_parts(data.cast(), bytes) },
        tag: match usize::try_from(tag_len) {
            // SAFETY: as above.
            Ok(len) if !tag.is_null() => unsafe { std::slice::from_raw_parts(tag.cast(), len) },
            _ => &[],
        },
    };
    let verdict = stack
        .run(|| judge(core, plugin, chunk, buffer))
        // Even what tells of a panic failed.
        .unwrap_or_else(|| without_verdict(core, buffer));
    let answer = match verdict {
        Verdict::Unchanged => NOT_TOUCHED,
        Verdict::Replaced => {
            let (copy, len) = to_host(buffer);
            // SAFETY: both places are the host's out-parameters.
            unsafe {
                *out = copy;
                *out_bytes = len;
            }
            MODIFIED
        }
    };
    if buffer.capacity() > KEPT_BYTES {
        *buffer = Vec::new();
    }
    answer
}

/// What the plugin makes of a batch.
fn judge<P: Filter>(
    core: &Core,
    plugin: &mut P,
    chunk: Chunk<'_>,
    buffer: &mut Vec<u8>,
) -> Verdict {
    buffer.clear();
    core.run(|| plugin.filter(chunk, buffer))
        .or_else(|| {
            buffer.clear();
            core.run(|| plugin.recover(chunk, buffer))
        })
        .unwrap_or_else(|| {
            let verdict = without_verdict(core, buffer);
            if verdict == Verdict::Replaced {
                let bytes = chunk.data.len();
                core.run(|| {
                    tracing::error!(
                        "a batch of {bytes} bytes was dropped: it could not be checked"
                    );
                });
            }
            verdict
        })
}

/// What becomes of a batch when even the way out failed: what may hold secrets does not go on.
fn without_verdict(core: &Core, buffer: &mut Vec<u8>) -> Verdict {
    buffer.clear();
    if core.sensitive {
        Verdict::Replaced
    } else {
        Verdict::Unchanged
    }
}

/// A copy that the host frees with its own `free`; (NULL, 0) for nothing.
fn to_host(buffer: &[u8]) -> (*mut c_void, usize) {
    if buffer.is_empty() {
        return (std::ptr::null_mut(), 0);
    }
    // SAFETY: plain malloc, which is the one that the host's free belongs to: both resolve to
    // the same symbol, be it libc's or the host's own.
    let copy = unsafe { libc::malloc(buffer.len()) };
    if copy.is_null() {
        std::alloc::handle_alloc_error(std::alloc::Layout::for_value(buffer));
    }
    // SAFETY: freshly allocated with this length, so it does not overlap.
    unsafe { std::ptr::copy_nonoverlapping(buffer.as_ptr(), copy.cast(), buffer.len()) };
    (copy, buffer.len())
}

unsafe extern "C" fn exit<P: FilterPlugin>(
    context: *mut c_void,
    _config: *mut host_config,
) -> c_int {
    if context.is_null() {
        return 0;
    }
    // SAFETY: made by Box::into_raw in `start`; the host calls exit once, after every other call.
    let context = unsafe { Box::from_raw(context.cast::<Context<P>>()) };
    if let Some(timer) = &context.timer {
        timer.stop();
    }
    let plugin = lock(&context.state).plugin.take();
    super::end(&context.core, plugin, P::exit);
    0
}
