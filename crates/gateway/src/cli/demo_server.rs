//! `portunus demo-server dice|uuid`: two small MCP servers to try the gateway with.

use clap::ValueEnum;

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DemoServer {
    /// Rolls dice
    Dice,
    /// Makes UUIDs
    Uuid,
}

/// How it is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DemoTransport {
    /// Newline-delimited JSON-RPC on standard input and output.
    Stdio,
    /// Streamable HTTP at `http://127.0.0.1:{port}/mcp`.
    Http { port: u16 },
}

/// Runs the server until its input ends or it is told to stop.
#[expect(clippy::unused_async, reason = "the servers are built in a later commit")]
pub async fn run(_server: DemoServer, _transport: DemoTransport) -> anyhow::Result<()> {
    anyhow::bail!("`portunus demo-server` is not built yet")
}
