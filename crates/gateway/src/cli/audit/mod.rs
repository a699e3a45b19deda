//! `portunus audit`: the audit trail, shown, searched, verified and exported. Works on the store
//! itself, whether the gateway runs or not. How times are written is [`time`]'s, what is printed of
//! a record [`shown`]'s, how everything is read again [`verify`]'s.

mod shown;
pub(super) mod time;
mod verify;

use std::{
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use portunus_core::{
    Clock as _, Timestamp,
    audit::{AuditFilter, ChainedRecord},
    clock::SystemClock,
    store::Stores,
};

use super::{ConfigFiles, serve};
use crate::{
    audit::audit_keys,
    config::{Config, Loaded},
};

/// Records read at once.
const PORTION: usize = 500;

#[derive(Args, Debug)]
pub struct AuditArgs {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// The newest records
    Tail {
        /// How many
        #[arg(short = 'n', long, default_value_t = 20)]
        lines: usize,
        #[command(flatten)]
        output: Output,
        #[command(flatten)]
        files: ConfigFiles,
    },
    /// The newest records that are wanted, oldest first
    Query {
        #[command(flatten)]
        filter: Filter,
        /// So many at most
        #[arg(long, default_value_t = 100)]
        limit: usize,
        #[command(flatten)]
        output: Output,
        #[command(flatten)]
        files: ConfigFiles,
    },
    /// Is everything as it was written? Says what is wrong, and where
    ///
    /// Exit code 1 if anything was changed, left out or added.
    Verify {
        /// A file of `audit.file` or `audit export` in place of the store
        file: Option<PathBuf>,
        /// What is found as JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        files: ConfigFiles,
    },
    /// Every record that is wanted, as lines of JSON with their hashes, chain by chain
    Export {
        #[command(flatten)]
        filter: Filter,
        #[command(flatten)]
        files: ConfigFiles,
    },
}

#[derive(Args, Debug)]
struct Output {
    /// Lines of JSON, as they are kept
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
struct Filter {
    /// A user's id, subject or e-mail address
    #[arg(long, value_name = "WHO")]
    person: Option<String>,
    /// The client's id
    #[arg(long, value_name = "ID")]
    client: Option<String>,
    /// The agent key's id, as `portunus keys list` shows it
    #[arg(long, value_name = "ID")]
    key: Option<String>,
    /// The server's name
    #[arg(long, value_name = "NAME")]
    server: Option<String>,
    /// A tool or prompt as its server calls it, or the URI of a resource
    #[arg(long, value_name = "NAME")]
    tool: Option<String>,
    /// How a call ended, or why something was refused (docs/audit.md)
    #[arg(long, value_name = "WORD")]
    outcome: Option<String>,
    /// What happened (docs/audit.md)
    #[arg(long, value_name = "WORD")]
    event: Option<String>,
    /// From then on: 2026-11-30, 2026-11-30T18:00:00Z, or 90m, 12h, 7d before now
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Before then
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

impl Filter {
    fn read(self, now: Timestamp) -> anyhow::Result<AuditFilter> {
        let time = |text: Option<String>| {
            text.map(|text| {
                time::parse(&text, now).with_context(|| {
                    format!("{text:?} is no time: 2026-11-30, 2026-11-30T18:00:00Z, or 90m, 12h, 7d before now")
                })
            })
            .transpose()
        };
        Ok(AuditFilter {
            person: self.person,
            client: self.client,
            agent_key: self.key,
            server: self.server,
            tool: self.tool,
            outcome: self.outcome,
            event: self.event,
            since: time(self.since)?,
            until: time(self.until)?,
        })
    }
}

impl AuditCommand {
    const fn files(&self) -> &ConfigFiles {
        match self {
            Self::Tail { files, .. }
            | Self::Query { files, .. }
            | Self::Verify { files, .. }
            | Self::Export { files, .. } => files,
        }
    }
}

/// Runs one of them and prints what it has to say.
pub fn run(args: AuditArgs) -> anyhow::Result<ExitCode> {
    match args.command.files().load() {
        Ok(Loaded { config, .. }) => tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?
            .block_on(answer(args.command, config)),
        Err(mistakes) => {
            write!(io::stderr(), "{mistakes}")?;
            Ok(ExitCode::from(2))
        }
    }
}

async fn answer(command: AuditCommand, config: Config) -> anyhow::Result<ExitCode> {
    let now = SystemClock.now();
    match command {
        AuditCommand::Tail { lines, output, .. } => {
            let stores = serve::open_records(&config).await?;
            print(&stores.audit.find_records(&AuditFilter::default(), lines).await?, &output)?;
        }
        AuditCommand::Query { filter, limit, output, .. } => {
            let filter = filter.read(now)?;
            let stores = serve::open_records(&config).await?;
            print(&stores.audit.find_records(&filter, limit).await?, &output)?;
        }
        AuditCommand::Export { filter, .. } => {
            let filter = filter.read(now)?;
            export(&serve::open_records(&config).await?, &filter).await?;
        }
        AuditCommand::Verify { file, json, .. } => {
            let keys = audit_keys(&config.auth_secrets);
            let verified = match file {
                Some(file) => verify::file(&file, &keys)
                    .with_context(|| format!("{} cannot be read", file.display()))?,
                None => verify::store(&serve::open_records(&config).await?, &keys).await?,
            };
            io::stdout().write_all(verified.told(json).as_bytes())?;
            return Ok(ExitCode::from(u8::from(!verified.is_sound())));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn print(records: &[ChainedRecord], output: &Output) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    for record in records {
        let line = if output.json { record.line() } else { shown::line(record) };
        writeln!(out, "{line}")?;
    }
    Ok(())
}

async fn export(stores: &Stores, filter: &AuditFilter) -> anyhow::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    for chain in stores.audit.list_chains().await? {
        let mut next = Some(0);
        while let Some(from) = next {
            let records = stores.audit.read_records(&chain.id, from, PORTION).await?;
            let Some(last) = records.last() else { break };
            next = last.seq.checked_add(1);
            for record in &records {
                // What cannot be read is exported too, unless something particular is wanted.
                let is_wanted = record
                    .read()
                    .map_or(*filter == AuditFilter::default(), |read| filter.matches(&read));
                if is_wanted {
                    writeln!(out, "{}", record.line())?;
                }
            }
        }
    }
    Ok(out.flush()?)
}
