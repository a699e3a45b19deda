//! `portunus health`: asks a gateway that runs whether it is ready. For container health checks and
//! rolling restarts, where no other HTTP client may be at hand. What it is asked is answered by
//! `edge/health`.

use std::{
    io::{self, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use anyhow::{Context as _, ensure};
use clap::Args;
use reqwest::Response;
use url::Url;

use super::ConfigFiles;
use crate::{
    config::Inspected,
    net::{self, NetSettings},
};

#[derive(Args, Debug)]
pub struct HealthArgs {
    #[command(flatten)]
    files: ConfigFiles,
    /// What to ask [default: /ready where the configured gateway listens, on this machine]
    #[arg(long, value_name = "URL")]
    url: Option<Url>,
}

/// Prints the answer. Exit code 1 when it is not 200, or there is none within 5 seconds.
pub async fn run(args: HealthArgs) -> anyhow::Result<()> {
    let (url, answer) = match args.url {
        Some(url) => (url.clone(), net::client(NetSettings::identity())?.get(url).send().await),
        None => ask_this_machine(&args.files).await?,
    };
    let answer = answer.with_context(|| format!("no answer from {url}"))?;
    let (status, body) = (answer.status(), answer.text().await.unwrap_or_default());
    writeln!(io::stdout(), "{body}")?;
    ensure!(status == http::StatusCode::OK, "{url} answers {status}");
    Ok(())
}

/// Asks the gateway of this configuration. Mistakes in it are the gateway's affair, which has told
/// of them and goes on with what it had: with its certificate too, if that is where the mistake is.
async fn ask_this_machine(files: &ConfigFiles) -> anyhow::Result<(Url, reqwest::Result<Response>)> {
    let Inspected { draft, mistakes, .. } = files.inspect();
    let client = net::client_of_this_machine()?;
    let at = |scheme: &str| Url::parse(&format!("{scheme}://{}/ready", from_here(draft.listen)));
    let plain = at("http")?;
    let secure = at("https")?;
    if draft.tls.is_some() {
        return Ok((secure.clone(), client.get(secure).send().await));
    }
    let answer = client.get(plain.clone()).send().await;
    if answer.is_err()
        && !mistakes.0.is_empty()
        && let Ok(answer) = client.get(secure.clone()).send().await
    {
        return Ok((secure, Ok(answer)));
    }
    Ok((plain, answer))
}

/// How an address that is listened on is reached from the same machine.
fn from_here(mut listen: SocketAddr) -> SocketAddr {
    if listen.ip().is_unspecified() {
        listen.set_ip(match listen.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    listen
}
