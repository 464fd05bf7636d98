//! The running host, found out once by the constructor, and what it has for each instance.

use std::ffi::{c_int, c_void, CStr};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use host_abi::layout::InputInstance;
use host_abi::Layout;

use crate::abi::bindings::host_config;
use crate::abi::discover::{self, Abi, Origin, Voucher, WAY_OUT};
use crate::abi::functions::{Functions, Instance, MetricHandle};
use crate::abi::generations::Behaviour;
use crate::abi::memory::Memory;
use crate::abi::prove::{self, Verdict};
use crate::trial::Outcome;

/// The host this library was loaded by.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) origin: Origin,
    pub(crate) behaviour: Behaviour,
    pub(crate) functions: Functions,
    layout: Layout,
    /// How a record fared on a host that is in no table.
    pub(crate) trial: Option<Outcome>,
    /// What could not be proven and is not used; said once.
    unproven: Mutex<Vec<String>>,
    /// From the host's debug information, since an instance was not laid out as its row says.
    closer: OnceLock<Result<Layout, String>>,
    /// Layouts that instances have proven; they stay.
    proven: Mutex<Vec<&'static Layout>>,
    /// What says that the layout is that of this host.
    pub(crate) voucher: Voucher,
    /// The inputs' fields, without what one of ours did not prove.
    inputs: Mutex<Option<InputInstance>>,
    /// Whether chunks are laid out as known.
    pub(crate) chunks: Verdict,
    /// The same of what delivers them, and of what tries that again.
    pub(crate) tasks: Verdict,
    /// The same of where chunks say they go.
    pub(crate) routes: Verdict,
    /// The same of the rings of threaded inputs.
    pub(crate) rings: Verdict,
    /// Refuted when a chunk is gone and an output does not tell whether it has given it up.
    pub(crate) drops: Verdict,
}

static HOST: OnceLock<Host> = OnceLock::new();

/// Inputs are numbered from 0 without gaps; this ends the search on a host gone wrong.
const MAX_INPUTS: c_int = 1024;

/// The host, once the constructor has accepted it.
pub(crate) fn get() -> Option<&'static Host> {
    HOST.get()
}

/// Called by the constructor, once.
pub(crate) fn set(host: Host) -> &'static Host {
    HOST.get_or_init(|| host)
}

impl Host {
    /// Every input of the engine; `None`: this host has no function for it.
    ///
    /// # Safety
    /// `config` is the host's own, and this is the engine's thread.
    pub(crate) unsafe fn inputs(&self, config: *mut host_config) -> Option<Vec<*mut c_void>> {
        let by_id = self.functions.input_by_id?;
        let inputs = (0..MAX_INPUTS)
            // SAFETY: as the caller says; NULL for an unknown number.
            .map(|id| unsafe { by_id(config, id) })
            .take_while(|instance| !instance.is_null());
        Some(inputs.collect())
    }

    /// What was found out about the host.
    pub(crate) fn new(abi: Abi, trial: Option<Outcome>) -> Self {
        let is_vouched_for = abi.voucher == Voucher::DebugInformation;
        Host {
            origin: abi.origin,
            behaviour: abi.behaviour,
            functions: abi.functions,
            layout: abi.layout,
            trial,
            unproven: Mutex::new(abi.unproven),
            closer: OnceLock::new(),
            proven: Mutex::new(Vec::new()),
            voucher: abi.voucher,
            inputs: Mutex::new(None),
            chunks: Verdict::new(is_vouched_for),
            tasks: Verdict::new(is_vouched_for),
            drops: Verdict::new(false),
            routes: Verdict::new(is_vouched_for),
            rings: Verdict::new(is_vouched_for),
        }
    }

    /// Where everything is.
    pub(crate) fn layout(&self) -> &Layout {
        match self.closer.get() {
            Some(Ok(closer)) => closer,
            _ => &self.layout,
        }
    }

    /// The layout that `instance` proves, and the names of what it does not.
    pub(crate) fn prove(
        &self,
        memory: &mut Memory,
        instance: prove::Instance,
    ) -> (&'static Layout, Vec<&'static str>) {
        let (mut layout, mut failed) = prove::instance(memory, self.layout(), instance);
        if !failed.is_empty() && self.is_in_table() {
            // A fork, or a build with other options than the table is of.
            if self.closer.get_or_init(discover::look_closer).is_ok() {
                (layout, failed) = prove::instance(memory, self.layout(), instance);
            }
        }
        let mut inputs = lock(&self.inputs);
        match instance.section {
            // All inputs are alike.
            Section::Input if !failed.is_empty() => *inputs = Some(layout.input),
            Section::Input => {}
            Section::Filter | Section::Output => layout.input = inputs.unwrap_or(layout.input),
        }
        drop(inputs);
        (self.keep(layout), failed)
    }

    /// For a process that has no descriptor left to look with: nothing of an instance is read.
    pub(crate) fn nothing_proven(&self) -> (&'static Layout, Vec<&'static str>) {
        let layout = prove::without_instances(self.layout());
        (self.keep(layout), vec!["everything: no descriptor is left"])
    }

    /// Whether a row of the table vouches for the host.
    pub(crate) fn is_in_table(&self) -> bool {
        self.origin.is_table()
    }

    /// Whether it is a release of the table, as far as was seen: not one that only looks like it.
    pub(crate) fn is_known_release(&self) -> bool {
        self.is_in_table() && self.closer.get().is_none()
    }

    /// Whether the table was wrong about instances and the host's debug information is used.
    pub(crate) fn looked_closer(&self) -> bool {
        matches!(self.closer.get(), Some(Ok(_)))
    }

    /// Why a closer look did not help, if there was one.
    pub(crate) fn closer_failure(&self) -> Option<&str> {
        self.closer.get()?.as_ref().err().map(String::as_str)
    }

    /// What could not be proven at the start; empty from the second call on.
    pub(crate) fn take_unproven(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.unproven))
    }

    /// Says once each what real chunks, tasks and rings have refuted.
    pub(crate) fn say_refusals(&self) {
        for (verdict, what) in [
            (&self.chunks, "what chunks hold"),
            (
                &self.tasks,
                "deliveries that are under way and their retries",
            ),
            (&self.routes, "to which outputs chunks go"),
            (&self.rings, "what rings of threaded inputs hold"),
        ] {
            if verdict.take_refusal() {
                let why = self.origin.contradicted(what);
                tracing::warn!("{why}");
            }
        }
        if self.drops.take_refusal() {
            tracing::warn!(
                "this host does not tell what its outputs have given up: what was in chunks that are \
                 gone is taken for lost, and is read again after a restart. {WAY_OUT}"
            );
        }
    }

    /// The same layout for as long as the process lives: there are few different ones.
    fn keep(&self, layout: Layout) -> &'static Layout {
        let mut proven = lock(&self.proven);
        if let Some(known) = proven.iter().find(|known| ***known == layout) {
            return known;
        }
        let kept: &'static Layout = Box::leak(Box::new(layout));
        proven.push(kept);
        kept
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Which kind of plugin an instance is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    /// `[INPUT]`
    Input,
    /// `[FILTER]`
    Filter,
    /// `[OUTPUT]`
    Output,
}

impl Section {
    /// Its name in log lines.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Section::Input => "input",
            Section::Filter => "filter",
            Section::Output => "output",
        }
    }
}

/// Offsets that the three kinds of instances have in common.
pub(crate) struct Offsets {
    pub(crate) properties: Option<usize>,
    pub(crate) log_level: Option<usize>,
    metrics: Option<usize>,
}

impl Offsets {
    pub(crate) fn of(layout: &Layout, section: Section) -> Self {
        macro_rules! offsets {
            ($group:ident) => {
                Offsets {
                    properties: layout.$group.properties,
                    log_level: layout.$group.log_level,
                    metrics: layout.$group.metrics,
                }
            };
        }
        match section {
            Section::Input => offsets!(input),
            Section::Filter => offsets!(filter),
            Section::Output => offsets!(output),
        }
    }
}

/// The alias of an instance, else its name with its number.
pub(crate) fn instance_name(
    host: &Host,
    section: Section,
    instance: *mut Instance,
) -> Option<String> {
    let functions = &host.functions;
    let get = match section {
        Section::Input => functions.input_name,
        Section::Filter => functions.filter_name,
        Section::Output => functions.output_name,
    }?;
    // SAFETY: the instance is the host's, of this kind.
    let name = unsafe { get(instance) };
    if name.is_null() {
        return None;
    }
    // SAFETY: the host gives its NUL-terminated name or alias.
    Some(
        unsafe { CStr::from_ptr(name) }
            .to_string_lossy()
            .into_owned(),
    )
}

/// Where the name of an instance's plugin is, of which these are the offsets: of the plugin in the
/// instance, and of the name in the plugin.
pub(crate) fn plugin_name_at(
    memory: &mut Memory,
    instance: usize,
    plugin: Option<usize>,
    name: usize,
) -> Option<usize> {
    let plugin = memory.word(instance.checked_add(plugin?)?)?;
    memory.word(plugin.checked_add(name)?)
}

/// The name of an input's plugin.
pub(crate) fn input_plugin(
    layout: &Layout,
    memory: &mut Memory,
    instance: usize,
) -> Option<String> {
    let (plugin, name) = (layout.input.plugin, layout.input_plugin.name);
    let at = plugin_name_at(memory, instance, plugin, name)?;
    memory.name(at)
}

/// The filters of the engine, each with the name of its plugin; `None`: they are not laid out as the table
/// says.
pub(crate) fn filters(
    layout: &Layout,
    memory: &mut Memory,
    config: usize,
) -> Option<Vec<(usize, String)>> {
    let (known, name) = (&layout.filter, layout.filter_plugin.name);
    let node_at = known.node?;
    layout.config.filters.iter().find_map(|head| {
        let mut found = Vec::new();
        for node in memory.list(config.checked_add(head)?)? {
            let filter = node.checked_sub(node_at)?;
            let at = plugin_name_at(memory, filter, known.plugin, name)?;
            found.push((filter, memory.name(at)?));
        }
        Some(found)
    })
}

/// The name of an output's plugin.
pub(crate) fn output_plugin(
    layout: &Layout,
    memory: &mut Memory,
    instance: usize,
) -> Option<String> {
    let (plugin, name) = (layout.output.plugin, layout.output_plugin.name);
    let at = plugin_name_at(memory, instance, plugin, name)?;
    memory.name(at)
}

/// The metrics context of any output of the engine.
pub(crate) fn output_metrics(
    host: &Host,
    layout: &Layout,
    memory: &mut Memory,
    instance: *mut Instance,
) -> Option<*mut MetricHandle> {
    let offsets = Offsets::of(layout, Section::Output);
    metric_context(host, Section::Output, instance, Some(memory), &offsets)
}

/// The metrics context of an instance.
pub(crate) fn metric_context(
    host: &Host,
    section: Section,
    instance: *mut Instance,
    memory: Option<&mut Memory>,
    offsets: &Offsets,
) -> Option<*mut MetricHandle> {
    let get = match section {
        Section::Input => host.functions.input_metrics,
        Section::Filter => None,
        Section::Output => host.functions.output_metrics,
    };
    let context = match get {
        // SAFETY: the instance is the host's, of this kind.
        Some(get) => unsafe { get(instance) },
        None => memory?.word((instance as usize).checked_add(offsets.metrics?)?)? as *mut c_void,
    };
    (!context.is_null()).then_some(context)
}
