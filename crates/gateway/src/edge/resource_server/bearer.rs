//! Access tokens on requests (RFC 6750): header -> SHA-256 -> cache or store -> principal for one
//! resource. The challenge for those that do not pass is made here too; what is remembered is
//! [`super::cache`]'s.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use portunus_core::{
    Clock,
    agent_key::{self, OwnerMustSignIn},
    audit::{Person, RefusalReason},
    ids::{ClientId, UserId},
    lifetimes::Lifetimes,
    oauth::{
        header as header_rules,
        metadata::{self, Challenge},
    },
    principal::{Principal, User},
    refresh::FoundRefresh,
    resource::{Resource, ResourceAddress, Resources},
    secret::{TokenHash, TokenSecret},
    store::{GrantStore, LoginStore, StoreError},
    token::FoundAccess,
};
use serde_json::json;
use tokio::sync::watch;

use super::cache::{Entry, TRUSTED_FOR, TokenCache};
use crate::{
    audit::{PendingRefusal, RequestAudit},
    disabled::Disabled,
    edge::{
        extensions::FailedAuthentication,
        oauth::support::answers,
        providers::{self, Providers},
    },
    groups::GroupReader,
};

/// Lets requests with a valid token for a resource through.
#[derive(Clone)]
pub struct Bearer {
    pub grants: Arc<dyn GrantStore>,
    pub logins: Arc<dyn LoginStore>,
    pub cache: TokenCache,
    pub resources: Arc<Resources>,
    /// Changes with the configuration.
    pub admission: watch::Receiver<Option<Providers>>,
    pub clock: Arc<dyn Clock>,
    pub lifetimes: Lifetimes,
    pub disabled: Disabled,
    /// Reads people anew while they have live tokens.
    pub reader: GroupReader,
}

/// Who was let through, and by which token.
pub struct Admitted {
    pub principal: Arc<Principal>,
    pub look_up: Arc<Entry>,
}

/// Whether what was begun with a token may go on.
pub enum Standing {
    /// With this token: the same one, or the one that took its place.
    Live(Arc<Entry>),
    /// The token has run out, and its client has not asked for another yet.
    RunOut,
    /// Revoked, or of a person who is not admitted any more.
    Ended,
}

/// Why a request was not let through.
pub enum Refused {
    Challenge(Challenge),
    /// The token is this person's, for another resource of ours.
    OfAnother(Arc<Principal>),
    /// The key is live, and its owner has not signed in for too long.
    OwnerMustSignIn(Arc<Principal>),
    /// The person whose token it was, or the client, is disabled.
    Disabled(Person),
    Store(StoreError),
}

impl Bearer {
    /// Who calls? The token must be live and for exactly this resource (threat 30).
    pub async fn admit(
        &self,
        headers: &HeaderMap,
        query: Option<&str>,
        resource: &Resource,
    ) -> Result<Admitted, Refused> {
        let token = read_token(headers, query).map_err(Refused::Challenge)?.hash();
        let Some(entry) = self.find_live(&token, resource).await.map_err(Refused::Store)? else {
            let found = self.find(&token).await.map_err(Refused::Store)?;
            if let Some(person) = self.disabled(&token, found.as_deref()).await {
                return Err(Refused::Disabled(person));
            }
            return Err(found.map_or(Refused::Challenge(Challenge::InvalidToken), |entry| {
                self.why_not(&entry, resource)
            }));
        };
        let principal = entry.principal_at(resource).unwrap_or(&entry.principal);
        Ok(Admitted { principal: Arc::clone(principal), look_up: entry })
    }

    /// Why a token that is known is not let through.
    fn why_not(&self, entry: &Entry, resource: &Resource) -> Refused {
        let of = &entry.found;
        match entry.principal_at(resource) {
            None => Refused::OfAnother(Arc::clone(&entry.principal)),
            Some(principal)
                if of.token.expires_at > self.clock.now()
                    && self.is_admitted(of)
                    && !self.is_vouched_for(of) =>
            {
                Refused::OwnerMustSignIn(Arc::clone(principal))
            }
            Some(_) => Refused::Challenge(Challenge::InvalidToken),
        }
    }

    /// The configuration that is in force, to be compared with [`Providers::is_same`].
    pub fn configuration(&self) -> Option<Providers> {
        self.admission.borrow().clone()
    }

    /// May what this token began go on? Access tokens are short, and their client refreshes: what
    /// runs on needs the one that took its place, of the same grant and so of the same client, for
    /// the same resource and the same scopes.
    pub async fn standing(
        &self,
        entry: &Entry,
        resource: &Resource,
    ) -> Result<Standing, StoreError> {
        let (now, of) = (self.clock.now(), &entry.found);
        if of.token.expires_at > now {
            return self.standing_by(&of.token.hash, resource).await;
        }
        let Some(FoundRefresh { grant, family: Some(family), .. }) =
            self.grants.find_family(&of.grant.id).await?
        else {
            return Ok(Standing::Ended);
        };
        match family.successor(&of.token) {
            Some((expires_at, hash)) if expires_at > now => self.standing_by(&hash, resource).await,
            _ => {
                let user = self.logins.find_user(&of.user.id).await?;
                let is_admitted =
                    grant.is_live(now) && user.is_some_and(|user| self.is_person_admitted(&user));
                Ok(if is_admitted { Standing::RunOut } else { Standing::Ended })
            }
        }
    }

    /// One that was ended before its time takes with it what it began.
    async fn standing_by(
        &self,
        token: &TokenHash,
        resource: &Resource,
    ) -> Result<Standing, StoreError> {
        Ok(self.find_live(token, resource).await?.map_or(Standing::Ended, Standing::Live))
    }

    async fn find_live(
        &self,
        token: &TokenHash,
        resource: &Resource,
    ) -> Result<Option<Arc<Entry>>, StoreError> {
        let now = self.clock.now();
        let mut found = self.find(token).await?;
        // That its owner has signed in since is no reason for an invalidation. And while they are
        // away their provider may still tell of them.
        if let Some(entry) = &found
            && !self.is_vouched_for(&entry.found)
        {
            self.reader.read(&entry.found.user.id).await;
            found = self.look_up(token).await?;
        }
        Ok(found.filter(|entry| {
            entry.found.token.expires_at > now
                && entry.principal_at(resource).is_some()
                && self.is_admitted(&entry.found)
                && self.is_vouched_for(&entry.found)
                && !self.disabled.now().refuses(&entry.found.grant.user, &entry.found.grant.client)
        }))
    }

    /// Whose token it is that was refused, if it is because they, or their client, are disabled. A
    /// grant that ended by that is looked for in the store; that it cannot be asked is no reason to
    /// answer otherwise.
    async fn disabled(&self, token: &TokenHash, found: Option<&Entry>) -> Option<Person> {
        let is_disabled =
            |user: &UserId, client: &ClientId| self.disabled.now().refuses(user, client);
        if let Some(Entry { found, principal, .. }) = found {
            return is_disabled(&found.grant.user, &found.grant.client)
                .then(|| (&**principal).into());
        }
        if !self.disabled.now().refuses_anybody() {
            return None;
        }
        let (user, client) = self.grants.find_owner(token, self.clock.now()).await.ok()??;
        is_disabled(&user, &client).then(|| Person::user_id(&user).with_client(client.as_str()))
    }

    /// An agent key works as long as what is known of its owner may be believed
    /// ([`agent_key::check_owner`], and `lifetimes.groups`).
    fn is_vouched_for(&self, found: &FoundAccess) -> bool {
        found.grant.key.is_none()
            || (agent_key::check_owner(&found.user, self.clock.now(), &self.lifetimes).is_ok()
                && !matches!(self.standing_of(&found.user), Some(providers::Standing::TooLongAgo)))
    }

    /// A key has no hour to live out: it ends with the provider of its owner.
    fn is_admitted(&self, found: &FoundAccess) -> bool {
        if found.grant.key.is_none() {
            return self.is_person_admitted(&found.user);
        }
        matches!(
            self.standing_of(&found.user),
            Some(providers::Standing::Admitted | providers::Standing::TooLongAgo)
        )
    }

    /// As of a look-up that may be a little older than what was read of its person since.
    fn standing_of(&self, user: &User) -> Option<providers::Standing> {
        let looked_up_at = self.clock.now() - TRUSTED_FOR;
        self.admission.borrow().as_ref().map(|providers| providers.standing_at(user, looked_up_at))
    }

    /// A rule that was made stricter counts at once (threat 53). Tokens of a provider that is gone
    /// live out their hour, and are not renewed. A look-up may be a little older than what was read
    /// of its person since.
    fn is_person_admitted(&self, user: &User) -> bool {
        let providers = self.admission.borrow();
        let looked_up_at = self.clock.now() - TRUSTED_FOR;
        providers.as_ref().is_some_and(|providers| {
            matches!(
                providers.standing_at(user, looked_up_at),
                providers::Standing::Admitted | providers::Standing::NoProvider
            )
        })
    }

    async fn find(&self, hash: &TokenHash) -> Result<Option<Arc<Entry>>, StoreError> {
        if let Some(entry) = self.cache.find(hash).await {
            return Ok(Some(entry));
        }
        self.look_up(hash).await
    }

    async fn look_up(&self, hash: &TokenHash) -> Result<Option<Arc<Entry>>, StoreError> {
        let asking = self.cache.ask();
        let Some(found) = self.grants.find_access(hash, self.clock.now()).await? else {
            return Ok(None);
        };
        // Once in a while, and not on the way of a call: a look-up is remembered. The caller of
        // a resting key waits for it instead.
        if self.is_vouched_for(&found) {
            self.reader.nudge(&found.user);
        }
        let principal = principal_of(&found);
        Ok(Some(self.cache.keep(asking, found, principal).await))
    }

    /// The answer for a request to `address` that was not let through. It is recorded if it is
    /// given: too many failures of an address are not ([`crate::edge::throttle::layer`]).
    pub fn refusal(
        &self,
        refused: &Refused,
        resource: &Resource,
        address: &ResourceAddress,
        audit: &RequestAudit,
    ) -> Response {
        let challenge = match refused {
            Refused::Store(error) => return answers::store_down(error),
            Refused::Challenge(challenge) => *challenge,
            Refused::OfAnother(_) | Refused::OwnerMustSignIn(_) | Refused::Disabled(_) => {
                Challenge::InvalidToken
            }
        };
        let (status, error) = match challenge {
            Challenge::NoToken | Challenge::InvalidToken => {
                (StatusCode::UNAUTHORIZED, "invalid_token")
            }
            Challenge::InvalidRequest => (StatusCode::BAD_REQUEST, "invalid_request"),
        };
        let value = metadata::challenge(challenge, resource, address, &self.resources);
        let description = match refused {
            Refused::OfAnother(_) => {
                format!("the token is for another resource: ask for one with resource={resource}")
            }
            Refused::OwnerMustSignIn(_) => {
                format!("{OwnerMustSignIn}: at {}", self.resources.public_url())
            }
            _ => "sign in: the WWW-Authenticate header says where".to_owned(),
        };
        let body = json!({"error": error, "error_description": description});
        let mut response = (status, axum::Json(body)).into_response();
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
        }
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(record) = refused.record(audit, resource) {
            response.extensions_mut().insert(FailedAuthentication);
            response.extensions_mut().insert(record);
        }
        response
    }
}

impl Refused {
    /// What the audit log is told of it. A request without a token is none that was refused: it
    /// asks where to sign in.
    fn record(&self, audit: &RequestAudit, resource: &Resource) -> Option<PendingRefusal> {
        let (person, reason) = match self {
            Self::Challenge(Challenge::NoToken) | Self::Store(_) => return None,
            Self::Challenge(Challenge::InvalidToken) => {
                (Person::default(), RefusalReason::UnknownToken)
            }
            Self::Challenge(Challenge::InvalidRequest) => {
                (Person::default(), RefusalReason::MalformedToken)
            }
            Self::Disabled(person) => (person.clone(), RefusalReason::Disabled),
            Self::OfAnother(principal) => ((&**principal).into(), RefusalReason::WrongResource),
            Self::OwnerMustSignIn(principal) => {
                ((&**principal).into(), RefusalReason::OwnerMustSignIn)
            }
        };
        Some(audit.refusal(person, reason, resource.as_str()))
    }
}

/// The one token of the request, in its header; one in the query is refused, for queries are logged
/// everywhere (threat 48).
fn read_token(headers: &HeaderMap, query: Option<&str>) -> Result<TokenSecret, Challenge> {
    if query.is_some_and(|query| {
        query.split('&').any(|pair| pair.split('=').next() == Some("access_token"))
    }) {
        return Err(Challenge::InvalidRequest);
    }
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().ok_or(Challenge::NoToken)?;
    if values.next().is_some() {
        return Err(Challenge::InvalidRequest);
    }
    header_rules::bearer(value.as_bytes())
}

pub(super) fn principal_of(found: &FoundAccess) -> Principal {
    Principal {
        user: found.user.id.clone(),
        subject: found.user.subject.clone(),
        provider: Some(found.user.provider.clone()),
        client: match &found.grant.key {
            None => found.grant.client.clone(),
            Some(_) => ClientId::of_key(&found.grant.id),
        },
        application: found.grant.application,
        grant: found.grant.id.clone(),
        resource: found.token.resource.clone(),
        scopes: found.token.scopes.clone(),
        groups: found.user.groups.clone(),
        email: found.user.verified_email().map(str::to_owned),
        name: found.user.name.clone(),
        signed_in_at: (!found.user.is_service()).then_some(found.user.signed_in_at),
    }
}

#[cfg(test)]
mod tests {
    use portunus_core::{entropy::SeededEntropy, secret::TokenKind};

    use super::*;

    #[test]
    fn t23_t48_one_header_and_nothing_in_the_query() {
        let token = TokenSecret::generate(TokenKind::Access, &SeededEntropy::new(1));
        let value = HeaderValue::from_str(&format!("Bearer {}", token.expose())).unwrap();
        let mut headers = HeaderMap::new();
        assert_eq!(read_token(&headers, None).map(|_| ()), Err(Challenge::NoToken));
        headers.append(header::AUTHORIZATION, value.clone());
        assert_eq!(read_token(&headers, None).map(|_| ()), Ok(()));
        assert_eq!(read_token(&headers, Some("server_name=x")).map(|_| ()), Ok(()));
        assert_eq!(
            read_token(&headers, Some("x=1&access_token=y")).map(|_| ()),
            Err(Challenge::InvalidRequest)
        );
        headers.append(header::AUTHORIZATION, value);
        assert_eq!(read_token(&headers, None).map(|_| ()), Err(Challenge::InvalidRequest));
    }
}
