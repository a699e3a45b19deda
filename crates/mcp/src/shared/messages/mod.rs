//! What nodes say to one another about a shared server, as JSON whose payloads are the bytes they
//! were: the orders of a node, and what its owner has to say to each.

use std::{borrow::Cow, time::Duration};

use bytes::Bytes;

use crate::{
    era::Era,
    upstream::{ServerInfo, UpstreamError},
    wire::{self, Outcome, Payload, WireError},
};

/// What a node wants. All but the first name the attachment that they belong to.
#[derive(Debug)]
pub(super) enum NodeRequest {
    /// To hear what the server says outside of calls, from what it said of itself on.
    Attach,
    Request(u64, Asked),
    Notify(u64, String, Option<Payload>),
    FollowTask(u64, String, bool),
}

/// A request to the server.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) method: String,
    pub(super) params: Option<Payload>,
    /// The caller listens to what the server says before its answer.
    pub(super) wants_events: bool,
    pub(super) timeout: Option<Duration>,
}

/// What the owner says.
#[derive(Debug)]
pub(super) enum NodeEvent {
    Attached(u64, ServerInfo),
    /// Outside of calls.
    Event(String, Option<Payload>),
    Progress(Payload),
    /// About the request.
    Notification(String, Option<Payload>),
    Answered(Outcome),
    Followed(bool),
    Done,
    Failed(UpstreamError),
    /// There is no such attachment any more: nothing has been done.
    Unknown,
}

impl NodeRequest {
    pub(super) fn write(&self) -> Bytes {
        let number = |n: &u64| n.to_string();
        let members = match self {
            Self::Attach => vec![("order", wire::quote("attach"))],
            Self::Request(attachment, Asked { method, params, wants_events, timeout }) => {
                let mut members = said("order", "request", method, params.as_ref());
                members.extend([
                    ("attachment", number(attachment)),
                    ("news", wants_events.to_string()),
                ]);
                members.extend(timeout.map(|timeout| ("timeout", timeout.as_millis().to_string())));
                members
            }
            Self::Notify(attachment, method, params) => {
                let mut members = said("order", "notify", method, params.as_ref());
                members.push(("attachment", number(attachment)));
                members
            }
            Self::FollowTask(attachment, task, is_wanted) => vec![
                ("order", wire::quote("follow")),
                ("attachment", number(attachment)),
                ("task", wire::quote(task)),
                ("wanted", is_wanted.to_string()),
            ],
        };
        write(&members)
    }

    /// `None`: it is none that we understand.
    pub(super) fn read(text: &Bytes) -> Option<Self> {
        let payload = Payload::trusted(text.clone());
        let found = Members(wire::members(&payload).ok()?);
        let (method, params) = (found.read("method"), found.find("params"));
        let attachment = || found.read("attachment");
        Some(match &*found.read::<String>("order")? {
            "attach" => Self::Attach,
            "request" => {
                let timeout = found.read("timeout").map(Duration::from_millis);
                Self::Request(
                    attachment()?,
                    Asked { method: method?, params, wants_events: found.read("news")?, timeout },
                )
            }
            "notify" => Self::Notify(attachment()?, method?, params),
            "follow" => Self::FollowTask(attachment()?, found.read("task")?, found.read("wanted")?),
            _ => return None,
        })
    }
}

impl NodeEvent {
    pub(super) fn write(&self) -> Bytes {
        let plain = |word: &str| vec![("word", wire::quote(word))];
        let with =
            |word: &str, name, value: String| vec![("word", wire::quote(word)), (name, value)];
        let members = match self {
            Self::Attached(attachment, info) => vec![
                ("word", wire::quote("attached")),
                ("attachment", attachment.to_string()),
                ("modern", (info.era == Era::Modern).to_string()),
                ("info", info.raw.as_str().to_owned()),
            ],
            Self::Event(method, params) => said("word", "event", method, params.as_ref()),
            Self::Progress(params) => with("progress", "params", params.as_str().to_owned()),
            Self::Notification(method, params) => {
                said("word", "notification", method, params.as_ref())
            }
            Self::Answered(Outcome::Result(result)) => {
                with("answered", "result", result.as_str().to_owned())
            }
            Self::Answered(Outcome::Error(error)) => {
                with("answered", "error", error.as_str().to_owned())
            }
            Self::Followed(follows) => with("followed", "follows", follows.to_string()),
            Self::Done => plain("done"),
            Self::Failed(error) => failure(error),
            Self::Unknown => plain("unknown"),
        };
        write(&members)
    }

    /// `None`: it is none that we understand.
    pub(super) fn read(text: &Bytes) -> Option<Self> {
        let payload = Payload::trusted(text.clone());
        let found = Members(wire::members(&payload).ok()?);
        let (method, params) = (found.read("method"), found.find("params"));
        Some(match &*found.read::<String>("word")? {
            "attached" => {
                let era = if found.read("modern")? { Era::Modern } else { Era::Legacy };
                Self::Attached(
                    found.read("attachment")?,
                    ServerInfo::read(era, found.find("info")?.detached())?,
                )
            }
            "event" => Self::Event(method?, params),
            "progress" => Self::Progress(params?),
            "notification" => Self::Notification(method?, params),
            "answered" => Self::Answered(match (found.find("result"), found.find("error")) {
                (Some(result), _) => Outcome::Result(result),
                (None, error) => Outcome::Error(error?),
            }),
            "followed" => Self::Followed(found.read("follows")?),
            "done" => Self::Done,
            "failed" => Self::Failed(read_failure(&found)?),
            "unknown" => Self::Unknown,
            _ => return None,
        })
    }
}

/// A failure by its kind, with the log's detail and the number that it tells of.
fn failure(error: &UpstreamError) -> Vec<(&'static str, String)> {
    let millis = |duration: &Duration| duration.as_millis().to_string();
    let (kind, number) = match error {
        UpstreamError::NotFound => ("not found", None),
        UpstreamError::Spawn { .. } => ("spawn", None),
        UpstreamError::Connect { .. } => ("connect", None),
        UpstreamError::Handshake { .. } => ("handshake", None),
        UpstreamError::Status { status, .. } => ("status", Some(status.to_string())),
        UpstreamError::Backoff { retry_in, .. } => ("backoff", Some(millis(retry_in))),
        UpstreamError::TooMany => ("too many", None),
        UpstreamError::ShareUsedUp { limit } => ("share", Some(limit.to_string())),
        UpstreamError::Busy => ("busy", None),
        UpstreamError::Timeout => ("timeout", None),
        UpstreamError::Closed { .. } => ("closed", None),
        UpstreamError::SessionExpired => ("expired", None),
        UpstreamError::Lost => ("lost", None),
        UpstreamError::Cancelled => ("cancelled", None),
        UpstreamError::TooLarge => ("too large", None),
        UpstreamError::Params(_) => ("params", None),
        UpstreamError::Protocol { .. } => ("protocol", None),
    };
    let detail = match error {
        UpstreamError::Params(error) => error.to_string(),
        UpstreamError::Status { words, .. } => words.clone(),
        other => other.detail().unwrap_or_default().to_owned(),
    };
    let mut members = vec![
        ("word", wire::quote("failed")),
        ("kind", wire::quote(kind)),
        ("detail", wire::quote(&detail)),
    ];
    members.extend(number.map(|number| ("number", number)));
    members
}

fn read_failure(found: &Members<'_>) -> Option<UpstreamError> {
    let detail = found.read::<String>("detail")?;
    Some(match &*found.read::<String>("kind")? {
        "not found" => UpstreamError::NotFound,
        "spawn" => UpstreamError::Spawn { detail },
        "connect" => UpstreamError::Connect { detail },
        "handshake" => UpstreamError::Handshake { detail },
        "status" => UpstreamError::Status { status: found.read("number")?, words: detail },
        "backoff" => UpstreamError::Backoff {
            retry_in: Duration::from_millis(found.read("number")?),
            detail,
        },
        "too many" => UpstreamError::TooMany,
        "share" => UpstreamError::ShareUsedUp { limit: found.read("number")? },
        "busy" => UpstreamError::Busy,
        "timeout" => UpstreamError::Timeout,
        "closed" => UpstreamError::Closed { detail },
        "expired" => UpstreamError::SessionExpired,
        "lost" => UpstreamError::Lost,
        "cancelled" => UpstreamError::Cancelled,
        "too large" => UpstreamError::TooLarge,
        "params" => UpstreamError::Params(WireError::InvalidParams(detail)),
        "protocol" => UpstreamError::Protocol { detail },
        _ => return None,
    })
}

fn said(
    tag: &'static str,
    what: &str,
    method: &str,
    params: Option<&Payload>,
) -> Vec<(&'static str, String)> {
    let mut members = vec![(tag, wire::quote(what)), ("method", wire::quote(method))];
    members.extend(params.map(|params| ("params", params.as_str().to_owned())));
    members
}

fn write(members: &[(&'static str, String)]) -> Bytes {
    let members: Vec<_> = members.iter().map(|(name, value)| (*name, &**value)).collect();
    wire::object(&members).as_bytes().clone()
}

struct Members<'a>(Vec<(Cow<'a, str>, Payload)>);

impl Members<'_> {
    fn find(&self, name: &str) -> Option<Payload> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
    }

    fn read<T: serde::de::DeserializeOwned>(&self, name: &str) -> Option<T> {
        self.find(name)?.read().ok()
    }
}

#[cfg(test)]
mod tests;
