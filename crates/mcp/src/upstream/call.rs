//! One call, from its request to its answer. What the server says about it meanwhile is next door,
//! in [`super::call_event`]; what a modern request must carry, in [`super::modern`].

use std::{sync::Arc, time::Duration};

use http::HeaderMap;
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    call_event::CallEvent,
    error::UpstreamError,
    inbox::{Awaited, Inbox},
    link::{Link, Outgoing},
    owner::CallOrigin,
};
use crate::wire::{
    self, Outcome, Payload, RequestId,
    protocol::{member, method, notification},
};

/// Progress may prolong a call to this many times its timeout.
const PROLONGED: u32 = 20;
/// How long telling the server of a cancellation may take.
const CANCEL_NOTICE: Duration = Duration::from_secs(5);

/// Options of one request.
#[derive(Clone, Debug, Default)]
pub struct Call {
    /// Receives what the server sends about this call before its answer. Without it, requests of
    /// the server about this call are refused.
    pub call_events: Option<mpsc::Sender<CallEvent>>,
    /// Whose call it is.
    pub origin: CallOrigin,
    /// Cancels the call, at the server too. Dropping the future of the call does the same.
    pub cancel: CancellationToken,
    /// The longest wait since the request or since the last progress; by default the server's
    /// `request_timeout`.
    pub timeout: Option<Duration>,
    /// Headers for transports that have them: the header parameters of a tool.
    pub headers: HeaderMap,
    /// What is known of the parameters already, so that they are not read again.
    pub known: Option<KnownParams>,
}

/// What a caller knows of a request's parameters, since it has read them.
#[derive(Clone, Debug, Default)]
pub struct KnownParams {
    /// Of a tool or a prompt, as the server calls it.
    pub name: Option<String>,
    /// `_meta.progressToken`.
    pub progress_token: Option<RequestId>,
    /// Does `_meta` say the revision, and with it all that a modern server must be told?
    pub says_revision: bool,
}

/// Sends a request and waits for its answer, its timeout or its cancellation.
pub(super) async fn ask(
    inbox: &Arc<Inbox>,
    link: &Arc<dyn Link>,
    method: &str,
    params: Option<Payload>,
    call: Call,
    default_timeout: Duration,
) -> Result<Outcome, UpstreamError> {
    let token = match call.known {
        Some(known) => known.progress_token,
        None => params.as_ref().map(wire::progress_token).transpose()?.flatten(),
    };
    let Awaited { id, mut answer, clock } =
        inbox.register(call.call_events, call.origin, token.clone())?;
    let mut in_flight = InFlight { inbox, link, id, cancellable: false };
    let own = RequestId::number(id);
    let params = match (params, token) {
        (Some(params), Some(_)) => Some(wire::replace_progress_token(&params, &own)?),
        (params, _) => params,
    };
    let message = wire::request(&own, method, params.as_ref());
    let send = link.send(Outgoing { message, awaits: Some(id), headers: call.headers });
    tokio::pin!(send);
    in_flight.cancellable = !matches!(method, method::INITIALIZE | method::SERVER_DISCOVER);
    let mut unsent = true;
    let timeout = call.timeout.unwrap_or(default_timeout);
    let started = Instant::now();
    // One timer and one listener for the whole call: to set them up costs more than to wait.
    let late = tokio::time::sleep_until(started + timeout);
    let cancelled = call.cancel.cancelled();
    tokio::pin!(late, cancelled);
    loop {
        tokio::select! {
            biased;
            answer = &mut answer => {
                in_flight.cancellable = false;
                return answer.unwrap_or_else(|_| Err(UpstreamError::closed("the answer was dropped")));
            }
            () = &mut cancelled => return Err(UpstreamError::Cancelled),
            () = clock.restart.notified() => {
                late.as_mut().reset((Instant::now() + timeout).min(started + timeout * PROLONGED));
            }
            handed_over = &mut send, if unsent => {
                unsent = false;
                if let Err(error) = handed_over {
                    in_flight.cancellable = false;
                    return Err(error);
                }
                if link.answers_inline() && inbox.awaits(id) {
                    in_flight.cancellable = false;
                    return Err(UpstreamError::protocol("the response ended without an answer"));
                }
            }
            // The server is not late while it waits for the client. The code that asks the client
            // has a timeout of its own.
            () = &mut late => {
                if !clock.waits_for_client() {
                    return Err(UpstreamError::Timeout);
                }
                late.as_mut().reset(Instant::now() + timeout);
            }
        }
    }
}

/// A request in flight. When it is dropped before its answer (cancelled, timed out, caller gone),
/// the inbox forgets it and the server is told.
struct InFlight<'a> {
    inbox: &'a Arc<Inbox>,
    link: &'a Arc<dyn Link>,
    id: u64,
    cancellable: bool,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        if !self.inbox.forget(self.id) || !self.cancellable || self.inbox.closed().is_cancelled() {
            return;
        }
        if self.link.cancels_by_disconnect() {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let params = wire::object(&[(member::REQUEST_ID, &self.id.to_string())]);
        let message = wire::notification(notification::CANCELLED, Some(&params));
        let link = Arc::clone(self.link);
        runtime.spawn(async move {
            let _ = tokio::time::timeout(CANCEL_NOTICE, link.send(Outgoing::aside(message))).await;
        });
    }
}
