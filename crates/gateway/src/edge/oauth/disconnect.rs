//! `POST /auth/disconnect`: on the front page, the person in front of this browser ends what they
//! allowed an application, or an agent key of theirs.

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
    ids::GrantId,
    oauth::params::Params,
    store::{ConsentStore, GrantStore, StoreError},
};

use crate::{
    audit::RequestAudit,
    edge::{
        browser::{PageContext, PageError, see_other},
        extensions::RequestId,
        limits,
    },
};

pub const PATH: &str = "/auth/disconnect";

#[derive(Clone)]
pub struct DisconnectState {
    pub page_context: PageContext,
    pub grants: Arc<dyn GrantStore>,
    pub consents: Arc<dyn ConsentStore>,
}

pub fn routes(state: DisconnectState) -> Router {
    Router::new()
        .route(PATH, routing::post(post))
        .layer(DefaultBodyLimit::max(limits::FORM))
        .with_state(state)
}

async fn post(
    State(state): State<DisconnectState>,
    Extension(id): Extension<RequestId>,
    Extension(audit): Extension<RequestAudit>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    answer(&state, &audit, &headers, &body)
        .await
        .unwrap_or_else(|error| error.answer(&state.page_context, &id))
}

/// Why nothing is ended.
#[derive(Debug)]
enum DisconnectError {
    /// The form is not ours, or not this browser's (threat 14).
    NotThisForm,
    Store(StoreError),
}

impl From<StoreError> for DisconnectError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl DisconnectError {
    fn answer(self, pages: &PageContext, id: &RequestId) -> Response {
        match self {
            Self::NotThisForm => {
                let text = "The request does not come from a page we served to this browser.";
                let page = PageError::new("This page is out of date", text)
                    .hint("Go to the front page and try again there.");
                pages.error(StatusCode::BAD_REQUEST, id, page)
            }
            Self::Store(error) => pages.store_down(id, &error),
        }
    }
}

async fn answer(
    state: &DisconnectState,
    audit: &RequestAudit,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Response, DisconnectError> {
    let form = Params::parse(body).unwrap_or_default();
    let browser = state.page_context.known_browser(headers);
    if !browser.is_some_and(|browser| state.page_context.is_own_form(&browser, form.find("csrf"))) {
        return Err(DisconnectError::NotThisForm);
    }
    let grant = GrantId::from_text(form.find("grant").unwrap_or_default());
    disconnect(state, audit, headers, &grant).await?;
    Ok(see_other("/"))
}

/// Ends the person's own grants only; another person's is as good as unknown. The consent goes too,
/// so that the application has to ask again.
async fn disconnect(
    state: &DisconnectState,
    audit: &RequestAudit,
    headers: &HeaderMap,
    grant: &GrantId,
) -> Result<(), StoreError> {
    let Some((_, user)) = state.page_context.login(headers).await? else { return Ok(()) };
    let Some(grant) = state.grants.find_grant(grant).await?.filter(|grant| grant.user == user.id)
    else {
        return Ok(());
    };
    state.consents.delete_consents(&user.id, &grant.client).await?;
    state.grants.revoke_grant(&grant.id, state.page_context.clock.now()).await?;
    tracing::info!(user = %user.id, client_id = %grant.client, grant = %grant.id, "grant revoked by its user");
    if grant.key.is_some() {
        audit.key_revoked(&user, &grant.id);
    } else {
        audit.consent_withdrawn(&user, &grant);
    }
    Ok(())
}
