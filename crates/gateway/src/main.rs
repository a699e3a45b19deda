//! The `portunus` program: reads the command line, hands over to [`portunus::cli`], turns the
//! outcome into an exit code.

use std::process::ExitCode;

use portunus_mcp::child;

/// A call makes some three hundred small allocations, many freed on another thread than made them:
/// the C library's allocator needed a seventh of all CPU for that (`docs/benchmarks`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Before a secret is read and before there is a second thread, the process closes itself to others
/// of its user (threat 52). Then the commands that the program types itself: they know nothing of a
/// configuration.
fn main() -> ExitCode {
    let closed = if portunus::cli::opens_a_browser(std::env::args_os()) {
        child::hide()
    } else {
        child::harden()
    };
    if let Err(error) = closed {
        eprintln!(
            "portunus: this process cannot be closed to other processes of its user: prctl: {error}"
        );
        return ExitCode::FAILURE;
    }
    child::run_if_asked(std::env::args_os()).unwrap_or_else(portunus::cli::main)
}
