//! `GET /auth/callback/{provider}` and `/auth/callback`: the browser comes back from the identity
//! provider. State, cookie and provider must fit (threats 2, 3); then the person is signed in and
//! goes on to [`super::authorize`]. How else it ends is [`error`]'s.

mod error;

use std::sync::Arc;

use axum::{
    Extension, Router,
    extract::{Path, RawQuery, State},
    response::Response,
    routing,
};
use http::HeaderMap;
use portunus_core::{
    Timestamp,
    admission::NotAdmitted,
    disabled::Disableable,
    ids::{ClientId, TransactionId},
    lifetimes::Lifetimes,
    oauth::params::Params,
    principal::User,
    provider_token::ProviderToken,
    resource::Resources,
    secret::{SecretText, TokenHash, TokenKind, TokenSecret},
    signin::{BrowserTransaction, Login, ProviderRequest, Purpose},
    store::{DisabledStore, LoginStore, ProviderTokenStore, StoreError},
};
use portunus_identity::provider::{
    IdentityError, Inbound, NO_REFRESH_TOKENS, ProviderRequestSecrets, SignedIn,
};

use self::error::CallbackError;
use super::support::{
    provider_requests::StateCookie,
    transactions::{ProviderAnswer, Transactions},
};
use crate::{
    audit::RequestAudit,
    edge::{
        browser::{LOGIN, PageContext, see_other},
        extensions::RequestId,
        providers::{ProviderEntry, Providers, user_of},
        resource_server::access::Access,
    },
};

/// Where answers of providers come to, or at this path with the provider's name behind it.
const PATH: &str = "/auth/callback";

#[derive(Clone)]
pub struct CallbackState {
    pub page_context: PageContext,
    pub transactions: Transactions,
    pub logins: Arc<dyn LoginStore>,
    pub provider_tokens: Arc<dyn ProviderTokenStore>,
    pub providers: Providers,
    pub resources: Arc<Resources>,
    pub lifetimes: Lifetimes,
    pub access: Access,
    pub disabled: Arc<dyn DisabledStore>,
}

pub fn routes(callback: CallbackState) -> Router {
    Router::new()
        .route(PATH, routing::get(get))
        .route(&format!("{PATH}/{{provider}}"), routing::get(get_named))
        .with_state(callback)
}

async fn get(
    State(callback): State<CallbackState>,
    Extension(id): Extension<RequestId>,
    Extension(audit): Extension<RequestAudit>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    arrive(&callback, &id, &audit, &headers, PATH, &query.unwrap_or_default()).await
}

async fn get_named(
    State(callback): State<CallbackState>,
    Extension(id): Extension<RequestId>,
    Extension(audit): Extension<RequestAudit>,
    headers: HeaderMap,
    Path(provider): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let path = format!("{PATH}/{provider}");
    arrive(&callback, &id, &audit, &headers, &path, &query.unwrap_or_default()).await
}

async fn arrive(
    callback: &CallbackState,
    id: &RequestId,
    audit: &RequestAudit,
    headers: &HeaderMap,
    path: &str,
    query: &str,
) -> Response {
    let answered = answer(callback, audit, headers, path, query).await;
    answered.unwrap_or_else(|error| {
        error.tell(audit);
        error.answer(&callback.page_context, id, callback.resources.public_url())
    })
}

async fn answer(
    callback: &CallbackState,
    audit: &RequestAudit,
    headers: &HeaderMap,
    path: &str,
    query: &str,
) -> Result<Response, CallbackError> {
    let params = Params::parse(query.as_bytes()).map_err(|_| CallbackError::Foreign)?;
    let state = params.find("state").and_then(|state| TokenSecret::parse(TokenKind::State, state));
    let state = state.ok_or(CallbackError::Foreign)?.hash();
    match take_request(callback, headers, &params, path, &state).await? {
        Some((provider_request, transaction)) => {
            sign_in(callback, audit, headers, &params, &provider_request, transaction).await
        }
        None => again(callback, headers, &state).await,
    }
}

/// An answer that was taken already comes once more: its page was loaded again, or the person
/// pressed "back". The same browser goes on with its transaction; nothing of the answer is looked
/// at. Every other browser's answer, and one that was never taken, is foreign.
async fn again(
    callback: &CallbackState,
    headers: &HeaderMap,
    state: &TokenHash,
) -> Result<Response, CallbackError> {
    let about = StateCookie::find(callback.page_context.cookies, headers, state)
        .and_then(|cookie| cookie.transaction);
    let (Some(about), Some(browser)) = (about, callback.page_context.known_browser(headers)) else {
        return Err(CallbackError::Foreign);
    };
    if callback.transactions.awaits(state).await? {
        return Err(CallbackError::Foreign);
    }
    if let Some(transaction) = callback.transactions.find(&browser, &about).await? {
        tracing::debug!("a callback was loaded again: its sign-in goes on");
        let step = match transaction.purpose {
            Purpose::Authorize(_) => "authorize",
            Purpose::SignIn { .. } => "signin",
        };
        return Ok(see_other(&format!("/auth/{step}?transaction={}", transaction.id)));
    }
    let login = callback.page_context.login(headers).await?;
    Err(if login.is_some() { CallbackError::Finished } else { CallbackError::Foreign })
}

/// The request that this is the answer to, taken out once. Without this browser's own cookies, at a
/// callback that the provider was not given, or with the `iss` of another provider nothing is
/// touched, so that a stranger who learnt the state cannot end a sign-in (threats 54, 72).
async fn take_request(
    callback: &CallbackState,
    headers: &HeaderMap,
    params: &Params,
    path: &str,
    state: &TokenHash,
) -> Result<Option<(ProviderRequest, BrowserTransaction)>, StoreError> {
    let Some(cookie) = StateCookie::find(callback.page_context.cookies, headers, state) else {
        return Ok(None);
    };
    let Some(browser) = callback.page_context.known_browser(headers) else { return Ok(None) };
    let address = callback.resources.public_url().at(path);
    let answer = ProviderAnswer { state, cookie: &cookie.secret.hash(), callback: &address };
    let admits = |request: &ProviderRequest| {
        callback
            .providers
            .find(&request.provider)
            .is_some_and(|entry| entry.admits_issuer(params.find("iss")))
    };
    callback.transactions.take_request(&browser, answer, admits).await
}

async fn sign_in(
    callback: &CallbackState,
    audit: &RequestAudit,
    headers: &HeaderMap,
    params: &Params,
    provider_request: &ProviderRequest,
    transaction: BrowserTransaction,
) -> Result<Response, CallbackError> {
    let now = callback.page_context.clock.now();
    let entry =
        callback.providers.find(&provider_request.provider).ok_or(CallbackError::Foreign)?;
    let inbound = Inbound {
        code: params.find("code").map(SecretText::new),
        iss: params.find("iss").map(str::to_owned),
        error: params.find("error").map(str::to_owned),
        error_description: params.find("error_description").map(str::to_owned),
    };
    let signed_in_since = match &transaction.purpose {
        Purpose::Authorize(request) => request.interaction.signed_in_since(transaction.created_at),
        Purpose::SignIn { .. } => None,
    };
    let secrets = ProviderRequestSecrets {
        redirect_uri: &provider_request.redirect_uri,
        nonce: &provider_request.nonce,
        code_verifier: &provider_request.code_verifier,
        signed_in_since,
    };
    let person = match entry.provider.complete(&inbound, &secrets, now).await {
        Ok(person) => person,
        // It would not give a refresh token, and is asked no more: the browser goes there again.
        Err(IdentityError::Refused { error, .. }) if error == NO_REFRESH_TOKENS => {
            return Ok(to_provider(&transaction, provider_request));
        }
        Err(error) => return Err(failed(callback, transaction, error).await?),
    };
    let user = user_of(&person, &provider_request.provider, now);
    if let Err(why) = entry.allow.decide(&user) {
        return Err(not_admitted(callback, transaction, entry, &person, user, why).await?);
    }
    if callback.access.may_deny_by(person.unread) {
        let why = "what access rules deny by was not read whole".to_owned();
        let (user, transaction) = (Box::new(user), Box::new(transaction));
        return Err(CallbackError::NotChecked { user, transaction, why });
    }
    let what = Disableable::Person(user.id.clone());
    if callback.disabled.find_disabled(&what).await?.is_some() {
        return Err(disabled(user, transaction, entry));
    }
    let (cookie, login) = new_login(callback, &user, person.id_token, now);
    if let Some((old, _)) = callback.page_context.any_login(headers).await? {
        callback.logins.take_login(&old.id).await?;
    }
    let known = callback.logins.find_user(&user.id).await?;
    match callback.logins.insert_login(&user, &login).await {
        // At this very moment.
        Err(StoreError::Disabled) => return Err(disabled(user, transaction, entry)),
        outcome => outcome?,
    }
    keep_refresh_token(callback, &user, entry, person.refresh_token, now).await?;
    tracing::info!(user = %user.id, provider = %provider_request.provider, groups = user.groups.len(), "signed in");
    audit.signed_in(&user, client_of(&transaction));
    audit.groups_changed(known.as_ref(), &user);
    let next = match &transaction.purpose {
        Purpose::Authorize(_) => {
            note_sign_in(callback, headers, &transaction.id, login.id).await?;
            format!("/auth/authorize?transaction={}", transaction.id)
        }
        Purpose::SignIn { return_to } => {
            callback.transactions.take(&transaction).await?;
            return_to.as_str().to_owned()
        }
    };
    let (name, value) =
        callback.page_context.cookies.set(LOGIN, cookie.expose(), callback.lifetimes.login);
    let mut response = see_other(&next);
    response.headers_mut().append(name, value);
    Ok(response)
}

/// To the same provider once more.
fn to_provider(transaction: &BrowserTransaction, request: &ProviderRequest) -> Response {
    let (id, provider) = (&transaction.id, &request.provider);
    see_other(&format!("/auth/signin?transaction={id}&provider={provider}"))
}

/// The person is not signed in. What is known of them stays as it was.
fn disabled(user: User, transaction: BrowserTransaction, entry: &ProviderEntry) -> CallbackError {
    let (user, transaction) = (Box::new(user), Box::new(transaction));
    CallbackError::Disabled { label: entry.label.clone(), user, transaction }
}

/// The client that the person signs in for.
fn client_of(transaction: &BrowserTransaction) -> Option<&ClientId> {
    match &transaction.purpose {
        Purpose::Authorize(request) => Some(&request.client),
        Purpose::SignIn { .. } => None,
    }
}

/// The account gets nothing: no login, no code, no record. If it has a record, from when it was
/// admitted, that says from now on what the provider says now, so that its tokens are not renewed
/// either (threat 53).
async fn not_admitted(
    callback: &CallbackState,
    transaction: BrowserTransaction,
    entry: &ProviderEntry,
    person: &SignedIn,
    user: User,
    why: NotAdmitted,
) -> Result<CallbackError, StoreError> {
    let (user, transaction) = (Box::new(user), Box::new(transaction));
    if entry.allow.depends_on(person.unread) {
        let why = why.to_string();
        return Ok(CallbackError::NotChecked { user, transaction, why });
    }
    if callback
        .logins
        .find_user(&user.id)
        .await?
        .is_some_and(|known| known.provider == user.provider)
    {
        callback.logins.insert_user(&user).await?;
    }
    Ok(CallbackError::NotAdmitted { label: entry.label.clone(), user, transaction, why })
}

/// The request may insist that the person signs in for it (`prompt=login`): now they have. Read
/// anew, for they may have been busy in another tab.
async fn note_sign_in(
    callback: &CallbackState,
    headers: &HeaderMap,
    id: &TransactionId,
    login: TokenHash,
) -> Result<(), StoreError> {
    let Some(browser) = callback.page_context.known_browser(headers) else { return Ok(()) };
    if let Some(transaction) = callback.transactions.find(&browser, id).await? {
        callback.transactions.update(&transaction.signed_in(login)).await?;
    }
    Ok(())
}

/// The sign-in ends here, with an explanation for the person and a way to tell the client.
async fn failed(
    callback: &CallbackState,
    transaction: BrowserTransaction,
    error: IdentityError,
) -> Result<CallbackError, StoreError> {
    if !error.may_begin_again() {
        callback.transactions.take(&transaction).await?;
    }
    Ok(CallbackError::Provider { error, transaction: Box::new(transaction) })
}

/// With it the person is read anew while they are away. A sign-in without one leaves that of an
/// earlier sign-in: some providers give it once.
async fn keep_refresh_token(
    callback: &CallbackState,
    user: &User,
    entry: &ProviderEntry,
    token: Option<SecretText>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Some(token) = token else { return Ok(()) };
    let from = (&user.provider, user.issuer.as_str());
    let (lifetimes, entropy) = (&callback.lifetimes, &*callback.page_context.entropy);
    let token = ProviderToken::begin(&user.id, from, token, now, lifetimes, entropy);
    let token = token.given_to(entry.provider.client_id());
    callback.provider_tokens.keep_provider_token(&token).await
}

/// Always a new id: one that was planted before the sign-in is worth nothing after it (threat 3).
fn new_login(
    callback: &CallbackState,
    user: &User,
    id_token: Option<SecretText>,
    now: Timestamp,
) -> (TokenSecret, Login) {
    let secret = TokenSecret::generate(TokenKind::Login, &*callback.page_context.entropy);
    let login = Login {
        id: secret.hash(),
        user: user.id.clone(),
        provider: user.provider.clone(),
        id_token,
        created_at: now,
        expires_at: callback.lifetimes.login_end(now, now),
        last_seen_at: None,
    };
    (secret, login)
}
