//! `GET /auth/authorize`: the authorization endpoint (RFC 6749 section 4.1.1), and the place every
//! step of a sign-in returns to. It alone decides what comes next; the rules are
//! `portunus_core::oauth::authorize`. How a request without a code ends is [`error`]'s.

mod error;

use std::{net::IpAddr, sync::Arc};

use axum::{
    Extension, Router,
    extract::{RawQuery, State},
    response::Response,
    routing,
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use portunus_core::{
    client::Client,
    grant::Consent,
    ids::{ClientId, TransactionId},
    lifetimes::Lifetimes,
    oauth::{
        authorize::{self, AuthorizationProgress, Step},
        consent,
        params::Params,
    },
    principal::User,
    resource::Resources,
    signin::{AuthorizationRequest, BrowserTransaction, Login, Purpose},
    store::{ConsentStore, GrantStore, StoreError},
};

use self::error::AuthorizeError;
use super::support::{
    client_directory::ClientDirectory, consent_page::Asking, transactions::Transactions,
};
use crate::{
    audit::RequestAudit,
    edge::{
        browser::{Browser, PageContext, see_other},
        extensions::{Peer, RequestId},
        pages::{BackLink, Label, SignedInPage},
        providers::Providers,
    },
};

#[derive(Clone)]
pub struct AuthorizeState {
    pub page_context: PageContext,
    pub directory: ClientDirectory,
    pub transactions: Transactions,
    pub consents: Arc<dyn ConsentStore>,
    pub grants: Arc<dyn GrantStore>,
    pub resources: Arc<Resources>,
    pub providers: Providers,
    pub lifetimes: Lifetimes,
}

pub fn routes(state: AuthorizeState) -> Router {
    Router::new()
        .route("/auth/authorize", routing::get(get))
        .route("/authorize", routing::get(get))
        .with_state(state)
}

async fn get(
    State(state): State<AuthorizeState>,
    Extension(id): Extension<RequestId>,
    Extension(Peer(peer)): Extension<Peer>,
    Extension(audit): Extension<RequestAudit>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let answered =
        answer(&state, peer, &audit, &headers, query.as_deref().unwrap_or_default()).await;
    answered.unwrap_or_else(|error| {
        error.tell(&audit);
        error.answer(&state.page_context, &id)
    })
}

async fn answer(
    state: &AuthorizeState,
    peer: IpAddr,
    audit: &RequestAudit,
    headers: &HeaderMap,
    query: &str,
) -> Result<Response, AuthorizeError> {
    let params = Params::parse(query.as_bytes())
        .map_err(|bad| AuthorizeError::Untrusted(bad.to_string()))?;
    match params.find("transaction") {
        Some(transaction) => {
            resume(state, peer, audit, headers, &TransactionId::from_text(transaction)).await
        }
        None => begin(state, peer, audit, headers, &params).await,
    }
}

/// A new request of a client.
async fn begin(
    state: &AuthorizeState,
    peer: IpAddr,
    audit: &RequestAudit,
    headers: &HeaderMap,
    params: &Params,
) -> Result<Response, AuthorizeError> {
    let client_id = params
        .find("client_id")
        .ok_or_else(|| AuthorizeError::Untrusted("client_id is missing".to_owned()))?;
    let client = state
        .directory
        .find(&ClientId::from_text(client_id), peer)
        .await?
        .ok_or(AuthorizeError::Unregistered)?;
    let address = authorize::return_address(params, &client)
        .map_err(|problem| AuthorizeError::Untrusted(problem.description))?;
    let request = match authorize::check(params, &client, address.clone(), &state.resources) {
        Ok(request) => request,
        Err(problem) => {
            let back = authorize::error_redirect(
                &address,
                &problem,
                state.resources.public_url().as_str(),
            );
            return Err(AuthorizeError::Invalid { client: Box::new(client), problem, back });
        }
    };
    let browser = state.page_context.browser(headers);
    let transaction =
        state.transactions.begin(&browser, Purpose::Authorize(request.clone()), peer).await?;
    go_on(state, audit, headers, browser, transaction, &request, client).await
}

/// A step of the sign-in came back. Everything is read from the transaction, nothing from the
/// browser (threat 8).
async fn resume(
    state: &AuthorizeState,
    peer: IpAddr,
    audit: &RequestAudit,
    headers: &HeaderMap,
    transaction: &TransactionId,
) -> Result<Response, AuthorizeError> {
    let browser = state.page_context.known_browser(headers).ok_or(AuthorizeError::Ended)?;
    let transaction =
        state.transactions.find(&browser, transaction).await?.ok_or(AuthorizeError::Ended)?;
    let Purpose::Authorize(request) = transaction.purpose.clone() else {
        return Err(AuthorizeError::Ended);
    };
    let client = state.directory.find(&request.client, peer).await?.ok_or(AuthorizeError::Ended)?;
    if consent::fingerprint(&client) != request.fingerprint {
        // What the person is asked, or has answered, is about another client than this one has
        // become (threat 28).
        tracing::warn!(client_id = %client.id, "the client changed during a sign-in");
        return Err(AuthorizeError::Untrusted(
            "it has changed its addresses or keys since you began".to_owned(),
        ));
    }
    go_on(state, audit, headers, browser, transaction, &request, client).await
}

/// Decides the next step and takes it.
async fn go_on(
    state: &AuthorizeState,
    audit: &RequestAudit,
    headers: &HeaderMap,
    browser: Browser,
    transaction: BrowserTransaction,
    request: &AuthorizationRequest,
    client: Client,
) -> Result<Response, AuthorizeError> {
    let (login, user) = state.page_context.login(headers).await?.unzip();
    let remembered = match &login {
        Some(login) => {
            state.consents.find_consent(&login.user, &request.client, &request.resources).await?
        }
        None => None,
    };
    let (login, remembered, now) =
        (login.as_ref(), remembered.as_ref(), state.page_context.clock.now());
    let progress =
        AuthorizationProgress { request, transaction: &transaction, login, remembered, now };
    let step = progress.next_step(&client, &state.resources);
    tracing::debug!(?step, client_id = %client.id, "authorization goes on");
    match (step, progress.current_login().zip(user.as_ref())) {
        (Step::IssueCode, Some((login, user))) => {
            let consent = transaction
                .consented_at
                .is_some()
                .then(|| consent::remember(request, &user.id, remembered, now));
            issue_code(state, audit, &transaction, request, (login, user), consent).await
        }
        (Step::SignIn | Step::IssueCode, _) => {
            Ok(browser
                .accompany(see_other(&format!("/auth/signin?transaction={}", transaction.id))))
        }
        (Step::AskConsent | Step::AskToContinue, person) => {
            let user = person.map(|(_, user)| user);
            // What a person allowed is not shown before they have signed in.
            let remembered = remembered.filter(|_| user.is_some());
            let asking =
                Asking { transaction: &transaction, request, client: &client, user, remembered };
            let page = asking.page(
                &state.page_context,
                &browser,
                &state.resources,
                &state.providers,
                step == Step::AskToContinue,
            );
            Ok(browser.accompany(page))
        }
        (Step::Refuse(code), _) => {
            state.transactions.take(&transaction).await?;
            let (refusal, may_be_told) = (authorize::refusal(code), progress.may_be_told(&client));
            let back = authorize::error_redirect(
                &request.return_address(),
                &refusal,
                state.resources.public_url().as_str(),
            );
            Err(AuthorizeError::NeedsPage { client: Box::new(client), refusal, may_be_told, back })
        }
    }
}

/// The last step, taken once: the transaction is taken out, and the browser goes back to the client
/// with a code.
async fn issue_code(
    state: &AuthorizeState,
    audit: &RequestAudit,
    transaction: &BrowserTransaction,
    request: &AuthorizationRequest,
    (login, user): (&Login, &User),
    consent: Option<Consent>,
) -> Result<Response, AuthorizeError> {
    let now = state.page_context.clock.now();
    if !state.transactions.take(transaction).await? {
        return Err(AuthorizeError::Finished);
    }
    if let Some(consent) = consent {
        state.consents.save_consent(&consent).await?;
        audit.consent_given(user, &consent);
    }
    let (secret, code) = authorize::issue_code(
        request,
        user,
        login,
        now,
        state.lifetimes.authorization_code,
        &*state.page_context.entropy,
    );
    state.grants.insert_code(&code).await.map_err(|error| match error {
        StoreError::Disabled => {
            AuthorizeError::Disabled { user: Some(user.id.clone()), client: request.client.clone() }
        }
        error => error.into(),
    })?;
    tracing::info!(user = %user.id, client_id = %request.client, resources = %request.resources, scope = %request.scopes, "code issued");
    let issuer = state.resources.public_url().as_str();
    let location = authorize::success_redirect(&request.return_address(), &secret, issuer);
    if request.redirect_uri.is_private_use() {
        Ok(signed_in(state, user, &location))
    } else {
        Ok(see_other(&location))
    }
}

/// A redirect to a scheme of a program's own opens the program and leaves the browser where it was:
/// on the consent page. So the browser gets a page that says what happened, goes on by itself, and
/// has a button for browsers that will not.
fn signed_in(state: &AuthorizeState, user: &User, location: &str) -> Response {
    let page = SignedInPage {
        frame: state.page_context.frame(Some(user)),
        name: Label::from(user.display_name()),
        back: BackLink { label: Label::from("Go back to your application"), href: location.into() },
    };
    let mut response = state.page_context.respond(StatusCode::OK, &page);
    if let Ok(refresh) = HeaderValue::from_str(&format!("0;url={location}")) {
        response.headers_mut().insert(header::REFRESH, refresh);
    }
    response
}
