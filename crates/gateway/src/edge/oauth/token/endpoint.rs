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
use portunus_core::{
    audit::{Person, RefusalReason},
    oauth::{ErrorCode, OAuthError, token::TokenResponse},
};

use super::{
    authorization_code::AuthorizationCode,
    client_credentials::ClientCredentials,
    pipeline::{TokenRequest, run},
    refresh_token::RefreshToken,
    state::TokenState,
};
use crate::{
    audit::RequestAudit,
    edge::{
        extensions::Peer,
        limits,
        oauth::support::answers::{self, Failure},
    },
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
    Extension(audit): Extension<RequestAudit>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut proven = None;
    match answer(&state, peer, &audit, &headers, &body, &mut proven).await {
        Ok(answer) => answers::no_store(StatusCode::OK, &answer),
        Err(failure) => {
            let about = |problem: &OAuthError| {
                format!("{}: {}", problem.code.as_str(), problem.description)
            };
            let client = proven.map(Person::client).unwrap_or_default();
            match &failure {
                Failure::OAuth(problem) => {
                    audit.refused(client, RefusalReason::TokenRequestRefused, about(problem));
                }
                Failure::Disabled(whose, problem) => {
                    let is_known = **whose != Person::default();
                    let person = if is_known { (**whose).clone() } else { client };
                    audit.refused(person, RefusalReason::Disabled, about(problem));
                }
                Failure::Store(_) | Failure::TooMany(_) => {}
            }
            answers::failure(&failure, "token", &headers)
        }
    }
}

/// `proven` is the client's id, once it has proven itself.
async fn answer(
    state: &TokenState,
    peer: IpAddr,
    audit: &RequestAudit,
    headers: &HeaderMap,
    body: &[u8],
    proven: &mut Option<String>,
) -> Result<TokenResponse, Failure> {
    let (form, client) = state.gate.admit(peer, headers, body).await?;
    *proven = Some(client.client().id.as_str().to_owned());
    let request = TokenRequest { state, client: &client, form: &form, peer, audit };
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
