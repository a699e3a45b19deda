//! Test-only: what tests put around the gateway. [`okta`] is a fake identity provider.

#[expect(clippy::expect_used, reason = "test-only: a broken fixture should stop the test that uses it")]
pub mod okta;
