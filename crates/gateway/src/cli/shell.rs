//! `portunus completions` and `portunus man`: what a shell and `man` want to know of the command
//! line, made from its definition in [`super`].

use std::{
    fs,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::Context as _;
use clap::Args;
use clap_complete::Shell;

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  portunus completions bash > /etc/bash_completion.d/portunus
  portunus completions zsh > \"${fpath[1]}/_portunus\"
  portunus completions fish > ~/.config/fish/completions/portunus.fish";

const MAN_EXAMPLES: &str = "\
Examples:
  portunus man | man -l -                           the page of the program
  portunus man --dir /usr/local/share/man/man1      that page, and one for each command";

#[derive(Args, Debug)]
#[command(after_help = COMPLETIONS_EXAMPLES)]
pub struct CompletionsArgs {
    /// Of which shell
    shell: Shell,
}

#[derive(Args, Debug)]
#[command(after_help = MAN_EXAMPLES)]
pub struct ManArgs {
    /// Write a page for the program and one for each command into this folder
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
}

pub fn completions(args: &CompletionsArgs) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::command(), "portunus", &mut script);
    io::stdout().write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}

pub fn man(args: &ManArgs) -> anyhow::Result<ExitCode> {
    let Some(dir) = &args.dir else {
        let mut page = Vec::new();
        clap_mangen::Man::new(super::command()).render(&mut page)?;
        io::stdout().write_all(&page)?;
        return Ok(ExitCode::SUCCESS);
    };
    let at = || dir.display().to_string();
    fs::create_dir_all(dir).with_context(at)?;
    clap_mangen::generate_to(super::command(), dir).with_context(at)?;
    Ok(ExitCode::SUCCESS)
}
