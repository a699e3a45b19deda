//! The three kinds of JSON-RPC messages. The envelope is parsed once, payloads stay the bytes they
//! were (design decision 2). Messages are read next door, in [`super::parse`], and written in
//! [`super::write`].

use super::payload::{Payload, RequestId};

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    Request(Request),
    Notification(Notification),
    Response(Response),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub id: RequestId,
    pub method: String,
    /// An object, when present.
    pub params: Option<Payload>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    pub method: String,
    /// An object, when present.
    pub params: Option<Payload>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Absent (or null) only on errors about a message whose id could not be read.
    pub id: Option<RequestId>,
    pub outcome: Outcome,
}

/// The outcome of a request at the other side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Result(Payload),
    /// The raw error object: code, message, data.
    Error(Payload),
}
