//! The port to an identity provider: send a browser there, make a person of the answer, sign out.
//! Which providers there are and how they are configured lives in [`crate::settings`].

use async_trait::async_trait;
use portunus_core::{
    Timestamp, admission::Unread, ids::ProviderName, pkce::CodeChallenge, secret::SecretText,
};
use thiserror::Error;
use url::Url;

/// One identity provider people sign in at.
#[async_trait]
pub trait Provider: Send + Sync {
    fn name(&self) -> &ProviderName;

    /// What a person calls it: `Okta`, `Google`.
    fn label(&self) -> &str;

    /// Where to send the browser (OpenID Connect Core section 3.1.2.1). Always with state, nonce
    /// and an S256 challenge.
    async fn authorization_url(
        &self,
        provider_request: &Outbound<'_>,
    ) -> Result<Url, IdentityError>;

    /// Can an answer with this `iss` be from this provider (RFC 9207 section 2.4)? Told by the
    /// settings alone, so that an answer of another provider uses nothing up (threat 54);
    /// [`complete`](Self::complete) compares it with the metadata too. People of another issuer are
    /// not this provider's either, whatever it is called (threat 53).
    fn is_issuer(&self, iss: &str) -> bool;

    /// Our client there, if refresh tokens are kept for it.
    fn client_id(&self) -> Option<&str> {
        None
    }

    /// Makes a person of what the provider sent back to our callback: checks `iss` (RFC 9207),
    /// exchanges the code, verifies the ID token and its nonce, reads groups.
    async fn complete(
        &self,
        answer: &Inbound,
        provider_request: &ProviderRequestSecrets<'_>,
        now: Timestamp,
    ) -> Result<SignedIn, IdentityError>;

    /// Does it give refresh tokens, as far as its settings say, so that people can be read anew?
    fn gives_refresh_tokens(&self) -> bool {
        false
    }

    /// Describes a person anew with the refresh token of their sign-in (OpenID Connect Core section
    /// 12); the answer is refused unless it is about this subject. It takes no longer than a step
    /// of a sign-in.
    async fn refresh(&self, _token: &SecretText, _subject: &str, _now: Timestamp) -> Refreshed {
        Refreshed {
            rotated: None,
            person: Err(RefreshError::from(IdentityError::Misconfigured {
                provider: self.name().clone(),
                detail: "it gives no refresh tokens".to_owned(),
                hint: "People are read anew when they sign in".to_owned(),
            })),
        }
    }

    /// Where to send the browser to sign out at the provider too (OpenID Connect RP-Initiated
    /// Logout), if it offers that. `state` comes back with the browser.
    async fn sign_out_url(
        &self,
        id_token_hint: Option<&SecretText>,
        return_to: &str,
        state: &str,
    ) -> Result<Option<Url>, IdentityError>;

    /// Asks the provider for its metadata and keys, for the doctor and for a warm start.
    /// `redirect_uri` is what must be registered there.
    async fn probe(&self, redirect_uri: &str) -> Result<(), IdentityError>;
}

/// Our request to the provider.
#[derive(Clone, Debug)]
pub struct Outbound<'a> {
    pub redirect_uri: &'a str,
    pub state: &'a SecretText,
    pub nonce: &'a SecretText,
    pub code_challenge: &'a CodeChallenge,
    /// Ask the person to sign in again even if the provider knows them.
    pub fresh: bool,
    /// How many seconds ago the person may have signed in there, at most, if that matters.
    pub max_age: Option<u64>,
    /// Whom to expect: a name or address that the provider may fill in.
    pub login_hint: Option<&'a str>,
}

/// What the provider sent back to our callback. `state` was checked before this is made.
#[derive(Clone, Debug, Default)]
pub struct Inbound {
    pub code: Option<SecretText>,
    pub iss: Option<String>,
    pub error: Option<String>,
    pub error_description: Option<String>,
}

/// What we kept of our request.
#[derive(Clone, Debug)]
pub struct ProviderRequestSecrets<'a> {
    pub redirect_uri: &'a str,
    pub nonce: &'a SecretText,
    pub code_verifier: &'a SecretText,
    /// The person must have signed in there since, not only be known (OpenID Connect Core section
    /// 3.1.2.1, `max_age`).
    pub signed_in_since: Option<Timestamp>,
}

/// A person, proven by the provider.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// The provider's issuer identifier, byte for byte.
    pub issuer: String,
    pub subject: String,
    pub name: Option<String>,
    /// Has exactly one `@`, or is left out (threat 42).
    pub email: Option<String>,
    pub email_verified: bool,
    /// GitHub: the organisations, and the teams as `organisation/team`.
    pub groups: Vec<String>,
    /// Google's claim `hd`, from the ID token alone.
    pub hosted_domain: Option<String>,
    /// Why there are no groups though a claim is configured for them, for the log and the doctor.
    pub no_groups: Option<String>,
    /// What the provider did not tell of the above, though it was asked.
    pub unread: Unread,
    /// The raw ID token, for `id_token_hint`.
    pub id_token: Option<SecretText>,
    /// For reading the person anew, where the provider was asked for one.
    pub refresh_token: Option<SecretText>,
}

/// What came of a refresh.
#[derive(Debug)]
pub struct Refreshed {
    /// The refresh token to use next, if the provider gave another: to be kept whatever became of
    /// the rest.
    pub rotated: Option<SecretText>,
    pub person: Result<SignedIn, RefreshError>,
}

/// Why a refresh described no person.
#[derive(Debug)]
pub enum RefreshError {
    /// The provider does not honour the token any more (`invalid_grant`): the person was
    /// deactivated, taken out of the application, or signed out of it. In its words.
    Ended(String),
    /// It could not be found out; with when the provider wants to be asked again, if it said so.
    Failed { error: IdentityError, retry_at: Option<Timestamp> },
}

impl From<IdentityError> for RefreshError {
    fn from(error: IdentityError) -> Self {
        Self::Failed { error, retry_at: None }
    }
}

/// The `error` of a [`IdentityError::Refused`] by a provider that gives no refresh tokens though it
/// was asked for one. It is not asked again: the sign-in can begin anew at once.
pub const NO_REFRESH_TOKENS: &str = "no_refresh_tokens";

/// The `error` of a [`IdentityError::Refused`] for a person whose groups are too many for one
/// claim. Providers have no code of their own for it, so this one is ours.
pub const TOO_MANY_GROUPS: &str = "too_many_groups";
/// The same for a person who took longer than the provider allows, and for an error of the
/// provider's own that came with the person.
pub const TOOK_TOO_LONG: &str = "authentication_expired";
pub const PROVIDER_ERROR: &str = "provider_error";

/// Why a sign-in at a provider did not come to an end. `Display` is for the log: it says what to
/// fix, and never holds a secret. [`IdentityError::public_message`] is for the person.
#[derive(Clone, Debug, Error)]
pub enum IdentityError {
    /// The provider said no: `access_denied` and its kin, at our redirect URI.
    #[error("{provider} refused the sign-in: {error} ({description}). {hint}")]
    Refused { provider: ProviderName, error: String, description: String, hint: String },
    /// The provider cannot be reached, is slow, or answers 5xx: try again later. Answered as 503.
    #[error("{provider} cannot be reached: {detail}. {hint}")]
    Unavailable { provider: ProviderName, detail: String, hint: String },
    /// Our settings and the provider's do not fit together: an administrator must change one.
    #[error("{provider} is not set up right: {detail}. {hint}")]
    Misconfigured { provider: ProviderName, detail: String, hint: String },
    /// What the provider sent does not verify: treat it as an attack.
    #[error("{provider} sent an answer that does not verify: {detail}")]
    Unverified { provider: ProviderName, detail: String },
}

impl IdentityError {
    /// Could it end well if the person simply began again?
    pub fn may_begin_again(&self) -> bool {
        match self {
            Self::Refused { error, .. } => error != TOO_MANY_GROUPS,
            Self::Unavailable { .. } => true,
            Self::Misconfigured { .. } | Self::Unverified { .. } => false,
        }
    }

    /// Fixed text for the error page: what happened and who can help, no detail.
    pub fn public_message(&self) -> &'static str {
        match self {
            Self::Refused { error, .. } => match error.as_str() {
                "invalid_grant" => {
                    "The sign-in took too long or was used twice. Please start again."
                }
                "login_required"
                | "interaction_required"
                | "consent_required"
                | "account_selection_required" => {
                    "Your identity provider needs you to sign in there first. Please start again."
                }
                TOO_MANY_GROUPS => {
                    "You are in more groups than your identity provider can pass on. Ask your administrator to narrow the groups \
                     claim of this application."
                }
                TOOK_TOO_LONG => {
                    "The sign-in took too long at your identity provider. Please start again."
                }
                PROVIDER_ERROR => {
                    "Your identity provider had an error. Please start again; if it goes on, tell your administrator, who finds the reason in \
                     the provider's log."
                }
                _ => {
                    "You declined, or your identity provider did not let you in. Start again if you pressed the wrong button; else you may not be \
                     assigned to this application: ask your administrator."
                }
            },
            Self::Unavailable { .. } => {
                "Your identity provider cannot be reached at the moment. Please try again in a minute."
            }
            Self::Misconfigured { .. } => {
                "Sign-in is not set up correctly. Your administrator can find the reason in the gateway's log."
            }
            Self::Unverified { .. } => {
                "The answer of your identity provider could not be verified. Please start again."
            }
        }
    }
}
