//! `GET /auth/callback/{provider}` and `/auth/callback`: the browser comes back from the identity provider. State, cookie and
//! provider must fit (threats 2, 3); then the person is signed in and goes on to [`super::authorize`].

use std::sync::Arc;

use axum::{
    Extension, Router,
    extract::{Path, RawQuery, State},
    response::Response,
    routing,
};
use http::{HeaderMap, StatusCode};
use portunus_core::{
    Timestamp,
    admission::NotAdmitted,
    ids::{ProviderName, TransactionId, UserId},
    lifetimes::Lifetimes,
    oauth::params::Params,
    principal::User,
    resource::Resources,
    secret::{SecretText, TokenHash, TokenKind, TokenSecret},
    signin::{BrowserTransaction, Login, ProviderRequest, Purpose},
    store::{LoginStore, StoreError},
};
use portunus_identity::provider::{IdentityError, Inbound, ProviderRequestSecrets, SignedIn};

use super::support::{
    admission,
    provider_requests::{self, StateCookie},
    transactions::{ProviderAnswer, Transactions},
};
use crate::edge::{
    browser::{LOGIN, PageContext, PageError, see_other},
    extensions::RequestId,
    providers::{ProviderEntry, Providers},
};

/// Where answers of providers come to, or at this path with the provider's name behind it.
const PATH: &str = "/auth/callback";

#[derive(Clone)]
pub struct CallbackState {
    pub page_context: PageContext,
    pub transactions: Transactions,
    pub logins: Arc<dyn LoginStore>,
    pub providers: Providers,
    pub resources: Arc<Resources>,
    pub lifetimes: Lifetimes,
}

pub fn routes(room: CallbackState) -> Router {
    Router::new().route(PATH, routing::get(get)).route(&format!("{PATH}/{{provider}}"), routing::get(get_named)).with_state(room)
}

async fn get(
    State(room): State<CallbackState>,
    Extension(id): Extension<RequestId>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    arrive(&room, &id, &headers, PATH, &query.unwrap_or_default()).await
}

async fn get_named(
    State(room): State<CallbackState>,
    Extension(id): Extension<RequestId>,
    headers: HeaderMap,
    Path(provider): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    arrive(&room, &id, &headers, &format!("{PATH}/{provider}"), &query.unwrap_or_default()).await
}

async fn arrive(room: &CallbackState, id: &RequestId, headers: &HeaderMap, path: &str, query: &str) -> Response {
    let Ok(params) = Params::parse(query.as_bytes()) else { return refuse(room, id) };
    let Some(state) = params.find("state").and_then(|state| TokenSecret::parse(TokenKind::State, state)) else {
        return refuse(room, id);
    };
    match take_request(room, headers, &params, path, &state.hash()).await {
        Ok(Some((provider_request, transaction))) => sign_in(room, id, headers, &params, &provider_request, &transaction).await,
        Ok(None) => again(room, id, headers, &state.hash()).await.map(|answer| answer.unwrap_or_else(|| refuse(room, id))),
        Err(error) => Err(error),
    }
    .unwrap_or_else(|error| room.page_context.store_down(id, &error))
}

/// An answer that was taken already comes once more: its page was loaded again, or the person pressed "back". The same browser goes on with its
/// transaction; nothing of the answer is looked at. `None` for every other browser, and for answers that were never taken.
async fn again(
    room: &CallbackState,
    id: &RequestId,
    headers: &HeaderMap,
    state: &TokenHash,
) -> Result<Option<Response>, StoreError> {
    let about = StateCookie::find(room.page_context.cookies, headers, state).and_then(|cookie| cookie.transaction);
    let (Some(about), Some(browser)) = (about, room.page_context.known_browser(headers)) else { return Ok(None) };
    if room.transactions.awaits(state).await? {
        return Ok(None);
    }
    if let Some(transaction) = room.transactions.find(&browser, &about).await? {
        tracing::debug!("a callback was loaded again: its sign-in goes on");
        let step = match transaction.purpose {
            Purpose::Authorize(_) => "authorize",
            Purpose::SignIn { .. } => "signin",
        };
        return Ok(Some(see_other(&format!("/auth/{step}?transaction={}", transaction.id))));
    }
    if room.page_context.login(headers).await?.is_none() {
        return Ok(None);
    }
    let text = "This page was opened a second time. What you began was finished the first time.";
    let error = PageError::new("You are signed in already", text)
        .hint("Go back to the application. If it still waits, start again there.")
        .leading("Go to the front page", "/".to_owned());
    Ok(Some(room.page_context.error(StatusCode::OK, id, error)))
}

/// The answer belongs to no request of this browser.
fn refuse(room: &CallbackState, id: &RequestId) -> Response {
    tracing::warn!(
        "callback refused: unknown, used or expired state, or another browser's, another provider's or at another callback"
    );
    let error = PageError::new("This sign-in has ended", "It took too long, was finished already, or began in another browser.")
        .hint("Start again from the application.");
    room.page_context.error(StatusCode::BAD_REQUEST, id, error)
}

/// The request that this is the answer to, taken out once. Without this browser's own cookies, at a callback that the provider was not
/// given, or with the `iss` of another provider nothing is touched, so that a stranger who learnt the state cannot end a sign-in
/// (threats 54, 72).
async fn take_request(
    room: &CallbackState,
    headers: &HeaderMap,
    params: &Params,
    path: &str,
    state: &TokenHash,
) -> Result<Option<(ProviderRequest, BrowserTransaction)>, StoreError> {
    let Some(cookie) = StateCookie::find(room.page_context.cookies, headers, state) else { return Ok(None) };
    let Some(browser) = room.page_context.known_browser(headers) else { return Ok(None) };
    let callback = room.resources.public_url().at(path);
    let answer = ProviderAnswer { state, cookie: &cookie.secret.hash(), callback: &callback };
    let admits = |request: &ProviderRequest| {
        room.providers.find(&request.provider).is_some_and(|entry| entry.admits_issuer(params.find("iss")))
    };
    room.transactions.take_request(&browser, answer, admits).await
}

async fn sign_in(
    room: &CallbackState,
    id: &RequestId,
    headers: &HeaderMap,
    params: &Params,
    provider_request: &ProviderRequest,
    transaction: &BrowserTransaction,
) -> Result<Response, StoreError> {
    let now = room.page_context.clock.now();
    let Some(entry) = room.providers.find(&provider_request.provider) else { return Ok(refuse(room, id)) };
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
        Err(error) => return failed(room, id, transaction, &error).await,
    };
    let user = user_of(&person, &provider_request.provider, now);
    if let Err(why) = entry.allow.decide(&user) {
        return not_admitted(room, id, transaction, entry, &person, &user, &why).await;
    }
    let (cookie, login) = new_login(room, &user, person.id_token, now);
    if let Some((old, _)) = room.page_context.any_login(headers).await? {
        room.logins.take_login(&old.id).await?;
    }
    room.logins.insert_login(&user, &login).await?;
    tracing::info!(user = %user.id, provider = %provider_request.provider, groups = user.groups.len(), "signed in");
    let next = match &transaction.purpose {
        Purpose::Authorize(_) => {
            note_sign_in(room, headers, &transaction.id, login.id).await?;
            format!("/auth/authorize?transaction={}", transaction.id)
        }
        Purpose::SignIn { return_to } => {
            room.transactions.take(transaction).await?;
            return_to.as_str().to_owned()
        }
    };
    let (name, value) = room.page_context.cookies.set(LOGIN, cookie.expose(), room.lifetimes.login);
    let mut response = see_other(&next);
    response.headers_mut().append(name, value);
    Ok(response)
}

/// The account gets nothing: no login, no code, no record. If it has a record, from when it was admitted, that says from now on what the
/// provider says now, so that its tokens are not renewed either (threat 53).
async fn not_admitted(
    room: &CallbackState,
    id: &RequestId,
    transaction: &BrowserTransaction,
    entry: &ProviderEntry,
    person: &SignedIn,
    user: &User,
    why: &NotAdmitted,
) -> Result<Response, StoreError> {
    if entry.allow.depends_on(person.unread) {
        return Ok(admission::not_checked(&room.page_context, id, user, transaction, why));
    }
    if room.logins.find_user(&user.id).await?.is_some_and(|known| known.provider == user.provider) {
        room.logins.insert_user(user).await?;
    }
    Ok(admission::not_admitted(&room.page_context, id, entry, user, transaction, room.resources.public_url(), why))
}

/// The request may insist that the person signs in for it (`prompt=login`): now they have. Read anew, for they may have been busy in
/// another tab.
async fn note_sign_in(room: &CallbackState, headers: &HeaderMap, id: &TransactionId, login: TokenHash) -> Result<(), StoreError> {
    let Some(browser) = room.page_context.known_browser(headers) else { return Ok(()) };
    if let Some(transaction) = room.transactions.find(&browser, id).await? {
        room.transactions.update(&transaction.signed_in(login)).await?;
    }
    Ok(())
}

/// The sign-in ends here, with an explanation for the person and a way to tell the client.
async fn failed(
    room: &CallbackState,
    id: &RequestId,
    transaction: &BrowserTransaction,
    error: &IdentityError,
) -> Result<Response, StoreError> {
    if !error.may_begin_again() {
        room.transactions.take(transaction).await?;
    }
    Ok(provider_requests::provider_failed(&room.page_context, id, error, transaction, room.resources.public_url()))
}

fn user_of(person: &SignedIn, provider: &ProviderName, now: Timestamp) -> User {
    User {
        id: UserId::of(&person.issuer, &person.subject),
        provider: provider.clone(),
        issuer: person.issuer.clone(),
        subject: person.subject.clone(),
        name: person.name.clone(),
        email: person.email.clone(),
        email_verified: person.email_verified,
        groups: person.groups.clone(),
        hosted_domain: person.hosted_domain.clone(),
        no_groups: person.no_groups.clone(),
        signed_in_at: now,
    }
}

/// Always a new id: one that was planted before the sign-in is worth nothing after it (threat 3).
fn new_login(room: &CallbackState, user: &User, id_token: Option<SecretText>, now: Timestamp) -> (TokenSecret, Login) {
    let secret = TokenSecret::generate(TokenKind::Login, &*room.page_context.entropy);
    let login = Login {
        id: secret.hash(),
        user: user.id.clone(),
        provider: user.provider.clone(),
        id_token,
        created_at: now,
        expires_at: room.lifetimes.login_end(now, now),
        last_seen_at: None,
    };
    (secret, login)
}
