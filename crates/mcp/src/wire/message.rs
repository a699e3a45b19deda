//! The three kinds of JSON-RPC messages: their envelope is read once, payloads stay the bytes they were (design decision 2). Reading one is next
//! door, in [`super::parse`], writing one in [`super::write`].

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

/// How a request ended at the other side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Result(Payload),
    /// The raw error object: code, message, data.
    Error(Payload),
}
