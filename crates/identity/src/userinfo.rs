//! Claims that the ID token left out, from the userinfo endpoint (OpenID Connect Core 1.0 section 5.3). What is made of claims
//! lives in [`crate::claims`].

use portunus_core::secret::SecretText;
use reqwest::StatusCode;
use serde_json::{Map, Value};
use url::Url;

use crate::{
    blame::Blame,
    fetch::{DEADLINE, fetch},
    provider::IdentityError,
};

/// The claims about the person whom the ID token names: an answer about anybody else is refused (section 5.3.2).
pub(crate) async fn load(
    http: &reqwest::Client,
    endpoint: &Url,
    access_token: &SecretText,
    subject: &str,
    blame: &Blame,
) -> Result<Map<String, Value>, IdentityError> {
    let request = http.get(endpoint.clone()).bearer_auth(access_token.expose()).header("accept", "application/json");
    let answer = fetch(request, DEADLINE).await.map_err(|trouble| blame.trouble("userinfo endpoint", &trouble))?;
    if let Some(error) = blame.overload("userinfo endpoint", &answer) {
        return Err(error);
    }
    if answer.status != StatusCode::OK {
        return Err(blame.misconfigured(
            format!("the userinfo endpoint refused the access token it had just issued ({})", answer.status),
            "Put the groups, name and email claims into the ID token, or let this application use userinfo",
        ));
    }
    let claims: Map<String, Value> = answer.json().map_err(|_| {
        blame.misconfigured("the userinfo endpoint did not answer with JSON", "Let it answer unsigned, as application/json")
    })?;
    if claims.get("sub").and_then(Value::as_str) != Some(subject) {
        return Err(blame.unverified("userinfo is about somebody else than the ID token"));
    }
    Ok(claims)
}
