//! Port for people and their browsers' logins.

use async_trait::async_trait;

use super::StoreError;
use crate::{clock::Timestamp, ids::UserId, principal::User, secret::TokenHash, signin::Login};

#[async_trait]
pub trait LoginStore: Send + Sync {
    /// One atomic step: keeps the user as the provider just described them, and the new login.
    async fn insert_login(&self, user: &User, login: &Login) -> Result<(), StoreError>;

    /// An unexpired login with its user.
    async fn find_login(&self, id: &TokenHash, now: Timestamp) -> Result<Option<(Login, User)>, StoreError>;

    /// Takes the login out: the browser is signed out.
    async fn take_login(&self, id: &TokenHash) -> Result<Option<Login>, StoreError>;

    async fn find_user(&self, id: &UserId) -> Result<Option<User>, StoreError>;
}
