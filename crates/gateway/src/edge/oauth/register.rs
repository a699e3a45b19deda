//! `POST /auth/register`: dynamic client registration (RFC 7591). The rules are
//! `portunus_core::oauth::register`; what a client may do with its registration later is answered
//! in [`super::manage`].

use std::{net::IpAddr, sync::Arc};

use axum::{
    Extension, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    response::Response,
    routing,
};
use http::{HeaderMap, StatusCode};
use portunus_core::{
    Clock, Entropy,
    address_block::AddressBlock,
    audit::{Person, RefusalReason},
    oauth::{
        ErrorCode, OAuthError,
        client_metadata::ClientMetadata,
        register::{self, Registration},
        registration_policy::{RegistrationMethod, RegistrationPolicy},
    },
    resource::PublicUrl,
    store::{ClientStore, StoreError},
};

use super::support::answers;
use crate::{
    audit::RequestAudit,
    edge::{extensions::Peer, limits},
};

#[derive(Clone)]
pub struct RegisterState {
    pub clients: Arc<dyn ClientStore>,
    pub registration_policy: Arc<RegistrationPolicy>,
    pub public_url: PublicUrl,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub max_unused_clients: u64,
}

pub fn routes(state: RegisterState) -> Router {
    Router::new()
        .route(register::PATH, routing::post(post))
        .route("/register", routing::post(post))
        .layer(DefaultBodyLimit::max(limits::FORM))
        .with_state(state)
}

async fn post(
    State(state): State<RegisterState>,
    Extension(Peer(peer)): Extension<Peer>,
    Extension(audit): Extension<RequestAudit>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    match register(&state, peer, &headers, &body).await {
        Ok(registration) => {
            audit.client_registered(&registration.client);
            answers::no_store(StatusCode::CREATED, &registration.response(&state.public_url))
        }
        Err(error) => {
            if let RegisterError::Refused(problem) = &error {
                let reason = RefusalReason::RegistrationRefused;
                audit.refused(Person::default(), reason, problem.code.as_str());
            }
            error.answer()
        }
    }
}

/// Why there is no registration.
#[derive(Debug)]
enum RegisterError {
    NotJson,
    Refused(OAuthError),
    Store(StoreError),
}

impl From<OAuthError> for RegisterError {
    fn from(problem: OAuthError) -> Self {
        Self::Refused(problem)
    }
}

impl From<StoreError> for RegisterError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl RegisterError {
    fn answer(self) -> Response {
        match self {
            Self::NotJson => answers::not_json(),
            Self::Refused(problem) => {
                tracing::info!(%problem, "registration refused");
                answers::error(&problem, false)
            }
            Self::Store(error) => answers::store_down(&error),
        }
    }
}

async fn register(
    state: &RegisterState,
    peer: IpAddr,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Registration, RegisterError> {
    if !limits::is_json(headers) {
        return Err(RegisterError::NotJson);
    }
    let registration = check(state, peer, body)?;
    keep(state, &registration).await?;
    let client = &registration.client;
    tracing::info!(client_id = %client.id, client_name = client.name, redirect_uris = ?client.redirect_uris, "client registered");
    Ok(registration)
}

/// The rules of registration, and those of the configuration.
fn check(state: &RegisterState, peer: IpAddr, body: &[u8]) -> Result<Registration, OAuthError> {
    state.registration_policy.check_open(RegistrationMethod::Registration)?;
    let metadata = ClientMetadata::parse(body)?;
    if body.len() > limits::CLIENT_METADATA {
        let problem = format!("the metadata is longer than {} bytes", limits::CLIENT_METADATA);
        return Err(OAuthError::new(ErrorCode::InvalidClientMetadata, problem));
    }
    let mut registration = register::register(
        metadata,
        &state.registration_policy.redirect_schemes,
        state.clock.now(),
        &*state.entropy,
    )?;
    registration.client.registered_from = Some(AddressBlock::of(peer).tag());
    state.registration_policy.admit(RegistrationMethod::Registration, &registration.client)?;
    Ok(registration)
}

/// Keeps the client. No registration is refused because others registered too many: of the clients
/// that were never used, the oldest of the address with most of them go (threats 25, 55).
async fn keep(state: &RegisterState, registration: &Registration) -> Result<(), StoreError> {
    state.clients.insert_client(&registration.client).await?;
    let dropped = state.clients.trim_unused_clients(state.max_unused_clients).await?;
    if dropped > 0 {
        let limit = state.max_unused_clients;
        tracing::warn!(
            limit,
            dropped,
            "clients that were never used made room for new ones: clients.registration.max_unused"
        );
    }
    Ok(())
}
