//! MCP servers to stand behind the gateway in tests. One program, [`fixture_binary`], is any of
//! them, by its first argument: [`Fixture`], built with the official SDK, which runs in this
//! process too ([`FixtureServer`]); [`ledger`], which writes its calls down; [`probing`], which an
//! intruder has got into; and [`bridge`], through which a test is a child's streams and writes
//! every byte itself. [`conformance`] is the server that the official conformance runner expects.

pub mod bridge;
pub mod conformance;
mod fixture;
mod http;
pub mod json_rpc;
pub mod ledger;
pub mod probing;
mod sdk_conversions;
mod tools;

use std::path::PathBuf;

pub use fixture::{Fixture, Wording};
pub use http::{FixtureServer, HttpOptions, SeenRequest};

/// The `fixture-server` program, which any of these makes a server:
///
/// - `--stdio`, or `--http PORT` (0 for any; the URL is printed), and `--name NAME`,
///   `--page-size N`: a [`Fixture`]
/// - `bridge PORT`: a [`bridge`] to the test that listens on that port
/// - `ledger FILE legacy|modern`, then `--stdio`, `--http PORT` or `--sse PORT`: a [`ledger`] of
///   the calls of its one tool `spend`
/// - `probing`: [`probing`]'s, whose one tool `run` gives `script` to a shell
///
/// # Panics
/// When it has not been built.
pub fn fixture_binary() -> PathBuf {
    built("fixture-server")
}

/// The `without-landlock` program, which becomes the program that its arguments name, on what looks
/// like a kernel without Landlock.
///
/// # Panics
/// When it has not been built.
pub fn without_landlock_binary() -> PathBuf {
    built("without-landlock")
}

fn built(program: &str) -> PathBuf {
    let test =
        std::env::current_exe().unwrap_or_else(|error| panic!("where is this test? {error}"));
    let beside = test.ancestors().skip(1).take(3).map(|folder| folder.join(program));
    let found = beside.into_iter().find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("{program} is not built: run `cargo build -p portunus-testkit --bins` first (./test does)"))
}
