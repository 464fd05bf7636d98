//! Whether the host's own plugins are registered as a layout says.

use host_abi::layout::Layout;

use crate::abi::maps::Maps;
use crate::abi::memory::Memory;
use crate::abi::observe::OwnPlugin;
use crate::host::Section;

/// Most entries of an option table: the longest has some hundred.
const MAX_OPTIONS: usize = 512;

/// Where a registration struct has what can be proven.
struct Fields {
    name: usize,
    description: usize,
    config_map: usize,
    /// Callbacks that every plugin has.
    needed: Vec<usize>,
    /// Callbacks that a plugin may do without.
    optional: Vec<usize>,
}

impl Fields {
    fn of(layout: &Layout, section: Section) -> Self {
        match section {
            Section::Input => {
                let l = &layout.input_plugin;
                Fields {
                    name: l.name,
                    description: l.description,
                    config_map: l.config_map,
                    needed: vec![l.cb_init],
                    optional: vec![l.cb_collect, l.cb_pause, l.cb_resume, l.cb_exit],
                }
            }
            Section::Filter => {
                let l = &layout.filter_plugin;
                Fields {
                    name: l.name,
                    description: l.description,
                    config_map: l.config_map,
                    needed: vec![l.cb_init, l.cb_filter],
                    optional: vec![l.cb_exit],
                }
            }
            Section::Output => {
                let l = &layout.output_plugin;
                Fields {
                    name: l.name,
                    description: l.description,
                    config_map: l.config_map,
                    needed: vec![l.cb_init, l.cb_flush],
                    optional: vec![l.cb_exit],
                }
            }
        }
    }
}

/// Whether the host's own plugins are registered in this layout.
///
/// # Errors
/// Which of them is not.
pub(crate) fn registration(
    memory: &mut Memory,
    maps: &Maps,
    layout: &Layout,
    plugins: &[OwnPlugin],
) -> Result<(), String> {
    let mut longest_table = 0;
    for plugin in plugins {
        let found = options_of(memory, maps, layout, plugin)
            .map_err(|why| format!("{} {why}", plugin.symbol))?;
        longest_table = longest_table.max(found);
    }
    // One entry shows names and texts; only the next one shows how long an entry is.
    if longest_table < 2 {
        return Err("none of its own plugins shows how long an entry of an option table is".into());
    }
    Ok(())
}

/// How many options a plugin of the host has, if everything of it is where it should be.
fn options_of(
    memory: &mut Memory,
    maps: &Maps,
    layout: &Layout,
    plugin: &OwnPlugin,
) -> Result<usize, String> {
    let fields = Fields::of(layout, plugin.section);
    let at = plugin.address;
    let name = memory
        .word(at + fields.name)
        .and_then(|text| memory.name(text));
    if name.as_deref() != Some(plugin.name) {
        let found = name.unwrap_or_else(|| "no text".to_owned());
        return Err(format!("has {found} where its name should be"));
    }
    let text = memory
        .word(at + fields.description)
        .and_then(|text| memory.text(text));
    if text.is_none_or(|text| text.is_empty()) {
        return Err("has no text where its description should be".into());
    }
    let callbacks = [(&fields.needed, false), (&fields.optional, true)];
    for (all, may_be_none) in callbacks {
        for callback in all {
            let is_one = match memory.word(at + callback) {
                Some(0) => may_be_none,
                Some(code) => maps.is_code(code),
                None => false,
            };
            if !is_one {
                return Err(format!(
                    "has no code at {callback}, where a callback should be"
                ));
            }
        }
    }
    match memory.word(at + fields.config_map) {
        Some(0) => Ok(0),
        Some(table) => options(memory, layout, table)
            .ok_or_else(|| "has no option table where it should be".into()),
        None => Err("cannot be read".into()),
    }
}

/// How many entries an option table has; `None`: it is none.
fn options(memory: &mut Memory, layout: &Layout, table: usize) -> Option<usize> {
    let entry = &layout.option;
    for index in 0..MAX_OPTIONS {
        let at = table.checked_add(index.checked_mul(entry.bytes)?)?;
        match memory.word(at + entry.name)? {
            0 => return Some(index),
            name => memory.name(name)?,
        };
        match memory.word(at + entry.default_value)? {
            0 => String::new(),
            text => memory.text(text)?,
        };
        match memory.word(at + entry.description)? {
            0 => String::new(),
            text => memory.text(text)?,
        };
        let plausible = (0..=255).contains(&memory.int(at + entry.kind)?)
            && (0..=255).contains(&memory.int(at + entry.flags)?);
        if !plausible {
            return None;
        }
    }
    None
}
