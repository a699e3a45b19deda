//! `POST /auth/introspect`: what a token is (RFC 7662). The rules are
//! `portunus_core::oauth::introspect`. The store is asked every time: the answer is never staler
//! than the store.

use std::{net::IpAddr, sync::Arc};

use axum::{
    Extension, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    response::Response,
    routing,
};
use http::{HeaderMap, StatusCode};
use portunus_core::{
    Clock, agent_key,
    lifetimes::Lifetimes,
    oauth::{
        introspect::{self, Introspection},
        presented::{Presented, presented},
    },
    resource::PublicUrl,
    store::{GrantStore, LoginStore},
};

use super::support::{
    answers::{self, Failure},
    client_gate::ClientGate,
};
use crate::edge::{extensions::Peer, limits, providers::Providers};

#[derive(Clone)]
pub struct IntrospectState {
    pub gate: ClientGate,
    pub grants: Arc<dyn GrantStore>,
    pub logins: Arc<dyn LoginStore>,
    pub providers: Providers,
    pub public_url: PublicUrl,
    pub clock: Arc<dyn Clock>,
    pub lifetimes: Lifetimes,
}

pub fn routes(state: IntrospectState) -> Router {
    Router::new()
        .route("/auth/introspect", routing::post(post))
        .layer(DefaultBodyLimit::max(limits::FORM))
        .with_state(state)
}

async fn post(
    State(state): State<IntrospectState>,
    Extension(Peer(peer)): Extension<Peer>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    match look(&state, peer, &headers, &body).await {
        Ok(introspection) => answers::no_store(StatusCode::OK, &introspection),
        Err(failure) => answers::failure(&failure, "introspect", &headers),
    }
}

async fn look(
    state: &IntrospectState,
    peer: IpAddr,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Introspection, Failure> {
    let (form, client) = state.gate.admit(peer, headers, body).await?;
    introspect::check_client(&client)?;
    let now = state.clock.now();
    match presented(&form)? {
        Some(Presented::Access(hash)) => {
            let found = state
                .grants
                .find_access(&hash, now)
                .await?
                .filter(|found| state.providers.admit(&found.user))
                .filter(|found| {
                    found.grant.key.is_none()
                        || agent_key::check_owner(&found.user, now, &state.lifetimes).is_ok()
                });
            Ok(introspect::of_access(&client, found, now, &state.public_url))
        }
        Some(Presented::Refresh(presented)) => {
            let found = state.grants.find_refresh(&presented.key(), now).await?;
            let user = match &found {
                Some(found) => state.logins.find_user(&found.grant.user).await?,
                None => None,
            };
            let found =
                found.filter(|_| user.as_ref().is_some_and(|user| state.providers.admit(user)));
            Ok(introspect::of_refresh(
                &client,
                (&presented, found),
                user.as_ref(),
                now,
                &state.public_url,
            ))
        }
        None => Ok(Introspection::INACTIVE),
    }
}
