//! The Streamable HTTP transport towards clients: headers, statuses, JSON or a stream. Which era a request belongs to is told by [`era`].
//! Of revisions 2025-03-26 to 2025-11-25 are [`legacy`], [`respond`], [`listen`] and [`connection`]; of 2026-07-28 [`modern`], [`metadata`] and
//! [`exchange`]. What a message means is decided in `hub`.
//!
//! Revision 2025-03-26 lets a client send several messages as one JSON array. They are refused with -32600: the official
//! clients never sent them, the next revision took them away, and one message a request keeps "what was authorised is what is
//! forwarded" plain (threat 35).

pub(crate) mod answers;
mod connection;
pub(crate) mod era;
pub(crate) mod exchange;
pub(crate) mod headers;
pub(crate) mod legacy;
mod listen;
pub(crate) mod metadata;
pub(crate) mod modern;
mod post;
pub(crate) mod respond;
pub(crate) mod sse;
