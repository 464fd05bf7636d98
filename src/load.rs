//! What happens when the dynamic linker has mapped the library.
//!
//! The host copies its own struct's size from our exported symbol right after dlopen, before it
//! calls anything of ours. So the constructor finds out which generation the host is and fills
//! every exported block in its layout. A host that is not understood ends here, with a message: a
//! block left empty would crash it later, in a worse place.

use std::cell::UnsafeCell;
use std::ffi::c_int;

use flb_sidecar_sdk::{memory, PluginInfo};

use crate::abi::bindings::host_proxy_def;
use crate::abi::discover::{self, Voucher};
use crate::abi::layouts::{self, FilterCallbacks, InputCallbacks, OutputCallbacks, BLOCK_BYTES};
use crate::entry::OurName;
use crate::host::{self, Host};
use crate::trial::{self, Outcome};
use crate::{alloc, guard, log, stack};

/// An exported symbol that the host takes for its registration struct.
#[repr(C, align(16))]
pub struct PluginBlock(UnsafeCell<[u8; BLOCK_BYTES]>);

// SAFETY: written once by the constructor, before any other code can see it; afterwards only the
// host reads it.
unsafe impl Sync for PluginBlock {}

impl std::fmt::Debug for PluginBlock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PluginBlock")
    }
}

impl PluginBlock {
    pub(crate) const fn new() -> Self {
        PluginBlock(UnsafeCell::new([0; BLOCK_BYTES]))
    }
}

/// Callbacks of a plugin, by kind.
pub(crate) enum Callbacks {
    Input(InputCallbacks),
    Filter(FilterCallbacks),
    Output(OutputCallbacks),
}

/// One line of the table of exported plugins.
pub(crate) struct Export {
    pub(crate) block: &'static PluginBlock,
    pub(crate) info: PluginInfo,
    pub(crate) our_name: &'static OurName,
    pub(crate) callbacks: Callbacks,
}

/// The constructor's work. Ends the process when the host is not understood.
pub(crate) fn on_load(table: Vec<Export>) {
    guard::install_hook();
    memory::goes_back_by(alloc::give_back);
    match stack::at_start(|| register(table)) {
        Some(Ok(())) => {}
        Some(Err(reason)) => stop(&reason),
        None => stop("the library failed while it was loaded"),
    }
}

fn stop(reason: &str) -> ! {
    log::before_any_instance(&format!("cannot be loaded: {reason}"));
    // SAFETY: ends the process. Not exit(): the program's own handlers do not expect to run
    // inside a constructor.
    unsafe { libc::_exit(1) }
}

fn register(table: Vec<Export>) -> Result<(), String> {
    let abi = discover::find()?;
    // Some megabytes were needed for it.
    if abi.voucher == Voucher::DebugInformation {
        alloc::give_back();
    }
    let trial = (!abi.origin.is_table() && !trial::is_running()).then(trial::run);
    if let Some(Outcome::Nothing(_)) = &trial {
        let said = trial.map(|outcome| outcome.to_string()).unwrap_or_default();
        return Err(format!(
            "{said}; no table of this library has its layout, which is known from {}",
            abi.origin
        ));
    }
    let host = host::set(Host::new(abi, trial));
    for export in table {
        let is_input = matches!(export.callbacks, Callbacks::Input(_));
        let behaviour = host.behaviour;
        let declared = layouts::declare(host.layout(), behaviour, &export.info, is_input);
        // SAFETY: a block has BLOCK_BYTES bytes, and nobody else uses it yet: this is the
        // library's constructor.
        let block = unsafe { &mut *export.block.0.get() };
        let filled = declared.is_some_and(|declared| {
            export.our_name.set(declared.name);
            match export.callbacks {
                Callbacks::Input(callbacks) => {
                    layouts::fill_input(&host.layout().input_plugin, block, declared, callbacks)
                }
                Callbacks::Filter(callbacks) => layouts::fill_filter(
                    &host.layout().filter_plugin,
                    behaviour.filter_arguments,
                    block,
                    declared,
                    callbacks,
                ),
                Callbacks::Output(callbacks) => {
                    layouts::fill_output(&host.layout().output_plugin, block, declared, callbacks)
                }
            }
        });
        if !filled {
            return Err(format!(
                "this Fluent Bit's registration structs are larger than the {BLOCK_BYTES} bytes \
                 that are exported for them"
            ));
        }
    }
    Ok(())
}

/// The host asks this of a file whose name does not start with `flb-`: it expects a Go plugin.
///
/// # Safety
/// Called by the host with its own definition, which is not touched.
pub(crate) unsafe fn refuse_proxy(_definition: *mut host_proxy_def, files: &str) -> c_int {
    stop(&format!(
        "libflb_sidecar.so is loaded through its links, whose names tell the host what is in \
         them: {files}"
    ))
}
