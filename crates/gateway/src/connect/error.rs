//! What can go wrong between a client and its server. The texts are for the person at the client:
//! they say what to change, and hold no secret.

use thiserror::Error;

#[derive(Debug, Error)]
pub enum ConnectError {
    #[error("{0} cannot be reached: {1}")]
    Unreachable(String, String),
    /// The request may have arrived.
    #[error(
        "the connection to the server ended before it answered: the request may or may not have run"
    )]
    Broken,
    #[error("{0}")]
    Metadata(String),
    /// The token endpoint, or the registration endpoint, said no, with this code.
    #[error("the authorization server refused: {code}{}", .description.as_ref().map(|text| format!(" ({text})")).unwrap_or_default())]
    Refused { code: String, description: Option<String> },
    #[error("the authorization server did not do its work: {0}")]
    Trouble(String),
    #[error("sign-in: {0}")]
    SignIn(String),
    #[error("{0}")]
    Store(String),
    #[error("{0}")]
    Server(String),
}

/// The innermost cause, which alone says something; without URLs, in which secrets may stand.
pub(super) fn cause_of(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    if std::ptr::addr_eq(cause, error) {
        "the request failed".to_owned()
    } else {
        cause.to_string()
    }
}
