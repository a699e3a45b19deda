//! Tests of the configuration: what they share is here; the promises of the old systems are in
//! `mcp_s` (rows A of the parity table) and `securemcp` (rows B), our own names in `own`,
//! `clients`, `scopes`, `access`, `call_limits`, files that others could change in `files`, how
//! mistakes are told in `told`, what was probably meant in `meant`, files that are committed
//! (examples, schemas, documentation) in `committed`, and the tables of the documentation in
//! `reference`.

mod access;
mod allow;
mod audit;
mod call_limits;
mod clients;
mod cluster;
mod committed;
mod dialects;
mod files;
mod mcp_s;
mod meant;
mod own;
mod reference;
mod sandbox;
mod scopes;
mod securemcp;
mod told;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
};

use super::{Config, ConfigArgs, Files, Inspected, Loaded, Machine, ReadFile, Sources, Writable};

/// 44 characters, as `openssl rand -base64 33` prints them.
const SECRET: &str = "pmZEZV1qfWuzDLgsx+OyvQ3UXD/ko3t0nY7mUgsCuCJl";

/// A machine with files and variables.
#[derive(Clone, Default)]
struct Given {
    args: ConfigArgs,
    env: BTreeMap<String, String>,
    files: BTreeMap<PathBuf, String>,
    /// What others could change on the way to a file.
    writable: BTreeMap<PathBuf, Writable>,
    /// Files that every user of the machine can read.
    public: BTreeSet<PathBuf>,
    machine: sandbox::FakeMachine,
}

impl Files for Given {
    fn read(&self, path: &Path) -> io::Result<ReadFile> {
        let text = self.files.get(path).ok_or(io::ErrorKind::NotFound)?;
        let (writable, is_public) = (self.writable.get(path).cloned(), self.public.contains(path));
        Ok(ReadFile { writable, is_public, ..ReadFile::plain(text.clone().into_bytes()) })
    }

    fn machine(&self) -> &dyn Machine {
        &self.machine
    }
}

/// Nothing at all.
fn empty() -> Given {
    Given::default()
}

/// What the Okta guide asks for, filled in.
fn okta() -> Given {
    empty().env(&[
        ("AUTH_SECRET", SECRET),
        ("AUTH_PROVIDER", "okta"),
        ("AUTH_OKTA_ID", "0oa1b2c3"),
        ("AUTH_OKTA_SECRET", "okta-secret"),
        ("AUTH_OKTA_ISSUER", "https://acme.okta.com/oauth2/default"),
    ])
}

impl Given {
    fn env(mut self, variables: &[(&str, &str)]) -> Self {
        self.env.extend(
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        self
    }

    fn without(mut self, names: &[&str]) -> Self {
        self.env.retain(|name, _| !names.contains(&name.as_str()));
        self
    }

    fn file(mut self, path: &str, text: &str) -> Self {
        self.files.insert(Path::new("/srv/portunus").join(path), text.to_owned());
        self
    }

    fn yaml(self, text: &str) -> Self {
        self.file("config.yaml", text)
    }

    fn mcp(self, text: &str) -> Self {
        self.file("mcp.json", text)
    }

    fn inspect(&self) -> Inspected {
        let (args, env) = (self.args.clone(), self.env.clone());
        Config::inspect(&Sources { args, env, cwd: "/srv/portunus".into(), files: self })
    }

    /// The configuration; there must be no mistakes.
    fn load(&self) -> Config {
        let (args, env) = (self.args.clone(), self.env.clone());
        let loaded = Config::load(&Sources { args, env, cwd: "/srv/portunus".into(), files: self });
        loaded.map_or_else(|mistakes| panic!("{mistakes}"), |Loaded { config, .. }| config)
    }

    /// Each mistake on a line: `where | found | expected`.
    fn mistakes(&self) -> Vec<String> {
        let mistakes = self.inspect().mistakes.0;
        mistakes
            .iter()
            .map(|mistake| format!("{} | {} | {}", mistake.at, mistake.found, mistake.expected))
            .collect()
    }

    fn warnings(&self) -> Vec<String> {
        self.inspect()
            .warnings
            .iter()
            .map(|warning| format!("{} | {}", warning.at, warning.text))
            .collect()
    }

    /// There must be exactly one mistake, and each of these parts in it.
    fn one_mistake(&self, parts: &[&str]) {
        let mistakes = self.mistakes();
        assert_eq!(mistakes.len(), 1, "{mistakes:#?}");
        for part in parts {
            assert!(mistakes[0].contains(part), "{part:?} is not in {:?}", mistakes[0]);
        }
    }
}
