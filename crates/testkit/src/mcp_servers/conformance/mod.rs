//! A server that offers what the official conformance runner looks for, of either era or of both at
//! once: what rmcp asks of it is answered in [`handler`], with [`tools`], [`prompts`] and
//! [`resources`]. How to run one is in [`serve`].
//!
//! What rmcp 3.9 can serve, and what it cannot:
//!
//! - One server serves both eras at once, over HTTP and on stdio: each request says which it
//!   belongs to. Only a stdio connection that began with a modern request stays modern, whatever
//!   `initialize` is answered.
//! - A server of one era is not what it has in mind: told to support only the revisions of one, it
//!   still shows that it knows the other. What keeps the eras apart here is in [`era`]. One thing
//!   remains: over HTTP a modern server refuses a legacy `initialize` with status 200, where the
//!   revision wants 400.
//! - It can close a response stream whose call goes on, but gives a tool no way to say which one is
//!   its own: what is missing is in [`sessions`]. It does not serve HTTP+SSE (2024-11-05).
//! - It could serve the extension for skills, but nothing here does: the runner does not look for
//!   it.

mod asking;
mod content;
mod era;
mod handler;
mod input;
mod prompts;
mod questions;
mod request;
mod resources;
mod result;
mod serve;
mod server;
mod sessions;
mod subscribers;
mod tasks;
mod telling;
mod tool_definition;
mod tools;

pub use era::Era;
pub use serve::{ConformanceServer, serve_stdio};
pub use server::Conformance;
