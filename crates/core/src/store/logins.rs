//! Port for people and their browsers' logins.

use async_trait::async_trait;

use super::error::StoreError;
use crate::{
    clock::Timestamp,
    ids::{ProviderName, UserId},
    principal::User,
    secret::TokenHash,
    signin::Login,
};

#[async_trait]
pub trait LoginStore: Send + Sync {
    /// One atomic step: keeps the user as the provider just described them, and the new login. An
    /// invalidation says so if tokens tell something else of them now
    /// ([`User::is_described_like`]). [`StoreError::Disabled`] if the user is.
    async fn insert_login(&self, user: &User, login: &Login) -> Result<(), StoreError>;

    /// An unexpired login with its user.
    async fn find_login(
        &self,
        id: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<(Login, User)>, StoreError>;

    /// Notes that the login was used at `last_seen`, and when it ends now; of many notes the latest
    /// counts. A login that had ended by then, or was taken out, stays so: `false`.
    async fn touch_login(
        &self,
        id: &TokenHash,
        last_seen: Timestamp,
        expires_at: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Takes the login out: the browser is signed out.
    async fn take_login(&self, id: &TokenHash) -> Result<Option<Login>, StoreError>;

    /// Takes all logins of the user out, in every browser. Gives their number.
    async fn take_logins(&self, user: &UserId) -> Result<u64, StoreError>;

    /// Keeps a user who does not sign in with a browser, in place of what was known before: the
    /// service user of a client.
    async fn insert_user(&self, user: &User) -> Result<(), StoreError>;

    async fn find_user(&self, id: &UserId) -> Result<Option<User>, StoreError>;

    /// The user of this provider who signed in last. It looks at every user there is, too.
    async fn latest_user(&self, provider: &ProviderName) -> Result<Option<User>, StoreError>;

    /// The users that the text names ([`User::is_called`]), in no order. It looks at every user
    /// there is: for administrators, not for requests.
    async fn find_users(&self, called: &str) -> Result<Vec<User>, StoreError>;

    /// Every user there is, in no order: for administrators, not for requests.
    async fn list_users(&self) -> Result<Vec<User>, StoreError>;
}
