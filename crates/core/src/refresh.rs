//! Refresh tokens (RFC 6749 section 6, OAuth 2.1 section 4.3): what one looks like
//! ([`PresentedRefresh`]), and what is kept of all that a grant ever had ([`RefreshFamily`]).
//! Whether a used one is answered is decided in [`crate::oauth::token`]; how the times of use are
//! remembered in constant space is in [`state`].
//!
//! A token carries the id of its family and its generation, and proves both with an HMAC under the
//! family's own secret. So every token that the family ever had is recognised, and the current one
//! can be made again, though nothing is kept of any of them. A token that proves nothing is of no
//! family: nothing that was made up ends anything.

pub mod state;

use std::{fmt, net::IpAddr};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

pub use self::state::FamilyState;
use self::state::IssuedAccess;
use crate::{
    clock::Timestamp,
    entropy::{Entropy, random_bytes},
    grant::Grant,
    ids::GrantId,
    lifetimes::Lifetimes,
    net_address::Subscriber,
    oauth::token::issuing::Issuing,
    resource::Resource,
    scope::ScopeSet,
    secret::{SecretText, TokenHash, TokenKind, TokenSecret},
    token::AccessToken,
};

const ID: usize = 16;
const GENERATION: usize = 4;
/// Of the HMAC-SHA-256: 224 bits.
const TAG: usize = 28;
const BODY: usize = ID + GENERATION + TAG;

const TOKEN_LABEL: &[u8] = b"portunus refresh token v1";
const ACCESS_LABEL: &[u8] = b"portunus access token v1";
const ADDRESS_LABEL: &[u8] = b"portunus refresh address v1";

/// The name of a family, in each of its tokens. No secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FamilyId([u8; ID]);

impl FamilyId {
    pub const fn from_bytes(bytes: [u8; ID]) -> Self {
        Self(bytes)
    }

    pub const fn as_bytes(&self) -> &[u8; ID] {
        &self.0
    }

    /// Reads an id as it is displayed.
    pub fn parse(text: &str) -> Option<Self> {
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Self)
    }
}

impl fmt::Display for FamilyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for FamilyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FamilyId({self})")
    }
}

impl Serialize for FamilyId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FamilyId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| serde::de::Error::custom("a family's id is 16 bytes in base64url"))
    }
}

/// How a store finds what a refresh token is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshKey {
    Family(FamilyId),
    /// One of before there were families: by its hash.
    Earlier(TokenHash),
}

/// A refresh token of ours by its looks, as a client presents it.
#[derive(Clone)]
pub struct PresentedRefresh {
    key: RefreshKey,
    generation: u32,
    tag: [u8; TAG],
}

impl PresentedRefresh {
    /// `None` if it is none that we could ever have issued (threat 22).
    pub fn parse(presented: &str) -> Option<Self> {
        if let Some(secret) = TokenSecret::parse(TokenKind::Refresh, presented) {
            return Some(Self {
                key: RefreshKey::Earlier(secret.hash()),
                generation: 0,
                tag: [0; TAG],
            });
        }
        let body: [u8; BODY] =
            TokenSecret::parse_body(TokenKind::Refresh, presented)?.try_into().ok()?;
        let (id, rest) = body.split_first_chunk()?;
        let (generation, tag) = rest.split_first_chunk()?;
        let key = RefreshKey::Family(FamilyId(*id));
        Some(Self { key, generation: u32::from_be_bytes(*generation), tag: tag.try_into().ok()? })
    }

    pub const fn key(&self) -> RefreshKey {
        self.key
    }
}

impl fmt::Debug for PresentedRefresh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PresentedRefresh")
            .field("key", &self.key)
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

/// Which of its family's tokens one is. Only a token that was proved to be one has a status other
/// than `Unknown`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshStatus {
    /// Made up, or of a generation that the store has not come to: it proves nothing and ends
    /// nothing.
    Unknown,
    Current,
    /// Exchanged, so many generations ago, at that time; `None` is longer ago than is remembered.
    Used {
        generations: u32,
        at: Option<Timestamp>,
    },
}

/// A token of before there were families.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EarlierRefresh {
    pub expires_at: Timestamp,
    pub used_at: Option<Timestamp>,
}

/// What a store knows of a refresh token: its grant, revoked or not, and the family of that grant,
/// if it has one yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundRefresh {
    pub grant: Grant,
    pub family: Option<RefreshFamily>,
    pub earlier: Option<EarlierRefresh>,
}

impl FoundRefresh {
    pub fn status(&self, presented: &PresentedRefresh) -> RefreshStatus {
        match (&self.family, &self.earlier) {
            (None, None) => RefreshStatus::Unknown,
            (Some(family), None) => family.status(presented),
            (None, Some(earlier)) => earlier.used_at.map_or(RefreshStatus::Current, |at| {
                RefreshStatus::Used { generations: 1, at: Some(at) }
            }),
            // The first exchange that made the family used up every token of before.
            (Some(family), Some(earlier)) => {
                let at = earlier.used_at.unwrap_or(family.state.began_at);
                RefreshStatus::Used { generations: family.state.generation, at: Some(at) }
            }
        }
    }

    /// When the last token that is of use expires.
    pub fn expires_at(&self) -> Timestamp {
        let earlier =
            || self.earlier.map_or(Timestamp::from_millis(i64::MIN), |earlier| earlier.expires_at);
        self.family.as_ref().map_or_else(earlier, |family| family.expires_at)
    }
}

/// All refresh tokens that a grant ever had, in one record of constant size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshFamily {
    pub id: FamilyId,
    pub grant: GrantId,
    /// Proves every generation and makes the current pair again. Kept sealed.
    pub secret: SecretText,
    /// When the current token expires.
    pub expires_at: Timestamp,
    pub state: FamilyState,
}

impl RefreshFamily {
    /// The family of a grant that has no token yet; its current one is of generation 0.
    pub fn begin(
        grant: &Grant,
        address: Option<IpAddr>,
        now: Timestamp,
        lifetimes: &Lifetimes,
        entropy: &dyn Entropy,
    ) -> Self {
        let mut id = [0; ID];
        entropy.fill(&mut id);
        let mut family = Self {
            id: FamilyId(id),
            grant: grant.id.clone(),
            secret: SecretText::new(URL_SAFE_NO_PAD.encode(random_bytes(entropy))),
            expires_at: grant.token_end(now, lifetimes.refresh_token),
            state: FamilyState::new(now),
        };
        family.state.address = family.address_tag(address);
        family
    }

    /// The family after one more exchange: the next generation is the current one. `None` after
    /// four thousand million of them.
    pub fn rotated(
        &self,
        grant: &Grant,
        address: Option<IpAddr>,
        now: Timestamp,
        lifetimes: &Lifetimes,
    ) -> Option<Self> {
        let mut next = self.clone();
        next.state.advance(
            now,
            lifetimes.refresh_grace.max(lifetimes.refresh_reuse.unwrap_or_default()),
        )?;
        next.state.address = self.address_tag(address);
        next.expires_at = grant.token_end(now, lifetimes.refresh_token);
        Some(next)
    }

    /// The current refresh token.
    pub fn token(&self) -> TokenSecret {
        let mut body = Vec::with_capacity(BODY);
        body.extend_from_slice(&self.id.0);
        body.extend_from_slice(&self.state.generation.to_be_bytes());
        body.extend_from_slice(&self.tag(self.state.generation));
        TokenSecret::from_body(TokenKind::Refresh, &body)
    }

    fn status(&self, presented: &PresentedRefresh) -> RefreshStatus {
        let is_ours = presented.key == RefreshKey::Family(self.id)
            && bool::from(self.tag(presented.generation).as_slice().ct_eq(&presented.tag));
        match self.state.generation.checked_sub(presented.generation) {
            _ if !is_ours => RefreshStatus::Unknown,
            None => RefreshStatus::Unknown,
            Some(0) => RefreshStatus::Current,
            Some(generations) => {
                RefreshStatus::Used { generations, at: self.state.used_at(presented.generation) }
            }
        }
    }

    /// Is this the address of the latest rotation: the same of IPv4, the same /64 of IPv6? An
    /// unknown one is like no other.
    pub fn is_from(&self, address: Option<IpAddr>) -> bool {
        let kept = self.state.address.as_ref();
        self.address_tag(address)
            .as_ref()
            .zip(kept)
            .is_some_and(|(now, then)| bool::from(now.ct_eq(then)))
    }

    /// Issues an access token of the current generation; the same one is handed out again by
    /// [`Self::current_access`].
    pub fn issue(
        &mut self,
        grant: &Grant,
        resource: &Resource,
        scopes: &ScopeSet,
        issuing: &Issuing<'_>,
    ) -> (TokenSecret, AccessToken) {
        let mut nonce = [0; 16];
        issuing.entropy.fill(&mut nonce);
        let expires_at = grant.token_end(issuing.now, issuing.lifetimes.access_token);
        let issued = IssuedAccess {
            nonce,
            resource: digest(resource.as_str()),
            scopes: digest(&scopes.to_string()),
            expires_at,
        };
        let made = self.access(&issued, resource, scopes);
        self.state.note(issued);
        made
    }

    /// The access token that was issued for this with the current refresh token, if it is of use
    /// for some time yet.
    pub fn current_access(
        &self,
        resource: &Resource,
        scopes: &ScopeSet,
        now: Timestamp,
        lifetimes: &Lifetimes,
    ) -> Option<(TokenSecret, AccessToken)> {
        let (of_resource, of_scopes) = (digest(resource.as_str()), digest(&scopes.to_string()));
        let mut issued = self.state.access.iter().rev();
        let issued =
            issued.find(|issued| issued.resource == of_resource && issued.scopes == of_scopes)?;
        let is_of_use = issued.expires_at > now + lifetimes.least_left();
        is_of_use.then(|| self.access(issued, resource, scopes))
    }

    /// When the access token ends that takes the place of `token`, and what it is kept under: the
    /// one of the current pair that is for the same resource and the same scopes.
    pub fn successor(&self, token: &AccessToken) -> Option<(Timestamp, TokenHash)> {
        let (of_resource, of_scopes) =
            (digest(token.resource.as_str()), digest(&token.scopes.to_string()));
        let mut issued = self.state.access.iter().rev();
        let issued =
            issued.find(|issued| issued.resource == of_resource && issued.scopes == of_scopes)?;
        let (_, successor) = self.access(issued, &token.resource, &token.scopes);
        (successor.hash != token.hash).then_some((successor.expires_at, successor.hash))
    }

    /// The resource that the last access token was for, of these.
    pub fn last_resource<'a>(
        &self,
        mut of: impl Iterator<Item = &'a Resource>,
    ) -> Option<&'a Resource> {
        of.find(|resource| digest(resource.as_str()) == self.state.resource)
    }

    fn access(
        &self,
        issued: &IssuedAccess,
        resource: &Resource,
        scopes: &ScopeSet,
    ) -> (TokenSecret, AccessToken) {
        let secret =
            TokenSecret::from_body(TokenKind::Access, &self.mac(&[ACCESS_LABEL, &issued.nonce]));
        let (hash, grant) = (secret.hash(), self.grant.clone());
        let (resource, scopes, expires_at) = (resource.clone(), scopes.clone(), issued.expires_at);
        (secret, AccessToken { hash, grant, resource, scopes, expires_at })
    }

    fn tag(&self, generation: u32) -> [u8; TAG] {
        truncated(&self.mac(&[TOKEN_LABEL, &self.id.0, &generation.to_be_bytes()]))
    }

    /// What is kept of an address: nothing can be told from it without the family's secret.
    fn address_tag(&self, address: Option<IpAddr>) -> Option<[u8; 16]> {
        let subscriber = Subscriber::of(address.filter(|address| !address.is_unspecified())?);
        Some(truncated(&self.mac(&[ADDRESS_LABEL, &subscriber.to_bytes()])))
    }

    /// The labels have different lengths, or what follows them a fixed one: no two inputs read the
    /// same.
    fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new(&self.key().into());
        for part in parts {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    /// As RFC 2104 section 2 makes one: padded with zeros, or hashed first if it is longer than a
    /// block.
    fn key(&self) -> [u8; 64] {
        let secret = self.secret.expose().as_bytes();
        let hashed = Sha256::digest(secret);
        let secret = if secret.len() > 64 { hashed.as_slice() } else { secret };
        std::array::from_fn(|n| secret.get(n).copied().unwrap_or_default())
    }
}

fn truncated<const N: usize>(bytes: &[u8; 32]) -> [u8; N] {
    std::array::from_fn(|n| bytes.get(n).copied().unwrap_or_default())
}

/// What is kept of a resource or of scopes: enough to know it again.
fn digest(text: &str) -> [u8; 8] {
    truncated(&Sha256::digest(text.as_bytes()).into())
}

#[cfg(test)]
mod tests;
