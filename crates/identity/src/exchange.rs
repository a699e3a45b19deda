//! The code for tokens, at the token endpoint (RFC 6749 section 4.1.3, OpenID Connect Core 1.0
//! section 3.1.3). The ID token is verified next door, in [`crate::id_token`].

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use portunus_core::{Timestamp, secret::SecretText};
use reqwest::{RequestBuilder, StatusCode};
use serde::Deserialize;
use url::{Url, form_urlencoded};

use crate::{
    discovery::TokenAuth,
    error_report::{ErrorReport, quote},
    fetch::{Answer, DEADLINE, fetch},
    provider::{IdentityError, ProviderRequestSecrets, RefreshError},
    settings::ProviderSettings,
};

/// The longest refresh token that is kept. Those of providers have 2 KiB at most.
const MAX_REFRESH_TOKEN: usize = 8 * 1024;

/// What the token endpoint gave.
#[derive(Debug, Deserialize)]
#[expect(clippy::struct_field_names, reason = "as the answer calls them")]
pub(crate) struct Tokens {
    pub(crate) id_token: Option<SecretText>,
    pub(crate) access_token: Option<SecretText>,
    pub(crate) refresh_token: Option<SecretText>,
}

/// Where and as whom the code is exchanged.
#[derive(Debug)]
pub(crate) struct Exchange<'a> {
    pub(crate) http: &'a reqwest::Client,
    pub(crate) settings: &'a ProviderSettings,
    pub(crate) error_report: &'a ErrorReport,
    pub(crate) token_endpoint: &'a Url,
    pub(crate) auth: TokenAuth,
}

#[derive(Deserialize)]
struct RawError {
    error: String,
    #[serde(default)]
    error_description: String,
}

impl Exchange<'_> {
    /// Redeems the code. Errors are mapped by who can mend them (RFC 6749 section 5.2).
    pub(crate) async fn redeem(
        &self,
        code: &SecretText,
        provider_request: &ProviderRequestSecrets<'_>,
    ) -> Result<Tokens, IdentityError> {
        let form = vec![
            ("grant_type", "authorization_code"),
            ("code", code.expose()),
            ("redirect_uri", provider_request.redirect_uri),
            ("code_verifier", provider_request.code_verifier.expose()),
        ];
        let answer = self.ask(form).await?;
        if let Some(error) = self.error_report.overload("token endpoint", &answer) {
            return Err(error);
        }
        // GitHub sends its errors with status 200.
        if let Ok(error) = answer.json::<RawError>() {
            return Err(self.refusal(&error.error, &error.error_description));
        }
        self.tokens(&answer)
    }

    /// Exchanges a refresh token (RFC 6749 section 6, OpenID Connect Core section 12).
    pub(crate) async fn refresh(
        &self,
        token: &SecretText,
        now: Timestamp,
    ) -> Result<Tokens, RefreshError> {
        let form = vec![("grant_type", "refresh_token"), ("refresh_token", token.expose())];
        let answer = self.ask(form).await?;
        if let Some(error) = self.error_report.overload("token endpoint", &answer) {
            return Err(RefreshError::Failed { error, retry_at: retry_at(&answer, now) });
        }
        match answer.json::<RawError>() {
            Ok(RawError { error, error_description }) if error == "invalid_grant" => {
                Err(RefreshError::Ended(quote(&error_description)))
            }
            Ok(RawError { error, error_description })
                if matches!(error.as_str(), "unauthorized_client" | "unsupported_grant_type") =>
            {
                Err(self.refresh_not_allowed(&error, &error_description).into())
            }
            Ok(error) => Err(self.refusal(&error.error, &error.error_description).into()),
            Err(_) => Ok(self.tokens(&answer)?),
        }
    }

    fn refresh_not_allowed(&self, error: &str, description: &str) -> IdentityError {
        let said = format!("the token endpoint answered {} ({})", quote(error), quote(description));
        let console = self.settings.preset.facts().console;
        self.error_report
            .misconfigured(said, format!("Allow the grant type Refresh Token in {console}"))
    }

    async fn ask(&self, form: Vec<(&str, &str)>) -> Result<Answer, IdentityError> {
        fetch(self.request(form)?, DEADLINE)
            .await
            .map_err(|trouble| self.error_report.trouble("token endpoint", &trouble))
    }

    fn tokens(&self, answer: &Answer) -> Result<Tokens, IdentityError> {
        if answer.status != StatusCode::OK {
            return Err(self.nonsense(answer));
        }
        let tokens: Tokens = answer.json().map_err(|_| self.nonsense(answer))?;
        let fits = |token: &SecretText| token.expose().len() <= MAX_REFRESH_TOKEN;
        Ok(Tokens { refresh_token: tokens.refresh_token.filter(fits), ..tokens })
    }

    fn request<'a>(
        &'a self,
        mut form: Vec<(&'a str, &'a str)>,
    ) -> Result<RequestBuilder, IdentityError> {
        let id = self.settings.client_id.as_str();
        let mut request =
            self.http.post(self.token_endpoint.clone()).header("accept", "application/json");
        match (&self.settings.client_secret, self.auth) {
            (None, _) => form.push(("client_id", id)),
            (Some(secret), TokenAuth::Basic) => {
                request = request.header("authorization", basic(id, secret));
            }
            (Some(secret), TokenAuth::Post) => {
                form.extend([("client_id", id), ("client_secret", secret.expose())]);
            }
            (Some(_), TokenAuth::Unsupported) => {
                return Err(self.error_report.misconfigured(
                    "its token endpoint takes no client secret",
                    "Let this client authenticate with client_secret_basic or client_secret_post",
                ));
            }
        }
        Ok(request.form(&form))
    }

    fn refusal(&self, error: &str, description: &str) -> IdentityError {
        let console = self.settings.preset.facts().console;
        let said = format!("the token endpoint answered {} ({})", quote(error), quote(description));
        match error {
            "invalid_client" | "invalid_request" if is_about_other_proof(description) => self.error_report.misconfigured(
                said,
                format!(
                    "Another way of client authentication is set for this client: choose one with a client secret in {console}"
                ),
            ),
            "invalid_client" | "incorrect_client_credentials" => self.error_report.misconfigured(
                said,
                format!(
                    "Check {} and {} against {console}: the secret may be wrong, rotated, or of another application",
                    self.error_report.setting("ID"),
                    self.error_report.setting("SECRET")
                ),
            ),
            // Some have it for a wrong secret (FB62): their words tell.
            "unauthorized_client" if is_about_other_proof(description) => self.error_report.misconfigured(
                said,
                format!(
                    "Another way of client authentication is set for this client: choose `Client Id and Secret` in {console}"
                ),
            ),
            "unauthorized_client" if is_about_secret(description) => {
                let (id, secret) = (self.error_report.setting("ID"), self.error_report.setting("SECRET"));
                self.error_report
                    .misconfigured(said, format!("Check {id} and {secret} against {console}: the secret is wrong or missing"))
            }
            "unauthorized_client" | "unsupported_grant_type" => {
                self.error_report.misconfigured(said, format!("Allow the grant type Authorization Code in {console}"))
            }
            "redirect_uri_mismatch" => self
                .error_report
                .misconfigured(said, format!("Register our callback, exactly as it is in BASE_URL, in {console}")),
            "invalid_grant" | "bad_verification_code" => self.error_report.refused(
                "invalid_grant",
                description,
                "The code had expired or was used before: start the sign-in again. If it happens every time, check that the \
                 callback registered at the provider is exactly ours and that the clocks agree",
            ),
            "temporarily_unavailable" | "server_error" | "slow_down" => self.error_report.unavailable(said),
            _ => self.error_report.misconfigured(said, format!("Compare the settings with {console}")),
        }
    }

    fn nonsense(&self, answer: &Answer) -> IdentityError {
        self.error_report.misconfigured(
            format!(
                "the token endpoint answered {} without a token or an OAuth error",
                answer.status
            ),
            format!(
                "Check that {} is the issuer of this provider",
                self.error_report.setting("ISSUER")
            ),
        )
    }
}

/// When the provider wants to be asked again, as far as an answer with 429 or 503 says: Okta's
/// header is a Unix time, the other a number of seconds.
fn retry_at(answer: &Answer, now: Timestamp) -> Option<Timestamp> {
    let number = |name: &str| answer.header(name)?.trim().parse::<u32>().ok();
    let reset = number("x-rate-limit-reset").map(|at| Timestamp::from_secs(i64::from(at)));
    let after = || number("retry-after").map(|wait| now + Duration::from_secs(wait.into()));
    reset.or_else(after)
}

/// Does it want a signed request or a certificate?
fn is_about_other_proof(description: &str) -> bool {
    let description = description.to_ascii_lowercase();
    // A list of ways with ours among them: it is not the way that is wrong.
    if description.contains("client_secret_basic") || description.contains("client_secret_post") {
        return false;
    }
    ["client_assertion", "assertion", "certificate", "x509", "x.509", "mtls", "private_key_jwt"]
        .iter()
        .any(|word| description.contains(word))
}

fn is_about_secret(description: &str) -> bool {
    let description = description.to_ascii_lowercase();
    description.contains("secret") || description.contains("credential")
}

/// HTTP Basic with both parts form-encoded first (RFC 6749 section 2.3.1).
fn basic(id: &str, secret: &SecretText) -> String {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    format!("Basic {}", STANDARD.encode(format!("{}:{}", encode(id), encode(secret.expose()))))
}
