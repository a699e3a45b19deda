//! What both ends of a trip to an identity provider share: the name of the state cookie, and the page for a trip that failed.

use axum::response::Response;
use http::StatusCode;
use portunus_core::secret::TokenHash;
use portunus_identity::provider::IdentityError;

use super::{
    browser::{Desk, PageError},
    layers::RequestId,
};

/// The cookie's name carries a piece of the state's hash, so that several sign-ins can be under way in one browser.
pub fn state_cookie(state: &TokenHash) -> String {
    format!("state_{}", &state.to_string()[..10])
}

/// The page for a sign-in that failed at the provider. `back` tells the client.
pub fn provider_failed(desk: &Desk, id: &RequestId, error: &IdentityError, back: Option<String>) -> Response {
    tracing::warn!(%error, "sign-in failed");
    let (status, title) = match error {
        IdentityError::Refused { .. } => (StatusCode::FORBIDDEN, "You could not be signed in"),
        IdentityError::Unavailable { .. } => (StatusCode::SERVICE_UNAVAILABLE, "Sign-in is not available just now"),
        IdentityError::Misconfigured { .. } => (StatusCode::BAD_GATEWAY, "Sign-in is not set up correctly"),
        IdentityError::Unverified { .. } => (StatusCode::BAD_REQUEST, "You could not be signed in"),
    };
    let mut page = PageError::new(title, error.public_message());
    if let Some(back) = back {
        page = page.back("Tell the application, and go back to it", back);
    }
    desk.error(status, id, page)
}
