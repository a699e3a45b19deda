//! Rules and words of Portunus. No I/O, no runtime, no HTTP, no SQL: the words ([`ids`], [`secret`], [`scope`], [`resource`],
//! [`redirect`], [`request`], [`pkce`], [`client`], [`signin`], [`grant`], [`token`], [`refresh`], [`principal`], [`admission`], [`pins`], [`node`], [`task`], [`invalidation`], [`text`], [`uri`]), the OAuth rules ([`oauth`]), and
//! the ports through which they reach what is kept ([`store`]). Time and chance are arguments ([`clock`], [`entropy`]).

pub mod address_block;
pub mod admission;
pub mod client;
pub mod clock;
pub mod entropy;
pub mod file_access;
pub mod grant;
pub mod ids;
pub mod invalidation;
pub mod lifetimes;
pub mod net_address;
pub mod node;
pub mod oauth;
pub mod outside_url;
pub mod pins;
pub mod pkce;
pub mod principal;
pub mod redirect;
pub mod refresh;
pub mod request;
pub mod resource;
pub mod scope;
pub mod secret;
pub mod signin;
pub mod store;
pub mod task;
pub mod text;
pub mod token;
pub mod tool_name;
pub mod uri;

pub use clock::{Clock, Timestamp};
pub use entropy::Entropy;
