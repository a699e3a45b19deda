//! The servers behind the gateway.
//!
//! [`Upstreams`] is the pool; a [`Connection`] is one live connection to a server of either era
//! ([`probe`] finds out which); below it is a transport each for stdio, Streamable HTTP and
//! HTTP+SSE. Who may call what is decided next door, in `allow`.

mod activity;
mod call;
mod call_event;
mod connect;
mod connect_options;
mod connection;
mod error;
mod handshake;
mod http;
mod id_finder;
mod inbox;
mod link;
mod listen;
mod modern;
mod owner;
mod pool;
mod probe;
mod rpc_error;
mod server_info;
mod server_log;
mod server_requests;
pub(crate) mod servers;
mod stdio;
mod stored;

pub(crate) use self::activity::Activity;
pub use self::{
    activity::Hold,
    call::{Call, KnownParams},
    call_event::{CallEvent, ServerAsk},
    connection::Connection,
    error::UpstreamError,
    http::{Decoder, HttpClient, ServerEvent},
    inbox::Event,
    modern::named,
    owner::{CallOrigin, ConnectionKey, ConnectionUser, Ending, Owner, Person},
    pool::{ConnectionCounts, Options, ServerState, Upstreams},
    rpc_error::RpcError,
    server_info::ServerInfo,
    server_requests::{NoServerRequests, ServerRequests},
    stdio::{Line, Lines},
};
