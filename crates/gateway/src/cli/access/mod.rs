//! `portunus access`: why a caller may use something or not (`explain`), a committed table of what
//! is expected (`test`), who may use something (`who`), and who would lose what (`report`). All
//! ask the one decision of `portunus_core::access`; what scopes a token has is not asked. How a
//! question is typed is [`question`]'s, what is printed of a decision [`told`]'s, what is disabled
//! besides [`disabled`]'s.

mod disabled;
mod question;
mod report;
mod told;
mod who;

use std::{
    fmt::Write as _,
    fs,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Context as _, ensure};
use clap::{Args, Subcommand};
use portunus_core::access::{CalledWith, Circumstances, Explanation};
use serde_saphyr::Spanned;

use self::question::{Expected, Question, Wanted};
use super::ConfigFiles;
use crate::config::Config;

pub use self::report::{Loss, Losses, Query, losses};

#[derive(Args, Debug)]
pub struct AccessArgs {
    #[command(subcommand)]
    command: AccessCommand,
}

#[derive(Debug, Subcommand)]
enum AccessCommand {
    /// Say whether a person may use something, by which rule, and what to change
    Explain {
        #[command(flatten)]
        question: Box<Question>,
        /// As JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        files: ConfigFiles,
    },
    /// Say who may use something: by which rules, and which people as they last signed in
    Who(who::WhoArgs),
    /// Say who would lose what by the rules in shadow, from the audit trail
    Report(report::ReportArgs),
    /// Compare the rules with a table of expectations (docs/access.md); exit code 1 if one differs
    Test {
        /// A YAML file
        table: PathBuf,
        #[command(flatten)]
        files: ConfigFiles,
    },
}

pub fn run(args: AccessArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        AccessCommand::Explain { question, json, files } => match load(&files)? {
            Some(config) => explain(&config, &question, json),
            None => Ok(ExitCode::from(2)),
        },
        AccessCommand::Who(args) => match load(&args.files)? {
            Some(config) => who::run(&config, &args),
            None => Ok(ExitCode::from(2)),
        },
        AccessCommand::Report(args) => match load(&args.files)? {
            Some(config) => report::run(&config, &args),
            None => Ok(ExitCode::from(2)),
        },
        AccessCommand::Test { table, files } => match load(&files)? {
            Some(config) => test(&config, &table),
            None => Ok(ExitCode::from(2)),
        },
    }
}

fn load(files: &ConfigFiles) -> anyhow::Result<Option<Config>> {
    match files.load() {
        Ok(loaded) => Ok(Some(loaded.config)),
        Err(mistakes) => {
            write!(io::stderr(), "{mistakes}")?;
            Ok(None)
        }
    }
}

fn explain(config: &Config, question: &Question, as_json: bool) -> anyhow::Result<ExitCode> {
    let wanted = question.wanted(config)?;
    let (explanation, note) = answer(config, question, &wanted)?;
    let disabled = disabled::find(config, question, &wanted.thing());
    let text = if as_json {
        let mut json = told::json_of(&explanation, question, &wanted);
        if disabled.as_ref().is_ok_and(|records| !records.is_empty()) {
            json["allowed"] = false.into();
        }
        // Null: it is not known.
        json["disabled"] = disabled.ok().map(|records| disabled::json_of(&records)).into();
        format!("{json}\n")
    } else {
        let by_rules = told::told(&explanation, question, &wanted, note);
        match disabled {
            Ok(records) if records.is_empty() => by_rules,
            Ok(records) => format!(
                "no: {} may not use {}\n{}by the rules, {by_rules}",
                question.user,
                wanted.in_words(),
                disabled::told(&records)
            ),
            Err(error) => format!("{by_rules}  what is disabled is not known: {error}\n"),
        }
    };
    io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn test(config: &Config, path: &PathBuf) -> anyhow::Result<ExitCode> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let table: Vec<Spanned<Question>> = serde_saphyr::from_str(&text)
        .map_err(|error| anyhow::anyhow!("{}: {}", path.display(), error.without_snippet()))?;
    ensure!(!table.is_empty(), "{}: no expectations", path.display());
    let (report, differing) = compare(config, &path.display().to_string(), &table)?;
    io::stdout().write_all(report.as_bytes())?;
    Ok(if differing == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// A line for each expectation that is not met, and how many these are.
fn compare(
    config: &Config,
    file: &str,
    table: &[Spanned<Question>],
) -> anyhow::Result<(String, usize)> {
    let (mut report, mut differing) = (String::new(), 0);
    for Spanned { value: question, defined, .. } in table {
        let at = format!("{file}:{}", defined.line());
        let expected = question.expect.with_context(|| format!("{at}: no `expect`"))?;
        ensure!(!question.user.is_empty(), "{at}: no `user`");
        let wanted = question.wanted(config).with_context(|| at.clone())?;
        let (explanation, note) = answer(config, question, &wanted).with_context(|| at.clone())?;
        if explanation.decision.is_allowed() == (expected == Expected::Allow) {
            continue;
        }
        differing += 1;
        let name = question.name.as_ref().map(|name| format!(" {name}:")).unwrap_or_default();
        let _ = write!(report, "{at}:{name} {}", told::told(&explanation, question, &wanted, note));
    }
    let met = table.len() - differing;
    let _ = writeln!(report, "{met} of {} expectations are met", table.len());
    Ok((report, differing))
}

/// The decision; and what to ask too, where it depends on more than was said.
fn answer(
    config: &Config,
    question: &Question,
    wanted: &Wanted,
) -> anyhow::Result<(Explanation, Option<&'static str>)> {
    let (policy, json) = (&config.access, question.json()?);
    let arguments = json.as_deref().map(|json| policy.read_arguments(Some(json)));
    let signed_in = question.sign_in()?;
    let (facts, thing) = (question.facts(), wanted.thing());
    let with = arguments.as_ref().map_or(CalledWith::Any, CalledWith::These);
    let explanation = policy.explain(&facts, &thing, &Circumstances { signed_in, arguments: with });
    let nothing = policy.read_arguments(None);
    let without = Circumstances { signed_in, arguments: CalledWith::These(&nothing) };
    let depends = arguments.is_none()
        && explanation.decision.is_allowed()
        && !policy.decide_now(&facts, &thing, &without).is_allowed();
    let note = "with some arguments, not with any: ask about a call with --argument name=value";
    Ok((explanation, depends.then_some(note)))
}
