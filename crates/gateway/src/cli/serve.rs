//! `portunus serve`: builds the gateway from its configuration and runs it until it is told to stop.

use crate::config::Config;

/// Runs the gateway.
#[expect(clippy::unused_async, reason = "the gateway is built in a later commit")]
pub async fn run(_config: Config) -> anyhow::Result<()> {
    anyhow::bail!("`portunus serve` is not built yet")
}
