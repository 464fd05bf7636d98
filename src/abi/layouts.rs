//! Fills the registration blocks and option tables in the layout of the host.

use std::ffi::{c_char, c_int, c_void, CString};

use flb_sidecar_sdk::{Kind, OptionSpec, PluginInfo};
use host_abi::layout::{FilterPlugin, InputPlugin, Layout, OptionEntry, OutputPlugin};

use super::bindings as abi;
use super::generations::{Behaviour, FilterArguments};

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

fn leak(text: &str) -> *mut c_char {
    // Declared texts are literals without NUL; one that had a NUL would be cut there.
    let until_nul = text.split('\0').next().unwrap_or_default();
    CString::new(until_nul).unwrap_or_default().into_raw()
}

/// A block of zeroes being filled: what no field is written to stays zero, which every release
/// takes for "nothing".
struct Fill<'a>(&'a mut [u8]);

impl Fill<'_> {
    /// Writes a pointer, an address or an int at `offset`; false where there is no room.
    fn put(&mut self, offset: usize, bytes: &[u8]) -> bool {
        let place = self.0.get_mut(offset..offset.saturating_add(bytes.len()));
        place.is_some_and(|place| {
            place.copy_from_slice(bytes);
            true
        })
    }

    fn pointer<T>(&mut self, offset: usize, value: *mut T) -> bool {
        self.put(offset, &(value as usize).to_ne_bytes())
    }

    fn int(&mut self, offset: usize, value: c_int) -> bool {
        self.put(offset, &value.to_ne_bytes())
    }
}

/// Every input's option on hosts that have it, so a configuration may name it on older ones too.
pub(crate) const THREADED: OptionSpec = OptionSpec::new(
    "threaded",
    Kind::Boolean,
    "Accepted, without effect: this Fluent Bit runs every input on the engine's thread.",
);

/// Makes name, description and option table for a host; `None`: a field lies outside its struct.
pub(crate) fn declare(
    layout: &Layout,
    behaviour: Behaviour,
    info: &PluginInfo,
    is_input: bool,
) -> Option<Declared> {
    let mut options = info.options.to_vec();
    if is_input && !behaviour.threaded_inputs {
        options.push(THREADED);
    }
    Some(Declared {
        name: leak(info.name),
        description: leak(info.description),
        options: option_table(&layout.option, &options)?,
    })
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

/// An option table in memory that stays; it ends with an entry of zeroes.
fn option_table(entry: &OptionEntry, options: &[OptionSpec]) -> Option<*mut c_void> {
    // In words, so that it is aligned as the host's own tables are.
    let words = entry.bytes.checked_mul(options.len() + 1)?.div_ceil(8);
    let mut table = vec![0u64; words];
    let bytes: &mut [u8] = bytes_of(&mut table);
    for (option, place) in options
        .iter()
        .zip(bytes.chunks_exact_mut(entry.bytes.max(1)))
    {
        let mut fill = Fill(place);
        let default = option.default.map_or(std::ptr::null_mut(), leak);
        let flags = if option.repeatable { REPEATABLE } else { 0 };
        // set_property stays 0: the host checks names and counts, we read values.
        let filled = fill.int(entry.kind, option_type(option.kind))
            && fill.pointer(entry.name, leak(option.name))
            && fill.pointer(entry.default_value, default)
            && fill.int(entry.flags, flags)
            && fill.pointer(entry.description, leak(option.help));
        if !filled {
            return None;
        }
    }
    Some(Box::leak(table.into_boxed_slice()).as_mut_ptr().cast())
}

/// The bytes of words.
fn bytes_of(words: &mut [u64]) -> &mut [u8] {
    // SAFETY: any byte is part of a valid u64, and the length is that of the words in bytes.
    unsafe { std::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), size_of_val(words)) }
}

/// A callback's address, to be written into a block.
fn address<F>(callback: Option<F>) -> *mut c_void {
    const { assert!(size_of::<Option<F>>() == size_of::<*mut c_void>()) };
    // SAFETY: F is a function pointer, so the Option has its size, and None is NULL. Only the
    // function types of `bindings` are passed here.
    unsafe { std::mem::transmute_copy(&callback) }
}

/// Registers an input; `false`: a field lies outside the block.
pub(crate) fn fill_input(
    layout: &InputPlugin,
    block: &mut [u8],
    declared: Declared,
    callbacks: InputCallbacks,
) -> bool {
    let mut fill = Fill(block);
    fill.pointer(layout.name, declared.name)
        && fill.pointer(layout.description, declared.description)
        && fill.pointer(layout.config_map, declared.options)
        && fill.pointer(layout.cb_init, address(callbacks.init))
        && fill.pointer(layout.cb_collect, address(callbacks.collect))
        && fill.pointer(layout.cb_pause, address(callbacks.pause))
        && fill.pointer(layout.cb_resume, address(callbacks.resume))
        && fill.pointer(layout.cb_exit, address(callbacks.exit))
}

/// Registers a filter; `false`: a field lies outside the block.
pub(crate) fn fill_filter(
    layout: &FilterPlugin,
    arguments: FilterArguments,
    block: &mut [u8],
    declared: Declared,
    callbacks: FilterCallbacks,
) -> bool {
    let filter = match arguments {
        FilterArguments::Nine => address(callbacks.filter_nine),
        FilterArguments::Ten => address(callbacks.filter_ten),
    };
    let mut fill = Fill(block);
    fill.pointer(layout.name, declared.name)
        && fill.pointer(layout.description, declared.description)
        && fill.pointer(layout.config_map, declared.options)
        && fill.pointer(layout.cb_init, address(callbacks.init))
        && fill.pointer(layout.cb_filter, filter)
        && fill.pointer(layout.cb_exit, address(callbacks.exit))
}

/// Registers an output; `false`: a field lies outside the block.
pub(crate) fn fill_output(
    layout: &OutputPlugin,
    block: &mut [u8],
    declared: Declared,
    callbacks: OutputCallbacks,
) -> bool {
    let mut fill = Fill(block);
    fill.pointer(layout.name, declared.name)
        && fill.pointer(layout.description, declared.description)
        && fill.pointer(layout.config_map, declared.options)
        && fill.pointer(layout.cb_init, address(callbacks.init))
        && fill.pointer(layout.cb_flush, address(callbacks.flush))
        && fill.pointer(layout.cb_exit, address(callbacks.exit))
}
