//! Reads a whole configuration: every section is resolved, and every mistake of them is reported at
//! once.

use portunus_core::settings::Settings as _;
use portunus_mcp::spec::ServerSpec;

use super::{
    inputs::{Declared, Inputs},
    mistake::{Mistakes, Report, Warning},
    sandbox,
    servers::MCP,
    settings::{CONFIG, Config},
    sources::Sources,
    store::StoreConfig,
    unknown_keys,
    watched_files::{Noting, WatchedFiles},
};

/// What the files may hold.
const DECLARED: Declared = Declared { config: &CONFIG, mcp: &MCP, server: &ServerSpec::SECTION };

/// A configuration without mistakes, and what is odd about it.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: Config,
    pub warnings: Vec<Warning>,
}

/// What a configuration comes to, mistakes and all.
#[derive(Clone, Debug)]
pub struct Inspected {
    /// Settings with a mistake in them have their default here, or are left out: only to be shown,
    /// never to be used, unless there are no mistakes.
    pub draft: Config,
    pub warnings: Vec<Warning>,
    pub mistakes: Mistakes,
}

impl Config {
    /// Reads, resolves and checks the whole configuration.
    pub fn load(sources: &Sources<'_>) -> Result<Loaded, Mistakes> {
        let Inspected { draft, warnings, mistakes } = Self::inspect(sources);
        if mistakes.0.is_empty() { Ok(Loaded { config: draft, warnings }) } else { Err(mistakes) }
    }

    /// The same, and from which files: whether it is one to go on with or not, they are the ones to
    /// watch.
    pub fn load_with_trail(sources: &Sources<'_>) -> (WatchedFiles, Result<Loaded, Mistakes>) {
        let noting = Noting::new(sources.files);
        let Sources { args, env, cwd, .. } = sources;
        let loaded = Self::load(&Sources {
            args: args.clone(),
            env: env.clone(),
            cwd: cwd.clone(),
            files: &noting,
        });
        (noting.watched_files(), loaded)
    }

    /// Reads the whole configuration and goes on past every mistake.
    pub fn inspect(sources: &Sources<'_>) -> Inspected {
        let mut report = Report::default();
        let noting = Noting::new(sources.files);
        let Sources { args, env, cwd, .. } = sources;
        let noted =
            Sources { args: args.clone(), env: env.clone(), cwd: cwd.clone(), files: &noting };
        let inputs = Inputs::read(&noted, DECLARED, &mut report);
        let draft = Self::resolve(&inputs, &mut report);
        unknown_keys::warn(&inputs, &draft, &mut report);
        let mut own_files = noting.paths();
        if let StoreConfig::Sqlite { path } = &draft.store {
            own_files.push(cwd.join(path));
        }
        sandbox::warn_of_own_files(&inputs, &own_files, &mut report);
        let Report { mut mistakes, warnings } = report;
        mistakes.sort_by(|a, b| a.at.cmp(&b.at));
        Inspected { draft, warnings, mistakes: Mistakes(mistakes) }
    }
}
