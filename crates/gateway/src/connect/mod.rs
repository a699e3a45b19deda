//! `portunus connect`: MCP over stdio for programs that speak no HTTP or no OAuth, carried to one
//! MCP server over Streamable HTTP (`docs/decisions/0070-connect-is-a-pipe.md`).
//!
//! - [`options`]: what can be configured; [`error`]: what can go wrong.
//! - As an OAuth client: metadata ([`discovery`]), who we are ([`identity`]), the browser
//!   ([`sign_in`], [`callback`], [`browser`]), tokens ([`token_request`], [`token_store`]), and
//!   when which of that is done ([`credentials`]). URLs that the server names are asked by
//!   [`fetch`] alone. The rules are `portunus_core::oauth_client`.
//! - As a pipe: what the client writes ([`bridge`]), one request and its answer ([`exchange`]),
//!   what a session of the legacy era holds ([`session`]) and its stream ([`listen`]), headers of
//!   tools' parameters ([`tool_headers`]), requests with a token ([`server`]), what the client
//!   reads ([`output`]).
//! - [`client_files`]: the configuration files of MCP clients.

mod bridge;
pub mod browser;
mod callback;
pub mod client_files;
mod credentials;
mod discovery;
mod error;
mod exchange;
mod fetch;
mod identity;
mod listen;
pub mod options;
mod output;
mod server;
mod session;
mod sign_in;
mod token_request;
mod token_store;
mod tool_headers;

pub use self::{
    bridge::{run, sign_in},
    credentials::{Credentials, SignInMeans},
    error::ConnectError,
    options::Options,
    token_store::TokenStore,
};
