//! What the hub asks of the servers behind it: [`Servers`] hands out connections, a [`Peer`] is
//! one. `upstream` has the real ones; tests bring their own.

use std::{any::Any, sync::Arc};

use async_trait::async_trait;
use portunus_core::ids::{ServerName, UserId};
use tokio::sync::broadcast;

use super::{
    Call, Connection, ConnectionKey, ConnectionUser, Event, ServerInfo, UpstreamError, Upstreams,
    owner::Ending,
};
use crate::wire::{Outcome, Payload};

/// Where connections come from.
#[async_trait]
pub trait Servers: Send + Sync {
    /// The live connection that `connection_user` shares or owns, started if need be.
    async fn connection(
        &self,
        server: &ServerName,
        connection_user: &ConnectionUser,
    ) -> Result<Arc<dyn Peer>, UpstreamError>;

    /// The session is over: connections of its own are closed.
    async fn close_session(&self, connection_user: &ConnectionUser);

    /// The user is gone from here: connections that are the user's alone are closed.
    async fn close_user(&self, user: &UserId);

    /// These connections end for good, whatever is under way on them.
    async fn end(&self, _which: &Ending) {}
}

/// A live, initialized connection.
#[async_trait]
pub trait Peer: Send + Sync {
    fn info(&self) -> &ServerInfo;

    fn key(&self) -> &ConnectionKey;

    async fn request(
        &self,
        method: &str,
        params: Option<Payload>,
        call: Call,
    ) -> Result<Outcome, UpstreamError>;

    async fn notify(&self, method: &str, params: Option<Payload>) -> Result<(), UpstreamError>;

    /// Wants to hear of a task of the extension `io.modelcontextprotocol/tasks`, or no longer. Does
    /// the server tell of it? Only those of the modern era do.
    async fn follow_task(&self, _task: &str, _is_wanted: bool) -> Result<bool, UpstreamError> {
        Ok(false)
    }

    /// Wants to hear of changes of lists that the server has not declared, by the members of the
    /// filter.
    async fn follow_lists(&self, _members: &[&'static str]) {}

    /// What the server says from now on.
    fn events(&self) -> broadcast::Receiver<Event>;

    fn is_closed(&self) -> bool;

    /// It was told what no later caller may be told: it ends, and the next caller gets
    /// another. `false`: something is under way on it.
    async fn end_if_idle(&self) -> bool {
        false
    }

    /// While what this returns lives, the connection is not closed as idle.
    fn hold(&self) -> Box<dyn Any + Send + Sync>;
}

#[async_trait]
impl Servers for Upstreams {
    async fn connection(
        &self,
        server: &ServerName,
        connection_user: &ConnectionUser,
    ) -> Result<Arc<dyn Peer>, UpstreamError> {
        Self::connection(self, server, connection_user)
            .await
            .map(|connection| connection as Arc<dyn Peer>)
    }

    async fn close_session(&self, connection_user: &ConnectionUser) {
        Self::close_session(self, connection_user).await;
    }

    async fn close_user(&self, user: &UserId) {
        Self::close_user(self, user).await;
    }

    async fn end(&self, which: &Ending) {
        Self::end(self, which).await;
    }
}

#[async_trait]
impl Peer for Connection {
    fn info(&self) -> &ServerInfo {
        Self::info(self)
    }

    fn key(&self) -> &ConnectionKey {
        Self::key(self)
    }

    async fn request(
        &self,
        method: &str,
        params: Option<Payload>,
        call: Call,
    ) -> Result<Outcome, UpstreamError> {
        Self::request(self, method, params, call).await
    }

    async fn notify(&self, method: &str, params: Option<Payload>) -> Result<(), UpstreamError> {
        Self::notify(self, method, params).await
    }

    async fn follow_task(&self, task: &str, is_wanted: bool) -> Result<bool, UpstreamError> {
        Self::follow_task(self, task, is_wanted).await
    }

    fn events(&self) -> broadcast::Receiver<Event> {
        Self::events(self)
    }

    fn is_closed(&self) -> bool {
        Self::is_closed(self)
    }

    async fn follow_lists(&self, members: &[&'static str]) {
        Self::follow_lists(self, members).await;
    }

    async fn end_if_idle(&self) -> bool {
        Self::end_if_idle(self).await
    }

    fn hold(&self) -> Box<dyn Any + Send + Sync> {
        Box::new(Self::hold(self))
    }
}
