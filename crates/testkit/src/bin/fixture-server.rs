//! The fixture MCP servers as one program; the first argument says which:
//!
//! ```text
//! fixture-server --stdio | --http PORT [--name NAME] [--page-size N]
//! fixture-server bridge PORT
//! fixture-server ledger FILE legacy|modern --stdio | --http PORT | --sse PORT
//! fixture-server probing
//! ```
//!
//! What each of them is stands in `portunus_testkit::mcp_servers`. Programs of their own, next
//! door, are `conformance-server`, whose command line is that of another maker's server, and
//! `echo-server`, which costs less.

use std::{error::Error, process::ExitCode};

use portunus_testkit::mcp_servers::{
    Fixture, FixtureServer, HttpOptions, bridge, ledger::Ledger, probing,
};
use rmcp::ServiceExt;

const USAGE: &str = "usage: fixture-server --stdio | --http PORT [--name NAME] [--page-size N]
       fixture-server bridge PORT
       fixture-server ledger FILE legacy|modern --stdio | --http PORT | --sse PORT
       fixture-server probing";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let served = match words[..] {
        ["bridge", port] => bridge(port),
        ["ledger", file, era @ ("legacy" | "modern"), way @ "--stdio"] => {
            ledger(file, era, way, "0")
        }
        ["ledger", file, era @ ("legacy" | "modern"), way @ ("--http" | "--sse"), port] => {
            ledger(file, era, way, port)
        }
        ["probing"] => probing::serve().map_err(Into::into),
        ["--stdio" | "--http", ..] => fixture(&words),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fixture-server: {error}");
            ExitCode::FAILURE
        }
    }
}

fn bridge(port: &str) -> Result<(), Box<dyn Error>> {
    Ok(bridge::join(port.parse()?)?)
}

#[tokio::main(worker_threads = 2)]
async fn ledger(file: &str, era: &str, way: &str, port: &str) -> Result<(), Box<dyn Error>> {
    let (ledger, port) = (Ledger::start(file, era == "modern"), port.parse()?);
    match way {
        "--http" => ledger.http(port).await?,
        "--sse" => ledger.sse(port).await?,
        _ => ledger.stdio().await?,
    }
    Ok(())
}

#[tokio::main]
async fn fixture(words: &[&str]) -> Result<(), Box<dyn Error>> {
    let value =
        |flag: &str| words.iter().position(|word| *word == flag).and_then(|at| words.get(at + 1));
    let name = value("--name").copied().unwrap_or("fixture").to_owned();
    let page_size = value("--page-size").map(|n| n.parse()).transpose()?.unwrap_or(0);
    if let Some(port) = value("--http") {
        let server = FixtureServer::start_with(HttpOptions {
            name,
            page_size,
            port: port.parse()?,
            ..HttpOptions::default()
        })
        .await;
        println!("{}", server.url());
        tokio::signal::ctrl_c().await?;
    } else {
        let running = Fixture::new(name, page_size).serve(rmcp::transport::stdio()).await?;
        running.waiting().await?;
    }
    Ok(())
}
