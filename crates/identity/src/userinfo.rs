//! Claims that the ID token left out, from the userinfo endpoint (OpenID Connect Core 1.0 section
//! 5.3): JSON, or a signed JWT. What is made of claims lives in [`crate::claims`].

use portunus_core::secret::SecretText;
use reqwest::StatusCode;
use serde_json::{Map, Value};
use url::Url;

use crate::{
    error_report::ErrorReport,
    fetch::{DEADLINE, fetch},
    provider::IdentityError,
};

/// What the endpoint gave.
pub(crate) enum Userinfo {
    Claims(Map<String, Value>),
    /// To be verified as the ID token is (section 5.3.2).
    Signed(SecretText),
}

pub(crate) async fn load(
    http: &reqwest::Client,
    endpoint: &Url,
    access_token: &SecretText,
    error_report: &ErrorReport,
) -> Result<Userinfo, IdentityError> {
    let request = http
        .get(endpoint.clone())
        .bearer_auth(access_token.expose())
        .header("accept", "application/json");
    let answer = fetch(request, DEADLINE)
        .await
        .map_err(|trouble| error_report.trouble("userinfo endpoint", &trouble))?;
    if let Some(error) = error_report.overload("userinfo endpoint", &answer) {
        return Err(error);
    }
    if answer.status != StatusCode::OK {
        return Err(error_report.misconfigured(
            format!("the userinfo endpoint refused the access token it had just issued ({})", answer.status),
            "Put the groups, name and email claims into the ID token, or let this application use userinfo",
        ));
    }
    let is_signed = answer.header("content-type").is_some_and(|media| {
        media.trim_start().to_ascii_lowercase().starts_with("application/jwt")
    });
    if is_signed {
        return Ok(Userinfo::Signed(SecretText::new(String::from_utf8_lossy(&answer.body).trim())));
    }
    answer.json().map(Userinfo::Claims).map_err(|_| {
        error_report.misconfigured(
            "the userinfo endpoint did not answer with JSON, nor with a signed JWT",
            "Let it answer as application/json",
        )
    })
}

/// The claims, if they are about the person whom the ID token names: an answer about another person
/// is refused (section 5.3.2).
pub(crate) fn about(
    subject: &str,
    claims: Map<String, Value>,
    error_report: &ErrorReport,
) -> Result<Map<String, Value>, IdentityError> {
    if claims.get("sub").and_then(Value::as_str) != Some(subject) {
        return Err(error_report.unverified("userinfo is about somebody else than the ID token"));
    }
    Ok(claims)
}
