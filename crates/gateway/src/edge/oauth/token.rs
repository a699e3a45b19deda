//! `POST /auth/token`: codes, refresh tokens and client credentials become access tokens (RFC 6749 section 3.2). The rules are
//! `portunus_core::oauth::token`; what must happen once happens in the store.

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
    Clock, Entropy,
    bulletin::Bulletin,
    ids::{GrantId, UserId},
    lifetimes::Lifetimes,
    oauth::{
        ErrorCode, OAuthError,
        params::Params,
        token::{self, AuthenticatedClient, RefreshRefused, TokenResponse},
    },
    resource::Resources,
    secret::{TokenHash, TokenKind, TokenSecret},
    store::{ClientStore, GrantStore, LoginStore, Redeemed, Rotated, StoreError},
};

use crate::edge::{
    house::Providers,
    layers::Peer,
    limits,
    oauth_answers::{self, Failure},
    oauth_clients::ClientGate,
    protect::cache::TokenCache,
};

#[derive(Clone)]
pub struct TokenRoom {
    pub gate: ClientGate,
    pub clients: Arc<dyn ClientStore>,
    pub logins: Arc<dyn LoginStore>,
    pub grants: Arc<dyn GrantStore>,
    pub cache: TokenCache,
    pub resources: Arc<Resources>,
    pub providers: Providers,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub lifetimes: Lifetimes,
}

pub fn routes(room: TokenRoom) -> Router {
    Router::new()
        .route("/auth/token", routing::post(post))
        .route("/token", routing::post(post))
        .layer(DefaultBodyLimit::max(limits::FORM))
        .with_state(room)
}

async fn post(
    State(room): State<TokenRoom>,
    Extension(Peer(peer)): Extension<Peer>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    match answer(&room, peer, &headers, &body).await {
        Ok(answer) => oauth_answers::no_store(StatusCode::OK, &answer),
        Err(failure) => oauth_answers::failure(&failure, "token", &headers),
    }
}

async fn answer(room: &TokenRoom, peer: IpAddr, headers: &HeaderMap, body: &[u8]) -> Result<TokenResponse, Failure> {
    let (form, client) = room.gate.admit(peer, headers, body).await?;
    match form.require("grant_type")? {
        "authorization_code" => redeem(room, &client, &form).await,
        "refresh_token" => refresh(room, &client, &form).await,
        "client_credentials" => act_for_itself(room, &client, &form).await,
        _ => {
            let problem = "grant_type must be authorization_code, refresh_token or client_credentials";
            Err(OAuthError::new(ErrorCode::UnsupportedGrantType, problem).into())
        }
    }
}

async fn redeem(room: &TokenRoom, client: &AuthenticatedClient, form: &Params) -> Result<TokenResponse, Failure> {
    let now = room.clock.now();
    let code = form.require("code")?;
    let hash = TokenSecret::parse(TokenKind::Code, code).map(|secret| secret.hash());
    let found = match &hash {
        Some(hash) => room.grants.find_code(hash, now).await?,
        None => None,
    };
    let checked = token::check_code(client, form, found, &room.resources)?;
    if let Some(grant) = &checked.found.redeemed {
        return revoke_replayed(room, client, grant).await;
    }
    admit(room, &checked.found.code.user).await?;
    let redemption = token::redeem(client, &checked, now, &room.lifetimes, &*room.entropy);
    let written = room
        .grants
        .redeem_code(&checked.found.code.hash, &redemption.grant, &redemption.access, redemption.refresh.as_ref(), now)
        .await?;
    match written {
        Redeemed::Fresh => {
            room.clients.touch_client(&client.client().id, now).await?;
            tracing::info!(user = %redemption.grant.user, client_id = %redemption.grant.client, grant = %redemption.grant.id,
                resources = %redemption.grant.resources, "grant made");
            Ok(redemption.answer)
        }
        Redeemed::Already(grant) => revoke_replayed(room, client, &grant).await,
        Redeemed::Unknown => Err(OAuthError::new(ErrorCode::InvalidGrant, "the code is unknown or expired").into()),
    }
}

/// A sound second use of a code: somebody else has it too, so everything made of it ends (threat 15).
async fn revoke_replayed(room: &TokenRoom, client: &AuthenticatedClient, grant: &GrantId) -> Result<TokenResponse, Failure> {
    revoke(room, grant).await?;
    tracing::warn!(client_id = %client.client().id, %grant, "a code was used twice: its grant is revoked");
    Err(token::code_replayed().into())
}

async fn revoke(room: &TokenRoom, grant: &GrantId) -> Result<(), StoreError> {
    room.grants.revoke_grant(grant, room.clock.now()).await?;
    room.cache.forget(Bulletin::Grant(grant.clone()));
    Ok(())
}

/// Nothing new for a person whom the configuration does not admit any more, by what their provider said last (threat 53). The grant stays:
/// if it was the rule that was wrong, mending it is enough.
async fn admit(room: &TokenRoom, user: &UserId) -> Result<(), Failure> {
    let is_admitted = room.logins.find_user(user).await?.is_some_and(|user| room.providers.admit(&user));
    if is_admitted { Ok(()) } else { Err(token::not_admitted().into()) }
}

async fn refresh(room: &TokenRoom, client: &AuthenticatedClient, form: &Params) -> Result<TokenResponse, Failure> {
    let now = room.clock.now();
    let presented = form.require("refresh_token")?;
    let hash = TokenSecret::parse(TokenKind::Refresh, presented).map(|secret| secret.hash());
    let found = match &hash {
        Some(hash) => room.grants.find_refresh(hash, now).await?,
        None => None,
    };
    let user = found.as_ref().map(|found| found.grant.user.clone());
    match token::refresh(client, form, found, &room.resources, now, &room.lifetimes, &*room.entropy) {
        Ok(exchange) => {
            if let Some(user) = user {
                admit(room, &user).await?;
            }
            rotate(room, hash, exchange).await
        }
        Err(RefreshRefused::Error(problem)) => Err(problem.into()),
        Err(RefreshRefused::Reuse(grant)) => refuse_reuse(room, &grant).await,
    }
}

async fn rotate(room: &TokenRoom, hash: Option<TokenHash>, exchange: token::Exchange) -> Result<TokenResponse, Failure> {
    let Some(hash) = hash else { return Err(token::refresh_refused().into()) };
    let rotation = &exchange.rotation;
    let answer = |refresh: &str| TokenResponse::new(&exchange.access_secret, Some(refresh), &rotation.access, rotation.now);
    match room.grants.rotate_refresh(&hash, rotation).await? {
        Rotated::Fresh => Ok(answer(rotation.successor_secret.expose())),
        Rotated::Repeated { successor_secret } => Ok(answer(successor_secret.expose())),
        Rotated::Reused(grant) => refuse_reuse(room, &grant).await,
        Rotated::Unknown => Err(token::refresh_refused().into()),
    }
}

/// A refresh token came back long after it was exchanged: one of the two holders stole it, so the family ends (threat 17).
async fn refuse_reuse(room: &TokenRoom, grant: &GrantId) -> Result<TokenResponse, Failure> {
    revoke(room, grant).await?;
    tracing::warn!(%grant, "a used refresh token came back: its grant is revoked");
    Err(token::refresh_refused().into())
}

/// The client's own user is written first: its groups are those of the configuration from now on, for older tokens too.
async fn act_for_itself(room: &TokenRoom, client: &AuthenticatedClient, form: &Params) -> Result<TokenResponse, Failure> {
    let now = room.clock.now();
    let made = token::client_credentials(client, form, &room.resources, now, &room.lifetimes, &*room.entropy)?;
    room.logins.insert_user(&made.user).await?;
    room.grants.insert_grant(&made.grant, &made.access).await?;
    tracing::info!(user = %made.grant.user, client_id = %made.grant.client, grant = %made.grant.id,
        resources = %made.grant.resources, "grant made for the client itself");
    Ok(made.answer)
}
