//! `tracing` inside, the host's log outside.
//!
//! Every instance has a span; the border enters it around each callback, and threads of a plugin
//! inherit it. An event goes to the instance of the current span, if its level lets it through.
//! The host's logger works only on the host's own threads, so lines from others wait in the
//! instance's queue for its next callback or timer.

mod limit;
mod plain;

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::ffi::{c_int, CString};
use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::time::Instant;

use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Span, Subscriber};
use tracing_core::span::Current;

use limit::Limits;
use plain::plain;

/// Most lines that wait for a callback; what comes on top is counted.
const MAX_WAITING: usize = 256;

/// Where the log lines of one instance go.
#[derive(Debug)]
pub(crate) struct InstanceLog {
    prefix: String,
    /// `FLB_LOG_*`: 1 error to 5 trace.
    level: c_int,
    sensitive: bool,
    print: fn(c_int, &str),
    waiting: Mutex<VecDeque<(c_int, String)>>,
    has_waiting: AtomicBool,
    dropped: AtomicU64,
    panics: AtomicU64,
    limits: Mutex<Limits>,
    /// Lines were left out, and that is not told yet.
    owes: AtomicBool,
}

impl InstanceLog {
    /// For the instance `name` of plugin `plugin`; `section` is `input`, `filter` or `output`.
    pub(crate) fn new(
        section: &str,
        plugin: &str,
        name: &str,
        level: c_int,
        sensitive: bool,
    ) -> Arc<Self> {
        Arc::new(InstanceLog {
            prefix: format!("[{section}:{plugin}:{name}] "),
            level,
            sensitive,
            print: print_by_host,
            waiting: Mutex::new(VecDeque::new()),
            has_waiting: AtomicBool::new(false),
            dropped: AtomicU64::new(0),
            panics: AtomicU64::new(0),
            limits: Mutex::new(Limits::default()),
            owes: AtomicBool::new(false),
        })
    }

    fn line(&self, level: c_int, text: &str) {
        let text = plain(text);
        let mut line = String::with_capacity(self.prefix.len() + text.len());
        line.push_str(&self.prefix);
        line.push_str(&text);
        if ON_HOST_THREAD.get() {
            self.deliver_waiting();
            (self.print)(level, &line);
            return;
        }
        let mut waiting = self.lock();
        if waiting.len() < MAX_WAITING {
            waiting.push_back((level, line));
        } else {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        self.has_waiting.store(true, Ordering::Release);
    }

    /// An event of the kind that comes from this place.
    fn event(&self, level: c_int, kind: Identifier, text: &str) {
        if level > INFO {
            return self.line(level, text);
        }
        let said = lock(&self.limits).may_say(kind, level, text, Instant::now());
        match said {
            None => self.owes.store(true, Ordering::Release),
            Some(0) => self.line(level, text),
            Some(before) => self.line(level, &format!("{text} ({before} such lines left out)")),
        }
    }

    /// Tells what was left out, if it may be by now, or `all` of it.
    pub(crate) fn tell_left_out(&self, all: bool) {
        if !self.owes.load(Ordering::Acquire) {
            return;
        }
        let told = {
            let mut limits = lock(&self.limits);
            let told = limits.left_out(all, Instant::now());
            self.owes.store(limits.owes(), Ordering::Release);
            told
        };
        for (level, number, example) in told {
            self.line(
                level,
                &format!("{number} lines left out such as: {example}"),
            );
        }
    }

    /// Hands over what other threads wrote. To be called on a thread of the host.
    pub(crate) fn deliver_waiting(&self) {
        if !self.has_waiting.swap(false, Ordering::Acquire) {
            return;
        }
        let lines = std::mem::take(&mut *self.lock());
        for (level, line) in lines {
            (self.print)(level, &line);
        }
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            let text = format!(
                "{}{dropped} log lines left out: too many at once",
                self.prefix
            );
            (self.print)(WARN, &text);
        }
    }

    /// Writes what waits to stderr, as far as that takes it at once: the process is about to end,
    /// and the host's logger may hang with the host.
    pub(crate) fn deliver_to_stderr(&self) {
        // Not under the lock: whoever logs would wait for stderr, too.
        let lines = std::mem::take(&mut *self.lock());
        for (level, line) in lines {
            let level = match level {
                ERROR => "error",
                WARN => " warn",
                _ => " info",
            };
            if !crate::process_end::write_to_stderr(&format!("[{level}] {line}\n")) {
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(c_int, String)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The span that makes events belong to this instance.
    pub(crate) fn span(self: &Arc<Self>) -> Span {
        install();
        let id = NEXT_INSTANCE.fetch_add(1, Ordering::Relaxed);
        lock(&ANNOUNCED)
            .get_or_insert_default()
            .insert(id, Arc::clone(self));
        let span = tracing::error_span!("instance", flb_instance = id);
        // The subscriber has taken it over by now.
        lock(&ANNOUNCED).get_or_insert_default().remove(&id);
        span
    }
}

const ERROR: c_int = 1;
const WARN: c_int = 2;
const INFO: c_int = 3;

fn number(level: Level) -> c_int {
    match level {
        Level::ERROR => ERROR,
        Level::WARN => WARN,
        Level::INFO => INFO,
        Level::DEBUG => 4,
        Level::TRACE => 5,
    }
}

fn print_by_host(level: c_int, line: &str) {
    let print = crate::host::get().and_then(|host| host.functions.log_print);
    let Some(print) = print else {
        to_stderr(line);
        return;
    };
    let text = CString::new(line.replace('\0', "\\0")).unwrap_or_default();
    // SAFETY: flb_log_print with the format "%s" and one string, on a thread of the host.
    unsafe { print(level, std::ptr::null(), 0, c"%s".as_ptr(), text.as_ptr()) };
}

fn to_stderr(line: &str) {
    // Nothing is left to tell it to when stderr is closed.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Writes a line where no instance exists yet.
pub(crate) fn before_any_instance(line: &str) {
    to_stderr(&format!("[flb-sidecar] {}", plain(line)));
}

thread_local! {
    static ON_HOST_THREAD: Cell<bool> = const { Cell::new(false) };
    /// Spans entered on this thread, innermost last.
    static ENTERED: RefCell<Vec<Entered>> = const { RefCell::new(Vec::new()) };
}

struct Entered {
    id: Id,
    metadata: &'static Metadata<'static>,
    log: Option<Arc<InstanceLog>>,
}

/// Runs `body` on a thread of the host, as the instance that `span` belongs to.
pub(crate) fn on_host_thread<R>(span: &Span, log: &InstanceLog, body: impl FnOnce() -> R) -> R {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            ON_HOST_THREAD.set(self.0);
        }
    }
    let _restore = Restore(ON_HOST_THREAD.replace(true));
    log.deliver_waiting();
    log.tell_left_out(false);
    span.in_scope(body)
}

fn current() -> Option<Arc<InstanceLog>> {
    // try_borrow: a panic inside the subscriber must still find its way to stderr.
    ENTERED
        .try_with(|entered| {
            entered
                .try_borrow()
                .ok()
                .and_then(|all| all.iter().rev().find_map(|e| e.log.clone()))
        })
        .ok()
        .flatten()
}

/// The current instance's panics may quote records.
pub(crate) fn is_sensitive() -> bool {
    current().is_some_and(|log| log.sensitive)
}

/// Logs a panic as the current instance, or on stderr.
pub(crate) fn report_panic(text: &str) {
    let Some(log) = current() else {
        before_any_instance(text);
        return;
    };
    let times = log.panics.fetch_add(1, Ordering::Relaxed) + 1;
    // A callback may panic many times a second: said at first, then ever more rarely.
    if times <= 3 {
        log.line(ERROR, text);
    } else if times.is_power_of_two() {
        log.line(ERROR, &format!("{text} ({times} panics so far)"));
    }
}

static NEXT_INSTANCE: AtomicU64 = AtomicU64::new(1);
/// Instances whose span is being made.
static ANNOUNCED: Mutex<Option<HashMap<u64, Arc<InstanceLog>>>> = Mutex::new(None);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Fails only in a test program that has a subscriber of its own.
        let _ = tracing::subscriber::set_global_default(ToHost::default());
    });
}

/// A live span: which instance it belongs to, and how many handles it has.
struct LiveSpan {
    log: Option<Arc<InstanceLog>>,
    metadata: &'static Metadata<'static>,
    handles: usize,
}

/// The subscriber.
#[derive(Default)]
struct ToHost {
    next: AtomicU64,
    spans: Mutex<HashMap<u64, LiveSpan>>,
}

impl Subscriber for ToHost {
    /// Levels are per instance, so no answer holds for a callsite as a whole. The default would
    /// keep the first instance's answer for all.
    fn register_callsite(&self, _metadata: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_span() || current().is_some_and(|log| number(*metadata.level()) <= log.level)
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut find = FindInstance(None);
        attributes.record(&mut find);
        let log = match find.0 {
            Some(id) => lock(&ANNOUNCED).get_or_insert_default().get(&id).cloned(),
            None => current(),
        };
        let id = self.next.fetch_add(1, Ordering::Relaxed) + 1;
        lock(&self.spans).insert(
            id,
            LiveSpan {
                log,
                metadata: attributes.metadata(),
                handles: 1,
            },
        );
        Id::from_u64(id)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let Some(log) = current() else {
            return;
        };
        let mut text = Text::default();
        event.record(&mut text);
        let metadata = event.metadata();
        log.event(
            number(*metadata.level()),
            metadata.callsite(),
            &text.finish(),
        );
    }

    fn enter(&self, span: &Id) {
        let found = lock(&self.spans)
            .get(&span.into_u64())
            .map(|live| (live.metadata, live.log.clone()));
        if let Some((metadata, log)) = found {
            ENTERED.with_borrow_mut(|entered| {
                entered.push(Entered {
                    id: span.clone(),
                    metadata,
                    log,
                });
            });
        }
    }

    fn exit(&self, span: &Id) {
        ENTERED.with_borrow_mut(|entered| {
            if let Some(at) = entered.iter().rposition(|e| e.id == *span) {
                entered.remove(at);
            }
        });
    }

    fn clone_span(&self, id: &Id) -> Id {
        if let Some(live) = lock(&self.spans).get_mut(&id.into_u64()) {
            live.handles += 1;
        }
        id.clone()
    }

    fn try_close(&self, id: Id) -> bool {
        let mut spans = lock(&self.spans);
        let Some(live) = spans.get_mut(&id.into_u64()) else {
            return false;
        };
        live.handles -= 1;
        let last = live.handles == 0;
        if last {
            spans.remove(&id.into_u64());
        }
        last
    }

    fn current_span(&self) -> Current {
        ENTERED.with_borrow(|entered| {
            entered
                .last()
                .map_or_else(Current::none, |e| Current::new(e.id.clone(), e.metadata))
        })
    }
}

struct FindInstance(Option<u64>);

impl Visit for FindInstance {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "flb_instance" {
            self.0 = Some(value);
        }
    }

    fn record_debug(&mut self, _field: &Field, _value: &dyn fmt::Debug) {}
}

/// An event as text: the message, then the other fields as `name=value`.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Text {
    fn finish(mut self) -> String {
        self.message.push_str(&self.fields);
        self.message
    }
}

impl Visit for Text {
    fn record_str(&mut self, field: &Field, value: &str) {
        // Writing to a String does not fail, here and below.
        let _ = match field.name() {
            "message" => write!(self.message, "{value}"),
            name => write!(self.fields, " {name}={value}"),
        };
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

/// Every `FLB_LOG_*` level that lets `check` through, as the highest of them.
pub(crate) fn level_by(check: impl Fn(c_int) -> bool) -> c_int {
    (ERROR..=5).rev().find(|level| check(*level)).unwrap_or(0)
}

/// Level for an instance whose own one is not known: info.
pub(crate) const DEFAULT_LEVEL: c_int = 3;
