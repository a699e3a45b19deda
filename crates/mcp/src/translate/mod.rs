//! Between the two eras, as pure functions: what a message must gain and lose on its way from a
//! client of one era to a server of the other and back. Which of them is called when is decided in
//! `calls::forward`; messages within one era pass as they are.
//!
//! | what | modern client, legacy server | legacy client, modern server |
//! |---|---|---|
//! | [`params`] | the protocol's members of `_meta` are taken out | they are put in, from the handshake |
//! | [`results`] | `resultType`, `ttlMs`, `cacheScope`, who the server is | those are taken out |
//! | [`errors`] | -32002 becomes -32602 | and back, for resources |
//! | [`input`] | a server's request becomes `input_required` | and back |
//! | [`greeting`] | the result of `initialize` becomes that of `server/discover` | and back |

pub(crate) mod errors;
pub(crate) mod greeting;
pub(crate) mod input;
pub(crate) mod params;
pub(crate) mod results;

#[cfg(test)]
mod tests;
