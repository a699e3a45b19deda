//! The identity providers of the configuration in force, and whom they admit (threat 53). The rule
//! is `portunus_core::admission`; signing in at one is `edge::oauth`'s.

use std::sync::Arc;

use portunus_core::{
    Clock, Timestamp,
    admission::{Allow, NotAdmitted},
    ids::{ProviderName, UserId},
    lifetimes::Lifetimes,
    oauth::token::service_issuer,
    principal::User,
    resource::PublicUrl,
};
use portunus_identity::provider::{Provider, SignedIn};

/// The identity providers, in the order they are offered, and with them who may sign in.
#[derive(Clone)]
pub struct Providers {
    entries: Arc<Vec<ProviderEntry>>,
    /// Clients that act for themselves are users too, of no provider.
    service_issuer: String,
    lifetimes: Lifetimes,
    clock: Arc<dyn Clock>,
}

/// A provider and where it sends people back to.
pub struct ProviderEntry {
    pub provider: Arc<dyn Provider>,
    /// What people call it: the provider's own label, unless the configuration has another.
    pub label: String,
    /// Must be registered at the provider, to the letter.
    pub redirect_uri: String,
    /// Another provider answers at the same redirect URI, so that an answer must say whose it is.
    pub is_shared: bool,
    /// Whose accounts are admitted (threat 53).
    pub allow: Allow,
}

impl ProviderEntry {
    /// Can an answer with this `iss` be from this provider (RFC 9207)? Where two answer at one
    /// redirect URI it must have one (threat 54, RFC 9700 section 4.4.2).
    pub fn admits_issuer(&self, iss: Option<&str>) -> bool {
        iss.map_or(!self.is_shared, |iss| self.provider.is_issuer(iss))
    }
}

/// What the configuration of now says of a person, as their provider last described them.
pub enum Standing {
    Admitted,
    /// The provider's rule does not fit them.
    NotAdmitted(NotAdmitted),
    /// The provider they signed in at is not configured any more, or is another one under the same
    /// name.
    NoProvider,
    /// What the provider said of them is too old to be gone by (`lifetimes.groups`).
    TooLongAgo,
}

impl Providers {
    /// Are these of one configuration? Each load makes its own.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.entries, &other.entries)
    }

    pub fn new(
        entries: Vec<ProviderEntry>,
        public_url: &PublicUrl,
        lifetimes: Lifetimes,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let service_issuer = service_issuer(public_url);
        Self { entries: Arc::new(entries), service_issuer, lifetimes, clock }
    }

    /// What is stored of a person, judged by the rules of now.
    pub fn standing(&self, user: &User) -> Standing {
        self.standing_at(user, self.clock.now())
    }

    /// The same at another time.
    pub fn standing_at(&self, user: &User, now: Timestamp) -> Standing {
        if user.issuer == self.service_issuer {
            return Standing::Admitted;
        }
        match self.find(&user.provider).filter(|entry| entry.provider.is_issuer(&user.issuer)) {
            None => Standing::NoProvider,
            Some(_) if !self.lifetimes.is_described_lately(user, now) => Standing::TooLongAgo,
            Some(entry) => {
                entry.allow.decide(user).map_or_else(Standing::NotAdmitted, |_| Standing::Admitted)
            }
        }
    }

    /// May the person be given anything new: a code, tokens, a page?
    pub fn admit(&self, user: &User) -> bool {
        match self.standing(user) {
            Standing::Admitted => true,
            Standing::NotAdmitted(why) => {
                tracing::info!(user = %user.id, provider = %user.provider, %why, "no longer admitted");
                false
            }
            Standing::NoProvider => {
                tracing::info!(user = %user.id, provider = %user.provider, "no longer admitted: there is no such provider");
                false
            }
            Standing::TooLongAgo => {
                tracing::info!(user = %user.id, provider = %user.provider, "must sign in again: what the provider said of them is older than lifetimes.groups");
                false
            }
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &ProviderEntry> {
        self.entries.iter()
    }

    pub fn find(&self, name: &ProviderName) -> Option<&ProviderEntry> {
        self.entries.iter().find(|entry| entry.provider.name() == name)
    }

    /// The provider, if there is just one to choose from.
    pub fn only(&self) -> Option<&ProviderEntry> {
        match self.entries.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    /// What the consent page says about where one signs in.
    pub fn label(&self) -> &str {
        self.only().map_or("your identity provider", |entry| entry.label.as_str())
    }
}

/// The person as the provider has just described them.
pub fn user_of(person: &SignedIn, provider: &ProviderName, now: Timestamp) -> User {
    User {
        id: UserId::of(&person.issuer, &person.subject),
        provider: provider.clone(),
        issuer: person.issuer.clone(),
        subject: person.subject.clone(),
        name: person.name.clone(),
        email: person.email.clone(),
        email_verified: person.email_verified,
        groups: person.groups.clone(),
        hosted_domain: person.hosted_domain.clone(),
        no_groups: person.no_groups.clone(),
        signed_in_at: now,
        read_at: None,
    }
}
