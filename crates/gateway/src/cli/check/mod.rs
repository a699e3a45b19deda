//! `portunus check`: the doctor. Prints what the configuration comes to, what to register at the
//! provider, and every mistake; then what of it does not work on this machine ([`machine`]), and
//! with `--online` what others say of it ([`online`]). The lines that describe the configuration
//! are made in [`super::summary`].

mod machine;
mod online;

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    process::ExitCode,
};

use clap::Args;
use portunus_identity::{Finding, State};

use super::{ConfigFiles, run_async, summary::summary};
use crate::config::{Inspected, Mistakes, Warning};

#[derive(Args, Debug)]
pub struct CheckArgs {
    #[command(flatten)]
    files: ConfigFiles,
    /// Look at the files alone, and not at this machine: for a configuration that is meant for
    /// another one
    #[arg(long, conflicts_with = "online")]
    files_only: bool,
    /// Ask others too: the identity providers (their metadata and keys, whether they know this
    /// client, its secret and its callback), the store, the names of servers
    #[arg(long)]
    online: bool,
}

/// Exit code 2 when there are mistakes, 1 when something else would keep the gateway from working.
pub fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let inspected = args.files.inspect();
    io::stdout().write_all(report(&inspected).as_bytes())?;
    if !inspected.mistakes.0.is_empty() {
        return Ok(ExitCode::from(2));
    }
    if args.files_only {
        return Ok(ExitCode::SUCCESS);
    }
    let here = machine::look(&inspected.draft);
    print("On this machine", &here)?;
    let wrong = wrong(&here);
    if args.online {
        return run_async(online::ask(inspected.draft, wrong));
    }
    conclude(wrong)?;
    Ok(ExitCode::SUCCESS)
}

fn wrong(findings: &[Finding]) -> usize {
    findings.iter().filter(|finding| finding.is_wrong()).count()
}

fn conclude(wrong: usize) -> anyhow::Result<()> {
    anyhow::ensure!(
        wrong == 0,
        "{wrong} of the above must be mended before people can use the gateway"
    );
    Ok(())
}

fn print(title: &str, findings: &[Finding]) -> io::Result<()> {
    let lines: String = findings.iter().map(shown).collect();
    writeln!(io::stdout(), "\n{title}\n{}", lines.trim_end())
}

fn shown(Finding { state, setting, found, advice }: &Finding) -> String {
    let verdict = match state {
        State::Fine => "fine ",
        State::Wrong => "WRONG",
        State::Unknown => "?    ",
    };
    let mut text = format!("  {verdict} {setting}: {found}\n");
    if let Some(advice) = advice {
        let _ = writeln!(text, "        {advice}");
    }
    text
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
        let _ = write!(
            text,
            "\nAbove is what could be read; settings with a mistake show their default.\n\n{mistakes}"
        );
    }
    text
}
