//! `POST /auth/token`: codes, refresh tokens and client credentials become access tokens (RFC 6749
//! section 3.2). [`endpoint`] proves the client and chooses the grant type; [`pipeline`] takes the
//! steps that all grant types share, in their order; each grant type has a file of its own. The
//! rules are `portunus_core::oauth::token`; what must happen once happens in the store.

mod authorization_code;
mod client_credentials;
mod endpoint;
mod pipeline;
mod refresh_token;
mod state;

pub use self::{endpoint::routes, state::TokenState};
