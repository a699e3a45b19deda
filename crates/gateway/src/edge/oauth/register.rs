//! `POST /auth/register`: dynamic client registration (RFC 7591). The rules are `portunus_core::oauth::register`.

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    response::Response,
    routing,
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use portunus_core::{
    Clock, Entropy,
    oauth::{ErrorCode, OAuthError, register},
    store::ClientStore,
};

use crate::edge::{limits, oauth_answers};

#[derive(Clone)]
pub struct RegisterRoom {
    pub clients: Arc<dyn ClientStore>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub max_unused_clients: u64,
}

pub fn routes(room: RegisterRoom) -> Router {
    Router::new()
        .route("/auth/register", routing::post(post))
        .route("/register", routing::post(post))
        .layer(DefaultBodyLimit::max(limits::FORM))
        .with_state(room)
}

async fn post(State(room): State<RegisterRoom>, headers: HeaderMap, body: Bytes) -> Response {
    if !limits::is_json(&headers) {
        let problem = OAuthError::new(ErrorCode::InvalidClientMetadata, "send the metadata as application/json");
        return with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE, &problem);
    }
    let registration = match parse(&body).and_then(|metadata| register::register(metadata, room.clock.now(), &*room.entropy)) {
        Ok(registration) => registration,
        Err(problem) => {
            tracing::info!(%problem, "registration refused");
            return oauth_answers::error(&problem, false);
        }
    };
    match keep(&room, &registration).await {
        Ok(()) => {
            let client = &registration.client;
            tracing::info!(client_id = %client.id, client_name = client.name, redirect_uris = ?client.redirect_uris, "client registered");
            oauth_answers::no_store(StatusCode::CREATED, &registration.response())
        }
        Err(response) => *response,
    }
}

fn parse(body: &[u8]) -> Result<register::ClientMetadata, OAuthError> {
    serde_json::from_slice(body)
        .map_err(|problem| OAuthError::new(ErrorCode::InvalidClientMetadata, format!("the metadata cannot be read: {problem}")))
}

/// Keeps the client, unless too many that never were used are waiting (threat 25).
async fn keep(room: &RegisterRoom, registration: &register::Registration) -> Result<(), Box<Response>> {
    let store_down = |error| Box::new(oauth_answers::store_down(&error));
    if room.clients.count_unused_clients().await.map_err(store_down)? >= room.max_unused_clients {
        tracing::warn!(limit = room.max_unused_clients, "registration refused: too many clients that were never used");
        let problem = OAuthError::new(ErrorCode::TemporarilyUnavailable, "too many registrations are waiting; try again later");
        let mut response = with_status(StatusCode::TOO_MANY_REQUESTS, &problem);
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("600"));
        return Err(Box::new(response));
    }
    room.clients.insert_client(&registration.client).await.map_err(store_down)
}

fn with_status(status: StatusCode, problem: &OAuthError) -> Response {
    let mut response = oauth_answers::error(problem, false);
    *response.status_mut() = status;
    response
}
