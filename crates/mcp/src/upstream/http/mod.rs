//! Servers that are reached over HTTP: [`link`] for Streamable HTTP, [`sse`] for the HTTP+SSE
//! transport of revision 2024-11-05.

mod body;
mod client;
mod coding;
mod events;
mod exchange;
mod gone;
mod link;
mod listen;
mod media;
pub(crate) mod plain_headers;
mod position;
mod post;
mod session;
mod sse;

pub use self::{
    client::HttpClient,
    events::{Decoder, ServerEvent},
};
pub(super) use self::{link::HttpLink, sse::SseLink};
