//! The gateway's and the browser's part of a sign-in: [`SignInFixture`] goes from the authorization
//! URL to the signed-in person.

use std::sync::Arc;

use portunus_core::{
    Clock, Timestamp,
    clock::SystemClock,
    entropy::SeededEntropy,
    ids::ProviderName,
    pkce::{CodeChallenge, generate_verifier},
    secret::{SecretText, TokenKind, TokenSecret},
};
use portunus_identity::{
    Preset, Provider, ProviderSettings, connect,
    provider::{IdentityError, Inbound, Outbound, ProviderRequestSecrets, SignedIn},
};
use portunus_testkit::okta::{FakeOkta, Options};
use url::Url;

pub(crate) const REDIRECT: &str = "http://localhost:3000/auth/callback/okta";

#[expect(clippy::disallowed_methods, reason = "a test has no gateway to make its client")]
pub(crate) fn http() -> reqwest::Client {
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

pub(crate) fn settings(okta: &FakeOkta, issuer: String) -> ProviderSettings {
    ProviderSettings {
        name: ProviderName::from_text("okta"),
        preset: Preset::Okta,
        client_id: okta.client_id().to_owned(),
        client_secret: Some(SecretText::new(okta.client_secret())),
        issuer,
        scopes: None,
        offline_access: Some(false),
        groups_claim: None,
        internal_url: None,
        redirect_uri: None,
    }
}

/// A fake Okta and a provider that points to it.
pub(crate) struct SignInFixture {
    pub(crate) okta: FakeOkta,
    pub(crate) provider: Arc<dyn Provider>,
    entropy: SeededEntropy,
}

/// What the gateway keeps of one authorization request at the provider.
pub(crate) struct ProviderRequest {
    pub(crate) state: SecretText,
    pub(crate) nonce: SecretText,
    pub(crate) verifier: SecretText,
}

impl ProviderRequest {
    pub(crate) fn provider_request(&self) -> ProviderRequestSecrets<'_> {
        ProviderRequestSecrets {
            redirect_uri: REDIRECT,
            nonce: &self.nonce,
            code_verifier: &self.verifier,
            signed_in_since: None,
        }
    }
}

impl SignInFixture {
    /// Through the org authorization server, as Alice.
    pub(crate) async fn org(options: Options) -> Self {
        let okta = FakeOkta::start(options).await;
        let issuer = okta.org_issuer();
        Self::with(okta, |okta| settings(okta, issuer))
    }

    /// Through the custom server `default`, as Alice.
    pub(crate) async fn custom(options: Options) -> Self {
        let okta = FakeOkta::start(options).await;
        let issuer = okta.custom_issuer("default");
        Self::with(okta, |okta| settings(okta, issuer))
    }

    pub(crate) fn with(
        okta: FakeOkta,
        settings: impl FnOnce(&FakeOkta) -> ProviderSettings,
    ) -> Self {
        okta.register_redirect(REDIRECT);
        okta.sign_in_as("alice");
        let provider = connect(settings(&okta), http());
        Self { okta, provider, entropy: SeededEntropy::new(1) }
    }

    pub(crate) fn provider_request(&self) -> ProviderRequest {
        let secret = |kind| SecretText::new(TokenSecret::generate(kind, &self.entropy).expose());
        ProviderRequest {
            state: secret(TokenKind::State),
            nonce: secret(TokenKind::State),
            verifier: generate_verifier(&self.entropy),
        }
    }

    pub(crate) async fn authorization_url(
        &self,
        provider_request: &ProviderRequest,
    ) -> Result<Url, IdentityError> {
        let code_challenge = CodeChallenge::of(&provider_request.verifier);
        let provider_request = Outbound {
            redirect_uri: REDIRECT,
            state: &provider_request.state,
            nonce: &provider_request.nonce,
            code_challenge: &code_challenge,
            fresh: false,
            max_age: None,
            login_hint: None,
        };
        self.provider.authorization_url(&provider_request).await
    }

    /// To Okta and back.
    pub(crate) async fn browse(
        &self,
        provider_request: &ProviderRequest,
    ) -> Result<Inbound, IdentityError> {
        let url = self.authorization_url(provider_request).await?;
        // The name leads to where it listens.
        let reached = url.as_str().replacen(&self.okta.org_issuer(), self.okta.internal(), 1);
        let answer = http().get(reached).send().await.unwrap();
        assert_eq!(answer.status(), 302, "{}", answer.text().await.unwrap());
        let location = Url::parse(answer.headers()["location"].to_str().unwrap()).unwrap();
        assert!(location.as_str().starts_with(REDIRECT), "{location}");
        let find = |name: &str| {
            location.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
        };
        assert_eq!(find("state").as_deref(), Some(provider_request.state.expose()));
        Ok(Inbound {
            code: find("code").map(SecretText::new),
            iss: find("iss"),
            error: find("error"),
            error_description: find("error_description"),
        })
    }

    /// The whole sign-in.
    pub(crate) async fn sign_in(&self) -> Result<SignedIn, IdentityError> {
        let provider_request = self.provider_request();
        let answer = self.browse(&provider_request).await?;
        self.provider.complete(&answer, &provider_request.provider_request(), now()).await
    }
}

pub(crate) fn now() -> Timestamp {
    SystemClock.now()
}
