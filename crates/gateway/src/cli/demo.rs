//! `portunus demo`: the real gateway with a built-in sign-in page and two built-in MCP servers, on loopback only.

use clap::Args;

/// What the demo can be told.
#[derive(Args, Clone, Debug)]
pub struct DemoArgs {
    /// Port on 127.0.0.1
    #[arg(long, env = "PORT", default_value_t = 3000)]
    pub port: u16,
}

/// Runs the demo.
#[expect(clippy::unused_async, reason = "the demo is built in a later commit")]
pub async fn run(_args: DemoArgs) -> anyhow::Result<()> {
    anyhow::bail!("`portunus demo` is not built yet")
}
