//! `portunus backup`: everything that is kept, in one file, while the gateway runs. What is in such
//! a file is [`portunus_store::backup`]'s business; here it gets its name, its rights, and its
//! place on the disk. Next door: [`super::restore`].

use std::{
    fs::{self, File},
    io::{self, BufRead as _, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
    process::{self, ExitCode},
    sync::Arc,
};

use anyhow::{Context as _, bail};
use clap::Args;
use portunus_core::{
    Clock as _, Entropy,
    clock::SystemClock,
    store::{RecordKind, Stores, Unreadable},
};
use portunus_store::{
    backup::{Summary, Writer},
    seal::Sealer,
};

use super::{ConfigFiles, run_async, serve};
use crate::{
    audit::command::{done, record},
    config::{Config, Loaded, StoreConfig},
    os::OsEntropy,
};

/// Told of how far it is after so many records.
const STEP: u64 = 50_000;
/// Records that cannot be read and are told one by one.
const TOLD: u64 = 20;

#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub struct BackupArgs {
    /// Where to write it; `-` for standard output
    file: PathBuf,
    #[command(flatten)]
    files: ConfigFiles,
}

const HELP: &str = "\
The gateway may go on serving. From SQLite the backup is one moment of the store. From Redis it is every record that was there when it
began; what is written meanwhile may be in or out, a grant with its tokens always as a whole.

The file is sealed under AUTH_SECRET: without that secret nobody reads it, and nobody restores it either. Keep the secret elsewhere.
It appears under its name when it is complete and on disk, readable for its owner alone; a backup of that name is replaced then.

Examples:
  portunus backup /var/backups/portunus-$(date +%F).backup
  portunus backup - | ssh vault 'cat > portunus.backup'
  portunus restore --verify FILE             is it whole, and does this AUTH_SECRET open it?

Exit codes: 0 fine, 1 failed or some records could not be read, 2 bad usage or configuration";

/// Exit code 1 with a file means that it lacks what could not be read.
pub fn run(args: BackupArgs) -> anyhow::Result<ExitCode> {
    match args.files.load() {
        Ok(Loaded { config, .. }) => run_async(async move { write(&args.file, &config).await }),
        Err(mistakes) => {
            write!(io::stderr(), "{mistakes}")?;
            Ok(ExitCode::from(2))
        }
    }
}

async fn write(file: &Path, config: &Config) -> anyhow::Result<()> {
    let (summary, stores) = if file == Path::new("-") {
        let (mut out, summary, stores) = fill(io::stdout(), config).await?;
        out.flush().context("cannot write to standard output")?;
        (summary, stores)
    } else {
        refuse_to_overwrite(file)?;
        let partial = Partial::create(file)?;
        let (mut out, summary, stores) = fill(BufWriter::new(&partial.file), config).await?;
        out.flush().with_context(|| format!("cannot write {}", partial.path.display()))?;
        drop(out);
        partial.keep(file)?;
        (summary, stores)
    };
    // The backup is complete by now, whatever could not be read.
    record(config, &stores, vec![done("backup", String::new())]).await?;
    let to = if file == Path::new("-") {
        "standard output".to_owned()
    } else {
        file.display().to_string()
    };
    writeln!(io::stderr(), "{} of {} to {to}", told(&summary), name(config))?;
    if summary.left_out > 0 {
        bail!(
            "{} records could not be read and are not in it: `portunus store check` says more",
            summary.left_out
        );
    }
    Ok(())
}

async fn fill<W: Write + Send>(out: W, config: &Config) -> anyhow::Result<(W, Summary, Stores)> {
    let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy);
    let stores = serve::open_records(config).await?;
    let sealer = Sealer::new(&config.auth_secrets, Arc::clone(&entropy))?;
    let mut progress = Progress::default();
    let watch = move |summary: &Summary, record: Option<&Unreadable>| match record {
        Some(record) => complain(summary.left_out, record),
        None => progress.tell("read", summary),
    };
    let mut writer = Writer::begin(out, sealer, &*entropy, SystemClock.now(), kind(config), watch)?;
    stores.archive.export(&mut writer).await.context("the backup broke off")?;
    let (out, summary) = writer.finish()?;
    Ok((out, summary, stores))
}

fn complain(count: u64, Unreadable { kind, id, why }: &Unreadable) {
    let id: String = id.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    // Standard error may be gone; the summary counts them all the same.
    let _gone = match count {
        1..=TOLD => writeln!(
            io::stderr(),
            "cannot be read and is left out: one of the {}, {id}: {why}",
            kind.plural()
        ),
        _ => Ok(()),
    };
}

/// Says now and then how far it is.
#[derive(Default)]
pub(super) struct Progress {
    told: u64,
}

impl Progress {
    pub(super) fn tell(&mut self, what: &str, so_far: &Summary) {
        let steps = so_far.records.total() / STEP;
        if steps > self.told {
            self.told = steps;
            let _gone = writeln!(io::stderr(), "{} records {what} …", so_far.records.total());
        }
    }
}

/// The kinds there are, in one line.
pub(super) fn told(summary: &Summary) -> String {
    let counted = RecordKind::ALL.into_iter().filter(|kind| summary.records.of(*kind) > 0);
    let counted: Vec<_> =
        counted.map(|kind| format!("{} {}", summary.records.of(kind), kind.plural())).collect();
    if counted.is_empty() { "no records".to_owned() } else { counted.join(", ") }
}

pub(super) const fn kind(config: &Config) -> &'static str {
    match config.store {
        StoreConfig::Sqlite { .. } => "sqlite",
        StoreConfig::Redis(_) => "redis",
    }
}

/// Which store it is, for people.
pub(super) fn name(config: &Config) -> String {
    match &config.store {
        StoreConfig::Sqlite { path } => path.display().to_string(),
        StoreConfig::Redis(options) => format!("Redis at {}", options.address),
    }
}

/// An earlier backup may be replaced, and nothing else: a slip of the hand must not cost the
/// database.
fn refuse_to_overwrite(file: &Path) -> anyhow::Result<()> {
    let found = match File::open(file) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            return Err(error)
                .with_context(|| format!("cannot look at what {} is", file.display()));
        }
    };
    let mut first = Vec::new();
    let read = io::Read::take(BufReader::new(found), 4096).read_until(b'\n', &mut first);
    read.with_context(|| format!("cannot look at what {} is", file.display()))?;
    if first.starts_with(br#"{"portunus_backup":"#) {
        return Ok(());
    }
    bail!(
        "{} is there and is not a backup of Portunus: it is left alone; choose another name",
        file.display()
    )
}

/// A file that has no name of its own yet; it goes if it is not kept.
struct Partial {
    file: File,
    path: PathBuf,
    kept: bool,
}

impl Partial {
    fn create(file: &Path) -> anyhow::Result<Self> {
        let Some(name) = file.file_name() else {
            bail!("{} is not the name of a file", file.display())
        };
        let path =
            file.with_file_name(format!(".{}.{}.partial", name.to_string_lossy(), process::id()));
        let file = private_file(&path).with_context(|| {
            format!(
                "cannot create {}: is there such a directory, and may this user write to it?",
                path.display()
            )
        })?;
        Ok(Self { file, path, kept: false })
    }

    /// On disk, then under its name, then that on disk too.
    fn keep(mut self, file: &Path) -> anyhow::Result<()> {
        self.file.sync_all().with_context(|| format!("cannot write {}", self.path.display()))?;
        fs::rename(&self.path, file)
            .with_context(|| format!("cannot name the backup {}", file.display()))?;
        self.kept = true;
        let directory = file
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
            .unwrap_or_else(|| Path::new("."));
        File::open(directory)
            .and_then(|directory| directory.sync_all())
            .with_context(|| format!("cannot flush {}", directory.display()))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.kept
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "what was written of the backup is left behind");
        }
    }
}

#[cfg(unix)]
fn private_file(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    File::options().write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(not(unix))]
fn private_file(path: &Path) -> io::Result<File> {
    File::options().write(true).create_new(true).open(path)
}
