//! The layers that count: one in front of endpoints, by address ([`by_address`]), and one round
//! everything, for failed authentications ([`failures`]). How much is too much is
//! [`super::limiter`]'s.

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http::StatusCode;

use super::limiter::{Gate, Throttle, TooMany};
use crate::{
    audit::PendingRefusal,
    edge::{
        browser::{PageContext, PageError},
        extensions::{FailedAuthentication, Peer, RequestId},
        oauth::support::answers,
    },
};

/// What [`by_address`] needs.
#[derive(Clone)]
pub struct ThrottleState {
    pub throttle: Throttle,
    pub gate: Gate,
    /// For answers to people, who get a page.
    pub page_context: Option<PageContext>,
}

/// The layer in front of endpoints that cost us something before the client has proven anything.
pub async fn by_address(
    State(state): State<ThrottleState>,
    request: Request,
    next: Next,
) -> Response {
    let Some(Peer(peer)) = request.extensions().get::<Peer>().copied() else {
        return next.run(request).await;
    };
    let Err(too_many) = state.throttle.check(state.gate, peer) else {
        return next.run(request).await;
    };
    tracing::info!(%peer, gate = ?state.gate, "too many requests from one address");
    match (&state.page_context, request.extensions().get::<RequestId>()) {
        (Some(page_context), Some(id)) => page(too_many, page_context, id),
        _ => answers::too_many(too_many),
    }
}

/// Round everything: what failed to prove itself counts, and too many such answers become 429. The
/// refusal of one that is not too much is recorded.
pub fn failures(throttle: &Throttle, peer: Option<Peer>, mut response: Response) -> Response {
    let has_failed = response.extensions().get::<FailedAuthentication>().is_some();
    let refusal = response.extensions_mut().remove::<PendingRefusal>();
    if let Some(Peer(peer)) = peer
        && has_failed
        && let Err(too_many) = throttle.count_failure(peer)
    {
        tracing::info!(%peer, "too many failed authentications from one address");
        return answers::too_many(too_many);
    }
    if let Some(refusal) = refusal {
        refusal.record();
    }
    response
}

fn page(too_many: TooMany, page_context: &PageContext, id: &RequestId) -> Response {
    let error =
        PageError::new("Too many requests", "Your address has asked for this too often just now.")
            .hint("Please wait a minute, then try again.");
    too_many.with_retry_after(page_context.error(StatusCode::TOO_MANY_REQUESTS, id, error))
}
