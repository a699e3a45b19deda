//! The port through which the hub tells what became of a call: of a tool, a prompt, or a resource
//! that is read. Each is told once, in both eras, however it ended; of other requests, those that
//! were refused. What is done with it is the
//! gateway's business; [`crate::calls`]'s `observed` tells it.

use std::{num::NonZeroU32, time::Duration};

use portunus_core::ids::ServerName;

/// Hears of the calls of one request. It must answer at once: calls do not wait for it.
pub trait CallObserver: Send + Sync {
    /// The call goes to this server, under the server's own name of what is called.
    fn found(&self, server: &ServerName, name: &str);

    fn ended(&self, call: &EndedCall<'_>);

    /// A request that is no call was refused: a completion, a subscription, something about a task.
    /// It was about this.
    fn refused(&self, about: Called, server: Option<&ServerName>, name: &str);
}

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Called {
    Tool,
    Prompt,
    Resource,
}

/// A call that has ended.
#[derive(Clone, Copy, Debug)]
pub struct EndedCall<'a> {
    pub called: Called,
    /// `None`: no server has it.
    pub server: Option<&'a ServerName>,
    /// As the server calls it; as the client does, if there is no server.
    pub name: &'a str,
    pub end: CallEnd,
    pub took: Duration,
    /// Bytes of the parameters, and of the result or error.
    pub request_bytes: usize,
    pub answer_bytes: usize,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallEnd {
    Result,
    /// A result with `isError`.
    ToolError,
    /// The server's error.
    Error {
        code: Option<i64>,
    },
    /// The server could not be asked, or did not answer.
    Unavailable,
    NotGranted,
    /// The gateway refused it.
    Refused {
        code: i64,
    },
    /// A limit was met; to be told of for so many such calls, if at all.
    Limited {
        told: Option<NonZeroU32>,
    },
    Cancelled,
}
