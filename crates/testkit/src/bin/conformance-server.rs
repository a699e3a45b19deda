//! A server for the official conformance runner as a program:
//!
//! ```text
//! conformance-server --era legacy|modern|both --transport stdio|http [--port N]
//! ```
//!
//! Over HTTP it prints `listening http://127.0.0.1:N/mcp` once it is ready; port 0, the default, is
//! any. It ends on Ctrl-C. What it offers, and what rmcp cannot serve, is told in
//! `portunus_testkit::mcp_servers::conformance`.

use std::{error::Error, process::ExitCode};

use portunus_testkit::mcp_servers::conformance::{ConformanceServer, Era, serve_stdio};

const USAGE: &str =
    "usage: conformance-server --era legacy|modern|both --transport stdio|http [--port N]";

enum Transport {
    Stdio,
    Http { port: u16 },
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (era, transport) = match parse(&arguments) {
        Ok(wanted) => wanted,
        Err(error) => {
            eprintln!("{error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(era, transport).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("conformance-server: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(arguments: &[String]) -> Result<(Era, Transport), Box<dyn Error>> {
    let (mut era, mut transport, mut port) = (None, None, 0);
    for pair in arguments.chunks(2) {
        let [flag, value] = pair else { return Err(format!("{} needs a value", pair[0]).into()) };
        match flag.as_str() {
            "--era" => era = Some(value.parse()?),
            "--transport" => transport = Some(value.as_str()),
            "--port" => port = value.parse().map_err(|_| format!("{value:?} is no port"))?,
            other => return Err(format!("unknown option {other}").into()),
        }
    }
    let transport = match transport.ok_or("--transport is missing")? {
        "stdio" => Transport::Stdio,
        "http" => Transport::Http { port },
        other => return Err(format!("{other:?} is no transport: expected stdio or http").into()),
    };
    Ok((era.ok_or("--era is missing")?, transport))
}

async fn run(era: Era, transport: Transport) -> Result<(), Box<dyn Error>> {
    match transport {
        Transport::Stdio => serve_stdio(era).await?,
        Transport::Http { port } => {
            let server = ConformanceServer::start(era, port).await?;
            println!("listening {}", server.url());
            tokio::signal::ctrl_c().await?;
        }
    }
    Ok(())
}
