//! `POST /auth/register`: dynamic client registration (RFC 7591). The rules are `portunus_core::oauth::register`; what a client
//! may do with its registration later is answered in [`super::manage`].

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
    oauth::{
        ErrorCode, OAuthError,
        client_metadata::ClientMetadata,
        register::{self, Registration},
        ways::{Way, Ways},
    },
    resource::PublicUrl,
    store::ClientStore,
};

use crate::edge::{limits, oauth_answers};

#[derive(Clone)]
pub struct RegisterRoom {
    pub clients: Arc<dyn ClientStore>,
    pub ways: Arc<Ways>,
    pub public_url: PublicUrl,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub max_unused_clients: u64,
}

pub fn routes(room: RegisterRoom) -> Router {
    Router::new()
        .route(register::PATH, routing::post(post))
        .route("/register", routing::post(post))
        .layer(DefaultBodyLimit::max(limits::FORM))
        .with_state(room)
}

async fn post(State(room): State<RegisterRoom>, headers: HeaderMap, body: Bytes) -> Response {
    if !limits::is_json(&headers) {
        return oauth_answers::not_json();
    }
    let registration = match registration(&room, &body) {
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
            oauth_answers::no_store(StatusCode::CREATED, &registration.response(&room.public_url))
        }
        Err(response) => *response,
    }
}

fn registration(room: &RegisterRoom, body: &[u8]) -> Result<Registration, OAuthError> {
    room.ways.check_open(Way::Registration)?;
    let registration = register::register(ClientMetadata::parse(body)?, room.clock.now(), &*room.entropy)?;
    room.ways.admit(Way::Registration, &registration.client)?;
    Ok(registration)
}

/// Keeps the client, unless too many that never were used are waiting (threat 25).
async fn keep(room: &RegisterRoom, registration: &Registration) -> Result<(), Box<Response>> {
    let store_down = |error| Box::new(oauth_answers::store_down(&error));
    if room.clients.count_unused_clients().await.map_err(store_down)? >= room.max_unused_clients {
        tracing::warn!(limit = room.max_unused_clients, "registration refused: too many clients that were never used");
        let problem = OAuthError::new(ErrorCode::TemporarilyUnavailable, "too many registrations are waiting; try again later");
        let mut response = oauth_answers::error(&problem, false);
        *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("600"));
        return Err(Box::new(response));
    }
    room.clients.insert_client(&registration.client).await.map_err(store_down)
}
