//! What both ends of an authorization request at an identity provider share: the state cookie, and
//! the page for one that failed.

use std::time::Duration;

use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use portunus_core::{
    ids::TransactionId,
    oauth::{ErrorCode, OAuthError, authorize},
    resource::PublicUrl,
    secret::{TokenHash, TokenKind, TokenSecret},
    signin::{BrowserTransaction, Purpose},
};
use portunus_identity::provider::{IdentityError, PROVIDER_ERROR};

use crate::edge::{
    browser::{PageContext, PageError},
    cookies::CookieJar,
    extensions::RequestId,
};

/// The cookie's name carries a piece of the state's hash, so that several sign-ins can be under way
/// in one browser.
fn state_cookie(state: &TokenHash) -> String {
    format!("state_{}", &state.to_string()[..10])
}

/// What the state cookie holds: the secret that the answer is bound to (threat 2), and which
/// transaction it is about. It stays when the answer has come, so that a browser whose callback is
/// loaded again goes on with that transaction (FB02).
pub struct StateCookie {
    pub secret: TokenSecret,
    pub transaction: Option<TransactionId>,
}

impl StateCookie {
    /// A `Set-Cookie` header.
    pub fn set(
        &self,
        jar: CookieJar,
        state: &TokenHash,
        max_age: Duration,
    ) -> (HeaderName, HeaderValue) {
        let about = self
            .transaction
            .as_ref()
            .map(|transaction| format!(".{transaction}"))
            .unwrap_or_default();
        jar.set(&state_cookie(state), &format!("{}{about}", self.secret.expose()), max_age)
    }

    pub fn find(jar: CookieJar, headers: &HeaderMap, state: &TokenHash) -> Option<Self> {
        let value = jar.find(headers, &state_cookie(state))?;
        let (secret, about) =
            value.split_once('.').map_or((&*value, None), |(secret, about)| (secret, Some(about)));
        let secret = TokenSecret::parse(TokenKind::Browser, secret)?;
        Some(Self { secret, transaction: about.map(TransactionId::from_text) })
    }
}

/// The page for a sign-in that failed at the provider: an explanation for the person, a way to
/// begin again where that may help (the transaction is kept for it), and if a client waits, a way
/// to tell it.
pub fn provider_failed(
    page_context: &PageContext,
    id: &RequestId,
    error: &IdentityError,
    transaction: &BrowserTransaction,
    public_url: &PublicUrl,
) -> Response {
    tracing::warn!(%error, "sign-in failed");
    let (status, title) = match error {
        IdentityError::Refused { error, .. } if error == PROVIDER_ERROR => {
            (StatusCode::SERVICE_UNAVAILABLE, "Your identity provider had an error")
        }
        IdentityError::Refused { .. } => (StatusCode::FORBIDDEN, "You could not be signed in"),
        IdentityError::Unavailable { .. } => {
            (StatusCode::SERVICE_UNAVAILABLE, "Sign-in is not available just now")
        }
        IdentityError::Misconfigured { .. } => {
            (StatusCode::BAD_GATEWAY, "Sign-in is not set up correctly")
        }
        IdentityError::Unverified { .. } => (StatusCode::BAD_REQUEST, "You could not be signed in"),
    };
    let mut page = PageError::new(title, error.public_message());
    if error.may_begin_again() {
        let step = match transaction.purpose {
            Purpose::Authorize(_) => "authorize",
            Purpose::SignIn { .. } => "signin",
        };
        page = page.again(format!("/auth/{step}?transaction={}", transaction.id));
    }
    if let Purpose::Authorize(request) = &transaction.purpose {
        page = page.telling(authorize::error_redirect(
            &request.return_address(),
            &told(error),
            public_url.as_str(),
        ));
    }
    page_context.error(status, id, page)
}

/// What the client is told of a sign-in that failed at the provider (RFC 6749 section 4.1.2.1).
fn told(error: &IdentityError) -> OAuthError {
    let (code, description) = match error {
        IdentityError::Unavailable { .. } => {
            (ErrorCode::TemporarilyUnavailable, "the identity provider cannot be reached")
        }
        IdentityError::Refused { error, .. } if error == PROVIDER_ERROR => {
            (ErrorCode::TemporarilyUnavailable, "the identity provider had an error")
        }
        IdentityError::Refused { .. } | IdentityError::Unverified { .. } => {
            (ErrorCode::AccessDenied, "the identity provider did not sign the person in")
        }
        IdentityError::Misconfigured { .. } => {
            (ErrorCode::ServerError, "sign-in is not set up correctly")
        }
    };
    OAuthError::new(code, description)
}
