//! `portunus schema`: JSON Schemas of the configuration files, made from the tables that the parser
//! itself goes by.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use clap::{Args, ValueEnum};

use crate::config::{config_schema, mcp_schema};

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
    let schema = match args.file {
        SchemaFile::Config => config_schema(),
        SchemaFile::Mcp => mcp_schema(),
    };
    io::stdout().write_all(schema.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
