//! The host's ABI: which generation it is, how its structs look, which functions it has.

#[allow(
    missing_docs,
    non_camel_case_types,
    unreachable_pub,
    dead_code,
    clippy::all,
    clippy::undocumented_unsafe_blocks
)]
pub(crate) mod bindings {
    //! What bindgen made of `include/`.
    include!(concat!(env!("OUT_DIR"), "/abi.rs"));
}

pub(crate) mod discover;
pub mod functions;
pub mod generations;
pub(crate) mod layouts;
pub(crate) mod maps;
pub(crate) mod memory;
pub mod next_row;
pub(crate) mod observe;
pub(crate) mod prove;
pub(crate) mod signatures;
pub mod table;
