//! A host that the table does not know, or that must not be looked up in it: its layouts from its
//! own debug information, or from a file that was made of another copy of it.

use std::ffi::{CStr, OsString};
use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use flb_sidecar_sdk::event::RecordFormat;
use host_abi::layout::{Need, WantedStruct, WANTED};
use host_abi::{debug_info, file, open_regular, Facts, Kind, Layout};

use super::functions::{Functions, NAMES};
use super::generations::{self, AppendCall, Behaviour, FilterArguments, Refusal};
use super::maps::Maps;
use super::memory::Memory;
use super::observe;
use super::prove;
use super::table::{Generation, InputShift};
use crate::alloc;

/// Names where layouts come from: `discover`, or a file.
pub(super) const VARIABLE: &str = "FLB_SIDECAR_ABI";
/// Its value for: from debug information, whatever the table says.
pub(super) const DISCOVER: &str = "discover";
/// A function that every host has, to find its file by.
const ANCHOR: &CStr = c"flb_input_set_context";
/// Largest file that is read: those that are written have less than 64 KiB.
const MAX_FILE: u64 = 4 << 20;

/// What a host can be helped with that no table is right about.
pub(crate) const WAY_OUT: &str = "What helps: FLB_SIDECAR_ABI=FILE, where FILE was written by \
     'flb-sidecar-abi HOST' on a build of it with debug information";

/// How the host's layouts are known.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// A row of the table, by its releases.
    Table(&'static str),
    /// Its debug information, and how long reading that took.
    DebugInformation(Duration),
    /// The file that the user named.
    File(PathBuf),
}

impl Origin {
    /// Whether a row of the table vouches for the host.
    pub(crate) fn is_table(&self) -> bool {
        matches!(self, Origin::Table(_))
    }

    /// Says that something is not where it should be, and what can be done about it.
    pub(crate) fn contradicted(&self, not_used: &str) -> String {
        match self {
            Origin::Table(releases) => format!(
                "this host's memory is not laid out as releases {releases} have it: not used: \
                 {not_used}. {WAY_OUT}"
            ),
            other => {
                format!("this host's memory is not laid out as {other} says: not used: {not_used}")
            }
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Table(releases) => write!(f, "releases {releases}"),
            Origin::DebugInformation(took) => {
                write!(f, "its debug information (read in {} ms)", took.as_millis())
            }
            Origin::File(path) => write!(f, "{VARIABLE}={}", path.display()),
        }
    }
}

/// What says that the layouts are those of this host, beside what is looked at in its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Voucher {
    /// Sizes and functions, as releases of a row have them; a fork may have them, too.
    Markers,
    /// Its own debug information, or a file made of that of the same build.
    DebugInformation,
}

/// Everything that is known of a host.
#[derive(Debug)]
pub(crate) struct Abi {
    pub(crate) origin: Origin,
    pub(crate) voucher: Voucher,
    pub(crate) layout: Layout,
    pub(crate) behaviour: Behaviour,
    pub(crate) functions: Functions,
    /// What could not be proven and is therefore not used.
    pub(crate) unproven: Vec<String>,
}

/// Finds out what the running host is.
///
/// # Errors
/// One line: what was seen, and what can be done.
pub(crate) fn find() -> Result<Abi, String> {
    let named = std::env::var_os(VARIABLE).filter(|value| !value.is_empty());
    match named {
        None => from_table_or_host(),
        Some(value) if value == DISCOVER => {
            from_debug_information().map_err(|why| format!("{why}. {WAY_OUT}"))
        }
        Some(value) => from_file(value),
    }
}

fn from_table_or_host() -> Result<Abi, String> {
    let seen = observe::look();
    let row = generations::detect(&seen, |name| observe::symbol(name).is_some());
    let why = match row {
        Ok(row) => match from_row(row) {
            Ok(abi) => return Ok(abi),
            Err(why) => format!("this Fluent Bit looks like {}, but {why}", row.releases),
        },
        Err(
            refusal @ (Refusal::UnknownSizes(_)
            | Refusal::Inconsistent(_)
            | Refusal::Contradiction { .. }),
        ) => refusal.to_string(),
        Err(other) => return Err(other.to_string()),
    };
    from_debug_information().map_err(|also| format!("{why}; {also}. {WAY_OUT}"))
}

fn from_row(row: &Generation) -> Result<Abi, String> {
    let tracing = observe::symbol(c"flb_chunk_trace_do_input").is_some();
    let layout = row.layout(InputShift::new(tracing));
    // Two of each kind are enough to tell a fork from the release that it looks like.
    prove_registration(&layout, 2)?;
    let voucher = compare(&layout)?;
    let mut unproven = Vec::new();
    let functions = Functions::find(None, &mut unproven);
    let missing = functions.missing();
    if !missing.is_empty() {
        let missing = missing.join(", ");
        return Err(format!("it lacks functions that they have: {missing}"));
    }
    Ok(Abi {
        origin: Origin::Table(row.releases),
        voucher,
        layout,
        behaviour: row.behaviour,
        functions,
        unproven,
    })
}

/// What vouches for a row's layout. Debug information that is at hand is asked each time: many structs
/// can be proven by no look at memory.
///
/// # Errors
/// What it says otherwise.
fn compare(layout: &Layout) -> Result<Voucher, String> {
    let file = file_of_host().ok().flatten();
    let facts = file.and_then(|file| debug_info::glance(&file));
    let Some(facts) = facts.filter(|facts| WANTED.iter().all(|wanted| is_told(facts, wanted)))
    else {
        return Ok(Voucher::Markers);
    };
    let differences = match Layout::from_facts(&facts) {
        Ok((found, _)) => layout.differences(&found),
        Err(why) => vec![why],
    };
    match differences.split_first() {
        None => Ok(Voucher::DebugInformation),
        Some((first, [])) => Err(format!("its debug information says otherwise ({first})")),
        Some((first, rest)) => {
            let more = rest.len();
            Err(format!(
                "its debug information says otherwise ({first}, and {more} more)"
            ))
        }
    }
}

/// Whether a struct is known, unless nothing needs it.
fn is_told(facts: &Facts, wanted: &WantedStruct) -> bool {
    wanted.need() == Need::Optional || facts.structs.contains_key(wanted.name)
}

fn from_debug_information() -> Result<Abi, String> {
    let start = Instant::now();
    let facts = read_debug_information()?;
    let origin = Origin::DebugInformation(start.elapsed());
    from_facts(&facts, origin, Voucher::DebugInformation)
}

/// The facts in the debug information of the file that the host's functions are mapped from.
fn read_debug_information() -> Result<Facts, String> {
    let file = file_of_host()?
        .ok_or("the file that it was loaded from cannot be told (is /proc mounted?)")?;
    debug_info::read(&file, Path::new(debug_info::DEBUG_FOLDER), NAMES)
        .map_err(|failure| failure.to_string())
}

/// The file that the host's functions are mapped from; `None`: it cannot be told.
///
/// # Errors
/// The program has none of them.
fn file_of_host() -> Result<Option<PathBuf>, String> {
    let function = observe::symbol(ANCHOR).ok_or_else(not_fluent_bit)?;
    Ok(Maps::now().file(function as usize))
}

fn not_fluent_bit() -> String {
    Refusal::NotFluentBit.to_string()
}

fn from_file(value: OsString) -> Result<Abi, String> {
    let path = PathBuf::from(value);
    let refused = |why: String| {
        let path = path.display();
        format!(
            "{VARIABLE} is '{path}': {why} (allowed: '{DISCOVER}', or a file that \
             'flb-sidecar-abi HOST' wrote)"
        )
    };
    let file = open_regular(&path).map_err(refused)?;
    let mut text = String::new();
    let read = file.take(MAX_FILE + 1).read_to_string(&mut text);
    read.map_err(|error| refused(error.to_string()))?;
    if text.len() as u64 > MAX_FILE {
        return Err(refused(format!("it has more than {MAX_FILE} bytes")));
    }
    let facts = file::parse(&text).map_err(refused)?;
    let running = file_of_host()?.and_then(|file| debug_info::build_id(&file));
    let voucher = match (&facts.build_id, running) {
        (Some(written), Some(running)) if *written == running => Voucher::DebugInformation,
        (written, Some(running)) => {
            let written = written.as_deref().unwrap_or("that has no id");
            return Err(refused(format!(
                "it is of a build {written}, but {running} runs here"
            )));
        }
        // Both without, or what runs cannot be told: as good as what is proven of it.
        (_, None) => Voucher::Markers,
    };
    from_facts(&facts, Origin::File(path), voucher)
}

fn from_facts(facts: &Facts, origin: Origin, voucher: Voucher) -> Result<Abi, String> {
    let from = match &origin {
        Origin::File(_) => origin.to_string(),
        _ => "its debug information".to_owned(),
    };
    let (layout, mut unproven) =
        Layout::from_facts(facts).map_err(|why| format!("{from} cannot be used: {why}"))?;
    sizes_agree(&layout).map_err(|why| format!("{from} cannot be used: {why}"))?;
    prove_registration(&layout, usize::MAX)
        .map_err(|why| format!("{from} cannot be used: {why}"))?;
    let functions = Functions::find(Some(facts), &mut unproven);
    let missing = functions.missing();
    if !missing.is_empty() {
        return Err(format!(
            "by {from} this Fluent Bit lacks functions that every plugin here needs, or has them \
             otherwise: {} ({})",
            missing.join(", "),
            unproven.join("; ")
        ));
    }
    let behaviour = behaviour(facts, &layout, |name| observe::symbol(name).is_some());
    if behaviour.append == AppendCall::Log {
        // Its later form has other arguments, and is never called.
        unproven.retain(|why| !why.starts_with("flb_input_chunk_append_raw"));
    }
    Ok(Abi {
        origin,
        voucher,
        layout,
        behaviour,
        functions,
        unproven,
    })
}

/// What the layout does not show, from what marks the releases that changed it; `has` tells whether
/// the host exports a symbol.
pub(super) fn behaviour(
    facts: &Facts,
    layout: &Layout,
    has: impl Fn(&'static CStr) -> bool,
) -> Behaviour {
    let filter = |field| facts.structs.get("flb_filter_plugin")?.fields.get(field);
    let arguments = match filter("cb_filter").map(|field| &field.kind) {
        Some(Kind::Function(signature)) => signature.arguments.len(),
        _ => 10,
    };
    let metadata = has(c"flb_log_event_decoder_init") || has(c"flb_log_event_decoder_create");
    Behaviour {
        filter_arguments: if arguments == 9 {
            FilterArguments::Nine
        } else {
            FilterArguments::Ten
        },
        append: if has(c"flb_input_log_append") {
            AppendCall::Log
        } else {
            AppendCall::ChunkRaw
        },
        record_format: if metadata {
            RecordFormat::WithMetadata
        } else {
            RecordFormat::Legacy
        },
        keeps_chunks: !metadata || has(c"flb_input_log_append_skip_processor_stages"),
        // 2.2.0 began all three.
        reload_is_flagged: filter("cb_pre_run").is_some(),
        counts_evictions: filter("cb_pre_run").is_some(),
        threaded_inputs: layout.input.threaded.is_some(),
    }
}

/// The host copies as much of a block as its own structs measure, and we fill no more.
fn sizes_agree(layout: &Layout) -> Result<(), String> {
    let seen = observe::look();
    let kinds = [
        (&seen.inputs, layout.input_plugin.bytes),
        (&seen.filters, layout.filter_plugin.bytes),
        (&seen.outputs, layout.output_plugin.bytes),
    ];
    for (found, bytes) in kinds {
        if let Some((name, size)) = found.iter().find(|(_, size)| *size != bytes as u64) {
            return Err(format!("{name} has {size} bytes, not {bytes}"));
        }
    }
    Ok(())
}

/// Looks at up to `most` of the host's own plugins of each kind.
fn prove_registration(layout: &Layout, most: usize) -> Result<(), String> {
    let mut memory = Memory::open().ok_or("there is no descriptor left to look at it")?;
    let plugins = observe::own_plugins(most);
    prove::registration(&mut memory, &Maps::now(), layout, &plugins)
}

/// The layout from the host's debug information, for one whose instances are not laid out as its
/// row says. Only once in a process.
pub(crate) fn look_closer() -> Result<Layout, String> {
    let facts = read_debug_information();
    let layout = facts.and_then(|facts| {
        let (layout, _) = Layout::from_facts(&facts)?;
        sizes_agree(&layout)?;
        prove_registration(&layout, usize::MAX)?;
        Ok(layout)
    });
    alloc::give_back();
    layout
}
