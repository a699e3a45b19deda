//! What this node has of its users: the hub's sessions, and the connections to servers that are theirs alone.

use std::sync::Arc;

use async_trait::async_trait;
use portunus_core::ids::UserId;
use portunus_mcp::hub::Hub;

use super::Household;

pub struct Home(pub Arc<Hub>);

#[async_trait]
impl Household for Home {
    fn users(&self) -> Vec<UserId> {
        self.0.users()
    }

    fn is_busy(&self, user: &UserId) -> bool {
        self.0.is_busy(user)
    }

    async fn let_go(&self, user: &UserId) {
        self.0.let_go(user).await;
    }
}
