//! The `portunus` program: reads the command line, hands over to [`portunus::cli`], turns the outcome into an exit code.

use std::process::ExitCode;

/// A call makes some three hundred small allocations, many freed on another thread than made them: the C library's allocator needed
/// a seventh of all CPU for that (`docs/benchmarks`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    portunus::cli::main()
}
