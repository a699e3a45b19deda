//! Users who come to this process, and leave it for another: several gateways may share their work, each user being at home at one of them.

use portunus_core::ids::UserId;

use super::Hub;

impl Hub {
    /// Those who have a session here.
    pub fn users(&self) -> Vec<UserId> {
        self.inner.sessions.users()
    }

    /// Is a request of the user's under way here?
    pub fn is_busy(&self, user: &UserId) -> bool {
        self.inner.sessions.is_busy(user)
    }

    /// The user goes on elsewhere: what is under way here is broken off, sessions and streams end, and connections to servers that are the
    /// user's alone are closed. What is written down of the sessions stays, so that they can be taken on.
    pub async fn evict_user(&self, user: &UserId) {
        let sessions = self.inner.sessions.of_user(user);
        for session in &sessions {
            self.inner.sessions.remove(session);
            session.ended.cancel();
        }
        self.inner.waiting.evict_user(user);
        // First the connections that end: only those that are everybody's need to hear what the sessions no longer want.
        self.inner.servers.close_user(user).await;
        for session in &sessions {
            self.inner.clear_away(session).await;
        }
    }
}
