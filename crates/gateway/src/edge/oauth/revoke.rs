//! `POST /auth/revoke`: a client ends a token (RFC 7009). The rules are `portunus_core::oauth::revoke`.

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
    bulletin::Bulletin,
    oauth::{
        presented::{Presented, presented},
        revoke,
    },
    store::GrantStore,
};

use crate::edge::{
    layers::Peer,
    limits,
    oauth_answers::{self, Failure},
    oauth_clients::ClientGate,
    protect::cache::TokenCache,
};

#[derive(Clone)]
pub struct RevokeRoom {
    pub gate: ClientGate,
    pub grants: Arc<dyn GrantStore>,
    pub cache: TokenCache,
    pub clock: Arc<dyn Clock>,
}

pub fn routes(room: RevokeRoom) -> Router {
    Router::new().route("/auth/revoke", routing::post(post)).layer(DefaultBodyLimit::max(limits::FORM)).with_state(room)
}

/// 200 whether there was anything to revoke or not; 503 if we cannot know that it is done (threat 19).
async fn post(
    State(room): State<RevokeRoom>,
    Extension(Peer(peer)): Extension<Peer>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    match end(&room, peer, &headers, &body).await {
        Ok(()) => (StatusCode::OK, [(header::CACHE_CONTROL, "no-store")]).into_response(),
        Err(failure) => oauth_answers::failure(&failure, "revoke", &headers),
    }
}

async fn end(room: &RevokeRoom, peer: IpAddr, headers: &HeaderMap, body: &[u8]) -> Result<(), Failure> {
    let (form, client) = room.gate.admit(peer, headers, body).await?;
    let now = room.clock.now();
    match presented(&form)? {
        Some(Presented::Refresh(presented)) => {
            let found = room.grants.find_refresh(&presented.key(), now).await?;
            if let Some(grant) = revoke::of_refresh(&client, &presented, found)? {
                room.grants.revoke_grant(&grant, now).await?;
                room.cache.forget(Bulletin::Grant(grant.clone()));
                tracing::info!(client_id = %client.client().id, %grant, "grant revoked by its client");
            }
        }
        Some(Presented::Access(hash)) => {
            if let Some(hash) = revoke::of_access(&client, room.grants.find_access(&hash, now).await?)? {
                room.grants.revoke_access(&hash).await?;
                room.cache.forget(Bulletin::Access(hash));
                tracing::info!(client_id = %client.client().id, "access token revoked by its client");
            }
        }
        None => {}
    }
    Ok(())
}
