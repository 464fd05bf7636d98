//! Entry points of an output.

use std::cell::UnsafeCell;
use std::ffi::{c_int, c_void, CString};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flb_sidecar_sdk::metrics::Metrics;
use flb_sidecar_sdk::{
    Backlog, ChunkInfo, ConfigError, EngineHost, Flow, FlushCounts, InputAccount, InputInfo,
    Output, OutputInfo, Pending, ProcessEnd, RetryLimit, TaskInfo,
};
use host_abi::Layout;

use super::{lock, OurName, Timer, INIT_FAILED, INIT_OK};
use crate::abi::bindings::{host_config, host_event_chunk, host_flush, host_input, host_output};
use crate::abi::functions::Flush;
use crate::abi::layouts::OutputCallbacks;
use crate::abi::maps::Maps;
use crate::abi::memory::Memory;
use crate::abi::observe;
use crate::chunks;
use crate::holdings::Holder;
use crate::host::{self, Offsets, Section};
use crate::instance::Core;
use crate::link::Remote;
use crate::metrics;
use crate::process_end::End;
use crate::signals::{self, Ears};
use crate::tasks::{self, Destination};
use crate::wake::EngineThread;

/// An output of this library: its type, and where its name was registered.
pub(crate) trait OutputPlugin: Output {
    /// Set by the constructor.
    fn our_name() -> &'static OurName;
}

/// What chunkio counts, and some room: streams, chunks, those in memory, those in files, ...
type ChunkCounts = [c_int; 16];
const FILES: usize = 3;

struct Context<P> {
    core: Core,
    counts: Counts,
    /// Ends a flush, see [`flush`].
    acknowledge: Flush,
    acknowledge_context: Scratch,
    timer: Option<Timer>,
    ears: Mutex<Option<Ears>>,
    plugin: Mutex<Option<P>>,
}

#[derive(Default)]
struct Counts {
    flushes: AtomicU64,
    records: AtomicU64,
    bytes: AtomicU64,
}

/// Zeroed memory that a borrowed flush of the host takes for its own context.
#[repr(C, align(16))]
struct Scratch(UnsafeCell<[u8; 512]>);

// SAFETY: never read or written by us; the host's flush only counts in it.
unsafe impl Sync for Scratch {}

/// Callbacks of `P`.
pub(crate) fn callbacks<P: OutputPlugin>() -> OutputCallbacks {
    OutputCallbacks {
        init: Some(init::<P>),
        flush: Some(flush::<P>),
        exit: Some(exit::<P>),
    }
}

/// The flush callback of the host's own `exit` output.
///
/// The code that ends a flush is inlined into every output and depends on structs that change
/// with every release, so one of the host's is borrowed. With a zeroed context this one only
/// counts and acknowledges; seen on releases from 1.9.2 to 5.1.1.
fn find_acknowledge(layout: &Layout) -> Option<Flush> {
    let plugin = observe::symbol(c"out_exit_plugin")?;
    let flush =
        Memory::open()?.word((plugin as usize).checked_add(layout.output_plugin.cb_flush)?)?;
    if !Maps::now().is_code(flush) {
        return None;
    }
    // SAFETY: the host's own registration struct has code at its cb_flush, whose type is that of
    // every release, or was compared with the host's debug information.
    Some(unsafe { std::mem::transmute::<usize, Flush>(flush) })
}

unsafe extern "C" fn init<P: OutputPlugin>(
    instance: *mut host_output,
    config: *mut host_config,
    _data: *mut c_void,
) -> c_int {
    super::init(|| start::<P>(instance.cast(), config))
}

fn start<P: OutputPlugin>(instance: *mut c_void, config: *mut host_config) -> c_int {
    let Some(opened) = super::open(Section::Output, instance, config, &P::INFO, P::our_name())
    else {
        return INIT_FAILED;
    };
    let core = opened.core;
    let host = core.host;
    let counts = Counts::default();
    let ears = Mutex::new(Ears::open());
    let made = super::make(&core, opened.settings, |settings| {
        let acknowledge = find_acknowledge(core.layout).ok_or_else(|| {
            ConfigError::other("this host lacks its output 'exit', which ends our flushes")
        })?;
        let mut handle = Handle {
            core: &core,
            counts: &counts,
            ears: &ears,
        };
        Ok((P::init(settings, &mut handle)?, acknowledge))
    });
    let Some((plugin, acknowledge)) = made else {
        return INIT_FAILED;
    };
    let context = Box::into_raw(Box::new(Context {
        core,
        counts,
        acknowledge,
        acknowledge_context: Scratch(UnsafeCell::new([0; 512])),
        timer: None,
        ears,
        plugin: Mutex::new(Some(plugin)),
    }));
    let tick_ms = c_int::try_from(P::TICK.as_millis())
        .unwrap_or(c_int::MAX)
        .max(1);
    let timer = Timer::start(host, tick_ms, on_timer::<P>, context.cast());
    if timer.is_none() {
        // SAFETY: made above; the host has not been given the pointer.
        let mut context = unsafe { Box::from_raw(context) };
        context
            .core
            .run(|| tracing::error!("the host took no timer"));
        let plugin = context.plugin.get_mut().ok().and_then(Option::take);
        super::end(&context.core, plugin, P::exit);
        return INIT_FAILED;
    }
    // SAFETY: just made; no timer has fired yet, since this thread runs them.
    unsafe { (*context).timer = timer };
    if let Some(set_context) = host.functions.output_set_context {
        // SAFETY: the instance is the host's; the context lives until `exit`.
        unsafe { set_context(instance, context.cast()) };
    }
    INIT_OK
}

unsafe extern "C" fn on_timer<P: OutputPlugin>(_config: *mut host_config, data: *mut c_void) {
    // SAFETY: the data is the timer's own target.
    let context = unsafe { Timer::target(data) };
    // SAFETY: not NULL only while the context lives; exit runs on this thread or has stopped it.
    let Some(context) = (unsafe { context.cast::<Context<P>>().as_ref() }) else {
        return;
    };
    // Ending the engine may call back into us on old hosts: then this tick is the one running.
    let Ok(mut guard) = context.plugin.try_lock().or_else(|error| match error {
        std::sync::TryLockError::Poisoned(poisoned) => Ok(poisoned.into_inner()),
        std::sync::TryLockError::WouldBlock => Err(()),
    }) else {
        return;
    };
    if let Some(ears) = lock(&context.ears).as_ref() {
        ears.stay();
    }
    if let Some(plugin) = guard.as_mut() {
        let mut host = Handle {
            core: &context.core,
            counts: &context.counts,
            ears: &context.ears,
        };
        context.core.run(|| plugin.tick(&mut host));
    }
}

/// Counts the chunk and acknowledges it.
///
/// This runs on a coroutine stack of 24 KiB without a guard page, perhaps on several workers at
/// once: atomic additions only, nothing that formats, allocates or panics. The borrowed flush
/// leaves the coroutine and never returns, so no value here may need a destructor.
unsafe extern "C" fn flush<P: OutputPlugin>(
    chunk: *mut host_event_chunk,
    out_flush: *mut host_flush,
    input: *mut host_input,
    context: *mut c_void,
    config: *mut host_config,
) {
    // SAFETY: the host gives back what `start` set.
    let Some(shared) = (unsafe { context.cast::<Context<P>>().as_ref() }) else {
        return;
    };
    if !chunk.is_null() {
        let known = &shared.core.layout.chunk;
        let read = |offset: usize| {
            // SAFETY: the host's chunk, valid until the flush ends; a word of it is there in every
            // release, or by the host's own debug information.
            unsafe {
                chunk
                    .cast::<u8>()
                    .add(offset)
                    .cast::<usize>()
                    .read_unaligned() as u64
            }
        };
        let counts = &shared.counts;
        counts.flushes.fetch_add(1, Ordering::Relaxed);
        if let (Some(records), Some(size)) = (known.records, known.size) {
            counts.records.fetch_add(read(records), Ordering::Relaxed);
            counts.bytes.fetch_add(read(size), Ordering::Relaxed);
        }
    }
    // SAFETY: the host's own flush with the host's own arguments; its context is zeroed memory
    // larger than any of its fields.
    unsafe {
        (shared.acknowledge)(
            chunk,
            out_flush,
            input,
            shared.acknowledge_context.0.get().cast(),
            config,
        );
    }
}

unsafe extern "C" fn exit<P: OutputPlugin>(
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
    let plugin = lock(&context.plugin).take();
    super::end(&context.core, plugin, P::exit);
    0
}

/// What the plugin sees of the engine during one callback.
struct Handle<'a> {
    core: &'a Core,
    counts: &'a Counts,
    ears: &'a Mutex<Option<Ears>>,
}

impl Handle<'_> {
    fn instances(&self) -> Vec<*mut c_void> {
        // SAFETY: the host's own config; outputs are called on the engine's thread.
        let inputs = unsafe { self.core.host.inputs(self.core.config) };
        inputs.unwrap_or_default()
    }

    /// Every output instance, found from our own one through the list that holds them all.
    fn outputs_of_engine(&self, memory: &mut Memory) -> Option<Vec<usize>> {
        let own = self.core.instance as usize;
        let config = self.core.config as usize;
        let layout = self.core.layout;
        let in_config = |node: &usize| (config..config + layout.config.bytes).contains(node);
        layout.output.node.iter().find_map(|offset| {
            // Our own node is where the walk starts, so it is not in the list that comes back.
            let nodes = memory.list(own + offset)?;
            let head = nodes.iter().position(in_config)?;
            let behind = nodes[head + 1..].iter();
            let in_front = nodes[..head].iter();
            Some(
                behind
                    .chain([&(own + offset)])
                    .chain(in_front)
                    .map(|node| node - offset)
                    .collect(),
            )
        })
    }

    /// The same for what leads to them.
    fn destinations(&self, memory: &mut Memory) -> Option<Vec<Destination>> {
        let host = self.core.host;
        let outputs = self.outputs_of_engine(memory)?;
        let describe = |instance| {
            let object = instance as *mut c_void;
            Some(Destination {
                instance,
                name: host::instance_name(host, Section::Output, object)?,
                limit: self.retry_limit(memory, instance),
            })
        };
        outputs.into_iter().map(describe).collect()
    }

    fn retry_limit(&self, memory: &mut Memory, instance: usize) -> RetryLimit {
        let at = self.core.layout.output.retry_limit;
        match at.and_then(|at| memory.int(instance.checked_add(at)?)) {
            Some(-1) => RetryLimit::Unlimited,
            Some(times) => u32::try_from(times).map_or(RetryLimit::Unknown, RetryLimit::Times),
            None => RetryLimit::Unknown,
        }
    }

    fn describe_output(&self, memory: &mut Memory, instance: usize) -> Option<OutputInfo> {
        let layout = self.core.layout;
        let plugin = host::output_plugin(layout, memory, instance)?;
        let host = self.core.host;
        let object = instance as *mut c_void;
        let metrics = host::output_metrics(host, layout, memory, object)
            // SAFETY: the context of an output that is in the engine's list, on its thread.
            .and_then(|context| unsafe { metrics::text(host, context) });
        let value = |name: &str| Some(metrics::count_in(metrics.as_ref()?, name));
        Some(OutputInfo {
            name: host::instance_name(host, Section::Output, object)?,
            number: self.number_of_output(object),
            plugin,
            delivered_records: value("fluentbit_output_proc_records_total"),
            retries: value("fluentbit_output_retries_total"),
            dropped_records: value("fluentbit_output_dropped_records_total"),
            failures: value("fluentbit_output_errors_total")
                .zip(value("fluentbit_output_retries_failed_total"))
                .map(|(errors, failed)| errors.saturating_add(failed)),
            retry_limit: self.retry_limit(memory, instance),
        })
    }

    /// Its number among those that chunks tell apart.
    fn number_of_output(&self, instance: *mut c_void) -> Option<u32> {
        let by_id = self.core.host.functions.output_by_id?;
        (0..chunks::OUTPUTS).find(|number| {
            // SAFETY: the host's own config, on the engine's thread; NULL for an unknown number.
            unsafe { by_id(self.core.config, *number as c_int) == instance }
        })
    }

    fn describe(&self, memory: &mut Memory, instance: *mut c_void) -> Option<InputInfo> {
        let layout = self.core.layout;
        let known = &layout.input;
        let base = instance as usize;
        let field = |offset: Option<usize>| base.checked_add(offset?);
        let threaded = field(known.threaded).and_then(|at| memory.int(at)) == Some(1);
        // What is in its ring is on its way into chunks.
        let holder = Holder::new(self.core.host, layout, instance, self.core.config);
        let ring = if threaded {
            holder.ring_holds(memory)
        } else {
            None
        };
        let ring = usize::try_from(ring.unwrap_or(0)).unwrap_or(usize::MAX);
        Some(InputInfo {
            name: String::new(),
            plugin: host::input_plugin(layout, memory, base)?,
            threaded,
            pending: Some(Pending {
                chunks: memory
                    .list(field(known.chunks)?)?
                    .len()
                    .saturating_add(ring),
                tasks: memory.list(field(known.tasks)?)?.len(),
            }),
            drain: self.remote(memory, instance).map(Remote::status),
        })
    }

    fn account(&self, remote: Remote) -> Option<InputAccount> {
        let account = remote.account()?;
        let by_id = self.core.host.functions.output_by_id?;
        let name = |number: u32| {
            // SAFETY: the host's own config, on the engine's thread; NULL for an unknown number.
            let output = unsafe { by_id(self.core.config, c_int::try_from(number).ok()?) };
            (!output.is_null())
                .then(|| host::instance_name(self.core.host, Section::Output, output))?
        };
        let outputs = account.outputs.into_iter();
        Some(InputAccount {
            kept: account.kept,
            unwanted: account.unwanted,
            lost: account.lost,
            left: account.left,
            evicted_chunks: account.evicted_chunks,
            outputs: outputs
                .filter_map(|(number, routed)| Some((name(number)?, routed)))
                .collect(),
        })
    }

    fn remote(&self, memory: &mut Memory, instance: *mut c_void) -> Option<Remote> {
        let context = self.core.layout.input.context?;
        let context = memory.word((instance as usize).checked_add(context)?)?;
        Remote::find(memory, context)
    }

    fn remotes(&self) -> Vec<(String, Remote)> {
        let Some(mut memory) = Memory::open() else {
            return Vec::new();
        };
        self.instances()
            .into_iter()
            .filter_map(|instance| {
                let remote = self.remote(&mut memory, instance)?;
                Some((self.name(instance), remote))
            })
            .collect()
    }

    /// The input that loads what an earlier run has left.
    fn is_backlog(&self, memory: &mut Memory, instance: *mut c_void) -> bool {
        host::input_plugin(self.core.layout, memory, instance as usize).as_deref()
            == Some("storage_backlog")
    }

    /// How many records the host has put into chunks of an input, before any filter.
    fn records_of_input(&self, memory: &mut Memory, input: *mut c_void) -> Option<u64> {
        let (host, section) = (self.core.host, Section::Input);
        let offsets = Offsets::of(self.core.layout, section);
        let context = host::metric_context(host, section, input, Some(memory), &offsets)?;
        // SAFETY: the context of an input of the engine, on its thread.
        let text = unsafe { metrics::text(host, context) }?;
        Some(metrics::count_in(&text, "fluentbit_input_records_total"))
    }

    /// The counters of a filter in the engine's list.
    fn metrics_of_filter(&self, memory: &mut Memory, filter: usize) -> Option<String> {
        let at = filter.checked_add(self.core.layout.filter.metrics?)?;
        let context = memory.word(at).filter(|context| *context != 0)?;
        // SAFETY: the metrics of a filter in the engine's list, on its thread.
        unsafe { metrics::text(self.core.host, context as *mut c_void) }
    }

    /// A number of an input of ours that gives all its records one tag.
    fn only_tag(&self, memory: &mut Memory, input: *mut c_void) -> Option<u64> {
        let at = (input as usize).checked_add(self.core.layout.input.tag?)?;
        let tag = memory.word(at).and_then(|tag| memory.sds(tag))?;
        (!tag.contains(&b'*')).then_some(input as u64)
    }

    /// All chunks of the host that are files, those that wait to be loaded among them.
    fn chunks_in_files(&self, memory: &mut Memory, input: *mut c_void) -> Option<u64> {
        let layout = self.core.layout;
        let count = self.core.host.functions.chunk_statistics?;
        let storage = memory.word((input as usize).checked_add(layout.input.storage?)?)?;
        let chunkio = memory.word(storage.checked_add(layout.storage.chunkio?)?)?;
        if chunkio == 0 {
            return None;
        }
        let mut counts: ChunkCounts = [0; 16];
        // SAFETY: chunkio's own context, from an input of the engine, on its thread, which is the one
        // that makes and closes chunks. There is room for more than it counts.
        unsafe { count(chunkio as *mut c_void, (&raw mut counts).cast()) };
        u64::try_from(counts[FILES]).ok()
    }

    fn name(&self, instance: *mut c_void) -> String {
        host::instance_name(self.core.host, Section::Input, instance).unwrap_or_default()
    }
}

impl EngineHost for Handle<'_> {
    fn engine(&self) -> usize {
        self.core.config as usize
    }

    fn inputs(&self) -> Vec<InputInfo> {
        let mut memory = Memory::open();
        self.instances()
            .into_iter()
            .map(|instance| InputInfo {
                name: self.name(instance),
                ..memory
                    .as_mut()
                    .and_then(|memory| self.describe(memory, instance))
                    .unwrap_or_default()
            })
            .collect()
    }

    fn request_drain(&mut self, deadline: Duration) {
        for (_, remote) in self.remotes() {
            remote.request(deadline);
        }
    }

    fn drain_reports(&self) -> Vec<(String, String)> {
        self.remotes()
            .into_iter()
            .map(|(name, remote)| (name, remote.report()))
            .collect()
    }

    fn running_tasks(&self) -> Option<usize> {
        let count = self.core.host.functions.running_tasks?;
        // SAFETY: the host's own config, on the engine's thread.
        usize::try_from(unsafe { count(self.core.config) }).ok()
    }

    fn tasks(&self) -> Option<Vec<TaskInfo>> {
        let mut memory = Memory::open()?;
        let destinations = self.destinations(&mut memory)?;
        let (host, layout) = (self.core.host, self.core.layout);
        let offset = layout.input.tasks?;
        let mut all = Vec::new();
        for input in self.instances() {
            let input = input as usize;
            let nodes = memory.list(input + offset)?;
            let config = self.core.config as usize;
            let tasks = tasks::of_input(&mut memory, layout, input, config, &nodes, &destinations);
            if !nodes.is_empty() {
                host.tasks.decide(tasks.is_some());
                host.say_refusals();
            }
            all.extend(tasks.filter(|_| host.tasks.holds())?);
        }
        Some(all)
    }

    fn chunks(&self) -> Option<Vec<ChunkInfo>> {
        let mut memory = Memory::open()?;
        let layout = self.core.layout;
        let offset = layout.input.chunks?;
        let mut all = Vec::new();
        for input in self.instances() {
            let remote = self.remote(&mut memory, input);
            if remote.is_some_and(Remote::is_followed) {
                continue;
            }
            let nodes = memory.list((input as usize).checked_add(offset)?)?;
            if nodes.is_empty() {
                continue;
            }
            let from_before = self.is_backlog(&mut memory, input);
            let kind = remote.and_then(|_| self.only_tag(&mut memory, input));
            let holder = Holder::new(self.core.host, layout, input, self.core.config);
            for node in nodes {
                let seen = chunks::see(&mut memory, &holder, node)
                    .filter(|_| self.core.host.chunks.holds());
                // What nobody wants goes in silence. Where that is not known, it is an input of ours.
                if seen.map_or(remote.is_some(), |seen| seen.routes != 0) {
                    all.push(ChunkInfo {
                        key: node as u64,
                        input: input as u64,
                        records: seen.and_then(|seen| seen.records),
                        outputs: seen.map_or(0, |seen| seen.routes),
                        has_task: seen.is_some_and(|seen| seen.has_task),
                        kind: kind.filter(|_| {
                            seen.is_some_and(|seen| seen.routing == chunks::Routing::ByTag)
                        }),
                        from_before,
                    });
                }
            }
        }
        Some(all)
    }

    fn received(&self) -> Vec<(String, u64)> {
        let Some(mut memory) = Memory::open() else {
            return Vec::new();
        };
        let mut received = Vec::new();
        for input in self.instances() {
            if self.remote(&mut memory, input).is_none() {
                let records = self.records_of_input(&mut memory, input);
                received.extend(records.map(|records| (self.name(input), records)));
            }
        }
        received
    }

    fn counts_evictions(&self) -> bool {
        self.core.host.behaviour.counts_evictions
    }

    fn flow(&self) -> Option<Flow> {
        // Later hosts have processors, which take out and add uncounted.
        if self.core.host.behaviour.counts_evictions {
            return None;
        }
        let mut memory = Memory::open()?;
        let mut flow = Flow::default();
        for input in self.instances() {
            let records = self.records_of_input(&mut memory, input)?;
            let remote = self.remote(&mut memory, input);
            if remote.is_some_and(Remote::is_followed) {
                flow.followed = flow.followed.saturating_add(records);
            } else {
                flow.others.push((input as u64, records));
            }
        }
        let config = self.core.config as usize;
        for (filter, _) in host::filters(self.core.layout, &mut memory, config)? {
            let text = self.metrics_of_filter(&mut memory, filter)?;
            let count = |name| metrics::count_in(&text, name);
            let [taken_out, added] = [
                "fluentbit_filter_drop_records_total",
                "fluentbit_filter_add_records_total",
            ]
            .map(count);
            flow.taken_out = flow.taken_out.saturating_add(taken_out);
            flow.added = flow.added.saturating_add(added);
        }
        Some(flow)
    }

    fn lost_in_filters(&self) -> Option<u64> {
        let mut memory = Memory::open()?;
        let config = self.core.config as usize;
        let mut lost = None;
        for (filter, plugin) in host::filters(self.core.layout, &mut memory, config)? {
            if plugin != "rewrite_tag" {
                continue;
            }
            let text = self.metrics_of_filter(&mut memory, filter)?;
            let count = |name| metrics::count_in(&text, name);
            let taken_out = count("fluentbit_filter_drop_records_total");
            let emitted = count("fluentbit_filter_emit_records_total");
            let more = taken_out.saturating_sub(emitted);
            lost = Some(lost.unwrap_or(0u64).saturating_add(more));
        }
        lost
    }

    fn lost_in_rings(&self) -> Option<u64> {
        // Later hosts make room, and have processors that may take records out.
        if self.core.host.behaviour.counts_evictions {
            return None;
        }
        let mut memory = Memory::open()?;
        let mut lost = 0u64;
        for input in self.instances() {
            let remote = self.remote(&mut memory, input);
            let Some(remote) = remote.filter(|remote| !remote.is_followed()) else {
                continue;
            };
            let holder = Holder::new(self.core.host, self.core.layout, input, self.core.config);
            if holder.ring_holds(&mut memory)? == 0 {
                let taken = self.records_of_input(&mut memory, input)?;
                lost = lost.saturating_add(remote.status().records.saturating_sub(taken));
            }
        }
        Some(lost)
    }

    fn backlog(&self) -> Option<Backlog> {
        let host = self.core.host;
        let layout = self.core.layout;
        // What such a host finds damaged goes as well, and is read again.
        if !host.behaviour.keeps_chunks {
            return None;
        }
        let mut memory = Memory::open()?;
        let inputs = self.instances();
        let backlog = *inputs
            .iter()
            .find(|input| self.is_backlog(&mut memory, **input))?;
        let in_files = self.chunks_in_files(&mut memory, backlog)?;
        let offset = layout.input.chunks?;
        let mut listed = 0;
        for input in inputs {
            let holder = Holder::new(host, layout, input, self.core.config);
            // The one that loads them says otherwise.
            if input == backlog || holder.uses_files(&mut memory) {
                listed += memory.list((input as usize).checked_add(offset)?)?.len() as u64;
            }
        }
        Some(Backlog {
            unloaded: in_files.saturating_sub(listed),
            loaded_records: self.records_of_input(&mut memory, backlog),
        })
    }

    fn accounts(&self) -> Vec<(String, InputAccount)> {
        let remotes = self.remotes().into_iter();
        remotes
            .filter_map(|(name, remote)| Some((name, self.account(remote)?)))
            .collect()
    }

    fn retry_now(&mut self, retries: &[u64]) -> Option<usize> {
        let functions = &self.core.host.functions;
        functions
            .forget_request
            .and(functions.dispatch_retry.map(drop))?;
        let (host, config) = (self.core.host, self.core.config);
        // SAFETY: the host's own config, on the engine's thread; no list is being walked.
        let sent = retries
            .iter()
            .filter(|key| unsafe { tasks::retry_now(host, config, **key) });
        Some(sent.count())
    }

    fn storage_chunks(&self) -> Option<(usize, usize)> {
        let count = self.core.host.functions.storage_chunks?;
        let (mut memory, mut filesystem) = (0, 0);
        // SAFETY: the host's own config; both places are ints of ours.
        unsafe { count(self.core.config, &mut memory, &mut filesystem) };
        Some((
            usize::try_from(memory).ok()?,
            usize::try_from(filesystem).ok()?,
        ))
    }

    fn flushed(&self) -> FlushCounts {
        FlushCounts {
            flushes: self.counts.flushes.load(Ordering::Relaxed),
            records: self.counts.records.load(Ordering::Relaxed),
            bytes: self.counts.bytes.load(Ordering::Relaxed),
        }
    }

    fn is_stopping(&self) -> bool {
        self.core.is_stopping()
    }

    fn flush(&mut self) {
        self.core.flush_engine();
    }

    fn exit(&mut self, status: i32) -> bool {
        let engine = EngineThread::current();
        self.core.exit_engine(status, Some(engine))
    }

    fn limit_grace(&mut self, limit: Duration) {
        let Some(set) = self.core.host.functions.service_property else {
            return;
        };
        let Ok(seconds) = CString::new(limit.as_secs().to_string()) else {
            return;
        };
        // SAFETY: the engine's own config; both texts are only read.
        unsafe { set(self.core.config, c"grace".as_ptr(), seconds.as_ptr()) };
    }

    fn process_end(&self) -> Option<Arc<dyn ProcessEnd>> {
        Some(Arc::new(End(self.core.log.clone())))
    }

    fn may_reload(&self) -> bool {
        signals::may_reload(self.core.host.behaviour.reload_is_flagged)
    }

    fn outputs(&self) -> Vec<OutputInfo> {
        let Some(mut memory) = Memory::open() else {
            return Vec::new();
        };
        self.outputs_of_engine(&mut memory)
            .unwrap_or_default()
            .into_iter()
            .filter_map(|instance| self.describe_output(&mut memory, instance))
            .collect()
    }

    fn take_over_sigterm(&mut self) -> bool {
        lock(self.ears).as_mut().is_some_and(Ears::keep_sigterm)
    }

    fn terminate_requested(&mut self) -> Option<Duration> {
        lock(self.ears).as_ref().and_then(Ears::terminated)
    }

    fn metrics(&self) -> &Metrics {
        &self.core.metrics
    }
}
