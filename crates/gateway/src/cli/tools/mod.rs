//! `portunus tools`: what the gateway remembers of servers' tools, and what an administrator does
//! about those that changed (threat 45). Works on the records of a gateway that runs: it notices
//! within a second. How a change is shown is [`change`]'s.

mod change;

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    process::ExitCode,
};

use anyhow::{Context as _, bail, ensure};
use clap::{Args, Subcommand};
use portunus_core::{
    Clock as _, Timestamp,
    audit::Event,
    clock::SystemClock,
    ids::ServerName,
    pins::{FingerprintPrefix, ToolFingerprint},
    store::{PinRecord, PinStore},
};

use self::change::{Excerpt, printable, quoted};
use super::{ConfigFiles, run_async, serve};
use crate::{
    audit::command::{done, record},
    config::{Config, Loaded},
    edge::pages::when::day,
};

#[derive(Args, Debug)]
pub struct ToolsArgs {
    #[command(subcommand)]
    command: ToolsCommand,
}

#[derive(Debug, Subcommand)]
enum ToolsCommand {
    /// List the tools that were seen, those that changed and wait for approval too
    List {
        /// Of this server alone
        #[arg(allow_hyphen_values = true)]
        server: Option<String>,
        /// Only what waits for approval
        #[arg(long)]
        waiting: bool,
        #[command(flatten)]
        files: ConfigFiles,
    },
    /// Show how the tools that wait for approval differ from what was approved last
    Diff {
        /// Of this server alone
        #[arg(allow_hyphen_values = true)]
        server: Option<String>,
        /// Show long texts in full
        #[arg(long)]
        full: bool,
        #[command(flatten)]
        files: ConfigFiles,
    },
    /// Approve tools as they are now, by fingerprint
    ///
    /// They are listed and can be called again, within a second or so. What was approved before
    /// stays approved.
    Approve {
        /// The server
        #[arg(allow_hyphen_values = true)]
        server: String,
        /// As `list` and `diff` show them: 16 digits at least
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        fingerprint: Vec<String>,
        /// All that waits at this server
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        files: ConfigFiles,
    },
    /// Forget one tool of a server, or all of them: they are trusted anew as they are seen next
    Forget {
        /// The server
        #[arg(allow_hyphen_values = true)]
        server: String,
        /// The tool, as the server calls it
        #[arg(allow_hyphen_values = true)]
        tool: Option<String>,
        #[command(flatten)]
        files: ConfigFiles,
    },
}

impl ToolsCommand {
    const fn files(&self) -> &ConfigFiles {
        match self {
            Self::List { files, .. }
            | Self::Diff { files, .. }
            | Self::Approve { files, .. }
            | Self::Forget { files, .. } => files,
        }
    }
}

/// Runs one of them and prints what it has to say.
pub fn run(args: ToolsArgs) -> anyhow::Result<ExitCode> {
    match args.command.files().load() {
        Ok(Loaded { config, .. }) => run_async(answer(args.command, config)),
        Err(mistakes) => {
            write!(io::stderr(), "{mistakes}")?;
            Ok(ExitCode::from(2))
        }
    }
}

async fn answer(command: ToolsCommand, config: Config) -> anyhow::Result<()> {
    let now = SystemClock.now();
    let parse = |server: &str| ServerName::parse(server).context("no server can have this name");
    let stores = serve::open_records(&config).await?;
    let pins = &*stores.pins;
    let text = match command {
        ToolsCommand::List { server, waiting, .. } => {
            let server = server.as_deref().map(parse).transpose()?;
            list(&pins.list_pins(server.as_ref()).await?, waiting, now)
        }
        ToolsCommand::Diff { server, full, .. } => {
            let server = server.as_deref().map(parse).transpose()?;
            diff(
                &pins.list_pins(server.as_ref()).await?,
                if full { Excerpt::Full } else { Excerpt::Short },
                now,
            )
        }
        ToolsCommand::Approve { server, fingerprint, all, .. } => {
            let server = parse(&server)?;
            let records = pins.list_pins(Some(&server)).await?;
            let chosen =
                if all { waiting_in(&records).collect() } else { chosen(&records, &fingerprint)? };
            let text = approve(pins, &chosen, now).await?;
            let told = |pin: &&PinRecord| Event::PinApproved {
                server: pin.server.to_string(),
                tool: pin.tool.clone(),
                fingerprint: pin.fingerprint.to_string(),
            };
            record(&config, &stores, chosen.iter().map(told).collect()).await?;
            text
        }
        ToolsCommand::Forget { server, tool, .. } => {
            let forgotten = pins.forget(&parse(&server)?, tool.as_deref()).await?;
            let about =
                tool.as_deref().map_or_else(|| server.clone(), |tool| format!("{server} {tool}"));
            record(&config, &stores, vec![done("tools forget", about)]).await?;
            ensure!(forgotten > 0 || tool.is_none(), "no such tool of {server} was ever seen");
            format!("{forgotten} tools forgotten: they are trusted as they are seen next\n")
        }
    };
    io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

fn waiting_in(records: &[PinRecord]) -> impl Iterator<Item = &PinRecord> {
    records.iter().filter(|record| record.approved_at.is_none())
}

/// As much of a fingerprint as has to be typed.
fn short(fingerprint: &ToolFingerprint) -> String {
    let mut text = fingerprint.to_string();
    text.truncate(FingerprintPrefix::SHORTEST);
    text
}

fn list(records: &[PinRecord], only_waiting: bool, now: Timestamp) -> String {
    let heading = ["SERVER", "TOOL", "STATE", "SINCE", "FINGERPRINT"].map(str::to_owned);
    let row = |record: &PinRecord| {
        let (state, since) = record
            .approved_at
            .map_or(("waiting", record.seen_at), |approved_at| ("trusted", approved_at));
        [
            record.server.to_string(),
            quoted(&record.tool),
            state.to_owned(),
            day(since, now),
            short(&record.fingerprint),
        ]
    };
    let shown =
        records.iter().filter(|record| !only_waiting || record.approved_at.is_none()).map(row);
    let rows: Vec<_> = std::iter::once(heading).chain(shown).collect();
    let width =
        |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths = [0, 1, 2, 3, 4].map(width);
    let mut text = String::new();
    for row in rows.iter().filter(|_| rows.len() > 1) {
        let cells: Vec<_> =
            row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        let _ = writeln!(text, "{}", cells.join("  ").trim_end());
    }
    let waiting = waiting_in(records).count();
    let look = if waiting > 0 { ": `portunus tools diff` shows what changed" } else { "" };
    let _ = writeln!(text, "{waiting} waiting for approval{look}");
    text
}

fn diff(records: &[PinRecord], excerpt: Excerpt, now: Timestamp) -> String {
    let mut text = String::new();
    for new in waiting_in(records) {
        let is_of_it = |old: &&PinRecord| {
            old.server == new.server && old.tool == new.tool && old.approved_at.is_some()
        };
        let old = records.iter().filter(is_of_it).max_by_key(|old| old.approved_at);
        let _ = writeln!(
            text,
            "{}: {}, waiting since {}",
            new.server,
            quoted(&new.tool),
            day(new.seen_at, now)
        );
        text.push_str(&change::shown(old.map(|old| &old.definition), &new.definition, excerpt));
        let _ = writeln!(
            text,
            "  to approve: portunus tools approve {} {}\n",
            new.server,
            short(&new.fingerprint)
        );
    }
    if text.is_empty() { "nothing is waiting for approval\n".to_owned() } else { text }
}

/// What was typed, each of it found and waiting, or an error and nothing done.
fn chosen<'a>(records: &'a [PinRecord], typed: &[String]) -> anyhow::Result<Vec<&'a PinRecord>> {
    let find = |typed: &String| {
        let Some(prefix) = FingerprintPrefix::parse(typed) else {
            bail!(
                "{}: a fingerprint has 16 to 64 hexadecimal digits, as `portunus tools list` shows them",
                printable(typed)
            );
        };
        let fitting: Vec<_> =
            records.iter().filter(|record| prefix.fits(&record.fingerprint)).collect();
        match fitting[..] {
            [] => bail!(
                "{typed}: no tool of this server was seen so: `portunus tools list` shows what was"
            ),
            [only] if only.approved_at.is_some() => bail!("{typed} is approved already"),
            [only] => Ok(only),
            [_, _, ..] => bail!("{typed} fits several fingerprints: type more of it"),
        }
    };
    typed.iter().map(find).collect()
}

async fn approve(
    pins: &dyn PinStore,
    chosen: &[&PinRecord],
    now: Timestamp,
) -> anyhow::Result<String> {
    let mut text = String::new();
    for record in chosen {
        let outcome = if pins.approve(&record.server, &record.fingerprint, now).await? {
            "approved"
        } else {
            "gone meanwhile"
        };
        writeln!(
            text,
            "{}: {} {outcome} ({})",
            record.server,
            quoted(&record.tool),
            short(&record.fingerprint)
        )?;
    }
    if chosen.is_empty() {
        text.push_str("nothing is waiting for approval\n");
    }
    Ok(text)
}
