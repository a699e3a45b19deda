//! `POST /auth/token`: codes and refresh tokens become access tokens (RFC 6749 section 3.2). The rules are
//! `portunus_core::oauth::token`; what must happen once happens in the store.

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    response::Response,
    routing,
};
use http::{HeaderMap, StatusCode, header};
use portunus_core::{
    Clock, Entropy,
    ids::{ClientId, GrantId},
    lifetimes::Lifetimes,
    oauth::{
        ErrorCode, OAuthError,
        header::basic as basic_header,
        params::Params,
        token::{self, AuthenticatedClient, RefreshRefused, TokenResponse},
    },
    resource::Resources,
    secret::{SecretText, TokenHash, TokenKind, TokenSecret},
    store::{ClientStore, GrantStore, Redeemed, Rotated, StoreError},
};

use crate::edge::{limits, oauth_answers, protect::bearer::TokenCache};

#[derive(Clone)]
pub struct TokenRoom {
    pub clients: Arc<dyn ClientStore>,
    pub grants: Arc<dyn GrantStore>,
    pub cache: TokenCache,
    pub resources: Arc<Resources>,
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

/// Why there is no token.
enum Failure {
    OAuth(OAuthError),
    Store(StoreError),
}

impl From<OAuthError> for Failure {
    fn from(error: OAuthError) -> Self {
        Self::OAuth(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

async fn post(State(room): State<TokenRoom>, headers: HeaderMap, body: Bytes) -> Response {
    let tried_basic = headers.contains_key(header::AUTHORIZATION);
    match answer(&room, &headers, &body).await {
        Ok(answer) => oauth_answers::no_store(StatusCode::OK, &answer),
        Err(Failure::OAuth(problem)) => {
            tracing::info!(%problem, "token request refused");
            oauth_answers::error(&problem, tried_basic)
        }
        Err(Failure::Store(error)) => oauth_answers::store_down(&error),
    }
}

async fn answer(room: &TokenRoom, headers: &HeaderMap, body: &[u8]) -> Result<TokenResponse, Failure> {
    if !limits::is_form(headers) {
        let problem = OAuthError::new(ErrorCode::InvalidRequest, "send the parameters as application/x-www-form-urlencoded");
        return Err(problem.into());
    }
    let form = Params::parse(body).map_err(OAuthError::from)?;
    let presented = token::credentials(basic(headers)?, &form)?;
    let client = room.clients.find_client(&ClientId::from_text(&presented.client_id)).await?;
    let client = token::authenticate(client.as_ref(), &presented)?;
    match form.require("grant_type")? {
        "authorization_code" => redeem(room, &client, &form).await,
        "refresh_token" => refresh(room, &client, &form).await,
        _ => {
            let problem = "grant_type must be authorization_code or refresh_token";
            Err(OAuthError::new(ErrorCode::UnsupportedGrantType, problem).into())
        }
    }
}

/// Client credentials of HTTP Basic; two headers are none that can be trusted.
fn basic(headers: &HeaderMap) -> Result<Option<(String, SecretText)>, OAuthError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => basic_header(value.as_bytes()).map(Some),
        (Some(_), Some(_)) => Err(OAuthError::new(ErrorCode::InvalidRequest, "the Authorization header was sent more than once")),
    }
}

async fn redeem(room: &TokenRoom, client: &AuthenticatedClient<'_>, form: &Params) -> Result<TokenResponse, Failure> {
    let now = room.clock.now();
    let code = form.require("code")?;
    let hash = TokenSecret::parse(TokenKind::Code, code).map(|secret| secret.hash());
    let found = match &hash {
        Some(hash) => room.grants.find_code(hash, now).await?,
        None => None,
    };
    let found = token::check_code(client, form, found, &room.resources)?;
    if let Some(grant) = found.redeemed {
        return revoke_replayed(room, client, &grant).await;
    }
    let redemption = token::redeem(client, &found.code, now, &room.lifetimes, &*room.entropy);
    let written = room
        .grants
        .redeem_code(&found.code.hash, &redemption.grant, &redemption.access, redemption.refresh.as_ref(), now)
        .await?;
    match written {
        Redeemed::Fresh => {
            room.clients.touch_client(&client.client().id, now).await?;
            tracing::info!(user = %redemption.grant.user, client_id = %redemption.grant.client, grant = %redemption.grant.id,
                resource = %redemption.grant.resource, "grant made");
            Ok(redemption.answer)
        }
        Redeemed::Already(grant) => revoke_replayed(room, client, &grant).await,
        Redeemed::Unknown => Err(OAuthError::new(ErrorCode::InvalidGrant, "the code is unknown or expired").into()),
    }
}

/// A sound second use of a code: somebody else has it too, so everything made of it ends (threat 15).
async fn revoke_replayed(room: &TokenRoom, client: &AuthenticatedClient<'_>, grant: &GrantId) -> Result<TokenResponse, Failure> {
    revoke(room, grant).await?;
    tracing::warn!(client_id = %client.client().id, %grant, "a code was used twice: its grant is revoked");
    Err(token::code_replayed().into())
}

async fn revoke(room: &TokenRoom, grant: &GrantId) -> Result<(), StoreError> {
    room.grants.revoke_grant(grant, room.clock.now()).await?;
    room.cache.forget();
    Ok(())
}

async fn refresh(room: &TokenRoom, client: &AuthenticatedClient<'_>, form: &Params) -> Result<TokenResponse, Failure> {
    let now = room.clock.now();
    let presented = form.require("refresh_token")?;
    let hash = TokenSecret::parse(TokenKind::Refresh, presented).map(|secret| secret.hash());
    let found = match &hash {
        Some(hash) => room.grants.find_refresh(hash, now).await?,
        None => None,
    };
    match token::refresh(client, form, found, &room.resources, now, &room.lifetimes, &*room.entropy) {
        Ok(exchange) => rotate(room, hash, exchange).await,
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
