//! The rules of Portunus and the types they are about. No I/O, no runtime, no HTTP, no SQL; time
//! and chance are arguments ([`clock`], [`entropy`]).
//!
//! - OAuth: the rules of each endpoint ([`oauth`]); clients, grants and tokens ([`client`],
//!   [`grant`], [`token`], [`refresh`], [`pkce`], [`lifetimes`]); what a token is for
//!   ([`resource`], [`scope`]); the rules of a client ([`oauth_client`]); keys for programs without
//!   a browser ([`agent_key`]).
//! - People: sign-in ([`signin`]), who is signed in ([`principal`]), who is admitted
//!   ([`admission`]), who may use what ([`access`]).
//! - MCP: pins of tools and their names ([`pins`], [`tool_name`]), tasks ([`task`]).
//! - What an administrator disabled: [`disabled`].
//! - Requests and addresses: [`request`], [`redirect`], [`outside_url`], [`uri`], [`net_address`],
//!   [`address_block`].
//! - Several gateways on one store: [`node`], [`invalidation`].
//! - What happened, in chains that tell when they were changed: [`audit`]; how long things took:
//!   [`latency`].
//! - The ports through which the rules reach what is stored: [`store`].
//! - Parsed texts and secrets: [`ids`], [`secret`], [`text`]; who may write a file:
//!   [`file_access`]; how settings are declared: [`settings`].

pub mod access;
pub mod address_block;
pub mod admission;
pub mod agent_key;
pub mod audit;
pub mod call_limits;
pub mod client;
pub mod clock;
pub mod disabled;
pub mod entropy;
pub mod file_access;
pub mod grant;
pub mod ids;
pub mod invalidation;
pub mod latency;
pub mod lifetimes;
pub mod net_address;
pub mod node;
pub mod oauth;
pub mod oauth_client;
pub mod outside_url;
pub mod pins;
pub mod pkce;
pub mod principal;
pub mod provider_token;
pub mod redirect;
pub mod refresh;
pub mod request;
pub mod resource;
pub mod scope;
pub mod secret;
pub mod settings;
pub mod signin;
pub mod store;
pub mod task;
pub mod text;
pub mod token;
pub mod tool_name;
pub mod uri;

pub use clock::{Clock, Timestamp};
pub use entropy::Entropy;
