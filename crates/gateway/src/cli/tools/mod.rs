//! `portunus tools`: what the gateway remembers of servers' tools, prompts, templates and
//! instructions, and what an administrator does about those that changed (threat 45). Works on the
//! records of a gateway that runs: it notices within a second. How a change is shown is
//! [`change`]'s, what is printed as JSON [`records`]'s.

mod change;
mod records;

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
    pins::{
        Fingerprint, FingerprintPrefix, PinKind, PinSubject,
        difference::{printable, quoted},
    },
    store::{PinRecord, PinStore},
};

use self::change::Excerpt;
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
    /// List what was seen of servers, what changed and waits for approval too
    ///
    /// Tools, prompts, resource templates, and the instructions that servers give to models.
    List {
        /// Of this server alone
        #[arg(allow_hyphen_values = true)]
        server: Option<String>,
        /// Only what waits for approval
        #[arg(long)]
        waiting: bool,
        /// Of this kind alone: tool, prompt, template, instructions
        #[arg(long, value_parser = kind)]
        kind: Option<PinKind>,
        /// As lines of JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        files: ConfigFiles,
    },
    /// Show how what waits for approval differs from what was approved last
    Diff {
        /// Of this server alone
        #[arg(allow_hyphen_values = true)]
        server: Option<String>,
        /// Show long texts in full
        #[arg(long)]
        full: bool,
        /// As lines of JSON, texts in full
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        files: ConfigFiles,
    },
    /// Approve what changed as it is now, by fingerprint
    ///
    /// It is shown and can be used again, within a second or so. What was approved before stays
    /// approved.
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
    /// Forget what was seen of a server, or one thing of it: it is trusted anew as it is seen next
    Forget {
        /// The server
        #[arg(allow_hyphen_values = true)]
        server: String,
        /// The tool, as the server calls it; or what `--kind` says
        #[arg(allow_hyphen_values = true)]
        name: Option<String>,
        /// What it is: tool, prompt, template (by its text), instructions (without a name)
        #[arg(long, value_parser = kind)]
        kind: Option<PinKind>,
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
        ToolsCommand::List { server, waiting, kind, json, .. } => {
            let server = server.as_deref().map(parse).transpose()?;
            let mut records = in_order(pins.list_pins(server.as_ref()).await?);
            records.retain(|record| kind.is_none_or(|kind| record.subject.kind == kind));
            if json { records::list(&records, waiting)? } else { list(&records, waiting, now) }
        }
        ToolsCommand::Diff { server, full, json, .. } => {
            let server = server.as_deref().map(parse).transpose()?;
            let records = in_order(pins.list_pins(server.as_ref()).await?);
            let excerpt = if full { Excerpt::Full } else { Excerpt::Short };
            if json { records::diff(&records)? } else { diff(&records, excerpt, now) }
        }
        ToolsCommand::Approve { server, fingerprint, all, .. } => {
            let server = parse(&server)?;
            let records = pins.list_pins(Some(&server)).await?;
            let chosen =
                if all { waiting_in(&records).collect() } else { chosen(&records, &fingerprint)? };
            let text = approve(pins, &chosen, now).await?;
            let told = |pin: &&PinRecord| Event::PinApproved {
                kind: pin.subject.kind,
                server: pin.server.to_string(),
                name: pin.subject.name.clone(),
                fingerprint: pin.fingerprint.to_string(),
            };
            record(&config, &stores, chosen.iter().map(told).collect()).await?;
            text
        }
        ToolsCommand::Forget { server, name, kind, .. } => {
            let subject = subject(name, kind)?;
            let forgotten = pins.forget(&parse(&server)?, subject.as_ref()).await?;
            let about = subject
                .as_ref()
                .map_or_else(|| server.clone(), |subject| format!("{server} {}", named(subject)));
            record(&config, &stores, vec![done("tools forget", about)]).await?;
            ensure!(
                forgotten > 0 || subject.is_none(),
                "nothing of this name and kind was ever seen of {server}: `portunus tools list {server}` shows what was"
            );
            format!("{forgotten} forgotten: what is seen next is trusted\n")
        }
    };
    io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

/// What of a server is forgotten; `None` is everything.
fn subject(name: Option<String>, kind: Option<PinKind>) -> anyhow::Result<Option<PinSubject>> {
    match (name, kind) {
        (None, None) => Ok(None),
        (None, Some(PinKind::Instructions)) => Ok(Some(PinSubject::new(PinKind::Instructions, ""))),
        (Some(_), Some(PinKind::Instructions)) => bail!("a server's instructions have no name"),
        (Some(name), kind) => Ok(Some(PinSubject::new(kind.unwrap_or_default(), name))),
        (None, Some(kind)) => {
            bail!("which {} is to be forgotten? Its name is missing", kind.word())
        }
    }
}

fn kind(word: &str) -> Result<PinKind, String> {
    let known = || PinKind::ALL.map(PinKind::word).join(", ");
    PinKind::parse(word).ok_or_else(|| format!("there are {}", known()))
}

/// Tools first, then the other kinds; of each thing, older fingerprints first.
fn in_order(mut records: Vec<PinRecord>) -> Vec<PinRecord> {
    records.sort_by(|one, other| (&one.server, &one.subject).cmp(&(&other.server, &other.subject)));
    records
}

/// As people are told of it.
fn named(subject: &PinSubject) -> String {
    match subject.kind {
        PinKind::Tool => quoted(&subject.name),
        PinKind::Instructions => "its instructions".to_owned(),
        kind => format!("{} {}", kind.word(), quoted(&subject.name)),
    }
}

/// What was approved last of what has changed.
fn approved_before<'a>(records: &'a [PinRecord], new: &PinRecord) -> Option<&'a PinRecord> {
    let is_of_it = |old: &&PinRecord| {
        old.server == new.server && old.subject == new.subject && old.approved_at.is_some()
    };
    records.iter().filter(is_of_it).max_by_key(|old| old.approved_at)
}

fn waiting_in(records: &[PinRecord]) -> impl Iterator<Item = &PinRecord> {
    records.iter().filter(|record| record.approved_at.is_none())
}

/// As much of a fingerprint as has to be typed.
fn short(fingerprint: &Fingerprint) -> String {
    let mut text = fingerprint.to_string();
    text.truncate(FingerprintPrefix::SHORTEST);
    text
}

fn list(records: &[PinRecord], only_waiting: bool, now: Timestamp) -> String {
    let heading = ["SERVER", "KIND", "NAME", "STATE", "SINCE", "FINGERPRINT"].map(str::to_owned);
    let row = |record: &PinRecord| {
        let (state, since) = record
            .approved_at
            .map_or(("waiting", record.seen_at), |approved_at| ("trusted", approved_at));
        [
            record.server.to_string(),
            record.subject.kind.word().to_owned(),
            if record.subject.name.is_empty() {
                "-".to_owned()
            } else {
                quoted(&record.subject.name)
            },
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
    let widths = [0, 1, 2, 3, 4, 5].map(width);
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
        let old = approved_before(records, new);
        let _ = writeln!(
            text,
            "{}: {}, waiting since {}",
            new.server,
            named(&new.subject),
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
                "{typed}: nothing of this server was seen so: `portunus tools list` shows what was"
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
            named(&record.subject),
            short(&record.fingerprint)
        )?;
    }
    if chosen.is_empty() {
        text.push_str("nothing is waiting for approval\n");
    }
    Ok(text)
}
