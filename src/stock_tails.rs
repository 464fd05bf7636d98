//! Finds the host's own `tail` among the inputs of the engine, and what it was told to read.

use std::ffi::c_void;

use flb_sidecar_sdk::StockTail;

use crate::abi::memory::Memory;
use crate::holdings::Holder;
use crate::host::{self, Section};
use crate::instance::property;

/// The name of its plugin.
const TAIL: &str = "tail";

/// Those of `inputs` that are one. Their options are there before any of them has begun.
pub(crate) fn among(inputs: &[Holder], memory: &mut Memory) -> Vec<StockTail> {
    inputs
        .iter()
        .filter(|input| {
            let name = host::input_plugin(input.layout, memory, input.instance);
            name.as_deref() == Some(TAIL)
        })
        .map(|input| {
            let instance = input.instance as *mut c_void;
            let option = |name| property(input.host, Section::Input, instance, name);
            StockTail {
                name: host::instance_name(input.host, Section::Input, instance)
                    .unwrap_or_else(|| TAIL.to_owned()),
                path: option("path").unwrap_or_default(),
                exclude_path: option("exclude_path").unwrap_or_default(),
                db: option("db").filter(|db| !db.is_empty()).map(Into::into),
            }
        })
        .collect()
}
