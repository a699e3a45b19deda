//! The one stylesheet and the mark, at addresses that change with their content.

use std::sync::LazyLock;

use axum::{
    Router,
    response::{IntoResponse, Response},
    routing,
};
use http::header;
use sha2::{Digest, Sha256};

const CSS_PATH: &str = "/assets/portunus.css";
const MARK_PATH: &str = "/assets/portunus.svg";
const CSS: &str = include_str!("../../../templates/portunus.css");
const MARK: &str = include_str!("../../../templates/portunus.svg");

static CSS_HREF: LazyLock<String> = LazyLock::new(|| href(CSS_PATH, CSS));
static MARK_HREF: LazyLock<String> = LazyLock::new(|| href(MARK_PATH, MARK));

fn href(path: &str, content: &str) -> String {
    let digest = Sha256::digest(content);
    format!("{path}?v={:02x}{:02x}{:02x}{:02x}", digest[0], digest[1], digest[2], digest[3])
}

/// The stylesheet's address, for pages to link to.
pub fn css_href() -> &'static str {
    &CSS_HREF
}

/// The mark's address, for pages to link to.
pub fn mark_href() -> &'static str {
    &MARK_HREF
}

/// `GET` of both.
pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route(CSS_PATH, routing::get(async || asset("text/css; charset=utf-8", CSS)))
        .route(MARK_PATH, routing::get(async || asset("image/svg+xml", MARK)))
}

/// May be kept for a year, because another content has another address.
fn asset(content_type: &'static str, content: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'; sandbox"),
    ];
    (headers, content).into_response()
}
