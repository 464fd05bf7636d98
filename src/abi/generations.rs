//! The one table of host generations, and how a running host is matched to a row.
//!
//! A generation is a range of releases in which everything this library relies on is the same.
//! No other place in the project looks at a version. The facts are from the public headers of
//! all releases; `include/README.md` says how to add a row.

use std::ffi::CStr;
use std::fmt;

use flb_sidecar_sdk::event::RecordFormat;

/// Sizes in bytes of the host's own registration structs, as its symbol table has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// `struct flb_input_plugin`
    pub input: u64,
    /// `struct flb_filter_plugin`
    pub filter: u64,
    /// `struct flb_output_plugin`
    pub output: u64,
}

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Sizes {
            input,
            filter,
            output,
        } = self;
        write!(f, "input {input}, filter {filter}, output {output} bytes")
    }
}

/// Layout of `struct flb_input_plugin`, named by its first release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, non_camel_case_types)]
pub enum InputLayout {
    V1_9_0,
    V2_0_0,
    V2_0_7,
    V3_2_0,
    V3_2_3,
    V5_1_0,
}

/// Layout of `struct flb_filter_plugin`, named by its first release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, non_camel_case_types)]
pub enum FilterLayout {
    V1_9_0,
    V2_1_0,
    V2_2_0,
    V3_2_0,
}

/// Layout of `struct flb_output_plugin`, named by its first release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, non_camel_case_types)]
pub enum OutputLayout {
    V1_9_0,
    V2_0_7,
    V3_2_0,
    V3_2_2,
    V5_1_0,
}

/// Layout of `struct flb_config_map`, named by its first release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, non_camel_case_types)]
pub enum ConfigMapLayout {
    V1_9_0,
    V5_0_3,
}

/// How many arguments the filter callback gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterArguments {
    /// Without the input instance.
    Nine,
    /// With it.
    Ten,
}

/// Which family of append functions the host has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendCall {
    /// `flb_input_chunk_append_raw2`, with the number of records; else `flb_input_chunk_append_raw`,
    /// five arguments, where the host unpacks all of it to count them.
    ChunkRaw,
    /// `flb_input_log_append_records`, or `flb_input_log_append`.
    Log,
}

/// Offsets inside `struct flb_input_instance` (x86_64; see [`Generation::input_offset`]).
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct InputOffsets {
    pub log_level: usize,
    pub context: usize,
    pub plugin: usize,
    pub tag: usize,
    /// Its storage: kind, stream, chunkio's context.
    pub storage: usize,
    /// Two ints, for memory and for storage: 0 while it is paused for lack of room.
    pub running: usize,
    /// The node in the list of inputs.
    pub node: usize,
    pub properties: usize,
    pub chunks: usize,
    pub tasks: usize,
    /// Absent before 2.0.0.
    pub threaded: Option<usize>,
    /// What a threaded input appended and the engine has not taken; absent before 2.0.0.
    pub ring: Option<usize>,
    /// Only where `flb_input_get_cmt_instance` is missing.
    pub metrics: Option<usize>,
}

/// Offsets inside `struct flb_filter_instance`.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct FilterOffsets {
    pub log_level: usize,
    pub plugin: usize,
    pub properties: usize,
    pub metrics: usize,
}

/// Offsets inside `struct flb_output_instance`.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct OutputOffsets {
    pub log_level: usize,
    pub plugin: usize,
    pub properties: usize,
    pub retry_limit: usize,
    /// The node in the list of outputs. It moved inside some ranges, so there are candidates:
    /// the right one is part of a list that leads to the engine's configuration.
    pub node: &'static [usize],
    /// Only where `flb_output_get_cmt_instance` is missing.
    pub metrics: Option<usize>,
}

/// Offsets inside `struct flb_config`; the same in every release and build since 1.9.0.
#[derive(Clone, Copy, Debug)]
pub struct ConfigOffsets;

impl ConfigOffsets {
    /// `is_ingestion_active`, int.
    pub const INGESTION_ACTIVE: usize = 76;
    /// `is_shutting_down`, int.
    pub const SHUTTING_DOWN: usize = 80;
    /// No release's is larger.
    pub const MOST_BYTES: usize = 32 << 10;
}

/// What is read of chunkio and of the ring, the same in every release unless said otherwise.
#[derive(Clone, Copy, Debug)]
pub struct StorageOffsets;

impl StorageOffsets {
    /// In an input's storage: the kind, int; 0 is the filesystem.
    pub const KIND: usize = 0;
    /// In an input's storage: chunkio's context.
    pub const CHUNKIO: usize = 16;
    /// In chunkio's context: where its flags are or were, ints. The two other places never have
    /// the bit of [`StorageOffsets::CHECKSUM`], but for a pointer's upper half in 1.9.0.
    pub const FLAGS: [usize; 3] = [0, 8, 12];
    /// Chunks are written with a checksum, which is right only after a sync.
    pub const CHECKSUM: i32 = 4;
    /// In a ring: where the buffer behind it is. Since 5.1.0 there is a mutex before it.
    pub const RING_BUFFER: [usize; 3] = [0, 40, 48];
    /// In that buffer: data, size, read position and write position, words.
    pub const RING_POSITIONS: [usize; 4] = [0, 8, 16, 24];
}

/// A range of releases with one ABI.
#[derive(Debug)]
pub struct Generation {
    /// First and last release, for messages.
    pub releases: &'static str,
    /// What the host's own structs measure.
    pub sizes: Sizes,
    /// Symbols that this range has.
    pub present: &'static [&'static CStr],
    /// Symbols that this range does not have.
    pub absent: &'static [&'static CStr],
    /// Registration of inputs.
    pub input: InputLayout,
    /// Registration of filters.
    pub filter: FilterLayout,
    /// Registration of outputs.
    pub output: OutputLayout,
    /// Option tables.
    pub config_map: ConfigMapLayout,
    /// Filter callback.
    pub filter_arguments: FilterArguments,
    /// Append call.
    pub append: AppendCall,
    /// Header of the records that inputs write.
    pub record_format: RecordFormat,
    /// Input instance.
    pub input_instance: InputOffsets,
    /// Filter instance.
    pub filter_instance: FilterOffsets,
    /// Output instance.
    pub output_instance: OutputOffsets,
    /// A killed host reads the chunks in its files again. 2.1.0 to 2.1.2 take their own header of
    /// records for damage.
    pub keeps_chunks: bool,
    /// The host says in `flb_bin_restarting` that it is reloading; before 2.2.0 its handler of SIGHUP
    /// does it all.
    pub reload_is_flagged: bool,
    /// The host takes `threaded` from any input's options; before, it is ours to accept.
    pub threaded_inputs: bool,
    /// The input instance holds a mutex (larger on aarch64 with glibc) and, where the host is
    /// built with chunk tracing, its state: both shift what follows.
    pub input_has_mutex: bool,
}

/// What shifts the offsets of an input instance on this machine and host build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InputShift {
    mutex_extra: usize,
    tracing_bytes: usize,
}

impl InputShift {
    /// For the machine this is compiled for, and a host with or without chunk tracing.
    pub fn new(chunk_tracing: bool) -> Self {
        let wide_mutex = cfg!(all(target_arch = "aarch64", target_env = "gnu"));
        InputShift {
            mutex_extra: if wide_mutex { 8 } else { 0 },
            tracing_bytes: match (chunk_tracing, wide_mutex) {
                (true, _) => 0,
                (false, false) => 48,
                (false, true) => 56,
            },
        }
    }
}

impl Generation {
    /// Offset in an input instance of this host, from the table's x86_64 offset.
    pub fn input_offset(&self, table: usize, shift: InputShift) -> usize {
        if self.input_has_mutex {
            table + shift.mutex_extra - shift.tracing_bytes
        } else {
            table
        }
    }
}

const INPUT_1_9: InputOffsets = InputOffsets {
    log_level: 84,
    context: 144,
    plugin: 160,
    tag: 168,
    storage: 240,
    running: 280,
    node: 304,
    properties: 352,
    chunks: 384,
    tasks: 432,
    threaded: None,
    ring: None,
    metrics: Some(496),
};
const INPUT_2_0_0: InputOffsets = InputOffsets {
    log_level: 136,
    context: 192,
    plugin: 208,
    tag: 216,
    storage: 288,
    running: 328,
    node: 352,
    properties: 400,
    chunks: 432,
    tasks: 480,
    threaded: Some(544),
    ring: Some(560),
    metrics: None,
};
const INPUT_2_0_1: InputOffsets = InputOffsets {
    log_level: 128,
    context: 184,
    plugin: 200,
    tag: 208,
    storage: 280,
    running: 320,
    node: 344,
    properties: 392,
    chunks: 424,
    tasks: 472,
    threaded: Some(536),
    ring: Some(552),
    metrics: None,
};
const INPUT_2_1: InputOffsets = InputOffsets {
    log_level: 136,
    context: 200,
    plugin: 216,
    tag: 224,
    storage: 296,
    running: 336,
    node: 360,
    properties: 408,
    chunks: 440,
    tasks: 488,
    threaded: Some(552),
    ring: Some(568),
    metrics: None,
};
const INPUT_3_2_3: InputOffsets = InputOffsets {
    log_level: 136,
    context: 208,
    plugin: 224,
    tag: 232,
    storage: 304,
    running: 344,
    node: 368,
    properties: 416,
    chunks: 448,
    tasks: 496,
    threaded: Some(608),
    ring: Some(624),
    metrics: None,
};
const INPUT_5_1: InputOffsets = InputOffsets {
    log_level: 136,
    context: 208,
    plugin: 224,
    tag: 232,
    storage: 312,
    running: 352,
    node: 376,
    properties: 424,
    chunks: 456,
    tasks: 504,
    threaded: Some(616),
    ring: Some(632),
    metrics: None,
};
const FILTER_1_9: FilterOffsets = FilterOffsets {
    log_level: 4,
    plugin: 80,
    properties: 88,
    metrics: 128,
};
const FILTER_2_1_0: FilterOffsets = FilterOffsets {
    log_level: 8,
    plugin: 88,
    properties: 96,
    metrics: 136,
};
const FILTER_2_1_4: FilterOffsets = FilterOffsets {
    log_level: 8,
    plugin: 96,
    properties: 104,
    metrics: 144,
};

const fn output_1_9() -> OutputOffsets {
    OutputOffsets {
        log_level: 80,
        plugin: 144,
        properties: 312,
        retry_limit: 160,
        node: &[432],
        metrics: Some(448),
    }
}

const fn output_2_0() -> OutputOffsets {
    OutputOffsets {
        node: &[440],
        metrics: None,
        ..output_1_9()
    }
}

const fn output_2_1(properties: usize, node: &'static [usize]) -> OutputOffsets {
    OutputOffsets {
        log_level: 88,
        plugin: 152,
        properties,
        retry_limit: 168,
        node,
        metrics: None,
    }
}

/// The oldest row; the others say what changed since.
const V1_9_0: Generation = Generation {
    releases: "1.9.0 to 1.9.2",
    sizes: Sizes {
        input: 128,
        filter: 72,
        output: 200,
    },
    present: &[c"flb_output_flush_prepare_destroy"],
    absent: &[c"flb_ra_update_kv_pair"],
    input: InputLayout::V1_9_0,
    filter: FilterLayout::V1_9_0,
    output: OutputLayout::V1_9_0,
    config_map: ConfigMapLayout::V1_9_0,
    filter_arguments: FilterArguments::Nine,
    append: AppendCall::ChunkRaw,
    record_format: RecordFormat::Legacy,
    input_instance: INPUT_1_9,
    filter_instance: FILTER_1_9,
    output_instance: output_1_9(),
    keeps_chunks: true,
    reload_is_flagged: false,
    threaded_inputs: false,
    input_has_mutex: false,
};

const V1_9_3: Generation = Generation {
    releases: "1.9.3 to 1.9.10",
    present: &[c"flb_ra_update_kv_pair"],
    absent: &[c"flb_input_log_append"],
    filter_arguments: FilterArguments::Ten,
    ..V1_9_0
};

const V2_0_0: Generation = Generation {
    releases: "2.0.0",
    sizes: Sizes {
        input: 144,
        filter: 72,
        output: 200,
    },
    present: &[c"flb_input_log_append", c"flb_input_event_type_is_log"],
    absent: &[c"flb_log_event_decoder_init"],
    input: InputLayout::V2_0_0,
    append: AppendCall::Log,
    input_instance: INPUT_2_0_0,
    output_instance: output_2_0(),
    threaded_inputs: true,
    input_has_mutex: true,
    ..V1_9_3
};

const V2_0_1: Generation = Generation {
    releases: "2.0.1 to 2.0.6",
    present: &[c"flb_input_log_append"],
    absent: &[
        c"flb_input_event_type_is_log",
        c"flb_log_event_decoder_init",
    ],
    input_instance: INPUT_2_0_1,
    ..V2_0_0
};

const V2_0_7: Generation = Generation {
    releases: "2.0.7 to 2.0.14",
    sizes: Sizes {
        input: 152,
        filter: 72,
        output: 208,
    },
    absent: &[c"flb_log_event_decoder_init"],
    input: InputLayout::V2_0_7,
    output: OutputLayout::V2_0_7,
    ..V2_0_1
};

const V2_1_0: Generation = Generation {
    releases: "2.1.0 to 2.1.3",
    present: &[c"flb_log_event_decoder_init"],
    absent: &[c"flb_input_log_append_skip_processor_stages"],
    filter: FilterLayout::V2_1_0,
    record_format: RecordFormat::WithMetadata,
    input_instance: INPUT_2_1,
    filter_instance: FILTER_2_1_0,
    output_instance: output_2_1(320, &[448]),
    keeps_chunks: false,
    ..V2_0_7
};

const V2_1_4: Generation = Generation {
    releases: "2.1.4 to 2.1.10",
    present: &[c"flb_input_log_append_skip_processor_stages"],
    absent: &[c"flb_input_set_processor"],
    filter_instance: FILTER_2_1_4,
    keeps_chunks: true,
    ..V2_1_0
};

const V2_2_0: Generation = Generation {
    releases: "2.2.0 to 3.0.7",
    sizes: Sizes {
        input: 152,
        filter: 80,
        output: 208,
    },
    absent: &[c"flb_log_event_decoder_get_record_type"],
    filter: FilterLayout::V2_2_0,
    output_instance: output_2_1(320, &[448, 456]),
    reload_is_flagged: true,
    ..V2_1_4
};

const V3_1_0: Generation = Generation {
    releases: "3.1.0 to 3.1.10",
    present: &[c"flb_log_event_decoder_get_record_type"],
    absent: &[c"flb_notification_enqueue"],
    output_instance: output_2_1(328, &[464]),
    ..V2_2_0
};

const V3_2_0: Generation = Generation {
    releases: "3.2.0 to 3.2.1",
    sizes: Sizes {
        input: 160,
        filter: 88,
        output: 232,
    },
    present: &[c"flb_notification_enqueue"],
    absent: &[c"flb_output_set_http_test"],
    input: InputLayout::V3_2_0,
    filter: FilterLayout::V3_2_0,
    output: OutputLayout::V3_2_0,
    output_instance: output_2_1(328, &[480]),
    ..V3_1_0
};

const V3_2_2: Generation = Generation {
    releases: "3.2.2",
    sizes: Sizes {
        input: 160,
        filter: 88,
        output: 280,
    },
    present: &[c"flb_output_set_http_test"],
    absent: &[c"flb_input_set_test"],
    output: OutputLayout::V3_2_2,
    ..V3_2_0
};

const V3_2_3: Generation = Generation {
    releases: "3.2.3 to 3.2.10",
    sizes: Sizes {
        input: 208,
        filter: 88,
        output: 280,
    },
    present: &[c"flb_input_set_test"],
    absent: &[c"flb_config_task_map_resize"],
    input: InputLayout::V3_2_3,
    input_instance: INPUT_3_2_3,
    ..V3_2_2
};

const V4_0_0: Generation = Generation {
    releases: "4.0.0 to 5.0.2",
    present: &[c"flb_config_task_map_resize"],
    absent: &[c"flb_config_map_get_raw"],
    output_instance: output_2_1(352, &[504, 512, 568]),
    ..V3_2_3
};

const V5_0_3: Generation = Generation {
    releases: "5.0.3 to 5.0.9",
    present: &[c"flb_config_map_get_raw"],
    absent: &[c"flb_input_plugin_pause"],
    config_map: ConfigMapLayout::V5_0_3,
    output_instance: output_2_1(360, &[576]),
    ..V4_0_0
};

const V5_1_0: Generation = Generation {
    releases: "5.1.0 to 5.1.1",
    sizes: Sizes {
        input: 232,
        filter: 88,
        output: 288,
    },
    present: &[c"flb_input_plugin_pause", c"flb_config_map_get_raw"],
    absent: &[],
    input: InputLayout::V5_1_0,
    output: OutputLayout::V5_1_0,
    input_instance: INPUT_5_1,
    output_instance: output_2_1(384, &[600]),
    ..V5_0_3
};

/// Every generation, oldest first.
pub static GENERATIONS: &[Generation] = &[
    V1_9_0, V1_9_3, V2_0_0, V2_0_1, V2_0_7, V2_1_0, V2_1_4, V2_2_0, V3_1_0, V3_2_0, V3_2_2, V3_2_3,
    V4_0_0, V5_0_3, V5_1_0,
];

/// Symbol that 1.9.0 has and every older release has not.
const SINCE_1_9: &CStr = c"flb_output_flush_prepare_destroy";

/// What was seen of the running host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Size of each own input plugin that was found: its symbol and its bytes.
    pub inputs: Vec<(&'static str, u64)>,
    /// The same for filters.
    pub filters: Vec<(&'static str, u64)>,
    /// The same for outputs.
    pub outputs: Vec<(&'static str, u64)>,
}

/// Why the library does not register with this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// None of the host's plugins are there: some other program.
    NotFluentBit,
    /// Older than 1.9.0.
    TooOld(Sizes),
    /// Some kinds of plugins were found and others not.
    Incomplete(Seen),
    /// The host's own plugins of one kind differ in size.
    Inconsistent(Seen),
    /// No generation has these sizes.
    UnknownSizes(Sizes),
    /// Generations with these sizes exist, but their symbols say otherwise.
    Contradiction {
        /// What was seen.
        sizes: Sizes,
        /// For each candidate: its releases and the symbol that speaks against it.
        candidates: Vec<(&'static str, String)>,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::NotFluentBit => f.write_str(
                "this program is not Fluent Bit: it exports none of in_dummy_plugin, \
                 filter_grep_plugin, out_null_plugin and their like",
            ),
            Refusal::TooOld(sizes) => write!(
                f,
                "this Fluent Bit is older than 1.9.0 (seen: {sizes}; no {})",
                SINCE_1_9.to_string_lossy()
            ),
            Refusal::Incomplete(seen) => write!(
                f,
                "this Fluent Bit does not export all kinds of its own plugins (seen: {seen:?})"
            ),
            Refusal::Inconsistent(seen) => write!(
                f,
                "this Fluent Bit's own plugins differ in size, so its ABI is unclear (seen: {seen:?})"
            ),
            Refusal::UnknownSizes(sizes) => {
                let newest = GENERATIONS.last().map_or("none", |g| g.releases);
                write!(
                    f,
                    "this Fluent Bit has a plugin ABI that this library does not know (seen: \
                     {sizes}; the newest known is {newest})"
                )
            }
            Refusal::Contradiction { sizes, candidates } => {
                write!(
                    f,
                    "this Fluent Bit's struct sizes and functions do not agree (seen: {sizes}"
                )?;
                for (releases, why) in candidates {
                    write!(f, "; not {releases}: {why}")?;
                }
                f.write_str(")")
            }
        }
    }
}

/// Finds the generation that was `seen`; `has` tells whether the host exports a symbol.
///
/// Sizes decide, symbols tell apart the generations that share them; both must agree.
///
/// # Errors
/// A [`Refusal`] that says what was seen.
pub fn detect(seen: &Seen, has: impl Fn(&CStr) -> bool) -> Result<&'static Generation, Refusal> {
    if seen.inputs.is_empty() && seen.filters.is_empty() && seen.outputs.is_empty() {
        return Err(Refusal::NotFluentBit);
    }
    let one = |found: &[(&'static str, u64)]| -> Result<u64, Refusal> {
        let (_, size) = found
            .first()
            .ok_or_else(|| Refusal::Incomplete(seen.clone()))?;
        if found.iter().any(|(_, other)| other != size) {
            return Err(Refusal::Inconsistent(seen.clone()));
        }
        Ok(*size)
    };
    let sizes = Sizes {
        input: one(&seen.inputs)?,
        filter: one(&seen.filters)?,
        output: one(&seen.outputs)?,
    };
    if !has(SINCE_1_9) {
        return Err(Refusal::TooOld(sizes));
    }
    let mut candidates = Vec::new();
    for generation in GENERATIONS.iter().filter(|g| g.sizes == sizes) {
        let missing = generation.present.iter().find(|s| !has(s));
        let surplus = generation.absent.iter().find(|s| has(s));
        match (missing, surplus) {
            (None, None) => return Ok(generation),
            (Some(symbol), _) => candidates.push((
                generation.releases,
                format!("no {}", symbol.to_string_lossy()),
            )),
            (None, Some(symbol)) => {
                candidates.push((generation.releases, symbol.to_string_lossy().into_owned()));
            }
        }
    }
    Err(if candidates.is_empty() {
        Refusal::UnknownSizes(sizes)
    } else {
        Refusal::Contradiction { sizes, candidates }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// First releases of the symbols the table uses, from the releases themselves.
    const HISTORY: &[(&CStr, u32, u32)] = &[
        (c"flb_output_flush_prepare_destroy", 10900, u32::MAX),
        (c"flb_ra_update_kv_pair", 10903, u32::MAX),
        (c"flb_input_log_append", 20000, u32::MAX),
        (c"flb_input_event_type_is_log", 10900, 20001),
        (c"flb_log_event_decoder_init", 20100, u32::MAX),
        (
            c"flb_input_log_append_skip_processor_stages",
            20104,
            u32::MAX,
        ),
        (c"flb_input_set_processor", 30000, u32::MAX),
        (c"flb_log_event_decoder_get_record_type", 30100, u32::MAX),
        (c"flb_notification_enqueue", 30200, u32::MAX),
        (c"flb_output_set_http_test", 30202, u32::MAX),
        (c"flb_input_set_test", 30203, u32::MAX),
        (c"flb_config_task_map_resize", 40000, u32::MAX),
        (c"flb_config_map_get_raw", 50003, u32::MAX),
        (c"flb_input_plugin_pause", 50100, u32::MAX),
    ];

    fn sizes_of(release: u32) -> (u64, u64, u64) {
        // Each size with the first release that has it.
        let inputs = [
            (0, 128),
            (20000, 144),
            (20007, 152),
            (30200, 160),
            (30203, 208),
            (50100, 232),
        ];
        let filters = [(0, 72), (20200, 80), (30200, 88)];
        let outputs = [
            (0, 200),
            (20007, 208),
            (30200, 232),
            (30202, 280),
            (50100, 288),
        ];
        let size = |sizes: &[(u32, u64)]| {
            let known = sizes.iter().rev().find(|(first, _)| release >= *first);
            known.expect("the first entry fits all").1
        };
        (size(&inputs), size(&filters), size(&outputs))
    }

    fn seen(sizes: (u64, u64, u64)) -> Seen {
        Seen {
            inputs: vec![("in_dummy_plugin", sizes.0), ("in_lib_plugin", sizes.0)],
            filters: vec![("filter_grep_plugin", sizes.1)],
            outputs: vec![("out_null_plugin", sizes.2)],
        }
    }

    fn has(release: u32) -> impl Fn(&CStr) -> bool {
        move |symbol| {
            let (_, first, gone) = HISTORY
                .iter()
                .find(|(name, _, _)| *name == symbol)
                .unwrap_or_else(|| panic!("no history for {symbol:?}"));
            (*first..*gone).contains(&release)
        }
    }

    fn number(release: &str) -> u32 {
        let mut parts = release.split('.').map(|p| p.parse::<u32>().unwrap());
        let mut next = || parts.next().unwrap();
        next() * 10000 + next() * 100 + next()
    }

    #[test]
    fn every_release_is_matched_to_the_row_that_names_it() {
        let last_patch = [
            (109, 10),
            (200, 14),
            (201, 10),
            (202, 3),
            (300, 7),
            (301, 10),
            (302, 10),
            (400, 14),
            (401, 2),
            (402, 8),
            (500, 9),
            (501, 1),
        ];
        for (minor, last) in last_patch {
            for patch in 0..=last {
                let release = minor * 100 + patch;
                let row = detect(&seen(sizes_of(release)), has(release))
                    .unwrap_or_else(|e| panic!("{release}: {e}"));
                let (first, last) = row
                    .releases
                    .split_once(" to ")
                    .unwrap_or((row.releases, row.releases));
                assert!(
                    (number(first)..=number(last)).contains(&release),
                    "{release} was taken for {}",
                    row.releases
                );
            }
        }
    }

    #[test]
    fn a_newer_release_with_known_sizes_is_that_generation() {
        let row = detect(&seen(sizes_of(50100)), has(60000)).unwrap();
        assert_eq!(row.releases, "5.1.0 to 5.1.1");
    }

    #[test]
    fn what_is_not_known_is_refused_with_what_was_seen() {
        let nothing = Seen::default();
        assert_eq!(
            detect(&nothing, |_| false).unwrap_err(),
            Refusal::NotFluentBit
        );
        let old = detect(&seen((128, 72, 200)), |_| false).unwrap_err();
        assert!(old.to_string().contains("older than 1.9.0"), "{old}");
        let unknown = detect(&seen((240, 88, 288)), has(50100)).unwrap_err();
        assert!(unknown.to_string().contains("input 240"), "{unknown}");
        let torn = detect(&seen((232, 88, 288)), has(30200)).unwrap_err();
        assert!(
            torn.to_string().contains("no flb_input_plugin_pause"),
            "{torn}"
        );
        let mut mixed = seen((232, 88, 288));
        mixed.inputs.push(("in_tail_plugin", 208));
        assert!(matches!(
            detect(&mixed, has(50100)),
            Err(Refusal::Inconsistent(_))
        ));
        let mut partial = seen((232, 88, 288));
        partial.filters.clear();
        assert!(matches!(
            detect(&partial, has(50100)),
            Err(Refusal::Incomplete(_))
        ));
    }

    #[test]
    fn offsets_shift_only_behind_the_mutex() {
        let traced = InputShift::new(true);
        let untraced = InputShift::new(false);
        let extra = traced.mutex_extra;
        assert_eq!(V1_9_3.input_offset(160, untraced), 160);
        assert_eq!(V5_1_0.input_offset(224, traced), 224 + extra);
        assert_eq!(V5_1_0.input_offset(224, untraced), 224 - 48);
    }
}
