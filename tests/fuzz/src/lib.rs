//! What the fuzz targets do with their bytes: each one panics when something does not hold.
//!
//! A target is a function here, a line in [`TARGETS`], a program of the same name in
//! `fuzz_targets/`, and a folder of inputs in `corpus/`. `make fuzz` looks for new inputs, and
//! leaves what breaks a target in its corpus; the test of this package runs every corpus.
#![forbid(unsafe_code)]

mod redact;
mod redact_cost;

pub use redact::redact_chunk;
pub use redact_cost::redact_cost;

/// A target: takes any bytes, and panics when it finds a defect.
pub type Target = fn(&[u8]);

/// Every target by the name of its program and of its corpus.
pub static TARGETS: &[(&str, Target)] = &[
    ("redact_chunk", redact_chunk),
    ("redact_cost", redact_cost),
    ("tail_lines", tail_lines),
    ("tail_state", tail_state),
];

/// The line splitter of `sidecar_tail`.
pub fn tail_lines(data: &[u8]) {
    in_sidecar_tail::fuzzing::lines(data);
}

/// The reader of the state file of `sidecar_tail`.
pub fn tail_state(data: &[u8]) {
    in_sidecar_tail::fuzzing::state(data);
}
