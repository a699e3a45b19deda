//! The endpoint: proves the client, and hands the request to the grant type that it names.

use std::net::IpAddr;

use axum::{
    Extension, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    response::Response,
    routing,
};
use http::{HeaderMap, StatusCode};
use portunus_core::oauth::{ErrorCode, OAuthError, token::TokenResponse};

use super::{
    authorization_code::AuthorizationCode,
    client_credentials::ClientCredentials,
    pipeline::{TokenRequest, run},
    refresh_token::RefreshToken,
    state::TokenState,
};
use crate::edge::{
    extensions::Peer,
    limits,
    oauth::support::answers::{self, Failure},
};

pub fn routes(state: TokenState) -> Router {
    Router::new()
        .route("/auth/token", routing::post(post))
        .route("/token", routing::post(post))
        .layer(DefaultBodyLimit::max(limits::FORM))
        .with_state(state)
}

async fn post(
    State(state): State<TokenState>,
    Extension(Peer(peer)): Extension<Peer>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    match answer(&state, peer, &headers, &body).await {
        Ok(answer) => answers::no_store(StatusCode::OK, &answer),
        Err(failure) => answers::failure(&failure, "token", &headers),
    }
}

async fn answer(
    state: &TokenState,
    peer: IpAddr,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<TokenResponse, Failure> {
    let (form, client) = state.gate.admit(peer, headers, body).await?;
    let request = TokenRequest { state, client: &client, form: &form, peer };
    match form.require("grant_type")? {
        "authorization_code" => run::<AuthorizationCode>(&request).await,
        "refresh_token" => run::<RefreshToken>(&request).await,
        "client_credentials" => run::<ClientCredentials>(&request).await,
        _ => {
            let problem =
                "grant_type must be authorization_code, refresh_token or client_credentials";
            Err(OAuthError::new(ErrorCode::UnsupportedGrantType, problem).into())
        }
    }
}
