//! `portunus schema`: JSON Schemas of the configuration files, made from the tables that the parser itself goes by.

use std::process::ExitCode;

use clap::{Args, ValueEnum};

#[derive(Args, Debug)]
pub struct SchemaArgs {
    /// Of which file
    #[arg(default_value = "config")]
    file: SchemaFile,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SchemaFile {
    /// config.yaml
    Config,
    /// mcp.json
    Mcp,
}

pub fn run(args: &SchemaArgs) -> anyhow::Result<ExitCode> {
    anyhow::bail!("the schema of {:?} is not built yet", args.file)
}
