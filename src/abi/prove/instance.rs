//! What of an instance of ours is where a layout says.

use std::ffi::{c_char, c_void, CStr, CString};

use host_abi::layout::{Config, FilterInstance, InputInstance, Layout, OutputInstance, Places};

use crate::abi::discover::Voucher;
use crate::abi::functions::SetProperty;
use crate::abi::memory::Memory;
use crate::host::Section;

/// How much of the engine's configuration is believed to be it: no release's is larger.
const MAX_CONFIG: usize = 32 << 10;
/// How far into it the engine's chunkio is looked for: 5.1.1 has less than 3 KiB in all.
const MAX_CHUNKIO: usize = 4 << 10;
/// What an input that is not paused has as its state.
const RUNNING: &[i32] = &[1];

/// An instance of ours, and what is known of it from elsewhere.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Instance {
    pub(crate) section: Section,
    pub(crate) address: usize,
    pub(crate) config: usize,
    /// Where the plugin's name is: the host copied the address.
    pub(crate) our_name: *mut c_char,
    /// The host has functions for its log level and its metrics.
    pub(crate) needs_metrics: bool,
    /// Sets an option of an output.
    pub(crate) set_property: Option<SetProperty>,
    pub(crate) voucher: Voucher,
}

/// Limits that the host is asked to set: neither a default nor a flag.
const LIMITS: [i32; 2] = [4711, 29];

/// The layout with what this instance does not prove taken out, and the names of that.
pub(crate) fn instance(
    memory: &mut Memory,
    layout: &Layout,
    instance: Instance,
) -> (Layout, Vec<&'static str>) {
    let mut proof = Proof {
        memory,
        layout,
        instance,
        failed: Vec::new(),
    };
    let mut proven = *layout;
    proven.config = proof.config();
    match instance.section {
        Section::Input => proven.input = proof.input(),
        Section::Filter => proven.filter = proof.filter(),
        Section::Output => proven.output = proof.output(),
    }
    (proven, proof.failed)
}

struct Proof<'a> {
    memory: &'a mut Memory,
    layout: &'a Layout,
    instance: Instance,
    failed: Vec<&'static str>,
}

impl Proof<'_> {
    /// Keeps `offset` if `holds` says so of the field's address.
    fn field(
        &mut self,
        name: &'static str,
        offset: Option<usize>,
        holds: impl FnOnce(&mut Self, usize) -> Option<bool>,
    ) -> Option<usize> {
        let at = offset?;
        let address = self.instance.address.checked_add(at)?;
        if holds(self, address) == Some(true) {
            return Some(at);
        }
        self.failed.push(name);
        None
    }

    /// The instance leads to our registration struct, which has our name.
    fn is_ours(&mut self, plugin: Option<usize>, name: usize) -> Option<usize> {
        self.field("its plugin", plugin, |proof, at| {
            let plugin = proof.memory.word(at)?;
            let found = proof.memory.word(plugin.checked_add(name)?)?;
            Some(found == proof.instance.our_name as usize)
        })
    }

    fn log_level(&mut self, offset: Option<usize>) -> Option<usize> {
        self.field("log level", offset, |proof, at| {
            Some((-1..=10).contains(&proof.memory.int(at)?))
        })
    }

    /// A list of keys and values.
    fn properties(&mut self, offset: Option<usize>) -> Option<usize> {
        self.field("options that repeat", offset, |proof, at| {
            let property = &proof.layout.property;
            let (key, node) = (property.key?, property.node?);
            for entry in proof.memory.list(at)? {
                let key = proof
                    .memory
                    .word(entry.checked_sub(node)?.checked_add(key)?)?;
                String::from_utf8(proof.memory.sds(key)?).ok()?;
            }
            Some(true)
        })
    }

    fn list(&mut self, name: &'static str, offset: Option<usize>) -> Option<usize> {
        self.field(name, offset, |proof, at| {
            proof.memory.list(at).map(|_| true)
        })
    }

    /// A list that leads through the engine's configuration.
    fn in_engine(&mut self, offset: usize) -> Option<bool> {
        let config = self.instance.config;
        let bytes = match self.layout.config.bytes {
            0 => MAX_CONFIG,
            known => known,
        };
        let nodes = self
            .memory
            .list(self.instance.address.checked_add(offset)?)?;
        let range = config..config.checked_add(bytes)?;
        Some(nodes.iter().any(|node| range.contains(node)))
    }

    /// A metrics context, with its list of counters.
    fn metrics(&mut self, offset: Option<usize>) -> Option<usize> {
        self.field("metrics", offset, |proof, at| {
            let context = proof.memory.word(at)?;
            let counters = proof.layout.metrics.counters?;
            proof
                .memory
                .list(context.checked_add(counters)?)
                .map(|_| true)
        })
    }

    /// Its kind is one, and its chunkio is that of the engine: whether records outlive a kill is
    /// judged by both.
    fn is_storage(&mut self, storage: usize) -> Option<bool> {
        let known = &self.layout.storage;
        let kind = self.memory.int(storage.checked_add(known.kind?)?)?;
        let chunkio = self.memory.word(storage.checked_add(known.chunkio?)?)?;
        let bytes = match self.layout.config.bytes {
            0 => MAX_CHUNKIO,
            known => known.min(MAX_CHUNKIO),
        };
        let mut words = (0..bytes).step_by(size_of::<usize>()).map_while(|at| {
            let at = self.instance.config.checked_add(at)?;
            self.memory.word(at)
        });
        Some((0..=16).contains(&kind) && chunkio != 0 && words.any(|word| word == chunkio))
    }

    /// An int that holds one of `wanted` while an instance is made.
    fn flag(&mut self, name: &'static str, offset: Option<usize>, wanted: &[i32]) -> Option<usize> {
        self.field(name, offset, |proof, at| {
            Some(wanted.contains(&proof.memory.int(at)?))
        })
    }

    /// Two flags, which are read often and without a question to the kernel.
    fn config(&mut self) -> Config {
        let known = self.layout.config;
        let config = self.instance.config;
        let mut flag = |name, offset: Option<usize>, wanted| {
            let at = offset?;
            let value = config.checked_add(at).and_then(|at| self.memory.int(at));
            if value == Some(wanted) {
                return Some(at);
            }
            self.failed.push(name);
            None
        };
        // An engine that makes instances takes records and does not end.
        Config {
            bytes: known.bytes,
            ingestion_active: flag(
                "whether the engine takes records",
                known.ingestion_active,
                1,
            ),
            shutting_down: flag("whether the engine ends", known.shutting_down, 0),
            // Proven by those that are in it.
            filters: known.filters,
        }
    }

    fn input(&mut self) -> InputInstance {
        let known = self.layout.input;
        let plugin = self.is_ours(known.plugin, self.layout.input_plugin.name);
        if plugin.is_none() {
            return NO_INPUT;
        }
        InputInstance {
            bytes: known.bytes,
            plugin,
            log_level: self.log_level(known.log_level),
            // Proven once it was set.
            context: known.context,
            tag: self.field("tag", known.tag, |proof, at| {
                match proof.memory.word(at)? {
                    0 => Some(true),
                    tag => Some(String::from_utf8(proof.memory.sds(tag)?).is_ok()),
                }
            }),
            storage: self.field("storage", known.storage, |proof, at| {
                match proof.memory.word(at)? {
                    0 => Some(true),
                    storage => proof.is_storage(storage),
                }
            }),
            running: self.flag("pause for memory", known.running, RUNNING),
            storage_running: self.flag("pause for storage", known.storage_running, RUNNING),
            node: self.in_list("list of inputs", known.node),
            properties: self.properties(known.properties),
            chunks: self.list("chunks", known.chunks),
            tasks: self.list("tasks", known.tasks),
            threaded: self.flag("threaded", known.threaded, &[0, 1]),
            ring: self.field(
                "ring of a threaded input",
                known.ring,
                |proof, at| match proof.memory.word(at)? {
                    0 => Some(true),
                    ring => {
                        let inside = proof.layout.ring.buffer.iter().next()?;
                        proof.memory.word(ring.checked_add(inside)?).map(|_| true)
                    }
                },
            ),
            metrics: self.metrics_if_needed(known.metrics),
        }
    }

    /// The field by which the engine has an instance in its list.
    fn in_list(&mut self, name: &'static str, node: Option<usize>) -> Option<usize> {
        self.field(name, node, |proof, at| {
            proof.in_engine(at - proof.instance.address)
        })
    }

    /// The host itself changes it. Outputs of ours fail no delivery, so theirs is never looked at.
    fn retry_limit(&mut self, offset: Option<usize>) -> Option<usize> {
        self.field("retry limit", offset, |proof, at| {
            let before = proof.memory.int(at)?;
            let Some(set) = proof.instance.set_property else {
                // What no function can show is believed where debug information says so.
                return Some(before >= -1 && proof.instance.voucher == Voucher::DebugInformation);
            };
            let instance = proof.instance.address as *mut c_void;
            let set = |value: &CStr| {
                // SAFETY: the host's own function for an output of this kind, which is being made;
                // it copies both texts.
                unsafe { set(instance, c"retry_limit".as_ptr(), value.as_ptr()) };
            };
            let follows = LIMITS.iter().all(|limit| {
                if let Ok(text) = CString::new(limit.to_string()) {
                    set(&text);
                }
                proof.memory.int(at) == Some(*limit)
            });
            match before {
                -1 => set(c"no_limits"),
                0 => set(c"no_retries"),
                before => set(&CString::new(before.max(1).to_string()).ok()?),
            }
            Some(follows)
        })
    }

    fn metrics_if_needed(&mut self, offset: Option<usize>) -> Option<usize> {
        if self.instance.needs_metrics {
            self.metrics(offset)
        } else {
            offset
        }
    }

    fn filter(&mut self) -> FilterInstance {
        let known = self.layout.filter;
        let plugin = self.is_ours(known.plugin, self.layout.filter_plugin.name);
        if plugin.is_none() {
            return NO_FILTER;
        }
        FilterInstance {
            bytes: known.bytes,
            plugin,
            log_level: self.log_level(known.log_level),
            properties: self.properties(known.properties),
            node: self.in_list("list of filters", known.node),
            metrics: self.metrics(known.metrics),
        }
    }

    fn output(&mut self) -> OutputInstance {
        let known = self.layout.output;
        let plugin = self.is_ours(known.plugin, self.layout.output_plugin.name);
        if plugin.is_none() {
            return NO_OUTPUT;
        }
        let node = known
            .node
            .iter()
            .find(|at| self.in_engine(*at) == Some(true));
        if node.is_none() && known.node != Places::NONE {
            self.failed.push("list of outputs");
        }
        OutputInstance {
            bytes: known.bytes,
            plugin,
            log_level: self.log_level(known.log_level),
            properties: self.properties(known.properties),
            retry_limit: self.retry_limit(known.retry_limit),
            node: node.map_or(Places::NONE, |at| Places::at(&[at])),
            metrics: self.metrics_if_needed(known.metrics),
        }
    }
}

/// The layout without anything of instances.
pub(crate) fn without_instances(layout: &Layout) -> Layout {
    Layout {
        input: NO_INPUT,
        filter: NO_FILTER,
        output: NO_OUTPUT,
        config: Config {
            bytes: layout.config.bytes,
            ingestion_active: None,
            shutting_down: None,
            filters: Places::NONE,
        },
        ..*layout
    }
}

pub(super) const NO_INPUT: InputInstance = InputInstance {
    bytes: 0,
    log_level: None,
    context: None,
    plugin: None,
    tag: None,
    storage: None,
    running: None,
    storage_running: None,
    node: None,
    properties: None,
    chunks: None,
    tasks: None,
    threaded: None,
    ring: None,
    metrics: None,
};
const NO_FILTER: FilterInstance = FilterInstance {
    bytes: 0,
    log_level: None,
    plugin: None,
    properties: None,
    node: None,
    metrics: None,
};
const NO_OUTPUT: OutputInstance = OutputInstance {
    bytes: 0,
    log_level: None,
    plugin: None,
    properties: None,
    retry_limit: None,
    node: Places::NONE,
    metrics: None,
};
