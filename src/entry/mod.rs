//! The functions that the host calls, one generic set per kind of plugin.
//!
//! The host hands back the context pointer it was given at initialisation; each kind owns its
//! context from the `init` that made it to the `exit` that takes it apart.

pub(crate) mod filter;
pub(crate) mod input;
pub(crate) mod output;

use std::ffi::{c_char, c_int, c_void};
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flb_sidecar_sdk::{ConfigError, PluginInfo, Settings};

use crate::abi::bindings::host_config;
use crate::host::{self, Host, Section};
use crate::instance::{self, Core, Opened};

/// What an init callback answers.
const INIT_OK: c_int = 0;
const INIT_FAILED: c_int = -1;

/// When the host ends, or fails to start, it stops its log thread without emptying it: without this
/// pause the line that says why a start failed, or what panicked at an exit, is sometimes lost. In
/// neither case is anything running that it could hold up.
const LOG_PAUSE: Duration = Duration::from_millis(50);

/// Runs an init callback's body.
fn init(body: impl FnOnce() -> c_int) -> c_int {
    // A plugin starts its threads here.
    let quiet = crate::signals::Quiet::begin();
    let answer = crate::stack::at_start(body).unwrap_or(INIT_FAILED);
    drop(quiet);
    if answer != INIT_OK {
        std::thread::sleep(LOG_PAUSE);
    }
    answer
}

/// The address of a plugin's name in its registration block, for each plugin of this library.
///
/// The constructor stores it before the host can create an instance.
#[derive(Debug)]
pub(crate) struct OurName(AtomicPtr<c_char>);

impl OurName {
    pub(crate) const fn new() -> Self {
        OurName(AtomicPtr::new(std::ptr::null_mut()))
    }

    pub(crate) fn set(&self, name: *mut c_char) {
        self.0.store(name, Ordering::Release);
    }

    fn get(&self) -> *mut c_char {
        self.0.load(Ordering::Acquire)
    }
}

/// Opens the instance that an init callback got. `None`: there is none, and it was said.
fn open(
    section: Section,
    instance: *mut c_void,
    config: *mut host_config,
    info: &'static PluginInfo,
    our_name: &OurName,
) -> Option<Opened> {
    let host = host::get()?;
    if instance.is_null() || config.is_null() {
        let name = info.name;
        crate::log::before_any_instance(&format!("{name} was initialised with NULL"));
        return None;
    }
    Some(instance::open(
        host,
        section,
        instance,
        config,
        info,
        our_name.get(),
    ))
}

/// Makes the plugin from its options. `None`: that failed, and it was said.
fn make<T>(
    core: &Core,
    settings: Result<Settings, ConfigError>,
    make: impl FnOnce(&Settings) -> Result<T, ConfigError>,
) -> Option<T> {
    let made = core
        .run(|| {
            settings
                .and_then(|settings| make(&settings))
                .inspect_err(|error| tracing::error!("{error}"))
                .ok()
        })
        .flatten();
    if made.is_some() {
        core.run(|| core.sync_metrics(true));
    } else {
        core.forget_metrics();
    }
    made
}

/// Ends the plugin and all that its core shares with the host.
fn end<P>(core: &Core, plugin: Option<P>, exit: impl FnOnce(P)) {
    if let Some(plugin) = plugin {
        if core.run(|| exit(plugin)).is_none() {
            std::thread::sleep(LOG_PAUSE);
        }
    }
    // Once more for what the plugin's threads wrote while they ended.
    core.run(|| core.sync_metrics(true));
    core.forget_metrics();
    core.wake_main();
}

/// Locks, also after a panic inside: the plugin's next call gets it as it is.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `FLB_SCHED_TIMER_CB_PERM`.
const TIMER_PERMANENT: c_int = 4;

/// What a timer of the host points to. It outlives the instance: the host may hold a timer longer
/// than the instance, and cannot be asked to give one back safely in every release.
struct TimerTarget(AtomicPtr<c_void>);

static KEPT: Mutex<Vec<&'static TimerTarget>> = Mutex::new(Vec::new());

/// A timer that runs until its owner is gone.
#[derive(Debug)]
struct Timer(&'static TimerTarget);

impl std::fmt::Debug for TimerTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TimerTarget")
    }
}

impl Timer {
    /// Calls `callback` with [`Timer::target`]'s pointer every `ms` on the calling thread's
    /// scheduler. `None`: this thread has no scheduler, or it took no timer.
    fn start(
        host: &Host,
        ms: c_int,
        callback: unsafe extern "C" fn(*mut host_config, *mut c_void),
        context: *mut c_void,
    ) -> Option<Self> {
        let scheduler = host.functions.scheduler?;
        let create = host.functions.timer_create?;
        // SAFETY: no arguments; gives this thread's scheduler or NULL.
        let scheduler = unsafe { scheduler() };
        if scheduler.is_null() {
            return None;
        }
        // A few bytes per instance and reload stay allocated, see TimerTarget.
        let target: &'static TimerTarget =
            Box::leak(Box::new(TimerTarget(AtomicPtr::new(context))));
        // Reachable to the end, so that leak checkers see that it is meant.
        lock(&KEPT).push(target);
        // SAFETY: the scheduler is this thread's; data lives as long as the process. The last
        // argument is where the host stores the timer; it may not be NULL in every release.
        let created = unsafe {
            let mut timer = std::ptr::null_mut();
            create(
                scheduler,
                TIMER_PERMANENT,
                ms,
                callback,
                std::ptr::from_ref(target).cast_mut().cast(),
                &mut timer,
            )
        };
        (created == 0).then_some(Timer(target))
    }

    /// From here on the callback finds nothing.
    fn stop(&self) {
        self.0 .0.store(std::ptr::null_mut(), Ordering::Release);
    }

    /// The context that a timer callback's data leads to; NULL after `stop`.
    ///
    /// # Safety
    /// `data` is what the host was given in `start`.
    unsafe fn target(data: *mut c_void) -> *mut c_void {
        if data.is_null() {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller says so; the target is never freed.
        unsafe { &*data.cast::<TimerTarget>() }
            .0
            .load(Ordering::Acquire)
    }
}
