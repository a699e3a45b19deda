//! The `portunus` program: reads the command line, hands over to [`portunus::cli`], turns the outcome into an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    portunus::cli::main()
}
