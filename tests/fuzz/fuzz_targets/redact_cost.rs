#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| flb_sidecar_fuzz::redact_cost(data));
