//! Which era a server is met in (MCP 2026-07-28, versioning and stdio, "Backward Compatibility"). A server may have both, and what it offers in
//! one it need not have in the other, so it is asked in its caller's first (FB41): `initialize` on behalf of a legacy client, `server/discover` on
//! behalf of a modern one, and the other when it refuses. Silence after `server/discover` is not waited out: a server that takes long to start
//! gets both questions, and the one it answers decides. Some end, or say nothing any more, when their first message is another than
//! `initialize` (FB30): the pool starts those once more, with one question alone ([`EraOrder::again`]), and remembers it ([`KnownEras`]).

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

/// How long `server/discover` alone is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// In which eras a server is asked, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EraOrder {
    first: Era,
    then: Option<Era>,
    /// It has answered the first question before.
    is_known: bool,
}

/// What is known of a server since it was met before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct KnownEras {
    /// Does it answer `initialize`?
    legacy: Option<bool>,
    /// Does it answer `server/discover`?
    modern: Option<bool>,
}

impl KnownEras {
    fn of(&mut self, era: Era) -> &mut Option<bool> {
        match era {
            Era::Legacy => &mut self.legacy,
            Era::Modern => &mut self.modern,
        }
    }

    /// How to ask on behalf of callers of `wanted`; `configured` is the only one that the server speaks, if its configuration says so.
    pub(super) fn order(mut self, wanted: Era, configured: Option<Era>) -> EraOrder {
        if let Some(era) = configured {
            return EraOrder::only(era);
        }
        let other = wanted.other();
        // What it lacked it may have by now, but hardly: it is asked only if it refuses what it had.
        let (first, then) = if *self.of(wanted) == Some(false) { (other, wanted) } else { (wanted, other) };
        EraOrder { first, then: Some(then), is_known: *self.of(first) == Some(true) }
    }

    /// It was asked in this order, and answered.
    pub(super) fn note_answer(&mut self, order: EraOrder, era: Era) {
        *self.of(era) = Some(true);
        if era != order.first {
            *self.of(order.first) = Some(false);
        }
    }

    /// It said nothing within its time: the other question comes first the next time.
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

    /// The first question may have been too much for the server: it is started once more, and asked the other one alone. `None`: it was not that.
    /// A handshake hurts nobody, so one that said nothing in all its time will not say more.
    pub(super) fn again(self, error: &UpstreamError, is_silent: bool) -> Option<Self> {
        let has_ended = matches!(error, UpstreamError::Closed { .. });
        let may_be_why = !self.is_known && if is_silent { self.first == Era::Modern } else { has_ended };
        self.then.filter(|_| may_be_why).map(|first| Self { first, then: None, is_known: false })
    }
}

/// The answer to one of the two questions.
enum Answer {
    Here(ServerInfo),
    /// It is not of this era, or says so; the error if it is of no other either.
    NotHere(UpstreamError),
}

/// Gets to know the server.
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
                // A server without the era that was wanted is refused in the words of the one that is left.
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
            Err(error @ (UpstreamError::Handshake { .. } | UpstreamError::Status { .. })) => Ok(Answer::NotHere(error)),
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
    let headers = modern::headers(method::SERVER_DISCOVER, Some(&params))?;
    let call = Call { timeout: Some(timeout), headers, ..Call::default() };
    match ask(inbox, link, method::SERVER_DISCOVER, Some(params), call, timeout).await {
        Ok(Outcome::Result(result)) => Ok(match ServerInfo::of_discover(&result) {
            Some(info) => Answer::Here(info),
            // Something else that answers everything.
            None => not_modern(result.as_str()),
        }),
        Ok(Outcome::Error(error)) => refusal(&error),
        Err(error @ (UpstreamError::Status { .. } | UpstreamError::Protocol { .. })) => Ok(Answer::NotHere(error)),
        Err(error) => Err(error),
    }
}

fn not_modern(answer: &str) -> Answer {
    Answer::NotHere(UpstreamError::handshake(format!("server/discover was answered with {}", excerpt(answer))))
}

/// A modern server says which revisions it has; one that has legacy ones too is greeted.
fn refusal(error: &Payload) -> Result<Answer, UpstreamError> {
    let found: serde_json::Value = error.read().unwrap_or_default();
    match found[error_member::CODE].as_i64() {
        Some(code::UNSUPPORTED_PROTOCOL_VERSION) => {
            let supported = found[error_member::DATA][error_member::SUPPORTED].as_array();
            let has_legacy = supported.into_iter().flatten().filter_map(|revision| revision.as_str()).any(era::is_legacy);
            if has_legacy {
                return Ok(not_modern(error.as_str()));
            }
            Err(UpstreamError::handshake(format!("the server speaks no revision that we know: {}", excerpt(error.as_str()))))
        }
        Some(code::HEADER_MISMATCH | code::MISSING_CLIENT_CAPABILITY) => {
            Err(UpstreamError::handshake(format!("server/discover was answered with {}", excerpt(error.as_str()))))
        }
        _ => Ok(not_modern(error.as_str())),
    }
}
