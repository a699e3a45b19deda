//! JSON-RPC messages, as MCP has them.
//!
//! The words of the protocol are in [`protocol`], messages in [`message`], their parts in
//! [`payload`]. An envelope is read in [`parse`](mod@parse), a payload in [`members`](mod@members)
//! and [`head`]; a payload is changed in [`splice`], an envelope written in [`write`].

pub(crate) mod capabilities;
mod depth;
mod error;
mod head;
mod members;
mod message;
mod parse;
mod payload;
pub mod protocol;
mod splice;
mod write;

pub use depth::MAX_DEPTH;
pub use error::WireError;
pub use head::{
    Meta, ParamsHead, Reference, head_of, is_read_whole, meta_of, params_head, progress_token,
};
pub use members::{code_of, elements, find_member, members};
pub use message::{Message, Notification, Outcome, Request, Response};
pub use parse::parse;
pub(crate) use payload::id_as_u64;
pub use payload::{Payload, RequestId};
pub use protocol::{code, meta};
pub use splice::{
    replace_member, replace_name, replace_progress_token, with_members, with_meta, without_members,
    without_meta,
};
pub(crate) use write::error_object;
pub use write::{error, error_raw, notification, object, quote, request, result};

#[cfg(test)]
mod tests;
