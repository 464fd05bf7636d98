//! The one table of host generations.
//!
//! A generation is a range of releases in which everything this library relies on is the same.
//! No other place in the project looks at a version. The facts are from the public headers of
//! all releases, and compared with the debug information of every real host that tests find;
//! `include/README.md` says how to add a row.

mod instances;
#[macro_use]
mod registration;
#[cfg(test)]
mod tests;

use std::ffi::CStr;
use std::mem::offset_of;

use flb_sidecar_sdk::event::RecordFormat;
use host_abi::layout::{
    Chunkio, Config, EventChunk, FilterPlugin, InputChunk, InputPlugin, Layout, ListNode, Metrics,
    OptionEntry, OutputPlugin, Places, Property, Ring, RingBuffer, Storage, Task, TaskRetry,
};

use super::bindings as abi;
use super::generations::{AppendCall, Behaviour, FilterArguments, Sizes};
use instances::*;

/// A range of releases with one ABI.
#[derive(Debug)]
pub struct Generation {
    /// First and last release, for messages.
    pub releases: &'static str,
    /// Symbols that this range has.
    pub present: &'static [&'static CStr],
    /// Symbols that this range does not have.
    pub absent: &'static [&'static CStr],
    /// Where everything is, on x86_64 and in a host with chunk tracing.
    pub(super) layout: Layout,
    /// What the layout does not show.
    pub behaviour: Behaviour,
    /// The input instance holds a mutex (larger on aarch64 with glibc) and, where the host is
    /// built with chunk tracing, its state: both shift what follows.
    input_has_mutex: bool,
}

/// Where a chunk has its trace, in a host that has chunk tracing.
const TRACE_OF_CHUNK: usize = 80;

/// By how much the fields of an input instance are moved on this machine and host build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InputShift {
    bytes: isize,
    chunk_tracing: bool,
}

impl InputShift {
    /// For the machine this is compiled for, and a host with or without chunk tracing.
    pub fn new(chunk_tracing: bool) -> Self {
        let wide_mutex = cfg!(all(target_arch = "aarch64", target_env = "gnu"));
        let bytes = match (chunk_tracing, wide_mutex) {
            (true, false) => 0,
            (true, true) => 8,
            (false, _) => -48,
        };
        InputShift {
            bytes,
            chunk_tracing,
        }
    }
}

impl Generation {
    /// What the host's own structs measure.
    pub fn sizes(&self) -> Sizes {
        Sizes {
            input: self.layout.input_plugin.bytes as u64,
            filter: self.layout.filter_plugin.bytes as u64,
            output: self.layout.output_plugin.bytes as u64,
        }
    }

    /// Where everything is in a host with this shift.
    pub fn layout(&self, shift: InputShift) -> Layout {
        let mut layout = self.layout;
        if self.input_has_mutex {
            layout.input = layout.input.grown(0, shift.bytes);
            if !shift.chunk_tracing {
                layout.input_chunk = layout.input_chunk.grown(TRACE_OF_CHUNK, -8);
            }
        }
        layout
    }

    /// As a row says it, what was `found` in a host with this shift.
    pub(super) fn unshifted(&self, mut found: Layout, shift: InputShift) -> Layout {
        if self.input_has_mutex {
            found.input = found.input.grown(0, -shift.bytes);
            if !shift.chunk_tracing {
                found.input_chunk = found.input_chunk.grown(TRACE_OF_CHUNK, 8);
            }
        }
        found
    }
}

/// The oldest row; the others say what changed since.
const V1_9_0: Generation = Generation {
    releases: "1.9.0 to 1.9.2",
    present: &[c"flb_output_flush_prepare_destroy"],
    absent: &[c"flb_ra_update_kv_pair"],
    input_has_mutex: false,
    layout: Layout {
        input_plugin: input_plugin!(input_plugin_1_9_0),
        filter_plugin: filter_plugin!(filter_plugin_1_9_0),
        output_plugin: output_plugin!(output_plugin_1_9_0),
        option: option_entry!(config_map_1_9_0),
        input: INPUT_1_9,
        filter: FILTER_1_9,
        output: OUTPUT_1_9,
        chunk: EventChunk {
            bytes: size_of::<abi::host_event_chunk>(),
            size: Some(offset_of!(abi::host_event_chunk, size)),
            records: Some(offset_of!(abi::host_event_chunk, total_events)),
        },
        node: ListNode {
            bytes: size_of::<abi::host_list>(),
            previous: Some(offset_of!(abi::host_list, prev)),
            next: Some(offset_of!(abi::host_list, next)),
        },
        property: Property {
            bytes: size_of::<abi::host_property>(),
            key: Some(offset_of!(abi::host_property, key)),
            value: Some(offset_of!(abi::host_property, value)),
            node: Some(offset_of!(abi::host_property, node)),
        },
        config: Config {
            bytes: 32 << 10,
            ingestion_active: Some(76),
            shutting_down: Some(80),
            filters: Places::at(&[616, 624]),
        },
        storage: Storage {
            bytes: 0,
            kind: Some(0),
            chunkio: Some(16),
        },
        chunkio: Chunkio {
            bytes: 0,
            flags: Places::at(&[0, 8, 12]),
        },
        ring: Ring {
            bytes: 0,
            buffer: Places::at(&[0, 40, 48]),
        },
        buffer: RingBuffer {
            bytes: 0,
            data: Some(8),
            size: Some(16),
            read: Some(24),
            write: Some(32),
        },
        task: Task {
            bytes: 0,
            routes: Some(48),
            retries: Some(64),
            node: Some(80),
            input: Some(96),
            config: Some(104),
        },
        // The node of a chunk moved often; each chunk leads back to its input.
        input_chunk: InputChunk {
            bytes: 0,
            records: Some(20),
            input: Some(64),
            task: Some(72),
            routes: Places::at(&[80, 88, 96]),
            node: Places::at(&[104, 112, 120, 128]),
        },
        retry: TaskRetry {
            bytes: 0,
            attempts: Some(0),
            output: Some(8),
            task: Some(16),
            node: Some(24),
        },
        metrics: Metrics {
            bytes: 0,
            counters: Some(40),
        },
    },
    behaviour: Behaviour {
        filter_arguments: FilterArguments::Nine,
        append: AppendCall::ChunkRaw,
        record_format: RecordFormat::Legacy,
        keeps_chunks: true,
        reload_is_flagged: false,
        counts_evictions: false,
        threaded_inputs: false,
    },
};

const V1_9_3: Generation = Generation {
    releases: "1.9.3 to 1.9.10",
    present: &[c"flb_ra_update_kv_pair"],
    absent: &[c"flb_input_log_append"],
    behaviour: Behaviour {
        filter_arguments: FilterArguments::Ten,
        ..V1_9_0.behaviour
    },
    ..V1_9_0
};

const V2_0_0: Generation = Generation {
    releases: "2.0.0",
    present: &[c"flb_input_log_append", c"flb_input_event_type_is_log"],
    absent: &[c"flb_log_event_decoder_init"],
    input_has_mutex: true,
    layout: Layout {
        config: Config {
            filters: Places::at(&[656]),
            ..V1_9_3.layout.config
        },
        input_plugin: input_plugin!(input_plugin_2_0_0),
        input: INPUT_2_0_0,
        output: OUTPUT_2_0,
        ..V1_9_3.layout
    },
    behaviour: Behaviour {
        append: AppendCall::Log,
        threaded_inputs: true,
        ..V1_9_3.behaviour
    },
};

const V2_0_1: Generation = Generation {
    releases: "2.0.1 to 2.0.6",
    present: &[c"flb_input_log_append"],
    absent: &[
        c"flb_input_event_type_is_log",
        c"flb_log_event_decoder_init",
    ],
    layout: Layout {
        input: INPUT_2_0_1,
        ..V2_0_0.layout
    },
    ..V2_0_0
};

const V2_0_7: Generation = Generation {
    releases: "2.0.7 to 2.0.14",
    absent: &[c"flb_log_event_decoder_init"],
    layout: Layout {
        input_plugin: input_plugin!(input_plugin_2_0_7),
        output_plugin: output_plugin!(output_plugin_2_0_7),
        ..V2_0_1.layout
    },
    ..V2_0_1
};

const V2_1_0: Generation = Generation {
    releases: "2.1.0 to 2.1.3",
    present: &[c"flb_log_event_decoder_init"],
    absent: &[c"flb_input_log_append_skip_processor_stages"],
    layout: Layout {
        config: Config {
            filters: Places::at(&[704]),
            ..V2_0_7.layout.config
        },
        filter_plugin: filter_plugin!(filter_plugin_2_1_0),
        input: INPUT_2_1,
        filter: FILTER_2_1_0,
        output: output_2_1(320, &[448]),
        ..V2_0_7.layout
    },
    behaviour: Behaviour {
        record_format: RecordFormat::WithMetadata,
        keeps_chunks: false,
        ..V2_0_7.behaviour
    },
    ..V2_0_7
};

const V2_1_4: Generation = Generation {
    releases: "2.1.4 to 2.1.10",
    present: &[c"flb_input_log_append_skip_processor_stages"],
    absent: &[c"flb_input_set_processor"],
    layout: Layout {
        filter: FILTER_2_1_4,
        ..V2_1_0.layout
    },
    behaviour: Behaviour {
        keeps_chunks: true,
        ..V2_1_0.behaviour
    },
    ..V2_1_0
};

const V2_2_0: Generation = Generation {
    releases: "2.2.0 to 3.0.7",
    absent: &[c"flb_log_event_decoder_get_record_type"],
    layout: Layout {
        filter_plugin: filter_plugin!(filter_plugin_2_2_0),
        output: output_2_1(320, &[448, 456]),
        ..V2_1_4.layout
    },
    behaviour: Behaviour {
        reload_is_flagged: true,
        counts_evictions: true,
        ..V2_1_4.behaviour
    },
    ..V2_1_4
};

const V3_1_0: Generation = Generation {
    releases: "3.1.0 to 3.1.10",
    present: &[c"flb_log_event_decoder_get_record_type"],
    absent: &[c"flb_notification_enqueue"],
    layout: Layout {
        output: output_2_1(328, &[464]),
        ..V2_2_0.layout
    },
    ..V2_2_0
};

const V3_2_0: Generation = Generation {
    releases: "3.2.0 to 3.2.1",
    present: &[c"flb_notification_enqueue"],
    absent: &[c"flb_output_set_http_test"],
    layout: Layout {
        config: Config {
            filters: Places::at(&[792]),
            ..V3_1_0.layout.config
        },
        input_plugin: input_plugin!(input_plugin_3_2_0),
        filter_plugin: filter_plugin!(filter_plugin_3_2_0),
        output_plugin: output_plugin!(output_plugin_3_2_0),
        output: output_2_1(328, &[480]),
        ..V3_1_0.layout
    },
    ..V3_1_0
};

const V3_2_2: Generation = Generation {
    releases: "3.2.2",
    present: &[c"flb_output_set_http_test"],
    absent: &[c"flb_input_set_test"],
    layout: Layout {
        output_plugin: output_plugin!(output_plugin_3_2_2),
        ..V3_2_0.layout
    },
    ..V3_2_0
};

const V3_2_3: Generation = Generation {
    releases: "3.2.3 to 3.2.10",
    present: &[c"flb_input_set_test"],
    absent: &[c"flb_config_task_map_resize"],
    layout: Layout {
        input_plugin: input_plugin!(input_plugin_3_2_3),
        input: INPUT_3_2_3,
        ..V3_2_2.layout
    },
    ..V3_2_2
};

const V4_0_0: Generation = Generation {
    releases: "4.0.0 to 5.0.2",
    present: &[c"flb_config_task_map_resize"],
    absent: &[c"flb_config_map_get_raw"],
    layout: Layout {
        config: Config {
            filters: Places::at(&[792, 800]),
            ..V3_2_3.layout.config
        },
        output: output_2_1(352, &[504, 512, 568]),
        ..V3_2_3.layout
    },
    ..V3_2_3
};

const V5_0_3: Generation = Generation {
    releases: "5.0.3 to 5.0.9",
    present: &[c"flb_config_map_get_raw"],
    absent: &[c"flb_input_plugin_pause"],
    layout: Layout {
        config: Config {
            filters: Places::at(&[800]),
            ..V4_0_0.layout.config
        },
        option: option_entry!(config_map_5_0_3),
        output: output_2_1(360, &[576]),
        ..V4_0_0.layout
    },
    ..V4_0_0
};

const V5_1_0: Generation = Generation {
    releases: "5.1.0 to 5.1.1",
    present: &[c"flb_input_plugin_pause", c"flb_config_map_get_raw"],
    absent: &[],
    layout: Layout {
        config: Config {
            filters: Places::at(&[880]),
            ..V5_0_3.layout.config
        },
        input_plugin: input_plugin!(input_plugin_5_1_0),
        output_plugin: output_plugin!(output_plugin_5_1_0),
        input: INPUT_5_1,
        output: output_2_1(384, &[600]),
        ..V5_0_3.layout
    },
    ..V5_0_3
};

/// Every generation, oldest first.
pub static GENERATIONS: &[Generation] = &[
    V1_9_0, V1_9_3, V2_0_0, V2_0_1, V2_0_7, V2_1_0, V2_1_4, V2_2_0, V3_1_0, V3_2_0, V3_2_2, V3_2_3,
    V4_0_0, V5_0_3, V5_1_0,
];
