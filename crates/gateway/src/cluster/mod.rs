//! Several gateways on one store. Any of them takes any request; a user's MCP sessions, their streams and child processes live on one, the
//! user's home, and the others pass the user's requests on to it. Which one that is, [`membership`] finds out; [`relay`] sends a request
//! there in an [`envelope`], and [`listener`] takes it in. A child process that everybody shares has a home too ([`servers`]).
//!
//! Signing in, tokens and `proxies` need none of this: what they keep is in the store.

mod address;
mod bound_headers;
mod broken;
mod envelope;
mod household;
mod listener;
mod membership;
mod relay;
mod roll;
mod servers;

use std::{future::Future, sync::Arc, time::Duration};

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
use portunus_core::{oauth::scopes::Reach, principal::Principal, store::StoreError};
use portunus_mcp::{hub::View, wire};
use serde_json::json;
use tokio::time::Instant;

pub use self::{
    address::toward,
    household::Home,
    listener::{Room as ListenerRoom, serve as listen},
    membership::{Household, Member, MemberParts},
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
pub struct Errand {
    pub what: What,
    pub principal: Arc<Principal>,
    /// What the principal's scopes cover.
    pub reach: Reach,
    pub view: View,
    pub headers: HeaderMap,
    pub body: Bytes,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A request on an MCP endpoint.
    Mcp(Method),
    /// The list of tools, as `GET /tools` gives it.
    Tools,
}

/// The way of an errand to where the user is at home.
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

    /// Has the errand run at the user's home: by `here`, if that is this node.
    pub async fn run<F: Future<Output = Response>>(&self, errand: Errand, here: impl Fn(Errand) -> F) -> Response {
        match self {
            Self::Alone => here(errand).await,
            Self::Among(others) => others.run(errand, here).await,
        }
    }
}

impl Others {
    async fn run<F: Future<Output = Response>>(&self, errand: Errand, here: impl Fn(Errand) -> F) -> Response {
        let user = &errand.principal.user;
        let until = Instant::now() + PATIENCE;
        loop {
            let node = match self.member.place(user).await {
                Ok(Place::Here) => return here(errand).await,
                Ok(Place::At(node)) => node,
                Err(error) => return unavailable(&errand, &error),
            };
            match self.relay.send(&node, &errand).await {
                Ok(response) => return response,
                Err(Undelivered::NotHome | Undelivered::Unreached) => tokio::time::sleep(PAUSE).await,
                // It may have been done.
                Err(Undelivered::Broken) => return lost(&errand),
            }
            self.member.ask_again(user);
            if Instant::now() > until {
                tracing::warn!(%user, node = %node.id, url = node.url, "the node that serves this user does not answer");
                return lost(&errand);
            }
        }
    }
}

fn unavailable(errand: &Errand, error: &StoreError) -> Response {
    tracing::warn!(%error, "where a user is at home cannot be found out");
    retry(errand, "the gateway cannot reach its store: try again")
}

const LOST: &str = "the node that worked on this request is gone: it may or may not have run";

fn lost(errand: &Errand) -> Response {
    retry(errand, LOST)
}

fn lost_error(errand: &Errand) -> serde_json::Value {
    retriable(errand, LOST)
}

/// 503 with a JSON-RPC error for the request, which the client may repeat.
fn retry(errand: &Errand, text: &str) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], Json(retriable(errand, text))).into_response()
}

fn retriable(errand: &Errand, text: &str) -> serde_json::Value {
    let id = match wire::parse(&errand.body) {
        Ok(wire::Message::Request(request)) => serde_json::from_str(request.id.raw()).unwrap_or_default(),
        _ => serde_json::Value::Null,
    };
    let error = json!({"code": -32000, "message": text, "data": {"retriable": true}});
    json!({"jsonrpc": "2.0", "id": id, "error": error})
}
