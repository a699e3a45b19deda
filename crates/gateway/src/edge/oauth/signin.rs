//! `GET /auth/signin`: sends the browser to an identity provider, or lets the person choose one.
//! For a client's request only after consent, because the state cookie is set here (threat 2). The
//! way back is [`super::callback`].

use std::net::IpAddr;

use axum::{
    Extension, Router,
    extract::{RawQuery, State},
    response::Response,
    routing,
};
use http::{HeaderMap, StatusCode};
use portunus_core::{
    ids::{ProviderName, TransactionId},
    lifetimes::Lifetimes,
    oauth::{authorize, params::Params},
    resource::PublicUrl,
    signin::{BrowserTransaction, Interaction, LocalPath, Purpose},
    store::StoreError,
};
use portunus_identity::provider::{IdentityError, Outbound};

use super::support::{
    admission::{ACCOUNT, ANOTHER},
    provider_requests::{self, StateCookie},
    transactions::Transactions,
};
use crate::edge::{
    browser::{Browser, PageContext, PageError, see_other},
    extensions::{Peer, RequestId},
    pages::{Label, ProviderChoice, SignInPage},
    providers::{ProviderEntry, Providers},
};

#[derive(Clone)]
pub struct SignInState {
    pub page_context: PageContext,
    pub transactions: Transactions,
    pub providers: Providers,
    pub public_url: PublicUrl,
    pub lifetimes: Lifetimes,
}

pub fn routes(state: SignInState) -> Router {
    Router::new().route("/auth/signin", routing::get(get)).with_state(state)
}

async fn get(
    State(state): State<SignInState>,
    Extension(id): Extension<RequestId>,
    Extension(Peer(peer)): Extension<Peer>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let answered = answer(&state, peer, &headers, query.as_deref().unwrap_or_default()).await;
    answered.unwrap_or_else(|error| error.answer(&state.page_context, &id, &state.public_url))
}

/// Why a browser is not sent to a provider.
#[derive(Debug)]
enum SignInError {
    /// The transaction took too long, was finished, or is another browser's.
    Ended,
    /// The provider cannot be asked.
    Provider {
        error: IdentityError,
        transaction: Box<BrowserTransaction>,
    },
    Store(StoreError),
}

impl From<StoreError> for SignInError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl SignInError {
    fn answer(self, pages: &PageContext, id: &RequestId, public_url: &PublicUrl) -> Response {
        match self {
            Self::Ended => {
                let text = "It took too long, was finished already, or began in another browser.";
                let page = PageError::new("This sign-in has ended", text);
                let page = page.hint("Start again from the application, or from the front page.");
                pages.error(StatusCode::BAD_REQUEST, id, page)
            }
            Self::Provider { error, transaction } => {
                provider_requests::provider_failed(pages, id, &error, &transaction, public_url)
            }
            Self::Store(error) => pages.store_down(id, &error),
        }
    }
}

async fn answer(
    state: &SignInState,
    peer: IpAddr,
    headers: &HeaderMap,
    query: &str,
) -> Result<Response, SignInError> {
    let params = Params::parse(query.as_bytes()).map_err(|_| SignInError::Ended)?;
    match params.find("transaction") {
        Some(transaction) => {
            continue_transaction(state, headers, &params, &TransactionId::from_text(transaction))
                .await
        }
        None => begin(state, peer, headers, &params).await,
    }
}

/// The person came by themselves.
async fn begin(
    state: &SignInState,
    peer: IpAddr,
    headers: &HeaderMap,
    params: &Params,
) -> Result<Response, SignInError> {
    let return_to =
        params.find("return_to").and_then(LocalPath::parse).unwrap_or_else(LocalPath::front_page);
    if state.page_context.login(headers).await?.is_some() {
        return Ok(see_other(return_to.as_str()));
    }
    let browser = state.page_context.browser(headers);
    let transaction =
        state.transactions.begin(&browser, Purpose::SignIn { return_to }, peer).await?;
    choose(state, browser, &transaction, params).await
}

/// A client's request has come to the point where a person must sign in, or the person has chosen a
/// provider.
async fn continue_transaction(
    state: &SignInState,
    headers: &HeaderMap,
    params: &Params,
    transaction: &TransactionId,
) -> Result<Response, SignInError> {
    let browser = state.page_context.known_browser(headers).ok_or(SignInError::Ended)?;
    let transaction =
        state.transactions.find(&browser, transaction).await?.ok_or(SignInError::Ended)?;
    if matches!(transaction.purpose, Purpose::Authorize(_)) && transaction.consented_at.is_none() {
        return Ok(see_other(&format!("/auth/authorize?transaction={}", transaction.id)));
    }
    choose(state, browser, &transaction, params).await
}

/// To the provider that was named, to the only one there is, or to the page of choices.
async fn choose(
    state: &SignInState,
    browser: Browser,
    transaction: &BrowserTransaction,
    params: &Params,
) -> Result<Response, SignInError> {
    let named = params.find("provider").map(ProviderName::from_text);
    let is_another = params.find(ACCOUNT) == Some(ANOTHER);
    if let Some(entry) =
        named.map_or_else(|| state.providers.only(), |name| state.providers.find(&name))
    {
        return Ok(browser.accompany(depart(state, transaction, entry, is_another).await?));
    }
    let account = if is_another { format!("&{ACCOUNT}={ANOTHER}") } else { String::new() };
    let choice = |entry: &ProviderEntry| ProviderChoice {
        label: Label::from(&entry.label),
        href: format!(
            "/auth/signin?transaction={}&provider={}{account}",
            transaction.id,
            entry.provider.name()
        )
        .into(),
    };
    let providers = state.providers.iter().map(choice).collect();
    let page = SignInPage { frame: state.page_context.frame(None), providers, client_name: None };
    Ok(browser.accompany(state.page_context.respond(StatusCode::OK, &page)))
}

/// Off to the provider: the secrets of the request are kept, the state cookie is set. A person who
/// was refused with one account is asked for another, and not for the one that the client expects.
async fn depart(
    state: &SignInState,
    transaction: &BrowserTransaction,
    entry: &ProviderEntry,
    is_another: bool,
) -> Result<Response, SignInError> {
    let departure = authorize::depart(
        transaction,
        entry.provider.name(),
        &entry.redirect_uri,
        &*state.page_context.entropy,
    );
    let interaction = match &transaction.purpose {
        Purpose::Authorize(request) => request.interaction.clone(),
        Purpose::SignIn { .. } => Interaction::default(),
    };
    let outbound = Outbound {
        redirect_uri: &departure.provider_request.redirect_uri,
        state: &departure.state,
        nonce: &departure.provider_request.nonce,
        code_challenge: &departure.code_challenge,
        fresh: is_another || interaction.is_fresh(),
        max_age: interaction.oldest_sign_in(),
        login_hint: interaction.login_hint.as_deref().filter(|_| !is_another),
    };
    let url = match entry.provider.authorization_url(&outbound).await {
        Ok(url) => url,
        Err(error) => {
            return Err(SignInError::Provider {
                error,
                transaction: Box::new(transaction.clone()),
            });
        }
    };
    if !state.transactions.insert_request(transaction, &departure.provider_request).await? {
        return Err(SignInError::Ended);
    }
    let cookie =
        StateCookie { secret: departure.cookie, transaction: Some(transaction.id.clone()) };
    let (name, value) = cookie.set(
        state.page_context.cookies,
        &departure.provider_request.state,
        state.lifetimes.sign_in,
    );
    let mut response = see_other(url.as_str());
    response.headers_mut().append(name, value);
    Ok(response)
}
