//! What ends when a user, a client or a server was disabled: sessions and streams, calls under way,
//! connections to servers. For good, unlike what [`super::eviction`] has go on elsewhere. That
//! nothing new begins is the caller's to see to: here is no rule.

use std::sync::Arc;

use portunus_core::ids::{ClientId, ServerName, UserId};

use super::{Hub, View};
use crate::{session::Session, upstream::Ending};

impl Hub {
    /// The user may not use this gateway any more. Their calls are cancelled, also those at servers
    /// that all users share.
    pub async fn end_user(&self, user: &UserId) {
        let sessions = self.take(self.endpoint.sessions.of_user(user));
        self.endpoint.sessions.cancel_calls(user);
        self.endpoint.suspended.evict_user(user);
        self.endpoint.calls.tasks.forget_user(user);
        self.endpoint.calls.connections.end(&Ending::User(user.clone())).await;
        self.end_all(sessions).await;
    }

    /// The client may not be used any more. A call of a modern client at a server that all users
    /// share goes to its end.
    pub async fn end_client(&self, client: &ClientId) {
        let mut sessions = self.endpoint.sessions.of_all_users();
        sessions.retain(|session| session.client.is_meant_by(client));
        let sessions = self.take(sessions);
        self.endpoint.calls.connections.end(&Ending::Client(client.clone())).await;
        self.end_all(sessions).await;
    }

    /// The server may not be used any more: what looks at it alone ends, and so do calls under way
    /// there.
    pub async fn end_server(&self, server: &ServerName) {
        let mut sessions = self.endpoint.sessions.of_all_users();
        sessions.retain(|session| session.view == View::One(server.clone()));
        let sessions = self.take(sessions);
        self.endpoint.calls.connections.end(&Ending::Server(server.clone())).await;
        self.end_all(sessions).await;
    }

    /// Sessions that go on hear nothing more of this server's resources. To be called before they
    /// are told to look at their lists again, which renews what they are subscribed to.
    pub fn forget_subscriptions(&self, server: &ServerName) {
        for session in self.endpoint.sessions.of_all_users() {
            session.forget_subscriptions(server);
        }
    }

    /// Out of the table first, so that no request finds one that is about to end.
    fn take(&self, sessions: Vec<Arc<Session>>) -> Vec<Arc<Session>> {
        for session in &sessions {
            self.endpoint.sessions.remove(session);
            session.ended.cancel();
        }
        sessions
    }

    async fn end_all(&self, sessions: Vec<Arc<Session>>) {
        for session in sessions {
            self.endpoint.lifecycle.end(&session).await;
        }
    }
}
