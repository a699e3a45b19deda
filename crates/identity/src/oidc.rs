//! An OpenID Connect provider, generic or preset: [`OidcProvider`]. Each step has a room of its own ([`crate::discovery`],
//! [`crate::exchange`], [`crate::id_token`], [`crate::userinfo`]); here is their order. GitHub lives in [`crate::oauth2`].

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use portunus_core::{Timestamp, admission::Unread, ids::ProviderName, secret::SecretText};
use tokio::time::timeout;
use url::Url;

use crate::{
    blame::{Blame, quote},
    cache::{Cache, Pace},
    claims::{self, Claims},
    discovery::{Discovery, Metadata},
    exchange::{Exchange, Tokens},
    fetch::DEADLINE,
    id_token::{self, Expected, Flaw, VerifiedIdToken},
    jwks::KeySet,
    okta,
    presets::{self, Facts},
    provider::{IdentityError, Inbound, LegSecrets, Outbound, Provider, SignedIn, TOO_MANY_GROUPS},
    settings::{Preset, ProviderSettings},
    trial::{self, Authorization, Trial},
    userinfo,
};

/// The longest address that a browser is sent to for a sign-out: the head of an answer that is much longer does not fit into the buffers that
/// balancers have by default, and the browser gets an error of theirs (FB60).
const LONGEST_SIGN_OUT: usize = 2000;

/// A provider with metadata, keys and ID tokens.
#[derive(Debug)]
pub(crate) struct OidcProvider {
    settings: ProviderSettings,
    facts: &'static Facts,
    /// As the provider spells it.
    issuer: String,
    blame: Blame,
    http: reqwest::Client,
    metadata: Cache<Metadata>,
    keys: Cache<KeySet>,
}

impl OidcProvider {
    pub(crate) fn new(settings: ProviderSettings, http: reqwest::Client) -> Self {
        Self::with_pace(settings, http, Pace::default())
    }

    pub(crate) fn with_pace(settings: ProviderSettings, http: reqwest::Client, pace: Pace) -> Self {
        Self {
            facts: settings.preset.facts(),
            issuer: presets::issuer(&settings),
            blame: Blame::new(settings.name.clone()),
            metadata: Cache::new(pace),
            keys: Cache::new(pace),
            settings,
            http,
        }
    }

    pub(crate) const fn blame(&self) -> &Blame {
        &self.blame
    }

    pub(crate) async fn metadata(&self) -> Result<Arc<Metadata>, IdentityError> {
        presets::check_issuer(&self.settings, &self.blame)?;
        let discovery = Discovery { http: &self.http, issuer: &self.issuer, preset: self.settings.preset, blame: &self.blame };
        self.metadata.load(|patience| async move { discovery.fetch(patience).await }).await
    }

    pub(crate) async fn keys(&self, metadata: &Metadata) -> Result<Arc<KeySet>, IdentityError> {
        self.keys.load(|patience| KeySet::fetch(&self.http, &metadata.jwks_uri, &self.blame, patience)).await
    }

    /// The whole step within the deadline (F3).
    pub(crate) async fn in_time<T>(
        &self,
        step: impl Future<Output = Result<T, IdentityError>> + Send,
    ) -> Result<T, IdentityError> {
        let late = |_| Err(self.blame.unavailable(format!("it took longer than {} ms", DEADLINE.as_millis())));
        timeout(DEADLINE, step).await.unwrap_or_else(late)
    }

    async fn sign_in(&self, answer: &Inbound, leg: &LegSecrets<'_>, now: Timestamp) -> Result<SignedIn, IdentityError> {
        let metadata = self.metadata().await?;
        self.check_iss(answer.iss.as_deref(), &metadata)?;
        if let Some(error) = &answer.error {
            return Err(self.redirect_error(error, answer.error_description.as_deref().unwrap_or_default()));
        }
        let code = answer.code.as_ref().ok_or_else(|| self.blame.unverified("neither a code nor an error came back"))?;
        let tokens = self.redeem(code, leg, &metadata).await?;
        let id_token = tokens.id_token.as_ref().ok_or_else(|| {
            self.blame.misconfigured(
                "the token endpoint gave no ID token",
                format!("Put `openid` into {}, and check that the provider speaks OpenID Connect", self.blame.setting("SCOPES")),
            )
        })?;
        let verified = self.verify(id_token, leg, &metadata, now).await?;
        self.person(&verified, id_token, tokens.access_token.as_ref(), &metadata).await
    }

    /// `iss` of the answer is compared byte for byte when it is there, and must be there when the provider says so (RFC 9207
    /// section 2.4, threat 10).
    fn check_iss(&self, iss: Option<&str>, metadata: &Metadata) -> Result<(), IdentityError> {
        match iss {
            Some(iss) if iss != metadata.issuer => {
                Err(self.blame.unverified(format!("the answer is from the issuer {:?}", quote(iss))))
            }
            None if metadata.sends_iss => Err(self.blame.unverified("the answer does not say which issuer it is from")),
            _ => Ok(()),
        }
    }

    /// An error at our redirect URI (RFC 6749 section 4.1.2.1, OpenID Connect Core section 3.1.2.6).
    fn redirect_error(&self, error: &str, description: &str) -> IdentityError {
        let is_okta = self.settings.preset == Preset::Okta;
        if okta::is_too_many_groups(description) {
            return self.blame.refused(TOO_MANY_GROUPS, description, okta::TOO_MANY_GROUPS_HINT);
        }
        let scopes_setting = self.blame.setting("SCOPES");
        let own_hint = is_okta.then(|| okta::hint(error, &self.issuer, &scopes_setting)).flatten();
        let hint = |otherwise: String| own_hint.unwrap_or(otherwise);
        let said = format!("it answered {} ({})", quote(error), quote(description));
        let console = self.facts.console;
        match error {
            "temporarily_unavailable" | "server_error" => self.blame.unavailable(said),
            "invalid_scope" => self
                .blame
                .misconfigured(said, hint(format!("Allow the scopes in {console}, or choose others with {scopes_setting}"))),
            "invalid_request" | "unauthorized_client" | "unsupported_response_type" | "invalid_client" => {
                self.blame.misconfigured(said, hint(format!("Compare the settings with {console}")))
            }
            "access_denied" => {
                self.blame.refused(error, description, hint(format!("Assign the person to this application in {console}")))
            }
            _ => self.blame.refused(error, description, hint(format!("See {console}"))),
        }
    }

    async fn redeem(&self, code: &SecretText, leg: &LegSecrets<'_>, metadata: &Metadata) -> Result<Tokens, IdentityError> {
        let exchange = Exchange {
            http: &self.http,
            settings: &self.settings,
            blame: &self.blame,
            token_endpoint: &metadata.token_endpoint,
            auth: metadata.token_auth,
        };
        exchange.redeem(code, leg).await
    }

    /// OpenID Connect Core section 3.1.2.1.
    fn authorization_request(&self, metadata: &Metadata, leg: &Outbound<'_>) -> Url {
        let scopes = presets::scopes(&self.settings, metadata.scopes_supported.as_deref()).join(" ");
        let mut url = metadata.authorization_endpoint.clone();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.settings.client_id)
            .append_pair("redirect_uri", leg.redirect_uri)
            .append_pair("scope", &scopes)
            .append_pair("state", leg.state.expose())
            .append_pair("nonce", leg.nonce.expose())
            .append_pair("code_challenge", leg.code_challenge.as_str())
            .append_pair("code_challenge_method", "S256");
        if leg.fresh {
            url.query_pairs_mut().append_pair("prompt", self.facts.fresh_prompt);
        }
        if let Some(hint) = leg.login_hint {
            url.query_pairs_mut().append_pair("login_hint", hint);
        }
        url
    }

    /// Would a browser that we send there come back to our redirect URI?
    pub(crate) async fn try_authorization(&self, metadata: &Metadata, redirect_uri: &str) -> Result<(), IdentityError> {
        let url = self.authorization_request(metadata, &Trial::new().outbound(redirect_uri));
        match trial::authorize(&self.http, url, redirect_uri, &self.blame, self.facts).await? {
            Authorization::Error { error, description } => match self.redirect_error(&error, &description) {
                // It came back to us, which is what we asked; whom it lets in it tells them.
                IdentityError::Refused { .. } => Ok(()),
                error => Err(error),
            },
            Authorization::Fine | Authorization::Unknown => Ok(()),
        }
    }

    /// Would the token endpoint know us?
    pub(crate) async fn try_secret(&self, metadata: &Metadata, redirect_uri: &str) -> Result<(), IdentityError> {
        let trial = Trial::new();
        Trial::is_client_known(self.redeem(trial.code(), &trial.leg(redirect_uri), metadata).await)
    }

    /// Verifies with the keys at hand, and with newly fetched ones if none of those fits (F4).
    async fn verify(
        &self,
        token: &SecretText,
        leg: &LegSecrets<'_>,
        metadata: &Metadata,
        now: Timestamp,
    ) -> Result<VerifiedIdToken, IdentityError> {
        let asked = Instant::now();
        let expected = Expected {
            issuer: &metadata.issuer,
            client_id: &self.settings.client_id,
            nonce: leg.nonce,
            algorithms: &metadata.algorithms,
        };
        let check = |keys: &KeySet| match id_token::verify(token.expose(), &expected, keys, now) {
            Err(Flaw::NoKey) => None,
            verdict => Some(verdict),
        };
        let mut verdict = check(self.keys(metadata).await?.as_ref());
        if verdict.is_none() {
            let fetch = |patience: Duration| KeySet::fetch(&self.http, &metadata.jwks_uri, &self.blame, patience);
            verdict = self.keys.find(asked, check, fetch).await?;
        }
        match verdict.unwrap_or(Err(Flaw::NoKey)) {
            Ok(verified) => Ok(verified),
            Err(Flaw::NoKey) => {
                Err(self.blame.unverified("the ID token is signed with a key that the provider does not publish"))
            }
            Err(Flaw::Refused(why)) => Err(self.blame.unverified(format!("the ID token is refused: {why}"))),
        }
    }

    /// Reads the person's claims, from userinfo too when the ID token lacks some.
    async fn person(
        &self,
        verified: &VerifiedIdToken,
        id_token: &SecretText,
        access_token: Option<&SecretText>,
        metadata: &Metadata,
    ) -> Result<SignedIn, IdentityError> {
        let found = verified.claims();
        let groups_claim = self.settings.groups_claim.as_deref().unwrap_or(self.facts.groups_claim);
        self.check_overage(verified, groups_claim)?;
        let lacks_groups = self.facts.groups_in_userinfo && claims::find(found, groups_claim).is_none();
        let lacks_more = lacks_groups || !found.contains_key("name") || !found.contains_key("email");
        let more = match (&metadata.userinfo_endpoint, access_token) {
            (Some(endpoint), Some(token)) if lacks_more => {
                Some(userinfo::load(&self.http, endpoint, token, verified.subject(), &self.blame).await?)
            }
            _ => None,
        };
        let claims = Claims { id_token: found, userinfo: more.as_ref() };
        let (email, email_verified) = claims.email();
        let is_microsoft = self.settings.preset == Preset::MicrosoftEntraId;
        let (groups, are_all_groups) = claims.groups(groups_claim);
        Ok(SignedIn {
            issuer: metadata.issuer.clone(),
            subject: verified.subject().to_owned(),
            name: claims.name(),
            email,
            email_verified: email_verified || (is_microsoft && claims.is_email_of_verified_domain()),
            groups,
            hosted_domain: claims.hosted_domain(),
            unread: Unread { email: false, groups: !are_all_groups },
            id_token: Some(id_token.clone()),
        })
    }

    /// Microsoft leaves the claim out, and a pointer in its place, when somebody is in too many groups. To sign them in without
    /// any would be to judge them by rules that are not theirs.
    fn check_overage(&self, verified: &VerifiedIdToken, groups_claim: &str) -> Result<(), IdentityError> {
        let pointers = verified.claims().get("_claim_names").and_then(|names| names.as_object());
        if !pointers.is_some_and(|names| names.contains_key(groups_claim)) {
            return Ok(());
        }
        Err(self.blame.refused(
            TOO_MANY_GROUPS,
            "the ID token points elsewhere for groups",
            format!("Let the groups claim hold only groups assigned to the application, in {}", self.facts.console),
        ))
    }
}

#[async_trait]
impl Provider for OidcProvider {
    fn name(&self) -> &ProviderName {
        &self.settings.name
    }

    fn label(&self) -> &str {
        self.facts.label.unwrap_or_else(|| self.settings.name.as_str())
    }

    fn is_issuer(&self, iss: &str) -> bool {
        iss == self.issuer
    }

    async fn authorization_url(&self, leg: &Outbound<'_>) -> Result<Url, IdentityError> {
        let metadata = self.in_time(self.metadata()).await?;
        Ok(self.authorization_request(&metadata, leg))
    }

    async fn complete(&self, answer: &Inbound, leg: &LegSecrets<'_>, now: Timestamp) -> Result<SignedIn, IdentityError> {
        self.in_time(self.sign_in(answer, leg, now)).await
    }

    async fn sign_out_url(&self, id_token_hint: Option<&SecretText>, return_to: &str) -> Result<Option<Url>, IdentityError> {
        let metadata = self.in_time(self.metadata()).await?;
        let Some(mut url) = metadata.end_session_endpoint.clone() else { return Ok(None) };
        url.query_pairs_mut()
            .append_pair("post_logout_redirect_uri", return_to)
            .append_pair("client_id", &self.settings.client_id);
        if let Some(id_token) = id_token_hint {
            let mut hinting = url.clone();
            hinting.query_pairs_mut().append_pair("id_token_hint", id_token.expose());
            if hinting.as_str().len() <= LONGEST_SIGN_OUT {
                return Ok(Some(hinting));
            }
            tracing::debug!(
                length = hinting.as_str().len(),
                "the ID token is too long to go along to the sign-out at the provider"
            );
        }
        Ok(Some(url))
    }

    /// Metadata, keys, and an authorization request that may show no page.
    async fn probe(&self, redirect_uri: &str) -> Result<(), IdentityError> {
        self.in_time(async {
            let metadata = self.metadata().await?;
            self.keys(&metadata).await?;
            self.try_authorization(&metadata, redirect_uri).await
        })
        .await
    }
}
