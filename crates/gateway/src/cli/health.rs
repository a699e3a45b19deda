//! `portunus health`: asks a gateway that runs whether it is ready. For container health checks and rolling restarts, where no other HTTP client
//! may be at hand. What it is asked is answered by `edge/health`.

use std::{
    io::{self, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use anyhow::{Context as _, ensure};
use clap::Args;
use url::Url;

use super::ConfigFiles;
use crate::net::{self, NetSettings};

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
    let url = match args.url {
        Some(url) => url,
        // Only the address is of interest: other mistakes are the gateway's affair, which has told of them.
        None => Url::parse(&format!("http://{}/ready", from_here(args.files.inspect().draft.listen)))?,
    };
    let answer = net::client(NetSettings::identity())?.get(url.clone()).send().await;
    let answer = answer.with_context(|| format!("no answer from {url}"))?;
    let (status, body) = (answer.status(), answer.text().await.unwrap_or_default());
    writeln!(io::stdout(), "{body}")?;
    ensure!(status == http::StatusCode::OK, "{url} answers {status}");
    Ok(())
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
