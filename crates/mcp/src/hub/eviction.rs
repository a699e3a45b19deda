//! Users who come to this process, and leave it for another: several gateways may share their work,
//! each user being owned by one of them.

use portunus_core::ids::UserId;

use super::Hub;

impl Hub {
    /// Those who have a session here.
    pub fn users(&self) -> Vec<UserId> {
        self.endpoint.sessions.users()
    }

    /// Is a request of the user's under way here?
    pub fn is_busy(&self, user: &UserId) -> bool {
        self.endpoint.sessions.is_busy(user)
    }

    /// The user goes on elsewhere: what is under way here is broken off, sessions and streams end,
    /// and connections to servers that are the user's alone are closed. What is written down of the
    /// sessions stays, so that they can be taken on.
    pub async fn evict_user(&self, user: &UserId) {
        let sessions = self.endpoint.sessions.of_user(user);
        for session in &sessions {
            self.endpoint.sessions.remove(session);
            session.ended.cancel();
        }
        self.endpoint.suspended.evict_user(user);
        // First the connections that end: only those that all users share need to hear what the
        // sessions no longer want.
        self.endpoint.calls.connections.close_user(user).await;
        for session in &sessions {
            self.endpoint.lifecycle.clear_away(session).await;
        }
    }
}
