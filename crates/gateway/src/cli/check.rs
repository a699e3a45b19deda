//! `portunus check`: the doctor. Prints what the configuration comes to, what to register at the provider, and every mistake.
//! With `--online` the providers are asked too. The lines that describe the configuration are made in [`super::summary`].

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    net::Ipv4Addr,
    process::ExitCode,
    sync::Arc,
};

use clap::Args;
use portunus_core::{
    address_block::AddressBlock,
    clock::SystemClock,
    oauth::ways::{Domain, Way},
    outside_url::OutsideUrl,
};
use portunus_identity::{Finding, Ours, State, diagnose};
use url::Url;

use super::{ConfigFiles, run_async, summary::summary};
use crate::{
    config::{ClientsConfig, Config, Inspected, Mistakes, Warning},
    net::{
        self,
        askers::Asker,
        guarded::{Content, FetchError, GuardedFetcher, Internet},
    },
};

/// Where a client that many people have keeps its document.
const SOME_MAKER: &str = "vscode.dev";

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
    let http = net::identity_client(&config.provider_ca.pem)?;
    let mut failures = 0;
    for provider in &config.providers {
        let settings = provider.settings.clone();
        let callback = config.public_url.at(&format!("/auth/callback/{}", settings.name));
        let callback = settings.redirect_uri.clone().unwrap_or(callback);
        writeln!(io::stdout(), "\nAsking {}", settings.name)?;
        let signed_out = config.public_url.at("/auth/signout");
        for finding in diagnose(settings, &http, Ours { callback: &callback, signed_out: &signed_out }).await {
            failures += usize::from(finding.is_wrong());
            io::stdout().write_all(shown(&finding).as_bytes())?;
        }
    }
    if let Some(egress) = documents(config).await? {
        writeln!(io::stdout(), "\nAsking for clients' metadata documents")?;
        // Without them clients register, if they may.
        failures += usize::from(egress.is_wrong() && !config.clients.ways.is_open(Way::Registration));
        io::stdout().write_all(shown(&egress).as_bytes())?;
    }
    anyhow::ensure!(failures == 0, "{failures} of the above must be mended before people can sign in");
    Ok(())
}

/// Can clients' documents be fetched from here? `None`: there is no need to know. A gateway for this machine alone asks nobody on the Internet
/// unless it has a proxy for that.
async fn documents(config: &Config) -> anyhow::Result<Option<Finding>> {
    let ClientsConfig { ways, proxy, .. } = &config.clients;
    if !ways.is_open(Way::MetadataDocument) || (config.public_url.is_loopback() && proxy.is_none()) {
        return Ok(None);
    }
    let fetcher = GuardedFetcher::new(Arc::new(Internet), Arc::new(SystemClock))?;
    fetcher.use_proxy(proxy.as_ref().and_then(|proxy| Url::parse(proxy.expose()).ok()).as_ref())?;
    let host = ways.domains.iter().map(Domain::as_str).find(|domain| !domain.starts_with('*')).unwrap_or(SOME_MAKER);
    let url = OutsideUrl::parse(&format!("https://{host}/")).map_err(|bad| anyhow::anyhow!("{host}: {bad}"))?;
    let asker = Asker { address: AddressBlock::of(Ipv4Addr::LOCALHOST.into()), in_use: true };
    // Whatever stands there: an answer is a way.
    let way = fetcher.load(&url, Content::ClientDocument, asker).await.err().filter(FetchError::is_of_the_way);
    let through = if proxy.is_some() { ", through the proxy" } else { "" };
    Ok(Some(Finding {
        state: if way.is_none() { State::Fine } else { State::Wrong },
        setting: "clients.metadata_documents".to_owned(),
        found: match &way {
            None => format!("{host} answers{through}"),
            Some(error) => format!("{host} cannot be reached{through}: {error}"),
        },
        advice: way.map(|_| {
            "Documents are not advertised while that is so, and clients register instead. Set proxy (METADATA_DOCUMENTS_PROXY) to an HTTP proxy \
             for these fetches, or enabled: false."
                .to_owned()
        }),
    }))
}

fn shown(Finding { state, setting, found, advice }: &Finding) -> String {
    let verdict = match state {
        State::Fine => "fine ",
        State::Wrong => "WRONG",
        State::Unknown => "?    ",
    };
    let mut text = format!("  {verdict} {setting}: {found}\n");
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
