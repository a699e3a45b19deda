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
    ids::{GrantId, UserId},
    lifetimes::Lifetimes,
    oauth::{
        ErrorCode, OAuthError,
        params::Params,
        token::{self, AuthenticatedClient, Issuing, RefreshRefused, RefreshRequest, Reuse, TokenResponse, Usage},
    },
    refresh::PresentedRefresh,
    resource::Resources,
    secret::{TokenKind, TokenSecret},
    store::{ClientStore, GrantStore, LoginStore, Redeemed, StoreError},
};

use super::support::{
    answers::{self, Failure},
    client_gate::ClientGate,
};
use crate::edge::{extensions::Peer, limits, providers::Providers};

#[derive(Clone)]
pub struct TokenState {
    pub gate: ClientGate,
    pub clients: Arc<dyn ClientStore>,
    pub logins: Arc<dyn LoginStore>,
    pub grants: Arc<dyn GrantStore>,
    pub resources: Arc<Resources>,
    pub providers: Providers,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub lifetimes: Lifetimes,
}

impl TokenState {
    fn issuing(&self) -> Issuing<'_> {
        Issuing { now: self.clock.now(), lifetimes: &self.lifetimes, entropy: &*self.entropy }
    }
}

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

async fn answer(state: &TokenState, peer: IpAddr, headers: &HeaderMap, body: &[u8]) -> Result<TokenResponse, Failure> {
    let (form, client) = state.gate.admit(peer, headers, body).await?;
    match form.require("grant_type")? {
        "authorization_code" => redeem(state, &client, &form, peer).await,
        "refresh_token" => refresh(state, &client, &form, peer).await,
        "client_credentials" => act_for_itself(state, &client, &form).await,
        _ => {
            let problem = "grant_type must be authorization_code, refresh_token or client_credentials";
            Err(OAuthError::new(ErrorCode::UnsupportedGrantType, problem).into())
        }
    }
}

async fn redeem(state: &TokenState, client: &AuthenticatedClient, form: &Params, peer: IpAddr) -> Result<TokenResponse, Failure> {
    let issuing = state.issuing();
    let now = issuing.now;
    let code = form.require("code")?;
    let hash = TokenSecret::parse(TokenKind::Code, code).map(|secret| secret.hash());
    let found = match &hash {
        Some(hash) => state.grants.find_code(hash, now).await?,
        None => None,
    };
    let checked = token::check_code(client, form, found, &state.resources)?;
    if let Some(grant) = &checked.found.redeemed {
        return revoke_replayed(state, client, grant).await;
    }
    admit(state, &checked.found.code.user).await?;
    let redemption = token::redeem(client, &checked, Some(peer), &issuing);
    let written = state
        .grants
        .redeem_code(&checked.found.code.hash, &redemption.grant, &redemption.access, redemption.refresh.as_ref(), now)
        .await?;
    match written {
        Redeemed::Fresh => {
            state.clients.touch_client(&client.client().id, now).await?;
            tracing::info!(user = %redemption.grant.user, client_id = %redemption.grant.client, grant = %redemption.grant.id,
                resources = %redemption.grant.resources, "grant made");
            Ok(redemption.answer)
        }
        Redeemed::Already(grant) => revoke_replayed(state, client, &grant).await,
        Redeemed::Unknown => Err(OAuthError::new(ErrorCode::InvalidGrant, "the code is unknown or expired").into()),
    }
}

/// A sound second use of a code: somebody else has it too, so everything made of it ends (threat 15).
async fn revoke_replayed(state: &TokenState, client: &AuthenticatedClient, grant: &GrantId) -> Result<TokenResponse, Failure> {
    state.grants.revoke_grant(grant, state.clock.now()).await?;
    tracing::warn!(client_id = %client.client().id, %grant, "a code was used twice: its grant is revoked");
    Err(token::code_replayed().into())
}

/// Nothing new for a person whom the configuration does not admit any more, by what their provider said last (threat 53). The grant stays:
/// if it was the rule that was wrong, mending it is enough.
async fn admit(state: &TokenState, user: &UserId) -> Result<(), Failure> {
    let is_admitted = state.logins.find_user(user).await?.is_some_and(|user| state.providers.admit(&user));
    if is_admitted { Ok(()) } else { Err(token::not_admitted().into()) }
}

/// How often a request looks at its family again because another request changed it first.
///
/// Of requests at the same time one succeeds each time, and all that ask for the same then find what that one wrote: as many rounds are
/// needed as there are different resources and scopes among them.
const ATTEMPTS: usize = 32;

async fn refresh(
    state: &TokenState,
    client: &AuthenticatedClient,
    form: &Params,
    peer: IpAddr,
) -> Result<TokenResponse, Failure> {
    let presented = PresentedRefresh::parse(form.require("refresh_token")?);
    let Some(presented) = presented else { return Err(token::refresh_refused().into()) };
    let mut dead = Vec::new();
    for _ in 0..ATTEMPTS {
        let issuing = state.issuing();
        let found = state.grants.find_refresh(&presented.key(), issuing.now).await?;
        let request =
            RefreshRequest { client, form, presented: &presented, found: found.as_ref(), address: Some(peer), dead: &dead };
        let exchange = match token::refresh(request, &state.resources, &issuing) {
            Ok(exchange) => exchange,
            Err(RefreshRefused::Error(problem)) => return Err(problem.into()),
            Err(RefreshRefused::Reuse(grant, reuse)) => return refuse_reuse(state, &grant, reuse).await,
        };
        if let Some(found) = &found {
            admit(state, &found.grant.user).await?;
        }
        let is_done = match &exchange.change {
            Some(change) => state.grants.change_family(change).await?,
            // It may have been revoked alone (RFC 7009): then it is not handed out again.
            None => state.grants.find_access(&exchange.access.hash, issuing.now).await?.is_some(),
        };
        if is_done {
            log_usage(&exchange);
            return Ok(exchange.answer);
        }
        if exchange.change.is_none() {
            dead.push(exchange.access.hash);
        }
    }
    Err(StoreError::Unavailable("a family of refresh tokens changes all the time".to_owned()).into())
}

fn log_usage(exchange: &token::Exchange) {
    let grant = &exchange.grant;
    match exchange.usage {
        Usage::First => tracing::info!(%grant, "refresh token used: exchanged"),
        Usage::Grace { generations } => {
            tracing::info!(%grant, generations, "refresh token used again within the grace window: the current pair is given");
        }
        Usage::SameAddress { generations } => {
            tracing::info!(%grant, generations, "refresh token used again from the same address: the current pair is given");
        }
    }
}

/// A used refresh token came back from where it should not be, or long after it was exchanged: one of the two holders stole it, so the
/// family ends (threat 17).
async fn refuse_reuse(state: &TokenState, grant: &GrantId, reuse: Reuse) -> Result<TokenResponse, Failure> {
    state.grants.revoke_grant(grant, state.clock.now()).await?;
    match reuse {
        Reuse::Elsewhere { generations } => {
            tracing::warn!(%grant, generations, "refresh token used again from another address: its grant is revoked");
        }
        Reuse::TooLate { generations } => {
            tracing::warn!(%grant, generations, "refresh token used again after refresh_reuse: its grant is revoked");
        }
    }
    Err(token::refresh_refused().into())
}

/// The client's own user is written first: its groups are those of the configuration from now on, for older tokens too.
async fn act_for_itself(state: &TokenState, client: &AuthenticatedClient, form: &Params) -> Result<TokenResponse, Failure> {
    let now = state.clock.now();
    let made = token::client_credentials(client, form, &state.resources, now, &state.lifetimes, &*state.entropy)?;
    state.logins.insert_user(&made.user).await?;
    state.grants.insert_grant(&made.grant, &made.access).await?;
    tracing::info!(user = %made.grant.user, client_id = %made.grant.client, grant = %made.grant.id,
        resources = %made.grant.resources, "grant made for the client itself");
    Ok(made.answer)
}
