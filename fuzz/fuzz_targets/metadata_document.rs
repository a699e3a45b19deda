//! The input is handed to `checks::metadata_document`, which `cargo test` runs as well.
#![no_main]

#[path = "../checks.rs"]
#[expect(dead_code, reason = "each target uses one check")]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::metadata_document(data));
