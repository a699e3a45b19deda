//! `GET PUT DELETE /auth/register/{client_id}`: a client reads, changes and ends its registration
//! (RFC 7592). The rules are `portunus_core::oauth::manage`; registration itself is answered in
//! [`super::register`].

use std::sync::Arc;

use axum::{
    Extension, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, State},
    response::{IntoResponse as _, Response},
    routing,
};
use http::{HeaderMap, StatusCode, header};
use portunus_core::{
    Clock, Entropy,
    ids::ClientId,
    oauth::{
        header::bearer_of,
        manage::{self, ManagedClient, UpdateRequest},
        register::{self, Registration},
        registration_policy::{RegistrationMethod, RegistrationPolicy},
    },
    resource::PublicUrl,
    secret::TokenKind,
    store::ClientStore,
};

use super::support::answers::{self, Failure};
use crate::{audit::RequestAudit, disabled::Disabled, edge::limits};

/// As the log calls it.
const ENDPOINT: &str = "register/{client_id}";

#[derive(Clone)]
pub struct ManageState {
    pub clients: Arc<dyn ClientStore>,
    pub registration_policy: Arc<RegistrationPolicy>,
    pub public_url: PublicUrl,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub disabled: Disabled,
}

pub fn routes(state: ManageState) -> Router {
    Router::new()
        .route(
            &format!("{}/{{client_id}}", register::PATH),
            routing::get(get).put(put).delete(delete),
        )
        .layer(DefaultBodyLimit::max(limits::CLIENT_METADATA))
        .with_state(state)
}

async fn get(
    State(state): State<ManageState>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    answer(&state, &headers, admit(&state, &id, &headers).await.map(ManagedClient::read))
}

async fn put(
    State(state): State<ManageState>,
    Extension(audit): Extension<RequestAudit>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if !limits::is_json(&headers) {
        return answers::not_json();
    }
    let updated = update(&state, &id, &headers, &body).await;
    if let Ok(registration) = &updated {
        audit.client_changed(&registration.client);
    }
    answer(&state, &headers, updated)
}

/// Everything the client was given ends with it, at once.
async fn delete(
    State(state): State<ManageState>,
    Extension(audit): Extension<RequestAudit>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    match end(&state, &id, &headers).await {
        Ok(client) => {
            audit.client_deleted(&client);
            (StatusCode::NO_CONTENT, [(header::CACHE_CONTROL, "no-store")]).into_response()
        }
        Err(failure) => answers::failure(&failure, ENDPOINT, &headers),
    }
}

fn answer(
    state: &ManageState,
    headers: &HeaderMap,
    outcome: Result<Registration, Failure>,
) -> Response {
    match outcome {
        Ok(registration) => {
            answers::no_store(StatusCode::OK, &registration.response(&state.public_url))
        }
        Err(failure) => answers::failure(&failure, ENDPOINT, headers),
    }
}

async fn admit(
    state: &ManageState,
    id: &str,
    headers: &HeaderMap,
) -> Result<ManagedClient, Failure> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().filter(|_| values.next().is_none());
    let token = value.and_then(|value| bearer_of(TokenKind::Registration, value.as_bytes()).ok());
    // Only a request with something that could be a token has the store asked.
    let client = match &token {
        Some(_) => state.clients.find_client(&ClientId::from_text(id)).await?,
        None => None,
    };
    let managed = manage::admit(client, token)?;
    // Told to the client alone, which has proven itself.
    if state.disabled.now().is_client_disabled(&managed.client().id) {
        return Err(Failure::disabled_client(&managed.client().id));
    }
    Ok(managed)
}

async fn update(
    state: &ManageState,
    id: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Registration, Failure> {
    let managed = admit(state, id, headers).await?;
    let registration = managed.update(
        UpdateRequest::parse(body)?,
        &state.registration_policy.redirect_schemes,
        &*state.entropy,
    )?;
    state.registration_policy.admit(RegistrationMethod::Registration, &registration.client)?;
    if !state.clients.update_client(&registration.client).await? {
        // It was deleted meanwhile, and its token with it.
        return Err(manage::refused().into());
    }
    tracing::info!(client_id = %registration.client.id, redirect_uris = ?registration.client.redirect_uris, "client changed");
    Ok(registration)
}

async fn end(state: &ManageState, id: &str, headers: &HeaderMap) -> Result<ClientId, Failure> {
    let managed = admit(state, id, headers).await?;
    let deleted = state.clients.delete_client(&managed.client().id, state.clock.now()).await?;
    tracing::info!(client_id = %managed.client().id, grants_revoked = deleted.grants_revoked, "client deleted by itself");
    Ok(managed.client().id.clone())
}
