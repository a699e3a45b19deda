//! The resource server (RFC 6749 section 1.1): everything that needs an access token. [`endpoint`]
//! decides where a request goes; [`bearer`] finds out who calls, and [`cache`] remembers it for as
//! long as [`invalidation_log`] has nothing that concerns it; [`scope`] says what the token lets
//! its holder use, [`access`] what rules allow its person; [`watch`] ends streams with their token.

pub mod access;
pub mod bearer;
pub mod cache;
pub mod endpoint;
pub mod invalidation_log;
pub mod scope;
pub mod watch;
