//! The running host, found out once by the constructor, and what it has for each instance.

use std::ffi::{c_int, c_void, CStr};
use std::sync::OnceLock;

use crate::abi::bindings::host_config;
use crate::abi::functions::{Functions, Instance, MetricHandle};
use crate::abi::generations::{Generation, InputShift};
use crate::abi::layouts;
use crate::abi::memory::Memory;

/// The host this library was loaded by.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) generation: &'static Generation,
    pub(crate) functions: Functions,
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

    /// What shifts the offsets of input instances in this build of the host.
    pub(crate) fn input_shift(&self) -> InputShift {
        InputShift::new(self.functions.chunk_trace.is_some())
    }

    /// Offset inside an input instance.
    pub(crate) fn input_offset(&self, table: usize) -> usize {
        self.generation.input_offset(table, self.input_shift())
    }
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
    pub(crate) plugin: usize,
    pub(crate) plugin_name: usize,
    pub(crate) properties: usize,
    pub(crate) log_level: usize,
    metrics: Option<usize>,
}

impl Offsets {
    pub(crate) fn of(host: &Host, section: Section) -> Self {
        let generation = host.generation;
        match section {
            Section::Input => {
                let table = &generation.input_instance;
                Offsets {
                    plugin: host.input_offset(table.plugin),
                    plugin_name: layouts::input_name_offset(generation.input),
                    properties: host.input_offset(table.properties),
                    log_level: host.input_offset(table.log_level),
                    metrics: table.metrics,
                }
            }
            Section::Filter => {
                let table = &generation.filter_instance;
                Offsets {
                    plugin: table.plugin,
                    plugin_name: layouts::FILTER_NAME_OFFSET,
                    properties: table.properties,
                    log_level: table.log_level,
                    metrics: Some(table.metrics),
                }
            }
            Section::Output => {
                let table = &generation.output_instance;
                Offsets {
                    plugin: table.plugin,
                    plugin_name: layouts::OUTPUT_NAME_OFFSET,
                    properties: table.properties,
                    log_level: table.log_level,
                    metrics: table.metrics,
                }
            }
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

/// The metrics context of any output of the engine.
pub(crate) fn output_metrics(
    host: &Host,
    memory: &mut Memory,
    instance: *mut Instance,
) -> Option<*mut MetricHandle> {
    let offsets = Offsets::of(host, Section::Output);
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
        None => memory?.word(instance as usize + offsets.metrics?)? as *mut c_void,
    };
    (!context.is_null()).then_some(context)
}
