//! An OpenID Connect provider, generic or preset: [`OidcProvider`]. Each step has a room of its own
//! ([`crate::discovery`], [`crate::exchange`], [`crate::id_token`], [`crate::userinfo`]); here is
//! their order. GitHub lives in [`crate::oauth2`].

mod access_token;
mod overage;
mod probes;
mod refresh;

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use portunus_core::{Timestamp, admission::Unread, ids::ProviderName, secret::SecretText};
use serde_json::{Map, Value};
use tokio::time::timeout;
use url::Url;

use crate::{
    cache::{Cache, Pace},
    claims::{self, Claims},
    discovery::{Discovery, Metadata},
    error_report::{ErrorReport, quote},
    exchange::{Exchange, Tokens},
    fetch::DEADLINE,
    id_token::{self, ALLOWED, Expected, Flaw, VerifiedIdToken},
    jwks::KeySet,
    okta,
    presets::{self, Facts},
    provider::{
        IdentityError, Inbound, Outbound, PROVIDER_ERROR, Provider, ProviderRequestSecrets,
        Refreshed, SignedIn, TOO_MANY_GROUPS, TOOK_TOO_LONG,
    },
    reach::Reach,
    settings::{Preset, ProviderSettings},
    userinfo::{self, Userinfo},
};

/// The longest address that a browser is sent to for a sign-out: the head of an answer that is much
/// longer does not fit into the buffers that balancers have by default, and the browser gets an
/// error of theirs (FB60).
const LONGEST_SIGN_OUT: usize = 2000;
/// How long userinfo may take of a sign-in that can end well without it.
const USERINFO: Duration = Duration::from_millis(1500);
/// How far the provider's clock may be from ours, in seconds (F7).
const AUTH_TIME_LEEWAY: f64 = 60.0;
/// A provider's metadata speaks of ID tokens; what signs userinfo it need not say.
const ALL_ALGORITHMS: [jsonwebtoken::Algorithm; ALLOWED.len()] = id_token::algorithms();

/// A provider with metadata, keys and ID tokens.
#[derive(Debug)]
pub(crate) struct OidcProvider {
    settings: ProviderSettings,
    facts: &'static Facts,
    /// As the provider spells it.
    issuer: String,
    error_report: ErrorReport,
    http: reqwest::Client,
    metadata: Cache<Metadata>,
    keys: Arc<Cache<KeySet>>,
    told_of_userinfo: AtomicBool,
    /// It refused a sign-in for the sake of the refresh token that was asked for.
    refuses_offline_access: AtomicBool,
}

impl OidcProvider {
    pub(crate) fn new(settings: ProviderSettings, http: reqwest::Client) -> Self {
        Self::with_pace(settings, http, Pace::default())
    }

    pub(crate) fn with_pace(settings: ProviderSettings, http: reqwest::Client, pace: Pace) -> Self {
        Self {
            facts: settings.preset.facts(),
            issuer: presets::issuer(&settings),
            error_report: ErrorReport::new(settings.name.clone()),
            metadata: Cache::new(pace),
            keys: Arc::new(Cache::new(pace)),
            told_of_userinfo: AtomicBool::new(false),
            refuses_offline_access: AtomicBool::new(false),
            settings,
            http,
        }
    }

    pub(crate) const fn error_report(&self) -> &ErrorReport {
        &self.error_report
    }

    fn reach(&self) -> Reach<'_> {
        Reach { issuer: &self.issuer, internal: self.settings.internal_url.as_ref() }
    }

    pub(crate) async fn metadata(&self) -> Result<Arc<Metadata>, IdentityError> {
        presets::check_issuer(&self.settings, &self.error_report)?;
        let discovery = Discovery {
            http: &self.http,
            reach: self.reach(),
            preset: self.settings.preset,
            error_report: &self.error_report,
        };
        self.metadata.load(|patience| async move { discovery.fetch(patience).await }).await
    }

    /// Fetches the keys while the person is at the provider, so that the rest of the sign-in does
    /// not wait for them. What is fetched stays, whatever becomes of the sign-in.
    fn fetch_keys_ahead(&self, metadata: &Metadata) {
        if self.keys.is_fresh() {
            return;
        }
        let (keys, http, uri, error_report) = (
            Arc::clone(&self.keys),
            self.http.clone(),
            metadata.jwks_uri.clone(),
            self.error_report.clone(),
        );
        tokio::spawn(async move {
            // A sign-in that needs them meets the error, too.
            let _ = keys.load(|patience| KeySet::fetch(&http, &uri, &error_report, patience)).await;
        });
    }

    pub(crate) async fn keys(&self, metadata: &Metadata) -> Result<Arc<KeySet>, IdentityError> {
        self.keys
            .load(|patience| {
                KeySet::fetch(&self.http, &metadata.jwks_uri, &self.error_report, patience)
            })
            .await
    }

    /// The whole step within the deadline (F3).
    pub(crate) async fn in_time<T>(
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
        now: Timestamp,
    ) -> Result<SignedIn, IdentityError> {
        let metadata = self.metadata().await?;
        self.check_iss(answer.iss.as_deref(), &metadata)?;
        if let Some(error) = &answer.error {
            return Err(
                self.redirect_error(error, answer.error_description.as_deref().unwrap_or_default())
            );
        }
        let code = answer
            .code
            .as_ref()
            .ok_or_else(|| self.error_report.unverified("neither a code nor an error came back"))?;
        // Beside each other: a provider may take its time for both (FB63).
        let (tokens, _) =
            tokio::join!(self.redeem(code, provider_request, &metadata), self.keys(&metadata));
        let tokens = tokens?;
        let id_token = tokens.id_token.as_ref().ok_or_else(|| {
            self.error_report.misconfigured(
                "the token endpoint gave no ID token",
                format!(
                    "Put `openid` into {}, and check that the provider speaks OpenID Connect",
                    self.error_report.setting("SCOPES")
                ),
            )
        })?;
        let nonce = Some(provider_request.nonce);
        let verified = self.verify(id_token, nonce, &metadata, now).await?;
        self.check_auth_time(&verified, provider_request.signed_in_since)?;
        let source = Source::of(&verified, id_token);
        let person = self.person(source, tokens.access_token.as_ref(), &metadata, now).await?;
        // One that came unasked may be of the person's session there, and end with it.
        let refresh_token = tokens.refresh_token.filter(|_| self.asks_for_refresh_tokens());
        Ok(SignedIn { refresh_token, ..person })
    }

    fn exchange<'a>(&'a self, metadata: &'a Metadata) -> Exchange<'a> {
        Exchange {
            http: &self.http,
            settings: &self.settings,
            error_report: &self.error_report,
            token_endpoint: &metadata.token_endpoint,
            auth: metadata.token_auth,
        }
    }

    /// `iss` of the answer is compared byte for byte when it is there, and must be there when the
    /// provider says so (RFC 9207 section 2.4, threat 10).
    fn check_iss(&self, iss: Option<&str>, metadata: &Metadata) -> Result<(), IdentityError> {
        match iss {
            Some(iss) if iss != metadata.issuer => {
                Err(self.error_report.unverified(format!("the answer is from the issuer {:?}", quote(iss))))
            }
            None if metadata.sends_iss => Err(self.error_report.unverified(
                "the answer does not say which issuer it is from (`iss`), although the provider's metadata promises that it does: one of the two must be \
                 changed there (Keycloak: Client > Advanced > OpenID Connect Compatibility Modes)",
            )),
            _ => Ok(()),
        }
    }

    /// That the person was asked to sign in says nothing: they may take that out of the address,
    /// and a provider may answer from its own session. The token says when they did (FB64).
    fn check_auth_time(
        &self,
        verified: &VerifiedIdToken,
        since: Option<Timestamp>,
    ) -> Result<(), IdentityError> {
        let Some(since) = since else { return Ok(()) };
        match verified.claims().get("auth_time").and_then(Value::as_f64) {
            Some(at) if at + AUTH_TIME_LEEWAY >= since.as_secs_f64() => Ok(()),
            Some(_) => Err(self.error_report.refused(
                "login_required",
                "it did not have the person sign in again",
                "The application asked for a fresh sign-in (prompt=login or max_age), and `auth_time` of the ID token is from before",
            )),
            None => Err(self.error_report.refused(
                "login_required",
                "its ID token does not say when the person signed in",
                "The application asked for a fresh sign-in (prompt=login or max_age): let the provider put `auth_time` into the ID token",
            )),
        }
    }

    /// An error at our redirect URI (RFC 6749 section 4.1.2.1, OpenID Connect Core section
    /// 3.1.2.6).
    fn redirect_error(&self, error: &str, description: &str) -> IdentityError {
        let is_okta = self.settings.preset == Preset::Okta;
        if let Some(refused) = self.offline_access_refused(error, description) {
            return refused;
        }
        if okta::is_too_many_groups(description) {
            return self.error_report.refused(
                TOO_MANY_GROUPS,
                description,
                okta::TOO_MANY_GROUPS_HINT,
            );
        }
        let scopes_setting = self.error_report.setting("SCOPES");
        let own_hint = is_okta.then(|| okta::hint(error, &self.issuer, &scopes_setting)).flatten();
        let hint = |otherwise: String| own_hint.unwrap_or(otherwise);
        let said = format!("it answered {} ({})", quote(error), quote(description));
        let console = self.facts.console;
        match error {
            "temporarily_unavailable" if description.contains("authentication_expired") => {
                self.error_report.refused(TOOK_TOO_LONG, description, "The person took longer than the provider allows")
            }
            "temporarily_unavailable" | "server_error" => self.error_report.refused(
                PROVIDER_ERROR,
                &format!("{error}: {description}"),
                "The reason is in the provider's own log",
            ),
            "invalid_scope" => self
                .error_report
                .misconfigured(said, hint(format!("Allow the scopes in {console}, or choose others with {scopes_setting}"))),
            "invalid_request" | "unauthorized_client" | "unsupported_response_type" | "invalid_client" => {
                self.error_report.misconfigured(said, hint(format!("Compare the settings with {console}")))
            }
            "access_denied" => self.error_report.refused(
                error,
                description,
                hint(format!("The person declined, or is not let in: then assign them to this application in {console}")),
            ),
            _ => self.error_report.refused(error, description, hint(format!("See {console}"))),
        }
    }

    async fn redeem(
        &self,
        code: &SecretText,
        provider_request: &ProviderRequestSecrets<'_>,
        metadata: &Metadata,
    ) -> Result<Tokens, IdentityError> {
        self.exchange(metadata).redeem(code, provider_request).await
    }

    /// OpenID Connect Core section 3.1.2.1.
    fn authorization_request(&self, metadata: &Metadata, provider_request: &Outbound<'_>) -> Url {
        let offline = self.asks_for_refresh_tokens();
        let offered = metadata.scopes_supported.as_deref();
        let scopes = presets::scopes_with(&self.settings, offered, offline).join(" ");
        let mut url = metadata.authorization_endpoint.clone();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.settings.client_id)
            .append_pair("redirect_uri", provider_request.redirect_uri)
            .append_pair("scope", &scopes)
            .append_pair("state", provider_request.state.expose())
            .append_pair("nonce", provider_request.nonce.expose())
            .append_pair("code_challenge", provider_request.code_challenge.as_str())
            .append_pair("code_challenge_method", "S256");
        if offline && self.settings.preset == Preset::Google {
            url.query_pairs_mut().append_pair("access_type", "offline");
        }
        if provider_request.fresh {
            url.query_pairs_mut().append_pair("prompt", self.facts.fresh_prompt);
        }
        if let Some(seconds) = provider_request.max_age {
            url.query_pairs_mut().append_pair("max_age", &seconds.to_string());
        }
        if let Some(hint) = provider_request.login_hint {
            url.query_pairs_mut().append_pair("login_hint", hint);
        }
        url
    }

    /// Verifies with the keys at hand, and with newly fetched ones if none of those fits (F4).
    async fn verify(
        &self,
        token: &SecretText,
        nonce: Option<&SecretText>,
        metadata: &Metadata,
        now: Timestamp,
    ) -> Result<VerifiedIdToken, IdentityError> {
        let asked = Instant::now();
        let expected = Expected {
            issuer: &metadata.issuer,
            client_id: &self.settings.client_id,
            nonce,
            algorithms: &metadata.algorithms,
        };
        let check = |keys: &KeySet| match id_token::verify(token.expose(), &expected, keys, now) {
            Err(Flaw::NoKey) => None,
            verdict => Some(verdict),
        };
        let mut verdict = check(self.keys(metadata).await?.as_ref());
        if verdict.is_none() {
            let fetch = |patience: Duration| {
                KeySet::fetch(&self.http, &metadata.jwks_uri, &self.error_report, patience)
            };
            verdict = self.keys.find(asked, check, fetch).await?;
        }
        match verdict.unwrap_or(Err(Flaw::NoKey)) {
            Ok(verified) => Ok(verified),
            Err(Flaw::NoKey) => {
                Err(self.error_report.unverified("the ID token is signed with a key that the provider does not publish"))
            }
            Err(Flaw::Refused(why)) => Err(self.error_report.unverified(format!("the ID token is refused: {why}"))),
            Err(Flaw::Setting(why)) => Err(self.error_report.misconfigured(
                format!("the ID token cannot be taken: {why}"),
                format!(
                    "Change it in {}: signed with RS256 or ES256, not encrypted, and with fewer claims if it is long",
                    self.facts.console
                ),
            )),
        }
    }

    /// A provider that does not know the signature any more refuses the whole sign-out for the sake
    /// of the hint (FB60). Where that cannot be found out, the hint goes along.
    async fn still_publishes_the_key_of(&self, id_token: &SecretText, metadata: &Metadata) -> bool {
        match self.in_time(self.keys(metadata)).await {
            Ok(keys) => id_token::names_one_of(id_token.expose(), &keys),
            Err(_) => true,
        }
    }

    /// What userinfo adds, if it does: the ID token is good without it (FB21).
    async fn more(
        &self,
        subject: &str,
        endpoint: &Url,
        access_token: &SecretText,
        metadata: &Metadata,
    ) -> Result<Option<Map<String, Value>>, IdentityError> {
        let loaded = async {
            let claims =
                match userinfo::load(&self.http, endpoint, access_token, &self.error_report).await?
                {
                    Userinfo::Claims(claims) => claims,
                    Userinfo::Signed(token) => {
                        let expected = Expected {
                            issuer: &metadata.issuer,
                            client_id: &self.settings.client_id,
                            nonce: None,
                            algorithms: &ALL_ALGORITHMS,
                        };
                        let keys = self.keys(metadata).await?;
                        id_token::verify_userinfo(token.expose(), &expected, &keys).map_err(
                            |flaw| {
                                self.error_report.misconfigured(
                                    format!("what userinfo signed does not verify: {flaw:?}"),
                                    "Let it answer as application/json",
                                )
                            },
                        )?
                    }
                };
            userinfo::about(subject, claims, &self.error_report)
        };
        match timeout(USERINFO, loaded).await.unwrap_or_else(|_| {
            Err(self.error_report.unavailable("the userinfo endpoint did not answer in time"))
        }) {
            Ok(claims) => Ok(Some(claims)),
            Err(error @ IdentityError::Unverified { .. }) => Err(error),
            Err(error) => {
                if !self.told_of_userinfo.swap(true, Ordering::Relaxed) {
                    tracing::warn!(%error, "people sign in with what their ID token says alone: userinfo, which has more, cannot be read");
                }
                Ok(None)
            }
        }
    }

    /// Reads the person's claims, from userinfo too when the ID token lacks some.
    async fn person(
        &self,
        Source { subject, claims: found, id_token }: Source<'_>,
        access_token: Option<&SecretText>,
        metadata: &Metadata,
        now: Timestamp,
    ) -> Result<SignedIn, IdentityError> {
        let groups_claim = self.settings.groups_claim.as_deref().unwrap_or(self.facts.groups_claim);
        let beyond = self.groups_beyond_the_token(found, groups_claim, access_token).await?;
        let lacks_groups =
            self.facts.groups_in_userinfo && claims::find(found, groups_claim).is_none();
        let lacks_email = !found.contains_key("email");
        let (more, is_unread) = match (&metadata.userinfo_endpoint, access_token) {
            (Some(endpoint), Some(token))
                if lacks_groups || lacks_email || !found.contains_key("name") =>
            {
                let more = self.more(subject, endpoint, token, metadata).await?;
                let is_unread = more.is_none();
                (more, is_unread)
            }
            _ => (None, false),
        };
        let claims = Claims { id_token: found, userinfo: more.as_ref() };
        let elsewhere = match beyond {
            Some(listed) => Some(listed),
            None if claims.has(groups_claim) => None,
            None => {
                let claim = groups_claim;
                self.groups_in_access_token(claim, subject, access_token, metadata, now).await
            }
        };
        let no_groups =
            if elsewhere.is_some() { None } else { self.note_groups(&claims, groups_claim) };
        let (email, email_verified) = claims.email();
        let is_microsoft = self.settings.preset == Preset::MicrosoftEntraId;
        let (groups, are_all_groups) = match &elsewhere {
            Some(listed) => {
                let (groups, are_all) = claims::groups(Some(&listed.groups));
                (groups, are_all && listed.is_whole)
            }
            None => claims.groups(groups_claim),
        };
        Ok(SignedIn {
            issuer: metadata.issuer.clone(),
            subject: subject.to_owned(),
            name: claims.name(),
            email,
            email_verified: email_verified
                || (is_microsoft && claims.is_email_of_verified_domain()),
            groups,
            hosted_domain: claims.hosted_domain(),
            no_groups,
            unread: Unread {
                email: is_unread && lacks_email,
                groups: !are_all_groups || (is_unread && lacks_groups && elsewhere.is_none()),
            },
            id_token: id_token.cloned(),
            refresh_token: None,
        })
    }

    /// A claim that was configured and says nothing is likely a mistake there: an administrator is
    /// told what came in its place (FB22, FB65). The doctor says it again, until a person has
    /// signed in with groups.
    fn note_groups(&self, claims: &Claims<'_>, claim: &str) -> Option<String> {
        if self.settings.groups_claim.is_none() || !claims.groups(claim).0.is_empty() {
            return None;
        }
        let state =
            if claims.has(claim) { "is empty, or no list of names" } else { "did not come" };
        let told = format!("{state}; those that came: {}", claims.names());
        tracing::warn!(provider = %self.settings.name, claim, "the configured groups claim {told}. {GROUPS_ADVICE}");
        Some(told)
    }
}

/// Whom the provider speaks of, and what their ID token says, if there is one.
#[derive(Clone, Copy)]
struct Source<'a> {
    subject: &'a str,
    claims: &'a Map<String, Value>,
    id_token: Option<&'a SecretText>,
}

impl<'a> Source<'a> {
    fn of(verified: &'a VerifiedIdToken, id_token: &'a SecretText) -> Self {
        let (subject, claims) = (verified.subject(), verified.claims());
        Self { subject, claims, id_token: Some(id_token) }
    }
}

/// What to do about a groups claim that says nothing.
pub(crate) const GROUPS_ADVICE: &str = "A name with dots, or a path into nested claims, is written with dots; the claim must be in the ID token, in userinfo, \
                                 or in an access token that is a JWT of this provider for this client";

#[async_trait]
impl Provider for OidcProvider {
    fn name(&self) -> &ProviderName {
        &self.settings.name
    }

    fn label(&self) -> &str {
        self.facts.label.unwrap_or_else(|| self.settings.name.as_str())
    }

    fn client_id(&self) -> Option<&str> {
        Some(&self.settings.client_id)
    }

    fn is_issuer(&self, iss: &str) -> bool {
        iss == self.issuer || presets::is_tenant_by_domain(self.settings.preset, &self.issuer, iss)
    }

    async fn authorization_url(
        &self,
        provider_request: &Outbound<'_>,
    ) -> Result<Url, IdentityError> {
        let metadata = self.in_time(self.metadata()).await?;
        self.fetch_keys_ahead(&metadata);
        Ok(self.authorization_request(&metadata, provider_request))
    }

    async fn complete(
        &self,
        answer: &Inbound,
        provider_request: &ProviderRequestSecrets<'_>,
        now: Timestamp,
    ) -> Result<SignedIn, IdentityError> {
        self.in_time(self.sign_in(answer, provider_request, now)).await
    }

    fn gives_refresh_tokens(&self) -> bool {
        self.asks_for_refresh_tokens()
    }

    async fn refresh(&self, token: &SecretText, subject: &str, now: Timestamp) -> Refreshed {
        self.refresh_person(token, subject, now).await
    }

    async fn sign_out_url(
        &self,
        id_token_hint: Option<&SecretText>,
        return_to: &str,
        state: &str,
    ) -> Result<Option<Url>, IdentityError> {
        let metadata = self.in_time(self.metadata()).await?;
        let Some(mut url) = metadata.end_session_endpoint.clone() else { return Ok(None) };
        url.query_pairs_mut()
            .append_pair("post_logout_redirect_uri", return_to)
            .append_pair("client_id", &self.settings.client_id)
            .append_pair("state", state);
        if let Some(id_token) = id_token_hint {
            let mut hinting = url.clone();
            hinting.query_pairs_mut().append_pair("id_token_hint", id_token.expose());
            let length = hinting.as_str().len();
            if length > LONGEST_SIGN_OUT {
                tracing::debug!(
                    length,
                    "the ID token is too long to go along to the sign-out at the provider"
                );
            } else if self.still_publishes_the_key_of(id_token, &metadata).await {
                return Ok(Some(hinting));
            } else {
                tracing::debug!(
                    "the key that signed the ID token is no longer published: it does not go along to the sign-out"
                );
            }
        }
        Ok(Some(url))
    }

    /// Metadata, keys, and an authorization request that may show no page.
    async fn probe(&self, redirect_uri: &str) -> Result<(), IdentityError> {
        self.in_time(async {
            let metadata = self.metadata().await?;
            self.keys(&metadata).await?;
            self.try_authorization(&metadata, redirect_uri).await.map(drop)
        })
        .await
    }
}
