//! Test-only: what tests put around the gateway. [`okta`] and [`github`] are fake identity
//! providers; [`mcp_servers`] are MCP servers to put behind it; [`agent`] is the browser and the
//! MCP client in front, [`era_client`] a client of the official SDK; [`signer`] signs for clients;
//! [`redis`] starts Redis servers, and [`fault_proxy`] spoils the connections to them;
//! [`hostile_hosts`] are hosts of strangers; [`collectors`] take
//! audit records; [`log`] captures what is logged; [`figures`] notes
//! what fault tests measured, and holds it to its bounds; [`port`] keeps ports free; [`mod@wait`]
//! waits, with an end; [`protected_server`] is what `portunus connect` is the client of.

#[expect(
    clippy::expect_used,
    reason = "test-only: what was not expected should stop the test that met it"
)]
pub mod agent;
#[expect(
    clippy::expect_used,
    reason = "test-only: a broken fixture should stop the test that uses it"
)]
pub mod collectors;
pub mod era_client;
#[expect(
    clippy::expect_used,
    reason = "test-only: a broken fixture should stop the test that uses it"
)]
pub mod fault_proxy;
#[expect(
    clippy::expect_used,
    reason = "test-only: figures that are lost would be missed only later"
)]
pub mod figures;
#[expect(
    clippy::expect_used,
    reason = "test-only: a broken fixture should stop the test that uses it"
)]
pub mod github;
#[expect(
    clippy::expect_used,
    reason = "test-only: a broken fixture should stop the test that uses it"
)]
pub mod hostile_hosts;
#[expect(
    clippy::expect_used,
    reason = "test-only: a broken fixture should stop the test that uses it"
)]
pub mod log;
pub mod mcp_servers;
#[expect(
    clippy::expect_used,
    reason = "test-only: a broken fixture should stop the test that uses it"
)]
pub mod okta;
#[expect(
    clippy::expect_used,
    reason = "test-only: a broken fixture should stop the test that uses it"
)]
pub mod port;
#[expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "test-only: a broken fixture should stop the test that uses it"
)]
pub mod protected_server;
#[expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "test-only: a broken fixture should stop the test that uses it"
)]
pub mod redis;
#[expect(
    clippy::expect_used,
    reason = "test-only: a broken fixture should stop the test that uses it"
)]
pub mod signer;
pub mod wait;
