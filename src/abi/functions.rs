//! The host's functions, found by name. What a host lacks is `None`.

use std::ffi::{c_char, c_double, c_int, c_void, CStr};

use host_abi::{Facts, Signature};

use super::bindings::{host_config, host_event_chunk, host_flush, host_input};
use super::observe;
use super::signatures::Signed;

/// Any instance: the functions of the three kinds differ only in the name.
pub(crate) type Instance = c_void;
/// A metrics context, counter or gauge.
pub(crate) type MetricHandle = c_void;

type SetContext = unsafe extern "C" fn(*mut Instance, *mut c_void);
/// Result: negative if it was not taken.
pub(crate) type SetProperty =
    unsafe extern "C" fn(*mut Instance, *const c_char, *const c_char) -> c_int;
type GetProperty = unsafe extern "C" fn(*const c_char, *mut Instance) -> *const c_char;
type GetName = unsafe extern "C" fn(*mut Instance) -> *const c_char;
type LogCheck = unsafe extern "C" fn(*mut Instance, c_int) -> c_int;
type GetMetrics = unsafe extern "C" fn(*mut Instance) -> *mut MetricHandle;
type CollectCallback =
    unsafe extern "C" fn(*mut host_input, *mut host_config, *mut c_void) -> c_int;
type CollectorCall = unsafe extern "C" fn(c_int, *mut Instance) -> c_int;
type TimerCallback = unsafe extern "C" fn(*mut host_config, *mut c_void);
type MultilineCallback =
    unsafe extern "C" fn(*mut c_void, *mut c_void, *mut c_void, *mut c_char, usize) -> c_int;
type GroupCallback = unsafe extern "C" fn(*const c_char, *const c_char, usize, *mut c_void);
type MetricCreate = unsafe extern "C" fn(
    *mut MetricHandle,
    *const c_char,
    *const c_char,
    *const c_char,
    *const c_char,
    c_int,
    *const *const c_char,
) -> *mut MetricHandle;
type MetricSet =
    unsafe extern "C" fn(*mut MetricHandle, u64, c_double, c_int, *const *const c_char) -> c_int;
/// The flush callback of an output, as the host's own plugins have it.
pub(crate) type Flush = unsafe extern "C" fn(
    *mut host_event_chunk,
    *mut host_flush,
    *mut host_input,
    *mut c_void,
    *mut host_config,
);

macro_rules! host_functions {
    ($( $(#[$doc:meta])* $field:ident = $symbol:literal : $type:ty; )*) => {
        /// Every host function this library may call.
        #[derive(Debug, Default)]
        pub(crate) struct Functions {
            $( $(#[$doc])* pub(crate) $field: Option<$type>, )*
        }

        /// Names of all of them.
        pub const NAMES: &[&str] = &[ $( names::$field ),* ];

        /// The names as text.
        #[allow(non_upper_case_globals)]
        mod names {
            $( pub(super) const $field: &str = super::text($symbol); )*
        }

        impl Functions {
            /// Looks all of them up. With `facts`, only what those prove to be callable as we
            /// do is taken; `unproven` says what was left out.
            pub(crate) fn find(facts: Option<&Facts>, unproven: &mut Vec<String>) -> Self {
                Functions {
                    $( $field: observe::symbol($symbol)
                        .filter(|_| proven(
                            facts,
                            names::$field,
                            &<$type as Signed>::signature(),
                            unproven,
                        ))
                        .map(|address| {
                            // SAFETY: the symbol is the host function of this name; its signature
                            // is the one of every release in the table, or was compared just now.
                            unsafe { std::mem::transmute::<*mut c_void, $type>(address) }
                        }), )*
                }
            }
        }
    };
}

/// A C string literal as text.
const fn text(name: &'static CStr) -> &'static str {
    match name.to_str() {
        Ok(text) => text,
        Err(_) => panic!("names of functions are ASCII"),
    }
}

/// Whether the host's function has our signature. Without facts the table vouches for it.
fn proven(
    facts: Option<&Facts>,
    name: &str,
    wanted: &Signature,
    unproven: &mut Vec<String>,
) -> bool {
    let Some(facts) = facts else {
        return true;
    };
    let why = match facts.functions.get(name) {
        Some(found) if found.fits(wanted) => return true,
        Some(found) => format!("{name} is {found} instead of {wanted}"),
        None => format!("what {name} takes is not known"),
    };
    unproven.push(why);
    false
}

host_functions! {
    input_set_context = c"flb_input_set_context": SetContext;
    filter_set_context = c"flb_filter_set_context": SetContext;
    output_set_context = c"flb_output_set_context": SetContext;
    input_get_property = c"flb_input_get_property": GetProperty;
    filter_get_property = c"flb_filter_get_property": GetProperty;
    output_get_property = c"flb_output_get_property": GetProperty;
    output_set_property = c"flb_output_set_property": SetProperty;
    input_name = c"flb_input_name": GetName;
    filter_name = c"flb_filter_name": GetName;
    output_name = c"flb_output_name": GetName;
    /// Since 2.0.0.
    input_log_check = c"flb_input_log_check": LogCheck;
    /// Since 2.0.0. Filters never had one.
    output_log_check = c"flb_output_log_check": LogCheck;
    /// Since 2.0.0.
    input_metrics = c"flb_input_get_cmt_instance": GetMetrics;
    /// Since 2.0.0.
    output_metrics = c"flb_output_get_cmt_instance": GetMetrics;
    output_by_id = c"flb_output_get_instance":
        unsafe extern "C" fn(*mut host_config, c_int) -> *mut Instance;
    input_by_id = c"flb_input_get_instance":
        unsafe extern "C" fn(*mut host_config, c_int) -> *mut Instance;

    collector_event = c"flb_input_set_collector_event": unsafe extern "C" fn(
        *mut Instance, CollectCallback, c_int, *mut host_config) -> c_int;
    collector_pause = c"flb_input_collector_pause": CollectorCall;
    collector_resume = c"flb_input_collector_resume": CollectorCall;

    scheduler = c"flb_sched_ctx_get": unsafe extern "C" fn() -> *mut c_void;
    timer_create = c"flb_sched_timer_cb_create": unsafe extern "C" fn(
        *mut c_void, c_int, c_int, TimerCallback, *mut c_void, *mut *mut c_void) -> c_int;

    /// With the number of records, 2.0.0 and later.
    log_append_records = c"flb_input_log_append_records": unsafe extern "C" fn(
        *mut Instance, usize, *const c_char, usize, *const c_void, usize) -> c_int;
    /// 2.0.0 and later.
    log_append = c"flb_input_log_append": unsafe extern "C" fn(
        *mut Instance, *const c_char, usize, *const c_void, usize) -> c_int;
    /// With the number of records, before 2.0.0.
    chunk_append_records = c"flb_input_chunk_append_raw2": unsafe extern "C" fn(
        *mut Instance, usize, *const c_char, usize, *const c_void, usize) -> c_int;
    /// To be called on hosts before 2.0.0 only: later ones have other arguments.
    chunk_append_raw = c"flb_input_chunk_append_raw": unsafe extern "C" fn(
        *mut Instance, *const c_char, usize, *const c_void, usize) -> c_int;

    parser_get = c"flb_parser_get":
        unsafe extern "C" fn(*const c_char, *mut host_config) -> *mut c_void;
    /// Result: a msgpack map to be freed; negative: no match.
    parser_do = c"flb_parser_do": unsafe extern "C" fn(
        *mut c_void, *const c_char, usize, *mut *mut c_void, *mut usize, *mut libc::timespec) -> c_int;

    regex_create = c"flb_regex_create": unsafe extern "C" fn(*const c_char) -> *mut c_void;
    /// Result: the number of groups; the last argument is where the host keeps what it found.
    regex_do = c"flb_regex_do": unsafe extern "C" fn(
        *mut c_void, *const c_char, usize, *mut c_void) -> isize;
    /// Calls back for each named group of a search that found some.
    regex_parse = c"flb_regex_parse": unsafe extern "C" fn(
        *mut c_void, *mut c_void, Option<GroupCallback>, *mut c_void) -> c_int;
    regex_destroy = c"flb_regex_destroy": unsafe extern "C" fn(*mut c_void) -> c_int;

    multiline_create = c"flb_ml_create":
        unsafe extern "C" fn(*mut host_config, *const c_char) -> *mut c_void;
    multiline_destroy = c"flb_ml_destroy": unsafe extern "C" fn(*mut c_void) -> c_int;
    multiline_parser = c"flb_ml_parser_instance_create":
        unsafe extern "C" fn(*mut c_void, *const c_char) -> *mut c_void;
    multiline_stream = c"flb_ml_stream_create": unsafe extern "C" fn(
        *mut c_void, *const c_char, c_int, MultilineCallback, *mut c_void, *mut u64) -> c_int;
    /// Since 2.1.0.
    multiline_push_text = c"flb_ml_append_text": unsafe extern "C" fn(
        *mut c_void, u64, *mut libc::timespec, *mut c_void, usize) -> c_int;
    /// Before 2.1.0.
    multiline_push_before_2_1 = c"flb_ml_append": unsafe extern "C" fn(
        *mut c_void, u64, c_int, *mut libc::timespec, *mut c_void, usize) -> c_int;
    multiline_flush = c"flb_ml_flush_pending_now": unsafe extern "C" fn(*mut c_void);

    sqlite_open = c"sqlite3_open_v2": unsafe extern "C" fn(
        *const c_char, *mut *mut c_void, c_int, *const c_char) -> c_int;
    sqlite_prepare = c"sqlite3_prepare_v2": unsafe extern "C" fn(
        *mut c_void, *const c_char, c_int, *mut *mut c_void, *mut *const c_char) -> c_int;
    sqlite_step = c"sqlite3_step": unsafe extern "C" fn(*mut c_void) -> c_int;
    sqlite_column_blob = c"sqlite3_column_blob":
        unsafe extern "C" fn(*mut c_void, c_int) -> *const c_void;
    sqlite_column_bytes = c"sqlite3_column_bytes":
        unsafe extern "C" fn(*mut c_void, c_int) -> c_int;
    sqlite_column_int64 = c"sqlite3_column_int64":
        unsafe extern "C" fn(*mut c_void, c_int) -> i64;
    sqlite_progress = c"sqlite3_progress_handler": unsafe extern "C" fn(
        *mut c_void, c_int, Option<unsafe extern "C" fn(*mut c_void) -> c_int>, *mut c_void);
    sqlite_limit = c"sqlite3_limit":
        unsafe extern "C" fn(*mut c_void, c_int, c_int) -> c_int;
    sqlite_finalize = c"sqlite3_finalize": unsafe extern "C" fn(*mut c_void) -> c_int;
    sqlite_close = c"sqlite3_close": unsafe extern "C" fn(*mut c_void) -> c_int;

    log_print = c"flb_log_print":
        unsafe extern "C" fn(c_int, *const c_char, c_int, *const c_char, ...);

    /// Dispatches every chunk now.
    engine_flush = c"flb_engine_flush":
        unsafe extern "C" fn(*mut host_config, *mut c_void) -> c_int;
    engine_exit_status = c"flb_engine_exit_status":
        unsafe extern "C" fn(*mut host_config, c_int) -> c_int;
    /// Sets a property of the service section.
    service_property = c"flb_config_set_property":
        unsafe extern "C" fn(*mut host_config, *const c_char, *const c_char) -> c_int;
    /// Takes the request of a retry out of the scheduler; 0: there was one.
    forget_request = c"flb_sched_request_invalidate":
        unsafe extern "C" fn(*mut host_config, *mut c_void) -> c_int;
    /// Delivers a retry now.
    dispatch_retry = c"flb_engine_dispatch_retry":
        unsafe extern "C" fn(*mut c_void, *mut host_config) -> c_int;
    running_tasks = c"flb_task_running_count": unsafe extern "C" fn(*mut host_config) -> c_int;
    /// Since 4.0.3.
    storage_chunks = c"flb_storage_chunk_count":
        unsafe extern "C" fn(*mut host_config, *mut c_int, *mut c_int);
    /// Counts chunks, in places for six ints: the fourth has those in files.
    chunk_statistics = c"cio_stats_get": unsafe extern "C" fn(*mut c_void, *mut c_void);
    counter_create = c"cmt_counter_create": MetricCreate;
    counter_set = c"cmt_counter_set": MetricSet;
    gauge_create = c"cmt_gauge_create": MetricCreate;
    gauge_set = c"cmt_gauge_set": MetricSet;
    /// Every metric of a context as Prometheus text; one of the host's strings.
    metrics_text = c"cmt_encode_prometheus_create":
        unsafe extern "C" fn(*mut MetricHandle, c_int) -> *mut c_char;
    metrics_text_free = c"cmt_encode_prometheus_destroy": unsafe extern "C" fn(*mut c_char);
    /// The same as plain text: hosts without an HTTP server may lack the other one.
    metrics_plain = c"cmt_encode_text_create":
        unsafe extern "C" fn(*mut MetricHandle) -> *mut c_char;
    metrics_plain_free = c"cmt_encode_text_destroy": unsafe extern "C" fn(*mut c_char);
    /// Since 2.0.0.
    metrics_clock = c"cfl_time_now": unsafe extern "C" fn() -> u64;
    /// Before 2.0.0.
    metrics_clock_before_2_0 = c"cmt_time_now": unsafe extern "C" fn() -> u64;
}

impl Functions {
    /// Names of the functions without which no plugin works.
    pub(crate) fn missing(&self) -> Vec<&'static str> {
        let append = self.log_append.is_some() || self.chunk_append_raw.is_some();
        [
            ("flb_input_set_context", self.input_set_context.is_some()),
            ("flb_filter_set_context", self.filter_set_context.is_some()),
            ("flb_output_set_context", self.output_set_context.is_some()),
            ("flb_input_get_property", self.input_get_property.is_some()),
            (
                "flb_filter_get_property",
                self.filter_get_property.is_some(),
            ),
            (
                "flb_output_get_property",
                self.output_get_property.is_some(),
            ),
            (
                "flb_input_set_collector_event",
                self.collector_event.is_some(),
            ),
            ("flb_input_collector_pause", self.collector_pause.is_some()),
            (
                "flb_input_collector_resume",
                self.collector_resume.is_some(),
            ),
            ("flb_sched_ctx_get", self.scheduler.is_some()),
            ("flb_sched_timer_cb_create", self.timer_create.is_some()),
            ("an append function", append),
            ("flb_log_print", self.log_print.is_some()),
            ("flb_engine_exit_status", self.engine_exit_status.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, found)| (!found).then_some(name))
        .collect()
    }
}
