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

pub fn routes(room: MetadataState) -> Router {
    Router::new()
        .route(metadata::PROTECTED_RESOURCE, routing::get(root_resource))
        .route("/.well-known/oauth-protected-resource/{*path}", routing::get(resource))
        .route("/.well-known/oauth-authorization-server", routing::get(authorization_server))
        .route("/.well-known/openid-configuration", routing::get(openid_configuration))
        .route("/auth/jwks.json", routing::get(jwks))
        .with_state(room)
}

/// May be kept for five minutes: it changes with the configuration only.
fn document<T: Serialize>(document: T) -> Response {
    ([(header::CACHE_CONTROL, "public, max-age=300")], Json(document)).into_response()
}

async fn authorization_server(State(room): State<MetadataState>) -> Response {
    document(metadata::authorization_server(&room.resources, room.features()))
}

async fn openid_configuration(State(room): State<MetadataState>) -> Response {
    document(metadata::openid_configuration(&room.resources, room.features()))
}

/// Without a path: the document of `/mcp`, which is what a client that knows only our host wants.
async fn root_resource(State(room): State<MetadataState>) -> Response {
    let mcp = room.resources.root();
    document(metadata::protected_resource(&mcp, &room.resources.address_of(&mcp), &room.resources))
}

/// The address of a request to a resource, which the document names as it was written (RFC 9728 section 3.3): with a trailing slash,
/// or with a `server_name`. Every path below a proxied one has that one's document.
async fn resource(State(room): State<MetadataState>, uri: Uri) -> Response {
    // As it is written: the extractor for paths would decode it.
    let path = uri.path().strip_prefix(metadata::PROTECTED_RESOURCE).unwrap_or_default();
    let found = PlainPath::parse(path).ok();
    let found = found.and_then(|path| Some((room.resources.guarding(path)?.0, room.resources.address(path, uri.query())?)));
    match found {
        Some((resource, address)) => document(metadata::protected_resource(&resource, &address, &room.resources)),
        None => (StatusCode::NOT_FOUND, Json(json!({"error": "not_found"}))).into_response(),
    }
}

/// We sign nothing: tokens are opaque.
async fn jwks() -> Response {
    document(json!({"keys": []}))
}
