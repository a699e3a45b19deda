//! `portunus check`: the doctor. Prints what the configuration comes to, what to register at the provider, and every mistake.
//! The lines that describe the configuration are made in [`super::summary`].

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    process::ExitCode,
};

use clap::Args;

use super::{ConfigFiles, summary::summary};
use crate::config::{Inspected, Mistakes, Warning};

#[derive(Args, Debug)]
pub struct CheckArgs {
    #[command(flatten)]
    files: ConfigFiles,
}

/// Exit code 2 when there are mistakes.
pub fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let inspected = args.files.inspect();
    io::stdout().write_all(report(&inspected).as_bytes())?;
    Ok(if inspected.mistakes.0.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(2) })
}

/// All that is printed: mistakes last, where they are seen.
pub fn report(Inspected { draft, warnings, mistakes }: &Inspected) -> String {
    let mut text = summary(draft);
    if !warnings.is_empty() {
        text.push_str("\nProbably not meant\n");
        for Warning { at, text: warning } in warnings {
            let _ = writeln!(text, "  {at}\n    {warning}");
        }
    }
    let Mistakes(list) = mistakes;
    if list.is_empty() {
        text.push_str("\nNo mistakes found.\n");
    } else {
        let _ = write!(text, "\nAbove is what could be read; settings with a mistake show their default.\n\n{mistakes}");
    }
    text
}
