//! `POST /auth/consent`: the person's answer to the consent page. The page itself is served by
//! [`super::authorize`].

use std::sync::Arc;

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
    ids::{TransactionId, UserId},
    oauth::{
        authorize::{self, AuthorizationProgress},
        consent,
        params::Params,
    },
    resource::Resources,
    signin::{AuthorizationRequest, BrowserTransaction, Purpose},
    store::StoreError,
};

use super::support::{client_directory::ClientDirectory, transactions::Transactions};
use crate::{
    audit::RequestAudit,
    edge::{
        browser::{PageContext, PageError, see_other},
        extensions::RequestId,
        limits,
    },
};

#[derive(Clone)]
pub struct ConsentState {
    pub page_context: PageContext,
    pub transactions: Transactions,
    pub directory: ClientDirectory,
    pub resources: Arc<Resources>,
}

pub fn routes(state: ConsentState) -> Router {
    Router::new()
        .route("/auth/consent", routing::post(post))
        .layer(DefaultBodyLimit::max(limits::FORM))
        .with_state(state)
}

async fn post(
    State(state): State<ConsentState>,
    Extension(id): Extension<RequestId>,
    Extension(audit): Extension<RequestAudit>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    answer(&state, &audit, &headers, &body)
        .await
        .unwrap_or_else(|error| error.answer(&state.page_context, &id))
}

/// Why an answer to the consent page is not taken.
#[derive(Debug)]
enum ConsentError {
    /// The form is not ours, not this browser's, or too old: nothing is said about which (threats
    /// 8, 14).
    NotThisForm,
    Store(StoreError),
}

impl From<StoreError> for ConsentError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl ConsentError {
    fn answer(self, pages: &PageContext, id: &RequestId) -> Response {
        match self {
            Self::NotThisForm => {
                tracing::warn!("consent refused: not this browser's form, or its time is over");
                let text = "The answer does not belong to a question we asked in this browser.";
                let page = PageError::new("This page is out of date", text)
                    .hint("Start again from the application.");
                pages.error(StatusCode::BAD_REQUEST, id, page)
            }
            Self::Store(error) => pages.store_down(id, &error),
        }
    }
}

async fn answer(
    state: &ConsentState,
    audit: &RequestAudit,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Response, ConsentError> {
    let form = Params::parse(body).map_err(|_| ConsentError::NotThisForm)?;
    let browser = state.page_context.known_browser(headers).ok_or(ConsentError::NotThisForm)?;
    if !limits::is_form(headers) || !state.page_context.is_own_form(&browser, form.find("csrf")) {
        return Err(ConsentError::NotThisForm);
    }
    let transaction =
        form.find("transaction").map(TransactionId::from_text).ok_or(ConsentError::NotThisForm)?;
    let transaction =
        state.transactions.find(&browser, &transaction).await?.ok_or(ConsentError::NotThisForm)?;
    let Purpose::Authorize(request) = transaction.purpose.clone() else {
        return Err(ConsentError::NotThisForm);
    };
    match form.find("decision") {
        Some("allow") => {
            Ok(allow(state, headers, form.find("asked"), &request, transaction).await?)
        }
        Some("deny") => Ok(deny(state, audit, headers, &transaction, &request).await?),
        _ => Err(ConsentError::NotThisForm),
    }
}

/// The answer holds for the person who was asked. Another who has signed in with this browser since
/// is asked too.
async fn allow(
    state: &ConsentState,
    headers: &HeaderMap,
    asked: Option<&str>,
    request: &AuthorizationRequest,
    transaction: BrowserTransaction,
) -> Result<Response, StoreError> {
    let (login, now) = (
        state.page_context.login(headers).await?.map(|(login, _)| login),
        state.page_context.clock.now(),
    );
    let progress = AuthorizationProgress {
        request,
        transaction: &transaction,
        login: login.as_ref(),
        remembered: None,
        now,
    };
    let person = progress.current_login().map(|login| login.user.clone());
    if person.as_ref().map(UserId::as_str) == asked {
        state.transactions.update(&transaction.clone().consented(now, person)).await?;
    }
    Ok(see_other(&format!("/auth/authorize?transaction={}", transaction.id)))
}

/// The client is told, for the person has seen a page (threat 11); unless its address opens
/// something that this no should not open (threat 59). A second answer to the same question goes
/// nowhere.
async fn deny(
    state: &ConsentState,
    audit: &RequestAudit,
    headers: &HeaderMap,
    transaction: &BrowserTransaction,
    request: &AuthorizationRequest,
) -> Result<Response, StoreError> {
    if !state.transactions.take(transaction).await? {
        return Ok(see_other("/"));
    }
    tracing::info!(client_id = %request.client, "consent denied");
    let user = state.page_context.login(headers).await?.map(|(_, user)| user);
    let person = user.as_ref().map(Person::user).unwrap_or_default();
    let about = request.resources.to_string();
    audit.refused(person.with_client(request.client.as_str()), RefusalReason::ConsentDenied, about);
    let issuer = state.resources.public_url().as_str();
    match authorize::error_redirect(&request.return_address(), &consent::denied(), issuer) {
        Some(back) => Ok(see_other(&back)),
        None => Ok(state.page_context.not_told(&state.directory.name(&request.client).await?)),
    }
}
