//! `portunus check`: the doctor. Prints what the configuration comes to, what to register at the provider, and every mistake.
//! With `--online` the providers are asked too. The lines that describe the configuration are made in [`super::summary`].

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    process::ExitCode,
};

use clap::Args;
use portunus_identity::{Finding, diagnose};

use super::{ConfigFiles, run_async, summary::summary};
use crate::{
    config::{Config, Inspected, Mistakes, Warning},
    net::{self, NetSettings},
};

#[derive(Args, Debug)]
pub struct CheckArgs {
    #[command(flatten)]
    files: ConfigFiles,
    /// Ask the identity providers too: their metadata and keys, whether they know this client, its secret and its callback
    #[arg(long)]
    online: bool,
}

/// Exit code 2 when there are mistakes, 1 when a provider would not let anybody in.
pub fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let inspected = args.files.inspect();
    io::stdout().write_all(report(&inspected).as_bytes())?;
    if !inspected.mistakes.0.is_empty() {
        return Ok(ExitCode::from(2));
    }
    if args.online {
        return run_async(online(&inspected.draft));
    }
    Ok(ExitCode::SUCCESS)
}

/// The second step: what the providers themselves say.
async fn online(config: &Config) -> anyhow::Result<()> {
    let http = net::client(NetSettings::identity())?;
    let mut failures = 0;
    for provider in &config.providers {
        let settings = provider.settings.clone();
        let callback = config.public_url.at(&format!("/auth/callback/{}", settings.name));
        let callback = settings.redirect_uri.clone().unwrap_or(callback);
        writeln!(io::stdout(), "\nAsking {}", settings.name)?;
        for finding in diagnose(settings, &http, &callback).await {
            failures += usize::from(!finding.ok);
            io::stdout().write_all(shown(&finding).as_bytes())?;
        }
    }
    anyhow::ensure!(failures == 0, "{failures} of the above must be mended before people can sign in");
    Ok(())
}

fn shown(Finding { ok, setting, found, advice }: &Finding) -> String {
    let mut text = format!("  {} {setting}: {found}\n", if *ok { "fine " } else { "WRONG" });
    if let Some(advice) = advice {
        let _ = writeln!(text, "        {advice}");
    }
    text
}

/// All that is printed: mistakes last, where they are seen.
pub fn report(Inspected { draft, warnings, mistakes }: &Inspected) -> String {
    let mut text = summary(draft);
    if !warnings.is_empty() {
        text.push_str("\nProbably not meant\n");
        for Warning { at, text: warning } in warnings {
            let _ = writeln!(text, "  {at}\n    {warning}");
        }
    }
    let Mistakes(list) = mistakes;
    if list.is_empty() {
        text.push_str("\nNo mistakes found.\n");
    } else {
        let _ = write!(text, "\nAbove is what could be read; settings with a mistake show their default.\n\n{mistakes}");
    }
    text
}
