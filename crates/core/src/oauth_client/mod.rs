//! The rules of an OAuth client, as `portunus connect` is one (MCP, authorization): what a
//! challenge says ([`challenge`]), where metadata is found and whose it may be ([`discovery`]),
//! which scopes are asked for ([`scopes`]), what an authorization response must be ([`response`]),
//! which addresses a server may lead its client to ([`reach`]), and which files hold tokens
//! ([`token_file`]). The rules of the authorization server are next door, in [`crate::oauth`].

pub mod challenge;
pub mod discovery;
pub mod reach;
pub mod response;
pub mod scopes;
pub mod token_file;
