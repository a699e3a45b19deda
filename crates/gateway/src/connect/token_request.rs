//! Requests at the token endpoint (RFC 6749 sections 4.1.3 and 6), each with `resource` (RFC 8707).

use http::StatusCode;
use portunus_core::{
    Timestamp,
    secret::SecretText,
    text::{Label, Sentence},
};
use serde_json::Value;
use url::{Url, form_urlencoded};

use super::{
    error::ConnectError,
    fetch::Fetcher,
    identity::{ClientIdentity, Method},
};

/// What came back.
pub(super) struct Tokens {
    pub(super) access_token: SecretText,
    pub(super) refresh_token: Option<SecretText>,
    /// Seconds since 1970.
    pub(super) expires_at: Option<i64>,
}

/// Where, as whom and for what tokens are asked for.
pub(super) struct TokenRequest<'a> {
    pub(super) fetcher: &'a Fetcher,
    pub(super) endpoint: &'a Url,
    pub(super) client: &'a ClientIdentity,
    pub(super) resource: &'a str,
    pub(super) now: Timestamp,
}

impl TokenRequest<'_> {
    pub(super) async fn redeem(
        &self,
        code: &SecretText,
        verifier: &SecretText,
        redirect_uri: &str,
    ) -> Result<Tokens, ConnectError> {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code.expose()),
            ("code_verifier", verifier.expose()),
            ("redirect_uri", redirect_uri),
        ];
        self.send(&fields).await
    }

    pub(super) async fn refresh(&self, token: &SecretText) -> Result<Tokens, ConnectError> {
        let tokens = self
            .send(&[("grant_type", "refresh_token"), ("refresh_token", token.expose())])
            .await?;
        // Without a new one the old one stays (RFC 6749 section 6).
        let refresh_token = tokens.refresh_token.or_else(|| Some(token.clone()));
        Ok(Tokens { refresh_token, ..tokens })
    }

    async fn send(&self, fields: &[(&str, &str)]) -> Result<Tokens, ConnectError> {
        let mut fields = fields.to_vec();
        fields.push(("resource", self.resource));
        let basic = match (self.client.method, &self.client.secret) {
            (Method::Basic, Some(secret)) => {
                Some((encoded(&self.client.id), SecretText::new(encoded(secret.expose()))))
            }
            (_, secret) => {
                fields.push(("client_id", &self.client.id));
                if let Some(secret) = secret {
                    fields.push(("client_secret", secret.expose()));
                }
                None
            }
        };
        let basic = basic.as_ref().map(|(id, secret)| (id.as_str(), secret));
        let answer = self.fetcher.post_form(self.endpoint, &fields, basic).await?;
        if answer.status != StatusCode::OK {
            return Err(refusal(answer.status, &answer.body));
        }
        self.tokens(&answer.body)
    }

    fn tokens(&self, body: &Value) -> Result<Tokens, ConnectError> {
        let text =
            |name: &str| body.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let trouble = |what: &str| ConnectError::Trouble(format!("its answer has {what}"));
        let access_token = text("access_token").ok_or_else(|| trouble("no access_token"))?;
        if !text("token_type").is_some_and(|kind| kind.eq_ignore_ascii_case("bearer")) {
            return Err(trouble("a token_type that is not Bearer"));
        }
        let lifetime = body.get("expires_in").and_then(|value| {
            value
                .as_f64()
                .or_else(|| value.as_str()?.parse().ok())
                .filter(|seconds| *seconds >= 0.0)
        });
        #[expect(clippy::cast_possible_truncation, reason = "cut to ten years before")]
        let expires_at =
            lifetime.map(|seconds| self.now.as_secs() + seconds.min(315_360_000.0) as i64);
        Ok(Tokens {
            access_token: SecretText::new(access_token),
            refresh_token: text("refresh_token").map(SecretText::new),
            expires_at,
        })
    }
}

/// What an endpoint said instead (RFC 6749 section 5.2). Only a refusal with a code is one:
/// anything else may be otherwise tomorrow.
pub(super) fn refusal(status: StatusCode, body: &Value) -> ConnectError {
    let text = |name: &str| body.get(name)?.as_str().filter(|text| !text.is_empty());
    match text("error") {
        Some(code) if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS => {
            let description = text("error_description").map(|text| Sentence::new(text).to_string());
            ConnectError::Refused { code: Label::new(code).to_string(), description }
        }
        _ => ConnectError::Trouble(format!("it answered with status {status}")),
    }
}

fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
