//! The input is handed to `checks::json_bodies`, which `cargo test` runs as well.
#![no_main]

#[path = "../checks.rs"]
#[expect(dead_code, reason = "each target uses one check")]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::json_bodies(data));
