//! `GET /.well-known/…`: what this authorization server and its resources are (RFC 8414, RFC 9728).

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    response::{IntoResponse, Response},
    routing,
};
use http::{StatusCode, Uri, header};
use portunus_core::{
    oauth::metadata::{self, Features},
    request::PlainPath,
    resource::Resources,
};
use serde::Serialize;
use serde_json::json;

use super::support::client_directory::ClientDirectory;

#[derive(Clone)]
pub struct MetadataState {
    pub resources: Arc<Resources>,
    pub features: Features,
    pub directory: ClientDirectory,
}

impl MetadataState {
    /// What can be had at this moment.
    fn features(&self) -> Features {
        let metadata_documents = self.features.metadata_documents && self.directory.has_reach();
        Features { metadata_documents, ..self.features }
    }
}

pub fn routes(state: MetadataState) -> Router {
    Router::new()
        .route(metadata::PROTECTED_RESOURCE, routing::get(root_resource))
        .route("/.well-known/oauth-protected-resource/{*path}", routing::get(resource))
        .route("/.well-known/oauth-authorization-server", routing::get(authorization_server))
        .route("/.well-known/openid-configuration", routing::get(openid_configuration))
        .route("/auth/jwks.json", routing::get(jwks))
        .with_state(state)
}

/// May be kept for five minutes: it changes with the configuration only.
fn document<T: Serialize>(document: T) -> Response {
    ([(header::CACHE_CONTROL, "public, max-age=300")], Json(document)).into_response()
}

async fn authorization_server(State(state): State<MetadataState>) -> Response {
    document(metadata::authorization_server(&state.resources, state.features()))
}

async fn openid_configuration(State(state): State<MetadataState>) -> Response {
    document(metadata::openid_configuration(&state.resources, state.features()))
}

/// Without a path: the document of `/mcp`, which is what a client that knows only our host wants.
async fn root_resource(State(state): State<MetadataState>) -> Response {
    let mcp = state.resources.root();
    document(metadata::protected_resource(
        &mcp,
        &state.resources.address_of(&mcp),
        &state.resources,
    ))
}

/// The address of a request to a resource, which the document names as it was written (RFC 9728
/// section 3.3): with a trailing slash, or with a `server_name`. Every path below a proxied one has
/// that one's document.
async fn resource(State(state): State<MetadataState>, uri: Uri) -> Response {
    // As it is written: the extractor for paths would decode it.
    let path = uri.path().strip_prefix(metadata::PROTECTED_RESOURCE).unwrap_or_default();
    let found = PlainPath::parse(path).ok();
    let found = found.and_then(|path| {
        Some((state.resources.guarding(path)?.0, state.resources.address(path, uri.query())?))
    });
    match found {
        Some((resource, address)) => {
            document(metadata::protected_resource(&resource, &address, &state.resources))
        }
        None => (StatusCode::NOT_FOUND, Json(json!({"error": "not_found"}))).into_response(),
    }
}

/// We sign nothing: tokens are opaque.
async fn jwks() -> Response {
    document(json!({"keys": []}))
}
