//! `portunus store check`: reads everything that is kept and says what is wrong with it. How a
//! store is looked through is [`portunus_store::inspection`]'s business. Next door:
//! [`super::backup`].

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    process::ExitCode,
    sync::Arc,
};

use anyhow::ensure;
use clap::{Args, Subcommand};
use portunus_core::{Clock as _, clock::SystemClock, store::RecordKind, text::visible};
use portunus_store::{
    inspection::{Inspection, Problem},
    redis,
    seal::Sealer,
    sqlite::{self, OpenError},
};

use super::{ConfigFiles, backup::name};
use crate::{
    config::{Config, Loaded, StoreConfig},
    gateway,
    os::OsEntropy,
};

#[derive(Args, Debug)]
pub struct StoreArgs {
    #[command(subcommand)]
    command: StoreCommand,
}

#[derive(Debug, Subcommand)]
enum StoreCommand {
    /// Read everything that is kept, and say what is wrong with it
    #[command(after_help = HELP)]
    Check {
        #[command(flatten)]
        files: ConfigFiles,
    },
}

const HELP: &str = "\
Is every record readable, does everything that is sealed open, is everything there that something else refers to, and does every list name
what it should? For SQLite its own checks of the file too. Nothing is changed, and the gateway may go on serving.

What is sealed under AUTH_SECRET_PREVIOUS is sealed anew when a gateway starts; then that secret can be dropped.

Exit codes: 0 nothing is wrong, 1 something is, 2 bad usage or configuration";

pub fn run(args: StoreArgs) -> anyhow::Result<ExitCode> {
    let StoreCommand::Check { files } = args.command;
    match files.load() {
        Ok(Loaded { config, .. }) => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            let inspection = runtime.block_on(inspect(&config))?;
            io::stdout().write_all(report(&name(&config), &inspection).as_bytes())?;
            Ok(ExitCode::from(u8::from(!inspection.problems.is_empty())))
        }
        Err(mistakes) => {
            write!(io::stderr(), "{mistakes}")?;
            Ok(ExitCode::from(2))
        }
    }
}

async fn inspect(config: &Config) -> anyhow::Result<Inspection> {
    let sealer = Sealer::new(&config.auth_secrets, Arc::new(OsEntropy))?;
    match &config.store {
        StoreConfig::Redis(options) => {
            Ok(redis::inspect(options.clone(), sealer, SystemClock.now()).await?)
        }
        StoreConfig::Sqlite { path } => {
            ensure!(
                path.exists(),
                "there are no records at {}: is this the gateway's folder and configuration?",
                path.display()
            );
            match sqlite::inspect(path, &sealer) {
                Err(OpenError::Foreign { .. }) => {
                    Ok(sqlite::inspect(&gateway::beside(path), &sealer)?)
                }
                inspected => Ok(inspected?),
            }
        }
    }
}

/// A table by kind, then each problem with what to do.
fn report(store: &str, Inspection { records, seals, problems }: &Inspection) -> String {
    let mut text = format!("{store}\n\n{:<22}{:>12}{:>12}\n", "", "RECORDS", "PROBLEMS");
    for kind in RecordKind::ALL {
        let wrong = problems
            .iter()
            .filter(|problem| problem.kind == Some(kind))
            .map(|problem| problem.count)
            .sum();
        let _ =
            writeln!(text, "{:<22}{:>12}{:>12}", kind.plural(), records.of(kind), counted(wrong));
    }
    let wrong =
        problems.iter().filter(|problem| problem.kind.is_none()).map(|problem| problem.count).sum();
    let _ = writeln!(text, "{:<22}{:>12}{:>12}\n", "the store as such", "", counted(wrong));
    for (generation, count) in seals.iter().enumerate() {
        let secret = if generation == 0 { "AUTH_SECRET" } else { "AUTH_SECRET_PREVIOUS" };
        let _ = writeln!(text, "{count} values are sealed under {secret}");
    }
    for problem in problems {
        text.push_str(&shown(problem));
    }
    text.push_str(if problems.is_empty() { "\nNothing is wrong.\n" } else { "" });
    text
}

fn counted(count: u64) -> String {
    if count == 0 { "-".to_owned() } else { count.to_string() }
}

fn shown(Problem { kind, what, advice, count, ids }: &Problem) -> String {
    let whose = kind.map_or("the store", RecordKind::plural);
    let mut text = format!("\n{whose}: {what} ({count})\n");
    // Ids are chosen by strangers, and a damaged record may say anything.
    for id in ids {
        let _ = writeln!(text, "  {}", visible(id));
    }
    if let Some(more) = count.checked_sub(ids.len() as u64).filter(|more| *more > 0) {
        let _ = writeln!(text, "  and {more} more");
    }
    let _ = writeln!(text, "  -> {advice}");
    text
}
