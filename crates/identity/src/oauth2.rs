//! GitHub: OAuth 2.0 without OpenID Connect. There is no ID token: who signed in is what GitHub's
//! API says of the access token that the code yielded. OpenID Connect providers live in
//! [`crate::oidc`].

use std::future::Future;

use async_trait::async_trait;
use portunus_core::{Timestamp, admission::Unread, ids::ProviderName, secret::SecretText};
use reqwest::StatusCode;
use serde::{Deserialize, de::DeserializeOwned};
use tokio::time::timeout;
use url::Url;

use crate::{
    claims,
    discovery::TokenAuth,
    error_report::{ErrorReport, quote},
    exchange::{Exchange, Tokens},
    fetch::{Answer, DEADLINE, fetch},
    presets::{self, Facts},
    probe::Trial,
    provider::{IdentityError, Inbound, Outbound, Provider, ProviderRequestSecrets, SignedIn},
    settings::ProviderSettings,
};

/// GitHub, or a GitHub Enterprise Server.
#[derive(Debug)]
pub(crate) struct GithubProvider {
    settings: ProviderSettings,
    facts: &'static Facts,
    /// `https://github.com`, or the server's own.
    issuer: String,
    error_report: ErrorReport,
    http: reqwest::Client,
}

const PAGE: usize = 100;
const MAX_PAGES: usize = 10;

#[derive(Deserialize)]
struct GithubUser {
    id: u64,
    login: String,
    name: Option<String>,
}

#[derive(Deserialize)]
struct GithubEmail {
    email: String,
    #[serde(default)]
    primary: bool,
    #[serde(default)]
    verified: bool,
}

#[derive(Deserialize)]
struct GithubOrg {
    login: String,
    /// Only memberships have one. An invitation that is not accepted is `pending`.
    state: Option<String>,
}

#[derive(Deserialize)]
struct GithubTeam {
    slug: String,
    organization: GithubOrg,
    state: Option<String>,
}

/// What a list of the API holds.
struct Listed {
    names: Vec<String>,
    is_whole: bool,
}

fn is_active(state: Option<&str>) -> bool {
    state.is_none_or(|state| state == "active")
}

impl GithubOrg {
    /// `None` for what must not count as a membership.
    fn name(self) -> Option<String> {
        (is_active(self.state.as_deref()) && is_name(&self.login)).then_some(self.login)
    }
}

impl GithubTeam {
    fn name(self) -> Option<String> {
        let is_member = is_active(self.state.as_deref()) && is_name(&self.slug);
        let organisation = self.organization.name().filter(|_| is_member)?;
        Some(format!("{organisation}/{}", self.slug))
    }
}

/// With a slash in it, the name of one thing could be that of another.
fn is_name(text: &str) -> bool {
    (1..=100).contains(&text.len()) && !text.chars().any(|c| c == '/' || c.is_control())
}

impl GithubProvider {
    pub(crate) fn new(settings: ProviderSettings, http: reqwest::Client) -> Self {
        Self {
            facts: settings.preset.facts(),
            issuer: presets::issuer(&settings),
            error_report: ErrorReport::new(settings.name.clone()),
            settings,
            http,
        }
    }

    fn url(&self, text: &str) -> Result<Url, IdentityError> {
        Url::parse(text).map_err(|_| {
            self.error_report.misconfigured(
                format!("{:?} is not a URL", self.issuer),
                format!(
                    "Set {} to https://github.com, or to your server's URL",
                    self.error_report.setting("ISSUER")
                ),
            )
        })
    }

    /// Where the API is: a host of its own on github.com and ghe.com, a path on an Enterprise
    /// Server.
    fn api(&self, path: &str) -> Result<Url, IdentityError> {
        let base = self.url(&self.issuer)?;
        match base.host_str() {
            Some("github.com") => self.url(&format!("https://api.github.com{path}")),
            Some(host) if host.ends_with(".ghe.com") => {
                self.url(&format!("https://api.{host}{path}"))
            }
            _ => self.url(&format!("{}/api/v3{path}", self.issuer)),
        }
    }

    async fn in_time<T>(
        &self,
        step: impl Future<Output = Result<T, IdentityError>> + Send,
    ) -> Result<T, IdentityError> {
        let late = |_| {
            Err(self
                .error_report
                .unavailable(format!("it took longer than {} ms", DEADLINE.as_millis())))
        };
        timeout(DEADLINE, step).await.unwrap_or_else(late)
    }

    async fn sign_in(
        &self,
        answer: &Inbound,
        provider_request: &ProviderRequestSecrets<'_>,
    ) -> Result<SignedIn, IdentityError> {
        if let Some(iss) = answer.iss.as_ref().filter(|iss| !self.is_issuer(iss)) {
            return Err(self
                .error_report
                .unverified(format!("the answer is from the issuer {:?}", quote(iss))));
        }
        if let Some(error) = &answer.error {
            return Err(
                self.redirect_error(error, answer.error_description.as_deref().unwrap_or_default())
            );
        }
        let code = answer
            .code
            .as_ref()
            .ok_or_else(|| self.error_report.unverified("neither a code nor an error came back"))?;
        let token = self.redeem(code, provider_request).await?.access_token.ok_or_else(|| {
            self.error_report.misconfigured(
                "the token endpoint gave no access token",
                format!("Compare the settings with {}", self.facts.console),
            )
        })?;
        self.person(&token).await
    }

    async fn redeem(
        &self,
        code: &SecretText,
        provider_request: &ProviderRequestSecrets<'_>,
    ) -> Result<Tokens, IdentityError> {
        let token_endpoint = self.url(&format!("{}/login/oauth/access_token", self.issuer))?;
        let exchange = Exchange {
            http: &self.http,
            settings: &self.settings,
            error_report: &self.error_report,
            token_endpoint: &token_endpoint,
            auth: TokenAuth::Post,
        };
        exchange.redeem(code, provider_request).await
    }

    /// Would the token endpoint know us?
    pub(crate) async fn try_secret(&self, redirect_uri: &str) -> Result<(), IdentityError> {
        let probe = Trial::new();
        Trial::is_client_known(
            self.in_time(self.redeem(probe.code(), &probe.provider_request(redirect_uri))).await,
        )
    }

    pub(crate) const fn error_report(&self) -> &ErrorReport {
        &self.error_report
    }

    async fn person(&self, token: &SecretText) -> Result<SignedIn, IdentityError> {
        let user: GithubUser = self
            .ask("/user", token)
            .await?
            .ok_or_else(|| self.error_report.unverified("the API does not know its own token"))?;
        // These need scopes that an administrator may have taken out.
        let emails: Option<Vec<GithubEmail>> = self.ask("/user/emails", token).await?;
        let organisations = self.list("/user/orgs", token, |org: GithubOrg| org.name()).await?;
        let teams = self.list("/user/teams", token, |team: GithubTeam| team.name()).await?;
        let unread =
            Unread { email: emails.is_none(), groups: !(organisations.is_whole && teams.is_whole) };
        let primary = emails.into_iter().flatten().find(|email| email.primary && email.verified);
        let email = primary.and_then(|email| claims::email(&email.email));
        let mut groups = organisations.names;
        groups.extend(teams.names);
        Ok(SignedIn {
            issuer: self.issuer.clone(),
            subject: user.id.to_string(),
            name: user.name.filter(|name| !name.is_empty()).or(Some(user.login)),
            email_verified: email.is_some(),
            email,
            groups,
            hosted_domain: None,
            no_groups: None,
            unread,
            id_token: None,
            refresh_token: None,
        })
    }

    /// Names from a list of the API, page by page. A list that the token may not read, and one that
    /// goes on after the last page that is asked for, is not whole: an account that is not in it
    /// may be a member all the same.
    async fn list<T: DeserializeOwned>(
        &self,
        path: &str,
        token: &SecretText,
        name: impl Fn(T) -> Option<String> + Send,
    ) -> Result<Listed, IdentityError> {
        let mut names = Vec::new();
        for page in 1..=MAX_PAGES {
            let Some(items) =
                self.ask::<Vec<T>>(&format!("{path}?per_page={PAGE}&page={page}"), token).await?
            else {
                return Ok(Listed { names, is_whole: false });
            };
            let is_last = items.len() < PAGE;
            names.extend(items.into_iter().filter_map(&name));
            if is_last {
                return Ok(Listed { names, is_whole: true });
            }
        }
        tracing::warn!(provider = %self.error_report.provider(), path, pages = MAX_PAGES, "GitHub's list goes on; the rest is not read");
        Ok(Listed { names, is_whole: false })
    }

    /// Asks the API; `None` when the token's scopes do not reach so far.
    async fn ask<T: DeserializeOwned>(
        &self,
        path: &str,
        token: &SecretText,
    ) -> Result<Option<T>, IdentityError> {
        let request = self
            .http
            .get(self.api(path)?)
            .bearer_auth(token.expose())
            .header("accept", "application/vnd.github+json")
            .header("user-agent", "portunus");
        let answer = fetch(request, DEADLINE)
            .await
            .map_err(|trouble| self.error_report.trouble("API", &trouble))?;
        if let Some(error) =
            self.error_report.overload("API", &answer).or_else(|| self.rate_limit(&answer))
        {
            return Err(error);
        }
        match answer.status {
            StatusCode::OK => answer.json().map(Some).map_err(|error| {
                let hint = format!(
                    "Check that {} is a GitHub server",
                    self.error_report.setting("ISSUER")
                );
                self.error_report.misconfigured(
                    format!("the API's answer to {path} cannot be read: {error}"),
                    hint,
                )
            }),
            status => {
                tracing::warn!(provider = %self.error_report.provider(), %status, path, "GitHub did not answer; see the scopes setting");
                Ok(None)
            }
        }
    }

    /// GitHub says 403 when its rate limit is used up.
    fn rate_limit(&self, answer: &Answer) -> Option<IdentityError> {
        let is_used_up = answer.status == StatusCode::FORBIDDEN
            && answer.header("x-ratelimit-remaining") == Some("0");
        let reset = answer.header("x-ratelimit-reset").unwrap_or("an unknown time");
        is_used_up.then(|| {
            self.error_report.unavailable(format!(
                "the API's rate limit is used up until {} (Unix time)",
                quote(reset)
            ))
        })
    }

    fn redirect_error(&self, error: &str, description: &str) -> IdentityError {
        let said = format!("it answered {} ({})", quote(error), quote(description));
        match error {
            "access_denied" => self.error_report.refused(
                error,
                description,
                "The person cancelled, or an organisation's policy forbids it",
            ),
            "temporarily_unavailable" | "server_error" => self.error_report.unavailable(said),
            _ => self
                .error_report
                .misconfigured(said, format!("Compare the settings with {}", self.facts.console)),
        }
    }
}

#[async_trait]
impl Provider for GithubProvider {
    fn name(&self) -> &ProviderName {
        &self.settings.name
    }

    fn label(&self) -> &str {
        self.facts.label.unwrap_or_else(|| self.settings.name.as_str())
    }

    /// GitHub's own authorization server metadata names the second.
    fn is_issuer(&self, iss: &str) -> bool {
        iss == self.issuer || iss.strip_prefix(&self.issuer) == Some("/login/oauth")
    }

    async fn authorization_url(
        &self,
        provider_request: &Outbound<'_>,
    ) -> Result<Url, IdentityError> {
        let mut url = self.url(&format!("{}/login/oauth/authorize", self.issuer))?;
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.settings.client_id)
            .append_pair("redirect_uri", provider_request.redirect_uri)
            .append_pair("scope", &presets::scopes(&self.settings, None).join(" "))
            .append_pair("state", provider_request.state.expose())
            .append_pair("code_challenge", provider_request.code_challenge.as_str())
            .append_pair("code_challenge_method", "S256");
        if provider_request.fresh {
            url.query_pairs_mut().append_pair("prompt", "select_account");
        }
        if let Some(hint) = provider_request.login_hint {
            url.query_pairs_mut().append_pair("login", hint);
        }
        Ok(url)
    }

    async fn complete(
        &self,
        answer: &Inbound,
        provider_request: &ProviderRequestSecrets<'_>,
        _: Timestamp,
    ) -> Result<SignedIn, IdentityError> {
        self.in_time(self.sign_in(answer, provider_request)).await
    }

    async fn sign_out_url(
        &self,
        _: Option<&SecretText>,
        _: &str,
        _: &str,
    ) -> Result<Option<Url>, IdentityError> {
        Ok(None)
    }

    /// Anything short of an outage will do: the API refuses us without a token, and that is an
    /// answer too.
    async fn probe(&self, _redirect_uri: &str) -> Result<(), IdentityError> {
        let request = self.http.get(self.api("/meta")?).header("user-agent", "portunus");
        let answer = fetch(request, DEADLINE)
            .await
            .map_err(|trouble| self.error_report.trouble("API", &trouble))?;
        self.error_report.overload("API", &answer).map_or(Ok(()), Err)
    }
}
