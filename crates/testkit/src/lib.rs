//! Test-only: what tests put around the gateway. [`okta`] is a fake identity provider; [`mcp_servers`] are MCP servers to put
//! behind it.

pub mod mcp_servers;
#[expect(clippy::expect_used, reason = "test-only: a broken fixture should stop the test that uses it")]
pub mod okta;
