//! Port for grants with their codes and tokens: in one port because redeeming and rotating touch
//! all of them in one atomic step.

use async_trait::async_trait;

use super::error::StoreError;
use crate::{
    clock::Timestamp,
    grant::{Grant, GrantsOf},
    ids::{ClientId, GrantId, UserId},
    refresh::{FoundRefresh, RefreshFamily, RefreshKey},
    secret::TokenHash,
    token::{AccessToken, AuthorizationCode, FoundAccess, FoundCode},
};

/// How redeeming a code ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redeemed {
    /// This call was the first: grant and tokens are kept.
    Fresh,
    /// The code was redeemed before and became this grant; nothing was written (threat 15).
    Already(GrantId),
    /// No such code, or it has expired.
    Unknown,
}

/// What the exchange of a refresh token writes: all of it, or nothing.
#[derive(Clone, Debug)]
pub struct FamilyChange {
    /// The family as it was found; `None` if the grant had none yet.
    pub before: Option<RefreshFamily>,
    pub after: RefreshFamily,
    /// An access token that was issued for it.
    pub access: AccessToken,
    pub now: Timestamp,
}

#[async_trait]
pub trait GrantStore: Send + Sync {
    /// [`StoreError::Disabled`] if its user or its client is.
    async fn insert_code(&self, code: &AuthorizationCode) -> Result<(), StoreError>;

    /// A code that has not expired at `now`, or that was redeemed: such a one is kept for as long
    /// as its grant may live.
    async fn find_code(
        &self,
        hash: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<FoundCode>, StoreError>;

    /// One atomic step: if the code is there, unexpired and unredeemed, marks it redeemed and keeps
    /// grant and tokens. [`StoreError::Disabled`] if the grant's user or client is.
    async fn redeem_code(
        &self,
        hash: &TokenHash,
        grant: &Grant,
        access: &AccessToken,
        refresh: Option<&RefreshFamily>,
        now: Timestamp,
    ) -> Result<Redeemed, StoreError>;

    /// One atomic step: keeps a grant that no code became, with its token (`client_credentials`).
    /// Its user must be there. [`StoreError::Disabled`] if the user or the client is.
    async fn insert_grant(&self, grant: &Grant, access: &AccessToken) -> Result<(), StoreError>;

    /// A live access token (unexpired, its grant not revoked) with its grant and user.
    async fn find_access(
        &self,
        hash: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<FoundAccess>, StoreError>;

    /// Whose an unexpired access token is, though its grant may be revoked: for the audit trail,
    /// when it was refused.
    async fn find_owner(
        &self,
        hash: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<(UserId, ClientId)>, StoreError>;

    /// What a refresh token is about, used or not, its grant revoked or not; `None` if no token of
    /// the family is of use at `now`.
    async fn find_refresh(
        &self,
        key: &RefreshKey,
        now: Timestamp,
    ) -> Result<Option<FoundRefresh>, StoreError>;

    /// One atomic step: keeps the family as it is after an exchange, and the access token with it.
    /// `false`, and nothing was written, if the family is not as it was found, or if its grant is
    /// revoked: the caller looks again.
    async fn change_family(&self, change: &FamilyChange) -> Result<bool, StoreError>;

    /// Revokes the grant; its tokens are dead from the next look-up on. `false` if it was unknown
    /// or revoked before.
    async fn revoke_grant(&self, id: &GrantId, now: Timestamp) -> Result<bool, StoreError>;

    /// One atomic step: revokes every grant there is of these, deletes codes that would become one,
    /// and forgets the consents they rest on (a login has none of its own), so that nothing comes
    /// back without a person being asked. Gives the number of grants that were live until now.
    async fn revoke_grants(&self, of: &GrantsOf, now: Timestamp) -> Result<u64, StoreError>;

    /// Ends this one access token; its grant lives on. `false` if it was unknown.
    async fn revoke_access(&self, hash: &TokenHash) -> Result<bool, StoreError>;

    async fn find_grant(&self, id: &GrantId) -> Result<Option<Grant>, StoreError>;

    /// The grant, revoked or not, with its family, if it has one.
    async fn find_family(&self, grant: &GrantId) -> Result<Option<FoundRefresh>, StoreError>;

    /// These grants, as far as they are not revoked, newest first, at most `limit`.
    async fn list_grants(&self, of: &GrantsOf, limit: u32) -> Result<Vec<Grant>, StoreError>;
}
