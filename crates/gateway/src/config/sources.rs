//! Where a configuration is read from: the command line, the environment and files. What stands in
//! them is [`super::inputs`]'s.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use super::{
    access::{self, ReadFile},
    machine::{Machine, ThisMachine},
};

/// Where a configuration is read from.
pub struct Sources<'a> {
    pub args: ConfigArgs,
    /// The process's environment.
    pub env: BTreeMap<String, String>,
    /// Relative paths start here.
    pub cwd: PathBuf,
    pub files: &'a dyn Files,
}

/// What the command line says about files.
#[derive(Clone, Debug, Default)]
pub struct ConfigArgs {
    pub mcp_config: Option<PathBuf>,
    pub config: Option<PathBuf>,
    pub envfile: Option<PathBuf>,
}

/// Reads files, so that tests need none.
pub trait Files {
    /// The file at this path, and who else could change it.
    fn read(&self, path: &Path) -> io::Result<ReadFile>;

    /// Where they are.
    fn machine(&self) -> &dyn Machine {
        &ThisMachine
    }
}

/// The machine's files.
#[derive(Clone, Copy, Debug)]
pub struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> io::Result<ReadFile> {
        access::read(path)
    }
}
