//! An instance of ours: its host object, its options, its log, its metrics.

use std::ffi::{c_char, c_int, CStr, CString};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError};

use flb_sidecar_sdk::metrics::Metrics;
use flb_sidecar_sdk::{ConfigError, OptionSpec, PluginInfo, Settings};
use host_abi::Layout;
use tracing::Span;

use crate::abi::bindings::host_config;
use crate::abi::functions::Instance;
use crate::abi::memory::Memory;
use crate::abi::prove;
use crate::host::{self, Host, Offsets, Section};
use crate::log::{self, InstanceLog};
use crate::metrics::HostMetrics;
use crate::signals;
use crate::trial::Outcome;
use crate::wake::EngineThread;

/// The configuration of the engine that was told to end; 0: none.
static ENDING: AtomicUsize = AtomicUsize::new(0);

/// What every instance of ours has: its host object, its log, its metrics.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) host: &'static Host,
    /// Where everything is that this instance has proven.
    pub(crate) layout: &'static Layout,
    pub(crate) instance: *mut Instance,
    pub(crate) config: *mut host_config,
    pub(crate) log: Arc<InstanceLog>,
    pub(crate) span: Span,
    pub(crate) metrics: Metrics,
    pub(crate) sensitive: bool,
    host_metrics: Mutex<HostMetrics>,
    /// Set when the plugin has ended the engine: the thread that runs it.
    ended: Mutex<Option<EngineThread>>,
}

// SAFETY: the two pointers are only handed back to host functions, on the threads the host calls
// us on; the rest is Send and Sync by itself.
unsafe impl Send for Core {}
// SAFETY: as above.
unsafe impl Sync for Core {}

/// A new instance: its core, and its options as the host has them.
pub(crate) struct Opened {
    pub(crate) core: Core,
    pub(crate) settings: Result<Settings, ConfigError>,
}

/// Reads name, log level and options of `instance`.
///
/// `our_name` is the address of the plugin's name in our registration block: the host copied it,
/// so finding it through the instance proves the offsets.
pub(crate) fn open(
    host: &'static Host,
    section: Section,
    instance: *mut Instance,
    config: *mut host_config,
    info: &'static PluginInfo,
    our_name: *mut c_char,
) -> Opened {
    crate::decided::forget();
    let mut memory = Memory::open();
    let needs_metrics = match section {
        Section::Input => host.functions.input_metrics.is_none(),
        Section::Filter => true,
        Section::Output => host.functions.output_metrics.is_none(),
    };
    let proof = prove::Instance {
        section,
        address: instance as usize,
        config: config as usize,
        our_name,
        needs_metrics,
        set_property: host.functions.output_set_property,
        voucher: host.voucher,
    };
    let (layout, failed) = match memory.as_mut() {
        Some(memory) => host.prove(memory, proof),
        None => host.nothing_proven(),
    };
    let offsets = Offsets::of(layout, section);
    let base = instance as usize;
    let name = host::instance_name(host, section, instance).unwrap_or_else(|| info.name.to_owned());
    let level = log_level(host, section, instance, memory.as_mut(), &offsets);
    let log = InstanceLog::new(section.text(), info.name, &name, level, info.sensitive);
    let span = log.span();
    log::on_host_thread(&span, &log, || say_what_is_not_used(host, &failed));
    // What the host's own function says, shows whether the list is that of this instance.
    let single = single_properties(host, section, instance, info.options);
    let listed = memory
        .as_mut()
        .and_then(|memory| property_list(memory, layout, base.checked_add(offsets.properties?)?))
        .filter(|all| single.iter().all(|(key, _)| has(all, key)))
        .map(|all| own_options(all, info.options));
    let entries = match listed {
        Some(all) => Ok(all),
        // No function gives more than the first value of an option.
        None => match repeatable(&single, info.options) {
            given if given.is_empty() => Ok(single),
            given => Err(unlisted(host, memory.is_some(), &given, info.options)),
        },
    };
    let metric_handle = host::metric_context(host, section, instance, memory.as_mut(), &offsets);
    let settings = entries.and_then(|entries| Settings::new(&name, info.options, entries));
    Opened {
        core: Core {
            host,
            layout,
            instance,
            config,
            log,
            span,
            metrics: Metrics::default(),
            sensitive: info.sensitive,
            host_metrics: Mutex::new(HostMetrics::new(metric_handle, info.name, &name)),
            ended: Mutex::new(None),
        },
        settings,
    }
}

/// An option that takes what others of the plugin do, from a file.
const INSTEAD: &str = "rules_file";

/// Options among these that may be there more than once.
fn repeatable(given: &[(String, String)], options: &[OptionSpec]) -> Vec<&'static str> {
    let repeatable = options.iter().filter(|option| option.repeatable);
    let names = repeatable.map(|option| option.name);
    names.filter(|name| has(given, name)).collect()
}

/// A rule that is silently left out would let a secret pass, and a path that is, lose a file.
fn unlisted(host: &Host, has_memory: bool, given: &[&str], options: &[OptionSpec]) -> ConfigError {
    let given = given.join(", ");
    let why = if has_memory {
        let what = "the list of this instance's options, whose first values alone are known";
        host.origin.contradicted(what)
    } else {
        "no descriptor is left to read the list of this instance's options with, so their first values \
         alone are known"
            .to_owned()
    };
    let instead = match options.iter().find(|option| option.name == INSTEAD) {
        Some(_) => format!(". {INSTEAD} does without it"),
        None => String::new(),
    };
    ConfigError::other(format!(
        "{given}: may be given more than once, and this host does not let it be seen how often: \
         {why}{instead}"
    ))
}

/// Says how this host is known, once in a process, and what this instance does not prove.
fn say_what_is_not_used(host: &Host, failed: &[&str]) {
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        if !host.is_in_table() {
            tracing::info!(
                "how this Fluent Bit is laid out is known from {}",
                host.origin
            );
        }
        match &host.trial {
            Some(outcome @ Outcome::NotDone(_)) => tracing::warn!("{outcome}"),
            Some(outcome @ Outcome::Passed(_)) => tracing::info!("{outcome}"),
            _ => {}
        }
        let unproven = host.take_unproven();
        if !unproven.is_empty() {
            tracing::warn!(
                "not used, because it could not be proven: {}",
                unproven.join("; ")
            );
        }
    });
    static LOOKED_CLOSER: Once = Once::new();
    if host.looked_closer() {
        LOOKED_CLOSER.call_once(|| {
            tracing::info!(
                "this Fluent Bit is not laid out as {} have it: how it is, is known from its debug \
                 information",
                host.origin
            );
        });
    }
    if !failed.is_empty() {
        let closer = host.closer_failure();
        let mut not_used = failed.join(", ");
        if let Some(closer) = closer {
            not_used = format!("{not_used}; {closer}");
        }
        tracing::warn!("{}", host.origin.contradicted(&not_used));
    }
}

impl Core {
    /// Runs a callback's body as this instance; `None` when it panicked.
    pub(crate) fn run<R>(&self, body: impl FnOnce() -> R) -> Option<R> {
        log::on_host_thread(&self.span, &self.log, || {
            let result = crate::guard::catch(body);
            self.sync_metrics(false);
            result
        })
    }

    /// Copies the plugin's counters to the host, at most once a second unless `now`.
    pub(crate) fn sync_metrics(&self, now: bool) {
        self.host_metrics
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .sync(self.host, &self.metrics, now);
    }

    /// The host destroys its metrics with the instance: nothing may touch them afterwards.
    pub(crate) fn forget_metrics(&self) {
        log::on_host_thread(&self.span, &self.log, || self.log.tell_left_out(true));
        self.host_metrics
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .forget();
    }

    /// The engine is shutting down.
    pub(crate) fn is_stopping(&self) -> bool {
        let read = |offset: usize| -> c_int {
            // SAFETY: config is the host's own, valid during callbacks; the offset is that of an
            // int in every release, or from this host's debug information and proven at the start.
            unsafe {
                self.config
                    .cast::<u8>()
                    .add(offset)
                    .cast::<c_int>()
                    .read_volatile()
            }
        };
        let known = &self.layout.config;
        !self.config.is_null()
            && (known.shutting_down.is_some_and(|at| read(at) != 0)
                || known.ingestion_active.is_some_and(|at| read(at) == 0))
    }

    /// Dispatches every chunk the engine holds.
    pub(crate) fn flush_engine(&self) {
        if let Some(flush) = self.host.functions.engine_flush {
            // SAFETY: called on the engine's thread with its own config; NULL: every input.
            unsafe { flush(self.config, std::ptr::null_mut()) };
        }
    }

    /// Ends the engine, unless an instance has already. `engine`: its thread, if this is it.
    /// `false`: a signal has told the host to stop or to reload, and that comes first.
    pub(crate) fn exit_engine(&self, status: c_int, engine: Option<EngineThread>) -> bool {
        if let Some(exit) = self.host.functions.engine_exit_status {
            let config = self.config as usize;
            if !signals::close() {
                return false;
            }
            if ENDING.swap(config, Ordering::AcqRel) == config {
                return true;
            }
            *self.ended.lock().unwrap_or_else(PoisonError::into_inner) = engine;
            crate::decided::ends_with(status);
            // SAFETY: the host's own config. Since 2.0.0 the call only writes to the engine's
            // pipe, which any thread may. Before that it pauses every input, and there every
            // instance runs on the engine's thread; no lock that a pause takes is held here.
            unsafe { exit(self.config, status) };
        }
        true
    }

    /// The instance is over: if it has ended the engine, the main thread is told when that is gone.
    pub(crate) fn wake_main(&self) {
        // The next engine may be at the same address.
        ENDING.store(0, Ordering::Release);
        let ended = self
            .ended
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(engine) = ended {
            engine.wake_main_when_gone();
        }
    }
}

fn log_level(
    host: &Host,
    section: Section,
    instance: *mut Instance,
    memory: Option<&mut Memory>,
    offsets: &Offsets,
) -> c_int {
    let check = match section {
        Section::Input => host.functions.input_log_check,
        Section::Filter => None,
        Section::Output => host.functions.output_log_check,
    };
    if let Some(check) = check {
        // SAFETY: the instance is the host's, of this kind.
        return log::level_by(|level| unsafe { check(instance, level) } != 0);
    }
    memory
        .and_then(|memory| memory.int((instance as usize).checked_add(offsets.log_level?)?))
        .filter(|level| (0..=10).contains(level))
        .unwrap_or(log::DEFAULT_LEVEL)
}

fn property_list(
    memory: &mut Memory,
    layout: &Layout,
    head: usize,
) -> Option<Vec<(String, String)>> {
    let known = &layout.property;
    let mut all = Vec::new();
    for node in memory.list(head)? {
        let entry = node.checked_sub(known.node?)?;
        let key = memory.word(entry.checked_add(known.key?)?)?;
        let value = memory.word(entry.checked_add(known.value?)?)?;
        let key = String::from_utf8(memory.sds(key)?).ok()?;
        let value = match value {
            0 => Vec::new(),
            value => memory.sds(value)?,
        };
        all.push((key, String::from_utf8_lossy(&value).into_owned()));
    }
    Some(all)
}

/// Those of them that are options of ours.
fn own_options(all: Vec<(String, String)>, options: &[OptionSpec]) -> Vec<(String, String)> {
    all.into_iter()
        .filter(|(key, _)| options.iter().any(|o| o.is_named(key)))
        .collect()
}

fn has(all: &[(String, String)], key: &str) -> bool {
    all.iter().any(|(name, _)| name.eq_ignore_ascii_case(key))
}

/// The first value of each option that is set, from the host's own function.
fn single_properties(
    host: &Host,
    section: Section,
    instance: *mut Instance,
    options: &[OptionSpec],
) -> Vec<(String, String)> {
    options
        .iter()
        .filter_map(|option| {
            let value = property(host, section, instance, option.name)?;
            Some((option.name.to_owned(), value))
        })
        .collect()
}

/// The first value of an instance's property, of ours or of another plugin's.
pub(crate) fn property(
    host: &Host,
    section: Section,
    instance: *mut Instance,
    name: &str,
) -> Option<String> {
    let functions = &host.functions;
    let get = match section {
        Section::Input => functions.input_get_property,
        Section::Filter => functions.filter_get_property,
        Section::Output => functions.output_get_property,
    }?;
    let key = CString::new(name).ok()?;
    // SAFETY: the instance is the host's, of this kind; the key is NUL-terminated.
    let value = unsafe { get(key.as_ptr(), instance) };
    if value.is_null() {
        return None;
    }
    // SAFETY: the host gives a NUL-terminated string that lives with the instance.
    let value = unsafe { CStr::from_ptr(value) };
    Some(value.to_string_lossy().into_owned())
}
