//! `portunus demo-server dice|uuid`: two small MCP servers to try the gateway with. What they do
//! lives in `demo::servers`.

use std::{io::Write as _, net::Ipv4Addr, sync::Arc};

use anyhow::Context as _;
use portunus_core::clock::SystemClock;
use tokio::{io::BufReader, net::TcpListener};

pub use crate::demo::servers::DemoServer;
use crate::{
    demo::servers::{DemoMcp, http, stdio},
    os::OsEntropy,
};

/// How it is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DemoTransport {
    /// Newline-delimited JSON-RPC on standard input and output.
    Stdio,
    /// Streamable HTTP at `http://127.0.0.1:{port}/mcp`.
    Http { port: u16 },
}

/// Runs the server until its input ends, or until a signal ends the process.
pub async fn run(kind: DemoServer, transport: DemoTransport) -> anyhow::Result<()> {
    let server = DemoMcp { kind, entropy: Arc::new(OsEntropy), clock: Arc::new(SystemClock) };
    match transport {
        DemoTransport::Stdio => {
            stdio::serve(&server, BufReader::new(tokio::io::stdin()), tokio::io::stdout()).await?;
        }
        DemoTransport::Http { port } => {
            let listener =
                TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.with_context(|| {
                    format!("port {port} of 127.0.0.1 cannot be used; choose another with --http")
                })?;
            let address = listener.local_addr()?;
            writeln!(std::io::stderr(), "Listening on http://{address}/mcp")?;
            http::serve_http(server, listener).await?;
        }
    }
    Ok(())
}
