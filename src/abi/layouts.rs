//! Fills the registration blocks and option tables in the layout of a generation.

use std::ffi::{c_char, c_int, c_void, CString};
use std::mem::{offset_of, MaybeUninit};

use flb_sidecar_sdk::{Kind, OptionSpec, PluginInfo};

use super::bindings as abi;
use super::generations::{ConfigMapLayout, FilterLayout, Generation, InputLayout, OutputLayout};

/// Bytes of an exported block: more than any generation's struct, which the host copies whole.
pub(crate) const BLOCK_BYTES: usize = 512;

/// Callbacks of an input.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InputCallbacks {
    pub(crate) init: abi::host_input_cb,
    pub(crate) collect: abi::host_input_cb,
    pub(crate) pause: abi::host_state_cb,
    pub(crate) resume: abi::host_state_cb,
    pub(crate) exit: abi::host_exit_cb,
}

/// Callbacks of a filter, in both call forms.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FilterCallbacks {
    pub(crate) init: abi::host_filter_cb,
    pub(crate) filter_ten: abi::host_filter_cb10,
    pub(crate) filter_nine: abi::host_filter_cb9,
    pub(crate) exit: abi::host_exit_cb,
}

/// Callbacks of an output.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OutputCallbacks {
    pub(crate) init: abi::host_output_cb,
    pub(crate) flush: abi::host_flush_cb,
    pub(crate) exit: abi::host_exit_cb,
}

/// Texts and option table of a plugin, in memory that lives as long as the process: the host
/// keeps the pointers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Declared {
    /// The plugin's name; its address identifies our plugins among the host's.
    pub(crate) name: *mut c_char,
    description: *mut c_char,
    options: *mut c_void,
}

/// All zeroes, which is a valid value of every type of `bindings`: integers, pointers, and
/// function pointers in an `Option`.
fn zeroed<T: PlainData>() -> T {
    // SAFETY: PlainData is implemented only for types of `bindings` for which zero is valid.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

/// Types of `bindings` that may be all zeroes.
trait PlainData: Sized {}

macro_rules! plain_data {
    ($($type:ident)*) => { $( impl PlainData for abi::$type {} )* };
}

plain_data! {
    input_plugin_1_9_0 input_plugin_2_0_0 input_plugin_2_0_7 input_plugin_3_2_0
    input_plugin_3_2_3 input_plugin_5_1_0
    filter_plugin_1_9_0 filter_plugin_2_1_0 filter_plugin_2_2_0 filter_plugin_3_2_0
    output_plugin_1_9_0 output_plugin_2_0_7 output_plugin_3_2_0 output_plugin_3_2_2
    output_plugin_5_1_0
    config_map_1_9_0 config_map_5_0_3
}

fn leak(text: &str) -> *mut c_char {
    // Declared texts are literals without NUL; one that had a NUL would be cut there.
    let until_nul = text.split('\0').next().unwrap_or_default();
    CString::new(until_nul).unwrap_or_default().into_raw()
}

/// Writes `value` at the start of a block.
fn put<T: PlainData>(block: *mut u8, value: T) {
    const { assert!(size_of::<T>() <= BLOCK_BYTES) };
    // SAFETY: a block has BLOCK_BYTES bytes, aligned to 16, and nobody reads it yet: the caller
    // is the library's constructor.
    unsafe { block.cast::<T>().write(value) };
}

/// Every input's option on hosts that have it, so a configuration may name it on older ones too.
pub(crate) const THREADED: OptionSpec = OptionSpec::new(
    "threaded",
    Kind::Boolean,
    "Accepted, without effect: this Fluent Bit runs every input on the engine's thread.",
);

/// Makes name, description and option table for a host of `generation`.
pub(crate) fn declare(generation: &Generation, info: &PluginInfo, is_input: bool) -> Declared {
    let mut options = info.options.to_vec();
    if is_input && !generation.threaded_inputs {
        options.push(THREADED);
    }
    Declared {
        name: leak(info.name),
        description: leak(info.description),
        options: match generation.config_map {
            ConfigMapLayout::V1_9_0 => options_1_9_0(&options),
            ConfigMapLayout::V5_0_3 => options_5_0_3(&options),
        },
    }
}

/// `FLB_CONFIG_MAP_*` of a kind.
fn option_type(kind: Kind) -> c_int {
    match kind {
        Kind::String => 0,
        Kind::Prefix => 1,
        Kind::Integer => 2,
        Kind::Boolean => 3,
        Kind::Size => 5,
        Kind::Time => 6,
        Kind::CommaList => 30,
        Kind::SpaceList => 40,
    }
}

/// `FLB_CONFIG_MAP_MULT`.
const REPEATABLE: c_int = 1;

macro_rules! option_table {
    ($name:ident, $type:ident) => {
        fn $name(options: &[OptionSpec]) -> *mut c_void {
            let mut table: Vec<abi::$type> = options
                .iter()
                .map(|option| abi::$type {
                    type_: option_type(option.kind),
                    name: leak(option.name),
                    default_value: option.default.map_or(std::ptr::null_mut(), leak),
                    flags: if option.repeatable { REPEATABLE } else { 0 },
                    description: leak(option.help),
                    // set_property stays 0: the host checks names and counts, we read values.
                    ..zeroed()
                })
                .collect();
            // An entry without a name ends the table.
            table.push(zeroed());
            Box::leak(table.into_boxed_slice()).as_mut_ptr().cast()
        }
    };
}

option_table!(options_1_9_0, config_map_1_9_0);
option_table!(options_5_0_3, config_map_5_0_3);

/// Registers an input.
pub(crate) fn fill_input(
    generation: &Generation,
    block: *mut u8,
    declared: Declared,
    callbacks: InputCallbacks,
) {
    macro_rules! fill {
        ($type:ident) => {
            put(
                block,
                abi::$type {
                    name: declared.name,
                    description: declared.description,
                    config_map: declared.options,
                    cb_init: callbacks.init,
                    cb_collect: callbacks.collect,
                    cb_pause: callbacks.pause,
                    cb_resume: callbacks.resume,
                    cb_exit: callbacks.exit,
                    ..zeroed()
                },
            )
        };
    }
    match generation.input {
        InputLayout::V1_9_0 => fill!(input_plugin_1_9_0),
        InputLayout::V2_0_0 => fill!(input_plugin_2_0_0),
        InputLayout::V2_0_7 => fill!(input_plugin_2_0_7),
        InputLayout::V3_2_0 => fill!(input_plugin_3_2_0),
        InputLayout::V3_2_3 => fill!(input_plugin_3_2_3),
        InputLayout::V5_1_0 => fill!(input_plugin_5_1_0),
    }
}

/// Registers a filter.
pub(crate) fn fill_filter(
    generation: &Generation,
    block: *mut u8,
    declared: Declared,
    callbacks: FilterCallbacks,
) {
    use super::generations::FilterArguments;
    let filter = match generation.filter_arguments {
        FilterArguments::Nine => callbacks.filter_nine.map(|f| f as *mut c_void),
        FilterArguments::Ten => callbacks.filter_ten.map(|f| f as *mut c_void),
    };
    macro_rules! fill {
        ($type:ident) => {
            put(
                block,
                abi::$type {
                    name: declared.name,
                    description: declared.description,
                    config_map: declared.options,
                    cb_init: callbacks.init,
                    cb_filter: filter.unwrap_or(std::ptr::null_mut()),
                    cb_exit: callbacks.exit,
                    ..zeroed()
                },
            )
        };
    }
    match generation.filter {
        FilterLayout::V1_9_0 => fill!(filter_plugin_1_9_0),
        FilterLayout::V2_1_0 => fill!(filter_plugin_2_1_0),
        FilterLayout::V2_2_0 => fill!(filter_plugin_2_2_0),
        FilterLayout::V3_2_0 => fill!(filter_plugin_3_2_0),
    }
}

/// Registers an output.
pub(crate) fn fill_output(
    generation: &Generation,
    block: *mut u8,
    declared: Declared,
    callbacks: OutputCallbacks,
) {
    macro_rules! fill {
        ($type:ident) => {
            put(
                block,
                abi::$type {
                    name: declared.name,
                    description: declared.description,
                    config_map: declared.options,
                    cb_init: callbacks.init,
                    cb_flush: callbacks.flush,
                    cb_exit: callbacks.exit,
                    ..zeroed()
                },
            )
        };
    }
    match generation.output {
        OutputLayout::V1_9_0 => fill!(output_plugin_1_9_0),
        OutputLayout::V2_0_7 => fill!(output_plugin_2_0_7),
        OutputLayout::V3_2_0 => fill!(output_plugin_3_2_0),
        OutputLayout::V3_2_2 => fill!(output_plugin_3_2_2),
        OutputLayout::V5_1_0 => fill!(output_plugin_5_1_0),
    }
}

/// Where an input's registration struct has the name.
pub(crate) fn input_name_offset(layout: InputLayout) -> usize {
    match layout {
        InputLayout::V1_9_0 => offset_of!(abi::input_plugin_1_9_0, name),
        InputLayout::V2_0_0 => offset_of!(abi::input_plugin_2_0_0, name),
        InputLayout::V2_0_7 => offset_of!(abi::input_plugin_2_0_7, name),
        InputLayout::V3_2_0 => offset_of!(abi::input_plugin_3_2_0, name),
        InputLayout::V3_2_3 => offset_of!(abi::input_plugin_3_2_3, name),
        InputLayout::V5_1_0 => offset_of!(abi::input_plugin_5_1_0, name),
    }
}

/// Where a filter's registration struct has the name: the same in every generation.
pub(crate) const FILTER_NAME_OFFSET: usize = offset_of!(abi::filter_plugin_1_9_0, name);

/// Where an output's registration struct has the name: the same in every generation.
pub(crate) const OUTPUT_NAME_OFFSET: usize = offset_of!(abi::output_plugin_1_9_0, name);
