//! `portunus restore`: what a backup holds, into the store that is configured. The file is read to
//! its end before anything is written, and a store that is in use or not empty is refused. Next
//! door: [`super::backup`], which wrote it.

use std::{
    fs::File,
    io::{self, BufReader, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use portunus_core::{Entropy, Timestamp, store::Stores};
use portunus_store::{
    backup::{BackupError, Header, Reader, Summary},
    redis,
    seal::Sealer,
    sqlite::{self, OpenError},
};

use super::{
    ConfigFiles,
    backup::{Progress, name, told},
    run_async,
};
use crate::{
    audit::command::{done, record},
    config::{Config, Loaded, StoreConfig},
    gateway,
    os::OsEntropy,
};

#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub struct RestoreArgs {
    /// What `portunus backup` wrote
    file: PathBuf,
    /// Delete what is in the store now; without this, a store that is not empty is refused
    #[arg(long)]
    replace: bool,
    /// Only read the file: is it whole, and was it made with this AUTH_SECRET?
    #[arg(long, conflicts_with = "replace")]
    verify: bool,
    #[command(flatten)]
    files: ConfigFiles,
}

const HELP: &str = "\
Stop every gateway that uses the store first. Tokens, logins and sessions work afterwards as they did when the backup was made: what was
revoked or used since then is not revoked and not used any more, so revoke again what has to be (`portunus grants revoke`).

To move from SQLite to Redis, or back: stop the gateway, `portunus backup FILE` with the one configuration, `portunus restore FILE` with
the other, start. If AUTH_SECRET was changed since the backup, put the one it was made with into AUTH_SECRET_PREVIOUS.

Examples:
  portunus restore portunus.backup                                   into the store of ./config.yaml and ./.env, which is empty
  KVS_ADDR=localhost:6379 portunus restore portunus.backup           into Redis
  portunus restore --verify portunus.backup

Exit codes: 0 fine, 1 failed, 2 bad usage or configuration";

pub fn run(args: RestoreArgs) -> anyhow::Result<ExitCode> {
    match args.files.load() {
        Ok(Loaded { config, .. }) => run_async(async move { restore(&args, &config).await }),
        Err(mistakes) => {
            write!(io::stderr(), "{mistakes}")?;
            Ok(ExitCode::from(2))
        }
    }
}

async fn restore(args: &RestoreArgs, config: &Config) -> anyhow::Result<()> {
    ensure!(
        args.file != Path::new("-"),
        "a backup is read twice, so it cannot come from standard input: name a file"
    );
    let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy);
    let sealer = || Sealer::new(&config.auth_secrets, Arc::clone(&entropy));
    let refused = || format!("{} cannot be restored", args.file.display());
    let opened = sealer()?;
    let (header, whole) = verify(&args.file, &opened).with_context(refused)?;
    let at = made_at(header.made_at);
    if args.verify {
        writeln!(
            io::stdout(),
            "{} is whole: {}, from {} of {at}",
            args.file.display(),
            told(&whole),
            header.store
        )?;
        return Ok(());
    }
    refuse_if_in_use(config)?;
    let stores = match &config.store {
        StoreConfig::Redis(options) => redis::open_to_import(options.clone(), sealer()?).await?,
        StoreConfig::Sqlite { .. } => gateway::open_store(&config.store, &opened).await?,
    };
    refuse_if_nodes_live(&stores).await?;
    ensure!(
        args.replace || stores.archive.is_empty().await?,
        "{} is not empty: nothing was changed. Is this the right configuration? --replace deletes what is there",
        name(config)
    );
    let mut progress = Progress::default();
    let mut reader =
        Reader::begin(open(&args.file)?, &opened, |so_far| progress.tell("written", so_far))
            .with_context(refused)?;
    stores.archive.import(&mut reader).await.context(match config.store {
        StoreConfig::Sqlite { .. } => "the restore broke off; nothing was changed",
        StoreConfig::Redis(_) => {
            "the restore broke off; no gateway starts on this store until one has succeeded (with --replace)"
        }
    })?;
    record(config, &stores, vec![done("restore", format!("made {at}"))]).await?;
    writeln!(
        io::stdout(),
        "{} restored into {}, as they were in {} at {at}",
        told(&whole),
        name(config),
        header.store
    )?;
    Ok(())
}

fn open(file: &Path) -> Result<BufReader<File>, BackupError> {
    Ok(BufReader::with_capacity(1 << 20, File::open(file)?))
}

fn verify(file: &Path, sealer: &Sealer) -> Result<(Header, Summary), BackupError> {
    let mut progress = Progress::default();
    let reader = Reader::begin(open(file)?, sealer, |so_far| progress.tell("verified", so_far))?;
    let header = reader.header().clone();
    Ok((header, reader.verify()?))
}

/// As in the headers of HTTP.
fn made_at(at: Timestamp) -> String {
    let seconds = u64::try_from(at.as_secs()).unwrap_or_default();
    httpdate::fmt_http_date(std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds))
}

fn refuse_if_in_use(config: &Config) -> anyhow::Result<()> {
    let StoreConfig::Sqlite { path } = &config.store else { return Ok(()) };
    let is_in_use = match sqlite::is_in_use(path) {
        Err(OpenError::Foreign { .. }) => sqlite::is_in_use(&gateway::beside(path))?,
        in_use => in_use?,
    };
    ensure!(
        !is_in_use,
        "{} is in use: stop the gateway first, or whatever else has it open",
        path.display()
    );
    Ok(())
}

async fn refuse_if_nodes_live(stores: &Stores) -> anyhow::Result<()> {
    let nodes = stores.nodes.list_nodes().await?;
    let Some(first) = nodes.first() else { return Ok(()) };
    bail!(
        "{} gateways use this store, one of them at {}: stop them first (one that was killed is missed after a few seconds)",
        nodes.len(),
        first.url
    )
}
