//! Several gateways on one store. Any of them takes any request; a user's MCP sessions, their streams and child processes live on one, the
//! user's home, and the others pass the user's requests on to it. Which one that is, [`membership`] finds out; [`relay`] sends a request
//! there in an [`envelope`], and [`listener`] takes it in. A child process that everybody shares has a home too ([`servers`]).
//!
//! Signing in, tokens and `proxies` need none of this: what they keep is in the store.

mod address;
mod bound_headers;
mod broken;
mod envelope;
mod listener;
mod live_nodes;
mod membership;
mod ownership;
mod relay;
mod servers;

use std::{future::Future, sync::Arc, time::Duration};

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
use portunus_core::{oauth::scopes::EffectiveScopes, principal::Principal, store::StoreError};
use portunus_mcp::{hub::View, wire};
use serde_json::json;
use tokio::time::Instant;

pub use self::{
    address::toward,
    listener::{Room as ListenerState, serve as listen},
    membership::{Member, MemberParts, Ownership},
    ownership::Home,
    servers::Neighbours,
};
use self::{
    membership::Place,
    relay::{Relay, Undelivered},
};

/// How long a request waits for a home that does not answer, longer than it takes to notice that a node is dead.
const PATIENCE: Duration = Duration::from_secs(8);
const PAUSE: Duration = Duration::from_millis(200);

/// What is asked of the MCP half, its token already checked.
#[derive(Clone, Debug)]
pub struct ForwardedRequest {
    pub what: ForwardedKind,
    pub principal: Arc<Principal>,
    /// What the principal's scopes cover.
    pub scopes: EffectiveScopes,
    pub view: View,
    pub headers: HeaderMap,
    pub body: Bytes,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForwardedKind {
    /// A request on an MCP endpoint.
    Mcp(Method),
    /// The list of tools, as `GET /tools` gives it.
    Tools,
}

/// The way of a forwarded request to where the user is at home.
#[derive(Clone)]
pub enum Cluster {
    /// There is no other node.
    Alone,
    Among(Arc<Others>),
}

/// This node among the others.
pub struct Others {
    member: Arc<Member>,
    relay: Relay,
}

impl Cluster {
    pub fn among(member: Arc<Member>, http: reqwest::Client) -> Self {
        let relay = Relay::new(Arc::clone(&member), http);
        Self::Among(Arc::new(Others { member, relay }))
    }

    /// Can the others tell that this node is alive? `None` if there are none.
    pub fn is_alive(&self) -> Option<bool> {
        match self {
            Self::Alone => None,
            Self::Among(others) => Some(others.member.is_alive()),
        }
    }

    /// Has the forwarded request run at the user's home: by `here`, if that is this node.
    pub async fn run<F: Future<Output = Response>>(
        &self,
        forwarded: ForwardedRequest,
        here: impl Fn(ForwardedRequest) -> F,
    ) -> Response {
        match self {
            Self::Alone => here(forwarded).await,
            Self::Among(others) => others.run(forwarded, here).await,
        }
    }
}

impl Others {
    async fn run<F: Future<Output = Response>>(
        &self,
        forwarded: ForwardedRequest,
        here: impl Fn(ForwardedRequest) -> F,
    ) -> Response {
        let user = &forwarded.principal.user;
        let until = Instant::now() + PATIENCE;
        loop {
            let node = match self.member.place(user).await {
                Ok(Place::Here) => return here(forwarded).await,
                Ok(Place::At(node)) => node,
                Err(error) => return unavailable(&forwarded, &error),
            };
            match self.relay.send(&node, &forwarded).await {
                Ok(response) => return response,
                Err(Undelivered::NotHome | Undelivered::Unreached) => tokio::time::sleep(PAUSE).await,
                // It may have been done.
                Err(Undelivered::Broken) => return lost(&forwarded),
            }
            self.member.ask_again(user);
            if Instant::now() > until {
                tracing::warn!(%user, node = %node.id, url = node.url, "the node that serves this user does not answer");
                return lost(&forwarded);
            }
        }
    }
}

fn unavailable(forwarded: &ForwardedRequest, error: &StoreError) -> Response {
    tracing::warn!(%error, "where a user is at home cannot be found out");
    retry(forwarded, "the gateway cannot reach its store: try again")
}

const LOST: &str = "the node that worked on this request is gone: it may or may not have run";

fn lost(forwarded: &ForwardedRequest) -> Response {
    retry(forwarded, LOST)
}

fn lost_error(forwarded: &ForwardedRequest) -> serde_json::Value {
    retriable(forwarded, LOST)
}

/// 503 with a JSON-RPC error for the request, which the client may repeat.
fn retry(forwarded: &ForwardedRequest, text: &str) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], Json(retriable(forwarded, text))).into_response()
}

fn retriable(forwarded: &ForwardedRequest, text: &str) -> serde_json::Value {
    let id = match wire::parse(&forwarded.body) {
        Ok(wire::Message::Request(request)) => serde_json::from_str(request.id.raw()).unwrap_or_default(),
        _ => serde_json::Value::Null,
    };
    let error = json!({"code": -32000, "message": text, "data": {"retriable": true}});
    json!({"jsonrpc": "2.0", "id": id, "error": error})
}
