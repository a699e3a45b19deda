//! The authorization server's endpoints, one file each, the handler named after its method. A file
//! parses, calls one rule of `portunus_core::oauth`, writes through one port and serialises. The
//! files never call each other, and what they share is in [`support`]; every step of a sign-in
//! returns to [`authorize`] by redirect.

pub mod authorize;
pub mod callback;
pub mod consent;
pub mod disconnect;
pub mod introspect;
pub mod manage;
pub mod metadata;
pub mod register;
pub mod revoke;
pub mod signin;
pub mod signout;
pub mod support;
pub mod token;
