//! What this node has of the users it owns: their sessions in the hub, and the connections to
//! servers that are theirs alone; and of servers that all users share.

use std::sync::Arc;

use async_trait::async_trait;
use portunus_core::ids::UserId;
use portunus_mcp::{hub::Hub, shared::SharedServers};

use super::{
    membership::Ownership,
    servers::{server_of, user_of},
};

pub struct LocalOwnership {
    pub hub: Arc<Hub>,
    pub shared: Arc<SharedServers>,
}

#[async_trait]
impl Ownership for LocalOwnership {
    fn users(&self) -> Vec<UserId> {
        let mut users = self.hub.users();
        users.extend(self.shared.here().iter().map(user_of));
        users
    }

    fn is_busy(&self, user: &UserId) -> bool {
        match server_of(user) {
            Some(server) => self.shared.is_busy(&server),
            None => self.hub.is_busy(user),
        }
    }

    async fn evict_user(&self, user: &UserId) {
        match server_of(user) {
            Some(server) => self.shared.evict_user(&server).await,
            None => self.hub.evict_user(user).await,
        }
    }
}
