//! The Streamable HTTP transport towards clients of the legacy era, revisions 2025-03-26 to 2025-11-25: headers, statuses, JSON
//! or a stream. What a message means is decided in `hub`; which era a request belongs to in [`era`].
//!
//! Revision 2025-03-26 lets a client send several messages as one JSON array. They are refused with -32600: the official
//! clients never sent them, the next revision took them away, and one message a request keeps "what was authorised is what is
//! forwarded" plain (threat 35).

pub(crate) mod answers;
pub(crate) mod era;
pub(crate) mod headers;
pub(crate) mod listen;
pub(crate) mod post;
pub(crate) mod respond;
pub(crate) mod sse;
