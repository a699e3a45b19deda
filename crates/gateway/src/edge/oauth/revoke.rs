//! `POST /auth/revoke`: a client ends a token (RFC 7009). The rules are
//! `portunus_core::oauth::revoke`.

use std::{net::IpAddr, sync::Arc};

use axum::{
    Extension, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    response::{IntoResponse, Response},
    routing,
};
use http::{HeaderMap, StatusCode, header};
use portunus_core::{
    Clock,
    oauth::{
        presented::{Presented, presented},
        revoke,
    },
    store::GrantStore,
};

use super::support::{
    answers::{self, Failure},
    client_gate::ClientGate,
};
use crate::{
    audit::RequestAudit,
    edge::{extensions::Peer, limits},
};

#[derive(Clone)]
pub struct RevokeState {
    pub gate: ClientGate,
    pub grants: Arc<dyn GrantStore>,
    pub clock: Arc<dyn Clock>,
}

pub fn routes(state: RevokeState) -> Router {
    Router::new()
        .route("/auth/revoke", routing::post(post))
        .layer(DefaultBodyLimit::max(limits::FORM))
        .with_state(state)
}

/// 200 whether there was anything to revoke or not; 503 if we cannot know that it is done (threat
/// 19).
async fn post(
    State(state): State<RevokeState>,
    Extension(Peer(peer)): Extension<Peer>,
    Extension(audit): Extension<RequestAudit>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    match end(&state, peer, &audit, &headers, &body).await {
        Ok(()) => (StatusCode::OK, [(header::CACHE_CONTROL, "no-store")]).into_response(),
        Err(failure) => answers::failure(&failure, "revoke", &headers),
    }
}

async fn end(
    state: &RevokeState,
    peer: IpAddr,
    audit: &RequestAudit,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<(), Failure> {
    let (form, client) = state.gate.admit(peer, headers, body).await?;
    let now = state.clock.now();
    match presented(&form)? {
        Some(Presented::Refresh(presented)) => {
            let found = state.grants.find_refresh(&presented.key(), now).await?;
            if let Some(grant) = revoke::of_refresh(&client, &presented, found)? {
                state.grants.revoke_grant(&grant, now).await?;
                tracing::info!(client_id = %client.client().id, %grant, "grant revoked by its client");
                audit.token_revoked(&client.client().id, Some(&grant));
            }
        }
        Some(Presented::Access(hash)) => {
            let known =
                revoke::of_access(&client, state.grants.find_access(&hash, now).await?)?.is_some();
            // Also one that the store does not know (any more): an attempt before may have ended it
            // and have told no gateway, and those that remember it would still let it through.
            state.grants.revoke_access(&hash).await?;
            if known {
                tracing::info!(client_id = %client.client().id, "access token revoked by its client");
                audit.token_revoked(&client.client().id, None);
            }
        }
        None => {}
    }
    Ok(())
}
