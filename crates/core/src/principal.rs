//! People and who is calling: [`User`] as the store keeps them, [`Principal`] as a verified token
//! makes one.

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    ids::{ClientId, GrantId, ProviderName, UserId},
    resource::Resource,
    scope::ScopeSet,
    secret::TokenHash,
};

/// What stands for the provider of clients that act for themselves. No provider has this name.
pub const SERVICES: &str = "clients";

/// A person who has signed in at least once, as the identity provider last described them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Always `UserId::of(&issuer, &subject)`.
    pub id: UserId,
    pub provider: ProviderName,
    /// The provider's issuer identifier, byte for byte as in its ID tokens.
    pub issuer: String,
    pub subject: String,
    pub name: Option<String>,
    /// For display only: it can change hands, so nothing is ever keyed by it (threat 42).
    pub email: Option<String>,
    pub email_verified: bool,
    pub groups: Vec<String>,
    /// Google's claim `hd`: the domain of the organisation that the account belongs to
    /// ([`crate::admission`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosted_domain: Option<String>,
    /// Why there are no groups though a claim is configured for them, in words for an
    /// administrator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_groups: Option<String>,
    pub signed_in_at: Timestamp,
    /// When the provider last described them, if that was after the sign-in
    /// ([`crate::provider_token`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_at: Option<Timestamp>,
}

impl User {
    /// The address, if the provider vouches for it. Servers are told only this one: an address that
    /// users can type into their profile proves nothing.
    pub fn verified_email(&self) -> Option<&str> {
        self.email.as_deref().filter(|_| self.email_verified)
    }

    /// Is the user named by this text: an id, a subject or an e-mail address? For administrators,
    /// who are then shown the users: several may have one address.
    pub fn is_called(&self, text: &str) -> bool {
        self.id.as_str() == text
            || self.subject == text
            || self
                .email
                .as_deref()
                .is_some_and(|email| email.to_lowercase() == text.to_lowercase())
    }

    /// Does a token of this person say the same with either record? Access rules go by when a
    /// person signed in; a client that acts for itself never did. When they were read, no token
    /// tells.
    pub fn is_described_like(&self, other: &Self) -> bool {
        let same =
            Self { signed_in_at: other.signed_in_at, read_at: other.read_at, ..self.clone() };
        same == *other && (self.is_service() || self.signed_in_at == other.signed_in_at)
    }

    /// Is it a client that acts for itself, and no person?
    pub fn is_service(&self) -> bool {
        self.provider.as_str() == SERVICES
    }

    /// When the provider last described them.
    pub fn described_at(&self) -> Timestamp {
        self.read_at.unwrap_or(self.signed_in_at).max(self.signed_in_at)
    }

    /// What to call this person on a page: name, else e-mail, else subject.
    pub fn display_name(&self) -> &str {
        self.name.as_deref().or(self.email.as_deref()).unwrap_or(&self.subject)
    }
}

/// Who is calling, proven by a valid access token for `resource`. Sessions and child processes are
/// keyed by its parts. It is written down for another node of ours alone, and under a seal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    pub user: UserId,
    /// What the identity provider calls the person.
    pub subject: String,
    /// The identity provider by its name in the configuration. `None` from nodes of an earlier
    /// version.
    #[serde(default)]
    pub provider: Option<ProviderName>,
    pub client: ClientId,
    /// What the client is known as, if it registered itself
    /// ([`crate::client::Client::application`]).
    #[serde(default)]
    pub application: Option<TokenHash>,
    pub grant: GrantId,
    pub resource: Resource,
    pub scopes: ScopeSet,
    pub groups: Vec<String>,
    pub email: Option<String>,
    pub name: Option<String>,
    /// When the person last signed in at the provider. `None` of a client that acts for itself, and
    /// from nodes of an earlier version.
    #[serde(default)]
    pub signed_in_at: Option<Timestamp>,
}
