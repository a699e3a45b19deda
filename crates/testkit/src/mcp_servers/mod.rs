//! Real MCP servers to stand behind the gateway in tests, built with the official SDK: [`Fixture`] says what they offer; here is
//! how to run one, as a child ([`fixture_binary`]) or in this process over Streamable HTTP ([`FixtureServer`]). [`conformance`] is
//! the server that the official conformance runner expects.

pub mod conformance;
mod fixture;
mod http;
mod tools;

use std::path::PathBuf;

pub use fixture::{Fixture, Wording};
pub use http::{FixtureServer, HttpOptions, SeenRequest};

/// The `fixture-server` program. It takes `--stdio`, or `--http PORT` (0 for any; the URL is printed), and `--name NAME`,
/// `--page-size N`.
///
/// # Panics
/// When it has not been built.
pub fn fixture_binary() -> PathBuf {
    let test = std::env::current_exe().unwrap_or_else(|error| panic!("where is this test? {error}"));
    let beside = test.ancestors().skip(1).take(3).map(|folder| folder.join("fixture-server"));
    let found = beside.into_iter().find(|path| path.is_file());
    found.unwrap_or_else(|| {
        panic!("fixture-server is not built: run `cargo build -p portunus-testkit --bins` first (./test does)")
    })
}
