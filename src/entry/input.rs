//! Entry points of an input.

use std::cell::{Cell, RefCell};
use std::ffi::{c_int, c_void, CString};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, TryLockError};
use std::time::{Duration, Instant};

use flb_sidecar_sdk::event::RecordFormat;
use flb_sidecar_sdk::metrics::Metrics;
use flb_sidecar_sdk::{
    ChunkNews, ConfigError, HostRegex, Input, InputHost, Multiline, Parsers, Pending, Refused,
    RegexError, StockPosition, StockTail, Wake,
};

use super::{lock, OurName, INIT_FAILED, INIT_OK};
use crate::abi::bindings::{host_config, host_input};
use crate::abi::generations::AppendCall;
use crate::abi::layouts::InputCallbacks;
use crate::abi::memory::Memory;
use crate::chunk_watch::ChunkWatch;
use crate::holdings::{Holder, Positions, Surroundings, BLIND_RING_DELAY};
use crate::host::Section;
use crate::instance::Core;
use crate::link::DrainLink;
use crate::multiline::HostMultiline;
use crate::parsers::HostParsers;
use crate::regex::Regex;
use crate::sqlite;
use crate::stock_tails;
use crate::wake::EngineThread;

/// An input of this library: its type, and where its name was registered.
pub(crate) trait InputPlugin: Input {
    /// Set by the constructor.
    fn our_name() -> &'static OurName;
}

/// What the host keeps for an instance. Starts with the link, which other copies look for.
#[repr(C)]
struct Context<P> {
    link: DrainLink,
    core: Core,
    seen: Seen,
    watch: Arc<ChunkWatch>,
    collectors: Mutex<Vec<c_int>>,
    /// Readable every [`Input::TICK`].
    clock: OwnedFd,
    paused: AtomicBool,
    /// The host has collected, so every instance has come up. One that fails to start stops without
    /// that: it pauses us while a filter behind us is half made, so nothing may be appended then.
    collected: AtomicBool,
    /// Pause or resume came while the plugin was running: it is told when it returns.
    told: Mutex<Told>,
    plugin: Mutex<Option<P>>,
}

/// What was read from the host's instance when it started.
#[derive(Debug, Default)]
struct Seen {
    tag: Option<String>,
    /// It runs on a thread of its own: what is appended goes through a ring, which the engine
    /// empties every quarter of a second, unless it is blocked or the input is paused.
    threaded: bool,
    /// It is known to run on the engine's thread.
    on_engine: bool,
    /// When there was last something where the engine's chunks do not show it.
    hidden_at: Cell<Option<Instant>>,
    surroundings: RefCell<Option<Rc<Surroundings>>>,
    last_append: Cell<Option<Instant>>,
}

impl Seen {
    fn read(core: &Core) -> Self {
        let known = &core.layout.input;
        let field = |offset: Option<usize>| (core.instance as usize).checked_add(offset?);
        let Some(mut memory) = Memory::open() else {
            return Seen::default();
        };
        let tag = field(known.tag)
            .and_then(|at| memory.word(at))
            .and_then(|tag| memory.sds(tag));
        let threaded = field(known.threaded).and_then(|at| memory.int(at));
        Seen {
            tag: tag.and_then(|tag| String::from_utf8(tag).ok()),
            threaded: threaded == Some(1),
            on_engine: known.threaded.is_none() || threaded == Some(0),
            ..Seen::default()
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Told {
    #[default]
    Nothing,
    Pause,
    Resume,
}

/// Callbacks of `P`.
pub(crate) fn callbacks<P: InputPlugin>() -> InputCallbacks {
    InputCallbacks {
        init: Some(init::<P>),
        collect: Some(collect_event::<P>),
        pause: Some(pause::<P>),
        resume: Some(resume::<P>),
        exit: Some(exit::<P>),
    }
}

unsafe extern "C" fn init<P: InputPlugin>(
    instance: *mut host_input,
    config: *mut host_config,
    _data: *mut c_void,
) -> c_int {
    super::init(|| start::<P>(instance.cast(), config))
}

fn start<P: InputPlugin>(instance: *mut c_void, config: *mut host_config) -> c_int {
    let Some(opened) = super::open(Section::Input, instance, config, &P::INFO, P::our_name())
    else {
        return INIT_FAILED;
    };
    let core = opened.core;
    let host = core.host;
    let seen = Seen::read(&core);
    let paused = AtomicBool::new(false);
    let watch = Arc::new(if seen.on_engine {
        ChunkWatch::new()
    } else {
        ChunkWatch::blind()
    });
    let made = super::make(&core, opened.settings, |settings| {
        let clock = start_clock(P::TICK).map_err(|error| {
            ConfigError::other(format!("the system has no timer left: {error}"))
        })?;
        let mut handle = Handle {
            core: &core,
            seen: &seen,
            watch: &watch,
            paused: &paused,
            engine_runs: false,
        };
        Ok((P::init(settings, &mut handle)?, clock))
    });
    let Some((plugin, clock)) = made else {
        return INIT_FAILED;
    };
    let holder = Holder::new(host, core.layout, instance, config);
    let context = Box::new(Context {
        link: DrainLink::new(plugin.drain_handle(), Some((watch.clone(), holder))),
        core,
        seen,
        watch,
        collectors: Mutex::new(Vec::new()),
        clock,
        paused,
        collected: AtomicBool::new(false),
        told: Mutex::new(Told::Nothing),
        plugin: Mutex::new(Some(plugin)),
    });
    let context = Box::into_raw(context);
    // SAFETY: just made; the host gives it back to our callbacks on this instance's thread.
    let shared = unsafe { &*context };
    if !start_collectors::<P>(shared) {
        // SAFETY: the host has not been given the pointer.
        let mut context = unsafe { Box::from_raw(context) };
        context
            .core
            .run(|| tracing::error!("the host took no collector"));
        let plugin = context.plugin.get_mut().ok().and_then(Option::take);
        super::end(&context.core, plugin, P::exit);
        return INIT_FAILED;
    }
    if let Some(set_context) = host.functions.input_set_context {
        // SAFETY: the instance is the host's; the context lives until `exit`.
        unsafe { set_context(instance, context.cast()) };
    }
    shared
        .core
        .run(|| check_context(&shared.core, context as usize));
    INIT_OK
}

/// Outputs of ours find this input by its context.
fn check_context(core: &Core, context: usize) {
    let at = core.layout.input.context;
    let found = at
        .and_then(|at| (core.instance as usize).checked_add(at))
        .and_then(|at| Memory::open()?.word(at));
    if found != Some(context) {
        let what =
            "the context of this input: completion_exit does not find it, and cannot wait for it";
        tracing::warn!("{}", core.host.origin.contradicted(what));
    }
}

fn start_collectors<P: InputPlugin>(context: &Context<P>) -> bool {
    let functions = &context.core.host.functions;
    let Some(by_event) = functions.collector_event else {
        return false;
    };
    // SAFETY: instance and config are the host's, the callback is `collect_tick` of this plugin;
    // the context keeps the descriptor open.
    let tick = unsafe {
        by_event(
            context.core.instance,
            collect_tick::<P>,
            context.clock.as_raw_fd(),
            context.core.config,
        )
    };
    let mut collectors = lock(&context.collectors);
    collectors.push(tick);
    let wake_fd = lock(&context.plugin)
        .as_ref()
        .and_then(|plugin| plugin.wake_fd().map(|fd| fd.as_raw_fd()));
    if let Some(fd) = wake_fd {
        // SAFETY: as above; the plugin keeps the descriptor open until its exit.
        let event = unsafe {
            by_event(
                context.core.instance,
                collect_event::<P>,
                fd,
                context.core.config,
            )
        };
        collectors.push(event);
    }
    collectors.iter().all(|id| *id >= 0)
}

/// A descriptor that becomes readable every `tick`.
///
/// Not a time collector of the host: releases up to 3.2.10 close that one's descriptor twice when
/// they pause it, and between the two a thread of a plugin may have been given its number.
fn start_clock(tick: Duration) -> io::Result<OwnedFd> {
    let flags = libc::TFD_NONBLOCK | libc::TFD_CLOEXEC;
    // SAFETY: makes a descriptor from two constants.
    let clock = unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, flags) };
    if clock < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: just made, and nobody else owns it.
    let clock = unsafe { OwnedFd::from_raw_fd(clock) };
    let every = libc::timespec {
        tv_sec: libc::time_t::try_from(tick.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: tick.subsec_nanos().into(),
    };
    let setting = libc::itimerspec {
        it_interval: every,
        it_value: every,
    };
    // SAFETY: our own descriptor and a setting that is only read.
    let set =
        unsafe { libc::timerfd_settime(clock.as_raw_fd(), 0, &setting, std::ptr::null_mut()) };
    if set == 0 {
        Ok(clock)
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Takes the ticks that have passed, so that the descriptor is quiet until the next.
fn take_ticks(clock: &OwnedFd) {
    let mut ticks = [0u8; 8];
    // SAFETY: reads at most 8 bytes into 8 bytes. Nothing to read is no error here.
    unsafe { libc::read(clock.as_raw_fd(), ticks.as_mut_ptr().cast(), ticks.len()) };
}

unsafe extern "C" fn collect_event<P: InputPlugin>(
    _instance: *mut host_input,
    _config: *mut host_config,
    context: *mut c_void,
) -> c_int {
    // SAFETY: the host gives back what `start` set.
    unsafe { collect::<P>(context, Wake::Event) };
    0
}

unsafe extern "C" fn collect_tick<P: InputPlugin>(
    _instance: *mut host_input,
    _config: *mut host_config,
    context: *mut c_void,
) -> c_int {
    // SAFETY: the host gives back what `start` set.
    if let Some(context) = unsafe { borrow::<P>(context) } {
        take_ticks(&context.clock);
    }
    // SAFETY: as above.
    unsafe { collect::<P>(context, Wake::Tick) };
    0
}

/// The context behind the host's pointer.
///
/// # Safety
/// `context` is NULL or what `start::<P>` set, and `exit` has not run.
unsafe fn borrow<'a, P>(context: *mut c_void) -> Option<&'a Context<P>> {
    // SAFETY: the caller says so.
    unsafe { context.cast::<Context<P>>().as_ref() }
}

/// # Safety
/// As [`borrow`].
unsafe fn collect<P: InputPlugin>(context: *mut c_void, wake: Wake) {
    // SAFETY: the caller says so.
    let Some(context) = (unsafe { borrow::<P>(context) }) else {
        return;
    };
    context.collected.store(true, Ordering::Release);
    context.call(|plugin, host| plugin.collect(wake, host));
    context.tell();
}

unsafe extern "C" fn pause<P: InputPlugin>(context: *mut c_void, _config: *mut host_config) {
    // SAFETY: the host gives back what `start` set.
    let Some(context) = (unsafe { borrow::<P>(context) }) else {
        return;
    };
    let runs_on = context.seen.threaded && !context.core.is_stopping();
    if !(runs_on && context.sees_room()) {
        context.paused.store(true, Ordering::Release);
    }
    // First of all: a collector that runs on keeps the engine alive after a stop.
    if !runs_on {
        context.each_collector(context.core.host.functions.collector_pause);
    }
    if !context.collected.load(Ordering::Acquire) {
        return;
    }
    if !context.call(|plugin, host| plugin.pause(host)) {
        *lock(&context.told) = Told::Pause;
    }
}

unsafe extern "C" fn resume<P: InputPlugin>(context: *mut c_void, _config: *mut host_config) {
    // SAFETY: the host gives back what `start` set.
    let Some(context) = (unsafe { borrow::<P>(context) }) else {
        return;
    };
    context.paused.store(false, Ordering::Release);
    if !context.seen.threaded {
        context.each_collector(context.core.host.functions.collector_resume);
    }
    if !context.collected.load(Ordering::Acquire) {
        return;
    }
    if !context.call(|plugin, host| plugin.resume(host)) {
        *lock(&context.told) = Told::Resume;
    }
}

unsafe extern "C" fn exit<P: InputPlugin>(
    context: *mut c_void,
    _config: *mut host_config,
) -> c_int {
    if context.is_null() {
        return 0;
    }
    // SAFETY: made by Box::into_raw in `start`; the host calls exit once, after every other call.
    let mut context = unsafe { Box::from_raw(context.cast::<Context<P>>()) };
    // Not every host calls at its very end, and the instance is still whole.
    if context.collected.load(Ordering::Acquire) {
        context.call(|plugin, host| {
            host.engine_has_stopped();
            plugin.ending(host);
        });
    }
    let plugin = context
        .plugin
        .get_mut()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
        .take();
    super::end(&context.core, plugin, P::exit);
    0
}

impl<P: InputPlugin> Context<P> {
    /// Calls the plugin, unless it is running already: appending may pause us from inside.
    fn call(&self, body: impl FnOnce(&mut P, &mut Handle<'_>)) -> bool {
        let mut guard = match self.plugin.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return false,
        };
        if let Some(plugin) = guard.as_mut() {
            let mut host = Handle {
                core: &self.core,
                seen: &self.seen,
                watch: &self.watch,
                paused: &self.paused,
                engine_runs: true,
            };
            let holder = host.holder();
            self.watch.called(&holder);
            let before = self.seen.last_append.get();
            self.core.run(|| {
                self.core.host.say_refusals();
                body(plugin, &mut host);
            });
            if self.seen.last_append.get() != before {
                self.watch.over(&holder);
            }
            self.watch.left();
        }
        true
    }

    /// Tells the plugin of the pause or resume that came while it was running.
    fn tell(&self) {
        let told = std::mem::take(&mut *lock(&self.told));
        match told {
            Told::Nothing => {}
            Told::Pause => {
                self.call(|plugin, host| plugin.pause(host));
                // What came meanwhile came from the plugin's own appends: no news.
                *lock(&self.told) = Told::Nothing;
            }
            Told::Resume => {
                self.call(|plugin, host| plugin.resume(host));
            }
        }
    }

    /// Whether what the host has room for is asked before each append. A threaded input needs that: some releases
    /// (2.1.0) tell it to pause through a queue of its thread and to go on directly, so that it may hear of both
    /// the other way round. Its collectors run on meanwhile, since changing them from the engine's thread crashes
    /// those releases.
    fn sees_room(&self) -> bool {
        self.core.layout.input.running.is_some() && Memory::open().is_some()
    }

    fn each_collector(&self, call: Option<unsafe extern "C" fn(c_int, *mut c_void) -> c_int>) {
        let Some(call) = call else {
            return;
        };
        let collectors = lock(&self.collectors).clone();
        for id in collectors {
            // SAFETY: the id is from this instance's own collectors.
            unsafe { call(id, self.core.instance) };
        }
    }
}

/// What the plugin sees of the host during one callback.
struct Handle<'a> {
    core: &'a Core,
    seen: &'a Seen,
    watch: &'a ChunkWatch,
    paused: &'a AtomicBool,
    /// The call is from the engine's loop: every instance is there.
    engine_runs: bool,
}

impl Handle<'_> {
    fn holder(&self) -> Holder {
        let core = self.core;
        Holder::new(core.host, core.layout, core.instance, core.config)
    }

    fn memory(&self) -> Option<Memory> {
        Memory::open().filter(|_| self.core.layout.input.plugin.is_some())
    }

    /// What is around this input. Filters and their emitters are made after it, and perhaps only
    /// while a threaded one runs already.
    fn surroundings(&self, memory: &mut Memory) -> Option<Rc<Surroundings>> {
        let mut known = self.seen.surroundings.borrow_mut();
        if let Some(surroundings) = known.as_ref() {
            return Some(surroundings.clone());
        }
        let found = Rc::new(self.holder().surroundings(memory, self.seen.threaded)?);
        if self.engine_runs && !self.seen.threaded {
            *known = Some(found.clone());
        }
        Some(found)
    }

    /// Whether something that was appended may not have come to the engine yet.
    fn ring_may_hold_something(&self) -> bool {
        let mut memory = self.memory();
        let ring = memory
            .as_mut()
            .and_then(|memory| self.holder().ring_holds_something(memory));
        ring.unwrap_or_else(|| {
            let appended = self.seen.last_append.get();
            appended.is_some_and(|at| at.elapsed() < BLIND_RING_DELAY)
        })
    }

    /// The engine waits for this input's end: what has left the ring is in a chunk by now, or gone.
    fn engine_has_stopped(&self) {
        let mut memory = self.memory();
        let memory = memory.as_mut();
        if memory.and_then(|memory| self.holder().ring_holds_something(memory)) == Some(false) {
            self.seen.hidden_at.set(None);
        }
    }

    /// The ring in front of an append that proves it.
    fn ring_to_prove(&self) -> Option<(Memory, Positions)> {
        if !self.seen.threaded || !self.core.host.rings.is_open() {
            return None;
        }
        let mut memory = self.memory()?;
        let before = self.holder().ring(&mut memory)?;
        Some((memory, before))
    }

    /// The ring of a threaded input takes what the engine may throw away, since it has no room (2.1.0).
    fn ring_leads_nowhere(&self) -> bool {
        self.seen.threaded && !self.core.is_stopping() && self.is_paused()
    }

    /// Nobody can tell how long records wait in front of an emitter, or inside one.
    fn emitters_are_stuck(&self, around: &Surroundings, memory: &mut Memory) -> bool {
        around.has_emitters() && self.core.is_stopping() || around.any_paused(memory)
    }

    fn held(&self) -> Option<Held> {
        let mut memory = self.memory()?;
        let holder = self.holder();
        let around = self.surroundings(&mut memory)?;
        let mut held = Held::default();
        if !around.delay.is_zero() {
            // Looked at before the chunks: what leaves the ring meanwhile is in one of those.
            let in_ring =
                self.seen.threaded && holder.ring_holds_something(&mut memory) == Some(true);
            around.chunks(&mut memory, &mut held.chunks)?;
            let stuck = self.emitters_are_stuck(&around, &mut memory);
            if in_ring || stuck || !held.chunks.is_empty() {
                self.seen.hidden_at.set(Some(Instant::now()));
            }
            let hidden_at = self.seen.hidden_at.get();
            held.hidden = hidden_at.is_some_and(|at| at.elapsed() < around.delay);
        }
        if !around.on_disk {
            held.chunks.extend(holder.chunks(&mut memory)?);
            held.tasks = holder.tasks(&mut memory)?;
        }
        Some(held)
    }
}

/// What a crash would take along.
#[derive(Debug, Default)]
struct Held {
    chunks: Vec<usize>,
    tasks: usize,
    /// There may be something besides.
    hidden: bool,
}

impl InputHost for Handle<'_> {
    fn record_format(&self) -> RecordFormat {
        self.core.host.behaviour.record_format
    }

    fn append(&mut self, tag: Option<&str>, records: usize, events: &[u8]) -> Result<(), Refused> {
        if events.is_empty() {
            return Ok(());
        }
        if self.ring_leads_nowhere() {
            self.watch.refused(&self.holder());
            return Err(Refused);
        }
        let functions = &self.core.host.functions;
        // Routers read one byte behind the tag's length, so it needs its NUL.
        let tag = tag.and_then(|tag| CString::new(tag).ok());
        let own_tag = tag;
        let (tag, tag_len) = own_tag
            .as_ref()
            .map_or((std::ptr::null(), 0), |t| (t.as_ptr(), t.as_bytes().len()));
        let (instance, data, bytes) = (self.core.instance, events.as_ptr().cast(), events.len());
        let (counted, uncounted) = match self.core.host.behaviour.append {
            AppendCall::ChunkRaw => (functions.chunk_append_records, functions.chunk_append_raw),
            AppendCall::Log => (functions.log_append_records, functions.log_append),
        };
        let mut ring = self.ring_to_prove();
        let result = match (counted, uncounted) {
            (Some(append), _) => {
                // SAFETY: the host copies the data; the count is the plugin's. On the generations
                // of either family the function has these arguments.
                Some(unsafe { append(instance, records, tag, tag_len, data, bytes) })
            }
            (None, Some(append)) => {
                // SAFETY: as above; the host counts.
                Some(unsafe { append(instance, tag, tag_len, data, bytes) })
            }
            (None, None) => None,
        };
        match result {
            Some(code) if code >= 0 => {
                if let Some((memory, before)) = &mut ring {
                    self.holder().prove_ring(memory, *before);
                }
                let now = Some(Instant::now());
                self.seen.hidden_at.set(now);
                self.seen.last_append.set(now);
                let tag = own_tag.as_deref();
                self.watch.appended(&self.holder(), tag, records, bytes);
                Ok(())
            }
            _ => {
                self.watch.refused(&self.holder());
                Err(Refused)
            }
        }
    }

    fn tag(&self) -> Option<&str> {
        self.seen.tag.as_deref()
    }

    fn is_paused(&self) -> bool {
        let full = || {
            let memory = self.memory();
            memory.is_some_and(|mut memory| self.holder().is_paused(&mut memory))
        };
        self.paused.load(Ordering::Acquire) || self.seen.threaded && full()
    }

    fn is_stopping(&self) -> bool {
        self.core.is_stopping()
    }

    fn flush(&mut self) {
        // Elsewhere the engine may be at the same lists. What a threaded input appended is not in
        // them yet anyway: the engine takes it over and dispatches it by itself.
        if self.seen.on_engine {
            self.core.flush_engine();
        }
    }

    fn exit(&mut self, status: i32) -> bool {
        if self.seen.threaded && self.ring_may_hold_something() {
            return false;
        }
        let engine = (!self.seen.threaded).then(EngineThread::current);
        self.core.exit_engine(status, engine)
    }

    fn pending(&self) -> Option<Pending> {
        let held = self.held()?;
        Some(Pending {
            chunks: held.chunks.len() + usize::from(held.hidden),
            tasks: held.tasks,
        })
    }

    fn undelivered(&self, chunks: &mut Vec<u64>) -> bool {
        if self.on_their_way().is_none() {
            return false;
        }
        // A chunk is numbered by where it is.
        let held = self.held();
        let known = held.is_some();
        let nodes = held.into_iter().flat_map(|held| held.chunks);
        chunks.extend(nodes.map(|node| node as u64));
        known
    }

    fn chunks(&self) -> Option<ChunkNews> {
        self.watch.news()
    }

    fn take_lost(&mut self) -> Option<u64> {
        self.watch.take_lost()
    }

    fn on_their_way(&self) -> Option<u64> {
        if !self.seen.threaded {
            return Some(0);
        }
        let mut memory = self.memory()?;
        self.holder().ring_holds(&mut memory)
    }

    fn delay(&self) -> Option<Duration> {
        let mut memory = self.memory()?;
        let around = self.surroundings(&mut memory)?;
        (!self.emitters_are_stuck(&around, &mut memory)).then_some(around.delay)
    }

    fn stock_positions(&self, db: &Path) -> Option<Vec<StockPosition>> {
        sqlite::positions(self.core.host, db)
    }

    fn stock_tails(&self) -> Vec<StockTail> {
        let memory = self.memory();
        let found = memory.and_then(|mut memory| {
            let others = self.holder().others(&mut memory, self.seen.threaded)?;
            Some(stock_tails::among(&others, &mut memory))
        });
        found.unwrap_or_default()
    }

    fn metrics(&self) -> &Metrics {
        &self.core.metrics
    }

    fn parsers(&self) -> Option<Box<dyn Parsers>> {
        let parsers = HostParsers::new(self.core.host, self.core.config)?;
        Some(Box::new(parsers))
    }

    fn multiline(&self, parsers: &[&str]) -> Result<Box<dyn Multiline>, String> {
        let stream = HostMultiline::new(self.core.host, self.core.config, parsers)?;
        Ok(Box::new(stream))
    }

    fn regex(&self, pattern: &str) -> Result<Box<dyn HostRegex>, RegexError> {
        Ok(Box::new(Regex::new(self.core.host, pattern)?))
    }
}
