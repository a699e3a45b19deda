//! What one request tells: a function for each kind of event, so that each is told alike wherever
//! it happens. `edge::layers` makes one for each request, and endpoints find it among its
//! extensions.

use std::{
    net::IpAddr,
    sync::{Arc, OnceLock},
};

use portunus_core::{
    audit::{Call, Event, Origin, Person, RefusalReason},
    client::Client,
    grant::{Consent, Grant},
    ids::{ClientId, GrantId, ProviderName, UserId},
    principal::{Principal, User},
};

use super::log::AuditLog;

/// The audit log, for one request.
#[derive(Clone)]
pub struct RequestAudit(Arc<Inner>);

struct Inner {
    log: AuditLog,
    origin: Origin,
    names: CallNames,
}

/// On the answer to a request that is refused: recorded when the failure was counted, so that a
/// flood of them is recorded no faster than an address may fail (`throttle::layer`).
#[derive(Clone)]
pub struct PendingRefusal {
    audit: RequestAudit,
    person: Person,
    reason: RefusalReason,
    about: String,
}

impl PendingRefusal {
    pub fn record(self) {
        self.audit.refused(self.person, self.reason, self.about);
    }
}

/// Who calls what: for the line of the request log.
#[derive(Debug, Default)]
pub struct CallNames {
    pub principal: OnceLock<Arc<Principal>>,
    /// The server, and the tool, prompt or resource.
    pub target: OnceLock<(String, String)>,
}

impl RequestAudit {
    pub fn new(log: AuditLog, address: Option<IpAddr>, request_id: impl Into<String>) -> Self {
        let origin = Origin { address, request_id: Some(request_id.into()) };
        Self(Arc::new(Inner { log, origin, names: CallNames::default() }))
    }

    pub fn address(&self) -> Option<IpAddr> {
        self.0.origin.address
    }

    pub fn names(&self) -> &CallNames {
        &self.0.names
    }

    fn record(&self, person: Person, event: Event) {
        self.0.log.record(person, self.0.origin.clone(), event);
    }

    /// `client` is the one that the person signs in for, if it is for one.
    pub fn signed_in(&self, user: &User, client: Option<&ClientId>) {
        let person = Person { client: client.map(text), ..Person::user(user) };
        self.record(person, Event::SignedIn { provider: user.provider.as_str().to_owned() });
    }

    /// In place of what was known of the person, if anything was.
    pub fn groups_changed(&self, known: Option<&User>, user: &User) {
        let changed = known.and_then(|known| Event::groups_changed(&known.groups, &user.groups));
        if let Some(event) = changed {
            self.record(Person::user(user), event);
        }
    }

    pub fn signed_out(&self, user: &UserId, provider: &ProviderName) {
        let provider = provider.as_str().to_owned();
        self.record(Person::user_id(user), Event::SignedOut { provider });
    }

    pub fn refused(&self, person: Person, reason: RefusalReason, about: impl Into<String>) {
        self.record(person, Event::Refused { reason, about: Some(about.into()) });
    }

    /// The same, for the answer to carry until the failure is counted.
    pub fn refusal(
        &self,
        person: Person,
        reason: RefusalReason,
        about: impl Into<String>,
    ) -> PendingRefusal {
        PendingRefusal { audit: self.clone(), person, reason, about: about.into() }
    }

    pub fn client_registered(&self, client: &Client) {
        let name = client.display_name().to_owned();
        self.record(Person::client(text(&client.id)), Event::ClientRegistered { name });
    }

    pub fn client_changed(&self, client: &Client) {
        let name = client.display_name().to_owned();
        self.record(Person::client(text(&client.id)), Event::ClientChanged { name });
    }

    pub fn client_deleted(&self, client: &ClientId) {
        self.record(Person::client(text(client)), Event::ClientDeleted);
    }

    pub fn consent_given(&self, user: &User, consent: &Consent) {
        let (scopes, resources) = (consent.scopes.to_string(), consent.resources.to_string());
        let person = Person::user(user).with_client(text(&consent.client));
        self.record(person, Event::ConsentGiven { scopes, resources });
    }

    pub fn consent_withdrawn(&self, user: &User, grant: &Grant) {
        let person = Person::user(user).with_client(text(&grant.client));
        self.record(person, Event::ConsentWithdrawn { grant: grant.id.to_string() });
    }

    pub fn key_revoked(&self, owner: &User, key: &GrantId) {
        self.record(Person::user(owner).with_key(key), Event::KeyRevoked);
    }

    pub fn code_redeemed(&self, grant: &Grant) {
        self.record(
            holder(grant),
            Event::CodeRedeemed {
                grant: grant.id.to_string(),
                scopes: grant.scopes.to_string(),
                resources: grant.resources.to_string(),
            },
        );
    }

    pub fn code_reused(&self, client: &ClientId, grant: &GrantId) {
        self.record(Person::client(text(client)), Event::CodeReused { grant: grant.to_string() });
    }

    pub fn client_token_issued(&self, grant: &Grant) {
        self.record(
            holder(grant),
            Event::ClientTokenIssued {
                grant: grant.id.to_string(),
                scopes: grant.scopes.to_string(),
                resources: grant.resources.to_string(),
            },
        );
    }

    /// `again`: the refresh token had been used before.
    pub fn token_refreshed(&self, user: &UserId, client: &ClientId, grant: &GrantId, again: bool) {
        let person = Person::user_id(user).with_client(text(client));
        self.record(person, Event::TokenRefreshed { grant: grant.to_string(), again });
    }

    pub fn refresh_reused(&self, client: &ClientId, grant: &GrantId) {
        let event = Event::RefreshReused { grant: grant.to_string() };
        self.record(Person::client(text(client)), event);
    }

    /// Without a grant: one access token alone.
    pub fn token_revoked(&self, client: &ClientId, grant: Option<&GrantId>) {
        let event = Event::TokenRevoked { grant: grant.map(GrantId::to_string) };
        self.record(Person::client(text(client)), event);
    }

    pub fn called(&self, principal: &Principal, call: Call) {
        self.record(principal.into(), Event::Call(call));
    }
}

fn text(id: &ClientId) -> String {
    id.as_str().to_owned()
}

fn holder(grant: &Grant) -> Person {
    Person::user_id(&grant.user).with_client(text(&grant.client))
}
