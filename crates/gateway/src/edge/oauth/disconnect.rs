//! `POST /auth/disconnect`: on the front page, the person in front of this browser ends what they allowed an application.

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

use crate::edge::{
    browser::{PageContext, PageError, see_other},
    extensions::RequestId,
    limits,
};

pub const PATH: &str = "/auth/disconnect";

#[derive(Clone)]
pub struct DisconnectState {
    pub page_context: PageContext,
    pub grants: Arc<dyn GrantStore>,
    pub consents: Arc<dyn ConsentStore>,
}

pub fn routes(room: DisconnectState) -> Router {
    Router::new().route(PATH, routing::post(post)).layer(DefaultBodyLimit::max(limits::FORM)).with_state(room)
}

async fn post(
    State(room): State<DisconnectState>,
    Extension(id): Extension<RequestId>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let form = Params::parse(&body).unwrap_or_default();
    let browser = room.page_context.known_browser(&headers);
    if !browser.is_some_and(|browser| room.page_context.is_own_form(&browser, form.find("csrf"))) {
        let error =
            PageError::new("This page is out of date", "The request does not come from a page we served to this browser.")
                .hint("Go to the front page and try again there.");
        return room.page_context.error(StatusCode::BAD_REQUEST, &id, error);
    }
    let grant = GrantId::from_text(form.find("grant").unwrap_or_default());
    match disconnect(&room, &headers, &grant).await {
        Ok(()) => see_other("/"),
        Err(error) => room.page_context.store_down(&id, &error),
    }
}

/// Ends the person's own grants only; anybody else's is as good as unknown. The consent goes too, so that the application has to
/// ask again.
async fn disconnect(room: &DisconnectState, headers: &HeaderMap, grant: &GrantId) -> Result<(), StoreError> {
    let Some((_, user)) = room.page_context.login(headers).await? else { return Ok(()) };
    let Some(grant) = room.grants.find_grant(grant).await?.filter(|grant| grant.user == user.id) else { return Ok(()) };
    room.consents.delete_consents(&user.id, &grant.client).await?;
    room.grants.revoke_grant(&grant.id, room.page_context.clock.now()).await?;
    tracing::info!(user = %user.id, client_id = %grant.client, grant = %grant.id, "grant revoked by its user");
    Ok(())
}
