//! `portunus check`: the doctor. Prints what the configuration comes to, what to register at the provider, and every mistake.

use std::{io::Write as _, process::ExitCode};

use clap::Args;

use super::ConfigFiles;

#[derive(Args, Debug)]
pub struct CheckArgs {
    #[command(flatten)]
    files: ConfigFiles,
}

/// Exit code 2 when there are mistakes.
pub fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    match args.files.load() {
        Ok(_) => Ok(ExitCode::SUCCESS),
        Err(mistakes) => {
            write!(std::io::stderr(), "{mistakes}")?;
            Ok(ExitCode::from(2))
        }
    }
}
