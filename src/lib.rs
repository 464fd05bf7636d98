//! The C border of flb-sidecar: a library that Fluent Bit 1.9 to 5.1 loads as native plugins.
//!
//! This package is the only one with `unsafe` code. [`abi`] knows the host's generations,
//! `load` fills the exported blocks when the library is mapped, `entry` has the callbacks, and
//! everything a plugin does is in its own crate under `plugins/`, which forbids `unsafe`.

pub mod abi;
mod alloc;
mod chunk_watch;
mod chunks;
mod decided;
mod entry;
mod guard;
mod holdings;
mod host;
mod instance;
mod link;
mod load;
mod log;
mod metrics;
mod multiline;
mod parsers;
mod process_end;
mod regex;
mod signals;
mod sqlite;
mod stack;
mod stock_tails;
mod tasks;
mod trial;
mod wake;

/// The table of exported plugins: kind, exported symbol, file that the host loads, type.
macro_rules! plugins {
    ($( $(#[$when:meta])* $kind:ident $symbol:ident from $file:literal: $plugin:ty; )*) => {
        $(
            $(#[$when])*
            const _: () = {
                static OUR_NAME: entry::OurName = entry::OurName::new();

                plugins!(@name $kind $plugin);
            };

            $(#[$when])*
            #[doc = concat!("Registration block of `", stringify!($plugin), "`, filled by the constructor.")]
            #[no_mangle]
            #[allow(non_upper_case_globals)]
            pub static $symbol: load::PluginBlock = load::PluginBlock::new();
        )*

        fn exports() -> Vec<load::Export> {
            vec![
                $( $(#[$when])* plugins!(@export $kind $symbol $plugin), )*
            ]
        }

        /// Files that the host loads, for messages.
        const FILES: &[&str] = &[ $( $(#[$when])* $file, )* ];
    };
    (@name input $plugin:ty) => {
        impl entry::input::InputPlugin for $plugin {
            fn our_name() -> &'static entry::OurName { &OUR_NAME }
        }
    };
    (@name filter $plugin:ty) => {
        impl entry::filter::FilterPlugin for $plugin {
            fn our_name() -> &'static entry::OurName { &OUR_NAME }
        }
    };
    (@name output $plugin:ty) => {
        impl entry::output::OutputPlugin for $plugin {
            fn our_name() -> &'static entry::OurName { &OUR_NAME }
        }
    };
    (@export input $symbol:ident $plugin:ty) => {
        load::Export {
            block: &$symbol,
            info: <$plugin as flb_sidecar_sdk::Input>::INFO,
            our_name: <$plugin as entry::input::InputPlugin>::our_name(),
            callbacks: load::Callbacks::Input(entry::input::callbacks::<$plugin>()),
        }
    };
    (@export filter $symbol:ident $plugin:ty) => {
        load::Export {
            block: &$symbol,
            info: <$plugin as flb_sidecar_sdk::Filter>::INFO,
            our_name: <$plugin as entry::filter::FilterPlugin>::our_name(),
            callbacks: load::Callbacks::Filter(entry::filter::callbacks::<$plugin>()),
        }
    };
    (@export output $symbol:ident $plugin:ty) => {
        load::Export {
            block: &$symbol,
            info: <$plugin as flb_sidecar_sdk::Output>::INFO,
            our_name: <$plugin as entry::output::OutputPlugin>::our_name(),
            callbacks: load::Callbacks::Output(entry::output::callbacks::<$plugin>()),
        }
    };
}

plugins! {
    input in_sidecar_tail_plugin from "flb-in_sidecar_tail.so": in_sidecar_tail::SidecarTail;
    filter filter_pii_redact_plugin from "flb-filter_pii_redact.so": filter_pii_redact::PiiRedact;
    filter filter_kube_metadata_plugin from "flb-filter_kube_metadata.so": filter_kube_metadata::KubeMetadata;
    output out_completion_exit_plugin from "flb-out_completion_exit.so": out_completion_exit::CompletionExit;
    #[cfg(feature = "probe")]
    input in_probe_plugin from "flb-in_probe.so": flb_sidecar_probe::ProbeInput;
    #[cfg(feature = "probe")]
    filter filter_probe_plugin from "flb-filter_probe.so": flb_sidecar_probe::ProbeFilter;
    #[cfg(feature = "probe")]
    output out_probe_plugin from "flb-out_probe.so": flb_sidecar_probe::ProbeOutput;
}

/// Called by the constructor in `constructor.c`, which only the cdylib has.
#[no_mangle]
#[doc(hidden)]
pub extern "C" fn flb_sidecar_on_load() {
    load::on_load(if trial::is_running() {
        trial::exports()
    } else {
        exports()
    });
}

/// Called by a host that was told to load this library under a name that does not start with
/// `flb-`, and therefore looks for a Go plugin: says how to load it, and stops.
///
/// # Safety
/// To be called by the host.
#[no_mangle]
#[allow(non_snake_case, private_interfaces)]
pub unsafe extern "C" fn FLBPluginRegister(
    definition: *mut abi::bindings::host_proxy_def,
) -> std::ffi::c_int {
    // SAFETY: the host's own definition, passed on untouched.
    unsafe { load::refuse_proxy(definition, &FILES.join(", ")) }
}
