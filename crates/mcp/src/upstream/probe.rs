//! Finds out the era of a server (MCP 2026-07-28, versioning and stdio, "Backward Compatibility").
//! The handshake of the legacy era is next door, in [`super::handshake`].
//!
//! A server may have both eras and offer something in one alone, so the era of the caller is asked
//! for first (FB41): `initialize` for a legacy client, `server/discover` for a modern one, and the
//! other if the server refuses. Silence after `server/discover` is not waited out: a server that
//! takes long to start gets both questions, and the first answer decides. Some servers end or fall
//! silent when the first message is not `initialize` (FB30): the pool starts those once more with
//! one question alone ([`EraOrder::again`]), and remembers it ([`KnownEras`]).

use std::{sync::Arc, time::Duration};

use super::{
    call::{Call, ask},
    error::{UpstreamError, excerpt},
    handshake,
    inbox::Inbox,
    link::Link,
    modern,
    server_info::ServerInfo,
};
use crate::{
    client_capabilities::ClientCapabilities,
    era::{self, Era},
    wire::{
        Outcome, Payload, code,
        protocol::{error_member, method},
    },
};

/// How long `server/discover` is waited for before `initialize` is sent too.
const PATIENCE: Duration = Duration::from_secs(5);

/// The eras in which a server is asked, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EraOrder {
    first: Era,
    then: Option<Era>,
    /// The server has answered the first question before.
    is_known: bool,
}

/// What earlier connections have shown of a server's eras.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct KnownEras {
    /// Does the server answer `initialize`?
    legacy: Option<bool>,
    /// Does the server answer `server/discover`?
    modern: Option<bool>,
}

impl KnownEras {
    fn of(&mut self, era: Era) -> &mut Option<bool> {
        match era {
            Era::Legacy => &mut self.legacy,
            Era::Modern => &mut self.modern,
        }
    }

    /// The order for callers of `wanted`. `configured` is the only era of the server, if its
    /// configuration has one.
    pub(super) fn order(mut self, wanted: Era, configured: Option<Era>) -> EraOrder {
        if let Some(era) = configured {
            return EraOrder::only(era);
        }
        let other = wanted.other();
        // A server hardly ever gains an era: the one that it lacked is asked for only if it refuses
        // the other.
        let (first, then) =
            if *self.of(wanted) == Some(false) { (other, wanted) } else { (wanted, other) };
        EraOrder { first, then: Some(then), is_known: *self.of(first) == Some(true) }
    }

    /// Notes that the server, asked in this order, answered in `era`.
    pub(super) fn note_answer(&mut self, order: EraOrder, era: Era) {
        *self.of(era) = Some(true);
        if era != order.first {
            *self.of(order.first) = Some(false);
        }
    }

    /// Notes that the server did not answer in time: the other question comes first the next time.
    pub(super) fn note_silence(&mut self, order: EraOrder) {
        if order.then.is_some() && *self.of(order.first) != Some(true) {
            *self.of(order.first) = Some(false);
        }
    }
}

impl EraOrder {
    pub(super) fn only(era: Era) -> Self {
        Self { first: era, then: None, is_known: true }
    }

    /// The order for a second start, with the other question alone, if the first question may be
    /// why the server failed. `None`: it is not.
    ///
    /// Servers bear `initialize`, so one that was silent after it would be silent again.
    pub(super) fn again(self, error: &UpstreamError, is_silent: bool) -> Option<Self> {
        let has_ended = matches!(error, UpstreamError::Closed { .. });
        let may_be_why =
            !self.is_known && if is_silent { self.first == Era::Modern } else { has_ended };
        self.then.filter(|_| may_be_why).map(|first| Self { first, then: None, is_known: false })
    }
}

/// The answer to one of the two questions.
enum Answer {
    Here(ServerInfo),
    /// The server is not of this era; the error to report if it is of no other either.
    NotHere(UpstreamError),
}

/// Asks the server in this order; what it says of itself in the era that it answers in.
pub(super) async fn find_era(
    inbox: &Arc<Inbox>,
    link: &Arc<dyn Link>,
    client_capabilities: &ClientCapabilities,
    order: EraOrder,
    timeout: Duration,
) -> Result<ServerInfo, UpstreamError> {
    let Some(other) = order.then else {
        return only(question(inbox, link, client_capabilities, order.first, timeout).await?);
    };
    let first = question(inbox, link, client_capabilities, order.first, timeout);
    tokio::pin!(first);
    let answered = match order.first {
        Era::Legacy => Some(first.as_mut().await),
        Era::Modern => tokio::time::timeout(PATIENCE.min(timeout / 3), &mut first).await.ok(),
    };
    let second = question(inbox, link, client_capabilities, other, timeout);
    match answered {
        Some(Ok(Answer::Here(info))) => return Ok(info),
        Some(Ok(Answer::NotHere(why))) => {
            return match second.await? {
                Answer::Here(info) => Ok(info),
                // A server that refuses both is reported with its answer to the question of the
                // wanted era.
                Answer::NotHere(UpstreamError::Status { .. }) => Err(why),
                Answer::NotHere(error) => Err(error),
            };
        }
        Some(Err(error)) => return Err(error),
        None => {}
    }
    tokio::pin!(second);
    tokio::select! {
        answer = &mut first => match answer {
            Ok(Answer::Here(info)) => Ok(info),
            Ok(Answer::NotHere(_)) | Err(_) => only(second.await?),
        },
        answer = &mut second => match answer? {
            Answer::Here(info) => Ok(info),
            Answer::NotHere(why) => match first.await {
                Ok(Answer::Here(info)) => Ok(info),
                _ => Err(why),
            },
        },
    }
}

fn only(answer: Answer) -> Result<ServerInfo, UpstreamError> {
    match answer {
        Answer::Here(info) => Ok(info),
        Answer::NotHere(why) => Err(why),
    }
}

async fn question(
    inbox: &Arc<Inbox>,
    link: &Arc<dyn Link>,
    client_capabilities: &ClientCapabilities,
    era: Era,
    timeout: Duration,
) -> Result<Answer, UpstreamError> {
    match era {
        Era::Modern => discover(inbox, link, client_capabilities, timeout).await,
        Era::Legacy => match handshake::perform(inbox, link, client_capabilities, timeout).await {
            Ok(info) => Ok(Answer::Here(info)),
            Err(error @ (UpstreamError::Handshake { .. } | UpstreamError::Status { .. })) => {
                Ok(Answer::NotHere(error))
            }
            Err(error) => Err(error),
        },
    }
}

async fn discover(
    inbox: &Arc<Inbox>,
    link: &Arc<dyn Link>,
    client_capabilities: &ClientCapabilities,
    timeout: Duration,
) -> Result<Answer, UpstreamError> {
    let params = modern::own_params(None, &client_capabilities.capabilities())?;
    let headers = modern::headers(method::SERVER_DISCOVER, Some(&params), None)?;
    let call = Call { timeout: Some(timeout), headers, ..Call::default() };
    match ask(inbox, link, method::SERVER_DISCOVER, Some(params), call, timeout).await {
        Ok(Outcome::Result(result)) => Ok(match ServerInfo::of_discover(&result) {
            Some(info) => Answer::Here(info),
            // Not an MCP server of this era, though it answers.
            None => not_modern(result.as_str()),
        }),
        Ok(Outcome::Error(error)) => refusal(&error),
        Err(error @ (UpstreamError::Status { .. } | UpstreamError::Protocol { .. })) => {
            Ok(Answer::NotHere(error))
        }
        Err(error) => Err(error),
    }
}

fn not_modern(answer: &str) -> Answer {
    Answer::NotHere(UpstreamError::handshake(format!(
        "server/discover was answered with {}",
        excerpt(answer)
    )))
}

/// Reads a refusal. A modern server names its revisions; if legacy ones are among them, the
/// handshake follows.
fn refusal(error: &Payload) -> Result<Answer, UpstreamError> {
    let found: serde_json::Value = error.read().unwrap_or_default();
    match found[error_member::CODE].as_i64() {
        Some(code::UNSUPPORTED_PROTOCOL_VERSION) => {
            let supported = found[error_member::DATA][error_member::SUPPORTED].as_array();
            let has_legacy = supported
                .into_iter()
                .flatten()
                .filter_map(|revision| revision.as_str())
                .any(era::is_legacy);
            if has_legacy {
                return Ok(not_modern(error.as_str()));
            }
            Err(UpstreamError::handshake(format!(
                "the server speaks no revision that we know: {}",
                excerpt(error.as_str())
            )))
        }
        Some(code::HEADER_MISMATCH | code::MISSING_CLIENT_CAPABILITY) => {
            Err(UpstreamError::handshake(format!(
                "server/discover was answered with {}",
                excerpt(error.as_str())
            )))
        }
        _ => Ok(not_modern(error.as_str())),
    }
}
