//! The Streamable HTTP transport towards clients: headers, statuses, JSON or a stream. A message
//! comes in by [`post`]; which era it belongs to is told by [`era`]. Of revisions 2025-03-26 to
//! 2025-11-25 are [`legacy`], [`initialize`], [`listen`], [`delete`], [`connection`] and
//! [`legacy_answer`]; of 2026-07-28 [`modern`], [`metadata`], [`subscriptions`], [`suspended`] and
//! [`modern_answer`]. The answers of both are one loop, [`answer_stream`]. What a request means is
//! decided in `calls`.
//!
//! Revision 2025-03-26 lets a client send several messages as one JSON array. They are refused with
//! -32600: the official clients never sent them, the next revision took them away, and one message
//! a request keeps "what was authorised is what is forwarded" plain (threat 35).

mod answer_stream;
pub(crate) mod answers;
mod connection;
pub(crate) mod context;
pub(crate) mod delete;
pub(crate) mod encode;
pub(crate) mod era;
mod headers;
mod initialize;
mod legacy;
mod legacy_answer;
pub(crate) mod listen;
mod metadata;
mod modern;
mod modern_answer;
pub(crate) mod post;
mod sse;
mod subscriptions;
pub(crate) mod suspended;
